//! How a tunnel ends: by a DELETE of either end, or by the death of strongSwan.

use sim_core::reason::State;
use sim_core::time::Duration;

use super::pair::{Initiator, Pair};
use super::suite::Suite;
use crate::network::isolated;
use crate::process::Outcome;

/// AWS's shortest DPD timeout.
const DPD_TIMEOUT: Duration = Duration::from_secs(30);
/// What the machine may be late.
const LATE: Duration = Duration::from_secs(2);

#[test]
fn a_killed_strongswan_is_noticed() {
    killed("strongswan::ends::a_killed_strongswan_is_noticed", "ikev2");
}

#[test]
fn a_killed_strongswan_is_noticed_by_ikev1() {
    killed("strongswan::ends::a_killed_strongswan_is_noticed_by_ikev1", "ikev1");
}

/// An idle strongSwan is asked and answers, for longer than the DPD timeout; then it is killed, and dead to us no sooner and no
/// later than the timeout after its last packet.
fn killed(test: &str, ike: &str) {
    isolated(test, || {
        let mut pair = Pair::start()?;
        let at = "connections.vpn.tunnels.a";
        let dpd = [
            format!("{at}.ike_versions=[\"{ike}\"]"),
            format!("{at}.dpd_delay=3s"),
            format!("{at}.dpd_timeout={DPD_TIMEOUT}"),
            // Ours is the end that asks.
            format!("{at}.customer.dpd_delay=200s"),
            format!("{at}.customer.dpd_timeout=300s"),
        ];
        pair.configure(&[Suite::AWS_DEFAULT.changes(), dpd.to_vec()].concat(), Initiator::We, |_| ())?;
        let outcome = pair.come_up(&[]).and_then(|()| die(&mut pair, ike));
        outcome.map_err(|e| pair.explain(e))
    });
}

fn die(pair: &mut Pair, ike: &str) -> Outcome {
    pair.serve(DPD_TIMEOUT + LATE)?;
    let log = pair.strongswan.log();
    // strongSwan's words for a liveness check and its answer.
    let (asked, answered) = match ike {
        "ikev1" => ("N(DPD) ]", "N(DPD_ACK) ]"),
        _ => ("parsed INFORMATIONAL request", "generating INFORMATIONAL response"),
    };
    let checks = [asked, answered].map(|what| log.lines().filter(|line| line.contains(what)).count());
    // One after each 3 s of silence.
    if checks.iter().any(|n| !(9..=11).contains(n)) || !pair.gateway.carries() {
        return Err(format!("{checks:?} liveness checks and answers in {}", DPD_TIMEOUT + LATE));
    }
    pair.pings(1)?;
    // Its end may take a while on a busy machine; it says nothing more meanwhile.
    let died = pair.clock.now();
    pair.strongswan.kill();
    pair.run_down(DPD_TIMEOUT + LATE)?;
    let noticed = pair.clock.now().since(died);
    // The last packet came just before the kill.
    if noticed + Duration::from_millis(500) < DPD_TIMEOUT {
        return Err(format!("dead after {noticed} already"));
    }
    match pair.gateway.log().contains("reason: PeerDead") {
        true if pair.gateway.state() == State::Down => Ok(()),
        _ => Err("down, but not by dead peer detection".into()),
    }
}

/// The suites' tests have a DELETE of whoever began; here it is the other end's.
#[test]
fn a_delete_of_the_responder_ends_it() {
    isolated("strongswan::ends::a_delete_of_the_responder_ends_it", || {
        let mut pair = Pair::start()?;
        for ike in ["ikev2", "ikev1"] {
            let version = format!("connections.vpn.tunnels.a.ike_versions=[\"{ike}\"]");
            let changes = [Suite::AWS_DEFAULT.changes(), vec![version]].concat();
            pair.configure(&changes, Initiator::We, |config| {
                // Otherwise our end begins again, as `startup_action: "start"` promises.
                config.startup = sim_core::proto::ike::config::Startup::Add;
            })?;
            let outcome = pair.come_up(&[]).and_then(|()| pair.pings(1)).and_then(|()| pair.they_delete());
            outcome.map_err(|e| pair.explain(format!("{ike}: {e}")))?;
        }
        Ok(())
    });
}
