//! What the chosen device holds, as text that can be scrolled.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use sim_scenarios::report::text::{self, Layout as TextLayout};
use sim_scenarios::scene;

use super::{WIDE, news, panel};
use crate::watch::model::{Extent, Model};
use crate::watch::theme::Theme;

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model<'_>, theme: Theme, area: Rect) -> Extent {
    if area.width >= WIDE {
        let [left, right] = Layout::horizontal([Constraint::Percentage(62), Constraint::Min(0)]).spacing(1).areas(area);
        news(frame, model, theme, right);
        return page(frame, model, theme, left);
    }
    page(frame, model, theme, area)
}

fn page(frame: &mut Frame<'_>, model: &Model<'_>, theme: Theme, area: Rect) -> Extent {
    let plan = model.playback.plan();
    let Some(device) = plan.nodes.get(model.chosen.index()) else { return Extent::default() };
    let place = format!("{} of {}", model.chosen.index() + 1, plan.nodes.len());
    let block = panel(theme, &format!("{}, {} ({place})", device.name, scene::noun(&device.kind)));
    let inner = block.inner(area);
    let sections = model.playback.inspect(model.chosen);
    let headings: Vec<&str> = sections.iter().map(|section| section.title.as_str()).collect();
    let text = text::render_sections(&sections, TextLayout { width: inner.width, styled: false });
    let lines: Vec<&str> = text.lines().collect();
    let shown = usize::from(inner.height);
    let most = lines.len().saturating_sub(shown);
    let first = model.scroll.min(most);
    let visible = lines.iter().skip(first).take(shown).map(|line| {
        let style = if !line.is_empty() && headings.contains(line) { theme.strong() } else { Default::default() };
        Line::from(theme.fit(line, usize::from(inner.width))).style(style)
    });
    let visible: Vec<Line<'_>> = visible.collect();
    let block = match most {
        0 => block,
        _ => block.title_top(Line::from(format!(" line {} of {} ", first + 1, lines.len())).right_aligned()),
    };
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(visible), inner);
    Extent { page: shown, most }
}
