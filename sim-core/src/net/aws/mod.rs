//! How AWS's routers choose among routes: one pure ordering for each of them, a function of the routes alone.
//!
//! - [`vpc`]: a VPC route table;
//! - [`vgw`]: a virtual private gateway, which never balances;
//! - [`tgw`]: a transit gateway route table, with the conditions of ECMP;
//! - [`dx`]: Direct Connect, from AWS to the premises;
//! - [`cloud_wan`]: a core network edge of Cloud WAN.
//!
//! They stand beside the forwarding table, which knows longest prefix, distance and metric: AWS's orders are no distances.
//! A VGW looks at health before the length of the prefix, a VPC lets `local` win over what is more specific, and MED is no
//! total order. None of them is BGP's decision process (RFC 4271 section 9.1): no ORIGIN, no router id, no peer address.
//!
//! Each order is a list of steps. A step keeps the best of what the step before left over, and each route that goes
//! names the step that it went at, so that an answer can be explained. Where AWS promises nothing, the last step is
//! [`Rule::AwsChoice`]: the lowest `preference`, a number that the caller draws from the seed.
//!
//! Sources are pages of AWS's documentation as read in November 2026; each order names its own. Left out: IPv6, which each
//! of them evaluates by itself and alike.

pub mod cloud_wan;
pub mod dx;
pub mod tgw;
pub mod vgw;
pub mod vpc;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::reason::Rule;

/// A BGP community (RFC 1997): the AS in the upper half, its value in the lower.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Community(pub u32);

impl Community {
    /// `asn:value`.
    pub const fn new(asn: u16, value: u16) -> Self {
        Self((asn as u32) << 16 | value as u32)
    }
}

impl core::fmt::Display for Community {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

/// The attributes of a BGP route that AWS compares.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BgpPath {
    /// The ASes of AS_PATH, nearest first; the members of a set in its order.
    pub as_path: Vec<u32>,
    /// Length of AS_PATH as BGP counts it: a set is one (RFC 4271 section 9.1.2.2 a).
    pub length: usize,
    /// The first AS of a leading sequence.
    pub neighbour: Option<u32>,
    /// MULTI_EXIT_DISC, if the peer sent one.
    pub med: Option<u32>,
    /// COMMUNITIES, as they came.
    pub communities: Vec<Community>,
    /// True if it was learned by iBGP.
    pub internal: bool,
}

impl BgpPath {
    /// A path of one sequence, learned by eBGP.
    pub fn sequence(as_path: &[u32], med: Option<u32>) -> Self {
        Self {
            as_path: as_path.to_vec(),
            length: as_path.len(),
            neighbour: as_path.first().copied(),
            med,
            ..Self::default()
        }
    }
}

/// How an evaluation went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evaluation {
    /// Places of what is used, among what was given; more than one only where traffic is balanced. Never empty.
    pub chosen: Vec<usize>,
    /// The step that decided.
    pub rule: Rule,
    /// Of each route that was given, the step at which it went; `None` for those that are used.
    pub gone_at: Vec<Option<Rule>>,
}

impl Evaluation {
    /// The place of the route that is used, or of the first of them.
    pub fn best(&self) -> usize {
        self.chosen[0]
    }
}

/// An evaluation under way: who is left, and where the others went.
struct Elimination {
    left: Vec<usize>,
    gone_at: Vec<Option<Rule>>,
    rule: Rule,
}

impl Elimination {
    fn of(routes: usize) -> Self {
        Self { left: (0..routes).collect(), gone_at: vec![None; routes], rule: Rule::OnlyRoute }
    }

    /// A step that keeps those for which `stays` holds, even if that is nobody.
    fn require(&mut self, rule: Rule, stays: impl Fn(usize) -> bool) {
        let before = self.left.len();
        let gone_at = &mut self.gone_at;
        self.left.retain(|&place| {
            let stays = stays(place);
            if !stays {
                gone_at[place] = Some(rule);
            }
            stays
        });
        if self.left.len() < before {
            self.rule = rule;
        }
    }

    /// A step that keeps those with the least key.
    fn keep_least<K: Ord>(&mut self, rule: Rule, key: impl Fn(usize) -> K) {
        if let Some(least) = self.left.iter().map(|&place| key(place)).min() {
            self.require(rule, |place| key(place) == least);
        }
    }

    /// A step that keeps the longest prefix of those that hold the destination.
    fn longest_prefix<N: Into<IpNet>>(&mut self, destination: impl Into<IpAddr>, prefix: impl Fn(usize) -> N) {
        let (destination, prefix) = (destination.into(), |place| prefix(place).into());
        self.left.retain(|&place| prefix(place).contains(&destination));
        self.keep_least(Rule::LongestPrefix, |place| core::cmp::Reverse(prefix(place).prefix_len()));
    }

    /// A step in which a route goes if another of the same group has a lower MED (RFC 4271 section 9.1.2.2 c).
    fn keep_least_med(&mut self, group: impl Fn(usize) -> Option<u32>, med: impl Fn(usize) -> u32) {
        let before = self.left.clone();
        let beaten = |place: usize| before.iter().any(|&o| group(o) == group(place) && med(o) < med(place));
        self.require(Rule::Med, |place| !beaten(place));
    }

    /// `None` if nobody is left.
    fn end(self) -> Option<Evaluation> {
        (!self.left.is_empty()).then_some(Evaluation { chosen: self.left, rule: self.rule, gone_at: self.gone_at })
    }
}

#[cfg(test)]
fn net<N: core::str::FromStr<Err: core::fmt::Debug>>(text: &str) -> N {
    text.parse().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_community_is_written_in_two_halves() {
        assert_eq!(Community::new(7224, 7300).to_string(), "7224:7300");
        assert_eq!(Community::new(65_535, 65_281), Community(0xffff_ff01), "NO_EXPORT (RFC 1997)");
    }

    /// RFC 3345 section 2: B beats A at MED, A would beat C at the next step, and C beats B. A sort would answer by the order in
    /// which they came; an elimination does not.
    #[test]
    fn med_is_compared_within_a_group_and_whoever_came_first_does_not_matter() {
        let routes = [(1, 20, 0), (1, 10, 2), (2, 0, 1)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1], [0, 2, 1], [1, 2, 0]] {
            let given = order.map(|i| routes[i]);
            let mut elimination = Elimination::of(3);
            elimination.keep_least_med(|i| Some(given[i].0), |i| given[i].1);
            elimination.keep_least(Rule::AwsChoice, |i| given[i].2);
            let evaluation = elimination.end().unwrap();
            assert_eq!(given[evaluation.best()], routes[2], "{order:?}");
            let went = given.iter().position(|route| *route == routes[0]).unwrap();
            assert_eq!(evaluation.gone_at[went], Some(Rule::Med));
        }
    }
}
