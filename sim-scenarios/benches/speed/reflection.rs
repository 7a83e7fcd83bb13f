//! An AS of 197 routers with three route reflectors and two external peers: the graph Cogentco of the Internet Topology Zoo,
//! which the `bgpsim` crate carries, once as that crate simulates it and once as our speakers over our TCP.
//!
//! bgpsim hands a value from router to router for each prefix, without octets, sessions or time. Here every router is a
//! [`Speaker`] on a [`Stack`], and each packet arrives after what its way through the graph takes; the sessions are set
//! up within the time that counts. The two must end with the same way out of the AS for each router and prefix.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use bgpsim::event::BasicEventQueue;
use bgpsim::interactive::InteractiveNetwork as _;
use bgpsim::network::Network;
use bgpsim::ospf::GlobalOspf;
use bgpsim::topology_zoo::TopologyZoo;
use bgpsim::types::{RouterId, SimplePrefix};
use ipnet::Ipv4Net;
use petgraph::Undirected;
use petgraph::algo::dijkstra;
use petgraph::graph::{Graph, NodeIndex};
use sim_core::packet::Packet;
use sim_core::proto::bgp::{
    ConnId, Input, InteriorCosts, Originated, Output, PeerConfig, PeerId, Speaker, SpeakerConfig,
};
use sim_core::proto::tcp::{self, Event, Stack, StackOutput, TcpConfig};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::{Duration, Instant};
use sim_core::wire::ipv4::Ipv4Packet;

/// Prefixes that each of the two external peers announces.
pub const PREFIXES: u32 = 1_000;
/// The routers of the AS.
pub const ROUTERS: usize = 197;
/// The routers outside of it.
pub const EXTERNAL_PEERS: usize = 2;
const REFLECTORS: usize = 3;
const OUR_AS: u32 = 65_000;
const FIRST_EXTERNAL_AS: u32 = 65_101;
const BGP_PORT: u16 = 179;

/// bgpsim's network, with prefixes that do not overlap and its shortest paths computed at once.
type Reference = Network<SimplePrefix, BasicEventQueue<SimplePrefix>, GlobalOspf>;

/// Who is who, and how far it is from everybody to everybody.
pub struct Plan {
    /// Link costs, by the numbers of the routers.
    links: Vec<(usize, usize, u32)>,
    distances: Vec<Vec<u32>>,
    reflectors: Vec<usize>,
    /// The routers to which the external peers are attached.
    borders: [usize; EXTERNAL_PEERS],
}

impl Plan {
    /// The graph with link costs of 10 to 100 that its numbering decides, reflectors where most links meet, and external peers
    /// at routers far from each other, such that no router is as near to one as to the other.
    pub fn new() -> Self {
        let mut rng = Rng::stream(1, "cogentco", Purpose::Test);
        let net = empty();
        let edges = net.ospf_network().internal_edges().map(|edge| (edge.src.index(), edge.dst.index()));
        // In an order of their own: the crate keeps them hashed.
        let edges: BTreeSet<_> = edges.map(|(a, b)| (a.min(b), a.max(b))).collect();
        let links: Vec<_> = edges.into_iter().map(|(a, b)| (a, b, 10 + rng.below(91) as u32)).collect();
        assert_eq!(net.num_routers(), ROUTERS, "Cogentco has that many routers");
        let mut graph: Graph<(), u32, Undirected> = Graph::with_capacity(ROUTERS, links.len());
        (0..ROUTERS).for_each(|_| {
            graph.add_node(());
        });
        for &(a, b, cost) in &links {
            graph.add_edge(NodeIndex::new(a), NodeIndex::new(b), cost);
        }
        let distances: Vec<Vec<u32>> = (0..ROUTERS)
            .map(|from| {
                let found = dijkstra(&graph, NodeIndex::new(from), None, |edge| *edge.weight());
                (0..ROUTERS).map(|to| found[&NodeIndex::new(to)]).collect()
            })
            .collect();
        let mut by_degree: Vec<usize> = (0..ROUTERS).collect();
        by_degree.sort_by_key(|&n| (Reverse(graph.neighbors(NodeIndex::new(n)).count()), n));
        let reflectors = by_degree[..REFLECTORS].to_vec();
        let clear = |a: usize, b: usize| (0..ROUTERS).all(|n| distances[n][a] != distances[n][b]);
        let pairs = (0..ROUTERS).flat_map(|a| (0..a).map(move |b| (a, b)));
        let at_an_edge = |&(a, b): &(usize, usize)| !reflectors.contains(&a) && !reflectors.contains(&b);
        let (a, b) = pairs
            .filter(at_an_edge)
            .filter(|&(a, b)| clear(a, b))
            .max_by_key(|&(a, b)| distances[a][b])
            .expect("some pair of routers is at different distances from every other");
        Self { links, distances, reflectors, borders: [a, b] }
    }

    /// The sessions within the AS, each with whether its second end is a client of its first.
    fn sessions(&self) -> impl Iterator<Item = (usize, usize, bool)> {
        let between = self.reflectors.iter().enumerate();
        let between = between.flat_map(|(n, &a)| self.reflectors[n + 1..].iter().map(move |&b| (a, b, false)));
        let clients = self.reflectors.iter().flat_map(|&reflector| {
            let clients = (0..ROUTERS).filter(|n| !self.reflectors.contains(n));
            clients.map(move |client| (reflector, client, true))
        });
        between.chain(clients)
    }
}

fn empty() -> Reference {
    TopologyZoo::Cogentco.build_internal(BasicEventQueue::new(), OUR_AS)
}

/// For each router and prefix, which external peer its traffic leaves by.
pub type Ways = Vec<Vec<usize>>;

/// bgpsim's network with its sessions, before anything is announced.
pub fn reference(plan: &Plan) -> Reference {
    let mut net = empty();
    let id = |n: usize| RouterId::new(n);
    let fine = "bgpsim takes its own graph";
    for &(a, b, cost) in &plan.links {
        for (a, b) in [(a, b), (b, a)] {
            net.set_link_weight(id(a), id(b), f64::from(cost)).expect(fine);
        }
    }
    for (a, b, client) in plan.sessions() {
        net.set_bgp_session(id(a), id(b), Some(client)).expect(fine);
    }
    for (n, &border) in plan.borders.iter().enumerate() {
        let peer = net.add_router(format!("external{n}"), FIRST_EXTERNAL_AS + n as u32);
        assert_eq!(peer.index(), ROUTERS + n, "routers are numbered in their order");
        net.add_link(id(border), peer).expect(fine);
        net.set_bgp_session(id(border), peer, Some(false)).expect(fine);
    }
    net
}

/// bgpsim from the announcements to its fixpoint, all of them at once.
pub fn settle_reference(net: &mut Reference) {
    net.manual_simulation();
    for prefix in 0..PREFIXES {
        for peer in 0..EXTERNAL_PEERS {
            let path: [u32; 0] = [];
            net.advertise_route(RouterId::new(ROUTERS + peer), prefix, path, None, []).expect("it has that router");
        }
    }
    net.simulate().expect("it converges");
}

/// What bgpsim's routers chose.
pub fn ways_of_reference(net: &Reference, plan: &Plan) -> Ways {
    let way = |router: usize, prefix: u32| {
        let router = net.get_router(RouterId::new(router)).expect("it has that router");
        let best = router.bgp.get_route(SimplePrefix::from(prefix)).expect("it has a route");
        let hop = best.route.next_hop.index();
        let through = |n: &usize| hop == ROUTERS + n || hop == plan.borders[*n];
        (0..EXTERNAL_PEERS).find(through).expect("a way out")
    };
    (0..ROUTERS).map(|router| (0..PREFIXES).map(|prefix| way(router, prefix)).collect()).collect()
}

/// The address of a router, or of the external peer with a number from [`ROUTERS`] on.
fn address(n: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0001 + n as u32)
}

/// The two ends of the wire to an external peer: ours and its own.
fn wire(peer: usize) -> [Ipv4Addr; 2] {
    [1, 2].map(|host| Ipv4Addr::new(192, 0, 2, 4 * peer as u8 + host))
}

fn prefix(n: u32) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::from(0x1400_0000 + (n << 8)), 24).expect("a length of a prefix")
}

/// A speaker on its TCP.
struct Router {
    speaker: Speaker,
    stack: Stack,
    peers: Vec<PeerConfig>,
    by_address: BTreeMap<IpAddr, PeerId>,
    by_stack: BTreeMap<tcp::ConnId, (PeerId, ConnId)>,
    by_speaker: BTreeMap<ConnId, tcp::ConnId>,
    accepted: u32,
}

/// TCP within an AS, with the buffers that a Linux socket starts with (`tcp_rmem` would be larger, `tcp_wmem` is 16 KiB).
fn tcp() -> TcpConfig {
    TcpConfig { ttl: 64, receive_buffer: 1 << 14, send_buffer: 1 << 14, ..TcpConfig::default() }
}

impl Router {
    fn new(n: usize, config: SpeakerConfig) -> Self {
        let name = format!("router{n}");
        let peers = config.peers.clone();
        let locals: BTreeSet<Ipv4Addr> = peers.iter().map(|peer| peer.local_address).collect();
        let mut stack = Stack::new(locals, Rng::stream(1, &name, Purpose::Tcp));
        for peer in &peers {
            stack.listen(BGP_PORT, Some(peer.remote_address.into()), tcp());
        }
        let by_address = peers.iter().zip(0..).map(|(peer, n)| (peer.remote_address.into(), PeerId(n))).collect();
        let speaker = Speaker::new(config, |peer| Rng::stream(1, &format!("{name}/{peer}"), Purpose::BgpTimers));
        let (by_stack, by_speaker) = (BTreeMap::new(), BTreeMap::new());
        Self { speaker, stack, peers, by_address, by_stack, by_speaker, accepted: 0 }
    }

    fn start(&mut self, now: Instant) {
        for peer in (0..self.peers.len() as u16).map(PeerId) {
            self.speaker.handle(now, Input::Start { peer });
        }
    }

    fn wake(&self) -> Instant {
        let speaker = self.speaker.wake().map_or(Instant::NEVER, |(at, _)| at);
        speaker.min(self.stack.wake().unwrap_or(Instant::NEVER))
    }

    /// Lets both machines do what follows, and gives every packet to `send`.
    fn drain(&mut self, now: Instant, mut send: impl FnMut(Packet)) {
        loop {
            if let Some(output) = self.speaker.poll() {
                self.obey(now, output);
            } else if let Some(output) = self.stack.poll() {
                match output {
                    StackOutput::Transmit { packet, .. } => send(packet),
                    StackOutput::Accepted { conn, remote, .. } => {
                        self.accepted += 1;
                        let peer = self.by_address[&remote.ip()];
                        self.join(conn, peer, ConnId::Accepted(self.accepted));
                    }
                    StackOutput::Event { conn, event } => self.hear(now, conn, event),
                    StackOutput::Ignored(_) => {}
                }
            } else {
                return;
            }
        }
    }

    fn join(&mut self, stack: tcp::ConnId, peer: PeerId, speaker: ConnId) {
        self.by_stack.insert(stack, (peer, speaker));
        self.by_speaker.insert(speaker, stack);
    }

    fn obey(&mut self, now: Instant, output: Output) {
        match output {
            Output::Connect { peer, conn } => {
                let ends = &self.peers[peer.index()];
                let remote = SocketAddrV4::new(ends.remote_address, BGP_PORT);
                let stack = self.stack.connect(now, tcp(), ends.local_address, remote);
                self.join(stack, peer, conn);
            }
            Output::Send { conn, bytes } => {
                let sent = self.stack.send(now, self.by_speaker[&conn], &bytes);
                sent.expect("the connection is open");
            }
            Output::Close { conn, .. } => panic!("no session ends, but {conn:?} did"),
            _ => {}
        }
    }

    fn hear(&mut self, now: Instant, conn: tcp::ConnId, event: Event) {
        let (peer, conn) = self.by_stack[&conn];
        match event {
            Event::Connected => self.speaker.handle(now, Input::TcpConnected { peer, conn }),
            Event::Received(bytes) => self.speaker.handle(now, Input::Received { conn, bytes: &bytes }),
            Event::Ignored(_) => {}
            other => panic!("no connection ends, but {other:?}"),
        }
    }
}

/// Packets on their way between routers, in the order of their arrival.
pub struct Mesh {
    routers: Vec<Router>,
    by_address: BTreeMap<Ipv4Addr, usize>,
    /// When, in which order among those of the same instant, and where the packet is kept.
    flights: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    sent: u64,
    packets: Vec<Option<(usize, Packet)>>,
    free: Vec<usize>,
    wakes: BTreeSet<(Instant, usize)>,
    armed: Vec<Instant>,
}

impl Mesh {
    /// All routers and the external peers, with power but without sessions.
    pub fn new(plan: &Plan) -> Self {
        let mut peers: Vec<Vec<PeerConfig>> = (0..ROUTERS + EXTERNAL_PEERS).map(|_| Vec::new()).collect();
        let everything: Ipv4Net = "0.0.0.0/0".parse().expect("a prefix");
        let within = |a: usize, b: usize| PeerConfig::new(format!("{b}"), OUR_AS, address(a), address(b), everything);
        for (reflector, other, client) in plan.sessions() {
            let mut there = within(reflector, other);
            there.route_reflector_client = client;
            let mut back = within(other, reflector);
            back.passive = true;
            peers[reflector].push(there);
            peers[other].push(back);
        }
        for (n, &border) in plan.borders.iter().enumerate() {
            let [ours, its] = wire(n);
            let subnet = Ipv4Net::new(ours, 30).expect("a length of a prefix").trunc();
            peers[border].push(PeerConfig::new("external", FIRST_EXTERNAL_AS + n as u32, ours, its, subnet));
            let mut back = PeerConfig::new("as", OUR_AS, its, ours, subnet);
            back.passive = true;
            peers[ROUTERS + n].push(back);
        }
        let router = |(n, peers): (usize, Vec<PeerConfig>)| {
            let asn = if n < ROUTERS { OUR_AS } else { FIRST_EXTERNAL_AS + (n - ROUTERS) as u32 };
            let mut config = SpeakerConfig::new(asn, address(n), peers);
            if n < ROUTERS {
                let cost = |peer: usize| (Ipv4Net::from(wire(peer)[1]), plan.distances[n][plan.borders[peer]]);
                config.interior = InteriorCosts { costs: (0..EXTERNAL_PEERS).map(cost).collect(), otherwise: None };
            } else {
                config.networks = (0..PREFIXES).map(|n| (prefix(n), Originated::default())).collect();
            }
            Router::new(n, config)
        };
        let routers: Vec<Router> = peers.into_iter().enumerate().map(router).collect();
        let mut by_address: BTreeMap<Ipv4Addr, usize> = (0..ROUTERS).map(|n| (address(n), n)).collect();
        for (n, &border) in plan.borders.iter().enumerate() {
            let [ours, its] = wire(n);
            by_address.extend([(ours, border), (its, ROUTERS + n)]);
        }
        Self {
            armed: vec![Instant::NEVER; routers.len()],
            routers,
            by_address,
            flights: BinaryHeap::new(),
            sent: 0,
            packets: Vec::new(),
            free: Vec::new(),
            wakes: BTreeSet::new(),
        }
    }

    /// Starts every session and lets time pass until nothing but KEEPALIVEs is left to be said.
    pub fn settle(&mut self, plan: &Plan) {
        /// Sooner than the first KEEPALIVE, and later than all else.
        const END: Instant = Instant::from_secs(7);
        for n in 0..self.routers.len() {
            self.routers[n].start(Instant::START);
            self.after(plan, Instant::START, n);
        }
        loop {
            let flight = self.flights.peek().map_or(Instant::NEVER, |Reverse((at, ..))| *at);
            let wake = self.wakes.first().map_or(Instant::NEVER, |(at, _)| *at);
            let now = flight.min(wake);
            if now > END {
                assert!(flight > END, "something is on its way for long");
                return;
            }
            let touched = if flight <= wake {
                let Some(Reverse((_, _, place))) = self.flights.pop() else { return };
                let (to, packet) = self.packets[place].take().expect("a flight has a packet");
                self.free.push(place);
                self.routers[to].stack.handle(now, packet.bytes());
                to
            } else {
                let Some((_, n)) = self.wakes.pop_first() else { return };
                self.armed[n] = Instant::NEVER;
                self.routers[n].speaker.handle_timeout(now);
                self.routers[n].stack.handle_timeout(now);
                n
            };
            self.after(plan, now, touched);
        }
    }

    /// Takes what a router sends, and notes when it wants to be woken.
    fn after(&mut self, plan: &Plan, now: Instant, n: usize) {
        let Self { routers, by_address, flights, sent, packets, free, .. } = self;
        routers[n].drain(now, |packet| {
            let to = by_address[&Ipv4Packet::new_unchecked(packet.bytes()).dst()];
            // A tenth of a millisecond for each unit of cost, and as much for the wire to an external peer.
            let units = if n < ROUTERS && to < ROUTERS { plan.distances[n][to] } else { 1 };
            let place = free.pop().unwrap_or_else(|| {
                packets.push(None);
                packets.len() - 1
            });
            packets[place] = Some((to, packet));
            *sent += 1;
            flights.push(Reverse((now + Duration::from_micros(100 * u64::from(units)), *sent, place)));
        });
        let wake = self.routers[n].wake();
        let before = core::mem::replace(&mut self.armed[n], wake);
        if wake != before {
            self.wakes.remove(&(before, n));
            if wake < Instant::NEVER {
                self.wakes.insert((wake, n));
            }
        }
    }

    /// What our routers chose.
    pub fn ways(&self) -> Ways {
        let way = |router: &Router, n: u32| {
            let best = router.speaker.routes().get(&prefix(n)).expect("it has a route").best();
            (0..EXTERNAL_PEERS).find(|&peer| best.next_hop == wire(peer)[1]).expect("a way out")
        };
        let ours = &self.routers[..ROUTERS];
        ours.iter().map(|router| (0..PREFIXES).map(|n| way(router, n)).collect()).collect()
    }
}
