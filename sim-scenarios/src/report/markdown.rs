//! The report for a repository, as CommonMark with the tables of GitHub.

use super::Outcome;
use super::story::{self, Block, Section, Table, plain};

/// The whole report, ending in a newline.
pub fn render(outcome: &Outcome) -> String {
    render_sections(&outcome.report.scenario, &story::tell(outcome))
}

/// Sections under a title, ending in a newline.
pub fn render_sections(title: &str, sections: &[Section]) -> String {
    let mut out = format!("# {}\n", escape(title));
    for section in sections {
        if !section.title.is_empty() {
            out.push_str(&format!("\n## {}\n", escape(&section.title)));
        }
        if !section.blocks.is_empty() {
            out.push('\n');
        }
        render_blocks(&section.blocks, &mut out);
    }
    out
}

/// These pieces, an empty line between each two, ending in a newline.
pub(crate) fn render_blocks(blocks: &[Block], out: &mut String) {
    for (n, block) in blocks.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        match block {
            Block::Say(text) => out.push_str(&escape(text)),
            Block::Judge { held: true, text } => out.push_str(&format!("Held: {}", escape(text))),
            Block::Judge { held: false, text } => out.push_str(&format!("**FAILED**: {}", escape(text))),
            Block::Table(table) => render_table(table, out),
        }
        out.push('\n');
    }
}

fn render_table(table: &Table, out: &mut String) {
    let row = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<_> = cells.collect();
        format!("| {} |", cells.join(" | "))
    };
    let heads = table.head.iter().map(|h| escape(h.trim_start_matches('>')));
    let rules = table.head.iter().map(|head| match head.starts_with('>') {
        true => "---:".to_string(),
        false => "---".to_string(),
    });
    out.push_str(&row(&mut heads.into_iter()));
    out.push('\n');
    out.push_str(&row(&mut rules.into_iter()));
    for cells in &table.rows {
        out.push('\n');
        out.push_str(&row(&mut cells.iter().map(|cell| escape(cell))));
    }
}

/// The text so that a reader of the rendered document sees just it. A backslash takes the meaning from any ASCII
/// punctuation (CommonMark section 2.4); an underscore inside a word has none (section 6.2), and codes are full of them.
pub(crate) fn escape(text: &str) -> String {
    let text = plain(text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.trim().chars().peekable();
    let mut previous = None;
    while let Some(c) = chars.next() {
        let inside_word = [previous, chars.peek().copied()].iter().all(|side| side.is_some_and(char::is_alphanumeric));
        let means_something = match c {
            '_' => !inside_word,
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '&' | '|' | '~' | '$' => true,
            // Headings, lists and rules, which begin a line.
            '#' | '-' | '+' | '=' => previous.is_none(),
            '.' | ')' => chars.peek().is_none_or(|next| *next == ' ') && out.chars().all(|c| c.is_ascii_digit()),
            _ => false,
        };
        if means_something {
            out.push('\\');
        }
        out.push(c);
        previous = Some(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    /// What GitHub reads beyond CommonMark.
    const GITHUB: Options = Options::ENABLE_TABLES
        .union(Options::ENABLE_FOOTNOTES)
        .union(Options::ENABLE_STRIKETHROUGH)
        .union(Options::ENABLE_TASKLISTS)
        .union(Options::ENABLE_GFM)
        .union(Options::ENABLE_MATH);

    /// The text of a Markdown document as a reader sees it, and whether anything in it is markup.
    fn seen(markdown: &str) -> (String, bool) {
        let mut text = String::new();
        let mut markup = false;
        for event in Parser::new_ext(markdown, GITHUB) {
            match event {
                Event::Text(t) => text.push_str(&t),
                Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
                _ => markup = true,
            }
        }
        (text, markup)
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_seen_as_it_was(text in "[ -~é█]{1,24}") {
            let text = text.trim();
            prop_assume!(!text.is_empty());
            prop_assert_eq!(seen(&escape(text)), (text.to_string(), false));
        }
    }

    #[test]
    fn a_bar_in_a_name_does_not_end_a_cell() {
        let table = Table { head: vec!["a", ">b"], rows: vec![vec!["x|y".into(), "`|`".into()]] };
        let mut markdown = String::new();
        render_table(&table, &mut markdown);
        let cells = Parser::new_ext(&markdown, Options::ENABLE_TABLES)
            .filter(|event| matches!(event, Event::End(TagEnd::TableCell)))
            .count();
        assert_eq!(cells, 4, "{markdown}");
        assert_eq!(markdown, "| a | b |\n| --- | ---: |\n| x\\|y | \\`\\|\\` |");
    }

    #[test]
    fn the_document_reads_well() {
        insta::assert_snapshot!(render(&fixture::failover()));
    }
}
