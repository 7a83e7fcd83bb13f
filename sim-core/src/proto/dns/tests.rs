use std::net::{Ipv4Addr, SocketAddrV4};

use super::*;
use crate::rng::{Purpose, Rng};
use crate::time::{Duration, Instant};
use crate::wire::dns::{Answer, DnsName, Kind, Message, Question, ResponseCode};

const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 10), 50_000);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 53);
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 53);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 53);
const ASKS: AskerConfig = AskerConfig { timeout: Duration::from_secs(2), rounds: 2, sticky: true };

fn name(text: &str) -> DnsName {
    text.parse().expect("a name")
}

fn upstreams() -> Vec<Upstream> {
    [FIRST, SECOND].map(|to| Upstream { by: Port(0), from: SERVER, to }).to_vec()
}

/// A server with the zone "corp.example", which asks two others about "aws.example" and about "branch.corp.example".
fn server() -> NameServer {
    server_that_forwards(&["aws.example", "branch.corp.example"])
}

fn server_that_forwards(domains: &[&str]) -> NameServer {
    let record = (name("db.corp.example"), vec![Ipv4Addr::new(10, 1, 0, 20)]);
    let deep = (name("a.b.corp.example"), vec![Ipv4Addr::new(10, 1, 0, 21)]);
    let zone = Zone { origin: name("corp.example"), records: [record, deep].into(), ttl: 300 };
    let forward = |domain: &&str| Forward { domain: name(domain), to: upstreams() };
    let config = ServerConfig {
        addresses: vec![SERVER],
        zones: vec![zone],
        forwards: domains.iter().map(forward).collect(),
        asks: ASKS,
        otherwise: ResponseCode::Refused,
        waiting_max: 3,
    };
    NameServer::new(config, Rng::stream(1, "dns", Purpose::Dns))
}

fn query(id: u16, of: &str) -> Datagram {
    let question = Question::addresses_of(name(of));
    let octets = Message { id, question, kind: Kind::Query { recursion: true } }.to_octets();
    Datagram { by: Port(0), from: CLIENT, to: SocketAddrV4::new(SERVER, 53), octets }
}

/// What a server says to a question of another.
fn reply(to: &Datagram, code: ResponseCode, addresses: &[Ipv4Addr], ttl: u32) -> Datagram {
    let asked = Message::parse(&to.octets).expect("a query");
    let answer = Answer {
        code,
        authoritative: true,
        recursion: true,
        recursion_available: true,
        addresses: addresses.to_vec(),
        ttl,
    };
    let octets = Message { kind: Kind::Answer(answer), ..asked }.to_octets();
    Datagram { by: to.by, from: to.to, to: to.from, octets }
}

/// What a message says: its id, code and addresses.
fn said(datagram: &Datagram) -> (u16, ResponseCode, Vec<Ipv4Addr>, u32) {
    match Message::parse(&datagram.octets) {
        Ok(Message { id, kind: Kind::Answer(answer), .. }) => (id, answer.code, answer.addresses, answer.ttl),
        other => panic!("not an answer: {other:?}"),
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

#[test]
fn a_zone_is_answered_from() {
    let mut server = server();
    let mut ask = |of: &str| {
        assert_eq!(server.handle(at(0), &query(7, of)), Heard::Taken);
        let answer = server.poll().expect("an answer");
        assert_eq!((answer.from.ip(), answer.to), (&SERVER, CLIENT));
        said(&answer)
    };
    assert_eq!(ask("DB.corp.example"), (7, ResponseCode::NoError, vec![Ipv4Addr::new(10, 1, 0, 20)], 300));
    assert_eq!(ask("none.corp.example"), (7, ResponseCode::NameError, vec![], 0));
    // RFC 8020: a name that others are below exists.
    assert_eq!(ask("b.corp.example"), (7, ResponseCode::NoError, vec![], 0));
    assert_eq!(ask("corp.example"), (7, ResponseCode::NoError, vec![], 0));
    assert_eq!(ask("example.net"), (7, ResponseCode::Refused, vec![], 0));
}

#[test]
fn what_others_know_is_asked_for_once_and_remembered_for_its_time() {
    let mut server = server();
    server.handle(at(0), &query(1, "app.aws.example"));
    server.handle(at(0), &query(2, "app.aws.example"));
    let asked = server.poll().expect("a question");
    assert_eq!((asked.from.ip(), asked.to), (&SERVER, SocketAddrV4::new(FIRST, 53)));
    assert_eq!(server.poll(), None, "the second waits with the first");
    let there = [Ipv4Addr::new(10, 0, 1, 10)];
    assert_eq!(server.handle(at(1), &reply(&asked, ResponseCode::NoError, &there, 60)), Heard::Taken);
    let both = [server.poll(), server.poll()].map(|it| said(&it.expect("an answer")));
    assert_eq!(both, [1, 2].map(|id| (id, ResponseCode::NoError, there.to_vec(), 60)));
    // Half a minute later the rest of its time is told, and after it the question is asked again.
    server.handle(at(31), &query(3, "app.aws.example"));
    assert_eq!(said(&server.poll().expect("an answer")), (3, ResponseCode::NoError, there.to_vec(), 30));
    server.handle(at(61), &query(4, "app.aws.example"));
    assert_eq!(server.poll().expect("a question").to.ip(), &FIRST);
}

/// The longest of a zone's and a forwarded domain's name decides; and the forward, if they are alike.
#[test]
fn the_longest_domain_decides() {
    let mut server = server();
    server.handle(at(0), &query(1, "x.branch.corp.example"));
    assert_eq!(server.poll().expect("a question").to, SocketAddrV4::new(FIRST, 53));
    let mut server = server_that_forwards(&["corp.example"]);
    server.handle(at(0), &query(1, "db.corp.example"));
    assert_eq!(server.poll().expect("a question").to, SocketAddrV4::new(FIRST, 53));
}

/// Two servers, two rounds, two seconds each: SERVFAIL after eight.
#[test]
fn silence_of_all_is_a_failure() {
    let mut server = server();
    server.handle(at(0), &query(9, "app.aws.example"));
    let mut asked = Vec::new();
    for second in 0..8 {
        server.handle_timeout(at(second));
        while let Some(datagram) = server.poll() {
            asked.push((second, *datagram.to.ip()));
        }
    }
    assert_eq!(asked, [(0, FIRST), (2, SECOND), (4, FIRST), (6, SECOND)]);
    assert_eq!(server.wake(), Some(at(8)));
    server.handle_timeout(at(8));
    assert_eq!(said(&server.poll().expect("an answer")), (9, ResponseCode::ServerFailure, vec![], 0));
    assert_eq!(server.wake(), None);
}

#[test]
fn one_that_refuses_hands_over_and_one_that_answers_is_asked_first_again() {
    let mut server = server();
    server.handle(at(0), &query(1, "a.aws.example"));
    let asked = server.poll().expect("a question");
    server.handle(at(0), &reply(&asked, ResponseCode::ServerFailure, &[], 0));
    let next = server.poll().expect("another question");
    assert_eq!(next.to.ip(), &SECOND);
    server.handle(at(0), &reply(&next, ResponseCode::NameError, &[], 0));
    assert_eq!(said(&server.poll().expect("an answer")).1, ResponseCode::NameError);
    server.handle(at(0), &query(2, "b.aws.example"));
    assert_eq!(server.poll().expect("a question").to.ip(), &SECOND);
}

/// RFC 5452 section 9.1: an answer must be from whom was asked, to where it was asked from, with its id and about its question.
#[test]
fn what_nobody_asked_for_is_nothing() {
    let mut server = server();
    server.handle(at(0), &query(1, "app.aws.example"));
    let asked = server.poll().expect("a question");
    let right = reply(&asked, ResponseCode::NoError, &[FIRST], 60);
    let mut id = right.clone();
    id.octets[0] ^= 1;
    let other = reply(&query(0, "other.aws.example"), ResponseCode::NoError, &[FIRST], 60);
    let mut about = other.octets;
    about[..2].copy_from_slice(&right.octets[..2]);
    let wrong = [
        Datagram { from: SocketAddrV4::new(SECOND, 53), ..right.clone() },
        Datagram { from: SocketAddrV4::new(FIRST, 54), ..right.clone() },
        Datagram { to: SocketAddrV4::new(SERVER, right.to.port() ^ 1), ..right.clone() },
        Datagram { octets: about, ..right.clone() },
        id,
    ];
    for datagram in wrong {
        assert_eq!(server.handle(at(0), &datagram), Heard::NotForIt);
    }
    assert_eq!(server.handle(at(0), &right), Heard::Taken);
}

/// As a host asks: always the first server first, also if the second has answered.
#[test]
fn who_is_not_sticky_begins_anew() {
    let config = AskerConfig { sticky: false, ..ASKS };
    let mut asker = Asker::new(config, Rng::stream(1, "host", Purpose::Dns));
    for _ in 0..2 {
        asker.ask(at(0), (), name("db.corp.example"), upstreams());
        assert_eq!(asker.poll().expect("a question").to.ip(), &FIRST);
        asker.handle_timeout(at(2));
        let asked = asker.poll().expect("a question");
        let answer = reply(&asked, ResponseCode::NoError, &[SECOND], 1);
        let message = Message::parse(&answer.octets).expect("an answer");
        assert!(asker.handle(at(2), answer.from, answer.to, &message));
        assert!(matches!(asker.done(), Some(((), _, Outcome::Answered(_)))));
    }
    asker.ask(at(0), (), name("db.corp.example"), Vec::new());
    assert!(matches!(asker.done(), Some(((), _, Outcome::Refused(ResponseCode::ServerFailure)))));
}

/// unbound.conf(5), `num-queries-per-thread`: what comes while as many wait as may is dropped, of whichever name; what needs nobody else is
/// answered all the same. Here three may wait, and an answer, a failure or a restart makes room for those whom it is about.
#[test]
fn so_many_wait_and_no_more() {
    let mut server = server();
    for (id, of) in [(1, "a.aws.example"), (2, "b.aws.example"), (3, "a.aws.example")] {
        assert_eq!(server.handle(at(0), &query(id, of)), Heard::Taken);
    }
    let asked = server.poll().expect("a question");
    assert_eq!(server.handle(at(0), &query(4, "a.aws.example")), Heard::Full);
    assert_eq!(server.handle(at(0), &query(5, "c.aws.example")), Heard::Full);
    assert_eq!(server.handle(at(0), &query(6, "db.corp.example")), Heard::Taken);
    // Two waited for this one.
    server.handle(at(1), &reply(&asked, ResponseCode::NoError, &[FIRST], 1));
    for (id, of, heard) in [(7, "c.aws.example", Heard::Taken), (8, "d.aws.example", Heard::Taken)] {
        assert_eq!(server.handle(at(1), &query(id, of)), heard);
    }
    assert_eq!(server.handle(at(1), &query(9, "e.aws.example")), Heard::Full);
    // Nobody answers: two seconds for each of two servers, twice.
    for second in 2..=9 {
        server.handle_timeout(at(second));
    }
    for id in 10..13 {
        assert_eq!(server.handle(at(9), &query(id, "f.aws.example")), Heard::Taken);
    }
    assert_eq!(server.handle(at(9), &query(13, "f.aws.example")), Heard::Full);
    server.reset();
    assert_eq!(server.handle(at(9), &query(14, "f.aws.example")), Heard::Taken);
}
