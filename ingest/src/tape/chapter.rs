//! Marks that people set while a show is on. IO: through the session's disk.

use std::sync::Arc;

use super::disk::add_line;
use super::locked;
use super::session::Session;
use super::shelf::Shelf;
use crate::api::Line;
use crate::config::Routing;

impl Shelf {
    /// Sets a mark in every session of a Mount that is on the air, and says in which. Blocks for a write, but for no disk that
    /// hangs.
    #[must_use]
    pub fn mark(&self, mount: &str, text: &str) -> Vec<String> {
        let mut sessions = self.sessions();
        sessions.retain(|session| session.about().mount == mount && session.mark(text));
        sessions.iter().map(|session| session.id().to_owned()).collect()
    }
}

impl Session {
    fn mark(self: &Arc<Self>, text: &str) -> bool {
        {
            // Once it has ended no line may come behind its End.
            let mut view = locked(&self.view);
            if view.ended.is_some() || view.routing != Routing::Live {
                return false;
            }
            let (at, t) = (view.end(), self.clock.now());
            let text = text.to_owned();
            if !add_line(&mut view, &Line::Mark { at, t, text }) {
                return false;
            }
        }
        self.hand_over();
        self.wake();
        true
    }
}
