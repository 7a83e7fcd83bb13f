//! The order of a VPC route table (VPC user guide, "Route table priority", page route-tables-priority.html, and Site-to-Site VPN
//! user guide, page vpn-route-priority.html):
//!
//! 1. `local` beats every propagated route to the VPC's own addresses, also a more specific one;
//! 2. the longest prefix. A static route may be more specific than `local`, if it is to a whole subnet;
//! 3. static routes;
//! 4. routes to a prefix list;
//! 5. propagated routes: Direct Connect, then static routes of VPN connections, then BGP over VPN.
//!
//! Of overlapping prefix lists with different targets AWS picks one at random and stays with it: that is the last step.
//!
//! A table takes [`PROPAGATED`] propagated routes, a limit that AWS does not raise (page amazon-vpc-limits.html). What becomes of
//! one too many is not published: here it stays out ([`Admission`]).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Elimination, Evaluation};
use crate::reason::Rule;

/// How many propagated routes a route table takes.
pub const PROPAGATED: usize = 100;

/// From where a gateway has a route that it propagates, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Propagated {
    /// BGP over Direct Connect.
    DirectConnect,
    /// A static route of a VPN connection.
    VpnStatic,
    /// BGP over VPN.
    VpnBgp,
}

/// How a route came into the table, best first among equal prefixes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// The VPC's own block.
    Local,
    /// Entered by hand.
    Static,
    /// Entered by hand for each member of a prefix list.
    PrefixList,
    /// Propagated by a virtual private gateway.
    Propagated(Propagated),
}

/// A route of a VPC route table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// Destinations.
    pub prefix: Ipv4Net,
    /// How it came into the table.
    pub origin: Origin,
    /// AWS's choice among equals: the lowest is used. Drawn from the seed.
    pub preference: usize,
}

/// The route that packets to `destination` take.
pub fn evaluate(routes: &[Route], destination: Ipv4Addr) -> Option<Evaluation> {
    let mut order = Elimination::of(routes.len());
    let is_propagated = |i: usize| matches!(routes[i].origin, Origin::Propagated(_));
    if routes.iter().any(|route| route.origin == Origin::Local && route.prefix.contains(&destination)) {
        order.require(Rule::Local, |i| !is_propagated(i) || !routes[i].prefix.contains(&destination));
    }
    order.longest_prefix(destination, |i| routes[i].prefix);
    let from = |first: Origin| move |i: usize| routes[i].origin > first;
    order.keep_least(Rule::Local, from(Origin::Local));
    order.keep_least(Rule::Static, from(Origin::Static));
    order.keep_least(Rule::PrefixList, from(Origin::PrefixList));
    order.keep_least(Rule::DirectConnect, from(Origin::Propagated(Propagated::DirectConnect)));
    order.keep_least(Rule::VpnStatic, from(Origin::Propagated(Propagated::VpnStatic)));
    order.keep_least(Rule::AwsChoice, |i| (routes[i].preference, i));
    order.end()
}

/// Whether a table takes another propagated route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// There is room.
    Taken,
    /// The table is full.
    Full,
}

/// Whether a table with so many propagated routes takes another one.
pub const fn admit(propagated: usize) -> Admission {
    if propagated < PROPAGATED { Admission::Taken } else { Admission::Full }
}

#[cfg(test)]
mod tests {
    use super::super::net;
    use super::*;

    const TO: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
    const BGP: Origin = Origin::Propagated(Propagated::VpnBgp);

    fn table(routes: &[(&str, Origin)]) -> Vec<Route> {
        let route = |(i, (prefix, origin)): (usize, &(&str, Origin))| Route {
            prefix: net(prefix),
            origin: *origin,
            preference: routes.len() - i,
        };
        routes.iter().enumerate().map(route).collect()
    }

    fn best(routes: &[(&str, Origin)]) -> (usize, Rule) {
        let evaluation = evaluate(&table(routes), TO).unwrap();
        assert_eq!(evaluation.chosen.len(), 1);
        (evaluation.best(), evaluation.rule)
    }

    /// vpn-route-priority.html: a propagated route that overlaps `local` loses, even if it is more specific.
    #[test]
    fn local_beats_a_more_specific_propagated_route() {
        assert_eq!(best(&[("10.0.1.0/24", BGP), ("10.0.0.0/16", Origin::Local)]), (1, Rule::Local));
        assert_eq!(best(&[("10.0.0.0/16", BGP), ("10.0.0.0/16", Origin::Local)]), (1, Rule::Local));
        assert_eq!(best(&[("0.0.0.0/0", BGP), ("10.0.0.0/16", Origin::Local)]), (1, Rule::Local));
    }

    /// route-tables-priority.html: the most specific route; a static one may be more specific than `local`.
    #[test]
    fn the_longest_prefix_wins_and_a_static_route_may_be_longer_than_local() {
        assert_eq!(best(&[("10.0.1.0/24", Origin::Static), ("10.0.0.0/16", Origin::Local)]), (0, Rule::LongestPrefix));
        let more_specific = [("10.0.0.0/8", Origin::Static), ("10.0.0.0/16", BGP)];
        assert_eq!(best(&more_specific), (1, Rule::LongestPrefix), "static wins for the same destination only");
    }

    /// route-tables-priority.html: static, then prefix list, then propagated, for the same destination.
    #[test]
    fn static_then_prefix_list_then_propagated() {
        let all = [("10.0.0.0/16", BGP), ("10.0.0.0/16", Origin::PrefixList), ("10.0.0.0/16", Origin::Static)];
        assert_eq!(best(&all), (2, Rule::Static));
        assert_eq!(best(&all[..2]), (1, Rule::PrefixList));
        assert_eq!(best(&all[..1]), (0, Rule::OnlyRoute));
    }

    /// route-tables-priority.html: of propagated routes Direct Connect, then static routes of VPN connections, then BGP.
    #[test]
    fn propagated_routes_have_an_order_of_their_own() {
        let of = |from| ("10.0.0.0/16", Origin::Propagated(from));
        let all = [of(Propagated::VpnBgp), of(Propagated::VpnStatic), of(Propagated::DirectConnect)];
        assert_eq!(best(&all), (2, Rule::DirectConnect));
        assert_eq!(best(&all[..2]), (1, Rule::VpnStatic));
    }

    /// route-tables-priority.html: overlapping prefix lists with different targets: at random, and then always the same.
    #[test]
    fn of_equal_prefix_lists_aws_chooses() {
        let lists = [("10.0.0.0/16", Origin::PrefixList), ("10.0.0.0/16", Origin::PrefixList)];
        assert_eq!(best(&lists), (1, Rule::AwsChoice), "the lowest preference");
    }

    /// amazon-vpc-limits.html: 100 propagated routes in a table, not adjustable.
    #[test]
    fn a_table_takes_a_hundred_propagated_routes() {
        assert_eq!(
            [0, 99, 100, 101].map(admit),
            [Admission::Taken, Admission::Taken, Admission::Full, Admission::Full]
        );
    }
}
