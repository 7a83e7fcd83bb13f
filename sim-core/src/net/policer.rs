//! A limit on octets and packets, as AWS sets one for each tunnel: what goes beyond it is dropped, not queued.
//!
//! Two counters after the generic cell rate algorithm (ITU-T I.371, virtual scheduling): each packet pushes the time at which its
//! counter would be empty further into the future, and a packet that finds that time too far away does not conform and pushes nothing.
//! AWS publishes the two rates and not how much may come at once, which is the depth.

use crate::time::{Duration, Instant};

/// What the two ways through a device have to do with each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// Each has the whole rate.
    EachWay,
    /// What passes one way is taken off the other's rate.
    Together,
}

/// What may pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Bits of IP packets a second.
    pub bits_per_second: u64,
    /// Packets a second.
    pub packets_per_second: u64,
    /// For how long both rates may be exceeded at once.
    pub depth: Duration,
    /// Whether this is for each way.
    pub counted: Counted,
}

impl Limit {
    /// No limit at all.
    pub const NONE: Self = Self {
        bits_per_second: u64::MAX,
        packets_per_second: u64::MAX,
        depth: Duration::ZERO,
        counted: Counted::EachWay,
    };
}

/// Which of the two rates a packet exceeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Excess {
    /// That of octets.
    Octets,
    /// That of packets.
    Packets,
}

/// Picoseconds in a second: an octet at 1.25 Gbit/s takes 6.4 ns.
const SECOND: u128 = 1_000_000_000_000;

/// The state of a limit, in picoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Policer {
    per_octet: u128,
    per_packet: u128,
    depth: u128,
    octets: u128,
    packets: u128,
}

impl Policer {
    /// With both counters empty. A rate of 0 is taken for 1.
    pub fn new(limit: Limit) -> Self {
        Self {
            per_octet: 8 * SECOND / u128::from(limit.bits_per_second.max(1)),
            per_packet: SECOND / u128::from(limit.packets_per_second.max(1)),
            depth: u128::from(limit.depth.as_nanos()) * 1000,
            octets: 0,
            packets: 0,
        }
    }

    /// Whether a packet of so many octets conforms now.
    ///
    /// # Errors
    /// The rate that it exceeds.
    pub fn admit(&mut self, now: Instant, octets: usize) -> Result<(), Excess> {
        let now = u128::from(now.as_nanos()) * 1000;
        let (by_octets, by_packets) = (self.octets.max(now), self.packets.max(now));
        if by_octets - now > self.depth {
            return Err(Excess::Octets);
        }
        if by_packets - now > self.depth {
            return Err(Excess::Packets);
        }
        self.octets = by_octets + self.per_octet * octets as u128;
        self.packets = by_packets + self.per_packet;
        Ok(())
    }
}

/// A limit on what passes there and back.
#[derive(Clone, Copy, Debug)]
pub struct TwoWay {
    ways: [Policer; 2],
    counted: Counted,
}

impl TwoWay {
    /// With all counters empty.
    pub fn new(limit: Limit) -> Self {
        Self { ways: [Policer::new(limit); 2], counted: limit.counted }
    }

    /// Whether a packet of so many octets conforms now on one of the ways, 0 or 1.
    ///
    /// # Errors
    /// The rate that it exceeds.
    pub fn admit(&mut self, now: Instant, way: usize, octets: usize) -> Result<(), Excess> {
        let counter = match self.counted {
            Counted::EachWay => way,
            Counted::Together => 0,
        };
        self.ways[counter].admit(now, octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of so many octets, one each so many nanoseconds, for a second: how many pass, and what is exceeded.
    fn pass(limit: Limit, octets: usize, every: u64) -> (u64, Option<Excess>) {
        let mut policer = Policer::new(limit);
        let offered = 1_000_000_000 / every;
        let verdicts: Vec<_> =
            (0..offered).map(|n| policer.admit(Instant::START + Duration::from_nanos(n * every), octets)).collect();
        let passed = verdicts.iter().filter(|verdict| verdict.is_ok()).count() as u64;
        (passed, verdicts.iter().find_map(|verdict| verdict.err()))
    }

    const STANDARD: Limit = Limit {
        bits_per_second: 1_250_000_000,
        packets_per_second: 140_000,
        depth: Duration::from_millis(1),
        counted: Counted::EachWay,
    };

    /// 1,400 octets each 8 us are 1.4 Gbit/s: in a second and the millisecond of depth 1.25125 Gbit pass, 111,718 packets, and one that
    /// begins within the depth.
    #[test]
    fn octets_are_limited() {
        let (passed, excess) = pass(STANDARD, 1_400, 8_000);
        assert!((111_718..=111_720).contains(&passed), "{passed}");
        assert_eq!(excess, Some(Excess::Octets));
    }

    /// 200,000 packets a second of 100 octets: 140,140 pass, and one that begins within the depth.
    #[test]
    fn packets_are_limited() {
        let (passed, excess) = pass(STANDARD, 100, 5_000);
        assert!((140_140..=140_142).contains(&passed), "{passed}");
        assert_eq!(excess, Some(Excess::Packets));
    }

    /// What is within both rates passes, and a burst after silence passes up to the depth.
    #[test]
    fn what_conforms_passes() {
        assert_eq!(pass(STANDARD, 1_400, 10_000), (100_000, None));
        let mut policer = Policer::new(STANDARD);
        let at_once = (0..1_000).take_while(|_| policer.admit(Instant::START, 1_400).is_ok()).count();
        // 1 ms is 156,250 octets: 111.6 packets; the one that begins at 111 still fits.
        assert_eq!(at_once, 112);
    }
}
