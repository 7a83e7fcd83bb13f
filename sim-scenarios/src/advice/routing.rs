//! Which way traffic goes, which routes hide which, and how soon BGP notices that one is dead.

use ipnet::Ipv4Net;
use sim_core::id::NodeId;

use super::drawing::{Drawing, Exit};
use super::rule::{
    DEFAULT_ROUTE, DX_WITHOUT_BFD, GRACEFUL_AND_BFD, LOCAL_PREFERENCE_BEATS_MED, NEAR_PREFIX_LIMIT, NEAR_ROUTE_LIMIT,
    PREPENDING_BEATS_MED, SAME_ASN, SITE_INSIDE_VPC, SITES_OVERLAP, STATIC_VPN_BESIDE_DX,
};
use super::{Desk, listed, short};
use crate::plan::{Attachment, Connection, Forwarding, NodeKind, Routing};

/// From which part of a limit on it is near, in percent.
const NEAR: usize = 80;
/// Propagated routes of a VPC route table (VPC quotas; it cannot be raised).
const PROPAGATED: usize = 100;

pub(super) fn look(desk: &mut Desk<'_>, drawing: &Drawing<'_>) {
    static_beside_dx(desk, drawing);
    med(desk);
    default_routes(desk);
    overlaps(desk, drawing);
    same_asn(desk, drawing);
    neighbors(desk, drawing);
    limits(desk);
}

/// What a connection tells AWS of its site.
fn told(desk: &Desk<'_>, connection: &Connection) -> Vec<Ipv4Net> {
    match &connection.routing {
        Routing::Static(prefixes) => prefixes.clone(),
        Routing::Bgp => advertised(desk, connection.customer_gateway).to_vec(),
    }
}

fn advertised<'p>(desk: &Desk<'p>, node: NodeId) -> &'p [Ipv4Net] {
    match &desk.plan.nodes[node.index()].kind {
        NodeKind::CustomerGateway(cgw) => &cgw.advertise,
        NodeKind::BgpRouter(router) => &router.advertise,
        _ => &[],
    }
}

fn forwarding<'p>(desk: &Desk<'p>, node: NodeId) -> Option<&'p Forwarding> {
    match &desk.plan.nodes[node.index()].kind {
        NodeKind::CustomerGateway(cgw) => Some(&cgw.forwarding),
        NodeKind::BgpRouter(router) => Some(&router.forwarding),
        _ => None,
    }
}

/// On a transit gateway a static route comes before a learned one for the same destination, and a longer one before both.
fn static_beside_dx(desk: &mut Desk<'_>, drawing: &Drawing<'_>) {
    for (_, connection) in desk.connections() {
        let Routing::Static(prefixes) = &connection.routing else { continue };
        if !matches!(desk.plan.nodes[connection.gateway.index()].kind, NodeKind::TransitGateway(_)) {
            continue;
        }
        let mut learned = Vec::new();
        for line in drawing.lines() {
            let Exit::Line { from, interface, .. } = line else { continue };
            if drawing.behind(interface).contains(&connection.gateway) {
                learned.extend(advertised(desk, from).iter().map(|prefix| (*prefix, desk.name(interface))));
            }
        }
        let taken: Vec<String> = prefixes
            .iter()
            .filter_map(|ours| {
                learned
                    .iter()
                    .find(|(theirs, _)| theirs.contains(ours))
                    .map(|(_, over)| format!("{ours} (from {over})"))
            })
            .collect();
        if taken.is_empty() {
            continue;
        }
        let text = format!(
            "{} has static routes on {} for what Direct Connect announces there too: {}. On a transit gateway a static route comes before \
             every learned one for the same destination, so AWS sends all of it into the VPN while Direct Connect is up.",
            connection.name,
            desk.name(connection.gateway),
            listed(&taken)
        );
        let change = "BGP on the VPN connection, or static routes that are broader than what Direct Connect announces";
        desk.say(STATIC_VPN_BESIDE_DX, format!("connections.{}.routing", connection.name), text, change);
    }
}

/// During maintenance AWS moves traffic by the MED, which is weighed after LOCAL_PREF and AS_PATH.
fn med(desk: &mut Desk<'_>) {
    for (_, connection) in desk.connections() {
        let ends: Vec<_> = connection.tunnels.iter().filter_map(|t| Some((t, &t.bgp.as_ref()?.1))).collect();
        let [(a, of_a), (b, of_b)] = ends.as_slice() else { continue };
        let at =
            |tunnel, setting| format!("connections.{}.tunnels.{}.customer.{setting}", connection.name, short(tunnel));
        if of_a.prepend != of_b.prepend {
            let (long, lesser) = if of_a.prepend > of_b.prepend { (a, b) } else { (b, a) };
            let text = format!(
                "The customer gateway prepends on {} and not as often on {}. AWS weighs the length of AS_PATH before the MED, so it holds \
                 on to {} whatever MED either end says, and {} itself is not steered at all by what it prepends.",
                long.name,
                lesser.name,
                lesser.name,
                desk.name(connection.customer_gateway)
            );
            let change = "equal AS_PATHs over both tunnels and a MED, if one tunnel is to be AWS's first choice";
            desk.say(PREPENDING_BEATS_MED, at(long, "prepend"), text, change);
        }
        if of_a.local_preference != of_b.local_preference {
            let (high, other) = if of_a.local_preference > of_b.local_preference { (a, b) } else { (b, a) };
            let text = format!(
                "The customer gateway prefers {} by LOCAL_PREF. Before AWS replaces an endpoint it moves traffic by the MED of the other \
                 tunnel, which LOCAL_PREF outranks: traffic stays on {} until a timer ends it, although {} is up.",
                high.name, high.name, other.name
            );
            let change = "equal LOCAL_PREF (and weight) for both tunnels, so that AWS's MED decides";
            desk.say(LOCAL_PREFERENCE_BEATS_MED, at(high, "local_preference"), text, change);
        }
    }
}

/// A default route that leads to a transit gateway takes what has no better route, also the answers to the internet.
fn default_routes(desk: &mut Desk<'_>) {
    let is_default = |prefix: &Ipv4Net| prefix.prefix_len() == 0;
    for (i, node) in desk.plan.nodes.iter().enumerate() {
        match &node.kind {
            NodeKind::Vpc(vpc) => {
                let has_internet_gateway =
                    desk.plan.nodes.iter().any(
                        |other| matches!(&other.kind, NodeKind::InternetGateway(it) if it.vpc == NodeId(i as u32)),
                    );
                for table in &vpc.route_tables {
                    let to_gateway = table.routes.iter().position(|(to, target)| {
                        let tgw = target
                            .is_some_and(|it| matches!(desk.plan.nodes[it.index()].kind, NodeKind::TransitGateway(_)));
                        is_default(to) && tgw
                    });
                    let Some(route) = to_gateway.filter(|_| has_internet_gateway) else { continue };
                    let text = format!(
                        "Route table {} of {} sends everything that it has no other route for to a transit gateway, and the VPC has an \
                         internet gateway: answers of whoever has an Elastic IP address in its subnets leave by another way than \
                         requests come in, and are lost.",
                        table.name, node.name
                    );
                    let change = "the networks of the sites to the transit gateway, and the default route to the internet gateway";
                    desk.say(
                        DEFAULT_ROUTE,
                        format!("nodes.{}.route_tables.{}.routes.{route}", node.name, table.name),
                        text,
                        change,
                    );
                }
            }
            NodeKind::TransitGateway(gateway) => {
                for table in &gateway.route_tables {
                    let to_site = table.routes.iter().position(|(to, target)| {
                        is_default(to)
                            && matches!(target, Some(Attachment::Connection(_) | Attachment::DirectConnectGateway(_)))
                    });
                    let Some(route) = to_site else { continue };
                    let text = format!(
                        "Table {} of {} sends everything that it has no other route for to a site: what VPCs send to the internet, or to a \
                         network that is withdrawn, goes there through the VPN, and needs a way on and a translation there.",
                        table.name, node.name
                    );
                    let change = "the sites' own networks, unless the site is meant to be the way to the internet";
                    desk.say(
                        DEFAULT_ROUTE,
                        format!("nodes.{}.route_tables.{}.routes.{route}", node.name, table.name),
                        text,
                        change,
                    );
                }
            }
            _ => {}
        }
    }
}

fn overlaps(desk: &mut Desk<'_>, drawing: &Drawing<'_>) {
    let vpcs_behind = |gateway: NodeId| match &desk.plan.nodes[gateway.index()].kind {
        NodeKind::VirtualPrivateGateway(it) => it.vpc.into_iter().collect(),
        NodeKind::TransitGateway(it) => it.vpcs.clone(),
        _ => Vec::new(),
    };
    let mut said: Vec<(String, String)> = Vec::new();
    for (i, connection) in desk.connections() {
        for ours in told(desk, connection) {
            for vpc in vpcs_behind(connection.gateway) {
                let NodeKind::Vpc(it) = &desk.plan.nodes[vpc.index()].kind else { continue };
                // A network around the VPC's is a broader route, which hides nothing.
                if it.cidr.contains(&ours) {
                    let text = format!(
                        "The site behind {} says that it has {ours}, which is out of {}'s own block {}: inside the VPC `local` comes before \
                         every propagated route, however specific, so the VPC's hosts never reach the site's.",
                        connection.name,
                        desk.name(vpc),
                        it.cidr
                    );
                    let path = format!("nodes.{}.advertise", desk.name(connection.customer_gateway));
                    let path = if connection.routing == Routing::Bgp {
                        path
                    } else {
                        format!("connections.{}.routing.prefixes", connection.name)
                    };
                    desk.say(
                        SITE_INSIDE_VPC,
                        path,
                        text,
                        "other addresses for one of the two, or NAT at the customer gateway",
                    );
                }
            }
            // Two sites of one gateway; those that are one site are each other's backup.
            for (_, other) in desk.connections().take(i) {
                let apart = !drawing.same_site(connection.customer_gateway, other.customer_gateway);
                let pair = (connection.customer_gateway, other.customer_gateway);
                let names = (desk.name(pair.1).to_owned(), desk.name(pair.0).to_owned());
                if other.gateway != connection.gateway || !apart || said.contains(&names) {
                    continue;
                }
                let theirs = told(desk, other);
                // A default route and a longer one do not contend, and neither do a network and a part of it by design.
                let Some(same) = theirs.iter().find(|theirs| **theirs == ours && ours.prefix_len() > 0) else {
                    continue;
                };
                let text = format!(
                    "{} and {}, which the drawing does not join, both say on {} that they have {same}: AWS sends a packet for it to the one that \
                     it prefers, whichever has the host.",
                    names.0,
                    names.1,
                    desk.name(connection.gateway)
                );
                let change = "other addresses for one site; if they are one site, a link between them, by which each reaches what the other has";
                desk.say(SITES_OVERLAP, format!("nodes.{}.advertise", names.1), text, change);
                said.push(names);
            }
        }
    }
}

/// Sites of a CloudHub tell each other of their networks through AWS, and drop what names their own AS.
fn same_asn(desk: &mut Desk<'_>, drawing: &Drawing<'_>) {
    let mut said = Vec::new();
    for (i, connection) in desk.connections() {
        for (_, other) in desk.connections().take(i) {
            let (a, b) = (other.customer_gateway, connection.customer_gateway);
            let vgw = matches!(desk.plan.nodes[connection.gateway.index()].kind, NodeKind::VirtualPrivateGateway(_));
            let both = connection.routing == Routing::Bgp && other.routing == Routing::Bgp;
            if connection.gateway != other.gateway || !vgw || !both || drawing.same_site(a, b) || said.contains(&(a, b))
            {
                continue;
            }
            let asn = |node: NodeId| match &desk.plan.nodes[node.index()].kind {
                NodeKind::CustomerGateway(cgw) => Some(cgw.asn),
                _ => None,
            };
            // Who announces the same network stands in for the other, and is no site for it to reach.
            let theirs = told(desk, other);
            if told(desk, connection).iter().any(|ours| theirs.contains(ours)) {
                continue;
            }
            let Some(same) = asn(a).filter(|asn_of_a| asn(b) == Some(*asn_of_a)) else { continue };
            let text = format!(
                "{} and {} have the same autonomous system, {same}, on {}: each drops what AWS tells it of the other, so the two sites do \
                 not reach each other by CloudHub.",
                desk.name(a),
                desk.name(b),
                desk.name(connection.gateway)
            );
            desk.say(
                SAME_ASN,
                format!("nodes.{}.asn", desk.name(b)),
                text,
                "an autonomous system of its own for each site",
            );
            said.push((a, b));
        }
    }
}

/// Sessions of Direct Connect: 90 s of hold time, or 0.9 s of BFD.
fn neighbors(desk: &mut Desk<'_>, drawing: &Drawing<'_>) {
    for (i, node) in desk.plan.nodes.iter().enumerate() {
        let id = NodeId(i as u32);
        let Some(forwarding) = forwarding(desk, id) else { continue };
        for neighbor in &forwarding.neighbors {
            let path = format!("nodes.{}.neighbors.{}", node.name, neighbor.name);
            if neighbor.bfd.is_some() && neighbor.end.graceful_restart.is_some() {
                let text = format!(
                    "{}'s session {} has BFD and graceful restart: BFD ends it within a second so that traffic moves, and graceful restart \
                     keeps using the routes of a session that ended. AWS advises against both at once.",
                    node.name, neighbor.name
                );
                desk.say(
                    GRACEFUL_AND_BFD,
                    format!("{path}.graceful_restart"),
                    text,
                    "one of the two: BFD where another way exists",
                );
            }
            let of_line = drawing.lines().find_map(|line| match line {
                Exit::Line { from, link, interface } if from == id => {
                    let ends = &desk.plan.links[link.index()].ends;
                    ends.iter()
                        .any(|end| end.node == id && end.interface == Some(neighbor.interface))
                        .then_some(interface)
                }
                _ => None,
            });
            let Some(interface) = of_line.filter(|_| neighbor.bfd.is_none() && neighbor.attached) else { continue };
            let NodeKind::VirtualInterface(aws) = &desk.plan.nodes[interface.index()].kind else { continue };
            let aws_hold = aws.forwarding.neighbors.first().map_or(neighbor.end.hold_time, |it| it.end.hold_time);
            let hold = neighbor.end.hold_time.min(aws_hold);
            let text = format!(
                "{}'s session over {} has no BFD: a line that goes silent without losing its carrier is used on until the hold timer of \
                 {hold} expires. AWS's end is ready for BFD (300 ms, three missed) as soon as the customer's has it.",
                node.name,
                desk.name(interface)
            );
            desk.say(DX_WITHOUT_BFD, path, text, "`bfd: ()` at the neighbor, which detects within 0.9 s");
        }
    }
}

fn limits(desk: &mut Desk<'_>) {
    for (_, connection) in desk.connections() {
        if connection.routing != Routing::Bgp {
            continue;
        }
        let limit =
            connection.tunnels.first().and_then(|t| t.bgp.as_ref()?.0.max_prefixes.as_ref()).map(|it| it.most as usize);
        let count = told(desk, connection).len();
        let Some(limit) = limit.filter(|limit| count * 100 >= limit * NEAR) else { continue };
        let cgw = desk.name(connection.customer_gateway);
        let single =
            advertised(desk, connection.customer_gateway).iter().filter(|prefix| prefix.prefix_len() == 32).count();
        let hosts = if single == 0 { String::new() } else { format!(" {single} of them are /32.") };
        let text = format!(
            "{cgw} advertises {count} prefixes over {}, of which AWS takes {limit}: above that it ends the session (Cease 6/1), and with it \
             the tunnel's traffic.{hosts}",
            connection.name
        );
        let change = "summaries in place of single networks, and an export policy that lets nothing else out";
        desk.say(NEAR_PREFIX_LIMIT, format!("nodes.{cgw}.advertise"), text, change);
    }
    for node in &desk.plan.nodes {
        let NodeKind::Vpc(vpc) = &node.kind else { continue };
        for table in &vpc.route_tables {
            let of_table = desk.connections().filter(|(_, c)| table.propagation.contains(&c.gateway));
            let mut all: Vec<Ipv4Net> = of_table.flat_map(|(_, connection)| told(desk, connection)).collect();
            all.sort_unstable();
            all.dedup();
            if all.len() * 100 < PROPAGATED * NEAR {
                continue;
            }
            let text = format!(
                "{} networks are propagated into route table {} of {}, which takes {PROPAGATED} and not one more, whoever they are of.",
                all.len(),
                table.name,
                node.name
            );
            let change = "summaries, or a static route to the gateway in place of propagation";
            desk.say(NEAR_ROUTE_LIMIT, format!("nodes.{}.route_tables.{}", node.name, table.name), text, change);
        }
    }
}
