//! The leaves of a scenario: values as a person writes them, "30s", "1.25Gbps", "0.1%", "10.1.0.0/16".
//!
//! A leaf reads from one RON scalar. Decimals are read as integers of the smallest unit, so "0.1s" is exactly 100,000,000 ns.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use schemars::{Schema, json_schema};
use sim_core::crypto::certificate::distinguished_name;
use sim_core::node::tunnel::MssClamp;
use sim_core::reason::{DropReason, Reason, Rule, TimerKind};
use sim_core::rng::Chance;
use sim_core::time::Duration;

use crate::plan::{Detector, IkeIdentity};

pub use bgp::{Md5Key, Md5KeySource};
pub use certificate::{Calendar, KeySource, PemSource};
pub use policy::{AsPathPattern, CommunityPattern, CommunityValue, MedChange, NextHopChange, PrefixRange};
pub use psk::{Psk, PskSource};
pub use telemetry::Number;

/// Gives a fieldless enum its spellings.
macro_rules! words {
    ($($type:ty: $expected:literal { $($text:literal => $value:expr,)* })*) => {$(
        impl Leaf for $type {
            const EXPECTED: &'static str = $expected;

            fn words() -> Vec<&'static str> {
                vec![$($text),*]
            }

            fn read(scalar: &Scalar) -> Result<Self, Because> {
                match scalar.text()? {
                    $($text => Ok($value),)*
                    _ => Err(None),
                }
            }
        }
    )*};
}
pub use dns::ResolverDirection;
pub(crate) use sim_core::wire::dns::DnsName;
pub use vpc::{AclAction, PortRange};

mod bgp;
mod certificate;
mod dns;
mod policy;
mod psk;
mod telemetry;
mod vpc;
mod words;

/// A RON scalar.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Scalar {
    Text(String),
    Whole(u64),
    Truth(bool),
    /// A bare word: a text whose quotes were forgotten.
    Word,
}

/// Why a text is no value: more than "expected so and so", or nothing more to say.
pub(crate) type Because = Option<String>;

impl Scalar {
    /// Reads raw RON.
    pub(crate) fn read(raw: &str) -> Result<Self, Because> {
        if let Ok(text) = ron::from_str(raw) {
            Ok(Self::Text(text))
        } else if let Ok(number) = ron::from_str(raw) {
            Ok(Self::Whole(number))
        } else if let Ok(truth) = ron::from_str(raw) {
            Ok(Self::Truth(truth))
        } else if raw.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            Ok(Self::Word)
        } else {
            Err(None)
        }
    }

    fn text(&self) -> Result<&str, Because> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Whole(_) | Self::Truth(_) | Self::Word => Err(Some("it must be in quotes".into())),
        }
    }
}

/// What can be read from one scalar.
pub(crate) trait Leaf: Sized {
    /// What should stand there, in words: `a duration like "30s"`.
    const EXPECTED: &'static str;

    /// True if what stands there must not be shown.
    const SECRET: bool = false;

    /// The only texts allowed, if they are few; the nearest is proposed.
    fn words() -> Vec<&'static str> {
        Vec::new()
    }

    /// Its shape in JSON Schema.
    fn schema() -> Schema {
        let words = Self::words();
        if words.is_empty() {
            json_schema!({ "type": "string", "description": Self::EXPECTED })
        } else {
            json_schema!({ "enum": words })
        }
    }

    /// Reads it.
    fn read(scalar: &Scalar) -> Result<Self, Because>;
}

/// A free text.
pub(crate) type Text = String;

impl Leaf for Text {
    const EXPECTED: &'static str = "a text in quotes";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        scalar.text().map(str::to_owned)
    }
}

/// A name, or names joined by dots: "vpn.a".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Name(pub(crate) String);

impl Leaf for Name {
    const EXPECTED: &'static str = "a name in quotes";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        scalar.text().map(|text| Self(text.to_owned()))
    }
}

/// Yes or no.
pub(crate) type Flag = bool;

impl Leaf for Flag {
    const EXPECTED: &'static str = "true or false";

    fn schema() -> Schema {
        json_schema!({ "type": "boolean" })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar {
            Scalar::Truth(truth) => Ok(*truth),
            Scalar::Text(_) | Scalar::Whole(_) | Scalar::Word => Err(None),
        }
    }
}

/// A whole number.
pub(crate) type Count = u64;

impl Leaf for Count {
    const EXPECTED: &'static str = "a whole number";

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 0 })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar {
            Scalar::Whole(n) => Ok(*n),
            Scalar::Text(_) | Scalar::Truth(_) | Scalar::Word => Err(None),
        }
    }
}

/// An autonomous system number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asn(pub(crate) u32);

impl Leaf for Asn {
    const EXPECTED: &'static str = "an autonomous system number from 1 to 4294967294";

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 4_294_967_294u32 })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar {
            Scalar::Whole(n) => match u32::try_from(*n) {
                Ok(n @ 1..=4_294_967_294) => Ok(Self(n)),
                Ok(_) | Err(_) => Err(None),
            },
            Scalar::Text(_) | Scalar::Truth(_) | Scalar::Word => Err(None),
        }
    }
}

/// A length of time.
pub(crate) type Span = Duration;

/// A duration as scenarios write it, like "30s".
///
/// # Errors
/// What was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let nanos = quantity(text.trim(), TIME).map_err(|_| format!("expected {}", Span::EXPECTED))?;
    Ok(Duration::from_nanos(nanos))
}

/// Units of time, in nanoseconds.
pub(crate) const TIME: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl Leaf for Span {
    const EXPECTED: &'static str = "a duration like \"30s\", \"20ms\", \"1.5min\" or \"8h\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        quantity(scalar.text()?, TIME).map(Self::from_nanos)
    }
}

/// Bits per second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate(pub(crate) u64);

/// Units of rates, in bits per second.
pub(crate) const RATE: &[(&str, u64)] = &[("bps", 1), ("kbps", 1_000), ("Mbps", 1_000_000), ("Gbps", 1_000_000_000)];

impl Leaf for Rate {
    const EXPECTED: &'static str = "a rate like \"100Mbps\" or \"1.25Gbps\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match quantity(scalar.text()?, RATE)? {
            0 => Err(Some("it must be more than zero".into())),
            bits => Ok(Self(bits)),
        }
    }
}

/// Octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size(pub(crate) u64);

/// Units of sizes, in octets.
pub(crate) const SIZE: &[(&str, u64)] =
    &[("B", 1), ("kB", 1_000), ("KiB", 1 << 10), ("MB", 1_000_000), ("MiB", 1 << 20)];

impl Leaf for Size {
    const EXPECTED: &'static str = "a size like \"100B\", \"64KiB\" or \"1MB\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar {
            Scalar::Whole(octets) => Ok(Self(*octets)),
            Scalar::Text(text) => quantity(text, SIZE).map(Self),
            Scalar::Truth(_) | Scalar::Word => Err(None),
        }
    }
}

/// A share, in units of 1e-9.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Percent(pub(crate) u64);

/// The unit of shares, in 1e-9.
pub(crate) const SHARE: &[(&str, u64)] = &[("%", 10_000_000)];

impl Percent {
    pub(crate) fn chance(self) -> Chance {
        Chance::from_probability(self.0 as f64 / 1e9)
    }
}

impl Leaf for Percent {
    const EXPECTED: &'static str = "a share from \"0%\" to \"100%\", like \"0.1%\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match quantity(scalar.text()?, SHARE)? {
            share @ 0..=1_000_000_000 => Ok(Self(share)),
            _ => Err(Some("it is more than the whole".into())),
        }
    }
}

/// An IPv4 address.
pub(crate) type Address = Ipv4Addr;

impl Leaf for Address {
    const EXPECTED: &'static str = "an IPv4 address like \"203.0.113.10\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        text.parse().map_err(|_| text.contains('/').then(|| "here it is without a prefix length".into()))
    }
}

/// What AWS has registered of a customer gateway's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Registered {
    /// This one.
    Address(Ipv4Addr),
    /// None: a certificate says who it is.
    Nothing,
}

impl Leaf for Registered {
    const EXPECTED: &'static str = "an IPv4 address like \"203.0.113.10\", or \"none\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        if scalar.text()? == "none" { Ok(Self::Nothing) } else { Address::read(scalar).map(Self::Address) }
    }
}

/// An IPv4 address with the length of its prefix.
pub(crate) type Prefix = Ipv4Net;

impl Leaf for Prefix {
    const EXPECTED: &'static str = "an IPv4 address and prefix length like \"10.1.0.0/16\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        text.parse().map_err(|_| {
            text.parse::<Ipv4Addr>()
                .is_ok()
                .then(|| format!("the prefix length is missing: \"{text}/32\" is this address alone"))
        })
    }
}

/// An IPv6 address.
pub(crate) type Ipv6Address = Ipv6Addr;

impl Leaf for Ipv6Address {
    const EXPECTED: &'static str = "an IPv6 address like \"2001:db8::10\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        text.parse().map_err(|_| text.contains('/').then(|| "here it is without a prefix length".into()))
    }
}

/// An address of either version.
pub(crate) type AnyAddress = IpAddr;

impl Leaf for AnyAddress {
    const EXPECTED: &'static str = "an address like \"203.0.113.10\" or \"2001:db8::10\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        text.parse().map_err(|_| text.contains('/').then(|| "here it is without a prefix length".into()))
    }
}

/// An IPv6 address with the length of its prefix.
pub(crate) type Ipv6Prefix = Ipv6Net;

impl Leaf for Ipv6Prefix {
    const EXPECTED: &'static str = "an IPv6 address and prefix length like \"2001:db8::/64\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        text.parse().map_err(|_| {
            text.parse::<Ipv6Addr>()
                .is_ok()
                .then(|| format!("the prefix length is missing: \"{text}/128\" is this address alone"))
        })
    }
}

/// An address of either version with the length of its prefix.
pub(crate) type AnyPrefix = IpNet;

impl Leaf for AnyPrefix {
    const EXPECTED: &'static str = "an address and prefix length like \"10.1.0.0/16\" or \"2001:db8::/64\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        if scalar.text()?.contains(':') {
            Ipv6Prefix::read(scalar).map(IpNet::V6)
        } else {
            Prefix::read(scalar).map(IpNet::V4)
        }
    }
}

impl Leaf for IkeIdentity {
    const EXPECTED: &'static str = "an identity: an address like \"203.0.113.10\", a domain name like \"cgw.example\" or a subject like \"CN=cgw\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if text.contains('=') {
            return distinguished_name(text).map(Self::DistinguishedName).map_err(|why| Some(why.to_string()));
        }
        // RFC 1123 section 2.1: labels of letters, digits and inner hyphens; the last one is no number.
        let label = |label: &str| {
            let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
            (1..=63).contains(&label.len())
                && label.chars().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let last = text.rsplit('.').next().unwrap_or_default();
        let named = !last.chars().all(|c| c.is_ascii_digit());
        if text.len() <= 253 && named && text.split('.').all(label) {
            Ok(Self::Name(text.to_owned()))
        } else {
            Err(None)
        }
    }
}

/// A moment: fixed, or drawn from a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct When {
    pub(crate) earliest: Duration,
    pub(crate) latest: Duration,
}

impl Leaf for When {
    const EXPECTED: &'static str = "a moment like \"300s\", or a range to draw it from like \"300s..310s\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        let moment = |text: &str| quantity(text.trim(), TIME).map(Duration::from_nanos);
        match text.split_once("..") {
            None => moment(text).map(|at| Self { earliest: at, latest: at }),
            Some((earliest, latest)) => {
                let when = Self { earliest: moment(earliest)?, latest: moment(latest)? };
                if when.earliest <= when.latest {
                    Ok(when)
                } else {
                    Err(Some("the range ends before it begins".into()))
                }
            }
        }
    }
}

/// A decimal number and a unit, as a whole number of the smallest unit.
pub(crate) fn quantity(text: &str, units: &[(&str, u64)]) -> Result<u64, Because> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || number.ends_with('.') {
        return Err(None);
    }
    let Some(&(_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        return Err(Some(match unit {
            "" => format!("the unit is missing: {}", names.join(", ")),
            other => format!("`{other}` is none of the units {}", names.join(", ")),
        }));
    };
    decimal(whole, fraction, scale)
}

/// `whole.fraction * scale`, exactly.
fn decimal(whole: &str, fraction: &str, scale: u64) -> Result<u64, Because> {
    let too_large = || Some("it is too large".to_owned());
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let whole = whole.checked_mul(scale).ok_or_else(too_large)?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return Ok(whole);
    }
    let too_fine = || Some("it is finer than can be told apart".to_owned());
    let digits: u128 = fraction.parse().map_err(|_| too_fine())?;
    let power = u32::try_from(fraction.len()).ok().and_then(|n| 10u128.checked_pow(n));
    let power = power.ok_or_else(too_fine)?;
    let part = digits.checked_mul(u128::from(scale)).ok_or_else(too_fine)?;
    if part % power != 0 {
        return Err(too_fine());
    }
    whole.checked_add((part / power) as u64).ok_or_else(too_large)
}

/// What becomes of the MSS that TCP tells through a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MssClamping(pub(crate) Option<MssClamp>);

impl Leaf for MssClamping {
    const EXPECTED: &'static str = "\"off\", \"auto\" or a maximum segment size in octets";

    fn schema() -> Schema {
        json_schema!({ "anyOf": [{ "enum": ["off", "auto"] }, { "type": "integer", "minimum": 48, "maximum": 65_495 }] })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar {
            // Less than 48 leaves nothing for data after the options of both headers.
            Scalar::Whole(octets @ 48..=65_495) => Ok(Self(Some(MssClamp::To(*octets as u16)))),
            Scalar::Whole(_) => Err(Some("an MSS is 48 to 65495 octets".into())),
            Scalar::Text(text) if text == "off" => Ok(Self(None)),
            Scalar::Text(text) if text == "auto" => Ok(Self(Some(MssClamp::Auto))),
            Scalar::Text(_) | Scalar::Truth(_) | Scalar::Word => Err(None),
        }
    }
}

/// An IP protocol by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpProtocol(pub(crate) u8);

/// The protocols that have a name here, with their numbers as IANA assigned them.
const PROTOCOLS: [(&str, u8); 6] = [("icmp", 1), ("tcp", 6), ("udp", 17), ("gre", 47), ("esp", 50), ("ah", 51)];

impl Leaf for IpProtocol {
    const EXPECTED: &'static str = "an IP protocol, by name or number";

    fn words() -> Vec<&'static str> {
        PROTOCOLS.iter().map(|(name, _)| *name).collect()
    }

    fn schema() -> Schema {
        json_schema!({ "anyOf": [{ "enum": Self::words() }, { "type": "integer", "minimum": 0, "maximum": 255 }] })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        if let Scalar::Whole(number) = scalar {
            return u8::try_from(*number).map(Self).map_err(|_| None);
        }
        let text = scalar.text()?;
        PROTOCOLS.iter().find(|(name, _)| *name == text).map(|(_, number)| Self(*number)).ok_or(None)
    }
}

impl Leaf for DropReason {
    const EXPECTED: &'static str = "the code of a drop reason";

    fn words() -> Vec<&'static str> {
        Self::ALL.iter().map(|reason| reason.code()).collect()
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let code = scalar.text()?;
        Self::ALL.iter().find(|reason| reason.code() == code).copied().ok_or(None)
    }
}

impl Leaf for Rule {
    const EXPECTED: &'static str = "the code of a step of a route evaluation";

    fn words() -> Vec<&'static str> {
        Self::ALL.iter().map(|rule| rule.code()).collect()
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let code = scalar.text()?;
        Self::ALL.iter().find(|rule| rule.code() == code).copied().ok_or(None)
    }
}

impl Leaf for Detector {
    const EXPECTED: &'static str = "the code of a timer or reason";

    fn words() -> Vec<&'static str> {
        let timers = TimerKind::ALL.iter().map(|timer| timer.code());
        let reasons = Reason::ALL.iter().map(|reason| reason.code());
        timers.chain(reasons).collect()
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let code = scalar.text()?;
        let timer = TimerKind::ALL.iter().find(|timer| timer.code() == code);
        let reason = || Reason::ALL.iter().find(|reason| reason.code() == code);
        timer.map(|timer| Self::Timer(*timer)).or_else(|| reason().map(|reason| Self::Reason(*reason))).ok_or(None)
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes128 => "AES128",
            Self::Aes128Gcm16 => "AES128-GCM-16",
            Self::Aes256 => "AES256",
            Self::Aes256Gcm16 => "AES256-GCM-16",
            Self::Null => "NULL",
        })
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "SHA1",
            Self::Sha2_256 => "SHA2-256",
            Self::Sha2_384 => "SHA2-384",
            Self::Sha2_512 => "SHA2-512",
        })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:07}", self.0 / 10_000_000, self.0 % 10_000_000);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// An encryption algorithm, by AWS's name; AES128 and AES256 are in CBC mode.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Encryption {
    /// AES128
    Aes128,
    /// AES128-GCM-16
    Aes128Gcm16,
    /// AES256
    Aes256,
    /// AES256-GCM-16
    Aes256Gcm16,
    /// NULL: packets in clear, for phase 2 only. Not an algorithm of AWS's, so it comes last.
    Null,
}

/// An integrity algorithm, by AWS's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Integrity {
    /// SHA1
    Sha1,
    /// SHA2-256
    Sha2_256,
    /// SHA2-384
    Sha2_384,
    /// SHA2-512
    Sha2_512,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text<T: Leaf>(text: &str) -> Result<T, Because> {
        T::read(&Scalar::Text(text.into()))
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(text::<Span>("0.1s"), Ok(Duration::from_millis(100)));
        assert_eq!(text::<Span>("1.5min"), Ok(Duration::from_secs(90)));
        assert_eq!(text::<Span>("8h"), Ok(Duration::from_secs(28_800)));
        assert_eq!(text::<Span>("0.000000001s"), Ok(Duration::from_nanos(1)));
        assert_eq!(text::<Rate>("1.25Gbps"), Ok(Rate(1_250_000_000)));
        assert_eq!(text::<Size>("64KiB"), Ok(Size(65_536)));
        assert_eq!(text::<Percent>("0.1%"), Ok(Percent(1_000_000)));
        assert_eq!(text::<Percent>("100%").map(Percent::chance), Ok(Chance::ALWAYS));
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        for wrong in ["0.5ns", "30", "s", "1.2.3s", "1.s", "-1s", "30 s s", "99999999999999h", ""] {
            assert!(text::<Span>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_moment_is_fixed_or_a_range() {
        let when = |a, b| When { earliest: Duration::from_secs(a), latest: Duration::from_secs(b) };
        assert_eq!(text::<When>("300s"), Ok(when(300, 300)));
        assert_eq!(text::<When>("300s..310s"), Ok(when(300, 310)));
        assert!(text::<When>("310s..300s").is_err());
    }

    #[test]
    fn keys_follow_aws_and_are_never_printed() {
        let key = "Correct.horse_9";
        let psk = Psk::new(key).expect("AWS takes it");
        assert_eq!(psk.expose(), key.as_bytes());
        assert!(!format!("{psk:?}").contains(key));
        for wrong in ["1234567", "0startszero", "has a space", "has-a-dash", &"x".repeat(65)] {
            let why = Psk::new(wrong).expect_err("AWS refuses it");
            assert!(!why.contains(wrong));
        }
        assert_eq!(text::<PskSource>("file:a/b"), Ok(PskSource::File("a/b".into())));
        assert_eq!(text::<PskSource>("env:KEY"), Ok(PskSource::Environment("KEY".into())));
    }

    #[test]
    fn an_address_beyond_its_range_is_explained() {
        assert!(text::<Address>("10.0.0.256").is_err());
        assert_eq!(text::<Address>("10.0.0.1/24"), Err(Some("here it is without a prefix length".into())));
        assert!(text::<Prefix>("10.0.0.0/33").is_err());
    }

    proptest! {
        #[test]
        fn a_duration_reads_as_it_prints(nanos: u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(text::<Span>(&duration.to_string()), Ok(duration));
        }

        #[test]
        fn no_text_makes_a_leaf_panic(raw in ".{0,20}", number in "[0-9.]{0,40}(ns|s|h|%|Gbps|KiB|B)?(\\.\\.[0-9]{0,3}s)?") {
            for any in [raw.as_str(), &number] {
                let _ = Scalar::read(any);
                let _ = text::<Span>(any);
                let _ = text::<When>(any);
                let _ = text::<Rate>(any);
                let _ = text::<Size>(any);
                let _ = text::<Percent>(any);
                let _ = text::<Address>(any);
                let _ = text::<Prefix>(any);
                let _ = text::<PskSource>(any);
                let _ = text::<KeySource>(any);
                let _ = text::<PemSource>(any);
                let _ = text::<Calendar>(any);
                let _ = text::<IkeIdentity>(any);
                let _ = text::<Detector>(any);
            }
        }
    }
}
