//! What was stored against what was sent: bytes lost and doubled, packets lost and doubled. Pure, but for ffprobe.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::store::Segment;

/// What came of comparing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes that were sent.
    pub sent: u64,
    /// Of those, bytes that no segment has.
    pub lost: u64,
    /// Bytes that more than one segment has.
    pub doubled: u64,
    /// Packets that should be in the final object.
    pub packets: u64,
    /// Of those, packets that it has not.
    pub packets_lost: u64,
    /// Packets that it has more often than it should.
    pub packets_doubled: u64,
    /// Packets that were sent before the first or after the last moment on air.
    pub edges: u64,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.packets += other.packets;
        self.packets_lost += other.packets_lost;
        self.packets_doubled += other.packets_doubled;
        self.edges += other.edges;
    }

    /// Fails unless everything is there, once.
    pub fn is_exact(&self) -> Result<()> {
        ensure!(self.packets > 0, "the final object should have nothing: {self}");
        let wrong = self.lost + self.doubled + self.packets_lost + self.packets_doubled;
        ensure!(wrong == 0, "{self}");
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes sent, {} lost, {} doubled; {} packets in the final object, {} lost, {} doubled, {} cut at the edges",
            self.sent,
            self.lost,
            self.doubled,
            self.packets,
            self.packets_lost,
            self.packets_doubled,
            self.edges
        )
    }
}

/// Compares the segments of one session with what its source sent; lost is what they lack of `on_air`.
///
/// Bytes that are not those that were sent are an error.
pub fn bytes(sent: &[u8], segments: &[Segment], on_air: Range<usize>) -> Result<Tally> {
    let mut times = vec![0_u8; sent.len()];
    for segment in segments {
        let from = usize::try_from(segment.from)?;
        let to = from + segment.bytes.len();
        let original = sent.get(from..to).with_context(|| {
            format!(
                "{} is more than the {} bytes that were sent",
                segment.key,
                sent.len()
            )
        })?;
        if let Some(at) = original.iter().zip(&segment.bytes).position(|(a, b)| a != b) {
            bail!("{} differs from what was sent at byte {}", segment.key, from + at);
        }
        for time in &mut times[from..to] {
            *time = time.saturating_add(1);
        }
    }
    let count = |times: &[u8], is: fn(u8) -> bool| times.iter().filter(|time| is(**time)).count();
    let wanted = times
        .get(on_air.clone())
        .context("more was on air than was sent")?;
    Ok(Tally {
        sent: u64::try_from(on_air.len())?,
        lost: u64::try_from(count(wanted, |time| time == 0))?,
        doubled: u64::try_from(count(&times, |time| time > 1))?,
        ..Tally::default()
    })
}

/// A packet of audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where its page, frame or block begins in the stream.
    pub at: u64,
    /// Hash of its bytes, without any container.
    pub hash: String,
}

/// The packets of a stream, whatever its container, in their order, by ffprobe.
pub async fn packets(stream: &[u8]) -> Result<Vec<Packet>> {
    let file = NamedTempFile::new()?;
    std::fs::write(file.path(), stream)?;
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args([
        "-v",
        "error",
        "-show_data_hash",
        "sha256",
        "-of",
        "json",
        "-select_streams",
        "a",
    ]);
    ffprobe
        .args(["-show_entries", "packet=pos,data_hash"])
        .arg(file.path());
    let done = ffprobe.stdin(Stdio::null()).output().await.context("ffprobe")?;
    ensure!(
        done.status.success(),
        "ffprobe cannot read it: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    let probed: Probed = serde_json::from_slice(&done.stdout).context("ffprobe's words")?;
    let mut packets = Vec::new();
    let mut at = 0;
    for Probe { pos, data_hash } in probed.packets {
        // Only the first packet of an Ogg page is told its place.
        at = pos.and_then(|pos| pos.parse().ok()).unwrap_or(at);
        packets.push(Packet { at, hash: data_hash });
    }
    Ok(packets)
}

#[derive(Deserialize)]
struct Probed {
    packets: Vec<Probe>,
}

#[derive(Deserialize)]
struct Probe {
    pos: Option<String>,
    data_hash: String,
}

/// How many packets do not begin in from..to.
#[must_use]
pub fn outside(packets: &[Packet], from: u64, to: u64) -> u64 {
    let outside = packets.iter().filter(|packet| !(from..to).contains(&packet.at));
    u64::try_from(outside.count()).unwrap_or(u64::MAX)
}

/// Compares two rows of packets; an error if nothing is lost or doubled, but the order is another, or there are strangers.
pub fn same_packets(expected: &[Packet], made: &[Packet]) -> Result<Tally> {
    let mut balance = BTreeMap::<&str, i64>::new();
    for packet in expected {
        *balance.entry(&packet.hash).or_default() += 1;
    }
    let known: Vec<&str> = balance.keys().copied().collect();
    for packet in made {
        ensure!(
            known.binary_search(&packet.hash.as_str()).is_ok(),
            "the packet at byte {} was never sent",
            packet.at
        );
        *balance.entry(&packet.hash).or_default() -= 1;
    }
    let sum = |sign: i64| -> Result<u64> {
        Ok(u64::try_from(
            balance.values().map(|left| (left * sign).max(0)).sum::<i64>(),
        )?)
    };
    let tally = Tally {
        packets: u64::try_from(expected.len())?,
        packets_lost: sum(1)?,
        packets_doubled: sum(-1)?,
        ..Tally::default()
    };
    let in_order = expected.iter().map(|p| &p.hash).eq(made.iter().map(|p| &p.hash));
    ensure!(
        in_order || tally.packets_lost + tally.packets_doubled > 0,
        "the packets are in another order than they were sent"
    );
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::sound::{Codec, Script, Sender, Tone};

    fn segment(from: u64, bytes: &[u8]) -> Segment {
        Segment {
            key: format!("segment {from}"),
            from,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn bytes_are_counted_by_their_place() {
        let sent = b"on the air";
        let count = |segments: &[Segment]| {
            let tally = bytes(sent, segments, 0..sent.len()).unwrap();
            (tally.lost, tally.doubled)
        };
        assert_eq!(count(&[segment(0, b"on the"), segment(6, b" air")]), (0, 0));
        assert_eq!(count(&[segment(0, b"on the"), segment(7, b"air")]), (1, 0));
        assert_eq!(count(&[segment(0, b"on the a"), segment(6, b" air")]), (0, 2));
        let error = bytes(sent, &[segment(3, b"thy")], 0..10).unwrap_err().to_string();
        assert!(error.ends_with("differs from what was sent at byte 5"), "{error}");
        assert!(bytes(sent, &[segment(7, b"airs")], 0..10).is_err());
        let middle = bytes(sent, &[segment(3, b"the ")], 3..7).unwrap();
        assert_eq!((middle.sent, middle.lost), (4, 0));
    }

    #[tokio::test]
    async fn packets_of_every_codec_are_told_apart_and_have_a_place() {
        for codec in [
            Codec::Opus,
            Codec::Mp3,
            Codec::Adts,
            Codec::OggFlac,
            Codec::WebmOpus,
        ] {
            let second = || {
                let script = Script::default().then(Tone::Unknown, Duration::from_secs(1));
                Sender::to("http://127.0.0.1:1/x")
                    .codec(codec)
                    .play(script)
                    .unpaced()
            };
            let one = second().encode().await.unwrap();
            let packets = packets(&one).await.unwrap();
            assert!(packets.len() > 8, "{codec:?}: {} packets", packets.len());
            assert!(packets.is_sorted_by_key(|packet| packet.at), "{codec:?}");
            assert!(
                packets.last().unwrap().at > packets[0].at,
                "{codec:?} has no places"
            );
            let hashes: BTreeSet<_> = packets.iter().map(|packet| &packet.hash).collect();
            assert_eq!(hashes.len(), packets.len(), "{codec:?}");
        }
    }

    #[tokio::test]
    async fn a_chain_has_the_packets_of_its_links() {
        let second = |tone| {
            Sender::to("http://127.0.0.1:1/x")
                .codec(Codec::Opus)
                .play(tone)
                .unpaced()
        };
        let script = || Script::default().then(Tone::Unknown, Duration::from_secs(1));
        let one = second(script()).encode().await.unwrap();
        let two = second(Script::default().then(Tone::Hz(440), Duration::from_secs(1)))
            .encode()
            .await
            .unwrap();
        let apart = [packets(&one).await.unwrap(), packets(&two).await.unwrap()].concat();
        let chained = packets(&[one, two].concat()).await.unwrap();
        let tally = same_packets(&apart, &chained).unwrap();
        assert_eq!((tally.packets_lost, tally.packets_doubled), (0, 0));
        assert_eq!(tally.packets, 100);
    }

    fn row(hashes: &str) -> Vec<Packet> {
        let packet = |(at, hash): (u64, char)| Packet {
            at,
            hash: hash.to_string(),
        };
        (0..).zip(hashes.chars()).map(packet).collect()
    }

    #[test]
    fn packets_are_counted_by_what_they_are() {
        let count = |expected: &str, made: &str| {
            let tally = same_packets(&row(expected), &row(made)).unwrap();
            (tally.packets_lost, tally.packets_doubled)
        };
        assert_eq!(count("abcb", "abcb"), (0, 0));
        assert_eq!(count("abcb", "abc"), (1, 0));
        assert_eq!(count("abcb", "aabcb"), (0, 1));
        assert_eq!(count("abcb", "aacb"), (1, 1));
        assert!(same_packets(&row("abc"), &row("acb")).is_err(), "another order");
        assert!(same_packets(&row("abc"), &row("abx")).is_err(), "a stranger");
        assert_eq!(outside(&row("abcd"), 1, 3), 2);
    }
}
