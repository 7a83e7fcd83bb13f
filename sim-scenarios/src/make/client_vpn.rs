//! Client VPN: endpoints, associations and clients.

use std::collections::BTreeMap;

use sim_core::id::NodeId;
use sim_core::node::client_vpn::transport::{Certificate, Hello};
use sim_core::node::client_vpn::{Authentication, AuthorizationRule, EndpointConfig, User};
use sim_core::time::{Duration, Instant};

use crate::leaf::Name;
use crate::place::At;
use crate::plan::{ClientVpn, ClientVpnAssociation, End, NodeKind, Plan, VpnClient};
use crate::schema;

use super::Names;
use super::firewall::one_of;
use super::judge::{Judge, between};
use super::links::other_end;
use super::nodes::{overlap, usable, whole};
use super::vpc::Vpcs;

/// Block sizes of a client CIDR (Client VPN guide, what-is-best-practices.html).
const CLIENT_CIDR: [u8; 2] = [12, 22];
/// The longest prefix of an associated subnet (cvpn-working-target.html).
const LONGEST_SUBNET: u8 = 27;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Directory,
    Saml,
    Certificate,
}

const METHODS: [(&str, Method); 3] =
    [("directory", Method::Directory), ("saml", Method::Saml), ("certificate", Method::Certificate)];

/// All endpoints.
pub(super) fn endpoints(scenario: &schema::Scenario, names: &Names, j: &mut Judge) -> Vec<ClientVpn> {
    let all = names.client_vpns.iter().zip(&scenario.client_vpn.0);
    all.map(|(name, (at, schema))| ClientVpn { name: name.clone(), config: endpoint(schema, at, j) }).collect()
}

fn name(at: &At<Name>, j: &mut Judge) -> String {
    j.read(at).map(|Name(name)| name).unwrap_or_default()
}

fn endpoint(schema: &schema::ClientVpn, at: &At<Name>, j: &mut Judge) -> EndpointConfig {
    let client_cidr = j.lawful(&schema.client_cidr, |net| {
        whole(net)?;
        let [widest, narrowest] = CLIENT_CIDR;
        match (widest..=narrowest).contains(&net.prefix_len()) {
            true => Ok(()),
            false => Err(format!("a client CIDR is /{narrowest} to /{widest}, and not /{}", net.prefix_len())),
        }
    });
    let methods: Vec<Method> =
        schema.authentication.iter().filter_map(|at| one_of(at, &METHODS, "authentication of Client VPN", j)).collect();
    let asks = |method| methods.contains(&method);
    if methods.is_empty() {
        j.wrong(at.place, "this endpoint asks nothing of who comes", Some("`authentication: [\"directory\"]`".into()));
    }
    if let (true, true, Some(at)) = (asks(Method::Directory), asks(Method::Saml), schema.authentication.last()) {
        j.wrong(at.place, "an endpoint authenticates by a directory or by SAML, and not by both", None);
    }
    let authority = schema.client_authority.as_ref().map(|at| name(at, j));
    if asks(Method::Certificate) && authority.is_none() {
        let help = "for example `client_authority: \"corp\"`";
        j.wrong(at.place, "certificates of which authority does this endpoint take?", Some(help.into()));
    }
    let mfa = j.or(&schema.mfa, false);
    if let Some(at) = schema.mfa.as_ref().filter(|_| mfa && !asks(Method::Directory) && !asks(Method::Saml)) {
        j.wrong(at.place, "a second factor stands beside a password, and there is none", None);
    }
    let users = j.names(&schema.users, "user").into_iter().zip(&schema.users.0);
    let users: Vec<User> = users
        .map(|(user, (_, it))| User { name: user, groups: it.groups.iter().map(|at| name(at, j)).collect() })
        .collect();
    j.names(&schema.authorization_rules, "authorization rule");
    let rules = schema.authorization_rules.0.iter().map(|(_, rule)| AuthorizationRule {
        network: j.lawful(&rule.network, whole).unwrap_or_default(),
        group: rule.group.as_ref().map(|at| name(at, j)),
    });
    let rules = rules.collect();
    let hour = Duration::from_secs(3600);
    let ping = j.lawful_or(&schema.ping, Duration::from_secs(10), |t| {
        between(*t, Duration::from_millis(1), hour, "the time between signs of life")
    });
    let dead_after = j.lawful_or(&schema.dead_after, Duration::from_secs(60), |t| {
        between(*t, Duration::from_millis(1), hour, "the wait for a sign of life")?;
        if *t > ping { Ok(()) } else { Err("it is not longer than the time between two signs of life".into()) }
    });
    let port = schema.port.as_ref().and_then(|at| {
        j.lawful(at, |port| match port {
            443 | 1194 => Ok(()),
            _ => Err("the port is 443 or 1194".into()),
        })
    });
    EndpointConfig {
        client_cidr: client_cidr.unwrap_or_default(),
        port: port.and_then(|port| u16::try_from(port).ok()).unwrap_or(443),
        authentication: Authentication {
            directory: asks(Method::Directory),
            saml: asks(Method::Saml),
            certificate: authority.filter(|_| asks(Method::Certificate)),
            mfa,
        },
        users,
        revoked: schema.revoked.iter().map(|at| name(at, j)).collect(),
        rules,
        split_tunnel: j.or(&schema.split_tunnel, false),
        ping,
        dead_after,
    }
}

fn of(at: &At<Name>, names: &Names, j: &mut Judge) -> usize {
    j.find(at, "Client VPN endpoint", &names.client_vpns).unwrap_or(usize::MAX)
}

pub(super) fn association(
    schema: &schema::ClientVpnAssociation,
    vpcs: &Vpcs,
    names: &Names,
    j: &mut Judge,
) -> ClientVpnAssociation {
    let place = vpcs.subnet(&schema.subnet, j);
    let address = vpcs.address(place, &schema.address, j);
    let (vpc, subnet) = place.unwrap_or_default();
    ClientVpnAssociation {
        endpoint: of(&schema.endpoint, names, j),
        vpc,
        subnet,
        address,
        outside: j.lawful(&schema.outside_address, |to| usable((*to).into())).unwrap_or(super::nodes::ANY),
        routes: schema.routes.iter().filter_map(|at| j.lawful(at, whole)).collect(),
    }
}

pub(super) fn client(schema: &schema::VpnClient, names: &Names, j: &mut Judge) -> VpnClient {
    let certificate = schema.certificate.as_ref().map(|it| Certificate {
        issuer: name(&it.issuer, j),
        serial: name(&it.serial, j),
        expires: it.expires.as_ref().and_then(|at| j.read(at)).map_or(Instant::NEVER, |t| Instant::START + t),
    });
    let day = Duration::from_secs(86_400);
    VpnClient {
        endpoint: of(&schema.endpoint, names, j),
        hello: Hello {
            user: schema.user.as_ref().map(|at| name(at, j)).unwrap_or_default(),
            password: j.or(&schema.password_is_right, true),
            mfa: j.or(&schema.mfa_is_right, true),
            certificate,
        },
        connect_at: j.or(&schema.connect_at, Duration::from_secs(1)),
        connect_timeout: j.lawful_or(&schema.connect_timeout, Duration::from_secs(10), |t| {
            between(*t, Duration::from_millis(1), day, "the wait for an answer")
        }),
    }
}

/// What must fit between an endpoint, its associations and its clients (Client VPN guide, what-is-best-practices.html and
/// cvpn-working-target.html).
pub(super) fn check(scenario: &schema::Scenario, plan: &Plan, j: &mut Judge) {
    for ((at, schema), (number, endpoint)) in scenario.client_vpn.0.iter().zip(plan.client_vpns.iter().enumerate()) {
        let cidr = endpoint.config.client_cidr;
        let mut first_vpc = None;
        let mut zones: BTreeMap<&str, &str> = BTreeMap::new();
        for ((_, node_schema), node) in scenario.nodes.0.iter().zip(&plan.nodes) {
            let (schema::Node::ClientVpnAssociation(its), NodeKind::ClientVpnAssociation(made)) =
                (node_schema, &node.kind)
            else {
                continue;
            };
            if made.endpoint != number {
                continue;
            }
            let Some(NodeKind::Vpc(vpc)) = plan.nodes.get(made.vpc.index()).map(|node| &node.kind) else { continue };
            if *first_vpc.get_or_insert(made.vpc) != made.vpc {
                j.wrong(its.subnet.place, "the subnets of an endpoint are in one VPC", None);
            }
            if overlap(&cidr, &vpc.cidr) {
                let message = format!("the client CIDR overlaps {}, the VPC's own", vpc.cidr);
                j.wrong(schema.client_cidr.place, message, None);
            }
            for (at, route) in its.routes.iter().zip(&made.routes) {
                if overlap(&cidr, route) && route.prefix_len() > 0 {
                    j.wrong(at.place, format!("this route overlaps the client CIDR {cidr}"), None);
                }
            }
            let Some(subnet) = vpc.subnets.get(made.subnet) else { continue };
            if subnet.cidr.prefix_len() > LONGEST_SUBNET {
                let message = format!("an associated subnet is /{LONGEST_SUBNET} or wider, and {} is not", subnet.cidr);
                j.wrong(its.subnet.place, message, None);
            }
            if let Some(other) = zones.insert(&subnet.availability_zone, &node.name) {
                let message = format!(
                    "`{other}` is in availability zone {} already: one association in each",
                    subnet.availability_zone
                );
                j.wrong(its.subnet.place, message, None);
            }
        }
        if first_vpc.is_none() {
            j.wrong(at.place, "no association belongs to this endpoint", None);
        }
    }
    for ((at, schema), (node, id)) in scenario.nodes.0.iter().zip(plan.nodes.iter().zip((0..).map(NodeId))) {
        let (schema::Node::VpnClient(_), NodeKind::VpnClient(_)) = (schema, &node.kind) else { continue };
        let ends = [VpnClient::INSIDE, VpnClient::OUTSIDE].map(|side| End { node: id, interface: Some(side) });
        let [inside, outside] = ends.map(|end| plan.links.iter().find_map(|link| other_end(link, end)));
        let host = inside.is_some_and(|it| {
            plan.nodes.get(it.node.index()).is_some_and(|node| matches!(node.kind, NodeKind::Host(_)))
        });
        if !host || outside.is_none() {
            let help =
                format!("a host is linked to \"{}.inside\", and the network to \"{}.outside\"", node.name, node.name);
            j.wrong(at.place, "a client stands between a computer and its network", Some(help));
        }
    }
}
