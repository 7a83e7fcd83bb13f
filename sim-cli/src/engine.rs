//! The seam to the simulator: everything this program asks about a scenario passes through here.

use std::path::PathBuf;

use sim_core::id::PacketId;
use sim_core::time::{Duration, Instant};
use sim_core::trace::Sink;
use sim_core::world::{Verdict, World};
use sim_scenarios::breakage::report::Breakage;
use sim_scenarios::breakage::{self, Depth, Window};
use sim_scenarios::build::Reality;
use sim_scenarios::report::Outcome;
use sim_scenarios::report::explain::PacketStory;
use sim_scenarios::report::route_story::{self, Unknown};
use sim_scenarios::report::session_story;
use sim_scenarios::report::story::Section;
use sim_scenarios::why::{self, tell};
use sim_scenarios::{Scenario, Simulation, ends};

use crate::args::Subject;
use crate::failure::Failure;
use crate::secrets::Keys;

/// In how many parts a run is cut to tell how far it is. Where it is cut changes nothing.
const PARTS: u64 = 500;

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

/// Builds a scenario's world. `listeners` are made when the world stands and has not moved yet.
///
/// # Errors
/// Those of `listeners`.
pub fn prepare(
    scenario: &Scenario,
    reality: &Reality,
    listeners: impl FnOnce(&World) -> Result<Vec<Box<dyn Sink>>, Failure>,
) -> Result<Simulation, Failure> {
    spare_memory(scenario);
    let mut heard = Ok(());
    let simulation = Simulation::prepare_with(scenario, reality, |world| match listeners(world) {
        Ok(listeners) => listeners.into_iter().for_each(|listener| world.trace.add_sink(listener)),
        Err(failure) => heard = Err(failure),
    });
    heard.map(|()| simulation)
}

/// Connections of VPN from which on a world is in small pages.
const MANY: usize = 100;

/// In a world of many sessions most memory is buffers of TCP of which only the first page is ever used. Huge pages would put all
/// of it into memory, and take longer to clear than the world takes to come up; worlds of few sessions are faster with them.
pub fn spare_memory(scenario: &Scenario) {
    #[cfg(target_os = "linux")]
    if scenario.plan().connections.len() > MANY {
        // Where the kernel knows of no such wish, the world is as right, and larger.
        let _ = rustix::thread::disable_transparent_huge_pages(true);
    }
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
    let mut simulation = prepare(scenario, &Reality::default(), listeners)?;
    let end = simulation.end();
    for part in 1..=PARTS {
        let at = Instant::START + end.since_start().scale(part, PARTS);
        if simulation.run_until(at) != Verdict::Reached {
            break;
        }
        progress(at);
    }
    drop(simulation.world_mut().trace.take_sinks());
    Ok(simulation.answer())
}

/// Adds to an answer what it would be at the ends of what is assumed.
///
/// # Errors
/// The mistakes that such a value is.
pub fn ask_at_ends(question: &Question, scenario: &Scenario, outcome: &mut Outcome) -> Result<(), Failure> {
    ends::ask(scenario, &Keys::beside(&question.directory), outcome).map_err(Failure::Malformed)
}

/// Breaks each component of a scenario's drawing in turn, on all cores.
///
/// # Errors
/// If the time in which they are broken is not the scenario's.
pub fn break_everything(
    scenario: &Scenario,
    depth: Depth,
    window: Option<(Duration, Duration)>,
) -> Result<Breakage, Failure> {
    let plan = scenario.plan();
    let window = match window {
        None => Window::of(plan),
        Some((_, until)) if until > plan.duration => {
            return Err(Failure::NothingToExplain {
                what: format!("the scenario ends at {}, before {until}", plan.duration),
                help: Some("end --fault-window earlier".into()),
            });
        }
        Some((from, until)) => Window { strike: Instant::START + from, heal: Instant::START + until },
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(breakage::run(plan, depth, window, cores))
}

/// Says why an outage lasted so long, and what shortens it.
///
/// # Errors
/// If there is no such outage.
pub fn why(question: &Question, scenario: &Scenario, number: u32) -> Result<Vec<Section>, Failure> {
    let keys = Keys::beside(&question.directory);
    let found = why::ask(scenario, &keys, Some(number as usize)).map_err(unknown)?;
    Ok(tell::tell(&found))
}

fn unknown(Unknown { what, help }: Unknown) -> Failure {
    Failure::NothingToExplain { what, help }
}

/// Runs a scenario `again` and tells one story of it.
///
/// # Errors
/// If there is no such thing, and those of `again`.
pub fn explain(
    subject: &Subject,
    scenario: &Scenario,
    again: impl Fn(Vec<Box<dyn Sink>>, Option<Instant>) -> Result<Simulation, Failure>,
) -> Result<Vec<Section>, Failure> {
    match subject {
        Subject::Outage { number } => {
            let simulation = again(Vec::new(), None)?;
            let subject = why::subject(&simulation.observe(), Some(*number as usize)).map_err(unknown)?;
            let heard = subject.as_ref().and_then(why::Subject::journey).map(|(journey, _)| journey);
            if let Some(journey) = &heard {
                again(vec![Box::new(journey.clone())], None)?;
            }
            // What came in once comes in at the same instants again: changes are not tried on a replay.
            let understood = why::understand(scenario, &simulation, subject.as_ref(), heard.as_ref());
            Ok(tell::tell(&understood.why))
        }
        Subject::Packet { id } => {
            let id = PacketId(*id);
            let kin = PacketStory::default();
            again(vec![Box::new(kin.clone())], None)?;
            let story = PacketStory::of(kin.family_of(id));
            let simulation = again(vec![Box::new(story.clone())], None)?;
            story.tell(simulation.world(), id).ok_or_else(|| Failure::NothingToExplain {
                what: format!("there is no packet {id:?} in this run"),
                help: Some("--out DIR --trace packets lists them all in events.jsonl".into()),
            })
        }
        Subject::Route { node, prefix, at } => {
            let simulation = again(Vec::new(), at.map(|at| Instant::START + at))?;
            let told = route_story::route(simulation.plan(), simulation.built(), node, prefix.trunc());
            told.map_err(unknown)
        }
        Subject::Session { name, at } => {
            let simulation = again(Vec::new(), at.map(|at| Instant::START + at))?;
            session_story::session(simulation.plan(), simulation.world(), name).map_err(unknown)
        }
    }
}

/// Runs a scenario until that moment, or to its end.
pub fn run_with(scenario: &Scenario, listeners: Vec<Box<dyn Sink>>, until: Option<Instant>) -> Simulation {
    let mut simulation = Simulation::prepare(scenario, |world| {
        listeners.into_iter().for_each(|listener| world.trace.add_sink(listener));
    });
    simulation.run_until(until.unwrap_or(simulation.end()));
    simulation
}
