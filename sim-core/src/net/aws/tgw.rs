//! The order of a transit gateway route table (VPC guide, "How AWS Transit Gateway works", page
//! how-transit-gateways-work.html):
//!
//! 1. a route whose tunnel endpoint is not healthy does not take part (Site-to-Site VPN user guide, page
//!    vpn-route-priority.html, which says so of both gateways);
//! 2. the longest prefix. A blackhole is a route like any other: what it matches is dropped;
//! 3. the type, in the order of [`Kind`];
//! 4. of one type, the shortest AS_PATH;
//! 5. the lowest MED, where none counts as 0 from Direct Connect and as 100 from VPN and Connect;
//! 6. eBGP before iBGP;
//! 7. all that are left, if ECMP is allowed; else one by AWS's choice, which it does not guarantee to be the same tomorrow.
//!
//! Only what is used is in the table; the others come when it goes. Unlike a VGW's, the page does not limit MED to routes that begin
//! with the same AS.
//!
//! ECMP needs routes of one type that are learned dynamically, the gateway's VPN ECMP support for VPN connections, and the same prefix,
//! AS_PATH and communities: multipath over different ASes ("AS_PATH relax") is not supported (the same page; page
//! tgw-transit-gateways.html for the option). Static routes, VPCs, peering and VPN Concentrators have none.
//!
//! Left out: policy tables, which choose the table and not the route.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{BgpPath, Elimination, Evaluation};
use crate::reason::Rule;

/// What kind of route it is, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Entered by hand: also the routes of a VPN connection with static routing, and blackholes.
    Static,
    /// Entered by hand for each member of a prefix list.
    PrefixList,
    /// The CIDR block of a VPC.
    Vpc,
    /// Learned through a Direct Connect gateway.
    DirectConnectGateway,
    /// Learned through Transit Gateway Connect (GRE).
    Connect,
    /// Learned through a private-IP VPN over Direct Connect.
    PrivateVpn,
    /// Learned through a VPN connection.
    Vpn,
    /// Learned through a VPN Concentrator.
    VpnConcentrator,
    /// Of Client VPN (its place is known from digests of AWS's texts only).
    ClientVpn,
    /// Learned through a peering with Cloud WAN.
    Peering,
}

impl Kind {
    /// MED of a route of this kind without one.
    pub const fn missing_med(self) -> u32 {
        match self {
            Self::Connect | Self::PrivateVpn | Self::Vpn | Self::VpnConcentrator => 100,
            Self::Static
            | Self::PrefixList
            | Self::Vpc
            | Self::DirectConnectGateway
            | Self::ClientVpn
            | Self::Peering => 0,
        }
    }

    /// True if several routes of this kind may be used at once, with or without the VPN option.
    pub const fn balances(self, vpn_ecmp: bool) -> bool {
        match self {
            Self::DirectConnectGateway | Self::Connect => true,
            Self::PrivateVpn | Self::Vpn => vpn_ecmp,
            Self::Static | Self::PrefixList | Self::Vpc | Self::VpnConcentrator | Self::ClientVpn | Self::Peering => {
                false
            }
        }
    }

    /// In the words of an explanation.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::PrefixList => "prefix list",
            Self::Vpc => "VPC",
            Self::DirectConnectGateway => "Direct Connect gateway",
            Self::Connect => "Connect",
            Self::PrivateVpn => "VPN over Direct Connect",
            Self::Vpn => "VPN",
            Self::VpnConcentrator => "VPN Concentrator",
            Self::ClientVpn => "Client VPN",
            Self::Peering => "peering",
        }
    }
}

/// A route offered to a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Destinations.
    pub prefix: IpNet,
    /// Its kind.
    pub kind: Kind,
    /// Whether the endpoint that it leads to is healthy; true of what leads to none.
    pub healthy: bool,
    /// What BGP says of it, if it is learned.
    pub path: Option<BgpPath>,
    /// AWS's choice among equals: the lowest is used. Drawn from the seed.
    pub preference: usize,
}

impl Route {
    fn med(&self) -> u32 {
        self.path.as_ref().and_then(|path| path.med).unwrap_or(self.kind.missing_med())
    }

    /// True if the two may share traffic.
    fn shares_with(&self, other: &Self) -> bool {
        let same = |a: &BgpPath, b: &BgpPath| a.as_path == b.as_path && a.communities == b.communities;
        match (&self.path, &other.path) {
            (Some(a), Some(b)) => self.kind == other.kind && same(a, b),
            (None, _) | (_, None) => false,
        }
    }
}

/// The routes that packets to `destination` take: balanced, if there are several.
pub fn evaluate(routes: &[Route], destination: impl Into<IpAddr>, vpn_ecmp: bool) -> Option<Evaluation> {
    let mut order = Elimination::of(routes.len());
    order.require(Rule::EndpointHealth, |i| routes[i].healthy);
    order.longest_prefix(destination, |i| routes[i].prefix);
    order.keep_least(Rule::AttachmentType, |i| routes[i].kind);
    order.keep_least(Rule::AsPathLength, |i| routes[i].path.as_ref().map_or(0, |path| path.length));
    order.keep_least(Rule::Med, |i| routes[i].med());
    order.keep_least(Rule::ExternalPeer, |i| routes[i].path.as_ref().is_some_and(|path| path.internal));
    let first = order.left.iter().copied().min_by_key(|&i| (routes[i].preference, i))?;
    let balances = routes[first].kind.balances(vpn_ecmp);
    order.require(Rule::AwsChoice, |i| i == first || (balances && routes[i].shares_with(&routes[first])));
    let mut evaluation = order.end()?;
    evaluation.chosen.sort_by_key(|&i| (routes[i].preference, i));
    if evaluation.chosen.len() > 1 {
        evaluation.rule = Rule::EqualCost;
    }
    Some(evaluation)
}

#[cfg(test)]
mod tests {
    use super::super::{Community, net};
    use super::*;
    use std::net::Ipv4Addr;

    const TO: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);
    const KINDS: [Kind; 10] = [
        Kind::Static,
        Kind::PrefixList,
        Kind::Vpc,
        Kind::DirectConnectGateway,
        Kind::Connect,
        Kind::PrivateVpn,
        Kind::Vpn,
        Kind::VpnConcentrator,
        Kind::ClientVpn,
        Kind::Peering,
    ];

    fn route(prefix: &str, kind: Kind, path: Option<BgpPath>, preference: usize) -> Route {
        Route { prefix: net(prefix), kind, healthy: true, path, preference }
    }

    fn learned(kind: Kind, as_path: &[u32], med: Option<u32>, preference: usize) -> Route {
        route("10.1.0.0/16", kind, Some(BgpPath::sequence(as_path, med)), preference)
    }

    fn found(routes: &[Route]) -> (Vec<usize>, Rule) {
        let evaluation = evaluate(routes, TO, true).unwrap();
        (evaluation.chosen, evaluation.rule)
    }

    /// how-transit-gateways-work.html, "Route evaluation order": each kind beats all that follow, with the worst path that it can
    /// have against the best.
    #[test]
    fn each_kind_beats_those_that_follow() {
        for (i, better) in KINDS.into_iter().enumerate() {
            for worse in KINDS.into_iter().skip(i + 1) {
                let routes = [learned(worse, &[65_010], Some(0), 0), learned(better, &[65_010; 9], Some(900), 1)];
                assert_eq!(found(&routes), (vec![1], Rule::AttachmentType), "{better:?} before {worse:?}");
            }
        }
        assert!(KINDS.is_sorted());
    }

    /// The same page: so a static route into a VPN beats Direct Connect, which is why a static VPN is no backup of it.
    #[test]
    fn the_longest_prefix_comes_before_the_kind() {
        let broad = route("10.0.0.0/8", Kind::Static, None, 0);
        let narrow = learned(Kind::Vpn, &[65_010; 4], None, 1);
        assert_eq!(found(&[broad, narrow.clone()]), (vec![1], Rule::LongestPrefix));
        let same = route("10.1.0.0/16", Kind::Static, None, 1);
        let dx = learned(Kind::DirectConnectGateway, &[65_010], None, 0);
        assert_eq!(found(&[same, dx, narrow]), (vec![0], Rule::AttachmentType));
    }

    /// The same page: within a type AS_PATH, then MED, then eBGP over iBGP.
    #[test]
    fn as_path_then_med_then_external() {
        let vpn = |as_path: &[u32], med| learned(Kind::Vpn, as_path, med, 0);
        assert_eq!(found(&[vpn(&[65_010; 2], Some(0)), vpn(&[65_010], Some(9))]), (vec![1], Rule::AsPathLength));
        assert_eq!(found(&[vpn(&[65_010], Some(20)), vpn(&[65_020], Some(10))]), (vec![1], Rule::Med));
        let mut internal = vpn(&[65_010], Some(10));
        internal.path.as_mut().unwrap().internal = true;
        assert_eq!(found(&[internal, vpn(&[65_010], Some(10))]), (vec![1], Rule::ExternalPeer));
    }

    /// The same page: a missing MED is 0 from Direct Connect, 100 from VPN and Connect.
    #[test]
    fn a_missing_med_depends_on_the_kind() {
        for (kind, missing) in [(Kind::Vpn, 100), (Kind::Connect, 100), (Kind::DirectConnectGateway, 0)] {
            let without = learned(kind, &[65_010], None, 0);
            let above = learned(kind, &[65_010], Some(missing + 1), 1);
            assert_eq!(found(&[above, without.clone()]), (vec![1], Rule::Med), "{kind:?}");
            assert_eq!(found(&[learned(kind, &[65_010], Some(missing), 1), without]), (vec![1, 0], Rule::EqualCost));
        }
        let below = learned(Kind::Vpn, &[65_010], Some(99), 1);
        assert_eq!(found(&[learned(Kind::Vpn, &[65_010], None, 0), below]), (vec![1], Rule::Med));
    }

    /// tgw-transit-gateways.html and how-transit-gateways-work.html: each condition of ECMP, broken once.
    #[test]
    fn ecmp_needs_all_its_conditions() {
        let vpn = |preference| learned(Kind::Vpn, &[65_010, 65_099], Some(10), preference);
        let both = [vpn(1), vpn(0)];
        assert_eq!(found(&both), (vec![1, 0], Rule::EqualCost));
        let broken = |change: &dyn Fn(&mut Route)| {
            let mut routes = both.clone();
            change(&mut routes[0]);
            let (chosen, rule) = found(&routes);
            assert_eq!(chosen.len(), 1);
            rule
        };
        let path = |change: fn(&mut BgpPath)| move |route: &mut Route| change(route.path.as_mut().unwrap());
        assert_eq!(broken(&path(|p| (p.as_path, p.length) = (vec![65_010; 3], 3))), Rule::AsPathLength);
        assert_eq!(broken(&path(|p| p.med = Some(11))), Rule::Med);
        assert_eq!(broken(&path(|p| p.internal = true)), Rule::ExternalPeer);
        assert_eq!(broken(&path(|p| p.as_path = vec![65_010, 65_098])), Rule::AwsChoice, "no AS_PATH relax");
        assert_eq!(broken(&path(|p| p.communities = vec![Community::new(65_010, 1)])), Rule::AwsChoice);
        assert_eq!(broken(&|route| route.prefix = net("10.1.0.0/24")), Rule::LongestPrefix);
        assert_eq!(broken(&|route| route.healthy = false), Rule::EndpointHealth);
        assert_eq!(broken(&|route| route.kind = Kind::PrivateVpn), Rule::AttachmentType);
        assert_eq!(broken(&|route| (route.kind, route.path) = (Kind::Static, None)), Rule::AttachmentType);
        let off = evaluate(&both, TO, false).unwrap();
        assert_eq!((off.chosen, off.rule), (vec![1], Rule::AwsChoice), "the option is off");
    }

    /// Site-to-Site VPN quotas: no ECMP with static routing. The same page: none over VPCs and peerings.
    #[test]
    fn what_is_not_learned_dynamically_is_not_balanced() {
        for kind in [Kind::Static, Kind::PrefixList, Kind::Vpc, Kind::VpnConcentrator, Kind::Peering] {
            let path = Some(BgpPath::sequence(&[65_010], Some(1)));
            let routes = [route("10.1.0.0/16", kind, path.clone(), 1), route("10.1.0.0/16", kind, path, 0)];
            assert_eq!(found(&routes), (vec![1], Rule::AwsChoice), "{kind:?}");
        }
        let statics = [route("10.1.0.0/16", Kind::Static, None, 1), route("10.1.0.0/16", Kind::Static, None, 0)];
        assert_eq!(found(&statics), (vec![1], Rule::AwsChoice));
    }
}
