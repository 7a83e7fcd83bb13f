//! Configuration out: the customer side of a VPN connection, for a real device, as AWS's download would have it.
//!
//! Text is made from the plan alone: what the scenario's customer gateway does, in the words of another program. Each format
//! is a file here. What the scenario says and a format has no word for becomes a [`Remark`], in the text and beside it.
//!
//! An export holds the pre-shared keys and those of BGP sessions, because a device is no use without them; it is the only text of this crate that
//! does, and whoever orders it decides ([`Order::redact`]).

mod aws_xml;
mod bird;
mod frr;
mod libreswan;
mod linux;
mod remark;
mod swanctl;

use core::net::{IpAddr, Ipv4Addr};

use sim_core::node::ip::ReversePath;
use sim_core::proto::ike::config::{ChildProtocol, RETRANSMIT_FACTOR, RETRANSMIT_FIRST, RETRANSMIT_TRIES};

use crate::diagnostic::proposal;
use crate::leaf::{Encryption, Integrity};
use crate::plan::{
    BgpEnd, Connection, CustomerGateway, Door, Forwarding, IkeEnd, IkeIdentity, Interface, NodeKind, Phase, Plan,
    StaticRoute, Tunnel, TunnelId, Via,
};

pub use remark::Remark;
use remark::Remarks;

/// For whom to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The XML of `CustomerGatewayConfiguration`, which AWS gives to tools.
    AwsXml,
    /// strongSwan's swanctl.conf.
    Swanctl,
    /// Libreswan's ipsec.conf and ipsec.secrets, in the manner of AWS's download for Openswan.
    Libreswan,
    /// BIRD 2: BGP and static routes.
    Bird,
    /// FRRouting: BGP and static routes.
    Frr,
}

/// What is to be exported.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The scenario.
    pub plan: &'a Plan,
    /// Tunnels of one connection; at least one ([`find`]).
    pub tunnels: Vec<TunnelId>,
    /// Where the device reaches AWS's end of each of these tunnels, if that is not the tunnel's outside address.
    pub doors: Option<Vec<Door>>,
    /// The device's own address towards AWS; `None`: whichever its routes give.
    pub local: Option<Ipv4Addr>,
    /// True if tunnels are not interfaces: traffic selectors alone say what enters them.
    pub policy_based: bool,
    /// True if `***` stands in the place of each key.
    pub redact: bool,
}

/// An export.
#[derive(Clone, PartialEq, Eq)]
pub struct Export {
    /// The configuration.
    pub text: String,
    /// Pre-shared keys, where the format keeps them in a file of their own.
    pub secrets: Option<String>,
    /// What could not be said.
    pub remarks: Vec<Remark>,
}

impl core::fmt::Debug for Export {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Export").field("remarks", &self.remarks).finish_non_exhaustive()
    }
}

/// There is no such connection or tunnel.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}")]
pub struct NotFound {
    /// What there is not.
    pub what: String,
    /// The nearest right name, or all of them.
    pub help: Option<String>,
}

/// The tunnels of a connection, or the one of them that is called `tunnel`.
///
/// # Errors
/// If there is no connection or tunnel of that name.
pub fn find(plan: &Plan, connection: &str, tunnel: Option<&str>) -> Result<Vec<TunnelId>, NotFound> {
    let missing = |what: String, wanted: &str, names: Vec<&str>| NotFound { what, help: proposal(wanted, &names) };
    let number = plan.connections.iter().position(|c| c.name == connection).ok_or_else(|| {
        let names = plan.connections.iter().map(|c| c.name.as_str()).collect();
        missing(format!("there is no connection called `{connection}`"), connection, names)
    })?;
    let of = &plan.connections[number];
    let id = |tunnel| TunnelId { connection: number, tunnel };
    let Some(wanted) = tunnel else { return Ok((0..of.tunnels.len()).map(id).collect()) };
    let names: Vec<&str> = of.tunnels.iter().map(short_name).collect();
    match names.iter().position(|name| *name == wanted) {
        Some(tunnel) => Ok(vec![id(tunnel)]),
        None => Err(missing(format!("`{connection}` has no tunnel called `{wanted}`"), wanted, names)),
    }
}

fn short_name(tunnel: &Tunnel) -> &str {
    tunnel.name.rsplit('.').next().unwrap_or_default()
}

/// Writes the customer side.
pub fn export(order: &Order<'_>, format: Format) -> Export {
    let site = Site::of(order);
    let mut remarks = Remarks::default();
    if matches!(format, Format::AwsXml | Format::Swanctl | Format::Libreswan) {
        site.legs.iter().for_each(|leg| warn_of_extras(leg, &mut remarks));
    }
    site.legs.iter().for_each(|leg| warn_of_forwarding(&site, leg, &mut remarks));
    let (text, secrets) = match format {
        Format::AwsXml => (aws_xml::write(&site, &mut remarks), None),
        Format::Swanctl => (swanctl::write(&site, &mut remarks), None),
        Format::Libreswan => {
            let (text, secrets) = libreswan::write(&site, &mut remarks);
            (text, Some(secrets))
        }
        Format::Bird => (bird::write(&site, &mut remarks), None),
        Format::Frr => (frr::write(&site, &mut remarks), None),
    };
    Export { text, secrets, remarks: remarks.into_vec() }
}

/// What AWS does not offer, or not in the file that it hands out.
fn warn_of_extras(leg: &Leg<'_>, remarks: &mut Remarks) {
    let end = leg.end();
    if end.credentials.is_some() {
        remarks.add(
            leg,
            "authentication by certificate: give the device its own certificate and key in place of the key here",
        );
    }
    if leg.tunnel.inside_ipv6.is_some() {
        remarks.add(leg, "tunnel_inside_ip_version IPv6: this is written as if the connection were for IPv4");
    }
    if leg.tunnel.aws_outside.is_ipv6() {
        remarks.add(leg, "outside_address of IPv6: no device has been tried with this, and no file of AWS's own is known that has one");
    }
    if end.child_protocol != ChildProtocol::Esp {
        remarks.add(leg, "child_protocol AH: ESP is proposed");
    }
}

/// What the gateway does with packets beyond its tunnels and routes, which is for its administrator to write.
fn warn_of_forwarding(site: &Site<'_>, leg: &Leg<'_>, remarks: &mut Remarks) {
    let Forwarding { neighbors, tracks, policy_routes, ecmp, firewall, tunnel_nat, cluster_id, igp_costs } =
        &site.gateway.forwarding;
    let filtered = site.gateway.interfaces.iter().any(|interface| interface.reverse_path != ReversePath::Off);
    let guarded = site.gateway.interfaces.iter().any(|interface| !interface.access_list.is_empty());
    let guarded = guarded || !leg.tunnel.customer_access_list.is_empty();
    let on_lan = |it: &Interface| it.vlan.is_some() || !it.virtual_routers.is_empty();
    let on_lan = site.gateway.interfaces.iter().any(on_lan);
    let late = leg.tunnel.bgp.as_ref().is_some_and(|(_, end)| !end.poll.is_zero());
    let all = [
        (late, "poll: how late a daemon acts on its timers is its own, and is not written"),
        (!neighbors.is_empty(), "neighbors: BGP and BFD beside the tunnels are not written"),
        (!tracks.is_empty(), "tracks: routes are written as if they depended on nothing"),
        (!policy_routes.is_empty(), "policy_routes are not written"),
        (ecmp.is_some(), "ecmp: routes of equal cost are written, how flows are spread over them is not"),
        (firewall.is_some(), "firewall: the stateful firewall is not written"),
        (tunnel_nat.is_some(), "tunnel_nat: the NAT is not written"),
        (on_lan, "vrrp and vlan: what the device does on its LAN is not written"),
        (cluster_id.is_some() || !igp_costs.is_empty(), "cluster_id and igp_costs are not written"),
        (filtered || leg.tunnel.customer_reverse_path != ReversePath::Off, "reverse_path is not written"),
        (guarded, "access_list: the packet filter is not written"),
    ];
    for (_, what) in all.into_iter().filter(|(given, _)| *given) {
        remarks.add(leg, what);
    }
}

/// What every format asks.
struct Site<'a> {
    order: &'a Order<'a>,
    connection: &'a Connection,
    gateway: &'a CustomerGateway,
    legs: Vec<Leg<'a>>,
}

/// One tunnel, as its customer gateway sees it.
struct Leg<'a> {
    tunnel: &'a Tunnel,
    /// Its number among the tunnels of the gateway, from 1, which also numbers its interface.
    number: u32,
    door: Option<Door>,
    /// Static routes into it, and their distances.
    routes: Vec<&'a StaticRoute>,
}

impl<'a> Site<'a> {
    fn of(order: &'a Order<'a>) -> Self {
        let plan = order.plan;
        let connection = &plan.connections[order.tunnels[0].connection];
        let NodeKind::CustomerGateway(gateway) = &plan.nodes[connection.customer_gateway.index()].kind else {
            unreachable!("a plan's connection starts from a customer gateway");
        };
        // All tunnels of the gateway, also those of its other connections: their interfaces must not collide.
        let all = plan.tunnels_of(connection.customer_gateway);
        let leg = |(place, id): (usize, &TunnelId)| Leg {
            tunnel: plan.tunnel(*id),
            number: all.iter().position(|other| other == id).map_or(0, |at| at as u32) + 1,
            door: order.doors.as_ref().and_then(|doors| doors.get(place).copied()),
            routes: gateway.static_routes.iter().filter(|route| route.via == Via::Tunnel(*id)).collect(),
        };
        let legs = order.tunnels.iter().enumerate().map(leg).collect();
        Self { order, connection, gateway, legs }
    }

    /// What every text begins with: what it is, and what it does not say. Lines of plain text.
    fn preamble(&self, whom: &str, remarks: &Remarks, more: &[String]) -> Vec<String> {
        let one = match &self.legs[..] {
            [leg] if self.connection.tunnels.len() > 1 => format!(", tunnel {}", short_name(leg.tunnel)),
            _ => String::new(),
        };
        let (connection, scenario) = (&self.connection.name, &self.order.plan.name);
        let mut lines =
            vec![format!("The customer side of VPN connection {connection}{one} of scenario {scenario}, for {whom}.")];
        lines.extend(more.iter().cloned());
        if !remarks.is_empty() {
            lines.push("What the scenario says and these lines do not:".to_owned());
            lines.extend(remarks.iter().map(|remark| format!("- {remark}")));
        }
        lines
    }

    /// What a routing program's host must have. Lines of plain text.
    fn inside_addresses(&self) -> Vec<String> {
        let mut lines = vec!["The tunnels are interfaces with these addresses:".to_owned()];
        for leg in &self.legs {
            let (address, length) = (leg.tunnel.customer_inside, leg.tunnel.inside.prefix_len());
            lines.push(format!("    {} {address}/{length}, AWS is {}", leg.tunnel.name, leg.tunnel.aws_inside));
        }
        lines
    }

    /// Without interfaces, traffic selectors are policies, and those that AWS has by default take everything.
    fn warn_of_policies(&self, leg: &Leg<'_>, remarks: &mut Remarks) {
        if self.order.policy_based && leg.end().remote_cidr.prefix_len() == 0 {
            remarks
                .add(leg, "remote_cidr 0.0.0.0/0 without an interface takes all traffic of the host into the tunnel");
        }
    }

    /// The key of a tunnel's BGP session.
    fn md5_key(&self, customer: &'a BgpEnd) -> Option<&'a str> {
        customer.md5_key.as_ref().map(|key| if self.order.redact { "***" } else { key.expose() })
    }

    fn key(&self, leg: &'a Leg<'a>) -> &'a str {
        if self.order.redact { "***" } else { core::str::from_utf8(leg.end().psk.expose()).unwrap_or_default() }
    }
}

impl Leg<'_> {
    fn end(&self) -> &IkeEnd {
        &self.tunnel.customer
    }

    /// The tunnel's name as one word.
    fn word(&self) -> String {
        self.tunnel.name.replace('.', "-")
    }

    /// The tunnel's interface.
    fn interface(&self) -> String {
        format!("ipsec{}", self.number)
    }

    /// The static routes into its interface, as Linux's commands.
    fn route_commands(&self) -> impl Iterator<Item = String> {
        let interface = self.interface();
        let routes = self.routes.iter();
        routes.map(move |route| format!("    ip route add {} dev {interface} metric {}", route.prefix, route.distance))
    }

    /// Whether requests are repeated as strongSwan does, and as a scenario's ends do if nothing else is said.
    fn has_usual_retransmission(&self) -> bool {
        let waits = &self.end().retransmission;
        let [first, second] = [0, 1].map(|i| waits.get(i).or(waits.first()).copied().unwrap_or(RETRANSMIT_FIRST));
        first == RETRANSMIT_FIRST
            && first.scale(RETRANSMIT_FACTOR.0, RETRANSMIT_FACTOR.1) == second
            && waits.len().saturating_sub(1) == RETRANSMIT_TRIES as usize
    }

    /// Where AWS's end is.
    fn remote(&self) -> IpAddr {
        self.door.map_or(self.tunnel.aws_outside, |door| door.address.into())
    }

    /// Identities of the customer gateway and of AWS's end. Who gives none is its outside address.
    fn identities(&self) -> [IkeIdentity; 2] {
        let or = |id: &Option<IkeIdentity>, address| id.clone().unwrap_or(IkeIdentity::Address(address));
        [or(&self.end().id, self.tunnel.customer_registered), or(&self.end().expected_id, self.tunnel.aws_outside)]
    }
}

/// An identity as strongSwan and Libreswan write it: a name without `@` could be taken for a host to look up.
fn identity(id: &IkeIdentity) -> String {
    match id {
        IkeIdentity::Address(address) => address.to_string(),
        IkeIdentity::Name(name) => format!("@{name}"),
        IkeIdentity::DistinguishedName(_) => format!("\"{id}\""),
    }
}

/// Lines of plain text as comments, folded.
fn comment(lines: &[String], mark: &str) -> String {
    let mut text = String::new();
    for line in lines {
        let (first, next) = match line.strip_prefix("- ") {
            Some(_) => (format!("{mark} "), format!("{mark}   ")),
            None => (format!("{mark} "), format!("{mark} ")),
        };
        let options = textwrap::Options::new(112).initial_indent(&first).subsequent_indent(&next).break_words(false);
        for folded in textwrap::wrap(line, options) {
            text.push_str(folded.trim_end());
            text.push('\n');
        }
    }
    text
}

fn is_aead(encryption: Encryption) -> bool {
    match encryption {
        Encryption::Aes128 | Encryption::Aes256 | Encryption::Null => false,
        Encryption::Aes128Gcm16 | Encryption::Aes256Gcm16 => true,
    }
}

/// The ciphers of a phase: those that need an integrity algorithm, and AEADs, which have none (RFC 7296 section 3.3).
fn ciphers(phase: &Phase) -> [Vec<Encryption>; 2] {
    let (aead, cbc) = phase.encryption.iter().copied().partition(|e| is_aead(*e));
    [cbc, aead]
}

/// `sha1`, `sha256` and so on, as most programs call them.
fn hash(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Sha1 => "sha1",
        Integrity::Sha2_256 => "sha256",
        Integrity::Sha2_384 => "sha384",
        Integrity::Sha2_512 => "sha512",
    }
}

#[cfg(test)]
mod tests;
