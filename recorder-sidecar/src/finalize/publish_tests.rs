use super::*;
use std::time::Duration;

use crate::finalize::fixtures::{at, manifest, segment, taped};
use crate::finalize::intervals::Piece;
use crate::finalize::parameters::Parameters;
use crate::finalize::published::LostBytes;
use crate::manifest::Range;
use crate::manifest::{OverWhy, Taped};
use crate::store::fake::{Etags, Fake};
use ingest::api::{Container, Line};
use ingest::config::Routing;

fn made(seconds: u64) -> Made {
    Made {
        path: PathBuf::new(),
        parameters: Parameters {
            container: Container::Ogg,
            codec: "opus",
            rate: 48_000,
            channels: 2,
        },
        size: 1,
        sha256: String::new(),
        frames: 1,
        duration: Duration::from_secs(seconds),
        links: 1,
        chapters: Vec::new(),
    }
}

/// Live, and stored up to a second: a byte for each.
fn stored_to(second: u64) -> Taped {
    Taped {
        end: Some(second),
        lines: (0..=second)
            .map(|at_byte| Line::Clock {
                at: at_byte,
                t: at(i64::try_from(at_byte).unwrap()),
            })
            .collect(),
        ..taped("s", 0)
    }
}

fn version_of(made: &[Made], manifest: &Manifest) -> Final {
    Final {
        version: 1,
        recording: manifest.recording.clone(),
        manifest_sha256: String::new(),
        edition: 1,
        verified_at: at(0),
        from: at(0),
        to: at(10),
        intervals: Vec::new(),
        gaps: Vec::new(),
        objects: (1..)
            .zip(made)
            .map(|(number, made)| work(1, number, made).object)
            .collect(),
        renditions: Vec::new(),
        seconds: 10.0,
        coverage_percent: 100.0,
        doubts: Vec::new(),
    }
}

fn on_air(from: i64, to: i64) -> OnAir {
    let piece = Piece {
        session: 0,
        from: at(from),
        to: at(to),
        bytes: Range { from: 0, to: 9 },
    };
    OnAir {
        from: at(from),
        to: at(to),
        pieces: vec![piece],
        gaps: Vec::new(),
    }
}

#[test]
fn what_speaks_against_a_recording() {
    let mut ended = taped("s", 0);
    ended.session.ended = Some(ingest::api::Ended {
        at: at(100),
        why: String::new(),
    });
    let whole = manifest(0, None, OverWhy::Idle, vec![ended]);
    let least = Some(98);
    assert_eq!(
        doubts_of(&whole, &on_air(0, 1000), &[made(400), made(599)], least),
        []
    );
    let short = doubts_of(&whole, &on_air(0, 1000), &[made(900)], least);
    let expected = [
        Doubt::LessThanHeard {
            seconds: 900.0,
            heard: 1000.0,
        },
        Doubt::ShowShort {
            percent: 90.0,
            least: 98,
        },
    ];
    assert_eq!(short, expected);
    let nobody = OnAir {
        from: at(0),
        to: at(60),
        pieces: Vec::new(),
        gaps: Vec::new(),
    };
    assert_eq!(doubts_of(&whole, &nobody, &[], None), [Doubt::NothingOnAir]);

    let mut holed = on_air(0, 1000);
    let lost = LostBytes {
        session: "s".to_owned(),
        bytes: Range { from: 10, to: 15 },
    };
    holed.gaps.push(Gap {
        from: at(100),
        to: at(200),
        kind: GapKind::Lost,
        lost: Some(lost),
    });
    assert_eq!(
        doubts_of(&whole, &holed, &[made(900)], None),
        [Doubt::Lost { bytes: 5 }]
    );
}

#[test]
fn a_session_without_an_end_may_have_more_when_its_tape_is_back() {
    let doubts = |why, session: Taped| {
        let mut manifest = manifest(0, None, why, vec![session]);
        manifest.recording.limit = at(1000);
        doubts_of(&manifest, &on_air(0, 10), &[made(10)], None)
    };
    let no_end = [Doubt::NoEnd {
        session: "s".to_owned(),
    }];
    for why in [OverWhy::Idle, OverWhy::MaxLength, OverWhy::Until] {
        assert_eq!(
            doubts(why, stored_to(500)),
            no_end,
            "{why:?}: its ingest was lost half-way"
        );
    }
    assert_eq!(
        doubts(OverWhy::MaxLength, stored_to(999)),
        [],
        "the next Recording has the rest"
    );
    let mut in_rehearsal = stored_to(500);
    in_rehearsal.session.routing = Routing::Rehearsal;
    in_rehearsal.lines.push(Line::Routing {
        at: 500,
        t: at(500),
        routing: Routing::Rehearsal,
    });
    assert_eq!(
        doubts(OverWhy::Idle, in_rehearsal.clone()),
        [],
        "it left the air and stays connected"
    );
    in_rehearsal.lines.push(Line::Routing {
        at: 500,
        t: at(900),
        routing: Routing::Live,
    });
    in_rehearsal.session.routing = Routing::Live;
    assert_eq!(
        doubts(OverWhy::Idle, in_rehearsal),
        [],
        "its second time on air is the next Recording's"
    );
}

/// A version of one object, and the Recording that has it, with two segments in the bucket.
async fn cleared(meanwhile: impl AsyncFnOnce(&Fake)) -> (Result<(), Error>, usize) {
    let fake = Fake::new("r2", Etags::Md5).await;
    let mut taped = taped("s", 0);
    taped.segments = vec![segment("s", 0, 10), segment("s", 10, 20)];
    let manifest = manifest(0, None, OverWhy::Idle, vec![taped]);
    let sound = Body::of(Bytes::from_static(b"sound"));
    let none = std::collections::BTreeMap::new();
    let rendition = "final-1/final-1.mp3";
    let segments = manifest.sessions[0]
        .segments
        .iter()
        .map(|segment| segment.key.as_str());
    for key in segments.chain(["final-1/final-1.ogg", rendition]) {
        fake.store.put_new(key, &sound, "audio/ogg", &none).await.unwrap();
    }
    let mut published = version_of(&[made(3)], &manifest);
    for object in &mut published.objects {
        object.bytes = sound.size();
        object.sha256 = sound.sha256();
    }
    published.renditions = vec![Object {
        key: rendition.to_owned(),
        ..published.objects[0].clone()
    }];
    meanwhile(&fake).await;
    let cleared = clear(&fake.store, &fake.recording, &manifest, &published).await;
    let left = fake.store.list(SEGMENTS).try_collect::<Vec<_>>().await.unwrap();
    (cleared, left.len())
}

#[tokio::test]
async fn segments_go_only_while_all_that_was_made_of_them_is_there() {
    let (done, left) = cleared(async |_| {}).await;
    assert!(done.is_ok() && left == 0, "{done:?}, {left} segments");

    for key in ["final-1/final-1.ogg", "final-1/final-1.mp3"] {
        let taken_away = async |fake: &Fake| fake.store.delete(&[key.to_owned()]).await.unwrap();
        let other = async |fake: &Fake| {
            taken_away(fake).await;
            let noise = Body::of(Bytes::from_static(b"noise"));
            let none = std::collections::BTreeMap::new();
            fake.store.put_new(key, &noise, "audio/ogg", &none).await.unwrap();
        };
        for (done, left) in [cleared(taken_away).await, cleared(other).await] {
            assert!(
                matches!(&done, Err(Error::Damaged(verify::Error::Damaged { key: told, .. })) if told == key),
                "{done:?}"
            );
            assert_eq!(left, 2, "{key}: nothing is deleted");
        }
    }
}

#[tokio::test]
async fn a_version_that_was_moved_away_later_is_no_damage() {
    let (done, _) = cleared(async |fake| {
        let all: Vec<_> = fake.store.list("").try_collect().await.unwrap();
        let keys: Vec<_> = all.into_iter().map(|object| object.key).collect();
        fake.store.delete(&keys).await.unwrap();
    })
    .await;
    assert!(done.is_ok(), "{done:?}");
}

#[test]
fn a_playlist_names_files_beside_it() {
    let mut manifest = manifest(0, None, OverWhy::Idle, Vec::new());
    manifest.recording.title = "Show\n#EXT-X-EVIL".to_owned();
    let published = version_of(&[made(3), made(7)], &manifest);
    let expected = "#EXTM3U\n#PLAYLIST:Show #EXT-X-EVIL\n#EXTINF:3.000,Show #EXT-X-EVIL\nfinal-1.ogg\n\
                    #EXTINF:7.000,Show #EXT-X-EVIL\nfinal-2.ogg\n";
    assert_eq!(playlist(&published), expected);
    assert!(published.is_beyond_doubt());
    let text = serde_json::to_string(&published).unwrap();
    assert_eq!(serde_json::from_str::<Final>(&text).unwrap(), published);
}
