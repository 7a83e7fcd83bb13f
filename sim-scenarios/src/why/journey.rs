//! What the first probe that came through needed on its way, place by place.
//!
//! A packet carries the latest record that its journey depended on. What it needed besides, a route or an SA that had come
//! earlier, is what it would have waited for next: a second run listens to the hops of that one probe and looks up the
//! records behind them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use sim_core::id::{LinkId, NodeId, PacketId, RecordId, SessionId, StreamId};
use sim_core::packet::Packet;
use sim_core::reason::State;
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Hop, HopStep, SessionKind, Sink, Trace, Way, What};

use crate::measure::outage::Direction;

/// A record that a probe needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Need {
    /// The record.
    pub record: RecordId,
    /// How long after it was sent the probe was where it needed it.
    pub after: Duration,
}

impl Need {
    /// The earliest instant at which the probe could have been sent, as far as this need goes.
    pub fn ready(&self, trace: &Trace) -> Instant {
        Instant::START + trace.kept(self.record).at.since_start().saturating_sub(self.after)
    }
}

/// Listens to one probe, there and back.
#[derive(Clone)]
pub struct Journey {
    stream: StreamId,
    seq: u32,
    sent: Instant,
    direction: Direction,
    heard: Rc<RefCell<Heard>>,
}

#[derive(Default)]
struct Heard {
    /// Hops since the probe was sent, of all packets: whose they are is known when a packet enters a link.
    hops: BTreeMap<PacketId, Vec<Hop>>,
    ways: Vec<Leg>,
}

/// A packet of the probe as it enters a link.
struct Leg {
    at: Instant,
    packet: PacketId,
    destination: Option<IpAddr>,
    tunnel: Option<SessionId>,
    enabler: RecordId,
}

impl Journey {
    /// Listens to this probe, which is sent at that instant, as far as the direction goes.
    pub fn of(stream: StreamId, seq: u32, sent: Instant, direction: Direction) -> Self {
        Self { stream, seq, sent, direction, heard: Rc::default() }
    }

    /// What the probe needed, of all that came after `since`. `trace` is that of any run of the same scenario that went as far.
    pub fn needs(&self, trace: &Trace, since: RecordId) -> Vec<Need> {
        let heard = self.heard.borrow();
        let mut found: BTreeMap<RecordId, Duration> = BTreeMap::new();
        let mut need = |record: RecordId, at: Instant| {
            if record > since {
                let after = at.since(self.sent);
                found.entry(record).and_modify(|known| *known = after.min(*known)).or_insert(after);
            }
        };
        let mut inside: BTreeMap<PacketId, IpAddr> = BTreeMap::new();
        for leg in &heard.ways {
            // Before it is sealed its destination is that of the probe; the first time it enters a link it mostly is not.
            let first = !inside.contains_key(&leg.packet);
            if first && leg.tunnel.is_none() {
                inside.extend(leg.destination.map(|destination| (leg.packet, destination)));
            }
            need(leg.enabler, leg.at);
            for hop in heard.hops.get(&leg.packet).into_iter().flatten() {
                let to = inside.get(&leg.packet).copied();
                let record = match hop.step {
                    HopStep::Forwarded(port, _) => to.and_then(|to| route(trace, hop.node, port, to, hop.at)),
                    HopStep::Sealed(..) | HopStep::Opened(..) => {
                        leg.tunnel.and_then(|tunnel| sealed(trace, tunnel, hop.node, hop.at))
                    }
                    _ => None,
                };
                if let Some(record) = record {
                    need(record, hop.at);
                }
            }
        }
        found.into_iter().map(|(record, after)| Need { record, after }).collect()
    }
}

impl Sink for Journey {
    fn hop(&mut self, hop: &Hop) {
        if hop.at >= self.sent && matters(hop.step) {
            self.heard.borrow_mut().hops.entry(hop.packet).or_default().push(*hop);
        }
    }

    fn wire(&mut self, at: Instant, _link: LinkId, _way: Way, packet: &Packet) {
        let Some(tag) = packet.meta.probe else { return };
        let judged = match self.direction {
            Direction::Forward => !tag.reply,
            Direction::Reverse => tag.reply,
            Direction::RoundTrip => true,
        };
        if judged && tag.stream == self.stream && tag.seq == self.seq {
            self.heard.borrow_mut().ways.push(Leg {
                at,
                packet: packet.meta.id,
                destination: destination(packet.bytes()),
                tunnel: packet.meta.tunnel,
                enabler: packet.meta.enabler,
            });
        }
    }
}

const fn matters(step: HopStep) -> bool {
    matches!(step, HopStep::Forwarded(..) | HopStep::Sealed(..) | HopStep::Opened(..))
}

/// The destination of an IP packet.
fn destination(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.first()? >> 4 {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(16..20)?).ok()?).into()),
        6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(24..40)?).ok()?).into()),
        _ => None,
    }
}

/// The record by which a device has the route that it used then.
fn route(trace: &Trace, node: NodeId, port: sim_core::id::Port, to: IpAddr, then: Instant) -> Option<RecordId> {
    let used = |record: &sim_core::trace::Record| match &record.what {
        What::Route { prefix, to: out, beside, stays: false, .. } => {
            record.node == node && prefix.contains(&to) && (*out == Some(port) || beside.contains(&port))
        }
        _ => false,
    };
    trace
        .records()
        .take_while(|(_, record)| record.at <= then)
        .filter(|(_, record)| used(record))
        .last()
        .map(|(id, _)| id)
}

/// The record by which a device has the CHILD_SA that it used then, of the tunnel whose IKE session at one end is this.
fn sealed(trace: &Trace, ike: SessionId, node: NodeId, then: Instant) -> Option<RecordId> {
    let sessions = trace.sessions();
    let tunnel = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    let this = tunnel(&sessions[ike.index()].name);
    let child = sessions
        .iter()
        .position(|other| other.kind == SessionKind::Child && other.node == node && tunnel(&other.name) == this)?;
    let came_up = |what: &What| matches!(what, What::State { from, to: State::Up, .. } if *from != State::Rekeying);
    let records = trace.session_records(SessionId(child as u32)).take_while(|(_, record)| record.at <= then);
    records.filter(|(_, record)| came_up(&record.what)).last().map(|(id, _)| id)
}
