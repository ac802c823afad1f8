//! Elements of EBML, which `WebM` is made of: an identifier, a size, a body. No IO.

/// The identifiers we know, with the bits that mark their length.
pub(super) mod id {
    pub(crate) const EBML: u32 = 0x1a45_dfa3;
    pub(crate) const DOC_TYPE: u32 = 0x4282;
    pub(crate) const VOID: u32 = 0xec;
    pub(crate) const CRC: u32 = 0xbf;
    pub(crate) const SEGMENT: u32 = 0x1853_8067;
    pub(crate) const SEEK_HEAD: u32 = 0x114d_9b74;
    pub(crate) const INFO: u32 = 0x1549_a966;
    pub(crate) const TITLE: u32 = 0x7ba9;
    pub(crate) const TRACKS: u32 = 0x1654_ae6b;
    pub(crate) const TRACK: u32 = 0xae;
    pub(crate) const TRACK_NUMBER: u32 = 0xd7;
    pub(crate) const CODEC: u32 = 0x86;
    pub(crate) const CODEC_PRIVATE: u32 = 0x63a2;
    pub(crate) const CUES: u32 = 0x1c53_bb6b;
    pub(crate) const CHAPTERS: u32 = 0x1043_a770;
    pub(crate) const TAGS: u32 = 0x1254_c367;
    pub(crate) const ATTACHMENTS: u32 = 0x1941_a469;
    pub(crate) const CLUSTER: u32 = 0x1f43_b675;
    pub(crate) const TIMESTAMP: u32 = 0xe7;
    pub(crate) const POSITION: u32 = 0xa7;
    pub(crate) const PREVIOUS_SIZE: u32 = 0xab;
    pub(crate) const SIMPLE_BLOCK: u32 = 0xa3;
    pub(crate) const BLOCK_GROUP: u32 = 0xa0;
    pub(crate) const BLOCK: u32 = 0xa1;
}

/// What stands before an element's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: u32,
    /// Bytes of the identifier and the size.
    pub(super) length: usize,
    /// Bytes of the body; `None` if it goes on until something comes that cannot be in it.
    pub(super) body: Option<u64>,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read<T> {
    NotYet,
    Garbage,
    Is(T),
}

/// The head of the element that begins here.
pub(super) fn head(bytes: &[u8]) -> Read<Head> {
    let Some(&first) = bytes.first() else {
        return Read::NotYet;
    };
    let id_length = first.leading_zeros() as usize + 1;
    if id_length > 4 {
        return Read::Garbage;
    }
    let Some(id) = bytes.get(..id_length) else {
        return Read::NotYet;
    };
    let id = id.iter().fold(0, |id, &byte| (id << 8) | u32::from(byte));
    match number(&bytes[id_length..]) {
        Read::NotYet => Read::NotYet,
        Read::Garbage => Read::Garbage,
        Read::Is((body, size_length)) => Read::Is(Head {
            id,
            length: id_length + size_length,
            body,
        }),
    }
}

/// A number of one to eight bytes that tells its own length, and that length; `None` if all its bits are set, which means
/// "unknown" in a size.
pub(super) fn number(bytes: &[u8]) -> Read<(Option<u64>, usize)> {
    let Some(&first) = bytes.first() else {
        return Read::NotYet;
    };
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return Read::Garbage;
    }
    let Some(all) = bytes.get(..length) else {
        return Read::NotYet;
    };
    let unknown = (1 << (7 * length)) - 1;
    let value = all.iter().fold(0, |value, &byte| (value << 8) | u64::from(byte)) & unknown;
    Read::Is(((value != unknown).then_some(value), length))
}

/// An unsigned number that fills its element.
pub(super) fn unsigned(body: &[u8]) -> u64 {
    body.iter().fold(0, |value, &byte| (value << 8) | u64::from(byte))
}

/// The elements in a body, up to the first that is not whole.
pub(super) fn children(body: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let Read::Is(head) = head(rest) else { return None };
        let (body, later) = rest
            .get(head.length..)?
            .split_at_checked(usize::try_from(head.body?).ok()?)?;
        rest = later;
        Some((head.id, body))
    })
}

/// The first element of this kind in a body.
pub(super) fn child(body: &[u8], id: u32) -> Option<&[u8]> {
    children(body)
        .find(|&(found, _)| found == id)
        .map(|(_, body)| body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_are_written() {
        let is = |id, length, body| Read::Is(Head { id, length, body });
        let table: [(&[u8], Read<Head>); 9] = [
            (&[0xa3, 0x81], is(id::SIMPLE_BLOCK, 2, Some(1))),
            (&[0x42, 0x82, 0x84, 9], is(id::DOC_TYPE, 3, Some(4))),
            (&[0x1f, 0x43, 0xb6, 0x75, 0xff], is(id::CLUSTER, 5, None)),
            (&[0xec, 1, 0, 0, 0, 0, 0, 0, 0x68], is(id::VOID, 9, Some(0x68))),
            (
                &[0xec, 1, 255, 255, 255, 255, 255, 255, 255],
                is(id::VOID, 9, None),
            ),
            (&[0xec, 1, 255, 255, 255, 255, 255, 255], Read::NotYet),
            (&[0x1f, 0x43, 0xb6], Read::NotYet),
            (&[0x08, 0x43, 0xb6, 1, 1, 1], Read::Garbage),
            (&[0xec, 0], Read::Garbage),
        ];
        for (bytes, read) in table {
            assert_eq!(head(bytes), read, "{bytes:x?}");
        }
    }

    #[test]
    fn children_end_with_the_last_whole_one() {
        let body = [0x86, 0x82, 1, 2, 0xd7, 0x81, 3, 0xae, 0x84, 1];
        let found: Vec<_> = children(&body).collect();
        assert_eq!(found, [(id::CODEC, &[1, 2][..]), (id::TRACK_NUMBER, &[3][..])]);
        assert_eq!(child(&body, id::TRACK), None);
    }
}
