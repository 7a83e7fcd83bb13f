//! Cache lines that are wanted soon. Fetching changes no value, whatever is fetched, and is only of use if something else is done meanwhile.

use prefetch_index::prefetch_index;

/// Fetches the first cache line of a value.
pub(crate) fn fetch<T>(value: &T) {
    prefetch_index(core::slice::from_ref(value), 0);
}

/// Fetches the first cache line of what a slice holds.
pub(crate) fn fetch_first<T>(values: &[T]) {
    prefetch_index(values, 0);
}
