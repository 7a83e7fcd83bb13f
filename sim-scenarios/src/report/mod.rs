//! From what was observed to what is said: the [`Report`] and the forms in which people and programs read it.
//!
//! [`build`] measures a run once. Everything after that is a rendering: [`text`] for a terminal, [`markdown`] for a
//! repository, [`timeline`] as a picture, [`html`] as a page with all of it, and the model itself as JSON. Text, Markdown
//! and the page share one [`story`], so they cannot disagree.

pub mod bgp_log;
pub mod events;
pub mod explain;
pub(crate) mod flows;
pub mod html;
mod lanes;
pub mod log;
pub mod markdown;
pub mod model;
pub mod route_story;
pub mod session_story;
pub mod story;
pub mod text;
pub mod timeline;
pub mod tunnel_log;

#[cfg(test)]
pub(crate) mod fixture;

use sim_core::time::Instant;

use crate::measure::delay::{self, Quantiles, Tally};
use crate::measure::outage::{self, Direction, Fate, StreamLog};
use crate::measure::{self, Causes, FaultIndex, FaultLog, Observed, SessionLog};
use crate::telemetry::Telemetry;
use model::{Milliseconds, Report};

/// What identifies a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Version of the program.
    pub version: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// Digest of its trace.
    pub digest: u128,
}

/// A report and what its renderings need beyond it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The document.
    pub report: Report,
    /// The curves.
    pub detail: Detail,
}

/// What a picture shows and the document does not list one by one.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Detail {
    /// Every change of a best route, in order of time.
    pub routes: Vec<measure::RouteChange>,
    /// Times without an answer, per stream and direction, single losses included.
    pub losses: Vec<Losses>,
    /// How many probes each fault of the report took, in any direction, outage or not.
    pub taken: Vec<u64>,
    /// What AWS would log about each tunnel.
    pub logs: Vec<tunnel_log::TunnelLog>,
    /// What AWS would log about each tunnel's BGP session.
    pub bgp_logs: Vec<bgp_log::BgpLog>,
    /// What CloudWatch shows.
    pub telemetry: Telemetry,
    /// What the last outage of any direction because of any fault assumes, beyond [`Report::assumptions`], which are of the last
    /// one of all.
    pub assumed: Vec<model::Assumption>,
}

/// When a direction of a stream lost probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Losses {
    /// Name of the stream.
    pub probe: String,
    /// Which direction.
    pub direction: Direction,
    /// From the first probe sent to the last.
    pub lived: (Instant, Instant),
    /// Start and end of each run of lost probes, however short.
    pub spans: Vec<(Instant, Instant)>,
}

/// Measures a run. `expectations` are judged by the caller, who may look at a report without them first.
pub fn build(identity: Identity, observed: &Observed, causes: &dyn Causes) -> Outcome {
    let found: Vec<(&StreamLog, Vec<outage::Outage>)> =
        observed.streams.iter().map(|log| (log, stream_outages(log, causes))).collect();
    let paths: Vec<Vec<measure::Step>> =
        (0..observed.faults.len()).map(|i| decisive_path(FaultIndex(i), &found, observed, causes)).collect();
    let fault_id = |index: FaultIndex| observed.faults.get(index.0).map(|f| f.id.clone());

    let report = Report {
        schema: model::SCHEMA.into(),
        vpnsim: identity.version,
        scenario: identity.scenario,
        seed: identity.seed,
        digest: format!("{:032x}", identity.digest),
        simulated_s: observed.end.into(),
        probes: observed.streams.iter().flat_map(probes).collect(),
        outages: found
            .iter()
            .flat_map(|(log, outages)| outages.iter().map(|o| (*log, o)))
            .map(|(log, o)| model::Outage {
                probe: log.name.clone(),
                direction: o.direction.code().into(),
                fault: o.fault.and_then(fault_id),
                start_s: o.start.into(),
                end_s: o.end.map(Into::into),
                duration_s: o.duration(observed.end).into(),
                lost: o.lost,
            })
            .collect(),
        faults: observed
            .faults
            .iter()
            .zip(&paths)
            .map(|(fault, path)| model::Fault { heals: fault.heals.and_then(fault_id), ..fault_entry(fault, path) })
            .collect(),
        sessions: observed.sessions.iter().map(session).collect(),
        convergence: measure::convergence(observed, causes)
            .into_iter()
            .map(|c| model::Convergence {
                fault: fault_id(c.fault).unwrap_or_default(),
                node: c.node,
                prefix: c.prefix,
                settled_s: c.settled.into(),
                changes: c.changes,
            })
            .collect(),
        drops: observed.drops.iter().map(drop_entry).collect(),
        applications: Vec::new(),
        ecmp: Vec::new(),
        misconfigurations: Vec::new(),
        profiles: Vec::new(),
        alarms: Vec::new(),
        expectations: Vec::new(),
        assumptions: assumptions(&paths),
    };
    let mut assumed = assumptions(&every_path(&found, observed, causes));
    assumed.retain(|assumption| !report.assumptions.contains(assumption));
    let detail = Detail {
        assumed,
        routes: observed.routes.clone(),
        losses: observed.streams.iter().flat_map(|log| losses(log, observed.end)).collect(),
        taken: taken(observed, causes),
        logs: Vec::new(),
        bgp_logs: Vec::new(),
        telemetry: Telemetry::default(),
    };
    Outcome { report, detail }
}

pub(crate) fn stream_outages(log: &StreamLog, causes: &dyn Causes) -> Vec<outage::Outage> {
    log.directions().iter().flat_map(|direction| outage::outages(log, *direction, causes)).collect()
}

/// The critical path of the outage that hurt longest.
fn decisive_path(
    fault: FaultIndex,
    found: &[(&StreamLog, Vec<outage::Outage>)],
    observed: &Observed,
    causes: &dyn Causes,
) -> Vec<measure::Step> {
    let all = found.iter().flat_map(|(_, outages)| outages);
    let Some(decisive) = outage::decisive(all, fault) else { return Vec::new() };
    let stream = found.iter().find(|(_, outages)| outages.contains(decisive));
    stream.map_or(Vec::new(), |(log, _)| recovery_path(log, decisive, observed, causes))
}

/// The critical paths of the outages that ended last, for each direction of each stream and each fault.
fn every_path(
    found: &[(&StreamLog, Vec<outage::Outage>)],
    observed: &Observed,
    causes: &dyn Causes,
) -> Vec<Vec<measure::Step>> {
    let mut paths = Vec::new();
    for (log, outages) in found {
        for direction in log.directions() {
            let of_direction = || outages.iter().filter(|outage| outage.direction == *direction);
            let last = (0..observed.faults.len()).filter_map(|i| outage::decisive(of_direction(), FaultIndex(i)));
            paths.extend(last.map(|outage| recovery_path(log, outage, observed, causes)));
        }
    }
    paths
}

/// The critical path of an outage, from the fault that owns it up to the arrival that ended it. If nothing that the fault
/// set off ended it, what did (the healing, as a rule) follows the fault.
fn recovery_path(
    log: &StreamLog,
    outage: &outage::Outage,
    observed: &Observed,
    causes: &dyn Causes,
) -> Vec<measure::Step> {
    let (Some(fault), Some(record), Some(at)) = (outage.fault, outage.recovered_by, outage.recovered_at) else {
        return Vec::new();
    };
    let mut path = causes.critical_path(fault, record);
    if path.is_empty()
        && let Some(ended_by) = causes.fault_behind(record)
        && let Some(struck) = observed.faults.get(fault.0)
    {
        path = causes.critical_path(ended_by, record);
        if let Some(ended) = path.first_mut() {
            ended.waited = ended.at.since(struck.at);
        }
        path.insert(0, strike(struck));
    }
    if let Some(last) = path.last() {
        let [prober, responder] = &log.ends;
        path.push(measure::Step {
            at,
            node: if outage.direction == Direction::Forward { responder } else { prober }.clone(),
            event: measure::StepKind::ProbeArrived,
            subject: format!("probe {}", log.name),
            reason: outage.direction.code(),
            waited: at.since(last.at),
            assumption: None,
        });
    }
    path
}

fn strike(fault: &FaultLog) -> measure::Step {
    measure::Step {
        at: fault.at,
        node: fault.target.clone(),
        event: measure::StepKind::Fault,
        subject: format!("{} on {}", fault.what, fault.target),
        reason: "strike",
        waited: sim_core::time::Duration::ZERO,
        assumption: None,
    }
}

fn probes(log: &StreamLog) -> impl Iterator<Item = model::Probe> {
    log.directions().iter().map(|&direction| {
        let tally = Tally::of(log, direction);
        let rtt = (direction == Direction::RoundTrip).then(|| delay::delays(log, direction));
        model::Probe {
            name: log.name.clone(),
            direction: direction.code().into(),
            interval_s: log.interval.into(),
            sent: tally.sent,
            received: tally.received,
            loss: tally.loss(),
            rtt_ms: rtt.and_then(quantiles),
            jitter_ms: quantiles(delay::jitter(log, direction)),
        }
    })
}

fn quantiles(sample: Vec<sim_core::time::Duration>) -> Option<model::Quantiles> {
    Quantiles::of(sample).map(|q| model::Quantiles {
        min: Milliseconds(q.min),
        p50: Milliseconds(q.p50),
        p90: Milliseconds(q.p90),
        p99: Milliseconds(q.p99),
        max: Milliseconds(q.max),
    })
}

fn fault_entry(fault: &FaultLog, path: &[measure::Step]) -> model::Fault {
    model::Fault {
        id: fault.id.clone(),
        at_s: fault.at.into(),
        what: fault.what.clone(),
        target: fault.target.clone(),
        heals: None,
        critical_path: path.iter().map(path_step).collect(),
    }
}

/// A step as the document has it.
pub(crate) fn path_step(step: &measure::Step) -> model::PathStep {
    model::PathStep {
        at_s: step.at.into(),
        node: step.node.clone(),
        event: step.event.code().into(),
        subject: step.subject.clone(),
        reason: step.reason.into(),
        waited_s: step.waited.into(),
    }
}

fn session(log: &SessionLog) -> model::Session {
    model::Session {
        kind: log.kind.clone(),
        name: log.name.clone(),
        established_s: log.transitions.iter().find(|t| is_established(t.to)).map(|t| t.at.into()),
        transitions: log
            .transitions
            .iter()
            .map(|t| model::Transition {
                at_s: t.at.into(),
                from: t.from.into(),
                to: t.to.into(),
                reason: t.reason.into(),
            })
            .collect(),
    }
}

/// True for the codes of states in which a session carries traffic; an SA being rekeyed still does.
pub(crate) fn is_established(state: &str) -> bool {
    use sim_core::reason::State;
    [State::Up, State::Rekeying, State::Established, State::Master].iter().any(|s| s.code() == state)
}

fn drop_entry(count: &measure::DropCount) -> model::Drop {
    model::Drop {
        node: count.node.clone(),
        link: count.link.clone(),
        direction: count.direction.clone(),
        reason: count.reason.into(),
        packets: count.packets,
        bytes: count.bytes,
        first_s: count.first.into(),
        last_s: count.last.into(),
    }
}

fn assumptions(paths: &[Vec<measure::Step>]) -> Vec<model::Assumption> {
    let used: std::collections::BTreeSet<_> =
        paths.iter().flatten().filter_map(|step| step.assumption.as_ref()).collect();
    used.into_iter()
        .map(|a| model::Assumption {
            parameter: a.parameter.clone(),
            value: a.value.clone(),
            source: a.source.clone(),
            range: None,
        })
        .collect()
}

fn taken(observed: &Observed, causes: &dyn Causes) -> Vec<u64> {
    let mut counts = vec![0; observed.faults.len()];
    for log in &observed.streams {
        for (fault, probes) in outage::taken(log, causes) {
            counts[fault.0] += probes;
        }
    }
    counts
}

fn losses(log: &StreamLog, end: Instant) -> impl Iterator<Item = Losses> {
    log.directions().iter().map(move |&direction| {
        let mut spans = Vec::new();
        let mut dark_since = None;
        for probe in &log.probes {
            match direction.judge(probe) {
                Fate::Pending => {}
                Fate::Lost { .. } => {
                    dark_since.get_or_insert(probe.sent_at);
                }
                Fate::Arrived { .. } => {
                    spans.extend(dark_since.take().map(|start| (start, probe.sent_at)));
                }
            }
        }
        spans.extend(dark_since.map(|start| (start, end)));
        Losses {
            probe: log.name.clone(),
            direction,
            lived: (log.probes.first().map_or(end, |p| p.sent_at), log.probes.last().map_or(end, |p| p.sent_at)),
            spans,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::id::RecordId;
    use sim_core::time::Duration;

    /// The numbers of the fixture by hand: forward dark from the first request lost (59.985 s rounds up to the probe
    /// at 60.000 s, since the one at 59.980 s arrived) to the first sent after the gateway moved its route at 86.300 s;
    /// the round trip from the first reply lost (59.980 s) to the first reply after the VGW moved at 88.900 s.
    #[test]
    fn a_failover_is_measured() {
        let report = fixture::failover().report;
        let found: Vec<_> = report
            .outages
            .iter()
            .map(|o| {
                let (start, end) = (o.start_s.to_string(), o.end_s.unwrap().to_string());
                (o.direction.as_str(), start, end, o.lost)
            })
            .collect();
        let expected = |direction, start: &str, end: &str, lost| (direction, start.to_string(), end.to_string(), lost);
        assert_eq!(
            found,
            [
                expected("forward", "60.000 s", "86.300 s", 1_315),
                expected("reverse", "59.980 s", "88.900 s", 131),
                expected("round_trip", "59.980 s", "88.900 s", 1_446),
            ]
        );
        assert_eq!(report.faults[0].critical_path.len(), 6);
        assert!(report.faults[1].critical_path.is_empty(), "healing lost nothing");
        assert_eq!(report.assumptions.len(), 1);
        assert_eq!(fixture::failover().detail.taken, [1_446, 0], "the one lost at 120 s is chance");
    }

    /// A path that comes back before anybody noticed: the healing ends the outage, and the path says so.
    #[test]
    fn an_outage_that_only_the_healing_ends_says_so() {
        struct Healed;
        impl Causes for Healed {
            fn fault_behind(&self, record: RecordId) -> Option<FaultIndex> {
                Some(FaultIndex(usize::from(record >= RecordId(20))))
            }
            fn critical_path(&self, fault: FaultIndex, to: RecordId) -> Vec<measure::Step> {
                let heal = measure::Step { at: Instant::from_secs(9), reason: "heal", ..strike(&fault_log(9)) };
                if fault == FaultIndex(1) && to == RecordId(20) { vec![heal] } else { Vec::new() }
            }
        }
        fn fault_log(at: u64) -> FaultLog {
            let (what, target) = ("blackhole".into(), "wire".into());
            FaultLog { id: format!("cut@{at}"), at: Instant::from_secs(at), what, target, heals: None }
        }
        let mut log = StreamLog::new("ping", ["a".into(), "b".into()], Duration::from_secs(1), false);
        for second in 0..12 {
            log.sent(Instant::from_secs(second));
            match second {
                5..9 => log.lost(second as u32, false, RecordId(10)),
                _ => log.arrived(second as u32, false, Instant::from_secs(second), RecordId(20)),
            }
        }
        let faults = vec![fault_log(5), fault_log(9)];
        let observed = Observed { streams: vec![log], faults, end: Instant::from_secs(12), ..Observed::default() };
        let identity = Identity { version: "0".into(), scenario: "s".into(), seed: 1, digest: 0 };
        let outcome = build(identity, &observed, &Healed);
        let path: Vec<_> = outcome.report.faults[0]
            .critical_path
            .iter()
            .map(|step| (step.event.as_str(), step.node.as_str(), step.waited_s.to_string()))
            .collect();
        let step = |event, node, waited: &str| (event, node, waited.to_string());
        let expected =
            [step("fault", "wire", "0.000 s"), step("fault", "wire", "4.000 s"), step("probe_arrived", "b", "0.000 s")];
        assert_eq!(path, expected);
        let answer = text::render_answer(&outcome, text::Layout::default());
        assert!(answer.contains("Only a healing ended it."), "{answer}");
    }

    #[test]
    fn the_document_keeps_its_keys() {
        let json: serde_json::Value = serde_json::from_str(&fixture::failover().report.to_json()).unwrap();
        let keys = |value: &serde_json::Value| {
            let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys.join(" ")
        };
        // The public contract: this list may grow and never shrinks.
        for (at, contract) in [
            (
                "",
                "schema vpnsim scenario seed digest simulated_s probes outages faults sessions convergence drops expectations assumptions",
            ),
            ("/probes/0", "name direction sent received loss rtt_ms jitter_ms"),
            ("/outages/0", "probe direction fault start_s end_s duration_s lost"),
            ("/faults/0", "id at_s what target critical_path"),
            ("/faults/0/critical_path/0", "at_s node event reason waited_s"),
            ("/sessions/0", "kind name established_s transitions"),
            ("/sessions/0/transitions/0", "at_s from to reason"),
            ("/convergence/0", "fault node prefix settled_s changes"),
            ("/drops/0", "node link direction reason packets bytes first_s last_s"),
            ("/expectations/0", "text held detail"),
            ("/assumptions/0", "parameter value source"),
        ] {
            let here = keys(json.pointer(at).unwrap());
            for key in contract.split(' ') {
                assert!(here.split(' ').any(|k| k == key), "{at} lost its key {key}");
            }
        }
        assert!(json["simulated_s"].is_number());
        assert_eq!(json["schema"], model::SCHEMA);
    }

    #[test]
    fn the_document_reads_back() {
        let report = fixture::failover().report;
        let again: Report = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(again, report);
    }

    #[test]
    fn single_losses_are_drawn_and_are_no_outages() {
        let outcome = fixture::failover();
        let forward = &outcome.detail.losses[0];
        assert_eq!(forward.spans.len(), 2, "the failover, and one packet at 120 s");
        let outages = outcome.report.outages.iter();
        assert_eq!(outages.filter(|o| o.direction == "forward").count(), 1);
    }
}
