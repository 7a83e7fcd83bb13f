//! Worlds to diagnose: a base that works, drawn anew for each number, with one thing wrong in it, or none.

use core::fmt::Write as _;

use sim_core::rng::{Purpose, Rng};
use sim_scenarios::diagnose::Class;
use sim_scenarios::{NoSecrets, Scenario};

/// A world, before it is written down.
struct World {
    seed: u64,
    duration: u64,
    transit: bool,
    dynamic: bool,
    ike: &'static str,
    nat: bool,
    preferred: Option<&'static str>,
    /// Delays of the uplink and of both paths, in milliseconds, and the loss of path a in tenths of a percent.
    delays: [u64; 3],
    loss: u64,
    /// Settings of the device, of the connection, and of each tunnel, with those of its customer's end.
    device: String,
    connection: String,
    tunnels: [(String, String); 2],
    site_at_aws: String,
    advertise: &'static str,
    static_routes: String,
    route_table: String,
    probes: String,
    fragments: &'static str,
}

/// A case: what is wrong, `None` for nothing, and its number.
pub fn draw(wrong: Option<Class>, number: u64) -> Scenario {
    let code = wrong.map_or("healthy", Class::code);
    let mut dice = Rng::stream(number, code, Purpose::Test);
    let mut world = base(&mut dice, number);
    match wrong {
        None => harmless(&mut world, &mut dice),
        Some(class) => spoil(&mut world, class, &mut dice),
    }
    let text = world.text(code);
    Scenario::parse(&format!("{code}-{number}.ron"), &text, &NoSecrets)
        .unwrap_or_else(|mistakes| panic!("{code} {number}:\n{mistakes}\n{text}"))
}

fn one<T: Copy>(of: &[T], dice: &mut Rng) -> T {
    of[dice.below(of.len() as u64) as usize]
}

/// The first tunnel, the second, or both.
fn some_tunnels(dice: &mut Rng) -> &'static [usize] {
    one(&[&[0][..], &[1], &[0, 1]], dice)
}

fn base(dice: &mut Rng, seed: u64) -> World {
    let (transit, dynamic) = (dice.below(2) == 0, dice.below(2) == 0);
    let mut world = World {
        seed: seed + 1,
        duration: 120,
        transit,
        dynamic,
        ike: one(&["ikev1", "ikev2", "ikev2"], dice),
        nat: dice.below(4) == 0,
        preferred: one(&[None, Some("vpn.a"), Some("vpn.b")], dice),
        delays: [1 + dice.below(10), 5 + dice.below(76), 5 + dice.below(76)],
        loss: if dice.below(3) == 0 { 1 + dice.below(4) } else { 0 },
        device: String::new(),
        connection: String::new(),
        tunnels: Default::default(),
        site_at_aws: "10.1.0.0/24".into(),
        advertise: r#"["10.1.0.0/24"]"#,
        static_routes: String::new(),
        route_table: if transit {
            r#"(routes: [(destination: "10.1.0.0/24", target: "gateway")])"#.into()
        } else {
            r#"(propagation: ["gateway"])"#.into()
        },
        probes: String::new(),
        // IKEv1 writes out every combination of its proposals, which is longer than a packet.
        fragments: "reassemble",
    };
    if !dynamic {
        world.static_routes = r#"static_routes: [
                (prefix: "10.0.0.0/16", via: "vpn.a", distance: 10),
                (prefix: "10.0.0.0/16", via: "vpn.b", distance: 20),
            ],"#
        .into();
    }
    world.tunnels.iter_mut().for_each(|(_, customer)| customer.push_str("mss_clamping: \"auto\", "));
    // What the ends have in common is drawn, too; with it both ends have lists that are not the same.
    if dice.below(2) == 0 {
        let group = one(&[14, 19, 20], dice);
        for (aws, customer) in &mut world.tunnels {
            let _ = write!(aws, "phase1: (dh_groups: [2, {group}]), ");
            let _ = write!(customer, "phase1: (dh_groups: [{group}, 15]), ");
        }
    }
    world
}

/// Things that look suspicious and do no harm.
fn harmless(world: &mut World, dice: &mut Rng) {
    match dice.below(6) {
        0 => firewall(world, ", state_match: \"any\""),
        1 if world.dynamic => {
            for (aws, customer) in &mut world.tunnels {
                aws.push_str("md5_key: \"same-key\", ");
                customer.push_str("access_list: { \"snmp\": (protocol: \"udp\", port: 161) }, ");
            }
        }
        2 => {
            let every = 12_000 + dice.below(8_000);
            load(world, 200, every);
        }
        3 => world.tunnels[0].1.push_str("replay_window: 128, dpd_timeout: \"35s\", "),
        _ => {}
    }
}

/// A stateful firewall that spreads flows over both tunnels.
fn firewall(world: &mut World, more: &str) {
    world.device = format!("ecmp: (flow: \"five_tuple\"), firewall: (profile: \"generic\", inside: [\"lan\"]{more}),");
    if world.dynamic {
        world.device.push_str(" policies: { \"level\": (rules: [(set: (med: 0))]) },");
        world.tunnels.iter_mut().for_each(|(_, customer)| customer.push_str("import_policy: \"level\", "));
    } else {
        world.static_routes = world.static_routes.replace("distance: 20", "distance: 10");
    }
}

fn load(world: &mut World, size: u64, every_ns: u64) {
    let _ = write!(
        world.probes,
        "\"load\": UdpOneWay(from: \"office\", to: \"app\", size: \"{size}B\", every: \"{every_ns}ns\", start: \"90s\", stop: \"90040ms\"),"
    );
}

fn spoil(world: &mut World, class: Class, dice: &mut Rng) {
    match class {
        Class::Psk => {
            for tunnel in some_tunnels(dice) {
                let _ = write!(world.tunnels[*tunnel].1, "pre_shared_key: \"mistyped_{}\", ", 100 + dice.below(900));
            }
        }
        Class::IkeParameters => {
            let (phase, at_aws, at_device) = one(
                &[
                    ("phase1", "encryption: [\"AES256\"]", "encryption: [\"AES128\"]"),
                    ("phase1", "integrity: [\"SHA2-256\"]", "integrity: [\"SHA1\"]"),
                    ("phase1", "dh_groups: [14]", "dh_groups: [2]"),
                    ("phase1", "dh_groups: [19, 20]", "dh_groups: [14, 2]"),
                    ("phase2", "encryption: [\"AES256\"]", "encryption: [\"AES128\"]"),
                    // With an AEAD there is no integrity algorithm to disagree about.
                    (
                        "phase2",
                        "encryption: [\"AES128\"], integrity: [\"SHA2-256\"]",
                        "encryption: [\"AES128\"], integrity: [\"SHA1\"]",
                    ),
                    ("phase2", "encryption: [\"AES256-GCM-16\"]", "encryption: [\"AES128\", \"AES256\"]"),
                ],
                dice,
            );
            for tunnel in some_tunnels(dice) {
                set_phase(&mut world.tunnels[*tunnel], phase, at_aws, at_device);
            }
        }
        Class::Pfs => {
            let (at_aws, at_device) = one(&[("14", "2"), ("19", "14"), ("20, 21", "5"), ("2", "14, 15")], dice);
            for tunnel in some_tunnels(dice) {
                let ends = &mut world.tunnels[*tunnel];
                let _ = write!(ends.0, "phase2: (dh_groups: [{at_aws}], lifetime: \"900s\"), rekey_margin: \"60s\", ");
                let _ = write!(ends.1, "phase2: (dh_groups: [{at_device}]), ");
            }
            world.duration = 1_200;
        }
        Class::NoRoute => no_route(world, dice),
        Class::OneTunnel => {
            let tunnel = dice.below(2) as usize;
            world.tunnels[tunnel].1.push_str("startup_action: \"add\", ");
        }
        Class::Mtu => {
            for (_, customer) in &mut world.tunnels {
                *customer = customer.replace("mss_clamping: \"auto\"", "mss_clamping: \"off\"");
            }
        }
        Class::Fragmentation => {
            (world.nat, world.fragments, world.ike) = (true, "drop", "ikev2");
            for (_, customer) in &mut world.tunnels {
                customer.push_str("fragmentation: \"after_encryption\", ");
            }
        }
        Class::Limit => match dice.below(2) {
            // Packets: 140,000 a second are one in 7,143 ns. Bits: 1.25 Gbit/s of 1,400 octets are one in 8,960 ns.
            0 => load(world, 60 + dice.below(100), 3_500 + dice.below(2_000)),
            _ => load(world, 1_400, 5_000 + dice.below(1_900)),
        },
        Class::BgpAsn => {
            make_dynamic(world);
            let _ = write!(world.connection, "customer_asn: {},", 65_100 + dice.below(100));
        }
        Class::BgpPort => {
            make_dynamic(world);
            let rule = one(
                &[
                    "protocol: \"tcp\", port: 179",
                    "protocol: \"tcp\"",
                    "protocol: \"tcp\", port: 179, direction: \"inbound\"",
                ],
                dice,
            );
            for tunnel in some_tunnels(dice) {
                let _ = write!(world.tunnels[*tunnel].1, "access_list: {{ \"hardening\": ({rule}) }}, ");
            }
        }
        Class::BgpMd5 => {
            make_dynamic(world);
            let at_aws = dice.below(2) == 0;
            for tunnel in some_tunnels(dice) {
                if at_aws {
                    world.tunnels[*tunnel].0.push_str("md5_key: \"correct-horse\", ");
                }
                world.tunnels[*tunnel].1.push_str("md5_key: \"corect-horse\", ");
            }
        }
        Class::AsymmetricEcmp => firewall(world, ""),
        Class::Rejected | Class::Path | Class::Unexplained => unreachable!("no row of the table"),
    }
}

/// Sets of a phase; what the base has drawn of phase 1 goes.
fn set_phase((aws, customer): &mut (String, String), phase: &str, at_aws: &str, at_device: &str) {
    for (text, setting) in [(aws, at_aws), (customer, at_device)] {
        if let (Some(start), "phase1") = (text.find("phase1: ("), phase) {
            let end = start + text[start..].find("), ").map_or(0, |end| end + 3);
            text.replace_range(start..end, "");
        }
        let _ = write!(text, "{phase}: ({setting}), ");
    }
}

fn make_dynamic(world: &mut World) {
    world.dynamic = true;
    world.static_routes.clear();
}

fn no_route(world: &mut World, dice: &mut Rng) {
    match dice.below(3) {
        0 if world.transit => world.route_table = "()".into(),
        0 => world.route_table = "(propagation: [])".into(),
        1 if !world.dynamic => world.static_routes.clear(),
        _ if world.dynamic => world.advertise = "[]",
        _ => world.site_at_aws = one(&["10.2.0.0/24", "10.1.1.0/24"], dice).into(),
    }
}

impl World {
    fn text(&self, code: &str) -> String {
        let Self { seed, duration, ike, device, connection, advertise, static_routes, route_table, probes, .. } = self;
        let preferred = self.preferred.map_or(String::new(), |tunnel| format!(", preferred_tunnel: \"{tunnel}\""));
        let gateway = if self.transit {
            format!("TransitGateway(asn: 64512, vpcs: [\"vpc\"]{preferred})")
        } else {
            format!("VirtualPrivateGateway(asn: 64512, vpc: \"vpc\"{preferred})")
        };
        let (nat, access, wan) = match self.nat {
            true => (
                format!(
                    "\"home\": Nat(inside: \"203.0.113.9/30\", outside: \"203.0.113.5\", fragments: \"{}\"),",
                    self.fragments
                ),
                "\"access\": Link(between: (\"cgw.wan\", \"home.inside\"), rate: \"10Gbps\"),\n        \"uplink\": Link(between: (\"home.outside\", \"isp\")",
                "203.0.113.10/30",
            ),
            false => (String::new(), "\"uplink\": Link(between: (\"cgw.wan\", \"isp\")", "203.0.113.10/24"),
        };
        let [uplink, a, b] = self.delays;
        let loss = if self.loss > 0 { format!(", loss: \"0.{}%\"", self.loss) } else { String::new() };
        let routing = match self.dynamic {
            true => "Bgp()".into(),
            false => format!("Static(prefixes: [\"{}\"])", self.site_at_aws),
        };
        let advertise = if self.dynamic { format!("advertise: {advertise},") } else { String::new() };
        let tunnel = |place: usize| {
            let (aws, customer) = &self.tunnels[place];
            let number = 10 * (place + 1);
            format!(
                "(outside_address: \"198.51.100.{number}\", inside_cidr: \"169.254.{number}.0/30\", {aws}customer: (ike_versions: [\"{ike}\"], {customer}))"
            )
        };
        let (first, second) = (tunnel(0), tunnel(1));
        // A firewall lets nothing begin from outside. Without one the instance begins, so that it sends as large as it likes.
        let (back, ends) = if device.contains("firewall") {
            ("", "from: \"office\", to: \"app\"")
        } else {
            ("\"back\": IcmpEcho(from: \"app\", to: \"office\", every: \"1s\"),", "from: \"app\", to: \"office\"")
        };
        format!(
            r#"(
    version: 1,
    name: "{code}",
    question: "What is wrong?",
    duration: "{duration}s",
    seed: {seed},
    nodes: {{
        "office": Host(address: "10.1.0.10/24"),
        "cgw": CustomerGateway(
            asn: 65010,
            interfaces: {{ "lan": (address: "10.1.0.1/24"), "wan": (address: "{wan}") }},
            {advertise} {static_routes} {device}
        ),
        {nat}
        "isp": Router(address: "203.0.113.1"),
        "gateway": {gateway},
        "vpc": Vpc(
            cidr: "10.0.0.0/16",
            subnets: {{ "app": (cidr: "10.0.1.0/24", availability_zone: "az1") }},
            route_tables: {{ "main": {route_table} }},
        ),
        "app": Instance(subnet: "vpc.app", address: "10.0.1.10"),
    }},
    links: {{
        "lan": Link(between: ("office", "cgw.lan"), rate: "10Gbps"),
        {access}, rate: "10Gbps", delay: "{uplink}ms"),
        "path-a": Path(between: ("isp", "vpn.a"), delay: "{a}ms"{loss}),
        "path-b": Path(between: ("isp", "vpn.b"), delay: "{b}ms"),
    }},
    connections: {{
        "vpn": Vpn(
            customer_gateway: "cgw", gateway: "gateway", routing: {routing}, {connection}
            tunnels: {{ "a": {first}, "b": {second} }},
        ),
    }},
    probes: {{
        "ping": IcmpEcho(from: "office", to: "app", every: "1s"),
        {back}
        "transfer": TcpEcho({ends}, every: "5s", size: "20kB", stop: "100s"),
        "big": UdpOneWay(from: "office", to: "app", every: "2s", size: "1500B"),
        {probes}
    }},
    applications: {{
        "web": TcpFlows(from: "office", to: "app", flows: 40, spacing: "50ms", questions: 3, every: "5s"),
    }},
)
"#
        )
    }
}
