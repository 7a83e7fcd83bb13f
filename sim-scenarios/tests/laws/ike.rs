//! Laws of IKE at AWS's end: algorithms, who calls, what passes between the ends (Site-to-Site VPN User Guide).

use std::collections::BTreeSet;

use sim_core::reason::State;
use sim_core::time::Instant;
use sim_core::trace::{SessionKind, What};
use sim_core::wire::ipv4::{Ipv4Packet, protocol};
use sim_scenarios::{Scenario, Simulation};

use crate::bare::{Bare, dropped_at, library};
use crate::tap::{protocol_and_ports, tapped};

const BY_BGP: Bare = Bare::without_faults(library!("active_passive"));
const STATIC: Bare = Bare::without_faults(library!("static_active_passive"));
const CERTIFICATES: Bare = Bare::without_faults(library!("certificates"));
const TUNNEL: &str = "connections.vpn.tunnels.a";

fn takes(setting: &str, value: &str) -> bool {
    BY_BGP.with(&[&format!("{TUNNEL}.{setting}={value}")]).is_ok()
}

/// The world with these changes to tunnel a, after so long.
fn after(drawing: Bare, seconds: u64, changes: &[&str]) -> Simulation {
    let mut simulation = Simulation::new(&drawing.taken(changes));
    simulation.run_until(Instant::from_secs(seconds));
    simulation
}

/// How often AWS's IKE_SA of tunnel a was established, and whether it stands.
fn established(simulation: &Simulation) -> (usize, bool) {
    let trace = &simulation.world().trace;
    let states = trace.records().filter_map(|(_, record)| match record.what {
        What::State { session, to, .. } => {
            let info = &trace.sessions()[session.index()];
            (info.kind == SessionKind::Ike && info.name == "vpn.a@aws").then_some(to)
        }
        _ => None,
    });
    let states: Vec<State> = states.collect();
    let up = |state: &State| *state == State::Up;
    (states.iter().filter(|state| up(state)).count(), states.last().is_some_and(up))
}

/// The first minute of a connection by BGP.
fn minute(changes: &[&str]) -> Scenario {
    BY_BGP.taken(&[&["duration=60s"], changes].concat())
}

/// Protocol and UDP ports of what passes the path of tunnel a, either way.
fn ports(changes: &[&str]) -> BTreeSet<(u8, u16, u16)> {
    tapped(&minute(changes), Some("path-a"), protocol_and_ports).0
}

/// The exchange type of ISAKMP (RFC 2408 section 3.1).
fn exchange(bytes: &[u8]) -> Option<u8> {
    let isakmp = protocol_and_ports(bytes)? == (protocol::UDP, 500, 500);
    let ip = Ipv4Packet::new_checked(bytes).ok()?;
    isakmp.then(|| ip.payload()[8 + 18])
}

/// Page VPNTunnels.html: AES128, AES256 and both with GCM-16; SHA1, SHA2-256, -384 and -512; in either phase, and nothing else.
#[test]
fn each_phase_has_four_ciphers_and_four_hashes() {
    for phase in ["phase1", "phase2"] {
        for cipher in ["AES128", "AES256", "AES128-GCM-16", "AES256-GCM-16"] {
            assert!(takes(&format!("{phase}.encryption"), &format!("[\"{cipher}\"]")), "{phase} {cipher}");
        }
        for hash in ["SHA1", "SHA2-256", "SHA2-384", "SHA2-512"] {
            assert!(takes(&format!("{phase}.integrity"), &format!("[\"{hash}\"]")), "{phase} {hash}");
        }
        for (setting, other) in
            [("encryption", "3DES"), ("encryption", "AES192"), ("encryption", "CHACHA20"), ("integrity", "MD5")]
        {
            assert!(!takes(&format!("{phase}.{setting}"), &format!("[\"{other}\"]")), "{phase} {other}");
        }
    }
}

/// Page your-cgw.html: a Diffie-Hellman group is always configured for phase 2, so PFS is required.
#[test]
fn phase_2_has_a_group() {
    assert!(!takes("phase2.dh_groups", "[]") && !takes("phase1.dh_groups", "[]"));
}

/// Page FirewallRules.html: UDP from port 500 to port 500 and IP protocol 50; with NAT traversal UDP 4500, which then carries ESP, too.
#[test]
fn udp_500_and_protocol_50_pass_or_udp_4500() {
    let plain = ports(&[]);
    assert_eq!(plain, BTreeSet::from([(protocol::UDP, 500, 500), (protocol::ESP, 0, 0)]));
    let encapsulated = ports(&[&format!("{TUNNEL}.customer.nat_traversal=force")]);
    assert_eq!(encapsulated, BTreeSet::from([(protocol::UDP, 500, 500), (protocol::UDP, 4500, 4500)]));
}

/// Page your-cgw.html: IKEv1 in main mode. Exchange types of RFC 2408 section 3.1 and RFC 2409 section 5.5: 2 is Main Mode, 4 would be
/// Aggressive, 5 is informational, 32 Quick Mode.
#[test]
fn ikev1_is_main_mode() {
    let scenario = minute(&[&format!("{TUNNEL}.ike_versions=[\"ikev1\"]")]);
    let (exchanges, _) = tapped(&scenario, Some("path-a"), exchange);
    assert!(exchanges.contains(&2) && exchanges.contains(&32), "{exchanges:?}");
    assert!(exchanges.iter().all(|exchange| [2, 5, 32].contains(exchange)), "{exchanges:?}");
}

/// Page accelerated-vpn.html: Global Accelerator drops fragments, so certificates want a customer gateway that fragments IKE messages itself
/// (RFC 7383). The customer's IKE_AUTH of tunnel b has an RSA certificate, that of the CA and a signature, more than 1,500 octets: as one
/// message it is cut by IP, and none of it arrives. Over the internet all of it does.
#[test]
fn certificates_over_global_accelerator_want_ike_fragmentation() {
    let transit = [
        "duration=60s",
        "probes={}",
        "nodes.vgw=TransitGateway(asn: 64512, vpcs: [\"vpc\"])",
        "nodes.vpc.route_tables={\"main\": (routes: [(destination: \"10.1.0.0/16\", target: \"vgw\")])}",
    ];
    let accelerated = "connections.vpn.enable_acceleration=true";
    let whole = "connections.vpn.tunnels.b.customer.ike_fragmentation=false";
    let up = "\"up\": EstablishedWithin(session: \"vpn.b.ike\", within: \"5s\"), \
              \"none_cut\": DropsBetween(reason: \"fragment_dropped\", max: 0)";
    let never = "\"never\": EstablishedTimes(session: \"vpn.b.ike\", min: 0, max: 0), \
                 \"cut\": DropsBetween(reason: \"fragment_dropped\", link: \"path-b\", min: 2)";
    CERTIFICATES.holds(&[&transit[..], &[accelerated]].concat(), up);
    CERTIFICATES.holds(&[&transit[..], &[accelerated, whole]].concat(), never);
    CERTIFICATES.holds(&[&transit[..], &[whole]].concat(), up);
}

/// Page initiate-vpn-tunnels.html: startup action `start` is for IKEv2, and for a customer gateway with an address. With IKEv1 it is a warning,
/// so that the other initiators of the world can be drawn at that end, too.
#[test]
fn aws_calls_by_ikev2_only() {
    assert!(takes("startup_action", "start"));
    let warned = |version: &str| {
        let version = format!("{TUNNEL}.ike_versions=[\"{version}\"]");
        BY_BGP.warned(&[&format!("{TUNNEL}.startup_action=start"), &version], "IKEv2 only")
    };
    assert_eq!((warned("ikev2"), warned("ikev1")), (false, true));
}

/// The same page: by default the customer gateway calls, and AWS waits for it. If neither end has `start`, there is no tunnel.
#[test]
fn by_default_the_customer_gateway_calls() {
    assert_eq!(established(&after(STATIC, 100, &["probes={}"])), (1, true));
    let add = format!("{TUNNEL}.customer.startup_action=add");
    assert_eq!(established(&after(STATIC, 100, &[&add])), (0, false));
}

/// The same page: who has `start` repeats without end until it succeeds. The path is dark for a thousand seconds.
#[test]
fn aws_calls_until_it_is_heard() {
    let changes = [
        &format!("{TUNNEL}.customer.startup_action=add"),
        &format!("{TUNNEL}.startup_action=start"),
        "probes={}",
        "duration=1400s",
        "faults={\"dark\": (at: \"0s\", heal: \"1000s\", what: Blackhole(link: \"path-a\"))}",
    ];
    let simulation = after(STATIC, 990, &changes);
    assert_eq!(established(&simulation), (0, false));
    let simulation = after(STATIC, 1_400, &changes);
    assert_eq!(established(&simulation), (1, true));
}

/// The same page: it calls again after the customer gateway has deleted the SA; with `add` it waits.
#[test]
fn aws_calls_again_after_a_delete() {
    let deleted = |startup: &str| {
        let changes = [
            &format!("{TUNNEL}.startup_action={startup}"),
            "faults={\"delete\": (at: \"100s\", what: IkeDelete(tunnel: \"vpn.a\", by: \"customer\"))}",
            "probes.app.stop=90s",
        ];
        established(&after(STATIC, 200, &changes))
    };
    assert_eq!(deleted("start"), (2, true));
    assert_eq!(deleted("add"), (1, false));
}

/// Page tunnel-configure.html: AWS rekeys by its own lifetimes, whoever has called. That it draws the moment as strongSwan does, from
/// `lifetime - margin * (1 + fuzz)` to `lifetime - margin`, is assumed.
#[test]
fn aws_rekeys_though_the_customer_gateway_does_not() {
    let simulation = after(
        STATIC,
        900,
        &[
            &format!("{TUNNEL}.phase2.lifetime=900s"),
            &format!("{TUNNEL}.rekey_margin=60s"),
            &format!("{TUNNEL}.customer.phase2.lifetime=20000s"),
            "duration=900s",
        ],
    );
    let trace = &simulation.world().trace;
    let rekeyed = trace.records().filter_map(|(_, record)| match record.what {
        What::Expired { session: Some(session), timer: sim_core::reason::TimerKind::ChildRekey, .. } => {
            (trace.sessions()[session.index()].name == "vpn.a@aws").then_some(record.at)
        }
        _ => None,
    });
    let rekeyed: Vec<Instant> = rekeyed.collect();
    let [at] = rekeyed[..] else { panic!("{rekeyed:?}") };
    // The SA stands within a second or two of the first probe.
    assert!(Instant::from_secs(780) <= at && at <= Instant::from_secs(850), "{at}");
}

const TWO_NETWORKS: Bare = Bare::new(library!("policy_based_two_networks"));

/// Guide, "Your customer gateway device": a tunnel has one pair of SAs, so a device has to make one of its policies. What becomes of a second
/// pair the guide does not say: `assume.second_sa_pair`.
#[test]
fn a_tunnel_has_one_pair_of_sas() {
    let lost = |changes: &[&str]| dropped_at(&TWO_NETWORKS.answer(changes), "cgw", "no_sa");
    // Each packet of the one network finds the tunnel with the other one; or only the first of the second network finds nothing.
    assert!(lost(&[]) >= 59, "{}", lost(&[]));
    assert_eq!(lost(&["assume.second_sa_pair=kept"]), 1);
    // Quick Mode for Quick Mode the same in IKEv1.
    let ikev1 = format!("{TUNNEL}.customer.ike_versions=[\"ikev1\"]");
    assert!(lost(&[&ikev1]) >= 59, "{}", lost(&[&ikev1]));
    assert_eq!(lost(&[&ikev1, "assume.second_sa_pair=kept"]), 1);
    // Those of the second network find none, and the first one does not feel it: 30 packets, one a second.
    assert_eq!(lost(&["assume.second_sa_pair=refused"]), 30);
    assert!(TWO_NETWORKS.warned(&[], "AWS keeps one pair of SAs for a tunnel"));
    let one = selectors(&["10.2.0.0/15"]);
    assert!(!TWO_NETWORKS.warned(&[&one], "one pair of SAs"));
    assert_eq!(lost(&[&one]), 0);
}

fn selectors(networks: &[&str]) -> String {
    let pairs = networks.iter().map(|network| format!("(local_cidr: \"{network}\", remote_cidr: \"10.0.0.0/16\")"));
    format!("{TUNNEL}.customer.traffic_selectors=[{}]", pairs.collect::<Vec<_>>().join(", "))
}

/// What a policy-based device is here: of IPv4, without BGP.
#[test]
fn selectors_of_a_policy_based_device_are_held_to_what_it_can() {
    let customer = |setting: &str| format!("{TUNNEL}.customer.{setting}");
    for (change, words) in [
        ("local_cidr=10.2.0.0/16", "`traffic_selectors` say what this says"),
        ("reauthentication=make_before_break", "does not authenticate anew"),
    ] {
        TWO_NETWORKS.refused(&[&customer(change)], words);
    }
    let ikev2 = customer("ike_versions=[\"ikev2\"]");
    BY_BGP.refused(&[&ikev2, &selectors(&["10.1.0.0/16"])], "no BGP inside of its tunnel");
    TWO_NETWORKS.refused(&[&selectors(&["10.2.0.1/15"])], "10.2.0.0/15");
}
