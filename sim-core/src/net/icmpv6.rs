//! When a device speaks of an IPv6 packet's trouble, and when it must be silent (RFC 4443 section 2.4).
//!
//! Left out: Parameter Problem, and the answers to neighbour discovery, of which there is none ([`crate::wire::icmpv6`]).

use std::net::Ipv6Addr;

use super::icmp::{ReporterConfig, Silence, TokenBucket};
use crate::packet::{Meta, Packet};
use crate::time::Instant;
use crate::wire::icmpv6::{self, Icmpv6Kind, Icmpv6Message};
use crate::wire::ipv6::{self, FragmentHeader, Ipv6Packet, next_header};

/// What an error says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// One of the error kinds.
    pub kind: Icmpv6Kind,
    /// The MTU of the next hop, for [`Icmpv6Kind::PacketTooBig`] only; zero otherwise.
    pub mtu: u32,
}

impl From<Icmpv6Kind> for Trouble {
    fn from(kind: Icmpv6Kind) -> Self {
        Self { kind, mtu: 0 }
    }
}

impl Trouble {
    /// Too big for the next hop. A tunnel that is narrower than any IPv6 link says 1,280, and carries what is not longer (RFC 8200
    /// section 5, RFC 4213 section 3.2.2).
    pub fn too_big(next_hop: u32) -> Self {
        Self { kind: Icmpv6Kind::PacketTooBig, mtu: next_hop.max(ipv6::MIN_MTU.into()) }
    }
}

/// Reports errors about packets, at a limited rate.
#[derive(Clone, Debug)]
pub struct Reporter {
    bucket: TokenBucket,
}

impl Reporter {
    /// A reporter with a full allowance; how much is quoted is the RFC's to say (section 2.4 c).
    pub fn new(config: ReporterConfig) -> Self {
        Self { bucket: TokenBucket::new(config.per_second, config.burst) }
    }

    /// The error about `packet`, from the address `from` of this device. `meta` becomes the error's.
    ///
    /// Packet Too Big is never rate-limited, as Linux has it (sysctl icmp.ratemask): path MTU discovery depends on it.
    ///
    /// # Errors
    /// Why silence is kept.
    pub fn report(
        &mut self,
        now: Instant,
        packet: &[u8],
        trouble: Trouble,
        from: Ipv6Addr,
        meta: Meta,
    ) -> Result<Packet, Silence> {
        /// As much as keeps the error within what every link carries.
        const ROOM: usize = ipv6::MIN_MTU as usize - ipv6::HEADER_LEN - icmpv6::HEADER_LEN;
        let about = reportable(packet, trouble.kind)?;
        if trouble.kind != Icmpv6Kind::PacketTooBig && !self.bucket.take(now) {
            return Err(Silence::RateLimited);
        }
        let whole = about.datagram();
        let quoted = &whole[..whole.len().min(ROOM)];
        Ok(icmpv6::error(trouble.kind, trouble.mtu, (from, about.src()), quoted, meta))
    }
}

/// The view of `packet`, unless section 2.4 (e) forbids an error about it.
fn reportable(packet: &[u8], kind: Icmpv6Kind) -> Result<Ipv6Packet<&[u8]>, Silence> {
    let ip = Ipv6Packet::new_checked(packet).map_err(|_| Silence::Malformed)?;
    // Item 3: only Packet Too Big is said of what goes to many.
    if ip.dst().is_multicast() && kind != Icmpv6Kind::PacketTooBig {
        return Err(Silence::ToMany);
    }
    let src = ip.src();
    if src.is_unspecified() || src.is_multicast() || src.is_loopback() {
        return Err(Silence::FromNobody);
    }
    let (upper, payload) = match ip.next_header() {
        next_header::FRAGMENT => match FragmentHeader::parse(ip.payload()) {
            Ok((fragment, rest)) if fragment.offset == 0 => (fragment.next_header, rest),
            Ok((FragmentHeader { next_header: next_header::ICMPV6, .. }, _)) => return Err(Silence::LaterFragment),
            Ok((fragment, _)) => (fragment.next_header, &[][..]),
            Err(_) => return Err(Silence::Malformed),
        },
        other => (other, ip.payload()),
    };
    if upper == next_header::ICMPV6 {
        match Icmpv6Message::new_checked(payload) {
            // A redirect (type 137) counts as an error here (item 2).
            Ok(message) if !message.kind().is_error() && message.kind().type_code().0 != 137 => {}
            Ok(_) | Err(_) => return Err(Silence::AboutAnError),
        }
    }
    Ok(ip)
}

/// Turns an echo request into its reply in place, as the host with that address does (RFC 4443 section 4.2). False, and no
/// change, if the packet is not a whole echo request with a good checksum.
pub fn answer_echo(packet: &mut Packet) -> bool {
    let Ok(ip) = Ipv6Packet::new_checked(packet.bytes()) else { return false };
    let (src, dst) = (ip.src(), ip.dst());
    if ip.next_header() != next_header::ICMPV6 || dst.is_multicast() {
        return false;
    }
    let Ok(message) = Icmpv6Message::new_checked(ip.payload()) else { return false };
    if message.kind() != Icmpv6Kind::EchoRequest || !message.verify_checksum(src, dst) {
        return false;
    }
    let header =
        ipv6::Ipv6Header { src: dst, dst: src, hop_limit: ipv6::DEFAULT_HOP_LIMIT, ..ipv6::Ipv6Header::parse(&ip) };
    let octets = ip.payload_len();
    header.emit(packet.bytes_mut(), octets);
    let mut ip = Ipv6Packet::new_unchecked(packet.bytes_mut());
    let mut message = Icmpv6Message::new_unchecked(ip.payload_mut());
    message.set_kind(Icmpv6Kind::EchoReply);
    message.fill_checksum(dst, src);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;
    use crate::wire::icmp::Echo;
    use crate::wire::icmpv6::{Quoted, echo_around};
    use crate::wire::ipv6::Ipv6Header;
    use crate::wire::udp;

    const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 10);
    const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7);

    fn ask(packet: &Packet, kind: Icmpv6Kind) -> Result<Packet, Silence> {
        let mut reporter = Reporter::new(ReporterConfig::default());
        reporter.report(Instant::START, packet.bytes(), kind.into(), ROUTER, Meta::default())
    }

    fn datagram(src: Ipv6Addr, dst: Ipv6Addr, octets: usize) -> Packet {
        udp::around_v6(Packet::from_bytes(&vec![0x5a; octets], Meta::default()), (src, 5000), (dst, 53))
    }

    /// Section 2.4 (c): as much as possible within 1,280 octets.
    #[test]
    fn an_error_goes_to_the_source_and_quotes_what_fits() {
        for (octets, length) in [(2_000, 1_280), (100, 40 + 8 + 40 + 8 + 100)] {
            let about = datagram(HOST, FAR, octets);
            let mut reporter = Reporter::new(ReporterConfig::default());
            let trouble = Trouble::too_big(1_399);
            let error = reporter.report(Instant::START, about.bytes(), trouble, ROUTER, Meta::default()).unwrap();
            let ip = Ipv6Packet::new_checked(error.bytes()).unwrap();
            assert_eq!((ip.src(), ip.dst(), ip.total_len()), (ROUTER, HOST, length));
            let message = Icmpv6Message::new_checked(ip.payload()).unwrap();
            assert!(message.verify_checksum(ROUTER, HOST));
            assert_eq!((message.kind(), message.mtu()), (Icmpv6Kind::PacketTooBig, 1_399));
            let quoted = Quoted::parse(message.payload()).unwrap();
            assert_eq!((quoted.header.src, quoted.header.dst), (HOST, FAR));
            assert_eq!(quoted.payload[..4], [0x13, 0x88, 0, 53], "ports 5000 and 53");
        }
        assert_eq!(Trouble::too_big(1_000).mtu, 1_280, "no IPv6 path is narrower");
    }

    /// The list of section 2.4 (e), item by item.
    #[test]
    fn silence_where_the_rfc_forbids_to_speak() {
        let silent = |packet: &Packet| ask(packet, Icmpv6Kind::NoRoute).unwrap_err();
        let error = ask(&datagram(HOST, FAR, 9), Icmpv6Kind::NoRoute).unwrap();
        assert_eq!(silent(&error), Silence::AboutAnError, "item 1");
        let redirect =
            Ipv6Header::new(HOST, FAR, next_header::ICMPV6).packet(&[137, 0, 0, 0, 0, 0, 0, 0], Meta::default());
        assert_eq!(silent(&redirect), Silence::AboutAnError, "item 2");
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        assert_eq!(silent(&datagram(HOST, group, 9)), Silence::ToMany, "item 3");
        assert!(ask(&datagram(HOST, group, 9), Icmpv6Kind::PacketTooBig).is_ok(), "item 3, its exception");
        for src in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST, group] {
            assert_eq!(silent(&datagram(src, FAR, 9)), Silence::FromNobody, "item 6: {src}");
        }
        let later = FragmentHeader { next_header: next_header::ICMPV6, offset: 8, more: false, ident: 1 };
        let later = Ipv6Header::new(HOST, FAR, next_header::FRAGMENT).packet(&later.octets(), Meta::default());
        assert_eq!(silent(&later), Silence::LaterFragment, "it may be an error's");
        let echo = echo_around(
            Icmpv6Kind::EchoRequest,
            HOST,
            FAR,
            Echo { ident: 1, seq: 1 },
            Packet::from_bytes(b"", Meta::default()),
        );
        assert!(ask(&echo, Icmpv6Kind::NoRoute).is_ok());
    }

    /// Section 2.4 (f).
    #[test]
    fn the_rate_is_limited_except_for_path_mtu_discovery() {
        let config = ReporterConfig { per_second: 2, burst: 3, ..ReporterConfig::default() };
        let mut reporter = Reporter::new(config);
        let about = datagram(HOST, FAR, 9);
        let mut sent = |at_ms: u64, trouble: Trouble| {
            let now = Instant::START + Duration::from_millis(at_ms);
            (0..10).filter(|_| reporter.report(now, about.bytes(), trouble, ROUTER, Meta::default()).is_ok()).count()
        };
        assert_eq!(sent(0, Icmpv6Kind::NoRoute.into()), 3);
        assert_eq!(sent(0, Trouble::too_big(1_400)), 10);
        assert_eq!(sent(500, Icmpv6Kind::HopLimitExceeded.into()), 1);
    }

    #[test]
    fn an_echo_is_answered_in_place() {
        let echo = Echo { ident: 0x1234, seq: 7 };
        let made = |kind, src, dst| echo_around(kind, src, dst, echo, Packet::from_bytes(b"odd", Meta::default()));
        let mut packet = made(Icmpv6Kind::EchoRequest, HOST, FAR);
        assert!(answer_echo(&mut packet));
        assert_eq!(packet.bytes(), made(Icmpv6Kind::EchoReply, FAR, HOST).bytes());
        assert!(!answer_echo(&mut packet), "a reply is not answered");
        let mut damaged = made(Icmpv6Kind::EchoRequest, HOST, FAR);
        damaged.bytes_mut()[50] ^= 4;
        assert!(!answer_echo(&mut damaged));
    }
}
