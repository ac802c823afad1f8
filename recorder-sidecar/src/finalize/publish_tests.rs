use super::*;
use std::time::Duration;

use crate::finalize::fixtures::{at, manifest, taped};
use crate::finalize::intervals::Piece;
use crate::finalize::parameters::Parameters;
use crate::finalize::published::LostBytes;
use crate::manifest::Range;
use crate::manifest::{OverWhy, Taped};
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

#[test]
fn coverage_has_two_digits_and_no_surprises() {
    assert_eq!(percent(999.0, at(0), at(1000)).to_string(), "99.9");
    assert_eq!(percent(1005.0, at(0), at(1000)).to_string(), "100");
    assert_eq!(percent(0.0, at(0), at(0)).to_string(), "0");
}

#[test]
fn a_playlist_names_files_beside_it() {
    let mut recording = manifest(0, None, OverWhy::Idle, Vec::new()).recording;
    recording.title = "Show\n#EXT-X-EVIL".to_owned();
    let published = Final {
        version: 2,
        recording,
        manifest_sha256: String::new(),
        edition: 1,
        verified_at: at(0),
        from: at(0),
        to: at(10),
        intervals: Vec::new(),
        gaps: Vec::new(),
        objects: (1..)
            .zip([made(3), made(7)])
            .map(|(number, made)| work(2, number, &made).object)
            .collect(),
        renditions: Vec::new(),
        seconds: 10.0,
        coverage_percent: 100.0,
        doubts: Vec::new(),
    };
    let expected = "#EXTM3U\n#PLAYLIST:Show #EXT-X-EVIL\n#EXTINF:3.000,Show #EXT-X-EVIL\nfinal-1.ogg\n\
                    #EXTINF:7.000,Show #EXT-X-EVIL\nfinal-2.ogg\n";
    assert_eq!(playlist(&published), expected);
    assert!(published.is_beyond_doubt());
    let text = serde_json::to_string(&published).unwrap();
    assert_eq!(serde_json::from_str::<Final>(&text).unwrap(), published);
}
