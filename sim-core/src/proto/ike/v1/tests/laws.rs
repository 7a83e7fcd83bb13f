//! Laws that hold on any path and against any garbage.

use proptest::prelude::*;

use super::fast_configs;
use super::pair::{A, B, Fate, Pair};
use crate::proto::ike::{Datagram, Input, Output, SaKind};
use crate::reason::{Reason, State};
use crate::time::{Duration, Instant};

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Deliver),
        3 => Just(Fate::Drop),
        1 => Just(Fate::Duplicate),
        1 => (1u64..9_000).prop_map(|ms| Fate::Late(Duration::from_millis(ms))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to the first 24 datagrams, each end hears the other once the path is good again.
    #[test]
    fn liveness_once_the_path_heals(fates in prop::collection::vec(fate(), 24), seed in 0u64..1000) {
        let mut pair = Pair::seeded(fast_configs(), seed);
        pair.fates = fates.into_iter().enumerate().collect();
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_until(Instant::from_secs(1_500));
        prop_assert!(pair.is_up(), "{}", pair.ladder);
    }

    /// Rekeying of both phases by both ends over a bad path never ends with a dead tunnel.
    #[test]
    fn rekeying_survives_a_bad_path(fates in prop::collection::vec(fate(), 16), seed in 0u64..1000) {
        let mut both = fast_configs();
        for config in &mut both {
            config.rekey.initiates = true;
            config.rekey.fuzz_percent = 0;
            config.ike_lifetime = Duration::from_secs(3_600);
        }
        let mut pair = Pair::seeded(both, seed);
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_until(Instant::from_secs(3_329));
        pair.ladder.clear();
        pair.datagrams = 0;
        pair.fates = fates.into_iter().enumerate().collect();
        pair.run_until(Instant::from_secs(5_000));
        prop_assert!(pair.is_up(), "{}", pair.ladder);
    }

    /// Mutated and random datagrams neither panic nor change an established tunnel, because they do not authenticate.
    #[test]
    fn garbage_has_no_effect(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        noise in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut pair = Pair::up(fast_configs());
        pair.run_until(Instant::from_secs(30));
        let mut bytes = pair.ends[A].sent[which.index(pair.ends[A].sent.len())].clone();
        for (at, mask) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
        }
        let before = pair.ends[B].installed.clone();
        for bytes in [bytes, noise] {
            let datagram = Datagram {
                local: (pair.ends[B].address, 500),
                remote: (pair.ends[A].address, 500),
                bytes,
            };
            pair.ends[B].peer.handle(pair.now, Input::Datagram(datagram));
            while let Some(output) = pair.ends[B].peer.poll() {
                prop_assert!(!matches!(output, Output::State { .. } | Output::ChildDown { .. }), "{output:?}");
            }
        }
        prop_assert_eq!(pair.ends[B].peer.state(SaKind::Ike), State::Up);
        prop_assert_eq!(&pair.ends[B].installed, &before);
        pair.run_for(Duration::from_secs(60));
        prop_assert!(pair.is_up());
    }

    /// The same before there is an SA: whatever reaches either end of a handshake, neither panics or gets stuck. That the tunnel comes
    /// up is not promised: until the fifth message nothing is authentic, so a forger can make one end believe in a NAT.
    #[test]
    fn garbage_in_a_handshake_does_not_panic(
        after in 1u64..90,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
    ) {
        let mut pair = Pair::new(fast_configs());
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(Duration::from_millis(after));
        for from in [A, B] {
            let Some(mut bytes) = pair.ends[from].sent.last().cloned() else { continue };
            for (at, mask) in &flips {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
            let datagram =
                Datagram { local: (pair.ends[1 - from].address, 500), remote: (pair.ends[from].address, 500), bytes };
            pair.input(1 - from, Input::Datagram(datagram));
        }
        pair.run_for(Duration::from_secs(400));
        prop_assert_eq!(pair.ends[A].peer.state(SaKind::Ike), State::Up, "{}", pair.ladder);
    }
}

/// A machine is a value: a copy goes on exactly as the original does.
#[test]
fn a_clone_goes_on_alike() {
    let mut pair = Pair::up(fast_configs());
    let mut copy = pair.ends[A].peer.clone();
    let (at, _) = copy.wake().unwrap();
    copy.handle_timeout(at);
    pair.ends[A].peer.handle_timeout(at);
    loop {
        let (one, other) = (copy.poll(), pair.ends[A].peer.poll());
        assert_eq!(one, other);
        if one.is_none() {
            break;
        }
    }
}

/// A wake that is not due any more, because traffic moved it, is no event.
#[test]
fn a_spurious_timeout_does_nothing() {
    let mut pair = Pair::up(fast_configs());
    let peer = &mut pair.ends[B].peer;
    let spi_in = *pair.ends[B].installed.keys().next().unwrap();
    let (at, _) = peer.wake().unwrap();
    peer.handle(at, Input::InboundTraffic { spi_in });
    assert_eq!(peer.wake().unwrap().0, at, "traffic arms nothing");
    peer.handle_timeout(at);
    assert_eq!(peer.poll(), None);
    assert_eq!(peer.wake().unwrap().0, at + Duration::from_secs(10));
}
