//! `kubectl radio recordings` as a program, between an API server that is a double and a real S3 server.

#![cfg(test)]

mod api;
mod recordings;
mod stage;
