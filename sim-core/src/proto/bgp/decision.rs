//! The decision process (RFC 4271 sections 9.1.1 and 9.1.2.2): which of several routes to one prefix is best, and which
//! step said so.
//!
//! The steps, each of which keeps the best of what the one before left over:
//!
//! 1. highest LOCAL_PREF (the degree of preference, 9.1.1);
//! 2. originated by this speaker;
//! 3. shortest AS_PATH, a set counting as one (9.1.2.2 a);
//! 4. lowest ORIGIN (b);
//! 5. lowest MED, compared only among routes from the same neighbouring AS (c);
//! 6. learned by eBGP rather than iBGP (d);
//! 7. lowest BGP Identifier of the peer (f);
//! 8. lowest address of the peer (g).
//!
//! Left out: the interior cost (e), since every next hop here is directly connected, and "oldest route", which is no
//! step of the RFC and would make the outcome depend on history.
//!
//! Step 5 is why this is an elimination and not a sort: MED makes the pairwise relation intransitive (RFC 3345).

use core::cmp::Reverse;
use std::net::Ipv4Addr;

use super::attributes::Attributes;
use super::config::DEFAULT_LOCAL_PREF;

/// The step that decided.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DecidedBy {
    /// There was no other route.
    OnlyRoute,
    /// Highest LOCAL_PREF.
    LocalPref,
    /// Originated here.
    LocalOrigin,
    /// Shortest AS_PATH.
    AsPathLength,
    /// Lowest ORIGIN.
    Origin,
    /// Lowest MED of the same neighbouring AS.
    Med,
    /// eBGP over iBGP.
    ExternalPeer,
    /// Lowest BGP Identifier.
    Identifier,
    /// Lowest peer address.
    PeerAddress,
}

/// Where a route comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// This speaker.
    Local,
    /// A peer.
    Peer {
        /// In another AS.
        external: bool,
        /// Its BGP Identifier.
        identifier: Ipv4Addr,
        /// Its address.
        address: Ipv4Addr,
    },
}

/// A route that takes part.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// After import policy.
    pub attributes: &'a Attributes,
    /// Where it comes from.
    pub source: Source,
}

impl Candidate<'_> {
    fn med(&self, missing: u32) -> u32 {
        self.attributes.med.unwrap_or(missing)
    }

    fn is_internal(&self) -> bool {
        match self.source {
            Source::Local => false,
            Source::Peer { external, .. } => !external,
        }
    }

    fn identifier(&self) -> Ipv4Addr {
        match self.source {
            Source::Local => Ipv4Addr::UNSPECIFIED,
            Source::Peer { identifier, .. } => identifier,
        }
    }

    fn address(&self) -> Ipv4Addr {
        match self.source {
            Source::Local => Ipv4Addr::UNSPECIFIED,
            Source::Peer { address, .. } => address,
        }
    }
}

/// The place of the best candidate and the step that decided; `None` if there are none. `missing_med` stands for the
/// MED of a route without one. Of two that no step tells apart the first wins.
pub fn decide(candidates: &[Candidate<'_>], missing_med: u32) -> Option<(usize, DecidedBy)> {
    if candidates.len() < 2 {
        return candidates.first().map(|_| (0, DecidedBy::OnlyRoute));
    }
    let mut alive = Alive { candidates, places: (0..candidates.len()).collect() };
    let preference = |c: &Candidate<'_>| c.attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF);
    let steps: [Step<'_>; 8] = [
        (DecidedBy::LocalPref, &|a| a.keep_least(|c| Reverse(preference(c)))),
        (DecidedBy::LocalOrigin, &|a| a.keep_least(|c| c.source != Source::Local)),
        (DecidedBy::AsPathLength, &|a| a.keep_least(|c| c.attributes.as_path.length())),
        (DecidedBy::Origin, &|a| a.keep_least(|c| c.attributes.origin)),
        (DecidedBy::Med, &|a| a.keep_least_med(missing_med)),
        (DecidedBy::ExternalPeer, &|a| a.keep_least(|c| c.is_internal())),
        (DecidedBy::Identifier, &|a| a.keep_least(|c| c.identifier())),
        (DecidedBy::PeerAddress, &|a| a.keep_least(|c| c.address())),
    ];
    for (step, keep) in steps {
        keep(&mut alive);
        if let [winner] = alive.places[..] {
            return Some((winner, step));
        }
    }
    Some((alive.places[0], DecidedBy::PeerAddress))
}

/// A step: what it is called and what it keeps.
type Step<'a> = (DecidedBy, &'a dyn Fn(&mut Alive<'_>));

/// The candidates that no step has eliminated.
struct Alive<'a> {
    candidates: &'a [Candidate<'a>],
    places: Vec<usize>,
}

impl Alive<'_> {
    fn keep_least<K: Ord>(&mut self, key: impl Fn(&Candidate<'_>) -> K) {
        let candidates = self.candidates;
        if let Some(least) = self.places.iter().map(|&place| key(&candidates[place])).min() {
            self.places.retain(|&place| key(&candidates[place]) == least);
        }
    }

    /// Section 9.1.2.2 c: a route goes if one from the same neighbouring AS has a lower MED. Routes without a
    /// neighbouring AS, originated here or in our AS, are compared with each other.
    fn keep_least_med(&mut self, missing: u32) {
        let before = self.places.clone();
        let candidates = self.candidates;
        self.places.retain(|&place| {
            let this = &candidates[place];
            !before.iter().any(|&other| {
                let other = &candidates[other];
                other.attributes.as_path.first() == this.attributes.as_path.first()
                    && other.med(missing) < this.med(missing)
            })
        });
    }
}
