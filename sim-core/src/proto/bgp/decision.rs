//! The decision process (RFC 4271 sections 9.1.1 and 9.1.2.2): which of several routes to one prefix is best, which step
//! said so, and at which step each of the others fell out.
//!
//! The steps, each of which keeps the best of what the one before left over:
//!
//! 1. highest LOCAL_PREF (the degree of preference, 9.1.1);
//! 2. originated by this speaker;
//! 3. shortest AS_PATH, a set counting as one (9.1.2.2 a);
//! 4. lowest ORIGIN (b);
//! 5. lowest MED, compared only among routes from the same neighbouring AS (c), unless [`Rules`] say otherwise;
//! 6. learned by eBGP rather than iBGP (d);
//! 7. lowest interior cost to the next hop (e);
//! 8. the external route that was best before, if [`Rules::keep_existing`] (RFC 5004);
//! 9. lowest BGP Identifier of the peer, or ORIGINATOR_ID in its place (f, RFC 4456 section 9);
//! 10. shortest CLUSTER_LIST (RFC 4456 section 9);
//! 11. lowest address of the peer (g).
//!
//! Step 5 is why this is an elimination and not a sort: MED makes the pairwise relation intransitive (RFC 3345). Eliminating
//! gives what vendors call deterministic MED: the lowest MED of each neighbour AS first, then the rest. Comparing pairs in
//! the order of arrival, which many routers do unless told otherwise, is [`Rules::deterministic_med`] off.
//!
//! Left out: a weight above LOCAL_PREF, which is one vendor's, and confederations (RFC 5065).

use core::cmp::Reverse;
use core::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::attributes::Attributes;
use super::config::DEFAULT_LOCAL_PREF;
use super::family::Family;

/// The step that decided, in the order of the steps.
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
    /// Lowest interior cost to the next hop.
    InteriorCost,
    /// It was the best already.
    Existing,
    /// Lowest BGP Identifier.
    Identifier,
    /// Shortest CLUSTER_LIST.
    ClusterListLength,
    /// Lowest peer address.
    PeerAddress,
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnlyRoute => "the only route",
            Self::LocalPref => "highest LOCAL_PREF",
            Self::LocalOrigin => "originated here",
            Self::AsPathLength => "shortest AS_PATH",
            Self::Origin => "lowest ORIGIN",
            Self::Med => "lowest MED",
            Self::ExternalPeer => "eBGP over iBGP",
            Self::InteriorCost => "lowest interior cost to the next hop",
            Self::Existing => "it was the best already",
            Self::Identifier => "lowest BGP Identifier",
            Self::ClusterListLength => "shortest CLUSTER_LIST",
            Self::PeerAddress => "lowest peer address",
        })
    }
}

/// How a speaker decides where the RFC leaves a choice, and how many routes it uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// The MED of a route without one. RFC 4271 section 9.1.2.2 c: zero, the best; `u32::MAX` is what vendors call "missing
    /// as worst"; AWS documents 100 for VPN on a TGW.
    pub missing_med: u32,
    /// MEDs are compared whatever the neighbouring ASes are.
    pub always_compare_med: bool,
    /// Routes are judged as a group, as the RFC has it. Otherwise each is compared with the best of those that arrived after
    /// it, the newest first, and the outcome depends on their order.
    pub deterministic_med: bool,
    /// An external route that is best stays best as long as no step up to the interior cost speaks against it (RFC 5004).
    pub keep_existing: bool,
    /// Whether more than one route is used.
    pub multipath: Multipath,
}

/// How many routes that are equal up to the interior cost are used at the same time. No RFC says so: this is what vendors do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Multipath {
    /// Most routes from external peers.
    pub external: u8,
    /// Most routes from internal peers.
    pub internal: u8,
    /// Their AS_PATHs need the same length only, and may have different ASes in them.
    pub relaxed: bool,
}

/// The RFC's rules and one route at a time.
impl Default for Rules {
    fn default() -> Self {
        Self {
            missing_med: 0,
            always_compare_med: false,
            deterministic_med: true,
            keep_existing: false,
            multipath: Multipath { external: 1, internal: 1, relaxed: false },
        }
    }
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
pub struct Candidate<'a, F: Family = Ipv4Net> {
    /// After import policy.
    pub attributes: &'a Attributes<F>,
    /// Where it comes from.
    pub source: Source,
    /// The cost of the way to its next hop within our AS.
    pub interior_cost: u32,
}

impl<F: Family> Candidate<'_, F> {
    fn preference(&self) -> u32 {
        self.attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF)
    }

    fn med(&self, rules: &Rules) -> u32 {
        self.attributes.med.unwrap_or(rules.missing_med)
    }

    fn is_internal(&self) -> bool {
        match self.source {
            Source::Local => false,
            Source::Peer { external, .. } => !external,
        }
    }

    fn is_external(&self) -> bool {
        matches!(self.source, Source::Peer { external: true, .. })
    }

    fn identifier(&self) -> Ipv4Addr {
        match self.source {
            Source::Local => Ipv4Addr::UNSPECIFIED,
            Source::Peer { identifier, .. } => self.attributes.originator_id().unwrap_or(identifier),
        }
    }

    fn address(&self) -> Ipv4Addr {
        match self.source {
            Source::Local => Ipv4Addr::UNSPECIFIED,
            Source::Peer { address, .. } => address,
        }
    }

    /// Section 9.1.2.2 c: a route without a neighbouring AS, originated here or in our AS, is our own AS's.
    fn meds_compare(&self, other: &Self, rules: &Rules) -> bool {
        rules.always_compare_med || self.attributes.as_path.first() == other.attributes.as_path.first()
    }
}

/// Why the best of several routes is the best. Places are those of the candidates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The best.
    pub best: usize,
    /// The step after which no other was left.
    pub decided_by: DecidedBy,
    /// The step at which each fell out; `None` for the best.
    pub lost_at: Vec<Option<DecidedBy>>,
    /// Those that are used: the best, and with [`Multipath`] its equals, best first.
    pub used: Vec<usize>,
}

/// The place of the best candidate and the step that decided; `None` if there are none. Candidates are in the order of
/// their arrival, which makes a difference without [`Rules::deterministic_med`] only; `existing` is the one that was best
/// so far. Of two that no step tells apart the first wins.
pub fn decide<F: Family>(
    candidates: &[Candidate<'_, F>],
    rules: &Rules,
    existing: Option<usize>,
) -> Option<(usize, DecidedBy)> {
    judge(candidates, rules, existing, &mut |_, _| {})
}

/// As [`decide`], with the step at which every other candidate fell out, and those that are used with the best.
pub fn explain<F: Family>(
    candidates: &[Candidate<'_, F>],
    rules: &Rules,
    existing: Option<usize>,
) -> Option<Explanation> {
    let mut lost_at = vec![None; candidates.len()];
    let (best, decided_by) = judge(candidates, rules, existing, &mut |place, step| lost_at[place] = Some(step))?;
    lost_at[best] = None;
    Some(Explanation { best, decided_by, lost_at, used: used(candidates, rules, best) })
}

/// The routes that are used when `best` is: it and, up to the limit of [`Multipath`], those that the steps up to the interior
/// cost do not tell from it, in the order of the steps that follow. A next hop counts once.
pub fn used<F: Family>(candidates: &[Candidate<'_, F>], rules: &Rules, best: usize) -> Vec<usize> {
    let winner = &candidates[best];
    let most = match winner.source {
        Source::Local => 1,
        Source::Peer { external: true, .. } => rules.multipath.external,
        Source::Peer { external: false, .. } => rules.multipath.internal,
    };
    let mut used = vec![best];
    if most < 2 {
        return used;
    }
    let equals = |places: Vec<usize>| {
        let mut alive = Alive { candidates, rules, existing: None, places, lost: &mut |_, _| {} };
        Alive::<F>::STEPS
            .iter()
            .filter(|(step, _)| *step <= DecidedBy::InteriorCost)
            .for_each(|(_, keep)| keep(&mut alive));
        alive.places
    };
    let mut others: Vec<usize> = match rules.deterministic_med {
        true => equals((0..candidates.len()).collect()),
        false => (0..candidates.len()).filter(|&other| equals(vec![best, other]).len() == 2).collect(),
    };
    others.retain(|&other| {
        other != best && (rules.multipath.relaxed || candidates[other].attributes.as_path == winner.attributes.as_path)
    });
    others.sort_by_key(|&other| {
        let it = &candidates[other];
        (it.identifier(), it.attributes.cluster_list().len(), it.address())
    });
    for other in others {
        let next_hop = |place: usize| candidates[place].attributes.next_hop;
        if used.len() < usize::from(most) && used.iter().all(|&place| next_hop(place) != next_hop(other)) {
            used.push(other);
        }
    }
    used
}

type Lost<'a> = &'a mut dyn FnMut(usize, DecidedBy);

fn judge<F: Family>(
    candidates: &[Candidate<'_, F>],
    rules: &Rules,
    existing: Option<usize>,
    lost: Lost<'_>,
) -> Option<(usize, DecidedBy)> {
    if candidates.len() < 2 {
        return candidates.first().map(|_| (0, DecidedBy::OnlyRoute));
    }
    let existing = existing.filter(|_| rules.keep_existing);
    if rules.deterministic_med {
        let places = (0..candidates.len()).collect();
        return Some(eliminate(Alive { candidates, rules, existing, places, lost }));
    }
    let (mut best, mut decided_by) = (candidates.len() - 1, DecidedBy::OnlyRoute);
    for other in (0..best).rev() {
        let places = vec![other.min(best), other.max(best)];
        let (winner, step) = eliminate(Alive { candidates, rules, existing, places, lost });
        decided_by = if winner == best { decided_by.max(step) } else { step };
        best = winner;
    }
    Some((best, decided_by))
}

fn eliminate<F: Family>(mut alive: Alive<'_, F>) -> (usize, DecidedBy) {
    for (step, keep) in &Alive::<F>::STEPS {
        keep(&mut alive);
        if let [winner] = alive.places[..] {
            return (winner, *step);
        }
    }
    let (winner, rest) = (alive.places[0], alive.places.split_off(1));
    rest.into_iter().for_each(|place| (alive.lost)(place, DecidedBy::PeerAddress));
    (winner, DecidedBy::PeerAddress)
}

/// What a step is called and what it keeps.
type Step<F> = (DecidedBy, fn(&mut Alive<'_, F>));

/// The candidates that no step has eliminated.
struct Alive<'a, F: Family> {
    candidates: &'a [Candidate<'a, F>],
    rules: &'a Rules,
    existing: Option<usize>,
    places: Vec<usize>,
    /// Hears of those that are eliminated.
    lost: Lost<'a>,
}

impl<F: Family> Alive<'_, F> {
    /// The steps, in order.
    const STEPS: [Step<F>; 11] = [
        (DecidedBy::LocalPref, |a| a.keep_least(DecidedBy::LocalPref, |c| Reverse(c.preference()))),
        (DecidedBy::LocalOrigin, |a| a.keep_least(DecidedBy::LocalOrigin, |c| c.source != Source::Local)),
        (DecidedBy::AsPathLength, |a| a.keep_least(DecidedBy::AsPathLength, |c| c.attributes.as_path.length())),
        (DecidedBy::Origin, |a| a.keep_least(DecidedBy::Origin, |c| c.attributes.origin)),
        (DecidedBy::Med, |a| a.keep_least_med()),
        (DecidedBy::ExternalPeer, |a| a.keep_least(DecidedBy::ExternalPeer, |c| c.is_internal())),
        (DecidedBy::InteriorCost, |a| a.keep_least(DecidedBy::InteriorCost, |c| c.interior_cost)),
        (DecidedBy::Existing, |a| a.keep_existing()),
        (DecidedBy::Identifier, |a| a.keep_least(DecidedBy::Identifier, |c| c.identifier())),
        (DecidedBy::ClusterListLength, |a| {
            a.keep_least(DecidedBy::ClusterListLength, |c| c.attributes.cluster_list().len());
        }),
        (DecidedBy::PeerAddress, |a| a.keep_least(DecidedBy::PeerAddress, |c| c.address())),
    ];

    fn keep(&mut self, step: DecidedBy, stays: impl Fn(usize, &Candidate<'_, F>) -> bool) {
        let (candidates, lost) = (self.candidates, &mut self.lost);
        self.places.retain(|&place| {
            let stays = stays(place, &candidates[place]);
            if !stays {
                lost(place, step);
            }
            stays
        });
    }

    fn keep_least<K: Ord>(&mut self, step: DecidedBy, key: impl Fn(&Candidate<'_, F>) -> K) {
        let candidates = self.candidates;
        if let Some(least) = self.places.iter().map(|&place| key(&candidates[place])).min() {
            self.keep(step, |_, candidate| key(candidate) == least);
        }
    }

    /// Section 9.1.2.2 c: a route goes if one from the same neighbouring AS has a lower MED.
    fn keep_least_med(&mut self) {
        let (before, candidates, rules) = (self.places.clone(), self.candidates, self.rules);
        self.keep(DecidedBy::Med, |_, this| {
            let beats =
                |other: &Candidate<'_, F>| other.meds_compare(this, rules) && other.med(rules) < this.med(rules);
            !before.iter().any(|&other| beats(&candidates[other]))
        });
    }

    /// RFC 5004 section 3: not between routes of peers with the same identifier, which are two sessions with one router.
    fn keep_existing(&mut self) {
        let Some(existing) = self.existing.filter(|existing| self.places.contains(existing)) else {
            return;
        };
        let kept = &self.candidates[existing];
        if kept.is_external() {
            let identifier = kept.identifier();
            self.keep(DecidedBy::Existing, |place, other| place == existing || other.identifier() == identifier);
        }
    }
}
