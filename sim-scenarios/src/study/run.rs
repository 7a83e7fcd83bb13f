//! One run of a study, and many on several threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sim_core::world::Verdict;

use super::metric::Finished;
use super::results::{Row, Value};
use super::traffic::Traffic;
use super::{Study, Variant, draw, make};
use crate::build::Reality;
use crate::diagnostic::Diagnostics;
use crate::plan::Plan;
use crate::report::model::Seconds;
use crate::run::Simulation;
use crate::schema::Scenario;
use crate::source::Source;
use crate::{copies, pool, read, set};

/// So many points are kept ready: threads work on neighbours.
const KEPT: usize = 32;

/// The scenario of a point, read; or why it cannot be.
pub(super) type Prepared = Arc<Result<(Source, Scenario), String>>;

impl Study {
    /// Does a run. It never fails: what goes wrong stands in the row.
    pub fn run(&self, run: u64) -> Row {
        let (point, replicate) = (run / self.runs, run % self.runs);
        let seed = draw::seed(self.seed, replicate);
        let drawn = self.draws.iter().map(|it| it.distribution.draw(draw::number(self.seed, &it.name, replicate)));
        let (written, shown): (Vec<String>, Vec<Value>) = drawn.unzip();
        let changes = self.draws.iter().zip(&written).flat_map(|(it, value)| it.changes(value)).collect::<Vec<_>>();
        // Nothing that the work touched is used after a panic: the points that are kept ready are only read.
        let measured = catch_unwind(AssertUnwindSafe(|| self.measure(point, seed, &changes)));
        let measured =
            measured.unwrap_or_else(|panic| Err(format!("vpnsim found a bug in itself: {}", words(&*panic))));
        let (digest, failure, metrics) = match measured {
            Ok((digest, metrics)) => (Some(digest), None, metrics),
            Err(failure) => (None, Some(failure), vec![None; self.metrics.len()]),
        };
        let point = self.point(point).into_iter().chain(shown).collect();
        Row { run, point, seed, digest, failure, metrics }
    }

    fn measure(&self, point: u64, seed: u64, changes: &[String]) -> Result<(String, Vec<Option<f64>>), String> {
        let (variant, _) = self.combination(point);
        let plan = self.plan(point, variant, seed, changes)?;
        let traffic = Traffic::default();
        let watched = self.metrics.iter().any(|metric| metric.kind.counts_traffic());
        let mut simulation = Simulation::of_plan(plan, &Reality::default(), |world| {
            if watched {
                world.trace.add_sink(Box::new(traffic.clone()));
            }
        });
        if let Verdict::Storm { events, at } = simulation.run_until(simulation.end()) {
            let at = Seconds::from(at);
            return Err(format!("{events} events by {at}: some devices keep each other busy for ever"));
        }
        let finished = Finished::of(&simulation, &traffic, &self.metrics);
        let metrics = self.metrics.iter().map(|metric| finished.measure(&metric.kind)).collect();
        Ok((format!("{:032x}", simulation.world().trace.digest()), metrics))
    }

    /// The plan of a run. Without draws the text of its point has been read before, and only its seed is new.
    fn plan(&self, point: u64, variant: &Variant, seed: u64, changes: &[String]) -> Result<Plan, String> {
        let prepared = self.prepared(point);
        let (source, schema) = (*prepared).as_ref().map_err(Clone::clone)?;
        let secrets = &*variant.secrets;
        let judged = if changes.is_empty() {
            crate::make::make_seeded(schema, Some(seed), source, secrets)
        } else {
            let mut changed = source.clone();
            for change in changes {
                set::apply(&mut changed, change).map_err(|mistake| first(&mistake.into()))?;
            }
            let changed = copies::made(changed).map_err(|mistake| first(&mistake.into()))?;
            let schema = read::read(&changed).map_err(|mistake| first(&mistake.into()))?;
            crate::make::make_seeded(&schema, Some(seed), &changed, secrets)
        };
        judged.map_err(|mistakes| first(&mistakes))
    }

    fn prepared(&self, point: u64) -> Prepared {
        let known = |kept: &[(u64, Prepared)]| kept.iter().find(|(of, _)| *of == point).map(|(_, it)| Arc::clone(it));
        let lock = || self.prepared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(prepared) = known(&lock()) {
            return prepared;
        }
        // Two threads may do this at once, and find the same.
        let (variant, levels) = self.combination(point);
        let changes = levels.iter().flat_map(|level| &level.changes);
        let prepared: Prepared = Arc::new(prepare(variant, changes));
        let mut kept = lock();
        if let Some(prepared) = known(&kept) {
            return prepared;
        }
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((point, Arc::clone(&prepared)));
        prepared
    }
}

fn prepare<'c>(variant: &Variant, changes: impl Iterator<Item = &'c String>) -> Result<(Source, Scenario), String> {
    let mut source = variant.scenario.source().clone();
    for change in changes {
        set::apply(&mut source, change).map_err(|mistake| first(&mistake.into()))?;
    }
    let source = copies::made(source).map_err(|mistake| first(&mistake.into()))?;
    let schema = read::read(&source).map_err(|mistake| first(&mistake.into()))?;
    Ok((source, schema))
}

/// The first mistake in one line.
fn first(mistakes: &Diagnostics) -> String {
    let Some(mistake) = mistakes.iter().next() else { return String::new() };
    let place = mistake.text.get(mistake.span.clone()).and_then(|text| text.lines().next()).unwrap_or_default();
    let place = if place.is_empty() { String::new() } else { format!(" at `{}`", make::shown(place)) };
    format!("the scenario is wrong{place}: {}", mistake.message)
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Does runs on so many threads, and hands over each as soon as it is done. When `record` says false, no further run begins.
pub fn carry_out(study: &Study, runs: &[u64], threads: usize, mut record: impl FnMut(Row) -> bool) {
    let go_on = AtomicBool::new(true);
    let work = |n: usize| go_on.load(Ordering::Relaxed).then(|| study.run(runs[n]));
    pool::each(threads, runs.len(), work, |_, row| {
        if let Some(row) = row
            && !record(row)
        {
            go_on.store(false, Ordering::Relaxed);
        }
    });
}
