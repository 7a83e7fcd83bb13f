//! What each failure does, from runs in which it happens.

use sim_core::id::NodeId;
use sim_core::time::Duration;

use super::{Availability, Design, Rate};
use crate::breakage::report::{Entry, ProbeEntry};
use crate::breakage::{self, Component, Window};

/// Failures begin at moments spread over so much time: the periods of keepalives, DPD and hold timers.
const SPREAD: Duration = Duration::from_secs(30);

/// How long one failure made the probe dark, in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Dark {
    /// Whether it waited for the repair.
    pub until_repair: bool,
    /// When the component failed; of no meaning if it waited for the repair.
    pub at_failure: f64,
    /// When it was repaired, and beyond.
    pub after_repair: f64,
    /// True if the run ended before it was back, so that this is a lower limit.
    pub at_least: bool,
}

impl Dark {
    fn of(probe: &ProbeEntry, left: Duration) -> Option<Self> {
        let minutes = |d: Duration| d.as_secs_f64() / 60.0;
        if probe.own_end {
            return None;
        }
        Some(match (probe.until_repair, probe.back_s) {
            (true, Some(back)) => Self { until_repair: true, after_repair: minutes(back.0), ..Self::default() },
            (true, None) => Self { until_repair: true, after_repair: minutes(left), at_least: true, ..Self::default() },
            (false, _) => Self {
                at_failure: minutes(probe.outage_s.0),
                after_repair: minutes(probe.after_repair_s.0),
                ..Self::default()
            },
        })
    }

    /// How long it is dark if the repair takes so long, in minutes.
    pub fn of_repair(&self, repair: f64) -> f64 {
        if self.until_repair {
            return repair + self.after_repair;
        }
        repair.min(self.at_failure) + if repair > self.at_failure { self.after_repair } else { 0.0 }
    }
}

/// What the failure of a component does.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The component.
    pub component: Component,
    /// How often it fails.
    pub rate: Rate,
    /// What the probe went through, in each run.
    pub dark: Vec<Dark>,
}

impl Effect {
    /// Whether the probe waited for the repair, in any run.
    pub fn waits(&self) -> bool {
        self.dark.iter().any(|dark| dark.until_repair)
    }
}

/// What the failure of two components at once does that neither does alone: the probe waits for a repair.
#[derive(Clone, Debug)]
pub struct PairEffect {
    /// Indices into [`Measured::effects`].
    pub of: (usize, usize),
    /// How long after the repair the probe was back, in minutes.
    pub back: f64,
}

/// What was measured of a design.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Components with a rate.
    pub effects: Vec<Effect>,
    /// Pairs without a spare, if they were asked for.
    pub pairs: Vec<PairEffect>,
    /// Components without a rate, which never fail here: kind and name.
    pub without_rate: Vec<(String, String)>,
    /// Components that take an end of the probe itself, so that they say nothing of the network: kind and name.
    pub own_ends: Vec<(String, String)>,
    /// True if the probe is dark without any failure, too.
    pub restless: bool,
}

/// Lets every component that has a rate fail, and each two if pairs are asked for.
pub fn measure(question: &Availability, design: &Design, threads: usize) -> Measured {
    let plan = design.scenario.plan();
    let all = breakage::components(plan);
    let rate = |component: &Component| {
        let by = |key: &str| question.rates.iter().find(|(name, _)| name == key).map(|(_, rate)| rate.clone());
        by(&component.name).or_else(|| by(component.kind))
    };
    let mut measured = Measured::default();
    let named = |component: &Component| (component.kind.replace('_', " "), component.name.clone());
    let mut effects: Vec<Effect> = Vec::new();
    for component in &all {
        match rate(component) {
            Some(rate) => effects.push(Effect { component: component.clone(), rate, dark: Vec::new() }),
            None => measured.without_rate.push(named(component)),
        }
    }
    let runs = question.runs.max(1);
    for run in 0..runs {
        let mut plan = (**plan).clone();
        plan.seed = plan.seed.wrapping_add(run);
        let middle = Window::of(&plan);
        let later = SPREAD.scale(run, runs);
        let window = Window { strike: middle.strike + later, heal: middle.heal + later };
        let left = plan.duration.saturating_sub(window.heal.since_start());
        let sets: Vec<Vec<&Component>> = effects.iter().map(|effect| vec![&effect.component]).collect();
        let (untouched, entries) = breakage::each(&plan, &sets, window, threads);
        measured.restless |= probe(&untouched, design).is_some_and(|probe| !probe.outage_s.0.is_zero());
        for (effect, entry) in effects.iter_mut().zip(&entries) {
            effect.dark.extend(probe(entry, design).and_then(|probe| Dark::of(probe, left)));
        }
        if question.pairs && run == 0 {
            measured.pairs = pairs(&effects, |sets| {
                let entries = breakage::each(&plan, sets, window, threads).1;
                entries.iter().map(|entry| probe(entry, design).and_then(|probe| Dark::of(probe, left))).collect()
            });
        }
    }
    // Those of which nothing can be said go last of all, because pairs point at the others.
    for effect in &effects {
        if effect.dark.is_empty() {
            measured.own_ends.push(named(&effect.component));
        }
    }
    measured.effects = effects;
    measured
}

fn probe<'a>(entry: &'a Entry, design: &Design) -> Option<&'a ProbeEntry> {
    entry.probes.get(design.probe)
}

/// Breaks each two that the probe survives alone and that do not hold each other.
fn pairs(effects: &[Effect], broken: impl Fn(&[Vec<&Component>]) -> Vec<Option<Dark>>) -> Vec<PairEffect> {
    let spared = |number: usize| !effects[number].dark.is_empty() && !effects[number].waits();
    let holds = |a: usize, b: usize| {
        let (a, b): (&[NodeId], &[NodeId]) = (&effects[a].component.nodes, &effects[b].component.nodes);
        a.iter().any(|node| b.contains(node))
    };
    let sets: Vec<(usize, usize)> = (0..effects.len())
        .filter(|one| spared(*one))
        .flat_map(|one| (one + 1..effects.len()).map(move |other| (one, other)))
        .filter(|(one, other)| spared(*other) && !holds(*one, *other))
        .collect();
    let components: Vec<Vec<&Component>> =
        sets.iter().map(|(one, other)| vec![&effects[*one].component, &effects[*other].component]).collect();
    let dark = broken(&components);
    let waiting =
        sets.into_iter().zip(dark).filter_map(|(of, dark)| Some((of, dark.filter(|dark| dark.until_repair)?)));
    waiting.map(|(of, dark)| PairEffect { of, back: dark.after_repair }).collect()
}
