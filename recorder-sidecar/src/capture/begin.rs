//! Where in a session a Recording begins. No IO.

use ingest::api::{Container, Line, Session};
use jiff::{SignedDuration, Timestamp};

use crate::config::Recording;
use crate::manifest::Range;
use crate::spool::About;

/// Cuts of `WebM` may lie inside a cluster, where nobody can begin to read. Blocks count milliseconds from their cluster's
/// beginning in 16 bits, so within this time another has begun.
const CLUSTER: SignedDuration = SignedDuration::from_secs(40);

/// Takes the lines of a session's index in their order. Of a day's lines it keeps but the few that matter.
#[derive(Debug)]
pub(super) struct Begin {
    from: Timestamp,
    link: Option<Range>,
    cut: Option<Place>,
    /// The last cut that came before `from`.
    start: Option<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    at: u64,
    headers: Option<Range>,
}

impl Begin {
    pub fn of(recording: &Recording, container: Container) -> Self {
        let from = recording.window.from;
        let ahead = match container {
            Container::Webm => CLUSTER,
            Container::Ogg | Container::Mp3 | Container::Adts => SignedDuration::ZERO,
        };
        Self {
            from: from.saturating_sub(ahead).unwrap_or(from),
            link: None,
            cut: None,
            start: None,
        }
    }

    pub fn take(&mut self, line: &Line) {
        match *line {
            Line::Link { at, media, .. } => {
                self.link = Some(Range { from: at, to: media });
                // The cut of a link stands before its headers, whichever line came first: they come by themselves.
                for place in [&mut self.cut, &mut self.start].into_iter().flatten() {
                    if place.at == at {
                        place.headers = None;
                    }
                }
            }
            Line::Cut { at, .. } if self.cut.is_none_or(|cut| cut.at < at) => {
                self.cut = Some(Place {
                    at,
                    headers: self.link.filter(|link| link.to <= at),
                });
            }
            Line::Clock { at, t } if t <= self.from && self.cut.is_some_and(|cut| cut.at <= at) => {
                self.start = self.cut;
            }
            _ => {}
        }
    }

    /// What of the session is wanted.
    pub fn about(self, session: &Session) -> About {
        let start = self.start.filter(|_| session.started < self.from);
        About {
            session: session.clone(),
            start: start.map_or(0, |start| start.at),
            headers: start.and_then(|start| start.headers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest::config::Routing;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(10_000 + second).unwrap()
    }

    fn recording(from: i64) -> Recording {
        let text = serde_json::json!({
            "name": "r", "namespace": "n", "station": "s", "mount": "main", "title": "", "maxLengthSeconds": 600,
            "window": { "from": at(from) }, "tape": { "addresses": [], "token": "" },
            "store": { "endpoint": "http://s", "bucket": "b" },
        });
        Recording::parse(&serde_json::to_vec(&text).unwrap()).unwrap()
    }

    fn session() -> Session {
        Session {
            id: "s1".to_owned(),
            mount: "main".to_owned(),
            input: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            priority: 0,
            routing: Routing::Live,
            user: "source".to_owned(),
            container: Container::Ogg,
            codec: None,
            title: None,
            started: at(0),
            bytes: 10,
            kept_from: 0,
            ended: None,
            aired: None,
            acked_by: Vec::new(),
        }
    }

    /// A link at 0 and one at 3000, a cut each 1000 bytes, a second each 500.
    fn lines() -> Vec<Line> {
        let link = |at, media| Line::Link {
            at,
            media,
            codec: "opus".to_owned(),
        };
        let mut lines = Vec::new();
        for second in 0..12_u64 {
            let offset = second * 500;
            if offset == 0 || offset == 3_000 {
                lines.push(link(offset, offset + 100));
            }
            if offset.is_multiple_of(1_000) {
                lines.push(Line::Cut {
                    at: offset,
                    media_ms: second * 1_000,
                });
            }
            lines.push(Line::Clock {
                at: offset + 499,
                t: at(i64::try_from(second).unwrap() + 1),
            });
        }
        lines
    }

    fn begin(from: i64) -> (u64, Option<(u64, u64)>) {
        begin_of(from, Container::Ogg)
    }

    fn begin_of(from: i64, container: Container) -> (u64, Option<(u64, u64)>) {
        let mut begin = Begin::of(&recording(from), container);
        for line in lines() {
            begin.take(&line);
        }
        let about = begin.about(&session());
        (
            about.start,
            about.headers.map(|headers| (headers.from, headers.to)),
        )
    }

    #[test]
    fn it_begins_at_the_last_cut_before_the_window() {
        let table = [
            (-5, (0, None)),
            (0, (0, None)),
            (1, (0, None)),
            (4, (1_000, Some((0, 100)))),
            (5, (2_000, Some((0, 100)))),
            // At a link's own cut its headers come by themselves.
            (7, (3_000, None)),
            (9, (4_000, Some((3_000, 3_100)))),
            (99, (5_000, Some((3_000, 3_100)))),
        ];
        for (from, expected) in table {
            assert_eq!(begin(from), expected, "from {from}");
        }
        assert_eq!(
            begin_of(9 + 40, Container::Webm),
            begin(9),
            "a whole cluster before"
        );
    }
}
