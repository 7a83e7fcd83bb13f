//! LANs: virtual routers by VRRP version 3 (RFC 5798), ARP (RFC 826), and switches with VLANs (IEEE 802.1Q).

use sim_core::time::Duration;
use sim_scenarios::report::model::Report;
use sim_scenarios::{NoSecrets, Scenario, Simulation};

/// Two routers between two LANs, each the virtual gateway of both: 10.1.0.1 and 10.2.0.1.
struct Pair {
    /// VRRP settings of each, beside VRID and address.
    vrrp: [&'static str; 2],
    /// The first router's last octet; 1 makes it the owner.
    first: u8,
    /// The VLAN of each port of the first switch: office, first and second router.
    vlans: [u16; 3],
    faults: &'static str,
    /// How often the office asks, from when on, and until when.
    asks: [&'static str; 3],
}

impl Pair {
    const USUAL: Self =
        Self { vrrp: ["priority: 200", ""], first: 2, vlans: [1; 3], faults: "", asks: ["5ms", "48s", "60s"] };

    fn report(&self) -> Report {
        let router = |last: u8, vrrp: &str| {
            let side = |net: u8, vrid: u8| {
                format!(
                    "(address: \"10.{net}.0.{last}/24\", vrrp: {{ \"v{net}\": (vrid: {vrid}, address: \"10.{net}.0.1\", {vrrp}) }})"
                )
            };
            format!("BgpRouter(asn: 65010, interfaces: {{ \"in\": {}, \"out\": {} }})", side(1, 10), side(2, 20))
        };
        let ([office, one, two], [every, start, end]) = (self.vlans, self.asks);
        let text = format!(
            r#"(
                version: 1, name: "pair", question: "who forwards?", duration: "{end}",
                nodes: {{
                    "office": Host(address: "10.1.0.10/24", gateway: "10.1.0.1"),
                    "server": Host(address: "10.2.0.10/24", gateway: "10.2.0.1"),
                    "inside": Switch(ports: {{ "a": (vlan: {office}), "b": (vlan: {one}), "c": (vlan: {two}) }}),
                    "outside": Switch(ports: {{ "a": (), "b": (), "c": () }}),
                    "one": {}, "two": {},
                }},
                links: {{
                    "desk": Link(between: ("office", "inside.a")), "rack": Link(between: ("server", "outside.a")),
                    "one-in": Link(between: ("one.in", "inside.b")), "one-out": Link(between: ("one.out", "outside.b")),
                    "two-in": Link(between: ("two.in", "inside.c")), "two-out": Link(between: ("two.out", "outside.c")),
                }},
                probes: {{ "app": UdpEcho(from: "office", to: "server", every: "{every}", start: "{start}") }},
                faults: {{ {} }},
            )"#,
            router(self.first, self.vrrp[0]),
            router(3, self.vrrp[1]),
            self.faults,
        );
        let scenario = Scenario::parse("pair.ron", &text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        Simulation::new(&scenario).finish().report
    }

    /// How long the probe was dark there and back because of a fault, in milliseconds.
    fn dark(&self, fault: &str) -> f64 {
        let report = self.report();
        let of = |direction: &str, by: &Option<String>| direction == "round_trip" && by.as_deref() == Some(fault);
        let outages = report.outages.iter().filter(|it| of(&it.direction, &it.fault));
        outages.map(|it| it.duration_s.0.as_nanos() as f64 / 1e6).sum()
    }
}

const DEAD: &str = r#""dead": (at: "50s", what: PowerLoss(node: "one"))"#;

/// Section 6.1: Master_Down_Interval = 3 x Master_Adver_Interval + ((256 - priority) x Master_Adver_Interval) / 256. The last
/// advertisement was up to one interval before the power went.
#[test]
fn a_backup_takes_over_three_intervals_and_a_skew_time_after_the_last_advertisement() {
    for (interval, priority) in [(1000, 100), (500, 150), (100, 1)] {
        let settings = |priority: u32| -> &'static str {
            Box::leak(format!("priority: {priority}, advertisement_interval: \"{interval}ms\"").into_boxed_str())
        };
        let dark = Pair { vrrp: [settings(200), settings(priority)], faults: DEAD, ..Pair::USUAL }.dark("dead");
        let interval = f64::from(interval);
        let skew = f64::from(256 - priority) / 256.0 * interval;
        let (least, most) = (2.0 * interval + skew, 3.0 * interval + skew);
        assert!(least - 7.0 <= dark && dark <= most + 7.0, "{interval} ms, {priority}: {least} <= {dark} <= {most}");
    }
}

/// Section 6.4.3: a master that shuts down sends priority 0, and section 6.4.2: then only Skew_Time is waited.
#[test]
fn a_master_that_is_stopped_costs_a_skew_time() {
    let faults = r#"
        "in": (at: "50s", what: VrrpShutdown(interface: "one.in")),
        "out": (at: "50s", what: VrrpShutdown(interface: "one.out")),
    "#;
    let pair = Pair { faults, ..Pair::USUAL };
    let dark = pair.dark("in") + pair.dark("out");
    assert!((605.0..616.0).contains(&dark), "156/256 s: {dark}");
}

/// Section 6.1: the owner has priority 255 and begins as master, Preempt_Mode or not.
#[test]
fn the_owner_of_an_address_is_its_master() {
    let faults = r#""dead": (at: "50s", heal: "52s", what: PowerLoss(node: "one"))"#;
    let owner = Pair { first: 1, vrrp: ["preempt: false", "preempt: false"], faults, ..Pair::USUAL }.report();
    let last = |report: &Report, name: &str| {
        let session = report.sessions.iter().find(|session| session.name == name).expect("it is there");
        session.transitions.last().expect("it has begun").to.clone()
    };
    assert_eq!((last(&owner, "v1@one").as_str(), last(&owner, "v1@two").as_str()), ("master", "backup"));
    // Another one that may not preempt stays what it came back as.
    let other = Pair { vrrp: ["priority: 200, preempt: false", "preempt: false"], faults, ..Pair::USUAL }.report();
    assert_eq!((last(&other, "v1@one").as_str(), last(&other, "v1@two").as_str()), ("backup", "master"));
}

/// The link of the master's one side goes: it is master of that side no more, and of the other it is. What goes out by the one router
/// comes back by the other.
#[test]
fn a_cut_cable_moves_one_side_alone() {
    let faults = r#""cut": (at: "50s", what: LinkDown(link: "one-in"))"#;
    let report = Pair { faults, ..Pair::USUAL }.report();
    let state = |name: &str| {
        let session = report.sessions.iter().find(|session| session.name == name).expect("it is there");
        session.transitions.last().expect("it has begun").to.clone()
    };
    assert_eq!(["v1@one", "v1@two", "v2@one", "v2@two"].map(state), ["initialize", "master", "master", "backup"]);
    // Router one has no way back into the LAN any more: nothing comes back.
    let probe = report.probes.iter().find(|probe| probe.direction == "reverse").expect("it is judged");
    assert!(probe.received < probe.sent, "{} of {}", probe.received, probe.sent);
}

/// IEEE 802.1Q-2022 section 8.6.2: a frame goes out of ports of its own VLAN alone.
#[test]
fn vlans_hear_nothing_of_each_other() {
    let received = |vlans| {
        let report = Pair { vlans, ..Pair::USUAL }.report();
        report.probes.iter().find(|probe| probe.direction == "forward").expect("it is judged").received
    };
    assert_eq!(received([10, 20, 20]), 0, "the office is in another VLAN than its gateways");
    assert!(received([10, 10, 10]) > 2_300);
    assert!(received([10, 20, 10]) > 2_300, "the second gateway alone is its gateway there");
}

/// RFC 1122 section 2.3.2.1: what ARP knows is asked for again; nobody notices.
#[test]
fn addresses_are_asked_for_again_without_a_loss() {
    let report = Pair { asks: ["100ms", "10s", "150s"], ..Pair::USUAL }.report();
    let probe = report.probes.iter().find(|probe| probe.direction == "round_trip").expect("it is judged");
    assert!(probe.sent - probe.received <= 2, "what is under way at the end: {} of {}", probe.received, probe.sent);
    let unresolved = report.drops.iter().find(|drop| drop.reason == "arp_unresolved");
    assert!(unresolved.is_none(), "somebody is always there");
}

/// Bad drawings: what is no LAN's.
#[test]
fn what_does_not_fit_a_lan_is_a_mistake() {
    let parse = |nodes: &str, links: &str| {
        let text = format!(
            "(version: 1, name: \"n\", question: \"q\", duration: \"10s\", nodes: {{ {nodes} }}, links: {{ {links} }})"
        );
        Scenario::parse("n.ron", &text, &NoSecrets).expect_err("it has a mistake").to_string()
    };
    let switch = |name: &str| format!("\"{name}\": Switch(ports: {{ \"a\": (), \"b\": () }}), ");
    let ring = parse(
        &[switch("x"), switch("y")].concat(),
        r#""one": Link(between: ("x.a", "y.a")), "two": Link(between: ("x.b", "y.b"))"#,
    );
    assert!(ring.contains("closes a ring of switches"), "{ring}");
    let router = parse(&[switch("x"), "\"r\": Router()".into()].concat(), r#""one": Link(between: ("x.a", "r"))"#);
    assert!(router.contains("speak Ethernet"), "{router}");
    let gateway = |vrrp: &str| {
        format!(
            "\"g\": BgpRouter(asn: 65000, interfaces: {{ \"lan\": (address: \"10.1.0.2/24\", vrrp: {{ {vrrp} }}) }}), "
        )
    };
    let alone = parse(
        &[gateway(r#""v": (vrid: 1, address: "10.1.0.1")"#), "\"h\": Host(address: \"10.1.0.9/24\")".into()].concat(),
        r#""one": Link(between: ("g.lan", "h"))"#,
    );
    assert!(alone.contains("linked to no switch"), "{alone}");
    for (vrrp, message) in [
        (r#""v": (vrid: 0, address: "10.1.0.1")"#, "a VRID"),
        (r#""v": (vrid: 1, address: "10.2.0.1")"#, "not in the interface's subnet"),
        (r#""v": (vrid: 1, address: "10.1.0.2", priority: 100)"#, "the owner of the address"),
        (r#""v": (vrid: 1, address: "10.1.0.1", advertisement_interval: "15ms")"#, "whole centiseconds"),
        (r#""v": (vrid: 1, address: "10.1.0.1"), "w": (vrid: 1, address: "10.1.0.4")"#, "has this VRID"),
    ] {
        let found = parse(&[gateway(vrrp), switch("x")].concat(), r#""one": Link(between: ("g.lan", "x.a"))"#);
        assert!(found.contains(message), "{message}: {found}");
    }
}

/// The largest skew is just below an interval, so that a takeover takes less than four.
#[test]
fn the_default_interval_takes_over_in_less_than_four_seconds() {
    let interval = Duration::from_secs(1);
    let longest = interval * 3 + Duration::from_nanos(interval.as_nanos() * 255 / 256);
    assert!(longest < interval * 4);
    let dark = Pair { vrrp: ["priority: 200", "priority: 1"], faults: DEAD, ..Pair::USUAL }.dark("dead");
    assert!(dark < 4000.0, "{dark}");
}
