//! Which sessions are listed. No IO.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::tape::Session;

/// Who was away that long has missed nothing that he could still put on the air.
const LATELY: SignedDuration = SignedDuration::from_mins(15);
/// An encoder that comes and goes all night must not make the list long for all who read it at each change.
const MOST_ENDED: usize = 20;

/// Every connected session, and of each input the newest that ended and others that ended lately. Takes and gives the
/// oldest first.
pub(super) fn recent(all: Vec<Arc<Session>>, now: Timestamp) -> Vec<Arc<Session>> {
    let mut ended: HashMap<(String, String), usize> = HashMap::new();
    let mut recent: Vec<_> = all
        .into_iter()
        .rev()
        .filter(|session| {
            let Some(at) = session.ended_at() else {
                return true;
            };
            let about = session.about();
            let listed = ended
                .entry((about.mount.clone(), about.input.clone()))
                .or_default();
            let is_listed = *listed == 0 || *listed < MOST_ENDED && now.duration_since(at) < LATELY;
            *listed += usize::from(is_listed);
            is_listed
        })
        .collect();
    recent.reverse();
    recent
}
