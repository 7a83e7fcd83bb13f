//! Changes to a scenario: `--set PATH=VALUE` on the command line, `change: ["PATH=VALUE"]` in a control.
//!
//! ```text
//! change  = path "=" value
//! path    = step *("." step)          from the outside in
//! step    = setting                   a setting of ( ... ):       duration
//!         | name                      a named thing of { ... }:   cgw, path-a, vpn
//!         | number                    an item of [ ... ], from 0: 2
//! value   = RON, where quotes may be left out: 60s stands for "60s", [14, 19] and Bgp() for themselves
//! ```
//!
//! The kind of a thing is passed over: `faults.cut.what.link` is the link of `what: Blackhole(link: ...)`. A setting that the
//! file leaves to its default may be set. A named thing must exist. Examples:
//!
//! ```text
//! duration=900s
//! faults.cut.enabled=false
//! links.path-a.loss=1%
//! connections.vpn.tunnels.a.dpd_timeout=60s
//! connections.vpn.tunnels.b.phase1.dh_groups=[14, 19]
//! control.0.change=["faults.cut.heal=400s"]
//! ```
//!
//! A change is made in the text itself, before it is read, so that whatever holds for a file holds for a changed one.

use core::fmt;
use core::ops::Range;

use ron::value::RawValue;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::diagnostic::{Diagnostic, proposal};
use crate::source::{SECRETS, Source, blot};

/// Makes one change.
///
/// # Errors
/// It is not of the grammar, or its path leads nowhere. (Whether the setting exists and the value fits is seen when the
/// changed text is read.)
pub(crate) fn apply(source: &mut Source, change: &str) -> Result<(), Diagnostic> {
    let wrong = |span: Range<usize>, message: String, help: Option<String>| {
        Diagnostic::new("--set", blot(change), span, message, help)
    };
    let Some((path, value)) = change.split_once('=') else {
        return Err(wrong(0..change.len(), "expected PATH=VALUE".into(), Some(EXAMPLE.into())));
    };
    if value.trim().is_empty() {
        return Err(wrong(path.len()..change.len(), "the value is missing".into(), Some(EXAMPLE.into())));
    }
    let value = as_ron(value.trim());
    source.forget_copies();
    let mut here = source.text().trim();
    let mut start = 0;
    for step in path.split('.') {
        let span = start..start + step.len();
        let trail = start.checked_sub(1).map_or("the scenario", |end| &path[..end]);
        if step.trim().is_empty() {
            return Err(wrong(span, "a step of the path is empty".into(), Some(EXAMPLE.into())));
        }
        match Level::of(here).find(step.trim()) {
            Found::Value(raw) => here = raw,
            Found::Unset => {
                let open = offset(source.text(), here) + opening(here);
                let (before, after) = nest(&path[start..]);
                source.edit(open..open, [&before, &value, &after], change, start..path.len());
                return Ok(());
            }
            Found::NoSuchName(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let help = proposal(step, &names);
                return Err(wrong(span, format!("nothing in `{trail}` is called `{step}`"), help));
            }
            Found::NoSuchItem(0) => {
                return Err(wrong(span, format!("`{trail}` has no items"), None));
            }
            Found::NoSuchItem(n) => {
                let help = Some(format!("its items are numbered from 0 to {}", n - 1));
                return Err(wrong(span, format!("`{trail}` has no item `{step}`"), help));
            }
            Found::Leaf => {
                let message = format!("`{trail}` is a single value: there is no `{step}` in it");
                return Err(wrong(span, message, None));
            }
        }
        start += step.len() + 1;
    }
    let at = offset(source.text(), here);
    source.edit(at..at + here.len(), ["", &value, ""], change, 0..path.len());
    Ok(())
}

/// True if the text itself says something at this path. A mistaken path says nothing.
pub(crate) fn is_written(source: &Source, path: &str) -> bool {
    let mut here = source.text().trim();
    for step in path.split('.') {
        match Level::of(here).find(step.trim()) {
            Found::Value(raw) => here = raw,
            Found::Unset | Found::NoSuchName(_) | Found::NoSuchItem(_) | Found::Leaf => return false,
        }
    }
    true
}

/// A value as a text has it. Not every value may be shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    value: String,
    secret: bool,
}

impl Setting {
    /// True for a group in which nothing is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.value == EMPTY
    }

    /// The value, or asterisks if it is a key. Where a key is kept is none.
    pub(crate) fn shown(&self) -> String {
        let kept_elsewhere = self.value.starts_with("file:") || self.value.starts_with("env:");
        if self.secret && !kept_elsewhere { "***".into() } else { blot(&self.value).to_string() }
    }
}

/// The settings of a well-formed text, from the outside in: a path and a value for each setting, list of settings and kind of
/// thing.
pub(crate) fn settings(text: &str) -> Vec<(String, Setting)> {
    let mut all = Vec::new();
    collect("", text.trim(), &mut all);
    all
}

/// The names of the outermost settings, if the text is well-formed and has such.
pub(crate) fn names(text: &str) -> Option<Vec<String>> {
    match Level::of(text.trim()) {
        Level::Struct(entries) => Some(entries.into_iter().map(|(name, _)| name).collect()),
        _ => None,
    }
}

/// A group in which nothing is set.
const EMPTY: &str = "()";

fn collect(path: &str, raw: &str, all: &mut Vec<(String, Setting)>) {
    let secret = SECRETS.contains(&path.rsplit('.').next().unwrap_or_default());
    let below = |step: &str| if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
    let mut push = |value: String| all.push((path.to_owned(), Setting { value, secret }));
    match Level::of(raw) {
        Level::Struct(entries) | Level::Map(entries) => {
            let kind: String = raw.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            match (kind.is_empty(), entries.is_empty()) {
                (true, false) => {}
                (true, true) => push(EMPTY.into()),
                (false, _) => push(format!("{kind}(...)")),
            }
            entries.iter().for_each(|(step, raw)| collect(&below(step), raw, all));
        }
        Level::List(items) if items.iter().any(|item| !matches!(Level::of(item), Level::Leaf)) => {
            items.iter().enumerate().for_each(|(n, raw)| collect(&below(&n.to_string()), raw, all));
        }
        Level::List(items) => {
            let items: Vec<String> = items.iter().map(|item| plainly(item)).collect();
            push(format!("[{}]", items.join(", ")));
        }
        Level::Leaf => push(plainly(raw)),
    }
}

/// A single value without its quotes, and however it is written.
fn plainly(raw: &str) -> String {
    ron::from_str::<String>(raw).unwrap_or_else(|_| raw.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Where the path of a setting leads in the text: the name of its last step, or of the last one before it that is written.
pub(crate) fn locate(text: &str, path: &str) -> Range<usize> {
    let mut here = text.trim();
    let mut found = 0..0;
    for step in path.split('.') {
        let Found::Value(raw) = Level::of(here).find(step) else { break };
        here = raw;
        let value = offset(text, here);
        found = name_before(text, value).unwrap_or(value..value + here.len());
    }
    found
}

/// The name in front of a value: `name: value` or `"name": value`. An item of a list has none.
pub(crate) fn name_before(text: &str, value: usize) -> Option<Range<usize>> {
    let name = text[..value].trim_end().strip_suffix(':')?.trim_end();
    let start = match name.strip_suffix('"') {
        Some(inside) => inside.rfind('"')?,
        None => name.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1),
    };
    Some(start..name.len())
}

const EXAMPLE: &str = "for example: --set connections.vpn.tunnels.a.dpd_timeout=60s";

/// The value as RON: in quotes, unless it is RON already and more than a bare word.
fn as_ron(value: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let bare = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && value.chars().all(word);
    let literal = matches!(value, "true" | "false" | "None");
    if literal || (!bare && ron::from_str::<IgnoredAny>(value).is_ok()) {
        value.to_owned()
    } else {
        ron::to_string(value).unwrap_or_else(|_| format!("{value:?}"))
    }
}

/// What goes before and after a value to set it at a path none of whose steps is written yet: `a: (b: ` and `),`.
fn nest(path: &str) -> (String, String) {
    let depth = path.matches('.').count();
    (format!("{}: ", path.replace('.', ": (")), format!("{},", ")".repeat(depth)))
}

/// Where the settings of `Kind(...)` or `(...)` begin: behind its parenthesis, which is none of a comment before it.
fn opening(raw: &str) -> usize {
    let mut rest = raw.trim_start();
    loop {
        let comment = match rest.get(..2) {
            Some("//") => rest.split_once('\n'),
            Some("/*") => rest.split_once("*/"),
            _ => None,
        };
        match comment {
            Some((_, after)) => rest = after.trim_start(),
            None => return offset(raw, rest) + rest.find('(').map_or(0, |at| at + 1),
        }
    }
}

/// Where a slice begins in the text that it was cut from.
pub(crate) fn offset(text: &str, slice: &str) -> usize {
    slice.as_ptr() as usize - text.as_ptr() as usize
}

/// A value, one level deep.
pub(crate) enum Level<'t> {
    Struct(Vec<(String, &'t str)>),
    Map(Vec<(String, &'t str)>),
    List(Vec<&'t str>),
    Leaf,
}

enum Found<'t> {
    Value(&'t str),
    Unset,
    NoSuchName(Vec<String>),
    NoSuchItem(usize),
    Leaf,
}

impl<'t> Level<'t> {
    pub(crate) fn of(raw: &'t str) -> Self {
        let Ok(mut deserializer) = ron::Deserializer::from_str(raw) else {
            return Self::Leaf;
        };
        match (Self::deserialize(&mut deserializer), raw.starts_with('{')) {
            (Ok(Self::Struct(entries)), true) => Self::Map(entries),
            // `Bgp()` reads as an empty tuple.
            (Ok(Self::List(items)), _) if items.is_empty() && !raw.starts_with('[') => Self::Struct(Vec::new()),
            (Ok(level), _) => level,
            (Err(_), _) => Self::Leaf,
        }
    }

    fn find(self, step: &str) -> Found<'t> {
        match self {
            Self::Leaf => Found::Leaf,
            Self::Struct(entries) => {
                entries.into_iter().find(|(name, _)| name == step).map_or(Found::Unset, |(_, raw)| Found::Value(raw))
            }
            Self::Map(entries) => match entries.iter().find(|(name, _)| name == step) {
                Some((_, raw)) => Found::Value(raw),
                None => Found::NoSuchName(entries.into_iter().map(|(name, _)| name).collect()),
            },
            Self::List(items) => match step.parse().ok().and_then(|i: usize| items.get(i)) {
                Some(raw) => Found::Value(raw),
                None => Found::NoSuchItem(items.len()),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Level<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneLevel)
    }
}

struct OneLevel;

impl<'de> Visitor<'de> for OneLevel {
    type Value = Level<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("settings, named things or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Level<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((Key(key), raw)) = map.next_entry::<Key, &'de RawValue>()? {
            entries.push((key, raw.trim().get_ron()));
        }
        Ok(Level::Struct(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Level<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(raw) = seq.next_element::<&'de RawValue>()? {
            items.push(raw.trim().get_ron());
        }
        Ok(Level::List(items))
    }

    fn visit_unit<E>(self) -> Result<Level<'de>, E> {
        Ok(Level::List(Vec::new()))
    }
}

/// The name of a setting, or a name in quotes.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Key(name.to_owned()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}
