//! What is measured in a run, and how.

use sim_core::id::{FaultId, NodeId, SessionId};
use sim_core::reason::DropReason;
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Phase, What};

use super::traffic::Traffic;
use super::word::{Count, Extent, Quantile, Sessions};
use crate::detect;
use crate::measure::delay::{self, Quantiles, Tally};
use crate::measure::outage::{self, Direction, Outage, StreamLog};
use crate::measure::{self, Causes as _, FaultIndex};
use crate::observe::Observation;
use crate::plan::{Judged, Plan};
use crate::report::flows;
use crate::report::model::Expectation;
use crate::run::Simulation;

/// A metric, by names that every variant of the study has.
#[derive(Clone, PartialEq, Debug)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// What it measures.
    pub kind: Kind,
    /// The metric, by its number, that says whether the run ended before this one was complete, if it may.
    pub censored_by: Option<usize>,
}

/// What is measured; the language has the meaning of each.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the language documents each")]
pub enum Kind {
    Outage {
        stream: Stream,
        fault: Option<String>,
        of: Extent,
    },
    /// 1 if such an outage had not ended when the run did, else 0. Not of the language: it goes with each metric of outages.
    DarkAtEnd {
        stream: Stream,
        fault: Option<String>,
    },
    MinutesDark(Stream),
    LostProbes(Stream),
    LossShare(Stream),
    RoundTripTime {
        probe: String,
        quantile: Quantile,
    },
    Drops {
        reason: Option<DropReason>,
        node: Option<String>,
        link: Option<String>,
    },
    Detection {
        fault: String,
        node: Option<String>,
    },
    Convergence {
        fault: String,
    },
    FalseFailovers(Sessions),
    UnprovokedRouteChanges {
        node: Option<String>,
        after: Duration,
    },
    ControlTraffic {
        of: Sessions,
        count: Count,
    },
    Goodput(String),
    ApplicationFailures(String),
    ApplicationOutage(String),
    Held(Option<String>),
}

/// A direction of a probe.
#[derive(Clone, PartialEq, Debug)]
pub struct Stream {
    /// The probe.
    pub probe: String,
    /// The direction; there and back if not given, or there if nothing comes back.
    pub direction: Option<Judged>,
}

impl Kind {
    /// The unit of its values.
    pub const fn unit(&self) -> &'static str {
        match self {
            Self::Outage { .. } | Self::Detection { .. } | Self::Convergence { .. } | Self::ApplicationOutage(_) => "s",
            Self::MinutesDark(_) => "min",
            Self::LostProbes(_) => "probes",
            Self::LossShare(_) => "%",
            Self::RoundTripTime { .. } => "ms",
            Self::Drops { .. } | Self::ControlTraffic { count: Count::Packets, .. } => "packets",
            Self::ControlTraffic { count: Count::Octets, .. } => "octets",
            Self::FalseFailovers(_) => "sessions",
            Self::UnprovokedRouteChanges { .. } => "changes",
            Self::Goodput(_) => "bit/s",
            Self::ApplicationFailures(_) => "flows",
            Self::Held(_) | Self::DarkAtEnd { .. } => "1",
        }
    }

    /// Whether packets have to be looked at while the world runs.
    pub(crate) const fn counts_traffic(&self) -> bool {
        matches!(self, Self::ControlTraffic { .. })
    }

    /// Whether the scenario's expectations have to be judged.
    pub(crate) const fn judges(&self) -> bool {
        matches!(self, Self::Held(_))
    }
}

/// A run that has come to its end.
pub(crate) struct Finished<'s> {
    simulation: &'s Simulation,
    observation: Observation<'s>,
    traffic: &'s Traffic,
    expectations: Vec<Expectation>,
}

impl<'s> Finished<'s> {
    /// Looks at a run for these metrics.
    pub fn of(simulation: &'s Simulation, traffic: &'s Traffic, metrics: &[Metric]) -> Self {
        let judged = metrics.iter().any(|metric| metric.kind.judges());
        let expectations = if judged { simulation.answer().report.expectations } else { Vec::new() };
        Self { simulation, observation: simulation.observe(), traffic, expectations }
    }

    /// Measures; `None` if there is nothing to measure.
    pub fn measure(&self, kind: &Kind) -> Option<f64> {
        match kind {
            Kind::Outage { stream, fault, of } => {
                let lengths = self.outages_of(stream, fault.as_deref())?.into_iter();
                let lengths = lengths.map(|outage| outage.duration(self.observation.observed.end));
                Some(match of {
                    Extent::Longest => lengths.max().unwrap_or_default().as_secs_f64(),
                    Extent::Sum => total(lengths).as_secs_f64(),
                })
            }
            Kind::DarkAtEnd { stream, fault } => {
                let outages = self.outages_of(stream, fault.as_deref())?;
                Some(f64::from(u8::from(outages.iter().any(|outage| outage.end.is_none()))))
            }
            Kind::MinutesDark(stream) => {
                let end = self.observation.observed.end;
                let lengths = self.outages(stream)?.into_iter().map(|outage| outage.duration(end));
                Some(total(lengths).as_secs_f64() / 60.0)
            }
            Kind::LostProbes(stream) => {
                let (log, direction) = self.stream(stream)?;
                Some(Tally::of(log, direction).lost as f64)
            }
            Kind::LossShare(stream) => {
                let (log, direction) = self.stream(stream)?;
                let tally = Tally::of(log, direction);
                (tally.lost + tally.received > 0).then(|| tally.loss() * 100.0)
            }
            Kind::RoundTripTime { probe, quantile } => {
                let log = self.log(probe)?;
                let quantiles = Quantiles::of(delay::delays(log, Direction::RoundTrip))?;
                let time = match quantile {
                    Quantile::Min => quantiles.min,
                    Quantile::P50 => quantiles.p50,
                    Quantile::P90 => quantiles.p90,
                    Quantile::P99 => quantiles.p99,
                    Quantile::Max => quantiles.max,
                };
                Some(time.as_nanos() as f64 / 1e6)
            }
            Kind::Drops { reason, node, link } => {
                let fits = |drop: &&measure::DropCount| {
                    reason.is_none_or(|reason| drop.reason == reason.code())
                        && node.as_ref().is_none_or(|node| drop.node.as_ref() == Some(node))
                        && link.as_ref().is_none_or(|link| drop.link.as_ref() == Some(link))
                };
                let drops = self.observation.observed.drops.iter().filter(fits);
                Some(drops.map(|drop| drop.packets).sum::<u64>() as f64)
            }
            Kind::Detection { fault, node } => self.detection(fault, node.as_deref()),
            Kind::Convergence { fault } => {
                let settled = measure::convergence(&self.observation.observed, &self.observation);
                let own = |at: &FaultIndex| self.occasions(fault).any(|index| index == *at);
                let settled = settled.into_iter().filter(|it| own(&it.fault)).map(|it| it.settled);
                settled.max().map(Duration::as_secs_f64)
            }
            Kind::FalseFailovers(of) => Some(self.false_failovers(*of) as f64),
            Kind::UnprovokedRouteChanges { node, after } => {
                let after = Instant::START + *after;
                // A table of a device that has several is named behind it.
                let here = |table: &str| {
                    node.as_deref().is_none_or(|node| {
                        table.strip_prefix(node).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                    })
                };
                let changes = self.observation.observed.routes.iter();
                let unprovoked = changes
                    .filter(|it| it.at > after && here(&it.node) && self.observation.fault_behind(it.record).is_none());
                Some(unprovoked.count() as f64)
            }
            Kind::ControlTraffic { of, count } => {
                let sessions = self.simulation.world().trace.sessions();
                let sent = self.traffic.of(|session: SessionId| of.include(sessions[session.index()].kind));
                Some(match count {
                    Count::Packets => sent.packets as f64,
                    Count::Octets => sent.octets as f64,
                })
            }
            Kind::Goodput(name) => self.goodput(name),
            Kind::ApplicationFailures(name) => {
                let entry = self.application(name)?;
                Some((entry.reset + entry.timed_out + entry.stalled) as f64)
            }
            Kind::ApplicationOutage(name) => Some(flows::outage(&self.application(name)?).as_secs_f64()),
            Kind::Held(None) => Some(f64::from(u8::from(self.expectations.iter().all(|it| it.held)))),
            Kind::Held(Some(name)) => {
                let judged = self.expectations.iter().find(|it| it.name == *name)?;
                Some(f64::from(u8::from(judged.held)))
            }
        }
    }

    fn plan(&self) -> &Plan {
        self.simulation.plan()
    }

    fn log(&self, probe: &str) -> Option<&StreamLog> {
        self.observation.observed.streams.iter().find(|log| log.name == probe)
    }

    fn stream(&self, stream: &Stream) -> Option<(&StreamLog, Direction)> {
        let log = self.log(&stream.probe)?;
        let direction = match stream.direction {
            Some(Judged::Forward) => Direction::Forward,
            Some(Judged::Reverse) => Direction::Reverse,
            Some(Judged::RoundTrip) => Direction::RoundTrip,
            None if log.echo => Direction::RoundTrip,
            None => Direction::Forward,
        };
        Some((log, direction))
    }

    /// Those that belong to a fault or its healing, or all.
    fn outages_of(&self, stream: &Stream, fault: Option<&str>) -> Option<Vec<Outage>> {
        let mut outages = self.outages(stream)?;
        outages.retain(|outage| match fault {
            None => true,
            Some(fault) => outage.fault.is_some_and(|by| self.occasions(fault).any(|index| index == by)),
        });
        Some(outages)
    }

    fn outages(&self, stream: &Stream) -> Option<Vec<Outage>> {
        let (log, direction) = self.stream(stream)?;
        Some(outage::outages(log, direction, &self.observation))
    }

    /// The strikes of a fault, or of `FAULT.heal` the healings.
    fn occasions(&self, name: &str) -> impl Iterator<Item = FaultIndex> {
        let (fault, phase) = cause(self.plan(), name).unzip();
        fault.zip(phase).into_iter().flat_map(|(fault, phase)| self.observation.occasions(fault, phase))
    }

    fn detection(&self, fault: &str, node: Option<&str>) -> Option<f64> {
        let (fault, _) = cause(self.plan(), fault)?;
        let strike = self.observation.strike_record(fault)?;
        let node = match node {
            None => None,
            Some(name) => Some(NodeId(self.plan().nodes.iter().position(|node| node.name == name)? as u32)),
        };
        let trace = &self.simulation.world().trace;
        let (_, record) = detect::first_notice(trace, strike, node)?;
        Some(record.at.since(trace.kept(strike).at).as_secs_f64())
    }

    fn false_failovers(&self, of: Sessions) -> u64 {
        let trace = &self.simulation.world().trace;
        let lost = |session: SessionId| {
            let records = trace.session_records(session);
            let unprovoked = records.filter(|(id, record)| match record.what {
                What::State { from, to, .. } => {
                    detect::works(from) && !detect::works(to) && trace.fault_behind(*id).is_none()
                }
                _ => false,
            });
            unprovoked.count() as u64
        };
        let ends = trace.sessions().iter().enumerate().map(|(n, info)| (SessionId(n as u32), info));
        // A pair counts at its first end; an end without a peer counts alone.
        let first = ends.filter(|(id, info)| of.include(info.kind) && info.peer.is_none_or(|peer| *id < peer));
        first.map(|(id, info)| info.peer.map_or(0, lost).max(lost(id))).sum()
    }

    fn application(&self, name: &str) -> Option<crate::report::model::Application> {
        let all = flows::applications(self.plan(), self.simulation.world());
        all.into_iter().find(|entry| entry.name == name)
    }

    fn goodput(&self, name: &str) -> Option<f64> {
        let (number, it) = self.plan().applications.iter().enumerate().find(|(_, it)| it.name == name)?;
        let logs = flows::logs(number, it, self.simulation.world());
        let began = logs.iter().filter_map(|log| log.began).min()?;
        let last = logs.iter().filter_map(|log| log.last_byte).max()?;
        let answered: u64 = logs.iter().map(|log| u64::from(log.answered)).sum();
        let time = last.since(began);
        let bits = answered as f64 * f64::from(it.size) * 8.0;
        (!time.is_zero()).then(|| bits / time.as_secs_f64())
    }
}

/// A fault by its name, or its healing as `FAULT.heal`; a fault that is called so comes before.
pub(crate) fn cause(plan: &Plan, name: &str) -> Option<(FaultId, Phase)> {
    let fault = |name: &str| plan.faults.iter().position(|fault| fault.name == name).map(|n| FaultId(n as u16));
    fault(name).map(|fault| (fault, Phase::Strike)).or_else(|| Some((fault(name.strip_suffix(".heal")?)?, Phase::Heal)))
}

fn total(lengths: impl Iterator<Item = Duration>) -> Duration {
    lengths.fold(Duration::ZERO, |sum, length| sum + length)
}
