//! The whole process, through its ports: every way a source may send, every way it may fail to, and what becomes of
//! the tape when the process or its configuration changes.

#![cfg(test)]

mod cluster;
mod encoders;
mod life;
mod patience;
mod pod;
mod protocols;
mod recordings;
mod refusals;
mod shows;
