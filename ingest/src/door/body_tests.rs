use super::*;

/// Everything of a body that arrives in pieces of at most `step` bytes, and what is left behind it.
fn read(mut body: Body, sent: &[u8], step: usize) -> Result<(Vec<u8>, bool, usize), Malformed> {
    let mut media = Vec::new();
    let mut looked_at = 0;
    for piece in sent.chunks(step) {
        let mut arrived = piece;
        loop {
            let before = arrived.len();
            let next = body.next(&mut arrived);
            looked_at += before - arrived.len();
            match next? {
                Piece::Media(some) => {
                    assert!(!some.is_empty());
                    media.extend_from_slice(some);
                }
                Piece::Hungry => {
                    assert!(arrived.is_empty());
                    break;
                }
                Piece::Over => return Ok((media, true, sent.len() - looked_at)),
            }
        }
    }
    Ok((media, false, 0))
}

#[test]
fn chunks_are_the_same_however_they_arrive() {
    let sent = b"5\r\nhello\r\n0006;name=\"v\"\r\n world\r\nA \r\n0123456789\r\n0;last\r\nTrailer: x\r\nOther: y\r\n\r\nGET / HTTP";
    for step in 1..=sent.len() {
        let (media, over, behind) = read(Body::chunked(), sent, step).unwrap();
        assert_eq!(media, b"hello world0123456789");
        assert!(over);
        assert_eq!(behind, "GET / HTTP".len(), "{step}");
    }
    assert_eq!(read(Body::chunked(), b"0\r\n\r\n", 1), Ok((Vec::new(), true, 0)));
}

#[test]
fn a_chunk_may_be_as_long_as_it_likes() {
    let (media, over, _) = read(Body::chunked(), b"ffffffffffffffff\r\nabc", 2).unwrap();
    assert_eq!((media.as_slice(), over), (&b"abc"[..], false));
}

#[test]
fn broken_chunks_are_refused() {
    for sent in [
        &b"\r\n"[..],
        b"x\r\n",
        b"-1\r\n",
        b"0x5\r\nhello",
        b"5\nhello\r\n",
        b"5\rhello",
        b"5\r\nhello0\r\n",
        b"5\r\nhello\n0\r\n",
        b"5\r\nhello\r0\r\n",
        b"5;a\nb\r\n",
        b"00000000000000005\r\nhello",
        b";a\r\n",
        b"OggS",
        b"0\r\nTrailer: x\n",
        b"0\r\n\rx",
    ] {
        for step in [1, 2, sent.len()] {
            assert_eq!(
                read(Body::chunked(), sent, step),
                Err(Malformed),
                "{:?}",
                sent.escape_ascii().to_string()
            );
        }
    }
    let mut broken = Body::chunked();
    assert_eq!(broken.next(&mut &b"x5\r\nhello"[..]), Err(Malformed));
    assert_eq!(
        broken.next(&mut &b"5\r\nhello"[..]),
        Err(Malformed),
        "it stays broken"
    );
    let extension = format!("5;{}\r\nhello\r\n", "a".repeat(5000));
    assert_eq!(read(Body::chunked(), extension.as_bytes(), 100), Err(Malformed));
    let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(1100));
    assert_eq!(read(Body::chunked(), trailers.as_bytes(), 100), Err(Malformed));
    let many_short = "1;abcd\r\nx\r\n".repeat(2000);
    assert_eq!(
        read(Body::chunked(), many_short.as_bytes(), 7).unwrap().0.len(),
        2000
    );
}

#[test]
fn a_length_is_kept_to_and_no_length_never_ends() {
    assert_eq!(
        read(Body::Length(5), b"hello world", 3),
        Ok((b"hello".to_vec(), true, 6))
    );
    assert_eq!(read(Body::Length(0), b"x", 1), Ok((Vec::new(), true, 1)));
    assert_eq!(
        read(Body::Length(9), b"hello", 3),
        Ok((b"hello".to_vec(), false, 0))
    );
    assert_eq!(
        read(Body::Endless, b"hello", 2),
        Ok((b"hello".to_vec(), false, 0))
    );
}
