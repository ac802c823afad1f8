//! The one that writes a session. IO: through the session's disk.

use std::sync::Arc;

use super::join::Boundary;
use super::marks::{Marks, Placed, Walk};
use super::session::Session;
use super::shelf::Shelf;
use super::{locked, meta::Meta};
use crate::api::{Ended, Line};
use crate::config::Routing;
use crate::framing::clean_title;

/// Writes a session. Nothing here fails towards the source.
#[derive(Debug)]
pub struct Writer {
    shelf: Arc<Shelf>,
    session: Arc<Session>,
    walk: Walk,
    marks: Marks,
    ended: bool,
}

impl Writer {
    pub(super) fn new(shelf: Arc<Shelf>, session: Arc<Session>) -> Self {
        let Meta { container, .. } = *session.about();
        Self {
            shelf,
            session,
            walk: Walk::from(container, &[], 0),
            marks: Marks::default(),
            ended: false,
        }
    }

    /// The session it writes.
    #[must_use]
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Has bytes put on the tape, looks at them meanwhile, then wakes the readers. Blocks for a write, but for no disk
    /// that hangs.
    pub fn append(&mut self, bytes: &[u8]) {
        self.session.take(bytes);
        let units = self.walk.push(bytes);
        let mut lines = Vec::new();
        let now = self.session.clock.now();
        for placed in &units {
            self.marks.take(placed, now, &mut lines);
        }
        for line in &lines {
            self.session.line(line);
        }
        self.session.hand_over();
        if self.show(&units, &lines) {
            self.shelf.sessions_changed(&self.session.about().mount);
        }
        self.session.wake();
    }

    /// True if what the list of sessions says has changed.
    fn show(&self, units: &[Placed], lines: &[Line]) -> bool {
        let mut view = locked(&self.session.view);
        view.media = self.marks.media;
        if let Some(placed) = units.iter().rfind(|placed| placed.unit.joins) {
            view.newest = Some(Boundary::of(placed, self.marks.media_from));
        }
        let mut changed = false;
        for line in lines {
            match line {
                Line::Link { codec, .. } if view.codec.as_ref() != Some(codec) => {
                    view.codec = Some(codec.clone());
                    changed = true;
                }
                Line::Title { title, .. } if view.title.as_ref() != Some(title) => {
                    view.title = Some(title.clone());
                    changed = true;
                }
                _ => {}
            }
        }
        changed
    }

    /// The source told a title. An empty one says that there is none any longer.
    pub fn title(&mut self, told: &str) {
        let title = clean_title(told);
        let at = {
            let mut view = locked(&self.session.view);
            if view.title == title {
                return;
            }
            view.title.clone_from(&title);
            view.end()
        };
        let (t, title) = (self.session.clock.now(), title.unwrap_or_default());
        self.session.line(&Line::Title { at, t, title });
        self.session.hand_over();
        self.session.wake();
        self.shelf.sessions_changed(&self.session.about().mount);
    }

    /// From now on it is heard there.
    pub fn route(&mut self, routing: Routing) {
        let t = self.session.clock.now();
        let at = {
            let mut view = locked(&self.session.view);
            if view.routing == routing {
                return;
            }
            view.route(routing, t);
            view.end()
        };
        self.session.line(&Line::Routing { at, t, routing });
        self.session.hand_over();
        self.session.wake();
        self.shelf.sessions_changed(&self.session.about().mount);
    }

    /// The source is gone. The End line follows as soon as everything before it is on the disk for good.
    pub fn end(mut self, why: &str) {
        self.finish(why);
    }

    fn finish(&mut self, why: &str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        locked(&self.session.view).end_with(Ended {
            at: self.session.clock.now(),
            why: why.to_owned(),
        });
        self.session.wake();
        self.shelf.sessions_changed(&self.session.about().mount);
        self.shelf.hurry();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.finish("ingest stopped");
    }
}
