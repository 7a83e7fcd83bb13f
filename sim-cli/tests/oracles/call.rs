//! Our customer gateway calls a real responder: strongSwan in a namespace, and our own endpoint as another program.

use serde_json::Value;

use crate::captures::judge_live;
use crate::live::{APP, ENDPOINT, OFFICE, OUTSIDE, PSK, Program, free_ports};
use crate::network::{Namespace, isolated};
use crate::process::{Outcome, expect, run_line};
use crate::strongswan::{OURS, StrongSwan, THEIRS};

pub const SCENARIO: &str = include_str!("call.ron");
/// The scenario without its fault, for as long as a handshake and some pings take on a busy machine.
pub const QUIET: &str = "--set faults={} --set expect={} --duration 12s";

/// What the report says of the probes that went there and back: sent and answered.
fn round_trips(report: &Value) -> Outcome<(u64, u64)> {
    let all = report["probes"].as_array().into_iter().flatten();
    let found = all.filter(|probe| probe["direction"] == "round_trip").find_map(|probe| {
        let number = |key: &str| probe[key].as_u64();
        Some((number("sent")?, number("received")?))
    });
    found.ok_or_else(|| format!("no round trips in {}", report["probes"]))
}

pub fn answered(report: &Value, at_least: u64) -> Outcome {
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
    responder(
        "call::strongswan_answers_and_the_path_goes_silent",
        ["aes128-sha1-modp1024", "aes128-sha1-modp1024"],
        "",
        |report| {
            expect(&report["expectations"].to_string(), &["at the customer gateway's end at", "at cgw after"])?;
            expect(&report["outages"].to_string(), &["\"fault\":\"cut\"", "round_trip"])?;
            answered(report, 200)
        },
    );
}

/// strongSwan wants another group than the first that is offered.
#[test]
fn strongswan_answers_with_another_group() {
    responder(
        "call::strongswan_answers_with_another_group",
        ["aes256gcm16-prfsha256-ecp256", "aes256gcm16-ecp256"],
        QUIET,
        |report| answered(report, 50),
    );
}

/// A head end: what AWS's end is told is nobody's export.
const HEAD_END: &str = "
connections {
    head {
        version = 2
        local_addrs = @THEIRS@
        remote_addrs = @OURS@
        proposals = @IKE@
        dpd_delay = 60s
        mobike = no
        local { auth = psk
            id = @ENDPOINT@ }
        remote { auth = psk
            id = @OUTSIDE@ }
        children {
            net {
                local_ts = 0.0.0.0/0
                remote_ts = 0.0.0.0/0
                esp_proposals = @ESP@
            }
        }
    }
}
secrets { ike-head { secret = \"@PSK@\" } }
";

/// Its configuration at `theirs`, towards `ours`, with these proposals of IKE and ESP.
pub fn head_end([theirs, ours]: [&str; 2], [ike, esp]: [&str; 2]) -> String {
    let ids = [OUTSIDE, ENDPOINT].map(|id| id.to_string());
    let all = [
        ("@IKE@", ike),
        ("@ESP@", esp),
        ("@PSK@", PSK),
        ("@OURS@", ours),
        ("@THEIRS@", theirs),
        ("@OUTSIDE@", &ids[0]),
        ("@ENDPOINT@", &ids[1]),
    ];
    all.iter().fold(HEAD_END.to_owned(), |text, (at, it)| text.replace(at, it))
}

/// strongSwan, which allows these proposals of IKE and ESP, is called by the scenario's gateway.
fn responder(test: &str, proposals: [&str; 2], arguments: &str, judge: impl FnOnce(&Value) -> Outcome) {
    isolated(test, || {
        let strongswan = StrongSwan::start([OFFICE, APP])?;
        let ends = [THEIRS, OURS].map(|end| end.to_string());
        let text = head_end([&ends[0], &ends[1]], proposals);
        let file = strongswan.directory().join("swanctl.conf");
        std::fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        strongswan.load(&file)?;
        let arguments = format!("--external vgw --peer {THEIRS} {arguments}");
        let called = || {
            let mut program = Program::with(SCENARIO, &arguments, str::to_owned)?;
            let report = program.report()?;
            judge_live(&program.answer(), "vpn.a")?;
            judge(&report)
        };
        called().map_err(|e| format!("{e}\n--- strongSwan\n{}", strongswan.log()))
    });
}

/// Two programs, each in a network namespace with the outside address that it has in the scenario: no NAT is found, and ESP
/// travels as a protocol of IP, through raw sockets. (strongSwan would need a kernel with ESP for that.)
#[test]
fn esp_without_udp_crosses_raw_sockets() {
    isolated("call::esp_without_udp_crosses_raw_sockets", || {
        let namespace = Namespace::new()?;
        namespace.connect(&format!("{OUTSIDE}/24"), &format!("{ENDPOINT}/24"))?;
        run_line("ip route add 198.51.100.0/24 dev wire0")?;
        namespace.run("ip route add 203.0.113.0/24 dev wire0")?;
        let mut aws = Program::with(SCENARIO, &format!("--external cgw --native-esp {QUIET}"), |l| namespace.line(l))?;
        let gateway = format!("--external vgw --native-esp {QUIET}");
        let mut gateway = Program::with(SCENARIO, &gateway, str::to_owned)?;
        answered(&gateway.report()?, 50)?;
        aws.report()?;
        judge_live(&gateway.answer(), "vpn.a")?;
        judge_live(&aws.answer(), "cgw")?;
        let capture = gateway.answer().join("uplink.pcapng");
        let bare = |filter: &str| {
            let seen = run_line(&format!("tshark -n -r {} -Y {filter}", capture.display()))?;
            Ok::<_, String>(seen.lines().count())
        };
        match (bare("ip.proto==50")?, bare("udp.port==4500")?) {
            (100.., 0) => Ok(()),
            (esp, udp) => Err(format!("{esp} packets of ESP, {udp} in UDP")),
        }
    });
}
