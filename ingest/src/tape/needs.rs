//! Which Recordings need a session, and how much of it they have. No IO.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::meta::Meta;
use crate::api::Aired;
use crate::config::Named;

/// The Recordings that need tapes, at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs<'a> {
    pub recordings: &'a [Named],
    pub now: Timestamp,
}

impl Needs<'_> {
    /// Everything below is stored by all who need it; `None` if nobody needs it and nobody has any of it.
    ///
    /// Who is not named any longer has what it wanted, and its word counts only where nobody is named: it may have
    /// wanted less than there is.
    pub fn acked_to(self, about: &Meta, aired: Option<&Aired>, acks: &BTreeMap<String, u64>) -> Option<u64> {
        let named = self
            .recordings
            .iter()
            .filter(|named| self.covers(named, about, aired));
        let least = named
            .map(|named| acks.get(&named.name).copied().unwrap_or(0))
            .min();
        least.or_else(|| acks.values().max().copied())
    }

    fn covers(self, named: &Named, about: &Meta, aired: Option<&Aired>) -> bool {
        let Some(Aired { first, last, .. }) = aired else {
            return false;
        };
        named.mount == about.mount
            && named.input.as_ref().is_none_or(|input| *input == about.input)
            && named.until.is_none_or(|until| *first < until)
            && last.unwrap_or(self.now) >= named.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Container;
    use crate::config::Routing;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    fn named(name: &str, mount: &str, from: i64, until: Option<i64>) -> Named {
        Named {
            name: name.to_owned(),
            mount: mount.to_owned(),
            input: None,
            from: at(from),
            until: until.map(at),
        }
    }

    fn of_input(input: &str) -> Named {
        Named {
            input: Some(input.to_owned()),
            ..named("r", "main", 0, None)
        }
    }

    /// Of a session of input `studio` of Mount `main` on the air from minute 10 to 20.
    fn acked(recordings: &[Named], acks: &[(&str, u64)]) -> Option<u64> {
        let aired = Aired {
            first: at(10),
            last: Some(at(20)),
            spells: Vec::new(),
        };
        acked_of(recordings, acks, Some(&aired), 100)
    }

    fn acked_of(recordings: &[Named], acks: &[(&str, u64)], aired: Option<&Aired>, now: i64) -> Option<u64> {
        let acks = acks.iter().map(|&(name, to)| (name.to_owned(), to)).collect();
        let needs = Needs {
            recordings,
            now: at(now),
        };
        let about = Meta {
            mount: "main".to_owned(),
            input: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            priority: 0,
            routing: Routing::Live,
            user: "source".to_owned(),
            container: Container::Ogg,
            started: at(5),
            boot_id: String::new(),
        };
        needs.acked_to(&about, aired, &acks)
    }

    #[test]
    fn nobody_named() {
        assert_eq!(acked(&[], &[]), None);
        assert_eq!(acked(&[], &[("one", 5), ("two", 9)]), Some(9));
    }

    #[test]
    fn all_who_are_named_and_concerned_must_have_it() {
        let one = named("one", "main", 0, None);
        let two = named("two", "main", 15, Some(30));
        assert_eq!(acked(std::slice::from_ref(&one), &[]), Some(0));
        assert_eq!(acked(std::slice::from_ref(&one), &[("old", 9)]), Some(0));
        assert_eq!(
            acked(std::slice::from_ref(&one), &[("old", 9), ("one", 3)]),
            Some(3)
        );
        assert_eq!(acked(&[one.clone(), two.clone()], &[("one", 9)]), Some(0));
        assert_eq!(acked(&[one, two], &[("one", 9), ("two", 4), ("old", 1)]), Some(4));
    }

    #[test]
    fn who_is_concerned() {
        let table = [
            (named("r", "main", 20, None), true),
            (named("r", "main", 21, None), false),
            (named("r", "main", 0, Some(11)), true),
            // What begins there belongs to the next.
            (named("r", "main", 0, Some(10)), false),
            (named("r", "other", 0, None), false),
            (of_input("studio"), true),
            (of_input("van"), false),
        ];
        for (recording, is_concerned) in table {
            let expected = if is_concerned { Some(0) } else { Some(7) };
            assert_eq!(
                acked(std::slice::from_ref(&recording), &[("gone", 7)]),
                expected,
                "{recording:?}"
            );
        }
    }

    #[test]
    fn on_the_air_now_and_never() {
        let recordings = [named("r", "main", 30, None)];
        let on_air = Aired {
            first: at(10),
            last: None,
            spells: Vec::new(),
        };
        assert_eq!(
            acked_of(&recordings, &[], Some(&on_air), 29),
            None,
            "not before it begins"
        );
        assert_eq!(acked_of(&recordings, &[], Some(&on_air), 30), Some(0));
        assert_eq!(
            acked_of(&recordings, &[], None, 30),
            None,
            "a rehearsal is nobody's"
        );
    }
}
