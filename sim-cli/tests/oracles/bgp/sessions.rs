//! Sessions: signed ones, and long tables.

use sim_core::proto::tcp::{Md5Key, Reach, TcpConfig};
use sim_core::reason::{DropReason, State};

use super::{Ends, Kind, Theirs};
use crate::network::isolated;
use crate::process::Outcome;

#[test]
fn bird_and_we_sign() {
    isolated("bgp::sessions::bird_and_we_sign", || signed(Kind::Bird));
}

#[test]
fn frr_and_we_sign() {
    isolated("bgp::sessions::frr_and_we_sign", || signed(Kind::Frr));
}

fn key(text: &str) -> TcpConfig {
    TcpConfig { md5: Some(Md5Key::new(text.as_bytes())), ..TcpConfig::default() }
}

/// The kernel takes our signatures and we take its: 2,000 routes there, 2,000 back.
fn signed(kind: Kind) -> Outcome {
    let theirs = Theirs { password: Some("Tunnel.A-2385"), prefixes: 2_000, ..Theirs::default() };
    let mut ends = Ends::start(kind, &theirs, 2_000, key("Tunnel.A-2385"), |_| {})?;
    ends.come_up(2_000, 2_000)?;
    // The kernel also solicits routers by IPv6, which is none of our TCP's business.
    let unsigned = [DropReason::Md5Missing, DropReason::Md5Mismatch, DropReason::Md5Unexpected];
    match ends.router.ignored.iter().find(|reason| unsigned.contains(reason)) {
        None => Ok(()),
        Some(reason) => Err(format!("a segment of the kernel was ignored: {reason}")),
    }
}

#[test]
fn bird_has_another_key() {
    isolated("bgp::sessions::bird_has_another_key", || unlike(Some("another"), key("key"), DropReason::Md5Mismatch));
}

#[test]
fn bird_signs_and_we_do_not() {
    let unsigned = TcpConfig::default();
    isolated("bgp::sessions::bird_signs_and_we_do_not", || {
        unlike(Some("another"), unsigned, DropReason::Md5Unexpected)
    });
}

#[test]
fn we_sign_and_bird_does_not() {
    isolated("bgp::sessions::we_sign_and_bird_does_not", || unlike(None, key("key"), DropReason::Md5Missing));
}

/// Neither end hears the other: we say why, and the kernel counts why.
fn unlike(password: Option<&'static str>, ours: TcpConfig, reason: DropReason) -> Outcome {
    let theirs = Theirs { password, ..Theirs::default() };
    let mut ends = Ends::start(Kind::Bird, &theirs, 1, ours, |_| {})?;
    ends.until("a SYN of BIRD's that is ignored", |router| router.ignored.contains(&reason))?;
    ends.serve(5)?;
    if ends.router.state() == State::Established {
        return Err("the session is established all the same".into());
    }
    let counters = std::fs::read_to_string("/proc/net/netstat").map_err(|e| e.to_string())?;
    let counter = match reason {
        DropReason::Md5Mismatch => "TCPMD5Failure",
        DropReason::Md5Unexpected => "TCPMD5NotFound",
        _ => "TCPMD5Unexpected",
    };
    match kernel_counter(&counters, counter) {
        Some(1..) => Ok(()),
        count => Err(format!("the kernel counts {count:?} of {counter}")),
    }
}

/// A counter of `/proc/net/netstat`: a line of names, and below it one of numbers.
fn kernel_counter(text: &str, name: &str) -> Option<u64> {
    let lines: Vec<&str> = text.lines().collect();
    lines.chunks(2).find_map(|pair| {
        let [names, numbers] = pair else { return None };
        let place = names.split_whitespace().position(|word| word == name)?;
        numbers.split_whitespace().nth(place)?.parse().ok()
    })
}

/// GTSM (RFC 5082) opposite BIRD's, which is "ttl security".
#[test]
fn we_guard_the_ttl() {
    isolated("bgp::sessions::we_guard_the_ttl", || {
        let near = TcpConfig::default().reaching(Reach::Security(1));
        // BIRD sends with TTL 1 then, which is no neighbour's.
        let mut ends = Ends::start(Kind::Bird, &Theirs::default(), 1, near, |_| {})?;
        ends.until("a SYN of BIRD's that is ignored", |router| router.ignored.contains(&DropReason::TtlTooLow))?;
        ends.serve(3)?;
        match ends.router.state() {
            State::Established => Err("the session is established all the same".into()),
            _ => Ok(()),
        }
    });
}

#[test]
fn ten_thousand_prefixes_and_bird() {
    isolated("bgp::sessions::ten_thousand_prefixes_and_bird", || long(Kind::Bird));
}

#[test]
fn ten_thousand_prefixes_and_frr() {
    isolated("bgp::sessions::ten_thousand_prefixes_and_frr", || long(Kind::Frr));
}

fn long(kind: Kind) -> Outcome {
    let theirs = Theirs { prefixes: 10_000, ..Theirs::default() };
    Ends::established(kind, &theirs, 10_000, |_| {}).map(drop)
}
