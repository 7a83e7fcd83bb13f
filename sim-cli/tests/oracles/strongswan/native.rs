//! The tests over protocol 50: strongSwan with a kernel's ESP opposite `vpnsim live --native-esp`. Both ends have in reality the
//! addresses of the scenario, so no NAT is found and nothing is in UDP.

use std::io::Write as _;

use serde_json::Value;

use super::kernel::{Kernel, NativeStrongSwan};
use super::suite::Suite;
use super::suites::{IKEV1, IKEV2};
use crate::call;
use crate::captures::judge_live;
use crate::customer::Customer;
use crate::live::{APP, ENDPOINT, OFFICE, OUTSIDE, Program};
use crate::network::isolated;
use crate::process::{Outcome, expect, run_line, wait_for};

const SITE: &str = include_str!("../live.ron");
/// Selectors that leave alone what is not of the sites, as strongSwan's control socket is (`scenarios/endpoint_in_a_box.md`).
const SELECTORS: [&str; 2] =
    ["connections.vpn.local_ipv4_network_cidr=10.1.0.0/16", "connections.vpn.remote_ipv4_network_cidr=10.0.0.0/16"];
/// No fault, and pings from the VPC to the site, twenty a second.
const PINGS: &str = "--set faults.cut.enabled=false --set expect.cut.min=0 \
    --set probes={\"app\":IcmpEcho(from:\"app\",to:\"office\",start:\"2s\",every:\"50ms\")}";

/// Each kernel with ESP in turn, and a line that says which.
fn with_each_kernel(test: &str, mut body: impl FnMut(Kernel) -> Outcome) {
    isolated(test, || {
        let kernels = Kernel::all()?;
        let whose = match kernels.contains(&Kernel::Ours) {
            true => "this kernel's ESP, and user-mode Linux's",
            false => "user-mode Linux's ESP (this kernel has none)",
        };
        let _ = writeln!(std::io::stderr(), "{test}: over protocol 50, opposite {whose}");
        kernels.into_iter().try_for_each(|kernel| body(kernel).map_err(|e| format!("{kernel:?}: {e}")))
    });
}

#[test]
fn strongswan_initiates_over_protocol_50() {
    with_each_kernel("strongswan::native::strongswan_initiates_over_protocol_50", |kernel| {
        each(kernel, "ikev2", &IKEV2)
    });
}

#[test]
fn strongswan_initiates_ikev1_over_protocol_50() {
    with_each_kernel("strongswan::native::strongswan_initiates_ikev1_over_protocol_50", |kernel| {
        each(kernel, "ikev1", &IKEV1)
    });
}

/// A site with strongSwan, and AWS by `vpnsim live`, with one suite after the other.
fn each(kernel: Kernel, ike: &str, suites: &[Suite]) -> Outcome {
    let strongswan = NativeStrongSwan::start(kernel, ENDPOINT, OUTSIDE, OFFICE)?;
    for suite in suites {
        let lived = site(&strongswan, ike, suite);
        lived.map_err(|e| strongswan.explain(format!("{}: {e}", suite.ike_report())))?;
    }
    Ok(())
}

/// Up, pings, a rekey of the CHILD_SA with perfect forward secrecy, pings, a DELETE; then the captures and the replay.
fn site(strongswan: &NativeStrongSwan, ike: &str, suite: &Suite) -> Outcome {
    let version = vec![format!("connections.vpn.tunnels.a.ike_versions=[\"{ike}\"]")];
    let changes = [suite.changes(), SELECTORS.map(str::to_owned).to_vec(), version].concat();
    let customer = Customer::of(SITE, &changes)?;
    let config = customer.export("swanctl", "--policy-based")?;
    let changes: String = changes.iter().map(|change| format!(" --set {change}")).collect();
    let mut program = Program::with(SITE, &format!("--native-esp {PINGS} {changes}"), str::to_owned)?;
    strongswan.load(&config)?;
    let bare = |report: String| report.replace("TUNNEL-in-UDP", "TUNNEL");
    wait_for("strongSwan's SAs", || {
        let version = if ike == "ikev1" { "ESTABLISHED, IKEv1" } else { "ESTABLISHED, IKEv2" };
        expect(&strongswan.sas()?, &[version, "INSTALLED", &suite.ike_report(), &bare(suite.esp_report(ike))])
    })?;
    let first = wait_for("twenty packets each way", || carried(&strongswan.sas()?, 20))?;
    strongswan.swanctl("--rekey --child vpn-a")?;
    // With IKEv1 strongSwan lists the one that was replaced for a while.
    wait_for("twenty packets each way on another CHILD_SA", || {
        let report = strongswan.sas()?;
        expect(&report, &[&bare(suite.rekeyed_report())])?;
        if carried(&report, 20)? == first { Err(report) } else { Ok(()) }
    })?;
    strongswan.swanctl("--terminate --ike vpn-a")?;
    arrive();
    let report = program.end("INT")?;
    expect(&report["sessions"].to_string(), &["vpn.a@aws", "authenticated", "peer_deleted"])?;
    judge_live(&program.answer(), "cgw")?;
    without_udp(&program, &report)
}

/// IKEv1's DELETE is not answered (RFC 2408 section 3.15), so nothing tells that it has crossed from one kernel to the other.
#[allow(clippy::disallowed_methods, reason = "a datagram crosses in its own time")]
fn arrive() {
    std::thread::sleep(std::time::Duration::from_secs(1));
}

/// The inbound SPI of the youngest CHILD_SA, if the kernel has counted this many packets on it in each direction. A line of the
/// report is like `in  c893b3ca, 2400 bytes, 24 packets, 1s ago`.
fn carried(report: &str, at_least: u64) -> Outcome<String> {
    let youngest = |direction: &str| {
        let line = report.lines().rev().find_map(|line| line.trim().strip_prefix(direction))?;
        let (spi, counters) = line.trim().split_once(',')?;
        let (before, _) = counters.split_once(" packets")?;
        Some((spi.to_owned(), before.rsplit(' ').next()?.parse::<u64>().ok()?))
    };
    match (youngest("in "), youngest("out ")) {
        (Some((spi, inbound)), Some((_, outbound))) if inbound.min(outbound) >= at_least => Ok(spi),
        _ => Err(format!("not {at_least} packets each way:\n{report}")),
    }
}

/// Nothing was sealed into UDP, and the pings came back.
fn without_udp(program: &Program, report: &Value) -> Outcome {
    call::answered(report, 40)?;
    let capture = program.answer().join("uplink.pcapng");
    let seen = |filter: &str| {
        let lines = run_line(&format!("tshark -n -r {} -Y {filter}", capture.display()))?;
        Ok::<_, String>(lines.lines().count())
    };
    match (seen("ip.proto==50")?, seen("udp.port==4500")?) {
        (80.., 0) => Ok(()),
        (esp, udp) => Err(format!("{esp} packets of ESP, {udp} in UDP")),
    }
}

/// The other way: strongSwan plays AWS, and our customer gateway calls.
#[test]
fn strongswan_answers_over_protocol_50() {
    with_each_kernel("strongswan::native::strongswan_answers_over_protocol_50", |kernel| {
        let strongswan = NativeStrongSwan::start(kernel, OUTSIDE, ENDPOINT, APP)?;
        let ends = [ENDPOINT, OUTSIDE].map(|end| end.to_string());
        let file = strongswan.directory().join("swanctl.conf");
        let text = call::head_end([&ends[0], &ends[1]], ["aes256gcm16-prfsha256-ecp256", "aes256gcm16-ecp256"])
            .replace("local_ts = 0.0.0.0/0", "local_ts = 10.0.0.0/16")
            .replace("remote_ts = 0.0.0.0/0", "remote_ts = 10.1.0.0/16");
        std::fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        strongswan.load(&file)?;
        let changes: String = SELECTORS.iter().map(|change| format!(" --set {change}")).collect();
        let called = || {
            let arguments = format!("--external vgw --native-esp {} {changes}", call::QUIET);
            let mut program = Program::with(call::SCENARIO, &arguments, str::to_owned)?;
            let report = program.report()?;
            judge_live(&program.answer(), "vpn.a")?;
            without_udp(&program, &report)
        };
        called().map_err(|e| strongswan.explain(e))
    });
}
