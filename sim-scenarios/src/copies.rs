//! Things of which there are many alike: `copies: { "site": 5000 }`, and then `"cgw{site}": CustomerGateway(...)`.
//!
//! ```text
//! a named thing whose name has {site}      stands there 5000 times, with 0 to 4999 in place of {site}
//! an item of a list that has {site}        the same
//! {site}                                   the number of the copy
//! {site: 100.64.0.10 + 256}                100.64.0.10 and 256 more for each copy: an address, or a whole number
//! ```
//!
//! All of them stand in quotes, so that the file is RON; a whole number that is counted on loses them: `asn: "{site: 64512 + 1}"`.
//!
//! Copies are made in the text, after changes and before it is read, so whatever holds for a file holds for its copies, and a change of
//! `copies.site` or of `nodes.cgw{site}.asn` is one like any other. What is wrong in all copies is said once, where it is written. Controls
//! are changes, so nothing in them is copied.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::set::{Level, name_before, offset};
use crate::source::{Copied, Source};

/// How many copies there may be.
const MOST: u64 = 10_000;
/// How many octets the text may have with them: copies of copies are many.
const OCTETS: usize = 32 << 20;
/// What is not copied from.
const APART: [&str; 2] = ["copies", "control"];

/// The source with the copies that its text asks for.
///
/// # Errors
/// A number of copies that is none, or a placeholder that cannot be counted on.
pub(crate) fn made(source: Source) -> Result<Source, Diagnostic> {
    Ok(expand(&source)?.unwrap_or(source))
}

/// The same; `None` if its text asks for none.
fn expand(source: &Source) -> Result<Option<Source>, Diagnostic> {
    let text = source.text();
    let Level::Struct(settings) = Level::of(text.trim()) else { return Ok(None) };
    let Some((_, raw)) = settings.iter().find(|(name, _)| name == "copies") else { return Ok(None) };
    let Level::Map(named) = Level::of(raw) else { return Ok(None) };
    let mut kinds = Vec::new();
    for (name, raw) in named {
        let count = ron::from_str::<u64>(raw).ok().filter(|count| (1..=MOST).contains(count));
        let Some(count) = count else {
            let place = offset(text, raw)..offset(text, raw) + raw.len();
            return Err(source.diagnostic(place, format!("the number of copies is 1 to {MOST}, not {raw}"), None));
        };
        kinds.push((name, count));
    }
    let mut copier = Copier { source, text, kinds, bound: Vec::new(), made: Copied::default() };
    copier.value(0..text.len(), text.trim())?;
    Ok(Some(source.copied(copier.made)))
}

struct Copier<'s> {
    source: &'s Source,
    text: &'s str,
    kinds: Vec<(String, u64)>,
    /// What is being copied, and the number of the copy.
    bound: Vec<(String, u64)>,
    made: Copied,
}

impl Copier<'_> {
    /// Writes a range of the text in which there is one value.
    fn value(&mut self, range: Range<usize>, value: &str) -> Result<(), Diagnostic> {
        let mut written = range.start;
        let parts: Vec<(Range<usize>, &str, bool)> = match Level::of(value) {
            Level::Struct(entries) | Level::Map(entries) => entries
                .into_iter()
                .filter(|(name, _)| range.end < self.text.len() || !APART.contains(&name.as_str()))
                .map(|(_, raw)| {
                    let at = offset(self.text, raw);
                    let start = name_before(self.text, at).map_or(at, |name| name.start);
                    (start..at + raw.len(), raw, false)
                })
                .collect(),
            Level::List(items) => {
                let place = |raw: &str| offset(self.text, raw)..offset(self.text, raw) + raw.len();
                items.into_iter().map(|raw| (place(raw), raw, true)).collect()
            }
            Level::Leaf => Vec::new(),
        };
        for (range, raw, is_item) in parts {
            self.literal(written..range.start)?;
            // Only the name of a named thing says that it is copied; of an item all of it.
            let head = if is_item { range.clone() } else { range.start..offset(self.text, raw) };
            match self.copied_by(&self.text[head]) {
                Some((name, count)) => {
                    for number in 0..count {
                        if self.made.len() > OCTETS {
                            let message = format!("with its copies the text has more than {} MiB", OCTETS >> 20);
                            return Err(self.source.diagnostic(range, message, None));
                        }
                        if number > 0 {
                            self.made.push(", ", range.start..range.start);
                        }
                        self.bound.push((name.clone(), number));
                        self.value(range.clone(), raw)?;
                        self.bound.pop();
                    }
                }
                None => self.value(range.clone(), raw)?,
            }
            written = range.end;
        }
        self.literal(written..range.end)
    }

    /// By what a text is copied that is not yet a copy by it.
    fn copied_by(&self, text: &str) -> Option<(String, u64)> {
        let free = |name: &str| !self.bound.iter().any(|(bound, _)| bound == name);
        let has = |name: &str| text.contains(&format!("{{{name}}}")) || text.contains(&format!("{{{name}:"));
        self.kinds.iter().find(|(name, _)| free(name) && has(name)).cloned()
    }

    /// Writes a range of the text with numbers in place of placeholders.
    fn literal(&mut self, range: Range<usize>) -> Result<(), Diagnostic> {
        let (mut from, mut rest) = (range.start, &self.text[range]);
        loop {
            let first = self.bound.iter().filter_map(|(name, number)| {
                let open = format!("{{{name}");
                let at = rest.match_indices(&open).map(|(at, _)| at);
                let is_whole = |at: &usize| rest[at + open.len()..].starts_with(['}', ':']);
                Some((at.into_iter().find(is_whole)?, open.len(), *number))
            });
            let Some((at, opening, number)) = first.min() else { break };
            let Some(length) = rest[at..].find('}').map(|end| end + 1) else { break };
            let mut place = from + at..from + at + length;
            let inside = rest[at + opening..at + length - 1].strip_prefix(':');
            let value = match inside.map(str::trim) {
                None => number.to_string(),
                Some(rule) => counted(rule, number).ok_or_else(|| {
                    let help = "for example {site: 10.0.0.10 + 256} or {site: 64512 + 1}".to_owned();
                    let message =
                        format!("expected an address or a whole number, `+`, and a whole number, found `{rule}`");
                    self.source.diagnostic(place.clone(), message, Some(help))
                })?,
            };
            let quoted = rest[..at].ends_with('"') && rest[at + length..].starts_with('"');
            if quoted && inside.is_some() && value.bytes().all(|digit| digit.is_ascii_digit()) {
                place = place.start - 1..place.end + 1;
            }
            self.made.push(&rest[..place.start - from], from..place.start);
            self.made.push(&value, place.clone());
            (from, rest) = (place.end, &rest[place.end - from..]);
        }
        self.made.push(rest, from..from + rest.len());
        Ok(())
    }
}

/// `START + STEP`, `number` steps on.
fn counted(rule: &str, number: u64) -> Option<String> {
    let (start, step) = rule.split_once('+')?;
    let (start, step) = (start.trim(), step.trim().parse::<u64>().ok()?);
    let more = u128::from(step) * u128::from(number);
    if let Ok(start) = start.parse::<u64>() {
        return u64::try_from(u128::from(start) + more).ok().map(|sum| sum.to_string());
    }
    match start.parse().ok()? {
        IpAddr::V4(start) => {
            let sum = u32::try_from(u128::from(u32::from(start)) + more).ok()?;
            Some(Ipv4Addr::from(sum).to_string())
        }
        IpAddr::V6(start) => u128::from(start).checked_add(more).map(|sum| Ipv6Addr::from(sum).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(text: &str) -> Result<Source, Diagnostic> {
        expand(&Source::new("f", text)).map(|made| made.expect("it has copies"))
    }

    #[test]
    fn named_things_and_items_are_copied_with_their_numbers() {
        let text = r#"(copies: {"a": 2, "b": 2}, x: {"n{a}": (v: "{a: 10.0.0.255 + 2}/24", n: "{a: 7 + 3}", w: ["{b}-{a}"]), "one": 1}, l: ["n{a}", "m"])"#;
        let made = copied(text).expect("it is right");
        let expected = r#"(copies: {"a": 2, "b": 2}, x: {"n0": (v: "10.0.0.255/24", n: 7, w: ["0-0", "1-0"]), "n1": (v: "10.0.1.1/24", n: 10, w: ["0-1", "1-1"]), "one": 1}, l: ["n0", "n1", "m"])"#;
        assert_eq!(made.text(), expected);
    }

    /// A control is a change of what is copied from.
    #[test]
    fn controls_stay_as_they_are() {
        let text = r#"(copies: {"a": 2}, l: ["n{a}"], control: [(change: ["l=[\"n{a}\"]"])])"#;
        let expected = r#"(copies: {"a": 2}, l: ["n0", "n1"], control: [(change: ["l=[\"n{a}\"]"])])"#;
        assert_eq!(copied(text).expect("it is right").text(), expected);
    }

    /// A place in any copy is the place that it was copied from; behind the copies, what it was.
    #[test]
    fn places_lead_back_to_what_is_written() {
        let text = "(copies: {\"a\": 3},\n  x: {\"n{a}\": \"bad{a}\"},\n  y: 1)";
        let made = copied(text).expect("it is right");
        let at = |word: &str, nth: usize| {
            let (start, _) = made.text().match_indices(word).nth(nth).expect("it is there");
            let found = made.diagnostic(start..start + word.len(), "m".into(), None);
            (found.file, found.line, found.column)
        };
        assert_eq!(at("bad", 0), ("f".into(), 2, 16));
        assert_eq!(at("bad", 2), ("f".into(), 2, 16));
        assert_eq!(at("y: 1", 0), ("f".into(), 3, 3));
    }

    #[test]
    fn what_cannot_be_counted_is_said() {
        let wrong = |text: &str| copied(text).map(|_| ()).expect_err("it is wrong").message;
        assert!(wrong("(copies: {\"a\": 0})").contains("1 to 10000, not 0"));
        assert!(wrong("(copies: {\"a\": 2}, x: {\"n{a}\": \"{a: ten + 1}\"})").contains("found `ten + 1`"));
        assert!(wrong("(copies: {\"a\": 2}, x: {\"n{a}\": \"{a: 255.255.255.255 + 1}\"})").contains("255.255.255.255"));
        let squared = format!("(copies: {{\"a\": 10000, \"b\": 10000}}, x: [\"{{a}}{{b}}{}\"])", "x".repeat(4_000));
        assert!(wrong(&squared).contains("more than 32 MiB"));
        assert!(expand(&Source::new("f", "(x: 1)")).expect("it is right").is_none());
        assert!(expand(&Source::new("f", "(copies: {\"a\": 2}, x: ")).is_ok());
    }
}
