//! What the resolver of a VPC takes from each network interface: so many packets a second, which cannot be raised (VPC user guide, page
//! AmazonDNS-concepts.html). The page is about what an interface sends, so answers do not count, and both addresses of the resolver do
//! together.
//!
//! Left out: what the interface sends to the instance metadata and time services, which nobody here asks.

use std::collections::BTreeMap;

use crate::id::Port;
use crate::net::policer::{Limit, Policer};
use crate::time::{Duration, Instant};

/// Packets a second of one network interface that the resolver takes (VPC user guide, page AmazonDNS-concepts.html).
pub const RESOLVER_PACKETS_PER_SECOND: u64 = 1024;

/// AWS does not say how it counts. With this depth the packets of a whole second may come at once, and no more: the last of them begins
/// when those before it have filled all of the second but its own part, rounded up to a nanosecond.
const DEPTH: Duration = Duration::from_nanos(1_000_000_000 - 1_000_000_000 / RESOLVER_PACKETS_PER_SECOND);

const LIMIT: Limit = Limit { packets_per_second: RESOLVER_PACKETS_PER_SECOND, depth: DEPTH, ..Limit::NONE };

/// What interfaces have sent to the resolver, by their ports.
#[derive(Clone, Debug, Default)]
pub(super) struct ResolverQuota(BTreeMap<Port, Policer>);

impl ResolverQuota {
    /// Whether a packet that comes by a port is within what its interface may send. One that is not counts for nothing.
    pub fn admit(&mut self, now: Instant, from: Port) -> bool {
        self.0.entry(from).or_insert_with(|| Policer::new(LIMIT)).admit(now, 0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many packets a second, evenly spaced over so many seconds, are taken.
    fn taken(quota: &mut ResolverQuota, from: Port, per_second: u64, seconds: u64) -> u64 {
        let at = |n: u64| Instant::START + Duration::from_nanos(n * 1_000_000_000 / per_second);
        (0..per_second * seconds).filter(|n| quota.admit(at(*n), from)).count() as u64
    }

    /// As many as the quota says pass for ever. Of twice as many the surplus fills the depth within the first second, since half of
    /// what comes is too much; from then on 1,024 a second pass: 2,048 in the first second and 1,024 in each of the next four.
    #[test]
    fn a_second_has_its_packets_and_no_more() {
        let mut quota = ResolverQuota::default();
        assert_eq!(taken(&mut quota, Port(1), 1024, 5), 5 * 1024);
        let passed = taken(&mut ResolverQuota::default(), Port(1), 2048, 5);
        assert!((6 * 1024 - 2..=6 * 1024 + 2).contains(&passed), "{passed}");
    }

    /// All at once a second's packets pass; each interface has its own, and after a second it has them again.
    #[test]
    fn at_once_a_second_of_each_interface() {
        let mut quota = ResolverQuota::default();
        let at_once = |quota: &mut ResolverQuota, second, port| {
            (0..3000).filter(|_| quota.admit(Instant::from_secs(second), Port(port))).count()
        };
        assert_eq!(at_once(&mut quota, 7, 1), 1024);
        assert_eq!(at_once(&mut quota, 7, 2), 1024);
        assert_eq!(at_once(&mut quota, 8, 1), 1024);
    }
}
