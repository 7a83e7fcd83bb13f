//! Laws of flow logs: VPC user guide, "Flow log records" and "Flow log record examples"; transit gateway guide, "Transit Gateway Flow Log
//! records". Records are read here by the field lists of these pages, which are written down once more.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use sim_scenarios::report::Outcome;

use crate::bare::UNASKED;
use crate::telemetry::{self, mistakes};

/// "Default format": all fields of version 2, in this order.
const DEFAULT: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";

/// "Available fields", versions 2 to 5.
const VERSION_5: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action \
                         log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id sublocation-type \
                         sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path";

/// The default format of a transit gateway: all fields of versions 2 to 6.
const TRANSIT: &str = "version resource-type account-id tgw-id tgw-attachment-id tgw-src-vpc-account-id tgw-dst-vpc-account-id \
                       tgw-src-vpc-id tgw-dst-vpc-id tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni tgw-dst-eni tgw-src-az-id \
                       tgw-dst-az-id tgw-pair-attachment-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                       log-status type packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded \
                       packets-lost-ttl-expired tcp-flags region flow-direction pkt-src-aws-service pkt-dst-aws-service";

fn outcome(name: &str, changes: &[&str]) -> Outcome {
    telemetry::outcome(name, &[UNASKED, changes].concat())
}

type Fields = BTreeMap<String, String>;

/// Reads a flow log as it is delivered: its first line names the fields.
fn records(outcome: &Outcome, log: &str, fields: &str) -> Vec<Fields> {
    let log = outcome.detail.telemetry.flow_logs.iter().find(|it| it.name == log).expect("there is one");
    let text = log.text();
    let mut lines = text.lines();
    let names: Vec<&str> = fields.split_whitespace().collect();
    assert_eq!(lines.next().map(|line| line.split(' ').collect::<Vec<_>>()), Some(names.clone()));
    let read = |line: &str| -> Fields {
        let values: Vec<&str> = line.split(' ').collect();
        assert_eq!(values.len(), names.len(), "{line}");
        let read: Fields =
            names.iter().map(|name| (*name).to_owned()).zip(values.iter().map(|v| (*v).to_owned())).collect();
        read.iter().for_each(|(field, value)| assert!(is_lawful(field, value), "{field} is {value} in {line}"));
        assert!(is_whole(&read), "{line}");
        read
    };
    lines.map(read).collect()
}

/// What the pages say of the values of a field. `-` stands where a field does not apply.
fn is_lawful(field: &str, value: &str) -> bool {
    let number = |most: u64| value.parse::<u64>().is_ok_and(|number| number <= most);
    value == "-"
        || match field {
            "version" => number(8),
            "account-id" | "tgw-src-vpc-account-id" | "tgw-dst-vpc-account-id" => {
                value.len() == 12 && value.bytes().all(|b| b.is_ascii_digit())
            }
            "srcaddr" | "dstaddr" | "pkt-srcaddr" | "pkt-dstaddr" => value.parse::<Ipv4Addr>().is_ok(),
            "srcport" | "dstport" => number(65_535),
            "protocol" => number(255),
            "packets" | "bytes" | "start" | "end" => number(u64::MAX),
            "action" => ["ACCEPT", "REJECT"].contains(&value),
            "log-status" => ["OK", "NODATA", "SKIPDATA"].contains(&value),
            "tcp-flags" => number(63),
            "type" => value == "IPv4",
            "flow-direction" => ["ingress", "egress"].contains(&value),
            "traffic-path" => (1..=8).any(|path| value == path.to_string()),
            "resource-type" => ["TransitGateway", "TransitGatewayAttachment"].contains(&value),
            lost if lost.starts_with("packets-lost-") => number(u64::MAX),
            _ => !value.is_empty(),
        }
}

/// A record with data has addresses and counts, one without has none, and says from when until when.
fn is_whole(record: &Fields) -> bool {
    let has = |field: &str| record.get(field).is_none_or(|value| value != "-");
    let ok = record.get("log-status").is_none_or(|status| status == "OK");
    let of_flow = ["srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes"];
    has("start")
        && has("end")
        && has("version")
        && of_flow.iter().all(|field| record.get(*field).is_none_or(|v| (v != "-") == ok))
}

fn of<'a>(records: &'a [Fields], wanted: &[(&str, &str)]) -> Vec<&'a Fields> {
    records.iter().filter(|record| wanted.iter().all(|(field, value)| record[*field] == *value)).collect()
}

fn format(fields: &str) -> String {
    fields.split_whitespace().map(|field| format!("${{{field}}}")).collect::<Vec<_>>().join(" ")
}

/// "Default format" and "Custom format": fields in the documented or the chosen order; `version` is the highest among them.
#[test]
fn every_record_has_the_documented_fields() {
    let seen = outcome("flow_logs_of_drops", &[&format!("flow_logs.all.format=\"{}\"", format(VERSION_5))]);
    let (default, custom) = (records(&seen, "default", DEFAULT), records(&seen, "all", VERSION_5));
    assert!(default.len() > 4 && default.iter().all(|record| record["version"] == "2"));
    assert!(custom.len() > 60 && custom.iter().all(|record| record["version"] == "5"));
    // "traffic-path": 3 is through a virtual private gateway; of ingress there is none.
    let flows = of(&custom, &[("log-status", "OK")]);
    assert!(flows.iter().all(|record| (record["traffic-path"] == "3") == (record["flow-direction"] == "egress")));
    assert!(flows.iter().all(|record| record["vpc-id"] == "vpc" && record["az-id"] == "az1"));
    let three =
        outcome("flow_logs_of_drops", &["flow_logs.default.format=\"${version} ${start} ${end} ${tcp-flags}\""]);
    assert!(records(&three, "default", "version start end tcp-flags").iter().all(|record| record["version"] == "3"));
}

/// "Available fields", start and end: seconds of the first and the last packet within the interval. "tcp-flags": OR-ed over it, so a
/// longer interval has all of a connection in one record: 3 and 19.
#[test]
fn an_interval_is_a_minute_or_ten() {
    let longer = ["duration=660s", "flow_logs.all.max_aggregation_interval=600s"];
    let seen = outcome("flow_logs_of_drops", &longer);
    let names = seen.detail.telemetry.flow_logs[0].fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    let all = records(&seen, "all", &names);
    // Of one connection to `closed` there are SYNs at 60 and 123 s: one record, where minutes have two.
    let closed = of(&all, &[("interface-id", "closed"), ("action", "REJECT")]);
    assert_eq!(closed[0]["packets"], "7");
    let number = |field: &str| closed[0][field].parse::<u64>().expect("a number");
    assert_eq!(number("end") - number("start"), 63);
    assert!(
        all.iter().all(|record| record["start"].parse::<u64>().is_ok_and(|at| at < 1_795_600_800 + 600)),
        "one interval is over"
    );
    assert!(
        mistakes("flow_logs_of_drops", &["flow_logs.all.max_aggregation_interval=120s"])
            .contains("60s or 600s, not 120s")
    );
}

/// "No data and skipped records".
#[test]
fn what_exceeds_the_capacity_is_skipped() {
    let seen = outcome("flow_logs_of_drops", &["flow_logs.default.of=vpc", "flow_logs.default.capacity=4"]);
    let all = records(&seen, "default", DEFAULT);
    let skipped = of(&all, &[("log-status", "SKIPDATA")]);
    // `web` has twelve flows a minute in the last four minutes, the others fewer than four.
    assert_eq!(skipped.len(), 4);
    assert!(skipped.iter().all(|record| record["interface-id"] == "web"));
    assert_eq!(of(&all, &[("interface-id", "web"), ("log-status", "OK")]).len(), 16);
}

/// "Flow log limitations": the address of the network interface stands in place of what a NAT gateway's interface forwards, and
/// pkt-srcaddr and pkt-dstaddr have the packet's. "instance-id" is `-` for an interface that AWS manages.
#[test]
fn a_nat_gateway_shows_its_own_address_and_the_packet_s() {
    let fields =
        "instance-id interface-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr flow-direction start end version log-status";
    let log = format!(
        "flow_logs={{\"nat\": (of: \"nat\", max_aggregation_interval: \"60s\", format: \"{}\")}}",
        format(fields)
    );
    let seen = outcome("nat_gateway_idle", &[&log]);
    let flows: Vec<Fields> =
        records(&seen, "nat", fields).into_iter().filter(|record| record["flow-direction"] != "-").collect();
    assert!(flows.iter().all(|record| record["instance-id"] == "-"));
    let own = "10.0.0.20";
    let inside_out = |record: &&Fields| {
        record["flow-direction"] == "ingress" && record["dstaddr"] == own && record["pkt-dstaddr"] != own
    };
    let translated = |record: &&Fields| record["flow-direction"] == "egress" && record["pkt-srcaddr"] == own;
    let back_inside = |record: &&Fields| {
        record["flow-direction"] == "egress" && record["srcaddr"] == own && record["pkt-srcaddr"] != own
    };
    assert!(flows.iter().any(|record| inside_out(&record)));
    assert!(flows.iter().any(|record| translated(&record)));
    assert!(flows.iter().any(|record| back_inside(&record)));
}

/// A transit gateway's records: by attachment and direction, each with the attachment at the other side; sums agree with the counters
/// of CloudWatch, and lost packets say why. There is no action.
#[test]
fn a_transit_gateway_logs_by_attachment() {
    let log = "flow_logs={\"tgw\": (of: \"tgw\")}";
    let seen = outcome("ecmp_conditions", &[log, "probes.flow1.start=0s"]);
    let all = records(&seen, "tgw", TRANSIT);
    let flows = of(&all, &[("log-status", "OK"), ("resource-type", "TransitGateway"), ("version", "6")]);
    assert!(flows.len() > 10);
    let sum = |wanted: &[(&str, &str)], field: &str| -> u64 {
        let of = flows.iter().filter(|record| wanted.iter().all(|(name, value)| record[*name] == *value));
        of.map(|record| record[field].parse::<u64>().expect("a number")).sum()
    };
    for field in ["packets", "bytes"] {
        assert!(sum(&[("flow-direction", "ingress")], field) > 0);
        assert_eq!(
            sum(&[("flow-direction", "ingress")], field),
            sum(&[("flow-direction", "egress")], field),
            "{field}"
        );
    }
    let vpc = of(&all, &[("flow-direction", "ingress"), ("tgw-src-vpc-id", "vpc")]);
    assert!(
        !vpc.is_empty()
            && vpc.iter().all(|record| record["tgw-attachment-id"] == "vpc" && record["tgw-dst-vpc-id"] == "-")
    );
    assert!(vpc.iter().all(|record| record["tgw-pair-attachment-id"] != "vpc"));
    let counted: f64 = {
        use sim_scenarios::plan::{Metered, Metric};
        let series = seen.detail.telemetry.series.iter();
        let of = series.filter(|s| s.metric == Metric::PacketDropCountNoRoute && matches!(s.of, Metered::Gateway(_)));
        of.flat_map(|s| &s.points).map(|point| point.sum).sum()
    };
    assert_eq!(sum(&[], "packets-lost-no-route") as f64, counted);
    assert!(counted > 0.0, "before BGP there is no route");
    assert!(
        mistakes("ecmp_conditions", &["flow_logs={\"tgw\": (of: \"tgw\", traffic: \"REJECT\")}"])
            .contains("no traffic type")
    );
    assert!(
        mistakes("ecmp_conditions", &["flow_logs={\"tgw\": (of: \"tgw\", max_aggregation_interval: \"600s\")}"])
            .contains("has 60s, not 600s")
    );
}

/// A flow log observes: the world is the same without it.
#[test]
fn a_flow_log_changes_nothing() {
    let with = outcome("flow_logs_of_drops", &[]).report;
    let without = outcome("flow_logs_of_drops", &["flow_logs={}"]).report;
    assert_eq!(with.digest, without.digest);
}

/// Mistakes are explained with the nearest right name.
#[test]
fn mistakes_in_flow_logs_are_explained() {
    let table: &[(&[&str], &str)] = &[
        (&["flow_logs.all.of=vpcc"], "did you mean `vpc`?"),
        (&["flow_logs.all.of=vpc.ap"], "did you mean `vpc.app`?"),
        (&["flow_logs.all.of=cgw"], "is called `cgw`"),
        (&["flow_logs.all.traffic=all"], "did you mean `ALL`?"),
        (&["flow_logs.all.format=${srcadr}"], "did you mean `srcaddr`?"),
        (&["flow_logs.all.format=srcaddr"], "expected fields like ${srcaddr}"),
        (&["flow_logs.all.format=\"\""], "at least one field"),
        (&["flow_logs.all.format=${tgw-id}"], "no field is called `tgw-id`"),
        (&["expect.quiet.log=everything"], "no flow log is called `everything`"),
        (&["expect.quiet.fields=[\"log-statuss=OK\"]"], "did you mean `log-status`?"),
        (&["expect.quiet.fields=[\"OK\"]"], "expected a field and its value"),
    ];
    for (changes, says) in table {
        let said = mistakes("flow_logs_of_drops", changes);
        assert!(said.contains(says), "{changes:?}: {said}");
    }
}
