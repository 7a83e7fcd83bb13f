//! A run that can be moved to any of its moments.
//!
//! A moment is an instant with everything that is due at it. Forward, the world runs on. Back, the run is repeated: it is
//! deterministic, so the same moment is the same world. (Worlds hold listeners and cannot be copied, so none are kept.)

use sim_core::id::NodeId;
use sim_core::time::Instant;
use sim_core::world::{Verdict, World};
use sim_scenarios::build::Reality;
use sim_scenarios::plan::Plan;
use sim_scenarios::report::Outcome;
use sim_scenarios::report::story::Section;
use sim_scenarios::scene::chronicle::{self, Kind};
use sim_scenarios::scene::{Chronicle, inspect};
use sim_scenarios::{Scenario, Simulation};

use crate::engine;
use crate::failure::Failure;

/// Where the run is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// To this moment.
    At(Instant),
    /// To the next kept event after the present moment: state, route, fault, and timer if so asked.
    Event {
        /// Whether a timer that expires is one.
        timers: bool,
    },
}

/// A run, and what has happened in it so far.
pub struct Playback<'s> {
    scenario: &'s Scenario,
    simulation: Simulation,
    chronicle: Chronicle,
    goal: Option<Goal>,
}

impl<'s> Playback<'s> {
    /// A run that stands at its start.
    pub fn new(scenario: &'s Scenario) -> Result<Self, Failure> {
        let (simulation, chronicle) = begin(scenario)?;
        let mut playback = Self { scenario, simulation, chronicle, goal: None };
        playback.chronicle.follow(playback.scenario.plan(), playback.simulation.world());
        Ok(playback)
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.world().now()
    }

    /// When the scenario ends.
    pub fn end(&self) -> Instant {
        self.simulation.end()
    }

    /// True if there is nothing more to come: the end is reached, or the world does not come to rest.
    pub fn is_over(&self) -> bool {
        self.goal.is_none() && (self.now() >= self.end() || self.is_storm())
    }

    /// True if the world kept itself busy for ever and was stopped.
    pub fn is_storm(&self) -> bool {
        self.simulation.verdict() != Verdict::Reached
    }

    /// Where it is going, if it is.
    pub fn goal(&self) -> Option<Goal> {
        self.goal
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        self.scenario.plan()
    }

    /// The world.
    pub fn world(&self) -> &World {
        self.simulation.world()
    }

    /// What has happened.
    pub fn chronicle(&self) -> &Chronicle {
        &self.chronicle
    }

    /// What a device holds now.
    pub fn inspect(&self, node: NodeId) -> Vec<Section> {
        inspect(self.plan(), self.simulation.built(), &self.chronicle, node)
    }

    /// The answer so far.
    pub fn answer(&self) -> Outcome {
        self.simulation.answer()
    }

    /// Sets out for a moment; one that is past is reached by beginning again.
    pub fn go(&mut self, goal: Goal) -> Result<(), Failure> {
        if let Goal::At(at) = goal
            && at < self.now()
        {
            (self.simulation, self.chronicle) = begin(self.scenario)?;
        }
        self.goal = Some(goal);
        Ok(())
    }

    /// Stays where it is.
    pub fn halt(&mut self) {
        self.goal = None;
    }

    /// The moments at which faults strike and heal, in order.
    pub fn fault_moments(&self) -> Vec<Instant> {
        let occasions = self.world().faults().iter().flat_map(|fault| &fault.occasions);
        let mut all: Vec<Instant> = occasions.flat_map(|it| [Some(it.strike), it.heal]).flatten().collect();
        all.retain(|at| *at <= self.end());
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Goes on towards the goal for so many events. True if it has nowhere to go.
    pub fn work(&mut self, most: u64) -> bool {
        let reached = match self.goal {
            None => return true,
            Some(Goal::At(at)) => self.simulation.run_some(at, most),
            Some(Goal::Event { timers }) => self.search(timers, most),
        };
        if reached {
            self.goal = None;
        }
        self.chronicle.follow(self.scenario.plan(), self.simulation.world());
        self.goal.is_none()
    }

    /// Looks for the next event. True if there is none; if there is one, the rest of its instant becomes the goal.
    fn search(&mut self, timers: bool, most: u64) -> bool {
        for _ in 0..most {
            let (world, end) = (self.simulation.world(), self.simulation.end());
            let Some(next) = world.next_event().filter(|next| *next <= end) else {
                return self.simulation.run_some(end, 1);
            };
            let kept = world.trace.kept_so_far();
            self.simulation.run_some(next, 1);
            if self.is_storm() {
                return true;
            }
            let new = self.world().trace.records_from(kept).filter_map(|(_, record)| chronicle::kind(record));
            let found = new.filter(|kind| timers || *kind != Kind::Timer).count() > 0;
            if found {
                self.goal = Some(Goal::At(self.now()));
                return false;
            }
        }
        false
    }
}

fn begin(scenario: &Scenario) -> Result<(Simulation, Chronicle), Failure> {
    let simulation = engine::prepare(scenario, &Reality::default(), |_| Ok(Vec::new()))?;
    let chronicle = Chronicle::new(simulation.world());
    Ok((simulation, chronicle))
}
