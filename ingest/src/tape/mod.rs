//! The tapes: what a source sends is written here, byte for byte, before anything else happens to it. IO: files.
//!
//! `<dir>/sessions/<id>/` holds one connection of one source: `meta.json` (who, where, since when), `tape` (its
//! bytes, each at its own offset), `index` (one [`crate::api::Line`] a line) and `acks.json` (what Recordings have,
//! and what was already given up). The directory appears whole, and goes whole.
//!
//! Nothing a disk does stops a source or a reader, whether it refuses what is written or never answers: what it does
//! not take is read from memory, tried again each second, and if it fell out of memory before the disk came back, a
//! `Lost` line says so.

mod acks;
mod chapter;
mod disk;
mod figures;
mod fill;
mod id;
mod index;
mod join;
mod keep;
mod marks;
mod meta;
mod needs;
mod past;
mod pen;
mod read;
mod recover;
mod refusals;
mod retain;
mod ring;
mod room;
mod session;
mod shelf;
#[cfg(test)]
pub(crate) mod tests;
mod trouble;
mod writer;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use figures::Figures;
pub use join::{Boundary, Joined};
pub use keep::{Keeper, keep};
pub use meta::Meta;
pub(crate) use meta::replace;
pub use read::{IndexReader, Read, Reader};
pub use retain::{Action, Facts, Why, plan, plan_at_the_cap};
pub use session::Session;
pub use shelf::{AckError, Shelf, Version};
pub use writer::Writer;

/// A thread that panicked is a bug, but no reason to stop taping.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
