//! Laws of NAT gateways in their VPCs: fact sheet section 7.7. What they do to packets is in `vpc.rs`.

use crate::bare::{Bare, answered, library};

const PUBLIC: Bare = Bare::new(library!("transit_nat_gateway"));

/// The gateway of the drawing with so many secondary addresses, with Elastic IP addresses or without.
fn secondary(count: usize, public: bool) -> String {
    let address = |i: usize| {
        let elastic_ip = if public { format!(", elastic_ip: \"198.51.100.{}\"", 202 + i) } else { String::new() };
        format!("(address: \"10.0.0.{}\"{elastic_ip})", 21 + i)
    };
    let all: Vec<String> = (0..count).map(address).collect();
    format!("nodes.nat.secondary_addresses=[{}]", all.join(", "))
}

/// vpc-nat-gateway.html: a flow goes out by one of the gateway's addresses and comes back by it, through the internet gateway, which knows the
/// Elastic IP address of each. Of two flows to one destination the second goes by the address that has none there yet; with one address
/// both go by that.
#[test]
fn flows_go_by_each_address_of_a_nat_gateway_and_come_back() {
    let ask = |name: &str| format!("\"{name}\": UdpEcho(from: \"app\", to: \"website\", every: \"100ms\"), ");
    let probes = format!("probes={{ {}{} }}", ask("first"), ask("second"));
    let log = "flow_logs={\"nat\": (of: \"nat\", max_aggregation_interval: \"60s\", format: \"${flow-direction} ${pkt-srcaddr}\")}";
    let sent = |name: &str, address: &str, least: u32, most: u32| {
        format!(
            "\"{name}\": FlowRecordsBetween(log: \"nat\", fields: [\"flow-direction=egress\", \"pkt-srcaddr={address}\"], \
             min: {least}, max: {most}), "
        )
    };
    for (count, least, most) in [(0, 0, 0), (1, 1, 99)] {
        let expect = [sent("primary", "10.0.0.20", 1, 99), sent("secondary", "10.0.0.21", least, most)].concat();
        let expect = format!("expect={{ {expect} }}");
        let report = PUBLIC.answer(&[&probes, log, &secondary(count, true), &expect]);
        for expectation in &report.expectations {
            assert!(expectation.held, "{count}: {}: {}", expectation.text, expectation.detail);
        }
        assert_eq!(["first", "second"].map(|probe| answered(&report, probe)), [1.0, 1.0], "{count}");
    }
}

/// The same page: eight addresses in all, each of a public gateway with an Elastic IP address, of which AWS allows two unless it is asked.
#[test]
fn a_nat_gateway_has_up_to_eight_addresses() {
    let words = "3 Elastic IP addresses: AWS allows 2 for a NAT gateway, and more on request";
    assert!(!PUBLIC.warned(&[&secondary(1, true)], "for a NAT gateway"));
    assert!(PUBLIC.warned(&[&secondary(2, true)], words));
    PUBLIC.taken(&[&secondary(7, true)]);
    PUBLIC.refused(&[&secondary(8, true)], "a NAT gateway has at most 8 addresses, its primary one among them");
    PUBLIC.refused(&[&secondary(1, false)], "each address of a public NAT gateway has an Elastic IP address");
    let private = "nodes.nat=NatGateway(subnet: \"vpc.public\", address: \"10.0.0.20\")";
    assert!(!PUBLIC.warned(&[private, &secondary(7, false)], "for a NAT gateway"));
    PUBLIC.refused(&[private, &secondary(8, false)], "a NAT gateway has at most 8 addresses");
    PUBLIC.refused(&[private, &secondary(1, true)], "a private NAT gateway has no Elastic IP address");
    // Each is an address of its subnet that nobody else has.
    let at = |address: &str| {
        format!("nodes.nat.secondary_addresses=[(address: \"{address}\", elastic_ip: \"198.51.100.202\")]")
    };
    PUBLIC.refused(&[&at("10.0.1.21")], "is not in subnet 10.0.0.0/24");
    PUBLIC.refused(&[&at("10.0.0.20")], "10.0.0.20 is already the address of `nat`");
    let taken = "nodes.nat.secondary_addresses=[(address: \"10.0.0.21\", elastic_ip: \"198.51.100.201\")]";
    PUBLIC.refused(&[taken], "198.51.100.201 is already the address of `nat.elastic_ip`");
}

/// The two streams from 10 s to 10.001 s, of so many octets each so often, and how many packets of them the gateway drops.
fn drops(every: &[&str], size: u16, changes: &[&str], [octets, packets]: [(u64, u64); 2]) {
    let streams = every.iter().zip(["a", "b"]).map(|(every, name)| {
        format!(
            "\"{name}\": UdpOneWay(from: \"app\", to: \"website\", every: \"{every}\", size: {size}, start: \"10s\", stop: \"10.001s\"), "
        )
    });
    let probes = format!("probes={{ {} }}", streams.collect::<String>());
    let between = |name: &str, reason: &str, (min, max): (u64, u64)| {
        format!("\"{name}\": DropsBetween(reason: \"{reason}\", node: \"nat\", min: {min}, max: {max}), ")
    };
    let expect =
        [between("octets", "nat_gateway_bandwidth", octets), between("packets", "nat_gateway_packet_rate", packets)];
    PUBLIC.holds(&[&["assume.tunnel_burst=10us", "duration=11s", &probes], changes].concat(), &expect.concat());
}

const NONE: (u64, u64) = (0, 0);

/// vpc-nat-gateway.html: 5 Gbit/s, which scales to 100. A packet of 1,250 octets each 1.25 us is 8 Gbit/s: in a millisecond and the 10 us of
/// the burst 5.05 Mbit pass, 505 packets of 10,000 bits, so that 295 of 800 are dropped. Each 2 us it is 5 Gbit/s, and none is; nor is one
/// by a gateway that has scaled to 10 Gbit/s.
#[test]
fn a_nat_gateway_carries_five_gigabits_a_second_until_it_scales() {
    drops(&["1.25us"], 1_250, &[], [(293, 297), NONE]);
    drops(&["2us"], 1_250, &[], [NONE, NONE]);
    drops(&["1.25us"], 1_250, &["nodes.nat.bandwidth=10Gbps"], [NONE, NONE]);
    PUBLIC.taken(&["nodes.nat.bandwidth=100Gbps"]);
    PUBLIC.refused(&["nodes.nat.bandwidth=101Gbps"], "a NAT gateway carries at most 100Gbps");
}

/// The same page: a million packets a second, which scales to ten. Two streams of a million each are 2,000 packets in a millisecond, of which
/// 1,000 pass and the 10 of the burst, so that 990 are dropped. Of one stream none is; nor is one of two by a gateway that has scaled to
/// two million.
#[test]
fn a_nat_gateway_carries_a_million_packets_a_second_until_it_scales() {
    drops(&["1us", "1us"], 60, &[], [NONE, (987, 992)]);
    drops(&["1us"], 60, &[], [NONE, NONE]);
    drops(&["1us", "1us"], 60, &["nodes.nat.packets_per_second=2000000"], [NONE, NONE]);
    PUBLIC.taken(&["nodes.nat.packets_per_second=10000000"]);
    PUBLIC.refused(
        &["nodes.nat.packets_per_second=10000001"],
        "the packets a second of a NAT gateway is 1 to 10000000, not 10000001",
    );
}
