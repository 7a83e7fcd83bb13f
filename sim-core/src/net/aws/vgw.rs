//! The order of a virtual private gateway (Site-to-Site VPN user guide, "Route tables and AWS Site-to-Site VPN route
//! priority", page vpn-route-priority.html):
//!
//! 1. a route whose tunnel endpoint is not healthy does not take part, whatever its prefix;
//! 2. the longest prefix;
//! 3. learned by BGP over Direct Connect;
//! 4. static routes of VPN connections;
//! 5. learned by BGP over VPN;
//! 6. of these, the shortest AS_PATH;
//! 7. the lowest MED, where AS_PATHs are equally long and begin with the same AS;
//! 8. AWS's choice, of which the page says nothing. It names no router id.
//!
//! One tunnel is used, never several: the gateway sends through one tunnel of all its connections (the same page). Routes over
//! Direct Connect are ordered among themselves as in [`super::dx`]; they are not balanced either.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{BgpPath, Elimination, Evaluation, dx};
use crate::reason::Rule;

/// MED of a route without one: the page gives no default, RFC 4271 section 9.1.2.2 c has zero.
pub const MISSING_MED: u32 = 0;

/// Where a gateway has a route from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// BGP over Direct Connect.
    DirectConnect(dx::Path),
    /// A static route of a VPN connection.
    VpnStatic,
    /// BGP over VPN.
    VpnBgp(BgpPath),
}

/// A route that a gateway knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Destinations.
    pub prefix: Ipv4Net,
    /// Whether the endpoint that it leads to is healthy.
    pub healthy: bool,
    /// Where it is from.
    pub source: Source,
    /// AWS's choice among equals: the lowest is used. Drawn from the seed.
    pub preference: usize,
}

impl Route {
    fn bgp(&self) -> Option<&BgpPath> {
        match &self.source {
            Source::VpnBgp(path) => Some(path),
            Source::DirectConnect(_) | Source::VpnStatic => None,
        }
    }
}

/// The route that packets to `destination` take.
pub fn evaluate(routes: &[Route], destination: Ipv4Addr) -> Option<Evaluation> {
    let mut order = Elimination::of(routes.len());
    order.require(Rule::EndpointHealth, |i| routes[i].healthy);
    order.longest_prefix(destination, |i| routes[i].prefix);
    order.keep_least(Rule::DirectConnect, |i| !matches!(routes[i].source, Source::DirectConnect(_)));
    order.keep_least(Rule::VpnStatic, |i| matches!(routes[i].source, Source::VpnBgp(_)));
    dx::narrow(&mut order, dx::SiteLink::Off, |i| match &routes[i].source {
        Source::DirectConnect(path) => Some(path),
        Source::VpnStatic | Source::VpnBgp(_) => None,
    });
    order.keep_least(Rule::AsPathLength, |i| routes[i].bgp().map_or(0, |path| path.length));
    order.keep_least_med(
        |i| routes[i].bgp().and_then(|path| path.neighbour),
        |i| routes[i].bgp().map_or(0, |path| path.med.unwrap_or(MISSING_MED)),
    );
    order.keep_least(Rule::AwsChoice, |i| (routes[i].preference, i));
    order.end()
}

#[cfg(test)]
mod tests {
    use super::super::{Community, net};
    use super::*;

    const TO: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);

    fn bgp(as_path: &[u32], med: Option<u32>) -> Source {
        Source::VpnBgp(BgpPath::sequence(as_path, med))
    }

    fn dx() -> Source {
        Source::DirectConnect(dx::Path { path: BgpPath::sequence(&[65_010; 9], Some(900)), ..dx::Path::default() })
    }

    fn route(prefix: &str, source: Source, preference: usize) -> Route {
        Route { prefix: net(prefix), healthy: true, source, preference }
    }

    /// The place and the step, whatever the order in which routes are given.
    fn best(routes: &[Route]) -> (usize, Rule) {
        let found = evaluate(routes, TO).unwrap();
        let reversed: Vec<Route> = routes.iter().rev().cloned().collect();
        let again = evaluate(&reversed, TO).unwrap();
        assert_eq!(routes.len() - 1 - again.best(), found.best(), "the order of arrival decides nothing");
        assert_eq!((again.rule, found.chosen.len()), (found.rule, 1), "a VGW never balances");
        (found.best(), found.rule)
    }

    /// vpn-route-priority.html: the health of the endpoint comes first; longest prefix match applies if all are healthy.
    #[test]
    fn health_comes_before_the_longest_prefix() {
        let mut routes = [route("10.1.0.0/24", dx(), 0), route("10.1.0.0/16", bgp(&[65_010, 65_010], None), 1)];
        assert_eq!(best(&routes), (0, Rule::LongestPrefix));
        routes[0].healthy = false;
        assert_eq!(best(&routes), (1, Rule::EndpointHealth));
        routes[1].healthy = false;
        assert_eq!(evaluate(&routes, TO), None);
    }

    /// vpn-route-priority.html: BGP over Direct Connect, then static VPN routes, then BGP over VPN. So "static always wins" is
    /// folklore on a VGW.
    #[test]
    fn direct_connect_then_static_then_bgp() {
        let all = [
            route("10.1.0.0/16", bgp(&[65_010], Some(0)), 0),
            route("10.1.0.0/16", Source::VpnStatic, 1),
            route("10.1.0.0/16", dx(), 2),
        ];
        assert_eq!(best(&all), (2, Rule::DirectConnect));
        assert_eq!(best(&all[..2]), (1, Rule::VpnStatic));
        let specific = route("10.1.0.0/24", bgp(&[65_010; 5], None), 9);
        assert_eq!(best(&[all[2].clone(), specific]), (1, Rule::LongestPrefix));
    }

    /// The local preference communities of routing-and-bgp.html are Direct Connect's: on VPN 7224:7100 is not low and 7224:7300 not high, so
    /// that AWS chooses as it would without them, by AS_PATH even against them.
    #[test]
    fn communities_say_nothing_on_vpn() {
        let marked = |value: u16, as_path: &[u32]| {
            let communities = vec![Community::new(7224, value)];
            Source::VpnBgp(BgpPath { communities, ..BgpPath::sequence(as_path, None) })
        };
        let low = route("10.1.0.0/16", marked(7_100, &[65_010]), 0);
        let high = route("10.1.0.0/16", marked(7_300, &[65_010]), 1);
        assert_eq!(best(&[low.clone(), high]), (0, Rule::AwsChoice));
        let prepended = route("10.1.0.0/16", marked(7_300, &[65_010, 65_010]), 1);
        assert_eq!(best(&[low, prepended]), (0, Rule::AsPathLength));
    }

    /// vpn-route-priority.html: the shortest AS_PATH among VPN connections by BGP.
    #[test]
    fn the_shorter_as_path_wins_before_med() {
        let prepended = route("10.1.0.0/16", bgp(&[65_010, 65_010], Some(0)), 0);
        let short = route("10.1.0.0/16", bgp(&[65_010], Some(500)), 1);
        assert_eq!(best(&[prepended, short]), (1, Rule::AsPathLength));
    }

    /// vpn-route-priority.html: MEDs are compared where the first AS in the AS_SEQUENCE is the same, the lowest wins.
    #[test]
    fn med_counts_only_behind_the_same_neighbour() {
        let of = |asn, med, preference| route("10.1.0.0/16", bgp(&[asn], med), preference);
        assert_eq!(best(&[of(65_010, Some(200), 0), of(65_010, Some(100), 1)]), (1, Rule::Med));
        assert_eq!(best(&[of(65_020, Some(200), 0), of(65_010, Some(100), 1)]), (0, Rule::AwsChoice));
        assert_eq!(best(&[of(65_010, Some(200), 0), of(65_010, None, 1)]), (1, Rule::Med), "no MED is zero");
    }

    /// vpn-route-priority.html names nothing after MED: what is left is AWS's choice, and takes exactly one.
    #[test]
    fn what_is_left_is_aws_s_choice() {
        let of = |preference| route("10.1.0.0/16", bgp(&[65_010], None), preference);
        assert_eq!(best(&[of(1), of(0)]), (1, Rule::AwsChoice));
        let of = |preference| route("10.1.0.0/16", Source::VpnStatic, preference);
        assert_eq!(best(&[of(1), of(0)]), (1, Rule::AwsChoice));
        assert_eq!(best(&[of(7)]), (0, Rule::OnlyRoute));
    }

    #[test]
    fn a_route_elsewhere_takes_no_part() {
        let elsewhere = route("10.2.0.0/16", Source::VpnStatic, 0);
        let evaluation = evaluate(&[elsewhere, route("10.1.0.0/16", bgp(&[65_010], None), 1)], TO).unwrap();
        assert_eq!((evaluation.best(), evaluation.rule), (1, Rule::OnlyRoute));
        assert_eq!(evaluation.gone_at, [None, None], "it was never a candidate");
    }
}
