//! The kept records of a run, in their order.

use std::ops::Index;

use prefetch_index::prefetch_index;

use super::Record;
use crate::time::Instant;

/// How many records stand in one block.
const BLOCK: usize = 4096;

/// A list in blocks, all full but the last. One that moves when it is full would be there twice each time, and then be half empty;
/// the records of thousands of sessions are much of what a world holds.
pub(super) struct Kept {
    blocks: Vec<Vec<Record>>,
}

impl Kept {
    /// A list of one.
    pub fn from_one(record: Record) -> Self {
        Self { blocks: vec![vec![record]] }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.blocks.last().map_or(0, |last| (self.blocks.len() - 1) * BLOCK + last.len())
    }

    /// Adds one. The first block grows as it must, because most worlds need no more.
    pub fn push(&mut self, record: Record) {
        match self.blocks.last_mut() {
            Some(last) if last.len() < BLOCK => last.push(record),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(record);
                self.blocks.push(block);
            }
        }
    }

    /// Fetches the one with this number.
    pub fn foresee(&self, number: usize) {
        prefetch_index(&self.blocks[number / BLOCK], number % BLOCK);
    }

    /// From the one with this number on.
    pub fn from(&self, first: usize) -> impl Iterator<Item = &Record> {
        let blocks = self.blocks.get(first / BLOCK..).unwrap_or_default();
        blocks.iter().flatten().skip(first % BLOCK)
    }

    /// The number of the first that is not before this instant.
    pub fn first_since(&self, at: Instant) -> usize {
        let full = self.blocks.partition_point(|block| block.last().is_some_and(|last| last.at < at));
        let within = self.blocks.get(full).map_or(0, |block| block.partition_point(|record| record.at < at));
        full * BLOCK + within
    }
}

impl Index<usize> for Kept {
    type Output = Record;

    fn index(&self, number: usize) -> &Record {
        &self.blocks[number / BLOCK][number % BLOCK]
    }
}

/// What [`slice::partition_point`] finds, looked for from the end on, in steps that double: what is asked about happened lately, and
/// what happened before is in no cache any more.
pub(super) fn partition_near_the_end<T>(all: &[T], mut is_before: impl FnMut(&T) -> bool) -> usize {
    let (mut end, mut step) = (all.len(), 1);
    while let Some(probe) = end.checked_sub(step) {
        if is_before(&all[probe]) {
            return probe + 1 + all[probe + 1..end].partition_point(is_before);
        }
        (end, step) = (probe, step * 2);
    }
    all[..end].partition_point(is_before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{NodeId, RecordId};
    use crate::trace::What;

    fn record(at: usize) -> Record {
        let (node, cause, enabler) = (NodeId(0), RecordId::GENESIS, RecordId::GENESIS);
        Record { at: Instant::from_secs(at as u64), node, cause, enabler, what: What::Genesis }
    }

    #[test]
    fn it_is_a_list_across_the_ends_of_blocks() {
        let mut kept = Kept::from_one(record(0));
        for number in 1..3 * BLOCK {
            assert_eq!(kept.len(), number);
            kept.push(record(number));
        }
        assert_eq!(kept.len(), 3 * BLOCK);
        for number in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK - 1] {
            assert_eq!(kept[number].at, record(number).at);
            assert_eq!(kept.from(number).count(), 3 * BLOCK - number);
            assert_eq!(kept.from(number).next().map(|record| record.at), Some(record(number).at));
            assert_eq!(kept.first_since(record(number).at), number);
        }
        assert_eq!(kept.from(3 * BLOCK).count(), 0);
        assert_eq!(kept.from(9 * BLOCK).count(), 0);
        assert_eq!(kept.first_since(record(3 * BLOCK).at), 3 * BLOCK);
    }

    #[test]
    fn the_end_of_what_is_before_is_found_wherever_it_is() {
        for len in 0..20 {
            let all: Vec<usize> = (0..len).collect();
            (0..=len).for_each(|before| assert_eq!(partition_near_the_end(&all, |n| *n < before), before));
        }
    }
}
