//! events.jsonl: the trace's kept records, one JSON object a line, in order of time; packet hops too, if asked.
//!
//! Every line has `at_s`, `event` and `node` (null on a link). A kept record has `record`, its number; `cause`, the number
//! of the record that triggered it (0 is the world as the scenario describes it); and `enabler`, the latest record that
//! the triggering packet's journey depended on. A BGP UPDATE that was sent or arrived has `withdrawn` and `announced`, its
//! prefixes in their order. The response of an IKE exchange has `response`, and a message with an error notification
//! `notice`, its code. A BGP OPEN has `asn`, `hold_time_s` and `identifier`, an UPDATE that arrived `as_path`, `next_hop` and `med`. A
//! route of AWS's tables has `rule`, the step of AWS's order that decided, and `beside`, the further ways out of ECMP; if only the step
//! changed, the event is `route_decided`. A hop has `packet`, its number. Names and codes are those of the report.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use ipnet::IpNet;
use serde::Serialize;
use serde_json::{Value, json};
use sim_core::id::{LinkId, NodeId, Port, RecordId, SessionId};
use sim_core::trace::pcap::FirstError;
use sim_core::trace::{Hop, HopStep, Phase, Place, Record, Sink, What};
use sim_core::world::World;

use super::model::Seconds;
use crate::measure::StepKind;

/// Writes a trace as it happens.
pub struct EventLog<W> {
    out: W,
    hops: bool,
    names: Names,
    failed: FirstError,
}

impl<W: Write> EventLog<W> {
    /// A log of this world, which stands and has not moved yet. `hops` asks for packet hops too.
    /// The first failed write is kept in the returned cell; later ones are not tried.
    pub fn new(world: &World, out: W, hops: bool) -> (Self, FirstError) {
        let failed: FirstError = Rc::new(RefCell::new(None));
        let log = Self { out, hops, names: Names::of(world), failed: Rc::clone(&failed) };
        (log, failed)
    }

    fn write(&mut self, line: &impl Serialize) {
        if self.failed.borrow().is_some() {
            return;
        }
        let written = serde_json::to_writer(&mut self.out, line).map_err(io::Error::from);
        if let Err(error) = written.and_then(|()| self.out.write_all(b"\n")) {
            *self.failed.borrow_mut() = Some(error);
        }
    }
}

impl<W: Write> Sink for EventLog<W> {
    fn record(&mut self, id: RecordId, record: &Record) {
        let line = self.names.record(id, record);
        self.write(&line);
    }

    fn hop(&mut self, hop: &Hop) {
        if self.hops {
            let line = self.names.hop(hop);
            self.write(&line);
        }
    }
}

/// The names of a world's things, by id, kept beside it because a listener cannot ask a world in motion.
pub(crate) struct Names {
    nodes: Vec<(String, Vec<String>)>,
    links: Vec<String>,
    sessions: Vec<String>,
    faults: Vec<String>,
}

/// The event of a route that stays, about which another step decides.
const ROUTE_STAYS: &str = "route_decided";

/// No device has more ports than this.
const PORTS: u16 = 256;

impl Names {
    pub(crate) fn of(world: &World) -> Self {
        let node = |index| {
            let node = NodeId(index);
            let ports = (0..PORTS).map(|port| world.port_name(node, Port(port)).to_owned());
            let mut ports: Vec<_> = ports.collect();
            let used = ports.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
            ports.truncate(used);
            (world.node_name(node).to_owned(), ports)
        };
        Self {
            nodes: (0..world.next_node().0).map(node).collect(),
            links: world.link_ends().map(|(link, _)| world.link_name(link).to_owned()).collect(),
            sessions: world.trace.sessions().iter().map(|s| format!("{} {}", s.kind.code(), s.name)).collect(),
            faults: world.faults().iter().map(|fault| fault.name.clone()).collect(),
        }
    }

    /// Null for what is no device: links have the id of all ones.
    pub(crate) fn node(&self, node: NodeId) -> Option<&str> {
        self.nodes.get(node.index()).map(|(name, _)| name.as_str())
    }

    pub(crate) fn link(&self, link: LinkId) -> &str {
        self.links.get(link.index()).map_or("", String::as_str)
    }

    /// The port's name, or its number if it has none.
    pub(crate) fn port(&self, node: NodeId, port: Port) -> String {
        let named = self.nodes.get(node.index()).and_then(|(_, ports)| ports.get(port.index()));
        named.filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| format!("{port:?}"))
    }

    fn session(&self, session: SessionId) -> &str {
        self.sessions.get(session.index()).map_or("", String::as_str)
    }

    fn record(&self, id: RecordId, record: &Record) -> Value {
        let mut line = json!({
            "at_s": Seconds::from(record.at),
            "record": id.0,
            "cause": record.cause.0,
            "enabler": record.enabler.0,
            "node": self.node(record.node),
        });
        let (event, more) = match &record.what {
            What::Genesis => ("genesis", json!({})),
            What::Fault { fault, phase } => {
                let phase = match phase {
                    Phase::Strike => "strike",
                    Phase::Heal => "heal",
                };
                (StepKind::Fault.code(), json!({ "fault": self.faults.get(fault.index()), "phase": phase }))
            }
            What::Power { on } => ("power", json!({ "on": on })),
            What::State { session, from, to, reason } => (
                StepKind::SessionChanged.code(),
                json!({
                    "session": self.session(*session),
                    "from": from.code(),
                    "to": to.code(),
                    "reason": reason.code(),
                }),
            ),
            What::Expired { session, timer, armed_at, starver } => (
                StepKind::TimerExpired.code(),
                json!({
                    "session": session.map(|s| self.session(s)),
                    "timer": timer.code(),
                    "armed_s": Seconds::from(*armed_at),
                    "starver": starver.map(|r| r.0),
                }),
            ),
            What::Step { session, step, detail, response, notice, prefixes, open } => {
                let message = json!({ "session": self.session(*session), "message": step.code(), "detail": detail });
                extend(&mut line, "message", message);
                if *response {
                    line["response"] = true.into();
                }
                if let Some(notice) = notice {
                    line["notice"] = notice.code().into();
                }
                if let Some(prefixes) = prefixes {
                    let texts = |all: &[IpNet]| all.iter().map(IpNet::to_string).collect::<Vec<_>>();
                    line["withdrawn"] = texts(&prefixes.withdrawn).into();
                    line["announced"] = texts(&prefixes.announced).into();
                    if let Some(attributes) = &prefixes.attributes {
                        line["as_path"] = (*attributes.as_path).into();
                        line["next_hop"] = attributes.next_hop.to_string().into();
                        line["med"] = attributes.med.into();
                    }
                }
                if let Some(open) = open {
                    line["asn"] = open.asn.into();
                    line["hold_time_s"] = open.hold_time.into();
                    line["identifier"] = open.identifier.to_string().into();
                }
                return line;
            }
            What::Route { table, prefix, from, to, reason, rule, beside, stays } => {
                let port = |port: &Option<Port>| port.map(|p| self.port(record.node, p));
                let mut more = json!({
                    "table": table.code(),
                    "prefix": prefix.to_string(),
                    "from": port(from),
                    "to": port(to),
                    "reason": reason.code(),
                });
                if let Some(number) = table.number() {
                    more["number"] = number.into();
                }
                if let Some(rule) = rule {
                    more["rule"] = rule.code().into();
                }
                if !beside.is_empty() {
                    more["beside"] = beside.iter().map(|p| self.port(record.node, *p)).collect::<Vec<_>>().into();
                }
                (if *stays { ROUTE_STAYS } else { StepKind::RouteChanged.code() }, more)
            }
        };
        extend(&mut line, event, more);
        line
    }

    fn hop(&self, hop: &Hop) -> Value {
        let mut line = json!({ "at_s": Seconds::from(hop.at), "packet": hop.packet.0, "node": self.node(hop.node) });
        let (step, more) = match hop.step {
            HopStep::Created(hash) => ("created", json!({ "xxh3": format!("{hash:016x}") })),
            HopStep::CutFrom(parent) => ("cut_from", json!({ "parent": parent.0 })),
            HopStep::Sent(link, way) => ("sent", json!({ "link": self.link(link), "direction": way.code() })),
            HopStep::Arrived(port) => ("arrived", json!({ "port": self.port(hop.node, port) })),
            HopStep::Forwarded(port, next) => {
                let next = (!next.is_unspecified()).then(|| next.to_string());
                ("forwarded", json!({ "port": self.port(hop.node, port), "next_hop": next }))
            }
            HopStep::MssClamped(mss, hash) => ("mss_clamped", json!({ "mss": mss, "xxh3": format!("{hash:016x}") })),
            HopStep::Translated(hash) => ("translated", json!({ "xxh3": format!("{hash:016x}") })),
            HopStep::Encapsulated(hash) => ("encapsulated", json!({ "xxh3": format!("{hash:016x}") })),
            HopStep::Decapsulated(hash) => ("decapsulated", json!({ "xxh3": format!("{hash:016x}") })),
            HopStep::Sealed(spi, seq, icv) => {
                let (spi, icv) = (format!("{spi:08x}"), format!("{icv:08x}"));
                ("sealed", json!({ "spi": spi, "sequence": seq, "icv_end": icv }))
            }
            HopStep::Opened(spi, seq) => ("opened", json!({ "spi": format!("{spi:08x}"), "sequence": seq })),
            HopStep::Delivered => ("delivered", json!({})),
            HopStep::Dropped(reason, Place::Node(_)) => ("dropped", json!({ "reason": reason.code() })),
            HopStep::Dropped(reason, Place::Link(link, way)) => {
                ("dropped", json!({ "reason": reason.code(), "link": self.link(link), "direction": way.code() }))
            }
        };
        extend(&mut line, step, more);
        line
    }
}

fn extend(line: &mut Value, event: &str, more: Value) {
    if let (Value::Object(line), Value::Object(more)) = (line, more) {
        line.insert("event".into(), event.into());
        line.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::id::{FaultId, PacketId};
    use sim_core::reason::{DropReason, Reason, Rule, State, Step, TimerKind};
    use sim_core::time::Instant;
    use sim_core::trace::{Attributes, Open, Prefixes, Table, Way};

    fn log<W: Write>(out: W, hops: bool) -> EventLog<W> {
        let names = Names {
            nodes: vec![("cgw".into(), vec!["lan".into(), "vpn.a".into()])],
            links: vec!["path-a".into()],
            sessions: vec!["bgp cgw/vpn.a".into()],
            faults: vec!["cut".into()],
        };
        EventLog { out, hops, names, failed: FirstError::default() }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn every_kind_of_record_and_hop_has_a_line_of_its_own() {
        let mut out = Vec::new();
        let mut log = log(&mut out, true);
        let (session, cgw, link) = (SessionId(0), NodeId(0), LinkId(0));
        let (from, to, reason) = (State::Established, State::Idle, Reason::HoldTimerExpired);
        let kinds = [
            What::Genesis,
            What::Fault { fault: FaultId(0), phase: Phase::Heal },
            What::Power { on: false },
            What::Expired {
                session: Some(session),
                timer: TimerKind::HoldTimer,
                armed_at: at(70),
                starver: Some(RecordId(1)),
            },
            What::State { session, from, to, reason },
            What::Step {
                session,
                step: Step::KeepaliveMessageSent,
                detail: 0,
                response: false,
                notice: None,
                prefixes: None,
                open: None,
            },
            What::Step {
                session,
                step: Step::IkeAuthSent,
                detail: 1,
                response: true,
                notice: Some(Reason::AuthenticationFailed),
                prefixes: None,
                open: None,
            },
            What::Step {
                session,
                step: Step::OpenMessageReceived,
                detail: 0,
                response: false,
                notice: None,
                prefixes: None,
                open: Some(Box::new(Open { asn: 65010, hold_time: 30, identifier: [169, 254, 10, 2].into() })),
            },
            What::Step {
                session,
                step: Step::UpdateSent,
                detail: 2,
                response: false,
                notice: None,
                prefixes: Some(Box::new(Prefixes {
                    withdrawn: ["10.2.0.0/16".parse().unwrap()].into(),
                    announced: ["10.1.0.0/16".parse().unwrap()].into(),
                    attributes: Some(Attributes {
                        as_path: "65010 65010".into(),
                        next_hop: [169, 254, 10, 2].into(),
                        med: None,
                    }),
                })),
                open: None,
            },
            What::Route {
                table: Table::Fib,
                prefix: "10.0.0.0/16".parse().unwrap(),
                from: Some(Port(1)),
                to: Some(Port(7)),
                reason: Reason::SessionDown,
                rule: None,
                beside: Default::default(),
                stays: false,
            },
            What::Route {
                table: Table::Tgw(1),
                prefix: "10.1.0.0/16".parse().unwrap(),
                from: None,
                to: Some(Port(0)),
                reason: Reason::Learned,
                rule: Some(Rule::EqualCost),
                beside: [Port(1)].into(),
                stays: false,
            },
            What::Route {
                table: Table::Vgw,
                prefix: "10.1.0.0/16".parse().unwrap(),
                from: Some(Port(1)),
                to: Some(Port(1)),
                reason: Reason::Withdrawn,
                rule: Some(Rule::OnlyRoute),
                beside: Default::default(),
                stays: true,
            },
        ];
        for (n, what) in kinds.into_iter().enumerate() {
            let record = Record {
                at: at(100 + n as u64),
                node: cgw,
                cause: RecordId(n as u32),
                enabler: RecordId::GENESIS,
                what,
            };
            log.record(RecordId(n as u32 + 1), &record);
        }
        let steps = [
            HopStep::Created(0xabc),
            HopStep::CutFrom(PacketId(4)),
            HopStep::Forwarded(Port(0), "10.1.0.10".parse().unwrap()),
            HopStep::Sealed(0xc0ff_ee00, 17, 0xdead_beef),
            HopStep::Sent(link, Way::Reverse),
            HopStep::Arrived(Port(1)),
            HopStep::Opened(0xc0ff_ee00, 17),
            HopStep::Delivered,
            HopStep::Dropped(DropReason::NoSa, Place::Node(cgw)),
        ];
        for step in steps {
            log.hop(&Hop { at: at(200), node: cgw, packet: PacketId(5), step });
        }
        let step = HopStep::Dropped(DropReason::Blackhole, Place::Link(link, Way::Forward));
        log.hop(&Hop { at: at(201), node: NodeId(u32::MAX), packet: PacketId(6), step });
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn hops_are_left_out_unless_asked_for() {
        let mut out = Vec::new();
        log(&mut out, false).hop(&Hop { at: at(1), node: NodeId(0), packet: PacketId(1), step: HopStep::Delivered });
        assert!(out.is_empty());
    }

    #[test]
    fn the_first_failed_write_is_kept() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut log = log(Full, false);
        let record = Record {
            at: at(1),
            node: NodeId(0),
            cause: RecordId::GENESIS,
            enabler: RecordId::GENESIS,
            what: What::Genesis,
        };
        log.record(RecordId(1), &record);
        assert_eq!(log.failed.borrow().as_ref().unwrap().kind(), io::ErrorKind::StorageFull);
    }
}
