//! Pages of Ogg, written and read without the code that is tested.

/// A packet, and how many samples it plays.
pub struct Packet {
    pub bytes: Vec<u8>,
    pub samples: u64,
}

/// The headers and the packets of one link of Opus.
pub struct Opus {
    pub headers: [Vec<u8>; 2],
    pub packets: Vec<Packet>,
}

impl Opus {
    pub fn parse(stream: &[u8]) -> Self {
        let mut links = links(stream);
        assert_eq!(links.len(), 1, "an encoder makes one link");
        let mut all = links.remove(0).into_iter();
        let headers = [all.next().unwrap(), all.next().unwrap()];
        let packets = all
            .map(|bytes| Packet {
                samples: samples(&bytes),
                bytes,
            })
            .collect();
        Self { headers, packets }
    }

    /// The same packets over and over, on pages of a second.
    pub fn hours(&self, hours: u64) -> Vec<u8> {
        let mut pages = Pages::new(0x00c0_ffee);
        for header in &self.headers {
            pages.page(&[header], 0);
        }
        let (mut at, end) = (0, hours * 3600 * 48_000);
        let (mut waiting, mut waiting_samples) = (Vec::new(), 0);
        for packet in self.packets.iter().cycle() {
            if at >= end {
                break;
            }
            at += packet.samples;
            waiting.push(&packet.bytes[..]);
            waiting_samples += packet.samples;
            if waiting_samples >= 48_000 {
                pages.page(&waiting, at);
                waiting.clear();
                waiting_samples = 0;
            }
        }
        if !waiting.is_empty() {
            pages.page(&waiting, at);
        }
        pages.stream
    }
}

/// By its first byte, as RFC 6716 has it; only what libopus makes of music and speech.
fn samples(packet: &[u8]) -> u64 {
    let frame = match packet[0] >> 3 {
        config @ 0..12 => [480, 960, 1920, 2880][usize::from(config % 4)],
        config @ 12..16 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    match packet[0] & 3 {
        0 => frame,
        1 | 2 => 2 * frame,
        _ => u64::from(packet[1] & 0x3f) * frame,
    }
}

struct Pages {
    stream: Vec<u8>,
    serial: u32,
    sequence: u32,
    table: [u32; 256],
}

impl Pages {
    fn new(serial: u32) -> Self {
        let mut table = [0_u32; 256];
        for (index, entry) in (0..).zip(&mut table) {
            *entry = (0..8).fold(index << 24, |sum: u32, _| {
                sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 }
            });
        }
        Self {
            stream: Vec::new(),
            serial,
            sequence: 0,
            table,
        }
    }

    fn page(&mut self, packets: &[&[u8]], granule: u64) {
        let mut lacing = Vec::new();
        for packet in packets {
            lacing.extend(vec![255; packet.len() / 255]);
            lacing.push(u8::try_from(packet.len() % 255).unwrap());
        }
        let begin = self.stream.len();
        self.stream.extend(b"OggS\0");
        self.stream.push(if self.sequence == 0 { 2 } else { 0 });
        self.stream.extend(granule.to_le_bytes());
        self.stream.extend(self.serial.to_le_bytes());
        self.stream.extend(self.sequence.to_le_bytes());
        self.stream.extend([0; 4]);
        self.stream.push(u8::try_from(lacing.len()).unwrap());
        self.stream.extend(&lacing);
        for packet in packets {
            self.stream.extend(*packet);
        }
        let sum = self.stream[begin..].iter().fold(0_u32, |sum, byte| {
            sum << 8 ^ self.table[usize::from(*byte ^ sum.to_be_bytes()[0])]
        });
        self.stream[begin + 22..begin + 26].copy_from_slice(&sum.to_le_bytes());
        self.sequence += 1;
    }
}

/// Where each page ends, with its granule position; what is no whole page ends it.
fn pages(stream: &[u8]) -> Vec<(std::ops::Range<usize>, u64)> {
    let mut pages = Vec::new();
    let mut at = 0;
    while let Some(head) = stream.get(at..at + 27) {
        assert_eq!(&head[..4], b"OggS", "at {at}");
        let count = usize::from(head[26]);
        let Some(lacing) = stream.get(at + 27..at + 27 + count) else {
            break;
        };
        let length: usize = lacing.iter().map(|length| usize::from(*length)).sum();
        let end = at + 27 + count + length;
        if end > stream.len() {
            break;
        }
        pages.push((at..end, u64::from_le_bytes(head[6..14].try_into().unwrap())));
        at = end;
    }
    pages
}

/// What an encoder that was killed left without its last page's rest.
pub fn whole_pages(stream: &[u8]) -> &[u8] {
    let end = pages(stream).last().map_or(0, |(page, _)| page.end);
    &stream[..end]
}

pub fn last_granule(stream: &[u8]) -> u64 {
    pages(stream).last().unwrap().1
}

/// The packets of each link.
pub fn links(stream: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut links: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    for (page, _) in pages(stream) {
        let page = &stream[page];
        let begins_link = page[5] & 2 != 0;
        let continues = page[5] & 1 != 0;
        if begins_link {
            links.push(Vec::new());
        }
        assert_eq!(continues, open.is_some(), "a packet is torn");
        let link = links.last_mut().expect("a stream begins with its first page");
        let count = usize::from(page[26]);
        let mut at = 27 + count;
        for length in &page[27..27 + count] {
            let piece = &page[at..at + usize::from(*length)];
            at += piece.len();
            open.get_or_insert_default().extend_from_slice(piece);
            if *length < 255 {
                link.extend(open.take());
            }
        }
    }
    links
}

/// The packets of audio of a file that is one link of Opus.
pub fn audio_of_one_link(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut links = links(stream);
    assert_eq!(links.len(), 1);
    links.remove(0).split_off(2)
}
