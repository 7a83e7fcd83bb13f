//! Laws of DNS in VPCs (VPC user guide, page AmazonDNS-concepts.html; Route 53 developer guide, chapter "VPC Resolver").

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sim_core::trace::{Hop, HopStep, Sink};
use sim_scenarios::Simulation;
use sim_scenarios::report::model::{Application, Report};

use crate::bare::{Bare, dropped, library};

const BARE: Bare =
    Bare { text: library!("resolver_rules"), changes: &["faults={}", "applications={}", "probes={}", "duration=120s"] };

/// Ten lookups of a name.
fn lookups(from: &str, name: &str) -> String {
    format!("applications={{\"it\": DnsLookups(from: \"{from}\", name: \"{name}\", lookups: 10, start: \"20s\")}}")
}

fn asked(from: &str, name: &str, changes: &[&str]) -> (Application, Report) {
    let it = lookups(from, name);
    let all: Vec<&str> = changes.iter().copied().chain([it.as_str()]).collect();
    let report = BARE.answer(&all);
    (report.applications[0].clone(), report)
}

/// How many packets arrived where they were to go.
struct Arrivals(Arc<AtomicU64>);

impl Sink for Arrivals {
    fn hop(&mut self, hop: &Hop) {
        if matches!(hop.step, HopStep::Delivered) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// AmazonDNS-concepts: the resolver is at the VPC's base address plus two. Page resolver-overview-DSN-queries-to-vpc.html: to ask it from
/// outside of the VPC is not supported, and an inbound endpoint is for that. Each host asks twice.
#[test]
fn the_resolver_serves_what_is_inside_of_its_vpc() {
    let (inside, report) = asked("db", "db.aws.example", &[]);
    assert_eq!((inside.done, dropped(&report, "transit_resolver")), (10, 0));
    let (outside, report) = asked("printer", "db.aws.example", &[]);
    assert_eq!((outside.timed_out, dropped(&report, "transit_resolver")), (10, 20));
    let (by_endpoint, _) = asked("printer", "db.aws.example", &["nodes.printer.resolver=[\"10.0.2.53\"]"]);
    assert_eq!(by_endpoint.done, 10);
}

/// AmazonDNS-concepts: the resolver is also at 169.254.169.253, in every VPC, for what is inside of it. A site has no way there.
#[test]
fn the_link_local_address_is_of_the_inside() {
    let local = |host: &str| format!("nodes.{host}.resolver=[\"169.254.169.253\"]");
    let (inside, report) = asked("db", "db.aws.example", &[&local("db")]);
    assert_eq!((inside.done, dropped(&report, "transit_resolver")), (10, 0));
    let (forwarded, _) = asked("db", "erp.corp.example", &[&local("db")]);
    assert_eq!(forwarded.done, 10);
    let (outside, _) = asked("printer", "db.aws.example", &[&local("printer")]);
    assert_eq!(outside.done, 0);
}

/// AmazonDNS-concepts: a network interface sends at most 1,024 packets a second to the resolver. A thousand a second pass, for as long as
/// one likes. Of 4,000 within one second pass what a second has at once and what the second brings: 2,048, whichever of the two addresses
/// they go to. The first surplus comes when 4,000 t = 1,024 (1 + t), after 344 ms, so the 1,952 others ask again within 656 ms, 5 s later.
/// By then the whole second may come at once again: 1,024 and 672 pass. 256 are lost twice and time out; 2,208 packets are dropped.
#[test]
fn a_network_interface_asks_so_often_and_no_more() {
    let many = |lookups: u32, spacing: &str, change: &str| {
        let it = format!(
            "applications={{\"it\": DnsLookups(from: \"db\", name: \"db.aws.example\", lookups: {lookups}, spacing: \"{spacing}\", start: \"20s\")}}"
        );
        let report = BARE.answer(&[&it, change]);
        (report.applications[0].done, dropped(&report, "resolver_packet_rate"))
    };
    let either = ["nodes.db.resolver=[\"10.0.0.2\"]", "nodes.db.resolver=[\"169.254.169.253\"]"];
    for address in either {
        assert_eq!(many(4000, "1ms", address), (4000, 0), "{address}");
        let (done, beyond) = many(4000, "250us", address);
        assert!((3_734..=3_754).contains(&done), "{address}: {done}");
        assert!((2_198..=2_218).contains(&beyond), "{address}: {beyond}");
    }
}

/// An outbound endpoint takes no queries, and by an inbound one nothing is asked: they are named after who asks whom.
#[test]
fn an_endpoint_has_one_direction() {
    let (at_outbound, report) = asked("printer", "db.aws.example", &["nodes.printer.resolver=[\"10.0.1.54\"]"]);
    assert_eq!(at_outbound.done, 0);
    assert!(dropped(&report, "port_unreachable") > 0, "{:?}", report.drops);
    BARE.refused(
        &["nodes.resolver.rules.corp.endpoints=[\"in-a\"]"],
        "no outbound endpoint of this resolver is called `in-a`",
    );
}

/// Page resolver-overview-forward-vpc-to-network-domain-name-matches.html: the most specific of all that match decides, and a rule comes
/// before a private hosted zone of the same name. Here the rule leads to a server that asks the resolver again: the circle ends in
/// time-outs, since neither asks twice for what it is waiting for.
#[test]
fn the_most_specific_decides_and_a_rule_before_a_zone() {
    let (zone, _) = asked("db", "db.aws.example", &["nodes.resolver.rules.corp.domain=."]);
    assert_eq!(zone.done, 10);
    let (rule, report) = asked("db", "db.aws.example", &["nodes.resolver.rules.corp.domain=aws.example"]);
    assert_eq!((rule.done, rule.reset + rule.timed_out), (0, 10));
    assert_eq!(dropped(&report, "ttl_exceeded"), 0);
    // 10 lookups, each asked twice, with answers; and servers of two rounds on each side: some hundreds of packets beside BGP's and IKE's.
    let it = lookups("db", "db.aws.example");
    let scenario = BARE.with(&["nodes.resolver.rules.corp.domain=aws.example", &it]).expect("it is right");
    let count = Arc::new(AtomicU64::new(0));
    let arrivals = Arrivals(Arc::clone(&count));
    Simulation::prepare(&scenario, |world| world.trace.add_sink(Box::new(arrivals))).finish();
    assert!(count.load(Ordering::Relaxed) < 1_500, "{count:?}");
    let (below, _) = asked("db", "db.live.aws.example", &["nodes.resolver.rules.corp.domain=aws.example"]);
    assert_eq!(below.done, 10, "the zone live.aws.example is longer than the rule");
}

/// A name of nobody: the resolver says that there is none, and a server on premises that is not told whom to ask refuses.
#[test]
fn what_nobody_knows_is_refused_at_once() {
    for (from, name) in [("db", "www.example.net"), ("office", "www.example.net"), ("office", "none.corp.example")] {
        let (it, _) = asked(from, name, &[]);
        assert_eq!((it.reset, it.timed_out), (10, 0), "{from} {name}");
    }
}

/// AmazonDNS-concepts: neither network ACLs nor security groups filter what goes to and from the resolver. What its endpoints send and
/// receive they do.
#[test]
fn filters_are_not_asked_about_the_resolver() {
    let closed = [
        "nodes.vpc.network_acls={\"none\": (inbound: [], outbound: [])}",
        "nodes.vpc.subnets.two.network_acl=none",
        "nodes.vpc.security_groups={\"dns-in\": (inbound: {}), \"shut\": (inbound: {}, outbound: {})}",
        "nodes.db.security_groups=[\"shut\"]",
    ];
    let (zone, _) = asked("db", "db.aws.example", &closed);
    assert_eq!(zone.done, 10);
    let by_b = [&closed[..], &["nodes.resolver.rules.corp.endpoints=[\"out-b\"]"]].concat();
    let (rule, report) = asked("db", "erp.corp.example", &by_b);
    assert_eq!(rule.done, 0);
    assert!(dropped(&report, "network_acl_outbound") > 0, "{:?}", report.drops);
    let (inbound, report) =
        asked("office", "db.aws.example", &["nodes.vpc.security_groups.dns-in.inbound.site.protocol=tcp"]);
    assert_eq!(inbound.done, 0);
    assert!(dropped(&report, "security_group_inbound") > 0, "{:?}", report.drops);
}

/// Page flow-logs-limitations.html: what instances send to the Amazon DNS server is not logged. What an outbound endpoint asks is.
#[test]
fn flow_logs_have_nothing_of_the_resolver() {
    let log = |interface: &str, name: &str, least: u32, most: u32| {
        let expect = format!(
            "expect={{\"it\": FlowRecordsBetween(log: \"all\", fields: [\"interface-id={interface}\", \"action=ACCEPT\"], min: {least}, max: {most})}}"
        );
        let flow_log = "flow_logs={\"all\": (of: \"vpc\", max_aggregation_interval: \"60s\", format: \"${interface-id} ${srcaddr} ${action}\")}";
        let (_, report) = asked("db", name, &[flow_log, &expect]);
        assert!(report.expectations[0].held, "{interface}: {}", report.expectations[0].detail);
    };
    log("db", "db.aws.example", 0, 0);
    log("out-a", "erp.corp.example", 1, 99);
}

#[test]
fn what_is_wrong_with_dns_is_said() {
    let wrong: [(&[&str], &str); 13] = [
        (&["nodes.db.address=10.0.2.2"], "AWS keeps the first four addresses"),
        (&["nodes.resolver.vpcs=[]"], "this resolver is of no VPC"),
        (&["nodes.in-b=Route53Resolver(vpcs: [\"vpc\"])"], "`vpc` has a resolver already: `resolver`"),
        (&["nodes.resolver=Instance(subnet: \"vpc.one\", address: \"10.0.1.99\")"], "has no resolver"),
        (&["nodes.resolver.rules.corp.targets=[]"], "it has no targets"),
        (&["nodes.resolver.rules.corp.domain=corp..example"], "expected a domain name"),
        (&["nodes.resolver.asks.timeout=1h"], "the time for an answer is"),
        (&["nodes.resolver.private_zones.aws.ttl=1500ms"], "a TTL is whole seconds"),
        (
            &["nodes.resolver.private_zones.aws.domain=live.aws.example"],
            "there is already a zone of `live.aws.example`",
        ),
        (&["nodes.office.resolver=[\"10.1.1.1\", \"10.1.1.2\", \"10.1.1.3\", \"10.1.1.4\"]"], "at most 3 name servers"),
        (
            &["faults={\"f\": (at: \"50s\", what: PowerLoss(node: \"resolver\"))}"],
            "a resolver is no device that could lose power",
        ),
        (
            &[
                "nodes.office.resolver=[]",
                "applications={\"it\": DnsLookups(from: \"office\", name: \"a.example\", lookups: 1)}",
            ],
            "this host knows no name server",
        ),
        (
            &["applications={\"it\": UdpFlows(from: \"office\", to: \"db\", by_name: \"db.aws.example\", flows: 1)}"],
            "only flows of TCP look their name up",
        ),
    ];
    for (changes, because) in wrong {
        BARE.refused(changes, because);
    }
}
