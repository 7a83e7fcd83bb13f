//! Laws of BGP over VPN tunnels at AWS's end (Site-to-Site VPN User Guide, and the EC2 API where it says more).

use sim_core::time::Duration;
use sim_scenarios::Scenario;

use crate::bare::{Bare, library};

const BY_BGP: Bare = Bare::without_faults(library!("active_passive"));
const DIRECT_CONNECT: Bare = Bare::without_faults(library!("dx_bfd"));
const LINE: Bare = Bare::without_faults(library!("dx_primary_vpn_backup_vgw"));
const TRANSIT: Bare = Bare::without_faults(library!("ecmp_conditions"));
const STATIC: Bare = Bare::without_faults(library!("static_active_passive"));
const TUNNEL: &str = "connections.vpn.tunnels.a";

/// CustomerGatewayConfiguration, `bgp/hold_time`: 30 s at both ends. A third of it between KEEPALIVEs is assumed: AWS publishes 10 s of
/// TGW Connect only, and the scenario may say otherwise.
#[test]
fn the_hold_time_is_30_seconds() {
    let scenario = BY_BGP.taken(&[]);
    let (aws, customer) = scenario.plan().connections[0].tunnels[0].bgp.as_ref().expect("it has BGP");
    assert_eq!((aws.hold_time, customer.hold_time), (Duration::from_secs(30), Duration::from_secs(30)));
    assert_eq!(aws.keepalive, Duration::from_secs(10));
    let slow = BY_BGP.taken(&["connections.vpn.routing.aws.keepalive=15s"]);
    assert_eq!(
        slow.plan().connections[0].tunnels[0].bgp.as_ref().expect("it has").0.keepalive,
        Duration::from_secs(15)
    );
}

/// Networking blog of 2025-08-21: BFD is for virtual interfaces of Direct Connect, and none is offered on tunnels.
#[test]
fn there_is_no_bfd_on_a_tunnel() {
    for end in ["", "customer."] {
        assert!(BY_BGP.with(&[&format!("{TUNNEL}.{end}bfd=(min_tx: \"300ms\")")]).is_err());
    }
    assert!(DIRECT_CONNECT.with(&["nodes.site.neighbors.dx.bfd.multiplier=5"]).is_ok());
}

/// EC2 API, by absence: no option of a tunnel is a key of TCP MD5. Whoever gives one is told so. Direct Connect has it (`authKey`, 6 to 80
/// characters).
#[test]
fn md5_is_offered_on_direct_connect_and_not_on_tunnels() {
    let key = |drawing: Bare, setting: &str, key: &str| drawing.with(&[&format!("{setting}={key}")]);
    let tunnel = key(BY_BGP, &format!("{TUNNEL}.md5_key"), "correct-horse").expect("it shows what another router does");
    let told = tunnel.plan().warnings.iter().find(|warning| warning.parameter.ends_with("md5_key"));
    assert!(told.is_some_and(|warning| warning.text.contains("no option for TCP MD5")), "{:?}", tunnel.plan().warnings);
    let customer = key(BY_BGP, &format!("{TUNNEL}.customer.md5_key"), "correct-horse").expect("it never comes up");
    assert!(customer.plan().warnings.iter().any(|warning| warning.text.contains("never comes up")));
    let setting = "direct_connect.dx.virtual_interfaces.a.md5_key";
    let offered = key(LINE, setting, "secret-key").expect("it is offered");
    assert!(offered.plan().warnings.iter().all(|warning| !warning.parameter.contains("md5")));
    assert!(key(LINE, setting, "five5").is_err() && key(LINE, setting, "six_66").is_ok());
    assert!(key(LINE, setting, &"x".repeat(80)).is_ok() && key(LINE, setting, &"x".repeat(81)).is_err());
}

/// Page vpn-limits.html: 100 dynamic routes from a customer gateway on a virtual private gateway, 1,000 on a transit gateway.
#[test]
fn aws_takes_a_hundred_prefixes_or_a_thousand() {
    let most = |drawing: Bare| {
        let scenario = drawing.taken(&[]);
        let (aws, _) = scenario.plan().connections[0].tunnels[0].bgp.as_ref().expect("it has BGP");
        aws.max_prefixes.as_ref().expect("AWS limits them").most
    };
    assert_eq!((most(BY_BGP), most(TRANSIT)), (100, 1_000));
}

/// The same page: 100 static routes of a connection on a virtual private gateway, which AWS does not raise.
#[test]
fn a_connection_has_a_hundred_static_routes() {
    let prefixes = |count: usize| {
        let all: Vec<String> = (0..count).map(|i| format!("\"10.1.{i}.0/24\"")).collect();
        format!("connections.vpn.routing=Static(prefixes: [{}])", all.join(", "))
    };
    STATIC.taken(&[&prefixes(100)]);
    STATIC.refused(&[&prefixes(101)], "100");
}

/// Page VPNConnections.html: whoever chooses BGP enters no static routes, and whoever chooses static routes has no BGP.
#[test]
fn a_connection_has_static_routes_or_bgp_and_not_both() {
    // What is BGP's on a static connection: policy of a tunnel, and a session to ask for.
    BY_BGP.refused(&["connections.vpn.routing=Static(prefixes: [\"10.1.0.0/16\"])"], "routing is static");
    // Static routes on one by BGP: the language has no place for them, as `Bgp` and `Static` are alternatives.
    BY_BGP.refused(&["connections.vpn.routing.prefixes=[\"10.1.0.0/16\"]"], "`prefixes` is no setting of Bgp");
    // Each alone makes sense, and has what is its own and nothing of the other's.
    let by_bgp = BY_BGP.taken(&[]);
    let bare = ["connections.vpn.tunnels.a.customer=()", "connections.vpn.tunnels.b.customer=()"];
    let by_hand = BY_BGP.taken(&[&["connections.vpn.routing=Static(prefixes: [\"10.1.0.0/16\"])"], &bare[..]].concat());
    let is_bgp = |scenario: &Scenario| {
        scenario.plan().connections[0].tunnels.iter().map(|it| it.bgp.is_some()).collect::<Vec<_>>()
    };
    assert_eq!((is_bgp(&by_bgp), is_bgp(&by_hand)), (vec![true, true], vec![false, false]));
    let routing = &by_hand.plan().connections[0].routing;
    assert!(matches!(routing, sim_scenarios::plan::Routing::Static(prefixes) if prefixes.len() == 1), "{routing:?}");
}
