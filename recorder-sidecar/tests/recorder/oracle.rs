//! What was sent against what is in the bucket, twice: the sender's bytes against the joined segments, and the hash of each
//! packet that was on air (by ffmpeg) against those of the final objects. Whatever is lost or doubled is printed and counted.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use e2e::sound::Codec;
use recorder::manifest::{Manifest, SEGMENTS};
use recorder::published::{Final, GapKind};

use crate::sound::{name, packets, placed_packets};
use crate::stage::{Sent, Show, Stage};

/// The bytes of a session, as its source sent them.
pub struct Log<'a> {
    pub session: &'a str,
    pub bytes: &'a [u8],
}

impl Show {
    pub fn log(&self) -> Log<'_> {
        Log {
            session: &self.id,
            bytes: &self.sent,
        }
    }
}

impl Sent {
    /// As the session that the manifest has of it.
    pub fn log<'a>(&'a self, manifest: &'a Manifest) -> Log<'a> {
        let of = |taped: &&recorder::manifest::Taped| taped.session.user == self.user;
        let taped = manifest.sessions.iter().find(of);
        Log {
            session: taped.map_or("no session", |taped| &taped.session.id),
            bytes: &self.bytes,
        }
    }
}

/// Bytes, or packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub sent: u64,
    pub lost: u64,
    pub doubled: u64,
}

impl Figures {
    pub fn is_whole(self) -> bool {
        self.sent > 0 && (self.lost, self.doubled) == (0, 0)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} lost, {} doubled",
            self.sent, self.lost, self.doubled
        )
    }
}

impl Stage {
    /// The joined segments against the logs. Gives the figures, and the holes.
    pub async fn compare(&self, logs: &[Log<'_>]) -> (Figures, Vec<(u64, u64)>) {
        let mut bucket = self.bucket().await;
        let (mut figures, mut holes) = (Figures::default(), Vec::new());
        for Log { session, bytes } in logs {
            let stored = bucket.remove(*session).unwrap_or_default();
            let end = bytes.len() as u64;
            figures.sent += end;
            figures.doubled += stored.doubled;
            let mut at = 0;
            for (&from, segment) in &stored.segments {
                let to = from + segment.len() as u64;
                let sent = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
                let is_same = bytes.get(sent) == Some(segment);
                assert!(
                    is_same,
                    "{session}: bytes {from}..{to} are others\n{}",
                    self.log()
                );
                holes.extend((at < from).then_some((at, from)));
                at = to;
            }
            holes.extend((at < end).then_some((at, end)));
        }
        figures.lost = holes.iter().map(|(from, to)| to - from).sum();
        println!("{} sessions, bytes: {figures}", logs.len());
        assert_eq!(figures.doubled, 0, "{}", self.log());
        let others: Vec<_> = bucket.keys().collect();
        assert!(others.is_empty(), "sessions that do not belong: {others:?}");
        (figures, holes)
    }

    /// All bytes are in the segments, and the manifest says so.
    pub async fn nothing_is_lost(&self, logs: &[Log<'_>]) -> Figures {
        let (figures, holes) = self.compare(logs).await;
        assert!(holes.is_empty(), "{holes:?}\n{}", self.log());
        let manifest = self.manifest().await;
        assert!(manifest.over.is_some());
        for Log { session, bytes } in logs {
            let of = |taped: &&recorder::manifest::Taped| taped.session.id == *session;
            let taped = manifest.sessions.iter().find(of).unwrap();
            assert_eq!(taped.end, Some(bytes.len() as u64));
            assert_eq!(taped.lost, []);
            let told: u64 = taped.segments.iter().map(|segment| segment.range.bytes()).sum();
            assert_eq!(told, bytes.len() as u64, "the manifest tells of all segments");
        }
        figures
    }

    /// The final objects of a version against what was on air, which is these, in order.
    pub async fn heard(&self, published: &Final, on_air: &[OnAir<'_>]) -> Figures {
        let mut made = Vec::new();
        for object in &published.objects {
            // Everything else is in Ogg.
            let is_mp3 = object.codec == "mp3";
            let bytes = self.object(&object.key).await.unwrap();
            made.extend(packets(if is_mp3 { Codec::Mp3 } else { Codec::Opus }, &bytes).await);
        }
        let (mut expected, mut at, mut in_order) = (Vec::new(), 0, true);
        for piece in on_air {
            let mut all = piece.packets().await;
            let follows = |all: &[String]| made[at..].starts_with(all);
            // Half a packet is in the log of whoever was cut off, and nowhere else.
            if piece.sent.torn && !follows(&all) {
                all.pop();
            }
            in_order &= follows(&all);
            at = made.len().min(at + all.len());
            expected.extend(all);
        }
        let figures = difference(&expected, &made);
        assert!(
            in_order || !figures.is_whole(),
            "all packets are there, in another order"
        );
        figures
    }
}

/// What somebody sent while on air.
pub struct OnAir<'a> {
    pub sent: &'a Sent,
    /// Which of its bytes; absent: all.
    pub bytes: Option<Range<u64>>,
}

impl<'a> OnAir<'a> {
    pub fn all(sent: &'a Sent) -> Self {
        Self { sent, bytes: None }
    }

    /// The packets that begin there.
    async fn packets(&self) -> Vec<String> {
        let Some(bytes) = &self.bytes else {
            return packets(self.sent.codec, &self.sent.bytes).await;
        };
        let placed = placed_packets(self.sent.codec, &self.sent.bytes).await;
        let within = placed.into_iter().filter(|packet| bytes.contains(&packet.at));
        within.map(|packet| packet.hash).collect()
    }
}

fn difference(expected: &[String], made: &[String]) -> Figures {
    let mut missing: HashMap<&str, i64> = HashMap::new();
    for packet in expected {
        *missing.entry(packet).or_default() += 1;
    }
    for packet in made {
        *missing.entry(packet).or_default() -= 1;
    }
    let sum = |counts: &mut dyn Iterator<Item = i64>| u64::try_from(counts.sum::<i64>()).unwrap();
    Figures {
        sent: expected.len() as u64,
        lost: sum(&mut missing.values().copied().filter(|count| *count > 0)),
        doubled: sum(&mut missing.values().map(|count| -count).filter(|count| *count > 0)),
    }
}

/// A line of the matrix.
pub struct Row {
    pub fault: String,
    pub codec: Codec,
    pub bytes: Figures,
    pub packets: Figures,
    /// Of what kind, and how many seconds.
    pub gaps: Vec<(GapKind, f64)>,
}

impl Row {
    /// Of a show whose segments were compared before finalize removed them.
    pub async fn of(
        stage: &Stage,
        fault: impl Into<String>,
        codec: Codec,
        bytes: Figures,
        on_air: &[OnAir<'_>],
    ) -> Self {
        let published = stage.published(1).await;
        let gaps = published.gaps.iter();
        let row = Self {
            fault: fault.into(),
            codec,
            bytes,
            packets: stage.heard(&published, on_air).await,
            gaps: gaps
                .map(|gap| (gap.kind, gap.to.duration_since(gap.from).as_secs_f64()))
                .collect(),
        };
        println!("{row}");
        assert_eq!(published.doubts, [], "{}", stage.log());
        let left = stage.keys_below(SEGMENTS).await;
        assert!(left.is_empty(), "verified, and the segments are still there");
        row
    }

    /// Nothing is lost, nothing is doubled.
    pub fn is_whole(&self) {
        assert!(self.bytes.is_whole() && self.packets.is_whole(), "{self}");
    }

    /// Nor was anything not sent.
    pub fn is_whole_and_without_gaps(&self) {
        self.is_whole();
        assert_eq!(self.gaps, [], "{self}");
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} | bytes: {} | packets: {} |",
            self.fault,
            name(self.codec),
            self.bytes,
            self.packets
        )?;
        for (kind, seconds) in &self.gaps {
            write!(f, " {kind:?} {seconds:.1} s")?;
        }
        write!(f, " |")
    }
}
