//! The language of availability, version 1: a RON value whose first word is `Availability`.
//!
//! ```text
//! Availability(
//!     version: 1,
//!     name: "one_or_two_tunnels",
//!     question: "What does the second tunnel save in a year?",
//!     rates: {
//!         "path": (mtbf: "2000h", mttr: "2h", source: "our provider's tickets of 2025"),
//!         "cgw": (mtbf: "30000h", mttr: "4h", repair: Fixed, source: "the vendor's contract"),
//!     },
//!     designs: {
//!         "one": (scenario: "one.ron", probe: "app", items: { "vpn_connection": 1 }),
//!         "two": (scenario: "two.ron", probe: "app", items: { "vpn_connection": 1 }),
//!     },
//! )
//! ```

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Count, Flag, Name, Number, Span, Text};
use crate::place::{At, Named};

/// The word with which such a file begins.
pub const WORD: &str = "Availability";

/// A question of availability.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Availability {
    /// Version of the language: 1.
    pub version: At<Count>,
    /// Its name.
    pub name: At<Text>,
    /// The question it answers.
    pub question: At<Text>,
    /// How often things fail: by a component's name, or for all of a kind: "link", "path", "node", "endpoint",
    /// "availability_zone" or "group". A name is stronger. What has no rate never fails.
    pub rates: Named<Rate>,
    /// The designs that are compared.
    pub designs: Named<Design>,
    /// Whether each two components fail at once, too; true if not given.
    pub pairs: Option<At<Flag>>,
    /// Runs in which each component fails once, at other moments and with other seeds; 10 if not given.
    pub runs: Option<At<Count>>,
    /// Years that are drawn; 10,000 if not given.
    pub years: Option<At<Count>>,
    /// The seed of all draws; 1 if not given. The seeds of runs are those of the scenarios and the next ones.
    pub seed: Option<At<Count>>,
}

/// How often something fails.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Mean time for which it works between two failures.
    pub mtbf: At<Span>,
    /// Mean time to repair.
    pub mttr: At<Span>,
    /// The law of the time to repair; exponential if not given.
    pub repair: Option<Repair>,
    /// How many failures `mtbf` was estimated from; it is taken as exact if not given.
    pub failures: Option<At<Count>>,
    /// Where these numbers are from.
    pub source: At<Text>,
}

/// A law of the time to repair, with the mean `mttr`.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub enum Repair {
    /// Always the mean.
    Fixed,
    /// Exponential.
    Exponential,
    /// Lognormal: most repairs are short, and some very long.
    LogNormal {
        /// Standard deviation of the logarithm.
        sigma: At<Number>,
    },
}

/// A design.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Design {
    /// The file of its scenario, counted from this file's place. Its own faults are left out.
    pub scenario: At<Text>,
    /// Changes made to it, as for `--set`.
    #[serde(default)]
    pub set: Vec<At<Text>>,
    /// The probe that must not be dark.
    pub probe: At<Name>,
    /// What is paid for, by the names of a price file, and how many of it.
    #[serde(default)]
    pub items: Named<At<Number>>,
}
