//! IKEv1, which has six strings of its own: whatever AWS documents none for has an explanation all the same.

use super::{count, details, log, misconfiguration, run};

const UNDECIPHERABLE: &str = "AWS tunnel payload decryption was unsuccessful due to invalid Pre-shared Key";
const NO_PROPOSAL: &str = "No Proposal Match Found by AWS";
const NOTIFYING: &str = "No Proposal Match Found. Notifying with \"No proposal chosen\"";

/// The library's scenario with both ends of tunnel a in IKEv1 alone, and without its expectations.
fn v1(name: &str, changes: &[&str]) -> super::Outcome {
    let version =
        ["expect={}", "control=[]", "TUNNEL.ike_versions=[\"ikev1\"]", "TUNNEL.customer.ike_versions=[\"ikev1\"]"];
    run(name, &[&version[..], changes].concat())
}

/// Its first minute.
fn minute(name: &str, changes: &[&str]) -> super::Outcome {
    v1(name, &[&["duration=61s", "probes.app.start=1s"][..], changes].concat())
}

/// With AWS as initiator instead of the customer gateway.
const AWS_BEGINS: [&str; 2] = ["TUNNEL.startup_action=start", "TUNNEL.customer.startup_action=add"];

/// The fifth message does not decipher (RFC 2409 section 5.4: its key comes from the pre-shared key). When AWS begins, that is the
/// customer gateway's to notice, and AWS has nothing to log.
#[test]
fn two_pre_shared_keys() {
    let outcome = minute("wrong_psk", &[]);
    assert_eq!(details(&outcome)[0], UNDECIPHERABLE);
    assert_eq!(misconfiguration(&outcome, "pre_shared_key").log.as_deref(), Some(UNDECIPHERABLE));

    let outcome = minute("wrong_psk", &AWS_BEGINS);
    assert_eq!(misconfiguration(&outcome, "pre_shared_key").log, None);
    assert_eq!(details(&outcome), [""; 0]);
}

#[test]
fn no_proposal_in_phase_1() {
    let outcome = minute("wrong_proposal", &["TUNNEL.phase1.encryption=[\"AES256\"]"]);
    assert_eq!(details(&outcome)[0], NO_PROPOSAL);
    let found = misconfiguration(&outcome, "phase1");
    assert!(found.aws.starts_with("AES256 with "), "{found:?}");
    assert_eq!((found.customer.as_str(), found.log.as_deref()), ("AES128 with SHA1 and group 2", Some(NO_PROPOSAL)));
}

#[test]
fn no_proposal_in_phase_2() {
    let changes = [
        "TUNNEL.phase1.encryption=[\"AES128\"]",
        "TUNNEL.phase1.dh_groups=[2]",
        "TUNNEL.phase2=(encryption: [\"AES128\"])",
        "TUNNEL.customer.phase2=(encryption: [\"AES256\"])",
    ];
    let outcome = minute("wrong_proposal", &changes);
    assert_eq!(details(&outcome)[0], NOTIFYING);
    assert_eq!(
        (log(&outcome).lines[0].ike_phase1_state, log(&outcome).lines[0].ike_phase2_state),
        ("established", "down")
    );
    let found = misconfiguration(&outcome, "phase2");
    assert!(found.aws.starts_with("AES128 with ") && found.customer.starts_with("AES256 with "), "{found:?}");
}

/// With IKEv2 this shows at the first rekey; Quick Mode has a key exchange of its own from the first CHILD_SA on. It names one group
/// (RFC 2409 section 5.5), so the customer gateway's second choice does not help it.
#[test]
fn a_pfs_group_that_does_not_fit() {
    let outcome = minute("pfs_mismatch_at_rekey", &[]);
    assert_eq!(details(&outcome)[0], NOTIFYING);
    let found = misconfiguration(&outcome, "pfs_group");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("group 14", "group 2"));
    assert!(found.text.starts_with("no Diffie-Hellman group for PFS fits both ends"), "{found:?}");
    assert_eq!(found.log.as_deref(), Some(NOTIFYING));

    let outcome = minute("pfs_mismatch_at_rekey", &["TUNNEL.customer.phase2.dh_groups=[2, 14]"]);
    let found = misconfiguration(&outcome, "pfs_group");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("group 14", "groups 2, 14"));
    assert!(found.text.contains("Quick Mode offers one group alone, the first"), "{found:?}");
}

/// Refused by AWS, and by the customer gateway when AWS begins: INVALID-ID-INFORMATION while phase 1 is up (RFC 2409 section 5.5).
/// AWS documents TS_UNACCEPTABLE for IKEv2 alone.
#[test]
fn selectors_that_do_not_fit() {
    for begins in [&[][..], &AWS_BEGINS] {
        let outcome = minute("wrong_selector", begins);
        let found = misconfiguration(&outcome, "traffic_selectors");
        assert_eq!(found.aws, "10.0.0.0/16 at AWS and 10.1.0.0/16 at the customer");
        assert_eq!(found.customer, "10.0.0.0/16 at AWS and 10.9.0.0/16 at the customer");
        assert!(found.text.contains("IKEv1 does not narrow"), "{found:?}");
        assert_eq!((found.log.as_ref(), details(&outcome)), (None, vec![]));
        assert!(!outcome.report.misconfigurations.iter().any(|m| m.setting == "id" && m.tunnel == "vpn.a"));
    }
}

/// INVALID-ID-INFORMATION before phase 1 is up is about who somebody is. AWS documents AUTHENTICATION_FAILED for IKEv2 alone.
#[test]
fn an_identity_that_is_not_expected() {
    let key = "TUNNEL.customer.pre_shared_key=key.of.tunnel.a";
    let outcome = minute("wrong_psk", &[key, "TUNNEL.customer.id=cgw.example"]);
    let found = misconfiguration(&outcome, "id");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("203.0.113.10", "cgw.example"));
    assert_eq!((found.log.as_ref(), details(&outcome)), (None, vec![]));

    let outcome = minute("wrong_psk", &[key, "TUNNEL.customer.expected_id=192.0.2.7"]);
    let found = misconfiguration(&outcome, "id");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("198.51.100.10", "192.0.2.7"));
}

/// No misconfiguration: the offer carries the initiator's lifetime, RESPONDER-LIFETIME the responder's if that is less (RFC 2407
/// section 4.6.3.1), and both keep the shorter one. Neither end lets an SA run out.
#[test]
fn another_lifetime_is_no_mistake() {
    for begins in [&[][..], &AWS_BEGINS] {
        let lives = [
            "TUNNEL.phase2.lifetime=900s",
            "TUNNEL.customer.phase2.lifetime=600s",
            "TUNNEL.customer.rekey_margin=60s",
            "probes.app.every=1s",
        ];
        let outcome = v1("static_active_passive", &[&lives[..], begins, &["faults={}", "duration=2000s"]].concat());
        assert!(outcome.report.misconfigurations.is_empty(), "{:#?}", outcome.report.misconfigurations);
        assert_eq!(details(&outcome).iter().filter(|line| !line.contains("DELETE for Phase 2")).count(), 0);
    }
}

#[test]
fn a_dead_peer_and_a_goodbye() {
    let outcome = v1("static_active_passive", &["duration=500s", "faults.cut.heal=499s"]);
    assert_eq!(count(&outcome, "Peer is not responsive - Declaring peer dead"), 1, "{:#?}", details(&outcome));
    let goodbye = ["duration=400s", "faults.delete.what.by=customer", "faults.delete.heal=399s"];
    let outcome = v1("graceful_delete", &goodbye);
    assert_eq!(count(&outcome, "AWS tunnel received DELETE for IKE_SA from CGW"), 1, "{:#?}", details(&outcome));
}

/// Main Mode's messages cross in 12 ms, 10 of them on the path that is cut. A cut at 0 takes the first, at 11 ms the second, at 13 ms
/// the third, at 40 ms the fifth: the fourth was under way from 36 ms to 46 ms. AWS documents no string for it.
#[test]
fn a_handshake_that_nobody_completes() {
    for (at, text) in [
        ("0s", "no Main Mode of the customer gateway reached AWS: UDP 500 is blocked on the way"),
        (
            "11ms",
            "Main Mode of the customer gateway reached AWS, but no answer came back: UDP 500 is blocked on the way back",
        ),
        ("13ms", "Main Mode of the customer gateway got no answer to its third message: the path died in between"),
        (
            "40ms",
            "Main Mode of the customer gateway got no answer to its fifth message: the path died in between, or AWS has \
                  another pre-shared key",
        ),
    ] {
        let cut = format!("faults.cut.at={at}");
        let outcome = v1("static_active_passive", &["duration=200s", "faults.cut.heal=199s", &cut]);
        let found = misconfiguration(&outcome, "path");
        assert!(found.text.starts_with(text), "{at}: {found:?}");
        assert_eq!((found.log.as_ref(), details(&outcome)), (None, vec![]));
    }
}

/// The library's NAT with a firewall: Main Mode floats to port 4500 with its fifth message (RFC 3947 section 4).
#[test]
fn udp_500_or_4500_is_blocked() {
    let found = v1("nat_t_4500_blocked", &[]);
    let found = misconfiguration(&found, "path");
    assert!(
        found.text.starts_with("Main Mode showed a NAT") && found.text.ends_with("UDP 4500 is blocked."),
        "{found:?}"
    );
    let found = v1("nat_t_4500_blocked", &["nodes.home.filter.natt.port=500"]);
    let found = misconfiguration(&found, "path");
    assert!(
        found.text.starts_with("no Main Mode of the customer gateway reached AWS: UDP 500 is blocked"),
        "{found:?}"
    );
}

#[test]
fn ip_protocol_50_is_blocked() {
    let outcome = v1("esp_without_natt_blocked", &["duration=90s"]);
    let found = misconfiguration(&outcome, "path");
    assert!(found.text.starts_with("both ends are up, but fw drops their ESP"), "{found:?}");
    let outcome = v1("esp_without_natt_blocked", &["duration=90s", "nodes.fw.filter.esp.enabled=false"]);
    assert!(outcome.report.misconfigurations.is_empty(), "{:#?}", outcome.report.misconfigurations);
}

/// Everything that AWS has, in Main Mode's first message: 96 transforms of 2 ciphers, 4 hashes and 12 groups, whoever begins. One suite
/// alone comes through.
#[test]
fn ip_fragments_are_dropped() {
    for (begins, whose) in [(&[][..], "the customer gateway"), (&AWS_BEGINS, "AWS")] {
        let outcome = v1("ike_fragments_dropped", &[&["duration=170s"][..], begins].concat());
        let found = misconfiguration(&outcome, "path");
        let text =
            format!("Main Mode's first message of {whose} is too long for one packet, and path-a drops IP fragments.");
        assert!(found.text.starts_with(&text) && found.text.ends_with("propose less."), "{found:?}");
        assert_eq!((found.log.as_ref(), details(&outcome)), (None, vec![]));
    }
    let less = "(encryption: [\"AES256\"], integrity: [\"SHA2-256\"], dh_groups: [14])";
    let [phase1, phase2] = ["phase1", "phase2"].map(|phase| format!("TUNNEL.customer.{phase}={less}"));
    let outcome = v1("ike_fragments_dropped", &["duration=60s", &phase1, &phase2]);
    assert!(
        !outcome.report.misconfigurations.iter().any(|m| m.tunnel == "vpn.a"),
        "{:#?}",
        outcome.report.misconfigurations
    );
}

/// Tunnel a of the library's certificates, whose keys are ECDSA on P-256 at both ends.
fn certificates(changes: &[&str]) -> super::Outcome {
    minute("certificates", changes)
}

#[test]
fn certificates_in_main_mode() {
    for key in ["ecdsa-p256", "ecdsa-p384", "rsa-2048"] {
        let [aws, customer] =
            ["TUNNEL", "TUNNEL.customer"].map(|end| format!("{end}.authentication=Certificate(key: \"{key}\")"));
        let outcome = certificates(&[
            &aws,
            &customer,
            "expect={\"up\": EstablishedWithin(session: \"vpn.a.child\", within: \"109ms\")}",
        ]);
        assert!(outcome.report.misconfigurations.is_empty(), "{key}: {:#?}", outcome.report.misconfigurations);
        assert!(outcome.report.expectations.iter().all(|expectation| expectation.held), "{key}");
    }
}

/// The way in which both ends prove who they are is part of the proposal (RFC 2409 section 5).
#[test]
fn two_kinds_of_proof() {
    let outcome = certificates(&["TUNNEL.customer.authentication=Certificate(key: \"rsa-2048\")"]);
    let found = misconfiguration(&outcome, "authentication");
    assert_eq!(found.aws, "a certificate with ECDSA on P-256");
    assert_eq!((found.customer.as_str(), found.log.as_deref()), ("a certificate with RSA", Some(NO_PROPOSAL)));
    let outcome = certificates(&["TUNNEL.customer.authentication=PreSharedKey()"]);
    let found = misconfiguration(&outcome, "authentication");
    assert_eq!((found.customer.as_str(), found.log.as_deref()), ("a pre-shared key", Some(NO_PROPOSAL)));
}

/// AWS documents AUTHENTICATION_FAILED for IKEv2 alone: the explanation is all that there is.
#[test]
fn certificates_that_are_refused() {
    let outcome = certificates(&["TUNNEL.customer.authentication=Certificate(issuer: \"rogue\")"]);
    let found = misconfiguration(&outcome, "certificate");
    assert_eq!(found.aws, "trusts O=private-ca, CN=private-ca root");
    assert_eq!(found.customer, "issued by O=rogue, CN=rogue subordinate");

    let outcome = certificates(&["TUNNEL.customer.id=CN=somebody"]);
    let found = misconfiguration(&outcome, "id");
    assert!(found.text.contains("but its certificate is one of CN=cgw"), "{}", found.text);

    // The customer gateway does not believe AWS.
    let outcome = certificates(&["TUNNEL.customer.expected_id=CN=vpn.endpoint-1"]);
    let found = misconfiguration(&outcome, "id");
    assert_eq!((found.aws.as_str(), found.customer.as_str()), ("CN=vpn.endpoint-0", "CN=vpn.endpoint-1"));
    assert_eq!(details(&outcome)[0], "AWS tunnel received DELETE for IKE_SA from CGW");
}

/// The library's certificate that expires after 300 s, and phase 1 lives 1,000 s. IKEv2 would rekey it without asking for a certificate.
/// IKEv1 begins another Main Mode, which is refused, so the tunnel dies with its ISAKMP SA: 1,000 s after Main Mode's last message.
#[test]
fn a_certificate_that_expires() {
    let outcome = v1("expired_certificate", &["duration=1100s", "faults={}"]);
    let found = misconfiguration(&outcome, "certificate");
    assert_eq!(found.customer, "expired at 300.000 s");
    assert!(
        found.text.contains("AWS refused it at 1000.") && found.text.contains("IKEv1 has no rekey of phase 1"),
        "{found:?}"
    );
    assert_eq!(found.log, None);
}
