//! Laws of tunnels between addresses of IPv6 (Site-to-Site VPN User Guide, "IPv4 and IPv6 traffic", page ipv4-ipv6.html).

use std::sync::{Arc, Mutex};

use sim_core::id::LinkId;
use sim_core::packet::Packet;
use sim_core::time::Instant;
use sim_core::trace::{Sink, Way};
use sim_scenarios::Simulation;

use crate::bare::{Bare, library};

const BARE: Bare = Bare { text: library!("ipv6_outside_tgw"), changes: &["faults={}", "probes={}", "duration=60s"] };
const UP: &str = "expect={\"up\": EstablishedWithin(session: \"vpn.a.bgp\", within: \"30s\")}";

/// The page: IPv6 outside is for connections that end at a transit gateway, with IPv6 addresses at both ends of both tunnels.
#[test]
fn outside_ipv6_is_for_transit_gateways_at_both_ends_of_both_tunnels() {
    let vgw = [
        "nodes.tgw=VirtualPrivateGateway(asn: 64512, vpc: \"vpc\")",
        "nodes.vpc.route_tables={\"main\": (propagation: [\"tgw\"])}",
    ];
    BARE.refused(&vgw, "a virtual private gateway has no outside addresses of IPv6");
    BARE.refused(&["connections.vpn.tunnels.b.outside_address=198.51.100.11"], "of one family");
    BARE.refused(&["nodes.cgw.interfaces.wan=(address: \"203.0.113.10/24\")"], "has no IPv6 address");
    BARE.refused(&["connections.vpn.enable_acceleration=true"], "over IPv4 here");
    BARE.refused(&["connections.vpn.customer_address=203.0.113.10"], "the outside of this connection is IPv6");
    BARE.refused(&["connections.vpn.tunnels.a.outside_address=2001:db8:c::10"], "already the address of `cgw`");
    BARE.refused(&["connections.vpn.tunnels.a.outside_address=2001:db8:c::10/64"], "without a prefix length");
}

/// The page names four pairs of outside and inside; the two with IPv4 outside are other tests' matter. Both versions of IKE.
#[test]
fn either_family_goes_inside_of_ipv6() {
    let report = BARE.answer(&[UP]);
    assert!(report.expectations[0].held, "{}", report.expectations[0].detail);
    let inside = [
        "connections.vpn.tunnel_inside_ip_version=ipv6",
        "connections.vpn.tunnels.a.inside_ipv6_cidr=fd00:a::/126",
        "connections.vpn.tunnels.b.inside_ipv6_cidr=fd00:b::/126",
        UP,
    ];
    let report = BARE.answer(&inside);
    assert!(report.expectations[0].held, "IPv6 in IPv6: {}", report.expectations[0].detail);
    // IKEv1 has no AES-GCM in phase 1 (RFC 4106 is of ESP).
    let old = [
        "connections.vpn.tunnels.a.ike_versions=[\"ikev1\"]",
        "connections.vpn.tunnels.a.phase1=(encryption: [\"AES256\"], integrity: [\"SHA2-256\"], dh_groups: [20])",
        UP,
    ];
    let report = BARE.answer(&old);
    assert!(report.expectations[0].held, "IKEv1: {}", report.expectations[0].detail);
}

/// Of each IP packet on the customer's uplink: its version, what is in it, and how long it is.
struct Uplink(LinkId, Arc<Mutex<Vec<(u8, u8, usize)>>>);

impl Sink for Uplink {
    fn wire(&mut self, _at: Instant, link: LinkId, _way: Way, packet: &Packet) {
        if link == self.0 {
            let bytes = packet.bytes();
            let protocol = if bytes[0] >> 4 == 6 { bytes[6] } else { bytes[9] };
            self.1.lock().expect("no thread panics").push((bytes[0] >> 4, protocol, bytes.len()));
        }
    }
}

/// RFC 4303 section 2 and RFC 8200 section 3: around 1,426 octets and their trailer of 2 go an ICV of 16, an IV of 8, an ESP header of 8
/// and an IPv6 header of 40, which makes 1,500. Nothing of a tunnel goes by IPv4 then, neither IKE (UDP, 17) nor ESP (50).
#[test]
fn the_longest_packet_fills_the_path_by_ipv6() {
    let probe = "probes={\"whole\": UdpOneWay(from: \"office\", to: \"app\", every: \"1s\", size: \"1426B\", dont_fragment: true, start: \"40s\")}";
    let scenario = BARE.taken(&[probe]);
    let uplink = scenario.plan().links.iter().position(|link| link.name == "uplink").expect("it has an uplink");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Uplink(LinkId(uplink as u32), Arc::clone(&heard));
    let mut simulation = Simulation::prepare(&scenario, |world| world.trace.add_sink(Box::new(sink)));
    let end = simulation.end();
    simulation.run_until(end);
    let heard = heard.lock().expect("no thread panics");
    assert!(heard.iter().all(|(version, protocol, _)| *version == 6 && [17, 50].contains(protocol)));
    assert!(heard.iter().any(|(_, protocol, _)| *protocol == 17), "IKE");
    let longest = heard.iter().filter(|(_, protocol, _)| *protocol == 50).map(|(.., octets)| *octets).max();
    assert_eq!(longest, Some(1500));
    assert!(heard.iter().filter(|(.., octets)| *octets == 1500).count() >= 19, "each of the probe's packets");
}
