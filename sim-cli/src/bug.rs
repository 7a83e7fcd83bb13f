//! Our own mistakes: a panic becomes a message that asks for help, and exit code 3.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;

/// A violated invariant.
#[derive(Debug, Default)]
pub struct Bug {
    message: String,
    place: Option<String>,
    backtrace: Option<Backtrace>,
}

/// The hook runs on the thread that panics, before it unwinds; this is how it hands over what it saw.
static SEEN: Mutex<Option<Bug>> = Mutex::new(None);

/// Does the work, and catches a panic instead of letting it print itself.
pub fn guard<T>(work: impl FnOnce() -> T) -> Result<T, Bug> {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        let backtrace = Backtrace::capture();
        let bug = Bug {
            message: info.payload_as_str().unwrap_or("no message").to_owned(),
            place: info.location().map(ToString::to_string),
            backtrace: (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace),
        };
        if let Ok(mut seen) = SEEN.lock() {
            *seen = Some(bug);
        }
    }));
    // Nothing that the work touched is used afterwards.
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(previous);
    done.map_err(|_| {
        let seen = SEEN.lock().ok().and_then(|mut seen| seen.take());
        seen.unwrap_or_default()
    })
}

impl Bug {
    /// The calls that led to it, if the environment asks for them.
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.backtrace.as_ref()
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_message_and_place() {
        let bug = guard(|| -> () { panic!("the hold timer fired twice") }).unwrap_err();
        let text = bug.to_string();
        assert!(text.starts_with("the hold timer fired twice ("), "{text}");
        assert!(text.contains("bug.rs:"), "{text}");
        assert_eq!(guard(|| 7).unwrap(), 7);
    }
}
