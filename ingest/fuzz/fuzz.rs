//! Hands what libFuzzer makes up to the target this binary is named after.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| ingest_fuzz::run(env!("CARGO_BIN_NAME"), data));
