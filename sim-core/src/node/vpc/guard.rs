//! The security groups of a network interface (EC2 user guide, page security-group-connection-tracking.html): what begins a flow needs a
//! rule, and what belongs to a flow that is tracked needs none, also when the rule is gone.
//!
//! A flow of TCP or UDP is not tracked if a rule lets it pass for everybody (0.0.0.0/0) and one of the other direction lets everything
//! pass for everybody, unless what is at its other end has every flow tracked. Its packets need their rules each time, so it ends with
//! its rule.
//!
//! What begins a flow beyond the connection tracking allowance of the instance is dropped (the same page; ENA counts it in
//! `conntrack_allowance_exceeded`). AWS publishes the allowance of no instance type, so it is [`TrackConfig::limit`].
//!
//! A later fragment passes: what its first one was asked is not remembered here.

use super::Refusal;
use crate::id::RecordId;
use crate::net::acl::{Match, Traffic};
use crate::net::conntrack::{TrackConfig, Tracker, Verdict, Zone};
use crate::reason::DropReason;
use crate::time::Instant;
use crate::wire::ipv4::{Ipv4Packet, protocol};

/// A rule of a security group, by which traffic is allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupRule {
    /// Its number in the VPC, by which an operator revokes it. A rule with several sources stands here as several with one number.
    pub number: u16,
    /// Whether it is about what leaves the interface.
    pub outbound: bool,
    /// What it is about.
    pub matches: Match,
}

/// The security groups of an interface.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    rules: Vec<GroupRule>,
    /// Numbers of rules that are revoked.
    revoked: Vec<u16>,
    /// The record of the last change of its rules: to blame for what they refuse.
    changed: RecordId,
    /// The record of the last rule that was authorized again: what it lets pass may have waited for that.
    restored: RecordId,
    tracker: Tracker,
}

impl Guard {
    pub fn new(rules: Vec<GroupRule>, tracking: TrackConfig) -> Self {
        let (changed, restored) = (RecordId::GENESIS, RecordId::GENESIS);
        Self { rules, revoked: Vec::new(), changed, restored, tracker: Tracker::new(tracking) }
    }

    /// An operator revokes a rule, or authorizes it again, which `cause` tells of.
    pub fn revoke(&mut self, rule: u16, revoked: bool, cause: RecordId) {
        if !self.rules.iter().any(|it| it.number == rule) {
            return;
        }
        self.changed = cause;
        self.revoked.retain(|number| *number != rule);
        if revoked {
            self.revoked.push(rule);
        } else {
            self.restored = cause;
        }
    }

    /// The record of the last rule that was authorized again.
    pub const fn restored(&self) -> RecordId {
        self.restored
    }

    /// Why a packet does not pass, if it does not. `always_tracked`: what is at the other end has all its flows tracked.
    pub fn refusal(&mut self, now: Instant, packet: &[u8], outbound: bool, always_tracked: bool) -> Option<Refusal> {
        let ip = Ipv4Packet::new_unchecked(packet);
        if ip.fragment_offset() != 0 {
            return None;
        }
        let traffic = Traffic::of(packet);
        if !always_tracked && self.is_untracked(&traffic, outbound) {
            return None;
        }
        match self.tracker.look(now, &ip, Zone::default(), Zone::default()) {
            Verdict::Flow(_) | Verdict::Related => None,
            Verdict::New { .. } if self.allows(&traffic, outbound) => {
                let begins = self.tracker.admit(now, &ip, Zone::default(), Zone::default());
                (!begins).then_some((DropReason::ConntrackAllowanceExceeded, RecordId::GENESIS))
            }
            Verdict::New { .. } | Verdict::Stray(_) => {
                let by = if outbound { DropReason::SecurityGroupOutbound } else { DropReason::SecurityGroupInbound };
                Some((by, self.changed))
            }
        }
    }

    fn rules(&self, outbound: bool) -> impl Iterator<Item = &Match> {
        let in_force = move |rule: &&GroupRule| rule.outbound == outbound && !self.revoked.contains(&rule.number);
        self.rules.iter().filter(in_force).map(|rule| &rule.matches)
    }

    fn allows(&self, traffic: &Traffic, outbound: bool) -> bool {
        self.rules(outbound).any(|rule| rule.fits(traffic, outbound))
    }

    /// Whether a packet is of a flow that is not tracked, whichever end began it.
    fn is_untracked(&self, traffic: &Traffic, outbound: bool) -> bool {
        if !matches!(traffic.protocol, protocol::TCP | protocol::UDP) {
            return false;
        }
        let everybody = |rule: &&Match| rule.other.prefix_len() == 0;
        let of = |rule: &Match| rule.protocol.is_none_or(|protocol| protocol == traffic.protocol);
        let any_port =
            |rule: &Match| rule.ports.as_ref().is_none_or(|ports| *ports.start() == 0 && *ports.end() == u16::MAX);
        let all = |outbound| self.rules(outbound).filter(everybody).any(|rule| of(rule) && any_port(rule));
        let begun = self.rules(outbound).filter(everybody).any(|rule| rule.fits(traffic, outbound));
        let back = traffic.reversed();
        let answered = self.rules(!outbound).filter(everybody).any(|rule| rule.fits(&back, !outbound));
        (begun && all(!outbound)) || (answered && all(outbound))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::packet::Meta;
    use crate::wire::icmp::{self, Echo};
    use crate::wire::udp;

    const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
    const THERE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);

    fn rule(number: u16, outbound: bool, ports: Option<core::ops::RangeInclusive<u16>>, other: &str) -> GroupRule {
        let matches = Match { protocol: Some(protocol::UDP), ports, other: other.parse().unwrap() };
        GroupRule { number, outbound, matches }
    }

    struct Bench(Guard);

    impl Bench {
        fn new(rules: Vec<GroupRule>) -> Self {
            Self(Guard::new(rules, TrackConfig::EC2))
        }

        /// Whether a datagram to port 7 of the interface passes, that many seconds after the start.
        fn asked(&mut self, at: u64) -> bool {
            let packet = udp::packet((THERE, 40_000), (HERE, 7), b"data", Meta::default());
            self.0.refusal(Instant::from_secs(at), packet.bytes(), false, false).is_none()
        }

        /// And the answer.
        fn answers(&mut self, at: u64) -> bool {
            let packet = udp::packet((HERE, 7), (THERE, 40_000), b"data", Meta::default());
            self.0.refusal(Instant::from_secs(at), packet.bytes(), true, false).is_none()
        }
    }

    /// Security groups are stateful and allow only: an answer needs no rule, another flow does.
    #[test]
    fn an_answer_needs_no_rule() {
        let mut bench = Bench::new(vec![rule(0, false, Some(7..=7), "10.1.0.0/16")]);
        assert!(!bench.answers(0), "nothing begins from inside: there is no outbound rule");
        assert!(bench.asked(0) && bench.answers(0));
        // EC2-ct: UDP with one answer is forgotten after 30 s.
        assert!(bench.answers(29) && !bench.answers(60));
    }

    /// The same page: what would begin a flow beyond the allowance is dropped, what belongs to a tracked one passes, and the room of a flow
    /// that is forgotten is free.
    #[test]
    fn the_allowance_bounds_what_is_tracked() {
        let rules = || vec![rule(0, false, Some(7..=7), "10.1.0.0/16")];
        let ask = |guard: &mut Guard, at, port| {
            let packet = udp::packet((THERE, port), (HERE, 7), b"data", Meta::default());
            guard.refusal(Instant::from_secs(at), packet.bytes(), false, false).map(|(reason, _)| reason)
        };
        let mut two = Guard::new(rules(), TrackConfig { limit: 2, ..TrackConfig::EC2 });
        assert_eq!([1, 2].map(|port| ask(&mut two, 0, port)), [None, None]);
        assert_eq!(ask(&mut two, 20, 3), Some(DropReason::ConntrackAllowanceExceeded));
        assert_eq!(ask(&mut two, 20, 1), None, "its flow is tracked");
        // Nothing has been heard of the second for 30 s.
        assert_eq!(ask(&mut two, 30, 3), None);
        assert_eq!(ask(&mut two, 30, 4), Some(DropReason::ConntrackAllowanceExceeded));
        let mut unlimited = Guard::new(rules(), TrackConfig::EC2);
        assert_eq!([1, 2, 3, 4].map(|port| ask(&mut unlimited, 0, port)), [None; 4]);
    }

    /// The page's example: a tracked flow goes on when its rule is gone, and none begins any more.
    #[test]
    fn a_tracked_flow_outlives_its_rule() {
        let mut bench = Bench::new(vec![rule(0, false, Some(7..=7), "10.1.0.0/16"), rule(1, true, None, "0.0.0.0/0")]);
        assert!(bench.asked(0) && bench.answers(0));
        bench.0.revoke(0, true, RecordId::GENESIS);
        assert!(bench.asked(20) && bench.answers(20), "the flow is remembered");
        assert!(!bench.asked(220), "it has been idle for longer than 180 s, and nothing may begin");
        bench.0.revoke(0, false, RecordId::GENESIS);
        assert!(bench.asked(221));
    }

    /// The same page: a rule for 0.0.0.0/0 with all answers allowed to 0.0.0.0/0 leaves the flow untracked, and it breaks at once.
    #[test]
    fn an_untracked_flow_ends_with_its_rule() {
        let mut bench = Bench::new(vec![rule(0, false, Some(7..=7), "0.0.0.0/0"), rule(1, true, None, "0.0.0.0/0")]);
        assert!(bench.asked(0) && bench.answers(0));
        assert_eq!(bench.0.tracker.flows().len(), 0);
        bench.0.revoke(0, true, RecordId::GENESIS);
        assert!(!bench.asked(1));
        // Without the rule for all answers it is tracked.
        let mut bench =
            Bench::new(vec![rule(0, false, Some(7..=7), "0.0.0.0/0"), rule(1, true, Some(0..=1023), "0.0.0.0/0")]);
        assert!(bench.asked(0) && bench.answers(0));
        assert_eq!(bench.0.tracker.flows().len(), 1);
        bench.0.revoke(0, true, RecordId::GENESIS);
        assert!(bench.asked(1));
    }

    /// The same page: ICMP is always tracked, by rules that leave UDP untracked, too.
    #[test]
    fn icmp_is_always_tracked() {
        let all = |number, outbound| GroupRule {
            number,
            outbound,
            matches: Match { protocol: None, ports: None, other: "0.0.0.0/0".parse().unwrap() },
        };
        let mut bench = Bench::new(vec![all(0, false), all(1, true)]);
        let echo = icmp::echo_request(THERE, HERE, Echo { ident: 1, seq: 1 }, b"data", Meta::default());
        let pinged =
            |guard: &mut Guard, at| guard.refusal(Instant::from_secs(at), echo.bytes(), false, false).is_none();
        assert!(pinged(&mut bench.0, 0) && bench.asked(0));
        bench.0.revoke(0, true, RecordId::GENESIS);
        assert!(pinged(&mut bench.0, 1), "it is remembered");
        assert!(!bench.asked(1), "it is not");
    }

    /// The same page: flows through what is always tracked are, whatever the rules.
    #[test]
    fn what_is_always_tracked_outlives_its_rule() {
        let mut bench = Bench::new(vec![rule(0, false, Some(7..=7), "0.0.0.0/0"), rule(1, true, None, "0.0.0.0/0")]);
        let packet = udp::packet((THERE, 40_000), (HERE, 7), b"data", Meta::default());
        assert!(bench.0.refusal(Instant::from_secs(0), packet.bytes(), false, true).is_none());
        bench.0.revoke(0, true, RecordId::GENESIS);
        assert!(bench.0.refusal(Instant::from_secs(1), packet.bytes(), false, true).is_none());
    }
}
