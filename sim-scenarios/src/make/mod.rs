//! From the schema to the plan: names become ids, defaults are filled in, every rule is checked, and all mistakes are
//! reported at once.

mod acceleration;
mod appliances;
mod certificates;
mod client_vpn;
pub(crate) mod connect;
mod connections;
pub(crate) mod dns;
pub(crate) mod dx;
mod ends;
mod expectations;
mod firewall;
mod flow_logs;
mod gateway_routes;
mod groups;
mod instances;
mod interface_update;
mod ipv6;
pub(crate) mod judge;
mod lan;
mod links;
mod maintenance;
mod nats;
mod nodes;
mod outside;
mod policies;
mod profiles;
mod quotas;
mod routers;
mod sessions;
mod telemetry;
mod timeline;
pub(crate) mod transit;
mod vpc;
mod vpc_routes;

use sim_core::id::NodeId;
use sim_core::net::multipath::FlowFields;
use sim_core::net::policer::Counted;
use sim_core::proto::ike::config::{RekeyLaw, SecondChild};
use sim_core::time::Duration;

use crate::diagnostic::Diagnostics;
use crate::leaf::Calendar;
use crate::plan::{
    Assume, Assumed, AssumedRange, Assumption, Dns, EndpointIcmp, Ipv6, Plan, TcpProfile, TunnelBandwidth, TunnelId,
};
use crate::scenario::Secrets;
use crate::schema::{Connection, Scenario};
use crate::source::Source;

pub(crate) use firewall::FIRST_UDP_PORT;
#[cfg(test)]
pub(crate) use firewall::firewall_timeouts;
use judge::{Judge, between, positive};

/// Every name of a scenario, in the order of its ids.
pub(crate) struct Names {
    /// Nodes, then virtual interfaces, then Connect peers, then tunnel endpoints.
    nodes: Vec<String>,
    direct_connects: Vec<String>,
    /// How many virtual interfaces there are.
    interfaces: usize,
    client_vpns: Vec<String>,
    connects: Vec<String>,
    /// How many Connect peers there are.
    connect_peers: usize,
    links: Vec<String>,
    connections: Vec<String>,
    /// `CONNECTION.TUNNEL`, in the order of the endpoints among the nodes.
    tunnels: Vec<String>,
    tunnel_ids: Vec<TunnelId>,
    probes: Vec<String>,
    faults: Vec<String>,
    groups: Vec<String>,
    alarms: Vec<String>,
    flow_logs: Vec<String>,
    expectations: Vec<String>,
}

impl Names {
    fn of(scenario: &Scenario, judge: &mut Judge) -> Self {
        let mut nodes = judge.names(&scenario.nodes, "node");
        let connections = judge.names(&scenario.connections, "connection");
        let (mut tunnels, mut tunnel_ids) = (Vec::new(), Vec::new());
        for (connection, (name, (_, vpn))) in connections.iter().zip(&scenario.connections.0).enumerate() {
            let Connection::Vpn(vpn) = vpn;
            for (tunnel, end) in judge.names(&vpn.tunnels, "tunnel").iter().enumerate() {
                tunnels.push(format!("{name}.{end}"));
                tunnel_ids.push(TunnelId { connection, tunnel });
            }
        }
        let direct_connects = judge.names(&scenario.direct_connect, "connection of Direct Connect");
        let interfaces = dx::names(scenario, &direct_connects, &connections, judge);
        nodes.extend(interfaces.iter().cloned());
        let connects = judge.names(&scenario.connect, "Connect attachment");
        let connect_peers = connect::names(scenario, &connects, judge);
        nodes.extend(connect_peers.iter().cloned());
        nodes.extend(tunnels.iter().cloned());
        Self {
            nodes,
            direct_connects,
            interfaces: interfaces.len(),
            client_vpns: judge.names(&scenario.client_vpn, "Client VPN endpoint"),
            connects,
            connect_peers: connect_peers.len(),
            links: judge.names(&scenario.links, "link"),
            connections,
            tunnels,
            tunnel_ids,
            probes: judge.names(&scenario.probes, "probe"),
            faults: judge.names(&scenario.faults.named, "fault"),
            groups: judge.names(&scenario.groups, "group"),
            alarms: judge.names(&scenario.alarms, "alarm"),
            flow_logs: judge.names(&scenario.flow_logs, "flow log"),
            expectations: judge.names(&scenario.expect, "expectation"),
        }
    }

    /// The node of a tunnel's endpoint, given the tunnel's position among all tunnels.
    fn endpoint(&self, tunnel: usize) -> NodeId {
        NodeId((self.nodes.len() - self.tunnels.len() + tunnel) as u32)
    }
}

/// Judges a scenario.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn make(scenario: &Scenario, source: &Source, secrets: &dyn Secrets) -> Result<Plan, Diagnostics> {
    make_seeded(scenario, None, source, secrets)
}

/// Judges a scenario, with this seed instead of its own.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn make_seeded(
    scenario: &Scenario,
    seed: Option<u64>,
    source: &Source,
    secrets: &dyn Secrets,
) -> Result<Plan, Diagnostics> {
    let mut judge = Judge::new(source, secrets);
    let j = &mut judge;
    j.lawful(&scenario.version, |version| match version {
        1 => Ok(()),
        other => Err(format!("this program reads version 1 of the language, not {other}")),
    });
    let names = Names::of(scenario, j);
    let duration = j.lawful(&scenario.duration, |d| positive(*d, "the duration"));
    let mut plan = Plan {
        name: j.need(&scenario.name, String::new()),
        question: j.need(&scenario.question, String::new()),
        duration: duration.unwrap_or(Duration::from_secs(u64::MAX / 1_000_000_000)),
        begins: j.or(&scenario.begins, Calendar(Duration::ZERO)).0,
        seed: seed.unwrap_or(j.or(&scenario.seed, 1)),
        nodes: Vec::new(),
        links: Vec::new(),
        ipv6: Ipv6::default(),
        dns: Dns::default(),
        connections: Vec::new(),
        direct_connects: Vec::new(),
        client_vpns: client_vpn::endpoints(scenario, &names, j),
        connects: Vec::new(),
        probes: Vec::new(),
        applications: Vec::new(),
        faults: Vec::new(),
        breaks: scenario.faults.breaks,
        groups: Vec::new(),
        alarms: Vec::new(),
        flow_logs: Vec::new(),
        expectations: Vec::new(),
        controls: Vec::new(),
        assume: assume(&scenario.assume, j),
        assumptions: Vec::new(),
        warnings: Vec::new(),
        profiles: Vec::new(),
    };
    plan.nodes = nodes::make(scenario, &names, j);
    dx::interfaces(scenario, &names, &mut plan, j);
    connect::peers(scenario, &names, &mut plan, j);
    connections::make(scenario, &names, &mut plan, j);
    plan.links = links::make(scenario, &names, &plan, j);
    ipv6::make(scenario, &names, &mut plan, j);
    dns::make(scenario, &names, &mut plan, j);
    outside::make(scenario, &mut plan, j);
    lan::links(scenario, &plan, j);
    client_vpn::check(scenario, &plan, j);
    nodes::gateways(scenario, &mut plan, j);
    transit::gateways(scenario, &mut plan, j);
    vpc::attached(scenario, &names, &mut plan, j);
    dx::join(scenario, &mut plan, j);
    links::underlay(scenario, &mut plan, j);
    acceleration::check(scenario, &mut plan, j);
    nats::registered(scenario, &mut plan, j);
    timeline::make(scenario, &names, &mut plan, j);
    ipv6::probes(scenario, &mut plan, j);
    telemetry::alarms(scenario, &names, &mut plan, j);
    flow_logs::make(scenario, &names, &mut plan, j);
    firewall::applications(scenario, &mut plan, j);
    firewall::partners(scenario, &mut plan, j);
    firewall::profiles(&mut plan);
    expectations::make(scenario, &names, &mut plan, j);
    plan.warnings.extend(sessions::off_link(&plan));
    plan.assumptions.splice(0..0, assumptions(&plan));
    judge.verdict()?;
    Ok(plan)
}

fn assume(schema: &crate::schema::Assume, j: &mut Judge) -> Assume {
    let day = Duration::from_secs(86_400);
    let delay = |d: &Duration| between(*d, Duration::ZERO, day, "this delay");
    Assume {
        vgw_programming_delay: j.lawful_or(&schema.vgw_programming_delay, Duration::ZERO, delay),
        vpc_propagation_delay: j.lawful_or(&schema.vpc_propagation_delay, Duration::ZERO, delay),
        endpoint_health_delay: j.lawful_or(&schema.endpoint_health_delay, Duration::from_secs(1), delay),
        tunnel_burst: j.lawful_or(&schema.tunnel_burst, Duration::from_millis(10), |burst| {
            between(*burst, Duration::ZERO, Duration::from_secs(1), "this burst")
        }),
        meds: [(&schema.preferred_med, 100), (&schema.other_med, 200)]
            .map(|(at, default)| j.number(at, default, 0, u64::from(u32::MAX), "a MED")),
        aws_tcp: j.or(&schema.aws_tcp, TcpProfile::Linux),
        vpn_metric_period: j.lawful_or(&schema.vpn_metric_period, Duration::from_secs(300), telemetry::whole_minutes),
        replacement_lead: j.lawful_or(&schema.replacement_lead, Duration::from_secs(60), delay),
        replacement_duration: j.lawful_or(&schema.replacement_duration, Duration::from_secs(180), delay),
        rekey_law: j.or(&schema.rekey_law, RekeyLaw::BeforeMargin),
        large_packet_rate: j.number(
            &schema.large_packet_rate,
            400_000,
            1,
            100_000_000,
            "the packets a second of a large tunnel",
        ),
        rates_count: j.or(&schema.rates_count, Counted::EachWay),
        second_sa_pair: j.or(&schema.second_sa_pair, SecondChild::Displaces),
        endpoint_icmp: j.or(&schema.endpoint_icmp, EndpointIcmp::Silent),
        flow_hash: j.or(&schema.flow_hash, FlowFields::FiveTuple),
        ecmp_paths: j.number(&schema.ecmp_paths, u8::MAX, 1, 255, "a number of equal tunnels"),
    }
}

/// What the whole scenario assumes; connections add their own.
fn assumptions(plan: &Plan) -> Vec<Assumption> {
    let assume = &plan.assume;
    let one = |what, parameter: &str, value: String, source: &str| Assumption {
        what,
        owner: None,
        parameter: format!("assume.{parameter}"),
        value,
        source: source.to_owned(),
        range: global_range(what),
    };
    let med = |which: usize| assume.meds[which].to_string();
    let large = plan.connections.iter().any(|connection| connection.bandwidth == TunnelBandwidth::Large);
    let rate = large.then(|| {
        one(
            Assumed::LargePacketRate,
            "large_packet_rate",
            assume.large_packet_rate.to_string(),
            "UNVERIFIED: digests of AWS's texts have 400,000 packets a second for a large tunnel, its pages do not",
        )
    });
    let mut all = vec![
        one(
            Assumed::VgwProgrammingDelay,
            "vgw_programming_delay",
            assume.vgw_programming_delay.to_string(),
            "UNVERIFIED: AWS states no time for a route change to take effect inside a gateway",
        ),
        one(
            Assumed::VpcPropagationDelay,
            "vpc_propagation_delay",
            assume.vpc_propagation_delay.to_string(),
            "UNVERIFIED: AWS states no time for route propagation into VPC route tables",
        ),
        one(
            Assumed::EndpointHealthDelay,
            "endpoint_health_delay",
            assume.endpoint_health_delay.to_string(),
            "UNVERIFIED: AWS states no time in which it notices that the hardware of an endpoint is gone",
        ),
        one(
            Assumed::TunnelBurst,
            "tunnel_burst",
            assume.tunnel_burst.to_string(),
            "UNVERIFIED: AWS publishes the rates of a tunnel and not how much may come at once",
        ),
        one(
            Assumed::RatesCount,
            "rates_count",
            match assume.rates_count {
                Counted::EachWay => "each_way".into(),
                Counted::Together => "together".into(),
            },
            "UNVERIFIED: AWS does not say whether the rates of a tunnel or attachment are for each way or for both together",
        ),
        one(
            Assumed::Med,
            "preferred_med",
            med(0),
            "UNVERIFIED: AWS marks the primary tunnel with a lower MED, but publishes no value; seen are 100 and 200",
        ),
        one(
            Assumed::Med,
            "other_med",
            med(1),
            "UNVERIFIED: AWS sends a higher MED through the other tunnel, but publishes no value; seen are 100 and 200",
        ),
        one(
            Assumed::AwsTcp,
            "aws_tcp",
            format!("{:?}", assume.aws_tcp).to_lowercase(),
            "UNVERIFIED: AWS does not say which TCP its endpoints run",
        ),
        one(
            Assumed::VpnMetricPeriod,
            "vpn_metric_period",
            assume.vpn_metric_period.to_string(),
            "UNVERIFIED: AWS does not say how often AWS/VPN has datapoints; its examples of alarms use 300 s",
        ),
        one(
            Assumed::ReplacementLead,
            "replacement_lead",
            assume.replacement_lead.to_string(),
            "UNVERIFIED: AWS does not say how long before an endpoint goes it lowers the MED of the other tunnel",
        ),
        one(
            Assumed::ReplacementDuration,
            "replacement_duration",
            assume.replacement_duration.to_string(),
            "UNVERIFIED: AWS calls a replacement brief, and publishes no figure",
        ),
    ];
    all.extend(rate);
    if !plan.connections.is_empty() {
        all.push(one(
            Assumed::EndpointIcmp,
            "endpoint_icmp",
            match assume.endpoint_icmp {
                EndpointIcmp::Silent => "silent".into(),
                EndpointIcmp::Errors => "errors".into(),
            },
            "UNVERIFIED: AWS says that path MTU discovery is not supported, and not whether its ends send Fragmentation Needed",
        ));
    }
    let several = |tunnel: &crate::plan::Tunnel| tunnel.customer.selectors.len() > 1;
    if plan.connections.iter().flat_map(|connection| &connection.tunnels).any(several) {
        all.push(one(
            Assumed::SecondSaPair,
            "second_sa_pair",
            match assume.second_sa_pair {
                SecondChild::Displaces => "displaces".into(),
                SecondChild::Refused => "refused".into(),
                SecondChild::Kept => "kept".into(),
            },
            "UNVERIFIED: AWS's guide says that a tunnel has one pair of SAs, and not what becomes of a second one",
        ));
    }
    all
}

/// The range of what the whole scenario assumes. AWS sends MEDs of which only the order is known.
fn global_range(what: Assumed) -> Option<AssumedRange> {
    match what {
        Assumed::TunnelBurst => range(["0s", "100ms"], "assumed: from none to a shallow buffer"),
        Assumed::VgwProgrammingDelay | Assumed::VpcPropagationDelay => {
            range(["0s", "10s"], "assumed: at once to several seconds, as AWS states none")
        }
        Assumed::EndpointHealthDelay => {
            range(["0s", "30s"], "assumed: at once to the hold time of a session, which would notice by itself")
        }
        Assumed::VpnMetricPeriod => range(["60s", "300s"], "assumed: a minute to the period of AWS's examples"),
        Assumed::ReplacementLead => range(["0s", "300s"], "assumed: at once to minutes"),
        Assumed::ReplacementDuration => range(["30s", "600s"], "assumed: half a minute to ten"),
        Assumed::AwsTcp => range(["linux", "rfc"], "the two that there are"),
        Assumed::EndpointIcmp => range(["silent", "errors"], "the two that there are"),
        Assumed::SecondSaPair => range(["displaces", "refused"], "assumed: the two ways to keep one"),
        Assumed::RatesCount => range(["each_way", "together"], "the two that there are"),
        Assumed::LargePacketRate => {
            range(["140000", "560000"], "assumed: a standard tunnel's rate to four times that, as with bits")
        }
        _ => None,
    }
}

/// A range between two values.
fn range(ends: [&str; 2], source: &'static str) -> Option<AssumedRange> {
    Some(AssumedRange { ends: ends.map(str::to_owned).to_vec(), source })
}

/// The tunnels of a gateway, of which AWS chooses one: all of them, or the first and the last if they are many.
fn choice(tunnels: &[String]) -> Option<AssumedRange> {
    const MANY: usize = 4;
    let ends = match tunnels {
        [] | [_] => return None,
        [first, .., last] if tunnels.len() > MANY => vec![first.clone(), last.clone()],
        all => all.to_vec(),
    };
    Some(AssumedRange { ends, source: "AWS may choose any of them" })
}
