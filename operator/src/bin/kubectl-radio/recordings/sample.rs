//! What the tests of this folder share: four Recordings, and what the bucket has of the second. No IO.

use radio_crds::Recording;
use radio_operator::context::Images;
use recorder::{manifest::Manifest, published::Final};
use serde_json::{Value, json};

/// Where everything of the second lies.
pub const PREFIX: &str = "archive/city/radio/live/live-20261121t200000z/";

pub fn images() -> Images {
    let image = || "image".to_owned();
    Images {
        icecast: image(),
        liquidsoap: image(),
        ingest: image(),
        recorder: image(),
    }
}

/// As it was stored, and what it is made of.
const AUDIO: (&str, u64, &str) = (
    "final-1/final-1.ogg",
    172_000_000,
    "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456",
);
const RENDITION: (&str, u64, &str) = (
    "final-1/final-1.mp3",
    288_000_000,
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
);

fn recording(name: &str, title: &str, from: &str, more: &Value, status: &Value) -> Recording {
    let mut object = json!({
        "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Recording",
        "metadata": {"name": name, "namespace": "city", "uid": "u", "labels": {}},
        "spec": {
            "station": "radio", "mount": "live", "title": title, "window": {"from": from},
            "store": {"endpoint": "https://s3.example.org", "bucket": "shows", "prefix": "archive", "secretRef": {"name": "s3"}},
        },
        "status": status,
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

/// One that is good, one that is not, one of a single input, one on air. Not in their order.
pub fn recordings() -> Vec<Recording> {
    let good = json!({
        "phase": "Verified", "startedAt": "2026-11-21T18:02:42Z", "endedAt": "2026-11-21T18:03:06Z", "duration": "24s",
        "bytes": 398_123, "size": "388 KiB", "gaps": 0, "version": 1, "coverage": 100,
        "verifiedAt": "2026-11-21T18:05:10Z",
        "objects": [{
            "key": "archive/city/radio/live/live-20261121t180242z/final-1/final-1.ogg", "url": "s3://shows/x",
            "bytes": 398_123, "seconds": 24, "codec": "opus", "sha256": "00",
        }],
    });
    let of_input = json!({
        "phase": "Empty", "bytes": 0, "size": "0 B",
    });
    let on_air = json!({ "phase": "OnAir", "startedAt": "2026-11-22T09:00:01Z" });
    vec![
        recording(
            "live-20261121t180242z",
            "Söder & Söhne \u{1b}[31m",
            "2026-11-21T18:02:42.25Z",
            &json!({}),
            &good,
        ),
        doubtful(),
        recording(
            "mics-7-1a2b3c-20261121t213000z",
            "Microphones, 7, of a title that is longer than a line of a log may be",
            "2026-11-21T21:30:00Z",
            &json!({"mount": "mics", "input": "7"}),
            &of_input,
        ),
        recording(
            "live-20261122t090001z",
            "Morning",
            "2026-11-22T09:00:01Z",
            &json!({}),
            &on_air,
        ),
    ]
}

fn doubtful() -> Recording {
    let object = |(key, bytes, sha256): (&str, u64, &str), codec: &str| {
        let key = format!("{PREFIX}{key}");
        json!({
            "url": format!("s3://shows/{key}"), "key": key, "bytes": bytes, "seconds": 7_190, "codec": codec,
            "sha256": sha256,
        })
    };
    let spec = json!({
        "window": {"from": "2026-11-21T20:00:00Z", "until": "2026-11-21T22:15:00Z"}, "idleEnd": "90s", "maxLength": "3h",
        "renditions": ["mp3"], "minCoverage": 98, "show": {"name": "night-shift", "slotEnd": "2026-11-21T22:00:00Z"},
    });
    let status = json!({
        "phase": "Doubtful", "startedAt": "2026-11-21T20:00:10Z", "endedAt": "2026-11-21T22:00:30Z", "duration": "1h59m",
        "bytes": AUDIO.1, "size": "164 MiB", "gaps": 2, "version": 1, "edition": 1, "coverage": 97, "over": "Until",
        "verifiedAt": "2026-11-21T22:20:10Z", "doubts": ["300 bytes that were on air are not in the bucket"],
        "gapList": [
            {"from": "2026-11-21T20:00:00Z", "to": "2026-11-21T20:00:10Z", "kind": "noSource"},
            {"from": "2026-11-21T21:00:00Z", "to": "2026-11-21T21:00:02Z", "kind": "lost", "bytes": 300},
        ],
        "objects": [object(AUDIO, "opus"), object(RENDITION, "mp3")],
    });
    recording(
        "live-20261121t200000z",
        "Night Shift",
        "2026-11-21T20:00:00Z",
        &spec,
        &status,
    )
}

fn about() -> Value {
    json!({
        "name": "live-20261121t200000z", "namespace": "city", "station": "radio", "mount": "live", "title": "Night Shift",
        "window": {"from": "2026-11-21T20:00:00Z", "until": "2026-11-21T22:15:00Z"}, "limit": "2026-11-21T22:15:00Z",
        "idleEndSeconds": 90, "maxLengthSeconds": 10_800, "renditions": ["mp3"], "minCoveragePercent": 98,
        "show": {"name": "night-shift", "slotEnd": "2026-11-21T22:00:00Z"},
    })
}

/// `final-1/final.json` of the second.
pub fn published() -> Final {
    let object = |(key, bytes, sha256): (&str, u64, &str), codec: &str| {
        json!({
            "key": key, "contentType": "audio", "codec": codec, "rate": 48_000, "channels": 2, "bytes": bytes,
            "sha256": sha256, "frames": 359_500, "seconds": 7_190.0, "links": 1,
        })
    };
    let lost = json!({"session": "20261121T195950000Z-1f3a", "bytes": {"from": 1_000, "to": 1_300}});
    let told = json!({
        "version": 1, "recording": about(), "manifestSha256": "aa", "verifiedAt": "2026-11-21T22:20:10.5Z",
        "from": "2026-11-21T20:00:00Z", "to": "2026-11-21T22:00:30Z",
        "intervals": [{
            "from": "2026-11-21T20:00:10Z", "to": "2026-11-21T22:00:30Z", "session": "20261121T195950000Z-1f3a",
            "input": "studio", "bytes": {"from": 0, "to": AUDIO.1},
        }],
        "gaps": [
            {"from": "2026-11-21T20:00:00Z", "to": "2026-11-21T20:00:10Z", "kind": "noSource"},
            {"from": "2026-11-21T21:00:00Z", "to": "2026-11-21T21:00:02Z", "kind": "lost", "lost": lost},
        ],
        "objects": [object(AUDIO, "opus")], "renditions": [object(RENDITION, "mp3")],
        "seconds": 7_190.0, "coveragePercent": 97.3, "doubts": [{"is": "lost", "bytes": 300}],
    });
    serde_json::from_value(told).unwrap()
}

/// `manifest.json` of the second.
pub fn manifest() -> Manifest {
    let told = json!({
        "recording": about(), "written": "2026-11-21T22:16:00Z", "over": {"at": "2026-11-21T22:15:00Z", "why": "until"},
        "sessions": [{
            "session": {
                "id": "20261121T195950000Z-1f3a", "mount": "live", "input": "studio", "path": "/live/studio", "priority": 0,
                "routing": "live", "user": "anna", "container": "ogg", "codec": "opus", "started": "2026-11-21T20:00:10Z",
                "bytes": AUDIO.1, "keptFrom": 0,
                "ended": {"at": "2026-11-21T22:00:30Z", "why": "the source closed the connection"},
                "aired": {"first": "2026-11-21T20:00:10Z", "last": "2026-11-21T22:00:30Z"},
            },
            "start": 0, "end": AUDIO.1,
            "segments": [{
                "key": "segments/20261121T195950000Z-1f3a/000000000000000-000000172000000.ogg", "from": 0, "to": AUDIO.1,
                "sha256": "bb", "md5": "cc", "t0": "2026-11-21T20:00:10Z", "t1": "2026-11-21T22:00:30Z",
            }],
            "lines": [],
        }],
    });
    serde_json::from_value(told).unwrap()
}
