//! A TCP segment in its IPv4 or IPv6 packet: checked on the way in, completed on the way out.

use core::net::{IpAddr, SocketAddr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpProtocol, IpRepr, Ipv4Packet, Ipv6Packet, TCP_HEADER_LEN, TcpControl,
    TcpOption, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::signature::{self, Md5Key};
use crate::packet::{Meta, Packet};
use crate::reason::DropReason;

/// The MSS of a peer that names none, above IPv4 and above IPv6 (RFC 9293 section 3.7.1).
const DEFAULT_MSS: [u16; 2] = [536, 1220];

/// Octets of the IP and TCP headers without options, which an MSS does not count (RFC 6691).
pub(super) const fn headers(address: IpAddr) -> u16 {
    let ip = if address.is_ipv4() { IPV4_HEADER_LEN } else { IPV6_HEADER_LEN };
    (ip + TCP_HEADER_LEN) as u16
}

/// Octets in front of the segment in a packet whose header has been checked, or that smoltcp made.
pub(super) fn ip_header_len(packet: &[u8]) -> usize {
    match packet[0] >> 4 {
        4 => usize::from(Ipv4Packet::new_unchecked(packet).header_len()),
        _ => IPV6_HEADER_LEN,
    }
}

/// Source and destination of such a packet.
pub(super) fn addresses(packet: &[u8]) -> (IpAddr, IpAddr) {
    match packet[0] >> 4 {
        4 => {
            let ip = Ipv4Packet::new_unchecked(packet);
            (ip.src_addr().into(), ip.dst_addr().into())
        }
        _ => {
            let ip = Ipv6Packet::new_unchecked(packet);
            (ip.src_addr().into(), ip.dst_addr().into())
        }
    }
}

/// An IP header that has been looked at.
struct Header {
    length: usize,
    total: usize,
    hops: u8,
}

impl Header {
    /// That of IPv4. A fragment is malformed here, since a host reassembles first.
    fn v4(bytes: &[u8]) -> Result<Self, DropReason> {
        let ip = Ipv4Packet::new_checked(bytes).map_err(|_| DropReason::Malformed)?;
        if ip.version() != 4 || ip.more_frags() || ip.frag_offset() != 0 {
            return Err(DropReason::Malformed);
        }
        if !ip.verify_checksum() {
            return Err(DropReason::BadChecksum);
        }
        if ip.next_header() != IpProtocol::Tcp {
            return Err(DropReason::NotForMe);
        }
        Ok(Self { length: ip.header_len().into(), total: ip.total_len().into(), hops: ip.hop_limit() })
    }

    /// That of IPv6, without extension headers.
    fn v6(bytes: &[u8]) -> Result<Self, DropReason> {
        let ip = Ipv6Packet::new_checked(bytes).map_err(|_| DropReason::Malformed)?;
        if ip.next_header() != IpProtocol::Tcp {
            return Err(DropReason::NotForMe);
        }
        Ok(Self { length: IPV6_HEADER_LEN, total: ip.total_len(), hops: ip.hop_limit() })
    }
}

/// The reading of one well-formed segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// The packet without what a link may have padded.
    pub(super) packet: &'a [u8],
    pub(super) src: SocketAddr,
    pub(super) dst: SocketAddr,
    pub(super) ttl: u8,
    pub(super) control: TcpControl,
    pub(super) seq: TcpSeqNumber,
    pub(super) ack: Option<TcpSeqNumber>,
    pub(super) window: u16,
    /// Sequence numbers it occupies, SYN and FIN included.
    pub(super) len: usize,
    pub(super) mss: u16,
    /// Its signature (RFC 2385).
    pub(super) signature: Option<[u8; 16]>,
    /// Where the value of its MSS option lies in `packet`.
    mss_at: Option<usize>,
}

impl<'a> Segment<'a> {
    /// Reads a packet. Checksums are verified; a fragment is malformed here, since a host reassembles first.
    ///
    /// # Errors
    /// `Malformed`, `BadChecksum`, or `NotForMe` if it is not TCP.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, DropReason> {
        let header = if bytes.first().is_some_and(|b| b >> 4 == 6) { Header::v6(bytes) } else { Header::v4(bytes) }?;
        let (src, dst) = addresses(bytes);
        // RFC 9293 section 3.9.2.3 (MUST-63): an invalid source is ignored, as is a destination that is not one host.
        let broadcast = |a: IpAddr| matches!(a, IpAddr::V4(a) if a.is_broadcast());
        let unicast = |a: IpAddr| !a.is_unspecified() && !a.is_multicast() && !broadcast(a);
        if !unicast(src) || !unicast(dst) {
            return Err(DropReason::Malformed);
        }
        let (header_len, packet) = (header.length, &bytes[..header.total]);
        let tcp = TcpPacket::new_checked(&packet[header_len..]).map_err(|_| DropReason::Malformed)?;
        if !tcp.verify_checksum(&src.into(), &dst.into()) {
            return Err(DropReason::BadChecksum);
        }
        let repr = TcpRepr::parse(&tcp, &src.into(), &dst.into(), &ChecksumCapabilities::ignored())
            .map_err(|_| DropReason::Malformed)?;
        Ok(Self {
            packet,
            src: SocketAddr::new(src, repr.src_port),
            dst: SocketAddr::new(dst, repr.dst_port),
            ttl: header.hops,
            control: repr.control,
            seq: repr.seq_number,
            ack: repr.ack_number,
            window: repr.window_len,
            len: repr.segment_len(),
            mss: repr.max_seg_size.filter(|&m| m != 0).unwrap_or(DEFAULT_MSS[usize::from(src.is_ipv6())]),
            signature: signature::find(tcp.options()),
            mss_at: mss_offset(tcp.options()).map(|at| header_len + TCP_HEADER_LEN + at),
        })
    }

    /// True for the first segment of a connection: SYN without ACK.
    pub(super) fn opens(&self) -> bool {
        self.control == TcpControl::Syn && self.ack.is_none()
    }

    /// Judges its signature (RFC 2385).
    ///
    /// # Errors
    /// Why it is dropped.
    pub(super) fn verify(&self, key: Option<&Md5Key>) -> Result<(), DropReason> {
        signature::verify(self.packet, self.signature, key)
    }

    /// Lowers the MSS that a copy of this packet names to `limit`. Its checksum is no longer valid then.
    ///
    /// smoltcp grows its congestion window in units of the peer's MSS even where its own MTU makes segments shorter, and
    /// would send a second, short segment where one is meant.
    pub(super) fn clamp_mss(&self, copy: &mut [u8], limit: u16) {
        if let Some(at) = self.mss_at.filter(|_| self.mss > limit) {
            copy[at..at + 2].copy_from_slice(&limit.to_be_bytes());
        }
    }

    /// The reset that answers this segment where no connection exists (RFC 9293 sections 3.5.2 and 3.10.7.1), unless it is one itself.
    pub(super) fn reset(&self, ttl: u8, dscp: u8) -> Option<Packet> {
        if self.control == TcpControl::Rst {
            return None;
        }
        let (seq_number, ack_number) = match self.ack {
            Some(ack) => (ack, None),
            None => (TcpSeqNumber(0), Some(self.seq + self.len)),
        };
        let tcp = TcpRepr {
            src_port: self.dst.port(),
            dst_port: self.src.port(),
            control: TcpControl::Rst,
            seq_number,
            ack_number,
            window_len: 0,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let (src, dst) = (self.dst.ip().into(), self.src.ip().into());
        let ip = IpRepr::new(src, dst, IpProtocol::Tcp, tcp.buffer_len(), ttl);
        let mut packet = Packet::zeroed(ip.buffer_len(), Meta::default());
        let caps = ChecksumCapabilities::default();
        ip.emit(packet.bytes_mut(), &caps);
        let mut segment = TcpPacket::new_unchecked(&mut packet.bytes_mut()[ip.header_len()..]);
        tcp.emit(&mut segment, &src, &dst, &caps);
        // An atomic datagram may carry any identification (RFC 6864 section 4.1).
        finish(&mut packet, ttl, dscp, 0);
        Some(packet)
    }
}

/// What a packet that smoltcp made says.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub(super) seq: TcpSeqNumber,
    pub(super) len: usize,
    pub(super) syn: bool,
}

impl Sent {
    /// Reads a packet made by smoltcp, whose headers need no distrust.
    pub(super) fn read(packet: &Packet) -> Self {
        let tcp = TcpPacket::new_unchecked(&packet.bytes()[ip_header_len(packet.bytes())..]);
        Self { seq: tcp.seq_number(), len: tcp.segment_len(), syn: tcp.syn() }
    }
}

/// Gives an ACK or a reset SND.NXT as its sequence number. After a retransmission timeout smoltcp has wound its own back, and a
/// peer that misses nothing ignores an ACK with an old number (RFC 9293 section 3.10.7.4) and challenges a reset with any but
/// the exact one (RFC 5961 section 3.2).
pub(super) fn advance(packet: &mut Packet, seq: TcpSeqNumber) {
    let (at, (src, dst)) = (ip_header_len(packet.bytes()), addresses(packet.bytes()));
    let mut tcp = TcpPacket::new_unchecked(&mut packet.bytes_mut()[at..]);
    tcp.set_seq_number(seq);
    tcp.fill_checksum(&src.into(), &dst.into());
}

/// Completes the IP header: TTL and code point, and of IPv4 identification and checksum.
pub(super) fn finish(packet: &mut Packet, ttl: u8, dscp: u8, ident: u16) {
    if packet.bytes()[0] >> 4 == 6 {
        let mut ip = Ipv6Packet::new_unchecked(packet.bytes_mut());
        ip.set_hop_limit(ttl);
        ip.set_traffic_class(dscp << 2);
        return;
    }
    let mut ip = Ipv4Packet::new_unchecked(packet.bytes_mut());
    ip.set_hop_limit(ttl);
    ip.set_dscp(dscp);
    ip.set_ident(ident);
    ip.fill_checksum();
}

/// Offset of the MSS option's value in well-formed options.
pub(super) fn mss_offset(options: &[u8]) -> Option<usize> {
    let mut rest = options;
    while let Ok((next, option)) = TcpOption::parse(rest) {
        match option {
            TcpOption::MaxSegmentSize(_) => return Some(options.len() - rest.len() + 2),
            TcpOption::EndOfList => return None,
            TcpOption::NoOperation
            | TcpOption::WindowScale(_)
            | TcpOption::SackPermitted
            | TcpOption::SackRange(_)
            | TcpOption::TimeStamp { .. }
            | TcpOption::Unknown { .. } => rest = next,
        }
    }
    None
}
