//! Those who connect and then do nothing lose their place, each in its time.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::pod::*;

/// When the other side hung up, and what it said before.
fn ends(mut socket: TcpStream, from: Instant) -> (f64, String) {
    let said = rest(&mut socket);
    (from.elapsed().as_secs_f64(), said)
}

/// Sends a byte now and then, which is not what is waited for.
fn drip(socket: &TcpStream, byte: u8, enough: &AtomicBool) {
    let mut socket = socket.try_clone().unwrap();
    while !enough.load(Ordering::Relaxed) && socket.write_all(&[byte]).is_ok() {
        thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn slow_callers_do_not_stay() {
    let given = Given::new(["/a", "/b", "/c", "/d"].map(input).into());
    let pod = given.start();
    let now = Instant::now();
    let silent = TcpStream::connect(pod.sources).unwrap();
    let slow_head = pod.call("PUT /a HTTP/1.1\r\nX: ");
    let no_audio = pod.call(put("/a", "Expect: 100-continue\r\n"));
    let no_audio_answered = pod.source("/b", b"");
    let stops = pod.source("/c", MP3);
    let mut only_chunks = pod.call(put("/d", "Transfer-Encoding: chunked\r\n"));
    write!(only_chunks, "{:x}\r\n", MP3.len()).unwrap();
    only_chunks.write_all(MP3).unwrap();
    only_chunks.write_all(b"\r\n5;").unwrap();
    let enough = AtomicBool::new(false);
    thread::scope(|all| {
        all.spawn(|| drip(&slow_head, b'x', &enough));
        all.spawn(|| drip(&only_chunks, b'x', &enough));
        let of = |socket: &TcpStream| {
            let socket = socket.try_clone().unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            all.spawn(move || ends(socket, now))
        };
        let (silent, slow_head) = (of(&silent), of(&slow_head));
        let (no_audio, no_audio_answered) = (of(&no_audio), of(&no_audio_answered));
        let (stops, only_chunks) = (of(&stops), of(&only_chunks));
        for (caller, seconds, said) in [
            (silent, 10.0, "408 No request came within 10 seconds"),
            (slow_head, 10.0, "408 No request came within 10 seconds"),
            (no_audio, 15.0, "408 No audio came within 15 seconds"),
            (no_audio_answered, 15.0, "No audio came within 15 seconds"),
            (stops, 15.0, ""),
            (only_chunks, 15.0, "408 No audio came for 15 seconds"),
        ] {
            let (after, answer) = caller.join().unwrap();
            assert!(answer.contains(said), "{said}: {answer}");
            assert!((seconds..seconds + 2.5).contains(&after), "{said}: {after}");
        }
        enough.store(true, Ordering::Relaxed);
    });
    for path in ["/c", "/d"] {
        let session = pod.session(path, |it| it.ended.is_some());
        assert_eq!(session.ended.unwrap().why, "nothing came for 15 seconds");
        assert!(pod.tape(&session.id) == MP3);
    }
    let refusals = wait_for(|| Some(pod.sessions().refusals).filter(|it| it.len() == 3));
    assert!(
        refusals.iter().all(|it| it.reason.as_str() == "TimedOut"),
        "{refusals:?}"
    );
    let again = pod.source("/c", MP3);
    pod.session("/c", |it| it.ended.is_none());
    drop(again);
}
