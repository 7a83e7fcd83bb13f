//! A scenario as a whole: read, judged, changed.

use core::fmt;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::Plan;
use crate::set::{self, Setting};
use crate::source::{Source, blot};
use crate::{copies, make, read, schema};

/// Where keys and certificates that a scenario only names are found. This crate opens nothing by itself.
pub trait Secrets {
    /// The content of a file.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn file(&self, path: &str) -> Result<String, String>;

    /// The content of a file of many lines: a key or certificates in PEM.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn document(&self, path: &str) -> Result<String, String>;

    /// The value of an environment variable.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn environment(&self, variable: &str) -> Result<String, String>;
}

/// Refuses: for scenarios that keep no keys elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn file(&self, _: &str) -> Result<String, String> {
        Err("files are not read here".into())
    }

    fn document(&self, _: &str) -> Result<String, String> {
        Err("files are not read here".into())
    }

    fn environment(&self, _: &str) -> Result<String, String> {
        Err("the environment is not read here".into())
    }
}

/// A scenario that makes sense.
///
/// ```
/// use sim_scenarios::{NoSecrets, Scenario};
///
/// let text = include_str!("../../scenarios/active_passive.ron");
/// let scenario = Scenario::parse("active_passive.ron", text, &NoSecrets)?;
/// let patient = scenario.with(&["connections.vpn.tunnels.a.dpd_timeout=60s"], &NoSecrets)?;
/// assert_eq!(patient.plan().connections[0].tunnels[0].aws.dpd.timeout.unwrap().to_string(), "60s");
///
/// let mistake = scenario.with(&["faults.cot.enabled=false"], &NoSecrets).unwrap_err();
/// assert!(mistake.to_string().contains("did you mean `cut`?"));
/// # Ok::<(), sim_scenarios::Diagnostics>(())
/// ```
#[derive(Clone)]
pub struct Scenario {
    source: Source,
    changes: Vec<String>,
    plan: Arc<Plan>,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes: Vec<_> = self.changes().collect();
        f.debug_struct("Scenario").field("name", &self.plan.name).field("changes", &changes).finish()
    }
}

impl Scenario {
    /// Reads a scenario; `file` names it in error messages.
    ///
    /// # Errors
    /// The first mistake of syntax or shape; or else all mistaken values, names, ranges and references.
    pub fn parse(file: &str, text: &str, secrets: &dyn Secrets) -> Result<Self, Diagnostics> {
        let source = Source::new(file, text);
        let plan = plan(&source, secrets)?;
        Ok(Self { source, changes: Vec::new(), plan: Arc::new(plan) })
    }

    /// The same scenario after these changes, in the grammar of [`crate::set`], on top of those made before.
    ///
    /// # Errors
    /// As for [`Self::parse`]; a mistake in a change is shown in the change. A control is a change of the scenario as it is written, so it
    /// need not make sense after these.
    pub fn with<S: AsRef<str>>(&self, changes: &[S], secrets: &dyn Secrets) -> Result<Self, Diagnostics> {
        let mut changed = self.clone();
        for change in changes {
            set::apply(&mut changed.source, change.as_ref())?;
            changed.changes.push(change.as_ref().to_owned());
        }
        let writes_controls = changes.iter().any(|change| change.as_ref().trim_start().starts_with("control"));
        let planned = if writes_controls { plan(&changed.source, secrets) } else { judge(&changed.source, secrets) };
        changed.plan = Arc::new(planned?);
        Ok(changed)
    }

    /// True if the scenario itself says something at this path of [`crate::set`], and does not leave it to its default.
    pub fn writes(&self, path: &str) -> bool {
        set::is_written(&self.source, path)
    }

    /// Its text, for whoever changes it further.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// What it comes to.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The text of the file, pre-shared keys blotted out.
    pub fn text(&self) -> Arc<str> {
        self.source.shown()
    }

    /// Every setting that the text has after the changes, with its path in the grammar of [`crate::set`], in the order of the file.
    pub(crate) fn settings(&self) -> Vec<(String, Setting)> {
        set::settings(self.source.text())
    }

    /// Whether a text means to be a scenario: anything but well-formed RON of another document, which has neither `nodes` nor
    /// `links`.
    pub fn is_meant_by(text: &str) -> bool {
        set::names(text).is_none_or(|names| names.iter().any(|name| matches!(name.as_str(), "nodes" | "links")))
    }

    /// Line and column, both from 1, of the setting that a path in the grammar of [`crate::set`] leads to, or of the innermost
    /// thing around it that is written; 1 and 1 if it was set by a change.
    pub fn spot(&self, path: &str) -> (usize, usize) {
        let place = set::locate(self.source.text(), path);
        let at = self.source.diagnostic(place, String::new(), None);
        if at.file == self.source.file() { (at.line, at.column) } else { (1, 1) }
    }

    /// The changes made, pre-shared keys blotted out.
    pub fn changes(&self) -> impl Iterator<Item = Arc<str>> {
        self.changes.iter().map(|change| blot(change))
    }
}

/// Reads and judges a text, and its controls too: each must be a change that makes sense.
fn plan(source: &Source, secrets: &dyn Secrets) -> Result<Plan, Diagnostics> {
    let whole = copies::made(source.clone())?;
    let schema: schema::Scenario = read::read(&whole)?;
    let plan = make::make(&schema, &whole, secrets)?;
    let mut mistakes = Vec::new();
    for (control, planned) in schema.control.iter().zip(&plan.controls) {
        let mut changed = source.clone();
        for (at, change) in control.change.iter().zip(&planned.change) {
            let place = at.place.range_in(whole.text());
            let report = |inner: &Diagnostic| {
                let message = format!("this change does not work: {}", inner.message);
                whole.diagnostic(place.clone(), message, inner.help.clone())
            };
            if let Err(mistake) = set::apply(&mut changed, change) {
                mistakes.push(report(&mistake));
            } else if let Err(those) = judge(&changed, secrets) {
                mistakes.extend(those.iter().take(1).map(report));
            }
        }
    }
    Diagnostics::collect(mistakes)?;
    Ok(plan)
}

fn judge(source: &Source, secrets: &dyn Secrets) -> Result<Plan, Diagnostics> {
    let whole = copies::made(source.clone())?;
    make::make(&read::read(&whole)?, &whole, secrets)
}
