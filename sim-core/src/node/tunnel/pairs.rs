//! CHILD_SAs become pairs of SAs, and go.

use super::{Binding, Late, OUTER_TTL, Pair, Tunnel, TunnelEvent};
use crate::node::Cx;
use crate::proto::esp::ah::{InboundAh, OutboundAh};
use crate::proto::esp::{
    Inbound, InboundSa, Limits, Outbound, OutboundSa, Outer, ReplayWindow, SaKeys, SaProtocol, tunnel_mtu,
};
use crate::proto::ike::config::{ChildProtocol, Esn};
use crate::proto::ike::{self, ChildSa};
use crate::reason::Reason;
use crate::rng::{Purpose, Seldom};
use crate::trace::pcap::SessionKeys;
use crate::wire::ike::AddressRange;

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
                let log = SessionKeys::Esp {
                    // Addresses that may change later tell a reader of captures nothing.
                    ends: (child.encapsulation.is_none() && child.remote.is_none()).then_some(ends),
                    spi,
                    suite,
                    encryption: keys.encryption.clone(),
                    integrity: keys.integrity.clone(),
                };
                cx.trace.keys(cx.now, cx.node, &log);
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
        let ipv6 = child.local_ts.iter().any(|ts| matches!(ts.addresses, AddressRange::V6(..)));
        let (inbound, outbound) = match child.suite.protocol {
            ChildProtocol::Esp => {
                let padding = tunnel_mtu(self.room(), suite, udp.is_some()).unwrap_or(0).min(options.tfc_padding);
                let inbound =
                    InboundSa::new(child.spi_in, suite, &keys_in, window, None).with_esn(extended).with_ipv6(ipv6);
                let outbound = OutboundSa::new(child.spi_out, suite, &keys_out, outer, None, rng).with_esn(extended);
                let outbound = outbound.with_limits(limits).with_tfc_padding(padding).with_ipv6(ipv6);
                (Inbound::Esp(inbound), Outbound::Esp(outbound))
            }
            ChildProtocol::Ah => {
                // UDP carries ESP only (RFC 3948 section 1), so AH goes where it is configured to go.
                let outer = Outer { dst: self.config.remote, udp: None, ..outer };
                let integrity = suite.integrity();
                let inbound = InboundAh::new(child.spi_in, integrity, &keys_in, window, extended, None);
                let outbound = OutboundAh::new(child.spi_out, integrity, &keys_out, outer, rng);
                (Inbound::Ah(Box::new(inbound)), Outbound::Ah(Box::new(outbound.with(extended, limits))))
            }
        };
        // Nearly always there is one, and ten thousand tunnels have room for one each.
        self.pairs.reserve_exact(1);
        self.pairs.push(Pair { spi_in: child.spi_in, inbound, outbound });
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

pub(super) fn sa_protocol(protocol: ChildProtocol) -> SaProtocol {
    match protocol {
        ChildProtocol::Esp => SaProtocol::Esp,
        ChildProtocol::Ah => SaProtocol::Ah,
    }
}
