//! A design review without a run: what a plan says by itself about how it will fail, what it will cost, and who will notice.
//!
//! Each piece of advice is a [`Rule`], a place in the scenario, what it means for this drawing, and what to change. It says what the
//! documents that it names say, and what the drawing shows; how long something takes is for a run to answer. What a scenario does not
//! state (who may rely on which path, what an outage costs) is not guessed, and settings that only a run can judge, like network ACLs
//! and security groups, are left to `vpnsim diagnose`.

mod drawing;
mod ends;
mod path;
mod redundancy;
pub mod report;
mod routing;
mod rule;

use schemars::JsonSchema;
use serde::Serialize;

use crate::Scenario;
use crate::plan::{Connection, Plan, Tunnel, TunnelId};

pub use ends::{Suite, negotiated};
pub use rule::{RULES, Rule, Severity, Source};

/// Name and version of this document's format.
pub const SCHEMA: &str = "vpnsim-advice/1";

/// The review of a scenario.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Review {
    /// Name and version of this document's format.
    pub schema: &'static str,
    /// Version of the program that wrote it.
    pub vpnsim: &'static str,
    /// Name of the scenario.
    pub scenario: String,
    /// Pieces of advice, the gravest first, then in the order of the file.
    pub advice: Vec<Advice>,
}

/// A piece of advice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Advice {
    /// What kind it is of.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// Where it stands, as a path for `--set`.
    pub path: String,
    /// The line of the setting, or of the innermost thing around it that is written, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// What it means for this drawing.
    pub text: String,
    /// What to change.
    pub change: String,
    /// What it rests on.
    pub sources: &'static [Source],
    /// The scenario of the library that shows it.
    pub shown_by: String,
}

/// Reviews a scenario.
pub fn review(scenario: &Scenario) -> Review {
    let plan = scenario.plan();
    let mut desk = Desk { plan, found: Vec::new() };
    let drawing = drawing::Drawing::of(plan);
    ends::look(&mut desk);
    path::look(&mut desk, &drawing);
    routing::look(&mut desk, &drawing);
    redundancy::look(&mut desk, &drawing);
    let mut advice: Vec<Advice> = desk
        .found
        .into_iter()
        .map(|Found { rule, path, text, change }| {
            let (line, column) = scenario.spot(&path);
            let shown_by = format!("scenarios/{}.ron", rule.scenario);
            let Rule { code, severity, sources, .. } = rule;
            Advice { code, severity, path, line, column, text, change, sources, shown_by }
        })
        .collect();
    advice.sort_by(|a, b| (a.severity, a.line, a.column, a.code).cmp(&(b.severity, b.line, b.column, b.code)));
    Review { schema: SCHEMA, vpnsim: env!("CARGO_PKG_VERSION"), scenario: plan.name.clone(), advice }
}

/// A piece of advice before its place is known.
struct Found {
    rule: Rule,
    path: String,
    text: String,
    change: String,
}

/// Where pieces of advice are put down.
struct Desk<'p> {
    plan: &'p Plan,
    found: Vec<Found>,
}

impl<'p> Desk<'p> {
    fn say(&mut self, rule: Rule, path: String, text: String, change: impl Into<String>) {
        self.found.push(Found { rule, path, text, change: change.into() });
    }

    fn name(&self, node: sim_core::id::NodeId) -> &'p str {
        &self.plan.nodes[node.index()].name
    }

    /// All connections with the numbers that they have.
    fn connections(&self) -> impl Iterator<Item = (usize, &'p Connection)> + use<'p> {
        self.plan.connections.iter().enumerate()
    }

    /// All tunnels, with the path of each.
    fn tunnels(&self) -> impl Iterator<Item = (TunnelId, &'p Connection, &'p Tunnel, String)> + use<'p> {
        self.connections().flat_map(|(connection, c)| {
            c.tunnels.iter().enumerate().map(move |(tunnel, t)| {
                (TunnelId { connection, tunnel }, c, t, format!("connections.{}.tunnels.{}", c.name, short(t)))
            })
        })
    }
}

/// A tunnel's name within its connection.
fn short(tunnel: &Tunnel) -> &str {
    tunnel.name.rsplit_once('.').map_or(&tunnel.name, |(_, name)| name)
}

/// "a", "a and b", "a, b and c".
fn listed<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [all @ .., last] => {
            let all: Vec<&str> = all.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", all.join(", "), last.as_ref())
        }
    }
}

/// The first few of many names.
fn some<S: AsRef<str>>(names: &[S]) -> String {
    const MOST: usize = 8;
    match names.len() {
        n if n <= MOST => listed(names),
        n => {
            let first: Vec<&str> = names[..MOST].iter().map(AsRef::as_ref).collect();
            format!("{} and {} more", first.join(", "), n - MOST)
        }
    }
}
