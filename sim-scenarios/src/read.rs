//! From text to the shapes of a language, and RON's complaints in words for somebody who has never seen Rust.

use ron::error::{Error, Position, SpannedError};
use ron::extensions::Extensions;
use serde::Deserialize;

use crate::diagnostic::{Diagnostic, proposal};
use crate::source::Source;

/// Reads the shape of a scenario, or of another document of this kind.
///
/// # Errors
/// The first mistake in RON's syntax, or the first setting, kind or shape that the language does not have.
pub(crate) fn read<'s, T: Deserialize<'s>>(source: &'s Source) -> Result<T, Diagnostic> {
    let options =
        ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME | Extensions::UNWRAP_VARIANT_NEWTYPES);
    options.from_str(source.text()).map_err(|error| explain(source, &error))
}

fn explain(source: &Source, error: &SpannedError) -> Diagnostic {
    let text = source.text();
    let span = offset(text, error.span.start)..offset(text, error.span.end);
    let (message, mut help) = in_words(&error.code);
    if let (Some(line), Error::ExpectedComma | Error::ExpectedStringEnd | Error::Eof) =
        (unclosed_quote(text, error.span.start.line), &error.code)
    {
        help = Some(format!("is a closing quote missing in line {line}?"));
    } else if matches!(error.code, Error::ExpectedComma) && text[..span.start].ends_with(|c: char| c.is_ascii_digit()) {
        help = Some("a value with a unit stands in quotes, like \"30s\"".into());
    }
    source.diagnostic(span, message, help)
}

/// The octet at a line and column, both from 1, the column in characters.
fn offset(text: &str, position: Position) -> usize {
    let start: usize = text.split_inclusive('\n').take(position.line.saturating_sub(1)).map(str::len).sum();
    let line = &text[start.min(text.len())..];
    start + line.char_indices().nth(position.col.saturating_sub(1)).map_or(line.len(), |(at, _)| at)
}

/// The first line up to this one that has an odd number of quotes.
fn unclosed_quote(text: &str, until: usize) -> Option<usize> {
    let code = |line: &str| line.split("//").next().unwrap_or_default().matches('"').count();
    text.lines().take(until).position(|line| code(line) % 2 == 1).map(|at| at + 1)
}

fn in_words(error: &Error) -> (String, Option<String>) {
    let of = |outer: &Option<String>| outer.as_deref().map_or("this", spoken).to_owned();
    match error {
        Error::NoSuchStructField { expected, found, outer } => {
            (format!("`{found}` is no setting of {}", of(outer)), proposal(found, expected))
        }
        Error::MissingStructField { field, outer } => {
            (format!("{} has no `{field}`", of(outer)), Some(format!("add `{field}: ...,` before this")))
        }
        Error::DuplicateStructField { field, outer } => (format!("{} has `{field}` twice", of(outer)), None),
        Error::NoSuchEnumVariant { expected, found, outer } => {
            (format!("`{found}` is no kind of {}", of(outer)), proposal(found, expected))
        }
        Error::ExpectedIdentifier => {
            ("expected a word without quotes: a setting, like `delay: ...`, or a kind, like `Host(...)`".into(), None)
        }
        Error::ExpectedStructLike | Error::ExpectedNamedStructLike(_) => {
            ("expected `(` and settings".into(), Some("for example (delay: \"20ms\"), or () for the defaults".into()))
        }
        Error::ExpectedMap => {
            ("expected `{` and named things".into(), Some("for example { \"a\": (...), \"b\": (...) }".into()))
        }
        Error::ExpectedArray => ("expected `[` and a list".into(), Some("for example [\"10.1.0.0/16\"]".into())),
        Error::ExpectedComma => (
            "expected a comma, or the end of this part".into(),
            Some("settings, named things and items are separated by commas".into()),
        ),
        Error::ExpectedMapColon => ("expected a colon, as in `name: value`".into(), None),
        Error::ExpectedArrayEnd => ("expected a comma or `]`".into(), None),
        Error::ExpectedMapEnd => ("expected a comma or `}`".into(), None),
        Error::ExpectedStructLikeEnd => ("expected a comma or `)`".into(), None),
        Error::ExpectedStringEnd => ("this text has no closing quote".into(), None),
        Error::Eof => ("the file ends in the middle".into(), Some("is a closing `)`, `]` or `}` missing?".into())),
        Error::TrailingCharacters => ("what began with `(` has ended, but the file has not".into(), None),
        Error::ExceededRecursionLimit => ("nested too deep".into(), None),
        other => (other.to_string(), None),
    }
}

/// The names of shapes that a file does not show, in words.
fn spoken(shape: &str) -> &str {
    match shape {
        "Node" => "node",
        "Link" => "link",
        "Connection" => "connection",
        "Routing" => "routing",
        "Probe" => "probe",
        "Tunnel" => "a tunnel",
        "Line" => "this link",
        "Neighbor" => "a neighbor",
        "What" => "fault",
        "Expect" => "expectation",
        "Stream" => "this probe",
        "CustomerEnd" => "the customer's end of a tunnel",
        "Phase" => "a phase",
        "Scenario" => "the scenario",
        "Study" => "the study",
        "Axis" => "axis of the grid",
        "Draw" => "random draw",
        "Metric" => "metric",
        other => other,
    }
}
