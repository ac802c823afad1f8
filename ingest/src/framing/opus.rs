//! What the first bytes of an Opus packet, and of its header, say. No IO.

/// Opus counts at this rate, whatever went into the encoder.
pub const RATE: u64 = 48_000;
/// A packet cannot be longer: 120 ms.
const LONGEST: u32 = 5760;

/// How many samples a packet plays; `None` if it is no packet.
#[must_use]
pub fn samples(packet: &[u8]) -> Option<u32> {
    let first = *packet.first()?;
    let config = first >> 3;
    let frame = match config {
        // SILK: 10, 20, 40, 60 ms.
        0..12 => [480, 960, 1920, 2880][usize::from(config % 4)],
        // Hybrid: 10, 20 ms.
        12..16 => [480, 960][usize::from(config % 2)],
        // CELT: 2.5, 5, 10, 20 ms.
        _ => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|samples| (1..=LONGEST).contains(samples))
}

/// Whether this is an `OpusHead` a decoder takes: of a version we know, with channels, and with a table where one is due.
#[must_use]
pub fn is_head(head: &[u8]) -> bool {
    let Some(fixed) = head.first_chunk::<19>() else {
        return false;
    };
    let channels = usize::from(fixed[9]);
    let length = if fixed[18] == 0 { 19 } else { 21 + channels };
    fixed.starts_with(b"OpusHead")
        && fixed[8] & 0xf0 == 0
        && channels > 0
        && (fixed[18] != 0 || channels <= 2)
        && head.len() == length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_the_length() {
        let table: [(&[u8], Option<u32>); 10] = [
            (&[0x78], Some(960)),
            (&[0x08, 1, 2], Some(960)),
            (&[0x18], Some(2880)),
            (&[0x19], Some(5760)),
            (&[0xe3, 0x04], Some(480)),
            (&[0x83, 0x00], None),
            (&[0x1b, 0x03], None),
            (&[0x03], None),
            (&[], None),
            (&[0x60, 0], Some(480)),
        ];
        for (packet, samples) in table {
            assert_eq!(super::samples(packet), samples, "{packet:x?}");
        }
    }

    #[test]
    fn a_head_is_whole_or_none() {
        let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
        assert!(is_head(head));
        for length in 0..head.len() {
            assert!(!is_head(&head[..length]));
        }
        let no_channels = b"OpusHead\x01\x00\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
        assert!(!is_head(no_channels));
        let surround = b"OpusHead\x01\x03\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x02\x01\x00\x01\x02";
        assert!(is_head(surround));
    }
}
