//! What is wrong with a scenario, for a person: file, line, column, what was expected, and what may have been meant.

use core::fmt;
use core::ops::Range;
use std::sync::Arc;

/// One mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// The file, or `--set` for a change from the command line.
    pub file: String,
    /// The whole text of it, pre-shared keys blotted out.
    pub text: Arc<str>,
    /// Which octets of the text are meant.
    pub span: Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub message: String,
    /// How to put it right.
    pub help: Option<String>,
}

impl Diagnostic {
    pub(crate) fn new(file: &str, text: Arc<str>, span: Range<usize>, message: String, help: Option<String>) -> Self {
        let start = floor(&text, span.start);
        let span = start..floor(&text, span.end).max(start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            text,
            span,
            message,
            help,
        }
    }

    /// The line it is in, without its end.
    fn source_line(&self) -> &str {
        self.text.lines().nth(self.line - 1).unwrap_or("")
    }
}

/// The character boundary at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..=offset).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The mistake with its line and a caret under the place, as plain text.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let line = self.source_line().trim_end();
        let before: String = line.chars().take(self.column - 1).collect();
        let pad: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let marked = self.text[self.span.clone()].lines().next().map_or(0, |l| l.chars().count());
        let carets = "^".repeat(marked.max(1));
        writeln!(f, "error: {}", self.message)?;
        writeln!(f, "{gutter}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {line}")?;
        writeln!(f, "{gutter} | {pad}{carets}")?;
        if let Some(help) = &self.help {
            writeln!(f, "{gutter} = help: {help}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a scenario, in the order of the file; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Orders mistakes by place; `Ok` if there is none.
    pub(crate) fn collect(mut all: Vec<Diagnostic>) -> Result<(), Self> {
        all.sort_by(|a, b| (&a.file, a.span.start).cmp(&(&b.file, b.span.start)));
        all.dedup();
        if all.is_empty() { Ok(()) } else { Err(Self(all)) }
    }

    /// The mistakes.
    pub fn iter(&self) -> core::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self(vec![one])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, one) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            one.fmt(f)?;
        }
        Ok(())
    }
}

impl core::error::Error for Diagnostics {}

/// The candidate that `found` was probably meant to be, if one is near.
pub(crate) fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = found.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count().min(12) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Did you mean this? Here is what there is.
pub(crate) fn proposal(found: &str, candidates: &[&str]) -> Option<String> {
    /// More than so many are no help.
    const MANY: usize = 14;
    let near = nearest(found, candidates.iter().copied());
    let near = near.map(|near| format!("did you mean `{near}`?"));
    let list = match candidates {
        [] => None,
        [_] if near.is_some() => None,
        few if few.len() <= MANY => Some(format!("possible: {}", few.join(", "))),
        _ if near.is_some() => None,
        many => Some(format!("possible: {}, ...", many[..MANY].join(", "))),
    };
    match (near, list) {
        (Some(near), Some(list)) => Some(format!("{near} {list}")),
        (near, list) => near.or(list),
    }
}
