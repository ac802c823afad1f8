//! Where the units of a tape stand, and which lines its index gets for them. No IO.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Container, Line};
use crate::framing::{Framer, Link, Unit};

const CUT_MEDIA: Duration = Duration::from_secs(10);
const CUT_BYTES: u64 = 4 << 20;

/// A framer that may have started in the middle of a tape, with the headers of the link there.
#[derive(Debug)]
pub(super) struct Walk {
    framer: Option<Framer>,
    headers: u64,
    start: u64,
}

/// A unit, and where on the tape it and its link's headers begin.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub at: u64,
    /// `None` if the walk was given the headers.
    pub link_at: Option<u64>,
    pub unit: Unit,
}

impl Placed {
    pub fn end(&self) -> u64 {
        self.at + self.unit.bytes.len() as u64
    }
}

impl Walk {
    /// Goes on at `start` of a tape whose present link has these headers.
    pub fn from(container: Container, headers: &[u8], start: u64) -> Self {
        let mut walk = Self {
            framer: Some(Framer::of(container)),
            headers: headers.len() as u64,
            start,
        };
        walk.units(headers);
        walk
    }

    /// Takes the next bytes of the tape.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Placed> {
        self.units(bytes)
            .into_iter()
            .filter_map(|unit| {
                Some(Placed {
                    at: self.place(unit.at)?,
                    link_at: self.place(unit.link.at),
                    unit,
                })
            })
            .collect()
    }

    /// A framer reads what strangers send. Should one break it all the same, it must not take the tape with it, nor
    /// every start after that: the stream is taped on, and not understood.
    fn units(&mut self, bytes: &[u8]) -> Vec<Unit> {
        let Some(framer) = &mut self.framer else {
            return Vec::new();
        };
        let units = catch_unwind(AssertUnwindSafe(|| framer.push(bytes)));
        units.unwrap_or_else(|_| {
            tracing::error!("a framer broke on what a source sent; its session is taped, but cannot be joined from here on");
            self.framer = None;
            Vec::new()
        })
    }

    fn place(&self, at: u64) -> Option<u64> {
        Some(at.checked_sub(self.headers)? + self.start)
    }
}

/// The state that decides about the next line.
#[derive(Debug, Default)]
pub(super) struct Marks {
    link: Option<Arc<Link>>,
    /// The first unit's link is already in the index.
    resumed: bool,
    /// Offset of the present link's first media.
    pub media_from: u64,
    /// Media so far.
    pub media: Duration,
    cut_at: u64,
    cut_media: Duration,
}

impl Marks {
    /// Goes on at a cut that is in the index, as is its link.
    pub fn from_cut(at: u64, media_ms: u64, media_from: u64) -> Self {
        let mut marks = Self {
            resumed: true,
            media_from,
            ..Self::default()
        };
        marks.at_cut(at, media_ms);
        marks
    }

    /// Corrects the media, which a framer that began in the middle cannot count right, at the next known cut.
    pub fn at_cut(&mut self, at: u64, media_ms: u64) {
        self.media = Duration::from_millis(media_ms);
        self.cut_at = at;
        self.cut_media = self.media;
    }

    /// Lines for one more unit. A link's own line comes before its cut: where there is a cut, its link is known.
    pub fn take(&mut self, placed: &Placed, now: Timestamp, lines: &mut Vec<Line>) {
        let unit = &placed.unit;
        let same = self
            .link
            .as_ref()
            .is_some_and(|link| Arc::ptr_eq(link, &unit.link));
        if !same {
            self.link = Some(Arc::clone(&unit.link));
            if !std::mem::take(&mut self.resumed) {
                self.media_from = placed.at;
                self.new_link(placed, now, lines);
            }
        } else if unit.joins && self.cut_is_due(placed) {
            self.cut(placed.at, lines);
        }
        self.media += unit.duration;
    }

    /// `WebM` is cut between clusters if it can be: a reader that starts at the cut then needs only the headers.
    fn cut_is_due(&self, placed: &Placed) -> bool {
        let long = self.media.saturating_sub(self.cut_media) >= CUT_MEDIA && placed.unit.lead.is_empty();
        long || placed.at - self.cut_at.min(placed.at) >= CUT_BYTES
    }

    fn new_link(&mut self, placed: &Placed, now: Timestamp, lines: &mut Vec<Line>) {
        let at = placed.link_at.unwrap_or(placed.at);
        let link = &placed.unit.link;
        lines.push(Line::Link {
            at,
            media: placed.at,
            codec: link.codec.to_string(),
        });
        self.cut(at, lines);
        if let Some(title) = &link.title {
            lines.push(Line::Title {
                at,
                t: now,
                title: title.clone(),
            });
        }
    }

    fn cut(&mut self, at: u64, lines: &mut Vec<Line>) {
        self.cut_at = at;
        self.cut_media = self.media;
        lines.push(Line::Cut {
            at,
            media_ms: u64::try_from(self.media.as_millis()).unwrap_or(u64::MAX),
        });
    }
}
