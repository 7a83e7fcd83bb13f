//! Whose a packet is, and how its ends are rewritten: addresses, ports, ICMP identifiers and every checksum over them.

use std::net::Ipv4Addr;

use crate::reason::DropReason;
use crate::wire::checksum;
use crate::wire::icmp::{IcmpKind, IcmpMessage, Quoted};
use crate::wire::ipv4::{Ipv4Header, Ipv4Packet, protocol};
use crate::wire::udp::{self, UdpDatagram};

/// A protocol whose flows are told apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::net) enum Transport {
    Udp,
    Tcp,
    Icmp,
    Esp,
    Ah,
}

/// An address, and the port or ICMP query identifier there; 0 where there is none.
pub(in crate::net) type End = (Ipv4Addr, u16);

/// Which end of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    Source,
    Destination,
}

/// What a packet belongs to. An ICMP query's identifier stands at the end that asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) struct Flow {
    pub transport: Transport,
    pub src: End,
    pub dst: End,
    /// The flags of a TCP segment.
    pub flags: u8,
}

/// What a packet is to a NAT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::net) enum Content {
    /// A packet of a flow.
    Flow(Flow),
    /// An ICMP echo request.
    Request(Flow),
    /// An ICMP echo reply.
    Reply(Flow),
    /// An ICMP error about a packet of this flow, as that packet arrived where it failed.
    Error(Flow),
    /// A protocol that has no ports that a NAT knows.
    Other,
}

pub(super) mod flags {
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
}

/// Octets of a TCP header without options (RFC 9293 section 3.1).
const TCP_HEADER_LEN: usize = 20;
const TCP_FLAGS: usize = 13;
const TCP_CHECKSUM: usize = 16;

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(pair) = bytes.get_mut(at..at + 2) {
        pair.copy_from_slice(&value.to_be_bytes());
    }
}

/// Reads a whole packet or a first fragment. The IPv4 header has been checked.
///
/// # Errors
/// [`DropReason::Malformed`] or [`DropReason::BadChecksum`]. A transport checksum is not looked at: it is its receiver's
/// business, and stays as right or wrong as it is.
pub(in crate::net) fn read(ip: &Ipv4Packet<&[u8]>) -> Result<Content, DropReason> {
    let (src, dst, payload) = (ip.src(), ip.dst(), ip.payload());
    let flow = |transport, from: u16, to: u16, flags| Flow { transport, src: (src, from), dst: (dst, to), flags };
    let ports = |least: usize| match (payload.len() >= least, word(payload, 0), word(payload, 2)) {
        (true, Some(from), Some(to)) => Ok((from, to)),
        _ => Err(DropReason::Malformed),
    };
    match ip.protocol() {
        protocol::UDP => ports(udp::HEADER_LEN).map(|(a, b)| Content::Flow(flow(Transport::Udp, a, b, 0))),
        protocol::TCP => {
            ports(TCP_HEADER_LEN).map(|(a, b)| Content::Flow(flow(Transport::Tcp, a, b, payload[TCP_FLAGS])))
        }
        protocol::ESP => Ok(Content::Flow(flow(Transport::Esp, 0, 0, 0))),
        protocol::AH => Ok(Content::Flow(flow(Transport::Ah, 0, 0, 0))),
        protocol::ICMP => {
            let message = IcmpMessage::new_checked(payload).map_err(|_| DropReason::Malformed)?;
            // RFC 5508 REQ-3 a. Of a first fragment it cannot be computed.
            if !ip.is_fragment() && !message.verify_checksum() {
                return Err(DropReason::BadChecksum);
            }
            let ident = message.echo_ident();
            match message.kind() {
                IcmpKind::EchoRequest => Ok(Content::Request(flow(Transport::Icmp, ident, 0, 0))),
                IcmpKind::EchoReply => Ok(Content::Reply(flow(Transport::Icmp, 0, ident, 0))),
                kind if kind.is_error() && !ip.is_fragment() => embedded(message.payload()).map(Content::Error),
                _ => Ok(Content::Other),
            }
        }
        _ => Ok(Content::Other),
    }
}

/// The flow of a packet that an ICMP error quotes (RFC 5508 REQ-3: options are passed over, the transport checksum is
/// not looked at).
fn embedded(quotation: &[u8]) -> Result<Flow, DropReason> {
    let quoted = Quoted::parse(quotation).map_err(|_| DropReason::Malformed)?;
    if !Ipv4Packet::new_unchecked(quotation).verify_checksum() {
        return Err(DropReason::BadChecksum);
    }
    let Ipv4Header { src, dst, protocol, fragment_offset, .. } = quoted.header;
    if fragment_offset != 0 {
        return Err(DropReason::Malformed);
    }
    let payload = quoted.payload;
    let flow = |transport, from, to| Flow { transport, src: (src, from), dst: (dst, to), flags: 0 };
    let ports = || word(payload, 0).zip(word(payload, 2)).ok_or(DropReason::Malformed);
    match protocol {
        protocol::UDP => ports().map(|(a, b)| flow(Transport::Udp, a, b)),
        protocol::TCP => ports().map(|(a, b)| flow(Transport::Tcp, a, b)),
        protocol::ESP => Ok(flow(Transport::Esp, 0, 0)),
        protocol::AH => Ok(flow(Transport::Ah, 0, 0)),
        protocol::ICMP => {
            let message = IcmpMessage::new_checked(payload).map_err(|_| DropReason::Malformed)?;
            match message.kind() {
                IcmpKind::EchoRequest => Ok(flow(Transport::Icmp, message.echo_ident(), 0)),
                IcmpKind::EchoReply => Ok(flow(Transport::Icmp, 0, message.echo_ident())),
                // Never an error about an error (RFC 1122 section 3.2.2).
                _ => Err(DropReason::Malformed),
            }
        }
        _ => Err(DropReason::NatUnsupported),
    }
}

/// Replaces an address in an IPv4 header and updates the header's checksum (RFC 1624).
pub(super) fn readdress(bytes: &mut [u8], which: Which, new: Ipv4Addr) -> Ipv4Addr {
    let mut ip = Ipv4Packet::new_unchecked(bytes);
    let old = match which {
        Which::Source => ip.src(),
        Which::Destination => ip.dst(),
    };
    let checksum = checksum::adjust_address(ip.checksum(), old, new);
    match which {
        Which::Source => ip.set_src(new),
        Which::Destination => ip.set_dst(new),
    }
    ip.set_checksum(checksum);
    old
}

/// Replaces one end of a packet that [`read`] has understood, or that is quoted: its address, its port or identifier,
/// and the checksums over them. What lies beyond the bytes, as in a quotation, is left alone.
pub(super) fn rewrite(bytes: &mut [u8], which: Which, new: End) {
    let old = readdress(bytes, which, new.0);
    let ip = Ipv4Packet::new_unchecked(&*bytes);
    let (protocol, start) = (ip.protocol(), ip.header_len());
    let end = usize::from(ip.total_len()).clamp(start, bytes.len());
    let payload = &mut bytes[start..end];
    let port_at = if which == Which::Source { 0 } else { 2 };
    match protocol {
        protocol::UDP => {
            let Some(port) = word(payload, port_at) else { return };
            put(payload, port_at, new.1);
            if payload.len() >= udp::HEADER_LEN {
                let mut datagram = UdpDatagram::new_unchecked(payload);
                datagram.adjust_checksum_address(old, new.0);
                datagram.adjust_checksum_word(port, new.1);
            }
        }
        protocol::TCP => {
            let Some(port) = word(payload, port_at) else { return };
            put(payload, port_at, new.1);
            if let Some(before) = word(payload, TCP_CHECKSUM) {
                let checksum = checksum::adjust_address(before, old, new.0);
                put(payload, TCP_CHECKSUM, checksum::adjust(checksum, port, new.1));
            }
        }
        protocol::ICMP => identify(payload, which, new.1),
        _ => {}
    }
}

/// Replaces the identifier of an echo, if it stands at that end. ICMP has no pseudo-header.
fn identify(payload: &mut [u8], which: Which, ident: u16) {
    let Ok(mut message) = IcmpMessage::new_checked(payload) else { return };
    let asked = match message.kind() {
        IcmpKind::EchoRequest => Which::Source,
        IcmpKind::EchoReply => Which::Destination,
        _ => return,
    };
    if asked == which {
        let checksum = checksum::adjust(message.checksum(), message.echo_ident(), ident);
        message.set_echo_ident(ident);
        message.set_checksum(checksum);
    }
}

/// Replaces an end of the packet that an ICMP error quotes, and updates the error's checksum by the difference of the
/// quotation's sums, which begins at an even offset (RFC 5508 REQ-4 and REQ-5).
pub(super) fn rewrite_embedded(bytes: &mut [u8], which: Which, new: End) {
    let mut ip = Ipv4Packet::new_unchecked(bytes);
    let Ok(mut message) = IcmpMessage::new_checked(ip.payload_mut()) else { return };
    let (before, checksum) = (checksum::sum(message.payload()), message.checksum());
    rewrite(message.payload_mut(), which, new);
    let after = checksum::sum(message.payload());
    message.set_checksum(checksum::adjust(checksum, before, after));
}
