//! Sessions as manifests have them, for tests.

use ingest::api::{Container, Session};
use ingest::config::Routing;
use jiff::Timestamp;

use crate::config::Window;
use crate::manifest::{About, Manifest, Over, OverWhy, Range, Segment, Taped, segment_key};

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(10_000 + second).unwrap()
}

/// Live, connected at second 0, with nothing stored.
pub fn taped(id: &str, priority: u16) -> Taped {
    Taped {
        session: Session {
            id: id.to_owned(),
            mount: "main".to_owned(),
            input: format!("input-{priority}"),
            path: "/live".to_owned(),
            priority,
            routing: Routing::Live,
            user: "source".to_owned(),
            container: Container::Ogg,
            codec: None,
            title: None,
            started: at(0),
            bytes: 0,
            kept_from: 0,
            ended: None,
            aired: None,
            acked_by: Vec::new(),
        },
        start: 0,
        headers: None,
        end: None,
        segments: Vec::new(),
        lost: Vec::new(),
        lines: Vec::new(),
    }
}

pub fn segment(session: &str, from: u64, to: u64) -> Segment {
    let range = Range { from, to };
    Segment {
        key: segment_key(session, range, Container::Ogg),
        range,
        sha256: String::new(),
        md5: String::new(),
        t0: at(0),
        t1: at(0),
    }
}

pub fn manifest(from: i64, until: Option<i64>, why: OverWhy, sessions: Vec<Taped>) -> Manifest {
    Manifest {
        recording: About {
            name: "r".to_owned(),
            namespace: "n".to_owned(),
            station: "s".to_owned(),
            mount: "main".to_owned(),
            title: "Show".to_owned(),
            window: Window {
                from: at(from),
                until: until.map(at),
            },
            limit: at(until.unwrap_or(100_000)),
            idle_end_seconds: 120,
            ends_idle: false,
            input: None,
            max_length_seconds: None,
            renditions: Vec::new(),
            min_coverage_percent: None,
            show: None,
        },
        written: at(0),
        over: Some(Over { at: at(0), why }),
        sessions,
        rehearsals: Vec::new(),
    }
}
