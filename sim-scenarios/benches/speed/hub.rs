//! A customer gateway with many tunnels, each to an endpoint of its own, and a router between.

use std::net::Ipv4Addr;
use std::sync::Arc;

use sim_core::id::{NodeId, Port};
use sim_core::net::link::DirectionConfig;
use sim_core::net::policer::Limit;
use sim_core::node::Node;
use sim_core::node::cgw::Cgw;
use sim_core::node::endpoint::{INSIDE_PORT, OUTSIDE_PORT, TUNNEL_PORT, VpnEndpoint};
use sim_core::node::gateway::Gateway;
use sim_core::node::host::Host;
use sim_core::node::ip::Ip;
use sim_core::node::router::Router;
use sim_core::node::tunnel::{Options, Tunnel, TunnelConfig};
use sim_core::proto::ike::Config;
use sim_core::proto::ike::config::{EspOffer, Identity, IkeOffer, Startup};
use sim_core::time::Duration;
use sim_core::trace::{SessionInfo, SessionKind};
use sim_core::world::World;

/// What IKE and ESP may use.
pub type Suite = (IkeOffer, EspOffer);

/// The customer gateway's outside address.
pub const CUSTOMER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The customer gateway.
const HUB: NodeId = NodeId(1);
const ROUTER: NodeId = NodeId(2);
const FIRST_ENDPOINT: u32 = 3;

/// A world that has not started, in which the gateway initiates all tunnels at once.
pub fn world(seed: u64, tunnels: u16, suite: &Suite) -> World {
    let mut world = World::new(seed);
    // The gateways behind the endpoints are left out: a host takes their place, which ignores notices.
    let owner = world.add_node("owner", Node::Host(Box::new(Host::new(Ipv4Addr::new(10, 0, 0, 1), 1500, Vec::new()))));
    let ends = |world: &mut World, n: u16| {
        let endpoint = NodeId(FIRST_ENDPOINT + u32::from(n));
        let here = tunnel(world, HUB, Port(n + 1), [CUSTOMER, endpoint_address(n)], seed, suite);
        (here, tunnel(world, endpoint, TUNNEL_PORT, [endpoint_address(n), CUSTOMER], seed, suite))
    };
    let (customer, aws): (Vec<Tunnel>, Vec<Tunnel>) = (0..tunnels).map(|n| ends(&mut world, n)).unzip();

    let mut ip = Ip::new(vec![CUSTOMER]);
    (0..=tunnels).for_each(|port| ip.add_port(Port(port), 1500));
    ip.default_route(Port(0));
    world.add_node("hub", Node::Cgw(Box::new(Cgw::new(Gateway::new(ip, customer, None, false)))));
    let mut router = Router::new(vec![Ipv4Addr::new(192, 0, 2, 1)]);
    (0..=tunnels).for_each(|port| router.add_port(Port(port), 1500));
    router.add_route(CUSTOMER.into(), Port(0));
    (0..tunnels).for_each(|n| router.add_route(endpoint_address(n).into(), Port(n + 1)));
    world.add_node("router", Node::Router(Box::new(router)));
    for (n, end) in (0..).zip(aws) {
        let mut ip = Ip::new(vec![endpoint_address(n)]);
        [OUTSIDE_PORT, INSIDE_PORT, TUNNEL_PORT].into_iter().for_each(|port| ip.add_port(port, 1500));
        ip.default_route(OUTSIDE_PORT);
        let gateway = Gateway::new(ip, vec![end], None, true);
        world.add_node("endpoint", Node::VpnEndpoint(Box::new(VpnEndpoint::new(gateway, owner, n, Limit::NONE))));
    }

    let wire = DirectionConfig::default();
    let path = DirectionConfig { delay: Duration::from_millis(10), ..wire };
    world.add_link("internet", [(HUB, Port(0)), (ROUTER, Port(0))], [path; 2], false);
    for n in 0..tunnels {
        let endpoint = NodeId(FIRST_ENDPOINT + u32::from(n));
        world.add_link("edge", [(ROUTER, Port(n + 1)), (endpoint, OUTSIDE_PORT)], [wire; 2], false);
    }
    world
}

/// How many tunnels are up at the gateway.
pub fn up(world: &World) -> usize {
    let Node::Cgw(hub) = world.node(HUB) else { unreachable!("the hub is a customer gateway") };
    hub.gateway().tunnels.iter().filter(|tunnel| tunnel.is_up()).count()
}

fn endpoint_address(n: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 1)) + u32::from(n))
}

/// What IKE is told at the end with the first address.
pub fn config(local: Ipv4Addr, remote: Ipv4Addr, suite: &Suite) -> Arc<Config> {
    let mut config = Config::aws(Identity::Ipv4(local), Identity::Ipv4(remote), b"an.example_key");
    (config.ike_offers, config.esp_offers) = (vec![suite.0.clone()], vec![suite.1.clone()]);
    config.startup = if local == CUSTOMER { Startup::Start } else { Startup::Add };
    Arc::new(config)
}

/// A tunnel end from the first address to the second; the customer's initiates.
pub fn tunnel(
    world: &mut World,
    node: NodeId,
    port: Port,
    [local, remote]: [Ipv4Addr; 2],
    seed: u64,
    suite: &Suite,
) -> Tunnel {
    let name = format!("{local}/{remote}");
    let mut session = |kind| world.trace.add_session(SessionInfo { kind, node, name: name.clone(), peer: None });
    let (ike_session, child_session) = (session(SessionKind::Ike), session(SessionKind::Child));
    Tunnel::new(TunnelConfig {
        prepared: Vec::new(),
        name,
        seed,
        port,
        local: local.into(),
        remote: remote.into(),
        any_remote: false,
        outer_mtu: 1500,
        ike: config(local, remote, suite),
        replay_window: 1024,
        options: Options::default(),
        nat_keepalive: None,
        ike_session,
        child_session,
    })
}
