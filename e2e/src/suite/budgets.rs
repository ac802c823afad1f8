//! What each area's end-to-end tests may take in `make test`.

use std::time::Duration;

/// One area of end-to-end tests, by the prefixes of their names.
pub struct Area {
    /// `ground_` and so on.
    pub prefixes: &'static [&'static str],
    /// The most its tests may take together.
    pub budget: Duration,
    /// How many of them run at a time: the machine has two cores.
    pub at_once: &'static str,
}

/// Every area that has tests.
pub const AREAS: [Area; 3] = [
    Area {
        prefixes: &["ground_"],
        budget: Duration::from_mins(3),
        at_once: "2",
    },
    Area {
        prefixes: &["tape_"],
        budget: Duration::from_mins(3),
        at_once: "2",
    },
    Area {
        // In one go, so that the ones wait while the others do.
        prefixes: &["recording_", "shows_"],
        // Seven are wanted. Three of them need the cluster alone (a node lost, twice the operator away), one after the other.
        budget: Duration::from_mins(15),
        // They wait most of the time, for a show to pass and for its Jobs.
        at_once: "10",
    },
];

impl Area {
    /// What cargo is asked for, of all tests whose names begin with `name`; nothing if none of them is of this area.
    #[must_use]
    pub fn filters<'a>(&self, name: &'a str) -> Vec<&'a str>
    where
        Self: 'a,
    {
        let prefixes = self.prefixes.iter();
        let of_it = prefixes.filter(|prefix| name.starts_with(**prefix) || prefix.starts_with(name));
        of_it
            .map(|prefix| if name.len() > prefix.len() { name } else { prefix })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_areas_and_tests() {
        let filters = |name: &str| -> Vec<String> {
            let all = AREAS.iter().map(|area| area.filters(name).join(" "));
            all.filter(|filters| !filters.is_empty()).collect()
        };
        assert_eq!(filters(""), ["ground_", "tape_", "recording_ shows_"]);
        assert_eq!(filters("shows_"), ["shows_"]);
        assert_eq!(filters("recording"), ["recording_"]);
        assert_eq!(filters("shows_missed"), ["shows_missed"]);
        assert!(filters("ground_nothing") == ["ground_nothing"] && filters("other").is_empty());
    }
}
