//! Ogg, woven out of the pages of many links: Opus links with equal heads become one logical stream, all others stay a chain.
//! Packets stay as they are; serial, sequence, granules and flags are written anew. No IO.

mod samples;

use std::sync::Arc;
use std::time::Duration;

use ingest::framing::ogg::page::{self, CONTINUED, FIRST, LAST, LONGEST_BODY, Page, Place};
use ingest::framing::opus::RATE;
use ingest::framing::{Link, Unit};

use samples::Samples;

/// Numbers for the streams of one link.
const STREAMS: u32 = 8;
const VENDOR: &[u8] = b"radio-operator";

/// Packets of audio in a unit.
#[must_use]
pub fn packets_in(unit: &Unit) -> u64 {
    Page::read(&unit.bytes).map_or(0, |page| u64::from(page.packets_that_end()))
}

/// The first packet of the first stream of a link.
#[must_use]
pub fn first_packet(link: &Link) -> Option<&[u8]> {
    let page = Page::read(link.headers.first()?)?;
    page.packets().next().map(|(packet, _)| packet)
}

/// The head of a link that is nothing but one stream of Opus.
fn opus_head(link: &Link) -> Option<&[u8]> {
    let mut serials = link
        .headers
        .iter()
        .filter_map(|page| Page::read(page))
        .map(Page::serial);
    let first = serials.next()?;
    let only = serials.all(|serial| serial == first);
    first_packet(link)
        .filter(|head| link.codec == "opus" && only && head.starts_with(b"OpusHead") && head.len() <= 300)
}

/// Weaves one object. The front of it, with the chapters, is known when everything else is: see [`Weaver::front`].
#[derive(Debug)]
pub struct Weaver {
    serial: u32,
    links: u32,
    link: Option<Arc<Link>>,
    stream: Stream,
    front: Option<Front>,
    /// The page that may be the last of its link.
    held: Vec<u8>,
    duration: Duration,
}

#[derive(Debug)]
enum Stream {
    None,
    Opus(Opus),
    Chained(Vec<Chained>),
}

/// A logical stream of Opus, of as many links as have the same head.
#[derive(Debug)]
struct Opus {
    head: Vec<u8>,
    serial: u32,
    sequence: u32,
    granule: u64,
    samples: Samples,
}

/// One of the streams of a link that is chained.
#[derive(Clone, Copy, Debug)]
struct Chained {
    source: u32,
    serial: u32,
    sequence: u32,
    /// Samples in a packet, where that is known.
    block: Option<u64>,
    /// What its clock showed when the object began: an encoder that ran for a day goes on where it was, and players take
    /// that for the length.
    began: Option<u64>,
}

/// The headers of an object that begins with Opus.
#[derive(Debug)]
struct Front {
    head: Vec<u8>,
    serial: u32,
}

impl Weaver {
    /// The same number makes the same bytes out of the same units.
    #[must_use]
    pub fn new(serial: u32) -> Self {
        Self {
            serial,
            links: 0,
            link: None,
            stream: Stream::None,
            front: None,
            held: Vec::new(),
            duration: Duration::ZERO,
        }
    }

    /// How long everything so far plays.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let open = match &self.stream {
            Stream::Opus(opus) => played(opus),
            Stream::None | Stream::Chained(_) => Duration::ZERO,
        };
        self.duration + open
    }

    /// Logical streams behind each other.
    #[must_use]
    pub fn links(&self) -> u32 {
        self.links
    }

    /// Takes a unit; what is to be written comes behind what `out` has.
    pub fn take(&mut self, unit: &Unit, out: &mut Vec<u8>) {
        if !self
            .link
            .as_ref()
            .is_some_and(|link| Arc::ptr_eq(link, &unit.link))
        {
            self.begin(&unit.link, out);
        }
        let Some(page) = Page::read(&unit.bytes) else {
            return;
        };
        let placed = match &mut self.stream {
            Stream::Opus(opus) => page.placed(opus.place(page)),
            Stream::Chained(streams) => {
                let Some(stream) = streams.iter_mut().find(|stream| stream.source == page.serial()) else {
                    return;
                };
                self.duration += unit.duration;
                page.placed(stream.place(page, page.flags() & (CONTINUED | LAST)))
            }
            Stream::None => return,
        };
        out.append(&mut self.held);
        self.held = placed;
    }

    /// The last page.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.duration = self.duration();
        self.stream = Stream::None;
        if !self.held.is_empty() {
            page::end(&mut self.held);
        }
        out.append(&mut self.held);
    }

    /// What comes before everything that was written.
    #[must_use]
    pub fn front(&self, comments: &[String]) -> Vec<u8> {
        let Some(front) = &self.front else {
            return Vec::new();
        };
        opus_headers(&front.head, front.serial, comments)
    }

    fn begin(&mut self, link: &Arc<Link>, out: &mut Vec<u8>) {
        self.link = Some(Arc::clone(link));
        let head = opus_head(link);
        if let (Stream::Opus(opus), Some(head)) = (&mut self.stream, head)
            && opus.head == head
        {
            opus.samples = Samples::default();
            return;
        }
        self.finish(out);
        let serial = self.serial.wrapping_add(self.links.wrapping_mul(STREAMS));
        self.stream = if let Some(head) = head {
            if self.links == 0 {
                self.front = Some(Front {
                    head: head.to_vec(),
                    serial,
                });
            } else {
                let title = link
                    .title
                    .iter()
                    .map(|title| format!("TITLE={title}"))
                    .collect::<Vec<_>>();
                out.extend(opus_headers(head, serial, &title));
            }
            Stream::Opus(Opus {
                head: head.to_vec(),
                serial,
                sequence: 2,
                granule: 0,
                samples: Samples::default(),
            })
        } else {
            Stream::Chained(chain(link, serial, out))
        };
        self.links += 1;
    }
}

/// How long a logical stream plays: what a decoder needs to settle is not heard.
fn played(opus: &Opus) -> Duration {
    let skip = opus
        .head
        .get(10..12)
        .map_or(0, |skip| u64::from(u16::from_le_bytes([skip[0], skip[1]])));
    Duration::from_nanos(opus.granule.saturating_sub(skip).saturating_mul(1_000_000_000) / RATE)
}

impl Opus {
    fn place(&mut self, page: Page) -> Place {
        self.granule += self.samples.of(page);
        let granule = (page.packets_that_end() > 0).then_some(self.granule);
        let place = Place {
            flags: page.flags() & CONTINUED,
            granule,
            serial: self.serial,
            sequence: self.sequence,
        };
        self.sequence = self.sequence.wrapping_add(1);
        place
    }
}

impl Chained {
    fn place(&mut self, page: Page, flags: u8) -> Place {
        let place = Place {
            flags,
            granule: page.granule().map(|granule| self.since_it_began(page, granule)),
            serial: self.serial,
            sequence: self.sequence,
        };
        self.sequence = self.sequence.wrapping_add(1);
        place
    }
}

impl Chained {
    fn since_it_began(&mut self, page: Page, granule: u64) -> u64 {
        // Headers stand at 0.
        let Some(block) = self.block.filter(|_| granule > 0) else {
            return granule;
        };
        let first = || granule.saturating_sub(u64::from(page.packets_that_end()) * block);
        granule.saturating_sub(*self.began.get_or_insert_with(first))
    }
}

/// Samples in a packet of FLAC, by the header of its stream.
fn flac_block(page: Page) -> Option<u64> {
    let (head, _) = page.packets().next()?;
    // After the mapping's own 9 bytes, "fLaC" and the block's header: the smallest and the largest.
    let longest = head.starts_with(b"\x7fFLAC").then(|| head.get(19..21))??;
    Some(u64::from(u16::from_be_bytes([longest[0], longest[1]])))
}

/// Writes the headers of a link, whose streams get numbers of their own: the source may use one twice.
fn chain(link: &Link, serial: u32, out: &mut Vec<u8>) -> Vec<Chained> {
    let mut streams: Vec<Chained> = Vec::new();
    for page in link.headers.iter().filter_map(|page| Page::read(page)) {
        if !streams.iter().any(|stream| stream.source == page.serial()) {
            let number = u32::try_from(streams.len()).unwrap_or(0);
            streams.push(Chained {
                source: page.serial(),
                serial: serial.wrapping_add(number),
                sequence: 0,
                block: flac_block(page),
                began: None,
            });
        }
        let Some(stream) = streams.iter_mut().find(|stream| stream.source == page.serial()) else {
            continue;
        };
        out.extend(page.placed(stream.place(page, page.flags() & (CONTINUED | FIRST))));
    }
    streams
}

fn opus_headers(head: &[u8], serial: u32, comments: &[String]) -> Vec<u8> {
    let place = |flags, sequence| Place {
        flags,
        granule: Some(0),
        serial,
        sequence,
    };
    let mut pages = page::of_packet(place(FIRST, 0), head);
    pages.extend(page::of_packet(place(0, 1), &tags(comments)));
    pages
}

/// As many comments as one page holds.
fn tags(comments: &[String]) -> Vec<u8> {
    let mut count = 0_u32;
    let mut body = Vec::new();
    let most = LONGEST_BODY - 8 - VENDOR.len() - 8;
    for comment in comments {
        if body.len() + 4 + comment.len() > most {
            break;
        }
        text(&mut body, comment.as_bytes());
        count += 1;
    }
    let mut tags = b"OpusTags".to_vec();
    text(&mut tags, VENDOR);
    tags.extend_from_slice(&count.to_le_bytes());
    tags.append(&mut body);
    tags
}

fn text(tags: &mut Vec<u8>, text: &[u8]) {
    tags.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
    tags.extend_from_slice(text);
}

#[cfg(test)]
#[path = "../ogg_tests.rs"]
mod tests;
