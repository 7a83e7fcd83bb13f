//! Our own mistakes: a panic becomes a message that asks for help, and exit code 3.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

/// A violated invariant.
#[derive(Debug, Default)]
pub struct Bug {
    message: String,
    place: Option<String>,
    backtrace: Option<Backtrace>,
}

thread_local! {
    /// The hook runs on the thread that panics, before it unwinds; this is how it hands over what it saw.
    static SEEN: RefCell<Option<Bug>> = const { RefCell::new(None) };
}

/// What a hook is to Rust.
type Hook = Box<dyn Fn(&panic::PanicHookInfo<'_>) + Sync + Send>;

/// How many pieces of work are guarded now, and the hook that was there before the first.
static GUARDED: Mutex<(usize, Option<Hook>)> = Mutex::new((0, None));

/// Does the work, and catches a panic instead of letting it print itself. Several threads may do so at once, and one within
/// another.
pub fn guard<T>(work: impl FnOnce() -> T) -> Result<T, Bug> {
    enter();
    // Nothing that the work touched is used afterwards.
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    leave();
    done.map_err(|_| SEEN.take().unwrap_or_default())
}

fn enter() {
    let mut guarded = GUARDED.lock().unwrap_or_else(PoisonError::into_inner);
    if guarded.0 == 0 {
        guarded.1 = Some(panic::take_hook());
        panic::set_hook(Box::new(see));
    }
    guarded.0 += 1;
}

fn leave() {
    let mut guarded = GUARDED.lock().unwrap_or_else(PoisonError::into_inner);
    guarded.0 -= 1;
    if guarded.0 == 0
        && let Some(previous) = guarded.1.take()
    {
        panic::set_hook(previous);
    }
}

fn see(info: &panic::PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let bug = Bug {
        message: info.payload_as_str().unwrap_or("no message").to_owned(),
        place: info.location().map(ToString::to_string),
        backtrace: (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace),
    };
    SEEN.set(Some(bug));
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

    /// Each thread catches its own, while others go on.
    #[test]
    fn threads_catch_their_own_panics() {
        let caught = guard(|| {
            std::thread::scope(|scope| {
                let one = |n: usize| {
                    scope.spawn(move || {
                        guard(|| assert!(n.is_multiple_of(2), "thread {n}")).map_err(|it| it.to_string())
                    })
                };
                let all: Vec<_> = (0..8).map(one).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
            })
        });
        for (n, caught) in caught.unwrap().into_iter().enumerate() {
            match n % 2 {
                0 => assert_eq!(caught, Ok(())),
                _ => assert!(caught.unwrap_err().starts_with(&format!("thread {n} ("))),
            }
        }
    }
}
