//! Connect attachments of transit gateways, and GRE tunnels (VPC guide "Transit gateways", page tgw-connect.html).

use core::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::id::NodeId;
use sim_core::node::ip::ReversePath;
use sim_core::proto::bgp::GracefulRestart;
use sim_core::proto::tcp::Reach;
use sim_core::time::Duration;

use crate::leaf::Asn;
use crate::plan::{
    Assumed, Assumption, Attachment, BgpEnd, Connect, ConnectPeer, Forwarding, Gre, Interface, Internal, Neighbor,
    Node, NodeKind, Plan,
};
use crate::profile;
use crate::schema;

use super::Names;
use super::connections::bgp;
use super::judge::{Judge, Verdict};
use super::nodes::{usable, whole};
use super::{sessions, transit};

/// Peers of a Connect attachment (quota).
const PEERS: usize = 4;
/// Inside blocks that AWS keeps for itself.
const RESERVED: [&str; 7] = [
    "169.254.0.0/29",
    "169.254.1.0/29",
    "169.254.2.0/29",
    "169.254.3.0/29",
    "169.254.4.0/29",
    "169.254.5.0/29",
    "169.254.169.248/29",
];

/// The names of all peers, attachment by attachment.
pub(super) fn names(scenario: &schema::Scenario, connects: &[String], j: &mut Judge) -> Vec<String> {
    let mut all = Vec::new();
    for (name, (_, schema)) in connects.iter().zip(&scenario.connect.0) {
        all.extend(j.names(&schema.peers, "Connect peer").into_iter().map(|peer| format!("{name}.{peer}")));
    }
    all
}

/// A GRE tunnel of a customer's device.
pub(super) fn gre(schema: &schema::Gre, j: &mut Judge) -> Gre {
    let unspecified = Ipv4Addr::UNSPECIFIED;
    let key = schema.key.is_some().then(|| j.number(&schema.key, 0, 0, u64::from(u32::MAX), "a GRE key"));
    let source = j.need(&schema.source, unspecified);
    let destination = j.lawful(&schema.destination, |address| {
        usable((*address).into())?;
        if *address == source { Err("a GRE tunnel has two ends".into()) } else { Ok(()) }
    });
    Gre { source, destination: destination.unwrap_or(unspecified), key }
}

/// All Connect attachments, and the nodes of their peers.
pub(super) fn peers(scenario: &schema::Scenario, names: &Names, plan: &mut Plan, j: &mut Judge) {
    let first = names.nodes.len() - names.tunnels.len() - names.connect_peers;
    let mut own = names.nodes[first..].iter();
    let is_transit = |node: &&Node| matches!(node.kind, NodeKind::TransitGateway(_));
    let known: Vec<String> = plan.nodes.iter().filter(is_transit).map(|node| node.name.clone()).collect();
    let mut taken: Vec<(NodeId, Ipv4Addr)> = Vec::new();
    let mut inside: Vec<(NodeId, Ipv4Net)> = Vec::new();
    for (connect, (name, (at, schema))) in names.connects.iter().zip(&scenario.connect.0).enumerate() {
        let gateway = j.find(&schema.gateway, "transit gateway", &known).and_then(|i| plan.node(&known[i]));
        let gateway = gateway.unwrap_or(NodeId(u32::MAX));
        if schema.peers.0.is_empty() {
            j.wrong(at.place, "this Connect attachment has no peer", None);
        }
        if let Some((extra, _)) = schema.peers.0.get(PEERS) {
            j.wrong(extra.place, format!("a Connect attachment has at most {PEERS} peers"), None);
        }
        let mut made =
            Connect { name: name.clone(), gateway, transport: transport(schema, gateway, plan, j), peers: Vec::new() };
        for (_, schema) in &schema.peers.0 {
            let (blocks, asn) = match plan.nodes.get(gateway.index()).map(|node| &node.kind) {
                Some(NodeKind::TransitGateway(transit)) => (transit.cidr_blocks.clone(), transit.asn),
                _ => (Vec::new(), 0),
            };
            let address = j.lawful(&schema.transit_gateway_address, |address| {
                if taken.contains(&(gateway, *address)) {
                    return Err(format!("another Connect peer of this transit gateway has {address}"));
                }
                match blocks.iter().any(|block| block.contains(address)) {
                    true => Ok(()),
                    false => Err(format!("{address} is in none of the transit gateway's own `cidr_blocks`")),
                }
            });
            let block = j.lawful(&schema.inside_cidr, |net| {
                inside_rules(net)?;
                match inside.contains(&(gateway, *net)) {
                    true => Err(format!("{net} is already the inside CIDR of another peer of this transit gateway")),
                    false => Ok(()),
                }
            });
            taken.extend(address.map(|address| (gateway, address)));
            inside.extend(block.map(|block| (gateway, block)));
            let name = own.next().cloned().unwrap_or_default();
            let peer = ConnectPeer {
                connect,
                address: address.unwrap_or(Ipv4Addr::UNSPECIFIED),
                peer_address: j.need(&schema.peer_address, Ipv4Addr::UNSPECIFIED),
                ..peer(schema, (connect, &name), block.unwrap_or_default(), asn, j)
            };
            plan.assumptions.extend(assumptions(&name, &peer.forwarding.neighbors[0].end));
            made.peers.push(NodeId(plan.nodes.len() as u32));
            plan.nodes.push(Node { name, kind: NodeKind::ConnectPeer(Box::new(peer)) });
        }
        plan.connects.push(made);
    }
}

/// A /29 of 169.254.0.0/16 that AWS does not keep for itself.
fn inside_rules(net: &Ipv4Net) -> Verdict {
    if net.prefix_len() != 29 || net.network().octets()[..2] != [169, 254] {
        return Err(format!("the inside CIDR of a Connect peer is a /29 of 169.254.0.0/16, not {net}"));
    }
    whole(net)?;
    match RESERVED.contains(&net.to_string().as_str()) {
        true => Err(format!("AWS reserves {net}: also reserved are {}", RESERVED.join(", "))),
        false => Ok(()),
    }
}

/// The attachment that transports the tunnels.
fn transport(schema: &schema::Connect, gateway: NodeId, plan: &Plan, j: &mut Judge) -> Attachment {
    let attached = match plan.nodes.get(gateway.index()).map(|node| &node.kind) {
        Some(NodeKind::TransitGateway(transit)) => transit::attachments(plan, gateway, transit),
        _ => return Attachment::Vpc(NodeId(u32::MAX)),
    };
    let fit = attached.into_iter().filter_map(|attachment| match attachment {
        Attachment::Vpc(node) | Attachment::DirectConnectGateway(node) => {
            Some((plan.nodes.get(node.index())?.name.clone(), attachment))
        }
        Attachment::Connection(_) | Attachment::Peering(_) | Attachment::Connect(_) | Attachment::Concentrator(..) => {
            None
        }
    });
    let (names, attachments): (Vec<String>, Vec<Attachment>) = fit.unzip();
    let what = "VPC or Direct Connect gateway attached to this transit gateway";
    j.find(&schema.transport, what, &names).map_or(Attachment::Vpc(NodeId(u32::MAX)), |i| attachments[i])
}

/// AWS's end: the second and third host of the block, and a session from each to the first.
fn peer(
    schema: &schema::ConnectPeer,
    (connect, name): (usize, &str),
    block: Ipv4Net,
    amazon: u32,
    j: &mut Judge,
) -> ConnectPeer {
    let own = name.rsplit('.').next().unwrap_or_default();
    let asn = schema.asn.as_ref().and_then(|at| j.read(at)).map_or(amazon, |Asn(asn)| asn);
    let internal = asn == amazon;
    let host = |n: u32| Ipv4Addr::from(u32::from(block.network()).saturating_add(n));
    let end = BgpEnd {
        // What AWS announces must not outdo what it hears: the gateway chooses.
        local_preference: 101,
        reach: Reach::Multihop(if internal { u8::MAX } else { 2 }),
        max_prefixes: Some(sessions::quota(true)),
        most_announced: Some(sessions::announced(true)),
        graceful_restart: Some(GracefulRestart::default()),
        ..bgp(&schema.timers, amazon, &profile::AWS, j)
    };
    let inside = Internal { route_reflector_client: false, next_hop_self: true, keeps_local_preference: false };
    let interface = |n: u32| Interface {
        name: format!("{own}{}", n - 1),
        address: Ipv4Net::new(host(n), block.prefix_len()).unwrap_or_default(),
        reverse_path: ReversePath::Off,
        access_list: Vec::new(),
        lag: None,
        vlan: None,
        virtual_routers: Vec::new(),
        gre: None,
    };
    let neighbor = |interface: usize| Neighbor {
        name: format!("{own}{}", interface + 1),
        interface,
        address: host(1),
        asn,
        end: end.clone(),
        bfd: None,
        // Behind the tunnel, which is the way to its address.
        attached: false,
        internal: internal.then_some(inside),
    };
    ConnectPeer {
        connect,
        address: Ipv4Addr::UNSPECIFIED,
        peer_address: Ipv4Addr::UNSPECIFIED,
        asn: amazon,
        interfaces: [2, 3].map(interface).to_vec(),
        forwarding: Forwarding { neighbors: [0, 1].map(neighbor).to_vec(), ..Forwarding::default() },
    }
}

/// What AWS does not publish of Connect.
fn assumptions(name: &str, end: &BgpEnd) -> [Assumption; 2] {
    let (connect, own) = name.split_once('.').unwrap_or((name, ""));
    let assume = |what, setting: &str, value: Duration| Assumption {
        what,
        owner: Some(name.to_owned()),
        parameter: format!("connect.{connect}.peers.{own}.timers.{setting}"),
        value: value.to_string(),
        source: "UNVERIFIED: AWS documents hold time and keepalive of Connect; the rest is RFC 4271 section 10".into(),
        range: None,
    };
    [
        assume(Assumed::ConnectRetry, "connect_retry", end.connect_retry),
        assume(Assumed::IdleHold, "idle_hold", end.idle_hold),
    ]
}

/// The Connect peers of a transit gateway in order.
pub(crate) fn peers_of(plan: &Plan, gateway: NodeId) -> impl Iterator<Item = (NodeId, &ConnectPeer, Attachment)> {
    let of = plan.connects.iter().filter(move |connect| connect.gateway == gateway);
    let all = of.flat_map(|connect| connect.peers.iter().map(|peer| (*peer, connect.transport)));
    all.filter_map(|(id, transport)| match &plan.nodes[id.index()].kind {
        NodeKind::ConnectPeer(peer) => Some((id, &**peer, transport)),
        _ => None,
    })
}
