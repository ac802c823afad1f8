//! How long pages of Opus play. No IO.

use ingest::framing::ogg::page::Page;
use ingest::framing::opus::samples;

/// Counts the samples of a stream, page by page. The source's granules tell less: they begin anew with each link, and the
/// last one of a link may be shorter than its packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Of a packet that goes on in the next page.
    open: Option<u64>,
}

impl Samples {
    /// Those of the packets that end in this page.
    pub fn of(&mut self, page: Page) -> u64 {
        let mut open = self.open.take().filter(|_| page.is_continued());
        let mut all = 0;
        for (index, (packet, ends)) in page.packets().enumerate() {
            let continued = index == 0 && page.is_continued();
            let samples = if continued {
                open.take().unwrap_or(0)
            } else {
                samples(packet).map_or(0, u64::from)
            };
            if ends {
                all += samples;
            } else {
                self.open = Some(samples);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest::framing::ogg::page::{CONTINUED, Place, of_packet};

    #[test]
    fn a_packet_over_two_pages_counts_where_it_ends() {
        let place = |flags| Place {
            flags,
            granule: Some(0),
            serial: 1,
            sequence: 0,
        };
        let whole = of_packet(place(0), &[&[0x78][..], &[0; 299]].concat());
        // The page without its last lacing value: the packet goes on.
        let mut first = whole[..29 + 255].to_vec();
        first[26] = 1;
        first.remove(28);
        let mut second = of_packet(place(CONTINUED), &[0x19; 45]);
        let mut samples = Samples::default();
        assert_eq!(samples.of(Page::read(&first).unwrap()), 0);
        assert_eq!(samples.of(Page::read(&second).unwrap()), 960);
        // Without its beginning nothing is known of it.
        assert_eq!(samples.of(Page::read(&second).unwrap()), 0);
        second[5] = 0;
        assert_eq!(samples.of(Page::read(&second).unwrap()), 5760);
    }
}
