//! When a device speaks of a packet's trouble, when it must be silent, and what it says (RFC 1812 section 4.3.2,
//! RFC 1122 section 3.2.2).
//!
//! Left out: redirects and source quench (RFC 6633 forbids it), and extensions with MPLS labels (RFC 4884).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::packet::{Meta, Packet};
use crate::time::{Duration, Instant};
use crate::wire::checksum;
use crate::wire::icmp::{self, IcmpKind, IcmpMessage};
use crate::wire::ipv4::{self, Ipv4Header, Ipv4Packet, protocol};

/// Precedence 6, internetwork control, for errors (RFC 1812 section 4.3.2.5).
const ERROR_TOS: u8 = 0xc0;

/// How a device reports errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReporterConfig {
    /// How much of the packet in trouble is quoted.
    pub quote: Quote,
    /// Errors per second in the long run; zero sends none.
    pub per_second: u32,
    /// Errors that may be sent at once after a quiet time.
    pub burst: u32,
}

impl Default for ReporterConfig {
    /// Linux: up to 576 octets, 1,000 messages a second, 50 at once (sysctl icmp_msgs_per_sec and icmp_msgs_burst).
    fn default() -> Self {
        Self { quote: Quote::Rfc1812, per_second: 1000, burst: 50 }
    }
}

/// How much of a packet an error quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quote {
    /// The header and 8 octets (RFC 792).
    Rfc792,
    /// As much as fits a message of 576 octets (RFC 1812 section 4.3.2.3).
    Rfc1812,
}

/// What an error says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// One of the error kinds.
    pub kind: IcmpKind,
    /// The MTU of the next hop, for [`IcmpKind::FragmentationNeeded`] only; zero otherwise.
    pub next_hop_mtu: u16,
}

impl From<IcmpKind> for Trouble {
    fn from(kind: IcmpKind) -> Self {
        Self { kind, next_hop_mtu: 0 }
    }
}

impl Trouble {
    /// Too big for the next hop, with DF set (RFC 1191 section 4).
    pub fn fragmentation_needed(next_hop_mtu: u32) -> Self {
        Self { kind: IcmpKind::FragmentationNeeded, next_hop_mtu: u16::try_from(next_hop_mtu).unwrap_or(u16::MAX) }
    }
}

/// Why no error is sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Silence {
    /// The packet is not a valid datagram.
    Malformed,
    /// Never about an ICMP error, or one that cannot be read.
    AboutAnError,
    /// Only the first fragment of a datagram is spoken of.
    LaterFragment,
    /// Never about a packet to a broadcast or multicast address.
    ToMany,
    /// Never to an address that is not that of a single host.
    FromNobody,
    /// The rate limit is used up.
    RateLimited,
}

/// Reports errors about packets, at a limited rate.
#[derive(Clone, Debug)]
pub struct Reporter {
    config: ReporterConfig,
    bucket: TokenBucket,
}

impl Reporter {
    /// A reporter with a full allowance.
    pub fn new(config: ReporterConfig) -> Self {
        Self { config, bucket: TokenBucket::new(config.per_second, config.burst) }
    }

    /// The error about `packet`, from the address `from` of this device. `networks` are those it has interfaces in,
    /// so that it knows their broadcast addresses. `meta` becomes the error's.
    ///
    /// Fragmentation needed is never rate-limited, as in Linux: path MTU discovery depends on it.
    ///
    /// # Errors
    /// Why silence is kept.
    pub fn report(
        &mut self,
        now: Instant,
        packet: &[u8],
        trouble: Trouble,
        from: Ipv4Addr,
        networks: &[Ipv4Net],
        meta: Meta,
    ) -> Result<Packet, Silence> {
        let about = reportable(packet, networks)?;
        if trouble.kind != IcmpKind::FragmentationNeeded && !self.bucket.take(now) {
            return Err(Silence::RateLimited);
        }
        Ok(error_packet(&about, trouble, from, self.config.quote, meta))
    }
}

/// The view of `packet`, unless RFC 1812 section 4.3.2.7 or RFC 1122 section 3.2.2 forbids an error about it.
///
/// # Errors
/// Why silence must be kept.
pub fn reportable<'a>(packet: &'a [u8], networks: &[Ipv4Net]) -> Result<Ipv4Packet<&'a [u8]>, Silence> {
    let ip = Ipv4Packet::new_checked(packet).map_err(|_| Silence::Malformed)?;
    if !ip.verify_checksum() {
        return Err(Silence::Malformed);
    }
    if ip.fragment_offset() != 0 {
        return Err(Silence::LaterFragment);
    }
    let broadcast = |a: Ipv4Addr| {
        let directed = |n: &Ipv4Net| n.prefix_len() < 31 && (a == n.broadcast() || a == n.network());
        a.is_broadcast() || networks.iter().any(directed)
    };
    let (src, dst) = (ip.src(), ip.dst());
    if dst.is_multicast() || broadcast(dst) {
        return Err(Silence::ToMany);
    }
    // Network zero, loopback, multicast and class E are not the address of a single host (RFC 1812 section 5.3.7).
    if matches!(src.octets()[0], 0 | 127 | 224..) || broadcast(src) {
        return Err(Silence::FromNobody);
    }
    if ip.protocol() == protocol::ICMP {
        match IcmpMessage::new_checked(ip.payload()) {
            Ok(message) if !message.kind().is_error() => {}
            Ok(_) | Err(_) => return Err(Silence::AboutAnError),
        }
    }
    Ok(ip)
}

/// Turns an echo request into its reply in place, as the host with that address does (RFC 1122 section 3.2.2.6).
/// False, and no change, if the packet is not a whole echo request with a good checksum.
pub fn answer_echo(packet: &mut Packet) -> bool {
    let Ok(mut ip) = Ipv4Packet::new_checked(packet.bytes_mut()) else {
        return false;
    };
    if ip.protocol() != protocol::ICMP || ip.is_fragment() || ip.dst().is_multicast() || ip.dst().is_broadcast() {
        return false;
    }
    let Ok(mut message) = IcmpMessage::new_checked(ip.payload_mut()) else {
        return false;
    };
    if message.kind() != IcmpKind::EchoRequest || !message.verify_checksum() {
        return false;
    }
    let [request, reply] = [IcmpKind::EchoRequest, IcmpKind::EchoReply].map(|kind| {
        let (ty, code) = kind.type_code();
        u16::from_be_bytes([ty, code])
    });
    let updated = checksum::adjust(message.checksum(), request, reply);
    message.set_kind(IcmpKind::EchoReply);
    message.set_checksum(updated);
    let (src, dst) = (ip.src(), ip.dst());
    ip.set_src(dst);
    ip.set_dst(src);
    ip.set_ttl(ipv4::DEFAULT_TTL);
    ip.fill_checksum();
    true
}

fn error_packet(about: &Ipv4Packet<&[u8]>, trouble: Trouble, from: Ipv4Addr, quote: Quote, meta: Meta) -> Packet {
    let room = match quote {
        Quote::Rfc792 => about.header_len() + 8,
        Quote::Rfc1812 => ipv4::MIN_REASSEMBLY - ipv4::HEADER_LEN - icmp::HEADER_LEN,
    };
    let whole = about.datagram();
    let mut packet = Packet::from_bytes(&whole[..room.min(whole.len())], meta);
    packet.push_front(icmp::HEADER_LEN)[..icmp::HEADER_LEN].fill(0);
    let mut message = IcmpMessage::new_unchecked(packet.bytes_mut());
    message.set_kind(trouble.kind);
    message.set_next_hop_mtu(trouble.next_hop_mtu);
    message.fill_checksum();
    let header = Ipv4Header { tos: ERROR_TOS, ..Ipv4Header::new(from, about.src(), protocol::ICMP) };
    header.push(&mut packet);
    packet
}

/// A token bucket in whole nanoseconds: it holds up to `burst` tokens and gains one every `interval`.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    /// `None` never gains any and gives none.
    interval: Option<Duration>,
    burst: u64,
    tokens: u64,
    /// Gains up to this instant are in `tokens`; always a whole number of intervals after the start.
    counted_to: Instant,
}

impl TokenBucket {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1).as_nanos().checked_div(u64::from(per_second));
        Self {
            interval: interval.map(Duration::from_nanos),
            burst: u64::from(burst),
            tokens: u64::from(burst),
            counted_to: Instant::START,
        }
    }

    pub(super) fn take(&mut self, now: Instant) -> bool {
        let Some(interval) = self.interval else {
            return false;
        };
        let gained = now.since(self.counted_to).as_nanos() / interval.as_nanos();
        self.counted_to += interval * gained;
        self.tokens = (self.tokens + gained).min(self.burst);
        let has_one = self.tokens > 0;
        self.tokens -= u64::from(has_one);
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::icmp::{Echo, Quoted};
    use crate::wire::udp;

    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
    const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

    fn lan() -> [Ipv4Net; 1] {
        [Ipv4Net::new(ROUTER, 24).unwrap()]
    }

    fn report(reporter: &mut Reporter, now: Instant, packet: &Packet, trouble: Trouble) -> Result<Packet, Silence> {
        reporter.report(now, packet.bytes(), trouble, ROUTER, &lan(), Meta::default())
    }

    fn ask(packet: &Packet) -> Result<Packet, Silence> {
        let mut reporter = Reporter::new(ReporterConfig::default());
        report(&mut reporter, Instant::START, packet, IcmpKind::TtlExceeded.into())
    }

    fn datagram(src: Ipv4Addr, dst: Ipv4Addr, octets: usize) -> Packet {
        udp::packet((src, 5000), (dst, 53), &vec![0x5a; octets], Meta::default())
    }

    #[test]
    fn an_error_goes_to_the_source_and_quotes_what_the_rfc_says() {
        let about = datagram(HOST, FAR, 1000);
        for (quote, length) in [(Quote::Rfc792, 20 + 8 + 28), (Quote::Rfc1812, 576)] {
            let config = ReporterConfig { quote, ..ReporterConfig::default() };
            let mut reporter = Reporter::new(config);
            let trouble = Trouble::fragmentation_needed(1399);
            let error = report(&mut reporter, Instant::START, &about, trouble).unwrap();
            let ip = Ipv4Packet::new_checked(error.bytes()).unwrap();
            assert!(ip.verify_checksum());
            assert_eq!((ip.src(), ip.dst(), usize::from(ip.total_len())), (ROUTER, HOST, length));
            let message = IcmpMessage::new_checked(ip.payload()).unwrap();
            assert!(message.verify_checksum());
            assert_eq!((message.kind(), message.next_hop_mtu()), (IcmpKind::FragmentationNeeded, 1399));
            assert_eq!(message.payload(), &about.bytes()[..length - 28]);
            let quoted = Quoted::parse(message.payload()).unwrap();
            assert_eq!((quoted.header.src, quoted.header.dst), (HOST, FAR));
            assert_eq!(quoted.payload[..4], [0x13, 0x88, 0, 53], "ports 5000 and 53");
        }
    }

    #[test]
    fn a_short_packet_is_quoted_whole() {
        let about = datagram(HOST, FAR, 3);
        let error = ask(&about).unwrap();
        assert_eq!(error.bytes()[28..], *about.bytes());
    }

    /// The list of RFC 1812 section 4.3.2.7, item by item.
    #[test]
    fn silence_where_the_rfc_forbids_to_speak() {
        let silent = |packet: &Packet| ask(packet).unwrap_err();
        let error = ask(&datagram(HOST, FAR, 9)).unwrap();
        assert_eq!(silent(&error), Silence::AboutAnError);
        let mut bad = datagram(HOST, FAR, 9);
        bad.bytes_mut()[10] ^= 1;
        assert_eq!(silent(&bad), Silence::Malformed);
        for dst in [[255, 255, 255, 255], [224, 0, 0, 5], [192, 0, 2, 255], [192, 0, 2, 0]] {
            assert_eq!(silent(&datagram(HOST, dst.into(), 9)), Silence::ToMany, "{dst:?}");
        }
        for src in [[0, 0, 0, 0], [127, 0, 0, 1], [240, 0, 0, 1], [239, 1, 1, 1], [192, 0, 2, 255]] {
            assert_eq!(silent(&datagram(src.into(), FAR, 9)), Silence::FromNobody, "{src:?}");
        }
        let later = Ipv4Header { fragment_offset: 8, ..Ipv4Header::new(HOST, FAR, protocol::UDP) };
        assert_eq!(silent(&later.packet(b"12345678", Meta::default())), Silence::LaterFragment);
    }

    #[test]
    fn a_first_fragment_and_an_echo_may_be_spoken_of() {
        let first = Ipv4Header { more_fragments: true, ..Ipv4Header::new(HOST, FAR, protocol::UDP) };
        assert!(ask(&first.packet(b"12345678", Meta::default())).is_ok());
        let echo = icmp::echo_request(HOST, FAR, Echo { ident: 1, seq: 1 }, b"", Meta::default());
        assert!(ask(&echo).is_ok());
    }

    /// A burst of 3 and 2 a second: three at once, then one every half second, and never more than three saved up.
    #[test]
    fn the_rate_is_limited_except_for_path_mtu_discovery() {
        let config = ReporterConfig { per_second: 2, burst: 3, ..ReporterConfig::default() };
        let mut reporter = Reporter::new(config);
        let about = datagram(HOST, FAR, 9);
        let mut sent = |at_ms: u64, times: usize| {
            let now = Instant::START + Duration::from_millis(at_ms);
            let trouble = IcmpKind::NetUnreachable.into();
            (0..times).filter(|_| report(&mut reporter, now, &about, trouble).is_ok()).count()
        };
        assert_eq!(sent(0, 10), 3);
        assert_eq!(sent(499, 10), 0);
        assert_eq!(sent(500, 10), 1);
        assert_eq!(sent(1_750, 10), 2);
        assert_eq!(sent(1_999, 10), 0);
        assert_eq!(sent(2_000, 10), 1);
        assert_eq!(sent(60_000, 10), 3);
        let needed = Trouble::fragmentation_needed(1400);
        let now = Instant::from_secs(60);
        assert!((0..10).all(|_| report(&mut reporter, now, &about, needed).is_ok()));
    }

    #[test]
    fn an_echo_is_answered_in_place() {
        let echo = Echo { ident: 0x1234, seq: 7 };
        let mut packet = icmp::echo_request(HOST, FAR, echo, b"odd", Meta::default());
        assert!(answer_echo(&mut packet));
        assert_eq!(packet.bytes(), icmp::echo_reply(FAR, HOST, echo, b"odd", Meta::default()).bytes());
        assert!(!answer_echo(&mut packet), "a reply is not answered");
        let mut damaged = icmp::echo_request(HOST, FAR, echo, b"odd", Meta::default());
        damaged.bytes_mut()[30] ^= 4;
        assert!(!answer_echo(&mut damaged));
    }
}
