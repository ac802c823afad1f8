//! What fifty sources cost.

use super::*;
use std::process::Command;

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Prints, from a process of its own, as other tests would be counted too. The bounds are far above what was measured
/// and catch what grows with the stream.
#[test]
fn fifty_sessions() {
    const ALONE: &str = "RADIO_TAPE_COST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return measure();
    }
    let told = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tape::tests::cost::fifty_sessions", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success() && text.contains("1 passed"), "{text}");
    println!(
        "{}",
        text.lines().find(|line| line.contains("50 sessions:")).unwrap()
    );
}

fn measure() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mp3 = include_bytes!("../../framing/fixtures/tone.mp3");
    let stream = mp3.repeat(100);
    let before = resident_kib();
    let mut writers: Vec<Writer> = (0..50)
        .map(|_| begin(&shelf, Container::Mp3, Routing::Live))
        .collect();
    let mut appends = 0_u32;
    let start = Instant::now();
    for piece in stream.chunks(1600) {
        for writer in &mut writers {
            writer.append(piece);
            appends += 1;
        }
    }
    let each = start.elapsed() / appends;
    let start = Instant::now();
    shelf.settle();
    let settle = start.elapsed();
    let grown = resident_kib().saturating_sub(before);
    println!(
        "50 sessions: {each:?} an append of 1600 bytes, {settle:?} to sync all, {grown} KiB more memory"
    );
    let read: usize = writers
        .iter()
        .map(|writer| read_all(writer.session(), 0).len())
        .sum();
    assert_eq!(read, 50 * stream.len());
    assert!(grown < 10 << 10, "{grown} KiB");
}
