//! Every way in which the messages of two undertakings can be delivered, overtaken, held back and lost, within a budget: a search
//! over forked machines, in which states that are alike are visited once.
//!
//! A move is: an end begins its undertaking; the oldest message of a direction arrives, is lost, or is held back; a held one
//! arrives. When nothing is in flight time goes on to the next timer. What is left of the budget when 12 s have passed, which is two retransmissions, is
//! forfeited; then the path is good, and within 400 s the two ends must have one IKE_SA and the same CHILD_SAs, and hear each other.
//! Where neither end deletes, that they hear each other must hold at every moment.
//!
//! The two ends touch each other through messages alone. So what an end does with an input is worked out once, and looked up wherever
//! the same end in the same state meets it again beside another state of the other end, which is nearly always.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use twox_hash::xxhash3_64::{RawHasher, SecretBuffer};

use super::pair::{A, B, Pair, Undertaking, address};
use crate::proto::ike::config::{Config, Startup};
use crate::proto::ike::v2::Peer;
use crate::proto::ike::{Datagram, DirectionKeys, Input, Output, SaKind};
use crate::reason::State;
use crate::time::{Duration, Instant};
use crate::wire::ike::ExchangeType;

/// What an owner keeps of a CHILD_SA.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Installed {
    spi_out: u32,
    inbound: DirectionKeys,
    outbound: DirectionKeys,
}

#[derive(Clone, Hash)]
struct End {
    peer: Peer,
    installed: BTreeMap<u32, Installed>,
    sending: Option<u32>,
    to_begin: Option<Undertaking>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Flight {
    bytes: Vec<u8>,
    from: u16,
    to: u16,
}

/// A value and its hash: equal hashes are taken for equal values.
#[derive(Clone)]
struct Hashed<T> {
    value: Rc<T>,
    hash: u64,
}

impl<T: Hash> Hashed<T> {
    fn new(value: T) -> Self {
        let hash = digest(&value);
        Self { value: Rc::new(value), hash }
    }
}

impl<T> Hash for Hashed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

fn digest(value: &impl Hash) -> u64 {
    let mut hasher = RawHasher::new(SecretBuffer::default());
    value.hash(&mut hasher);
    hasher.finish()
}

/// One state of the search.
#[derive(Clone, Hash)]
struct World {
    now: Instant,
    ends: [Hashed<End>; 2],
    /// What is on its way to each end, oldest first.
    flights: [Vec<Hashed<Flight>>; 2],
    /// What is held back on its way to each end.
    held: [Vec<Hashed<Flight>>; 2],
    drops: u8,
    delays: u8,
    /// A bug of the owner that is only there to be found: it sends on as before if a DELETE that was lost once and sent again tells
    /// it to send on the new SA.
    planted: bool,
    /// Messages that were lost; kept if the bug is planted.
    lost: BTreeSet<u64>,
}

/// What is done to an end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Touch {
    Begin,
    /// A message, by its hash.
    Arrive {
        flight: u64,
        deaf: bool,
    },
    Timeout,
}

/// What an end does: its next state, and what it sends.
type Deed = (Hashed<End>, Vec<Hashed<Flight>>);

/// What ends do, by end, time and touch.
type Deeds = BTreeMap<(u64, Instant, Touch), Deed>;

#[derive(Clone, Copy, Debug)]
enum Move {
    Begin(usize),
    Deliver(usize),
    Lose(usize),
    Hold(usize),
    Release(usize, usize),
    Wait,
}

impl World {
    fn new(undertakings: [Undertaking; 2], drops: u8, delays: u8) -> Self {
        Self::of(super::pair::configs(), undertakings, drops, delays)
    }

    fn of(mut configs: [Config; 2], undertakings: [Undertaking; 2], drops: u8, delays: u8) -> Self {
        for config in &mut configs {
            config.startup = Startup::Start;
            config.child_lifetime = Duration::from_secs(100_000);
            config.ike_lifetime = Duration::from_secs(100_000);
        }
        let mut pair = Pair::up(configs);
        pair.traffic(Duration::from_secs(1), pair.now + Duration::from_secs(2));
        let [a, b] = pair.ends;
        let end = |end: super::pair::End, what| {
            Hashed::new(End {
                installed: end.installed.values().map(|sa| (sa.spi_in, Installed::of(sa))).collect(),
                sending: end.sending,
                peer: end.peer.v2,
                to_begin: Some(what),
            })
        };
        Self {
            now: pair.now,
            ends: [end(a, undertakings[A]), end(b, undertakings[B])],
            flights: Default::default(),
            held: Default::default(),
            drops,
            delays,
            planted: false,
            lost: BTreeSet::new(),
        }
    }

    fn moves(&self, faults_until: Instant) -> Vec<Move> {
        let mut moves = Vec::new();
        let faulty = self.now < faults_until;
        for end in [A, B] {
            if self.ends[end].value.to_begin.is_some() {
                moves.push(Move::Begin(end));
            }
            if !self.flights[end].is_empty() {
                moves.push(Move::Deliver(end));
                if faulty && self.drops > 0 {
                    moves.push(Move::Lose(end));
                }
                if faulty && self.delays > 0 {
                    moves.push(Move::Hold(end));
                }
            }
            moves.extend((0..self.held[end].len()).map(|n| Move::Release(end, n)));
        }
        // What is held back arrives while faults last.
        let due = !faulty && self.held.iter().any(|held| !held.is_empty());
        let idle = self.flights.iter().all(Vec::is_empty) && self.ends.iter().all(|end| end.value.to_begin.is_none());
        if idle && !due {
            moves.push(Move::Wait);
        }
        moves
    }

    /// True if only time is left to go on.
    fn is_calm(&self) -> bool {
        self.flights.iter().chain(&self.held).all(Vec::is_empty)
            && self.ends.iter().all(|end| end.value.to_begin.is_none())
    }

    fn make(&mut self, chosen: Move, deeds: &mut Deeds) {
        match chosen {
            Move::Begin(end) => self.touch(end, Touch::Begin, None, deeds),
            Move::Deliver(end) => {
                let flight = self.flights[end].remove(0);
                self.arrive(end, &flight, deeds);
            }
            Move::Lose(end) => {
                self.drops -= 1;
                let flight = self.flights[end].remove(0);
                if self.planted {
                    self.lost.insert(flight.hash);
                }
            }
            Move::Hold(end) => {
                self.delays -= 1;
                let flight = self.flights[end].remove(0);
                self.held[end].push(flight);
                // In which order they were held back makes no difference to what can follow.
                self.held[end].sort_by_key(|flight| flight.hash);
            }
            Move::Release(end, n) => {
                let flight = self.held[end].remove(n);
                self.arrive(end, &flight, deeds);
            }
            Move::Wait => {
                let wakes = self.ends.iter().filter_map(|end| end.value.peer.wake().map(|(at, _)| at));
                self.now = self.now.max(wakes.min().expect("an established IKE_SA has timers"));
                for end in [A, B] {
                    self.touch(end, Touch::Timeout, None, deeds);
                }
            }
        }
    }

    fn arrive(&mut self, end: usize, flight: &Hashed<Flight>, deeds: &mut Deeds) {
        let header = crate::wire::ike::Header::parse(&flight.value.bytes).expect("a peer sends well-formed messages");
        let deletes = header.exchange == ExchangeType::Informational && !header.flags.response;
        let deaf = deletes && self.lost.contains(&flight.hash);
        self.touch(end, Touch::Arrive { flight: flight.hash, deaf }, Some(flight), deeds);
    }

    fn touch(&mut self, end: usize, touch: Touch, arrives: Option<&Hashed<Flight>>, deeds: &mut Deeds) {
        let key = (self.ends[end].hash, self.now, touch);
        let (next, sent) = deeds.entry(key).or_insert_with(|| {
            let mut next = End::clone(&self.ends[end].value);
            let sent = next.touched(self.now, end, touch, arrives.map(|flight| &*flight.value), self.planted);
            (Hashed::new(next), sent.into_iter().map(Hashed::new).collect())
        });
        self.ends[end] = next.clone();
        self.flights[1 - end].extend(sent.iter().cloned());
    }

    /// What each end sends, the other can read.
    fn hear_each_other(&self) -> bool {
        [A, B].into_iter().all(|end| {
            let [here, there] = [end, 1 - end].map(|end| &self.ends[end].value);
            let sa = here.sending.and_then(|spi| here.installed.get(&spi));
            sa.is_some_and(|sa| there.installed.get(&sa.spi_out).is_some_and(|there| there.inbound == sa.outbound))
        })
    }

    fn is_whole(&self) -> bool {
        let [a, b] = [A, B].map(|end| &*self.ends[end].value);
        let up = |end: &End| [SaKind::Ike, SaKind::Child].iter().all(|sa| end.peer.state(*sa) == State::Up);
        let mirrored = |this: &End, other: &End| {
            this.installed.iter().all(|(spi, sa)| {
                let there = other.installed.get(&sa.spi_out);
                there.is_some_and(|there| there.spi_out == *spi && there.inbound == sa.outbound)
            })
        };
        let ike = a.peer.established_spis();
        let same = ike.len() == 1 && ike == b.peer.established_spis();
        up(a) && up(b) && same && mirrored(a, b) && mirrored(b, a) && self.hear_each_other()
    }

    /// Whole, and nothing is under way or left over that could change it before lifetimes end.
    fn is_at_rest(&self) -> bool {
        self.is_calm() && self.ends.iter().all(|end| end.value.peer.is_at_rest()) && self.is_whole()
    }
}

impl End {
    /// Something happens to the end. What it sends.
    fn touched(
        &mut self,
        now: Instant,
        end: usize,
        touch: Touch,
        arrives: Option<&Flight>,
        planted: bool,
    ) -> Vec<Flight> {
        let mut deaf = false;
        match (touch, arrives) {
            (Touch::Begin, _) => {
                if let Some(what) = self.to_begin.take() {
                    self.peer.undertake(now, what);
                }
            }
            (Touch::Arrive { deaf: is_deaf, .. }, Some(Flight { bytes, from, to })) => {
                deaf = is_deaf;
                let (local, remote) = ((address(end).into(), *to), (address(1 - end).into(), *from));
                self.peer.handle(now, Input::Datagram(Datagram { local, remote, bytes: bytes.clone() }));
            }
            (Touch::Arrive { .. }, None) => unreachable!("something arrives"),
            (Touch::Timeout, _) => self.peer.handle_timeout(now),
        }
        let mut sent = Vec::new();
        while let Some(output) = self.peer.poll() {
            match output {
                Output::Transmit { local_port, remote_port, bytes, .. } => {
                    sent.push(Flight { bytes, from: local_port, to: remote_port });
                }
                Output::ChildUp(sa) => {
                    if sa.send_now {
                        self.sending = Some(sa.spi_in);
                    }
                    self.installed.insert(sa.spi_in, Installed::of(&sa));
                }
                Output::ChildRekeyed { new_spi_in, .. } if !deaf => {
                    self.sending = Some(new_spi_in);
                }
                Output::ChildDown { spi_in, .. } => {
                    self.installed.remove(&spi_in).expect("an installed SA");
                    if self.sending == Some(spi_in) {
                        let other = self.installed.keys().next().copied();
                        self.sending = other.filter(|_| !planted);
                    }
                }
                _ => {}
            }
        }
        sent
    }
}

impl Installed {
    fn of(sa: &crate::proto::ike::ChildSa) -> Self {
        Self { spi_out: sa.spi_out, inbound: sa.inbound.clone(), outbound: sa.outbound.clone() }
    }
}

/// The moves that led to a state, the last first.
struct Trail {
    last: Move,
    before: Option<Rc<Trail>>,
}

/// In the order in which they were made.
fn retrace(mut trail: &Option<Rc<Trail>>) -> Vec<Move> {
    let mut moves = Vec::new();
    while let Some(step) = trail {
        moves.push(step.last);
        trail = &step.before;
    }
    moves.reverse();
    moves
}

/// What a search has seen.
#[derive(Default)]
struct Search {
    states: BTreeSet<u64>,
    settled: BTreeSet<u64>,
    deeds: Deeds,
    /// Moves made, each of them the end of another interleaving's beginning.
    moves: u64,
    /// How often a state was met again.
    met_again: u64,
    failure: Option<String>,
}

impl Search {
    fn explore(world: World, always_heard: bool) -> Self {
        let mut search = Self::default();
        let until = world.now + Duration::from_secs(12);
        let mut stack = vec![(world, None)];
        while let Some((world, trail)) = stack.pop()
            && search.failure.is_none()
        {
            for chosen in search.visit(&world, &trail, until, always_heard) {
                let mut next = world.clone();
                next.make(chosen, &mut search.deeds);
                search.moves += 1;
                stack.push((next, Some(Rc::new(Trail { last: chosen, before: trail.clone() }))));
            }
        }
        search
    }

    /// Looks at a state, and says how it can go on.
    fn visit(&mut self, world: &World, trail: &Option<Rc<Trail>>, until: Instant, always_heard: bool) -> Vec<Move> {
        if !self.states.insert(digest(world)) {
            self.met_again += 1;
            return Vec::new();
        }
        if always_heard && !world.hear_each_other() {
            self.failure = Some(format!("an end is not heard after {:?}", retrace(trail)));
            return Vec::new();
        }
        let spent = world.drops == 0 && world.delays == 0;
        if world.is_calm() && (spent || world.now >= until) {
            self.settle(world.clone(), trail);
            return Vec::new();
        }
        world.moves(until)
    }

    /// The path is good from here on.
    fn settle(&mut self, mut world: World, trail: &Option<Rc<Trail>>) {
        // Times are hardly ever the same again: what is done here is not worth keeping.
        let mut deeds = Deeds::new();
        let end = world.now + Duration::from_secs(400);
        while world.now < end && !world.is_at_rest() {
            let next = [A, B].into_iter().find(|end| !world.flights[*end].is_empty());
            world.make(next.map_or(Move::Wait, Move::Deliver), &mut deeds);
        }
        while let Some(end) = [A, B].into_iter().find(|end| !world.flights[*end].is_empty()) {
            world.make(Move::Deliver(end), &mut deeds);
        }
        self.settled.insert(digest(&world));
        if !world.is_whole() {
            let mut text = format!("not whole after {:?}:", retrace(trail));
            for end in &world.ends {
                let states = [SaKind::Ike, SaKind::Child].map(|sa| end.value.peer.state(sa));
                let _ = write!(
                    text,
                    " {states:?}, {} IKE_SA, {} installed;",
                    end.value.peer.established_spis().len(),
                    end.value.installed.len()
                );
            }
            self.failure = Some(text);
        }
    }
}

fn deletes(what: Undertaking) -> bool {
    matches!(what, Undertaking::DeleteChild | Undertaking::DeleteIke)
}

/// Searches what end A undertakes beside everything that end B may. What was visited is printed, a line for each pair.
fn beside_everything(a: Undertaking) {
    let (drops, delays) = budget();
    for b in Undertaking::ALL {
        let search = Search::explore(World::new([a, b], drops, delays), !deletes(a) && !deletes(b));
        assert_eq!(search.failure, None, "{a:?} and {b:?}");
        let Search { states, settled, moves, met_again, .. } = search;
        let line = format!(
            "{drops} drops, {delays} delays, {:28} {moves:8} interleavings, {met_again:8} of them met a state again, {:7} states, {:6} outcomes\n",
            format!("{a:?} and {b:?}"),
            states.len(),
            settled.len()
        );
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }
}

/// Two faults of each kind. `VPNSIM_EXPLORE=DROPS,DELAYS` sets another budget; `--nocapture` shows what was visited.
fn budget() -> (u8, u8) {
    let asked = std::env::var_os("VPNSIM_EXPLORE").map(|asked| asked.into_string().expect("DROPS,DELAYS"));
    let (drops, delays) = asked.as_deref().unwrap_or("2,2").split_once(',').expect("DROPS,DELAYS");
    let number = |text: &str| text.parse().expect("a number");
    (number(drops), number(delays))
}

#[test]
fn create_child_beside_everything() {
    beside_everything(Undertaking::CreateChild);
}

#[test]
fn rekey_child_beside_everything() {
    beside_everything(Undertaking::RekeyChild);
}

#[test]
fn rekey_ike_beside_everything() {
    beside_everything(Undertaking::RekeyIke);
}

#[test]
fn delete_child_beside_everything() {
    beside_everything(Undertaking::DeleteChild);
}

#[test]
fn delete_ike_beside_everything() {
    beside_everything(Undertaking::DeleteIke);
}

/// The same for undertakings with an additional key exchange each (RFC 9370 section 2.2.4), whose series of messages is longer: one
/// fault of each kind.
#[test]
fn additional_key_exchanges_beside_everything() {
    let (drops, delays) = if std::env::var_os("VPNSIM_EXPLORE").is_some() { budget() } else { (1, 1) };
    for a in Undertaking::ALL {
        for b in Undertaking::ALL {
            let configs = super::intermediate::both(super::intermediate::KEM_512);
            let world = World::of(configs, [a, b], drops, delays);
            let search = Search::explore(world, !deletes(a) && !deletes(b));
            assert_eq!(search.failure, None, "{a:?} and {b:?}");
        }
    }
}

/// The search finds what it is for: an owner that does not send on the new SA after a lost DELETE.
#[test]
fn a_planted_bug_is_found() {
    let mut world = World::new([Undertaking::RekeyChild, Undertaking::CreateChild], 1, 0);
    let mut b = End::clone(&world.ends[B].value);
    b.to_begin = None;
    world.ends[B] = Hashed::new(b);
    assert_eq!(Search::explore(world.clone(), true).failure, None);
    world.planted = true;
    let failure = Search::explore(world, true).failure.expect("the planted bug shows");
    assert!(failure.contains("Lose(1)"), "{failure}");
}

/// Two ends that do not know of each other yet commute; whoever has heard something is another.
#[test]
fn machines_that_are_alike_hash_alike() {
    let world = World::new([Undertaking::RekeyIke, Undertaking::RekeyChild], 0, 0);
    let mut deeds = Deeds::new();
    let mut one = world.clone();
    assert_eq!(digest(&one), digest(&world));
    let mut other = world.clone();
    for end in [A, B] {
        one.make(Move::Begin(end), &mut deeds);
        other.make(Move::Begin(1 - end), &mut deeds);
    }
    assert_eq!(digest(&one), digest(&other));
    let before = digest(&other);
    other.make(Move::Deliver(A), &mut deeds);
    assert_ne!(digest(&other), before);
}
