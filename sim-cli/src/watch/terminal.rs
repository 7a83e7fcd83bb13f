//! The terminal, taken and given back: also after a panic, because the guard is dropped while it unwinds.

use std::io::{self, Write};

use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{cursor, execute};

/// A terminal that shows this program's screen and hands it every key. When it is dropped, all is as before.
pub struct Guard<W: Write> {
    out: W,
    /// Whether the terminal hands over keys as they are pressed.
    raw: bool,
}

impl Guard<io::Stdout> {
    /// Takes the terminal behind standard output.
    ///
    /// # Errors
    /// If it is none, or is gone.
    pub fn take() -> io::Result<Self> {
        enable_raw_mode()?;
        Self::with(io::stdout(), true)
    }
}

impl<W: Write> Guard<W> {
    fn with(out: W, raw: bool) -> io::Result<Self> {
        let mut guard = Self { out, raw };
        execute!(guard.out, EnterAlternateScreen, cursor::Hide)?;
        Ok(guard)
    }
}

impl<W: Write> Drop for Guard<W> {
    fn drop(&mut self) {
        give_back(&mut self.out, self.raw);
    }
}

/// Shows what was there before, and has keys read by lines again if they were not.
pub fn give_back(out: &mut impl Write, raw: bool) {
    // Whoever hung up does not see it; nobody else is there to be told.
    let _ = execute!(out, cursor::Show, LeaveAlternateScreen);
    if raw {
        let _ = disable_raw_mode();
    }
}

/// Whether the terminal that keys come from has hung up. `SIGHUP` says so, too, but not to a program that blocks it, and not
/// before reading fails.
#[cfg(unix)]
pub fn is_hung_up() -> bool {
    hangs_up(Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))
}

#[cfg(not(unix))]
pub fn is_hung_up() -> bool {
    false
}

/// Waits until the terminal that keys come from hangs up, if need be for ever. `false` if it has not within that time, or if
/// nothing can be known.
#[cfg(unix)]
pub fn hangs_up(within: Option<&rustix::event::Timespec>) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let stdin = io::stdin();
    // That the other end is gone is told whatever is asked for.
    let mut asked = [PollFd::new(&stdin, PollFlags::empty())];
    loop {
        match poll(&mut asked, within) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return asked[0].revents().contains(PollFlags::HUP),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a terminal shows after these bytes: whether it is on the other screen, and whether the cursor is hidden.
    fn state(screen: &Screen) -> (bool, bool) {
        let mut terminal = vt100::Parser::default();
        terminal.process(&screen.0.lock().unwrap());
        (terminal.screen().alternate_screen(), terminal.screen().hide_cursor())
    }

    #[test]
    fn it_is_given_back() {
        let screen = Screen::default();
        let guard = Guard::with(screen.clone(), false).unwrap();
        assert_eq!(state(&screen), (true, true));
        drop(guard);
        assert_eq!(state(&screen), (false, false));
    }

    #[test]
    fn it_is_given_back_before_a_panic_is_told_of() {
        let screen = Screen::default();
        let seen = crate::bug::guard(|| {
            let _guard = Guard::with(screen.clone(), false).unwrap();
            assert_eq!(state(&screen), (true, true));
            panic!("a row too many")
        });
        assert!(seen.unwrap_err().to_string().starts_with("a row too many"));
        assert_eq!(state(&screen), (false, false));
    }
}
