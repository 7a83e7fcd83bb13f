//! Edits that would cure a finding, the smallest first, and the search for one that does: each is made, run and looked at.

use ipnet::Ipv4Net;
use serde::Serialize;
use sim_core::id::NodeId;

use super::classify::{Class, Finding, Missing, Subject};
use super::observe::{PairSeen, StreamSeen};
use super::{Edit, findings};
use crate::plan::{NodeKind, Phase, Plan, Routing, TunnelBandwidth, TunnelId, Via};
use crate::scenario::{Scenario, Secrets};

/// A cure that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fix {
    /// The edits, as `--set` takes them.
    pub edits: Vec<Edit>,
    /// What they mean.
    pub text: String,
}

/// The first of the edits with which the finding is gone, with the scenario that has it and what is left to find there.
pub fn search(state: &Scenario, secrets: &dyn Secrets, finding: &Finding) -> Option<(Fix, Scenario, Vec<Finding>)> {
    for (text, edits) in candidates(state.plan(), finding) {
        // An edit that the file has no place for is no edit.
        let Ok(changed) = state.with(&edits, secrets) else { continue };
        let left = findings(changed.plan());
        if !left.iter().any(|other| other.is_same(finding))
            && left.iter().all(|other| other.class != Class::Unexplained)
        {
            let fix = Fix { edits: edits.into_iter().map(Edit).collect(), text };
            return Some((fix, changed, left));
        }
    }
    None
}

/// What it means, and its edits.
type Candidate = (String, Vec<String>);

fn candidates(plan: &Plan, finding: &Finding) -> Vec<Candidate> {
    match (&finding.subject, finding.class) {
        (Subject::Tunnel(id, phase), class) => of_tunnel(plan, *id, *phase, class),
        (Subject::Way(pair, missing), _) => of_way(plan, pair, *missing),
        (Subject::Stream(_), Class::Mtu) => mtu(plan),
        (Subject::Stream(_), Class::Fragmentation) => vec![(
            "cut packets before they are encrypted".into(),
            tunnels(plan).map(|id| format!("{}.customer.fragmentation=before_encryption", path(plan, id))).collect(),
        )],
        (Subject::Stream(stream), Class::Limit) => limit(plan, stream),
        (Subject::Traffic(device), Class::AsymmetricEcmp) => asymmetric(plan, device),
        (Subject::Stream(_) | Subject::Traffic(_), _) => Vec::new(),
    }
}

fn tunnels(plan: &Plan) -> impl Iterator<Item = TunnelId> {
    crate::telemetry::meter::tunnels(plan)
}

/// `connections.vpn.tunnels.a`.
fn path(plan: &Plan, id: TunnelId) -> String {
    let (connection, tunnel) = (&plan.connections[id.connection].name, &plan.tunnel(id).name);
    let own = tunnel.strip_prefix(connection.as_str()).and_then(|rest| rest.strip_prefix('.')).unwrap_or(tunnel);
    format!("connections.{connection}.tunnels.{own}")
}

fn name(plan: &Plan, id: NodeId) -> &str {
    &plan.nodes[id.index()].name
}

fn of_tunnel(plan: &Plan, id: TunnelId, phase: usize, class: Class) -> Vec<Candidate> {
    let (at, tunnel) = (path(plan, id), plan.tunnel(id));
    let one = |text: &str, edit: String| vec![(text.to_owned(), vec![edit])];
    match class {
        Class::Psk => {
            let key = String::from_utf8_lossy(tunnel.aws.psk.expose()).into_owned();
            one("enter AWS's pre-shared key at the customer gateway", format!("{at}.customer.pre_shared_key=\"{key}\""))
        }
        Class::IkeParameters | Class::Pfs => {
            let [aws, device] = match phase {
                1 => [&tunnel.aws.phase1, &tunnel.customer.phase1],
                _ => [&tunnel.aws.phase2, &tunnel.customer.phase2],
            };
            proposals(&format!("{at}.customer.phase{phase}"), aws, device)
        }
        Class::OneTunnel => {
            one("configure the tunnel at the customer gateway, too", format!("{at}.customer.startup_action=start"))
        }
        Class::BgpAsn => {
            let asn = tunnel.bgp.as_ref().map_or(0, |(_, customer)| customer.asn);
            let connection = &plan.connections[id.connection].name;
            one("register the device's ASN at AWS", format!("connections.{connection}.customer_asn={asn}"))
        }
        Class::BgpPort => one("let TCP port 179 pass", format!("{at}.customer.access_list={{}}")),
        Class::BgpMd5 => match tunnel.bgp.as_ref().and_then(|(aws, _)| aws.md5_key.as_ref()) {
            Some(key) => {
                one("enter the same key of TCP MD5 at both ends", format!("{at}.customer.md5_key=\"{}\"", key.expose()))
            }
            None => one("use no TCP MD5: AWS has none on VPN tunnels", format!("{at}.customer.md5_key=None")),
        },
        _ => Vec::new(),
    }
}

/// AWS's values for one parameter at the customer gateway, then for all.
fn proposals(at: &str, aws: &Phase, device: &Phase) -> Vec<Candidate> {
    fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
        format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
    }
    let all = [
        ("dh_groups", list(&aws.dh_groups, |it| it.id().to_string()), aws.dh_groups == device.dh_groups),
        ("encryption", list(&aws.encryption, |it| format!("\"{it}\"")), aws.encryption == device.encryption),
        ("integrity", list(&aws.integrity, |it| format!("\"{it}\"")), aws.integrity == device.integrity),
    ];
    let differs: Vec<(String, &str)> = all
        .into_iter()
        .filter(|(.., same)| !same)
        .map(|(setting, values, _)| (format!("{at}.{setting}={values}"), setting))
        .collect();
    // One, then two, then all that differ.
    let mut candidates = Vec::new();
    for size in 1..=differs.len() {
        for chosen in (0_u32..1 << differs.len()).filter(|chosen| chosen.count_ones() as usize == size) {
            let some = differs.iter().enumerate().filter(|(place, _)| chosen >> place & 1 == 1).map(|(_, it)| it);
            let (edits, settings): (Vec<String>, Vec<&str>) = some.cloned().unzip();
            candidates.push((format!("propose AWS's {} at the customer gateway", settings.join(" and ")), edits));
        }
    }
    candidates
}

fn quoted(prefixes: &[Ipv4Net], more: Ipv4Net) -> String {
    let all = prefixes.iter().copied().chain([more]);
    format!("[{}]", all.map(|prefix| format!("\"{prefix}\"")).collect::<Vec<_>>().join(", "))
}

fn of_way(plan: &Plan, pair: &PairSeen, missing: Missing) -> Vec<Candidate> {
    let [_, device, gateway, vpc] = pair.nodes;
    match missing {
        Missing::Device => device_route(plan, pair, device, vpc),
        Missing::Gateway => {
            let first = pair.connections.first().map(|number| &plan.connections[*number]);
            match (first.map(|it| (&it.name, &it.routing)), &plan.nodes[device.index()].kind) {
                (Some((connection, Routing::Static(prefixes))), _) => vec![(
                    format!("add the static route {} to the connection", pair.site),
                    vec![format!("connections.{connection}.routing=Static(prefixes: {})", quoted(prefixes, pair.site))],
                )],
                (Some((_, Routing::Bgp)), NodeKind::CustomerGateway(it)) => vec![(
                    format!("announce {} by BGP", pair.site),
                    vec![format!("nodes.{}.advertise={}", name(plan, device), quoted(&it.advertise, pair.site))],
                )],
                _ => Vec::new(),
            }
        }
        Missing::Vpc => vpc_route(plan, pair, gateway, vpc),
    }
}

fn device_route(plan: &Plan, pair: &PairSeen, device: NodeId, vpc: NodeId) -> Vec<Candidate> {
    let NodeKind::CustomerGateway(it) = &plan.nodes[device.index()].kind else { return Vec::new() };
    let NodeKind::Vpc(inside) = &plan.nodes[vpc.index()].kind else { return Vec::new() };
    let route = |prefix: Ipv4Net, id: TunnelId, distance: u32| {
        format!("(prefix: \"{prefix}\", via: \"{}\", distance: {distance})", plan.tunnel(id).name)
    };
    let mut routes = Vec::new();
    for old in &it.static_routes {
        match old.via {
            Via::Tunnel(id) if old.track.is_none() => routes.push(route(old.prefix, id, old.distance)),
            // What has no word here is left as it is, and nothing is added beside it.
            _ => return Vec::new(),
        }
    }
    let own = tunnels(plan).filter(|id| pair.connections.contains(&id.connection));
    routes.extend(own.zip(1..).map(|(id, place)| route(inside.cidr, id, 10 * place)));
    vec![(
        format!("add static routes to {} at the customer gateway", inside.cidr),
        vec![format!("nodes.{}.static_routes=[{}]", name(plan, device), routes.join(", "))],
    )]
}

fn vpc_route(plan: &Plan, pair: &PairSeen, gateway: NodeId, vpc: NodeId) -> Vec<Candidate> {
    let NodeKind::Vpc(it) = &plan.nodes[vpc.index()].kind else { return Vec::new() };
    let (at, to) = (format!("nodes.{}.route_tables", name(plan, vpc)), name(plan, gateway));
    let mut candidates = Vec::new();
    for table in &it.route_tables {
        if matches!(plan.nodes[gateway.index()].kind, NodeKind::VirtualPrivateGateway(_)) {
            let edit = format!("{at}.{}.propagation=[\"{to}\"]", table.name);
            candidates.push(("let the gateway propagate into the VPC's route table".into(), vec![edit]));
        }
        if table.routes.is_empty() {
            let text = format!("add a route to {} by {to} to the VPC's route table", pair.site);
            let route = format!("[(destination: \"{}\", target: \"{to}\")]", pair.site);
            candidates.push((text.clone(), vec![format!("{at}.{}.routes={route}", table.name)]));
            candidates.push((text, vec![format!("{at}={{\"{}\": (routes: {route})}}", table.name)]));
        }
    }
    candidates
}

fn mtu(plan: &Plan) -> Vec<Candidate> {
    let clamp: Vec<String> = tunnels(plan).map(|id| format!("{}.customer.mss_clamping=auto", path(plan, id))).collect();
    let clear: Vec<String> = tunnels(plan).map(|id| format!("{}.customer.clear_df_bit=true", path(plan, id))).collect();
    let both = clamp.iter().chain(&clear).cloned().collect();
    vec![
        ("lower the MSS of TCP at the customer gateway to what fits the tunnel".into(), clamp),
        ("cut large packets at the customer gateway although they forbid it".into(), clear),
        ("lower the MSS of TCP, and cut large packets although they forbid it".into(), both),
    ]
}

/// A larger tunnel, where AWS has one; or less traffic.
fn limit(plan: &Plan, stream: &StreamSeen) -> Vec<Candidate> {
    let standard = plan.connections.iter().filter(|it| it.bandwidth == TunnelBandwidth::Standard);
    let large: Vec<String> = standard.map(|it| format!("connections.{}.tunnel_bandwidth=large", it.name)).collect();
    let excess = (stream.packets_per_second / 140_000.0).max(stream.bits_per_second / 1.25e9);
    // A tenth less than the limit, for what else there is.
    let slower = excess / 0.9 * 1e9 / stream.packets_per_second;
    let mut candidates = vec![(
        "send less than a tunnel carries".into(),
        vec![format!("probes.{}.every={}ns", stream.name, slower.ceil())],
    )];
    if !large.is_empty() {
        candidates.insert(0, ("use tunnels with more bandwidth".into(), large));
    }
    candidates
}

fn asymmetric(plan: &Plan, device: &str) -> Vec<Candidate> {
    let firewall = format!("nodes.{device}.firewall");
    let mut candidates: Vec<Candidate> = vec![
        (
            "let TCP pass at the firewall although its answers come by another tunnel".into(),
            vec![format!("{firewall}.asymmetric_routing=true")],
        ),
        ("bind the firewall's state to no tunnel".into(), vec![format!("{firewall}.state_match=any")]),
    ];
    // One tunnel for both directions: the device prefers it, and has AWS prefer it.
    for connection in plan.connections.iter().filter(|it| it.routing == Routing::Bgp && it.tunnels.len() == 2) {
        let number = plan.connections.iter().position(|it| it.name == connection.name).unwrap_or_default();
        let at = |tunnel| path(plan, TunnelId { connection: number, tunnel });
        candidates.push((
            "use one tunnel: prepend on the other, and prefer this one".into(),
            vec![format!("{}.customer.prepend=3", at(1)), format!("{}.customer.local_preference=200", at(0))],
        ));
    }
    candidates
}
