//! GRE tunnels of a gateway (RFC 2784): interfaces whose packets go in other packets, to an address to which the forwarding table has a way.
//!
//! A tunnel has no state and no signalling: it is up as long as its device is, and whether anybody is at its other end, what runs through
//! it has to find out (BGP does). The outer header has a TTL of its own and the inner one's type of service; it may be fragmented on the way
//! (DF is not set), and packets that do not fit are cut before they are wrapped. SYNs that pass tell an MSS that fits.
//!
//! Left out: checksum and sequence number, which are understood and not sent (RFC 2890 section 2.2 makes the order of packets the receiver's
//! own business); payloads other than IPv4; a tunnel whose way leads into another GRE tunnel; following ICMP about the outer packet.

use std::net::Ipv4Addr;

use super::Cx;
use super::gateway::{Gateway, clamp};
use crate::id::{Port, RecordId};
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::trace::{Digest, HopStep};
use crate::wire::gre::{self, GreHeader};
use crate::wire::ipv4::{HEADER_LEN, Ipv4Header, Ipv4Packet, protocol};

/// Octets of IPv4 and TCP headers, which an MSS leaves out (RFC 9293 section 3.7.1).
const TCP_HEADERS: usize = 40;

/// A GRE tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GreTunnel {
    /// Its interface.
    pub port: Port,
    /// This end's outer address.
    pub local: Ipv4Addr,
    /// The other end's.
    pub remote: Ipv4Addr,
    /// The key that its packets have, both ways.
    pub key: Option<u32>,
}

impl GreTunnel {
    /// The longest inner packet over a path of so many octets.
    pub const fn mtu(key: Option<u32>, outer: u32) -> u32 {
        outer - (HEADER_LEN + gre::header_len(key)) as u32
    }
}

impl Gateway {
    /// The GRE tunnel whose interface a port is.
    #[inline]
    pub(super) fn gre_at(&self, port: Port) -> Option<GreTunnel> {
        if self.gre.is_empty() { None } else { self.gre.iter().find(|tunnel| tunnel.port == port).copied() }
    }

    /// Lowers the MSS of a SYN that goes into or came out of a tunnel.
    pub(super) fn clamp_for_gre(&self, cx: &mut Cx, port: Port, packet: &mut Packet) {
        if self.gre_at(port).is_some() {
            let most = self.ip.mtu(port).saturating_sub(TCP_HEADERS);
            clamp(cx, packet, u16::try_from(most).unwrap_or(u16::MAX));
        }
    }

    /// Sends a packet through a tunnel, if its access list lets it pass, in fragments if it must.
    #[cold]
    pub(super) fn wrap(&mut self, cx: &mut Cx, tunnel: GreTunnel, packet: Packet) {
        if !self.ip.passes(cx, tunnel.port, &packet, true) {
            return;
        }
        let parts =
            if self.ip.fits(tunnel.port, &packet) { vec![packet] } else { self.ip.cut(cx, tunnel.port, packet) };
        for mut part in parts {
            let tos = Ipv4Packet::new_unchecked(part.bytes()).tos();
            gre::emit(part.push_front(gre::header_len(tunnel.key)), tunnel.key);
            let outer = Ipv4Header { tos, ..Ipv4Header::new(tunnel.local, tunnel.remote, protocol::GRE) };
            outer.push(&mut part);
            self.ip.identify(&mut part);
            cx.hop(part.meta.id, HopStep::Encapsulated(Digest::of_bytes(part.bytes())));
            let Some((port, part)) = self.ip.route(cx, part) else { continue };
            if self.gre_at(port).is_some() {
                cx.drop(&part, DropReason::NoRoute, self.ip.changed());
            } else {
                self.output(cx, port, part);
            }
        }
    }

    /// Takes a packet of GRE for this device out of its tunnel.
    #[cold]
    pub(super) fn unwrap_gre(&mut self, cx: &mut Cx, mut packet: Packet) {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let (ends, outer) = ((ip.dst(), ip.src()), ip.header_len());
        let Ok(header) = GreHeader::parse(ip.payload()) else {
            return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
        };
        let here = |tunnel: &&GreTunnel| (tunnel.local, tunnel.remote) == ends && tunnel.key == header.key;
        let Some(tunnel) = self.gre.iter().find(here).filter(|_| header.protocol == gre::IPV4).copied() else {
            return cx.drop(&packet, DropReason::GreNoTunnel, RecordId::GENESIS);
        };
        packet.pop_front(outer + header.len);
        cx.hop(packet.meta.id, HopStep::Decapsulated(Digest::of_bytes(packet.bytes())));
        self.receive(cx, tunnel.port, packet);
    }
}
