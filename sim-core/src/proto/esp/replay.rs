//! The anti-replay window (RFC 4303 section 3.4.3) as a ring of bits that never shifts (RFC 6479).

/// Which sequence numbers have been received, as far back as the window reaches.
///
/// Looking is separate from committing: only a packet that authenticated may move the window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayWindow {
    /// Numbers that it covers, counted from the highest received downwards.
    size: u32,
    /// The highest number received; 0 before the first.
    highest: u32,
    /// One bit a number, 64 to a word, words as a ring. A power of two words, and at least one word more than the
    /// window fills: the word into which the window moves is cleared before a number that is still covered could
    /// share it.
    seen: Box<[u64]>,
}

impl ReplayWindow {
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
    pub fn highest(&self) -> u32 {
        self.highest
    }

    /// True if a packet with this number may be new: it is right of the window, or within it and not seen.
    /// Zero is never sent (RFC 4303 section 2.2).
    pub fn check(&self, number: u32) -> bool {
        if number > self.highest {
            return true;
        }
        let (word, bit) = self.place(number);
        number != 0 && self.highest - number < self.size && self.seen[word] & bit == 0
    }

    /// Notes the number of a packet that [`ReplayWindow::check`] let through and that then authenticated.
    pub fn commit(&mut self, number: u32) {
        if number > self.highest {
            let fresh = (number / 64 - self.highest / 64).min(self.seen.len() as u32);
            for step in 0..fresh {
                let (word, _) = self.place(number - step * 64);
                self.seen[word] = 0;
            }
            self.highest = number;
        }
        let (word, bit) = self.place(number);
        self.seen[word] |= bit;
    }

    fn place(&self, number: u32) -> (usize, u64) {
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
        received: BTreeSet<u32>,
        highest: u32,
    }

    impl Naive {
        fn check(&self, number: u32, size: u16) -> bool {
            let left_of_window = u64::from(number) + u64::from(size) <= u64::from(self.highest);
            number != 0 && !left_of_window && !self.received.contains(&number)
        }

        fn commit(&mut self, number: u32) {
            self.received.insert(number);
            self.highest = self.highest.max(number);
        }
    }

    /// Numbers near a moving point, with jumps of every scale and the end of the number space.
    fn numbers() -> impl Strategy<Value = Vec<u32>> {
        let step = prop_oneof![
            6 => -70i64..70,
            3 => -2200i64..2200,
            1 => -10_000i64..100_000,
        ];
        let start = prop_oneof![Just(1i64), 0i64..1 << 32, Just((1i64 << 32) - 300)];
        (start, prop::collection::vec(step, 0..300)).prop_map(|(start, steps)| {
            let walk = steps.into_iter().scan(start, |at, step| {
                *at = (*at + step).clamp(0, u32::MAX.into());
                Some(*at as u32)
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
                for number in top.saturating_sub(u32::from(size) + 70)..top + 3 {
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
        assert!(window.check(u32::MAX));
        assert!(!window.check(0));
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
