//! What a packet's journey costs: host -> customer gateway -> internet path -> VPN endpoint -> host, four devices and
//! three links, everything on that is on in a normal run: probe log, trace, digest, checksums, forwarding tables.

use std::net::Ipv4Addr;

use sim_core::id::{NodeId, Port, StreamId};
use sim_core::net::fib::{RouteSource, distance};
use sim_core::net::link::DirectionConfig;
use sim_core::net::policer;
use sim_core::node::Node;
use sim_core::node::cgw::Cgw;
use sim_core::node::endpoint::{INSIDE_PORT, OUTSIDE_PORT, TUNNEL_PORT, VpnEndpoint};
use sim_core::node::gateway::Gateway;
use sim_core::node::host::{self, Host, ProbeConfig, ProbeKind};
use sim_core::node::ip::Ip;
use sim_core::node::router::Router;
use sim_core::proto::ike::config::suite_aes256gcm_group20;
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Fate, StreamInfo};
use sim_core::world::World;

use crate::bare::{self, ROUND, SIZE};
use crate::hub::{CUSTOMER, tunnel};
use crate::meter::{Limit, Report, alternate, duration, undisturbed};

/// One packet each millisecond.
const EVERY: Duration = Duration::from_millis(1);

const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);
const APP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
const AWS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);

const TWO_HOSTS_AND: [NodeId; 4] = [NodeId(0), NodeId(1), NodeId(2), NodeId(3)];

/// The journey in ESP with AES-256-GCM, against the cipher alone.
pub fn sealed(report: &mut Report) {
    let line = "journey of 1400 octets in ESP, AES-256-GCM";
    if !report.wants(line) {
        return;
    }
    let mut world = through_a_tunnel();
    let rounds = report.samples(301, 51);
    let ours = &mut || run(&mut world);
    report.compare_narrowly(line, Limit::Cost(3.0), rounds, ours, &mut bare::gcm());
    assert_eq!(world.trace.drops().values().map(|d| d.packets).sum::<u64>(), 0, "nothing is lost on the way");
}

/// The same four devices and three links without a tunnel.
pub fn plain(report: &mut Report) {
    let line = "the same without encryption";
    if !report.wants(line) {
        return;
    }
    let mut world = through_routers();
    let [cost] = alternate(report.samples(301, 51), [&mut || run(&mut world)]);
    let cost = undisturbed(cost);
    let hops = format!("{:.2} million packet-hops per CPU second", 3e9 / cost / 1e6);
    report.note(line, &duration(cost));
    report.note("", &hops);
}

/// Lets packets travel and answers how many arrived.
fn run(world: &mut World) -> u64 {
    let arrived = |world: &World| {
        let latest = world.trace.probes()[0].iter().rev().take(ROUND as usize * 2);
        latest.filter(|probe| matches!(probe.forward, Fate::Arrived(..))).count()
    };
    world.run_until(world.now() + EVERY * ROUND);
    debug_assert!(arrived(world) as u64 > ROUND);
    ROUND
}

fn through_a_tunnel() -> World {
    let mut world = World::new(1);
    let [office, cgw, endpoint, app] = TWO_HOSTS_AND;
    let ends = [(cgw, Port(2), CUSTOMER, AWS), (endpoint, TUNNEL_PORT, AWS, CUSTOMER)];
    let suite = suite_aes256gcm_group20();
    let [at_customer, at_aws] =
        ends.map(|(node, port, local, remote)| tunnel(&mut world, node, port, [local, remote], 1, &suite));

    let mut ip = Ip::new(vec![Ipv4Addr::new(10, 1, 0, 1), CUSTOMER]);
    (0..3).for_each(|port| ip.add_port(Port(port), 1500));
    ip.add_route("10.1.0.0/16".parse().expect("a prefix"), RouteSource::Connected, distance::CONNECTED, Port(0));
    ip.add_route("10.0.0.0/16".parse().expect("a prefix"), RouteSource::Static, distance::STATIC, Port(2));
    ip.default_route(Port(1));
    let customer = Gateway::new(ip, vec![at_customer], None, false);

    let mut ip = Ip::new(vec![AWS]);
    [OUTSIDE_PORT, INSIDE_PORT, TUNNEL_PORT].into_iter().for_each(|port| ip.add_port(port, 1500));
    ip.default_route(OUTSIDE_PORT);
    let aws = Gateway::new(ip, vec![at_aws], None, true);

    add_sender(&mut world, office, app);
    world.add_node("cgw", Node::Cgw(Box::new(Cgw::new(customer))));
    // The gateway behind the endpoint is left out: its place is the host's, which ignores notices.
    world.add_node("endpoint", Node::VpnEndpoint(Box::new(VpnEndpoint::new(aws, app, 0, policer::Limit::NONE))));
    add_receiver(&mut world);
    add_links(&mut world, [(Port(0), Port(1)), (OUTSIDE_PORT, INSIDE_PORT)]);
    world
}

fn through_routers() -> World {
    let mut world = World::new(1);
    let [office, _, _, app] = TWO_HOSTS_AND;
    add_sender(&mut world, office, app);
    for address in [CUSTOMER, AWS] {
        let mut router = Router::new(vec![address]);
        (0..2).for_each(|port| router.add_port(Port(port), 1500));
        router.add_route("10.1.0.0/16".parse().expect("a prefix"), Port(0));
        router.add_route("10.0.0.0/16".parse().expect("a prefix"), Port(1));
        world.add_node("router", Node::Router(Box::new(router)));
    }
    add_receiver(&mut world);
    add_links(&mut world, [(Port(0), Port(1)), (Port(0), Port(1))]);
    world
}

fn add_sender(world: &mut World, from: NodeId, to: NodeId) {
    let name = "journey".to_owned();
    world.trace.add_stream(StreamInfo { name, from, to, interval: EVERY, round_trip: false });
    let probe = ProbeConfig {
        stream: StreamId(0),
        kind: ProbeKind::UdpOneWay,
        to: APP,
        every: EVERY,
        size: SIZE,
        dont_fragment: false,
        // When the tunnel is up.
        start: Instant::from_secs(2),
        stop: Instant::NEVER,
    };
    world.add_node("office", Node::Host(Box::new(Host::new(OFFICE, 1500, vec![probe]))));
}

fn add_receiver(world: &mut World) {
    world.add_node("app", Node::Host(Box::new(Host::new(APP, 1500, Vec::new()))));
}

/// Office to the first device, an internet path of 10 ms, the second device to the app; then two seconds to set up.
fn add_links(world: &mut World, [first, second]: [(Port, Port); 2]) {
    let [office, left, right, app] = TWO_HOSTS_AND;
    let wire = DirectionConfig::default();
    let path = DirectionConfig { delay: Duration::from_millis(10), ..wire };
    world.add_link("lan", [(office, host::PORT), (left, first.0)], [wire; 2], false);
    world.add_link("internet", [(left, first.1), (right, second.0)], [path; 2], false);
    world.add_link("vpc", [(right, second.1), (app, host::PORT)], [wire; 2], false);
    world.start();
    world.run_until(Instant::from_secs(2));
}
