//! The screen as a picture of the model: the same model gives the same picture. It is drawn whole; only what differs from the last
//! one is sent to the terminal.
//!
//! ```text
//!  80 columns                       from 110 columns on
//!  +---------------------------+    +---------------------------------------+
//!  | bar                       |    | bar                                   |
//!  | devices     | links       |    | devices            | what happened    |
//!  | probes along time         |    | links              |                  |
//!  | what happened             |    | probes along time                     |
//!  | keys, or what is typed    |    | keys, or what is typed                |
//!  +---------------------------+    +---------------------------------------+
//! ```

mod device;
mod overview;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};
use sim_scenarios::report::model::Seconds;
use sim_scenarios::scene::Happening;

use super::keys::HELP;
use super::model::{Extent, Mode, Model, Page};
use super::playback::Goal;
use super::theme::Theme;

/// From so many columns on, what happened stands beside the rest.
const WIDE: u16 = 110;
/// Less than this shows nothing of use.
const LEAST: (u16, u16) = (40, 10);

/// Draws the screen, and says how much of it can be scrolled.
pub fn draw(frame: &mut Frame<'_>, model: &Model<'_>, theme: Theme) -> Extent {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("{}x{} is too small: at least {}x{}", area.width, area.height, LEAST.0, LEAST.1);
        frame.render_widget(Paragraph::new(text), area);
        return Extent::default();
    }
    let [bar, body, keys] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    top(frame, model, theme, bar);
    let extent = match model.page {
        Page::Overview => {
            overview::draw(frame, model, theme, body);
            Extent { page: usize::from(body.height / 3), most: 0 }
        }
        Page::Device => device::draw(frame, model, theme, body),
    };
    bottom(frame, model, theme, keys);
    if model.help {
        help(frame, theme, area);
    }
    extent
}

/// Which scenario, when, and whether time passes.
fn top(frame: &mut Frame<'_>, model: &Model<'_>, theme: Theme, area: Rect) {
    let playback = &model.playback;
    let (plan, now) = (playback.plan(), Seconds::from(playback.now()));
    let state = match (model.seeking(), model.mode) {
        (Some(Goal::At(at)), _) => format!("on the way to {}", Seconds::from(at)),
        (Some(Goal::Event { .. }), _) => "looking for the next event".into(),
        (None, _) if playback.is_storm() => "stopped: a storm of events".into(),
        (None, _) if playback.is_over() => "the end".into(),
        (None, Mode::Playing) => format!("playing {}", model.speed),
        (None, Mode::Paused) => format!("paused ({})", model.speed),
    };
    let right = format!("seed {}  ?: help ", plan.seed);
    let room = usize::from(area.width).saturating_sub(right.chars().count());
    let left = theme.fit(&format!(" {}  {now} of {}  {state}", plan.name, plan.duration), room);
    let line = Line::from(format!("{left:<room$}{right}")).style(theme.bar());
    frame.render_widget(Paragraph::new(line), area);
}

/// What is typed, a word about the last key, or the keys.
fn bottom(frame: &mut Frame<'_>, model: &Model<'_>, theme: Theme, area: Rect) {
    let width = usize::from(area.width);
    let line = match (&model.prompt, &model.notice) {
        (Some(typed), _) => Line::from(theme.fit(&format!(" go to: {typed}_   (enter; esc leaves it)"), width)),
        (None, Some(notice)) => Line::from(theme.fit(&format!(" {notice}"), width)).style(theme.strong()),
        (None, None) => {
            let keys = match model.page {
                Page::Overview => " space pause  s step  b back  n change  f fault  enter device  q leave  ?: all",
                Page::Device => " space pause  s step  b back  f fault  tab next device  esc overview  ?: all",
            };
            Line::from(theme.fit(keys, width)).style(theme.faint())
        }
    };
    frame.render_widget(Paragraph::new(line), area);
}

/// A part of the screen with its title in the line above.
fn panel(theme: Theme, title: &str) -> Block<'static> {
    let title = Line::from(format!(" {title} ")).style(theme.strong());
    Block::new().borders(Borders::TOP).border_set(theme.border()).border_style(theme.faint()).title(title)
}

/// Something that happened, in a line.
fn happened(theme: Theme, happening: &Happening, width: usize) -> Line<'static> {
    let style = match happening.kind {
        sim_scenarios::scene::Kind::Fault => theme.fault(),
        sim_scenarios::scene::Kind::Timer => theme.faint(),
        _ => theme.health(happening.health),
    };
    let at = format!("{:>12} ", Seconds::from(happening.at).to_string());
    let mut room = width.saturating_sub(at.chars().count());
    let text = theme.fit(&happening.text, room);
    room -= text.chars().count();
    let mut spans = vec![Span::styled(at, theme.faint()), Span::styled(text, style)];
    if !happening.because.is_empty() && room > 8 {
        let because = theme.fit(&format!("  {}{}", theme.because(), happening.because), room);
        spans.push(Span::styled(because, theme.faint()));
    }
    Line::from(spans)
}

/// The list of what happened, the last one first.
fn news(frame: &mut Frame<'_>, model: &Model<'_>, theme: Theme, area: Rect) {
    let playback = &model.playback;
    let title = if model.timers { "Happened last, with timers" } else { "Happened last" };
    let block = panel(theme, title);
    let inner = block.inner(area);
    let all = playback.chronicle().latest(playback.plan(), playback.world(), model.timers, 0);
    let lines: Vec<Line<'_>> = all
        .take(usize::from(inner.height))
        .map(|happening| happened(theme, &happening, usize::from(inner.width)))
        .collect();
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines), inner);
}

/// All keys, over the rest of the screen.
fn help(frame: &mut Frame<'_>, theme: Theme, area: Rect) {
    let lines = HELP
        .iter()
        .map(|(keys, what)| Line::from(vec![Span::styled(format!(" {keys:<10} "), theme.strong()), Span::from(*what)]));
    let lines: Vec<Line<'_>> = lines.collect();
    let widest = lines.iter().map(Line::width).max().unwrap_or(0) as u16;
    let (width, height) = ((widest + 3).min(area.width), (lines.len() as u16 + 2).min(area.height));
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let block = Block::bordered().border_set(theme.border()).title(" Keys ").title_alignment(Alignment::Center);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block).style(Style::reset()), place);
}

#[cfg(test)]
mod tests;
