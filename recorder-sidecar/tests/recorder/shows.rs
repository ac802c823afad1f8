//! What belongs to a Recording, when it is over, and what recording costs.

use std::fs;
use std::time::Duration;

use ingest::api::Line;
use ingest::config::Routing;
use jiff::Timestamp;
use recorder::manifest::{MANIFEST_KEY, OverWhy};
use tokio::time::sleep;

use crate::stage::Tape;

#[tokio::test]
async fn a_show_is_in_the_bucket_when_ship_ends() {
    let stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(60, 20).await;
    show.writer().title("Song");
    show.play(60, 20).await;
    show.end();
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;

    let manifest = stage.manifest().await;
    assert_eq!(manifest.over.unwrap().why, OverWhy::Idle);
    let taped = &manifest.sessions[0];
    assert!(
        taped.segments.len() >= 11,
        "one each ten seconds: {}",
        taped.segments.len()
    );
    assert!(taped.segments.iter().is_sorted_by_key(|segment| segment.t0));
    assert!(
        taped
            .lines
            .iter()
            .any(|line| matches!(line, Line::Title { title, .. } if title == "Song"))
    );
    assert!(matches!(taped.lines.last(), Some(Line::End { .. })));
    assert_eq!(taped.session.codec.as_deref(), Some("mp3"));
    let acks = fs::read_to_string(stage.session(&show).join("acks.json")).unwrap();
    assert!(acks.contains(&format!("\"show\":{}", show.sent.len())), "{acks}");
    let text = String::from_utf8(stage.object(MANIFEST_KEY).await.unwrap()).unwrap();
    assert!(!text.contains("token"), "{text}");
}

/// A recorder that comes late, and the hand-over of a source to itself and to another.
#[tokio::test]
async fn everything_that_was_on_air_belongs_and_nothing_else() {
    let stage = Tape::new().await;
    let mut early = stage.begin(Routing::Live);
    early.send(95);
    early.end();
    let mut rehearsal = stage.begin_at("mobile", 1, Routing::Rehearsal);
    rehearsal.send(30);
    let mut to_and_fro = stage.begin_at("guest", 2, Routing::Rehearsal);
    for _ in 0..5 {
        to_and_fro.send(8);
        to_and_fro.writer().route(Routing::Live);
        to_and_fro.send(8);
        to_and_fro.writer().route(Routing::Rehearsal);
    }
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    let mut late = stage.begin(Routing::Live);
    late.play(40, 20).await;
    late.end();
    to_and_fro.end();
    rehearsal.end();
    stage.over(&mut ship).await;
    stage
        .nothing_is_lost(&[early.log(), to_and_fro.log(), late.log()])
        .await;
    let manifest = stage.manifest().await;
    let routed = manifest
        .sessions
        .iter()
        .find(|taped| taped.session.id == to_and_fro.id)
        .unwrap();
    assert_eq!(routed.first_routing(), Routing::Rehearsal);
    assert_eq!(
        routed
            .lines
            .iter()
            .filter(|line| matches!(line, Line::Routing { .. }))
            .count(),
        10
    );
}

/// The greatest length: one Recording ends at a cut, and the next has everything from before that cut on.
#[tokio::test]
async fn a_show_that_never_ends_is_recorded_in_turns() {
    let mut stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    stage.recording["maxLengthSeconds"] = 5.into();
    stage.tell();
    let (mut capture, mut ship) = (stage.capture(), stage.ship());
    show.play(200, 20).await;
    stage.over(&mut ship).await;
    crate::stage::kill(&mut capture).await;
    let first = stage.manifest().await;
    assert_eq!(first.over.unwrap().why, OverWhy::MaxLength);
    let end = first.sessions[0].end.unwrap();
    assert!(end < show.sent.len() as u64, "it goes on");
    let limit = first.recording.limit;
    let last = first.sessions[0].segments.last().unwrap();
    assert!(
        last.range.to == end && last.t1 >= limit && last.t0 <= limit,
        "{last:?} {limit}"
    );

    stage.hand_over_to("next");
    stage.recording["window"]["from"] = serde_json::to_value(limit).unwrap();
    stage.recording["maxLengthSeconds"] = 3_600.into();
    stage.tell();
    fs::remove_dir_all(stage.spool()).unwrap();
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(20, 20).await;
    show.end();
    stage.over(&mut ship).await;
    let second = stage.manifest().await;
    let start = second.sessions[0].start;
    assert!(start > 0 && start <= end, "{start} {end}");
    let held = stage.compare(&[show.log()]).await.1;
    // MP3 has no headers: they are its first frame, or nothing.
    let headers = second.sessions[0].headers.map_or(0, |headers| headers.to);
    assert_eq!(held, [(headers, start)]);
    assert_eq!(second.sessions[0].lost, []);
}

#[tokio::test]
async fn with_an_end_in_its_window_it_waits_for_that() {
    let mut stage = Tape::new().await;
    let until = Timestamp::now() + jiff::SignedDuration::from_secs(8);
    stage.recording["window"]["until"] = serde_json::to_value(until).unwrap();
    stage.tell();
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(20, 20).await;
    show.end();
    sleep(Duration::from_secs(4)).await;
    assert!(ship.try_wait().unwrap().is_none(), "longer than it may be idle");
    stage.over(&mut ship).await;
    assert!(Timestamp::now() >= until);
    stage.nothing_is_lost(&[show.log()]).await;
    assert_eq!(stage.manifest().await.over.unwrap().why, OverWhy::Until);
}

/// What capture and ship cost for one stream of 320 kb/s, in this build.
#[tokio::test]
async fn they_cost_little() {
    let stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let (capture, mut ship) = (stage.capture(), stage.ship());
    show.play(2, 2).await;
    stage
        .until("something is captured", async || stage.captured(&show.id) > 0)
        .await;
    let pids = [capture.id().unwrap(), ship.id().unwrap()];
    let before = pids.map(cpu);
    // 128 kb/s at 2.5 times its pace.
    let begun = std::time::Instant::now();
    for _ in 0..60 {
        show.send(1);
        sleep(Duration::from_millis(400)).await;
    }
    let wall = begun.elapsed().as_secs_f64();
    let after = pids.map(cpu);
    let budgets = [("capture", 20.0, 1.0), ("ship", 64.0, 5.0)];
    for (index, (name, most, most_percent)) in budgets.into_iter().enumerate() {
        let percent = (after[index] - before[index]) / wall * 100.0;
        let rss = peak_mib(pids[index]);
        println!("{name}: {percent:.2} % of a core at 320 kb/s, at most {rss:.1} MiB");
        assert!(rss < most, "{name} takes {rss} MiB");
        assert!(percent < most_percent, "{name} takes {percent} % of a core");
    }
    show.end();
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
}

/// More segments than a listing has on a page, and ship killed half-way: what it has forgotten, the bucket tells.
#[tokio::test]
async fn a_day_and_a_night() {
    if !e2e::harness::is_full() {
        println!("not run here: 28 hours; RADIO_FULL=1 runs them");
        return;
    }
    let mut stage = Tape::new().await;
    stage.recording["maxLengthSeconds"] = 200_000.into();
    stage.tell();
    let mut show = stage.begin(Routing::Live);
    show.send_hours(28);
    show.end();
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    let half = show.sent.len() as u64 / 2;
    let stored = async |stage: &Tape| {
        stage
            .state(1)
            .await
            .and_then(|state| state["sessions"][0]["stored"].as_u64())
    };
    stage
        .until("half of it is stored", async || {
            stored(&stage).await.is_some_and(|stored| stored > half)
        })
        .await;
    let first = peak_mib(ship.id().unwrap());
    crate::stage::kill(&mut ship).await;
    let mut ship = stage.ship();
    stage
        .until("all of it is stored", async || {
            stored(&stage).await == Some(show.sent.len() as u64)
        })
        .await;
    let second = peak_mib(ship.id().unwrap());
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
    let segments = stage.manifest().await.sessions[0].segments.len();
    println!(
        "28 h, {segments} segments: ship took at most {first:.1} MiB, and {second:.1} MiB after it was killed"
    );
    assert!(segments > 10_000 && first < 64.0 && second < 64.0);
}

/// Seconds of processor time.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u32 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u32>().unwrap())
        .sum();
    f64::from(ticks) / 100.0
}

fn peak_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
