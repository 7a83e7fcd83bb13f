//! The report for a repository, as CommonMark with tables.
//!
//! The document is built as events and written by a CommonMark library, which escapes what a user's name may contain.

use pulldown_cmark::{Alignment, CowStr, Event, HeadingLevel, Tag, TagEnd};

use super::model::Report;
use super::story::{self, Block, Table, plain};

/// The whole report, ending in a newline.
pub fn render(report: &Report) -> String {
    let mut events = Vec::new();
    heading(&mut events, HeadingLevel::H1, &report.scenario);
    for section in story::tell(report) {
        if !section.title.is_empty() {
            heading(&mut events, HeadingLevel::H2, &section.title);
        }
        for block in section.blocks {
            match block {
                Block::Say(text) => paragraph(&mut events, &text),
                Block::Judge { held, text } => {
                    let verdict = if held { "held: " } else { "FAILED: " };
                    paragraph(&mut events, &format!("{verdict}{text}"));
                }
                Block::Table(table) => table_events(&mut events, &table),
            }
        }
    }
    let mut out = String::new();
    pulldown_cmark_to_cmark::cmark(events.iter(), &mut out)
        .expect("the events are balanced and a String takes every write");
    out.push('\n');
    out
}

type Events = Vec<Event<'static>>;

fn text(text: &str) -> Event<'static> {
    Event::Text(CowStr::from(plain(text)))
}

fn heading(events: &mut Events, level: HeadingLevel, title: &str) {
    events.push(Event::Start(Tag::Heading {
        level,
        id: None,
        classes: Vec::new(),
        attrs: Vec::new(),
    }));
    events.push(text(title));
    events.push(Event::End(TagEnd::Heading(level)));
}

fn paragraph(events: &mut Events, sentence: &str) {
    events.push(Event::Start(Tag::Paragraph));
    events.push(text(sentence));
    events.push(Event::End(TagEnd::Paragraph));
}

fn table_events(events: &mut Events, table: &Table) {
    let alignments = table
        .head
        .iter()
        .map(|head| match head.starts_with('>') {
            true => Alignment::Right,
            false => Alignment::Left,
        })
        .collect();
    let row = |events: &mut Events, cells: &mut dyn Iterator<Item = &str>| {
        for cell in cells {
            events.push(Event::Start(Tag::TableCell));
            events.push(text(cell));
            events.push(Event::End(TagEnd::TableCell));
        }
    };
    events.push(Event::Start(Tag::Table(alignments)));
    events.push(Event::Start(Tag::TableHead));
    row(events, &mut table.head.iter().map(|h| h.trim_start_matches('>')));
    events.push(Event::End(TagEnd::TableHead));
    for cells in &table.rows {
        events.push(Event::Start(Tag::TableRow));
        row(events, &mut cells.iter().map(String::as_str));
        events.push(Event::End(TagEnd::TableRow));
    }
    events.push(Event::End(TagEnd::Table));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    /// The text of a Markdown document as a reader sees it, cells separated by a bar.
    fn seen(markdown: &str) -> (String, bool) {
        let mut text = String::new();
        let mut markup = false;
        for event in pulldown_cmark::Parser::new_ext(markdown, pulldown_cmark::Options::all()) {
            match event {
                Event::Text(t) => text.push_str(&t),
                Event::End(TagEnd::TableCell) => text.push('|'),
                Event::Html(_) | Event::InlineHtml(_) | Event::Code(_) => markup = true,
                Event::Start(Tag::Link { .. } | Tag::Emphasis | Tag::Strong) => markup = true,
                _ => {}
            }
        }
        (text, markup)
    }

    #[test]
    fn names_cannot_become_markup() {
        let nasty = "<b>a|b</b> *x* _y_ `z` [l](u) \\ &amp; #1 ~~s~~ $m$";
        let mut report = fixture::failover().report;
        report.scenario = nasty.into();
        report.outages[0].probe = nasty.into();
        report.drops[0].link = Some(nasty.into());
        let (text, markup) = seen(&render(&report));
        assert!(!markup, "{}", render(&report));
        assert_eq!(text.matches(nasty).count(), 6, "{text}");
    }

    #[test]
    fn the_document_reads_well() {
        insta::assert_snapshot!(render(&fixture::failover().report));
    }
}
