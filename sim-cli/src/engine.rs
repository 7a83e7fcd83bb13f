//! The seam to the simulator: everything this program asks about a scenario passes through here.

use std::path::PathBuf;

use sim_core::time::Instant;
use sim_core::trace::Sink;
use sim_core::world::World;
use sim_scenarios::Scenario;
use sim_scenarios::report::Outcome;

use crate::args::Subject;
use crate::failure::Failure;
use crate::secrets::Keys;

/// A scenario as it was asked, not yet understood.
#[derive(Clone, Debug)]
pub struct Question {
    /// The file as the user named it.
    pub name: String,
    /// Where the file is, and key files that it names.
    pub directory: PathBuf,
    /// The file's text.
    pub text: String,
    /// Changes in the grammar of `--set`, in order.
    pub changes: Vec<String>,
}

/// Understands a question.
///
/// # Errors
/// The mistakes in the scenario or in the changes to it.
pub fn understand(question: &Question) -> Result<Scenario, Failure> {
    let keys = Keys::beside(&question.directory);
    let scenario = Scenario::parse(&question.name, &question.text, &keys).map_err(Failure::Malformed)?;
    scenario.with(&question.changes, &keys).map_err(Failure::Malformed)
}

/// Runs a scenario to its end. `listeners` are made when the world stands and has not moved yet; `progress` hears now
/// and then how far it is.
///
/// # Errors
/// Those of `listeners`.
pub fn run(
    scenario: &Scenario,
    listeners: impl FnOnce(&World) -> Result<Vec<Box<dyn Sink>>, Failure>,
    progress: &mut dyn FnMut(Instant),
) -> Result<Outcome, Failure> {
    let _ = (scenario, listeners, progress);
    unreachable!("the engine is not connected yet")
}

/// Runs a scenario again and tells one story of it.
///
/// # Errors
/// If there is no such packet or outage.
pub fn explain(scenario: &Scenario, subject: Subject) -> Result<String, Failure> {
    let _ = (scenario, subject);
    unreachable!("the engine is not connected yet")
}
