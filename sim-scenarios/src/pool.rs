//! Many questions at once: independent work on a fixed number of threads, whose results come back as they are done.
//!
//! A run shares nothing with another but its plan, so threads meet nowhere but here, once a run. What comes back says which piece
//! of work it is of: whoever wants an order makes it, and so no answer depends on how many threads there are.

use std::sync::mpsc;

use rayon::ThreadPoolBuilder;

/// Does `work` for each number below `count`, on up to `threads` threads, lower numbers first; `done` hears of each result, on the
/// caller's thread, in the order in which they are done.
///
/// Work that panics takes the others with it once they are done: who expects that catches it inside of `work`.
pub fn each<R: Send>(threads: usize, count: usize, work: impl Fn(usize) -> R + Sync, mut done: impl FnMut(usize, R)) {
    let pool = ThreadPoolBuilder::new().num_threads(threads.clamp(1, count.max(1))).build();
    // A machine without threads to give does it all by itself.
    let Ok(pool) = pool else { return (0..count).for_each(|n| done(n, work(n))) };
    let (sender, results) = mpsc::channel();
    let work = &work;
    pool.in_place_scope_fifo(|scope| {
        for n in 0..count {
            let sender = sender.clone();
            // Nobody listens any more only if `done` panicked.
            scope.spawn_fifo(move |_| drop(sender.send((n, work(n)))));
        }
        drop(sender);
        results.iter().for_each(|(n, result)| done(n, result));
    });
}

/// The same with results in the order of their numbers: `done` hears of one when all before it are done.
pub fn in_order<R: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> R + Sync,
    mut done: impl FnMut(usize, R),
) {
    let mut waiting: Vec<Option<R>> = (0..count).map(|_| None).collect();
    let mut next = 0;
    each(threads, count, work, |n, result| {
        waiting[n] = Some(result);
        while let Some(result) = waiting.get_mut(next).and_then(Option::take) {
            done(next, result);
            next += 1;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each piece is done once, whatever the number of threads, and comes in order if that is asked.
    #[test]
    fn everything_is_done_once_and_in_order() {
        for threads in [0, 1, 2, 7] {
            let mut all = Vec::new();
            each(threads, 50, |n| n * n, |n, square| all.push((n, square)));
            all.sort_unstable();
            assert_eq!(all, (0..50).map(|n| (n, n * n)).collect::<Vec<_>>());
            let mut ordered = Vec::new();
            // Early pieces take longest, so that they are done last.
            let slow = |n: usize| (0..(50 - n) * 2_000).fold(n, |sum, it| sum ^ it);
            in_order(threads, 50, |n| (slow(n), n).1, |n, result| ordered.push((n, result)));
            assert_eq!(ordered, (0..50).map(|n| (n, n)).collect::<Vec<_>>());
        }
        each(3, 0, |_| (), |_, ()| unreachable!("there is nothing to do"));
    }
}
