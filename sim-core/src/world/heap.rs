//! A heap of four children each, whose families lie in one cache line and are fetched before they are needed.
//!
//! Places are numbered from the root, 0; the children of place `p` are the places `4p + 1` to `4p + 4`, the family `p`.
//! What leaves is replaced bottom-up: its smallest child moves up, then that one's, down to a leaf, and what takes the
//! room climbs from there. A newcomer belongs near the leaves, so this compares less, and guesses less, than sinking it
//! from the top (I. Wegener, "Bottom-up heapsort", 1993). Libraries keep the families of a heap in one vector from 0 on, across
//! cache lines, and fetch nothing ahead; with a million entries that takes twice the time.

use prefetch_index::prefetch_index;

/// Children of a place.
const ARITY: usize = 4;
/// Greater than any key.
const NONE: u128 = u128::MAX;

/// The children of one place; those that are missing are [`NONE`].
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Family([u128; ARITY]);

/// A heap of keys, smallest first. Where a key moves is told to `moved`, so that its owner can find it again.
#[derive(Clone, Debug, Default)]
pub struct Heap {
    root: u128,
    families: Vec<Family>,
    len: usize,
}

impl Heap {
    /// The smallest key.
    pub fn first(&self) -> Option<u128> {
        (self.len > 0).then_some(self.root)
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Puts a key in.
    pub fn push(&mut self, key: u128, moved: impl FnMut(u128, usize)) {
        let place = self.len;
        if place > ARITY * self.families.len() {
            self.families.push(Family([NONE; ARITY]));
        }
        self.len += 1;
        self.climb(place, key, moved);
    }

    /// Takes the smallest key out.
    pub fn pop(&mut self, moved: impl FnMut(u128, usize)) -> Option<u128> {
        let first = self.first()?;
        self.remove(0, moved);
        Some(first)
    }

    /// Takes the smallest key out and puts another one in.
    ///
    /// # Panics
    /// If it is empty.
    pub fn replace(&mut self, key: u128, moved: impl FnMut(u128, usize)) -> u128 {
        let first = self.first().expect("a key to replace");
        self.fill(0, key, moved);
        first
    }

    /// Takes the key at a place out.
    pub fn remove(&mut self, place: usize, moved: impl FnMut(u128, usize)) {
        self.len -= 1;
        let last = self.key(self.len);
        if self.len > 0 {
            self.put(self.len, NONE);
        }
        if place < self.len {
            self.fill(place, last, moved);
        }
    }

    /// Puts a key into a place whose own has left: the smallest descendants move up, and the key climbs from a leaf.
    fn fill(&mut self, mut place: usize, key: u128, mut moved: impl FnMut(u128, usize)) {
        while let Some(&Family(family)) = self.families.get(place) {
            let first = ARITY * place + 1;
            (first..first + ARITY).for_each(|child| prefetch_index(&self.families, child));
            let (child, least) = smallest(family);
            if least == NONE {
                break;
            }
            self.put(place, least);
            moved(least, place);
            place = first + child;
        }
        self.climb(place, key, moved);
    }

    /// Puts a key into a free place, or into that of an ancestor that is greater.
    fn climb(&mut self, mut place: usize, key: u128, mut moved: impl FnMut(u128, usize)) {
        while place > 0 {
            let parent = (place - 1) / ARITY;
            let above = self.key(parent);
            if above <= key {
                break;
            }
            self.put(place, above);
            moved(above, place);
            place = parent;
        }
        self.put(place, key);
        moved(key, place);
    }

    fn key(&self, place: usize) -> u128 {
        match place.checked_sub(1) {
            Some(below) => self.families[below / ARITY].0[below % ARITY],
            None => self.root,
        }
    }

    fn put(&mut self, place: usize, key: u128) {
        match place.checked_sub(1) {
            Some(below) => self.families[below / ARITY].0[below % ARITY] = key,
            None => self.root = key,
        }
    }
}

/// The smallest of four keys and which it is, compared in pairs so that nothing has to be guessed.
fn smallest([a, b, c, d]: [u128; ARITY]) -> (usize, u128) {
    let ab = if b < a { (1, b) } else { (0, a) };
    let cd = if d < c { (3, d) } else { (2, c) };
    if cd.1 < ab.1 { cd } else { ab }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push(u32),
        Pop,
        Replace(u32),
        /// Removes the key that is so far down the order, as a share of all.
        Remove(f64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<u32>().prop_map(Step::Push),
            1 => Just(Step::Pop),
            1 => any::<u32>().prop_map(Step::Replace),
            1 => (0.0..1.0).prop_map(Step::Remove),
        ]
    }

    fn note(places: &mut BTreeMap<u128, usize>) -> impl FnMut(u128, usize) {
        |key, place| {
            places.insert(key, place);
        }
    }

    proptest! {
        /// Against a sorted map from keys to the places that the heap tells.
        #[test]
        fn keys_leave_in_order_and_their_places_are_known(steps in prop::collection::vec(step(), 1..1500)) {
            let mut heap = Heap::default();
            let mut places: BTreeMap<u128, usize> = BTreeMap::new();
            for (number, step) in steps.into_iter().enumerate() {
                let key = |k: u32| u128::from(k) << 32 | number as u128;
                match step {
                    Step::Push(k) => heap.push(key(k), note(&mut places)),
                    Step::Pop => {
                        let first = places.pop_first().map(|(key, _)| key);
                        prop_assert_eq!(heap.pop(note(&mut places)), first);
                    }
                    Step::Replace(k) if !places.is_empty() => {
                        let (first, _) = places.pop_first().expect("not empty");
                        prop_assert_eq!(heap.replace(key(k), note(&mut places)), first);
                    }
                    Step::Remove(share) if !places.is_empty() => {
                        let key = *places.keys().nth((share * places.len() as f64) as usize).expect("one of them");
                        let place = places.remove(&key).expect("its place");
                        heap.remove(place, note(&mut places));
                    }
                    Step::Replace(_) | Step::Remove(_) => {}
                }
                prop_assert_eq!(heap.len(), places.len());
                prop_assert_eq!(heap.first(), places.keys().next().copied());
            }
            for (&key, &place) in &places {
                prop_assert_eq!(heap.key(place), key);
            }
        }
    }
}
