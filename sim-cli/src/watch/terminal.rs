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
        // Whoever hung up does not see it; nobody else is there to be told.
        let _ = execute!(self.out, cursor::Show, LeaveAlternateScreen);
        if self.raw {
            let _ = disable_raw_mode();
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
