//! The keys, and what they do in words.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key, as far as the view knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character, the space included.
    Char(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Tab,
    BackTab,
    /// Ctrl-C.
    Interrupt,
}

impl Key {
    /// The key of a terminal's event, if it is one that was pressed and that means something here.
    pub fn of(event: &KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let held = event.modifiers.intersection(KeyModifiers::CONTROL | KeyModifiers::ALT);
        Some(match event.code {
            KeyCode::Char('c' | 'C') if held == KeyModifiers::CONTROL => Self::Interrupt,
            KeyCode::Char(c) if held.is_empty() => Self::Char(c),
            KeyCode::Up => Self::Up,
            KeyCode::Down => Self::Down,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::PageUp => Self::PageUp,
            KeyCode::PageDown => Self::PageDown,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            KeyCode::Enter => Self::Enter,
            KeyCode::Esc => Self::Escape,
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Tab => Self::Tab,
            KeyCode::BackTab => Self::BackTab,
            _ => return None,
        })
    }
}

/// What the help says: keys, and what they do. An empty pair is a gap.
pub const HELP: [(&str, &str); 19] = [
    ("space", "play, pause"),
    ("+  -  m", "faster, slower, as fast as this machine can"),
    ("s  right", "step to the next event: state, timer, route, fault"),
    ("b  left", "step back (the run is repeated up to there)"),
    ("n  N", "next and previous change: the same without timers"),
    ("f  F", "next and previous fault, or its healing"),
    ("g", "go to a time, like 306.5s"),
    ("r  e", "back to the start, on to the end"),
    ("", ""),
    ("up  down", "choose a device; scroll"),
    ("enter", "what the device holds: SAs, sessions, tables, flows"),
    ("tab", "there: the next device (shift-tab: the one before)"),
    ("esc", "back to the overview"),
    ("PgUp PgDn", "scroll by a page"),
    ("t", "timers in the list of what happened: on, off"),
    ("z  Z", "zoom into time, and out"),
    ("", ""),
    ("q", "leave, and print the answer of the whole run"),
    ("Ctrl-C", "leave at once"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_sends_is_understood() {
        let press = |code, modifiers| Key::of(&KeyEvent::new(code, modifiers));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Interrupt));
        assert_eq!(press(KeyCode::Char('N'), KeyModifiers::SHIFT), Some(Key::Char('N')));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::ALT), None, "an Alt key is not its letter");
        assert_eq!(press(KeyCode::F(5), KeyModifiers::NONE), None);
        let mut released = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
        released.kind = KeyEventKind::Release;
        assert_eq!(Key::of(&released), None);
    }
}
