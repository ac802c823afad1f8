//! `WebM` as browsers make it, of any length, without the code that is tested.

use crate::ogg::Packet;

const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];

/// Clusters of a second, of unknown size, behind the headers of a stream that an encoder made.
pub fn hours(encoded: &[u8], packets: &[Packet], hours: u64) -> Vec<u8> {
    let headers = encoded
        .windows(4)
        .position(|bytes| bytes == CLUSTER)
        .expect("a cluster");
    let mut stream = encoded[..headers].to_vec();
    let (mut at, end) = (0, hours * 3_600_000);
    let mut cluster = None;
    for packet in packets.iter().cycle() {
        if at >= end {
            break;
        }
        let begun = *cluster.get_or_insert_with(|| {
            stream.extend(CLUSTER);
            stream.extend([0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe7, 0x88]);
            stream.extend(at.to_be_bytes());
            at
        });
        let length = u32::try_from(packet.bytes.len() + 4).unwrap();
        stream.push(0xa3);
        stream.extend((length | 0x1000_0000).to_be_bytes());
        stream.push(0x81);
        stream.extend(u16::try_from(at - begun).unwrap().to_be_bytes());
        stream.push(0x80);
        stream.extend(&packet.bytes);
        at += packet.samples / 48;
        if at - begun >= 1000 {
            cluster = None;
        }
    }
    stream
}
