//! Running a scenario from Rust: build, step, look, assert.
//!
//! ```
//! use sim_core::time::Instant;
//! use sim_scenarios::{NoSecrets, Scenario, Simulation};
//!
//! let text = r#"(
//!     version: 1,
//!     name: "two_hosts",
//!     question: "Does a ping come back?",
//!     duration: "10s",
//!     nodes: {
//!         "a": Host(address: "10.0.0.1/24"),
//!         "b": Host(address: "10.0.0.2/24"),
//!     },
//!     links: { "wire": Link(between: ("a", "b"), delay: "5ms") },
//!     probes: { "ping": IcmpEcho(from: "a", to: "b", start: "0s", every: "1s") },
//! )"#;
//! let scenario = Scenario::parse("two_hosts.ron", text, &NoSecrets)?;
//! let mut simulation = Simulation::new(&scenario);
//! simulation.run_until(Instant::from_secs(5));
//! assert!(simulation.world().trace.drops().is_empty());
//! let outcome = simulation.finish();
//! assert_eq!(outcome.report.probes[2].received, 10);
//! # Ok::<(), sim_scenarios::Diagnostics>(())
//! ```

use std::sync::Arc;

use sim_core::time::Instant;
use sim_core::trace::ledger::{Balance, Breach};
use sim_core::world::{Verdict, World};

use crate::build::{self, Built, Reality};
use crate::diagnosis;
use crate::expect;
use crate::measure::Assumption;
use crate::observe::Observation;
use crate::plan::{Plan, ProfileUse};
use crate::report::model::{self, Expectation, Profile, ProfileSetting};
use crate::report::{self, Identity, Outcome, bgp_log, tunnel_log};
use crate::scenario::Scenario;
use crate::telemetry::{self, Meter, Telemetry};

/// A scenario's world, standing or in motion.
pub struct Simulation {
    plan: Arc<Plan>,
    built: Built,
    verdict: Verdict,
    meter: Meter,
}

impl Simulation {
    /// Builds the world and switches everything on. Time stands at the start.
    pub fn new(scenario: &Scenario) -> Self {
        Self::prepare(scenario, |_| {})
    }

    /// The same, but lets `before` add sinks or limits to the world before anything happens.
    pub fn prepare(scenario: &Scenario, before: impl FnOnce(&mut World)) -> Self {
        Self::prepare_with(scenario, &Reality::default(), before)
    }

    /// The same with places for those who are real: their packets come in by [`World::enter`], and packets for them are
    /// taken away by [`World::leave`].
    pub fn prepare_with(scenario: &Scenario, reality: &Reality, before: impl FnOnce(&mut World)) -> Self {
        Self::of_plan(Arc::clone(scenario.plan()), reality, before)
    }

    /// The same from a plan, perhaps another than any scenario text says: with other faults, for one.
    pub fn of_plan(plan: impl Into<Arc<Plan>>, reality: &Reality, before: impl FnOnce(&mut World)) -> Self {
        let plan = plan.into();
        let mut built = build::build_with(&plan, reality);
        // Who is real may go on for days: an account of all that would take memory without end.
        if cfg!(debug_assertions) && reality.devices.is_empty() && reality.hosts.is_empty() {
            built.world.trace.keep_ledger();
        }
        before(&mut built.world);
        built.world.start();
        let meter = Meter::of(&plan);
        Self { plan, built, verdict: Verdict::Reached, meter }
    }

    /// Whether the world came to rest as far as it was run.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Lets time pass until `at`, or the end of the scenario if that comes first.
    pub fn run_until(&mut self, at: Instant) -> Verdict {
        let at = at.min(self.end());
        while self.meter.due() <= at {
            self.verdict = self.built.world.run_until(self.meter.due());
            if self.verdict != Verdict::Reached {
                return self.verdict;
            }
            self.meter.read(&self.built.world);
        }
        self.verdict = self.built.world.run_until(at);
        self.verdict
    }

    /// The same as [`Self::run_until`], but leaves off after `most` events. False if it did: there is more to do until `at`.
    pub fn run_some(&mut self, at: Instant, most: u64) -> bool {
        let at = at.min(self.end());
        let pause = self.built.world.events().saturating_add(most);
        loop {
            let (due, world) = (self.meter.due(), &mut self.built.world);
            let Some(verdict) = world.run_some(due.min(at), pause.saturating_sub(world.events())) else { return false };
            self.verdict = verdict;
            if due > at || verdict != Verdict::Reached {
                return true;
            }
            self.meter.read(&self.built.world);
        }
    }

    /// Handles one event. False if none is left before the end of the scenario.
    pub fn step(&mut self) -> bool {
        let end = self.end();
        let next = self.built.world.next_event().unwrap_or(Instant::NEVER).min(end);
        while self.meter.due() < next {
            self.meter.read(&self.built.world);
        }
        self.built.world.step(end)
    }

    /// When the scenario ends.
    pub fn end(&self) -> Instant {
        build::end(&self.plan)
    }

    /// What the scenario came to.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.built.world
    }

    /// The world, to type commands into or to take sinks out of.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.built.world
    }

    /// The world with the places of what the plan names.
    pub fn built(&self) -> &Built {
        &self.built
    }

    /// What was observed so far.
    pub fn observe(&self) -> Observation<'_> {
        Observation::of(&self.plan, &self.built.world)
    }

    /// Runs to the end and answers.
    pub fn finish(mut self) -> Outcome {
        let end = self.end();
        self.run_until(end);
        self.answer()
    }

    /// Where all packets are, if the world keeps a ledger of them, as one of an unoptimised build does.
    ///
    /// # Panics
    /// If a packet came out of nothing, ended twice, or was swallowed: our own mistake.
    pub fn balance(&self) -> Option<Balance> {
        let world = &self.built.world;
        let balance = world.balance()?.unwrap_or_else(|breaches| {
            let told = |it: &Breach| format!("{:?} {:?} at {} {}", it.packet, it.what, it.at, world.node_name(it.node));
            let all: Vec<String> = breaches.iter().map(told).collect();
            panic!("packets are not conserved: {}", all.join("; "))
        });
        assert!(balance.is_even(), "packets are not conserved: {balance:?}");
        Some(balance)
    }

    /// The answer so far: a report with every expectation judged.
    pub fn answer(&self) -> Outcome {
        self.balance();
        let observation = self.observe();
        let identity = Identity {
            version: env!("CARGO_PKG_VERSION").into(),
            scenario: self.plan.name.clone(),
            seed: self.plan.seed,
            digest: self.built.world.trace.digest(),
        };
        let mut outcome = report::build(identity, &observation.observed, &observation);
        for choice in observation.choices() {
            let Assumption { parameter, value, source } = choice;
            let known = outcome.report.assumptions.iter().any(|known| known.parameter == parameter);
            if !known {
                outcome.report.assumptions.push(model::Assumption { parameter, value, source, range: None });
            }
        }
        outcome.detail.logs = tunnel_log::tunnel_logs(&self.plan, &self.built);
        outcome.detail.bgp_logs = bgp_log::bgp_logs(&self.plan, &self.built);
        outcome.detail.telemetry = telemetry::read(&self.plan, &self.built, &self.meter);
        outcome.report.alarms = alarms(&self.plan, &outcome.detail.telemetry);
        let (logs, bgp_logs) = (&outcome.detail.logs, &outcome.detail.bgp_logs);
        outcome.report.applications = report::flows::applications(&self.plan, &self.built.world);
        outcome.report.ecmp = report::flows::ecmp(&self.built.world, self.plan.nodes.len());
        outcome.report.misconfigurations = diagnosis::diagnose(&self.plan, &self.built, logs);
        outcome.report.profiles = self.plan.profiles.iter().map(profile).collect();
        outcome.report.expectations = expect::judge(
            &self.plan,
            &self.built,
            &observation,
            (logs, bgp_logs),
            &outcome.detail.telemetry,
            &outcome.report,
        );
        if let Verdict::Storm { events, at } = self.verdict {
            outcome.report.expectations.push(Expectation {
                name: "no_storm".into(),
                text: "the world comes to rest".into(),
                held: false,
                detail: format!("{events} events by {at}: some devices keep each other busy for ever"),
            });
        }
        outcome
    }
}

/// What the alarms did, as the report has it.
fn alarms(plan: &Plan, telemetry: &Telemetry) -> Vec<model::AlarmChange> {
    let mut all: Vec<model::AlarmChange> = Vec::new();
    for (alarm, changes) in plan.alarms.iter().zip(&telemetry.alarms) {
        all.extend(changes.iter().map(|change| model::AlarmChange {
            alarm: alarm.name.clone(),
            at_s: change.at.into(),
            from: change.from.word().into(),
            to: change.to.word().into(),
            reason: change.reason.clone(),
        }));
    }
    all.sort_by_key(|change| change.at_s);
    all
}

fn profile(used: &ProfileUse) -> Profile {
    let setting = |(parameter, value, source): &(String, String, &'static str)| ProfileSetting {
        parameter: parameter.clone(),
        value: value.clone(),
        source: (*source).to_owned(),
    };
    Profile {
        device: used.device.clone(),
        profile: used.profile.to_owned(),
        about: used.about.to_owned(),
        settings: used.settings.iter().map(setting).collect(),
    }
}
