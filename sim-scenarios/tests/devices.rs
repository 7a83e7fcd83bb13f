//! What devices make of trouble that no scenario of the library has.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use sim_core::id::LinkId;
use sim_core::node::Node;
use sim_core::packet::Packet;
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Sink, Way};
use sim_core::wire::icmp::{IcmpKind, IcmpMessage, Quoted};
use sim_core::wire::ipv4::{Ipv4Packet, protocol};
use sim_scenarios::report::{Outcome, markdown, text};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

/// A scenario of the library with changes, until that second.
fn until(seconds: u64, text: &str, changes: &[&str]) -> Outcome {
    let scenario = Scenario::parse("library.ron", text, &NoSecrets).expect("it makes sense");
    let changed = scenario.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let mut simulation = Simulation::new(&changed);
    simulation.run_until(Instant::from_secs(seconds));
    simulation.answer()
}

/// The provider's router sees that the customer's line is down and answers what AWS sends there with ICMP errors. Those
/// prove nothing (RFC 7296 section 2.4): they are counted under their own name, and the tunnels stand until DPD has
/// waited its 40 s.
#[test]
fn icmp_errors_bring_no_tunnel_down() {
    let text = include_str!("../../scenarios/active_passive.ron");
    let line_cut = "faults.cut.what=LinkDown(link: \"uplink\")";
    let report = until(330, text, &[line_cut]).report;
    let at_endpoints = |reason: &str| {
        let counts = report.drops.iter().filter(|d| d.node.as_deref().is_some_and(|node| node.starts_with("vpn.")));
        counts.filter(|d| d.reason == reason).map(|d| d.packets).sum::<u64>()
    };
    assert!(at_endpoints("icmp_ignored") > 0, "{:?}", report.drops);
    assert_eq!(at_endpoints("not_for_me"), 0);
    let fallen = report.sessions.iter().filter(|s| s.kind == "ike" && s.name.ends_with("@aws"));
    assert!(fallen.flat_map(|s| &s.transitions).all(|t| t.to != "down"), "no SA goes within 30 s");
}

/// An endpoint that loses power for less time than AWS needs to notice has lost its SAs and routes all the same: when it
/// is back, the gateway holds it unhealthy and has nothing through it before it has learned that again.
#[test]
fn a_short_loss_of_power_is_no_secret() {
    let text = include_str!("../../scenarios/endpoint_power_loss.ron");
    let outcome = until(400, text, &["faults.power.heal_after=500ms"]);
    let healed = outcome.report.faults.iter().find(|fault| fault.id == "power.heal").expect("it heals").at_s.0;
    let of_vgw = outcome.detail.routes.iter().filter(|change| change.node == "vgw");
    let after: Vec<_> = of_vgw.filter(|change| change.at.since_start() >= healed).collect();
    let first = after.first().expect("the gateway moves");
    assert_eq!((first.at.since_start(), first.via.as_deref()), (healed, Some("vpn.b")));
    let again = after.iter().find(|change| change.via.as_deref() == Some("vpn.a")).expect("it comes back");
    assert_eq!(again.reason, "learned");
    assert!(again.at.since_start() > healed + Duration::from_secs(1), "after IKE and BGP");
}

/// A tunnel that never came up explains all that does not work afterwards, so the answer says why it did not; and no
/// report shows the pre-shared keys that differ.
#[test]
fn a_tunnel_that_never_came_up_is_part_of_the_answer() {
    let scenario = include_str!("../../scenarios/active_passive.ron");
    let key = "abcdefgh12345";
    let outcome = until(60, scenario, &[&format!("connections.vpn.tunnels.a.customer.pre_shared_key={key}")]);
    let wide = text::Layout { width: 200, ..text::Layout::default() };
    let answer = text::render_answer(&outcome, wide);
    let why = "ike vpn.a@aws (psk_mismatch) and ike vpn.a@cgw (authentication_failed)";
    assert!(answer.contains(&format!("Never established: {why}.")), "{answer}");
    let reports = [answer, text::render(&outcome, wide), markdown::render(&outcome), outcome.report.to_json()];
    assert!(reports.iter().all(|report| !report.contains(key)));
}

/// strongSwan's own meaning of a DPD timeout of 0, in either version of IKE: AWS's end is dead when a check that was sent after
/// 10 s of silence was repeated in vain, 165.06 s later. That is no more "never" than AWS's 40 s are.
#[test]
fn without_a_dpd_timeout_the_peer_is_dead_when_a_check_was_repeated_in_vain() {
    let text = include_str!("../../scenarios/active_passive.ron");
    let dead_after = |version: &str, timeout: &str| {
        let tunnel = |setting: &str| format!("connections.vpn.tunnels.a.{setting}");
        let changes = [
            "faults.cut.at=300s".to_owned(),
            "faults.cut.heal=700s".to_owned(),
            tunnel(&format!("ike_versions=[\"{version}\"]")),
            tunnel(&format!("customer.dpd_timeout={timeout}")),
            // AWS's end shall not be the first to act, and BGP shall not stop sending what nobody answers.
            tunnel("dpd_timeout_action=none"),
        ];
        let report = until(600, text, &changes.each_ref().map(String::as_str)).report;
        let ike =
            report.sessions.iter().find(|s| s.kind == "ike" && s.name.starts_with("vpn.a@cgw")).expect("it is there");
        let dead = ike.transitions.iter().find(|t| t.reason == "peer_dead").map(|t| t.at_s.0.as_secs_f64() - 300.0);
        dead.unwrap_or_else(|| panic!("{version}, {timeout}: {:?}", ike.transitions))
    };
    for version in ["ikev1", "ikev2"] {
        // The last packet came up to 20 ms before the cut; DPD counts from it.
        let (with, without) = (dead_after(version, "40s"), dead_after(version, "0s"));
        assert!((39.9..40.1).contains(&with), "{version}: {with}");
        assert!((174.9..175.2).contains(&without), "{version}: {without}");
    }
}

/// A path on which some packets are overtaken by 50 ms of others, and rekeys by both ends. What was sealed before a rekey may come
/// after the DELETE of its SA (RFC 7296 section 2.8 leaves it to the ends how long they wait).
#[test]
fn a_rekey_on_a_path_that_reorders_loses_nothing_if_both_ends_wait() {
    let text = include_str!("../../scenarios/active_passive.ron");
    let lost = |delay: &str| {
        let tunnel = |setting: &str| format!("connections.vpn.tunnels.a.{setting}");
        let changes = [
            "faults.cut.enabled=false".to_owned(),
            "probes.app.every=2ms".to_owned(),
            "probes.back.every=2ms".to_owned(),
            "links.path-a.reorder=(chance: \"20%\", by: \"50ms\")".to_owned(),
            tunnel("ike_versions=[\"ikev2\"]"),
            tunnel("customer.phase2.lifetime=60s"),
            tunnel("customer.rekey_margin=20s"),
            tunnel(&format!("delete_rekeyed_delay={delay}")),
            tunnel(&format!("customer.delete_rekeyed_delay={delay}")),
        ];
        let report = until(400, text, &changes.each_ref().map(String::as_str)).report;
        let child =
            report.sessions.iter().find(|s| s.kind == "child" && s.name.starts_with("vpn.a@cgw")).expect("it is there");
        assert!(child.transitions.iter().filter(|t| t.to == "rekeying").count() >= 2, "{:?}", child.transitions);
        report.drops.iter().filter(|d| d.reason == "unknown_spi").map(|d| d.packets).sum::<u64>()
    };
    assert!(lost("0s") > 0, "the path does not reorder enough to show anything");
    assert_eq!(lost("5s"), 0);
}

/// Without an address AWS can tell a customer gateway by its certificate alone, and cannot call it (guide: tunnel authentication
/// options; tunnel initiation options).
#[test]
fn without_a_registered_address_there_is_a_certificate_and_the_customer_begins() {
    let text = include_str!("../../scenarios/unregistered_address.ron");
    let scenario = Scenario::parse("unregistered_address.ron", text, &NoSecrets).expect("it makes sense");
    for (change, says) in [
        ("authentication=PreSharedKey()", "a pre-shared key belongs to an address"),
        ("customer.authentication=PreSharedKey()", "`vpn.a` needs certificates at both ends"),
        ("startup_action=start", "AWS cannot begin `vpn.a` without the customer gateway's address"),
        ("ike_versions=[\"ikev1\", \"ikev2\"]", "is for IKEv2 only here"),
    ] {
        let change = format!("connections.vpn.tunnels.a.{change}");
        let Err(mistakes) = scenario.with(&[&change], &NoSecrets) else { panic!("{change} is no mistake") };
        assert!(mistakes.to_string().contains(says), "{change}: {mistakes}");
    }
}

/// `ecmp` spreads flows over BGP's routes, too: those that are equal in LOCAL_PREF, AS_PATH and MED. The longer path that one tunnel
/// prefers, or a gateway that does not spread, leaves one way.
#[test]
fn equal_routes_of_bgp_share_the_flows_of_a_gateway_that_spreads_them() {
    let text = include_str!("../../scenarios/active_passive.ron");
    let ways = |changes: &[&str]| {
        let all = [&["expect={}", "control=[]"], changes].concat();
        let scenario = Scenario::parse("library.ron", text, &NoSecrets).expect("it makes sense");
        let mut simulation = Simulation::new(&scenario.with(&all, &NoSecrets).unwrap_or_else(|e| panic!("{e}")));
        simulation.run_until(Instant::from_secs(100));
        let id = simulation.plan().node("cgw").expect("it is there");
        let Node::Cgw(cgw) = simulation.world().node(id) else { panic!("it is a customer gateway") };
        cgw.gateway().ip.fib().ways("10.0.1.10".parse().expect("an address")).count()
    };
    let spread = "nodes.cgw.ecmp=()";
    let equal = "connections.vpn.tunnels.a.customer.local_preference=100";
    let unmarked = "assume.other_med=100";
    assert_eq!(ways(&[spread, equal, unmarked]), 2);
    assert_eq!(ways(&[spread, equal]), 1, "AWS marks its primary tunnel by a lower MED");
    assert_eq!(ways(&[equal, unmarked]), 1);
    assert_eq!(ways(&[spread]), 1, "LOCAL_PREF 200 on the one");
}

/// What is on one link.
struct Tap(LinkId, Rc<RefCell<Vec<Packet>>>);

impl Sink for Tap {
    fn wire(&mut self, _at: Instant, link: LinkId, _way: Way, packet: &Packet) {
        if link == self.0 {
            self.1.borrow_mut().push(packet.clone());
        }
    }
}

/// An instance sends 1,400 octets with DF into a tunnel that takes them, and the LAN behind the customer gateway takes 1,300: the
/// gateway says so through the same tunnel (RFC 1191 section 4), from its address there (RFC 1812 section 4.3.2.4).
#[test]
fn an_icmp_error_goes_back_through_the_tunnel() {
    let text = include_str!("../../scenarios/mtu_blackhole_and_clamp.ron");
    let scenario = Scenario::parse("library.ron", text, &NoSecrets).expect("it makes sense");
    let changes = [
        "links.lan.mtu=1300",
        "probes.udp=UdpOneWay(from: \"app\", to: \"office\", every: \"1s\", size: \"1400B\", dont_fragment: true, start: \"60s\")",
        "expect={}",
        "control=[]",
    ];
    let scenario = scenario.with(&changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let seen = Rc::new(RefCell::new(Vec::new()));
    let mut simulation = Simulation::prepare(&scenario, |world| {
        let (link, _) = world.link_ends().find(|(link, _)| world.link_name(*link) == "vpc--app").expect("it is there");
        world.trace.add_sink(Box::new(Tap(link, Rc::clone(&seen))));
    });
    simulation.run_until(Instant::from_secs(100));
    let report = simulation.answer().report;
    let dropped = |reason: &str| {
        let at_cgw = report.drops.iter().filter(|d| d.node.as_deref() == Some("cgw") && d.reason == reason);
        at_cgw.map(|d| d.packets).sum::<u64>()
    };
    assert_eq!((dropped("fragmentation_needed"), dropped("link_down")), (40, 0), "{:?}", report.drops);
    let app = Ipv4Addr::new(10, 0, 1, 10);
    let mut told = 0;
    for packet in seen.borrow().iter() {
        let ip = Ipv4Packet::new_checked(packet.bytes()).expect("it was sent so");
        let Ok(message) = IcmpMessage::new_checked(ip.payload()) else { continue };
        if ip.protocol() != protocol::ICMP || message.kind() != IcmpKind::FragmentationNeeded {
            continue;
        }
        assert_eq!((ip.src(), ip.dst(), message.next_hop_mtu()), (Ipv4Addr::new(169, 254, 10, 2), app, 1300));
        let quoted = Quoted::parse(message.payload()).expect("it quotes");
        assert_eq!((quoted.header.src, quoted.header.dst), (app, Ipv4Addr::new(10, 1, 0, 10)));
        told += 1;
    }
    assert_eq!(told, 40, "one for each that was too long");
}
