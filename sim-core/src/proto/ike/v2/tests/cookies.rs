//! COOKIE (RFC 7296 section 2.6): a flood from addresses that do not answer keeps nobody out and nothing busy.

use super::pair::{A, B, Pair, configs, default_configs};
use crate::crypto::dh::DhGroup;
use crate::proto::ike::{Datagram, Input, Output};
use crate::reason::Reason;
use crate::time::Duration;
use crate::wire::ike::{Message, NotifyType, Payload};

/// A first request of A, and a pair in which nothing has been sent.
fn template() -> (Pair, Vec<u8>) {
    let mut other = Pair::seeded(configs(), 77);
    other.dark = [true; 2];
    other.input(A, Input::Initiate(Reason::Startup));
    let request = other.ends[A].sent[0].clone();
    (Pair::new(configs()), request)
}

/// Hands B a request with this initiator's SPI, as if A's address had sent it. What B answers.
fn knock(pair: &mut Pair, request: &[u8], spi: u64) -> Vec<u8> {
    let mut bytes = request.to_vec();
    bytes[..8].copy_from_slice(&spi.to_be_bytes());
    let (local, remote) = ((pair.ends[B].address, 500), (pair.ends[A].address, 500));
    let peer = &mut pair.ends[B].peer;
    peer.handle(pair.now, Input::Datagram(Datagram { local, remote, bytes }));
    let sent = core::iter::from_fn(|| peer.poll()).filter_map(|output| match output {
        Output::Transmit { bytes, .. } => Some(bytes),
        _ => None,
    });
    sent.last().expect("an answer")
}

fn cookie(answer: &[u8]) -> Option<Vec<u8>> {
    match Message::parse(answer).unwrap().payloads.first() {
        Some(Payload::Notify(n)) if n.kind == NotifyType::Cookie => Some(n.data.to_vec()),
        _ => None,
    }
}

#[test]
fn a_flood_leaves_two_half_open_ike_sas_and_a_way_in() {
    let (mut pair, request) = template();
    let asked = (1..=500).filter(|spi| cookie(&knock(&mut pair, &request, *spi)).is_some()).count();
    assert_eq!(asked, 498);
    assert_eq!(pair.ends[B].peer.v2.half_open_sas(), 2);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
}

/// RFC 7296 section 2.6.1: the cookie stays in front when the group is wrong, too.
#[test]
fn a_cookie_and_another_group() {
    let (_, request) = template();
    let mut configs = default_configs();
    configs[A].ike_offers[0].groups = vec![DhGroup::Ecp256, DhGroup::Modp1024];
    let mut pair = Pair::new(configs);
    // The flood offers what B does accept.
    let mut other = Pair::seeded(default_configs(), 78);
    other.dark = [true; 2];
    other.input(A, Input::Initiate(Reason::Startup));
    let fitting = other.ends[A].sent[0].clone();
    assert_ne!(request, fitting);
    (1..=2).for_each(|spi| drop(knock(&mut pair, &fitting, spi)));
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
}

/// A cookie belongs to an address, an SPI, a nonce and a time.
#[test]
fn a_cookie_serves_nobody_else_and_not_for_long() {
    let (mut pair, request) = template();
    (1..=2).for_each(|spi| drop(knock(&mut pair, &request, spi)));
    let baked = |pair: &mut Pair, spi| cookie(&knock(pair, &request, spi)).expect("a cookie");
    let own = baked(&mut pair, 3);
    assert_eq!(baked(&mut pair, 3), own);
    assert_ne!(baked(&mut pair, 4), own);
    assert!(own.len() <= 64);
    let good = |pair: &mut Pair, spi: u64, cookie: &[u8]| {
        let message = Message::parse(&request).unwrap();
        let mut header = message.header;
        header.spi_i = spi;
        let mut builder = crate::wire::ike::Builder::new(&header);
        builder.push(&Payload::Notify(crate::wire::ike::Notify::new(NotifyType::Cookie, cookie)));
        for payload in &message.payloads {
            builder.push(payload);
        }
        self::cookie(&knock(&mut pair.clone(), &builder.finish(), spi)).is_none()
    };
    assert!(good(&mut pair, 3, &own));
    assert!(!good(&mut pair, 4, &own));
    let mut damaged = own.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(!good(&mut pair, 3, &damaged));
    assert!(!good(&mut pair, 3, &own[..8]));
    // Within the next period it is good, after that it is not.
    pair.now += Duration::from_secs(60);
    assert!(good(&mut pair, 3, &own));
    pair.now += Duration::from_secs(60);
    assert!(!good(&mut pair, 3, &own));
}

/// Anybody can forge the question. An initiator that is asked again and again does not answer for ever.
#[test]
fn an_initiator_shows_three_cookies_at_most() {
    let mut pair = Pair::new(configs());
    pair.dark = [true; 2];
    pair.input(A, Input::Initiate(Reason::Startup));
    let before = pair.ends[A].sent.len();
    for n in 0..20_u8 {
        let request = Message::parse(&pair.ends[A].sent[0]).unwrap().header;
        let mut header = request;
        (header.flags.initiator, header.flags.response) = (false, true);
        let mut builder = crate::wire::ike::Builder::new(&header);
        builder.push(&Payload::Notify(crate::wire::ike::Notify::new(NotifyType::Cookie, &[n; 16])));
        let (local, remote) = ((pair.ends[A].address, 500), (pair.ends[B].address, 500));
        pair.input(A, Input::Datagram(Datagram { local, remote, bytes: builder.finish() }));
    }
    assert_eq!(pair.ends[A].sent.len() - before, 3);
}
