//! Design reviews: the whole library is reviewed and the outcome is read by people; each piece of advice has a drawing that calls for it
//! and a change that takes it away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sim_core::crypto::suite;
use sim_core::node::Node;
use sim_scenarios::advice::{self, RULES, negotiated};
use sim_scenarios::leaf::{Encryption, Integrity};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

mod shared;

fn scenario(name: &str) -> Scenario {
    let text = std::fs::read_to_string(shared::repository("scenarios").join(format!("{name}.ron")));
    shared::parse(name, &text.unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Every piece of advice that the library gets. What more than half of it gets is told by those who do not: most drawings show one site
/// with one customer gateway, one provider and no alarms, because their question is another one.
#[test]
fn the_library_is_reviewed() {
    let mut given: BTreeMap<&str, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    let mut named: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let library = shared::texts();
    for (name, text) in &library {
        for advice in advice::review(&shared::parse(name, text)).advice {
            let places = given.entry(advice.code).or_default().entry(advice.text).or_default();
            places.push(format!("{name}:{}:{} {}", advice.line, advice.column, advice.path));
            named.entry(advice.code).or_default().insert(name.clone());
        }
    }
    let mut told = String::new();
    for (code, texts) in given {
        let names = &named[code];
        let _ = writeln!(told, "{code}");
        if 2 * names.len() > library.len() {
            let others: Vec<&str> =
                library.iter().map(|(name, _)| name.as_str()).filter(|name| !names.contains(*name)).collect();
            let _ = writeln!(told, "  all but {}", others.join(", "));
            continue;
        }
        for (text, places) in texts {
            let _ = writeln!(told, "  {text}\n    {}", places.join("\n    "));
        }
    }
    insta::assert_snapshot!("advice_of_the_library", told);
}

/// Links to the library lead somewhere, codes are unique, and every kind of advice rests on a page.
#[test]
fn the_rules_are_whole() {
    let library: BTreeSet<String> = shared::texts().into_iter().map(|(name, _)| name).collect();
    let codes: BTreeSet<&str> = RULES.iter().map(|rule| rule.code).collect();
    assert_eq!(codes.len(), RULES.len(), "two rules have one code");
    for rule in RULES {
        assert!(library.contains(rule.scenario), "{}: there is no scenarios/{}.ron", rule.code, rule.scenario);
        assert!(!rule.sources.is_empty(), "{} rests on nothing", rule.code);
        let known = ["https://docs.aws.amazon.com/", "https://www.rfc-editor.org/rfc/"];
        assert!(rule.sources.iter().all(|it| known.iter().any(|root| it.page.starts_with(root))), "{}", rule.code);
    }
}

/// A drawing that calls for a piece of advice, and the change that takes it away: scenarios of the library with changes on top.
type Case = (&'static str, &'static str, &'static [&'static str], Cure);

enum Cure {
    /// These changes, after those that call for the advice.
    Change(&'static [&'static str]),
    /// Another drawing.
    Drawing(&'static str),
}

use Cure::{Change, Drawing};

/// Strong lists at AWS, which the customer gateway's follow.
const STRONG: &[&str] = &[
    "connections.vpn.tunnels.a.phase1.dh_groups=[20]",
    "connections.vpn.tunnels.a.phase1.integrity=[\"SHA2-256\"]",
    "connections.vpn.tunnels.a.phase2.dh_groups=[20]",
    "connections.vpn.tunnels.a.phase2.integrity=[\"SHA2-256\"]",
    "connections.vpn.tunnels.b.phase1.dh_groups=[20]",
    "connections.vpn.tunnels.b.phase1.integrity=[\"SHA2-256\"]",
    "connections.vpn.tunnels.b.phase2.dh_groups=[20]",
    "connections.vpn.tunnels.b.phase2.integrity=[\"SHA2-256\"]",
];

const CASES: [Case; 33] = [
    (
        "ends_do_not_fit",
        "active_passive",
        &[
            "connections.vpn.tunnels.a.pre_shared_key=one.key.of.two",
            "connections.vpn.tunnels.a.customer.pre_shared_key=another.key",
        ],
        Change(&["connections.vpn.tunnels.a.customer.pre_shared_key=one.key.of.two"]),
    ),
    (
        "no_common_pfs_group",
        "pfs_mismatch_at_rekey",
        &[],
        Change(&["connections.vpn.tunnels.a.customer.phase2.dh_groups=[14]"]),
    ),
    (
        "nobody_calls",
        "active_passive",
        &["connections.vpn.tunnels.a.customer.startup_action=add"],
        Change(&["connections.vpn.tunnels.a.startup_action=start"]),
    ),
    (
        "static_vpn_beside_dx",
        "static_beats_dx_on_tgw",
        &[],
        Change(&["connections.vpn.routing=Static(prefixes: [\"10.0.0.0/8\"])"]),
    ),
    (
        "firewall_state_bound_to_tunnel",
        "ecmp_stateful_firewall_vgw",
        &[],
        Change(&["nodes.fw.firewall.state_match=any"]),
    ),
    // Both ends steered into one tunnel: what comes in is what would go out.
    (
        "strict_reverse_path",
        "asymmetric_urpf",
        &[],
        Change(&["connections.vpn.tunnels.a.customer.prepend=0", "connections.vpn.tunnels.b.customer.prepend=2"]),
    ),
    (
        "nat_forgets_before_keepalive",
        "nat_timeout_idle",
        &[],
        Change(&["connections.vpn.tunnels.a.customer.nat_keepalive=20s"]),
    ),
    ("site_overlaps_vpc", "overlapping_vpc_and_site", &[], Change(&["nodes.cgw.advertise=[\"10.1.0.0/16\"]"])),
    (
        "packets_in_clear",
        "null_encryption",
        &[],
        Change(&[
            "connections.vpn.tunnels.a.phase2.encryption=[\"AES128\"]",
            "connections.vpn.tunnels.a.customer.phase2.encryption=[\"AES128\"]",
        ]),
    ),
    ("sites_share_asn", "cloudhub_duplicate_asn", &[], Change(&["nodes.cgw3.asn=65003"])),
    ("one_tunnel", "cgw_behind_nat", &[], Drawing("active_passive")),
    ("one_customer_gateway", "active_passive", &[], Drawing("two_cgw_one_site")),
    ("single_point_of_failure", "active_passive", &[], Drawing("two_carriers")),
    ("prepending_defeats_med", "active_passive", &[], Change(&["connections.vpn.tunnels.b.customer.prepend=0"])),
    (
        "local_preference_defeats_med",
        "active_passive",
        &[],
        Change(&["connections.vpn.tunnels.a.customer.local_preference=100"]),
    ),
    ("weak_suite", "active_passive", &[], Change(STRONG)),
    ("ikev1", "ikev1_active_passive", &[], Change(&["connections.vpn.tunnels.a.ike_versions=[\"ikev2\"]"])),
    (
        "default_route_to_tgw",
        "default_route_on_tgw",
        &[],
        Change(&["nodes.vpc.route_tables.main.routes.0.destination=10.0.0.0/8"]),
    ),
    (
        "dpd_none_on_static",
        "dpd_none",
        &[],
        Change(&[
            "connections.vpn.tunnels.a.dpd_timeout_action=restart",
            "connections.vpn.tunnels.a.customer.dpd_timeout_action=restart",
        ]),
    ),
    (
        "nobody_calls_again",
        "dpd_clear",
        &[],
        Change(&["connections.vpn.tunnels.a.customer.dpd_timeout_action=restart"]),
    ),
    ("route_outlives_tunnel", "profile_strongswan_bird", &[], Change(&["nodes.cgw.routes_follow_sa=true"])),
    ("dx_without_bfd", "dx_failover_test", &[], Drawing("dx_bfd")),
    ("graceful_restart_with_bfd", "graceful_restart_vs_bfd", &[], Drawing("bfd_failover")),
    (
        "slow_hold_timer",
        "active_passive",
        &["connections.vpn.routing.aws.hold_time=90s", "connections.vpn.routing.customer.hold_time=90s"],
        Change(&["connections.vpn.routing.customer.hold_time=30s"]),
    ),
    ("no_mss_clamp", "narrow_path", &[], Change(&["connections.vpn.tunnels.a.customer.mss_clamping=1302"])),
    (
        "jumbo_dx_before_vpn",
        "jumbo_dx_to_vpn_failover",
        &[],
        Change(&["direct_connect.dx.virtual_interfaces.transit.mtu=1500"]),
    ),
    ("attachment_misses_zone", "appliance_mode", &[], Drawing("transit_tgw_egress_vpc")),
    ("sites_overlap", "overlapping_cidrs_two_sites", &[], Change(&["nodes.dc-b.advertise=[\"10.2.0.0/16\"]"])),
    (
        "aws_calls_a_nat",
        "cgw_behind_nat",
        &["connections.vpn.tunnels.a.startup_action=start", "connections.vpn.tunnels.a.ike_versions=[\"ikev2\"]"],
        Change(&["connections.vpn.tunnels.a.startup_action=add"]),
    ),
    (
        "lifetimes_differ",
        "azure_peer",
        &[],
        Change(&[
            "connections.vpn.tunnels.a.customer.phase2.lifetime=3600s",
            "connections.vpn.tunnels.b.customer.phase2.lifetime=3600s",
        ]),
    ),
    ("near_prefix_limit", "vpc_100_propagated_routes", &[], Change(&["nodes.site-a.advertise=[\"10.64.0.0/10\"]"])),
    (
        "near_propagated_route_limit",
        "vpc_100_propagated_routes",
        &[],
        Change(&["nodes.site-a.advertise=[\"10.64.0.0/10\"]"]),
    ),
    ("no_tunnel_alarm", "active_passive", &[], Drawing("tunnel_down_alarm")),
];

fn codes(scenario: &Scenario) -> BTreeSet<&'static str> {
    advice::review(scenario).advice.iter().map(|advice| advice.code).collect()
}

/// Two customer gateways at two providers: nothing is in common but the site's host.
fn two_carriers() -> Scenario {
    let text = std::fs::read_to_string(shared::repository("scenarios").join("two_cgw_one_site.ron")).unwrap();
    let text = text
        .replace("(\"cgw2.wan\", \"isp\")", "(\"cgw2.wan\", \"isp2\")")
        .replace("(\"isp\", \"two.a\")", "(\"isp2\", \"two.a\")")
        .replace(
            "\"isp\": Router(address: \"203.0.113.1\"),",
            "\"isp\": Router(address: \"203.0.113.1\"), \"isp2\": Router(address: \"192.0.2.1\"),",
        );
    shared::parse("two_carriers", &text)
}

#[test]
fn each_piece_of_advice_has_a_cause_and_a_cure() {
    let covered: BTreeSet<&str> = CASES.iter().map(|case| case.0).collect();
    assert_eq!(covered, RULES.iter().map(|rule| rule.code).collect());
    let mut wrong = Vec::new();
    for (code, base, changes, cure) in CASES {
        let drawn = scenario(base).with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{code}: {mistakes}"));
        if !codes(&drawn).contains(code) {
            wrong.push(format!("{code}: {base} does not call for it"));
        }
        let cured = match cure {
            Change(changes) => drawn.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{code}: {mistakes}")),
            Drawing("two_carriers") => two_carriers(),
            Drawing(name) => scenario(name),
        };
        if codes(&cured).contains(code) && code != "single_point_of_failure" {
            wrong.push(format!("{code}: the cure leaves it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// With a provider for each of two customer gateways, what is left in common is the site's own router.
#[test]
fn a_second_provider_is_no_single_point() {
    let single = |scenario: &Scenario| {
        let review = advice::review(scenario);
        let found = review.advice.into_iter().find(|advice| advice.code == "single_point_of_failure");
        found.map(|advice| advice.text).unwrap_or_default()
    };
    assert_eq!(
        single(&scenario("two_cgw_one_site")),
        "Between office and vgw, each of the 2 ways leads over core and isp: the drawing has nothing beside them."
    );
    assert_eq!(
        single(&two_carriers()),
        "Between office and vgw, each of the 2 ways leads over core: the drawing has nothing beside it."
    );
}

/// The line and column are those of the setting's name, or of what is around a setting that is not written.
#[test]
fn advice_says_where() {
    let found = scenario("active_passive");
    let text = std::fs::read_to_string(shared::repository("scenarios").join("active_passive.ron")).unwrap();
    let at = |path: &str| {
        let (line, column) = found.spot(path);
        text.lines().nth(line - 1).unwrap()[column - 1..].chars().take_while(|c| *c != ':').collect::<String>()
    };
    assert_eq!(at("connections.vpn.tunnels.b.customer.prepend"), "prepend");
    assert_eq!(at("connections.vpn.tunnels.b.phase1.dh_groups"), "\"b\"");
    assert_eq!(at("nodes.cgw"), "\"cgw\"");
    assert_eq!(at("duration"), "duration");
    assert_eq!(found.spot("nothing.of.it"), (1, 1));
}

/// AWS's names as RFCs have them.
fn wire(suite: advice::Suite) -> (suite::Encryption, suite::Integrity) {
    let encryption = match suite.encryption {
        Encryption::Aes128 => suite::Encryption::AesCbc128,
        Encryption::Aes256 => suite::Encryption::AesCbc256,
        Encryption::Aes128Gcm16 => suite::Encryption::AesGcm16_128,
        Encryption::Aes256Gcm16 => suite::Encryption::AesGcm16_256,
        Encryption::Null => suite::Encryption::Null,
    };
    let integrity = match suite.integrity {
        None => suite::Integrity::None,
        Some(Integrity::Sha1) => suite::Integrity::HmacSha1_96,
        Some(Integrity::Sha2_256) => suite::Integrity::HmacSha2_256_128,
        Some(Integrity::Sha2_384) => suite::Integrity::HmacSha2_384_192,
        Some(Integrity::Sha2_512) => suite::Integrity::HmacSha2_512_256,
    };
    (encryption, integrity)
}

/// What the review says will be negotiated is what a run negotiates: AWS's defaults, a restricted AWS, a customer gateway with another
/// order, and the phases apart.
#[test]
fn the_suite_that_is_foretold_is_negotiated() {
    let base =
        scenario("active_passive").with(&["duration=10s", "faults={}", "expect={}", "control=[]"], &NoSecrets).unwrap();
    for changes in [
        &[][..],
        &["connections.vpn.tunnels.a.phase1.encryption=[\"AES256\", \"AES256-GCM-16\"]"],
        &["connections.vpn.tunnels.a.customer.phase1.encryption=[\"AES256-GCM-16\", \"AES128-GCM-16\"]"],
        &[
            "connections.vpn.tunnels.a.phase1.dh_groups=[20, 14, 19]",
            "connections.vpn.tunnels.a.phase2.integrity=[\"SHA2-512\", \"SHA2-384\"]",
        ],
        &[
            "connections.vpn.tunnels.a.customer.phase1.dh_groups=[21, 16]",
            "connections.vpn.tunnels.a.customer.phase1.integrity=[\"SHA2-512\", \"SHA2-256\"]",
        ],
        &["connections.vpn.tunnels.a.startup_action=start", "connections.vpn.tunnels.a.customer.startup_action=add"],
    ] {
        let changed = base.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let tunnel = changed.plan().connections[0].tunnels[0].clone();
        let mut simulation = Simulation::new(&changed);
        simulation.run_until(simulation.end());
        let Node::VpnEndpoint(endpoint) = simulation.world().node(tunnel.endpoint) else { panic!("it is one") };
        let (ike, esp) = endpoint.gateway().tunnels[0].suites().expect("it is up");
        let told = |aws, customer| negotiated(aws, customer).expect("they fit");
        let one = told(&tunnel.aws.phase1, &tunnel.customer.phase1);
        let two = told(&tunnel.aws.phase2, &tunnel.customer.phase2);
        assert_eq!(wire(one), (ike.protection.encryption(), ike.protection.integrity()), "phase 1 with {changes:?}");
        assert_eq!(wire(two), (esp.protection.encryption(), esp.protection.integrity()), "phase 2 with {changes:?}");
        assert_eq!(one.dh_group, Some(ike.group.id()), "group with {changes:?}");
    }
}

#[test]
fn a_review_is_the_same_each_time_and_says_no_keys() {
    let drawn = scenario("wrong_psk");
    let text = advice::review(&drawn).to_json();
    assert_eq!(text, advice::review(&drawn).to_json());
    for tunnel in &drawn.plan().connections[0].tunnels {
        for end in [&tunnel.aws, &tunnel.customer] {
            let key = String::from_utf8_lossy(end.psk.expose()).into_owned();
            assert!(!text.contains(&key), "a key is in the review");
        }
    }
}
