//! Import and export policy as data: an ordered list of rules. A rule whose prefixes and conditions all match changes
//! the route, and then accepts it, rejects it, or leaves it to the rules after it, which see it changed.
//!
//! Regular expressions over AS_PATH are those of the `regex-lite` crate, whose matching takes linear time whatever the pattern.

use core::fmt;

use ipnet::Ipv4Net;
use regex_lite::Regex;
use smallvec::SmallVec;

use super::as_path::AsPath;
use super::attributes::{Attributes, Origin};
use super::communities::{AnyCommunity, CommunityMatch};
use super::family::Family;

/// An ordered list of rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy<F: Family = Ipv4Net> {
    /// The rules.
    pub rules: Vec<Rule<F>>,
    /// What happens to a route that no rule accepted or rejected.
    pub otherwise: Verdict,
}

/// What to do with some routes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule<F: Family = Ipv4Net> {
    /// A prefix list: matches if any of these does; no entry matches every prefix.
    pub prefixes: Vec<PrefixMatch<F>>,
    /// All of them must hold.
    pub conditions: Vec<Condition<F>>,
    /// Changes, in order.
    pub changes: Vec<Change<F>>,
    /// Whether it is accepted; `None`: the next rules go on with it.
    pub verdict: Option<Verdict>,
}

/// Accepts every route unchanged.
impl<F: Family> Default for Rule<F> {
    fn default() -> Self {
        Self { prefixes: Vec::new(), conditions: Vec::new(), changes: Vec::new(), verdict: Some(Verdict::Accept) }
    }
}

/// A set of prefixes: those inside `within` whose length is in `at_least..=at_most`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixMatch<F: Family = Ipv4Net> {
    /// The covering prefix.
    pub within: F,
    /// Shortest length ("ge").
    pub at_least: u8,
    /// Longest length ("le").
    pub at_most: u8,
}

/// Something that a route's attributes have or have not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition<F: Family = Ipv4Net> {
    /// This AS is anywhere in AS_PATH.
    AsPathContains(u32),
    /// This AS originated the route: it is the last of AS_PATH.
    OriginatedBy(u32),
    /// The route was received from this AS: it is the first of AS_PATH.
    Neighbour(u32),
    /// Length of AS_PATH as the decision process counts it, at least and at most.
    AsPathLength(usize, usize),
    /// AS_PATH in writing matches.
    AsPath(AsPathRegex),
    /// One of its communities is in the set.
    Community(CommunityMatch),
    /// NEXT_HOP is in this network.
    NextHop(F),
    /// MULTI_EXIT_DISC is this; `None`: there is none.
    Med(Option<u32>),
    /// One of these holds.
    Any(Vec<Condition<F>>),
    /// This does not hold.
    Not(Box<Condition<F>>),
}

/// A change of a route's attributes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change<F: Family = Ipv4Net> {
    /// Sets LOCAL_PREF.
    LocalPref(u32),
    /// Sets MULTI_EXIT_DISC.
    Med(u32),
    /// Adds to MULTI_EXIT_DISC, zero if there is none, within what it can hold.
    AddMed(i32),
    /// Takes MULTI_EXIT_DISC away.
    RemoveMed,
    /// Sets ORIGIN.
    Origin(Origin),
    /// Puts our own AS in front this many times, besides the once of an export to an external peer.
    Prepend(u8),
    /// Adds a community.
    AddCommunity(AnyCommunity),
    /// Takes away the communities of a set.
    RemoveCommunities(CommunityMatch),
    /// These communities in place of all others; extended ones stay.
    SetCommunities(Vec<AnyCommunity>),
    /// Sets NEXT_HOP to our own address on the session.
    NextHopSelf,
    /// Sets NEXT_HOP.
    NextHop(F::NextHop),
}

/// Whether a route passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It passes.
    Accept,
    /// It does not.
    Reject,
}

/// A regular expression over AS_PATH as it is written: ASes in decimal with one space between them, a set as
/// `{65001,65002}`. As in every router, `_` stands for either end and for whatever is between two ASes.
#[derive(Clone, Debug)]
pub struct AsPathRegex {
    text: String,
    regex: Regex,
}

impl AsPathRegex {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, in the words of the `regex-lite` crate.
    pub fn new(text: &str) -> Result<Self, String> {
        let regex = Regex::new(&text.replace('_', "(?:^|[ {},]|$)")).map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// True if it matches anywhere in the path.
    pub fn matches(&self, path: &AsPath) -> bool {
        self.regex.is_match(&path.to_string())
    }
}

impl PartialEq for AsPathRegex {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for AsPathRegex {}

impl fmt::Display for AsPathRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<F: Family> PrefixMatch<F> {
    /// This prefix alone.
    pub fn exact(prefix: F) -> Self {
        Self { within: prefix, at_least: prefix.prefix_len(), at_most: prefix.prefix_len() }
    }

    /// True if `prefix` is in the set.
    pub fn matches(&self, prefix: F) -> bool {
        self.within.contains(&prefix) && (self.at_least..=self.at_most).contains(&prefix.prefix_len())
    }
}

impl<F: Family> Condition<F> {
    /// True if it holds of these attributes.
    pub fn holds(&self, route: &Attributes<F>) -> bool {
        match self {
            Self::AsPathContains(asn) => route.as_path.contains(*asn),
            Self::OriginatedBy(asn) => route.as_path.last() == Some(*asn),
            Self::Neighbour(asn) => route.as_path.first() == Some(*asn),
            Self::AsPathLength(least, most) => (*least..=*most).contains(&route.as_path.length()),
            Self::AsPath(regex) => regex.matches(&route.as_path),
            Self::Community(set) => route.communities.any(set),
            Self::NextHop(network) => network.holds(&route.next_hop),
            Self::Med(med) => route.med == *med,
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(route)),
            Self::Not(condition) => !condition.holds(route),
        }
    }
}

/// Whose policy it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<F: Family> {
    pub asn: u32,
    /// Our address on the session.
    pub next_hop: F::NextHop,
}

impl<F: Family> Change<F> {
    fn apply(&self, owner: Owner<F>, route: &mut Attributes<F>) {
        match self {
            Self::LocalPref(preference) => route.local_pref = Some(*preference),
            Self::Med(med) => route.med = Some(*med),
            Self::AddMed(more) => route.med = Some(route.med.unwrap_or(0).saturating_add_signed(*more)),
            Self::RemoveMed => route.med = None,
            Self::Origin(origin) => route.origin = *origin,
            Self::Prepend(times) => route.as_path.prepend(owner.asn, usize::from(*times)),
            Self::AddCommunity(community) => route.communities.insert(*community),
            Self::RemoveCommunities(set) => route.communities.remove(set),
            Self::SetCommunities(all) => {
                route.communities.clear();
                all.iter().for_each(|community| route.communities.insert(*community));
            }
            Self::NextHopSelf => route.next_hop = owner.next_hop,
            Self::NextHop(address) => route.next_hop = *address,
        }
    }
}

/// The places of the rules whose prefixes match, which is all that a policy's outcome depends on besides the attributes.
pub(super) type Selection = SmallVec<[u16; 8]>;

impl<F: Family> Policy<F> {
    /// Lets every route pass unchanged.
    pub fn accept_all() -> Self {
        Self { rules: Vec::new(), otherwise: Verdict::Accept }
    }

    /// Lets every route pass with these changes.
    pub fn change_all(changes: Vec<Change<F>>) -> Self {
        Self { rules: vec![Rule { changes, ..Rule::default() }], otherwise: Verdict::Accept }
    }

    /// The rules that may apply to `prefix`, up to the first that decides in any case.
    pub(super) fn select(&self, prefix: F) -> Selection {
        let mut selection = Selection::new();
        for (place, rule) in (0..).zip(&self.rules) {
            if rule.prefixes.is_empty() || rule.prefixes.iter().any(|set| set.matches(prefix)) {
                selection.push(place);
                if rule.conditions.is_empty() && rule.verdict.is_some() {
                    break;
                }
            }
        }
        selection
    }

    /// Applies the rules that [`Policy::select`] found. False if the route is rejected.
    pub(super) fn apply(&self, selection: &Selection, owner: Owner<F>, route: &mut Attributes<F>) -> bool {
        for rule in selection.iter().map(|place| &self.rules[usize::from(*place)]) {
            if rule.conditions.iter().all(|condition| condition.holds(route)) {
                rule.changes.iter().for_each(|change| change.apply(owner, route));
                if let Some(verdict) = rule.verdict {
                    return verdict == Verdict::Accept;
                }
            }
        }
        self.otherwise == Verdict::Accept
    }

    /// True if any route comes out as it went in.
    pub(super) fn is_neutral(&self, selection: &Selection) -> bool {
        let accepts = |rule: &Rule<F>| rule.changes.is_empty() && rule.verdict != Some(Verdict::Reject);
        let decided = |rule: &Rule<F>| rule.conditions.is_empty() && rule.verdict.is_some();
        let mut rules = selection.iter().map(|place| &self.rules[usize::from(*place)]);
        let last = rules.clone().next_back();
        rules.all(accepts) && (last.is_some_and(decided) || self.otherwise == Verdict::Accept)
    }
}
