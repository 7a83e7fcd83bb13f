//! The sending side of an SA (RFC 4303 section 3.3).

use std::net::Ipv4Addr;

use super::mtu::text_alignment;
use super::{SaKeys, Selectors, Suite};
use crate::crypto::suite::Protection;
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::rng::Rng;
use crate::wire::esp::{self, EspPacket, NEXT_HEADER_IPV4, Trailer};
use crate::wire::ipv4::{self, Ipv4Header, Ipv4Packet, protocol};
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
    pub src: Ipv4Addr,
    /// The other end of the tunnel.
    pub dst: Ipv4Addr,
    /// Source and destination port of the UDP header, if a NAT is on the path (RFC 3948).
    pub udp: Option<(u16, u16)>,
    /// TTL, in hops. It does not follow the inner TTL (RFC 4301 section 5.1.2.1 note 2).
    pub ttl: u8,
    /// The DF bit.
    pub df: DfBit,
}

/// The sending side of an SA. Cloning it forks a world: both copies go on alike, sharing the key schedules.
#[derive(Clone, Debug)]
pub struct OutboundSa {
    spi: u32,
    protection: Protection,
    outer: Outer,
    selectors: Option<Selectors>,
    /// The sequence number sent last; 0 before the first.
    pub(super) sequence: u32,
    /// Added to the sequence number, it makes the outer Identification, so that two SAs between the same ends do not
    /// count in step (RFC 6864 section 4.2).
    pub(super) first_ident: u16,
    rng: Rng,
}

impl OutboundSa {
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
        mut rng: Rng,
    ) -> Self {
        Self {
            spi,
            protection: Protection::new(suite, &keys.encryption, &keys.integrity),
            outer,
            selectors,
            sequence: 0,
            first_ident: rng.u32() as u16,
            rng,
        }
    }

    /// The Security Parameters Index.
    pub fn spi(&self) -> u32 {
        self.spi
    }

    /// The algorithms.
    pub fn suite(&self) -> Suite {
        self.protection.suite()
    }

    /// The sequence number sent last; 0 before the first.
    pub fn sequence(&self) -> u32 {
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

    /// Seals an IPv4 packet in place: pads, encrypts and authenticates it and puts the outer headers in front.
    /// The forwarder has already taken its hop off the inner TTL.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] if it is no IPv4 packet, [`DropReason::SelectorMismatch`] if the SA does not carry it,
    /// [`DropReason::SequenceExhausted`] after 2^32 - 1 packets (RFC 4303 section 3.3.3), [`DropReason::TooBigForLink`]
    /// if the result would not fit an IPv4 datagram. The packet is then unchanged.
    pub fn seal(&mut self, packet: &mut Packet) -> Result<(), DropReason> {
        let inner = Ipv4Packet::new_checked(packet.bytes()).map_err(|_| DropReason::Malformed)?;
        if let Some(selectors) = &self.selectors
            && !selectors.contain(inner.src(), inner.dst())
        {
            return Err(DropReason::SelectorMismatch);
        }
        let (tos, inner_df) = (inner.tos(), inner.dont_fragment());
        let trailer = Trailer::new(packet.len(), text_alignment(self.suite()), NEXT_HEADER_IPV4);
        let total_len = self.headers_len() + trailer.text_len() + self.suite().icv_len();
        let total_len = u16::try_from(total_len).map_err(|_| DropReason::TooBigForLink)?;
        let sequence = self.sequence.checked_add(1);
        self.sequence = sequence.ok_or(DropReason::SequenceExhausted)?;

        packet.push_back(trailer.text_len() - trailer.payload_len + self.suite().icv_len());
        let bytes = packet.push_front(self.headers_len());
        let (outer, message) = bytes.split_at_mut(self.outer_len());
        self.seal_message(message, &trailer);
        let protocol = match self.outer.udp {
            Some(ports) => {
                emit_udp(&mut outer[ipv4::HEADER_LEN..], ports, total_len);
                protocol::UDP
            }
            None => protocol::ESP,
        };
        self.ip_header(protocol, tos, inner_df).emit(outer, total_len);
        Ok(())
    }

    /// Fills in the ESP packet around the inner packet, which is already in its place.
    fn seal_message(&mut self, message: &mut [u8], trailer: &Trailer) {
        let mut header = EspPacket::new_unchecked(&mut *message);
        header.set_spi(self.spi);
        header.set_sequence_number(self.sequence);
        let encryption = self.suite().encryption();
        let (iv, text) = message[esp::HEADER_LEN..].split_at_mut(encryption.iv_len());
        if encryption.is_aead() {
            // Unique for the key, as the sequence number is (RFC 4106 section 3.1).
            iv.copy_from_slice(&u64::from(self.sequence).to_be_bytes());
        } else {
            // Unpredictable (RFC 3602 section 3).
            self.rng.fill(iv);
        }
        trailer.emit(text);
        self.protection.seal(message, esp::HEADER_LEN);
    }

    /// RFC 4301 section 5.1.2.1: DSCP and ECN are copied, TTL is constructed, DF is the SA's policy.
    fn ip_header(&self, protocol: u8, tos: u8, inner_df: bool) -> Ipv4Header {
        let dont_fragment = match self.outer.df {
            DfBit::Copy => inner_df,
            DfBit::Clear => false,
            DfBit::Set => true,
        };
        Ipv4Header {
            tos,
            ttl: self.outer.ttl,
            // It has a meaning only if the packet may be fragmented (RFC 6864 section 4.1).
            ident: match dont_fragment {
                true => 0,
                false => self.first_ident.wrapping_add(self.sequence as u16),
            },
            dont_fragment,
            ..Ipv4Header::new(self.outer.src, self.outer.dst, protocol)
        }
    }

    /// Octets in front of SPI.
    fn outer_len(&self) -> usize {
        match self.outer.udp {
            Some(_) => ipv4::HEADER_LEN + udp::HEADER_LEN,
            None => ipv4::HEADER_LEN,
        }
    }

    /// Octets in front of the inner packet.
    fn headers_len(&self) -> usize {
        self.outer_len() + esp::HEADER_LEN + self.suite().encryption().iv_len()
    }
}

/// The checksum is sent as zero (RFC 3948 section 2.1): the ICV covers the payload.
fn emit_udp(buffer: &mut [u8], (src_port, dst_port): (u16, u16), total_len: u16) {
    let mut header = UdpDatagram::new_unchecked(buffer);
    header.set_src_port(src_port);
    header.set_dst_port(dst_port);
    header.set_length(total_len - ipv4::HEADER_LEN as u16);
    header.set_checksum(0);
}
