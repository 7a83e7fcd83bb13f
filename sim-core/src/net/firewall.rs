//! A stateful firewall: what may begin, what belongs to something that began, and what becomes of the rest.
//!
//! ```text
//!   inside ---first packet---> may begin ---> outside
//!   inside <------------------ an answer ---- outside     by the same interface or zone, if flows are bound
//!   inside      a stranger is dropped X <---- outside     silently, or its TCP hears a reset
//! ```
//!
//! Products differ in four things, and these are all that a firewall is told: to what a flow's state is bound, which TCP segments
//! belong to it, what a stranger hears, and how long an idle flow is remembered. Flows and their states are
//! [`super::conntrack`]'s. What the device itself sends and receives is not asked about.
//!
//! Left out: rules by address, port, user or application, beyond what may begin; inspection of content; SYN cookies and limits of
//! half-open connections; rules for packets that a table without room would let pass.

use super::conntrack::{Flow, Stray, TrackConfig, Tracker, Verdict, Zone};
use crate::id::Port;
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::time::Instant;
use crate::wire::ipv4::Ipv4Packet;

/// What a stranger hears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnMiss {
    /// Nothing.
    Drop,
    /// If it is TCP, a reset (RFC 9293 section 3.10.7.1).
    Reset,
}

/// What a port is to a firewall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Side {
    /// To what the state of flows is bound there.
    pub zone: Zone,
    /// True if flows may begin there.
    pub begins: bool,
}

/// All that a firewall is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirewallConfig {
    /// Its table of flows.
    pub track: TrackConfig,
    /// Its ports, by number.
    pub sides: Vec<Side>,
    /// What a stranger hears.
    pub on_miss: OnMiss,
    /// True if TCP that belongs to no flow of the table goes on all the same, by the routing table alone.
    pub asymmetric: bool,
}

/// Why a packet goes no further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The reason.
    pub reason: DropReason,
    /// True if its sender, which speaks TCP, hears a reset.
    pub resets: bool,
}

/// A firewall. Cloning it forks a world.
#[derive(Clone, Debug)]
pub struct Firewall {
    config: FirewallConfig,
    tracker: Tracker,
}

impl Firewall {
    /// A firewall that has seen nothing.
    pub fn new(config: FirewallConfig) -> Self {
        Self { tracker: Tracker::new(config.track), config }
    }

    /// What it was told.
    pub fn config(&self) -> &FirewallConfig {
        &self.config
    }

    /// Its table of flows.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Takes over a flow that its partner told it of.
    pub fn adopt(&mut self, flow: &Flow) {
        self.tracker.adopt([flow]);
    }

    /// Forgets every flow.
    pub fn flush(&mut self) {
        self.tracker.flush();
    }

    /// Judges a packet in transit, whole and sound, that came in by one port and goes out by another.
    ///
    /// # Errors
    /// Why it goes no further.
    pub fn judge(&mut self, now: Instant, packet: &Packet, from: Port, to: Port) -> Result<(), Refusal> {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let side = |port: Port| self.config.sides.get(port.index()).copied();
        let unknown = Side { zone: Zone(u16::MAX), begins: false };
        let (come, go) = (side(from).unwrap_or(unknown), side(to).unwrap_or(unknown));
        let silent = |reason| Err(Refusal { reason, resets: false });
        match self.tracker.look(now, &ip, come.zone, go.zone) {
            Verdict::Flow(_) | Verdict::Related => Ok(()),
            Verdict::New { .. } if come.begins => {
                if self.tracker.admit(now, &ip, come.zone, go.zone) {
                    Ok(())
                } else {
                    silent(DropReason::FirewallFull)
                }
            }
            Verdict::New { elsewhere: true } => silent(DropReason::FirewallOtherZone),
            Verdict::New { elsewhere: false } => silent(DropReason::FirewallPolicy),
            Verdict::Stray(stray) => self.stray(stray),
        }
    }

    fn stray(&self, stray: Stray) -> Result<(), Refusal> {
        let (reason, tcp) = match stray {
            Stray::NoConnection => (DropReason::FirewallNoState, true),
            Stray::OtherZone => (DropReason::FirewallOtherZone, true),
            Stray::BadState => (DropReason::FirewallBadState, true),
            Stray::OutOfWindow => (DropReason::FirewallOutOfWindow, true),
            Stray::NoQuery | Stray::Unrelated => (DropReason::FirewallUnrelated, false),
            Stray::Malformed => (DropReason::Malformed, false),
        };
        if tcp && self.config.asymmetric {
            return Ok(());
        }
        Err(Refusal { reason, resets: tcp && self.config.on_miss == OnMiss::Reset })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::packet::Meta;
    use crate::wire::ipv4::{Ipv4Header, protocol};
    use crate::wire::udp;

    const HOSTS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 1, 1)];
    const LAN: Port = Port(0);
    const ONE: Port = Port(1);
    const TWO: Port = Port(2);

    fn firewall(track: TrackConfig, on_miss: OnMiss, asymmetric: bool) -> Firewall {
        let side = |port: u16| Side { zone: Zone(port), begins: port == LAN.0 };
        Firewall::new(FirewallConfig { track, sides: (0..3).map(side).collect(), on_miss, asymmetric })
    }

    fn call(out: bool) -> Packet {
        let (from, to) = if out { (HOSTS[0], HOSTS[1]) } else { (HOSTS[1], HOSTS[0]) };
        udp::packet((from, 5_060), (to, 5_060), &[0; 20], Meta::default())
    }

    /// A TCP segment with nothing but ACK set.
    fn segment() -> Packet {
        let mut octets = [0; 20];
        (octets[12], octets[13]) = (5 << 4, 0x10);
        Ipv4Header::new(HOSTS[1], HOSTS[0], protocol::TCP).packet(&octets, Meta::default())
    }

    const BOUND: TrackConfig = TrackConfig { bound: true, loose: false, ..TrackConfig::NETFILTER };

    fn reason(judged: Result<(), Refusal>) -> Option<DropReason> {
        judged.err().map(|refusal| refusal.reason)
    }

    #[test]
    fn flows_begin_inside_and_are_answered_where_they_went() {
        let mut it = firewall(BOUND, OnMiss::Drop, false);
        let now = Instant::START;
        assert_eq!(reason(it.judge(now, &call(false), ONE, LAN)), Some(DropReason::FirewallPolicy));
        assert_eq!(it.judge(now, &call(true), LAN, ONE), Ok(()));
        assert_eq!(reason(it.judge(now, &call(false), TWO, LAN)), Some(DropReason::FirewallOtherZone));
        assert_eq!(it.judge(now, &call(false), ONE, LAN), Ok(()));
        it.flush();
        assert_eq!(reason(it.judge(now, &call(false), ONE, LAN)), Some(DropReason::FirewallPolicy));
        let mut full = firewall(TrackConfig { limit: 0, ..BOUND }, OnMiss::Drop, false);
        assert_eq!(reason(full.judge(now, &call(true), LAN, ONE)), Some(DropReason::FirewallFull));
    }

    /// Only TCP hears a reset, and asymmetric routing lets only TCP by.
    #[test]
    fn what_a_stranger_hears() {
        let now = Instant::START;
        let no_state = |resets| Err(Refusal { reason: DropReason::FirewallNoState, resets });
        assert_eq!(firewall(BOUND, OnMiss::Drop, false).judge(now, &segment(), ONE, LAN), no_state(false));
        assert_eq!(firewall(BOUND, OnMiss::Reset, false).judge(now, &segment(), ONE, LAN), no_state(true));
        assert_eq!(firewall(BOUND, OnMiss::Reset, true).judge(now, &segment(), ONE, LAN), Ok(()));
        let stranger = firewall(BOUND, OnMiss::Reset, true).judge(now, &call(false), ONE, LAN);
        assert_eq!(stranger, Err(Refusal { reason: DropReason::FirewallPolicy, resets: false }));
    }
}
