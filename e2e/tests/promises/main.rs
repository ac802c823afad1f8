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
mod recording_kills;
mod recording_nodes;
mod recording_operator;
mod recording_playout;
mod recording_show;
mod recording_store;
mod recording_switch;
mod tape_credentials;
mod tape_dj;
mod tape_ingest_kills;
mod tape_kills;
mod tape_operator_absent;
mod tape_passthrough;
