//! Ogg pages: their fields, and pages written anew. No IO.

use super::crc;

/// The page begins inside a packet.
pub const CONTINUED: u8 = 1;
/// The page begins a stream.
pub const FIRST: u8 = 2;
/// The page ends a stream.
pub const LAST: u8 = 4;
/// What one page can hold of one packet that ends in it: 255 entries of 255 bytes, the last of which is shorter.
pub const LONGEST_BODY: usize = 255 * MOST_LACING - 1;
/// Entries of a page's lacing table.
pub(crate) const MOST_LACING: usize = 255;
/// How each page begins.
pub(crate) const CAPTURE: &[u8] = b"OggS";
/// The fixed part of a page's header; the lacing table follows.
pub(super) const FIXED: usize = 27;
const KNOWN_FLAGS: u8 = CONTINUED | FIRST | LAST;
/// The granule of a page in which no packet ends.
const NO_GRANULE: u64 = u64::MAX;

/// What the beginning of a page says about its length.
pub(super) enum Length {
    /// More bytes are needed to tell; at least so many in all.
    NotYet(usize),
    /// It is no page.
    NoPage,
    /// The whole page.
    Is(usize),
}

/// The length of the page that begins here.
pub(super) fn length(bytes: &[u8]) -> Length {
    let Some(fixed) = bytes.get(..FIXED) else {
        return Length::NotYet(FIXED);
    };
    if !fixed.starts_with(CAPTURE) || fixed[4] != 0 || fixed[5] & !KNOWN_FLAGS != 0 {
        return Length::NoPage;
    }
    let table = FIXED..FIXED + usize::from(fixed[26]);
    match bytes.get(table.clone()) {
        None => Length::NotYet(table.end),
        Some(lacing) => Length::Is(table.end + body_length(lacing)),
    }
}

fn body_length(lacing: &[u8]) -> usize {
    lacing.iter().map(|&length| usize::from(length)).sum()
}

/// A whole page.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    head: &'a [u8; FIXED],
    lacing: &'a [u8],
    body: &'a [u8],
}

impl<'a> Page<'a> {
    /// Reads bytes that are one page and nothing else. The checksum is not looked at: see [`crc::is_right`].
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<FIXED>()?;
        let (lacing, body) = rest.split_at_checked(usize::from(head[26]))?;
        let is_one = head.starts_with(CAPTURE) && body.len() == body_length(lacing);
        is_one.then_some(Self { head, lacing, body })
    }

    /// Which stream it is of.
    #[must_use]
    pub fn serial(self) -> u32 {
        u32::from_le_bytes([self.head[14], self.head[15], self.head[16], self.head[17]])
    }

    /// The sample behind the last packet that ends in it, as its encoder says; `None` if none ends.
    #[must_use]
    pub fn granule(self) -> Option<u64> {
        let field = self.head[6..].first_chunk()?;
        Some(u64::from_le_bytes(*field)).filter(|&granule| granule != NO_GRANULE)
    }

    /// [`CONTINUED`], [`FIRST`], [`LAST`].
    #[must_use]
    pub fn flags(self) -> u8 {
        self.head[5]
    }

    /// It begins a stream.
    #[must_use]
    pub fn is_first(self) -> bool {
        self.flags() & FIRST != 0
    }

    /// It ends a stream.
    #[must_use]
    pub fn is_last(self) -> bool {
        self.flags() & LAST != 0
    }

    /// It begins inside a packet.
    #[must_use]
    pub fn is_continued(self) -> bool {
        self.flags() & CONTINUED != 0
    }

    /// What is in it.
    #[must_use]
    pub fn body(self) -> &'a [u8] {
        self.body
    }

    /// How many packets end in it.
    #[must_use]
    pub fn packets_that_end(self) -> u32 {
        self.lacing.iter().map(|&length| u32::from(length < 255)).sum()
    }

    /// Its packets, or what of them is in it, and of each whether it ends here.
    pub fn packets(self) -> impl Iterator<Item = (&'a [u8], bool)> {
        let (mut lacing, mut body) = (self.lacing, self.body);
        std::iter::from_fn(move || {
            let full = lacing.iter().take_while(|&&length| length == 255).count();
            let last = lacing.get(full);
            if full == 0 && last.is_none() {
                return None;
            }
            let length = full * 255 + last.map_or(0, |&last| usize::from(last));
            lacing = lacing.get(full + 1..).unwrap_or_default();
            let (packet, rest) = body.split_at_checked(length)?;
            body = rest;
            Some((packet, last.is_some()))
        })
    }

    /// The same packets in a page that says otherwise where it belongs.
    #[must_use]
    pub fn placed(self, place: Place) -> Vec<u8> {
        write(place, self.lacing, self.body)
    }
}

/// Where a page belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// [`CONTINUED`], [`FIRST`], [`LAST`].
    pub flags: u8,
    /// The sample behind the last packet that ends in it; `None` if none ends.
    pub granule: Option<u64>,
    /// Which stream it is of.
    pub serial: u32,
    /// Its number in the stream.
    pub sequence: u32,
}

/// A page of one packet of at most [`LONGEST_BODY`] bytes; what is longer is cut off.
#[must_use]
pub fn of_packet(place: Place, packet: &[u8]) -> Vec<u8> {
    let packet = &packet[..packet.len().min(LONGEST_BODY)];
    let mut lacing = Vec::new();
    lace(&mut lacing, packet);
    write(place, &lacing, packet)
}

/// Adds the entries of one packet that ends in the page.
pub(crate) fn lace(lacing: &mut Vec<u8>, packet: &[u8]) {
    lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
    lacing.extend(u8::try_from(packet.len() % 255));
}

/// Marks a page as the last of its stream.
pub fn end(page: &mut [u8]) {
    if let Some(flags) = page.get_mut(5) {
        *flags |= LAST;
    }
    crc::seal(page);
}

/// A page of a lacing table and what it tells the length of.
pub(crate) fn write(place: Place, lacing: &[u8], body: &[u8]) -> Vec<u8> {
    let mut page = Vec::with_capacity(FIXED + lacing.len() + body.len());
    page.extend_from_slice(CAPTURE);
    page.extend_from_slice(&[0, place.flags]);
    page.extend_from_slice(&place.granule.unwrap_or(NO_GRANULE).to_le_bytes());
    page.extend_from_slice(&place.serial.to_le_bytes());
    page.extend_from_slice(&place.sequence.to_le_bytes());
    page.extend_from_slice(&[0; 4]);
    page.extend(u8::try_from(lacing.len()));
    page.extend_from_slice(lacing);
    page.extend_from_slice(body);
    crc::seal(&mut page);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let place = Place {
            flags: FIRST,
            granule: Some(960),
            serial: 7,
            sequence: 3,
        };
        for length in [0, 1, 254, 255, 256, 510, LONGEST_BODY, LONGEST_BODY + 1] {
            let packet = vec![0xa5; length];
            let mut bytes = of_packet(place, &packet);
            assert!(crc::is_right(&bytes), "{length}");
            let page = Page::read(&bytes).unwrap();
            assert_eq!(
                (page.serial(), page.granule(), page.flags()),
                (7, Some(960), FIRST)
            );
            assert_eq!(
                (page.packets_that_end(), page.body().len()),
                (1, length.min(LONGEST_BODY))
            );
            let packets: Vec<_> = page.packets().collect();
            assert_eq!(packets, [(&packet[..length.min(LONGEST_BODY)], true)], "{length}");
            end(&mut bytes);
            let page = Page::read(&bytes).unwrap();
            assert!(page.is_first() && page.is_last() && !page.is_continued() && crc::is_right(&bytes));
            assert!(Page::read(&bytes[..bytes.len() - 1]).is_none());
        }
    }

    #[test]
    fn packets_over_page_ends_are_told_apart() {
        let place = Place {
            flags: CONTINUED,
            granule: None,
            serial: 7,
            sequence: 0,
        };
        let body: Vec<u8> = (0..255 + 3 + 255)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let bytes = write(place, &[255, 3, 0, 255], &body);
        let page = Page::read(&bytes).unwrap();
        assert_eq!((page.granule(), page.packets_that_end()), (None, 2));
        let packets: Vec<_> = page.packets().collect();
        assert_eq!(
            packets,
            [(&body[..258], true), (&[], true), (&body[258..], false)]
        );
        let moved = page.placed(Place {
            serial: 8,
            granule: Some(1),
            ..place
        });
        let moved = Page::read(&moved).unwrap();
        assert_eq!(
            (moved.serial(), moved.granule(), moved.body()),
            (8, Some(1), &body[..])
        );
        assert!(moved.packets().eq(page.packets()));
    }
}
