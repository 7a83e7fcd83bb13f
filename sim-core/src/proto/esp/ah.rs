//! AH in tunnel mode: IPv4 in IPv4, authenticated and in clear (RFC 4302).
//!
//! ```text
//! | outer IPv4 | AH: SPI, Seq, ICV | inner IPv4 packet |
//! |<--- authenticated, but for mutable fields -------->|
//! ```
//!
//! The ICV covers the outer addresses. A NAT changes them and cannot know the key, so no packet verifies behind one
//! (RFC 3715 section 2.1 a): that is why AWS and the rest of the world use ESP. What routers may change counts as zero:
//! DSCP, ECN, flags, fragment offset, TTL, header checksum (RFC 4302 section 3.3.3.1.1.1).
//!
//! Left out: transport mode (RFC 4302 section 3.1.1), outer headers of IPv6 (section 3.3.3.1.2), and outer headers with options, each of which is mutable or not
//! (appendix A); no sender of ours makes any, and a packet that has some is refused as malformed.

use std::sync::Arc;

use super::inbound::accept_inner;
use super::outbound::OuterHeader;
use super::{Limits, Opened, Outer, ReplayWindow, SaKeys, Selectors};
use crate::crypto::mac::KeyedMac;
use crate::crypto::suite::Integrity;
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::rng::Seldom;
use crate::wire::ah::{self, AhPacket};
use crate::wire::esp::NEXT_HEADER_IPV4;
use crate::wire::ipv4::{self, Ipv4Packet, protocol};

/// The longest inner packet that fits `outer_mtu` octets; `None` if the path is too narrow for any.
pub fn tunnel_mtu(outer_mtu: u16, integrity: Integrity) -> Option<u16> {
    let around = ipv4::HEADER_LEN + ah::FIXED_LEN + integrity.icv_len();
    outer_mtu.checked_sub(around as u16)
}

/// The sending side of an SA. The UDP ports of its [`Outer`] are not used: AH has no encapsulation (RFC 3948 section 1).
#[derive(Clone, Debug)]
pub struct OutboundAh {
    spi: u32,
    integrity: Integrity,
    mac: Arc<KeyedMac>,
    outer: Outer,
    sequence: u64,
    limits: Limits,
    extended: bool,
    /// As ESP's.
    first_ident: u16,
}

impl OutboundAh {
    /// An SA that has sent nothing. `spi` is the receiver's choice, `rng` the SA's own stream.
    pub fn new(spi: u32, integrity: Integrity, keys: &SaKeys, outer: Outer, mut rng: Seldom) -> Self {
        let mac = Arc::new(KeyedMac::new(integrity, &keys.integrity));
        let first_ident = rng.u32() as u16;
        Self { spi, integrity, mac, outer, sequence: 0, limits: Limits::default(), extended: false, first_ident }
    }

    /// The same SA with extended sequence numbers or other limits.
    pub fn with(mut self, extended: bool, limits: Limits) -> Self {
        (self.extended, self.limits) = (extended, limits);
        self
    }

    /// The Security Parameters Index.
    pub fn spi(&self) -> u32 {
        self.spi
    }

    /// The sequence number sent last; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// True when the packet that was sealed last is the one after which the SA wants a successor.
    pub fn wants_successor(&self) -> bool {
        self.sequence == self.limits.rekey
    }

    /// The header around sealed packets.
    pub fn outer(&self) -> &Outer {
        &self.outer
    }

    /// The header around sealed packets, to change.
    pub fn outer_mut(&mut self) -> &mut Outer {
        &mut self.outer
    }

    /// The ICV of a packet that this SA sealed.
    pub fn icv<'p>(&self, sealed: &'p Packet) -> &'p [u8] {
        let at = ipv4::HEADER_LEN + ah::FIXED_LEN;
        &sealed.bytes()[at..at + self.integrity.icv_len()]
    }

    /// Authenticates an IPv4 packet in place and puts the outer headers in front (RFC 4302 section 3.3).
    ///
    /// # Errors
    /// [`DropReason::Malformed`] if it is no IPv4 packet, [`DropReason::SequenceExhausted`] when the last number is used up,
    /// [`DropReason::TooBigForLink`] if the result would not fit an IPv4 datagram, [`DropReason::Malformed`] between addresses of IPv6.
    /// The packet is then unchanged.
    pub fn seal(&mut self, packet: &mut Packet) -> Result<(), DropReason> {
        let inner = Ipv4Packet::new_checked(packet.bytes()).map_err(|_| DropReason::Malformed)?;
        let (tos, inner_df) = (inner.tos(), inner.dont_fragment());
        let icv_len = self.integrity.icv_len();
        let headers = ipv4::HEADER_LEN + ah::FIXED_LEN + icv_len;
        let total_len = u16::try_from(packet.len() + headers).map_err(|_| DropReason::TooBigForLink)?;
        if self.sequence >= self.limits.last(self.extended) {
            return Err(DropReason::SequenceExhausted);
        }
        let ident = self.first_ident.wrapping_add((self.sequence as u16).wrapping_add(1));
        let Some(OuterHeader::V4(header)) = self.outer.header(protocol::AH, tos, inner_df, ident) else {
            return Err(DropReason::Malformed);
        };
        self.sequence += 1;
        let high = self.extended.then_some((self.sequence >> 32) as u32);
        let bytes = packet.push_front(headers);
        header.emit(bytes, total_len);
        ah::emit(&mut bytes[ipv4::HEADER_LEN..], NEXT_HEADER_IPV4, icv_len, self.spi, self.sequence as u32);
        blank(bytes);
        let mut icv = [0; 64];
        self.mac.sign(bytes, high, &mut icv[..icv_len]);
        let at = ipv4::HEADER_LEN + ah::FIXED_LEN;
        bytes[at..at + icv_len].copy_from_slice(&icv[..icv_len]);
        header.emit(bytes, total_len);
        Ok(())
    }
}

/// The receiving side of an SA.
#[derive(Clone, Debug)]
pub struct InboundAh {
    spi: u32,
    integrity: Integrity,
    mac: Arc<KeyedMac>,
    window: ReplayWindow,
    extended: bool,
    selectors: Option<Selectors>,
}

impl InboundAh {
    /// An SA that has received nothing. `spi` is this end's choice.
    pub fn new(
        spi: u32,
        integrity: Integrity,
        keys: &SaKeys,
        window: ReplayWindow,
        extended: bool,
        selectors: Option<Selectors>,
    ) -> Self {
        let mac = Arc::new(KeyedMac::new(integrity, &keys.integrity));
        Self { spi, integrity, mac, window, extended, selectors }
    }

    /// The window against replays.
    pub fn window(&self) -> &ReplayWindow {
        &self.window
    }

    /// Opens a packet in place: looks at the window, verifies the ICV, commits to the window, takes the headers off
    /// (RFC 4302 section 3.4). `packet` is an IPv4 packet for this end, reassembled.
    ///
    /// # Errors
    /// Why it went no further; the packet's bytes are then unspecified. Before it verifies, the SA is unchanged.
    pub fn open(&mut self, packet: &mut Packet) -> Result<Opened, DropReason> {
        let outer = Ipv4Packet::new_checked(packet.bytes()).map_err(|_| DropReason::Malformed)?;
        let (src, outer_tos) = (outer.src().into(), outer.tos());
        if outer.is_fragment() || outer.header_len() != ipv4::HEADER_LEN || outer.protocol() != protocol::AH {
            return Err(DropReason::Malformed);
        }
        let view = AhPacket::new_checked(outer.payload()).map_err(|_| DropReason::Malformed)?;
        if view.spi() != self.spi {
            return Err(DropReason::UnknownSpi);
        }
        let icv_len = self.integrity.icv_len();
        let (icv_at, next_header) = (view.icv(), view.next_header());
        if icv_at.len() != icv_len {
            return Err(DropReason::Malformed);
        }
        let low = view.sequence_number();
        let sequence = match self.extended {
            true => self.window.infer(low).ok_or(DropReason::Replayed)?,
            false => low.into(),
        };
        if !self.window.check(sequence) {
            return Err(DropReason::Replayed);
        }
        let end = usize::from(outer.total_len());
        let bytes = &mut packet.bytes_mut()[..end];
        let at = ipv4::HEADER_LEN + icv_at.start..ipv4::HEADER_LEN + icv_at.end;
        let mut icv = [0; 64];
        icv[..icv_len].copy_from_slice(&bytes[at.clone()]);
        bytes[at.clone()].fill(0);
        blank(bytes);
        let high = self.extended.then_some((sequence >> 32) as u32);
        if !self.mac.verifies(bytes, high, &icv[..icv_len]) {
            return Err(DropReason::BadAhIcv);
        }
        self.window.commit(sequence);
        if next_header != NEXT_HEADER_IPV4 {
            return Err(DropReason::Malformed);
        }
        packet.truncate(end);
        packet.pop_front(at.end);
        accept_inner(packet, self.selectors.as_ref(), outer_tos)?;
        Ok(Opened { sequence, src, src_port: None, dummy: false })
    }
}

/// Zeroes what routers may change in an IPv4 header without options (RFC 4302 section 3.3.3.1.1.1).
fn blank(bytes: &mut [u8]) {
    let mut outer = Ipv4Packet::new_unchecked(bytes);
    outer.set_tos(0);
    outer.set_fragment(false, false, 0);
    outer.set_ttl(0);
    outer.set_checksum(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::hex;
    use crate::packet::Meta;
    use crate::proto::esp::DfBit;
    use crate::rng::Purpose;
    use crate::wire::ipv4::Ipv4Header;
    use hmac::{Hmac, KeyInit, Mac};
    use sha1::Sha1;
    use sha2::{Sha256, Sha384, Sha512};
    use std::net::Ipv4Addr;

    const SPI: u32 = 0xc0ff_ee02;
    const SRC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
    const DST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

    /// A UDP datagram "hello" from 192.168.0.10 to 10.0.0.20: DSCP EF, ECT(0), DF.
    const INNER: &str = "45ba0021123440003f115e18c0a8000a0a00001400070009000d000068656c6c6f";

    fn keys(integrity: Integrity) -> SaKeys {
        let key: Vec<u8> = (0x40..0x40 + integrity.key_len() as u8).collect();
        SaKeys { encryption: Vec::new().into(), integrity: key.into() }
    }

    fn outer(df: DfBit) -> Outer {
        Outer { src: SRC.into(), dst: DST.into(), udp: None, ttl: 64, df }
    }

    fn pair(integrity: Integrity, extended: bool) -> (OutboundAh, InboundAh) {
        let keys = keys(integrity);
        let out = OutboundAh::new(SPI, integrity, &keys, outer(DfBit::Copy), Seldom::stream(1, "ah", Purpose::Test));
        let into = InboundAh::new(SPI, integrity, &keys, ReplayWindow::new(64), extended, None);
        (out.with(extended, Limits::default()), into)
    }

    fn inner() -> Packet {
        Packet::from_bytes(&hex(INNER), Meta::default())
    }

    fn sealed(sa: &mut OutboundAh) -> Packet {
        let mut packet = inner();
        sa.seal(&mut packet).unwrap();
        packet
    }

    fn head<M: Mac + KeyInit>(key: &[u8], message: &[u8], len: usize) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes()[..len].to_vec()
    }

    /// What RFC 4302 section 3.3.3 has signed, laid out by hand: version and IHL, total length, Identification 0 (DF is set),
    /// protocol 51 and the addresses stand; TOS, flags, TTL and checksum are zero; then AH with a zero ICV; then the inner
    /// packet.
    #[test]
    fn the_icv_covers_what_the_rfc_says() {
        for (integrity, total, words) in [
            (Integrity::HmacSha1_96, "004d", "04"),
            (Integrity::HmacSha2_256_128, "0051", "05"),
            (Integrity::HmacSha2_384_192, "0059", "07"),
            (Integrity::HmacSha2_512_256, "0061", "09"),
        ] {
            let icv_len = integrity.icv_len();
            let ip = format!("4500{total}0000000000330000cb007101c6336402");
            let ah = format!("04{words}0000c0ffee0200000001");
            let signed = [hex(&ip), hex(&ah), vec![0; icv_len], hex(INNER)].concat();
            let key: Vec<u8> = (0x40..0x40 + integrity.key_len() as u8).collect();
            let icv = match integrity {
                Integrity::HmacSha1_96 => head::<Hmac<Sha1>>(&key, &signed, 12),
                Integrity::HmacSha2_256_128 => head::<Hmac<Sha256>>(&key, &signed, 16),
                Integrity::HmacSha2_384_192 => head::<Hmac<Sha384>>(&key, &signed, 24),
                Integrity::HmacSha2_512_256 => head::<Hmac<Sha512>>(&key, &signed, 32),
                Integrity::None => unreachable!(),
            };
            let (mut out, mut into) = pair(integrity, false);
            let mut packet = sealed(&mut out);
            assert_eq!(out.icv(&packet), icv, "{integrity:?}");
            // On the wire the mutable fields have their values: TOS ba, DF, TTL 64.
            let outer = Ipv4Packet::new_checked(packet.bytes()).unwrap();
            assert!(outer.verify_checksum());
            assert_eq!((outer.tos(), outer.dont_fragment(), outer.ttl(), outer.protocol()), (0xba, true, 64, 51));
            assert_eq!(packet.bytes()[20..32], hex(&ah));
            let opened = into.open(&mut packet).unwrap();
            assert_eq!((opened.sequence, opened.src, opened.src_port), (1, SRC.into(), None));
            assert_eq!(packet.bytes(), hex(INNER));
        }
    }

    /// RFC 4302 section 2.5.1: the high half of an extended sequence number is signed behind everything else.
    #[test]
    fn the_high_half_is_signed_and_not_sent() {
        let (mut out, mut into) = pair(Integrity::HmacSha2_256_128, true);
        out.sequence = (7 << 32) + 4;
        into.window.commit((7 << 32) + 1);
        let mut packet = sealed(&mut out);
        let ip = "450000510000000000330000cb007101c6336402";
        let ah = "04050000c0ffee0200000005";
        let signed = [hex(ip), hex(ah), vec![0; 16], hex(INNER), hex("00000007")].concat();
        let key: Vec<u8> = (0x40..0x60).collect();
        assert_eq!(out.icv(&packet), head::<Hmac<Sha256>>(&key, &signed, 16));
        assert_eq!(into.open(&mut packet).unwrap().sequence, (7 << 32) + 5);
    }

    fn change(packet: &mut Packet, how: impl FnOnce(&mut Ipv4Packet<&mut [u8]>)) {
        let mut outer = Ipv4Packet::new_unchecked(packet.bytes_mut());
        how(&mut outer);
        outer.fill_checksum();
    }

    /// Routers may change what is mutable; a NAT changes what is not.
    #[test]
    fn routers_pass_and_nats_do_not() {
        let (mut out, mut into) = pair(Integrity::HmacSha1_96, false);
        let mut routed = sealed(&mut out);
        change(&mut routed, |outer| {
            outer.set_ttl(3);
            outer.set_tos(0x08);
            outer.set_fragment(false, false, 0);
        });
        assert!(into.open(&mut routed).is_ok());
        let before = into.window.clone();
        for addresses in [(Ipv4Addr::new(192, 0, 2, 1), DST), (SRC, Ipv4Addr::new(192, 0, 2, 1))] {
            let mut translated = sealed(&mut out);
            change(&mut translated, |outer| {
                outer.set_src(addresses.0);
                outer.set_dst(addresses.1);
            });
            assert_eq!(into.open(&mut translated), Err(DropReason::BadAhIcv));
        }
        assert_eq!(into.window, before);
    }

    /// Every bit that RFC 4302 does not call mutable: a change is noticed, and the window does not move.
    #[test]
    fn no_changed_bit_opens() {
        let (mut out, mut into) = pair(Integrity::HmacSha2_256_128, false);
        let packet = sealed(&mut out);
        for bit in ipv4::HEADER_LEN * 8..packet.len() * 8 {
            let mut tampered = packet.clone();
            tampered.bytes_mut()[bit / 8] ^= 0x80 >> (bit % 8);
            assert!(into.open(&mut tampered).is_err(), "{bit}");
        }
        assert_eq!(into.window.highest(), 0);
        let (mut twice, mut once) = (packet.clone(), packet);
        assert!(into.open(&mut once).is_ok());
        assert_eq!(into.open(&mut twice), Err(DropReason::Replayed));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let (mut out, mut into) = pair(Integrity::HmacSha1_96, false);
        let packet = sealed(&mut out);
        let mut foreign = packet.clone();
        foreign.bytes_mut()[24] ^= 1;
        assert_eq!(into.open(&mut foreign), Err(DropReason::UnknownSpi));
        for len in 0..packet.len() {
            let mut short = Packet::from_bytes(&packet.bytes()[..len], Meta::default());
            assert!(into.open(&mut short).is_err());
        }
        let header = Ipv4Header::new(SRC, DST, protocol::AH);
        let mut cut = header.packet(&packet.bytes()[20..26], Meta::default());
        assert_eq!(into.open(&mut cut), Err(DropReason::Malformed));
        out.limits.last = 1;
        assert_eq!(out.seal(&mut inner()), Err(DropReason::SequenceExhausted));
    }

    /// The longest inner packet fills the path.
    #[test]
    fn the_tunnel_mtu_is_what_seal_makes_of_it() {
        let (mut out, _) = pair(Integrity::HmacSha1_96, false);
        let mtu = usize::from(tunnel_mtu(1500, Integrity::HmacSha1_96).unwrap());
        assert_eq!(mtu, 1500 - 20 - 24);
        let header = Ipv4Header::new(SRC, DST, protocol::UDP);
        let mut packet = header.packet(&vec![0; mtu - 20], Meta::default());
        out.seal(&mut packet).unwrap();
        assert_eq!(packet.len(), 1500);
        assert_eq!(tunnel_mtu(30, Integrity::HmacSha1_96), None);
    }
}
