//! The place of somebody who is real: its addresses, and the links that lead to it. It is itself elsewhere, behind sockets
//! or a TUN device that somebody holds.
//!
//! What those read enters the world here ([`World::enter`](crate::world::World::enter)) as an IPv4 packet and crosses its
//! links like any other. What arrives waits to be taken away ([`World::leave`](crate::world::World::leave)). What may pass is
//! said by [`Carries`]:
//!
//! - At the end of a tunnel there are sockets, and their holder translates addresses, as a NAT does. Anybody on the internet
//!   can send anything, so what is neither an IKE message of the length that it states (RFC 7296 section 3.1) nor ESP is
//!   counted and dropped here, where it costs no memory.
//! - A host's programs are this machine's own. They may send any IPv4 packet, from whatever address.
//!
//! A probe's request has arrived when it leaves the world: from here on nobody can say where it was lost.
//!
//! Left out at the end of a tunnel: ICMP to and from the device, and whatever its own networks send in the clear.

use std::collections::VecDeque;

use super::ip::{Inbound, Ip};
use super::tunnel::{Outside, classify};
use super::{Cx, Device, link_reason};
use crate::id::{Port, RecordId};
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::time::Instant;
use crate::trace::HopStep;
use crate::wire::ike::Header;
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::udp;

/// What passes between the world and the place of somebody real.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carries {
    /// IKE and ESP in UDP (RFC 7296, RFC 3948).
    Udp,
    /// ESP that is a protocol of IP as well (RFC 4303).
    UdpAndEsp,
    /// Every IPv4 packet.
    Everything,
}

/// The place of somebody real.
pub struct External {
    ip: Ip,
    carries: Carries,
    /// What has left the world and was not yet taken away.
    left: VecDeque<Packet>,
}

impl External {
    /// The place of somebody with these addresses, ports and ways.
    pub fn new(ip: Ip, carries: Carries) -> Self {
        Self { ip, carries, left: VecDeque::new() }
    }

    /// The next packet that has left the world.
    pub(crate) fn leave(&mut self) -> Option<Packet> {
        self.left.pop_front()
    }

    fn depart(&mut self, cx: &mut Cx, packet: Packet) {
        cx.hop(packet.meta.id, HopStep::Delivered);
        if let Some(tag) = packet.meta.probe {
            cx.trace.probe(tag.stream).arrived(tag, cx.now, packet.meta.enabler);
        }
        self.left.push_back(packet);
    }
}

/// Why a packet from outside goes no further; `None` if it may be what a host or a tunnel's peer sends.
fn trouble(packet: &Packet, carries: Carries) -> Option<DropReason> {
    let Ok(ip) = Ipv4Packet::new_checked(packet.bytes()) else { return Some(DropReason::Malformed) };
    if carries == Carries::Everything {
        return (!ip.verify_checksum()).then_some(DropReason::BadChecksum);
    }
    match classify(packet) {
        Some(Outside::Ike(offset)) => {
            let message = ip.payload().get(udp::HEADER_LEN + offset..).unwrap_or_default();
            let whole = Header::parse(message).is_ok_and(|header| header.length as usize == message.len());
            (!whole).then_some(DropReason::Malformed)
        }
        Some(Outside::Sealed(..) | Outside::Keepalive) => None,
        Some(Outside::Malformed) => Some(DropReason::Malformed),
        None => Some(DropReason::NotCarried),
    }
}

impl Device for External {
    fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
        self.left.clear();
    }

    fn enter(&mut self, cx: &mut Cx, mut packet: Packet) {
        let trouble = trouble(&packet, self.carries);
        // Who holds sockets has no Identification to give; a host has given its own.
        if trouble.is_none() && self.carries != Carries::Everything {
            self.ip.identify(&mut packet);
        }
        cx.created(&packet);
        if let Some(reason) = trouble {
            return cx.drop(&packet, reason, RecordId::GENESIS);
        }
        if let Some((port, packet)) = self.ip.route(cx, packet) {
            self.ip.output(cx, port, packet);
        }
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        if self.carries == Carries::Everything {
            return self.depart(cx, packet);
        }
        match self.ip.inbound(cx, port, packet) {
            Inbound::Local(packet) => match (Ipv4Packet::new_unchecked(packet.bytes()).protocol(), self.carries) {
                (protocol::UDP, _) | (protocol::ESP, Carries::UdpAndEsp) => self.depart(cx, packet),
                _ => cx.drop(&packet, DropReason::NotCarried, RecordId::GENESIS),
            },
            Inbound::Transit(packet) => cx.drop(&packet, DropReason::NotCarried, RecordId::GENESIS),
            Inbound::Nothing => {}
            Inbound::Ipv6Local(packet) | Inbound::Ipv6Transit(packet) => {
                cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS);
            }
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
    }

    fn held(&self) -> Vec<&Packet> {
        self.ip.held().collect()
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.ip.wake()
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.ip.carrier(cx, port, up, link_reason(up));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::packet::Meta;

    const FROM: (Ipv4Addr, u16) = (Ipv4Addr::new(203, 0, 113, 10), 4500);
    const TO: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);

    fn verdict(port: u16, payload: &[u8]) -> Option<DropReason> {
        trouble(&udp::packet(FROM, (TO, port), payload, Meta::default()), Carries::Udp)
    }

    /// An IKE header that states this length (RFC 7296 section 3.1: octets 24 to 27), and nothing behind it.
    fn header(length: u8) -> Vec<u8> {
        let mut header = vec![0; 28];
        header[..8].fill(0x11);
        (header[17], header[18], header[19], header[27]) = (0x20, 34, 0x08, length);
        header
    }

    #[test]
    fn what_a_peer_may_send_passes() {
        assert_eq!(verdict(500, &header(28)), None);
        assert_eq!(verdict(4500, &[&[0; 4], &header(28)[..]].concat()), None);
        assert_eq!(verdict(4500, &[0xff]), None, "a NAT keepalive (RFC 3948 section 2.3)");
        assert_eq!(verdict(4500, &[0xab; 60]), None, "ESP with some SPI");
    }

    #[test]
    fn what_no_peer_sends_goes_no_further() {
        for (port, payload) in [
            (500, vec![]),
            (500, vec![0; 27]),
            (500, header(29)),
            (500, header(27)),
            (500, vec![0xab; 60]),
            (4500, vec![]),
            (4500, vec![0; 4]),
            (4500, vec![0; 40]),
            (4500, vec![0xfe]),
        ] {
            assert_eq!(verdict(port, &payload), Some(DropReason::Malformed), "{port} {payload:02x?}");
        }
        assert_eq!(verdict(53, &header(28)), Some(DropReason::NotCarried));
        let packet = udp::packet(FROM, (TO, 500), &header(28), Meta::default());
        for length in 0..packet.len() {
            let mut cut = packet.clone();
            cut.truncate(length);
            for carries in [Carries::Udp, Carries::UdpAndEsp, Carries::Everything] {
                assert_eq!(trouble(&cut, carries), Some(DropReason::Malformed), "{length}");
            }
        }
    }

    #[test]
    fn a_host_may_send_any_ipv4_packet_that_is_whole() {
        let mut packet = udp::packet(FROM, (TO, 53), b"any", Meta::default());
        assert_eq!(trouble(&packet, Carries::Everything), None);
        // The TTL of RFC 791's header is its ninth octet.
        packet.bytes_mut()[8] ^= 1;
        assert_eq!(trouble(&packet, Carries::Everything), Some(DropReason::BadChecksum));
        packet.bytes_mut()[0] = 0x60;
        assert_eq!(trouble(&packet, Carries::Everything), Some(DropReason::Malformed), "IPv6");
    }
}
