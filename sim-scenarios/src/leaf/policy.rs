//! The leaves of BGP policies: prefix ranges, communities, expressions over AS_PATH, changes.

use core::net::Ipv4Addr;

use schemars::{Schema, json_schema};
use sim_core::proto::bgp::communities::{AnyCommunity, Community, CommunityMatch, LargeCommunity};
use sim_core::proto::bgp::policy::{AsPathRegex, PrefixMatch};

use super::{Because, Leaf, Prefix, Scalar};
use crate::diagnostic::proposal;

/// An entry of a prefix list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixRange(pub(crate) PrefixMatch);

impl Leaf for PrefixRange {
    const EXPECTED: &'static str = "a prefix like \"10.1.0.0/16\", or a range like \"10.0.0.0/8 ge 16 le 24\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let mut words = scalar.text()?.split_whitespace();
        let prefix = Scalar::Text(words.next().unwrap_or_default().to_owned());
        let within = Prefix::read(&prefix)?;
        if within.addr() != within.network() {
            return Err(Some(format!("{within} has bits beyond its prefix length: it would be {}", within.trunc())));
        }
        let length = within.prefix_len();
        let (mut at_least, mut at_most) = (None, None);
        while let Some(word) = words.next() {
            let bound = match word {
                "ge" if at_least.is_none() => &mut at_least,
                "le" if at_most.is_none() => &mut at_most,
                _ => return Err(None),
            };
            *bound = Some(words.next().and_then(|bits| bits.parse::<u8>().ok()).ok_or(None)?);
        }
        // With one bound alone the other is where the prefix begins or addresses end, as in every router.
        let range = (at_least.unwrap_or(length), at_most.unwrap_or(if at_least.is_some() { 32 } else { length }));
        if !(length <= range.0 && range.0 <= range.1 && range.1 <= 32) {
            return Err(Some(format!("no prefix in {within} is {} to {} bits long", range.0, range.1)));
        }
        Ok(Self(PrefixMatch { within, at_least: range.0, at_most: range.1 }))
    }
}

/// The parts of a community between colons, each read by `part`.
fn parts<T>(text: &str, part: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Because> {
    text.split(':').map(part).collect::<Option<_>>().ok_or(None)
}

const TOO_LARGE: &str = "the two numbers of a standard community go up to 65535; a large one has three";

fn narrow(number: u32) -> Result<u16, Because> {
    u16::try_from(number).map_err(|_| Some(TOO_LARGE.to_owned()))
}

/// A word that is no community is probably the name of one.
fn unknown(text: &str) -> Because {
    let names = Community::WELL_KNOWN.map(|(name, _)| name);
    let word = !text.contains(':');
    word.then(|| proposal(text, &names)).flatten()
}

fn well_known(text: &str) -> Option<Community> {
    Community::WELL_KNOWN.iter().find(|(name, _)| *name == text).map(|(_, community)| *community)
}

/// A community.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommunityValue(pub(crate) AnyCommunity);

impl Leaf for CommunityValue {
    const EXPECTED: &'static str = "a community like \"65010:7\", \"4200000000:1:2\" or \"no_export\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        if let Some(community) = well_known(text) {
            return Ok(Self(AnyCommunity::Standard(community)));
        }
        match parts(text, |part| part.parse::<u32>().ok()).map_err(|_| unknown(text))?[..] {
            [asn, value] => Ok(Self(AnyCommunity::Standard(Community::new(narrow(asn)?, narrow(value)?)))),
            [asn, first, second] => Ok(Self(AnyCommunity::Large(LargeCommunity { asn, first, second }))),
            _ => Err(None),
        }
    }
}

/// A community, or several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommunityPattern(pub(crate) CommunityMatch);

impl Leaf for CommunityPattern {
    const EXPECTED: &'static str =
        "a community like \"65010:7\", \"4200000000:1:2\" or \"no_export\", with `*` for any number";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        if let Some(community) = well_known(text) {
            return Ok(Self(CommunityMatch::exact(AnyCommunity::Standard(community))));
        }
        let part = |part: &str| if part == "*" { Some(None) } else { part.parse::<u32>().ok().map(Some) };
        let half = |number: Option<u32>| number.map(narrow).transpose();
        match parts(text, part).map_err(|_: Because| unknown(text))?[..] {
            [asn, value] => Ok(Self(CommunityMatch::Standard(half(asn)?, half(value)?))),
            [asn, first, second] => Ok(Self(CommunityMatch::Large(asn, first, second))),
            _ => Err(None),
        }
    }
}

/// A regular expression over AS_PATH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AsPathPattern(pub(crate) AsPathRegex);

impl Leaf for AsPathPattern {
    const EXPECTED: &'static str = "a regular expression over AS_PATH like \"^65010( 65010)*$\" or \"_64512_\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        // The library's message is several lines with a drawing; its last line says what is wrong.
        let last = |error: String| error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        AsPathRegex::new(scalar.text()?).map(Self).map_err(|error| Some(last(error)))
    }
}

/// What is done to MED.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MedChange {
    /// It becomes this.
    To(u32),
    /// It becomes so much more or less.
    By(i32),
    /// It is taken away.
    Remove,
}

impl Leaf for MedChange {
    const EXPECTED: &'static str = "a MED like 100, a change like \"+10\" or \"-10\", or \"none\"";

    fn schema() -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": u32::MAX },
            { "type": "string", "pattern": "^(none|[+-][0-9]+)$" },
        ] })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar {
            Scalar::Whole(med) => u32::try_from(*med).map(Self::To).map_err(|_| None),
            Scalar::Text(text) if text == "none" => Ok(Self::Remove),
            Scalar::Text(text) if text.starts_with(['+', '-']) => text.parse().map(Self::By).map_err(|_| None),
            Scalar::Text(_) | Scalar::Truth(_) | Scalar::Word => Err(None),
        }
    }
}

/// What NEXT_HOP becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextHopChange {
    /// The gateway's own address in the tunnel.
    Own,
    /// Another one.
    To(Ipv4Addr),
}

impl Leaf for NextHopChange {
    const EXPECTED: &'static str = "an IPv4 address like \"169.254.10.2\", or \"self\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        if scalar.text()? == "self" { Ok(Self::Own) } else { Ipv4Addr::read(scalar).map(Self::To) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text<T: Leaf>(text: &str) -> Result<T, Because> {
        T::read(&Scalar::Text(text.into()))
    }

    #[test]
    fn prefix_ranges_are_those_of_routers() {
        let range = |within: &str, at_least, at_most| {
            Ok(PrefixRange(PrefixMatch { within: within.parse().expect("a prefix"), at_least, at_most }))
        };
        assert_eq!(text("10.1.0.0/16"), range("10.1.0.0/16", 16, 16));
        assert_eq!(text("10.0.0.0/8 le 24"), range("10.0.0.0/8", 8, 24));
        assert_eq!(text("10.0.0.0/8 ge 16"), range("10.0.0.0/8", 16, 32));
        assert_eq!(text("10.0.0.0/8 ge 16 le 24"), range("10.0.0.0/8", 16, 24));
        for wrong in ["10.0.0.1/8", "10.0.0.0/8 ge 7", "10.0.0.0/8 ge 24 le 16", "10.0.0.0/8 le 33", "10.0.0.0/8 ge"] {
            assert!(text::<PrefixRange>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn communities_of_both_kinds() {
        let standard = |asn, value| Ok(CommunityValue(AnyCommunity::Standard(Community::new(asn, value))));
        assert_eq!(text("65010:7"), standard(65010, 7));
        assert_eq!(text("no_export"), Ok(CommunityValue(AnyCommunity::Standard(Community::NO_EXPORT))));
        let large = LargeCommunity { asn: 4_200_000_000, first: 1, second: 2 };
        assert_eq!(text("4200000000:1:2"), Ok(CommunityValue(AnyCommunity::Large(large))));
        assert_eq!(text("65010:*"), Ok(CommunityPattern(CommunityMatch::Standard(Some(65010), None))));
        assert_eq!(text("*:*:2"), Ok(CommunityPattern(CommunityMatch::Large(None, None, Some(2)))));
        assert_eq!(text::<CommunityValue>("70000:1"), Err(Some(TOO_LARGE.into())));
        assert!(text::<CommunityValue>("65010:*").is_err());
    }

    #[test]
    fn a_med_is_set_or_changed() {
        assert_eq!(MedChange::read(&Scalar::Whole(7)), Ok(MedChange::To(7)));
        assert_eq!(text("+7"), Ok(MedChange::By(7)));
        assert_eq!(text("-7"), Ok(MedChange::By(-7)));
        assert_eq!(text("none"), Ok(MedChange::Remove));
        assert!(text::<MedChange>("7").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_leaf_panic(any in ".{0,20}", near in "[0-9./:*+ gel^$()\\[_-]{0,20}") {
            for any in [any.as_str(), &near] {
                let _ = text::<PrefixRange>(any);
                let _ = text::<CommunityValue>(any);
                let _ = text::<CommunityPattern>(any);
                let _ = text::<AsPathPattern>(any);
                let _ = text::<MedChange>(any);
                let _ = text::<NextHopChange>(any);
            }
        }
    }
}
