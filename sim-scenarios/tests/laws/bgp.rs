//! Laws of BGP over VPN tunnels at AWS's end (Site-to-Site VPN User Guide, and the EC2 API where it says more).

use sim_core::time::Duration;
use sim_scenarios::{NoSecrets, Scenario};

const TEXT: &str = include_str!("../../../scenarios/active_passive.ron");
const DIRECT_CONNECT: &str = include_str!("../../../scenarios/dx_bfd.ron");
const TRANSIT: &str = include_str!("../../../scenarios/ecmp_conditions.ron");
const TUNNEL: &str = "connections.vpn.tunnels.a";

fn with(text: &str, changes: &[&str]) -> Result<Scenario, String> {
    let all = [&["expect={}", "control=[]", "faults={}"], changes].concat();
    let parsed = Scenario::parse("library.ron", text, &NoSecrets).map_err(|mistakes| mistakes.to_string())?;
    parsed.with(&all, &NoSecrets).map_err(|mistakes| mistakes.to_string())
}

fn made(text: &str, changes: &[&str]) -> Scenario {
    with(text, changes).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// CustomerGatewayConfiguration, `bgp/hold_time`: 30 s at both ends. A third of it between KEEPALIVEs is assumed: AWS publishes 10 s of
/// TGW Connect only, and the scenario may say otherwise.
#[test]
fn the_hold_time_is_30_seconds() {
    let scenario = made(TEXT, &[]);
    let (aws, customer) = scenario.plan().connections[0].tunnels[0].bgp.as_ref().expect("it has BGP");
    assert_eq!((aws.hold_time, customer.hold_time), (Duration::from_secs(30), Duration::from_secs(30)));
    assert_eq!(aws.keepalive, Duration::from_secs(10));
    let slow = made(TEXT, &["connections.vpn.routing.aws.keepalive=15s"]);
    assert_eq!(
        slow.plan().connections[0].tunnels[0].bgp.as_ref().expect("it has").0.keepalive,
        Duration::from_secs(15)
    );
}

/// Networking blog of 2025-08-21: BFD is for virtual interfaces of Direct Connect, and none is offered on tunnels.
#[test]
fn there_is_no_bfd_on_a_tunnel() {
    for end in ["", "customer."] {
        assert!(with(TEXT, &[&format!("{TUNNEL}.{end}bfd=(min_tx: \"300ms\")")]).is_err());
    }
    assert!(with(DIRECT_CONNECT, &["nodes.site.neighbors.dx.bfd.multiplier=5"]).is_ok());
}

/// EC2 API, by absence: no option of a tunnel is a key of TCP MD5. Whoever gives one is told so. Direct Connect has it (`authKey`, 6 to 80
/// characters).
#[test]
fn md5_is_offered_on_direct_connect_and_not_on_tunnels() {
    let key = |text: &str, setting: &str, key: &str| with(text, &[&format!("{setting}={key}")]);
    let tunnel = key(TEXT, &format!("{TUNNEL}.md5_key"), "correct-horse").expect("it shows what another router does");
    let told = tunnel.plan().warnings.iter().find(|warning| warning.parameter.ends_with("md5_key"));
    assert!(told.is_some_and(|warning| warning.text.contains("no option for TCP MD5")), "{:?}", tunnel.plan().warnings);
    let customer = key(TEXT, &format!("{TUNNEL}.customer.md5_key"), "correct-horse").expect("it never comes up");
    assert!(customer.plan().warnings.iter().any(|warning| warning.text.contains("never comes up")));
    let line = include_str!("../../../scenarios/dx_primary_vpn_backup_vgw.ron");
    let setting = "direct_connect.dx.virtual_interfaces.a.md5_key";
    let offered = key(line, setting, "secret-key").expect("it is offered");
    assert!(offered.plan().warnings.iter().all(|warning| !warning.parameter.contains("md5")));
    assert!(key(line, setting, "five5").is_err() && key(line, setting, "six_66").is_ok());
    assert!(key(line, setting, &"x".repeat(80)).is_ok() && key(line, setting, &"x".repeat(81)).is_err());
}

/// Page vpn-limits.html: 100 dynamic routes from a customer gateway on a virtual private gateway, 1,000 on a transit gateway.
#[test]
fn aws_takes_a_hundred_prefixes_or_a_thousand() {
    let most = |text: &str| {
        let scenario = made(text, &[]);
        let (aws, _) = scenario.plan().connections[0].tunnels[0].bgp.as_ref().expect("it has BGP");
        aws.max_prefixes.as_ref().expect("AWS limits them").most
    };
    assert_eq!((most(TEXT), most(TRANSIT)), (100, 1_000));
}

/// The same page: 100 static routes of a connection on a virtual private gateway, which AWS does not raise.
#[test]
fn a_connection_has_a_hundred_static_routes() {
    let text = include_str!("../../../scenarios/static_active_passive.ron");
    let prefixes = |count: usize| {
        let all: Vec<String> = (0..count).map(|i| format!("\"10.1.{i}.0/24\"")).collect();
        with(text, &[&format!("connections.vpn.routing=Static(prefixes: [{}])", all.join(", "))])
    };
    assert!(prefixes(100).is_ok());
    let refused = prefixes(101).expect_err("it is one too many");
    assert!(refused.contains("100"), "{refused}");
}

/// Page VPNConnections.html: whoever chooses BGP enters no static routes, and whoever chooses static routes has no BGP.
#[test]
fn a_connection_has_static_routes_or_bgp_and_not_both() {
    let says = |changes: &[&str], words: &str| {
        let refused = with(TEXT, changes).expect_err("it is refused");
        assert!(refused.contains(words), "{refused}");
    };
    // What is BGP's on a static connection: policy of a tunnel, and a session to ask for.
    says(&["connections.vpn.routing=Static(prefixes: [\"10.1.0.0/16\"])"], "routing is static");
    // Static routes on one by BGP: the language has no place for them, as `Bgp` and `Static` are alternatives.
    says(&["connections.vpn.routing.prefixes=[\"10.1.0.0/16\"]"], "`prefixes` is no setting of Bgp");
    // Each alone makes sense, and has what is its own and nothing of the other's.
    let by_bgp = made(TEXT, &[]);
    let bare = ["connections.vpn.tunnels.a.customer=()", "connections.vpn.tunnels.b.customer=()"];
    let by_hand = made(TEXT, &[&["connections.vpn.routing=Static(prefixes: [\"10.1.0.0/16\"])"], &bare[..]].concat());
    let is_bgp = |scenario: &Scenario| {
        scenario.plan().connections[0].tunnels.iter().map(|it| it.bgp.is_some()).collect::<Vec<_>>()
    };
    assert_eq!((is_bgp(&by_bgp), is_bgp(&by_hand)), (vec![true, true], vec![false, false]));
    let routing = &by_hand.plan().connections[0].routing;
    assert!(matches!(routing, sim_scenarios::plan::Routing::Static(prefixes) if prefixes.len() == 1), "{routing:?}");
}
