use core::fmt::Write as _;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::rng::Purpose;

const A: usize = 0;
const B: usize = 1;
/// Of the path, one way.
const DELAY: Duration = Duration::from_millis(10);
const FAST: Duration = Duration::from_millis(300);

/// AWS Direct Connect's figures: 300 ms, three times.
fn config() -> Config {
    Config { desired_min_tx: FAST, required_min_rx: FAST, detect_multiplier: 3, passive: false, multihop: false }
}

fn session(config: Config, discriminator: u32) -> Session {
    Session::new(config, discriminator, Seldom::stream(1, &format!("bfd {discriminator}"), Purpose::Test))
}

/// Two ends and a path between them.
struct Pair {
    ends: [Session; 2],
    now: Instant,
    /// When, to whom, what.
    under_way: Vec<(Instant, usize, [u8; LEN])>,
    /// Numbers of packets that are lost, counted from 0 over both directions.
    lost: BTreeSet<usize>,
    /// True while nothing that this end sends arrives.
    dark: [bool; 2],
    sent: [Vec<Instant>; 2],
    changes: Vec<(Instant, usize, State, Diagnostic)>,
    packets: usize,
    ladder: String,
}

impl Pair {
    fn new(configs: [Config; 2]) -> Self {
        let [a, b] = configs;
        Self {
            ends: [session(a, 0xa), session(b, 0xb)],
            now: Instant::START,
            under_way: Vec::new(),
            lost: BTreeSet::new(),
            dark: [false; 2],
            sent: [Vec::new(), Vec::new()],
            changes: Vec::new(),
            packets: 0,
            ladder: String::new(),
        }
    }

    fn up(configs: [Config; 2]) -> Self {
        let mut pair = Self::new(configs);
        [A, B].into_iter().for_each(|end| pair.input(end, Input::Start));
        pair.run_for(Duration::from_secs(10));
        assert_eq!(pair.states(), [State::Up; 2]);
        pair
    }

    fn states(&self) -> [State; 2] {
        [A, B].map(|end| self.ends[end].state())
    }

    fn input(&mut self, end: usize, input: Input<'_>) {
        self.ends[end].handle(self.now, input);
        self.drain(end);
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let arrival = self.under_way.iter().map(|(at, ..)| *at).min();
            let wake = self.ends.iter().filter_map(Session::wake).map(|(at, _)| at).min();
            let Some(next) = arrival.into_iter().chain(wake).min().filter(|at| *at <= until) else { break };
            self.now = next;
            while let Some(i) = self.under_way.iter().position(|(at, ..)| *at <= next) {
                let (_, to, octets) = self.under_way.remove(i);
                self.input(to, Input::Packet { payload: &octets, ttl: TTL });
            }
            for end in [A, B] {
                self.ends[end].handle_timeout(next);
                self.drain(end);
            }
        }
        self.now = until;
    }

    fn drain(&mut self, end: usize) {
        while let Some(output) = self.ends[end].poll() {
            match output {
                Output::Transmit(octets) => self.sent(end, octets),
                Output::State { from, to, diagnostic } => {
                    self.changes.push((self.now, end, to, diagnostic));
                    self.note(end, &format!("{from:?} -> {to:?} ({diagnostic:?})"));
                }
                Output::Expired { timer: TimerKind::BfdDetection, armed_at } => {
                    self.note(end, &format!("Detection Time expired; heard last at {armed_at}"));
                }
                Output::Expired { .. } => {}
                Output::Ignored(reason) => self.note(end, &format!("ignored: {reason}")),
            }
        }
    }

    fn sent(&mut self, end: usize, octets: [u8; LEN]) {
        let packet = ControlPacket::parse(&octets).unwrap();
        if !packet.is_final {
            self.sent[end].push(self.now);
        }
        let lost = self.lost.contains(&self.packets) || self.dark[end];
        let flags = [(packet.poll, " P"), (packet.is_final, " F"), (lost, "   lost")];
        let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
        let (ms, my, your) = (|us: u32| us / 1_000, packet.my_discriminator, packet.your_discriminator);
        let (tx, rx) = (ms(packet.desired_min_tx_us), ms(packet.required_min_rx_us));
        let arrow = ["-->", "<--"][end];
        self.note(end, &format!("{arrow} {:?} my {my:x} your {your:x} tx {tx} rx {rx} ms{flags}", packet.state));
        if !lost {
            self.under_way.push((self.now + DELAY, 1 - end, octets));
        }
        self.packets += 1;
    }

    fn note(&mut self, end: usize, what: &str) {
        let _ = writeln!(self.ladder, "{:>11}  {}  {what}", self.now.to_string(), ["A", "B"][end]);
    }

    fn went(&self, end: usize, state: State) -> Option<Instant> {
        self.changes.iter().find(|(_, e, to, _)| (*e, *to) == (end, state)).map(|(at, ..)| *at)
    }
}

/// RFC 5880 section 6.8.6, all sixteen.
#[test]
fn what_every_state_does_with_every_state() {
    let mut table = String::from("local       received    becomes\n");
    for local in State::ALL {
        for received in State::ALL {
            let becomes = transition(local, received).map_or("-".into(), |(to, why)| format!("{to:?} ({why:?})"));
            let _ = writeln!(table, "{:<11} {:<11} {becomes}", format!("{local:?}"), format!("{received:?}"));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn two_ends_come_up_slowly_and_then_tell_their_interval() {
    let mut pair = Pair::new([config(); 2]);
    pair.input(A, Input::Start);
    pair.run_for(Duration::from_millis(100));
    pair.input(B, Input::Start);
    pair.run_for(Duration::from_millis(2_500));
    insta::assert_snapshot!(pair.ladder);
}

/// Whatever is lost of the first twelve packets, one or two of them, both ends are up in the end, and stay so.
#[test]
fn no_loss_keeps_it_down() {
    for first in 0..12 {
        for second in first..12 {
            let mut pair = Pair::new([config(); 2]);
            pair.lost = [first, second].into();
            [A, B].into_iter().for_each(|end| pair.input(end, Input::Start));
            pair.run_for(Duration::from_secs(12));
            let changes = pair.changes.len();
            pair.run_for(Duration::from_secs(20));
            assert_eq!((pair.states(), pair.changes.len()), ([State::Up; 2], changes), "{}", pair.ladder);
        }
    }
}

/// Section 6.8.4: three intervals of 300 ms after the last packet came, to the nanosecond; the end that is heard no more is told
/// so, one way of the path after.
#[test]
fn silence_is_noticed_after_the_detection_time() {
    let mut pair = Pair::up([config(); 2]);
    let cut = pair.now;
    pair.dark[A] = true;
    pair.changes.clear();
    pair.run_for(Duration::from_millis(1_500));
    let last = pair.sent[A].iter().rfind(|at| **at <= cut).unwrap();
    let detected = *last + DELAY + Duration::from_millis(900);
    assert_eq!(pair.changes[0], (detected, B, State::Down, Diagnostic::DetectionTimeExpired));
    assert_eq!(pair.changes[1], (detected + DELAY, A, State::Down, Diagnostic::NeighborSignaledDown));
    // The cut is not older than one jittered interval and one way.
    let after = detected.since(cut);
    assert!(after > Duration::from_millis(600) && after <= Duration::from_millis(910), "{after}");
    // A one-way path never brings it up again: B's Down makes A Init, and A's Init never comes.
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.states()[B], State::Down);
    pair.dark[A] = false;
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.states(), [State::Up; 2]);
}

/// The slower of what one end wants and the other bears, in each direction; the multiplier is the sender's.
#[test]
fn each_direction_has_its_own_interval() {
    let a = Config { desired_min_tx: Duration::from_millis(100), detect_multiplier: 5, ..config() };
    let b = Config { required_min_rx: Duration::from_millis(50), ..config() };
    let pair = Pair::up([a, b]);
    let times = |end: usize| (pair.ends[end].transmit_interval().unwrap(), pair.ends[end].detection_time());
    let ms = Duration::from_millis;
    assert_eq!(times(A), (ms(100), ms(900)), "B sends at 300 ms, three times");
    assert_eq!(times(B), (ms(300), ms(500)), "A sends at 100 ms, five times");
}

/// Section 6.8.7: 75 to 100 percent, evenly; with a multiplier of 1 up to 90.
#[test]
fn intervals_are_jittered() {
    for (multiplier, most) in [(3, 300), (1, 270)] {
        let config = Config { detect_multiplier: multiplier, ..config() };
        // A path without loss or delay variation, so that even a multiplier of 1 stands.
        let mut pair = Pair::up([config; 2]);
        pair.sent[A].clear();
        pair.run_for(Duration::from_secs(600));
        let waits: Vec<u64> = pair.sent[A].windows(2).map(|w| w[1].since(w[0]).as_nanos()).collect();
        let (low, high) = (225_000_000, most * 1_000_000);
        assert!(waits.iter().all(|wait| (low..=high).contains(wait)));
        let mean = waits.iter().sum::<u64>() as f64 / waits.len() as f64;
        // Over 2,000 draws: the standard error of the mean of a uniform distribution of this width is below 0.5 ms.
        let expected = (low + high) as f64 / 2.0;
        assert!((mean - expected).abs() < 2e6, "{mean} ns, not {expected}");
    }
}

/// Section 6.8.3: an end that is not up sends no faster than once in a second, less jitter.
#[test]
fn nobody_hurries_while_it_is_down() {
    let mut pair = Pair::new([config(); 2]);
    pair.input(A, Input::Start);
    pair.run_for(Duration::from_secs(60));
    assert!(pair.sent[A].windows(2).all(|w| w[1].since(w[0]) >= Duration::from_millis(750)));
    assert!((60..=80).contains(&pair.sent[A].len()));
}

/// Section 6.8.3: while the other end has not answered the Poll, the old interval holds where the new one is slower to send or
/// faster to receive; the new one where it does no harm.
#[test]
fn a_change_of_intervals_is_polled() {
    let ms = Duration::from_millis;
    let mut pair = Pair::up([config(); 2]);
    let times = |pair: &Pair| (pair.ends[A].transmit_interval().unwrap(), pair.ends[A].detection_time());
    assert_eq!(times(&pair), (ms(300), ms(900)));
    pair.ladder.clear();
    pair.input(A, Input::Intervals { desired_min_tx: ms(1_000), required_min_rx: ms(100) });
    // B still sends at 300 ms, as it says, whatever A bears.
    assert_eq!(times(&pair), (ms(300), ms(900)));
    pair.run_for(ms(400));
    assert_eq!(times(&pair), (ms(1_000), ms(900)));
    assert_eq!(pair.ends[B].detection_time(), ms(3_000));
    insta::assert_snapshot!(pair.ladder);
    pair.input(A, Input::Intervals { desired_min_tx: ms(300), required_min_rx: ms(2_000) });
    assert_eq!(times(&pair), (ms(300), ms(6_000)), "faster to send and slower to receive do no harm");
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.ends[B].transmit_interval(), Some(ms(2_000)));
    assert_eq!(pair.states(), [State::Up; 2]);
    assert!(pair.changes.iter().all(|(_, _, to, _)| *to != State::Down));
}

/// An answer that is lost is asked for again by the next packet.
#[test]
fn a_lost_final_is_asked_for_again() {
    let mut pair = Pair::up([config(); 2]);
    pair.dark[B] = true;
    pair.input(A, Input::Intervals { desired_min_tx: Duration::from_millis(600), required_min_rx: FAST });
    pair.run_for(Duration::from_millis(350));
    assert_eq!(pair.ends[A].transmit_interval(), Some(FAST));
    pair.dark[B] = false;
    pair.run_for(Duration::from_millis(350));
    assert_eq!(pair.ends[A].transmit_interval(), Some(Duration::from_millis(600)));
    assert_eq!(pair.states(), [State::Up; 2]);
}

/// Section 6.8.16.
#[test]
fn an_operator_holds_it_down_and_lets_it_go() {
    let mut pair = Pair::up([config(); 2]);
    pair.changes.clear();
    let stopped = pair.now;
    pair.input(A, Input::Stop);
    pair.run_for(Duration::from_secs(30));
    assert_eq!(pair.states(), [State::AdminDown, State::Down]);
    assert_eq!(pair.changes[0], (stopped, A, State::AdminDown, Diagnostic::AdminDown));
    assert_eq!(pair.changes[1], (stopped + DELAY, B, State::Down, Diagnostic::NeighborSignaledDown));
    assert_eq!(pair.changes.len(), 2);
    pair.input(A, Input::Start);
    pair.run_for(Duration::from_secs(5));
    assert_eq!((pair.states(), pair.ends[A].diagnostic()), ([State::Up; 2], Diagnostic::None));
}

/// Section 6.1: a passive end waits to be spoken to; two of them wait for ever.
#[test]
fn somebody_must_begin() {
    let passive = Config { passive: true, ..config() };
    let mut pair = Pair::new([passive; 2]);
    [A, B].into_iter().for_each(|end| pair.input(end, Input::Start));
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.packets, 0);
    Pair::up([config(), passive]);
}

/// Power loss: the peer begins anew, and is believed.
#[test]
fn an_end_that_forgets_comes_back() {
    let mut pair = Pair::up([config(); 2]);
    pair.changes.clear();
    pair.input(A, Input::Reset);
    pair.input(A, Input::Start);
    pair.run_for(Duration::from_secs(8));
    assert_eq!(pair.states(), [State::Up; 2]);
    assert!(pair.went(B, State::Down).is_some());
}

/// Sections 6.6 and 6.8.7: an end that is asked for silence is silent, but answers P and still hears.
#[test]
fn demand_mode_and_a_deaf_end_are_honoured() {
    let mut end = session(config(), 0xa);
    let from_peer = |state, demand, poll, required_min_rx_us| {
        let packet = ControlPacket {
            diagnostic: Diagnostic::None,
            state,
            poll,
            is_final: true,
            control_plane_independent: false,
            authentication: false,
            demand,
            detect_multiplier: 3,
            my_discriminator: 0xb,
            your_discriminator: 0xa,
            desired_min_tx_us: 10_000_000,
            required_min_rx_us,
            required_min_echo_rx_us: 0,
        };
        packet.emit()
    };
    let now = Instant::from_secs(1);
    let sent = |end: &mut Session, octets: [u8; LEN]| {
        end.handle(now, Input::Packet { payload: &octets, ttl: TTL });
        let mut sent = Vec::new();
        while let Some(output) = end.poll() {
            if let Output::Transmit(octets) = output {
                sent.push(ControlPacket::parse(&octets).unwrap());
            }
        }
        sent
    };
    end.handle(now, Input::Start);
    sent(&mut end, from_peer(State::Init, false, false, 1));
    // The Final ends the Poll Sequence that coming up began.
    sent(&mut end, from_peer(State::Up, true, false, 1));
    assert_eq!((end.state(), end.transmit_interval()), (State::Up, None));
    let answers = sent(&mut end, from_peer(State::Up, true, true, 1));
    assert!(matches!(&answers[..], [ControlPacket { is_final: true, poll: false, .. }]), "{answers:?}");
    assert!(matches!(end.wake(), Some((_, TimerKind::BfdDetection))), "it still misses the peer");
    // A peer that takes no periodic packets gets none either.
    sent(&mut end, from_peer(State::Up, false, false, 0));
    assert_eq!(end.transmit_interval(), None);
    sent(&mut end, from_peer(State::Up, false, false, 500_000));
    assert_eq!(end.transmit_interval(), Some(Duration::from_millis(500)));
}

/// RFC 5881 section 5, RFC 5880 section 6.8.6: what is not for the session, or not from a neighbour, moves nothing.
#[test]
fn strangers_are_not_heard() {
    let pair = Pair::up([config(); 2]);
    let mut end = pair.ends[A].clone();
    let mut packet = ControlPacket {
        diagnostic: Diagnostic::None,
        state: State::Down,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        authentication: false,
        demand: false,
        detect_multiplier: 3,
        my_discriminator: 0xb,
        your_discriminator: 0xa,
        desired_min_tx_us: 1_000_000,
        required_min_rx_us: 1_000_000,
        required_min_echo_rx_us: 0,
    };
    let ignored = |end: &mut Session, octets: &[u8], ttl| {
        end.handle(pair.now, Input::Packet { payload: octets, ttl });
        match end.poll() {
            Some(Output::Ignored(reason)) => Some(reason),
            _ => None,
        }
    };
    assert_eq!(ignored(&mut end, &packet.emit(), 254), Some(DropReason::TtlTooLow));
    packet.your_discriminator = 0xc;
    assert_eq!(ignored(&mut end, &packet.emit(), TTL), Some(DropReason::NotForMe));
    packet.your_discriminator = 0xa;
    let mut with_password = packet.emit().to_vec();
    with_password.extend([1, 3, 0]);
    (with_password[1], with_password[3]) = (with_password[1] | 0x04, 27);
    assert_eq!(ignored(&mut end, &with_password, TTL), Some(DropReason::UnexpectedMessage));
    assert_eq!(end.state(), State::Up);
    // Over several hops the TTL says nothing (RFC 5883), and the same packet takes the session down.
    end.config.multihop = true;
    assert_eq!(ignored(&mut end, &packet.emit(), 60), None);
    assert_eq!(end.state(), State::Down);
}

proptest! {
    /// Garbage moves no session, wherever it stands.
    #[test]
    fn garbage_has_no_effect(octets in prop::collection::vec(any::<u8>(), 0..40), started in any::<bool>()) {
        let mut end = session(config(), 0x00c0_ffee);
        if started {
            end.handle(Instant::START, Input::Start);
            while end.poll().is_some() {}
        }
        let before = end.state();
        end.handle(Instant::from_secs(1), Input::Packet { payload: &octets, ttl: TTL });
        let foreign = ControlPacket::parse(&octets).is_err();
        if foreign {
            prop_assert_eq!(end.state(), before);
            prop_assert!(matches!(end.poll(), Some(Output::Ignored(_))));
        }
    }
}
