//! From the text of a study to a [`Study`]: everything that is wrong with it at once.
//!
//! A change that works nowhere is a mistake of the study and found here: each is tried by itself on each variant. What does not work
//! in combination with others only is a failed run.

use std::collections::BTreeSet;
use std::sync::Mutex;

use twox_hash::XxHash3_128;

use super::draw::{Distribution, Quantities, Shape};
use super::metric::{Kind, Metric, Stream, cause};
use super::quantity::{self, Quantity, Setting};
use super::results::Value;
use super::schema;
use super::word::{Extent, Quantile, Sessions};
use super::{Axis, Level, Library, Parameter, Stop, Study, Variant, word};
use crate::diagnostic::{Diagnostics, proposal};
use crate::leaf::{Count, Name, Percent, Text};
use crate::make::judge::{Judge, between};
use crate::place::{At, Named, Place};
use crate::plan::{Judged, Plan, ProbeKind};
use crate::scenario::{NoSecrets, Scenario};
use crate::source::{Source, blot};
use crate::{read, set};

/// Columns of a table of runs that no parameter or metric may be called.
const COLUMNS: [&str; 5] = ["run", "seed", "digest", "failure", "variant"];
/// The most runs of a study: run numbers stay exact in tables, and lists of them in memory.
const MOST: u64 = 10_000_000;

pub(super) fn parse(file: &str, text: &str, library: &dyn Library) -> Result<Study, Diagnostics> {
    let source = Source::new(file, text);
    let schema: schema::Study = read::read(&source)?;
    let mut judge = Judge::new(&source, &NoSecrets);
    let study = Maker { schema: &schema, source: &source, library, j: &mut judge }.study();
    judge.verdict()?;
    Ok(study)
}

struct Maker<'m, 'j> {
    schema: &'m schema::Study,
    source: &'m Source,
    library: &'m dyn Library,
    j: &'m mut Judge<'j>,
}

impl Maker<'_, '_> {
    fn study(mut self) -> Study {
        let schema = self.schema;
        self.j.lawful(&schema.version, |version| match version {
            1 => Ok(()),
            other => Err(format!("this program reads version 1 of the study language, not {other}")),
        });
        let variants = self.variants();
        let axes = self.axes();
        let draws = self.draws();
        self.columns();
        self.try_changes(&variants, &axes, &draws);
        let metrics = self.metrics(&variants);
        let runs = self.j.lawful(&schema.runs, |n| between(*n, 1, MOST, "the number of runs")).unwrap_or(1);
        let combinations = axes.iter().map(|axis| axis.levels.len() as u64);
        let points = combinations.fold(variants.len() as u64, u64::saturating_mul);
        if points.saturating_mul(runs) > MOST {
            let message = format!("{points} points with {runs} runs each are more than {MOST}");
            self.j.wrong(schema.runs.place, message, None);
        }
        let stop = self.stop(runs);
        Study {
            name: self.j.need(&schema.name, String::new()),
            question: self.j.need(&schema.question, String::new()),
            identity: identity(self.source.text(), &variants),
            text: self.source.shown(),
            named: !schema.variants.0.is_empty(),
            variants,
            axes,
            draws,
            runs,
            seed: self.j.or(&schema.seed, 1),
            metrics,
            stop,
            prepared: Mutex::default(),
        }
    }

    fn texts(&mut self, list: &[At<Text>]) -> Vec<(Place, String)> {
        list.iter().filter_map(|at| Some((at.place, self.j.read(at)?))).collect()
    }

    fn variants(&mut self) -> Vec<Variant> {
        let schema = self.schema;
        let names = self.j.names(&schema.variants, "variant");
        let everywhere = self.texts(&schema.set);
        if schema.variants.0.is_empty() {
            let Some(file) = &schema.scenario else {
                let help = "add `scenario: \"FILE.ron\",` or variants that have one each";
                self.j.wrong(schema.name.place, "this study has no scenario", Some(help.into()));
                return Vec::new();
            };
            return self.variant("", file, &everywhere).into_iter().collect();
        }
        let mut variants = Vec::new();
        for (name, (at, variant)) in names.iter().zip(&schema.variants.0) {
            let Some(file) = variant.scenario.as_ref().or(schema.scenario.as_ref()) else {
                let help = "add `scenario: \"FILE.ron\",` to it or to the study";
                self.j.wrong(at.place, format!("variant `{name}` has no scenario"), Some(help.into()));
                continue;
            };
            let mut changes = everywhere.clone();
            changes.extend(self.texts(&variant.set));
            variants.extend(self.variant(name, file, &changes));
        }
        variants
    }

    fn variant(&mut self, name: &str, file: &At<Text>, changes: &[(Place, String)]) -> Option<Variant> {
        let path = self.j.read(file)?;
        let (shown, text) = match self.library.scenario(&path) {
            Ok(found) => found,
            Err(why) => {
                self.j.wrong(file.place, format!("cannot read the scenario {path}: {why}"), None);
                return None;
            }
        };
        let secrets = self.library.secrets(&path);
        let mut scenario = match Scenario::parse(&shown, &text, &*secrets) {
            Ok(scenario) => scenario,
            Err(mistakes) => {
                let first = mistakes.iter().next().map(|it| format!("line {}: {}", it.line, it.message));
                let message = format!("the scenario {path} has mistakes: {}", first.unwrap_or_default());
                self.j.wrong(file.place, message, Some(format!("`vpnsim check {shown}` shows them all")));
                return None;
            }
        };
        // All at once: one may be what makes sense of another.
        let all: Vec<&str> = changes.iter().map(|(_, change)| change.as_str()).collect();
        match scenario.with(&all, &*secrets) {
            Ok(changed) => scenario = changed,
            Err(mistakes) => {
                for mistake in mistakes.iter() {
                    let own = changes.iter().find(|(_, change)| *blot(change) == *mistake.text);
                    if let Some((place, _)) = own.or(changes.first()) {
                        self.useless(*place, &mistake.clone().into());
                    }
                }
            }
        }
        Some(Variant { name: name.to_owned(), file: path, text, scenario, secrets })
    }

    /// Says of a change that it does not work.
    fn useless(&mut self, place: Place, mistakes: &Diagnostics) {
        if let Some(mistake) = mistakes.iter().next() {
            let message = format!("this change does not work: {}", mistake.message);
            self.j.wrong(place, message, mistake.help.clone());
        }
    }

    fn axes(&mut self) -> Vec<Axis> {
        let names = self.j.names(&self.schema.grid, "parameter");
        let mut axes = Vec::new();
        for (name, (at, axis)) in names.into_iter().zip(&self.schema.grid.0) {
            let (levels, unit) = match axis {
                schema::Axis::Values(it) => self.values(at.place, &it.paths, &it.values),
                schema::Axis::Levels(levels) => (self.levels(levels), None),
            };
            if levels.is_empty() {
                self.j.wrong(at.place, format!("`{name}` has no values"), None);
            }
            axes.push(Axis { name, levels, unit });
        }
        axes
    }

    fn values(
        &mut self,
        place: Place,
        paths: &[At<Text>],
        values: &[At<Setting>],
    ) -> (Vec<Level>, Option<quantity::Unit>) {
        let paths = self.paths(place, paths);
        let places: Vec<Place> = paths.iter().map(|(place, _)| *place).collect();
        let values: Vec<(Place, Setting)> = values.iter().filter_map(|at| Some((at.place, self.j.read(at)?))).collect();
        let settings: Vec<Setting> = values.iter().map(|(_, setting)| setting.clone()).collect();
        for (n, (place, setting)) in values.iter().enumerate() {
            if settings[..n].contains(setting) {
                self.j.wrong(*place, "this value stands twice", None);
            }
        }
        let (shown, unit) = quantity::column(&settings);
        let level = |((place, setting), value): ((Place, Setting), Value)| Level {
            place,
            value,
            changes: paths.iter().map(|(_, path)| format!("{path}={}", setting.0)).collect(),
            places: places.clone(),
        };
        (values.into_iter().zip(shown).map(level).collect(), unit)
    }

    fn levels(&mut self, levels: &Named<Vec<At<Text>>>) -> Vec<Level> {
        let names = self.j.names(levels, "level");
        let mut found = Vec::new();
        for (name, (at, changes)) in names.into_iter().zip(&levels.0) {
            let (places, changes) = self.texts(changes).into_iter().unzip();
            found.push(Level { place: at.place, value: Value::Text(name), changes, places });
        }
        found
    }

    /// The paths of a parameter; at least one. A key is none: its values would stand in tables.
    fn paths(&mut self, place: Place, paths: &[At<Text>]) -> Vec<(Place, String)> {
        if paths.is_empty() {
            self.j.wrong(place, "this parameter sets nothing", Some("`paths` names what it sets".into()));
        }
        let rule = |path: &String| {
            if path.contains('=') {
                return Err("expected a path without a value".into());
            }
            match path.rsplit('.').next() {
                Some("pre_shared_key" | "md5_key") => Err("the values of a key would stand in the results".into()),
                _ => Ok(()),
            }
        };
        paths.iter().filter_map(|at| Some((at.place, self.j.lawful(at, rule)?))).collect()
    }

    fn draws(&mut self) -> Vec<Parameter> {
        let names = self.j.names(&self.schema.draw, "parameter");
        let mut draws = Vec::new();
        for (name, (at, draw)) in names.into_iter().zip(&self.schema.draw.0) {
            let (paths, distribution) = match draw {
                schema::Draw::Uniform(it) => (&it.paths, self.between(it, false)),
                schema::Draw::LogUniform(it) => (&it.paths, self.between(it, true)),
                schema::Draw::Normal(it) => (&it.paths, self.normal(it)),
                schema::Draw::Exponential(it) => (&it.paths, self.exponential(it)),
                schema::Draw::Choice(it) => (&it.paths, self.choice(at.place, it)),
            };
            let paths = self.paths(at.place, paths).into_iter().map(|(_, path)| path).collect();
            draws.extend(distribution.map(|distribution| Parameter { place: at.place, name, paths, distribution }));
        }
        draws
    }

    /// A quantity in the unit of the one that stands first.
    fn alike(&mut self, at: &At<Quantity>, first: Quantity) -> Option<u64> {
        let found = self.j.read(at)?;
        if found.unit != first.unit {
            self.j.wrong(at.place, format!("{found} is of another kind than {first}"), None);
            return None;
        }
        Some(found.number)
    }

    /// A range of quantities from `min` to `max`, whichever are given, of the unit of the first.
    fn range(
        &mut self,
        first: Quantity,
        min: Option<&At<Quantity>>,
        max: Option<&At<Quantity>>,
        step: Option<&At<Quantity>>,
        shape: Shape,
    ) -> Option<Distribution> {
        let low = min.map_or(Some(0), |at| self.alike(at, first));
        let high = max.map_or(Some(u64::MAX >> 1), |at| self.alike(at, first));
        let step_size = step.map_or(Some(1), |at| self.alike(at, first));
        let (low, high, step_size) = (low?, high?, step_size?);
        if let Some(at) = max.or(min)
            && low >= high
        {
            self.j.wrong(at.place, "the range ends before it begins", None);
            return None;
        }
        if let Some(at) = step
            && (step_size == 0 || step_size > high - low)
        {
            self.j.wrong(at.place, "a step is more than nothing and less than the range", None);
            return None;
        }
        Some(Distribution::Quantity(Quantities { unit: first.unit, min: low, max: high, step: step_size, shape }))
    }

    fn between(&mut self, it: &schema::Between, logarithmic: bool) -> Option<Distribution> {
        let first = self.j.read(&it.min)?;
        if logarithmic && first.number == 0 {
            self.j.wrong(it.min.place, "no ratio begins at zero", None);
        }
        let shape = if logarithmic { Shape::LogUniform } else { Shape::Uniform };
        self.range(first, Some(&it.min), Some(&it.max), it.step.as_ref(), shape)
    }

    fn normal(&mut self, it: &schema::Normal) -> Option<Distribution> {
        let mean = self.j.read(&it.mean)?;
        let deviation = self.alike(&it.deviation, mean)?;
        if deviation == 0 {
            self.j.wrong(it.deviation.place, "without a deviation nothing is drawn", None);
            return None;
        }
        let shape = Shape::Normal { mean: mean.number as f64, deviation: deviation as f64 };
        self.range(mean, it.min.as_ref(), it.max.as_ref(), it.step.as_ref(), shape)
    }

    fn exponential(&mut self, it: &schema::Exponential) -> Option<Distribution> {
        let mean = self.j.read(&it.mean)?;
        if mean.number == 0 {
            self.j.wrong(it.mean.place, "with the mean 0 nothing is drawn", None);
            return None;
        }
        let shape = Shape::Exponential { mean: mean.number as f64 };
        self.range(mean, it.min.as_ref(), it.max.as_ref(), it.step.as_ref(), shape)
    }

    fn choice(&mut self, place: Place, it: &schema::Choice) -> Option<Distribution> {
        let of: Vec<Setting> = it.of.iter().filter_map(|at| self.j.read(at)).collect();
        let weights: Vec<Count> = match &it.weights {
            None => vec![1; of.len()],
            Some(weights) => weights.iter().filter_map(|at| self.j.read(at)).collect(),
        };
        if it.of.is_empty() {
            self.j.wrong(place, "there is nothing to choose from", None);
        } else if weights.len() != of.len() {
            let message = format!("{} weights stand beside {} values", weights.len(), of.len());
            self.j.wrong(place, message, None);
        } else if weights.iter().all(|weight| *weight == 0) {
            self.j.wrong(place, "all weights are zero", None);
        } else {
            let (shown, unit) = quantity::column(&of);
            return Some(Distribution::Choice { of, shown, unit, weights });
        }
        None
    }

    /// Columns have names of their own.
    fn columns(&mut self) {
        let schema = self.schema;
        let mut seen: BTreeSet<String> = COLUMNS.into_iter().map(str::to_owned).collect();
        let grid = schema.grid.0.iter().map(|(at, _)| at);
        let draw = schema.draw.0.iter().map(|(at, _)| at);
        let metrics = schema.metrics.0.iter().map(|(at, _)| at);
        let mut of_each = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        let all = grid.map(|at| (0, at)).chain(draw.map(|at| (1, at))).chain(metrics.map(|at| (2, at)));
        for (list, at) in all {
            // Those that stand twice in one list have been told so.
            let Ok(Name(name)) = &at.value else { continue };
            if of_each[list].insert(name.clone()) && !seen.insert(name.clone()) {
                self.j.wrong(at.place, format!("`{name}` is the name of another column of the results"), None);
            }
        }
    }

    /// Tries each parameter by itself on each variant: if no value of it works, it is a mistake.
    fn try_changes(&mut self, variants: &[Variant], axes: &[Axis], draws: &[Parameter]) {
        for variant in variants {
            let try_it = |changes: &[String]| variant.scenario.with(changes, &*variant.secrets).map(|_| ());
            for axis in axes {
                // A path that leads nowhere is wrong whatever stands behind it.
                let mut lost = false;
                for level in &axis.levels {
                    let mut source = variant.scenario.source().clone();
                    for (change, place) in level.changes.iter().zip(&level.places) {
                        if let Err(mistake) = set::apply(&mut source, change) {
                            self.useless(*place, &mistake.into());
                            lost = true;
                        }
                    }
                }
                if lost {
                    continue;
                }
                let mut tried = axis.levels.iter().map(|level| (level, try_it(&level.changes)));
                if let Some((first, Err(mistakes))) = tried.next()
                    && tried.all(|(_, tried)| tried.is_err())
                {
                    self.useless(first.place, &mistakes);
                }
            }
            for draw in draws {
                let quantiles = [u64::MAX / 2, 0, u64::MAX];
                let tried = quantiles.map(|number| try_it(&draw.changes(&draw.distribution.draw(number).0)));
                if tried.iter().all(Result::is_err)
                    && let [Err(mistakes), ..] = &tried
                {
                    self.useless(draw.place, mistakes);
                }
            }
        }
    }

    fn stop(&mut self, runs: u64) -> Option<Stop> {
        let it = self.schema.stop.as_ref()?;
        let written = self.schema.metrics.0.iter().map(|(at, _)| at.value.as_ref().ok());
        let names: Vec<String> = written.map(|name| name.map(|name| name.0.clone()).unwrap_or_default()).collect();
        let metric = self.j.find(&it.metric, "metric", &names);
        let half_width = self
            .j
            .lawful(&it.half_width, |width| if width.0 > 0.0 { Ok(()) } else { Err("an interval has a width".into()) });
        let confidence = self.j.lawful_or(&it.confidence, Percent(950_000_000), |share| {
            if (1..1_000_000_000).contains(&share.0) {
                Ok(())
            } else {
                Err("a confidence is more than \"0%\" and less than \"100%\"".into())
            }
        });
        let min_runs: u64 = self.j.number(&it.min_runs, runs.clamp(2, 20), 2, MOST, "the number of runs");
        let batch: u64 = self.j.number(&it.batch, min_runs, 1, MOST, "the number of runs");
        Some(Stop {
            metric: metric?,
            half_width: half_width?.0,
            confidence: confidence.0 as f64 / 1e9,
            min_runs,
            batch,
        })
    }

    fn metrics(&mut self, variants: &[Variant]) -> Vec<Metric> {
        let schema = self.schema;
        let names = self.j.names(&schema.metrics, "metric");
        if names.is_empty() {
            let help = "for example metrics: { \"dark\": Outage(probe: \"app\") }";
            self.j.wrong(schema.name.place, "this study measures nothing", Some(help.into()));
        }
        let mut metrics = Vec::new();
        for (name, (_, metric)) in names.into_iter().zip(&schema.metrics.0) {
            let known = Known { variants, j: &mut *self.j };
            metrics.extend(known.metric(metric).map(|kind| Metric { name, kind, censored_by: None }));
        }
        // What counts to the end of the run is accompanied by whether it did.
        for number in 0..metrics.len() {
            let kind = match &metrics[number].kind {
                Kind::Outage { stream, fault, .. } => Kind::DarkAtEnd { stream: stream.clone(), fault: fault.clone() },
                Kind::MinutesDark(stream) => Kind::DarkAtEnd { stream: stream.clone(), fault: None },
                _ => continue,
            };
            let name = format!("{}_dark_at_end", metrics[number].name);
            metrics[number].censored_by = Some(metrics.len());
            metrics.push(Metric { name, kind, censored_by: None });
        }
        metrics
    }
}

/// What names mean in every variant.
struct Known<'k, 'j> {
    variants: &'k [Variant],
    j: &'k mut Judge<'j>,
}

impl Known<'_, '_> {
    fn metric(mut self, schema: &schema::Metric) -> Option<Kind> {
        Some(match schema {
            schema::Metric::Outage(it) => {
                let stream = self.stream(&it.probe, it.direction.as_ref());
                let fault = self.optional(it.fault.as_ref(), Self::cause);
                Kind::Outage { stream: stream?, fault: fault?, of: self.j.or(&it.of, Extent::Longest) }
            }
            schema::Metric::MinutesDark(it) => Kind::MinutesDark(self.stream(&it.probe, it.direction.as_ref())?),
            schema::Metric::LostProbes(it) => Kind::LostProbes(self.stream(&it.probe, it.direction.as_ref())?),
            schema::Metric::LossShare(it) => Kind::LossShare(self.stream(&it.probe, it.direction.as_ref())?),
            schema::Metric::RoundTripTime(it) => {
                let quantile = self.j.or(&it.quantile, Quantile::P50);
                let probe = self.probe(&it.probe)?;
                self.answered(&it.probe, &probe);
                Kind::RoundTripTime { probe, quantile }
            }
            schema::Metric::Drops(it) => {
                let node = self.optional(it.node.as_ref(), Self::node);
                let link = self.optional(it.link.as_ref(), Self::link);
                let reason = match &it.reason {
                    None => None,
                    Some(at) => Some(self.j.read(at)?),
                };
                Kind::Drops { reason, node: node?, link: link? }
            }
            schema::Metric::Detection(it) => {
                let fault =
                    self.name(&it.fault, "fault", |plan| plan.faults.iter().map(|it| it.name.as_str()).collect());
                let node = self.optional(it.node.as_ref(), Self::node);
                Kind::Detection { fault: fault?, node: node? }
            }
            schema::Metric::Convergence(it) => Kind::Convergence { fault: self.cause(&it.fault)? },
            schema::Metric::FalseFailovers(it) => Kind::FalseFailovers(self.j.or(&it.of, Sessions::Any)),
            schema::Metric::UnprovokedRouteChanges(it) => {
                let after = self.j.read(&it.after);
                let node = self.optional(it.node.as_ref(), Self::node);
                Kind::UnprovokedRouteChanges { node: node?, after: after? }
            }
            schema::Metric::ControlTraffic(it) => Kind::ControlTraffic {
                of: self.j.or(&it.of, Sessions::Any),
                count: self.j.or(&it.count, word::Count::Packets),
            },
            schema::Metric::Goodput(it) => Kind::Goodput(self.application(&it.application)?),
            schema::Metric::ApplicationFailures(it) => Kind::ApplicationFailures(self.application(&it.application)?),
            schema::Metric::ApplicationOutage(it) => Kind::ApplicationOutage(self.application(&it.application)?),
            schema::Metric::Held(it) => Kind::Held(self.optional(it.expectation.as_ref(), Self::expectation)?),
        })
    }

    /// `None` if it is given and wrong.
    fn optional(
        &mut self,
        at: Option<&At<Name>>,
        find: impl Fn(&mut Self, &At<Name>) -> Option<String>,
    ) -> Option<Option<String>> {
        match at {
            None => Some(None),
            Some(at) => find(self, at).map(Some),
        }
    }

    /// A name that every variant has.
    fn name(&mut self, at: &At<Name>, what: &str, names: impl Fn(&Plan) -> Vec<&str>) -> Option<String> {
        let Name(name) = self.j.read(at)?;
        for variant in self.variants {
            let known = names(variant.scenario.plan());
            if !known.contains(&name.as_str()) {
                let place =
                    if variant.name.is_empty() { String::new() } else { format!(" in variant `{}`", variant.name) };
                self.j.wrong(at.place, format!("no {what} is called `{name}`{place}"), proposal(&name, &known));
                return None;
            }
        }
        Some(name)
    }

    fn probe(&mut self, at: &At<Name>) -> Option<String> {
        self.name(at, "probe", |plan| plan.probes.iter().map(|it| it.name.as_str()).collect())
    }

    fn node(&mut self, at: &At<Name>) -> Option<String> {
        self.name(at, "device or tunnel endpoint", |plan| plan.nodes.iter().map(|it| it.name.as_str()).collect())
    }

    fn link(&mut self, at: &At<Name>) -> Option<String> {
        self.name(at, "link", |plan| plan.links.iter().map(|it| it.name.as_str()).collect())
    }

    fn application(&mut self, at: &At<Name>) -> Option<String> {
        self.name(at, "application", |plan| plan.applications.iter().map(|it| it.name.as_str()).collect())
    }

    fn expectation(&mut self, at: &At<Name>) -> Option<String> {
        self.name(at, "expectation", |plan| plan.expectations.iter().map(|it| it.name.as_str()).collect())
    }

    /// A fault, or its healing as `FAULT.heal`.
    fn cause(&mut self, at: &At<Name>) -> Option<String> {
        let Name(name) = self.j.read(at)?;
        if self.variants.iter().all(|variant| cause(variant.scenario.plan(), &name).is_some()) {
            return Some(name);
        }
        self.name(at, "fault", |plan| plan.faults.iter().map(|it| it.name.as_str()).collect())
    }

    fn stream(&mut self, probe: &At<Name>, direction: Option<&At<Judged>>) -> Option<Stream> {
        let name = self.probe(probe)?;
        let direction = match direction {
            None => None,
            Some(at) => {
                let direction = self.j.read(at)?;
                if direction != Judged::Forward {
                    let place = At { place: at.place, value: probe.value.clone() };
                    self.answered(&place, &name);
                }
                Some(direction)
            }
        };
        Some(Stream { probe: name, direction })
    }

    /// Only of a probe that is answered something comes back.
    fn answered(&mut self, at: &At<Name>, name: &str) {
        let one_way = |variant: &Variant| {
            let mut probes = variant.scenario.plan().probes.iter();
            probes.any(|probe| probe.name == name && probe.kind == ProbeKind::UdpOneWay)
        };
        if self.variants.iter().any(one_way) {
            self.j.wrong(at.place, "this probe is one-way: nothing of it comes back", None);
        }
    }
}

/// Digest of all that the results depend on: this program's version, the study, and the scenarios that it names.
fn identity(text: &str, variants: &[Variant]) -> u128 {
    let mut hash = XxHash3_128::new();
    let parts = variants.iter().flat_map(|variant| [variant.file.as_str(), variant.text.as_str()]);
    for part in [env!("CARGO_PKG_VERSION"), text].into_iter().chain(parts) {
        hash.write(&(part.len() as u64).to_le_bytes());
        hash.write(part.as_bytes());
    }
    hash.finish_128()
}

impl Parameter {
    /// The changes that set it.
    pub(super) fn changes(&self, value: &str) -> Vec<String> {
        self.paths.iter().map(|path| format!("{path}={value}")).collect()
    }
}

/// A change as it may be shown.
pub(super) fn shown(change: &str) -> String {
    blot(change).to_string()
}
