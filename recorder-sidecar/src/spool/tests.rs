//! Both sides of a spool, with crashes in between.

use std::collections::BTreeSet;

use ingest::api::Container;
use ingest::config::Routing;
use jiff::Timestamp;
use tempfile::TempDir;

use super::*;

fn about(start: u64, headers: Option<Range>) -> About {
    About {
        session: Session {
            id: "s1".to_owned(),
            mount: "main".to_owned(),
            input: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            priority: 0,
            routing: Routing::Live,
            user: "source".to_owned(),
            container: Container::Mp3,
            codec: None,
            title: None,
            started: Timestamp::UNIX_EPOCH,
            bytes: 0,
            kept_from: 0,
            ended: None,
            aired: None,
            acked_by: Vec::new(),
        },
        start,
        headers,
    }
}

fn cut(at: u64) -> Line {
    Line::Cut { at, media_ms: at }
}

#[test]
fn what_is_synced_can_be_read_and_freed() {
    let spool = TempDir::new().unwrap();
    let local = Local::create(spool.path(), &about(0, None), &[]).unwrap();
    let mut copy = Copy::open(spool.path(), "s1").unwrap();
    assert!(local.append(0, &[7; 9_000]).unwrap());
    local.line(50, &cut(5_000)).unwrap();
    assert!(!copy.refresh().unwrap(), "nothing is synced");
    assert!(local.sync().unwrap() && !local.sync().unwrap());
    assert!(copy.refresh().unwrap());
    assert_eq!((copy.have(), copy.is_whole()), (9_000, false));
    assert_eq!(copy.cuts(), &BTreeSet::from([5_000]));
    assert_eq!(
        copy.read(Range {
            from: 8_990,
            to: 9_000
        })
        .unwrap(),
        vec![7; 10]
    );

    copy.free(8_192).unwrap();
    assert_eq!(
        copy.read(Range { from: 0, to: 8_192 }).unwrap(),
        vec![0; 8_192],
        "its room was given back"
    );
    assert_eq!(
        copy.read(Range {
            from: 8_192,
            to: 9_000
        })
        .unwrap(),
        vec![7; 808]
    );
    local.tape_is_whole();
    local.index_is_whole();
    local.sync().unwrap();
    assert!(copy.refresh().unwrap() && copy.is_whole());
    assert_eq!(sessions(spool.path()).unwrap(), ["s1"]);
    let next_life = Copy::open(spool.path(), "s1").unwrap();
    assert_eq!(next_life.lost(), [Range { from: 0, to: 8_192 }]);
    let held = hold(spool.path(), "ship").unwrap();
    assert!(hold(spool.path(), "ship").is_err() && hold(spool.path(), "capture").is_ok());
    drop(held);
    assert!(hold(spool.path(), "ship").is_ok());
}

#[test]
fn bytes_go_where_they_belong_or_nowhere() {
    let spool = TempDir::new().unwrap();
    let local = Local::create(spool.path(), &about(0, None), &[]).unwrap();
    local.append(0, b"abc").unwrap();
    let mut copy = Copy::open(spool.path(), "s1").unwrap();
    copy.free(10).unwrap();
    assert!(local.skip_what_is_freed().unwrap() && !local.skip_what_is_freed().unwrap());
    assert!(!local.append(3, b"def").unwrap(), "the old connection's bytes");
    assert!(local.append(10, b"klm").unwrap());
    local.lost(20).unwrap();
    assert!(local.append(20, b"uvw").unwrap());
    local.sync().unwrap();
    copy.refresh().unwrap();
    assert_eq!(copy.lost(), [Range { from: 13, to: 20 }]);
    assert_eq!(copy.read(Range { from: 10, to: 13 }).unwrap(), "klm");
    assert_eq!(copy.have(), 23);
}

/// A second's sync may still be at work when the last one is asked for.
#[test]
fn the_last_mark_is_the_one_that_stands() {
    for _ in 0..200 {
        let spool = TempDir::new().unwrap();
        let local = Local::create(spool.path(), &about(0, None), &[]).unwrap();
        let at_work = std::sync::Barrier::new(3);
        let seconds = || {
            at_work.wait();
            local.sync().unwrap();
        };
        std::thread::scope(|threads| {
            local.append(0, b"abc").unwrap();
            threads.spawn(seconds);
            threads.spawn(seconds);
            at_work.wait();
            local.tape_is_whole();
            local.index_is_whole();
            local.sync().unwrap();
        });
        let mark: Synced = read_json(&spool.path().join("s1").join(SYNCED)).unwrap().unwrap();
        assert!(mark.whole, "{mark:?}");
    }
}

#[test]
fn a_killed_capture_goes_on_with_all_it_had() {
    let spool = TempDir::new().unwrap();
    {
        let local = Local::create(spool.path(), &about(0, None), &[]).unwrap();
        local.append(0, &[1; 100]).unwrap();
        local.line(40, &cut(0)).unwrap();
        local.line(90, &cut(60)).unwrap();
    }
    let index = spool.path().join("s1").join(INDEX);
    let mut torn = fs::read(&index).unwrap();
    torn.extend(b"{\"next\":140,\"is\":\"cu");
    fs::write(&index, torn).unwrap();
    let local = Local::resume(spool.path(), "s1").unwrap();
    assert_eq!((local.tape_end(), local.next_line()), (100, 90));
    local.line(140, &cut(80)).unwrap();
    local.sync().unwrap();
    assert_eq!(
        Copy::open(spool.path(), "s1").unwrap().cuts(),
        &BTreeSet::from([0, 60, 80])
    );
}

#[test]
fn after_a_crash_only_what_was_synced_counts() {
    let spool = TempDir::new().unwrap();
    {
        let local = Local::create(spool.path(), &about(0, None), &[]).unwrap();
        local.append(0, &[1; 100]).unwrap();
        local.line(40, &cut(0)).unwrap();
        local.sync().unwrap();
        local.append(100, &[1; 100]).unwrap();
        local.line(90, &cut(60)).unwrap();
    }
    let dir = spool.path().join("s1");
    let synced: Synced = read_json(&dir.join(SYNCED)).unwrap().unwrap();
    let crashed = Synced {
        boot_id: "another".to_owned(),
        ..synced
    };
    replace(&dir, SYNCED, &crashed).unwrap();
    let local = Local::resume(spool.path(), "s1").unwrap();
    assert_eq!((local.tape_end(), local.next_line()), (100, 40));
    fs::write(dir.join(SYNCED), "{\"ta").unwrap();
    let local = Local::resume(spool.path(), "s1").unwrap();
    assert_eq!((local.tape_end(), local.next_line()), (0, 0));
}

#[test]
fn a_later_beginning_has_its_headers_and_a_hole() {
    let spool = TempDir::new().unwrap();
    let headers = Range { from: 10, to: 14 };
    let local = Local::create(spool.path(), &about(1_000, Some(headers)), b"head").unwrap();
    assert_eq!(local.tape_end(), 1_000);
    local.append(1_000, b"body").unwrap();
    local.sync().unwrap();
    let copy = Copy::open(spool.path(), "s1").unwrap();
    assert_eq!(
        (copy.start(), copy.headers(), copy.have()),
        (1_000, Some(headers), 1_004)
    );
    assert_eq!(copy.read(headers).unwrap(), "head");
    assert_eq!(
        copy.read(Range {
            from: 1_000,
            to: 1_004
        })
        .unwrap(),
        "body"
    );
}

#[tokio::test]
async fn new_sessions_and_new_marks_are_noticed() {
    let spool = TempDir::new().unwrap();
    let mut notices = Notices::of(spool.path()).unwrap();
    let local = Local::create(spool.path(), &about(0, None), &[]).unwrap();
    notices.next().await.unwrap();
    notices.watch("s1").unwrap();
    let waits = tokio::time::timeout(std::time::Duration::from_millis(50), notices.next()).await;
    // The directory's own rename may have been split from the one before.
    drop(waits);
    local.append(0, b"x").unwrap();
    local.sync().unwrap();
    notices.next().await.unwrap();
    Copy::open(spool.path(), "s1").unwrap().free(1).unwrap();
    let own = tokio::time::timeout(std::time::Duration::from_millis(200), notices.next()).await;
    assert!(own.is_err(), "ship's own mark is no news");
}
