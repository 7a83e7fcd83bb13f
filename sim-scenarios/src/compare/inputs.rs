//! Which settings differ between two questions, as paths in the grammar of [`crate::set`].
//!
//! The texts are compared as they are after their changes, so a default that one of them writes out differs from one that is left
//! out. Keys are shown as asterisks; that they differ is shown.

use schemars::JsonSchema;
use serde::Serialize;

use super::pairs;
use crate::scenario::Scenario;
use crate::set::Setting;

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Input {
    /// Where it stands, as a path for `--set`.
    pub path: String,
    /// Its value in the first question; null if it is not set there.
    pub was: Option<String>,
    /// Its value in the second.
    pub is: Option<String>,
}

impl Input {
    /// As a row: path, was, is.
    pub fn row(&self) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".into());
        vec![self.path.clone(), text(&self.was), text(&self.is)]
    }
}

/// The settings that differ, in the order of the first text; then what only the second has.
pub fn inputs(was: &Scenario, is: &Scenario) -> Vec<Input> {
    let (was, is) = (was.settings(), is.settings());
    let mut all = Vec::new();
    for (a, b) in pairs(&was, &is, |(path, _)| path) {
        // What is compared is the value; what is shown may be asterisks.
        let same = a.map(|(_, setting)| setting) == b.map(|(_, setting)| setting);
        // That a group is no longer empty is told by what is in it.
        let filled = match (a, b) {
            (Some(one), None) => one.1.is_empty() && has_below(&is, &one.0),
            (None, Some(one)) => one.1.is_empty() && has_below(&was, &one.0),
            _ => false,
        };
        let Some((path, _)) = a.or(b).filter(|_| !same && !filled) else { continue };
        let shown = |side: Option<&(String, Setting)>| side.map(|(_, setting)| setting.shown());
        all.push(Input { path: path.clone(), was: shown(a), is: shown(b) });
    }
    all
}

/// Whether something is set within a group.
fn has_below(settings: &[(String, Setting)], group: &str) -> bool {
    settings.iter().any(|(path, _)| path.strip_prefix(group).is_some_and(|rest| rest.starts_with('.')))
}
