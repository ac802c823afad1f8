//! Ogg pages: read as the framer gave them, written anew. No IO.

/// The page begins inside a packet.
pub const CONTINUED: u8 = 1;
/// The page begins a stream.
pub const FIRST: u8 = 2;
/// The page ends a stream.
pub const LAST: u8 = 4;
/// The granule of a page in which no packet ends.
pub const NO_GRANULE: u64 = u64::MAX;
/// What one page can hold: 255 entries of 255 bytes, the last of which ends the packet.
pub const LONGEST_BODY: usize = 255 * 255 - 1;
const FIXED: usize = 27;

/// A whole page.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    head: &'a [u8; FIXED],
    lacing: &'a [u8],
    body: &'a [u8],
}

impl<'a> Page<'a> {
    /// Reads what the framer found to be one.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<FIXED>()?;
        let (lacing, body) = rest.split_at_checked(usize::from(head[26]))?;
        let length: usize = lacing.iter().map(|&length| usize::from(length)).sum();
        (head.starts_with(b"OggS") && body.len() == length).then_some(Self { head, lacing, body })
    }

    /// Which stream it is of.
    #[must_use]
    pub fn serial(self) -> u32 {
        u32::from_le_bytes([self.head[14], self.head[15], self.head[16], self.head[17]])
    }

    /// As the source has it.
    #[must_use]
    pub fn granule(self) -> u64 {
        self.head[6..14]
            .first_chunk()
            .map_or(NO_GRANULE, |granule| u64::from_le_bytes(*granule))
    }

    /// [`CONTINUED`], [`FIRST`], [`LAST`].
    #[must_use]
    pub fn flags(self) -> u8 {
        self.head[5]
    }

    /// How many packets end in it.
    #[must_use]
    pub fn packets_that_end(self) -> u64 {
        self.lacing.iter().map(|&length| u64::from(length < 255)).sum()
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
    /// The sample behind the last packet that ends in it.
    pub granule: u64,
    /// Which stream it is of.
    pub serial: u32,
    /// Its number in the stream.
    pub sequence: u32,
}

/// A page of one packet of at most [`LONGEST_BODY`] bytes; what is longer is cut off.
#[must_use]
pub fn of_packet(place: Place, packet: &[u8]) -> Vec<u8> {
    let packet = &packet[..packet.len().min(LONGEST_BODY)];
    let mut lacing = vec![255; packet.len() / 255];
    lacing.extend(u8::try_from(packet.len() % 255));
    write(place, &lacing, packet)
}

/// Marks a page that was written here as the last of its stream.
pub fn end(page: &mut [u8]) {
    if let Some(flags) = page.get_mut(5) {
        *flags |= LAST;
    }
    seal(page);
}

fn write(place: Place, lacing: &[u8], body: &[u8]) -> Vec<u8> {
    let mut page = Vec::with_capacity(FIXED + lacing.len() + body.len());
    page.extend_from_slice(b"OggS\0");
    page.push(place.flags);
    page.extend_from_slice(&place.granule.to_le_bytes());
    page.extend_from_slice(&place.serial.to_le_bytes());
    page.extend_from_slice(&place.sequence.to_le_bytes());
    page.extend_from_slice(&[0; 4]);
    page.extend(u8::try_from(lacing.len()));
    page.extend_from_slice(lacing);
    page.extend_from_slice(body);
    seal(&mut page);
    page
}

fn seal(page: &mut [u8]) {
    let Some(field) = page.get_mut(22..26) else { return };
    field.fill(0);
    let sum = page.iter().fold(0_u32, |crc, &byte| {
        (crc << 8) ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)]
    });
    page[22..26].copy_from_slice(&sum.to_le_bytes());
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0_u32;
    while index < 256 {
        let mut value = index << 24;
        let mut bit = 0;
        while bit < 8 {
            value = (value << 1) ^ if value & 0x8000_0000 == 0 { 0 } else { 0x04c1_1db7 };
            bit += 1;
        }
        table[index as usize] = value;
        index += 1;
    }
    table
};
