//! Route refresh (RFC 2918), with marks (RFC 7313) and without.

use sim_core::proto::bgp::{GracefulRestart, Input, Output, PeerConfig};
use sim_core::reason::Step;

use super::octets::{IGP, as_path, mark, next_hop, update};
use super::{Ends, Kind, Program, SESSION, Theirs};
use crate::network::isolated;
use crate::process::{Outcome, expect};
use crate::router::{OUR_AS, OURS, PEER, Router, parse};

#[test]
fn bird_and_we_refresh() {
    isolated("bgp::refreshes::bird_and_we_refresh", || refreshed(Kind::Bird, |_| {}));
}

/// FRR answers a ROUTE-REFRESH after its End-of-RIB only, which it owes to who can restart gracefully (RFC 4724 section 4).
#[test]
fn frr_and_we_refresh() {
    isolated("bgp::refreshes::frr_and_we_refresh", || {
        refreshed(Kind::Frr, |peer| peer.graceful_restart = Some(GracefulRestart::default()))
    });
}

/// Each end asks the other for its table again (RFC 2918), and each marks its answer (RFC 7313).
fn refreshed(kind: Kind, adjust: impl FnOnce(&mut PeerConfig)) -> Outcome {
    let theirs = Theirs { prefixes: 50, ..Theirs::default() };
    let mut ends = Ends::established(kind, &theirs, 50, |peer| {
        peer.capabilities.enhanced_refresh = true;
        adjust(peer);
    })?;
    ends.serve(1)?;
    ends.router.reports.clear();
    ends.router.input(ends.clock.now(), Input::Refresh { peer: PEER })?;
    ends.until("the end of the table", |router| saw(router, Step::EndOfRefreshReceived))?;
    for step in [Step::RouteRefreshSent, Step::BeginningOfRefreshReceived, Step::UpdateReceived] {
        if !saw(&ends.router, step) {
            return Err(ends.explain(format!("no {step}")));
        }
    }
    // Nothing of it was missing, so nothing was swept.
    ends.come_up(50, 50)?;

    ends.router.reports.clear();
    match &ends.program {
        Program::Bird(bird) => drop(bird.birdc(&format!("reload in {SESSION}"))?),
        Program::Frr(frr) => drop(frr.ask("clear bgp ipv4 unicast * soft in")?),
    }
    ends.until("our answer", |router| saw(router, Step::EndOfRefreshSent))?;
    ends.serve(1)?;
    ends.come_up(50, 50)?;

    // Marks with one route between them: the others are gone (RFC 7313 section 4).
    let attributes = [IGP, &as_path(&[OUR_AS]), &next_hop(parse(OURS)?)];
    let octets = [mark(1), update(&attributes, &[24, 10, 0, 0]), mark(2)].concat();
    ends.router.inject(ends.clock.now(), &octets)?;
    ends.ask("one route", |program| program.has_routes(1))
}

fn saw(router: &Router, step: Step) -> bool {
    router.reports.iter().any(|output| matches!(output, Output::Step { step: s, .. } if *s == step))
}

/// FRR 8.4.4 puts the answer to whoever knows marks off until it has sent its End-of-RIB, and sends none to whoever cannot restart
/// gracefully: it never answers (`bgp_route_refresh_receive` and `bgp_generate_updgrp_packets` of its bgpd). RFC 7313 section 4
/// asks for that order of those only who can restart gracefully.
#[test]
fn frr_owes_us_a_refresh() {
    isolated("bgp::refreshes::frr_owes_us_a_refresh", || {
        let mut ends = asked_frr(true)?;
        ends.ask("FRR's word for it", |program| {
            expect(&program.log(), &["rcvd route-refresh (REQUEST)", "before EoR"])
        })?;
        ends.serve(2)?;
        for step in [Step::BeginningOfRefreshReceived, Step::EndOfRefreshReceived, Step::UpdateReceived] {
            if saw(&ends.router, step) {
                return Err(ends.explain(format!("{step} after all")));
            }
        }
        ends.come_up(1, 50)
    });
}

/// Whoever does not know marks is answered at once, and without them (RFC 2918).
#[test]
fn frr_refreshes_us_without_marks() {
    isolated("bgp::refreshes::frr_refreshes_us_without_marks", || {
        let mut ends = asked_frr(false)?;
        ends.until("the table", |router| saw(router, Step::UpdateReceived))?;
        match saw(&ends.router, Step::BeginningOfRefreshReceived) {
            false => ends.come_up(1, 50),
            true => Err(ends.explain("a mark".into())),
        }
    });
}

/// FRR has our ROUTE-REFRESH; neither end restarts gracefully at ours.
fn asked_frr(enhanced: bool) -> Outcome<Ends> {
    let theirs = Theirs { prefixes: 50, ..Theirs::default() };
    let mut ends = Ends::established(Kind::Frr, &theirs, 1, |peer| peer.capabilities.enhanced_refresh = enhanced)?;
    if let Program::Frr(frr) = &ends.program {
        frr.configure(&["debug bgp neighbor-events"])?;
    }
    ends.serve(1)?;
    ends.router.reports.clear();
    ends.router.input(ends.clock.now(), Input::Refresh { peer: PEER })?;
    ends.ask("our ROUTE-REFRESH", |program| expect(&program.log(), &["rcvd route-refresh (REQUEST)"]))?;
    Ok(ends)
}
