//! Stateful firewalls in front of tunnels: which flows they drop, how many, and what cures it.
//!
//! "3.6" is the fact that a virtual private gateway uses one tunnel across all its connections, and that a transit gateway
//! spreads flows over equal BGP tunnels (Site-to-Site VPN User Guide, tunnel priority; Transit Gateway guide, ECMP). Claims are
//! what engineers say of such networks: 15 a static connection with both tunnels in use, 16 one of them in use, 20 prepending,
//! 21 return by the best path, 23 what ECMP needs, 24 a flapping tunnel, 25 loss at a firewall, 26 its cures.

use std::fmt::Write as _;

use sim_scenarios::report::model::{Application, Ecmp, Report};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

/// A site with a firewall in front of some tunnels to one gateway.
struct Site {
    tunnels: usize,
    transit: bool,
    ecmp: bool,
    /// Settings of the firewall.
    firewall: &'static str,
    routing: &'static str,
    seed: u64,
    duration: u64,
    applications: String,
    faults: &'static str,
    /// Settings of the customer's end of the first tunnel, and of all others.
    ends: [&'static str; 2],
}

const BGP: &str = "Bgp()";

impl Site {
    fn new(tunnels: usize, transit: bool, firewall: &'static str) -> Self {
        Self {
            tunnels,
            transit,
            ecmp: true,
            firewall,
            routing: BGP,
            seed: 1,
            duration: 240,
            applications: flows(600, 0),
            faults: "",
            ends: ["", ""],
        }
    }

    /// Two tunnels a connection.
    fn name(number: usize) -> String {
        format!("vpn{}.{}", number / 2, ["a", "b"][number % 2])
    }

    fn text(&self) -> String {
        let gateway = if self.transit { "tgw" } else { "vgw" };
        let (mut connections, mut paths, mut statics) = (String::new(), String::new(), String::new());
        for connection in 0..self.tunnels.div_ceil(2) {
            let mut tunnels = String::new();
            for number in (connection * 2..self.tunnels).take(2) {
                let end = self.ends[usize::from(number > 0)];
                let (name, side) = (Self::name(number), ["a", "b"][number % 2]);
                let _ = write!(
                    tunnels,
                    r#""{side}": (outside_address: "198.51.100.{0}", inside_cidr: "169.254.{0}.0/30", customer: ({end})), "#,
                    10 + number
                );
                let _ = writeln!(paths, r#""path{number}": Path(between: ("isp", "{name}"), delay: "10ms"),"#);
                let _ = writeln!(statics, r#"(prefix: "10.0.0.0/16", via: "{name}"),"#);
            }
            let _ = writeln!(
                connections,
                r#""vpn{connection}": Vpn(customer_gateway: "fw", gateway: "{gateway}", routing: {}, tunnels: {{ {tunnels} }}),"#,
                self.routing
            );
        }
        let statics = if self.routing == BGP { "" } else { &statics };
        let aws = if self.transit {
            r#""tgw": TransitGateway(vpcs: ["vpc"], preferred_tunnel: "vpn0.a"),"#
        } else {
            r#""vgw": VirtualPrivateGateway(vpc: "vpc", preferred_tunnel: "vpn0.a"),"#
        };
        let table = if self.transit {
            r#"route_tables: { "main": (routes: [(destination: "10.1.0.0/16", target: "tgw")]) },"#
        } else {
            ""
        };
        let ecmp = if self.ecmp { "ecmp: ()," } else { "" };
        let advertise = if self.routing == BGP { r#"advertise: ["10.1.0.0/16"],"# } else { "" };
        let Self { firewall, seed, duration, applications, faults, .. } = self;
        format!(
            r#"(
    version: 1, name: "law", question: "?", duration: "{duration}s", seed: {seed},
    nodes: {{
        "office": Host(address: "10.1.0.10/24"),
        "fw": CustomerGateway(
            interfaces: {{ "lan": (address: "10.1.0.1/24"), "wan": (address: "203.0.113.10/24") }},
            {advertise} static_routes: [{statics}], {ecmp}
            firewall: (inside: ["lan"], {firewall}),
        ),
        "isp": Router(address: "203.0.113.1"),
        {aws}
        "vpc": Vpc(cidr: "10.0.0.0/16", subnets: {{ "app": (cidr: "10.0.1.0/24", availability_zone: "az1") }}, {table}),
        "app": Instance(subnet: "vpc.app", address: "10.0.1.10"),
    }},
    links: {{
        "lan": Link(between: ("office", "fw.lan")),
        "uplink": Link(between: ("fw.wan", "isp"), delay: "2ms"),
        {paths}
    }},
    connections: {{ {connections} }},
    applications: {{ {applications} }},
    faults: {{ {faults} }},
    // Two MEDs would make one path the better one.
    assume: (preferred_med: 100, other_med: 100),
)"#
        )
    }

    fn run(&self) -> Report {
        let text = self.text();
        let scenario = Scenario::parse("law.ron", &text, &NoSecrets).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
        Simulation::new(&scenario).finish().report
    }
}

/// So many TCP flows that ask once and so many calls, early enough for those that fail to give up.
fn flows(tcp: u32, udp: u32) -> String {
    let mut text = String::new();
    if tcp > 0 {
        let _ = write!(
            text,
            r#""web": TcpFlows(from: "office", to: "app", flows: {tcp}, questions: 1, spacing: "20ms", start: "20s"),"#
        );
    }
    if udp > 0 {
        let _ = write!(
            text,
            r#""calls": UdpFlows(from: "office", to: "app", flows: {udp}, every: "5s", spacing: "20ms", start: "20s", stop: "60s"),"#
        );
    }
    text
}

fn total(report: &Report, what: fn(&Ecmp) -> u64) -> u64 {
    report.ecmp.iter().map(what).sum()
}

fn share(report: &Report, what: fn(&Ecmp) -> u64) -> f64 {
    total(report, what) as f64 / total(report, |it| it.flows) as f64
}

fn application<'r>(report: &'r Report, name: &str) -> &'r Application {
    report.applications.iter().find(|it| it.name == name).expect("it is in the report")
}

fn failed(it: &Application) -> f64 {
    (it.stalled + it.reset + it.timed_out) as f64 / it.flows as f64
}

/// Whether a share found among so many lies where a binomial share of that chance does in 999 of 1,000 cases: 3.29 standard
/// deviations.
fn fits(found: f64, chance: f64, among: u64) -> bool {
    (found - chance).abs() <= 3.29 * (chance * (1.0 - chance) / among as f64).sqrt()
}

const STRICT: &str = r#"state_match: "interface""#;
const FLOATING: &str = r#"state_match: "any""#;

/// Claim 25, with its number. The firewall sends a flow out by one of n tunnels, as its hash says, and remembers by which. AWS
/// sends the answer by a tunnel that does not depend on that one: a virtual private gateway by the same for all flows, a
/// transit gateway by its own hash, whose salt is another. Either way the answer comes by the flow's own tunnel with a chance
/// of 1/n, and is dropped otherwise. So the share of flows that fail is 1 - 1/n: none of one tunnel, 1/2, 2/3, 3/4. Over 600
/// flows it lies within 3.29 standard deviations of that in 999 of 1,000 runs.
#[test]
fn strict_state_fails_all_flows_but_one_in_n() {
    for transit in [false, true] {
        for n in 1..=4 {
            let report = Site::new(n, transit, STRICT).run();
            let (found, expected) = (share(&report, |it| it.failed_flows), 1.0 - 1.0 / n as f64);
            // A host may take a port again that it has used, and then two of its flows are one to all others.
            let twice = 600 - total(&report, |it| it.flows);
            assert!(twice <= 3, "{twice} flows with the five-tuple of another");
            assert!(fits(found, expected, 600), "{n} tunnels, transit {transit}: {found} and not {expected}");
            // Who fails came back another way, and the application saw just that.
            let failed = total(&report, |it| it.failed_flows);
            assert_eq!(failed, total(&report, |it| it.asymmetric_flows));
            let web = application(&report, "web");
            assert!(web.timed_out.abs_diff(failed) <= twice, "{} and {failed}", web.timed_out);
            assert_eq!((web.connected, web.done), (web.done, 600 - web.timed_out), "a flow that fails never connects");
            let reasons = report.ecmp.iter().filter_map(|it| it.reason.as_deref());
            assert!(reasons.eq(std::iter::repeat_n(
                "firewall_other_zone",
                report.ecmp.len().min(match (n, transit) {
                    (1, _) => 0,
                    // By the tunnel through which AWS answers nothing is lost.
                    (n, false) => n - 1,
                    (n, true) => n,
                })
            )));
        }
    }
}

/// The same over width, firewall profile and traffic: a profile whose state is bound to interfaces, or to zones that no
/// scenario has drawn together, loses 1 - 1/n of both TCP and UDP flows, one whose state floats none. Zones that hold all
/// tunnels make the second of the first.
#[test]
fn profiles_differ_in_what_state_is_bound_to() {
    let profiles = [
        (r#"profile: "generic""#, true),
        (r#"profile: "cisco_asa""#, true),
        (r#"profile: "pfsense""#, true),
        (r#"profile: "palo_alto""#, true),
        (r#"profile: "palo_alto", zones: { "aws": (members: ["vpn0.a", "vpn0.b", "vpn1.a"]) }"#, false),
        (r#"profile: "fortigate""#, false),
        (r#"profile: "netfilter""#, false),
    ];
    for (firewall, is_bound) in profiles {
        let report = Site { applications: flows(300, 300), ..Site::new(3, true, firewall) }.run();
        let expected = if is_bound { 2.0 / 3.0 } else { 0.0 };
        for name in ["web", "calls"] {
            let found = failed(application(&report, name));
            assert!(fits(found, expected, 300), "{firewall}: {name} {found} and not {expected}");
        }
        let asymmetric = share(&report, |it| it.asymmetric_flows);
        assert!(fits(asymmetric, 2.0 / 3.0, 600), "the ways are the same: {asymmetric}");
    }
}

/// 3.6 and claims 21 and 23: a virtual private gateway answers every flow through one tunnel of all its connections, whichever the
/// request came by, and never balances.
#[test]
fn a_virtual_private_gateway_answers_through_one_tunnel() {
    let report = Site::new(4, false, FLOATING).run();
    assert_eq!(report.ecmp.iter().map(|it| it.flows > 0).collect::<Vec<_>>(), [true; 4], "out by all four");
    for member in &report.ecmp {
        let asymmetric = if member.member == "vpn0.a" { 0 } else { member.flows };
        assert_eq!((member.asymmetric_flows, member.failed_flows), (asymmetric, 0), "{}", member.member);
    }
}

/// Claim 23: static routes on a transit gateway are never balanced, so it answers as a virtual private gateway does.
#[test]
fn static_routes_are_not_balanced_by_aws() {
    let routing = r#"Static(prefixes: ["10.1.0.0/16"])"#;
    let report = Site { routing, ..Site::new(2, true, FLOATING) }.run();
    let back_another_way: Vec<(u64, u64)> = report.ecmp.iter().map(|it| (it.flows, it.asymmetric_flows)).collect();
    assert_eq!(back_another_way.iter().filter(|(flows, asymmetric)| flows == asymmetric).count(), 1);
    assert_eq!(back_another_way.iter().filter(|(_, asymmetric)| *asymmetric == 0).count(), 1);
}

/// Claims 15 and 16: on a static connection with both tunnels in use all flows of one tunnel fail at a strict firewall and none of
/// the other; with one in use, the one through which AWS answers, none fails, and if it is the other one, all do: failover is the
/// customer gateway's own business, and so is agreement.
#[test]
fn static_tunnels_in_use() {
    let routing = r#"Static(prefixes: ["10.1.0.0/16"])"#;
    let both = Site { routing, ..Site::new(2, false, STRICT) }.run();
    let failed: Vec<(&str, bool, bool)> =
        both.ecmp.iter().map(|it| (&*it.member, it.failed_flows == 0, it.failed_flows == it.flows)).collect();
    assert_eq!(failed, [("vpn0.a", true, false), ("vpn0.b", false, true)]);
    // Without ECMP the first of two equal routes is used, which is a's.
    let one = Site { routing, ecmp: false, ..Site::new(2, false, STRICT) };
    assert_eq!(share(&one.run(), |it| it.failed_flows), 0.0);
}

/// Claim 26, each cure measured against the half that fails without: no ECMP where both ends agree, prepending three times with
/// local preference, and a transit gateway, which is none. ECMP off alone is a coin that falls for all flows at once.
#[test]
fn cures() {
    let failed = |site: Site| share(&site.run(), |it| it.failed_flows);
    let agree = ["local_preference: 200", "prepend: 3"];
    for transit in [false, true] {
        let none = failed(Site::new(2, transit, STRICT));
        assert!(fits(none, 0.5, 600), "without a cure: {none}");
        assert_eq!(failed(Site { ends: agree, ..Site::new(2, transit, STRICT) }), 0.0, "prepending");
        assert_eq!(failed(Site::new(2, transit, FLOATING)), 0.0, "state that floats");
        let bypass = r#"state_match: "interface", asymmetric_routing: true"#;
        let report = Site::new(2, transit, bypass).run();
        assert_eq!(application(&report, "web").done, 600, "asymmetric routing allowed");
    }
    let disagree = ["prepend: 3", "local_preference: 50"];
    assert_eq!(failed(Site { ends: disagree, ..Site::new(2, false, STRICT) }), 1.0, "one tunnel each, not the same");
}

/// Claim 24: flows that begin while a tunnel is out of the set all take the other one; before and after, both are used.
#[test]
fn a_tunnel_that_goes_leaves_the_set() {
    let faults = r#""down": (at: "60s", heal: "120s", what: BgpShutdown(tunnel: "vpn0.b", by: "aws")),"#;
    let begin = |at: u32| {
        let web = r#"TcpFlows(from: "office", to: "app", flows: 200, questions: 1, spacing: "20ms""#;
        format!(r#""web": {web}, start: "{at}s"),"#)
    };
    let site = |at| Site { faults, applications: begin(at), ..Site::new(2, true, FLOATING) };
    let by_b = |at: u32| {
        let report = site(at).run();
        assert_eq!(application(&report, "web").done, 200);
        report.ecmp.iter().find(|it| it.member == "vpn0.b").map_or(0, |it| it.flows)
    };
    assert_eq!(by_b(70), 0);
    assert!(by_b(30) > 60 && by_b(200) > 60, "before and after");
}

/// Claim 20: prepending three times on the standby makes AWS answer by the other tunnel and fail over by itself, without a
/// change in a VPC's route table. What a firewall makes of the failover is another matter: flows live on where state floats,
/// and stall where it is bound to the tunnel that is gone.
#[test]
fn failover_moves_flows_that_state_may_hold_back() {
    let faults = r#""down": (at: "60s", what: BgpShutdown(tunnel: "vpn0.a", by: "customer")),"#;
    let applications =
        r#""web": TcpFlows(from: "office", to: "app", flows: 50, every: "1s", spacing: "20ms", start: "20s"),"#;
    let ends = ["local_preference: 200", "prepend: 3"];
    let site = |firewall| Site { faults, ends, applications: applications.into(), ..Site::new(2, false, firewall) };
    let floating = site(FLOATING).run();
    let web = application(&floating, "web");
    assert_eq!((web.alive, web.stalled), (50, 0));
    let vpc_routes = |report: &Report| report.convergence.iter().filter(|it| it.node == "vpc").count();
    assert_eq!(vpc_routes(&floating), 0, "no VPC route table changed");
    let strict = site(STRICT).run();
    let web = application(&strict, "web");
    assert_eq!((web.alive, web.stalled), (0, 50));
}

/// A plain router with a firewall between two hosts, whose power goes for a second in the midst of 20 connections.
fn forgetful(firewall: &str) -> Application {
    let text = format!(
        r#"(
    version: 1, name: "law", question: "?", duration: "1200s",
    nodes: {{
        "a": Host(address: "10.1.0.10/24", gateway: "10.1.0.1"),
        "fw": BgpRouter(
            asn: 65000,
            interfaces: {{ "in": (address: "10.1.0.1/24"), "out": (address: "10.2.0.1/24") }},
            firewall: (inside: ["in"], {firewall}),
        ),
        "b": Host(address: "10.2.0.10/24", gateway: "10.2.0.1"),
    }},
    links: {{ "one": Link(between: ("a", "fw.in")), "two": Link(between: ("fw.out", "b")) }},
    applications: {{ "web": TcpFlows(from: "a", to: "b", flows: 20, every: "2s", start: "1s") }},
    faults: {{ "reboot": (at: "60s", heal: "61s", what: PowerLoss(node: "fw")) }},
)"#
    );
    let scenario = Scenario::parse("law.ron", &text, &NoSecrets).unwrap_or_else(|wrong| panic!("{wrong}"));
    application(&Simulation::new(&scenario).finish().report, "web").clone()
}

/// A firewall that has forgotten its flows: it takes them up from their midst, and they survive; or it drops them in silence,
/// and they time out when Linux gives up (15 retries, 924.6 s); or it resets who sends, and they are reset at once.
#[test]
fn flows_survive_stall_or_are_reset() {
    let survives = forgetful("loose_pickup: true");
    assert_eq!((survives.alive, survives.reset, survives.timed_out), (20, 0, 0));
    let silent = forgetful("loose_pickup: false");
    assert_eq!((silent.alive, silent.reset, silent.timed_out), (0, 0, 20));
    let reset = forgetful(r#"loose_pickup: false, on_miss: "reset""#);
    assert_eq!((reset.alive, reset.reset, reset.timed_out), (0, 20, 0));
}

/// An idle flow is forgotten after its timeout: flows that ask every 100 s live with 3,600 s and not with 60 s.
#[test]
fn idle_flows_are_forgotten() {
    let run = |timeout: &str| {
        let timeouts = format!(r#"timeouts: (tcp_established: "{timeout}")"#);
        let applications = r#""idle": TcpFlows(from: "office", to: "app", flows: 10, every: "100s", start: "20s"),"#;
        let mut site = Site::new(1, false, STRICT);
        (site.applications, site.duration) = (applications.into(), 400);
        site.firewall = Box::leak(timeouts.into_boxed_str());
        application(&site.run(), "idle").clone()
    };
    assert_eq!(run("3600s").alive, 10);
    assert_eq!(run("60s").stalled, 10);
}
