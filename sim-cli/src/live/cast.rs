//! Who is real in a live run, as the scenario marks it or as it was typed, and what is opened for them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use sim_core::id::NodeId;
use sim_core::node::tunnel::{IKE_PORT, NATT_PORT};
use sim_scenarios::build::Reality;
use sim_scenarios::plan::{Door, External, NodeKind, Plan};

use super::doors::{Openings, Tun};
use super::site::Gate;
use super::translation::Translation;
use crate::failure::{self, Failure};

/// Who is real, by name. It is all of a live run that changes its world, so a journal begins with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// Customer gateways and virtual private gateways in whose place real devices are.
    pub devices: Vec<String>,
    /// Hosts in whose place programs of this machine are.
    pub hosts: Vec<String>,
    /// Whether ESP comes and goes without UDP, too.
    pub native_esp: bool,
}

/// A host to be real, and what its TUN device is called if that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealHost {
    pub host: String,
    pub device: Option<String>,
}

impl FromStr for RealHost {
    type Err = String;

    /// HOST or HOST=DEVICE.
    fn from_str(text: &str) -> Result<Self, String> {
        let (host, device) = text.split_once('=').map_or((text, None), |(host, device)| (host, Some(device)));
        // Linux: IFNAMSIZ is 16 with the terminator.
        match device {
            Some(name) if name.is_empty() || name.len() > 15 || name.contains(['/', ' ']) => {
                Err(format!("`{name}` is no name for a network interface"))
            }
            _ => Ok(Self { host: host.into(), device: device.map(Into::into) }),
        }
    }
}

/// Where a real device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub address: Ipv4Addr,
    pub ike_port: u16,
    pub nat_port: u16,
}

impl Peer {
    /// With the standard ports.
    pub const fn at(address: Ipv4Addr) -> Self {
        Self { address, ike_port: IKE_PORT, nat_port: NATT_PORT }
    }
}

impl FromStr for Peer {
    type Err = String;

    /// ADDRESS or ADDRESS:PORT,PORT.
    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "wanted: an IPv4 address, like 192.0.2.2, or with ports, like 192.0.2.2:10500,14500".to_owned();
        let port = |text: &str| text.parse().ok().filter(|port| *port != 0).ok_or_else(wanted);
        let (address, ports) = text.split_once(':').map_or((text, None), |(address, ports)| (address, Some(ports)));
        let mut peer = Self::at(address.parse().map_err(|_| wanted())?);
        if let Some(ports) = ports {
            let (ike, nat) = ports.split_once(',').ok_or_else(wanted)?;
            (peer.ike_port, peer.nat_port) = (port(ike)?, port(nat)?);
        }
        Ok(peer)
    }
}

/// Where the sockets are, and the real devices, where that differs from the scenario.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    pub addresses: Vec<Ipv4Addr>,
    pub ike_port: Option<u16>,
    pub nat_port: Option<u16>,
    /// In the order of tunnels; the last one stands for all that follow.
    pub peers: Vec<Peer>,
}

impl Listening {
    /// What the scenario says of a marked gateway, and what was typed over it.
    pub fn over(&self, external: &External) -> External {
        External {
            listen: if self.addresses.is_empty() { external.listen.clone() } else { self.addresses.clone() },
            ike_port: self.ike_port.unwrap_or(external.ike_port),
            nat_port: self.nat_port.unwrap_or(external.nat_port),
            peer: external.peer,
        }
    }
}

/// The names of the gateways in whose place a real device may be.
pub fn marked(plan: &Plan) -> Vec<&str> {
    let marked = |kind: &NodeKind| matches!(kind, NodeKind::CustomerGateway(gateway) if gateway.external.is_some());
    plan.nodes.iter().filter(|node| marked(&node.kind)).map(|node| node.name.as_str()).collect()
}

impl Cast {
    /// Finds everybody in the plan.
    ///
    /// # Errors
    /// If somebody is not in it, or is nobody who can be real, or both ends of a connection are real.
    pub fn find(&self, plan: &Plan) -> Result<Reality, Failure> {
        let is_device =
            |kind: &NodeKind| matches!(kind, NodeKind::CustomerGateway(_) | NodeKind::VirtualPrivateGateway(_));
        let is_host = |kind: &NodeKind| matches!(kind, NodeKind::Host(_) | NodeKind::Instance(_));
        let reality = Reality {
            devices: find(plan, &self.devices, "customer gateway or virtual private gateway", is_device)?,
            hosts: find(plan, &self.hosts, "host or instance", is_host)?,
            native_esp: self.native_esp,
        };
        let both = plan.connections.iter().find(|connection| {
            [connection.customer_gateway, connection.gateway].iter().all(|end| reality.devices.contains(end))
        });
        let of_ipv6 = plan.connections.iter().find(|connection| {
            reality.devices.contains(&connection.customer_gateway)
                && connection.tunnels.iter().any(|tunnel| tunnel.aws_outside.is_ipv6())
        });
        if let Some(connection) = of_ipv6 {
            return Err(Failure::OutsideIpv6 { connection: connection.name.clone() });
        }
        match both {
            Some(connection) => Err(Failure::NothingBetween { connection: connection.name.clone() }),
            None if reality.devices.is_empty() && reality.hosts.is_empty() => Err(nothing_external(plan)),
            None => Ok(reality),
        }
    }
}

/// Nobody is real, but these could be.
fn nothing_external(plan: &Plan) -> Failure {
    let names = |fits: fn(&NodeKind) -> bool| {
        let all = plan.nodes.iter().filter(|node| fits(&node.kind)).map(|node| node.name.as_str());
        all.collect::<Vec<_>>().join(", ")
    };
    let gateways = names(|kind| matches!(kind, NodeKind::CustomerGateway(_) | NodeKind::VirtualPrivateGateway(_)));
    let hosts = names(|kind| matches!(kind, NodeKind::Host(_) | NodeKind::Instance(_)));
    let choice = |option: &str, what: &str, names: String| {
        (!names.is_empty()).then(|| format!("{option} puts a {what} in the place of one of: {names}"))
    };
    let choices = [
        choice("--external NAME", "real device", gateways),
        choice("--tun NAME", "program of this machine", hosts),
        Some("`vpnsim run` simulates everybody".to_owned()),
    ];
    Failure::NothingExternal { help: choices.into_iter().flatten().collect::<Vec<_>>().join("; ") }
}

fn find(plan: &Plan, names: &[String], what: &str, fits: impl Fn(&NodeKind) -> bool) -> Result<Vec<NodeId>, Failure> {
    let all: Vec<(usize, &str)> = plan
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| fits(&node.kind))
        .map(|(i, node)| (i, node.name.as_str()))
        .collect();
    let mut found = BTreeSet::new();
    for name in names {
        match all.iter().find(|(_, known)| known == name) {
            Some((i, _)) => drop(found.insert(NodeId(*i as u32))),
            None => {
                let near = failure::nearest(name, all.iter().map(|(_, known)| *known));
                return Err(Failure::nobody(name, what, near));
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// The sockets of every tunnel and how addresses are translated at each, the raw sockets and the TUN devices.
pub fn openings(
    plan: &Plan,
    reality: &Reality,
    gates: &[Gate],
    listening: &Listening,
    hosts: &[RealHost],
) -> Result<(Openings, Vec<Translation>), Failure> {
    let (mut openings, mut translations) = (Openings::default(), Vec::new());
    for of_device in gates.chunk_by(|a, b| a.device == b.device) {
        let marked = match &plan.nodes[of_device[0].device.index()].kind {
            NodeKind::CustomerGateway(gateway) => gateway.external.as_ref(),
            _ => None,
        };
        let peers = peers(of_device, listening, marked, reality.native_esp)?;
        let external = External {
            listen: addresses(of_device, listening, marked, reality.native_esp),
            ike_port: listening.ike_port.or(marked.map(|m| m.ike_port)).unwrap_or(IKE_PORT),
            nat_port: listening.nat_port.or(marked.map(|m| m.nat_port)).unwrap_or(NATT_PORT),
            peer: None,
        };
        // Whoever dials out from one address can have the same ports for every peer that has an address of its own.
        let distinct: BTreeSet<Ipv4Addr> = peers.iter().flatten().map(|peer| peer.address).collect();
        let shared = |i: usize| Door {
            address: external.listen[i.min(external.listen.len() - 1)],
            ike_port: external.ike_port,
            nat_port: external.nat_port,
        };
        let doors = match of_device[0].dials && distinct.len() == of_device.len() {
            true => (0..of_device.len()).map(shared).collect(),
            false => external.doors(of_device.len()).ok_or(Failure::NoPortsLeft)?,
        };
        for ((gate, door), peer) in of_device.iter().zip(doors).zip(peers) {
            if reality.native_esp && door.address != gate.here {
                return Err(Failure::Translated { tunnel: gate.tunnel.clone(), here: gate.here, real: door.address });
            }
            openings.tunnels.push(door);
            let only = gate.dials || reality.native_esp;
            translations.push(if only { Translation::only(peer) } else { Translation::new(peer) });
        }
    }
    if reality.native_esp {
        openings.esp = openings.tunnels.iter().map(|door| door.address).collect::<BTreeSet<_>>().into_iter().collect();
    }
    openings.tuns = reality.hosts.iter().map(|host| tun(plan, *host, hosts)).collect();
    Ok((openings, translations))
}

/// The addresses of this machine: as typed, or as marked; without either, those of the scenario if they are not translated, and
/// any for who dials out.
fn addresses(gates: &[Gate], listening: &Listening, marked: Option<&External>, native_esp: bool) -> Vec<Ipv4Addr> {
    /// A VPN connection has two tunnels at most.
    const LOOPBACK: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
    if !listening.addresses.is_empty() {
        return listening.addresses.clone();
    }
    if native_esp {
        let mut here: Vec<Ipv4Addr> = gates.iter().map(|gate| gate.here).collect();
        here.dedup();
        return here;
    }
    match marked {
        Some(marked) => marked.listen.clone(),
        None if gates[0].dials => vec![Ipv4Addr::UNSPECIFIED],
        None => LOOPBACK.to_vec(),
    }
}

/// Where the real device of each tunnel is, if that is known.
fn peers(
    gates: &[Gate],
    listening: &Listening,
    marked: Option<&External>,
    native_esp: bool,
) -> Result<Vec<Option<Peer>>, Failure> {
    let peer = |(i, gate): (usize, &Gate)| {
        let typed = listening.peers.get(i).or(listening.peers.last()).copied();
        let peer = typed.or(marked.and_then(|marked| marked.peer).map(Peer::at));
        let peer = peer.or(native_esp.then_some(Peer::at(gate.there)));
        match peer {
            None if gate.dials => Err(Failure::NoPeer { tunnel: gate.tunnel.clone() }),
            Some(peer) if native_esp && peer.address != gate.there => {
                Err(Failure::Translated { tunnel: gate.tunnel.clone(), here: gate.there, real: peer.address })
            }
            peer => Ok(peer),
        }
    };
    gates.iter().enumerate().map(peer).collect()
}

fn tun(plan: &Plan, host: NodeId, hosts: &[RealHost]) -> Tun {
    /// What a link to an instance carries: AWS draws no link.
    const AWS_MTU: u16 = 1500;
    let node = &plan.nodes[host.index()];
    let address = match &node.kind {
        NodeKind::Host(host) => host.address,
        NodeKind::Instance(instance) => match &plan.nodes[instance.vpc.index()].kind {
            NodeKind::Vpc(vpc) => {
                let length = vpc.subnets[instance.subnet].cidr.prefix_len();
                Ipv4Net::new(instance.address, length).unwrap_or(instance.address.into())
            }
            _ => instance.address.into(),
        },
        _ => Ipv4Net::default(),
    };
    let link = plan.links.iter().find_map(|link| link.ends.iter().position(|end| end.node == host).map(|e| (link, e)));
    let mtu = link.map(|(link, end)| if end == 0 { link.forward.mtu } else { link.reverse.mtu });
    let name = hosts.iter().find(|typed| typed.host == node.name).and_then(|typed| typed.device.clone());
    Tun { name, address, mtu: mtu.unwrap_or(AWS_MTU) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_and_hosts_are_read_as_they_are_documented() {
        let address = Ipv4Addr::new(192, 0, 2, 2);
        assert_eq!("192.0.2.2".parse(), Ok(Peer::at(address)));
        assert_eq!("192.0.2.2:10,20".parse(), Ok(Peer { address, ike_port: 10, nat_port: 20 }));
        for wrong in ["", "peer", "192.0.2.2:", "192.0.2.2:10", "192.0.2.2:0,20", "192.0.2.2:10,70000", "::1"] {
            assert!(wrong.parse::<Peer>().is_err(), "{wrong}");
        }
        let host = |device: Option<&str>| RealHost { host: "app".into(), device: device.map(Into::into) };
        assert_eq!("app".parse(), Ok(host(None)));
        assert_eq!("app=tun7".parse(), Ok(host(Some("tun7"))));
        for wrong in ["app=", "app=a-name-that-is-too-long", "app=a/b"] {
            assert!(wrong.parse::<RealHost>().is_err(), "{wrong}");
        }
    }
}
