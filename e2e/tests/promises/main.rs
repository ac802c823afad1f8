//! The end-to-end tests: one file per promise, on the running cluster. `make e2e T=ground_` runs an area.

mod bench_listeners;
mod ground_api;
mod ground_bad_objects;
mod ground_kills;
mod ground_lifecycle;
mod ground_nodes;
mod ground_on_air;
mod ground_passwords;
mod ground_playlist;
mod ground_s3;
