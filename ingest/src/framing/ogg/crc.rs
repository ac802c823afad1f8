//! Ogg's CRC-32: polynomial 0x04c11db7, not reflected, starting at zero, its own field read as zero. No IO.

use std::ops::Range;

/// Where a page has its checksum.
const FIELD: Range<usize> = 22..26;

/// Whether a whole page is undamaged.
#[must_use]
pub fn is_right(page: &[u8]) -> bool {
    page.get(FIELD)
        .is_some_and(|field| *field == checksum(page).to_le_bytes())
}

/// Writes the checksum into a whole page; bytes too short to be one stay as they are.
pub fn seal(page: &mut [u8]) {
    let sum = checksum(page).to_le_bytes();
    if let Some(field) = page.get_mut(FIELD) {
        field.copy_from_slice(&sum);
    }
}

fn checksum(page: &[u8]) -> u32 {
    let (before, rest) = page.split_at(page.len().min(FIELD.start));
    let after = rest.get(FIELD.len()..).unwrap_or_default();
    [before, &[0; FIELD.end - FIELD.start], after]
        .into_iter()
        .flatten()
        .fold(0, |crc, &byte| {
            (crc << 8) ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)]
        })
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
