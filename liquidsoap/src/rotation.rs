//! Which track of a playlist comes next. No IO.

use std::collections::HashSet;

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::config::Order;

/// Where a playlist is in its round.
#[derive(Debug, Default)]
pub struct Rotation {
    played: HashSet<String>,
    last: Option<String>,
}

impl Rotation {
    /// The next of `tracks`, which are sorted and may differ from the last time; `None` if there are none.
    ///
    /// Shuffled, each is played once before any is played again, and the last of a round does not begin the next.
    pub fn next(&mut self, order: Order, tracks: &[&str], rng: &mut impl Rng) -> Option<String> {
        let next = match order {
            Order::InOrder => self.after_last(tracks),
            Order::Shuffle => self.drawn(tracks, rng),
        }?;
        self.last = Some(next.clone());
        Some(next)
    }

    fn after_last(&self, tracks: &[&str]) -> Option<String> {
        let following = self
            .last
            .as_deref()
            .and_then(|last| tracks.iter().find(|&&track| track > last));
        following
            .or_else(|| tracks.first())
            .map(|&track| track.to_owned())
    }

    fn drawn(&mut self, tracks: &[&str], rng: &mut impl Rng) -> Option<String> {
        self.played
            .retain(|played| tracks.binary_search(&played.as_str()).is_ok());
        if self.played.len() >= tracks.len() {
            self.played.clear();
            if tracks.len() > 1 {
                self.played
                    .extend(self.last.take().filter(|last| tracks.contains(&last.as_str())));
            }
        }
        let left: Vec<&str> = tracks
            .iter()
            .copied()
            .filter(|&track| !self.played.contains(track))
            .collect();
        let drawn = (*left.choose(rng)?).to_owned();
        self.played.insert(drawn.clone());
        Some(drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn draw(rotation: &mut Rotation, order: Order, tracks: &[&str], count: usize, seed: u64) -> Vec<String> {
        let mut rng = StdRng::seed_from_u64(seed);
        (0..count)
            .map(|_| rotation.next(order, tracks, &mut rng).unwrap())
            .collect()
    }

    #[test]
    fn in_order_goes_round_and_follows_changes() {
        let mut rotation = Rotation::default();
        let order = Order::InOrder;
        assert_eq!(
            draw(&mut rotation, order, &["a", "b", "c"], 4, 0),
            ["a", "b", "c", "a"]
        );
        // The track just played vanished: the one after it is next, not the first.
        assert_eq!(draw(&mut rotation, order, &["b", "c"], 1, 0), ["b"]);
        assert_eq!(draw(&mut rotation, order, &["a", "b", "bb"], 2, 0), ["bb", "a"]);
    }

    #[test]
    fn a_large_playlist_is_drawn_from_in_no_time() {
        let names: Vec<String> = (0..50_000).map(|n| format!("{n:05}")).collect();
        let tracks: Vec<&str> = names.iter().map(String::as_str).collect();
        let played = names.iter().skip(100).cloned().collect();
        let mut rotation = Rotation { played, last: None };
        let began = std::time::Instant::now();
        draw(&mut rotation, Order::Shuffle, &tracks, 10, 0);
        assert!(
            began.elapsed() < std::time::Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn nothing_comes_from_an_empty_list() {
        let mut rng = StdRng::seed_from_u64(1);
        for order in [Order::InOrder, Order::Shuffle] {
            assert_eq!(Rotation::default().next(order, &[], &mut rng), None);
        }
    }

    #[test]
    fn shuffle_plays_each_once_a_round_and_never_twice_in_a_row() {
        let tracks = ["a", "b", "c", "d"];
        let mut first_of_round = HashSet::new();
        for seed in 0..200 {
            let drawn = draw(&mut Rotation::default(), Order::Shuffle, &tracks, 40, seed);
            assert!(
                drawn.windows(2).all(|pair| pair[0] != pair[1]),
                "repeated at a seam: {drawn:?}"
            );
            let opening: HashSet<_> = drawn[..4].iter().collect();
            assert_eq!(opening.len(), 4, "{drawn:?}");
            // A track is never away for longer than the seam of two rounds allows.
            for window in drawn.windows(8) {
                assert_eq!(window.iter().collect::<HashSet<_>>().len(), 4, "{drawn:?}");
            }
            first_of_round.insert(drawn[0].clone());
        }
        assert_eq!(first_of_round.len(), 4, "every track begins some time");
    }

    #[test]
    fn one_track_repeats() {
        assert_eq!(
            draw(&mut Rotation::default(), Order::Shuffle, &["a"], 3, 0),
            ["a", "a", "a"]
        );
    }

    #[test]
    fn a_new_track_is_heard_within_the_round() {
        let mut rotation = Rotation::default();
        draw(&mut rotation, Order::Shuffle, &["a", "b", "c"], 2, 7);
        let rest = draw(&mut rotation, Order::Shuffle, &["a", "b", "c", "new"], 2, 7);
        assert!(rest.contains(&"new".to_owned()), "{rest:?}");
    }
}
