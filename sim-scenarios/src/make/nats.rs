//! NATs and filters, and how AWS sees a customer gateway behind one.

use core::net::{IpAddr, Ipv4Addr};

use sim_core::id::NodeId;
use sim_core::net::filter::{Contents, PortOf, Rule, RuleAction, RuleDirection};
use sim_core::net::nat::{Mode, NatConfig, Timers};
use sim_core::proto::ike::config::IkeVersion;
use sim_core::time::Duration;

use crate::leaf::{IpProtocol, Registered};
use crate::place::{At, Named, Place};
use crate::plan::{End, Nat, NatMode, Node, NodeKind, Plan, StartupAction, Tunnel};
use crate::schema;

use super::judge::{Judge, Verdict, positive};
use super::links::other_end;
use super::nodes::usable;

pub(super) fn make(schema: &schema::Nat, j: &mut Judge) -> Nat {
    let inside = j.lawful(&schema.inside, |net| usable(*net)).unwrap_or_default();
    let public = |address: &Ipv4Addr| -> Verdict {
        usable((*address).into())?;
        if inside.contains(address) {
            Err(format!("{address} is in the inside subnet {}", inside.trunc()))
        } else {
            Ok(())
        }
    };
    let outside = j.lawful(&schema.outside, public).unwrap_or(Ipv4Addr::UNSPECIFIED);
    let mode = j.or(&schema.mode, NatMode::Napt);
    let mut pool = vec![outside];
    for at in &schema.pool {
        if mode != NatMode::Napt {
            j.wrong(at.place, "`pool` is for `mode: \"napt\"`", None);
        }
        pool.extend(j.lawful(at, |address| {
            public(address)?;
            if pool.contains(address) { Err(format!("{address} is in the pool already")) } else { Ok(()) }
        }));
    }
    let config = NatConfig { mode: Mode::Routed, pool, ..NatConfig::default() };
    let config = translation(schema, config, j);
    let mode = match mode {
        NatMode::Napt => Mode::Napt,
        NatMode::OneToOne => Mode::OneToOne(pairs(schema, &public, j)),
        NatMode::Routed => Mode::Routed,
    };
    if let (Some(pair), Mode::Napt | Mode::Routed) = (schema.pairs.first(), &mode) {
        j.wrong(pair.inside.place, "`pairs` are for `mode: \"one_to_one\"`", None);
    }
    let config = NatConfig { mode, ..config };
    Nat { inside, outside, later: Vec::new(), config, filter: filter(schema, j) }
}

/// The settings of translation, where they are given.
fn translation(schema: &schema::Nat, default: NatConfig, j: &mut Judge) -> NatConfig {
    let first = j.number(&schema.first_port, *default.ports.start(), 1, 65_535, "a port");
    let last = j.number(&schema.last_port, *default.ports.end(), 1, 65_535, "a port");
    if let (true, Some(at)) = (first > last, schema.last_port.as_ref().or(schema.first_port.as_ref())) {
        j.wrong(at.place, format!("there is no port from {first} to {last}"), None);
    }
    let ports = u64::from(last.saturating_sub(first)) + 1;
    let block = schema.port_block.is_some().then(|| j.number(&schema.port_block, 1, 1, ports, "a block of ports"));
    let mut timer = |at: &Option<At<Duration>>, default| j.lawful_or(at, default, |t| positive(*t, "a NAT's timeout"));
    let timers = Timers {
        udp: timer(&schema.udp_timeout, default.timers.udp),
        tcp_established: timer(&schema.tcp_timeout, default.timers.tcp_established),
        tcp_transitory: timer(&schema.tcp_transitory_timeout, default.timers.tcp_transitory),
        icmp: timer(&schema.icmp_timeout, default.timers.icmp),
        ipsec: timer(&schema.ipsec_timeout, default.timers.ipsec),
    };
    NatConfig {
        mapping: j.or(&schema.mapping, default.mapping),
        filtering: j.or(&schema.filtering, default.filtering),
        assignment: j.or(&schema.port_assignment, default.assignment),
        parity: j.or(&schema.port_parity, default.parity),
        ports: first..=last,
        block,
        table: j.number(&schema.table, default.table, 1, 1 << 24, "the size of a NAT's table"),
        timers,
        refresh: j.or(&schema.refresh, default.refresh),
        hairpin: j.or(&schema.hairpin, default.hairpin),
        esp: j.or(&schema.esp, default.esp),
        ah: j.or(&schema.ah, default.ah),
        fragments: j.or(&schema.fragments, default.fragments),
        ..default
    }
}

fn pairs(schema: &schema::Nat, public: &impl Fn(&Ipv4Addr) -> Verdict, j: &mut Judge) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    if schema.pairs.is_empty() {
        let help = "for example: pairs: [(inside: \"192.168.1.2\", outside: \"198.51.100.1\")]";
        j.wrong(schema.outside.place, "a NAT with `mode: \"one_to_one\"` translates by `pairs`", Some(help.into()));
    }
    let mut pairs: Vec<(Ipv4Addr, Ipv4Addr)> = Vec::new();
    for pair in &schema.pairs {
        let once = |is_taken: bool, address: &Ipv4Addr| {
            if is_taken { Err(format!("{address} is in another pair already")) } else { Ok(()) }
        };
        let inside = j.lawful(&pair.inside, |a| {
            usable((*a).into())?;
            once(pairs.iter().any(|(inside, _)| inside == a), a)
        });
        let outside = j.lawful(&pair.outside, |a| {
            public(a)?;
            once(pairs.iter().any(|(_, outside)| outside == a), a)
        });
        pairs.extend(inside.zip(outside));
    }
    pairs
}

fn filter(schema: &schema::Nat, j: &mut Judge) -> Vec<Rule> {
    j.names(&schema.filter, "filter rule");
    let given = schema.filter.0.iter().map(|(_, it)| GivenRule {
        protocol: &it.protocol,
        port: &it.port,
        contents: &it.contents,
        direction: &it.direction,
        action: &it.action,
        enabled: &it.enabled,
    });
    given.filter_map(|it| it.rule(PortOf::Outside, j)).collect()
}

/// The access list of an interface or tunnel.
pub(super) fn access_list(schema: &Named<schema::AccessRule>, j: &mut Judge) -> Vec<Rule> {
    j.names(schema, "access rule");
    let given = schema.0.iter().map(|(_, it)| GivenRule {
        protocol: &it.protocol,
        port: &it.port,
        contents: &None,
        direction: &it.direction,
        action: &it.action,
        enabled: &it.enabled,
    });
    given.filter_map(|it| it.rule(PortOf::Either, j)).collect()
}

/// What rules of filters and access lists have in common.
struct GivenRule<'s> {
    protocol: &'s Option<At<IpProtocol>>,
    port: &'s Option<At<u64>>,
    contents: &'s Option<At<Contents>>,
    direction: &'s Option<At<RuleDirection>>,
    action: &'s Option<At<RuleAction>>,
    enabled: &'s Option<At<bool>>,
}

impl GivenRule<'_> {
    /// The rule, unless it is passed over.
    fn rule(&self, of: PortOf, j: &mut Judge) -> Option<Rule> {
        let protocol = self.protocol.as_ref().and_then(|at| j.read(at)).map(|IpProtocol(number)| number);
        let port = self.port.as_ref().map(|at| {
            if !matches!(protocol, Some(6 | 17)) {
                let help = "give it `protocol: \"udp\"` or `protocol: \"tcp\"`";
                j.wrong(at.place, "only UDP and TCP have ports", Some(help.into()));
            }
            (of, j.number(self.port, 0, 1, 65_535, "a port"))
        });
        let made = Rule {
            protocol,
            port,
            contents: self.contents.as_ref().and_then(|at| j.read(at)),
            direction: j.or(self.direction, RuleDirection::Both),
            action: j.or(self.action, RuleAction::Drop),
        };
        j.or(self.enabled, true).then_some(made)
    }
}

/// What AWS has registered as the customer gateway's address: what is given, or how the NATs in front of it show it.
pub(super) fn registered(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    for (number, (_, schema)) in scenario.connections.0.iter().enumerate() {
        let schema::Connection::Vpn(schema) = schema;
        let connection = &plan.connections[number];
        // What has an IPv6 address is behind no NAT.
        let Some(IpAddr::V4(first_outside)) = connection.tunnels.first().map(|first| first.customer_outside) else {
            continue;
        };
        let wan = End { node: connection.customer_gateway, interface: Some(connection.customer_interface) };
        let given = schema.customer_address.as_ref().and_then(|at| {
            j.lawful(at, |registered| match registered {
                Registered::Address(address) => usable((*address).into()),
                Registered::Nothing => Ok(()),
            })
        });
        if let (Some(Registered::Nothing), Some(at)) = (given, &schema.customer_address) {
            unregistered(&mut plan.connections[number].tunnels, at.place, j);
        }
        let address = match given {
            Some(Registered::Address(address)) => Some(address),
            Some(Registered::Nothing) => Some(shown(plan, wan, first_outside).unwrap_or(first_outside)),
            None => match shown(plan, wan, first_outside) {
                Ok(address) => Some(address),
                Err(nat) => {
                    let message = format!("NAT `{nat}` has no pair for the customer gateway's address");
                    let help = "add it to `pairs`, or say by `customer_address:` what AWS has registered";
                    j.wrong(schema.customer_gateway.place, message, Some(help.into()));
                    None
                }
            },
        };
        for tunnel in &mut plan.connections[number].tunnels {
            tunnel.customer_registered = address.map_or(tunnel.customer_outside, IpAddr::V4);
        }
    }
}

/// A customer gateway whose address AWS does not have (guide: "Tunnel authentication options"; `IpAddress` of `CreateCustomerGateway`
/// is optional with a certificate).
fn unregistered(tunnels: &mut [Tunnel], place: Place, j: &mut Judge) {
    for tunnel in tunnels {
        tunnel.customer_anywhere = true;
        let name = &tunnel.name;
        let (what, help) = if tunnel.aws.credentials.is_none() || tunnel.customer.credentials.is_none() {
            let what =
                format!("a pre-shared key belongs to an address: without one `{name}` needs certificates at both ends");
            (what, "give the tunnel `authentication: Certificate()`, or the connection an address")
        } else if tunnel.aws.startup == StartupAction::Start {
            let what = format!("AWS cannot begin `{name}` without the customer gateway's address");
            (what, "leave `startup_action` \"add\" at AWS's end, or give the connection an address")
        } else if tunnel.aws.ike_versions != [IkeVersion::V2] {
            let what = format!("`{name}` without the customer gateway's address is for IKEv2 only here");
            (what, "give the tunnel `ike_versions: [\"ikev2\"]`")
        } else {
            continue;
        };
        j.wrong(place, what, Some(help.into()));
    }
}

/// How an address is seen beyond all NATs whose inside it is in.
fn shown(plan: &Plan, wan: End, mut address: Ipv4Addr) -> Result<Ipv4Addr, String> {
    if let Some(instance) = super::instances::at(plan, wan) {
        return Ok(instance.elastic_ip);
    }
    let mut here = wan;
    let mut passed: Vec<NodeId> = Vec::new();
    if !plan.nodes.iter().any(|node| matches!(node.kind, NodeKind::Nat(_))) {
        return Ok(address);
    }
    while let Some(id) = nat_in_front(plan, here).filter(|id| !passed.contains(id)) {
        passed.push(id);
        let Some(Node { name, kind: NodeKind::Nat(nat) }) = plan.nodes.get(id.index()) else { break };
        address = nat.shows(address).ok_or_else(|| name.clone())?;
        here = End { node: id, interface: Some(Nat::OUTSIDE) };
    }
    Ok(address)
}

/// The NAT whose inside end is reached first, over links and routers.
fn nat_in_front(plan: &Plan, from: End) -> Option<NodeId> {
    let mut reached = vec![from];
    let mut crossed = vec![false; plan.links.len()];
    let mut next = 0;
    while let Some(&here) = reached.get(next) {
        next += 1;
        let is_router = matches!(plan.nodes.get(here.node.index()), Some(Node { kind: NodeKind::Router(_), .. }));
        for (i, link) in plan.links.iter().enumerate() {
            let this = link.ends.into_iter().find(|end| *end == here || (is_router && end.node == here.node));
            let Some(there) = this.filter(|_| !crossed[i]).and_then(|this| other_end(link, this)) else { continue };
            crossed[i] = true;
            match plan.nodes.get(there.node.index()).map(|node| &node.kind) {
                Some(NodeKind::Nat(_)) if there.interface == Some(Nat::INSIDE) => return Some(there.node),
                Some(_) | None => reached.push(there),
            }
        }
    }
    None
}
