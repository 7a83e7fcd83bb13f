//! The order of a core network edge of Cloud WAN (Cloud WAN guide, "Route evaluation", page cloudwan-route-evaluation.html):
//!
//! 1. the longest prefix;
//! 2. static routes;
//! 3. routes of VPCs in the same Region;
//! 4. the shortest AS_PATH;
//! 5. the lowest MED;
//! 6. only if both are equal the kind: Direct Connect gateway, then Connect, then VPN, then everything else, such as peerings and
//!    edges of other Regions;
//! 7. one of what is left, "deterministically random".
//!
//! So prepending moves traffic from Direct Connect to VPN here, which it cannot on a VGW or a transit gateway.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{BgpPath, Elimination, Evaluation};
use crate::reason::Rule;

/// MED of a route without one: the page gives no default, RFC 4271 section 9.1.2.2 c has zero.
pub const MISSING_MED: u32 = 0;

/// What kind of attachment a route is from, best first among equal paths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Entered by hand.
    Static,
    /// A VPC of the same Region.
    Vpc,
    /// A Direct Connect gateway.
    DirectConnectGateway,
    /// A Connect attachment of the same Region.
    Connect,
    /// A VPN connection of the same Region.
    Vpn,
    /// Transit gateway peerings, and what comes from edges of other Regions.
    Other,
}

/// A route at a core network edge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Destinations.
    pub prefix: Ipv4Net,
    /// From where it is.
    pub kind: Kind,
    /// What BGP says of it.
    pub path: BgpPath,
    /// AWS's choice among equals: the lowest is used. Drawn from the seed.
    pub preference: usize,
}

/// The route that packets to `destination` take.
pub fn evaluate(routes: &[Route], destination: Ipv4Addr) -> Option<Evaluation> {
    let mut order = Elimination::of(routes.len());
    order.longest_prefix(destination, |i| routes[i].prefix);
    order.keep_least(Rule::Static, |i| routes[i].kind > Kind::Static);
    order.keep_least(Rule::AttachmentType, |i| routes[i].kind > Kind::Vpc);
    order.keep_least(Rule::AsPathLength, |i| routes[i].path.length);
    order.keep_least(Rule::Med, |i| routes[i].path.med.unwrap_or(MISSING_MED));
    order.keep_least(Rule::AttachmentType, |i| routes[i].kind);
    order.keep_least(Rule::AwsChoice, |i| (routes[i].preference, i));
    order.end()
}

#[cfg(test)]
mod tests {
    use super::super::net;
    use super::*;

    const TO: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);

    fn route(kind: Kind, as_path: &[u32], med: Option<u32>, preference: usize) -> Route {
        Route { prefix: net("10.1.0.0/16"), kind, path: BgpPath::sequence(as_path, med), preference }
    }

    fn best(routes: &[Route]) -> (usize, Rule) {
        let evaluation = evaluate(routes, TO).unwrap();
        assert_eq!(evaluation.chosen.len(), 1);
        (evaluation.best(), evaluation.rule)
    }

    /// cloudwan-route-evaluation.html: static, then VPCs of the Region, whatever the others' paths are.
    #[test]
    fn static_then_vpc_then_the_rest() {
        let all = [
            route(Kind::DirectConnectGateway, &[], Some(0), 0),
            route(Kind::Vpc, &[64_512; 3], None, 1),
            route(Kind::Static, &[64_512; 5], None, 2),
        ];
        assert_eq!(best(&all), (2, Rule::Static));
        assert_eq!(best(&all[..2]), (1, Rule::AttachmentType));
        let mut specific = route(Kind::Other, &[65_010; 9], None, 3);
        specific.prefix = net("10.1.0.0/24");
        assert_eq!(best(&[all[2].clone(), specific]), (1, Rule::LongestPrefix));
    }

    /// The same page: AS_PATH and MED come before the kind, unlike on a transit gateway.
    #[test]
    fn as_path_and_med_come_before_the_kind() {
        let vpn = route(Kind::Vpn, &[65_010], Some(50), 0);
        let prepended_dx = route(Kind::DirectConnectGateway, &[65_010; 2], Some(0), 1);
        assert_eq!(best(&[prepended_dx, vpn.clone()]), (1, Rule::AsPathLength));
        assert_eq!(best(&[route(Kind::DirectConnectGateway, &[65_010], Some(60), 1), vpn.clone()]), (1, Rule::Med));
        assert_eq!(best(&[vpn, route(Kind::DirectConnectGateway, &[65_010], Some(50), 1)]), (1, Rule::AttachmentType));
    }

    /// The same page: Direct Connect gateway, Connect, VPN, other; then at random, and always the same.
    #[test]
    fn kinds_of_equal_paths_have_an_order() {
        let kinds = [Kind::DirectConnectGateway, Kind::Connect, Kind::Vpn, Kind::Other];
        for pair in kinds.windows(2) {
            let routes = [route(pair[1], &[65_010], None, 0), route(pair[0], &[65_010], None, 1)];
            assert_eq!(best(&routes), (1, Rule::AttachmentType), "{pair:?}");
        }
        assert_eq!(
            best(&[route(Kind::Vpn, &[65_010], None, 1), route(Kind::Vpn, &[65_020], None, 0)]),
            (1, Rule::AwsChoice)
        );
    }
}
