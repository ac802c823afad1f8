//! What the DJ sent against what is in the bucket.

use recorder::finalize::published::{Final, GapKind};
use recorder::manifest::{Range, SEGMENTS};
use recorder::report::Report;

use crate::audio::framehash;
use crate::recording::{Cost, Recording};

/// Of a session, by its place among those that were sent: bytes that are not in the bucket.
pub type Hole = (usize, Range);

/// Compares the segments with what was sent, in the order of the sessions. Prints what is lost and doubled; gives the holes.
pub async fn compare(row: &str, recording: &Recording<'_>, sent: &[&[u8]]) -> Vec<Hole> {
    let bucket = recording.segments().await;
    assert!(bucket.len() <= sent.len(), "{row}: {:?} were sent", bucket.keys());
    let mut bucket = bucket.into_iter();
    let (mut holes, mut doubled) = (Vec::new(), 0);
    for (number, sent) in sent.iter().enumerate() {
        let (session, segments) = bucket.next().unwrap_or_default();
        let mut at = 0;
        for (from, bytes) in segments {
            if from > at {
                holes.push((number, Range { from: at, to: from }));
            }
            doubled += at.saturating_sub(from);
            let to = from + bytes.len() as u64;
            let expected = &sent[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()];
            assert!(
                bytes == expected,
                "{row}: bytes {from}..{to} of {session} are others\n{}",
                recording.stage.log()
            );
            at = to;
        }
        let to = sent.len() as u64;
        if at < to {
            holes.push((number, Range { from: at, to }));
        }
    }
    let bytes: usize = sent.iter().map(|sent| sent.len()).sum();
    let lost: u64 = holes.iter().map(|(_, hole)| hole.bytes()).sum();
    println!(
        "{row}: {} sessions, {bytes} bytes sent; in segments {lost} lost, {doubled} doubled",
        sent.len()
    );
    assert_eq!(doubled, 0, "{row}\n{}", recording.stage.log());
    holes
}

/// All that was sent is in segments, and the manifest says so.
pub async fn nothing_is_lost(row: &str, recording: &Recording<'_>, sent: &[&[u8]]) {
    let holes = compare(row, recording, sent).await;
    assert!(holes.is_empty(), "{row}: {holes:?}\n{}", recording.stage.log());
    let Report::Stored(told) = recording.report("ship") else {
        panic!("{row}: {:?}", recording.report("ship"))
    };
    assert_eq!(
        (told.sessions.len(), told.lost_bytes),
        (sent.len(), 0),
        "{row}: the operator is told {told:?}"
    );
    let manifest = recording.manifest().await;
    assert!(manifest.over.is_some(), "{row}");
    assert_eq!(manifest.sessions.len(), sent.len(), "{row}");
    for (taped, sent) in manifest.sessions.iter().zip(sent) {
        assert_eq!(
            (taped.end, &taped.lost[..]),
            (Some(sent.len() as u64), &[][..]),
            "{row}"
        );
    }
}

/// A version that says what is true: no doubts, and each packet that was sent is in the objects, once and in order.
pub async fn published(
    row: &str,
    recording: &Recording<'_>,
    version: u32,
    sent: &[&[u8]],
    cost: Cost,
) -> Final {
    let published = recording.published(version).await;
    let lost = published.gaps.iter().filter(|gap| gap.kind == GapKind::Lost);
    assert_eq!(
        (&published.doubts[..], lost.count()),
        (&[][..], 0),
        "{row}: {published:?}\n{}",
        recording.stage.log()
    );
    let expected: Vec<_> = sent.iter().flat_map(|sent| framehash(sent)).collect();
    let mut made = Vec::new();
    for object in &published.objects {
        made.extend(framehash(&recording.object(&object.key).await));
    }
    println!(
        "{row}: {} packets sent, {} in {} objects of {:.1} s; finalize took {:.1} s and at most {} MiB",
        expected.len(),
        made.len(),
        published.objects.len(),
        published.seconds,
        cost.time.as_secs_f64(),
        cost.peak_mib
    );
    if made != expected {
        let first = made.iter().zip(&expected).position(|(made, sent)| made != sent);
        panic!(
            "{row}: other packets, from {first:?} on\n{}",
            recording.stage.log()
        );
    }
    let Report::Published(told) = recording.report("finalize") else {
        panic!("{row}: {:?}", recording.report("finalize"))
    };
    assert!(
        told.beyond_doubt && told.version == version && told.objects.len() == published.objects.len(),
        "{row}: the operator is told {told:?}"
    );
    assert!(
        recording.keys(SEGMENTS).await.is_empty(),
        "{row}: segments that nobody needs"
    );
    assert!(cost.peak_mib < 128, "{row}: finalize takes {} MiB", cost.peak_mib);
    published
}

/// All of it, from the segments to the object.
pub async fn whole(row: &str, recording: &Recording<'_>, sent: &[&[u8]]) -> Final {
    nothing_is_lost(row, recording, sent).await;
    let cost = recording.finalize().await;
    published(row, recording, 1, sent, cost).await
}
