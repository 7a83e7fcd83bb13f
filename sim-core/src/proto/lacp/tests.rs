//! Two ends, one frame at a time.

use super::*;

/// Two ends with so many links between them, each of which can be cut in one direction or both.
struct Pair {
    ends: [Aggregator; 2],
    /// Whether what end 0 or 1 sends on each link arrives.
    passes: Vec<[bool; 2]>,
    now: Instant,
    /// What carries changed: when, at which end, which port, and how.
    changes: Vec<(Instant, usize, usize, bool)>,
}

impl Pair {
    fn new(links: usize, short: [bool; 2], minimum_links: [usize; 2]) -> Self {
        let end = |number: usize| {
            Aggregator::new(Config {
                system: [2, 0, 0, 0, 0, number as u8],
                key: 7,
                ports: links,
                short_timeout: short[number],
                minimum_links: minimum_links[number],
            })
        };
        let mut pair =
            Self { ends: [end(0), end(1)], passes: vec![[true; 2]; links], now: Instant::START, changes: Vec::new() };
        for port in 0..links {
            for end in 0..2 {
                pair.ends[end].handle(pair.now, Input::Port(port, true));
            }
        }
        pair.exchange();
        pair
    }

    fn exchange(&mut self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for end in 0..2 {
                while let Some(output) = self.ends[end].poll() {
                    quiet = false;
                    match output {
                        Output::Transmit(port, frame) if self.passes[port][end] => {
                            self.ends[1 - end].handle(self.now, Input::Frame(port, &frame[..]));
                        }
                        Output::Carries(port, carries) => self.changes.push((self.now, end, port, carries)),
                        Output::Transmit(..) | Output::Expired(..) => {}
                        Output::Ignored(reason) => panic!("{reason}"),
                    }
                }
            }
        }
    }

    fn run(&mut self, until: u64) {
        let end = Instant::from_secs(until);
        loop {
            let next = self.ends.iter().filter_map(Aggregator::wake).map(|(at, _)| at).min();
            match next.filter(|at| *at <= end) {
                Some(at) => self.now = at,
                None => break,
            }
            for end in 0..2 {
                self.ends[end].handle_timeout(self.now);
            }
            self.exchange();
        }
        self.now = end;
    }

    fn carrying(&self) -> [Vec<usize>; 2] {
        [0, 1].map(|end: usize| self.ends[end].carrying().collect())
    }
}

/// Section 6.4.14: two seconds (Aggregate_Wait_Time) after the partner is heard ports are attached; then both say so.
#[test]
fn both_links_carry_after_the_wait() {
    let mut pair = Pair::new(2, [false; 2], [0; 2]);
    pair.run(1);
    assert_eq!(pair.carrying(), [vec![], vec![]]);
    pair.run(3);
    assert_eq!(pair.carrying(), [vec![0, 1], vec![0, 1]]);
    assert!(pair.changes.iter().all(|(at, ..)| *at == Instant::from_secs(2)));
}

/// Section 6.4.12: who asks for short timeouts is sent to every second and misses it after three; otherwise 30 and 90.
#[test]
fn a_silent_link_is_missed_after_three_or_ninety_seconds() {
    for (short, least, most) in [(true, 2, 3), (false, 60, 90)] {
        let mut pair = Pair::new(2, [short; 2], [0; 2]);
        pair.run(200);
        pair.changes.clear();
        pair.passes[1] = [false; 2];
        pair.run(400);
        assert_eq!(pair.carrying(), [vec![0], vec![0]]);
        let gone: Vec<_> = pair.changes.iter().map(|(at, _, port, carries)| (*at, *port, *carries)).collect();
        assert_eq!(gone.len(), 2, "once at each end");
        for (at, port, carries) in gone {
            assert_eq!((port, carries), (1, false));
            assert!(at >= Instant::from_secs(200 + least) && at <= Instant::from_secs(200 + most), "{at}");
        }
        pair.passes[1] = [true; 2];
        pair.run(600);
        assert_eq!(pair.carrying(), [vec![0, 1], vec![0, 1]], "it is back");
    }
}

/// One direction is enough: the end that hears nothing says so, and the other stops, too (recordPDU, section 6.4.9).
#[test]
fn a_link_that_is_silent_in_one_direction_is_used_in_neither() {
    let mut pair = Pair::new(2, [true; 2], [0; 2]);
    pair.run(10);
    pair.passes[0] = [true, false];
    pair.run(20);
    assert_eq!(pair.carrying(), [vec![1], vec![1]]);
}

/// lags.html: below the least number of links the whole LAG is down, at both ends, whichever asks for it.
#[test]
fn below_the_least_number_nothing_carries() {
    let mut pair = Pair::new(2, [true; 2], [2, 0]);
    pair.run(10);
    assert_eq!(pair.carrying(), [vec![0, 1], vec![0, 1]]);
    for end in 0..2 {
        pair.ends[end].handle(pair.now, Input::Port(1, false));
    }
    pair.exchange();
    assert_eq!(pair.carrying(), [vec![], vec![]], "at once, as both see the carrier go");
    for end in 0..2 {
        pair.ends[end].handle(pair.now, Input::Port(1, true));
    }
    pair.exchange();
    pair.run(20);
    assert_eq!(pair.carrying(), [vec![0, 1], vec![0, 1]]);
}

/// A port that leads to another system is no member.
#[test]
fn a_port_with_another_partner_is_left_out() {
    let mut pair = Pair::new(2, [true; 2], [0; 2]);
    let mut other = Aggregator::new(Config { system: [2, 0, 0, 0, 0, 9], ..pair.ends[1].config });
    pair.passes[1] = [false; 2];
    other.handle(Instant::START, Input::Port(1, true));
    // It never hears an answer, so it sends every second for no longer than that.
    for second in 1..=3 {
        pair.run(second);
        other.handle_timeout(pair.now);
        while let Some(output) = other.poll() {
            if let Output::Transmit(1, frame) = output {
                pair.ends[0].handle(pair.now, Input::Frame(1, &frame[..]));
            }
        }
        pair.exchange();
    }
    assert_eq!(pair.ends[0].receive(1), Receive::Current);
    assert_eq!(pair.carrying(), [vec![0], vec![0]]);
}

#[test]
fn what_is_no_lacpdu_is_ignored() {
    let mut pair = Pair::new(1, [true; 2], [0; 2]);
    pair.ends[0].handle(pair.now, Input::Frame(0, &[1, 0x80, 0xc2, 0, 0, 2]));
    assert_eq!(pair.ends[0].poll(), Some(Output::Ignored(DropReason::Malformed)));
    let frame = Lacpdu { actor: End::default(), partner: End::default() }.emit();
    pair.ends[0].handle(pair.now, Input::Port(0, false));
    pair.ends[0].handle(pair.now, Input::Frame(0, &frame));
    assert_eq!(pair.ends[0].poll(), Some(Output::Ignored(DropReason::LinkDown)));
}
