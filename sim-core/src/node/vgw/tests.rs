//! What a gateway tells its VPC, and what that makes of it.

use super::*;
use crate::net::aws::BgpPath;
use crate::node::Emit;
use crate::node::vpc::{GATEWAY_PORT, TableConfig, Vpc, VpcConfig};
use crate::trace::{Record, Trace};

const SITE: &str = "10.1.0.0/16";

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

/// A gateway whose tunnel 0 has a static route to the site, and whose tunnel 1 learns one, with its VPC.
struct Bench {
    vgw: Vgw,
    vpc: Vpc,
    trace: Trace,
    packets: u64,
    now: Instant,
}

impl Bench {
    fn new(programming_delay: Duration) -> Self {
        let config = VgwConfig {
            vpc: Some(NodeId(1)),
            beyond: Vec::new(),
            cidrs: vec![net("10.0.0.0/16")],
            statics: vec![vec![net(SITE)], vec![]],
            direct: Vec::new(),
            // Nobody but the VPC is told.
            ends: Vec::new(),
            preference: vec![1, 0],
            programming_delay,
            propagation_delay: Duration::ZERO,
            health_delay: Duration::from_secs(1),
        };
        let tables = vec![TableConfig { propagation: true, ..TableConfig::default() }];
        let cidrs = config.cidrs.clone();
        let vpc = Vpc::new(VpcConfig { cidrs, tables, mtu: 1500, ..VpcConfig::default() });
        Self { vgw: Vgw::new(config, 1500), vpc, trace: Trace::default(), packets: 0, now: Instant::START }
    }

    /// Touches the gateway and lets the VPC hear what it says. Answers what that was.
    fn touch(&mut self, input: impl FnOnce(&mut Vgw, &mut Cx)) -> Vec<Option<Propagated>> {
        let mut out = Vec::new();
        input(&mut self.vgw, &mut self.trace.cx(self.now, 0, &mut out, &mut self.packets));
        let mut said = Vec::new();
        for emit in out {
            let Emit::Notice(to, delay, _, notice) = emit else { panic!("a gateway sends no packet of its own") };
            assert_eq!((to, delay), (NodeId(1), Duration::ZERO));
            let Notice::Propagate { prefix, offered } = *notice else { panic!("{notice:?} is not for a VPC") };
            assert_eq!(prefix, IpNet::V4(net(SITE)));
            said.push(offered);
            let mut none = Vec::new();
            let mut cx = self.trace.cx(self.now, 1, &mut none, &mut self.packets);
            self.vpc.notice(&mut cx, Notice::Propagate { prefix, offered });
        }
        said
    }

    fn hear(&mut self, notice: Notice) -> Vec<Option<Propagated>> {
        self.touch(|vgw, cx| vgw.notice(cx, notice))
    }

    fn health(&mut self, tunnel: u16, healthy: bool) -> Vec<Option<Propagated>> {
        self.hear(Notice::Health { tunnel, healthy })
    }

    /// What the VPC's table calls the route to the site.
    fn kind(&self) -> Option<&'static str> {
        let weighing = self.vpc.weigh(0, net(SITE));
        let used = weighing.routes.iter().find(|route| route.gone_at.is_none())?;
        assert_eq!(used.via, Some(GATEWAY_PORT));
        Some(used.kind)
    }
}

impl Trace {
    /// A touch of a device.
    pub(in crate::node) fn cx<'a>(
        &'a mut self,
        now: Instant,
        node: u32,
        out: &'a mut Vec<Emit>,
        packets: &'a mut u64,
    ) -> Cx<'a> {
        let (cause, enabler) = (RecordId::GENESIS, RecordId::GENESIS);
        Cx { now, node: NodeId(node), cause, enabler, trace: self, out, packets, rearm: false }
    }
}

fn learned() -> Notice {
    let path = BgpPath { as_path: vec![65_010], length: 1, neighbour: Some(65_010), ..BgpPath::default() };
    Notice::Route { tunnel: 1, prefix: IpNet::V4(net(SITE)), path: Some(path) }
}

/// A VPC ranks propagated routes by where the gateway has them from (route-tables-priority.html): so it must hear of it when that
/// changes, although there is a route all the time.
#[test]
fn a_vpc_is_told_when_a_route_comes_from_elsewhere() {
    let (from_static, from_bgp) = (Some(Propagated::VpnStatic), Some(Propagated::VpnBgp));
    let mut bench = Bench::new(Duration::ZERO);
    assert_eq!(bench.health(1, true), []);
    assert_eq!(bench.hear(learned()), [from_bgp]);
    assert_eq!(bench.kind(), Some("propagated (VPN BGP)"));
    assert_eq!(bench.health(0, true), [from_static], "a static route comes before a learned one");
    assert_eq!(bench.kind(), Some("propagated (VPN static)"));
    assert_eq!(bench.hear(learned()), [], "nothing is new");
    assert_eq!(bench.health(0, false), [from_bgp]);
    assert_eq!(bench.kind(), Some("propagated (VPN BGP)"));
    assert_eq!(bench.health(1, false), [None]);
    assert_eq!(bench.kind(), None);
    let remark = |record: &Record| record.node == NodeId(1) && matches!(record.what, What::Route { stays: true, .. });
    let remarks = bench.trace.records().filter(|(_, record)| remark(record)).count();
    assert_eq!(remarks, 2, "each change of the source is remarked on at the VPC");
}

/// The VPC hears of it no sooner than packets follow it.
#[test]
fn a_vpc_is_told_when_the_choice_is_programmed() {
    let mut bench = Bench::new(Duration::from_secs(5));
    bench.health(1, true);
    assert_eq!(bench.hear(learned()), []);
    bench.now = Instant::from_secs(2);
    assert_eq!(bench.health(0, true), []);
    bench.now = Instant::from_secs(5);
    assert_eq!(bench.touch(Vgw::timeout), [Some(Propagated::VpnBgp)]);
    bench.now = Instant::from_secs(7);
    assert_eq!(bench.touch(Vgw::timeout), [Some(Propagated::VpnStatic)]);
}
