//! Our customer gateway calls a real responder: strongSwan in a namespace, and our own endpoint as another program.

use serde_json::Value;
use sim_core::proto::ike::config::IkeVersion;

use crate::live::{APP, ENDPOINT, OFFICE, OUTSIDE, PSK, Program, free_ports};
use crate::network::isolated;
use crate::process::{Outcome, expect};
use crate::strongswan::{StrongSwan, Suite, THEIRS, aes256_gcm_ecp256, aws_default};

const SCENARIO: &str = include_str!("call.ron");
/// The scenario without its fault, for as long as a handshake and some pings take on a busy machine.
const QUIET: &str = "--set faults={} --set expect={} --duration 12s";

/// What the report says of the probes that went there and back: sent and answered.
fn round_trips(report: &Value) -> Outcome<(u64, u64)> {
    let all = report["probes"].as_array().into_iter().flatten();
    let found = all.filter(|probe| probe["direction"] == "round_trip").find_map(|probe| {
        let number = |key: &str| probe[key].as_u64();
        Some((number("sent")?, number("received")?))
    });
    found.ok_or_else(|| format!("no round trips in {}", report["probes"]))
}

fn answered(report: &Value, at_least: u64) -> Outcome {
    match round_trips(report)? {
        (_, received) if received >= at_least => Ok(()),
        (sent, received) => Err(format!("{received} of {sent} pings were answered, not {at_least}")),
    }
}

/// Two programs, each with the other for its real device.
#[test]
fn our_gateway_calls_our_endpoint() {
    let both = || -> Outcome {
        let (ports, own) = (free_ports()?, free_ports()?);
        let aws = format!("--external cgw --listen 127.0.0.1 --ike-port {} --nat-port {}", ports[0], ports[1]);
        let mut aws = Program::with(SCENARIO, &format!("{aws} {QUIET}"), str::to_owned)?;
        let gateway = format!("--external vgw --listen 127.0.0.1 --ike-port {} --nat-port {}", own[0], own[1]);
        let peer = format!("--peer 127.0.0.1:{},{}", ports[0], ports[1]);
        let mut gateway = Program::with(SCENARIO, &format!("{gateway} {peer} {QUIET}"), str::to_owned)?;
        let report = gateway.report()?;
        answered(&report, 20)?;
        expect(&report["sessions"].to_string(), &["vpn.a@cgw", "authenticated"])?;
        let other = aws.report()?;
        expect(&other["sessions"].to_string(), &["vpn.a@aws", "authenticated"])
    };
    both().unwrap_or_else(|why| panic!("{why}"));
}

/// strongSwan answers, a ping crosses to an address of its machine, the path goes silent, the gateway's dead peer detection
/// notices and calls again; the replay needs no strongSwan.
#[test]
fn strongswan_answers_and_the_path_goes_silent() {
    responder("call::strongswan_answers_and_the_path_goes_silent", &aws_default(), "", |report| {
        expect(&report["expectations"].to_string(), &["at the customer gateway's end at", "at cgw after"])?;
        expect(&report["outages"].to_string(), &["\"fault\":\"cut\"", "round_trip"])?;
        answered(report, 200)
    });
}

/// strongSwan wants another group than the first that is offered.
#[test]
fn strongswan_answers_with_another_group() {
    responder("call::strongswan_answers_with_another_group", &aes256_gcm_ecp256(), QUIET, |report| {
        answered(report, 50)
    });
}

fn responder(test: &str, suite: &Suite, arguments: &str, judge: impl FnOnce(&Value) -> Outcome) {
    isolated(test, || {
        let strongswan = StrongSwan::start([OFFICE, APP])?;
        strongswan.load_as([OUTSIDE, ENDPOINT], 500, suite, IkeVersion::V2, PSK, false)?;
        let arguments = format!("--external vgw --peer {THEIRS} {arguments}");
        let called = || {
            let mut program = Program::with(SCENARIO, &arguments, str::to_owned)?;
            judge(&program.report()?)
        };
        called().map_err(|e| format!("{e}\n--- strongSwan\n{}", strongswan.log()))
    });
}
