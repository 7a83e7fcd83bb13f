//! All at a glance: devices, links with the faults on them, streams of probes along the time, what happened.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use sim_core::id::{NodeId, StreamId};
use sim_core::time::Instant;
use sim_core::trace::Phase;
use sim_scenarios::report::model::Seconds;
use sim_scenarios::scene::{self, Health, chronicle, lane};

use super::{WIDE, news, panel};
use crate::watch::model::Model;
use crate::watch::theme::Theme;

/// Columns left of the lanes, for names.
const GUTTER: usize = 21;
/// Columns right of them, for how a stream stands.
const RIGHT: usize = 13;

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model<'_>, theme: Theme, area: Rect) {
    let plan = model.playback.plan();
    let (devices, links) = (plan.nodes.len() as u16, plan.links.len() as u16);
    // The line of time, and a title.
    let lanes = (plan.probes.len() as u16 + 2).min((area.height / 3).max(4));
    if area.width >= WIDE {
        let [upper, lower] = Layout::vertical([Constraint::Min(0), Constraint::Length(lanes)]).areas(area);
        let [left, right] =
            Layout::horizontal([Constraint::Percentage(45), Constraint::Min(0)]).spacing(1).areas(upper);
        let [above, below] =
            Layout::vertical([Constraint::Length(share(devices, links, left.height)), Constraint::Min(0)]).areas(left);
        device_list(frame, model, theme, above);
        link_list(frame, model, theme, below);
        news(frame, model, theme, right);
        return lane_panel(frame, model, theme, lower);
    }
    // What happened needs a few lines in any case.
    let lists = (devices.max(links) + 1).min(area.height.saturating_sub(lanes + 6)).max(3);
    let [upper, middle, lower] =
        Layout::vertical([Constraint::Length(lists), Constraint::Length(lanes), Constraint::Min(0)]).areas(area);
    let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Min(0)]).spacing(1).areas(upper);
    device_list(frame, model, theme, left);
    link_list(frame, model, theme, right);
    lane_panel(frame, model, theme, middle);
    news(frame, model, theme, lower);
}

/// How many lines devices get beside links: what they need, or their part of what there is.
fn share(devices: u16, links: u16, height: u16) -> u16 {
    let (wanted, others) = (devices + 1, links + 1);
    if wanted + others <= height { wanted } else { wanted.min((height * 3 / 5).max(height.saturating_sub(others))) }
}

fn device_list(frame: &mut Frame<'_>, model: &Model<'_>, theme: Theme, area: Rect) {
    let playback = &model.playback;
    let (plan, world) = (playback.plan(), playback.world());
    let block = panel(theme, &titled("Devices", plan.nodes.len(), area));
    let inner = block.inner(area);
    let (rows, width) = (usize::from(inner.height), usize::from(inner.width));
    // The chosen one is always among them.
    let first = model.chosen.index().saturating_sub(rows.saturating_sub(1));
    let name_width = plan.nodes.iter().map(|node| node.name.chars().count()).max().unwrap_or(0).clamp(4, 16);
    let lines = (first..plan.nodes.len()).take(rows).map(|index| {
        let node = NodeId(index as u32);
        let line = scene::device(plan, world, playback.chronicle(), node);
        let chosen = node == model.chosen;
        let pointer = if chosen { theme.pointer() } else { "  " };
        let style = if chosen { theme.strong() } else { Style::new() };
        let mut said = line.says.clone();
        if said.is_empty() {
            said = scene::noun(&plan.nodes[index].kind).into();
        }
        let says_style = if line.says.is_empty() { theme.faint() } else { Style::new() };
        let mut spans = vec![
            Span::styled(pointer.to_owned(), style),
            Span::styled(format!("{} ", theme.sign(line.health)), theme.health(line.health)),
            Span::styled(format!("{:<name_width$} ", theme.fit(&line.name, name_width)), style),
        ];
        spans.push(Span::styled(said, says_style));
        finish(theme, spans, &line.faults, width)
    });
    let lines: Vec<Line<'_>> = lines.collect();
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines), inner);
}

/// A title that says how many there are, if not all can be seen.
fn titled(what: &str, count: usize, area: Rect) -> String {
    if count >= usize::from(area.height) { format!("{what} ({count})") } else { what.to_owned() }
}

/// Adds the faults, which are never cut off: what is before them is.
fn finish(theme: Theme, spans: Vec<Span<'static>>, faults: &[String], width: usize) -> Line<'static> {
    let mark =
        if faults.is_empty() { String::new() } else { format!(" {} ", theme.sign(Health::Bad)) + &faults.join(", ") };
    let mark = theme.fit(&mark, width);
    let mut room = width - mark.chars().count();
    let mut line = Vec::new();
    for span in spans {
        let text = theme.fit(&span.content, room);
        room -= text.chars().count();
        line.push(Span::styled(text, span.style));
    }
    line.push(Span::styled(mark, theme.fault()));
    Line::from(line)
}

fn link_list(frame: &mut Frame<'_>, model: &Model<'_>, theme: Theme, area: Rect) {
    let playback = &model.playback;
    let (plan, world) = (playback.plan(), playback.world());
    let block = panel(theme, &titled("Links", plan.links.len(), area));
    let inner = block.inner(area);
    let (rows, width) = (usize::from(inner.height), usize::from(inner.width));
    let mut all = scene::links(world, plan.links.len());
    if all.len() > rows {
        // Those that are not as they should be are seen in any case.
        all.sort_by_key(|line| std::cmp::Reverse(line.health));
    }
    let name_width = all.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).clamp(4, 14);
    let lines = all.iter().take(rows).map(|line| {
        let [one, other] = &line.ends;
        let between = format!("{one} - {other}");
        let spans = vec![
            Span::styled(format!("{} ", theme.sign(line.health)), theme.health(line.health)),
            Span::raw(format!("{:<name_width$} ", theme.fit(&line.name, name_width))),
            Span::styled(format!("{} ", line.says), theme.health(line.health)),
            Span::styled(between, theme.faint()),
        ];
        finish(theme, spans, &line.faults, width)
    });
    let lines: Vec<Line<'_>> = lines.collect();
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines), inner);
}

/// The streams of probes, one lane each, under a line of time with the faults on it.
fn lane_panel(frame: &mut Frame<'_>, model: &Model<'_>, theme: Theme, area: Rect) {
    let playback = &model.playback;
    let (plan, world, now) = (playback.plan(), playback.world(), playback.now());
    let (from, until) = model.window();
    let title = format!("Probes, {} to {}", Seconds::from(from), Seconds::from(until));
    let block = panel(theme, &titled(&title, plan.probes.len() + 1, area));
    let inner = block.inner(area);
    let rows = usize::from(inner.height).saturating_sub(1);
    let count = usize::from(inner.width).saturating_sub(GUTTER + RIGHT).max(1);
    let mut streams: Vec<StreamId> = (0..plan.probes.len() as u16).map(StreamId).collect();
    let dark = |stream: &StreamId| playback.chronicle().dark_since(plan, *stream);
    if streams.len() > rows {
        // Dark ones are seen in any case.
        streams.sort_by_key(|stream| dark(stream).is_none());
    }
    let mut lines = vec![axis(model, theme, count)];
    for stream in streams.into_iter().take(rows) {
        let name = theme.fit(&chronicle::stream_title(world, stream), GUTTER - 1);
        let mut spans = vec![Span::raw(format!("{name:<GUTTER$}"))];
        let columns = lane::columns(&world.trace.probes()[stream.index()], from, until, count);
        for column in columns {
            let (sign, style) = theme.column(column);
            spans.push(Span::styled(sign, style));
        }
        spans.push(match dark(&stream) {
            Some(since) => Span::styled(format!(" dark {}", scene::span(now.since(since))), theme.health(Health::Bad)),
            None => Span::raw(""),
        });
        lines.push(Line::from(spans));
    }
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines), inner);
}

/// The line of time: where faults strike and heal, and the present.
fn axis(model: &Model<'_>, theme: Theme, count: usize) -> Line<'static> {
    let playback = &model.playback;
    let (from, until) = model.window();
    let [line, strikes, heals, present] = theme.axis();
    let mut signs = vec![(line, theme.faint()); count];
    let place = |at: Instant| lane::place(at, from, until, count);
    // The present is the last instant of the run at its end.
    let now = place(playback.now().min(Instant::from_nanos(until.as_nanos().saturating_sub(1))));
    if let Some(sign) = now.and_then(|place| signs.get_mut(place)) {
        *sign = (present, theme.strong());
    }
    for fault in playback.world().faults() {
        for occasion in &fault.occasions {
            let both = [(Some(occasion.strike), Phase::Strike), (occasion.heal, Phase::Heal)];
            for (at, phase) in both {
                let Some(sign) = at.and_then(place).and_then(|place| signs.get_mut(place)) else { continue };
                let style = if at.is_some_and(|at| at <= playback.now()) { theme.fault() } else { theme.faint() };
                *sign = (if phase == Phase::Strike { strikes } else { heals }, style);
            }
        }
    }
    if let Some(sign) = now.and_then(|place| signs.get_mut(place)) {
        sign.1 = sign.1.add_modifier(Modifier::REVERSED);
    }
    let struck = playback.world().active_faults();
    let names: Vec<&str> = struck.iter().map(|id| playback.world().fault(*id).name.as_str()).collect();
    let gutter = if names.is_empty() { "faults".to_owned() } else { format!("now: {}", names.join(", ")) };
    let gutter_style = if names.is_empty() { theme.faint() } else { theme.fault() };
    let gutter = theme.fit(&gutter, GUTTER - 1);
    let mut spans = vec![Span::styled(format!("{gutter:<GUTTER$}"), gutter_style)];
    spans.extend(signs.into_iter().map(|(sign, style)| Span::styled(sign, style)));
    Line::from(spans)
}
