//! How sessions end: too many prefixes, hold timers, and operators who say why.

use sim_core::proto::bgp::{AfterLimit, Input, MaxPrefixes, Output};
use sim_core::reason::State;

use super::{Ends, Kind, Program, SESSION, Theirs};
use crate::network::isolated;
use crate::process::{Outcome, expect};
use crate::router::{OURS, PEER, THEIR_AS};

#[test]
fn bird_sends_too_many_prefixes() {
    isolated("bgp::endings::bird_sends_too_many_prefixes", || {
        too_many(Kind::Bird, &["Last error:       Received: Maximum number of prefixes reached"])
    });
}

#[test]
fn frr_sends_too_many_prefixes() {
    isolated("bgp::endings::frr_sends_too_many_prefixes", || {
        too_many(Kind::Frr, &["Cease/Maximum Number of Prefixes Reached"])
    });
}

/// 101 of 100: Cease 6/1 with a warning before it, and what the other end calls it.
fn too_many(kind: Kind, words: &[&str]) -> Outcome {
    let theirs = Theirs { prefixes: 101, ..Theirs::default() };
    let limit = MaxPrefixes { then: AfterLimit::StayDown, ..MaxPrefixes::new(100) };
    let start = |peer: &mut sim_core::proto::bgp::PeerConfig| peer.max_prefixes = Some(limit);
    let mut ends = Ends::start(kind, &theirs, 1, Default::default(), start)?;
    ends.until("our Cease", |router| router.notifications(true).contains(&(6, 1)))?;
    ends.ask("its word for it", |program| expect(&program.session()?, words))?;
    let warned = |output: &Output| matches!(output, Output::NearLimit { .. });
    if !ends.router.reports.iter().any(warned) {
        return Err(ends.explain("no warning".into()));
    }
    ends.serve(5)?;
    match ends.router.state() {
        State::Idle => Ok(()),
        state => Err(format!("{state} where we stay down")),
    }
}

#[test]
fn bird_has_a_limit() {
    isolated("bgp::endings::bird_has_a_limit", || their_limit(Kind::Bird));
}

#[test]
fn frr_has_a_limit() {
    isolated("bgp::endings::frr_has_a_limit", || their_limit(Kind::Frr));
}

fn their_limit(kind: Kind) -> Outcome {
    let theirs = Theirs { limit: Some(100), ..Theirs::default() };
    let mut ends = Ends::start(kind, &theirs, 110, Default::default(), |_| {})?;
    ends.until("its Cease", |router| router.notifications(false).contains(&(6, 1)))
}

#[test]
fn bird_and_we_fall_silent() {
    isolated("bgp::endings::bird_and_we_fall_silent", || silent(Kind::Bird, &["BGP Error: Hold timer expired"]));
}

#[test]
fn frr_and_we_fall_silent() {
    isolated("bgp::endings::frr_and_we_fall_silent", || silent(Kind::Frr, &["Hold Timer Expired"]));
}

/// Nothing passes any more: each end's hold timer expires by itself.
fn silent(kind: Kind, words: &[&str]) -> Outcome {
    let theirs = Theirs { hold: 9, ..Theirs::default() };
    let mut ends = Ends::established(kind, &theirs, 1, |_| {})?;
    ends.router.dark = true;
    ends.until("our hold timer", |router| router.notifications(true).contains(&(4, 0)))?;
    ends.ask("its hold timer", |program| expect(&program.session()?, words))
}

#[test]
fn operators_of_bird_and_ours_say_why() {
    isolated("bgp::endings::operators_of_bird_and_ours_say_why", || {
        let mut ends = Ends::established(Kind::Bird, &Theirs::default(), 1, |_| {})?;
        if let Program::Bird(bird) = &ends.program {
            bird.birdc(&format!("disable {SESSION} \"Maintenance\""))?;
        }
        heard(&mut ends, "Maintenance")?;
        if let Program::Bird(bird) = &ends.program {
            bird.birdc(&format!("enable {SESSION}"))?;
        }
        ends.come_up(1, 1)?;
        ours(&mut ends, &["Received: Administrative shutdown", "Stromausfall in Halle 3"])
    });
}

#[test]
fn operators_of_frr_and_ours_say_why() {
    isolated("bgp::endings::operators_of_frr_and_ours_say_why", || {
        let mut ends = Ends::established(Kind::Frr, &Theirs::default(), 1, |_| {})?;
        let neighbor = |what: &str| format!("neighbor {OURS} {what}");
        let router = format!("router bgp {THEIR_AS}");
        if let Program::Frr(frr) = &ends.program {
            frr.configure(&[&router, &neighbor("shutdown message Maintenance")])?;
        }
        heard(&mut ends, "Maintenance")?;
        if let Program::Frr(frr) = &ends.program {
            frr.configure(&[&router, &format!("no {}", neighbor("shutdown"))])?;
        }
        ends.come_up(1, 1)?;
        ours(
            &mut ends, // FRR 8.4 shows no text here.
            &["Cease/Administrative Shutdown"],
        )
    });
}

/// We hear the other operator's text (RFC 9003).
fn heard(ends: &mut Ends, text: &str) -> Outcome {
    let wanted = Output::Communication { peer: PEER, text: Ok(text.to_owned()) };
    ends.until("its operator's text", |router| router.reports.contains(&wanted))
}

/// And it shows ours.
fn ours(ends: &mut Ends, words: &[&str]) -> Outcome {
    let communication = "Stromausfall in Halle 3";
    ends.router.input(ends.clock.now(), Input::Stop { peer: PEER, subcode: 2, communication })?;
    ends.ask("our operator's text", |program| {
        let said = format!("{}\n{}", program.session()?, program.log());
        expect(&said, words)
    })
}
