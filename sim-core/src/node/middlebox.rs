//! A firewall on an instance of a VPC: what routes of the VPC lead through it is judged as by [`crate::net::firewall`], and what passes goes
//! back into the VPC by the same network interface, for the route table of its own subnet to send on.
//!
//! It has one interface, so who may begin is known by the source: a network that is inside may, others answer. If none is named everybody
//! may begin.
//!
//! Left out: rules beyond that, and what the instance itself sends but echo replies and ICMP errors.

use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

use super::ip::{Inbound, Ip};
use super::router::pong;
use super::{Cx, Device, link_reason};
use crate::id::{Port, RecordId};
use crate::net::conntrack::{TrackConfig, Zone};
use crate::net::firewall::{Firewall, FirewallConfig, OnMiss, Side};
use crate::net::reset::reset;
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::time::Instant;
use crate::wire::ipv4::Ipv4Packet;

/// The port of its network interface.
pub const INTERFACE_PORT: Port = Port(0);

/// The sides of the firewall, which are no ports of the instance.
const INSIDE: Port = Port(0);
const OUTSIDE: Port = Port(1);

/// What it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MiddleboxConfig {
    /// Its address.
    pub address: Ipv4Addr,
    /// Who may begin; if nobody is named, everybody.
    pub inside: Vec<Ipv4Net>,
    /// Its table of flows.
    pub track: TrackConfig,
    /// What a stranger hears.
    pub on_miss: OnMiss,
    /// MTU of its interface, in octets.
    pub mtu: u32,
}

/// The instance.
#[derive(Clone, Debug)]
pub struct Middlebox {
    ip: Ip,
    inside: Vec<Ipv4Net>,
    firewall: Firewall,
}

impl Middlebox {
    /// Its firewall, to look at.
    pub fn firewall(&self) -> &Firewall {
        &self.firewall
    }

    /// One that has seen nothing.
    pub fn new(config: MiddleboxConfig) -> Self {
        let mut ip = Ip::new(vec![config.address]);
        ip.add_port(INTERFACE_PORT, config.mtu);
        ip.default_route(INTERFACE_PORT);
        let side = |port: Port, begins| Side { zone: Zone(port.0), begins };
        let firewall = Firewall::new(FirewallConfig {
            // A flow is known by its addresses: there is one interface.
            track: TrackConfig { bound: false, ..config.track },
            sides: vec![side(INSIDE, true), side(OUTSIDE, config.inside.is_empty())],
            on_miss: config.on_miss,
            asymmetric: false,
        });
        Self { ip, inside: config.inside, firewall }
    }

    fn side(&self, address: Ipv4Addr) -> Port {
        if self.inside.iter().any(|net| net.contains(&address)) { INSIDE } else { OUTSIDE }
    }

    fn pass(&mut self, cx: &mut Cx, mut packet: Packet) {
        // Only whole packets can be told apart.
        if Ipv4Packet::new_unchecked(packet.bytes()).is_fragment() {
            let Some(whole) = self.ip.reassemble(cx, packet) else { return };
            packet = whole;
        }
        let Some((port, packet)) = self.ip.forward(cx, INTERFACE_PORT, packet) else { return };
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let sides = (self.side(ip.src()), self.side(ip.dst()));
        match self.firewall.judge(cx.now, &packet, sides.0, sides.1) {
            Ok(()) => self.ip.output(cx, port, packet),
            Err(refusal) => {
                cx.drop(&packet, refusal.reason, RecordId::GENESIS);
                let answer = reset(packet.bytes(), cx.meta()).filter(|_| refusal.resets);
                if let Some(mut answer) = answer {
                    self.ip.identify(&mut answer);
                    cx.created(&answer);
                    self.ip.output(cx, INTERFACE_PORT, answer);
                }
            }
        }
    }
}

impl Device for Middlebox {
    fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
        self.firewall.flush();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        match self.ip.inbound(cx, port, packet) {
            Inbound::Local(packet) => match pong(cx, &packet) {
                Some(reply) => {
                    if let Some((port, reply)) = self.ip.route(cx, reply) {
                        self.ip.output(cx, port, reply);
                    }
                }
                None => cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS),
            },
            Inbound::Transit(packet) => self.pass(cx, packet),
            // It speaks IPv4 only.
            Inbound::Ipv6Local(packet) | Inbound::Ipv6Transit(packet) => {
                cx.drop(&packet, DropReason::NoRoute, RecordId::GENESIS);
            }
            Inbound::Nothing => {}
        }
        cx.rearm();
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.ip.wake()
    }

    fn held(&self) -> Vec<&Packet> {
        self.ip.held().collect()
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.ip.carrier(cx, port, up, link_reason(up));
    }
}
