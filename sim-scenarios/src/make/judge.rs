//! The judge: takes leaves from the schema, notes every mistake and goes on with a placeholder, so that one reading finds
//! all mistakes. A plan is handed out only if there were none.

use std::collections::BTreeSet;

use sim_core::time::Duration;

use crate::diagnostic::{Diagnostic, Diagnostics, nearest, proposal};
use crate::leaf::{Leaf, Name};
use crate::place::{At, List, Named, Place};
use crate::scenario::Secrets;
use crate::source::Source;

pub(crate) struct Judge<'a> {
    source: &'a Source,
    pub(crate) secrets: &'a dyn Secrets,
    mistakes: Vec<Diagnostic>,
}

/// A rule's verdict: what is wrong.
pub(crate) type Verdict = Result<(), String>;

impl<'a> Judge<'a> {
    pub(crate) fn new(source: &'a Source, secrets: &'a dyn Secrets) -> Self {
        Self { source, secrets, mistakes: Vec::new() }
    }

    /// Notes a mistake.
    pub(crate) fn wrong(&mut self, place: Place, message: impl Into<String>, help: Option<String>) {
        let range = place.range_in(self.source.text());
        let mistake = self.source.diagnostic(range, message.into(), help);
        // Each copy has the mistakes of what it is copied from.
        let same = |other: &Diagnostic| (&other.file, &other.span) == (&mistake.file, &mistake.span);
        if !self.source.has_copies() || !self.mistakes.iter().any(same) {
            self.mistakes.push(mistake);
        }
    }

    /// `Ok` if there was no mistake.
    pub(crate) fn verdict(self) -> Result<(), Diagnostics> {
        Diagnostics::collect(self.mistakes)
    }

    /// The leaf's value; `None` after noting that it does not read.
    pub(crate) fn read<T: Leaf + Clone>(&mut self, at: &At<T>) -> Option<T> {
        let bad = match &at.value {
            Ok(value) => return Some(value.clone()),
            Err(bad) => bad.clone(),
        };
        let words = T::words();
        let message = if T::SECRET {
            format!("expected {}", T::EXPECTED)
        } else {
            format!("expected {}, found {}", T::EXPECTED, bad.found)
        };
        let help = if words.is_empty() {
            bad.because
        } else {
            bad.because.or_else(|| proposal(bad.found.trim_matches('"'), &words))
        };
        self.wrong(at.place, message, help);
        None
    }

    /// The leaf's value, or the placeholder.
    pub(crate) fn need<T: Leaf + Clone>(&mut self, at: &At<T>, placeholder: T) -> T {
        self.read(at).unwrap_or(placeholder)
    }

    /// The leaf's value, or the default if it is not given.
    pub(crate) fn or<T: Leaf + Clone>(&mut self, at: &Option<At<T>>, default: T) -> T {
        at.as_ref().and_then(|at| self.read(at)).unwrap_or(default)
    }

    /// The leaf's value if it keeps a rule.
    pub(crate) fn lawful<T: Leaf + Clone>(&mut self, at: &At<T>, rule: impl FnOnce(&T) -> Verdict) -> Option<T> {
        let value = self.read(at)?;
        if let Err(message) = rule(&value) {
            self.wrong(at.place, message, None);
        }
        Some(value)
    }

    /// The leaf's value if it keeps a rule, or the default if it is not given.
    pub(crate) fn lawful_or<T: Leaf + Clone>(
        &mut self,
        at: &Option<At<T>>,
        default: T,
        rule: impl FnOnce(&T) -> Verdict,
    ) -> T {
        at.as_ref().and_then(|at| self.lawful(at, rule)).unwrap_or(default)
    }

    /// The items of a list that keep a rule; at least one must stand there.
    pub(crate) fn items<T: Leaf + Clone>(&mut self, list: &List<T>, mut rule: impl FnMut(&T) -> Verdict) -> Vec<T> {
        match &list.items {
            Err(bad) => {
                let message = format!("expected a list in brackets, each item {}, found {}", T::EXPECTED, bad.found);
                self.wrong(list.place, message, None);
                Vec::new()
            }
            Ok(items) if items.is_empty() => {
                let help = "leave the setting out for its default";
                self.wrong(list.place, "this list is empty", Some(help.into()));
                Vec::new()
            }
            Ok(items) => items.iter().filter_map(|at| self.lawful(at, &mut rule)).collect(),
        }
    }

    /// A whole number that fits its type and a range.
    pub(crate) fn number<N>(&mut self, at: &Option<At<u64>>, default: N, low: u64, high: u64, what: &str) -> N
    where
        N: TryFrom<u64> + Copy,
    {
        let Some(at) = at else { return default };
        let value = self.lawful(at, |n| between(*n, low, high, what));
        value.and_then(|n| N::try_from(n).ok()).unwrap_or(default)
    }

    /// Position of a name in a list; `None` after noting that it is not there.
    pub(crate) fn find(&mut self, at: &At<Name>, what: &str, names: &[String]) -> Option<usize> {
        let Name(name) = self.read(at)?;
        let found = names.iter().position(|other| *other == name);
        if found.is_none() {
            let all: Vec<&str> = names.iter().map(String::as_str).collect();
            let help = proposal(&name, &all);
            self.wrong(at.place, format!("no {what} is called `{name}`"), help);
        }
        found
    }

    /// The names of a list of named things, after noting those that are no names or stand twice.
    pub(crate) fn names<V>(&mut self, named: &Named<V>, what: &str) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut names = Vec::new();
        for (at, _) in &named.0 {
            let Some(Name(name)) = self.read(at) else {
                // What was probably meant, so that references to it are not mistakes too.
                names.push(at.value.as_ref().err().map(|bad| bad.found.clone()).unwrap_or_default());
                continue;
            };
            let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || !name.chars().all(letter) {
                let message = format!("`{name}` cannot name a {what}");
                let help = "a name consists of letters, digits, `-` and `_`";
                self.wrong(at.place, message, Some(help.into()));
            } else if !seen.insert(name.clone()) {
                self.wrong(at.place, format!("there is already a {what} called `{name}`"), None);
            }
            names.push(name);
        }
        names
    }
}

/// `low <= value <= high`.
pub(crate) fn between<T: PartialOrd + core::fmt::Display>(value: T, low: T, high: T, what: &str) -> Verdict {
    if value < low || value > high { Err(format!("{what} is {low} to {high}, not {value}")) } else { Ok(()) }
}

/// More than no time.
pub(crate) fn positive(span: Duration, what: &str) -> Verdict {
    if span.is_zero() { Err(format!("{what} must be more than zero")) } else { Ok(()) }
}

/// The name that was probably meant, for a message of its own.
pub(crate) fn did_you_mean<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(name, names).map(|near| format!("did you mean `{near}`?"))
}
