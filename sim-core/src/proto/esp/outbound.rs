//! The sending side of an SA (RFC 4303 section 3.3).

use std::net::IpAddr;

use super::mtu::text_alignment;
use super::{Limits, SaKeys, Selectors, Suite};
use crate::crypto::suite::Protection;
use crate::packet::{Meta, Packet};
use crate::reason::DropReason;
use crate::rng::{Rng, Seldom};
use crate::wire::esp::{self, EspPacket, NEXT_HEADER_IPV4, NEXT_HEADER_IPV6, NEXT_HEADER_NONE, Trailer};
use crate::wire::ipv4::{self, Ipv4Header, Ipv4Packet, protocol};
use crate::wire::ipv6::{self, Ipv6Header, Ipv6Packet};
use crate::wire::udp::{self, UdpDatagram};

/// What the DF bit of the outer header is made from: an SA must offer all three (RFC 4301 section 8.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DfBit {
    /// The inner header's.
    Copy,
    /// Always 0: routers may fragment the sealed packet.
    Clear,
    /// Always 1.
    Set,
}

/// The headers around a sealed packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outer {
    /// This end of the tunnel.
    pub src: IpAddr,
    /// The other end of the tunnel, of the same family.
    pub dst: IpAddr,
    /// Source and destination port of the UDP header, if a NAT is on the path (RFC 3948).
    pub udp: Option<(u16, u16)>,
    /// TTL or hop limit. It does not follow the inner TTL (RFC 4301 section 5.1.2.1 note 2).
    pub ttl: u8,
    /// The DF bit.
    pub df: DfBit,
}

/// The IP header around a sealed packet.
pub(super) enum OuterHeader {
    V4(Ipv4Header),
    V6(Ipv6Header),
}

impl OuterHeader {
    /// Writes it in front of a packet that is so long with it.
    pub(super) fn emit(&self, buffer: &mut [u8], total_len: u16) {
        match self {
            Self::V4(header) => header.emit(buffer, total_len),
            Self::V6(header) => header.emit(buffer, total_len - ipv6::HEADER_LEN as u16),
        }
    }
}

impl Outer {
    /// RFC 4301 section 5.1.2.1 and 5.1.2.2: DSCP and ECN are copied, TTL is constructed, DF is the SA's policy, which IPv6 has none of.
    /// `None` if the ends are of two families.
    pub(super) fn header(&self, protocol: u8, tos: u8, inner_df: bool, ident: u16) -> Option<OuterHeader> {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let dont_fragment = self.dont_fragment(inner_df);
                Some(OuterHeader::V4(Ipv4Header {
                    tos,
                    ttl: self.ttl,
                    // It has a meaning only if the packet may be fragmented (RFC 6864 section 4.1).
                    ident: if dont_fragment { 0 } else { ident },
                    dont_fragment,
                    ..Ipv4Header::new(src, dst, protocol)
                }))
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => Some(OuterHeader::V6(Ipv6Header {
                traffic_class: tos,
                hop_limit: self.ttl,
                ..Ipv6Header::new(src, dst, protocol)
            })),
            _ => None,
        }
    }

    /// Octets of the IP header.
    pub(super) const fn ip_len(&self) -> usize {
        match self.dst {
            IpAddr::V4(_) => ipv4::HEADER_LEN,
            IpAddr::V6(_) => ipv6::HEADER_LEN,
        }
    }

    /// The DF bit around an inner packet with this one.
    pub fn dont_fragment(&self, inner_df: bool) -> bool {
        match self.df {
            DfBit::Copy => inner_df,
            DfBit::Clear => false,
            DfBit::Set => true,
        }
    }
}

/// The sending side of an SA. Cloning it forks a world: both copies go on alike, sharing the key schedules.
#[derive(Clone, Debug)]
pub struct OutboundSa {
    spi: u32,
    protection: Protection,
    outer: Outer,
    selectors: Option<Selectors>,
    /// The sequence number sent last; 0 before the first.
    pub(super) sequence: u64,
    limits: Limits,
    /// Extended sequence numbers (RFC 4303 section 2.2.1).
    extended: bool,
    /// It carries IPv6, and no IPv4.
    ipv6: bool,
    /// Payloads shorter than this are padded to it (RFC 4303 section 2.7); 0 for none.
    tfc_padding: u16,
    /// Added to the sequence number, it makes the outer Identification, so that two SAs between the same ends do not
    /// count in step (RFC 6864 section 4.2).
    pub(super) first_ident: u16,
    dice: Dice,
}

/// What an SA draws: an IV for each packet, or with an AEAD the text of a dummy packet now and then.
#[derive(Clone, Debug)]
enum Dice {
    Seldom(Seldom),
    Often(Box<Rng>),
}

impl Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        match self {
            Self::Seldom(rng) => rng.fill(bytes),
            Self::Often(rng) => rng.fill(bytes),
        }
    }
}

impl OutboundSa {
    /// Fetches what a packet will touch behind it, so many steps behind the device.
    pub(crate) fn foresee(&self, depth: usize) {
        self.protection.foresee(depth);
    }

    /// An SA that has sent nothing. `spi` is the receiver's choice; with `selectors`, packets outside them are refused.
    /// `rng` is the SA's own stream.
    ///
    /// # Panics
    /// If the keys do not have the lengths of the suite.
    pub fn new(
        spi: u32,
        suite: Suite,
        keys: &SaKeys,
        outer: Outer,
        selectors: Option<Selectors>,
        mut rng: Seldom,
    ) -> Self {
        Self {
            spi,
            protection: Protection::new(suite, &keys.encryption, &keys.integrity),
            outer,
            selectors,
            sequence: 0,
            limits: Limits::default(),
            extended: false,
            ipv6: false,
            tfc_padding: 0,
            first_ident: rng.u32() as u16,
            dice: if suite.encryption().is_aead() { Dice::Seldom(rng) } else { Dice::Often(Box::new(rng.often())) },
        }
    }

    /// The same SA with extended sequence numbers, if so negotiated.
    pub fn with_esn(mut self, extended: bool) -> Self {
        self.extended = extended;
        self
    }

    /// The same SA for IPv6 and no IPv4, if so negotiated.
    pub fn with_ipv6(mut self, ipv6: bool) -> Self {
        self.ipv6 = ipv6;
        self
    }

    /// The same SA with other limits than the number space.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same SA with traffic flow confidentiality padding: shorter packets look like one of so many octets (RFC 4303
    /// section 2.7). Longer ones are not padded.
    pub fn with_tfc_padding(mut self, octets: u16) -> Self {
        self.tfc_padding = octets;
        self
    }

    /// The Security Parameters Index.
    pub fn spi(&self) -> u32 {
        self.spi
    }

    /// True when the packet that was sealed last is the one after which the SA wants a successor.
    pub fn wants_successor(&self) -> bool {
        self.sequence == self.limits.rekey
    }

    /// The algorithms.
    pub fn suite(&self) -> Suite {
        self.protection.suite()
    }

    /// The sequence number sent last; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The headers around sealed packets.
    pub fn outer(&self) -> &Outer {
        &self.outer
    }

    /// The headers around sealed packets, to follow a peer whose NAT binding moved (RFC 7296 section 2.23).
    pub fn outer_mut(&mut self) -> &mut Outer {
        &mut self.outer
    }

    /// The ICV of a packet that this SA sealed: it stands for all the bytes that it authenticates.
    pub fn icv<'p>(&self, sealed: &'p Packet) -> &'p [u8] {
        let bytes = sealed.bytes();
        &bytes[bytes.len() - self.suite().icv_len()..]
    }

    /// Seals an IP packet in place: pads, encrypts and authenticates it and puts the outer headers in front.
    /// The forwarder has already taken its hop off the inner TTL.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] if it is no IP packet, [`DropReason::SelectorMismatch`] if the SA does not carry it,
    /// [`DropReason::SequenceExhausted`] when the last number is used up (RFC 4303 section 3.3.3), [`DropReason::TooBigForLink`]
    /// if the result would not fit a datagram. The packet is then unchanged.
    pub fn seal(&mut self, packet: &mut Packet) -> Result<(), DropReason> {
        let inner = match Ipv4Packet::new_checked(packet.bytes()) {
            Ok(inner) if !self.ipv6 => inner,
            Ok(_) => return Err(DropReason::SelectorMismatch),
            Err(_) => return self.seal_ipv6(packet),
        };
        if let Some(selectors) = &self.selectors
            && !selectors.contain(inner.src(), inner.dst())
        {
            return Err(DropReason::SelectorMismatch);
        }
        let (tos, inner_df) = (inner.tos(), inner.dont_fragment());
        self.wrap(packet, NEXT_HEADER_IPV4, tos, inner_df)
    }

    /// The same of a packet that is no IPv4. Routers do not cut IPv6 (RFC 8200 section 5), so to the outer header it is as if its DF bit
    /// were set, but what every link carries passes where the outer path is narrower, in fragments (RFC 4213 section 3.2.2).
    #[cold]
    fn seal_ipv6(&mut self, packet: &mut Packet) -> Result<(), DropReason> {
        let inner = Ipv6Packet::new_checked(packet.bytes()).map_err(|_| DropReason::Malformed)?;
        if !self.ipv6 {
            return Err(DropReason::SelectorMismatch);
        }
        let (class, whole) = (inner.traffic_class(), inner.total_len() > ipv6::MIN_MTU.into());
        self.wrap(packet, NEXT_HEADER_IPV6, class, whole)
    }

    /// A dummy packet of so many random octets, sealed like any other (RFC 4303 section 2.6). `meta` becomes its own, and `see`
    /// is shown what is inside.
    ///
    /// # Errors
    /// As [`OutboundSa::seal`]; nothing is sent then.
    pub fn seal_dummy(&mut self, octets: u16, meta: Meta, see: impl FnOnce(&Packet)) -> Result<Packet, DropReason> {
        let mut packet = Packet::zeroed(octets.into(), meta);
        self.dice.fill(packet.bytes_mut());
        see(&packet);
        self.wrap(&mut packet, NEXT_HEADER_NONE, 0, false)?;
        Ok(packet)
    }

    fn wrap(&mut self, packet: &mut Packet, next_header: u8, tos: u8, inner_df: bool) -> Result<(), DropReason> {
        let payload_len = packet.len().max(self.tfc_padding.into());
        let trailer = Trailer::new(payload_len, text_alignment(self.suite()), next_header);
        let total_len = self.headers_len() + trailer.text_len() + self.suite().icv_len();
        let total_len = u16::try_from(total_len).map_err(|_| DropReason::TooBigForLink)?;
        if self.sequence >= self.limits.last(self.extended) {
            return Err(DropReason::SequenceExhausted);
        }
        let protocol = if self.outer.udp.is_some() { protocol::UDP } else { protocol::ESP };
        let ident = self.first_ident.wrapping_add((self.sequence as u16).wrapping_add(1));
        let header = self.outer.header(protocol, tos, inner_df, ident).ok_or(DropReason::Malformed)?;
        self.sequence += 1;

        packet.push_back(trailer.text_len() - packet.len() + self.suite().icv_len());
        let bytes = packet.push_front(self.headers_len());
        let (outer, message) = bytes.split_at_mut(self.outer_len());
        self.seal_message(message, &trailer);
        if let Some(ports) = self.outer.udp {
            let ip_len = self.outer.ip_len();
            emit_udp(&mut outer[ip_len..], ports, total_len - ip_len as u16);
        }
        header.emit(outer, total_len);
        Ok(())
    }

    /// Fills in the ESP packet around the inner packet, which is already in its place.
    fn seal_message(&mut self, message: &mut [u8], trailer: &Trailer) {
        let mut header = EspPacket::new_unchecked(&mut *message);
        header.set_spi(self.spi);
        header.set_sequence_number(self.sequence as u32);
        let encryption = self.suite().encryption();
        let (iv, text) = message[esp::HEADER_LEN..].split_at_mut(encryption.iv_len());
        if encryption.is_aead() {
            // Unique for the key, as the sequence number is (RFC 4106 section 3.1).
            iv.copy_from_slice(&self.sequence.to_be_bytes());
        } else {
            // Unpredictable (RFC 3602 section 3).
            self.dice.fill(iv);
        }
        trailer.emit(text);
        let high = self.extended.then_some((self.sequence >> 32) as u32);
        self.protection.seal_extended(message, esp::HEADER_LEN, high);
    }

    /// Octets in front of SPI.
    fn outer_len(&self) -> usize {
        self.outer.ip_len() + if self.outer.udp.is_some() { udp::HEADER_LEN } else { 0 }
    }

    /// Octets in front of the inner packet.
    fn headers_len(&self) -> usize {
        self.outer_len() + esp::HEADER_LEN + self.suite().encryption().iv_len()
    }
}

/// The checksum is sent as zero (RFC 3948 section 2.1, and above IPv6 RFC 6935 section 5): the ICV covers the payload.
fn emit_udp(buffer: &mut [u8], (src_port, dst_port): (u16, u16), length: u16) {
    let mut header = UdpDatagram::new_unchecked(buffer);
    header.set_src_port(src_port);
    header.set_dst_port(dst_port);
    header.set_length(length);
    header.set_checksum(0);
}
