//! Randomness: one ChaCha8 stream per (owner, [`Purpose`]), found by stable names.
//!
//! A stream is chosen by what it is for, never by the order in which things were made, so that adding a die somewhere
//! never re-rolls another and two variants of a scenario are compared on common random numbers.
//! Everything that decides an event is an integer: chances are 32-bit thresholds, jitter is whole nanoseconds.
//!
//! [`Rng`] keeps what it has generated ahead, in 304 octets. [`Seldom`] is the same stream in 32, for dice of which there are
//! many and which are thrown a few times in an hour.

use std::io::Write as _;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use smallvec::SmallVec;

use crate::time::Duration;

/// What a stream of random numbers is for. The discriminant's name is part of the stream's identity:
/// renaming a variant re-rolls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Purpose {
    /// Independent or burst loss of a link direction.
    Loss,
    /// Delay variation of a link direction.
    Jitter,
    /// Which packets of a link direction are held back.
    Reorder,
    /// Which packets of a link direction arrive twice.
    Duplicate,
    /// Which packets of a link direction are damaged, and where.
    Corrupt,
    /// IKE SPIs, nonces and Diffie-Hellman private values.
    IkeSecrets,
    /// IKE timers: rekey fuzz and retransmission jitter.
    IkeTimers,
    /// Initialisation vectors and ESP SPIs.
    Esp,
    /// BGP timers (RFC 4271 section 10).
    BgpTimers,
    /// TCP initial sequence numbers and ephemeral ports.
    Tcp,
    /// When a probe starts and what it carries.
    Probe,
    /// When a fault strikes, if the scenario draws it.
    Fault,
    /// Outside ports that a NAT gives out.
    NatPorts,
    /// Choices that AWS makes and does not publish.
    AwsChoice,
    /// The salt of a device's flow hash.
    FlowHash,
    /// BFD discriminators and the jitter of control packets (RFC 5880 section 6.8.7).
    Bfd,
    /// Ids and ports of DNS questions (RFC 5452 section 9.2).
    Dns,
    /// The seeds of a study's runs, and the values that it draws for its parameters.
    Study,
    /// A test's own dice.
    Test,
}

/// A probability as a 32-bit threshold: `chance` holds if the next 32-bit draw is below it.
/// `u32::MAX + 1` steps; certainty is representable because the threshold is kept in 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Chance(u64);

impl Chance {
    /// Never.
    pub const NEVER: Self = Self(0);
    /// Always.
    pub const ALWAYS: Self = Self(1 << 32);

    /// The nearest threshold to a probability between 0 and 1; values outside are clamped.
    pub fn from_probability(p: f64) -> Self {
        Self((p.clamp(0.0, 1.0) * (1u64 << 32) as f64) as u64)
    }

    /// The probability it stands for.
    pub fn probability(self) -> f64 {
        self.0 as f64 / (1u64 << 32) as f64
    }

    /// True if an evenly distributed 32-bit draw falls below the threshold.
    pub const fn holds(self, draw: u32) -> bool {
        (draw as u64) < self.0
    }

    /// True if this is [`Chance::NEVER`].
    pub const fn is_never(self) -> bool {
        self.0 == 0
    }
}

/// A stream of random numbers. Cloning it forks a world: both copies go on alike.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha8Rng);

/// Two streams that hash alike, of one world, go on alike: which stream, and where in it.
impl core::hash::Hash for Rng {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.get_seed().hash(state);
        self.0.get_stream().hash(state);
        self.0.get_word_pos().hash(state);
    }
}

/// For libraries that draw keys and salts.
impl rand_core::TryRng for Rng {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.try_fill_bytes(bytes)
    }
}

impl rand_core::TryCryptoRng for Rng {}

impl Rng {
    /// The stream of `owner` for `purpose` in the world with this `seed`.
    pub fn stream(seed: u64, owner: &str, purpose: Purpose) -> Self {
        Seldom::stream(seed, owner, purpose).often()
    }

    /// A stream of its own for another of the owner's dice. It is found by its name and by this one's identity; how far
    /// this one has come does not matter.
    pub fn sibling(&self, name: &str) -> Self {
        self.seldom().sibling(name).often()
    }

    /// The same stream at the same place, without what was generated ahead.
    pub fn seldom(&self) -> Seldom {
        let seed = *self.0.get_seed().first_chunk().expect("a key has 32 octets");
        let drawn = Place::of(self.0.get_word_pos());
        Seldom { seed: u64::from_le_bytes(seed), stream: self.0.get_stream(), drawn }
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Goes to draw number `n` of the stream, counted in 64-bit draws. Who draws once per event can so skip the draws
    /// that nobody looks at, and still have the `n`th draw belong to the `n`th event.
    pub fn seek_u64(&mut self, n: u64) {
        self.0.set_word_pos(u128::from(n) * 2);
    }

    /// Fills `bytes` with random octets.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// True with the given chance. Always draws once, so that changing a chance re-rolls nothing else.
    pub fn chance(&mut self, chance: Chance) -> bool {
        chance.holds(self.u32())
    }

    /// A whole number in `0..n` (zero if `n` is zero), by one multiplication: the bias is below `n / 2^64`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.u64()) * u128::from(n)) >> 64) as u64
    }

    /// A duration in `low..=high`; `low` if the range is empty.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + Duration::from_nanos(self.below(high.saturating_sub(low).as_nanos().saturating_add(1)))
    }
}

/// A stream of random numbers of which only its identity and the place in it are kept: each draw generates anew what it takes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Seldom {
    seed: u64,
    stream: u64,
    drawn: Place,
}

/// How many 32-bit words of 2^68 were drawn, low half first: a `u128` would align all that holds it to 16 octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Place([u64; 2]);

impl Place {
    const fn of(words: u128) -> Self {
        Self([words as u64, (words >> 64) as u64])
    }

    const fn words(self) -> u128 {
        self.0[0] as u128 | (self.0[1] as u128) << 64
    }
}

/// For libraries that draw keys and salts.
impl rand_core::TryRng for Seldom {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.draw(Rng::u32))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.draw(Rng::u64))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.draw(|rng| rng.fill(bytes));
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Seldom {}

/// The number of the stream with this identity, which nearly always has room on the stack.
fn hash(identity: core::fmt::Arguments<'_>) -> u64 {
    let mut text = SmallVec::<[u8; 128]>::new();
    text.write_fmt(identity).expect("memory takes whatever is written");
    twox_hash::XxHash3_64::oneshot(&text)
}

impl Seldom {
    /// As [`Rng::stream`].
    pub fn stream(seed: u64, owner: &str, purpose: Purpose) -> Self {
        Self { seed, stream: hash(format_args!("{owner}\0{purpose:?}")), drawn: Place::default() }
    }

    /// As [`Rng::sibling`].
    pub fn sibling(&self, name: &str) -> Self {
        Self { seed: self.seed, stream: hash(format_args!("{:x}\0{name}", self.stream)), drawn: Place::default() }
    }

    /// The same stream at the same place, for many draws.
    pub fn often(&self) -> Rng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(b"vpnsim 1");
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(self.stream);
        if self.drawn != Place::default() {
            rng.set_word_pos(self.drawn.words());
        }
        Rng(rng)
    }

    /// Draws what `what` draws.
    pub fn draw<T>(&mut self, what: impl FnOnce(&mut Rng) -> T) -> T {
        let mut rng = self.often();
        let drawn = what(&mut rng);
        self.drawn = Place::of(rng.0.get_word_pos());
        drawn
    }

    /// As [`Rng::u32`].
    pub fn u32(&mut self) -> u32 {
        self.draw(Rng::u32)
    }

    /// As [`Rng::u64`].
    pub fn u64(&mut self) -> u64 {
        self.draw(Rng::u64)
    }

    /// As [`Rng::seek_u64`].
    pub fn seek_u64(&mut self, n: u64) {
        self.drawn = Place::of(u128::from(n) * 2);
    }

    /// As [`Rng::fill`].
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.draw(|rng| rng.fill(bytes));
    }

    /// As [`Rng::between`].
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        self.draw(|rng| rng.between(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two forms of a stream go on alike, through every kind of draw at every place.
    #[test]
    fn a_stream_kept_by_its_place_draws_the_same() {
        let mut rng = Rng::stream(7, "a", Purpose::Test);
        let mut seldom = Seldom::stream(7, "a", Purpose::Test);
        for round in 0..500 {
            let (mut ours, mut theirs) = ([0; 97], [0; 97]);
            let octets = round * 31 % 97;
            rng.fill(&mut theirs[..octets]);
            seldom.fill(&mut ours[..octets]);
            assert_eq!(ours, theirs);
            assert_eq!(seldom.u32(), rng.u32());
            assert_eq!(seldom.u64(), rng.u64());
            assert_eq!(seldom, rng.seldom());
        }
        assert_eq!(seldom.often().u64(), rng.u64());
        assert_eq!(seldom.sibling("b").u64(), rng.sibling("b").u64());
    }

    /// The first block of ChaCha8 with an all-zero key, nonce and counter, as published with the eSTREAM submission
    /// (ECRYPT test vectors for ChaCha8, 256-bit key, TC1): 3e00ef2f895f40d6...
    #[test]
    fn the_generator_is_chacha8() {
        let mut rng = Rng(ChaCha8Rng::from_seed([0; 32]));
        let mut out = [0; 8];
        rng.fill(&mut out);
        assert_eq!(out, [0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6]);
    }

    #[test]
    fn streams_differ_by_owner_and_purpose_only() {
        let draw = |owner, purpose| Rng::stream(7, owner, purpose).u64();
        assert_eq!(draw("a", Purpose::Loss), draw("a", Purpose::Loss));
        assert_ne!(draw("a", Purpose::Loss), draw("b", Purpose::Loss));
        assert_ne!(draw("a", Purpose::Loss), draw("a", Purpose::Jitter));
    }

    #[test]
    fn a_sibling_neither_moves_nor_is_moved() {
        let mut rng = Rng::stream(7, "a", Purpose::IkeTimers);
        let mut untouched = rng.clone();
        let early = rng.sibling("other").u64();
        assert_eq!(rng.u64(), untouched.u64());
        assert_eq!(rng.sibling("other").u64(), early);
        assert_ne!(rng.sibling("third").u64(), early);
        assert_ne!(Rng::stream(7, "b", Purpose::IkeTimers).sibling("other").u64(), early);
        assert_ne!(Rng::stream(7, "a", Purpose::IkeTimers).u64(), early);
    }

    #[test]
    fn seeking_skips_draws() {
        let mut walked = Rng::stream(7, "a", Purpose::Loss);
        let draws: Vec<u64> = (0..100).map(|_| walked.u64()).collect();
        let mut sought = Rng::stream(7, "a", Purpose::Loss);
        for n in [99, 0, 31, 32, 33, 7] {
            sought.seek_u64(n);
            assert_eq!(sought.u64(), draws[n as usize]);
        }
    }

    #[test]
    fn certainty_and_impossibility_are_exact() {
        let mut rng = Rng::stream(1, "t", Purpose::Test);
        assert!((0..10_000).all(|_| rng.chance(Chance::ALWAYS)));
        assert!(!(0..10_000).any(|_| rng.chance(Chance::NEVER)));
    }
}
