//! Stateful firewalls, applications, and what is expected of them.

use sim_core::id::NodeId;
use sim_core::net::conntrack::{Timeouts, TrackConfig};
use sim_core::net::firewall::OnMiss;
use sim_core::time::Duration;

use crate::firewall_profile::{self, FirewallProfile};
use crate::leaf::{Name, Size};
use crate::place::At;
use crate::plan::{Application, Firewall, FlowKind, Node, NodeKind, Plan, ProfileUse, StateMatch, Via};
use crate::schema;

use super::judge::{Judge, between, did_you_mean, positive};
use super::routers::Ways;
use super::timeline::{before_end, hosts, moment};

/// The value of a word, or the default if none is given.
fn word<T: Copy>(at: &Option<At<Name>>, default: T, words: &[(&str, T)], what: &str, j: &mut Judge) -> T {
    at.as_ref().and_then(|at| one_of(at, words, what, j)).unwrap_or(default)
}

/// The value of a word.
pub(super) fn one_of<T: Copy>(at: &At<Name>, words: &[(&str, T)], what: &str, j: &mut Judge) -> Option<T> {
    let Name(name) = j.read(at)?;
    let found = words.iter().find(|(word, _)| *word == name).map(|(_, value)| *value);
    if found.is_none() {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let help = did_you_mean(&name, all.iter().copied()).unwrap_or_else(|| format!("one of {}", all.join(", ")));
        j.wrong(at.place, format!("`{name}` is no {what}"), Some(help));
    }
    found
}

const ON_MISS: [(&str, OnMiss); 2] = [("drop", OnMiss::Drop), ("reset", OnMiss::Reset)];

/// The timeouts of a firewall as the language has them. Two of one name are told apart by the shorter.
pub(crate) fn firewall_timeouts(timeouts: &Timeouts) -> [(&'static str, Vec<Duration>); 8] {
    let t = timeouts;
    [
        ("timeouts.tcp_opening", vec![t.tcp_syn_sent, t.tcp_syn_received]),
        ("timeouts.tcp_established", vec![t.tcp_established]),
        ("timeouts.tcp_closing", vec![t.tcp_fin_wait, t.tcp_close_wait, t.tcp_last_ack]),
        ("timeouts.tcp_closed", vec![t.tcp_time_wait, t.tcp_closed]),
        ("timeouts.udp_single", vec![t.udp_single]),
        ("timeouts.udp_stream", vec![t.udp_stream]),
        ("timeouts.icmp", vec![t.icmp]),
        ("timeouts.other", vec![t.other]),
    ]
}

fn timeouts(schema: &schema::FirewallTimeouts, usual: Timeouts, j: &mut Judge) -> Timeouts {
    let mut made = usual;
    let mut set = |at: &Option<At<Duration>>, all: &mut [&mut Duration]| {
        if let Some(value) = at.as_ref().and_then(|at| j.lawful(at, |t| positive(*t, "a timeout"))) {
            all.iter_mut().for_each(|timeout| **timeout = value);
        }
    };
    set(&schema.tcp_opening, &mut [&mut made.tcp_syn_sent, &mut made.tcp_syn_received]);
    set(&schema.tcp_established, &mut [&mut made.tcp_established]);
    set(&schema.tcp_closing, &mut [&mut made.tcp_fin_wait, &mut made.tcp_close_wait, &mut made.tcp_last_ack]);
    set(&schema.tcp_closed, &mut [&mut made.tcp_time_wait, &mut made.tcp_closed]);
    set(&schema.udp_single, &mut [&mut made.udp_single]);
    set(&schema.udp_stream, &mut [&mut made.udp_stream]);
    set(&schema.icmp, &mut [&mut made.icmp]);
    set(&schema.other, &mut [&mut made.other]);
    made
}

fn profile(at: &Option<At<Name>>, j: &mut Judge) -> &'static FirewallProfile {
    let words = firewall_profile::ALL.map(|profile| (profile.name, profile));
    word(at, &firewall_profile::GENERIC, &words, "firewall profile", j)
}

/// How a firewall of that profile tracks flows, and what becomes of those that it does not know.
pub(super) fn strangers(at: &Option<At<Name>>, j: &mut Judge) -> (TrackConfig, OnMiss) {
    let profile = profile(at, j);
    let track = TrackConfig {
        timeouts: profile.timeouts,
        strict_sequence: profile.strict_sequence,
        loose: profile.loose_pickup,
        ..TrackConfig::NETFILTER
    };
    (track, profile.on_miss)
}

/// A firewall of a device with these interfaces and tunnels.
pub(super) fn firewall(schema: &schema::Firewall, ways: &Ways<'_>, j: &mut Judge) -> Firewall {
    let profile = profile(&schema.profile, j);
    let place = |at: &At<Name>, j: &mut Judge| {
        let via = ways.via(at, j);
        if via == Via::Blackhole && at.value.as_ref().is_ok_and(|Name(name)| name == "blackhole") {
            j.wrong(at.place, "nothing comes out of a blackhole: name an interface or a tunnel", None);
        }
        via
    };
    let inside: Vec<Via> = schema.inside.iter().map(|at| place(at, j)).collect();
    let names = j.names(&schema.zones, "zone");
    let mut zones: Vec<Vec<Via>> = Vec::new();
    for (name, (at, zone)) in names.iter().zip(&schema.zones.0) {
        if zone.members.is_empty() {
            j.wrong(at.place, format!("zone `{name}` has no members"), None);
        }
        let mut made: Vec<Via> = Vec::new();
        for at in &zone.members {
            let via = place(at, j);
            if zones.iter().any(|zone| zone.contains(&via)) || made.contains(&via) {
                j.wrong(at.place, "it is in a zone already", None);
            }
            made.push(via);
        }
        zones.push(made);
    }
    let state_match = word(&schema.state_match, profile.state_match, &StateMatch::WORDS, "way to match state", j);
    let track = TrackConfig {
        timeouts: timeouts(&schema.timeouts, profile.timeouts, j),
        bound: state_match != StateMatch::Any,
        strict_sequence: j.or(&schema.strict_sequence, profile.strict_sequence),
        loose: j.or(&schema.loose_pickup, profile.loose_pickup),
        shared: schema.sync.is_some(),
        limit: j.number(&schema.sessions, TrackConfig::NETFILTER.limit, 1, 100_000_000, "a number of flows"),
    };
    let asymmetric = j.or(&schema.asymmetric_routing, profile.asymmetric_routing);
    let on_miss = word(&schema.on_miss, profile.on_miss, &ON_MISS, "answer to what is dropped", j);
    let given = &schema.timeouts;
    let given = [
        &given.tcp_opening,
        &given.tcp_established,
        &given.tcp_closing,
        &given.tcp_closed,
        &given.udp_single,
        &given.udp_stream,
        &given.icmp,
        &given.other,
    ];
    let spell = |all: &[Duration]| {
        let mut all: Vec<String> = all.iter().map(Duration::to_string).collect();
        all.dedup();
        all.join(", ")
    };
    let on_miss_word = ON_MISS.iter().find(|(_, it)| *it == on_miss).map_or("", |(word, _)| word);
    let mut left = vec![
        (schema.state_match.is_some(), "state_match", state_match.word().to_owned()),
        (schema.asymmetric_routing.is_some(), "asymmetric_routing", asymmetric.to_string()),
        (schema.strict_sequence.is_some(), "strict_sequence", track.strict_sequence.to_string()),
        (schema.loose_pickup.is_some(), "loose_pickup", track.loose.to_string()),
        (schema.on_miss.is_some(), "on_miss", on_miss_word.to_owned()),
    ];
    let timeouts = firewall_timeouts(&track.timeouts);
    left.extend(given.iter().zip(timeouts).map(|(given, (name, all))| (given.is_some(), name, spell(&all))));
    let left = left.into_iter().filter(|(given, ..)| !given);
    let left = left.map(|(_, name, value)| (name, value, profile.source(name))).collect();
    Firewall { profile, track, state_match, asymmetric, on_miss, inside, zones, sync: None, left }
}

/// Whom firewalls tell of their flows, which is known when all devices are.
pub(super) fn partners(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    let has = |node: &Node| crate::build::forwarding(&node.kind).is_some_and(|(it, _)| it.firewall.is_some());
    let all = plan.nodes.iter().enumerate().filter(|(_, node)| has(node));
    let (ids, names): (Vec<_>, Vec<_>) = all.map(|(i, node)| (NodeId(i as u32), node.name.clone())).unzip();
    for (index, (_, node)) in scenario.nodes.0.iter().enumerate() {
        let firewall = match node {
            schema::Node::CustomerGateway(it) => it.firewall.as_ref(),
            schema::Node::BgpRouter(it) => it.firewall.as_ref(),
            _ => None,
        };
        let Some(sync) = firewall.and_then(|firewall| firewall.sync.as_ref()) else { continue };
        let partner = j.find(&sync.partner, "device with a firewall", &names).map(|i| ids[i]);
        if partner == Some(NodeId(index as u32)) {
            j.wrong(sync.partner.place, "a firewall is no partner of itself", None);
        }
        let day = Duration::from_secs(86_400);
        let delay =
            j.lawful_or(&sync.delay, Duration::from_millis(10), |t| between(*t, Duration::ZERO, day, "this delay"));
        let kind = plan.nodes.get_mut(index).map(|node| &mut node.kind);
        let forwarding = match kind {
            Some(NodeKind::CustomerGateway(it)) => &mut it.forwarding,
            Some(NodeKind::BgpRouter(it)) => &mut it.forwarding,
            _ => continue,
        };
        if let Some(firewall) = &mut forwarding.firewall {
            firewall.sync = partner.map(|partner| (partner, delay));
        }
    }
}

/// What the profiles of firewalls set, where the scenario said nothing; of the generic one nothing is said.
pub(super) fn profiles(plan: &mut Plan) {
    for node in &plan.nodes {
        let firewall = crate::build::forwarding(&node.kind).and_then(|(forwarding, _)| forwarding.firewall.as_ref());
        let Some(firewall) = firewall.filter(|it| it.profile.name != firewall_profile::GENERIC.name) else { continue };
        let path = |name: &str| format!("nodes.{}.firewall.{name}", node.name);
        let settings = firewall.left.iter().map(|(name, value, source)| (path(name), value.clone(), *source));
        plan.profiles.push(ProfileUse {
            device: node.name.clone(),
            profile: firewall.profile.name,
            about: firewall.profile.about,
            settings: settings.collect(),
        });
    }
}

/// UDP ports of flows begin here, beyond those that hosts take for TCP.
pub(crate) const FIRST_UDP_PORT: u16 = 61_000;

/// The applications.
pub(super) fn applications(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    let names = j.names(&scenario.applications, "application");
    for (name, (at, schema)) in names.into_iter().zip(&scenario.applications.0) {
        let application = match schema {
            schema::Application::TcpFlows(flows) => application(name, FlowKind::Tcp, flows, plan, j),
            schema::Application::UdpFlows(flows) => application(name, FlowKind::Udp, flows, plan, j),
            schema::Application::DnsLookups(lookups) => dns_lookups(name, lookups, plan, j),
        };
        plan.applications.push(application);
        let latest = plan.applications.last().map(|it| it.from);
        let by_udp = plan.applications.iter().filter(|it| Some(it.from) == latest && it.kind == FlowKind::Udp);
        if by_udp.map(|it| u64::from(it.flows)).sum::<u64>() > u64::from(u16::MAX - FIRST_UDP_PORT) {
            let message = format!("a host has ports for {} UDP flows in all", u16::MAX - FIRST_UDP_PORT);
            j.wrong(at.place, message, None);
        }
    }
}

fn application(name: String, kind: FlowKind, schema: &schema::Flows, plan: &Plan, j: &mut Judge) -> Application {
    let (ids, names) = hosts(plan);
    let from = j.find(&schema.from, "host or instance", &names).map(|i| ids[i]);
    let to = j.find(&schema.to, "host or instance", &names).map(|i| ids[i]);
    if from.is_some() && from == to {
        j.wrong(schema.to.place, "a flow goes from one host to another, not to itself", None);
    }
    let usual = Duration::from_secs(60).min(plan.duration / 10);
    let start = j.lawful_or(&schema.start, usual, |t| before_end(*t, plan));
    let stop = j.lawful_or(&schema.stop, plan.duration, |stop| {
        before_end(*stop, plan)?;
        if *stop > start { Ok(()) } else { Err(format!("the application stops before it starts at {start}")) }
    });
    // What is asked for the first time at the very end closes nothing.
    let stop = if schema.stop.is_none() { stop + Duration::from_secs(1) } else { stop };
    let interval = |t: &Duration, what: &str| between(*t, Duration::from_micros(1), Duration::from_secs(86_400), what);
    let most = match kind {
        FlowKind::Tcp => 16 << 20,
        FlowKind::Udp | FlowKind::Lookup => 1_400,
    };
    let Size(size) = j.lawful_or(&schema.size, Size(100), |Size(octets)| {
        between(*octets, 1, most, "the length of a question in octets")
    });
    let flows = j.lawful(&schema.flows, |n| between(*n, 1, 20_000, "the number of flows")).unwrap_or(1);
    Application {
        name,
        kind,
        from: from.unwrap_or_default(),
        to: to.unwrap_or_default(),
        flows: u32::try_from(flows).unwrap_or(1),
        spacing: j.lawful_or(&schema.spacing, Duration::from_millis(10), |t| interval(t, "the spacing of flows")),
        questions: schema.questions.is_some().then(|| j.number(&schema.questions, 1, 1, 1_000_000_000, "questions")),
        every: j.lawful_or(&schema.every, Duration::from_secs(1), |t| interval(t, "the interval of questions")),
        size: u32::try_from(size).unwrap_or(u32::MAX),
        start: moment(start),
        stop: moment(stop),
        patience: j.lawful_or(&schema.patience, Duration::from_secs(5), |t| positive(*t, "patience")),
        lookup: schema.by_name.as_ref().and_then(|at| {
            if kind != FlowKind::Tcp {
                j.wrong(at.place, "only flows of TCP look their name up here", None);
            }
            asks(&schema.from, from, plan, j);
            j.read(at)
        }),
    }
}

/// Notes it if a host has nobody to ask for names.
fn asks(at: &At<Name>, id: Option<NodeId>, plan: &Plan, j: &mut Judge) {
    if id.is_some_and(|id| !plan.dns.resolvers.contains_key(&id)) {
        let help = "give it a `resolver`, or its VPC a Route53Resolver";
        j.wrong(at.place, "this host knows no name server", Some(help.into()));
    }
}

fn dns_lookups(name: String, schema: &schema::DnsLookups, plan: &Plan, j: &mut Judge) -> Application {
    let (ids, names) = hosts(plan);
    let from = j.find(&schema.from, "host or instance", &names).map(|i| ids[i]);
    asks(&schema.from, from, plan, j);
    let usual = Duration::from_secs(60).min(plan.duration / 10);
    let start = j.lawful_or(&schema.start, usual, |t| before_end(*t, plan));
    let spacing = j.lawful_or(&schema.spacing, Duration::from_secs(1), |t| {
        between(*t, Duration::from_micros(1), Duration::from_secs(86_400), "the spacing of lookups")
    });
    let lookups = j.lawful(&schema.lookups, |n| between(*n, 1, 20_000, "the number of lookups")).unwrap_or(1);
    Application {
        name,
        kind: FlowKind::Lookup,
        from: from.unwrap_or_default(),
        // It is a name that is asked for, and nobody in particular.
        to: from.unwrap_or_default(),
        flows: u32::try_from(lookups).unwrap_or(1),
        spacing,
        questions: Some(1),
        every: spacing,
        size: 0,
        start: moment(start),
        stop: moment(plan.duration + Duration::from_secs(1)),
        // A host gives up by itself.
        patience: Duration::from_secs(60),
        lookup: j.read(&schema.name),
    }
}
