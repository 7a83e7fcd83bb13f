//! Signs and colours: Unicode or plain ASCII, with colours or without. What a colour says a sign says too.

use std::borrow::Cow;
use std::ffi::OsString;

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;
use sim_scenarios::scene::{Column, Health};

/// How the screen is dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Characters of ASCII alone.
    pub ascii: bool,
    /// Whether there are colours.
    pub colours: bool,
}

/// Frames of ASCII.
const PLAIN: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

impl Theme {
    /// What the environment asks for: the locale's character set, and <https://no-color.org>.
    pub fn of_environment(ascii: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let filled = |name: &&str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(filled);
        let locale = locale.unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let unicode = locale.contains("utf-8") || locale.contains("utf8");
        Self { ascii: ascii || !unicode, colours: filled(&"NO_COLOR").is_none() }
    }

    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// Things that stand or fall.
    pub fn health(self, health: Health) -> Style {
        match health {
            Health::Good => self.colour(Color::Green),
            Health::Partly => self.colour(Color::Yellow),
            Health::Bad => self.colour(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    /// The sign of that.
    pub fn sign(self, health: Health) -> &'static str {
        match (health, self.ascii) {
            (Health::Good, false) => "●",
            (Health::Partly, false) => "◐",
            (Health::Bad, false) => "✗",
            (Health::Good, true) => "o",
            (Health::Partly, true) => "~",
            (Health::Bad, true) => "!",
        }
    }

    /// What is said beside something.
    pub fn faint(self) -> Style {
        if self.colours { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// Headings.
    pub fn strong(self) -> Style {
        // In the terminal's own colour also where they stand in a faint frame.
        Style::new().fg(Color::Reset).add_modifier(Modifier::BOLD)
    }

    /// A fault.
    pub fn fault(self) -> Style {
        self.colour(Color::Magenta).add_modifier(Modifier::BOLD)
    }

    /// The bar at the top.
    pub fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Frames.
    pub fn border(self) -> border::Set<'static> {
        if self.ascii { PLAIN } else { border::PLAIN }
    }

    /// Part of a stream's lane, and how it looks.
    pub fn column(self, column: Column) -> (&'static str, Style) {
        const BARS: [&str; 8] = ["▁", "▁", "▂", "▃", "▄", "▅", "▆", "▇"];
        match column.eighths() {
            None => (" ", Style::new()),
            Some(_) if column.is_dark() => (if self.ascii { "x" } else { "×" }, self.health(Health::Bad)),
            Some(_) if column.lost == 0 => (if self.ascii { "=" } else { "█" }, self.health(Health::Good)),
            Some(eighths) => {
                let bar = BARS[(eighths as usize).saturating_sub(1).min(7)];
                (if self.ascii { "-" } else { bar }, self.health(Health::Partly))
            }
        }
    }

    /// The line of time: itself, a fault that strikes, one that heals, the present.
    pub fn axis(self) -> [&'static str; 4] {
        if self.ascii { [".", "V", "^", "|"] } else { ["·", "▼", "△", "┃"] }
    }

    /// The line that is chosen.
    pub fn pointer(self) -> &'static str {
        if self.ascii { "> " } else { "▸ " }
    }

    /// What follows from what.
    pub fn because(self) -> &'static str {
        if self.ascii { "<- " } else { "← " }
    }

    /// A text with the characters that there are, in at most so many columns.
    pub fn fit(self, text: &str, width: usize) -> String {
        let mut text: Cow<'_, str> = text.into();
        if self.ascii && !text.is_ascii() {
            text = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect::<String>().into();
        }
        if text.chars().count() <= width {
            return text.into_owned();
        }
        let more = if self.ascii { '~' } else { '…' };
        text.chars().take(width.saturating_sub(1)).chain([more].into_iter().filter(|_| width > 0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ascii: bool, all: &[(&str, &str)]) -> Theme {
        let find = |name: &str| all.iter().find(|(of, _)| *of == name).map(|(_, value)| OsString::from(*value));
        Theme::of_environment(ascii, find)
    }

    #[test]
    fn the_environment_chooses() {
        let utf8 = ("LANG", "en_GB.UTF-8");
        assert_eq!(of(false, &[utf8]), Theme { ascii: false, colours: true });
        assert_eq!(of(true, &[utf8]), Theme { ascii: true, colours: true });
        assert_eq!(of(false, &[]), Theme { ascii: true, colours: true }, "the C locale is ASCII");
        assert!(of(false, &[utf8, ("LC_ALL", "C")]).ascii, "LC_ALL is asked first");
        assert!(!of(false, &[utf8, ("LC_ALL", "")]).ascii, "an empty variable is none");
        assert!(!of(false, &[utf8, ("NO_COLOR", "1")]).colours);
        assert!(of(false, &[utf8, ("NO_COLOR", "")]).colours, "no-color.org: when present and not an empty string");
    }

    #[test]
    fn without_colours_every_health_has_its_sign() {
        for ascii in [false, true] {
            let theme = Theme { ascii, colours: false };
            let signs = [Health::Good, Health::Partly, Health::Bad].map(|health| theme.sign(health));
            assert!(signs[0] != signs[1] && signs[1] != signs[2] && signs[0] != signs[2]);
            let columns =
                [(1, 0), (1, 1), (0, 1), (0, 0)].map(|(passed, lost)| theme.column(Column { passed, lost }).0);
            assert!((0..4).all(|one| (0..one).all(|other| columns[one] != columns[other])), "{columns:?}");
            assert!(columns.iter().all(|sign| !ascii || sign.is_ascii()));
        }
    }

    #[test]
    fn long_texts_are_cut_and_said_to_be() {
        let (plain, rich) = (Theme { ascii: true, colours: false }, Theme { ascii: false, colours: false });
        assert_eq!(rich.fit("customer gateway", 8), "custome…");
        assert_eq!(plain.fit("customer gateway", 8), "custome~");
        assert_eq!(plain.fit("Zürich", 8), "Z?rich");
        assert_eq!(rich.fit("Zürich", 0), "");
    }
}
