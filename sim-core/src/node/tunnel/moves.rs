//! A tunnel whose outside addresses change: with MOBIKE its SAs go on between others (RFC 4555).

use std::net::IpAddr;

use super::{Binding, Tunnel, TunnelEvent};
use crate::node::Cx;
use crate::proto::esp::Outbound;
use crate::proto::ike::{self, Input};
use crate::reason::Step;

impl Tunnel {
    /// The outside address of this end is another from here on.
    pub(in crate::node) fn readdress(&mut self, cx: &mut Cx, local: IpAddr, events: &mut Vec<TunnelEvent>) {
        events.push(TunnelEvent::Readdressed(self.outside()));
        self.config.local = local;
        self.input(cx, Input::Addresses(vec![local]), events);
    }

    /// The SAs go between other addresses (RFC 4555 section 3.5), and perhaps in UDP now, or no longer.
    pub(super) fn moved(&mut self, cx: &mut Cx, moved: &ike::Moved, events: &mut Vec<TunnelEvent>) {
        let (local, remote) = (moved.local, moved.remote);
        // A record has room for an address of IPv4 only.
        let told = if let IpAddr::V4(remote) = remote { remote.into() } else { 0 };
        self.since = cx.step(self.config.ike_session, Step::AddressesUpdated, told);
        if local != self.config.local {
            events.push(TunnelEvent::Readdressed(self.outside()));
            self.config.local = local;
        }
        let encapsulation = moved.encapsulation;
        self.binding = encapsulation.filter(|udp| udp.behind_nat).map(|udp| {
            let remote = (remote, udp.remote.1);
            Binding { local_port: udp.local_port, remote, used: cx.now }
        });
        for pair in &mut self.pairs {
            let is_esp = matches!(pair.outbound, Outbound::Esp(_));
            let outer = pair.outbound.outer_mut();
            (outer.src, outer.dst) = (local, remote);
            outer.udp = encapsulation.filter(|_| is_esp).map(|udp| (udp.local_port, udp.remote.1));
        }
        if self.is_up() {
            let mtu = self.mtu();
            events.push(TunnelEvent::Narrowed(mtu));
        }
    }
}
