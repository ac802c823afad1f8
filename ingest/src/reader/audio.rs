//! A joined tape as servers take it: `WebM` as Ogg, and where it matters how long each piece plays.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::cushion::Piece;
use super::{Error, Tape};
use crate::api::Container;
use crate::framing::{Framer, Link, Unit};
use crate::repage::Repager;

/// An open stream.
pub struct Audio {
    tape: Tape,
    container: Container,
    framer: Option<Framer>,
    pages: Option<Pages>,
}

#[derive(Default)]
struct Pages {
    repager: Repager,
    link: Option<Arc<Link>>,
}

impl Audio {
    /// `timed`: pieces are to say how long they play.
    #[must_use]
    pub fn of(tape: Tape, container: Container, timed: bool) -> Self {
        let pages = (container == Container::Webm).then(Pages::default);
        Self {
            tape,
            container,
            framer: (timed || pages.is_some()).then(|| Framer::of(container)),
            pages,
        }
    }

    /// What the server is told it is.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self.container {
            Container::Webm => Container::Ogg.content_type(),
            other => other.content_type(),
        }
    }

    /// The next piece, `None` after the last. Can be dropped and called again.
    pub async fn next(&mut self) -> Result<Option<Piece>, Error> {
        while let Some(bytes) = self.tape.next().await? {
            let piece = self.piece(bytes);
            if !piece.bytes.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    fn piece(&mut self, bytes: Bytes) -> Piece {
        let units = self
            .framer
            .as_mut()
            .map(|framer| framer.push(&bytes))
            .unwrap_or_default();
        let plays: Duration = units.iter().map(|unit| unit.duration).sum();
        Piece {
            plays: (!units.is_empty()).then_some(plays),
            bytes: match &mut self.pages {
                Some(pages) => pages.of(&units),
                None => bytes,
            },
        }
    }
}

impl Pages {
    fn of(&mut self, units: &[Unit]) -> Bytes {
        let mut bytes = BytesMut::new();
        for page in self.repager.push(units) {
            if !self
                .link
                .as_ref()
                .is_some_and(|link| Arc::ptr_eq(link, &page.link))
            {
                page.link
                    .headers
                    .iter()
                    .for_each(|header| bytes.extend_from_slice(header));
                self.link = Some(Arc::clone(&page.link));
            }
            bytes.extend_from_slice(&page.bytes);
        }
        bytes.freeze()
    }
}
