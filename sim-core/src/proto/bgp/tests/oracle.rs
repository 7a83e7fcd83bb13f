//! The decision process opposite routecore's, which knows nothing of ours: for each step, sets of routes that are tied on all
//! steps before it, random on the step itself and on all that follow. Both see the same octets: our UPDATE, which routecore
//! parses.
//!
//! Where the two may differ, and what is done about it:
//! - routecore has no routes of its own speaker and no RFC 5004: both are steps of ours alone and do not occur here.
//! - It leaves the interior cost to its user, as a hook in its place among the steps. The hook here reads the cost that the test
//!   gave the route; that it comes after eBGP over iBGP and before the identifiers is routecore's.
//! - It has no default LOCAL_PREF and would take none for zero: it is told the degree of preference that we use, 100.
//! - It sorts, while MED is no order (RFC 3345; its documentation says so, too). So sets in which MED decides have routes of one
//!   neighbouring AS, or two routes.
//! - Its order of ORIGIN_ID, CLUSTER_LIST and peer address is RFC 4456's, as ours.

use core::cmp::Ordering;
use std::collections::BTreeMap;

use inetnum::asn::Asn;
use routecore::bgp::message::update::{SessionConfig, UpdateMessage};
use routecore::bgp::path_attributes::PaMap;
use routecore::bgp::path_selection::{
    DegreeOfPreference, OrdRoute, OrdStrat, Rfc4271, RouteSource, TiebreakerInfo, best,
};
use routecore::bgp::types::ConventionalNextHop;

use super::*;
use crate::proto::bgp::as_path::AsPath;
use crate::proto::bgp::attributes::{Attributes, Dialect, Origin, Reflection};
use crate::proto::bgp::decision::{Candidate, Source, decide};

const LOCAL_AS: u32 = 65000;

/// RFC 4271 with the interior cost that the last octet of NEXT_HOP stands for.
#[derive(Copy, Clone, Debug)]
struct WithInterior;

impl OrdStrat for WithInterior {
    fn step_c<OS>(a: &OrdRoute<'_, OS>, b: &OrdRoute<'_, OS>) -> Ordering {
        Rfc4271::step_c(a, b)
    }

    fn step_e<OS>(a: &OrdRoute<'_, OS>, b: &OrdRoute<'_, OS>) -> Ordering {
        let cost = |route: &OrdRoute<'_, OS>| route.pa_map().get::<ConventionalNextHop>().map(|hop| hop.0.octets()[3]);
        cost(a).cmp(&cost(b))
    }
}

#[derive(Clone)]
struct Route {
    attributes: Attributes,
    external: bool,
    identifier: Ipv4Addr,
    address: Ipv4Addr,
}

impl Route {
    fn cost(&self) -> u8 {
        self.attributes.next_hop.octets()[3]
    }

    /// As routecore reads it from the wire.
    fn parsed(&self) -> PaMap {
        // The UPDATE of a peer that has no scruples about what it may send to whom.
        let dialect = Dialect { enforce_first_as: false, ..Dialect::new(LOCAL_AS, LOCAL_AS) };
        let mut message = Vec::new();
        update::announce(&self.attributes, &dialect, &[net("192.0.2.0/24")], |bytes, _| message = bytes);
        let update = UpdateMessage::from_octets(message, &SessionConfig::modern()).expect("routecore reads it");
        PaMap::from_update_pdu(&update).expect("routecore takes its attributes")
    }

    fn tiebreakers(&self) -> TiebreakerInfo {
        let source = if self.external { RouteSource::Ebgp } else { RouteSource::Ibgp };
        let preference = DegreeOfPreference(self.attributes.local_pref.unwrap_or(100));
        let identifier = self.identifier.octets().into();
        TiebreakerInfo::new(source, Some(preference), Asn::from_u32(LOCAL_AS), identifier, self.address.into())
    }
}

/// The place of the best as each sees it, and the step that we say decided.
fn both(routes: &[Route]) -> (usize, DecidedBy, usize) {
    let candidates: Vec<_> = routes
        .iter()
        .map(|route| Candidate {
            attributes: &route.attributes,
            source: Source::Peer { external: route.external, identifier: route.identifier, address: route.address },
            interior_cost: route.cost().into(),
        })
        .collect();
    let (ours, step) = decide(&candidates, &Rules::default(), None).expect("there are routes");
    let parsed: Vec<_> = routes.iter().map(Route::parsed).collect();
    let ordered = routes.iter().zip(&parsed).enumerate().map(|(place, (route, parsed))| {
        let route = OrdRoute::<WithInterior>::try_new(parsed, route.tiebreakers()).expect("eligible");
        (route, place)
    });
    let (_, theirs) = best(ordered).expect("there are routes");
    (ours, step, theirs)
}

/// The steps that both have, in order.
const STEPS: [DecidedBy; 9] = [
    DecidedBy::LocalPref,
    DecidedBy::AsPathLength,
    DecidedBy::Origin,
    DecidedBy::Med,
    DecidedBy::ExternalPeer,
    DecidedBy::InteriorCost,
    DecidedBy::Identifier,
    DecidedBy::ClusterListLength,
    DecidedBy::PeerAddress,
];

struct Dice(Rng);

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.0.below(n.into()) as u32
    }

    fn even(&mut self) -> bool {
        self.below(2) == 0
    }

    /// A path of one to four; now and then its last is a set, which counts as one.
    fn path(&mut self, length: u32, neighbour: u32) -> AsPath {
        let rest: Vec<u32> = (1..length).map(|_| 1 + self.below(5)).collect();
        AsPath::sequence(core::iter::once(neighbour).chain(rest))
    }

    /// A set of routes that are alike up to `step`, and random from there on.
    fn tied(&mut self, step: DecidedBy) -> Vec<Route> {
        let free = |this: DecidedBy| this >= step;
        let count = if step <= DecidedBy::Med && self.even() { 2 } else { 2 + self.below(4) };
        // Of more than two routes MED is an order only if their neighbour is the same one.
        let (neighbours, length) = (if count == 2 { 2 } else { 1 }, 1 + self.below(4));
        let (preference, origin, med) = (self.preference(), self.below(3), self.med());
        // A tie at the identifier or later is between internal routes, of which the cluster list speaks, or external ones.
        let (external, cost, identifier) = (self.even(), self.below(3), self.below(3));
        let (clusters, same_neighbour) = (self.below(3), 1 + self.below(9));
        (0..count)
            .map(|place| {
                let external = if free(DecidedBy::ExternalPeer) { self.even() } else { external };
                let own_length = if free(DecidedBy::AsPathLength) { 1 + self.below(4) } else { length };
                let neighbour = same_neighbour + self.below(neighbours);
                let mut attributes = Attributes::new(Ipv4Addr::new(10, 0, 0, 1));
                attributes.as_path = self.path(own_length, neighbour);
                attributes.local_pref = if free(DecidedBy::LocalPref) { self.preference() } else { preference };
                let own_origin = if free(DecidedBy::Origin) { self.below(3) } else { origin };
                attributes.origin = [Origin::Igp, Origin::Egp, Origin::Incomplete][own_origin as usize];
                attributes.med = if free(DecidedBy::Med) { self.med() } else { med };
                let own_cost = if free(DecidedBy::InteriorCost) { self.below(3) } else { cost };
                attributes.next_hop = Ipv4Addr::new(10, 0, 0, 1 + own_cost as u8);
                let own_identifier = if free(DecidedBy::Identifier) { self.below(3) } else { identifier };
                let own_clusters = if free(DecidedBy::ClusterListLength) { self.below(3) } else { clusters };
                let own_identifier = Ipv4Addr::new(10, 255, 0, 1 + own_identifier as u8);
                // Half of the internal routes were reflected: then the originator is compared and not the peer.
                let reflected = !external && (own_clusters > 0 || self.even());
                attributes.reflection = reflected.then(|| {
                    let cluster_list = vec![Ipv4Addr::new(10, 254, 0, 1); own_clusters as usize];
                    Box::new(Reflection { originator_id: Some(own_identifier), cluster_list })
                });
                let identifier = match reflected {
                    true => Ipv4Addr::new(10, 255, 0, 1 + self.below(9) as u8),
                    false => own_identifier,
                };
                let address = Ipv4Addr::new(169, 254, self.below(200) as u8, place as u8 + 1);
                Route { attributes, external, identifier, address }
            })
            .collect()
    }

    /// None stands for 100 (RFC 4271 section 9.1.1 leaves the default to policy).
    fn preference(&mut self) -> Option<u32> {
        [None, Some(99), Some(100), Some(101)][self.below(4) as usize]
    }

    /// None stands for 0 (section 9.1.2.2 c).
    fn med(&mut self) -> Option<u32> {
        [None, Some(0), Some(1), Some(2)][self.below(4) as usize]
    }
}

/// The default and the value that it stands for are tied, so "alike" is not "the same octets".
#[test]
#[allow(clippy::disallowed_macros, reason = "the hits are for whoever runs this test")]
fn agrees_with_routecore_step_by_step() {
    const HITS: u32 = 5_000;
    let mut dice = Dice(Rng::stream(7, "routecore", Purpose::Test));
    let mut hits: BTreeMap<DecidedBy, u32> = BTreeMap::new();
    for target in STEPS {
        let mut tries = 0;
        while hits.get(&target).is_none_or(|hits| *hits < HITS) {
            tries += 1;
            assert!(tries < 20 * HITS, "{target} hardly ever decides: {hits:?}");
            let routes = dice.tied(target);
            let (ours, step, theirs) = both(&routes);
            let shown = || -> Vec<_> {
                let of = |route: &Route| (route.attributes.clone(), route.external, route.identifier, route.address);
                routes.iter().map(of).collect()
            };
            assert!(step >= target, "tied before {target}, yet {step} decided: {:#?}", shown());
            assert_eq!(ours, theirs, "{step} decided: {:#?}", shown());
            *hits.entry(step).or_default() += 1;
        }
    }
    for (step, hits) in &hits {
        println!("{hits:>6} sets agree where the step is: {step}");
        assert!(*hits >= HITS);
    }
    assert_eq!(hits.len(), STEPS.len());
}
