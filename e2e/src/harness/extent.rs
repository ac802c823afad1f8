//! How much of a matrix a test runs.

/// Set by `make e2e-full`.
const FULL: &str = "RADIO_FULL";

/// Whether all rows are run, not one that stands for the others.
#[must_use]
pub fn is_full() -> bool {
    std::env::var_os(FULL).is_some()
}

/// All rows of a matrix, or the first.
#[must_use]
pub fn rows<T>(all: &[T]) -> &[T] {
    if is_full() { all } else { &all[..all.len().min(1)] }
}
