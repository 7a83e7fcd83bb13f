//! Scenarios to start from: a site, a gateway of AWS, a failure, and what is expected of it.
//!
//! The drawing is made from the choices. What is expected is made from its plan: which timers notice the failure at each end, at the
//! earliest and at the latest, by the arithmetic that stands with each. Nothing is run for it.

mod bounds;

use core::fmt;

use askama::Template;

use crate::{Diagnostics, NoSecrets, Scenario, firewall_profile, profile};

/// AWS's gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gateway {
    /// A virtual private gateway.
    Vgw,
    /// A transit gateway.
    Tgw,
}

/// How AWS learns the site's networks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Routing {
    /// By BGP.
    Bgp,
    /// By hand.
    Static,
}

/// What fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The path of the tunnel in use goes silent.
    Path,
    /// AWS's endpoint of the tunnel in use loses power.
    Endpoint,
    /// The customer gateway in use loses power.
    CustomerGateway,
    /// The line of Direct Connect goes silent.
    Line,
}

/// What a scenario to start from shall have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Starter {
    /// Its name.
    pub name: String,
    /// AWS's gateway.
    pub gateway: Gateway,
    /// How AWS learns the site's networks.
    pub routing: Routing,
    /// Tunnels of each connection in use: 1 or 2.
    pub tunnels: usize,
    /// Customer gateways, each with a connection of its own: 1 or 2.
    pub customer_gateways: usize,
    /// Whether there is Direct Connect beside the VPN.
    pub direct_connect: bool,
    /// The profile of a firewall on the customer gateways.
    pub firewall: Option<String>,
    /// Whether the customer gateways are behind NATs.
    pub nat: bool,
    /// What fails.
    pub failure: Failure,
    /// The profile of the customer gateways.
    pub profile: Option<String>,
}

impl Default for Starter {
    /// What AWS's own guide draws first: a virtual private gateway, BGP, both tunnels of one connection.
    fn default() -> Self {
        Self {
            name: "starter".into(),
            gateway: Gateway::Vgw,
            routing: Routing::Bgp,
            tunnels: 2,
            customer_gateways: 1,
            direct_connect: false,
            firewall: None,
            nat: false,
            failure: Failure::Path,
            profile: None,
        }
    }
}

/// Choices that do not go together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Why not.
    pub why: &'static str,
    /// What to choose instead.
    pub help: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl core::error::Error for Refused {}

impl Starter {
    /// Names of firewalls' profiles.
    pub fn firewalls() -> impl Iterator<Item = &'static str> {
        firewall_profile::ALL.iter().map(|profile| profile.name)
    }

    /// Names of customer gateways' profiles.
    pub fn profiles() -> impl Iterator<Item = &'static str> {
        profile::CUSTOMER.iter().map(|profile| profile.name)
    }

    /// The text of the scenario.
    ///
    /// # Errors
    /// If the choices do not go together.
    ///
    /// # Panics
    /// Never: every choice that is not refused makes a scenario, which a test holds for all of them.
    pub fn text(&self) -> Result<String, Refused> {
        self.judge()?;
        let mut drawing = Drawing::of(self);
        let plan = self.parse(&drawing.to_string()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let dark = bounds::dark(self, plan.plan());
        drawing.comment = comment(self, &dark);
        drawing.dark = Some((dark.least.to_string(), dark.most.to_string()));
        Ok(drawing.to_string() + "\n")
    }

    fn parse(&self, text: &str) -> Result<Scenario, Diagnostics> {
        Scenario::parse(&format!("{}.ron", self.name), text, &NoSecrets)
    }

    fn judge(&self) -> Result<(), Refused> {
        let refuse = |why, help| Err(Refused { why, help });
        if self.customer_gateways == 2 && self.routing == Routing::Static {
            return refuse(
                "two customer gateways with static routing: nothing tells the site's router which of them still reaches AWS",
                "use BGP, or one customer gateway",
            );
        }
        if self.failure == Failure::Line && !self.direct_connect {
            return refuse(
                "the line of Direct Connect cannot fail: there is none",
                "add Direct Connect, or let something else fail",
            );
        }
        Ok(())
    }
}

/// The drawing, as the template wants it.
#[derive(Template)]
#[template(path = "starter.ron", escape = "none")]
struct Drawing<'a> {
    comment: String,
    name: &'a str,
    question: String,
    two_gateways: bool,
    tgw: bool,
    is_static: bool,
    line: bool,
    nat: bool,
    line_asn: u32,
    profile: Option<&'a str>,
    firewall: Option<&'a str>,
    preferred: String,
    gateways: Vec<CustomerGateway>,
    what: String,
    control: String,
    dark: Option<(String, String)>,
}

/// A customer gateway with all that hangs on it.
struct CustomerGateway {
    number: usize,
    suffix: &'static str,
    name: String,
    asn: u32,
    lan: &'static str,
    core: &'static str,
    inside: &'static str,
    link: String,
    wan: String,
    nat: String,
    outside: &'static str,
    connection: String,
    line: bool,
    prepend: bool,
    zone: String,
    tunnels: Vec<Tunnel>,
}

struct Tunnel {
    name: &'static str,
    path: String,
    outside: String,
    inside: String,
    distance: u32,
}

impl<'a> Drawing<'a> {
    fn of(starter: &'a Starter) -> Self {
        let two = starter.customer_gateways == 2;
        let gateways: Vec<CustomerGateway> =
            (1..=starter.customer_gateways).map(|n| gateway(starter, n, two)).collect();
        let preferred = format!("{}.a", gateways[0].connection);
        let what = match starter.failure {
            Failure::Path => format!("Blackhole(link: \"{}\")", gateways[0].tunnels[0].path),
            Failure::Endpoint => format!("PowerLoss(node: \"{preferred}\")"),
            Failure::CustomerGateway => format!("PowerLoss(node: \"{}\")", gateways[0].name),
            Failure::Line => "Blackhole(link: \"line\")".to_owned(),
        };
        // Where the failure darkens nothing, another one does; elsewhere it is enough that it does not happen.
        let control = match bounds::unhurt(starter) {
            true => "change: [\"faults.cut.what=Blackhole(link: \\\"line\\\")\"]",
            false => "change: [\"faults.cut.enabled=false\"]",
        };
        Self {
            comment: String::new(),
            name: &starter.name,
            question: question(starter),
            two_gateways: two,
            tgw: starter.gateway == Gateway::Tgw,
            is_static: starter.routing == Routing::Static,
            line: starter.direct_connect,
            nat: starter.nat,
            line_asn: if starter.gateway == Gateway::Tgw { 64513 } else { 64512 },
            profile: starter.profile.as_deref().filter(|name| *name != "generic"),
            firewall: starter.firewall.as_deref(),
            preferred,
            gateways,
            what,
            control: control.to_owned(),
            dark: None,
        }
    }
}

fn gateway(starter: &Starter, number: usize, two: bool) -> CustomerGateway {
    let suffix = match (two, number) {
        (false, _) => "",
        (true, 1) => "1",
        (true, _) => "2",
    };
    let first = number == 1;
    let outside = if first { "203.0.113.10" } else { "192.0.2.10" };
    let connection = format!("vpn{suffix}");
    let names = &["a", "b"][..starter.tunnels];
    // Behind BGP, whose distance is 20, where Direct Connect comes first.
    let distance = |at: usize| if starter.direct_connect { 210 + 10 * at as u32 } else { 1 + 9 * at as u32 };
    let tunnel = |(at, name): (usize, &&'static str)| Tunnel {
        name,
        path: format!("path{suffix}-{name}"),
        outside: format!("198.51.100.{}", 20 * number - 10 + at),
        inside: format!("169.254.{}.0/30", 20 * number - 10 + at),
        distance: distance(at),
    };
    let members: Vec<String> = names.iter().map(|name| format!("\"{connection}.{name}\"")).collect();
    let line = starter.direct_connect && first;
    let zone = members.into_iter().chain(line.then(|| "\"dx\"".to_owned())).collect::<Vec<_>>().join(", ");
    CustomerGateway {
        number,
        suffix,
        name: format!("cgw{suffix}"),
        asn: if first { 65010 } else { 65011 },
        lan: match (two, first) {
            (false, _) => "10.1.0.1/24",
            (true, true) => "10.1.255.2/30",
            (true, false) => "10.1.255.6/30",
        },
        core: if first { "10.1.255.1" } else { "10.1.255.5" },
        inside: match (two, first) {
            (false, _) => "office",
            (true, true) => "core.cgw1",
            (true, false) => "core.cgw2",
        },
        link: if two { format!("core{suffix}") } else { "lan".to_owned() },
        wan: if starter.nat { format!("192.168.{number}.2/24") } else { format!("{outside}/24") },
        nat: format!("nat{suffix}"),
        outside,
        connection,
        line,
        prepend: two && !first,
        zone,
        tunnels: names.iter().enumerate().map(tunnel).collect(),
    }
}

fn question(starter: &Starter) -> String {
    let routing = match starter.routing {
        Routing::Bgp => "BGP",
        Routing::Static => "static routes",
    };
    let gateway = match starter.gateway {
        Gateway::Vgw => "a VGW",
        Gateway::Tgw => "a TGW",
    };
    let tunnels = match (starter.tunnels, starter.customer_gateways) {
        (1, 1) => "One tunnel",
        (_, 1) => "Two tunnels",
        (1, _) => "A tunnel from each of two customer gateways",
        (..) => "Two tunnels from each of two customer gateways",
    };
    let beside = if starter.direct_connect { " behind Direct Connect" } else { "" };
    let what = match starter.failure {
        Failure::Path => "the path of the first tunnel goes silent",
        Failure::Endpoint => "AWS's endpoint of the first tunnel loses power",
        Failure::CustomerGateway => "the first customer gateway loses power",
        Failure::Line => "its line goes silent",
    };
    format!("{tunnels} to {gateway} by {routing}{beside}; {what}: how long is traffic dark?")
}

/// The question and the expected answer, as a comment.
fn comment(starter: &Starter, dark: &bounds::Dark) -> String {
    const WIDTH: usize = 130;
    let fold = |text: String| {
        let options = textwrap::Options::new(WIDTH).initial_indent("// ").subsequent_indent("// ");
        textwrap::fill(&text, options)
    };
    let question = fold(format!("Question: {}", question(starter)));
    let expected = fold(format!("Expected: {}", dark.why));
    format!("{question}\n{expected}")
}
