//! IPv6 of a host: the same services and probes as over IPv4, from an address of its own.
//!
//! A path that takes less than the host's interface is found out by Packet Too Big (RFC 8201): what is longer is cut by the host (RFC
//! 8200 section 4.5), or, if it must stay whole, not sent. What is known of a path is forgotten after ten minutes (RFC 8201 section
//! 4). TCP learns of its own path and does not forget.
//!
//! Left out: answers of real hosts, which bear no tag ([`crate::node::external`] carries IPv4 only).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::Ipv6Net;

use super::tcp::ends_of;
use super::{DISCARD_PORT, ECHO_PORT, Host, PORT, PROBE_PORT, ProbeConfig, ProbeKind, heard, reply_meta};
use crate::id::RecordId;
use crate::net::fib::{RouteSource, Target, distance};
use crate::node::Cx;
use crate::packet::{Meta, Packet, ProbeTag};
use crate::reason::DropReason;
use crate::time::{Duration, Instant};
use crate::trace::HopStep;
use crate::wire::icmp::Echo;
use crate::wire::icmpv6::{Icmpv6Kind, Icmpv6Message, Quoted, echo_around};
use crate::wire::ipv4::protocol;
use crate::wire::ipv6::{Ipv6Packet, MIN_MTU, next_header};
use crate::wire::udp::{self, UdpDatagram};

/// Octets of an IPv6 header and of UDP's or an echo's.
const HEADERS: usize = 48;
/// How long what is known of a path is believed (RFC 8201 section 4).
const PATH_MTU_AGE: Duration = Duration::from_secs(600);

/// The IPv6 of a host.
#[derive(Debug)]
pub(super) struct Six {
    address: Ipv6Addr,
    /// Each stream and when its next probe is due.
    pub probes: Vec<(ProbeConfig<Ipv6Addr>, Instant)>,
    /// What paths take, by destination, and since when that is known.
    paths: BTreeMap<Ipv6Addr, (usize, Instant)>,
}

impl Six {
    pub fn new(address: Ipv6Addr, probes: Vec<ProbeConfig<Ipv6Addr>>) -> Self {
        let probes = probes.into_iter().map(|probe| (probe, Instant::NEVER)).collect();
        Self { address, probes, paths: BTreeMap::new() }
    }

    pub const fn address(&self) -> Ipv6Addr {
        self.address
    }

    pub fn start(&mut self, now: Instant) {
        self.probes.iter_mut().for_each(|(probe, next)| *next = probe.first_due(now));
    }

    pub fn stop(&mut self) {
        self.probes.iter_mut().for_each(|(_, next)| *next = Instant::NEVER);
        self.paths.clear();
    }

    pub fn wake(&self) -> Option<Instant> {
        self.probes.iter().filter(|(probe, next)| *next < probe.stop).map(|(_, next)| *next).min()
    }

    /// What the path to a destination takes, if it is less than the interface.
    fn path_mtu(&mut self, now: Instant, to: Ipv6Addr) -> Option<usize> {
        self.paths.retain(|_, (_, since)| now.since(*since) < PATH_MTU_AGE);
        self.paths.get(&to).map(|(mtu, _)| *mtu)
    }
}

impl Host {
    /// The same host with an IPv6 address beside its other one, and probes to send from it. Before [`Host::with_tcp`].
    pub fn with_ipv6(mut self, address: Ipv6Addr, probes: Vec<ProbeConfig<Ipv6Addr>>) -> Self {
        self.ip.add_ipv6([address]);
        self.ip.add_ipv6_route(Ipv6Net::default(), RouteSource::Static, distance::STATIC, Target::port(PORT));
        self.more.get_or_insert_default().six = Some(Six::new(address, probes));
        self
    }

    fn six(&mut self) -> Option<&mut Six> {
        self.more.as_mut()?.six.as_mut()
    }

    /// Sends the probes that are due.
    pub(super) fn ipv6_probes(&mut self, cx: &mut Cx) {
        let due = |six: &mut Six, now| {
            let (probe, next) = six.probes.iter_mut().find(|(probe, next)| *next <= now && *next < probe.stop)?;
            *next += probe.every;
            Some((*probe, six.address))
        };
        while let Some((probe, from)) = self.six().and_then(|six| due(six, cx.now)) {
            self.send_ipv6_probe(cx, &probe, from);
        }
    }

    fn send_ipv6_probe(&mut self, cx: &mut Cx, probe: &ProbeConfig<Ipv6Addr>, from: Ipv6Addr) {
        let seq = cx.trace.probe(probe.stream).send(cx.now);
        cx.cause = RecordId::GENESIS;
        let tag = ProbeTag { stream: probe.stream, seq, reply: false };
        let meta = Meta { probe: Some(tag), ..cx.meta() };
        let mut data = Packet::zeroed(usize::from(probe.size).max(HEADERS + 8) - HEADERS, meta);
        data.bytes_mut()[..8].copy_from_slice(&u64::from(seq).to_be_bytes());
        let source = (from, PROBE_PORT + probe.stream.0);
        let packet = match probe.kind {
            ProbeKind::UdpEcho => udp::around_v6(data, source, (probe.to, ECHO_PORT)),
            ProbeKind::UdpOneWay => udp::around_v6(data, source, (probe.to, DISCARD_PORT)),
            ProbeKind::TcpEcho => {
                let (to, octets) = (IpAddr::V6(probe.to), probe.size.into());
                return self.with_tcp_of(cx, |tcp, cx| tcp.call(cx, to, octets, tag));
            }
            ProbeKind::IcmpEcho => {
                let echo = Echo { ident: probe.stream.0, seq: seq as u16 };
                echo_around(Icmpv6Kind::EchoRequest, from, probe.to, echo, data)
            }
        };
        cx.created(&packet);
        self.send_ipv6(cx, packet, probe.dont_fragment);
    }

    /// Sends a packet: in pieces if its path takes no more, or not at all if it must stay whole.
    pub(super) fn send_ipv6(&mut self, cx: &mut Cx, packet: Packet, whole: bool) {
        let (now, to, own) = (cx.now, Ipv6Packet::new_unchecked(packet.bytes()).dst(), self.mtu as usize);
        let mtu = self.six().and_then(|six| six.path_mtu(now, to)).map_or(own, |path| path.min(own));
        if packet.len() <= mtu {
            cx.send(PORT, packet);
        } else if whole {
            cx.drop(&packet, DropReason::PacketTooBig, RecordId::GENESIS);
        } else {
            self.ip.cut_ipv6(cx, mtu, packet).into_iter().for_each(|part| cx.send(PORT, part));
        }
    }

    /// Asks a question of an application by UDP.
    pub(super) fn ask_ipv6(&mut self, cx: &mut Cx, octets: u32, port: u16, to: Ipv6Addr) {
        let Some(own) = self.six().map(|six| six.address) else { return };
        let data = Packet::zeroed(octets as usize, cx.meta());
        let packet = udp::around_v6(data, (own, port), (to, ECHO_PORT));
        cx.created(&packet);
        self.send_ipv6(cx, packet, false);
    }

    pub(super) fn deliver_ipv6(&mut self, cx: &mut Cx, packet: Packet) {
        let Some(own) = self.six().map(|six| six.address) else { return };
        let ip = Ipv6Packet::new_unchecked(packet.bytes());
        let peer = ip.src();
        let reply = match ip.next_header() {
            protocol::UDP => match UdpDatagram::new_checked(ip.payload()) {
                Err(_) => return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS),
                Ok(udp) if !udp.verify_checksum_v6(peer, own) => {
                    return cx.drop(&packet, DropReason::BadChecksum, RecordId::GENESIS);
                }
                Ok(udp) => match (udp.src_port(), udp.dst_port()) {
                    (port, ECHO_PORT) => {
                        let data = Packet::from_bytes(udp.payload(), reply_meta(cx, &packet));
                        Some(udp::around_v6(data, (own, ECHO_PORT), (peer, port)))
                    }
                    (ECHO_PORT, port) => {
                        let octets = udp.payload().len();
                        if let Some(more) = &mut self.more {
                            heard(&mut more.calls, cx.now, port, octets);
                        }
                        None
                    }
                    (_, DISCARD_PORT) => None,
                    _ => {
                        self.ip.refuse_ipv6(cx, &packet, Icmpv6Kind::PortUnreachable);
                        return cx.drop(&packet, DropReason::PortUnreachable, RecordId::GENESIS);
                    }
                },
            },
            next_header::ICMPV6 => match Icmpv6Message::new_checked(ip.payload()) {
                Err(_) => return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS),
                Ok(message) if !message.verify_checksum(peer, own) => {
                    return cx.drop(&packet, DropReason::BadChecksum, RecordId::GENESIS);
                }
                Ok(message) if message.kind() == Icmpv6Kind::EchoRequest => {
                    let echo = Echo { ident: message.echo_ident(), seq: message.echo_seq() };
                    let data = Packet::from_bytes(message.payload(), reply_meta(cx, &packet));
                    Some(echo_around(Icmpv6Kind::EchoReply, own, peer, echo, data))
                }
                Ok(message) => {
                    if let (Icmpv6Kind::PacketTooBig, Ok(quoted)) = (message.kind(), Quoted::parse(message.payload())) {
                        self.path_takes(cx, &quoted, message.mtu());
                    }
                    None
                }
            },
            protocol::TCP if self.tcp.is_some() => {
                cx.hop(packet.meta.id, HopStep::Delivered);
                return self.with_tcp_of(cx, |tcp, cx| tcp.packet(cx, &packet));
            }
            _ => return cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS),
        };
        cx.hop(packet.meta.id, HopStep::Delivered);
        if let Some(tag) = packet.meta.probe {
            cx.trace.probe(tag.stream).arrived(tag, cx.now, packet.meta.enabler);
        }
        if let Some(reply) = reply {
            cx.created(&reply);
            self.send_ipv6(cx, reply, false);
        }
    }

    /// A packet of this host was too long for its path, which takes so many octets. Less than what every link carries is not
    /// believed (RFC 8201 section 4).
    fn path_takes(&mut self, cx: &mut Cx, quoted: &Quoted<'_>, mtu: u32) {
        let (now, own) = (cx.now, self.mtu);
        let Some(six) = self.six().filter(|six| six.address == quoted.header.src) else { return };
        if mtu < u32::from(MIN_MTU) || mtu >= own {
            return;
        }
        let known = six.path_mtu(now, quoted.header.dst);
        if known.is_none_or(|known| (mtu as usize) < known) {
            six.paths.insert(quoted.header.dst, (mtu as usize, now));
        }
        if quoted.header.next_header == protocol::TCP
            && let Some(ends) = ends_of((quoted.header.src.into(), quoted.header.dst.into()), quoted.payload)
        {
            self.with_tcp_of(cx, |tcp, cx| tcp.too_long(cx, ends, mtu as u16));
        }
    }
}
