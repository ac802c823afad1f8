//! Temporary.
#[path = "promises/ground_api.rs"]
mod ground_api;
