//! Routers that speak BGP, and what customer gateways have in common with them: neighbours, BFD, what is watched, policy routing
//! and how flows are spread.

use ipnet::Ipv4Net;
use sim_core::net::multipath::FlowFields;
use sim_core::proto::tcp::Reach;
use sim_core::time::Duration;

use crate::leaf::{Address, Asn, Count, Flag, IpProtocol, Name};
use crate::place::{At, Named};
use crate::plan::{
    Bfd, BgpEnd, BgpRouter, Ecmp, Forwarding, Interface, Internal, NamedPolicy, Neighbor, PolicyRoute, StaticRoute,
    TcpProfile, Track, Via, Watched,
};
use crate::profile::GENERIC;
use crate::schema;

use super::Names;
use super::connections::bgp;
use super::judge::{Judge, Verdict, between, did_you_mean, positive};
use super::nats::access_list;
use super::nodes::{overlap, usable, whole};
use super::sessions;

/// The interfaces of a device, and the tunnels that it may name.
pub(super) struct Ways<'a> {
    pub interfaces: &'a [Interface],
    /// `None`: it has none.
    pub tunnels: Option<&'a Names>,
}

impl Ways<'_> {
    fn interface(&self, at: &At<Name>, j: &mut Judge) -> usize {
        let names: Vec<String> = self.interfaces.iter().map(|i| i.name.clone()).collect();
        j.find(at, "interface of this device", &names).unwrap_or(0)
    }

    /// A tunnel, an interface, or nowhere.
    pub fn via(&self, at: &At<Name>, j: &mut Judge) -> Via {
        let Some(Name(name)) = j.read(at) else { return Via::Blackhole };
        let tunnels = || self.tunnels.into_iter().flat_map(|names| names.tunnels.iter().zip(&names.tunnel_ids));
        if name == "blackhole" {
            Via::Blackhole
        } else if let Some((_, id)) = tunnels().find(|(tunnel, _)| **tunnel == name) {
            Via::Tunnel(*id)
        } else if let Some(interface) = self.interfaces.iter().position(|interface| interface.name == name) {
            Via::Interface(interface)
        } else {
            let interfaces = self.interfaces.iter().map(|interface| interface.name.as_str());
            let all = tunnels().map(|(tunnel, _)| tunnel.as_str()).chain(interfaces).chain(["blackhole"]);
            let help = did_you_mean(&name, all);
            let what = format!("`{name}` is no tunnel, no interface of this gateway, and not \"blackhole\"");
            let what = if self.tunnels.is_some() {
                what
            } else {
                format!("`{name}` is no interface of this router, and not \"blackhole\"")
            };
            j.wrong(at.place, what, help);
            Via::Blackhole
        }
    }
}

/// The interfaces of a device.
pub(super) fn interfaces(schema: &Named<schema::Interface>, j: &mut Judge) -> Vec<Interface> {
    let mut made: Vec<Interface> = Vec::new();
    for (name, (_, interface)) in j.names(schema, "interface").into_iter().zip(&schema.0) {
        let address = j.lawful(&interface.address, |net| {
            usable(*net)?;
            match made.iter().find(|other| overlap(&other.address, net)) {
                Some(other) => Err(format!("{net} overlaps the subnet of interface `{}`", other.name)),
                None => Ok(()),
            }
        });
        let reverse_path = j.or(&interface.reverse_path, Default::default());
        let access_list = access_list(&interface.access_list, j);
        let lag = interface.lag.as_ref().map(|lag| super::dx::lag(lag, j));
        let vlan = interface.vlan.as_ref().and_then(|at| super::lan::vlan(at, j));
        let gre = interface.gre.as_ref().map(|gre| super::connect::gre(gre, j));
        let (address, virtual_routers) = (address.unwrap_or_default(), Vec::new());
        made.push(Interface { name, address, reverse_path, access_list, lag, vlan, virtual_routers, gre });
    }
    for (gre, (_, schema)) in made.iter().zip(&schema.0).filter_map(|(made, schema)| Some((made.gre?, schema))) {
        let own = made.iter().any(|other| other.gre.is_none() && other.address.addr() == gre.source);
        if let Some(at) = schema.gre.as_ref().map(|gre| &gre.source).filter(|at| at.value.is_ok() && !own) {
            j.wrong(at.place, format!("no interface of this device has {}", gre.source), None);
        }
    }
    made
}

/// Static routes, which may depend on what is watched.
pub(super) fn static_routes(
    schema: &[schema::StaticRoute],
    tracks: &Named<schema::Track>,
    ways: &Ways<'_>,
    j: &mut Judge,
) -> Vec<StaticRoute> {
    let watched: Vec<String> =
        tracks.0.iter().map(|(at, _)| at.value.as_ref().map(|Name(name)| name.clone()).unwrap_or_default()).collect();
    let route = |route: &schema::StaticRoute| {
        let via = ways.via(&route.via, j);
        let next_hop = route.next_hop.as_ref().and_then(|at| match via {
            Via::Interface(number) => {
                let here = ways.interfaces.get(number).map(|interface| interface.address);
                j.lawful(at, |next_hop| beside(here, *next_hop))
            }
            Via::Tunnel(_) | Via::Blackhole => {
                j.wrong(at.place, "a next hop is on the link of an interface", None);
                None
            }
        });
        StaticRoute {
            prefix: j.lawful(&route.prefix, whole).unwrap_or_default(),
            via,
            next_hop,
            distance: j.number(&route.distance, 1, 1, 255, "an administrative distance"),
            track: route.track.as_ref().and_then(|at| j.find(at, "track of this device", &watched)),
        }
    };
    schema.iter().map(route).collect()
}

/// A plain BGP router.
pub(super) fn bgp_router(schema: &schema::BgpRouter, j: &mut Judge) -> BgpRouter {
    let mut interfaces = interfaces(&schema.interfaces, j);
    super::lan::virtual_routers(&mut interfaces, &schema.interfaces, &schema.tracks, j);
    let Asn(asn) = j.need(&schema.asn, Asn(65_000));
    let ways = Ways { interfaces: &interfaces, tunnels: None };
    let static_routes = static_routes(&schema.static_routes, &schema.tracks, &ways, j);
    let given = Given {
        neighbors: &schema.neighbors,
        tracks: &schema.tracks,
        policy_routes: &schema.policy_routes,
        ecmp: schema.ecmp.as_ref(),
        firewall: schema.firewall.as_deref(),
        tunnel_nat: None,
        cluster_id: schema.cluster_id.as_ref(),
        igp_costs: &schema.igp_costs,
        policies: &[],
    };
    let forwarding = forwarding(&given, asn, &ways, j);
    BgpRouter {
        asn,
        advertise: schema.advertise.iter().filter_map(|at| j.lawful(at, whole)).collect(),
        static_routes,
        forwarding,
        tcp: j.or(&schema.tcp, TcpProfile::Linux),
        interfaces,
    }
}

/// What customer gateways and BGP routers both may be given.
pub(super) struct Given<'a> {
    pub neighbors: &'a Named<schema::Neighbor>,
    pub tracks: &'a Named<schema::Track>,
    pub policy_routes: &'a [schema::PolicyRoute],
    pub ecmp: Option<&'a schema::Ecmp>,
    pub firewall: Option<&'a schema::Firewall>,
    pub tunnel_nat: Option<&'a schema::TunnelNat>,
    pub cluster_id: Option<&'a At<Address>>,
    pub igp_costs: &'a [schema::IgpCost],
    /// The policies that neighbours may name.
    pub policies: &'a [NamedPolicy],
}

pub(super) fn forwarding(given: &Given<'_>, asn: u32, ways: &Ways<'_>, j: &mut Judge) -> Forwarding {
    let names = j.names(given.neighbors, "neighbor");
    let mut neighbors: Vec<Neighbor> = Vec::new();
    for (name, (_, schema)) in names.iter().zip(&given.neighbors.0) {
        let mut made = neighbor(schema, name.clone(), asn, ways, j);
        let mut named = |at: &Option<At<Name>>| super::policies::named(at, given.policies, j);
        (made.end.import, made.end.export) = (named(&schema.import_policy), named(&schema.export_policy));
        if neighbors.iter().any(|other| other.address == made.address) {
            j.wrong(schema.address.place, format!("{} is already a neighbor", made.address), None);
        }
        neighbors.push(made);
    }
    let tracked = j.names(given.tracks, "track");
    let tracks = tracked.into_iter().zip(&given.tracks.0);
    let tracks = tracks.map(|(name, (_, schema))| Track { name, watched: watched(schema, &neighbors, ways, j) });
    let tracks = tracks.collect();
    if let Some((at, _)) = given.tracks.0.get(usize::from(u8::MAX)) {
        j.wrong(at.place, "a device watches at most 255 things", None);
    }
    let policy = |rule: &schema::PolicyRoute| PolicyRoute {
        from: rule.from.as_ref().and_then(|at| j.lawful(at, whole)),
        ingress: rule.ingress.as_ref().map(|at| ways.via(at, j)),
        protocol: rule.protocol.as_ref().and_then(|at| j.read(at)).map(|IpProtocol(number)| number),
        via: ways.via(&rule.via, j),
    };
    let policy_routes = given.policy_routes.iter().map(policy).collect();
    let cost = |it: &schema::IgpCost| Some((j.lawful(&it.prefix, whole)?, at_most_u32(&it.cost, "a cost", j)));
    let igp_costs = given.igp_costs.iter().filter_map(cost).collect();
    let cluster_id = given.cluster_id.and_then(|at| j.read(at));
    let firewall = given.firewall.map(|it| super::firewall::firewall(it, ways, j));
    let ecmp = given.ecmp.map(|ecmp| spread(ecmp, j));
    let tunnel_nat = given.tunnel_nat.map(|it| {
        let inside = |address: &core::net::Ipv4Addr| ways.interfaces.iter().find(|i| i.address.contains(address));
        let address = j.lawful(&it.address, |address| {
            usable((*address).into())?;
            match inside(address) {
                Some(interface) => Err(format!("{address} is in the subnet of interface `{}`", interface.name)),
                None => Ok(()),
            }
        });
        (address.unwrap_or(core::net::Ipv4Addr::UNSPECIFIED), j.or(&it.per_tunnel, true))
    });
    Forwarding { neighbors, tracks, policy_routes, ecmp, firewall, tunnel_nat, cluster_id, igp_costs }
}

fn neighbor(schema: &schema::Neighbor, name: String, asn: u32, ways: &Ways<'_>, j: &mut Judge) -> Neighbor {
    let interface = ways.interface(&schema.interface, j);
    let here = ways.interfaces.get(interface);
    let Asn(remote) = j.need(&schema.asn, Asn(0));
    // An internal neighbour may be anywhere in the autonomous system.
    let usual = if remote == asn { Reach::Multihop(u8::MAX) } else { Reach::SingleHop };
    let reach = sessions::reach(&schema.multihop, &schema.ttl_security, j).unwrap_or(usual);
    let anywhere = reach.is_far() || here.is_some_and(Interface::is_loopback);
    let address = j.lawful(&schema.address, |address| {
        let is_own = ways.interfaces.iter().any(|interface| interface.address.addr() == *address);
        match (anywhere, is_own) {
            (false, _) => beside(here.map(|interface| interface.address), *address),
            (true, true) => Err(format!("{address} is this device itself")),
            (true, false) => Ok(()),
        }
    });
    let address = address.unwrap_or(core::net::Ipv4Addr::UNSPECIFIED);
    let attached = here.is_some_and(|interface| interface.address.contains(&address));
    let end = bgp(&schema.timers, asn, &GENERIC, j);
    let end = BgpEnd {
        prepend: j.number(&schema.prepend, 0, 0, 200, "prepending"),
        med: schema.med.as_ref().map(|at| at_most_u32(at, "a MED", j)),
        local_preference: schema.local_preference.as_ref().map_or(100, |at| at_most_u32(at, "a local preference", j)),
        md5_key: schema.md5_key.as_ref().and_then(|at| sessions::md5_key(at, j)),
        reach,
        max_prefixes: schema.max_prefixes.as_ref().map(|it| sessions::max_prefixes(it, j)),
        graceful_restart: schema.graceful_restart.as_ref().map(|it| sessions::graceful_restart(it, j)),
        ..end
    };
    let bfd = schema.bfd.as_ref().map(|it| bfd(it, j));
    if bfd.is_some_and(|bfd| !bfd.multihop) && anywhere && !attached && schema.address.value.is_ok() {
        let help = "give it `bfd: (multihop: true)`";
        let message =
            format!("{address} is in no subnet of this interface: BFD is for the next hop unless it is multihop");
        j.wrong(schema.address.place, message, Some(help.into()));
    }
    let internal = internal(schema, asn == remote, j);
    Neighbor { name, interface, address, asn: remote, end, bfd, attached, internal }
}

/// What is said of a neighbor in the same autonomous system, and of no other.
fn internal(schema: &schema::Neighbor, is_internal: bool, j: &mut Judge) -> Option<Internal> {
    let flag = |given: &Option<At<Flag>>, what: &str, j: &mut Judge| {
        if let Some(at) = given.as_ref().filter(|_| !is_internal) {
            let help = "leave it out, or give the neighbor this device's own `asn`";
            j.wrong(at.place, format!("{what} is for a neighbor in the same autonomous system"), Some(help.into()));
        }
        j.or(given, false)
    };
    let route_reflector_client = flag(&schema.route_reflector_client, "`route_reflector_client`", j);
    let next_hop_self = flag(&schema.next_hop_self, "`next_hop_self`", j);
    if let Some(at) = schema.prepend.as_ref().filter(|_| is_internal) {
        // RFC 4271 section 5.1.2 b: AS_PATH is not changed towards an internal peer, who would find a loop in it.
        j.wrong(at.place, "nothing is prepended to what a neighbor in the same autonomous system hears", None);
    }
    let keeps_local_preference = schema.local_preference.is_none();
    is_internal.then_some(Internal { route_reflector_client, next_hop_self, keeps_local_preference })
}

fn at_most_u32(at: &At<Count>, what: &str, j: &mut Judge) -> u32 {
    let value = j.lawful(at, |n| between(*n, 0, u64::from(u32::MAX), what));
    value.and_then(|n| u32::try_from(n).ok()).unwrap_or_default()
}

/// Another device's address on the link behind an interface.
fn beside(here: Option<Ipv4Net>, address: core::net::Ipv4Addr) -> Verdict {
    match here {
        Some(here) if !here.contains(&address) => {
            Err(format!("{address} is not in the interface's subnet {}", here.trunc()))
        }
        Some(here) if here.addr() == address => Err(format!("{address} is this device itself")),
        Some(_) | None => Ok(()),
    }
}

fn bfd(schema: &schema::Bfd, j: &mut Judge) -> Bfd {
    // Intervals are whole microseconds in 32 bits (RFC 5880 section 4.1).
    let interval = |t: &Duration| {
        if !t.as_nanos().is_multiple_of(1_000) {
            return Err("a BFD interval is whole microseconds".into());
        }
        between(*t, Duration::from_millis(1), Duration::from_secs(4_000), "a BFD interval")
    };
    let usual = Duration::from_millis(300);
    Bfd {
        min_tx: j.lawful_or(&schema.min_tx, usual, interval),
        min_rx: j.lawful_or(&schema.min_rx, usual, interval),
        multiplier: j.number(&schema.multiplier, 3, 1, 255, "the BFD multiplier"),
        multihop: j.or(&schema.multihop, false),
        passive: false,
    }
}

fn watched(schema: &schema::Track, neighbors: &[Neighbor], ways: &Ways<'_>, j: &mut Judge) -> Watched {
    match schema {
        schema::Track::Tunnel(it) => match ways.via(&it.tunnel, j) {
            Via::Tunnel(id) => Watched::Tunnel(id),
            Via::Interface(_) | Via::Blackhole => {
                j.wrong(it.tunnel.place, "a tunnel like \"vpn.a\" is watched here", None);
                Watched::Interface(0)
            }
        },
        schema::Track::Interface(it) => Watched::Interface(ways.interface(&it.interface, j)),
        schema::Track::Neighbor(it) => {
            let names: Vec<String> = neighbors.iter().map(|neighbor| neighbor.name.clone()).collect();
            let found = j.find(&it.neighbor, "neighbor of this device", &names).unwrap_or(0);
            if neighbors.get(found).is_some_and(|neighbor| neighbor.bfd.is_none()) {
                let help = "give the neighbor `bfd: ()`";
                j.wrong(it.neighbor.place, "this neighbor has no BFD session to watch", Some(help.into()));
            }
            Watched::Neighbor(found)
        }
        schema::Track::Bfd(it) => {
            let interface = ways.interface(&it.interface, j);
            let here = ways.interfaces.get(interface).map(|interface| interface.address);
            let bfd = bfd(&it.bfd, j);
            let rule = |address: &core::net::Ipv4Addr| if bfd.multihop { Ok(()) } else { beside(here, *address) };
            let address = j.lawful(&it.address, rule).unwrap_or(core::net::Ipv4Addr::UNSPECIFIED);
            Watched::Bfd { interface, address, bfd }
        }
        schema::Track::Ping(it) => {
            let every = j.lawful_or(&it.every, Duration::from_secs(5), |t| positive(*t, "this interval"));
            let usual = Duration::from_secs(1).min(every);
            let timeout = j.lawful_or(&it.timeout, usual, |t| {
                positive(*t, "this timeout")?;
                if *t <= every { Ok(()) } else { Err(format!("it is longer than the interval, {every}")) }
            });
            let via = ways.via(&it.via, j);
            if via == Via::Blackhole && it.via.value.as_ref().is_ok_and(|Name(name)| name == "blackhole") {
                j.wrong(it.via.place, "nobody answers from a blackhole", None);
            }
            Watched::Ping {
                to: j.need(&it.to, core::net::Ipv4Addr::UNSPECIFIED),
                via,
                every,
                timeout,
                lost: j.number(&it.lost, 3, 1, 1_000, "how many requests"),
                answered: j.number(&it.answered, 1, 1, 1_000, "how many requests"),
            }
        }
    }
}

fn spread(schema: &schema::Ecmp, j: &mut Judge) -> Ecmp {
    let resilient = j.or(&schema.resilient, false);
    if let Some(at) = schema.buckets.as_ref().filter(|_| !resilient) {
        j.wrong(at.place, "buckets are of resilient hashing", Some("add `resilient: true`".into()));
    }
    let max_paths = j.number(&schema.max_paths, 8, 2, 64, "the number of routes used at once");
    let buckets = j.number(&schema.buckets, 128, u64::from(max_paths), 255, "the number of buckets");
    let flow = j.or(&schema.flow, FlowFields::FiveTuple);
    Ecmp { flow, max_paths, buckets: resilient.then_some(buckets) }
}
