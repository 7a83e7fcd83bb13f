//! A NAT: rewrites the addresses and ports of packets between an inside and an outside, by RFC 4787 (UDP), RFC 5382
//! (TCP) and RFC 5508 (ICMP).
//!
//! ```text
//!   10.0.0.2:4500 --outbound()--> 198.51.100.1:x --> remote
//!   10.0.0.2:4500 <--inbound()--- 198.51.100.1:x <-- remote
//!   10.0.0.2 --outbound(), then inbound()--> 10.0.0.3      hairpinning
//! ```
//!
//! | file | what |
//! |---|---|
//! | `config` | the vocabulary of RFC 4787, as data |
//! | `flow` | whose a packet is; rewriting of packets and of those that ICMP errors quote |
//! | `table` | mappings, sessions, ports, expiry |
//!
//! Nothing here happens by itself but the loss of fragments that wait too long: a mapping that has expired is removed
//! when the next packet comes, before that packet is looked at.
//!
//! Left out: answers to unsolicited SYNs (RFC 5382 REQ-4: they are dropped silently, as its item a allows); ICMP queries
//! other than echo (RFC 5508 section 7.1); ICMP errors with extensions are translated as if they had none (RFC 5508
//! REQ-3 d); ALGs (RFC 4787 REQ-10); translation between realms with the same addresses (RFC 4787 REQ-7); several port
//! blocks for one host (RFC 6888 REQ-4); port forwarding by hand and by protocol (RFC 6887). Two inside hosts that send
//! fragments with the same Identification to one remote host are not kept apart (RFC 6864 section 5.3.1).

mod config;
pub(super) mod flow;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

pub use config::{Assignment, Behaviour, Fragments, Mode, NatConfig, Passthrough, Pooling, Refresh, Timers};

use self::flow::{Content, Flow, Which};
use self::table::Table;
use crate::id::PacketId;
use crate::net::fragment::{Reassembler, Reassembly, ReassemblyConfig};
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::wire::ipv4::Ipv4Packet;

/// How long the way of a first fragment is remembered: as long as a host would wait for the others (RFC 1122 section
/// 3.3.2).
const FOLLOW: Duration = Duration::from_secs(60);
/// Datagrams whose fragments are followed at most, so that a flood of first fragments takes no more (RFC 4787 REQ-14 a).
const FOLLOWED: usize = 1024;

/// What became of a packet.
#[derive(Debug)]
pub enum Outcome {
    /// It goes on, translated: to where its destination address says.
    Forward(Packet),
    /// It is not for the translator: for an address of the device itself, as it stands.
    Own(Packet),
    /// A fragment that waits for the others.
    Waiting,
    /// These are dropped.
    Drop(DropReason, Vec<Packet>),
}

/// What fragments of one datagram have in common.
type Datagram = (Ipv4Addr, Ipv4Addr, u8, u16);

/// A NAT. Cloning it forks a world.
#[derive(Clone, Debug)]
pub struct Nat {
    config: NatConfig,
    table: Table,
    rng: Rng,
    reassembler: Reassembler,
    /// Where the first fragment of a datagram went: new source and destination.
    followed: BTreeMap<Datagram, (Instant, Ipv4Addr, Ipv4Addr)>,
    /// What was joined last.
    joined: Option<(Vec<PacketId>, PacketId)>,
}

impl Nat {
    /// A NAT that remembers nothing. `rng` draws ports; it goes on over [`Nat::flush`], so that a mapping comes back with
    /// another port.
    pub fn new(config: NatConfig, rng: Rng) -> Self {
        let reassembler = Reassembler::new(ReassemblyConfig::default());
        Self { config, table: Table::default(), rng, reassembler, followed: BTreeMap::new(), joined: None }
    }

    /// What it was told.
    pub fn config(&self) -> &NatConfig {
        &self.config
    }

    /// Mappings that it remembers, those included that have expired since the last packet.
    pub fn mappings(&self) -> usize {
        self.table.len()
    }

    /// Forgets every mapping and fragment.
    pub fn flush(&mut self) {
        self.table.flush();
        self.followed.clear();
        self.reassembler = Reassembler::new(ReassemblyConfig::default());
    }

    /// Shows inside hosts by this address from now on, and forgets every mapping.
    pub fn renumber(&mut self, address: Ipv4Addr) {
        self.config.pool = vec![address];
        self.flush();
    }

    /// True if packets to this address from outside are the translator's.
    pub fn owns(&self, address: Ipv4Addr) -> bool {
        match &self.config.mode {
            Mode::Napt => self.config.pool.contains(&address),
            Mode::OneToOne(pairs) => pairs.iter().any(|(_, outside)| *outside == address),
            Mode::Routed => false,
        }
    }

    /// A packet from inside, its IPv4 header checked, its checksum right, nothing behind its total length. One to an
    /// outside address of this NAT comes back as [`Outcome::Forward`] to another inside host: hairpinning.
    pub fn outbound(&mut self, now: Instant, packet: Packet) -> Outcome {
        if self.config.mode == Mode::Routed {
            return Outcome::Forward(packet);
        }
        self.table.expire(now, &self.config);
        self.translate(now, packet, Self::outward)
    }

    /// A packet from outside, checked likewise.
    pub fn inbound(&mut self, now: Instant, packet: Packet) -> Outcome {
        if self.config.mode == Mode::Routed {
            return Outcome::Forward(packet);
        }
        if !self.owns(Ipv4Packet::new_unchecked(packet.bytes()).dst()) {
            return Outcome::Own(packet);
        }
        self.table.expire(now, &self.config);
        self.translate(now, packet, Self::inward)
    }

    /// Whether a packet from inside is of a flow that is remembered, or of none that is told apart.
    pub fn knows(&mut self, now: Instant, packet: &Packet) -> bool {
        self.table.expire(now, &self.config);
        match flow::read(&Ipv4Packet::new_unchecked(packet.bytes())) {
            Ok(Content::Flow(flow) | Content::Request(flow)) => self.table.knows(&flow, &self.config),
            Ok(Content::Reply(_) | Content::Error(_) | Content::Other) | Err(_) => true,
        }
    }

    /// The fragments that wait for others.
    pub fn held(&self) -> impl Iterator<Item = &Packet> {
        self.reassembler.held()
    }

    /// The fragments that the latest packet has completed, and what they are together.
    pub fn joined(&mut self) -> Option<(Vec<PacketId>, PacketId)> {
        self.joined.take()
    }

    /// When fragments wait no longer.
    pub fn wake(&self) -> Option<Instant> {
        self.reassembler.wake()
    }

    /// Gives up on fragments that waited too long, and hands them out datagram by datagram.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Vec<Packet>> {
        self.reassembler.handle_timeout(now)
    }

    fn translate(
        &mut self,
        now: Instant,
        packet: Packet,
        way: fn(&mut Self, Instant, &mut Packet) -> Result<bool, DropReason>,
    ) -> Outcome {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let is_fragment = ip.is_fragment();
        let mut packet = match self.config.fragments {
            _ if !is_fragment => packet,
            Fragments::Drop => return Outcome::Drop(DropReason::NatFragment, vec![packet]),
            Fragments::Reassemble => match self.reassembler.handle(now, packet) {
                Reassembly::Whole(whole) => whole,
                Reassembly::Joined(whole, parts) => {
                    self.joined = Some((parts, whole.meta.id));
                    whole
                }
                Reassembly::Waiting => return Outcome::Waiting,
                Reassembly::Dropped(reason, packets) => return Outcome::Drop(reason, packets),
            },
            Fragments::FollowFirst if ip.fragment_offset() != 0 => return self.follow(now, packet),
            Fragments::FollowFirst => packet,
        };
        let before = datagram(&packet);
        match way(self, now, &mut packet) {
            Ok(true) => {
                if is_fragment && self.config.fragments == Fragments::FollowFirst {
                    self.remember(now, before, &packet);
                }
                Outcome::Forward(packet)
            }
            Ok(false) => Outcome::Own(packet),
            Err(reason) => Outcome::Drop(reason, vec![packet]),
        }
    }

    fn remember(&mut self, now: Instant, before: Datagram, packet: &Packet) {
        if self.followed.len() >= FOLLOWED {
            self.followed.retain(|_, (until, ..)| *until > now);
        }
        if self.followed.len() < FOLLOWED {
            let (src, dst, ..) = datagram(packet);
            self.followed.insert(before, (now + FOLLOW, src, dst));
        }
    }

    /// A later fragment: no port to read, and no checksum but the header's.
    fn follow(&mut self, now: Instant, mut packet: Packet) -> Outcome {
        let way = self.followed.get(&datagram(&packet)).filter(|(until, ..)| *until > now);
        let Some(&(_, src, dst)) = way else {
            return Outcome::Drop(DropReason::NatFragment, vec![packet]);
        };
        flow::readdress(packet.bytes_mut(), Which::Source, src);
        flow::readdress(packet.bytes_mut(), Which::Destination, dst);
        Outcome::Forward(packet)
    }

    /// Translates a packet on its way out. False if it is for the device itself.
    fn outward(&mut self, now: Instant, packet: &mut Packet) -> Result<bool, DropReason> {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let (src, hairpin) = (ip.src(), self.owns(ip.dst()));
        let content = flow::read(&ip)?;
        if hairpin && !self.config.hairpin {
            return Err(DropReason::NatNoMapping);
        }
        if let Mode::OneToOne(pairs) = &self.config.mode {
            let outside = |inside: Ipv4Addr| pairs.iter().find(|pair| pair.0 == inside).map(|pair| pair.1);
            let new = outside(src).ok_or(DropReason::NatNoMapping)?;
            let quoted = match content {
                Content::Error(about) => Some((outside(about.dst.0).ok_or(DropReason::NatNoMapping)?, about.dst.1)),
                Content::Flow(_) | Content::Request(_) | Content::Reply(_) | Content::Other => None,
            };
            if let Some(end) = quoted {
                flow::rewrite_embedded(packet.bytes_mut(), Which::Destination, end);
            }
            readdress_flow(packet, Which::Source, new, &content);
        } else {
            // The device answers pings of its outside addresses itself.
            if hairpin && matches!(content, Content::Request(_)) {
                return Ok(false);
            }
            match content {
                Content::Flow(flow) | Content::Request(flow) => {
                    let outside = self.table.outbound(now, &flow, &self.config, &mut self.rng)?;
                    flow::rewrite(packet.bytes_mut(), Which::Source, outside);
                }
                Content::Error(about) => {
                    let outside = self.table.outside_of(&about, &self.config).ok_or(DropReason::NatNoMapping)?;
                    flow::rewrite_embedded(packet.bytes_mut(), Which::Destination, outside);
                    flow::readdress(packet.bytes_mut(), Which::Source, outside.0);
                }
                Content::Reply(_) => return Err(DropReason::NatNoMapping),
                Content::Other => return Err(DropReason::NatUnsupported),
            }
        }
        if hairpin { self.inward(now, packet) } else { Ok(true) }
    }

    /// Translates a packet on its way in. False if it is for the device itself.
    fn inward(&mut self, now: Instant, packet: &mut Packet) -> Result<bool, DropReason> {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let dst = ip.dst();
        let content = flow::read(&ip)?;
        if let Mode::OneToOne(pairs) = &self.config.mode {
            let inside = |outside: Ipv4Addr| pairs.iter().find(|pair| pair.1 == outside).map(|pair| pair.0);
            let new = inside(dst).ok_or(DropReason::NatNoMapping)?;
            let quoted = match content {
                Content::Error(about) => Some((inside(about.src.0).ok_or(DropReason::NatNoMapping)?, about.src.1)),
                Content::Flow(_) | Content::Request(_) | Content::Reply(_) | Content::Other => None,
            };
            if let Some(end) = quoted {
                flow::rewrite_embedded(packet.bytes_mut(), Which::Source, end);
            }
            readdress_flow(packet, Which::Destination, new, &content);
            return Ok(true);
        }
        match content {
            Content::Flow(flow) | Content::Reply(flow) => {
                let inside = self.table.inbound(now, &flow, &self.config)?;
                flow::rewrite(packet.bytes_mut(), Which::Destination, inside);
            }
            Content::Error(about) => {
                // The outer source stays, whoever it is (RFC 4787 REQ-12 a); no timer moves (RFC 5508 REQ-6).
                let inside = self.table.inside_of(&about, &self.config).ok_or(DropReason::NatNoMapping)?;
                flow::rewrite_embedded(packet.bytes_mut(), Which::Source, inside);
                flow::readdress(packet.bytes_mut(), Which::Destination, inside.0);
            }
            Content::Request(_) => return Ok(false),
            Content::Other => return Err(DropReason::NatUnsupported),
        }
        Ok(true)
    }
}

/// Replaces the destination of a UDP datagram or TCP segment, as port forwarding does, and the checksums over it.
pub fn redirect(packet: &mut Packet, to: (Ipv4Addr, u16)) {
    flow::rewrite(packet.bytes_mut(), Which::Destination, to);
}

/// Replaces the source of one, for the answer to what [`redirect`] has changed.
pub fn answer_from(packet: &mut Packet, from: (Ipv4Addr, u16)) {
    flow::rewrite(packet.bytes_mut(), Which::Source, from);
}

/// Replaces an address and leaves the port or identifier as it is.
fn readdress_flow(packet: &mut Packet, which: Which, new: Ipv4Addr, content: &Content) {
    let port = |flow: &Flow| match which {
        Which::Source => flow.src.1,
        Which::Destination => flow.dst.1,
    };
    match content {
        Content::Flow(flow) | Content::Request(flow) | Content::Reply(flow) => {
            flow::rewrite(packet.bytes_mut(), which, (new, port(flow)));
        }
        Content::Error(_) | Content::Other => {
            flow::readdress(packet.bytes_mut(), which, new);
        }
    }
}

fn datagram(packet: &Packet) -> Datagram {
    let ip = Ipv4Packet::new_unchecked(packet.bytes());
    (ip.src(), ip.dst(), ip.protocol(), ip.ident())
}
