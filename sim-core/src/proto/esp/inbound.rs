//! The receiving side of an SA (RFC 4303 section 3.4).

use std::net::IpAddr;
use std::ops::Range;

use super::{ReplayWindow, SaKeys, Selectors, Suite};
use crate::crypto::suite::{OpenError, Protection};
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::wire::checksum;
use crate::wire::esp::{self, EspPacket, NEXT_HEADER_IPV4, NEXT_HEADER_IPV6, NEXT_HEADER_NONE, Trailer};
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::ipv6::{self, Ipv6Packet, is_ipv6};
use crate::wire::udp::{self, UdpDatagram};

/// What is known of a packet that was opened, besides its inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Its sequence number, the half that is not sent included.
    pub sequence: u64,
    /// Where it came from. It authenticated, so a NAT binding may follow it (RFC 7296 section 2.23).
    pub src: IpAddr,
    /// The UDP port it came from, if it was in UDP.
    pub src_port: Option<u16>,
    /// True if it was a dummy packet: there is nothing inside to hand on (RFC 4303 section 2.6).
    pub dummy: bool,
}

/// The receiving side of an SA. Cloning it forks a world; the copies share the key schedules and nothing else.
#[derive(Clone, Debug)]
pub struct InboundSa {
    spi: u32,
    protection: Protection,
    pub(super) window: ReplayWindow,
    /// Extended sequence numbers (RFC 4303 section 2.2.1).
    extended: bool,
    /// It carries IPv6, and no IPv4.
    ipv6: bool,
    selectors: Option<Selectors>,
}

impl InboundSa {
    /// Fetches what a packet will touch behind it, so many steps behind the device.
    pub(crate) fn foresee(&self, depth: usize) {
        self.protection.foresee(depth);
        self.window.foresee();
    }

    /// An SA that has received nothing. `spi` is this end's choice; with `selectors`, inner packets outside them are
    /// refused (RFC 4301 section 5.2 step 4).
    ///
    /// # Panics
    /// If the keys do not have the lengths of the suite.
    pub fn new(spi: u32, suite: Suite, keys: &SaKeys, window: ReplayWindow, selectors: Option<Selectors>) -> Self {
        let protection = Protection::new(suite, &keys.encryption, &keys.integrity);
        Self { spi, protection, window, extended: false, ipv6: false, selectors }
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

    /// The Security Parameters Index.
    pub fn spi(&self) -> u32 {
        self.spi
    }

    /// The algorithms.
    pub fn suite(&self) -> Suite {
        self.protection.suite()
    }

    /// The anti-replay window.
    pub fn window(&self) -> &ReplayWindow {
        &self.window
    }

    /// Opens a sealed packet in place, in the order of RFC 4303 section 3.4: looks at the window, authenticates and
    /// decrypts, and only then commits to the window. `packet` is an IP packet for this end, reassembled, with its
    /// SPI looked up. If it opens, the inner packet is left, unless it was a dummy.
    ///
    /// # Errors
    /// Why it went no further; the packet's bytes are then unspecified. Before it authenticates, the SA is unchanged.
    pub fn open(&mut self, packet: &mut Packet) -> Result<Opened, DropReason> {
        let (mut opened, outer_tos, message) = self.locate(packet.bytes())?;
        let mut high = None;
        if self.extended {
            opened.sequence = self.window.infer(opened.sequence as u32).ok_or(DropReason::Replayed)?;
            high = Some((opened.sequence >> 32) as u32);
        }
        if !self.window.check(opened.sequence) {
            return Err(DropReason::Replayed);
        }
        let octets = &mut packet.bytes_mut()[message.clone()];
        let text = self.protection.open_extended(octets, esp::HEADER_LEN, high).map_err(|error| match error {
            OpenError::Length => DropReason::Malformed,
            OpenError::BadIcv => DropReason::BadIcv,
        })?;
        self.window.commit(opened.sequence);

        let text = message.start + text.start..message.start + text.end;
        let trailer = Trailer::parse(&packet.bytes()[text.clone()]).map_err(|_| DropReason::BadPadding)?;
        match trailer.next_header {
            NEXT_HEADER_IPV4 if !self.ipv6 => {}
            NEXT_HEADER_IPV6 if self.ipv6 => {}
            NEXT_HEADER_IPV4 | NEXT_HEADER_IPV6 => return Err(DropReason::SelectorMismatch),
            NEXT_HEADER_NONE => return Ok(Opened { dummy: true, ..opened }),
            _ => return Err(DropReason::BadPadding),
        }
        packet.truncate(text.start + trailer.payload_len);
        packet.pop_front(text.start);
        if self.ipv6 {
            accept_inner_ipv6(packet, outer_tos)?;
        } else {
            accept_inner(packet, self.selectors.as_ref(), outer_tos)?;
        }
        Ok(opened)
    }

    /// Finds the ESP packet in an IP packet: its origin and number, the outer DSCP and ECN, and its place.
    fn locate(&self, bytes: &[u8]) -> Result<(Opened, u8, Range<usize>), DropReason> {
        let (src, outer_tos, above, mut place) = unwrapped(bytes).ok_or(DropReason::Malformed)?;
        let mut src_port = None;
        match above {
            protocol::ESP => {}
            protocol::UDP => {
                let udp = UdpDatagram::new_checked(&bytes[place.clone()]).map_err(|_| DropReason::Malformed)?;
                src_port = Some(udp.src_port());
                place.end = place.start + usize::from(udp.length());
                place.start += udp::HEADER_LEN;
            }
            _ => return Err(DropReason::Malformed),
        }
        let esp = EspPacket::new_checked(&bytes[place.clone()]).map_err(|_| DropReason::Malformed)?;
        if esp.spi() != self.spi {
            return Err(DropReason::UnknownSpi);
        }
        let opened = Opened { sequence: esp.sequence_number().into(), src, src_port, dummy: false };
        Ok((opened, outer_tos, place))
    }
}

/// Where an IP packet comes from, its DSCP and ECN, the protocol of what is in it, and the place of that. `None` if it is none, or a
/// fragment: those must have been put together before (RFC 4303 section 3.4.1).
fn unwrapped(bytes: &[u8]) -> Option<(IpAddr, u8, u8, Range<usize>)> {
    if is_ipv6(bytes) {
        let outer = Ipv6Packet::new_checked(bytes).ok()?;
        let place = ipv6::HEADER_LEN..outer.total_len();
        return Some((outer.src().into(), outer.traffic_class(), outer.next_header(), place));
    }
    let outer = Ipv4Packet::new_checked(bytes).ok().filter(|outer| !outer.is_fragment())?;
    let place = outer.header_len()..usize::from(outer.total_len());
    Some((outer.src().into(), outer.tos(), outer.protocol(), place))
}

/// Checks the inner packet and carries the outer header's congestion mark over to it.
pub(super) fn accept_inner(
    packet: &mut Packet,
    selectors: Option<&Selectors>,
    outer_tos: u8,
) -> Result<(), DropReason> {
    let mut inner = Ipv4Packet::new_checked(packet.bytes_mut()).map_err(|_| DropReason::Malformed)?;
    if let Some(selectors) = selectors
        && !selectors.contain(inner.src(), inner.dst())
    {
        return Err(DropReason::SelectorMismatch);
    }
    // RFC 4301 section 5.1.2.1 note 6: only an ECN-capable inner packet can carry the mark.
    let ecn_capable = matches!(inner.tos() & ECN, ECT_0 | ECT_1);
    if outer_tos & ECN == CE && ecn_capable {
        // Changed, not computed anew: damage done before the packet was sealed must stay visible.
        let word = |tos: u8| u16::from_be_bytes([0, tos]);
        let marked = inner.tos() | CE;
        let updated = checksum::adjust(inner.checksum(), word(inner.tos()), word(marked));
        inner.set_tos(marked);
        inner.set_checksum(updated);
    }
    // What lies behind the inner packet is traffic flow confidentiality padding (RFC 4303 section 2.7).
    let inner_len = usize::from(inner.total_len());
    packet.truncate(inner_len);
    Ok(())
}

/// The same of IPv6, whose header has no checksum.
fn accept_inner_ipv6(packet: &mut Packet, outer_tos: u8) -> Result<(), DropReason> {
    let mut inner = Ipv6Packet::new_checked(packet.bytes_mut()).map_err(|_| DropReason::Malformed)?;
    let class = inner.traffic_class();
    if outer_tos & ECN == CE && matches!(class & ECN, ECT_0 | ECT_1) {
        inner.set_traffic_class(class | CE);
    }
    let inner_len = inner.total_len();
    packet.truncate(inner_len);
    Ok(())
}

/// The ECN field of the TOS octet and its code points (RFC 3168 section 5).
const ECN: u8 = 0b11;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;
