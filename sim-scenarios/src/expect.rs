//! Whether a run did what its scenario expected.

use ipnet::IpNet;
use sim_core::crypto::dh::DhGroup;
use sim_core::id::{FaultId, NodeId, SessionId, StreamId};
use sim_core::node::Node;
use sim_core::reason::{Reason, Rule, State};
use sim_core::time::Instant;
use sim_core::trace::{Phase, Place, What};

use crate::build::Built;
use crate::detect;
use crate::leaf::{Encryption, Integrity};
use crate::observe::Observation;
use crate::plan::{Cause, EcmpShare, ExpectationKind, Judged, Plan, SessionKind, SessionRef, TunnelId};
use crate::report::bgp_log::BgpLog;
use crate::report::model::{Ecmp, Expectation, Outage, Report, Seconds};
use crate::report::tunnel_log::TunnelLog;
use crate::telemetry::Telemetry;
use crate::telemetry::flow_log::Record;

/// Judges every expectation of a plan.
pub fn judge(
    plan: &Plan,
    built: &Built,
    observation: &Observation<'_>,
    (logs, bgp_logs): (&[TunnelLog], &[BgpLog]),
    telemetry: &Telemetry,
    report: &Report,
) -> Vec<Expectation> {
    let judge = Judge { plan, built, observation, logs, bgp_logs, telemetry, report };
    let expectations = plan.expectations.iter();
    expectations
        .map(|e| {
            let (held, detail) = match judge.one(&e.kind) {
                Ok(detail) => (true, detail),
                Err(detail) => (false, detail),
            };
            Expectation { name: e.name.clone(), text: e.text.clone(), held, detail }
        })
        .collect()
}

/// What was found, and whether it is what was expected.
type Finding = Result<String, String>;

fn finding(held: bool, detail: String) -> Finding {
    if held { Ok(detail) } else { Err(detail) }
}

struct Judge<'a> {
    plan: &'a Plan,
    built: &'a Built,
    observation: &'a Observation<'a>,
    logs: &'a [TunnelLog],
    bgp_logs: &'a [BgpLog],
    telemetry: &'a Telemetry,
    report: &'a Report,
}

impl Judge<'_> {
    fn one(&self, kind: &ExpectationKind) -> Finding {
        match kind {
            ExpectationKind::OutageBetween { probe, direction, fault, min, max } => {
                let ids = fault.map(|cause| self.fault_ids(cause));
                let found: Vec<&Outage> = self
                    .outages(*probe, *direction)
                    .filter(|o| ids.as_ref().is_none_or(|ids| o.fault.as_ref().is_some_and(|f| ids.contains(f))))
                    .collect();
                let fits = |o: &&Outage| o.end_s.is_some() && (*min..=*max).contains(&o.duration_s.0);
                // Without an outage it was dark for no time at all.
                let nothing = found.is_empty() && min.is_zero();
                finding(nothing || (!found.is_empty() && found.iter().all(fits)), spell(&found))
            }
            ExpectationKind::NoOutage { probe, direction, from, until } => {
                let (from, until) = (from.since_start(), until.since_start());
                let dark = |o: &&Outage| o.start_s.0 < until && o.end_s.is_none_or(|end| end.0 > from);
                let found: Vec<&Outage> = self.outages(*probe, *direction).filter(dark).collect();
                finding(found.is_empty(), spell(&found))
            }
            ExpectationKind::LossBetween { probe, direction, min, max } => {
                let name = &self.plan.probes[probe.index()].name;
                let entry = self.report.probes.iter().find(|p| &p.name == name && p.direction == code(*direction));
                let Some(entry) = entry else { return Err("the stream has no such direction".into()) };
                let held = (min.probability()..=max.probability()).contains(&entry.loss);
                finding(held, format!("{:.3} % of {} lost", entry.loss * 100.0, entry.sent))
            }
            ExpectationKind::DropsBetween { reason, node, link, min, max } => {
                let here = |place: Place| match place {
                    Place::Node(n) => link.is_none() && node.is_none_or(|node| node == n),
                    Place::Link(l, _) => node.is_none() && link.is_none_or(|link| link == l),
                };
                let drops = self.built.world.trace.drops().iter();
                let packets = drops.filter(|(k, _)| k.reason == *reason && here(k.place)).map(|(_, c)| c.packets).sum();
                finding((*min..=*max).contains(&packets), format!("{packets} packets"))
            }
            ExpectationKind::InternetGatewaySees { node, min, max } => {
                let seen = match self.built.world.node(*node) {
                    Node::InternetGateway(gateway) => gateway.seen(),
                    _ => return Err("it is no internet gateway here".into()),
                };
                finding((*min..=*max).contains(&seen), format!("{seen} packets"))
            }
            ExpectationKind::EstablishedWithin { session, after, within } => {
                // A real device keeps no records here: its end is not judged.
                let ends = self.ends(*session);
                let which = match ends.map(|id| self.is_external(id)) {
                    [false, false] => "at both ends",
                    [_, true] => "at AWS's end",
                    [true, false] => "at the customer gateway's end",
                };
                let ends = ends.into_iter().filter(|id| !self.is_external(*id));
                let ups: Vec<Option<Instant>> = ends.map(|id| self.first_up(id, *after)).collect();
                match ups.into_iter().collect::<Option<Vec<Instant>>>().and_then(|ups| ups.into_iter().max()) {
                    Some(at) => finding(at <= *after + *within, format!("{which} at {}", Seconds::from(at))),
                    None => Err(format!("never established {which}")),
                }
            }
            ExpectationKind::SuiteAtLeast { tunnel, encryption, integrity, dh_group } => {
                self.suite(*tunnel, *encryption, *integrity, *dh_group)
            }
            ExpectationKind::RoutePresent { node, prefix, via, table, at, present } => {
                let (now, _) = self.route(*node, *table, prefix, *at);
                let matches = now.iter().any(|port| via.as_deref().is_none_or(|wanted| wanted == port));
                let detail = if now.is_empty() { "no route".to_owned() } else { format!("via {}", now.join(", ")) };
                finding(matches == *present, detail)
            }
            ExpectationKind::RouteDecidedBy { node, prefix, rule, table, at } => {
                let (now, by) = self.route(*node, *table, prefix, *at);
                let way = if now.is_empty() { "no route".to_owned() } else { format!("via {}", now.join(", ")) };
                let decided = by.map_or(String::new(), |by| format!(", by {by}: {}", by.text()));
                finding(by == Some(*rule), format!("{way}{decided}"))
            }
            ExpectationKind::ConvergedWithin { fault, within } => {
                let ids = self.fault_ids(*fault);
                let settled = self.report.convergence.iter().filter(|c| ids.contains(&c.fault)).map(|c| c.settled_s);
                match settled.max() {
                    Some(last) => finding(last.0 <= *within, format!("the last route changed after {last}")),
                    None => Err("no route changed".into()),
                }
            }
            ExpectationKind::EstablishedTimes { session, min, max } => {
                let ends = self.ends(*session);
                let times = ends.into_iter().map(|end| self.times_up(end)).max().unwrap_or_default();
                finding((*min..=*max).contains(&times), format!("{times} times"))
            }
            ExpectationKind::EcmpBetween { node, member, share, min, max } => {
                self.ecmp(*node, member.as_deref(), *share, (min.probability(), max.probability()))
            }
            ExpectationKind::FlowsBetween { application, came_to, min, max } => {
                let entry = &self.report.applications[*application];
                let count = came_to.of(entry);
                finding((*min..=*max).contains(&count), format!("{count} of {} flows", entry.flows))
            }
            ExpectationKind::ApplicationOutageBetween { application, min, max } => {
                let waited = crate::report::flows::outage(&self.report.applications[*application]);
                finding((*min..=*max).contains(&waited), Seconds(waited).to_string())
            }
            ExpectationKind::RekeysBetween { tunnel, phase, min, max } => {
                let rekeys = self.rekeys(*tunnel, *phase);
                finding((*min..=*max).contains(&rekeys), format!("{rekeys} rekeys"))
            }
            ExpectationKind::LogLinesBetween { tunnel, details, from, until, min, max } => {
                let fits = |at: Instant, said: &str| (*from..*until).contains(&at) && said.starts_with(details);
                let of_ike = self.logs.iter().filter(|log| log.id == *tunnel).flat_map(|log| &log.lines);
                let of_bgp = self.bgp_logs.iter().filter(|log| log.id == *tunnel).flat_map(|log| &log.lines);
                let of_ike = of_ike.filter(|line| fits(line.at, &line.details)).map(|line| line.at);
                let of_bgp = of_bgp.filter(|line| fits(line.at, line.message.details())).map(|line| line.at);
                let lines: Vec<Instant> = of_ike.chain(of_bgp).collect();
                let count = lines.len() as u64;
                let first = lines.iter().min().map(|at| format!(", the first at {}", Seconds::from(*at)));
                finding((*min..=*max).contains(&count), format!("{count} lines{}", first.unwrap_or_default()))
            }
            ExpectationKind::AlarmWithin { alarm, state, after, not_before, within } => {
                let mut reached = self.telemetry.alarms[*alarm].iter().filter(|c| c.to == *state && c.at >= *after);
                let Some(change) = reached.next() else { return Err("it never got there".into()) };
                let took = change.at.since(*after);
                finding((*not_before..=*within).contains(&took), format!("at {}", Seconds::from(change.at)))
            }
            ExpectationKind::AlarmTimes { alarm, state, min, max } => {
                let times = self.telemetry.alarms[*alarm].iter().filter(|change| change.to == *state).count() as u64;
                finding((*min..=*max).contains(&times), format!("{times} times"))
            }
            ExpectationKind::MetricBetween { metric, of, statistic, period: (from, until), min, max } => {
                let series = self.telemetry.series.iter().find(|s| s.metric == *metric && s.of == *of);
                let end = self.built.world.now();
                match series.and_then(|series| series.over(*statistic, *from, *until, end)) {
                    Some(value) => finding((*min..=*max).contains(&value), format!("{value}")),
                    None => Err("there is no datapoint".into()),
                }
            }
            ExpectationKind::FlowRecordsBetween { log, fields, answered, from, until, min, max } => {
                let log = &self.telemetry.flow_logs[*log];
                let records = log.records.iter().filter(|record| (*from..*until).contains(&record.interval));
                let says = |record: &&Record| fields.iter().all(|(place, value)| record.values[*place] == *value);
                let fits = |record: &&Record| {
                    answered.is_none_or(|answered| record.flow.is_some_and(|flow| log.answers(&flow) == answered))
                };
                let count = records.filter(says).filter(fits).count() as u64;
                finding((*min..=*max).contains(&count), format!("{count} records"))
            }
            ExpectationKind::DetectedBy { fault, node, detector, within } => {
                let strike = self.observation.strike_record(*fault);
                let Some(strike) = strike else { return Err("the fault never struck".into()) };
                let trace = &self.built.world.trace;
                let Some((id, record)) = detect::first_notice(trace, strike, *node) else {
                    return Err("not detected".into());
                };
                let after = record.at.since(trace.kept(strike).at);
                let by = detect::detectors(trace, id);
                let held = by.contains(detector) && within.is_none_or(|within| after <= within);
                let at = self.built.world.node_name(record.node);
                let by: Vec<&str> = by.iter().map(|d| detect::code(*d)).collect();
                finding(held, format!("at {at} after {} by {}", Seconds::from(after), by.join(", ")))
            }
        }
    }

    /// A share of what a device has seen. Nothing seen is nothing proven.
    fn ecmp(&self, node: NodeId, member: Option<&str>, share: EcmpShare, (min, max): (f64, f64)) -> Finding {
        let name = self.built.world.node_name(node);
        let of = |it: &&Ecmp| it.group == name && member.is_none_or(|member| it.member == member);
        let entries: Vec<&Ecmp> = self.report.ecmp.iter().filter(of).collect();
        let sum = |what: fn(&Ecmp) -> u64| entries.iter().map(|it| what(it)).sum::<u64>();
        let (part, whole, unit) = match share {
            EcmpShare::FailedFlows => (sum(|it| it.failed_flows), sum(|it| it.flows), "flows"),
            EcmpShare::AsymmetricFlows => (sum(|it| it.asymmetric_flows), sum(|it| it.flows), "flows"),
            EcmpShare::Dropped => (sum(|it| it.dropped), sum(|it| it.packets), "packets"),
        };
        if whole == 0 {
            return Err("no flow passed".into());
        }
        let found = part as f64 / whole as f64;
        let detail = format!("{part} of {whole} {unit}, {:.1} %", found * 100.0);
        finding((min..=max).contains(&found), detail)
    }

    fn outages(&self, probe: StreamId, direction: Judged) -> impl Iterator<Item = &Outage> {
        let name = &self.plan.probes[probe.index()].name;
        self.report.outages.iter().filter(move |o| &o.probe == name && o.direction == code(direction))
    }

    /// How the report calls the strikes or healings of a fault.
    fn fault_ids(&self, cause: Cause) -> Vec<String> {
        let (fault, phase): (FaultId, Phase) = match cause {
            Cause::Fault(fault) => (fault, Phase::Strike),
            Cause::Healing(fault) => (fault, Phase::Heal),
        };
        let faults = &self.observation.observed.faults;
        self.observation.occasions(fault, phase).map(|index| faults[index.0].id.clone()).collect()
    }

    fn ends(&self, session: SessionRef) -> [SessionId; 2] {
        match session {
            SessionRef::Tunnel { tunnel, kind } => {
                let sessions = self.built.tunnel(tunnel);
                match kind {
                    SessionKind::Ike => sessions.ike,
                    SessionKind::Child => sessions.child,
                    SessionKind::Bgp => sessions.bgp.unwrap_or(sessions.ike),
                }
            }
            SessionRef::Neighbor { node, neighbor, bfd } => {
                let sessions = &self.built.routers[node.index()];
                let own = sessions.bfd[neighbor].filter(|_| bfd).unwrap_or(sessions.bgp[neighbor]);
                // Who is nobody's neighbour has one end, which never gets anywhere.
                [own, self.built.world.trace.sessions()[own.index()].peer.unwrap_or(own)]
            }
        }
    }

    fn is_external(&self, session: SessionId) -> bool {
        let node = self.built.world.trace.sessions()[session.index()].node;
        matches!(self.built.world.node(node), Node::External(_))
    }

    fn first_up(&self, session: SessionId, after: Instant) -> Option<Instant> {
        let mut records = self.built.world.trace.session_records(session).filter(|(_, r)| r.at >= after);
        records.find_map(|(_, r)| match r.what {
            What::State { to: State::Up | State::Established, .. } => Some(r.at),
            _ => None,
        })
    }

    /// How often a session came up at one end; a rekey is no new session.
    fn times_up(&self, session: SessionId) -> u64 {
        let records = self.built.world.trace.session_records(session);
        let up = |what: &What| match what {
            What::State { from, to: State::Up | State::Established, .. } => *from != State::Rekeying,
            _ => false,
        };
        records.filter(|(_, record)| up(&record.what)).count() as u64
    }

    /// Rekeys of a tunnel's IKE_SA or CHILD_SA: how often either end began one that succeeded.
    fn rekeys(&self, tunnel: TunnelId, phase: u8) -> u64 {
        let sessions = self.built.tunnel(tunnel);
        let ends = if phase == 1 { sessions.ike } else { sessions.child };
        let count = |session: SessionId| {
            let records = self.built.world.trace.session_records(session);
            let done = records.filter(|(_, r)| {
                matches!(r.what, What::State { from: State::Rekeying, to: State::Up, reason: Reason::Rekeyed, .. })
            });
            done.count() as u64
        };
        ends.into_iter().map(count).sum()
    }

    fn suite(&self, id: TunnelId, encryption: Encryption, integrity: Integrity, group: DhGroup) -> Finding {
        let planned = self.plan.tunnel(id);
        let customer = self.plan.connections[id.connection].customer_gateway;
        let gateway = match (self.built.world.node(planned.endpoint), self.built.world.node(customer)) {
            (Node::VpnEndpoint(endpoint), _) => endpoint.gateway(),
            // A real endpoint keeps to itself what it has agreed to; the other end knows as well.
            (_, Node::Cgw(cgw)) => cgw.gateway(),
            _ => return Err("no end of the tunnel is simulated".into()),
        };
        let tunnel = gateway.tunnels.iter().find(|tunnel| {
            let (local, remote) = tunnel.outside();
            [local, remote].contains(&planned.aws_outside)
        });
        let Some((ike, esp)) = tunnel.and_then(|tunnel| tunnel.suites()) else {
            return Err("the tunnel was never up".into());
        };
        let strong = |suite: sim_core::crypto::suite::Suite| {
            let enough = encryption_bits(suite.encryption()) >= encryption_rank(encryption);
            enough
                && (suite.encryption().is_aead()
                    || suite.integrity().id() >= crate::build::ike::integrity(integrity).id())
        };
        let group_ok = ike.group.strength_bits() >= group.strength_bits();
        let held = strong(ike.protection) && strong(esp.protection) && group_ok;
        let spell = |suite: sim_core::crypto::suite::Suite| format!("{:?}/{:?}", suite.encryption(), suite.integrity());
        finding(held, format!("IKE {} {:?}, ESP {}", spell(ike.protection), ike.group, spell(esp.protection)))
    }

    /// The ways out that a node's table holds for exactly this prefix at an instant, and the step that decided.
    fn route(&self, node: NodeId, number: u8, prefix: &IpNet, at: Instant) -> (Vec<String>, Option<Rule>) {
        let world = &self.built.world;
        let records = world.trace.records().take_while(|(_, r)| r.at <= at);
        let changes = records.filter(|(_, r)| r.node == node).filter_map(|(_, r)| match &r.what {
            What::Route { table, prefix: p, to, beside, rule, .. }
                if p == prefix && table.number().is_none_or(|table| table == number) =>
            {
                Some((to.iter().chain(beside.iter()), *rule))
            }
            _ => None,
        });
        let Some((ways, rule)) = changes.last() else { return (Vec::new(), None) };
        (ways.map(|port| world.port_name(node, *port).to_owned()).collect(), rule)
    }
}

const fn code(direction: Judged) -> &'static str {
    match direction {
        Judged::Forward => "forward",
        Judged::Reverse => "reverse",
        Judged::RoundTrip => "round_trip",
    }
}

fn spell(outages: &[&Outage]) -> String {
    let one = |o: &&Outage| {
        let still = if o.end_s.is_none() { ", still dark at the end" } else { "" };
        format!("{} from {}{still}", o.duration_s, o.start_s)
    };
    if outages.is_empty() { "no outage".into() } else { outages.iter().map(one).collect::<Vec<_>>().join("; ") }
}

/// Ciphers by the length of their key, and of equal ones the AEAD first.
const fn encryption_bits(encryption: sim_core::crypto::suite::Encryption) -> u16 {
    encryption.key_bits() * 2 + encryption.is_aead() as u16
}

const fn encryption_rank(encryption: Encryption) -> u16 {
    encryption_bits(crate::build::ike::encryption(encryption))
}
