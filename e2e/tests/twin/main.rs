//! The twin of R2 proved with the AWS SDK, in front of a real versitygw; and the same basic suite against versitygw alone and
//! against a real bucket, if the environment names one.
#![cfg(test)]

mod basic;
mod client;
mod control;
mod damage;
mod failures;
mod headers;
mod keys;
mod limits;
mod multipart;
mod questions;
mod stage;
mod unsupported;
