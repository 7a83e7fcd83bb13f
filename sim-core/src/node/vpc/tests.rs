use super::*;
use crate::id::NodeId;
use crate::net::aws::vpc::{PROPAGATED, Propagated};
use crate::trace::{Trace, What};

/// A VPC alone, to which a gateway propagates.
struct Bench {
    vpc: Vpc,
    trace: Trace,
}

impl Bench {
    fn new() -> Self {
        let cidr = "10.0.0.0/16".parse().unwrap();
        let tables = vec![TableConfig { propagation: true, ..TableConfig::default() }];
        let config = VpcConfig { cidrs: vec![cidr], tables, mtu: 1500, ..VpcConfig::default() };
        Self { vpc: Vpc::new(config), trace: Trace::default() }
    }

    /// The gateway offers a prefix, or does so no longer.
    fn told(&mut self, prefix: Ipv4Net, offered: Option<Propagated>) {
        let (mut out, mut packets) = (Vec::new(), 0);
        let mut cx = Cx {
            now: Instant::from_secs(1),
            node: NodeId(0),
            cause: RecordId::GENESIS,
            enabler: RecordId::GENESIS,
            trace: &mut self.trace,
            out: &mut out,
            packets: &mut packets,
            rearm: false,
        };
        self.vpc.notice(&mut cx, Notice::Propagate { prefix: IpNet::V4(prefix), offered });
    }

    /// The propagated routes that packets follow.
    fn in_force(&self) -> usize {
        self.vpc.ip(0).fib().iter().filter(|route| route.source == RouteSource::Propagated).count()
    }

    fn has(&self, prefix: Ipv4Net) -> bool {
        self.vpc.ip(0).fib().best(prefix).is_some()
    }

    /// How often the table was too full for a route.
    fn refused(&self) -> usize {
        let full = |what: &What| matches!(what, What::Route { reason: Reason::TableFull, .. });
        self.trace.records().filter(|(_, record)| full(&record.what)).count()
    }
}

fn site(number: usize) -> Ipv4Net {
    format!("10.1.{number}.0/24").parse().unwrap()
}

/// VPC quotas: 100 propagated routes a route table, which cannot be raised. What is over waits for room, and what is in
/// stays in, whichever was announced last.
#[test]
fn a_table_takes_a_hundred_propagated_routes() {
    let bgp = Some(Propagated::VpnBgp);
    let mut bench = Bench::new();
    (0..PROPAGATED).for_each(|number| bench.told(site(number), bgp));
    assert_eq!((bench.in_force(), bench.refused()), (100, 0));
    let (over, next) = (site(100), site(101));
    bench.told(next, bgp);
    bench.told(over, bgp);
    assert_eq!((bench.in_force(), bench.refused()), (100, 2));
    assert!(!bench.has(over) && !bench.has(next) && bench.has(site(0)));
    // Said again it is no news, and there is no more room than before.
    bench.told(over, bgp);
    bench.told(site(7), bgp);
    assert_eq!((bench.in_force(), bench.refused()), (100, 2));
    // What waits is taken in the order of prefixes; which AWS takes is not published.
    bench.told(site(3), None);
    assert!(!bench.has(site(3)) && bench.has(over) && !bench.has(next));
    assert_eq!(bench.in_force(), 100);
    // What waited and is withdrawn takes nobody's place.
    bench.told(next, None);
    bench.told(site(4), None);
    assert_eq!(bench.in_force(), 99);
    assert!(!bench.has(next));
}

/// The VPC's own addresses are local whatever is propagated, and take no room.
#[test]
fn a_route_to_the_vpc_itself_takes_no_room() {
    let bgp = Some(Propagated::VpnBgp);
    let mut bench = Bench::new();
    bench.told("10.0.7.0/24".parse().unwrap(), bgp);
    (0..PROPAGATED).for_each(|number| bench.told(site(number), bgp));
    assert_eq!((bench.in_force(), bench.refused()), (100, 0));
}
