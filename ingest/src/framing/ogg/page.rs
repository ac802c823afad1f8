//! The fields of an Ogg page. No IO.

/// The fixed part of a page's header; the lacing table follows.
pub(crate) const FIXED: usize = 27;
/// How each page begins.
pub(crate) const CAPTURE: &[u8] = b"OggS";
/// The page begins inside a packet.
const CONTINUED: u8 = 1;
/// The page begins a stream.
pub(crate) const FIRST: u8 = 2;
/// The page ends a stream.
const LAST: u8 = 4;
const KNOWN_FLAGS: u8 = 7;

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
        Some(lacing) => Length::Is(table.end + lacing.iter().map(|&n| usize::from(n)).sum::<usize>()),
    }
}

/// A whole page.
#[derive(Clone, Copy)]
pub(super) struct Page<'a>(pub(super) &'a [u8]);

impl<'a> Page<'a> {
    pub(super) fn serial(self) -> u32 {
        self.0
            .get(14..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |field| u32::from_le_bytes(*field))
    }

    /// The sample after the last one of the packets that end here; `None` if none ends.
    pub(super) fn granule(self) -> Option<u64> {
        let field = self.0.get(6..)?.first_chunk()?;
        Some(u64::from_le_bytes(*field)).filter(|&granule| granule != u64::MAX)
    }

    pub(super) fn is_first(self) -> bool {
        self.0[5] & FIRST != 0
    }

    pub(super) fn is_last(self) -> bool {
        self.0[5] & LAST != 0
    }

    pub(super) fn is_continued(self) -> bool {
        self.0[5] & CONTINUED != 0
    }

    pub(super) fn body(self) -> &'a [u8] {
        &self.0[FIXED + self.lacing().len()..]
    }

    pub(super) fn packets_that_end(self) -> u32 {
        self.lacing().iter().map(|&length| u32::from(length < 255)).sum()
    }

    /// Its pieces of packets, and of each piece whether the packet ends with it.
    pub(super) fn pieces(self) -> impl Iterator<Item = (&'a [u8], bool)> {
        let mut rest = self.body();
        self.lacing().iter().map(move |&length| {
            let (piece, later) = rest.split_at(usize::from(length).min(rest.len()));
            rest = later;
            (piece, length < 255)
        })
    }

    fn lacing(self) -> &'a [u8] {
        &self.0[FIXED..FIXED + usize::from(self.0[26])]
    }
}
