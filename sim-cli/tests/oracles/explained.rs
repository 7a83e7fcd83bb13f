//! `vpnsim live` opposite a strongSwan that is configured otherwise than AWS's end, in IKEv1: the report names what does not fit with
//! the values of both ends, and AWS's line where AWS has one.

use crate::customer::Customer;
use crate::live::{APP, OFFICE, Program};
use crate::network::isolated;
use crate::process::{Outcome, expect, wait_for};
use crate::strongswan::{OURS, StrongSwan, THEIRS};

const TUNNEL: &str = "connections.vpn.tunnels.a";
const QUIET: [&str; 2] = ["faults={}", "expect={}"];
const IKEV1: &str = "ike_versions=[\"ikev1\"]";
const AWS_BEGINS: [&str; 2] = ["startup_action=start", "customer.startup_action=add"];
/// A key stands in the file: the journal keeps no key of a command line.
const OTHER_KEY: [&str; 2] = [
    "pre_shared_key: \"correct.horse.battery\",",
    "pre_shared_key: \"correct.horse.battery\", customer: (pre_shared_key: \"another.secret.altogether\"),",
];
const OTHER_SUITE: [&str; 3] =
    ["phase1.encryption=[\"AES256\"]", "customer.phase1.encryption=[\"AES128\"]", "customer.phase1.dh_groups=[14]"];

/// strongSwan's fifth message cannot be deciphered.
#[test]
fn a_wrong_psk_of_strongswan() {
    let report =
        ["\"setting\":\"pre_shared_key\"", "payload decryption was unsuccessful due to invalid Pre-shared Key"];
    explained("explained::a_wrong_psk_of_strongswan", OTHER_KEY, &[], "ignoring unprotected INFORMATIONAL", &report);
}

/// strongSwan's complaint cannot be deciphered.
#[test]
fn a_wrong_psk_when_aws_begins() {
    let report =
        ["\"setting\":\"pre_shared_key\"", "payload decryption was unsuccessful due to invalid Pre-shared Key"];
    explained("explained::a_wrong_psk_when_aws_begins", OTHER_KEY, &AWS_BEGINS, "could not decrypt payloads", &report);
}

#[test]
fn a_foreign_suite_of_strongswan() {
    let report =
        ["\"setting\":\"phase1\"", "\"aws\":\"AES256 with ", "\"customer\":\"AES128 with ", "No Proposal Match Found"];
    let theirs = "received NO_PROPOSAL_CHOSEN error notify";
    explained("explained::a_foreign_suite_of_strongswan", [""; 2], &OTHER_SUITE, theirs, &report);
}

/// AWS has no line for what the customer gateway refuses.
#[test]
fn a_foreign_suite_when_aws_begins() {
    let report = ["\"setting\":\"phase1\"", "\"aws\":\"AES256 with ", "\"customer\":\"AES128 with "];
    let changes = [&OTHER_SUITE[..], &AWS_BEGINS].concat();
    explained("explained::a_foreign_suite_when_aws_begins", [""; 2], &changes, "[ N(NO_PROP) ]", &report);
}

#[allow(clippy::disallowed_methods, reason = "a real process has to hear what was sent to it")]
fn explained(test: &str, [usual, other]: [&str; 2], changes: &[&str], theirs: &str, report: &[&str]) {
    isolated(test, || {
        let own = changes.iter().chain(&[IKEV1]).map(|change| format!("{TUNNEL}.{change}"));
        let changes: Vec<String> = own.chain(QUIET.map(str::to_owned)).collect();
        let scenario = include_str!("live.ron").replacen(usual, other, 1);
        let customer = Customer::of(&scenario, &changes)?;
        let config = customer.export("swanctl", &format!("--live --listen {OURS}"))?;
        let strongswan = StrongSwan::start([APP, OFFICE])?;
        strongswan.load(&config)?;
        let mut program = Program::changed(&scenario, &changes, &format!("--listen {OURS} --peer {THEIRS}"))?;
        let mut outcome = || -> Outcome {
            wait_for("strongSwan's part of it", || expect(&strongswan.log(), &[theirs]))?;
            // What strongSwan has sent is 12 ms on the simulated path.
            std::thread::sleep(std::time::Duration::from_secs(1));
            let answer = program.end_without_keys("INT")?;
            expect(&answer["misconfigurations"].to_string(), report)
        };
        outcome().map_err(|e| format!("{e}\n--- strongSwan\n{}", strongswan.log()))
    });
}
