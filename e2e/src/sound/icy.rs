//! Takes Shoutcast titles out of a stream. Pure.

use bytes::{Buf, Bytes, BytesMut};

/// Splits a stream that carries a title block each `interval` bytes.
#[derive(Debug)]
pub struct Icy {
    interval: usize,
    audio_left: usize,
    block: Option<Vec<u8>>,
}

impl Icy {
    /// For the `icy-metaint` of the response; 0 carries no titles.
    pub fn new(interval: usize) -> Self {
        Self {
            interval,
            audio_left: interval,
            block: None,
        }
    }

    /// Gives the audio in `bytes` and adds titles that became complete.
    pub fn strip(&mut self, mut bytes: Bytes, titles: &mut Vec<String>) -> Bytes {
        if self.interval == 0 {
            return bytes;
        }
        let mut audio = BytesMut::with_capacity(bytes.len());
        while bytes.has_remaining() {
            if self.audio_left > 0 {
                let piece = bytes.split_to(self.audio_left.min(bytes.len()));
                self.audio_left -= piece.len();
                audio.extend_from_slice(&piece);
                continue;
            }
            let block = self.block.get_or_insert_default();
            block.push(bytes.get_u8());
            if block.len() > usize::from(block[0]) * 16 {
                titles.extend(title(&block[1..]));
                self.block = None;
                self.audio_left = self.interval;
            }
        }
        audio.freeze()
    }
}

/// `StreamTitle='...';`, where the title itself may hold quotes.
fn title(block: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(block);
    let rest = text.trim_end_matches('\0').strip_prefix("StreamTitle='")?;
    let end = rest.find("';StreamUrl=").or_else(|| rest.rfind("';"))?;
    Some(rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_and_audio_part_at_any_split() {
        let mut stream = Vec::new();
        let block = |text: &str| {
            let sixteenths = text.len().div_ceil(16);
            let mut bytes = vec![u8::try_from(sixteenths).unwrap()];
            bytes.extend(text.as_bytes());
            bytes.resize(1 + sixteenths * 16, 0);
            bytes
        };
        stream.extend([1; 8]);
        stream.extend(block("StreamTitle='It's \"that\" & 🎧';StreamUrl='http://x';"));
        stream.extend([2; 8]);
        stream.push(0);
        stream.extend([3; 8]);
        stream.extend(block("StreamTitle='B';"));
        stream.extend([4; 3]);
        for grain in 1..=stream.len() {
            let mut icy = Icy::new(8);
            let mut titles = Vec::new();
            let audio: Vec<u8> = stream
                .chunks(grain)
                .flat_map(|piece| icy.strip(Bytes::copy_from_slice(piece), &mut titles))
                .collect();
            assert_eq!(audio, [[1; 8].as_slice(), &[2; 8], &[3; 8], &[4; 3]].concat());
            assert_eq!(titles, ["It's \"that\" & 🎧", "B"]);
        }
        assert_eq!(
            Icy::new(0).strip(Bytes::from_static(b"abc"), &mut Vec::new()),
            "abc"
        );
    }
}
