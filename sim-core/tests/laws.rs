//! The laws that impairments and the queue of a link obey, each on a million packets.
//!
//! Seeds are fixed, so a test passes always or never. Expectations come from the law; a tolerance is five standard
//! deviations of the statistic under the law (a right implementation fails one seed in 1.7 million), and a chi-squared
//! statistic is held against its quantile of the same rarity.

use sim_core::id::RecordId;
use sim_core::net::link::{Direction, DirectionConfig, Duplicate, Fate, Jitter, Loss, QueueLimit, Reorder};
use sim_core::packet::{Meta, Packet};
use sim_core::reason::DropReason;
use sim_core::rng::{Chance, Purpose, Rng};
use sim_core::time::{Duration, Instant};
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, Pareto, StudentsT};

const N: u64 = 1_000_000;
/// Two-sided probability of five standard deviations of a normal variable.
const RARE: f64 = 5.7e-7;

fn p(probability: f64) -> Chance {
    Chance::from_probability(probability)
}

fn direction(config: DirectionConfig) -> Direction {
    Direction::new(config, 2026, "law")
}

fn packet(octets: usize) -> Packet {
    Packet::zeroed(octets, Meta::default())
}

/// Offers `N` packets of 100 octets, one every `gap`, and answers when each was offered and what became of it.
fn fates(config: DirectionConfig, gap: Duration) -> Vec<(Instant, Fate)> {
    let mut direction = direction(config);
    let mut packet = packet(100);
    (0..N)
        .map(|n| {
            let now = Instant::START + gap * n;
            (now, direction.offer(now, &mut packet))
        })
        .collect()
}

fn losses(loss: Loss) -> Vec<bool> {
    let config = DirectionConfig { loss, ..DirectionConfig::default() };
    let lost = |(_, fate)| fate == Fate::Drop(DropReason::Loss);
    fates(config, Duration::from_micros(1)).into_iter().map(lost).collect()
}

#[track_caller]
fn within_five_sigma(what: &str, measured: f64, expected: f64, sigma: f64) {
    let off = (measured - expected) / sigma;
    assert!(off.abs() < 5.0, "{what}: {measured}, expected {expected}, {off:.1} standard deviations off");
}

/// A count of successes among `n` independent trials: binomial, variance n p (1 - p).
#[track_caller]
fn binomial(what: &str, count: usize, n: f64, p: f64) {
    within_five_sigma(what, count as f64, n * p, (n * p * (1.0 - p)).sqrt());
}

/// Pearson's statistic of `counts` against `shares` of their sum.
#[track_caller]
fn chi_squared(what: &str, counts: &[f64], shares: &[f64]) {
    let total: f64 = counts.iter().sum();
    assert!(shares.iter().all(|share| share * total >= 5.0), "{what}: a class expects too little for this test");
    let terms = counts.iter().zip(shares).map(|(c, s)| (c - s * total).powi(2) / (s * total));
    let statistic: f64 = terms.sum();
    let limit = ChiSquared::new(counts.len() as f64 - 1.0).unwrap().inverse_cdf(1.0 - RARE);
    assert!(statistic < limit, "{what}: chi-squared {statistic:.1}, limit {limit:.1}");
}

/// Independent loss: as many single losses as the binomial says, and as many pairs in a row: the indicator of a pair
/// has mean p^2, and neighbours share a packet, so the count's variance is n (p^2 + 2 p^3 - 3 p^4).
#[test]
fn independent_loss_has_its_rate_and_no_memory() {
    let rate = 0.03;
    let lost = losses(Loss::Independent(p(rate)));
    binomial("lost", lost.iter().filter(|&&l| l).count(), N as f64, rate);
    let pairs = lost.windows(2).filter(|w| w[0] && w[1]).count();
    let variance = N as f64 * (rate.powi(2) + 2.0 * rate.powi(3) - 3.0 * rate.powi(4));
    within_five_sigma("pairs", pairs as f64, N as f64 * rate * rate, variance.sqrt());
}

/// Gilbert's model (loss in bad only): with p = 0.01 and r = 0.2 the stationary share of bad is p / (p + r) = 1/21.
/// The states' autocorrelation at lag k is (1 - p - r)^k, which multiplies the binomial variance by
/// (1 + lambda) / (1 - lambda) with lambda = 0.79. Bursts are geometric: mean 1 / r = 5, variance (1 - r) / r^2 = 20.
#[test]
fn gilbert_losses_come_in_geometric_bursts() {
    let (enter, leave) = (0.01, 0.2);
    let lost = losses(Loss::GilbertElliott {
        good_to_bad: p(enter),
        bad_to_good: p(leave),
        loss_good: Chance::NEVER,
        loss_bad: Chance::ALWAYS,
    });
    let share = enter / (enter + leave);
    let lambda: f64 = 1.0 - enter - leave;
    let variance = N as f64 * share * (1.0 - share) * (1.0 + lambda) / (1.0 - lambda);
    let count = lost.iter().filter(|&&l| l).count();
    within_five_sigma("lost", count as f64, N as f64 * share, variance.sqrt());

    let bursts: Vec<usize> = lost.chunk_by(|a, b| a == b).filter(|run| run[0]).map(<[bool]>::len).collect();
    let mean = bursts.iter().sum::<usize>() as f64 / bursts.len() as f64;
    let sigma = ((1.0 - leave) / leave.powi(2) / bursts.len() as f64).sqrt();
    within_five_sigma("mean burst", mean, 1.0 / leave, sigma);

    let longest = 25;
    let mut counts = vec![0.0; longest];
    for &burst in &bursts {
        counts[burst.min(longest) - 1] += 1.0;
    }
    let stay: f64 = 1.0 - leave;
    let share_of = |k: usize| {
        if k < longest { stay.powi(k as i32 - 1) * leave } else { stay.powi(k as i32 - 1) }
    };
    chi_squared("burst lengths", &counts, &(1..=longest).map(share_of).collect::<Vec<_>>());
}

/// Elliott's generalisation: the loss is the mean of both states' chances, weighted by their stationary shares. Its
/// variance is that of the draws within the states plus that of the time spent in them (as above, times the squared
/// difference of the chances).
#[test]
fn gilbert_elliott_loss_is_the_weighted_mean() {
    let (enter, leave, good, bad) = (0.002, 0.05, 0.001, 0.4);
    let lost = losses(Loss::GilbertElliott {
        good_to_bad: p(enter),
        bad_to_good: p(leave),
        loss_good: p(good),
        loss_bad: p(bad),
    });
    let share = enter / (enter + leave);
    let lambda: f64 = 1.0 - enter - leave;
    let within = share * bad * (1.0 - bad) + (1.0 - share) * good * (1.0 - good);
    let between = (bad - good).powi(2) * share * (1.0 - share) * (1.0 + lambda) / (1.0 - lambda);
    let count = lost.iter().filter(|&&l| l).count() as f64;
    let expected = share * bad + (1.0 - share) * good;
    within_five_sigma("lost", count, N as f64 * expected, (N as f64 * (within + between)).sqrt());
}

const DELAY: Duration = Duration::from_millis(100);

/// The number of delays that do not exceed the law's q-quantile is binomial (N, q).
#[track_caller]
fn quantiles(jitter: Jitter, quantile: impl Fn(f64) -> f64) {
    let config = DirectionConfig { delay: DELAY, jitter, jitter_reorders: true, ..DirectionConfig::default() };
    let parts: Vec<f64> = fates(config, Duration::from_micros(1))
        .into_iter()
        .map(|(offered, fate)| match fate {
            Fate::Deliver(at) => at.since(offered).as_nanos() as f64 - DELAY.as_nanos() as f64,
            other => panic!("{other:?}"),
        })
        .collect();
    for q in [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999] {
        let limit = quantile(q);
        binomial(&format!("q{q}"), parts.iter().filter(|&&x| x <= limit).count(), N as f64, q);
    }
}

#[test]
fn uniform_jitter_has_uniform_quantiles() {
    let max = Duration::from_millis(7);
    quantiles(Jitter::Uniform { max }, |q| q * max.as_nanos() as f64);
}

#[test]
fn normal_jitter_has_normal_quantiles() {
    // 20 standard deviations above zero: nothing is cut.
    let sigma = Duration::from_millis(5);
    let law = Normal::new(0.0, sigma.as_nanos() as f64).unwrap();
    quantiles(Jitter::Normal { sigma }, |q| law.inverse_cdf(q));
}

/// The second kind is the first kind minus its scale.
#[test]
fn pareto_jitter_has_pareto_quantiles() {
    let scale = Duration::from_millis(2);
    let law = Pareto::new(scale.as_nanos() as f64, 2.5).unwrap();
    let jitter = Jitter::Pareto { scale, shape_milli: 2500, max: Duration::from_secs(3600) };
    quantiles(jitter, |q| law.inverse_cdf(q) - scale.as_nanos() as f64);
}

/// 1,250 octets at 1 Gb/s are served in exactly 10 us. Poisson arrivals at load rho wait rho * 10 us / (2 (1 - rho)) on
/// average (Pollaczek and Khinchine, deterministic service). Waits are correlated over some 1 / (1 - rho)^2 packets, so
/// the mean is judged by Student's t over 100 batches of 10,000, which are independent of each other.
#[test]
fn waiting_follows_pollaczek_khinchine() {
    let service = Duration::from_micros(10);
    for rho in [0.5, 0.8] {
        let mut direction = direction(DirectionConfig { rate: Some(1_000_000_000), ..DirectionConfig::default() });
        let mut packet = packet(1250);
        let mut arrivals = Rng::stream(2026, "poisson", Purpose::Test);
        let mut now = Instant::START;
        let batches: Vec<f64> = (0..100)
            .map(|_| {
                let waits = (0..N / 100).map(|_| {
                    let u = (arrivals.u64() as f64 + 0.5) / 18_446_744_073_709_551_616.0;
                    now += Duration::from_nanos((-libm::log(u) * service.as_nanos() as f64 / rho) as u64);
                    match direction.offer(now, &mut packet) {
                        Fate::Deliver(at) => (at.since(now) - service).as_nanos() as f64,
                        other => panic!("{other:?}"),
                    }
                });
                waits.sum::<f64>() / (N / 100) as f64
            })
            .collect();
        let mean = batches.iter().sum::<f64>() / 100.0;
        let spread = batches.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / 99.0;
        let expected = rho * service.as_nanos() as f64 / (2.0 * (1.0 - rho));
        let t = (mean - expected) / (spread / 100.0).sqrt();
        let limit = StudentsT::new(0.0, 1.0, 99.0).unwrap().inverse_cdf(1.0 - RARE / 2.0);
        assert!(t.abs() < limit, "load {rho}: mean wait {mean:.0} ns, expected {expected:.0}, t {t:.2}");
        // Power: at this spread the test would notice a mean that is 10 % off.
        assert!(0.1 * expected > limit * (spread / 100.0).sqrt());
    }
}

/// Twice what the transmitter can send, and room for ten packets. In units of a packet, the backlog after packet k is
/// 1 + k/2 until it reaches 10 at k = 18; from then on half a packet leaves between two arrivals, so every odd k from
/// 19 finds 9.5 and is dropped, every even k finds 9 and fills it again: (999,999 - 19) / 2 + 1 drops.
#[test]
fn overload_drops_exactly_what_does_not_fit() {
    let limits = [QueueLimit { bytes: Some(12_500), packets: None }, QueueLimit { bytes: None, packets: Some(10) }];
    for queue in limits {
        let mut direction =
            direction(DirectionConfig { rate: Some(1_000_000_000), queue, ..DirectionConfig::default() });
        let mut packet = packet(1250);
        let mut dropped = 0;
        for k in 0..N {
            let now = Instant::START + Duration::from_micros(5) * k;
            let full = direction.offer(now, &mut packet) == Fate::Drop(DropReason::QueueFull);
            assert_eq!(full, k >= 19 && k % 2 == 1, "packet {k}");
            dropped += u32::from(full);
        }
        assert_eq!(dropped, 499_991);
    }
}

/// 1,000 octets at 7 Mb/s take 8,000,000 / 7 ns, which is no whole number. Back to back, packet n is out at
/// floor(n * 8,000,000 / 7): no rounding piles up.
#[test]
fn transmission_is_exact_over_a_million_packets() {
    let mut direction = direction(DirectionConfig { rate: Some(7_000_000), ..DirectionConfig::default() });
    let mut packet = packet(1000);
    for n in 1..=N {
        let expected = Instant::from_nanos(n * 8_000_000 / 7);
        assert_eq!(direction.offer(Instant::START, &mut packet), Fate::Deliver(expected));
    }
    assert_eq!(direction.backlog(Instant::START), N * 1000);
}

/// One packet in a hundred is held for 1.05 ms while others pass every 0.1 ms: ten are offered meanwhile, and all of
/// them that are not held themselves overtake it. So the depth (RFC 4737 section 4.2.2 counts what came before a
/// packet that was sent later) is 10 minus a binomial (10, 0.01), and the rate is that of the dice.
#[test]
fn reordering_has_its_rate_and_depth() {
    let (rate, hold) = (0.01, Duration::from_micros(1050));
    let reorder = Reorder { chance: p(rate), hold };
    let arrivals: Vec<Instant> =
        fates(DirectionConfig { reorder, ..DirectionConfig::default() }, Duration::from_micros(100))
            .into_iter()
            .map(|(_, fate)| match fate {
                Fate::Deliver(at) => at,
                other => panic!("{other:?}"),
            })
            .collect();
    let overtakers = |i: usize| arrivals[i + 1..].iter().take(20).filter(|&&later| later < arrivals[i]).count();
    let depths: Vec<usize> = (0..arrivals.len()).map(overtakers).filter(|&depth| depth > 0).collect();
    binomial("reordered", depths.len(), N as f64, rate);
    let mean = depths.iter().sum::<usize>() as f64 / depths.len() as f64;
    let sigma = (10.0 * rate * (1.0 - rate) / depths.len() as f64).sqrt();
    within_five_sigma("depth", mean, 10.0 * (1.0 - rate), sigma);
    assert_eq!(depths.iter().max(), Some(&10));
}

#[test]
fn duplication_has_its_rate_and_gap() {
    let gap = Duration::from_micros(30);
    let duplicate = Duplicate { chance: p(0.02), gap };
    let config = DirectionConfig { delay: DELAY, duplicate, ..DirectionConfig::default() };
    let twice = fates(config, Duration::from_micros(1)).into_iter().filter(|(offered, fate)| match fate {
        Fate::Deliver(at) => *at != *offered + DELAY,
        Fate::DeliverTwice(first, second) => (*first, *second) == (*offered + DELAY, *offered + DELAY + gap),
        Fate::Drop(reason) => panic!("{reason}"),
    });
    binomial("duplicated", twice.count(), N as f64, 0.02);
}

/// A damaged packet has exactly one other bit, and each of its 512 bits is as likely.
#[test]
fn corruption_has_its_rate_and_hits_every_bit_alike() {
    let mut direction = direction(DirectionConfig { corrupt: p(0.1), ..DirectionConfig::default() });
    let mut packet = packet(64);
    let mut hits = vec![0.0; 512];
    for n in 0..N {
        direction.offer(Instant::from_nanos(n), &mut packet);
        let damaged = packet.bytes().iter().enumerate().filter(|&(_, &b)| b != 0);
        let bits: Vec<usize> = damaged.map(|(i, b)| i * 8 + b.leading_zeros() as usize).collect();
        let ones: u32 = packet.bytes().iter().map(|b| b.count_ones()).sum();
        assert!(ones as usize == bits.len() && ones <= 1);
        if let Some(&bit) = bits.first() {
            hits[bit] += 1.0;
            packet.bytes_mut().fill(0);
        }
    }
    binomial("damaged", hits.iter().sum::<f64>() as usize, N as f64, 0.1);
    chi_squared("bits", &hits, &[1.0 / 512.0; 512]);
}

/// What the five dice decided for a packet that arrived; `None` where the die is off.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Decisions {
    jitter: Option<u64>,
    held: Option<bool>,
    twice: Option<bool>,
    damage: Option<Option<usize>>,
}

const HOLD: Duration = Duration::from_secs(1);
const SAMPLE: u64 = N / 32;

/// One run with the impairments of `mask` on; `None` for lost packets. With `trouble`, three packets in 400
/// meet a blackhole, a link that is down or an MTU that is too small, and give no answer either.
fn decisions(mask: u32, trouble: bool) -> Vec<Option<Decisions>> {
    let on = |bit: u32| mask & (1 << bit) != 0;
    let chance = |bit: u32| if on(bit) { p(0.2) } else { Chance::NEVER };
    let config = DirectionConfig {
        loss: if on(0) { Loss::Independent(p(0.2)) } else { Loss::None },
        jitter: if on(1) { Jitter::Uniform { max: Duration::from_millis(1) } } else { Jitter::None },
        jitter_reorders: true,
        reorder: Reorder { chance: chance(2), hold: HOLD },
        duplicate: Duplicate { chance: chance(3), gap: Duration::ZERO },
        corrupt: chance(4),
        mtu: 64,
        ..DirectionConfig::default()
    };
    let mut direction = direction(config);
    let by = RecordId::GENESIS;
    let mut run = Vec::new();
    for n in 0..SAMPLE {
        let mut packet = packet(if trouble && n % 400 == 0 { 65 } else { 64 });
        direction.set_blackhole(trouble && n % 400 == 100, by);
        direction.set_up(!(trouble && n % 400 == 200), by);
        let now = Instant::from_secs(n);
        let (at, twice) = match direction.offer(now, &mut packet) {
            Fate::Deliver(at) => (at, false),
            Fate::DeliverTwice(at, _) => (at, true),
            Fate::Drop(_) => {
                run.push(None);
                continue;
            }
        };
        let extra = at.since(now);
        let damage = packet.bytes().iter().position(|&b| b != 0);
        run.push(Some(Decisions {
            jitter: on(1).then_some(extra.as_nanos() % HOLD.as_nanos()),
            held: on(2).then_some(extra >= HOLD),
            twice: on(3).then_some(twice),
            damage: on(4).then_some(damage.map(|i| i * 8 + packet.bytes()[i].leading_zeros() as usize)),
        }));
    }
    run
}

/// All 32 sets of impairments, with and without other trouble on the link: what a die decides about a packet is what
/// it decides when it is alone, and a packet is lost at random exactly if it is lost when loss is alone.
#[test]
fn no_impairment_changes_the_draws_of_another() {
    let alone: Vec<_> = (0..5).map(|bit| decisions(1 << bit, false)).collect();
    for mask in 0..32u32 {
        for trouble in [false, true] {
            let run = decisions(mask, trouble);
            for (n, outcome) in run.iter().enumerate() {
                let lost = mask & 1 != 0 && alone[0][n].is_none();
                let troubled = trouble && n % 400 < 300 && n % 100 == 0;
                let expected = (!lost && !troubled).then(|| {
                    let of = |bit: usize| alone[bit][n].filter(|_| mask & (1 << bit) != 0).unwrap_or_default();
                    Decisions { jitter: of(1).jitter, held: of(2).held, twice: of(3).twice, damage: of(4).damage }
                });
                assert_eq!(*outcome, expected, "mask {mask:05b}, packet {n}");
            }
        }
    }
}
