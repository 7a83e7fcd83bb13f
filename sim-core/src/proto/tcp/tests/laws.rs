//! Laws: the stream arrives whole over any wire, equal worlds send equal octets, no packet panics, no wake spins.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::proto::tcp::{Profile, Stack};
use crate::rng::{Chance, Rng};

/// A wire of 15 ms that loses, repeats and overtakes; lossless from 20 s on, before any end gives up.
struct Wire {
    rng: Rng,
    loss: Chance,
    duplicate: Chance,
    reorder: Chance,
    flying: BTreeMap<(Instant, u64), (bool, Packet)>,
    serial: u64,
}

impl Wire {
    fn carry(&mut self, now: Instant, to_b: bool, packet: &Packet) {
        let heal = now >= Instant::from_secs(20);
        if self.rng.chance(self.loss) && !heal {
            return;
        }
        for _ in 0..=u8::from(self.rng.chance(self.duplicate)) {
            let late = if self.rng.chance(self.reorder) { 10 } else { 0 };
            self.serial += 1;
            self.flying.insert((now + Duration::from_millis(15 + late), self.serial), (to_b, packet.clone()));
        }
    }
}

struct Run {
    received: Vec<u8>,
    digest: u128,
    ended: bool,
}

/// A sends `writes` over a bad wire and closes; B answers the FIN by closing.
fn run(seed: u64, profile: Profile, chances: [f64; 3], writes: &[Vec<u8>]) -> Run {
    let config = TcpConfig { profile, ..TcpConfig::default() };
    let dice = |owner| Rng::stream(seed, owner, Purpose::Test);
    let mut wire = Wire {
        rng: dice("wire"),
        loss: Chance::from_probability(chances[0]),
        duplicate: Chance::from_probability(chances[1]),
        reorder: Chance::from_probability(chances[2]),
        flying: BTreeMap::new(),
        serial: 0,
    };
    let mut hash = twox_hash::XxHash3_128::new();
    let mut now = Instant::START;
    let mut a = Connection::connect(config.clone(), A, B, &mut dice("a"), now);
    let mut b: Option<Connection> = None;
    let mut received = Vec::new();
    let mut ended = false;
    loop {
        for (to_b, end) in [(true, Some(&mut a)), (false, b.as_mut())] {
            let Some(end) = end else { continue };
            while let Some(output) = end.poll() {
                match output {
                    Output::Transmit(packet) => {
                        hash.write(packet.bytes());
                        wire.carry(now, to_b, &packet);
                    }
                    Output::Event(Event::Connected) if to_b => {
                        for w in writes {
                            end.send(now, w).expect("within the limit");
                        }
                        end.close(now);
                    }
                    Output::Event(Event::Received(octets)) => received.extend(octets),
                    Output::Event(Event::PeerClosed) => {
                        ended |= !to_b;
                        end.close(now);
                    }
                    // The ACK of B's FIN may be lost, and A's TIME-WAIT over before B repeats it.
                    Output::Event(Event::Closed | Event::TimedOut | Event::Reset | Event::Connected) => {}
                    Output::Event(Event::Ignored(reason)) => panic!("ignored: {reason}"),
                }
            }
        }
        let arrival = wire.flying.first_key_value().map(|((t, _), _)| *t);
        let (wake_a, wake_b) = (a.wake(), b.as_ref().and_then(Connection::wake));
        let Some(next) = [arrival, wake_a, wake_b].into_iter().flatten().min() else {
            break;
        };
        assert!(next >= now);
        assert!(next < Instant::from_secs(3_600), "neither done nor given up: {a:?} {b:?}");
        now = next;
        if wake_a == Some(now) {
            a.handle_timeout(now);
            assert!(a.wake().is_none_or(|t| t > now));
        }
        if let Some(b) = b.as_mut().filter(|_| wake_b == Some(now)) {
            b.handle_timeout(now);
            assert!(b.wake().is_none_or(|t| t > now));
        }
        if arrival == Some(now) {
            let (_, (to_b, packet)) = wire.flying.pop_first().expect("an arrival");
            match &mut b {
                Some(b) if to_b => b.handle(now, packet.bytes()),
                None if to_b => {
                    b = Connection::accept(config.clone(), packet.bytes(), &mut dice("b"), now).ok();
                }
                Some(_) | None => a.handle(now, packet.bytes()),
            }
        }
    }
    Run { received, digest: hash.finish_128(), ended }
}

fn stream(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8)) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_stream_arrives_whole(
        seed: u64,
        linux: bool,
        chances in [0.0..0.25, 0.0..0.2, 0.0..0.3],
        sizes in prop::collection::vec(1usize..6_000, 1..12),
    ) {
        let profile = if linux { Profile::Linux } else { Profile::Rfc };
        let all = stream(sizes.iter().sum());
        let mut writes = Vec::new();
        let mut from = 0;
        for size in sizes {
            writes.push(all[from..from + size].to_vec());
            from += size;
        }
        let run = run(seed, profile, chances, &writes);
        prop_assert_eq!(run.received, all);
        prop_assert!(run.ended);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_packet_panics(
        damages in prop::collection::vec(
            (prop::collection::vec((0usize..60, 0u8..8), 0..4), 0usize..60, 0usize..8), 1..5),
        fix_checksums: bool,
        cut_ba: bool,
    ) {
        let mut p = Pair::established(TcpConfig::default());
        p.cut_ba = cut_ba;
        let mut host = Stack::new([*B.ip()], rng("host"));
        host.listen(B.port(), None, TcpConfig::default());
        for (flips, cut, which) in damages {
            p.a.send(p.now, &[1; 1_500]).expect("open");
            p.b.send(p.now, &[2; 100]).ok();
            let (packets, _) = drain(&mut p.a);
            let Some(good) = packets.get(which % packets.len().max(1)) else { break };
            let mut bytes = good.bytes().to_vec();
            for (at, bit) in flips {
                bytes[at % good.len()] ^= 1 << bit;
            }
            bytes.truncate(bytes.len() - cut % 40);
            if fix_checksums {
                repair(&mut bytes);
            }
            p.b.handle(p.now, &bytes);
            host.handle(p.now, &bytes);
            p.run_until(p.now + Duration::from_millis(300));
        }
        // Whatever that did, time goes on: run_until asserts that no wake spins.
        p.run_until(p.now + Duration::from_secs(100));
    }
}

/// Makes both checksums right where lengths allow, so that the damage reaches the state machine.
fn repair(bytes: &mut [u8]) {
    let Ok(mut ip) = Ipv4Packet::new_checked(&mut bytes[..]) else {
        return;
    };
    ip.fill_checksum();
    let (src, dst) = (ip.src_addr(), ip.dst_addr());
    if let Ok(mut tcp) = TcpPacket::new_checked(ip.payload_mut()) {
        tcp.fill_checksum(&src.into(), &dst.into());
    }
}

#[test]
fn equal_seeds_send_equal_octets() {
    let writes = [stream(30_000)];
    let chances = [0.1, 0.1, 0.1];
    let once = run(3, Profile::Linux, chances, &writes);
    assert_eq!(once.digest, run(3, Profile::Linux, chances, &writes).digest);
    assert_ne!(once.digest, run(4, Profile::Linux, chances, &writes).digest);
}

/// Instants between two microseconds: wakes are whole ones, and serving one moves it.
#[test]
fn wakes_are_whole_microseconds_and_never_now() {
    let start = Instant::from_nanos(1_234_567_891);
    for ack_delay in [None, Some(Duration::from_millis(40))] {
        let config = TcpConfig { ack_delay, ..TcpConfig::default() };
        let mut a = Connection::connect(config.clone(), A, B, &mut rng("a"), start);
        let (syn, _) = drain(&mut a);
        let mut b = Connection::accept(config, syn[0].bytes(), &mut rng("b"), start).expect("a SYN");
        let (syn_ack, _) = drain(&mut b);
        let later = start + Duration::from_nanos(999);
        a.handle(later, syn_ack[0].bytes());
        drain(&mut a).0.iter().for_each(|p| b.handle(later, p.bytes()));
        a.send(later, b"x").expect("open");
        drain(&mut a).0.iter().for_each(|p| b.handle(later, p.bytes()));
        for end in [&mut a, &mut b] {
            let mut now = later;
            for _ in 0..30 {
                let Some(t) = end.wake() else { break };
                assert_eq!(t.as_nanos() % 1_000, 0);
                assert!(t > now);
                now = t;
                // A call too early, by less than a microsecond, changes nothing.
                end.handle_timeout(Instant::from_nanos(t.as_nanos() - 1));
                assert_eq!(end.wake(), Some(t));
                end.handle_timeout(t);
                drain(end);
            }
        }
    }
}
