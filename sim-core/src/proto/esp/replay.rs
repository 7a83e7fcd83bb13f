//! The anti-replay window (RFC 4303 section 3.4.3) as a ring of bits that never shifts (RFC 6479).
//!
//! Numbers have 64 bits. Without extended sequence numbers the upper half stays zero; with them it is not sent, and
//! [`ReplayWindow::infer`] finds it (RFC 4303 appendix A).

use crate::fetch::fetch_first;

/// Which sequence numbers have been received, as far back as the window reaches.
///
/// Looking is separate from committing: only a packet that authenticated may move the window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayWindow {
    /// Numbers that it covers, counted from the highest received downwards.
    size: u32,
    /// The highest number received; 0 before the first.
    highest: u64,
    /// One bit a number, 64 to a word, words as a ring. A power of two words, and at least one word more than the
    /// window fills: the word into which the window moves is cleared before a number that is still covered could
    /// share it.
    seen: Box<[u64]>,
}

impl ReplayWindow {
    /// Fetches the words that it keeps.
    pub(crate) fn foresee(&self) {
        fetch_first(&self.seen);
    }

    /// The least size that RFC 4303 recommends as a default.
    pub const MIN_SIZE: u16 = 64;
    /// The greatest size that AWS offers.
    pub const MAX_SIZE: u16 = 2048;

    /// An empty window over `size` sequence numbers.
    ///
    /// # Panics
    /// If `size` is not in [`ReplayWindow::MIN_SIZE`] to [`ReplayWindow::MAX_SIZE`].
    pub fn new(size: u16) -> Self {
        assert!((Self::MIN_SIZE..=Self::MAX_SIZE).contains(&size));
        let words = usize::from(size).div_ceil(64) + 1;
        Self { size: size.into(), highest: 0, seen: vec![0; words.next_power_of_two()].into() }
    }

    /// The highest sequence number received; 0 before the first.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The whole extended sequence number of a packet that shows its low half: the one near the window (RFC 4303 appendix
    /// A2.1). `None` if it would lie before the first number or behind the last. Only a good ICV proves it right.
    pub fn infer(&self, low: u32) -> Option<u64> {
        let (high, top) = ((self.highest >> 32) as u32, self.highest as u32);
        let bottom = top.wrapping_sub(self.size - 1);
        let in_one_subspace = top >= self.size - 1;
        let high = match (in_one_subspace, low >= bottom) {
            (true, true) | (false, false) => high,
            (true, false) => high.checked_add(1)?,
            (false, true) => high.checked_sub(1)?,
        };
        Some(u64::from(high) << 32 | u64::from(low))
    }

    /// True if a packet with this number may be new: it is right of the window, or within it and not seen.
    /// Zero is never sent (RFC 4303 section 2.2).
    pub fn check(&self, number: u64) -> bool {
        if number > self.highest {
            return true;
        }
        let (word, bit) = self.place(number);
        number != 0 && self.highest - number < u64::from(self.size) && self.seen[word] & bit == 0
    }

    /// Notes the number of a packet that [`ReplayWindow::check`] let through and that then authenticated.
    pub fn commit(&mut self, number: u64) {
        if number > self.highest {
            let fresh = (number / 64 - self.highest / 64).min(self.seen.len() as u64);
            for step in 0..fresh {
                let (word, _) = self.place(number - step * 64);
                self.seen[word] = 0;
            }
            self.highest = number;
        }
        let (word, bit) = self.place(number);
        self.seen[word] |= bit;
    }

    fn place(&self, number: u64) -> (usize, u64) {
        let word = (number as usize / 64) & (self.seen.len() - 1);
        (word, 1 << (number % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// RFC 4303 section 3.4.3 in words: reject what is left of the window or was received before.
    #[derive(Default)]
    struct Naive {
        received: BTreeSet<u64>,
        highest: u64,
    }

    impl Naive {
        fn check(&self, number: u64, size: u16) -> bool {
            let left_of_window = u128::from(number) + u128::from(size) <= u128::from(self.highest);
            number != 0 && !left_of_window && !self.received.contains(&number)
        }

        fn commit(&mut self, number: u64) {
            self.received.insert(number);
            self.highest = self.highest.max(number);
        }
    }

    /// Numbers near a moving point, with jumps of every scale, around the ends of both halves.
    fn numbers() -> impl Strategy<Value = Vec<u64>> {
        let step = prop_oneof![
            6 => -70i64..70,
            3 => -2200i64..2200,
            1 => -10_000i64..100_000,
        ];
        let start = prop_oneof![Just(1u64), 0u64..1 << 32, Just((1u64 << 32) - 300), Just(u64::MAX - 300)];
        (start, prop::collection::vec(step, 0..300)).prop_map(|(start, steps)| {
            let walk = steps.into_iter().scan(start, |at, step| {
                *at = at.saturating_add_signed(step);
                Some(*at)
            });
            walk.collect()
        })
    }

    proptest! {
        #[test]
        fn decides_as_the_naive_window(size in 64u16..=2048, numbers in numbers()) {
            let mut window = ReplayWindow::new(size);
            let mut naive = Naive::default();
            for number in numbers {
                let fresh = naive.check(number, size);
                prop_assert_eq!(window.check(number), fresh, "number {} after {}", number, naive.highest);
                if fresh {
                    window.commit(number);
                    naive.commit(number);
                }
            }
        }
    }

    /// Every number around the window after every jump, for sizes around a multiple of the word.
    #[test]
    fn no_jump_leaves_a_stale_bit() {
        for size in [64, 65, 127, 128, 1024, 2048] {
            for jump in (1..300).chain([1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 1 << 20]) {
                let mut window = ReplayWindow::new(size);
                let mut naive = Naive::default();
                for number in [50, 51, 113, 114, 114 + jump] {
                    window.commit(number);
                    naive.commit(number);
                }
                let top = naive.highest;
                for number in top.saturating_sub(u64::from(size) + 70)..top + 3 {
                    let fresh = naive.check(number, size);
                    assert_eq!(window.check(number), fresh, "{size} {jump} {number}");
                }
            }
        }
    }

    #[test]
    fn the_window_has_exactly_its_size() {
        let mut window = ReplayWindow::new(64);
        window.commit(100);
        assert!(window.check(37)); // 64 numbers: 37 to 100
        assert!(!window.check(36));
        assert!(!window.check(100));
        assert!(window.check(u32::MAX.into()));
        assert!(!window.check(0));
    }

    /// A window whose highest number is this.
    fn window_at(size: u16, highest: u64) -> ReplayWindow {
        let mut window = ReplayWindow::new(size);
        window.commit(highest);
        window
    }

    /// RFC 4303 appendix A2.1. Case A: the window lies within one subspace; what is left of its bottom is of the next one.
    /// Case B: it reaches back into the one before; what is right of its bottom there is of that one.
    #[test]
    fn the_upper_half_follows_the_window() {
        const S: u64 = 1 << 32;
        for size in [64, 1024, 2048] {
            let w = u64::from(size);
            for (highest, low, whole) in [
                // Case A: the bottom itself, below it, the top, above it.
                (5 * S + w, 1, Some(5 * S + 1)),
                (5 * S + w, 0, Some(6 * S)),
                (5 * S + w, w, Some(5 * S + w)),
                (5 * S + w, S - 1, Some(6 * S - 1)),
                // The last window of case A begins at zero: every low half is of this subspace.
                (5 * S + w - 1, 0, Some(5 * S)),
                (5 * S + w - 1, S - 1, Some(6 * S - 1)),
                // Case B by one number, and the other end of it: the top has just entered the subspace.
                (5 * S + w - 2, S - 1, Some(5 * S - 1)),
                (5 * S + w - 2, S - 2, Some(6 * S - 2)),
                (5 * S, S - w + 1, Some(5 * S - w + 1)),
                (5 * S, S - w, Some(6 * S - w)),
                (5 * S, 0, Some(5 * S)),
                (5 * S, 1, Some(5 * S + 1)),
                // Nothing lies before the first subspace, and nothing behind the last.
                (0, S - 1, None),
                (0, 1, Some(1)),
                (w - 2, S - 1, None),
                (u64::MAX, S - 1, Some(u64::MAX)),
                (u64::MAX, 0, None),
            ] {
                let low = u32::try_from(low).unwrap();
                assert_eq!(window_at(size, highest).infer(low), whole, "{size}, {highest:x}, {low:x}");
            }
        }
    }

    proptest! {
        /// Whatever lies in the window or less than 2^32 minus its size ahead is found from its low half alone.
        #[test]
        fn the_neighbourhood_is_found(size in 64u16..=2048, highest: u64, offset in 0u64..1 << 32) {
            let bottom = highest.saturating_sub(u64::from(size) - 1);
            let Some(number) = bottom.checked_add(offset) else { return Ok(()) };
            prop_assert_eq!(window_at(size, highest).infer(number as u32), Some(number));
        }
    }

    #[test]
    fn looking_changes_nothing() {
        let mut window = ReplayWindow::new(64);
        window.commit(10);
        let before = window.clone();
        assert!(window.check(5) && window.check(5) && window.check(1_000_000));
        assert_eq!(window, before);
    }
}
