//! What each area's end-to-end tests may take in `make test`.

use std::time::Duration;

/// One area of end-to-end tests, by the prefix of their names.
pub struct Area {
    /// `ground_` and so on.
    pub prefix: &'static str,
    /// The most its tests may take together.
    pub budget: Duration,
    /// How many of them run at a time: the machine has two cores.
    pub at_once: &'static str,
}

/// Every area that has tests.
pub const AREAS: [Area; 3] = [
    Area {
        prefix: "ground_",
        budget: Duration::from_mins(3),
        at_once: "2",
    },
    Area {
        prefix: "tape_",
        budget: Duration::from_mins(3),
        at_once: "2",
    },
    Area {
        prefix: "recording_",
        budget: Duration::from_mins(7),
        // They wait most of the time, for a show to pass and for its Jobs.
        at_once: "6",
    },
];
