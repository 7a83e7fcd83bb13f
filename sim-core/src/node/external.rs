//! The place of a device that is real: its addresses, and the links that lead to it. The device itself is elsewhere,
//! behind sockets that somebody holds.
//!
//! What those sockets read enters the world here ([`World::enter`](crate::world::World::enter)) as an IPv4 packet from
//! the device's address and crosses its links like any other. What arrives at that address waits to be taken away
//! ([`World::leave`](crate::world::World::leave)). In between the holder of the sockets translates addresses, as a NAT does.
//!
//! Anybody on the internet can send anything, and what the end of a tunnel ignores is kept as a record. So what is neither
//! an IKE message of the length that it states (RFC 7296 section 3.1) nor ESP in UDP (RFC 3948) is counted and dropped
//! here, where it costs no memory.
//!
//! Left out: ESP without UDP (RFC 4303), ICMP to and from the device, and whatever its own networks send in the clear.

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

/// The place of a real device.
pub struct External {
    ip: Ip,
    /// What has left the world and was not yet taken away.
    left: VecDeque<Packet>,
}

impl External {
    /// The place of a device with these addresses, ports and ways.
    pub fn new(ip: Ip) -> Self {
        Self { ip, left: VecDeque::new() }
    }

    /// The next packet that has left the world.
    pub(crate) fn leave(&mut self) -> Option<Packet> {
        self.left.pop_front()
    }
}

/// Why a packet from outside goes no further; `None` if it may be what a tunnel's peer sends.
fn trouble(packet: &Packet) -> Option<DropReason> {
    let Ok(ip) = Ipv4Packet::new_checked(packet.bytes()) else { return Some(DropReason::Malformed) };
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
        if let Some(reason) = trouble(&packet) {
            return cx.drop(&packet, reason, RecordId::GENESIS);
        }
        self.ip.identify(&mut packet);
        if let Some((port, packet)) = self.ip.route(cx, packet) {
            self.ip.output(cx, port, packet);
        }
    }

    fn receive(&mut self, cx: &mut Cx, _port: Port, packet: Packet) {
        match self.ip.inbound(cx, packet) {
            Inbound::Local(packet) if Ipv4Packet::new_unchecked(packet.bytes()).protocol() == protocol::UDP => {
                cx.hop(packet.meta.id, HopStep::Delivered);
                self.left.push_back(packet);
            }
            Inbound::Local(packet) | Inbound::Transit(packet) => {
                cx.drop(&packet, DropReason::NotCarried, RecordId::GENESIS);
            }
            Inbound::Nothing => {}
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
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
        trouble(&udp::packet(FROM, (TO, port), payload, Meta::default()))
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
            assert_eq!(trouble(&cut), Some(DropReason::Malformed), "{length}");
        }
    }
}
