#!/bin/sh
# Fuzzes one target for so many seconds: ingest/fuzz/run.sh ogg 60. Needs `cargo install cargo-fuzz`, no nightly: there is
# no unsafe code here, so no sanitizer is worth one. What it finds stays in the target directory; to keep it, copy it
# to corpus/, where `cargo test -p ingest` replays it.
set -eu
cd "$(dirname "$0")"
work="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
mkdir -p "$work/corpus/$1" "$work/artifacts/$1"
# Its own target directory: other flags would build everything anew each time.
unset CARGO_TARGET_DIR
exec cargo fuzz run --fuzz-dir . --sanitizer none --target-dir "$work/target" "$1" "$work/corpus/$1" "corpus/$1" -- \
    -max_total_time="$2" -max_len=65536 -timeout=5 -rss_limit_mb=512 -artifact_prefix="$work/artifacts/$1/" \
    -print_final_stats=1
