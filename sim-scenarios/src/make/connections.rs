//! VPN connections: who is connected, how routes are learnt, what the tunnels are called and numbered. What AWS does not
//! publish about them goes into the plan's assumptions.

use core::net::Ipv4Addr;

use ipnet::{Ipv4Net, Ipv6Net};
use sim_core::id::NodeId;
use sim_core::node::ip::ReversePath;
use sim_core::proto::bgp::{AfterLimit, MaxPrefixes};
use sim_core::proto::ike::config::{NatTraversal, RekeyLaw};
use sim_core::proto::tcp::Reach;
use sim_core::time::Duration;

use crate::leaf::{Asn, Name, Registered};
use crate::place::{At, Place};
use crate::plan::{
    Assumed, AssumedRange, Assumption, BgpEnd, Connection, LogOutputFormat, NamedPolicy, Node, NodeKind, Plan, Routing,
    StartupAction, Tunnel, TunnelBandwidth, TunnelId, VpnEndpoint, Warning,
};
use crate::profile::{self, GENERIC, Profile};
use crate::schema;

use super::Names;
use super::certificates::{Made, Pki};
use super::ends::{aws_end, customer_end, extras};
use super::judge::{Judge, Verdict, between};
use super::nodes::{customer_asn, whole};
use super::profiles::Left;
use super::{nats, sessions};

/// Inside blocks that AWS keeps for itself.
const RESERVED_INSIDE: [&str; 7] = [
    "169.254.0.0/30",
    "169.254.1.0/30",
    "169.254.2.0/30",
    "169.254.3.0/30",
    "169.254.4.0/30",
    "169.254.5.0/30",
    "169.254.169.252/30",
];

/// Static routes of one connection to a virtual private gateway, a hard quota.
pub(super) const STATIC_ROUTES: usize = 100;

/// All connections, and the nodes of their endpoints.
pub(super) fn make(scenario: &schema::Scenario, names: &Names, plan: &mut Plan, j: &mut Judge) {
    // Unique on a virtual private gateway; a transit gateway takes one twice, its customer gateway does not.
    let mut inside: Vec<(NodeId, Ipv4Net)> = Vec::new();
    for (id, (name, (at, schema))) in names.connections.iter().zip(&scenario.connections.0).enumerate() {
        let schema::Connection::Vpn(schema) = schema;
        let mut parties = parties(schema, names, plan, j);
        let (routing, bgp) = routing(&schema.routing, &parties, j);
        let mut left = Left::to(parties.profile);
        if let (schema::Routing::Bgp(schema), Some((_, customer))) = (&schema.routing, &bgp) {
            left.bgp(&format!("connections.{name}.routing.customer"), &schema.customer, customer);
        }
        // "Local" is the customer's side, "remote" AWS's (EC2 API).
        parties.aws_cidr = j.lawful_or(&schema.remote_ipv4_network_cidr, Ipv4Net::default(), whole);
        parties.customer_cidr = j.lawful_or(&schema.local_ipv4_network_cidr, Ipv4Net::default(), whole);
        match schema.tunnels.0.len() {
            1 | 2 => {}
            0 => j.wrong(at.place, "a VPN connection has one or two tunnels, this has none", None),
            n => j.wrong(at.place, format!("a VPN connection has one or two tunnels, not {n}"), None),
        }
        parties.ipv6 = super::ipv6::of_connection(schema, parties.transit, j);
        let mut connection = Connection {
            name: name.clone(),
            customer_gateway: parties.customer_gateway,
            customer_interface: parties.customer_interface,
            gateway: parties.gateway,
            bandwidth: bandwidth(schema, &parties, j),
            transport: super::dx::transport(schema, parties.gateway, plan, j),
            concentrator: super::transit::on_concentrator(schema, parties.gateway, plan, j),
            routing,
            tunnels: Vec::new(),
        };
        for (number, (_, schema)) in schema.tunnels.0.iter().enumerate() {
            let tunnel_id = TunnelId { connection: id, tunnel: number };
            let position = names.tunnel_ids.iter().position(|other| *other == tunnel_id).unwrap_or(0);
            let tunnel_name = &names.tunnels[position];
            let endpoint = names.endpoint(position);
            let pki = Pki { seed: plan.seed, began: plan.begins };
            // AWS names its two certificates after the connection and its endpoint.
            let certificates = certificates(pki, schema, &format!("{name}.endpoint-{number}"), &parties, j);
            let mut tunnel = tunnel(schema, tunnel_name, endpoint, &parties, bgp.as_ref(), &certificates, plan.seed, j);
            tunnel.aws.rekey_law = plan.assume.rekey_law;
            tunnel.aws.second_child = plan.assume.second_sa_pair;
            unfit_selectors(&schema.customer, bgp.is_some(), parties.ipv6.is_some(), j);
            let owner = if parties.transit { parties.customer_gateway } else { parties.gateway };
            if inside.contains(&(owner, tunnel.inside)) {
                let message = format!("{} is already the inside CIDR of another tunnel of this gateway", tunnel.inside);
                j.wrong(schema.inside_cidr.place, message, None);
            }
            inside.push((owner, tunnel.inside));
            let own = tunnel_name.rsplit('.').next().unwrap_or_default();
            let path = format!("connections.{name}.tunnels.{own}.customer");
            left.tunnel(&path, &schema.customer, &tunnel.customer);
            let zone = Name(format!("az{}", number + 1));
            plan.nodes.push(Node {
                name: tunnel_name.clone(),
                kind: NodeKind::VpnEndpoint(VpnEndpoint {
                    accelerated: parties.accelerated,
                    tunnel: tunnel_id,
                    gateway: parties.gateway,
                    address: tunnel.aws_outside,
                    availability_zone: j.or(&schema.availability_zone, zone).0,
                }),
            });
            plan.warnings.extend(extras(&tunnel.aws, &tunnel.customer, &tunnel.name));
            plan.warnings.extend(sessions::extras(&tunnel));
            connection.tunnels.push(tunnel);
        }
        if let Some((_, schema::Node::CustomerGateway(schema))) = scenario.nodes.0.get(parties.customer_gateway.index())
        {
            left.device(&format!("nodes.{}", parties.customer_name), schema);
        }
        plan.profiles.extend(left.of(&parties.customer_name));
        zones_differ(&connection, plan);
        plan.assumptions.extend(assumptions(&connection, plan.assume.rekey_law));
        plan.connections.push(connection);
    }
}

/// A policy protects what is between two networks of IPv4, and BGP speaks from inside addresses.
fn unfit_selectors(schema: &schema::CustomerEnd, bgp: bool, ipv6: bool, j: &mut Judge) {
    let Some(first) = schema.traffic_selectors.as_ref().and_then(|all| all.first()) else { return };
    let place = first.local_cidr.place;
    if bgp {
        let help = "use `routing: Static(...)`, or leave out `traffic_selectors`";
        j.wrong(place, "a policy-based device has no BGP inside of its tunnel", Some(help.into()));
    }
    if ipv6 {
        j.wrong(place, "`traffic_selectors` are of IPv4 only", None);
    }
}

/// AWS ends the two tunnels of a connection in two availability zones (guide, "How Site-to-Site VPN works").
fn zones_differ(connection: &Connection, plan: &mut Plan) {
    let mut zones = connection.tunnels.iter().filter_map(|tunnel| match &plan.nodes[tunnel.endpoint.index()].kind {
        NodeKind::VpnEndpoint(endpoint) => Some(&endpoint.availability_zone),
        _ => None,
    });
    if let (Some(one), Some(other)) = (zones.next(), zones.next())
        && one == other
    {
        let text = format!("both tunnels end in `{one}`: AWS ends them in different availability zones");
        plan.warnings.push(Warning { parameter: format!("connections.{}.tunnels", connection.name), text });
    }
}

/// Who is connected.
struct Parties {
    customer_gateway: NodeId,
    /// Its name, which its certificates bear, and whether it is a real device.
    customer_name: String,
    customer_external: bool,
    profile: &'static Profile,
    customer_interface: usize,
    customer_outside: Ipv4Addr,
    customer_asn: u32,
    /// The same as AWS has it registered.
    registered_asn: u32,
    customer_policies: Vec<NamedPolicy>,
    gateway: NodeId,
    /// True if that is a transit gateway.
    transit: bool,
    accelerated: bool,
    aws_asn: u32,
    /// Traffic selectors: AWS's side and the customer's.
    aws_cidr: Ipv4Net,
    customer_cidr: Ipv4Net,
    /// The same of a connection for IPv6.
    ipv6: Option<[Ipv6Net; 2]>,
}

fn parties(schema: &schema::Vpn, names: &Names, plan: &Plan, j: &mut Judge) -> Parties {
    let mut of_kind = |at: &At<Name>, what: &str, is: fn(&NodeKind) -> bool| {
        // Names are not gathered for each of thousands of connections that are right.
        let right =
            |node: &crate::plan::Node| is(&node.kind) && matches!(&at.value, Ok(Name(name)) if *name == node.name);
        if let Some(found) = plan.nodes.iter().position(right) {
            return Some(found);
        }
        let all = plan.nodes.iter().enumerate().filter(|(_, node)| is(&node.kind));
        let (ids, names): (Vec<_>, Vec<_>) = all.map(|(i, node)| (i, node.name.clone())).unzip();
        j.find(at, what, &names).map(|i| ids[i])
    };
    let customer =
        of_kind(&schema.customer_gateway, "customer gateway", |kind| matches!(kind, NodeKind::CustomerGateway(_)));
    let aws = of_kind(&schema.gateway, "virtual private or transit gateway", |kind| {
        matches!(kind, NodeKind::VirtualPrivateGateway(_) | NodeKind::TransitGateway(_))
    });
    let mut parties = Parties {
        customer_gateway: NodeId(customer.unwrap_or(names.nodes.len()) as u32),
        customer_name: "cgw".into(),
        customer_external: false,
        profile: &GENERIC,
        customer_interface: 0,
        customer_outside: Ipv4Addr::UNSPECIFIED,
        aws_cidr: Ipv4Net::default(),
        customer_cidr: Ipv4Net::default(),
        ipv6: None,
        customer_asn: 0,
        registered_asn: 0,
        customer_policies: Vec::new(),
        gateway: NodeId(aws.unwrap_or(names.nodes.len()) as u32),
        transit: false,
        accelerated: false,
        aws_asn: 0,
    };
    match aws.map(|i| &plan.nodes[i].kind) {
        Some(NodeKind::VirtualPrivateGateway(gateway)) => parties.aws_asn = gateway.asn,
        Some(NodeKind::TransitGateway(gateway)) => (parties.aws_asn, parties.transit) = (gateway.asn, true),
        _ => {}
    }
    parties.accelerated = j.or(&schema.enable_acceleration, false);
    if let Some(at) = schema.enable_acceleration.as_ref().filter(|_| parties.accelerated && !parties.transit) {
        let message = "accelerated VPN is for connections to a transit gateway";
        j.wrong(at.place, message, Some("a virtual private gateway has none".into()));
    }
    let registered = schema.customer_asn.as_ref().and_then(|at| {
        j.lawful(at, |asn| match asn {
            Asn(asn) if *asn == parties.aws_asn => {
                Err(format!("AWS's end has ASN {asn}: AWS wants the customer gateway's to differ"))
            }
            _ => customer_asn(asn),
        })
    });
    if let (Some(customer), true, None) = (customer, parties.aws_asn != 0, registered)
        && let NodeKind::CustomerGateway(gateway) = &plan.nodes[customer].kind
        && gateway.asn == parties.aws_asn
    {
        let message = format!("both ends have ASN {}: AWS wants the customer gateway's to differ", gateway.asn);
        j.wrong(schema.customer_gateway.place, message, None);
    }
    if let Some(NodeKind::CustomerGateway(gateway)) = customer.map(|i| &plan.nodes[i].kind) {
        parties.customer_asn = gateway.asn;
        parties.registered_asn = registered.map_or(gateway.asn, |Asn(asn)| asn);
        parties.customer_policies = gateway.policies.clone();
        parties.customer_external = gateway.external.is_some();
        parties.profile = gateway.profile;
        parties.customer_name = customer.map(|i| plan.nodes[i].name.clone()).unwrap_or_default();
        let interfaces: Vec<String> = gateway.interfaces.iter().map(|i| i.name.clone()).collect();
        let found = match &schema.customer_interface {
            Some(at) => j.find(at, "interface of the customer gateway", &interfaces),
            None => interfaces.iter().position(|name| name == "wan").or_else(|| {
                let message = "the customer gateway has no interface called `wan` to start the tunnels from";
                let help = format!("add `customer_interface:`, one of: {}", interfaces.join(", "));
                j.wrong(schema.customer_gateway.place, message, Some(help));
                None
            }),
        };
        parties.customer_interface = found.unwrap_or(0);
        if let Some(interface) = found.map(|i| &gateway.interfaces[i]) {
            parties.customer_outside = interface.address.addr();
        }
    }
    parties
}

/// True if AWS has no address of the customer gateway.
fn anywhere(schema: &schema::Vpn) -> bool {
    schema.customer_address.as_ref().is_some_and(|at| at.value == Ok(Registered::Nothing))
}

/// What AWS carries through each tunnel (guide, "Large bandwidth tunnels").
fn bandwidth(schema: &schema::Vpn, parties: &Parties, j: &mut Judge) -> TunnelBandwidth {
    let Some(at) = &schema.tunnel_bandwidth else { return TunnelBandwidth::Standard };
    let rule = |bandwidth: &TunnelBandwidth| match bandwidth {
        TunnelBandwidth::Large if !parties.transit => Err("a large tunnel ends at a transit gateway".into()),
        TunnelBandwidth::Large if parties.accelerated => Err("an accelerated connection has no large tunnels".into()),
        TunnelBandwidth::Large if anywhere(schema) => {
            Err("a large tunnel wants a customer gateway with an address that is known to AWS".into())
        }
        TunnelBandwidth::Large | TunnelBandwidth::Standard => Ok(()),
    };
    j.lawful(at, rule).unwrap_or(TunnelBandwidth::Standard)
}

/// How AWS learns routes, and the BGP of both ends if by BGP.
fn routing(schema: &schema::Routing, parties: &Parties, j: &mut Judge) -> (Routing, Option<(BgpEnd, BgpEnd)>) {
    match schema {
        schema::Routing::Static(schema) => {
            let prefixes: Vec<_> = schema.prefixes.iter().filter_map(|at| j.lawful(at, whole)).collect();
            if let Some(extra) = schema.prefixes.get(STATIC_ROUTES).filter(|_| !parties.transit) {
                let message =
                    format!("a connection to a virtual private gateway has at most {STATIC_ROUTES} static routes");
                j.wrong(extra.place, message, None);
            }
            (Routing::Static(prefixes), None)
        }
        schema::Routing::Bgp(schema) => {
            let aws = bgp(&schema.aws, parties.aws_asn, &profile::AWS, j);
            let customer = bgp(&schema.customer, parties.customer_asn, parties.profile, j);
            (Routing::Bgp, Some((aws, customer)))
        }
    }
}

/// One end's timers; what is not given is its profile's.
pub(super) fn bgp(schema: &schema::BgpTimers, asn: u32, profile: &Profile, j: &mut Judge) -> BgpEnd {
    let usual = &profile.bgp;
    let second = Duration::from_secs(1);
    let hold_time = j.lawful_or(&schema.hold_time, Duration::from_secs(usual.hold_s), |hold| {
        if hold.as_nanos() % second.as_nanos() != 0 {
            return Err("a hold time is whole seconds (RFC 4271 section 4.2)".into());
        }
        let (low, high) = (Duration::from_secs(3), Duration::from_secs(65_535));
        if hold.is_zero() { Ok(()) } else { between(*hold, low, high, "a hold time other than 0s") }
    });
    let keepalive = j.lawful_or(&schema.keepalive, hold_time / 3, |keepalive| {
        if !hold_time.is_zero() && *keepalive >= hold_time {
            Err(format!("keepalives every {keepalive} come too late for a hold time of {hold_time}"))
        } else if *keepalive < second {
            Err("keepalives come at most once a second (RFC 4271 section 4.4)".into())
        } else {
            Ok(())
        }
    });
    let high = Duration::from_secs(65_535);
    let idle_hold = j.lawful_or(&schema.idle_hold, Duration::from_secs(usual.idle_hold_s), |t| {
        between(*t, Duration::ZERO, high, "the idle hold time")
    });
    BgpEnd {
        asn,
        hold_time,
        keepalive,
        connect_retry: j.lawful_or(&schema.connect_retry, Duration::from_secs(usual.connect_retry_s), |t| {
            between(*t, second, high, "the connect-retry time")
        }),
        idle_hold,
        advertisement_interval: j.lawful_or(&schema.advertisement_interval, Duration::ZERO, |t| {
            between(*t, Duration::ZERO, high, "the advertisement interval")
        }),
        jitter: j.or(&schema.jitter, usual.jitter),
        hold_jitter: usual.hold_jitter,
        poll: j.lawful_or(&schema.poll, Duration::from_millis(usual.poll_ms), |t| {
            between(*t, Duration::ZERO, Duration::from_secs(60), "how late it acts")
        }),
        idle_hold_limit: match &schema.idle_hold_limit {
            Some(at) => j.lawful(at, |t| between(*t, idle_hold, high, "the limit of the idle hold time")),
            None => usual.idle_hold_limit_s.filter(|_| schema.idle_hold.is_none()).map(Duration::from_secs),
        },
        prepend: 0,
        med: None,
        local_preference: 100,
        md5_key: None,
        reach: Reach::SingleHop,
        max_prefixes: None,
        most_announced: None,
        graceful_restart: None,
        import: None,
        export: None,
    }
}

/// The certificates of both ends, AWS's first.
fn certificates(
    pki: Pki,
    tunnel: &schema::Tunnel,
    aws_name: &str,
    parties: &Parties,
    j: &mut Judge,
) -> [Option<Made>; 2] {
    use schema::Authentication::{Certificate, PreSharedKey};
    let default = schema::Certificate::default();
    let aws = match &tunnel.authentication {
        Some(Certificate(schema)) => pki.aws(schema, aws_name, j),
        Some(PreSharedKey(_)) | None => None,
    };
    let customer = match (&tunnel.customer.authentication, &aws) {
        (Some(PreSharedKey(_)), _) | (None, None) => None,
        (Some(Certificate(schema)), Some(aws)) => pki.customer(schema, &parties.customer_name, aws, j),
        (Some(Certificate(schema)), None) => pki.aws(schema, &parties.customer_name, j),
        // A real gateway brings its own; a simulated one has to be given one that AWS's CA has issued.
        (None, Some(aws)) if aws.is_from_files() => {
            if !parties.customer_external {
                let message = "AWS's certificates are in files, so the customer gateway's must be given, too";
                let help = "add `customer: (authentication: Certificate(key: ..., certificate: ..., ca: ...))`";
                j.wrong(tunnel.outside_address.place, message, Some(help.into()));
            }
            None
        }
        (None, Some(aws)) => pki.customer(&default, &parties.customer_name, aws, j),
    };
    [aws, customer]
}

#[allow(clippy::too_many_arguments, reason = "what a tunnel is made of")]
fn tunnel(
    schema: &schema::Tunnel,
    name: &str,
    endpoint: NodeId,
    parties: &Parties,
    bgp: Option<&(BgpEnd, BgpEnd)>,
    certificates: &[Option<Made>; 2],
    seed: u64,
    j: &mut Judge,
) -> Tunnel {
    let inside = j.lawful(&schema.inside_cidr, inside_rules).unwrap_or_default();
    let first = u32::from(inside.network());
    let [ours, theirs] = certificates;
    let aws =
        aws_end(schema, name, (parties.aws_cidr, parties.customer_cidr), parties.accelerated, seed, ours.as_ref(), j);
    let customer = customer_end(&schema.customer, &aws, theirs.as_ref(), parties.profile, j);
    if let Some(at) = schema.customer.nat_traversal.as_ref()
        && parties.accelerated
        && customer.nat_traversal == NatTraversal::Off
    {
        let message = "an accelerated connection needs NAT traversal: Global Accelerator carries UDP, and no ESP";
        j.wrong(at.place, message, None);
    }
    if let Some(bfd) = &schema.customer.bfd {
        no_bfd(bfd, schema.outside_address.place, j);
    }
    let outside = j.lawful(&schema.outside_address, |address| {
        if address.is_loopback() || address.is_multicast() || address.is_unspecified() {
            Err(format!("{address} is no outside address"))
        } else {
            Ok(())
        }
    });
    Tunnel {
        name: name.to_owned(),
        endpoint,
        aws_outside: outside.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
        customer_outside: parties.customer_outside.into(),
        customer_registered: parties.customer_outside.into(),
        customer_anywhere: false,
        inside,
        aws_inside: Ipv4Addr::from(first.saturating_add(1)),
        customer_inside: Ipv4Addr::from(first.saturating_add(2)),
        inside_ipv6: super::ipv6::inside(schema, parties.ipv6, [&aws, &customer], j),
        aws,
        customer,
        customer_reverse_path: j.or(&schema.customer.reverse_path, ReversePath::Off),
        customer_access_list: nats::access_list(&schema.customer.access_list, j),
        customer_asn: parties.registered_asn,
        log_output_format: j.or(&schema.log_output_format, LogOutputFormat::Json),
        lifecycle_control: schema.tunnel_endpoint_lifecycle_control.as_ref().and_then(|at| j.read(at)),
        prepared: Default::default(),
        bgp_log_output_format: j.or(&schema.bgp_log_output_format, LogOutputFormat::Json),
        bgp: session(schema, parties, bgp, j),
    }
}

/// The user guide has BFD for Direct Connect and for no VPN tunnel, so a session through one would never come up.
fn no_bfd(schema: &schema::Bfd, tunnel: Place, j: &mut Judge) {
    let intervals = [&schema.min_tx, &schema.min_rx].into_iter().flatten().map(|at| at.place);
    let others = schema.multiplier.iter().map(|at| at.place).chain(schema.multihop.iter().map(|at| at.place));
    let place = intervals.chain(others).next().unwrap_or(tunnel);
    let help = "AWS has BFD on Direct Connect only; between devices of your own give a `neighbor` BFD";
    let message = "AWS's VPN endpoints do not speak BFD: such a session never comes up";
    j.wrong(place, message, Some(help.into()));
}

/// A /30 of 169.254.0.0/16 that AWS does not keep for itself.
fn inside_rules(net: &Ipv4Net) -> Verdict {
    let link_local = net.network().octets()[..2] == [169, 254];
    if net.prefix_len() != 30 || !link_local {
        return Err(format!("an inside CIDR is a /30 of 169.254.0.0/16, not {net}"));
    }
    whole(net)?;
    if RESERVED_INSIDE.contains(&net.to_string().as_str()) {
        Err(format!("AWS reserves {net}: also reserved are {}", RESERVED_INSIDE.join(", ")))
    } else {
        Ok(())
    }
}

/// Both ends' BGP through this tunnel.
fn session(
    schema: &schema::Tunnel,
    parties: &Parties,
    bgp: Option<&(BgpEnd, BgpEnd)>,
    j: &mut Judge,
) -> Option<(BgpEnd, BgpEnd)> {
    let ends = policy(&schema.customer, &parties.customer_policies, bgp, j);
    let Some((aws, customer)) = ends else {
        for place in sessions::places(schema) {
            j.wrong(place, "this is of a BGP session, but the connection's routing is static", None);
        }
        return None;
    };
    let own = &schema.customer;
    let mut key = |at: &Option<At<_>>| at.as_ref().and_then(|at| sessions::md5_key(at, j));
    let (aws_key, own_key) = (key(&schema.md5_key), key(&own.md5_key));
    let aws_reach = sessions::reach(&None, &schema.ttl_security, j).unwrap_or(aws.reach);
    let own_reach = sessions::reach(&own.multihop, &own.ttl_security, j).unwrap_or(aws_reach);
    let mut limit = |it: &Option<schema::MaxPrefixes>| it.as_ref().map(|it| sessions::max_prefixes(it, j));
    let (aws_limit, own_limit) = (limit(&schema.max_prefixes), limit(&own.max_prefixes));
    let mut graceful = |it: &Option<schema::GracefulRestart>| it.as_ref().map(|it| sessions::graceful_restart(it, j));
    let (aws_graceful, own_graceful) = (graceful(&schema.graceful_restart), graceful(&own.graceful_restart));
    let usual = sessions::announced(parties.transit);
    let most_announced = j.number(&schema.most_announced, usual, 1, u64::from(u32::MAX), "a number of prefixes");
    let aws = BgpEnd {
        md5_key: aws_key,
        reach: aws_reach,
        max_prefixes: aws_limit.or(Some(sessions::quota(parties.transit))),
        most_announced: Some(most_announced),
        graceful_restart: aws_graceful,
        ..aws
    };
    let customer = BgpEnd {
        md5_key: own_key.or_else(|| aws.md5_key.clone()),
        reach: own_reach,
        max_prefixes: own_limit,
        graceful_restart: own_graceful.or(aws_graceful),
        ..customer
    };
    Some((aws, customer))
}

/// The customer gateway's policy on this tunnel.
fn policy(
    schema: &schema::CustomerEnd,
    policies: &[NamedPolicy],
    bgp: Option<&(BgpEnd, BgpEnd)>,
    j: &mut Judge,
) -> Option<(BgpEnd, BgpEnd)> {
    let prepend = j.number(&schema.prepend, 0, 0, 200, "prepending");
    let med: Option<u32> = schema.med.is_some().then(|| j.number(&schema.med, 0, 0, u64::from(u32::MAX), "a MED"));
    let local_preference = j.number(&schema.local_preference, 100, 0, u64::from(u32::MAX), "a local preference");
    let places = [
        schema.prepend.as_ref().map(|at| at.place),
        schema.med.as_ref().map(|at| at.place),
        schema.local_preference.as_ref().map(|at| at.place),
        schema.import_policy.as_ref().map(|at| at.place),
        schema.export_policy.as_ref().map(|at| at.place),
    ];
    let Some((aws, customer)) = bgp else {
        for place in places.into_iter().flatten() {
            j.wrong(place, "this is BGP policy, but the connection's routing is static", None);
        }
        return None;
    };
    let names: Vec<String> = policies.iter().map(|policy| policy.name.clone()).collect();
    let mut named = |at: &Option<At<Name>>| {
        let place = j.find(at.as_ref()?, "policy of the customer gateway", &names)?;
        Some(policies[place].clone())
    };
    let (import, export) = (named(&schema.import_policy), named(&schema.export_policy));
    Some((aws.clone(), BgpEnd { prepend, med, local_preference, import, export, ..customer.clone() }))
}

/// The range of what is assumed about AWS's end of a tunnel.
fn range(what: Assumed, tunnel: &Tunnel) -> Option<AssumedRange> {
    let (aws, bgp) = (&tunnel.aws, tunnel.bgp.as_ref().map(|(aws, _)| aws));
    let (ends, source) = match what {
        Assumed::DpdBase => {
            let timeout = aws.dpd.timeout?;
            ([timeout, timeout + aws.dpd.delay], "from the last packet received to the first unanswered check")
        }
        Assumed::IkeRetry => ([1, 60].map(Duration::from_secs), "assumed: at once to a minute"),
        Assumed::HalfOpen => {
            ([10, 165].map(Duration::from_secs), "assumed: to the end of strongSwan's series of retransmissions, 165 s")
        }
        Assumed::Keepalive => {
            let most = bgp?.hold_time / 3;
            let least = Duration::from_secs(1).min(most);
            ([least, most], "RFC 4271 section 4.4: once a second at most, and a third of the hold time at least")
        }
        Assumed::ConnectRetry => {
            ([10, 120].map(Duration::from_secs), "assumed: what routers use that hurry, to RFC 4271 section 10")
        }
        Assumed::IdleHold => ([1, 60].map(Duration::from_secs), "FRR's to BIRD's default"),
        Assumed::RekeyFormula => {
            let ends = ["before_margin", "within_margin"].map(str::to_owned).to_vec();
            return Some(AssumedRange { ends, source: "the two readings of AWS's guide" });
        }
        Assumed::Retransmission => {
            let scaled = |times: u64, of: u64| {
                let waits = aws.retransmission.iter().map(|wait| format!("\"{}\"", wait.scale(times, of)));
                format!("[{}]", waits.collect::<Vec<_>>().join(", "))
            };
            let ends = vec![scaled(1, 2), scaled(2, 1)];
            return Some(AssumedRange { ends, source: "assumed: twice as fast to half as fast" });
        }
        _ => return None,
    };
    Some(AssumedRange { ends: ends.map(|end| end.to_string()).to_vec(), source })
}

/// What is assumed about AWS's end of a connection's tunnels.
fn assumptions(connection: &Connection, law: RekeyLaw) -> Vec<Assumption> {
    let mut all = Vec::new();
    for tunnel in &connection.tunnels {
        let own = tunnel.name.rsplit('.').next().unwrap_or_default();
        all.push(Assumption {
            what: Assumed::RekeyFormula,
            owner: Some(tunnel.name.clone()),
            parameter: "assume.rekey_law".into(),
            value: match law {
                RekeyLaw::BeforeMargin => "before_margin".into(),
                RekeyLaw::WithinMargin => "within_margin".into(),
            },
            source: "UNVERIFIED: AWS names margin and fuzz but no formula; strongSwan's: lifetime - margin * (1 + random up to fuzz)".into(),
            range: range(Assumed::RekeyFormula, tunnel),
        });
        let mut assume = |what, setting: &str, value: String, source: &str| {
            all.push(Assumption {
                what,
                owner: Some(tunnel.name.clone()),
                parameter: format!("connections.{}.{setting}", connection.name)
                    .replace("TUNNEL", &format!("tunnels.{own}")),
                value,
                source: format!("UNVERIFIED: {source}"),
                range: range(what, tunnel),
            });
        };
        let aws = &tunnel.aws;
        assume(
            Assumed::DpdBase,
            "TUNNEL.dpd_timeout",
            aws.dpd.timeout.unwrap_or_default().to_string(),
            "AWS's texts differ on whether it counts from the last packet received, as here, or from the first unanswered check",
        );
        let waits: Vec<String> = aws.retransmission.iter().map(Duration::to_string).collect();
        assume(
            Assumed::Retransmission,
            "TUNNEL.retransmission",
            waits.join(", "),
            "AWS does not publish when its endpoints repeat IKE requests; strongSwan's defaults",
        );
        if aws.startup == StartupAction::Start {
            assume(
                Assumed::IkeRetry,
                "TUNNEL.retry",
                aws.retry.to_string(),
                "AWS retries until it succeeds, but does not publish how soon",
            );
        }
        assume(
            Assumed::HalfOpen,
            "TUNNEL.half_open_timeout",
            aws.half_open_timeout.to_string(),
            "AWS logs that it deletes IKE_SAs that are not established, but not when; strongSwan's default",
        );
        if let Some((aws, _)) = &tunnel.bgp {
            let why = "AWS documents hold time 30 s on VPN tunnels, and the keepalive interval only for TGW Connect; the rest is RFC 4271 section 10";
            assume(Assumed::Keepalive, "routing.aws.keepalive", aws.keepalive.to_string(), why);
            assume(Assumed::ConnectRetry, "routing.aws.connect_retry", aws.connect_retry.to_string(), why);
            assume(Assumed::IdleHold, "routing.aws.idle_hold", aws.idle_hold.to_string(), why);
            if let Some(MaxPrefixes { most, warn_at, then }) = aws.max_prefixes {
                let then = match then {
                    AfterLimit::Retry => "retry".to_owned(),
                    AfterLimit::StayDown => "stay_down".to_owned(),
                    AfterLimit::Restart(time) => time.to_string(),
                };
                let value = format!("(most: {most}, warn_at: \"{warn_at}%\", then: \"{then}\")");
                let why =
                    "AWS documents the quota and the Cease, but not when it warns and when it takes another session";
                assume(Assumed::PrefixLimit, "TUNNEL.max_prefixes", value, why);
            }
        }
    }
    all
}
