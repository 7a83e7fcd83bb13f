//! The report for a terminal: plain columns, and a few styles if asked for.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};

use super::Outcome;
use super::story::{self, Block, Section, Table, plain};

/// How the text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Columns of the terminal; tables fold their longest column to fit.
    pub width: u16,
    /// True for ANSI styles: bold headings, red failures. The caller knows whether somebody looks.
    pub styled: bool,
}

impl Default for Layout {
    /// 100 columns, no styles: what a file or a pipe gets.
    fn default() -> Self {
        Self { width: 100, styled: false }
    }
}

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[1;31m";
const GREEN: &str = "\u{1b}[32m";
const RESET: &str = "\u{1b}[0m";

/// The whole report, ending in a newline.
pub fn render(outcome: &Outcome, layout: Layout) -> String {
    render_sections(&story::tell(outcome), layout)
}

/// The answer alone, ending in a newline.
pub fn render_answer(outcome: &Outcome, layout: Layout) -> String {
    render_sections(&[story::answer(outcome)], layout)
}

/// These sections, ending in a newline.
pub fn render_sections(sections: &[Section], layout: Layout) -> String {
    let mut out = String::new();
    for section in sections {
        if !out.is_empty() {
            out.push('\n');
        }
        render_section(section, layout, &mut out);
    }
    out
}

fn render_section(section: &Section, layout: Layout, out: &mut String) {
    let is_answer = section.title.is_empty();
    if !is_answer {
        out.push_str(&styled(&plain(&section.title), BOLD, layout));
        out.push('\n');
    }
    for (n, block) in section.blocks.iter().enumerate() {
        if n > 0 && matches!(block, Block::Table(_)) {
            out.push('\n');
        }
        let text = match block {
            Block::Say(text) => fold(&plain(text), layout.width, is_answer),
            Block::Judge { held, text } => {
                let (word, style) = if *held { ("held  ", GREEN) } else { ("FAILED", RED) };
                let folded = fold(&format!("{} {}", "      ", plain(text)), layout.width, false);
                folded.replacen("        ", &format!("  {} ", styled(word, style, layout)), 1)
            }
            Block::Table(table) => render_table(table, layout),
        };
        out.push_str(&text);
        out.push('\n');
    }
}

fn styled(text: &str, style: &str, layout: Layout) -> String {
    if layout.styled { format!("{style}{text}{RESET}") } else { text.into() }
}

/// Breaks a sentence at spaces; all but the answer is indented by two.
fn fold(text: &str, width: u16, is_answer: bool) -> String {
    let indent = if is_answer { "" } else { "  " };
    let options = textwrap::Options::new(usize::from(width)).initial_indent(indent).subsequent_indent(indent);
    textwrap::fill(text, options)
}

/// For each column the least width, with its padding, at which no number and no bar breaks, if it has such; and that at which no word
/// does, the head's neither.
fn bounds(table: &Table) -> Vec<(Option<u16>, u16)> {
    let longest = |text: &str| text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
    let of = |(index, head): (usize, &&str)| {
        let cells = || table.rows.iter().map(|row| &row[index]);
        let padded = |width: usize| width as u16 + if index == 0 { 3 } else { 2 };
        let whole = head.starts_with('>') || *head == "where the time went";
        let numbers = whole.then(|| cells().map(|cell| cell.chars().count()).max().unwrap_or(0));
        let words = || cells().map(|cell| longest(cell)).max().unwrap_or(0).min(LONGEST_WORD);
        let least = numbers.unwrap_or_else(words).max(longest(head.trim_start_matches('>')));
        (numbers.map(padded), padded(least))
    };
    table.head.iter().enumerate().map(of).collect()
}

/// A longer word may break.
const LONGEST_WORD: usize = 20;

fn render_table(table: &Table, layout: Layout) -> String {
    let mut out = comfy_table::Table::new();
    out.load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(layout.width.max(40))
        .set_header(table.head.iter().map(|h| h.trim_start_matches('>')));
    for row in &table.rows {
        out.add_row(row.iter().map(|cell| plain(cell)));
    }
    let bounds = bounds(table);
    // Where not all of that fits, words break, and numbers and bars do not.
    let all = bounds.iter().map(|(_, words)| usize::from(*words)).sum::<usize>();
    let fits = all <= usize::from(layout.width.max(40));
    for (index, (head, (numbers, words))) in table.head.iter().zip(bounds).enumerate() {
        let column = out.column_mut(index).expect("a column for each head");
        column.set_padding((if index == 0 { 2 } else { 1 }, 1));
        if head.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if let Some(needed) = if fits { Some(words) } else { numbers } {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(needed)));
        }
    }
    out.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_failover_reads_well() {
        insta::assert_snapshot!(render(&fixture::failover(), Layout::default()));
    }

    #[test]
    fn it_fits_a_narrow_terminal() {
        let layout = Layout { width: 80, styled: false };
        let text = render(&fixture::failover(), layout);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn styles_only_if_asked_for() {
        let outcome = fixture::failover();
        assert!(!render(&outcome, Layout::default()).contains('\u{1b}'));
        let styled = Layout { width: 100, styled: true };
        assert!(render(&outcome, styled).contains(RED));
    }
}
