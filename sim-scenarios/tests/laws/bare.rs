//! What laws ask of a drawing, without what it asks itself: whether it is taken, what is said of it, and what it answers.

use sim_scenarios::plan::NodeKind;
use sim_scenarios::report::model::{Probe, Report};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

/// The text of a scenario of the library.
macro_rules! library {
    ($name:literal) => {
        include_str!(concat!("../../../scenarios/", $name, ".ron"))
    };
}
pub(crate) use library;

/// Takes away what a scenario asks itself.
pub const UNASKED: &[&str] = &["expect={}", "control=[]"];

/// A text of the library or a law's own, and what is changed in it before all else.
#[derive(Clone, Copy)]
pub struct Bare<'t> {
    pub text: &'t str,
    pub changes: &'t [&'t str],
}

impl<'t> Bare<'t> {
    /// With the faults and probes of the text.
    pub const fn new(text: &'t str) -> Self {
        Self { text, changes: &[] }
    }

    /// With its probes alone.
    pub const fn without_faults(text: &'t str) -> Self {
        Self { text, changes: &["faults={}"] }
    }

    /// The scenario with changes; or what is wrong with it.
    pub fn with(&self, changes: &[&str]) -> Result<Scenario, String> {
        let all = [UNASKED, self.changes, changes].concat();
        let parsed = Scenario::parse("law.ron", self.text, &NoSecrets).map_err(|mistakes| mistakes.to_string())?;
        parsed.with(&all, &NoSecrets).map_err(|mistakes| mistakes.to_string())
    }

    /// The same, which makes sense.
    #[track_caller]
    pub fn taken(&self, changes: &[&str]) -> Scenario {
        match self.with(changes) {
            Ok(scenario) => scenario,
            Err(mistakes) => panic!("{changes:?}: {mistakes}"),
        }
    }

    /// It makes none, and these words say why.
    #[track_caller]
    pub fn refused(&self, changes: &[&str], words: &str) {
        match self.with(changes) {
            Ok(_) => panic!("{changes:?} is taken"),
            Err(mistakes) => assert!(mistakes.contains(words), "{changes:?}: {mistakes}"),
        }
    }

    /// Whether it makes sense and these words warn of it.
    #[track_caller]
    pub fn warned(&self, changes: &[&str], words: &str) -> bool {
        self.taken(changes).plan().warnings.iter().any(|warning| warning.text.contains(words))
    }

    /// What a whole run of it answers.
    #[track_caller]
    pub fn answer(&self, changes: &[&str]) -> Report {
        Simulation::new(&self.taken(changes)).finish().report
    }

    /// Everything that is expected of it holds.
    #[track_caller]
    pub fn holds(&self, changes: &[&str], expect: &str) {
        let expect = format!("expect={{{expect}}}");
        let report = self.answer(&[changes, &[expect.as_str()]].concat());
        assert!(!report.expectations.is_empty());
        for expectation in &report.expectations {
            assert!(expectation.held, "{changes:?}: {}: {}", expectation.text, expectation.detail);
        }
    }
}

/// A text with further nodes.
pub fn with_nodes(text: &str, nodes: &str) -> String {
    text.replacen("nodes: {", &format!("nodes: {{ {nodes}"), 1)
}

/// What a node is.
#[track_caller]
pub fn kind<'s>(scenario: &'s Scenario, name: &str) -> &'s NodeKind {
    let id = scenario.plan().node(name).expect("it is there");
    &scenario.plan().nodes[id.index()].kind
}

/// How many packets were dropped for a reason.
pub fn dropped(report: &Report, reason: &str) -> u64 {
    report.drops.iter().filter(|it| it.reason == reason).map(|it| it.packets).sum()
}

/// How many of them by this node.
pub fn dropped_at(report: &Report, node: &str, reason: &str) -> u64 {
    let counts = report.drops.iter().filter(|it| it.node.as_deref() == Some(node) && it.reason == reason);
    counts.map(|it| it.packets).sum()
}

/// What became of a probe there and back.
#[track_caller]
pub fn round_trip<'r>(report: &'r Report, probe: &str) -> &'r Probe {
    let entry = report.probes.iter().find(|it| it.name == probe && it.direction == "round_trip");
    entry.expect("it is there")
}

/// The share of it that was answered.
#[track_caller]
pub fn answered(report: &Report, probe: &str) -> f64 {
    1.0 - round_trip(report, probe).loss
}
