//! Rekeys under load: more than 1,000 datagrams a second each way, each with a number, and none may be missing.

use sim_core::proto::ike::Config;
use sim_core::time::Duration;

use super::pair::{Initiator, Pair};
use super::suite::{Phase, Suite};
use crate::load::{Host, PORT};
use crate::network::isolated;
use crate::process::Outcome;

/// What each end tries to send, so that it does not fall below [`FLOOR`] while the machine has other things to do.
const PER_SECOND: u64 = 1_300;
/// What each end must have sent on average.
const FLOOR: u64 = 1_000;
/// How long traffic goes on before, between and after rekeys.
const PAUSE: Duration = Duration::from_secs(1);

#[test]
fn strongswan_rekeys_under_load() {
    let test = "strongswan::rekeys::strongswan_rekeys_under_load";
    under_load(
        test,
        "ikev2",
        &Suite::AES256_GCM_ECP384,
        Initiator::StrongSwan,
        |_| (),
        |pair| {
            pair.they_rekey_the_child()?;
            pair.serve(PAUSE)?;
            pair.they_rekey_the_ike_sa()?;
            pair.serve(PAUSE)?;
            // The keys of this CHILD_SA come from the SK_d of the rekeyed IKE_SA.
            pair.they_rekey_the_child()
        },
    );
}

#[test]
fn we_rekey_under_load() {
    let test = "strongswan::rekeys::we_rekey_under_load";
    under_load(test, "ikev2", &Suite::AWS_DEFAULT, Initiator::We, short_lives, |pair| {
        for _ in 0..2 {
            we_rekey_the_child(pair)?;
        }
        let before = pair.ask("strongSwan's IKE_SA", |s| s.ike_sa())?;
        let after = pair.new_ike_sa(&before)?;
        we_rekey_the_child(pair)?;
        // The star is on strongSwan's own SPI: it answers.
        if after.contains("_r*") { Ok(()) } else { Err(format!("strongSwan rekeyed the IKE_SA: {after}")) }
    });
}

/// strongSwan reauthenticates where IKEv2 would rekey (its swanctl.conf): a new Main Mode, whose IKE_SA takes the CHILD_SA over.
#[test]
fn strongswan_rekeys_both_phases_of_ikev1_under_load() {
    let test = "strongswan::rekeys::strongswan_rekeys_both_phases_of_ikev1_under_load";
    under_load(
        test,
        "ikev1",
        &GCM_IN_PHASE_2,
        Initiator::StrongSwan,
        |_| (),
        |pair| {
            they_rekey_the_child_of_ikev1(pair)?;
            pair.serve(PAUSE)?;
            pair.they_rekey_the_ike_sa()?;
            pair.serve(PAUSE)?;
            they_rekey_the_child_of_ikev1(pair)
        },
    );
}

#[test]
fn we_rekey_both_phases_of_ikev1_under_load() {
    let test = "strongswan::rekeys::we_rekey_both_phases_of_ikev1_under_load";
    under_load(test, "ikev1", &Suite::AWS_DEFAULT, Initiator::We, short_lives, |pair| {
        let before = pair.ask("strongSwan's ISAKMP SA", |s| s.ike_sa())?;
        for _ in 0..2 {
            we_rekey_the_child(pair)?;
        }
        pair.new_ike_sa(&before)?;
        we_rekey_the_child(pair)
    });
}

const GCM_IN_PHASE_2: Suite =
    Suite { phase1: Phase("AES256", "SHA2-384", 20), phase2: Phase("AES256-GCM-16", "SHA2-384", 20) };

/// Lifetimes shorter than AWS has: phase 2 is rekeyed every 3 s, phase 1 every 7 s.
fn short_lives(config: &mut Config) {
    config.child_lifetime = Duration::from_secs(30);
    config.ike_lifetime = Duration::from_secs(34);
    config.rekey.margin = Duration::from_secs(27);
    config.rekey.fuzz_percent = 0;
}

fn we_rekey_the_child(pair: &mut Pair) -> Outcome {
    let before = pair.gateway.spi();
    pair.run("the CHILD_SA that we rekeyed", |g| g.carries() && g.spi() != before)
}

fn they_rekey_the_child_of_ikev1(pair: &mut Pair) -> Outcome {
    let before = pair.gateway.spi();
    pair.swanctl("--rekey --child vpn-a")?;
    pair.run("the CHILD_SA that strongSwan rekeyed", |g| g.carries() && g.spi() != before)
}

fn under_load(
    test: &str,
    ike: &str,
    suite: &Suite,
    initiator: Initiator,
    adjust: impl FnOnce(&mut Config),
    rekeys: impl FnOnce(&mut Pair) -> Outcome,
) {
    isolated(test, || {
        let mut pair = Pair::start()?;
        let changes = [suite.changes(), vec![format!("connections.vpn.tunnels.a.ike_versions=[\"{ike}\"]")]].concat();
        pair.configure(&changes, initiator, adjust)?;
        let outcome = pair.come_up(&[]).and_then(|()| carry(&mut pair, rekeys));
        outcome.map_err(|e| pair.explain(e))
    });
}

/// Traffic both ways while the rekeys happen, and then the count.
fn carry(pair: &mut Pair, rekeys: impl FnOnce(&mut Pair) -> Outcome) -> Outcome {
    let begun = pair.clock.now();
    let host = Host::start(pair.strongswan.socket(PORT)?, PER_SECOND)?;
    pair.gateway.start_load(begun, PER_SECOND);
    pair.serve(PAUSE)?;
    rekeys(pair)?;
    pair.serve(PAUSE)?;
    pair.gateway.stop_sending();
    host.stop_sending();
    let lasted = pair.clock.now().since(begun);
    // What is under way arrives.
    pair.serve(PAUSE)?;
    let theirs = host.finish()?;
    let ours = pair.gateway.load().ok_or("no load")?.count();
    ours.holds("strongSwan's", theirs.sent)?;
    theirs.holds("our", ours.sent)?;
    let floor = FLOOR * lasted.as_nanos() / 1_000_000_000;
    match [ours.sent, theirs.sent].iter().all(|sent| u64::from(*sent) >= floor) {
        true => Ok(()),
        false => Err(format!("{} and {} datagrams in {lasted}, less than {FLOOR} a second", ours.sent, theirs.sent)),
    }
}
