//! Import and export policy as data: an ordered list of rules, of which the first that matches decides.

use ipnet::Ipv4Net;

use super::attributes::Attributes;

/// An ordered list of rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The rules; the first whose prefixes match decides.
    pub rules: Vec<Rule>,
    /// What happens to a route that no rule matches.
    pub otherwise: Verdict,
}

/// What to do with the routes of some prefixes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Matches if any of these does; no entry matches every prefix.
    pub prefixes: Vec<PrefixMatch>,
    /// Changes to an accepted route, in order.
    pub changes: Vec<Change>,
    /// Whether it is accepted.
    pub verdict: Verdict,
}

/// A set of prefixes: those inside `within` whose length is in `at_least..=at_most`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixMatch {
    /// The covering prefix.
    pub within: Ipv4Net,
    /// Shortest length ("ge").
    pub at_least: u8,
    /// Longest length ("le").
    pub at_most: u8,
}

/// A change of a route's attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Sets LOCAL_PREF.
    LocalPref(u32),
    /// Sets MULTI_EXIT_DISC.
    Med(u32),
    /// Puts our own AS in front this many times, besides the once of an export to an external peer.
    Prepend(u8),
}

/// Whether a route passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It passes.
    Accept,
    /// It does not.
    Reject,
}

impl PrefixMatch {
    /// This prefix alone.
    pub fn exact(prefix: Ipv4Net) -> Self {
        Self { within: prefix, at_least: prefix.prefix_len(), at_most: prefix.prefix_len() }
    }

    /// True if `prefix` is in the set.
    pub fn matches(&self, prefix: Ipv4Net) -> bool {
        self.within.contains(&prefix) && (self.at_least..=self.at_most).contains(&prefix.prefix_len())
    }
}

impl Policy {
    /// Lets every route pass unchanged.
    pub fn accept_all() -> Self {
        Self { rules: Vec::new(), otherwise: Verdict::Accept }
    }

    /// Lets every route pass with these changes.
    pub fn change_all(changes: Vec<Change>) -> Self {
        Self {
            rules: vec![Rule { prefixes: Vec::new(), changes, verdict: Verdict::Accept }],
            otherwise: Verdict::Accept,
        }
    }

    /// The place of the rule that decides about `prefix`, which is all that its outcome depends on besides the
    /// attributes; `None` if no rule matches.
    pub(super) fn rule(&self, prefix: Ipv4Net) -> Option<usize> {
        self.rules
            .iter()
            .position(|rule| rule.prefixes.is_empty() || rule.prefixes.iter().any(|set| set.matches(prefix)))
    }

    /// Applies the rule that [`Policy::rule`] found. False if the route is rejected.
    pub(super) fn apply(&self, rule: Option<usize>, own_as: u32, route: &mut Attributes) -> bool {
        let Some(rule) = rule.map(|place| &self.rules[place]) else {
            return self.otherwise == Verdict::Accept;
        };
        for change in &rule.changes {
            match *change {
                Change::LocalPref(preference) => route.local_pref = Some(preference),
                Change::Med(med) => route.med = Some(med),
                Change::Prepend(times) => route.as_path.prepend(own_as, usize::from(times)),
            }
        }
        rule.verdict == Verdict::Accept
    }

    /// True if a route with this prefix comes out as it went in.
    pub(super) fn is_neutral(&self, rule: Option<usize>) -> bool {
        match rule.map(|place| &self.rules[place]) {
            Some(rule) => rule.changes.is_empty() && rule.verdict == Verdict::Accept,
            None => self.otherwise == Verdict::Accept,
        }
    }
}
