//! BGP policy of a customer gateway, and how it decides among routes.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{
    AsPathPattern, Asn, CommunityPattern, CommunityValue, Count, Flag, MedChange, NextHopChange, Prefix, PrefixRange,
};
use crate::place::{At, List};
use crate::plan::{Otherwise, Then};

/// An ordered list of rules for routes, as a router's route map. The rules are tried in order.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The rules.
    #[serde(default)]
    pub rules: Vec<PolicyRule>,
    /// What happens to a route that no rule accepted or rejected: "reject" (if not given, as routers do) or "accept".
    pub otherwise: Option<At<Otherwise>>,
}

/// What becomes of some routes: of those for which everything holds that is given here.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyRule {
    /// The prefix is in this list: "10.1.0.0/16" is that prefix alone, "10.0.0.0/8 ge 16 le 24" all those in it that are so
    /// long.
    pub prefixes: Option<List<PrefixRange>>,
    /// AS_PATH has this autonomous system in it.
    pub as_path_contains: Option<At<Asn>>,
    /// The route was originated by this autonomous system: it is the last of AS_PATH.
    pub originated_by: Option<At<Asn>>,
    /// The route came from this autonomous system: it is the first of AS_PATH.
    pub neighbour: Option<At<Asn>>,
    /// AS_PATH is at least so long; a set counts as one.
    pub as_path_at_least: Option<At<Count>>,
    /// AS_PATH is at most so long.
    pub as_path_at_most: Option<At<Count>>,
    /// A regular expression that AS_PATH, written like "64512 65010", matches somewhere; `_` stands for either end and for what is
    /// between two autonomous systems.
    pub as_path: Option<At<AsPathPattern>>,
    /// The route has one of these communities: "65010:7", "65010:*", "no_export", "4200000000:1:2" ...
    pub communities: Option<List<CommunityPattern>>,
    /// NEXT_HOP is in this network.
    pub next_hop: Option<At<Prefix>>,
    /// MED is this.
    pub med: Option<At<Count>>,
    /// What is changed.
    pub set: PolicySet,
    /// What follows: "accept" (if not given), "reject", or "continue" with the next rule, which sees what was changed.
    pub then: Option<At<Then>>,
}

/// Changes of a route's attributes. Settings that are not given change nothing.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySet {
    /// LOCAL_PREF, which no external peer hears or says.
    pub local_preference: Option<At<Count>>,
    /// MED: a number, "+10" or "-10" to change the one there is, or "none".
    pub med: Option<At<MedChange>>,
    /// How often the gateway's own autonomous system is put in front, besides the once that BGP itself does.
    pub prepend: Option<At<Count>>,
    /// Takes these communities away.
    pub remove_communities: Option<List<CommunityPattern>>,
    /// Adds these communities: "65010:7", "4200000000:1:2", "no_export", "no_advertise", "no_export_subconfed" or
    /// "graceful_shutdown".
    pub add_communities: Option<List<CommunityValue>>,
    /// NEXT_HOP: an address, or "self".
    pub next_hop: Option<At<NextHopChange>>,
}

/// How a gateway decides where RFC 4271 section 9.1.2.2 leaves a choice.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Decision {
    /// The MED of a route without one; 0, the best, if not given. 4294967295 is the worst.
    pub missing_med: Option<At<Count>>,
    /// Whether MEDs of different neighbouring autonomous systems are compared, too; false if not given.
    pub always_compare_med: Option<At<Flag>>,
    /// Whether routes are judged as a group; true if not given, as the RFC has it. Otherwise one by one, the newest first, so
    /// that the best route depends on the order of arrival (RFC 3345).
    pub deterministic_med: Option<At<Flag>>,
    /// Whether a route that is best stays best although another has the lower router id; false if not given (RFC 5004).
    pub keep_existing: Option<At<Flag>>,
}
