//! Graceful restart (RFC 4724): ours, and theirs.

use sim_core::proto::bgp::{GracefulRestart, Input, Output, PeerConfig};
use sim_core::reason::State;
use sim_core::time::Duration;

use super::{Ends, Kind, Program, Theirs};
use crate::network::isolated;
use crate::process::{Outcome, expect};
use crate::router::PEER;

fn graceful(peer: &mut PeerConfig) {
    let restart_time = Duration::from_secs(60);
    peer.graceful_restart = Some(GracefulRestart { restart_time, ..GracefulRestart::default() });
}

const GRACEFUL: Theirs = Theirs { hold: 90, prefixes: 20, password: None, limit: None, graceful: true };

#[test]
fn bird_waits_for_us() {
    isolated("bgp::restarts::bird_waits_for_us", || ours(Kind::Bird));
}

#[test]
fn frr_waits_for_us() {
    isolated("bgp::restarts::frr_waits_for_us", || ours(Kind::Frr));
}

/// Our program ends without a word: the other end keeps all 20 routes while we are away, and we ours; when we are back, it
/// has those that we said again, and no others.
fn ours(kind: Kind) -> Outcome {
    let mut ends = Ends::established(kind, &GRACEFUL, 20, graceful)?;
    // This one is typed, not configured, so it does not come again.
    let (prefix, route) = (crate::router::parse("10.99.0.0/24")?, Default::default());
    ends.router.input(ends.clock.now(), Input::Originate { prefix, route })?;
    ends.ask("21 routes", |program| program.has_routes(21))?;
    ends.router.input(ends.clock.now(), Input::Restart { forwarding: true })?;
    ends.serve(3)?;
    let stale = |program: &Program| match program {
        Program::Bird(..) => {
            program.has_routes(21)?;
            expect(&program.session()?, &["Neighbor graceful restart active"])
        }
        Program::Frr(_) => expect(&program.route("10.0.3.0/24")?, &["\"stale\":true"]),
    };
    ends.ask("21 stale routes", stale)?;
    ends.router.start(ends.clock.now())?;
    ends.come_up(20, 20)
}

#[test]
fn we_wait_for_bird() {
    isolated("bgp::restarts::we_wait_for_bird", || theirs(Kind::Bird));
}

#[test]
fn we_wait_for_frr() {
    isolated("bgp::restarts::we_wait_for_frr", || theirs(Kind::Frr));
}

/// Its program is killed and begins again with the same routes: none of them is ever missed here.
fn theirs(kind: Kind) -> Outcome {
    let mut ends = Ends::established(kind, &GRACEFUL, 20, graceful)?;
    ends.serve(2)?;
    ends.router.reports.clear();
    match &mut ends.program {
        Program::Bird(..) => {}
        Program::Frr(frr) => frr.daemon.kill(),
    }
    if kind == Kind::Bird {
        // As after a crash: `-R` recovers from it.
        let Ends { router, inbox, clock, program } = ends;
        drop(program);
        let program = Program::start_with(kind, &GRACEFUL, "-R")?;
        ends = Ends { router, inbox, clock, program };
    }
    ends.until("stale routes", |router| router.reports.contains(&Output::Retained { peer: PEER, routes: 20 }))?;
    if let Program::Frr(frr) = &mut ends.program {
        frr.begin_again()?;
    }
    let mut least = usize::MAX;
    ends.until("Established", |router| {
        least = least.min(router.known());
        router.state() == State::Established
    })?;
    ends.serve(3)?;
    ends.come_up(20, 20)?;
    match least.min(ends.router.known()) {
        20 => Ok(()),
        least => Err(ends.explain(format!("only {least} routes were left meanwhile"))),
    }
}
