//! Where sources come in: HTTP read by hand, because a stream has a body without a length and without an end, which
//! no HTTP library takes.
//!
//! `head`, `body`, `login`, `metadata`, `refusal`, `seats`, `strangers` and `turns` decide and do no IO.

pub mod body;
mod caller;
pub mod head;
mod listen;
pub mod login;
pub mod metadata;
pub mod refusal;
pub mod seats;
mod source;
pub mod strangers;
pub mod turns;

pub use listen::Door;
