//! How long packets of Opus play. No IO.

use super::page::{CONTINUED, Page};

/// Granules of Opus in a second.
pub const RATE: u64 = 48_000;
/// A packet cannot be longer: 120 ms.
const LONGEST: u64 = 5760;

/// How many samples a packet plays; 0 if it is none.
fn samples(packet: &[u8]) -> u64 {
    let Some(&first) = packet.first() else { return 0 };
    let config = first >> 3;
    let frame = match config {
        0..12 => [480, 960, 1920, 2880][usize::from(config % 4)],
        12..16 => [480, 960][usize::from(config % 2)],
        _ => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| u64::from(count & 0x3f)),
    };
    Some(frame * frames)
        .filter(|samples| *samples <= LONGEST)
        .unwrap_or(0)
}

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
        let mut open = self.open.take().filter(|_| page.flags() & CONTINUED != 0);
        let mut all = 0;
        for (index, (packet, ends)) in page.packets().enumerate() {
            let continued = index == 0 && page.flags() & CONTINUED != 0;
            let samples = if continued {
                open.take().unwrap_or(0)
            } else {
                samples(packet)
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
    use super::super::page::{Place, of_packet};
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_length() {
        let table: [(&[u8], u64); 9] = [
            (&[0x78], 960),
            (&[0x08, 1, 2], 960),
            (&[0x18], 2880),
            (&[0x19], 5760),
            (&[0xe3, 0x04], 480),
            (&[0x83, 0x00], 0),
            (&[0x1b, 0x03], 0),
            (&[0x03], 0),
            (&[], 0),
        ];
        for (packet, expected) in table {
            assert_eq!(samples(packet), expected, "{packet:x?}");
        }
    }

    #[test]
    fn a_packet_over_two_pages_counts_where_it_ends() {
        let place = |flags| Place {
            flags,
            granule: 0,
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
