//! AWS's tunnel logs: every string that AWS documents and our machines can provoke is provoked and compared with it, and each
//! misconfiguration is named with what both ends have.

use sim_scenarios::report::Outcome;
use sim_scenarios::report::model::Misconfiguration;
use sim_scenarios::report::text;
use sim_scenarios::report::tunnel_log::TunnelLog;
use sim_scenarios::{NoSecrets, Simulation};

mod ikev1;
#[path = "../shared/mod.rs"]
mod shared;

const TUNNEL: &str = "connections.vpn.tunnels.a";

/// The library's scenario with these changes, "TUNNEL" being tunnel a, run to its end.
fn run(name: &str, changes: &[&str]) -> Outcome {
    let (_, text) = shared::texts().into_iter().find(|(other, _)| other == name).expect("it is in the library");
    let changes: Vec<String> = changes.iter().map(|change| change.replace("TUNNEL", TUNNEL)).collect();
    let scenario = shared::parse(name, &text).with(&changes, &NoSecrets);
    Simulation::new(&scenario.unwrap_or_else(|mistakes| panic!("{mistakes}"))).finish()
}

fn log(outcome: &Outcome) -> &TunnelLog {
    &outcome.detail.logs[0]
}

/// The details of tunnel a's log, in order.
fn details(outcome: &Outcome) -> Vec<&str> {
    log(outcome).lines.iter().map(|line| line.details.as_str()).collect()
}

/// How often a line reads exactly like this.
fn count(outcome: &Outcome, line: &str) -> usize {
    details(outcome).iter().filter(|other| **other == line).count()
}

fn misconfiguration<'a>(outcome: &'a Outcome, setting: &str) -> &'a Misconfiguration {
    let all = &outcome.report.misconfigurations;
    let found = all.iter().find(|m| m.setting == setting && m.tunnel == "vpn.a");
    found.unwrap_or_else(|| panic!("no {setting} in {all:#?}"))
}

/// The first attempt at IKE_AUTH with two keys: the mismatch is noticed, then answered. 36 ms are three crossings of 12 ms.
#[test]
fn two_pre_shared_keys() {
    let outcome = run("wrong_psk", &["duration=61s", "probes.app.start=1s", "expect={}", "control=[]"]);
    let text = log(&outcome).text();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    let expected = serde_json::json!({
        "event_timestamp": 36,
        "timestamp": "1970-01-01 00:00:00.036Z",
        "dpd_enabled": true,
        "nat_t_detected": false,
        "ike_phase1_state": "negotiating",
        "ike_phase2_state": "down",
        "details": "AWS tunnel detected a pre-shared key mismatch with cgw: 203.0.113.10",
    });
    assert_eq!(first, expected);
    assert_eq!(details(&outcome)[1], "AWS tunnel is sending AUTHENTICATION_FAILED as the response");
    let found = misconfiguration(&outcome, "pre_shared_key");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("hidden", "hidden"));
    for secret in ["key.of.tunnel.a", "key.of.tunnel.b"] {
        assert!(!outcome.report.to_json().contains(secret) && !text.contains(secret), "a key is printed");
    }
}

/// AWS says who it is after the customer gateway has; so its own refusal knows the identity, and the customer gateway's does.
#[test]
fn an_identity_that_is_not_expected() {
    let short = ["duration=61s", "probes.app.start=1s", "expect={}", "control=[]"];
    let key = "TUNNEL.customer.pre_shared_key=key.of.tunnel.a";
    let outcome = run("wrong_psk", &[&short[..], &[key, "TUNNEL.customer.id=cgw.example"]].concat());
    assert_eq!(details(&outcome)[0], "AWS tunnel is sending AUTHENTICATION_FAILED as the response");
    assert!(details(&outcome).iter().all(|line| !line.contains("pre-shared")), "the keys are equal");
    let found = misconfiguration(&outcome, "id");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("203.0.113.10", "cgw.example"));

    let outcome = run("wrong_psk", &[&short[..], &[key, "TUNNEL.customer.expected_id=192.0.2.7"]].concat());
    let found = misconfiguration(&outcome, "id");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("198.51.100.10", "192.0.2.7"));
}

#[test]
fn no_proposal_in_either_phase() {
    let short = ["duration=61s", "probes.app.start=1s", "expect={}", "control=[]"];
    let outcome = run("wrong_proposal", &short);
    let refusal = ["No Proposal Match Found by AWS", "No Proposal Match Found. Notifying with \"No proposal chosen\""];
    assert_eq!(details(&outcome)[..2], refusal);
    let found = misconfiguration(&outcome, "phase1");
    assert_eq!(found.aws, "AES256-GCM-16 with SHA1, SHA2-256, SHA2-384, SHA2-512 and group 20");
    assert_eq!(found.customer, "AES128 with SHA1 and group 2");

    let mut changes = short.to_vec();
    changes.extend(["TUNNEL.phase1.encryption=[\"AES128\"]", "TUNNEL.phase1.dh_groups=[2]"]);
    changes.extend(["TUNNEL.phase2=(encryption: [\"AES128\"])", "TUNNEL.customer.phase2=(encryption: [\"AES256\"])"]);
    let outcome = run("wrong_proposal", &changes);
    let kept = "AWS tunnel Phase 2 was unable to establish while keeping Phase 1";
    assert_eq!(details(&outcome)[..3], [refusal[0], refusal[1], kept]);
    assert_eq!(log(&outcome).lines[2].ike_phase1_state, "established");
    assert_eq!(log(&outcome).lines[2].ike_phase2_state, "down");
    let found = misconfiguration(&outcome, "phase2");
    assert!(found.aws.starts_with("AES128 with ") && found.customer.starts_with("AES256 with "), "{found:?}");
}

/// AWS requires an additional key exchange that the customer gateway does not offer: nothing comes up in phase 1, and nothing is
/// rekeyed in phase 2.
#[test]
fn an_additional_key_exchange_that_one_end_has_alone() {
    let ends = ["expect={}", "control=[]", "duration=900s"];
    let without = |phase: &str| format!("connections.vpn.tunnels.a.customer.{phase}.additional_key_exchanges=[]");
    for (phase, details) in [
        ("phase1", "No Proposal Match Found by AWS"),
        ("phase2", "AWS tunnel Phase 2 was unable to establish while keeping Phase 1"),
    ] {
        let change = without(phase);
        let mut changes = ends.to_vec();
        changes.push(&change);
        let outcome = run("post_quantum", &changes);
        let found = misconfiguration(&outcome, &format!("{phase}.additional_key_exchanges"));
        assert_eq!((found.aws.as_str(), found.customer.as_str()), ("round 1 (36, required)", "none"));
        assert_eq!(found.log.as_deref(), Some(details));
    }
    // Optional at AWS's end, it is left out, and all is well.
    let (optional, none) = (
        "connections.vpn.tunnels.a.phase1.additional_key_exchanges=\
         [(round: 1, key_exchange_methods: [36], requirement: \"optional\")]",
        without("phase1"),
    );
    let mut changes = vec!["expect={}", "control=[]", "duration=10s", optional];
    changes.push(&none);
    assert!(run("post_quantum", &changes).report.misconfigurations.is_empty());
}

/// Refused by AWS as responder, and by the customer gateway when AWS begins.
#[test]
fn selectors_that_do_not_meet() {
    let line = "AWS: Traffic Selector: TS_UNACCEPTABLE: received from responder";
    let short = ["duration=31s", "probes.app.start=1s", "expect={}", "control=[]"];
    let outcome = run("wrong_selector", &short);
    assert_eq!(details(&outcome)[0], line);
    let found = misconfiguration(&outcome, "traffic_selectors");
    assert_eq!(found.aws, "10.0.0.0/16 at AWS and 10.1.0.0/16 at the customer");
    assert_eq!(found.customer, "10.0.0.0/16 at AWS and 10.9.0.0/16 at the customer");

    let begins = ["TUNNEL.startup_action=start", "TUNNEL.customer.startup_action=add"];
    let outcome = run("wrong_selector", &[&short[..], &begins].concat());
    assert_eq!(details(&outcome)[0], line);
    assert_eq!(details(&outcome)[1], "AWS tunnel Phase 2 was unable to establish while keeping Phase 1");
}

/// All four lines of CREATE_CHILD_SA: the customer gateway rekeys, then AWS does.
#[test]
fn rekeys_from_either_end() {
    let life = ["expect={}", "control=[]", "TUNNEL.rekey_fuzz=0%"];
    let outcome = run("rekey_under_load", &[&life[..], &["duration=1000s"]].concat());
    let ours: Vec<&str> = details(&outcome);
    let numbered = |begin: &str, end: &str| ours.iter().any(|l| l.starts_with(begin) && l.ends_with(end));
    let of = ") for CREATE_CHILD_SA";
    assert!(numbered("AWS tunnel is sending request (id=", of), "{ours:#?}");
    assert!(numbered("AWS tunnel processed response (id=", of), "{ours:#?}");
    let later = ["TUNNEL.customer.rekey_margin=120s", "TUNNEL.customer.rekey_fuzz=0%", "duration=1000s"];
    let outcome = run("rekey_under_load", &[&life[..], &later].concat());
    let theirs: Vec<&str> = details(&outcome);
    let spi = theirs.iter().find_map(|l| l.strip_prefix("AWS tunnel received DELETE for Phase 2 SA with SPI: "));
    assert!(theirs[0].starts_with("AWS tunnel processed request (id=") && theirs[0].ends_with(of), "{theirs:#?}");
    assert!(theirs[1].starts_with("AWS tunnel is sending response (id=") && theirs[1].ends_with(of), "{theirs:#?}");
    let hexadecimal = |spi: &str| spi.len() == 8 && spi.chars().all(|c| c.is_ascii_hexdigit());
    assert!(spi.is_some_and(hexadecimal), "{theirs:#?}");
}

/// The customer gateway deletes the SA while AWS's request to rekey it is on its way: AWS asks 840 s after it made the SA, the
/// customer gateway's copy is 12 ms younger and lives 839.99 s. No rekey of its own saves it, because the PFS groups differ.
#[test]
fn a_delete_that_crosses_a_rekey() {
    let outcome = run(
        "pfs_mismatch_at_rekey",
        &[
            "duration=850s",
            "expect={}",
            "control=[]",
            "TUNNEL.rekey_fuzz=0%",
            "TUNNEL.customer.phase2.lifetime=839.99s",
            "TUNNEL.customer.rekey_margin=1s",
        ],
    );
    assert_eq!(
        count(&outcome, "AWS tunnel detected a (CHILD_REKEY) collision as CHILD_DELETE"),
        1,
        "{:#?}",
        details(&outcome)
    );
}

/// RFC 7296 section 2.8.1: both ends rekey at once, the customer gateway 8 ms before AWS on a path of 12 ms, and of the two new SAs the one with
/// the lowest nonce goes, deleted by who made it. So AWS says it in some worlds, once, and in others the customer gateway does.
#[test]
fn rekeys_that_cross_leave_one_sa() {
    let said = |seed: u64| {
        let seed = format!("seed={seed}");
        let changes = [
            "duration=1000s",
            "expect={}",
            "control=[]",
            "probes={}",
            "TUNNEL.rekey_fuzz=0%",
            "TUNNEL.customer.rekey_fuzz=0%",
            "TUNNEL.customer.rekey_margin=60.02s",
            "TUNNEL.rekey_margin=60s",
            &seed,
        ];
        let outcome = run("rekey_under_load", &changes);
        count(&outcome, "AWS tunnel (CHILD_SA) redundant SA is being deleted due to detected collision")
    };
    let said: Vec<usize> = (1..9).map(said).collect();
    assert!(said.contains(&0) && said.contains(&1) && said.iter().all(|times| *times < 2), "{said:?}");
}

/// The session is there and falls silent: 40 s after the last packet, with probes sent again every 10 s.
#[test]
fn a_dead_peer() {
    let outcome = run("static_active_passive", &["duration=500s", "expect={}", "control=[]", "faults.cut.heal=499s"]);
    let dead: Vec<&str> = details(&outcome).into_iter().filter(|line| line.contains("DPD")).collect();
    assert_eq!(dead, ["AWS tunnel DPD timed out after 2 retransmits"]);
}

/// IKE_SA_INIT enters the path at 2 ms and reaches AWS at 12 ms. A cut at 11 ms takes the answer, one at 13 ms takes IKE_AUTH, and one
/// at the start takes everything: of that AWS knows nothing.
#[test]
fn a_handshake_that_nobody_completes() {
    let timeout = "AWS tunnel Timeout: deleting un-established Phase 1 IKE_SA with cgw: 203.0.113.10";
    let cut = |at: &str| {
        let at = format!("faults.cut.at={at}");
        run("static_active_passive", &["duration=200s", "expect={}", "control=[]", "faults.cut.heal=199s", &at])
    };
    for (at, text) in [
        ("11ms", "IKE_SA_INIT of the customer gateway reached AWS, but no answer came back"),
        ("13ms", "IKE_SA_INIT succeeded, but IKE_AUTH of the customer gateway got no answer"),
    ] {
        let outcome = cut(at);
        let line = &log(&outcome).lines[0];
        assert_eq!((line.details.as_str(), line.ike_phase1_state), (timeout, "negotiating"));
        // The half-open timeout of 30 s counts from the request.
        assert_eq!(line.event_timestamp, 30_012);
        let found = misconfiguration(&outcome, "path");
        assert!(found.text.starts_with(text), "{found:?}");
        assert_eq!(found.log.as_deref(), Some(timeout));
    }
    let outcome = cut("0s");
    let found = misconfiguration(&outcome, "path");
    assert!(found.text.starts_with("no IKE_SA_INIT of the customer gateway reached AWS"), "{found:?}");
    assert_eq!(found.log, None, "AWS cannot log what never arrives");
    assert_eq!(details(&outcome), [""; 0]);
}

/// A path that dies under a tunnel that was up is a fault, and no setting of the tunnel's ends.
#[test]
fn a_fault_is_no_misconfiguration() {
    let outcome = run("static_active_passive", &[]);
    assert!(outcome.report.misconfigurations.is_empty(), "{:#?}", outcome.report.misconfigurations);
}

#[test]
fn the_customer_gateway_says_goodbye() {
    let changes =
        ["duration=400s", "expect={}", "control=[]", "faults.delete.what.by=customer", "faults.delete.heal=399s"];
    let outcome = run("graceful_delete", &changes);
    assert_eq!(count(&outcome, "AWS tunnel received DELETE for IKE_SA from CGW"), 1, "{:#?}", details(&outcome));
}

/// AWS's end keeps a lifetime that the customer gateway does not: the one that ran out first is named.
#[test]
fn a_shorter_lifetime_at_one_end() {
    let changes = [
        "duration=700s",
        "expect={}",
        "control=[]",
        "TUNNEL.customer.phase2.lifetime=600s",
        "TUNNEL.customer.rekey_margin=60s",
    ];
    let outcome = run("pfs_mismatch_at_rekey", &changes);
    let found = misconfiguration(&outcome, "phase2_lifetime");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("900s", "600s"));
}

/// The library's NAT in front of a firewall: IKE_SA_INIT passes on 500, IKE_AUTH does not on 4500.
#[test]
fn udp_4500_is_blocked() {
    let outcome = run("nat_t_4500_blocked", &[]);
    let found = misconfiguration(&outcome, "path");
    assert!(found.text.ends_with("UDP 4500 is blocked."), "{found:?}");
    assert!(found.log.as_ref().is_some_and(|line| line.starts_with("AWS tunnel Timeout: deleting")), "{found:?}");
    assert!(log(&outcome).lines[0].nat_t_detected);
}

/// A path that drops IP fragments. IKE_SA_INIT that is too long never reaches AWS, so AWS logs nothing. IKE_AUTH that is too long
/// leaves a half-open IKE_SA, if one of the ends does not fragment it itself; and nobody is blamed if both do.
#[test]
fn ip_fragments_are_dropped() {
    let outcome = run("ike_fragments_dropped", &["duration=170s", "expect={}", "control=[]"]);
    let found = misconfiguration(&outcome, "path");
    assert!(found.text.starts_with("IKE_SA_INIT of the customer gateway is too long for one packet, and path-a drops"));
    assert!(found.text.contains("cannot help"), "{found:?}");
    assert_eq!((found.log.as_ref(), details(&outcome).len()), (None, 0));
    assert!(!outcome.report.misconfigurations.iter().any(|m| m.tunnel == "vpn.b"));

    for end in ["TUNNEL.ike_fragmentation=false", "TUNNEL.customer.ike_fragmentation=false"] {
        let changes = [
            "duration=170s",
            "expect={}",
            "control=[]",
            "TUNNEL.customer.phase1=(encryption: [\"AES256\"], integrity: [\"SHA2-256\"], dh_groups: [14])",
            end,
        ];
        let outcome = run("ike_fragments_dropped", &changes);
        let found = misconfiguration(&outcome, "path");
        assert!(
            found.text.starts_with("IKE_AUTH of the customer gateway is too long for one packet, and path-a drops")
        );
        assert!(found.text.contains("at both ends would avoid"), "{found:?}");
        let half_open = "AWS tunnel Timeout: deleting un-established Phase 1 IKE_SA with cgw: 203.0.113.10";
        assert_eq!(found.log.as_deref(), Some(half_open));
        assert_eq!(count(&outcome, half_open), 1, "{:#?}", details(&outcome));
    }
}

/// Nobody notices but the filter: no line in AWS's log, and the answer names the filter.
#[test]
fn ip_protocol_50_is_blocked() {
    let outcome = run("esp_without_natt_blocked", &["duration=90s", "expect={}", "control=[]"]);
    let found = misconfiguration(&outcome, "path");
    assert!(found.text.starts_with("both ends are up, but fw drops their ESP"), "{found:?}");
    assert_eq!((found.log.as_ref(), details(&outcome).len()), (None, 0));
    let open = ["duration=90s", "expect={}", "control=[]", "nodes.fw.filter.esp.enabled=false"];
    let outcome = run("esp_without_natt_blocked", &open);
    assert!(outcome.report.misconfigurations.is_empty(), "{:#?}", outcome.report.misconfigurations);
}

#[test]
fn a_line_has_exactly_awss_fields_in_either_form() {
    let short = ["duration=61s", "probes.app.start=1s", "expect={}", "control=[]"];
    let json = run("wrong_psk", &short);
    assert_eq!(log(&json).stream, "vpn_198.51.100.10-IKE.log");
    let fields = "event_timestamp timestamp dpd_enabled nat_t_detected ike_phase1_state ike_phase2_state details";
    for line in log(&json).text().lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        let mut keys: Vec<&String> = value.as_object().expect("an object").keys().collect();
        let mut names: Vec<&str> = fields.split(' ').collect();
        keys.sort();
        names.sort_unstable();
        assert_eq!(keys, names);
        let at = |name: &str| line.find(&format!("\"{name}\":")).expect("it is there");
        assert!(fields.split(' ').map(at).is_sorted(), "{line}");
    }
    let plain = run("wrong_psk", &[&short[..], &["TUNNEL.log_output_format=text"]].concat());
    let expected = "36 1970-01-01 00:00:00.036Z true false negotiating down AWS tunnel detected a pre-shared key mismatch with cgw: \
                    203.0.113.10";
    assert_eq!(log(&plain).text().lines().next(), Some(expected));
}

/// The answer at the top names both ends' values and AWS's line.
#[test]
fn the_answer_explains() {
    let outcome = run("pfs_mismatch_at_rekey", &[]);
    let answer = text::render_answer(&outcome, text::Layout::default());
    let answer = answer.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        answer.contains(
            "no Diffie-Hellman group for PFS fits both ends: AWS has group 14, the customer gateway group 2."
        ),
        "{answer}"
    );
    assert!(answer.contains("AWS logs: AWS tunnel Phase 2 was unable to establish while keeping Phase 1."), "{answer}");
}

/// The library's scenario of certificates with tunnel a changed, its first minute alone.
fn with_certificates(changes: &[&str]) -> Outcome {
    let minute = ["duration=61s", "probes.app.start=1s", "expect={}", "control=[]"];
    run("certificates", &[&minute, changes].concat())
}

/// The customer gateway's certificate comes from a CA that AWS does not trust: AWS has one string for it. The scenario begins at
/// 2026-11-25 10:00:00 UTC, and IKE_AUTH arrives after three crossings of 12 ms.
#[test]
fn a_certificate_of_an_unknown_ca() {
    let change = "TUNNEL.customer.authentication=Certificate(issuer: \"rogue\")";
    let outcome = with_certificates(&[change]);
    let first = &log(&outcome).lines[0];
    assert_eq!(first.details, "AWS tunnel is sending AUTHENTICATION_FAILED as the response");
    assert_eq!(first.timestamp, "2026-11-25 10:00:00.036Z");
    let found = misconfiguration(&outcome, "certificate");
    assert_eq!(found.aws, "trusts O=private-ca, CN=private-ca root");
    assert_eq!(found.customer, "issued by O=rogue, CN=rogue subordinate");
    assert_eq!(found.log.as_deref(), Some("AWS tunnel is sending AUTHENTICATION_FAILED as the response"));
}

/// The customer gateway says who it is, and its certificate says otherwise (RFC 7296 section 4).
#[test]
fn an_identity_that_is_not_in_the_certificate() {
    let outcome = with_certificates(&["TUNNEL.customer.id=CN=somebody"]);
    assert_eq!(details(&outcome)[0], "AWS tunnel is sending AUTHENTICATION_FAILED as the response");
    let found = misconfiguration(&outcome, "id");
    assert_eq!(found.customer, "CN=somebody");
    assert!(found.text.contains("but its certificate is one of CN=cgw"), "{}", found.text);
}

/// The customer gateway trusts somebody else, or expects somebody else: AWS hears of it, and has no string for it.
#[test]
fn a_customer_gateway_that_does_not_believe_aws() {
    let outcome = with_certificates(&["TUNNEL.customer.authentication=Certificate(ca: \"rogue\")"]);
    let found = misconfiguration(&outcome, "certificate");
    assert_eq!(found.customer, "trusts O=rogue, CN=rogue root");
    assert_eq!(found.log, None);
    let outcome = with_certificates(&["TUNNEL.customer.expected_id=CN=vpn.endpoint-1"]);
    let found = misconfiguration(&outcome, "id");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("CN=vpn.endpoint-0", "CN=vpn.endpoint-1"));
}

#[test]
fn a_certificate_at_one_end_and_a_pre_shared_key_at_the_other() {
    let outcome = with_certificates(&["TUNNEL.customer.authentication=PreSharedKey()"]);
    assert_eq!(details(&outcome)[0], "AWS tunnel is sending AUTHENTICATION_FAILED as the response");
    let found = misconfiguration(&outcome, "authentication");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("a certificate", "a pre-shared key"));
}
