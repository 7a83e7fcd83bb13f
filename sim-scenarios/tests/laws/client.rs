//! Client VPN (AWS Client VPN Administrator Guide): what an endpoint may be, what goes through it and in whose name.
//!
//! Pages: what-is-best-practices.html, cvpn-working-target.html, cvpn-working-routes.html, cvpn-working-rules.html. The transport is a
//! model, so no figure of it is a law.

use sim_scenarios::report::model::Report;
use sim_scenarios::{NoSecrets, Scenario, Simulation};

use crate::bare::{dropped, round_trip};

/// A user, an endpoint with two associations, and a server in the VPC.
struct Remote {
    client_cidr: &'static str,
    /// The subnets of the associations: block and zone.
    subnets: [(&'static str, &'static str); 2],
    /// Settings of the endpoint beside its client CIDR.
    endpoint: &'static str,
    /// Further routes of each association.
    routes: [&'static str; 2],
    /// Who may come in at the server.
    sources: &'static str,
    faults: &'static str,
}

impl Remote {
    const USUAL: Self = Self {
        client_cidr: "10.100.0.0/22",
        subnets: [("10.0.1.0/24", "a"), ("10.0.2.0/24", "b")],
        endpoint: r#"authentication: ["directory"], users: { "ana": () }, authorization_rules: { "all": (network: "0.0.0.0/0") }"#,
        routes: ["", ""],
        sources: "0.0.0.0/0",
        faults: "",
    };

    fn parse(&self) -> Result<Scenario, String> {
        let [(one, zone_one), (other, zone_other)] = self.subnets;
        let gate = |number: usize| {
            format!(
                r#"ClientVpnAssociation(endpoint: "e", subnet: "vpc.s{number}", address: "10.0.{number}.20",
                    outside_address: "198.51.100.{number}", routes: [{}])"#,
                self.routes[number - 1]
            )
        };
        let text = format!(
            r#"(
                version: 1, name: "remote", question: "who gets where?", duration: "120s",
                nodes: {{
                    "laptop": Host(address: "192.0.2.77/24"), "client": VpnClient(endpoint: "e", user: "ana"),
                    "isp": Router(address: "192.0.2.1"), "web": Host(address: "203.0.113.80/24", gateway: "203.0.113.1"),
                    "g1": {}, "g2": {},
                    "vpc": Vpc(
                        cidr: "10.0.0.0/16",
                        subnets: {{
                            "s1": (cidr: "{one}", availability_zone: "{zone_one}"),
                            "s2": (cidr: "{other}", availability_zone: "{zone_other}"),
                            "s3": (cidr: "10.0.3.0/24", availability_zone: "c"),
                        }},
                        security_groups: {{ "g": (inbound: {{ "in": (cidr: "{}") }}) }},
                    ),
                    "app": Instance(subnet: "vpc.s3", address: "10.0.3.10", security_groups: ["g"]),
                }},
                links: {{
                    "wire": Link(between: ("laptop", "client.inside")), "home": Link(between: ("client.outside", "isp")),
                    "hosting": Link(between: ("web", "isp")),
                    "to1": Path(between: ("isp", "g1")), "to2": Path(between: ("isp", "g2")),
                }},
                client_vpn: {{ "e": (client_cidr: "{}", {}) }},
                probes: {{
                    "app": UdpEcho(from: "laptop", to: "app", every: "50ms", start: "10s"),
                    "web": UdpEcho(from: "laptop", to: "web", every: "50ms", start: "10s"),
                }},
                faults: {{ {} }},
            )"#,
            gate(1),
            gate(2),
            self.sources,
            self.client_cidr,
            self.endpoint,
            self.faults,
        );
        Scenario::parse("remote.ron", &text, &NoSecrets).map_err(|mistakes| mistakes.to_string())
    }

    fn report(&self) -> Report {
        Simulation::new(&self.parse().unwrap_or_else(|mistakes| panic!("{mistakes}"))).finish().report
    }

    fn mistake(&self) -> String {
        self.parse().expect_err("it has a mistake")
    }
}

const SPLIT: &str = r#"authentication: ["directory"], users: { "ana": () }, split_tunnel: true,
    authorization_rules: { "all": (network: "0.0.0.0/0") }"#;

/// "Client CIDR ranges must have a block size of at least /22 and must not be greater than /12", and overlap neither the VPC nor a
/// route that is added (what-is-best-practices.html).
#[test]
fn a_client_cidr_is_so_large_and_overlaps_nothing() {
    for cidr in ["10.100.0.0/23", "10.0.0.0/11"] {
        let mistake = Remote { client_cidr: cidr, ..Remote::USUAL }.mistake();
        assert!(mistake.contains("a client CIDR is /22 to /12"), "{mistake}");
    }
    for cidr in ["10.100.0.0/22", "172.16.0.0/12"] {
        assert!(Remote { client_cidr: cidr, ..Remote::USUAL }.parse().is_ok(), "{cidr}");
    }
    let vpc = Remote { client_cidr: "10.0.8.0/22", ..Remote::USUAL }.mistake();
    assert!(vpc.contains("overlaps 10.0.0.0/16, the VPC's own"), "{vpc}");
    let route = Remote { routes: ["\"10.100.1.0/24\"", ""], ..Remote::USUAL }.mistake();
    assert!(route.contains("overlaps the client CIDR"), "{route}");
}

/// "You cannot associate multiple subnets from the same Availability Zone" (what-is-best-practices.html), and a subnet has "at least a /27
/// bitmask" (cvpn-working-target.html).
#[test]
fn associations_are_in_zones_of_their_own() {
    let zone = Remote { subnets: [("10.0.1.0/24", "a"), ("10.0.2.0/24", "a")], ..Remote::USUAL }.mistake();
    assert!(zone.contains("one association in each"), "{zone}");
    let small = Remote { subnets: [("10.0.1.0/27", "a"), ("10.0.2.0/28", "b")], ..Remote::USUAL }.mistake();
    assert!(small.contains("/27 or wider"), "{small}");
}

/// "The source IP address is translated to the Client VPN endpoint's IP address" (what-is-best-practices.html): who lets in the
/// interface lets in the clients, and who lets in the client CIDR lets in nobody.
#[test]
fn clients_come_in_the_name_of_the_association() {
    let by = |sources| round_trip(&Remote { sources, ..Remote::USUAL }.report(), "app").received;
    assert_eq!([by("10.0.1.20/32"), by("0.0.0.0/0")], [2200, 2200]);
    assert_eq!([by("10.100.0.0/22"), by("192.0.2.77/32")], [0, 0]);
}

/// With split tunnel the routes of the endpoint's table go to the client and nothing else (cvpn-working-routes.html); without it everything
/// goes through the tunnel, and needs a route there.
#[test]
fn a_full_tunnel_takes_everything() {
    let split = Remote { endpoint: SPLIT, ..Remote::USUAL }.report();
    assert_eq!((round_trip(&split, "app").received, round_trip(&split, "web").received), (2200, 2200));
    let full = Remote::USUAL.report();
    assert_eq!((round_trip(&full, "app").received, round_trip(&full, "web").received), (2200, 0));
    assert_eq!(dropped(&full, "client_vpn_no_route"), 2200);
    // A route to everywhere leads into the VPC, which has no way out.
    let routed = Remote { routes: ["\"0.0.0.0/0\"", "\"0.0.0.0/0\""], ..Remote::USUAL }.report();
    assert_eq!((dropped(&routed, "client_vpn_no_route"), dropped(&routed, "vpc_no_route")), (0, 2200));
}

/// "The default behavior is to deny access" (cvpn-working-rules.html), for the VPC's own block, too, whose route is always there.
#[test]
fn without_a_rule_nobody_goes_anywhere() {
    let endpoint = r#"authentication: ["directory"], users: { "ana": () }"#;
    let report = Remote { endpoint, ..Remote::USUAL }.report();
    assert_eq!((round_trip(&report, "app").received, dropped(&report, "client_vpn_not_authorized")), (0, 2200));
}

/// "Each associated subnet should have an identical set of routes" (cvpn-working-routes.html): a route at one alone is gone with its
/// zone.
#[test]
fn each_association_has_routes_of_its_own() {
    let faults = r#""zone": (at: "20s", what: GroupFailure(group: "az:a"))"#;
    let endpoint = r#"authentication: ["directory"], users: { "ana": () }, dead_after: "20s",
        authorization_rules: { "all": (network: "0.0.0.0/0") }"#;
    let remote = Remote { endpoint, routes: ["\"203.0.113.0/24\"", ""], faults, ..Remote::USUAL };
    let report = remote.report();
    let before = dropped(&report, "vpc_no_route");
    assert!((195..=205).contains(&before), "10 s of it: the first has the route, and the VPC not: {before}");
    assert!(dropped(&report, "client_vpn_no_route") > 1500, "the second has not");
    let outage =
        report.outages.iter().find(|it| it.probe == "app" && it.direction == "round_trip").expect("there is one");
    let dark = outage.duration_s.0.as_nanos() as f64 / 1e9;
    assert!((19.9..20.3).contains(&dark), "as long as the client's patience: {dark}");
}
