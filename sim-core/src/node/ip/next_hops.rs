//! Ways to next hops that are no neighbours (RFC 4271 section 9.1.2.1): a route of an internal peer leads to a next hop that may be
//! anywhere in the AS, and some other route must say which way that is.
//!
//! That other route is a connected network, a configured route or one of the underlay; the default route is one, too. Left out:
//! a route of BGP in that place, which section 9.1.2.1 allows as long as it does not depend on what it resolves.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Ip;
use crate::net::fib::{Route, Target};

impl Ip {
    /// Where packets for a next hop go; `None`: there is no way to it. Of a way into nowhere the route that leads to it is
    /// part, as operators use it to discard traffic by BGP (RFC 3882).
    pub(in crate::node) fn way_to(&self, next_hop: Ipv4Addr) -> Option<Target> {
        let Route { target, .. } = self.fib.lookup_beside_bgp(next_hop)?;
        Some(match target {
            Target::Out { port, next_hop: nearer } => Target::via(port, nearer.unwrap_or(next_hop)),
            Target::Blackhole => Target::Blackhole,
        })
    }

    /// The networks to which there is a way by what is configured and in force.
    pub(in crate::node) fn reached(&self) -> impl Iterator<Item = Ipv4Net> {
        let in_force = |c: &&super::Configured| self.has_carrier(&c.route) && !self.is_held(c);
        self.configured.iter().filter(in_force).map(|c| c.route.prefix)
    }
}
