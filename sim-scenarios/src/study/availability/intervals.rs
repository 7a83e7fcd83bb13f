//! Stretches of time.

/// From when until when, in minutes.
pub(super) type Stretch = (f64, f64);

/// The same time without overlaps, in order.
pub(super) fn united(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.retain(|(from, to)| to > from);
    stretches.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut united: Vec<Stretch> = Vec::new();
    for (from, to) in stretches {
        match united.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => united.push((from, to)),
        }
    }
    united
}

/// Where both are; both without overlaps and in order.
pub(super) fn common(a: &[Stretch], b: &[Stretch]) -> Vec<Stretch> {
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
    united(pairs.collect())
}

/// How much of it lies within.
pub(super) fn within(stretches: &[Stretch], window: Stretch) -> f64 {
    stretches.iter().map(|(from, to)| (to.min(window.1) - from.max(window.0)).max(0.0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_counts_once() {
        let all = united(vec![(5.0, 7.0), (1.0, 3.0), (2.0, 4.0), (7.0, 8.0), (9.0, 9.0)]);
        assert_eq!(all, [(1.0, 4.0), (5.0, 8.0)]);
        assert_eq!(common(&all, &[(0.0, 2.0), (3.5, 6.0)]), [(1.0, 2.0), (3.5, 4.0), (5.0, 6.0)]);
        assert_eq!(within(&all, (2.0, 6.0)), 3.0);
        assert_eq!(within(&[], (0.0, 1.0)), 0.0);
    }
}
