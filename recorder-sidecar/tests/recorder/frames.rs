//! MP3 that no encoder made: frames of 417 bytes, no two of them equal.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// 128 kb/s at 44.1 kHz: 26.12 ms a frame.
pub const FRAME: usize = 417;

pub struct Mp3(StdRng);

impl Mp3 {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub fn frames(&mut self, count: usize) -> Vec<u8> {
        let mut frames = vec![0; count * FRAME];
        self.0.fill(&mut frames[..]);
        for frame in frames.chunks_exact_mut(FRAME) {
            frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x00]);
        }
        frames
    }
}

/// 8 kb/s at 8 kHz, for shows that are long and not large: 72 ms a frame.
pub const SMALL_FRAME: usize = 72;

impl Mp3 {
    pub fn small_frames(&mut self, count: usize) -> Vec<u8> {
        let mut frames = vec![0; count * SMALL_FRAME];
        self.0.fill(&mut frames[..]);
        for frame in frames.chunks_exact_mut(SMALL_FRAME) {
            frame[..4].copy_from_slice(&[0xff, 0xe3, 0x18, 0x00]);
        }
        frames
    }
}
