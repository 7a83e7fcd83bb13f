//! CHILD_SAs become pairs of SAs, and go.

use core::net::Ipv4Addr;
use core::ops::RangeInclusive;

use super::{Binding, Late, OUTER_TTL, OuterPacket, Pair, Tunnel, TunnelEvent};
use crate::id::RecordId;
use crate::node::Cx;
use crate::packet::Packet;
use crate::proto::esp::ah::{InboundAh, OutboundAh};
use crate::proto::esp::{
    Inbound, InboundSa, Limits, Outbound, OutboundSa, Outer, ReplayWindow, SaKeys, SaProtocol, Selectors, tunnel_mtu,
};
use crate::proto::ike::config::{ChildProtocol, Esn};
use crate::proto::ike::{self, ChildSa, Input};
use crate::reason::{DropReason, Reason};
use crate::rng::{Purpose, Seldom};
use crate::trace::pcap::SessionKeys;
use crate::wire::ike::{AddressRange, TrafficSelector};

impl Tunnel {
    /// A CHILD_SA is there: this end can receive on it, and send if it is told so or has no other.
    pub(super) fn install(&mut self, cx: &mut Cx, child: &ChildSa, events: &mut Vec<TunnelEvent>) {
        let suite = child.suite.protection;
        let (src, dst) = (self.config.local, self.config.remote);
        let (dst, udp) = match child.encapsulation {
            Some(ike::Encapsulation { local_port, remote: (address, port), behind_nat }) => {
                let remote = (address, port);
                self.binding = behind_nat.then_some(Binding { local_port, remote, used: cx.now });
                (address, Some((local_port, port)))
            }
            None => (child.remote.unwrap_or(dst), None),
        };
        let options = self.config.options;
        let outer = Outer { src, dst, udp, ttl: OUTER_TTL, df: options.df };
        let keys = |keys: &ike::DirectionKeys| SaKeys {
            encryption: keys.encryption.clone(),
            integrity: keys.integrity.clone(),
        };
        let (keys_in, keys_out) = (keys(&child.inbound), keys(&child.outbound));
        if child.suite.protocol == ChildProtocol::Esp {
            // Both directions: a simulated peer does the same, but it may be real.
            for (ends, spi, keys) in [((src, dst), child.spi_out, &keys_out), ((dst, src), child.spi_in, &keys_in)] {
                let log = || SessionKeys::Esp {
                    // Addresses that may change later tell a reader of captures nothing.
                    ends: (child.encapsulation.is_none() && child.remote.is_none()).then_some(ends),
                    spi,
                    suite,
                    encryption: keys.encryption.clone(),
                    integrity: keys.integrity.clone(),
                };
                cx.trace.keys(cx.now, cx.node, log);
            }
        }
        let stream = format!("{}/{:08x}", self.config.name, child.spi_out);
        let rng = Seldom::stream(self.config.seed, &stream, Purpose::Esp);
        let window = ReplayWindow::new(self.config.replay_window);
        let extended = child.suite.esn == Esn::Yes;
        let space = if extended { Limits::extended() } else { Limits::default() };
        let limits = Limits {
            rekey: options.rekey_packets.unwrap_or(space.rekey),
            last: options.last_packet.unwrap_or(space.last),
        };
        self.suite = Some(child.suite);
        // A policy-based device holds what arrives against its policy; AWS's selectors filter nothing (guide: tunnel options).
        let policies = !self.config.ike.policies.is_empty();
        let held = policies.then(|| range(&child.remote_ts).zip(range(&child.local_ts))).flatten();
        let selectors = held.map(|(src, dst)| Selectors { src, dst });
        let ipv6 = child.local_ts.iter().any(|ts| matches!(ts.addresses, AddressRange::V6(..)));
        let (inbound, outbound) = match child.suite.protocol {
            ChildProtocol::Esp => {
                let padding = tunnel_mtu(self.room(), suite, udp.is_some()).unwrap_or(0).min(options.tfc_padding);
                let inbound =
                    InboundSa::new(child.spi_in, suite, &keys_in, window, selectors).with_esn(extended).with_ipv6(ipv6);
                let outbound = OutboundSa::new(child.spi_out, suite, &keys_out, outer, None, rng).with_esn(extended);
                let outbound = outbound.with_limits(limits).with_tfc_padding(padding).with_ipv6(ipv6);
                (Inbound::Esp(inbound), Outbound::Esp(outbound))
            }
            ChildProtocol::Ah => {
                // UDP carries ESP only (RFC 3948 section 1), so AH goes where it is configured to go.
                let outer = Outer { dst: self.config.remote, udp: None, ..outer };
                let integrity = suite.integrity();
                let inbound = InboundAh::new(child.spi_in, integrity, &keys_in, window, extended, selectors);
                let outbound = OutboundAh::new(child.spi_out, integrity, &keys_out, outer, rng);
                (Inbound::Ah(Box::new(inbound)), Outbound::Ah(Box::new(outbound.with(extended, limits))))
            }
        };
        // Nearly always there is one, and ten thousand tunnels have room for one each.
        self.pairs.reserve_exact(1);
        let (policy, sends) = (child.policy, child.send_now);
        self.pairs.push(Pair { spi_in: child.spi_in, policy, sends, inbound, outbound });
        events.push(TunnelEvent::Installed(child.spi_in));
        if self.sending.is_none() {
            self.since = cx.cause;
            let mtu = self.mtu();
            events.push(TunnelEvent::Up(mtu));
            self.dummy = options.dummy_every.map(|every| cx.now + every);
        }
        if child.send_now || self.sending.is_none() {
            self.sending = Some(child.spi_in);
        }
    }

    /// From now on this pair sends.
    pub(super) fn switch(&mut self, spi_in: u32) {
        self.sending = Some(spi_in);
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.spi_in == spi_in) {
            pair.sends = true;
        }
    }

    /// Of a policy-based device: turns to the youngest pair of a packet's policy. If there is none, the packet is dropped and
    /// demands one.
    pub(super) fn choose(&mut self, cx: &mut Cx, packet: &Packet, events: &mut Vec<TunnelEvent>) -> Option<()> {
        let inner = OuterPacket::of(packet);
        let policy = self.config.ike.policies.iter().position(|policy| policy.covers(inner.src, inner.dst));
        let Some(policy) = policy.and_then(|policy| u8::try_from(policy).ok()) else {
            cx.drop(packet, DropReason::SelectorMismatch, RecordId::GENESIS);
            return None;
        };
        let pair = self.pairs.iter().rev().find(|pair| pair.policy == policy && pair.sends);
        if let Some(pair) = pair {
            self.sending = Some(pair.spi_in);
            return Some(());
        }
        cx.drop(packet, DropReason::NoSa, self.since);
        self.input(cx, Input::Demand { policy }, events);
        None
    }

    /// A CHILD_SA is gone. One that was rekeyed may still have packets under way, which others have overtaken: its inbound half
    /// stays for a moment, if this end is told so.
    pub(super) fn remove(&mut self, cx: &Cx, spi_in: u32, reason: Reason, events: &mut Vec<TunnelEvent>) {
        let waits = reason == Reason::Rekeyed && self.config.options.delete_rekeyed_delay.is_some();
        let pair = self.pairs.iter().position(|pair| pair.spi_in == spi_in).map(|at| self.pairs.remove(at));
        match pair.filter(|_| waits) {
            Some(pair) => self.late.push(Late { deleted: cx.now, spi_in, inbound: pair.inbound }),
            None => events.push(TunnelEvent::Removed(spi_in)),
        }
        if self.sending == Some(spi_in) {
            self.sending = self.pairs.last().map(|pair| pair.spi_in);
            if self.sending.is_none() {
                self.since = cx.cause;
                self.dummy = None;
                events.extend(self.late.drain(..).map(|late| TunnelEvent::Removed(late.spi_in)));
                events.push(TunnelEvent::Down);
            }
        }
    }
}

/// The addresses of a policy's side: it has one range of IPv4.
fn range(selectors: &[TrafficSelector]) -> Option<RangeInclusive<Ipv4Addr>> {
    match selectors.first()?.addresses {
        AddressRange::V4(low, high) => Some(low..=high),
        AddressRange::V6(..) => None,
    }
}

pub(super) fn sa_protocol(protocol: ChildProtocol) -> SaProtocol {
    match protocol {
        ChildProtocol::Esp => SaProtocol::Esp,
        ChildProtocol::Ah => SaProtocol::Ah,
    }
}
