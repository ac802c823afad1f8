//! The listener and the sender proved against Debian's Icecast and against a wire that adds nothing.
//!
//! Every figure another test reports rests on these: that a tone is named right, that a flip is found when it
//! arrives, and that the byte log is what the server got.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::sound::{
    BareIcecast, Codec, Crowd, Cut, Dialer, Flip, GapKind, Latency, Listener, Protocol, Reason, Refused,
    Script, Sender, Tone, Track, play,
    wrong::{self, Wrong},
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

const HZ440: Tone = Tone::Hz(440);
const HZ880: Tone = Tone::Hz(880);
const HZ660: Tone = Tone::Hz(660);
const SOON: Duration = Duration::from_secs(10);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The tones a listener named, without what is always possible at an edge.
fn named(listener: &Listener) -> BTreeSet<Tone> {
    listener
        .spans()
        .into_iter()
        .map(|span| span.tone)
        .filter(|tone| *tone != Tone::Unknown)
        .collect()
}

/// Plays 20 flips and measures them.
async fn flips(source: &str, url: &str, codec: Codec) -> Result<Latency> {
    let script = Script::flips(&[HZ440, HZ880, HZ660], ms(500), 22);
    let dj = Sender::to(source).codec(codec).play(script).start().await?;
    let listener = Listener::to(url).patient(SOON).open().await?;
    listener.await_tone(HZ660, SOON).await?;
    let from = dj.flips().len();
    while dj.flips().len() < 22 {
        ensure!(dj.is_on_air(), "{}", dj.report());
        tokio::time::sleep(ms(50)).await;
    }
    listener.await_tone_since(dj.flips()[21].at, HZ440, SOON).await?;
    let latency = listener.latency(&dj.flips()[from..22]);
    ensure!(latency.missed == 0, "{latency}; {}", listener.report());
    ensure!(
        named(&listener).is_subset(&[HZ440, HZ880, HZ660].into()),
        "{}",
        listener.report()
    );
    ensure!(listener.disconnects().is_empty(), "{}", listener.report());
    Ok(latency)
}

/// Hands the bytes of a source to all its listeners, at once and unchanged.
async fn wire() -> Result<String> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/wire", socket.local_addr()?);
    let (bytes, _) = broadcast::channel(4096);
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(serve(stream, bytes.clone()));
        }
    });
    Ok(url)
}

async fn serve(mut stream: TcpStream, bytes: broadcast::Sender<Vec<u8>>) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if head.starts_with(b"GET") {
        let mut received = bytes.subscribe();
        stream
            .write_all(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nicy-name: Wire\r\n\r\n")
            .await?;
        while let Ok(piece) = received.recv().await {
            stream.write_all(&piece).await?;
        }
        return Ok(());
    }
    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    let mut piece = vec![0; 16 * 1024];
    while let count @ 1.. = stream.read(&mut piece).await? {
        let _ = bytes.send(piece[..count].to_vec());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn own_latency_is_small() -> Result<()> {
    for codec in [Codec::Mp3, Codec::Opus] {
        let source = wire().await?;
        // The wire keeps nothing: an Ogg listener must be there before the headers.
        let listener = Listener::to(&source).open().await?;
        let dj = Sender::to(&source)
            .codec(codec)
            .play(Script::flips(&[HZ440, HZ880, HZ660], ms(300), 24))
            .start()
            .await?;
        while dj.flips().len() < 24 {
            ensure!(dj.is_on_air(), "{}", dj.report());
            tokio::time::sleep(ms(50)).await;
        }
        listener.await_tone_since(dj.flips()[23].at, HZ660, SOON).await?;
        let latency = listener.latency(&dj.flips()[2..]);
        println!("own latency, {codec:?}, encoder to named tone, no server between: {latency}");
        ensure!(latency.missed == 0, "{latency}; {}", listener.report());
        ensure!(latency.p50() < ms(400), "{codec:?}: {latency}");
    }
    Ok(())
}

/// The encoder left out: MP3 made beforehand goes over the wire at its bit rate, so that each flip's bytes leave
/// at a known time.
#[tokio::test(flavor = "multi_thread")]
async fn the_listeners_share_of_the_latency_is_small() -> Result<()> {
    let url = wire().await?;
    let tones: Vec<Tone> = [HZ440, HZ880, HZ660].into_iter().cycle().take(20).collect();
    let script = tones
        .iter()
        .fold(Script::default(), |script, tone| script.then(*tone, ms(500)));
    let made = Sender::to(&url).play(script).unpaced().start().await?;
    made.await_over(SOON).await?;
    let made = made.finish().await?;
    let listener = Listener::to(&url).open().await?;
    let dj = Sender::to(&url)
        .raw(made.log.read()?, Some(16_000))
        .start()
        .await?;
    let began = Instant::now();
    dj.await_over(SOON * 2).await?;
    listener.await_tone_since(began, HZ880, SOON).await?;
    let flips: Vec<Flip> = (0..)
        .zip(tones)
        .map(|(index, tone)| Flip {
            at: began + ms(500) * index,
            tone,
        })
        .skip(1)
        .collect();
    let latency = listener.latency(&flips);
    println!("the listener's own share, Mp3, byte sent to tone stamped: {latency}");
    ensure!(latency.missed == 0, "{latency}; {}", listener.report());
    ensure!(latency.p50() < ms(250), "{latency}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn flips_are_found_through_icecast() -> Result<()> {
    let icecast = BareIcecast::start(16 * 1024).await?;
    for codec in [Codec::Mp3, Codec::Opus] {
        let mount = format!("/flips.{}", codec.extension());
        let latency = flips(&icecast.source_url(&mount), &icecast.url(&mount), codec).await?;
        println!("latency through a bare Icecast, {codec:?}: {latency}");
        ensure!(latency.count() >= 15, "{latency}");
        ensure!(latency.p50() < ms(800), "{codec:?}: {latency}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_is_heard_and_nothing_else() -> Result<()> {
    let icecast = BareIcecast::start(16 * 1024).await?;
    for codec in Codec::ALL {
        let mount = format!("/codec.{}", codec.extension());
        let dj = Sender::to(&icecast.source_url(&mount))
            .codec(codec)
            .header("ice-name", "Ünder & <Ober>")
            .start()
            .await?;
        let listener = Listener::to(&icecast.url(&mount)).patient(SOON).open().await?;
        listener
            .await_tone(HZ440, SOON)
            .await
            .with_context(|| format!("{codec:?}: {}", dj.report()))?;
        dj.play(Tone::Silence).await?;
        listener
            .await_tone(Tone::Silence, SOON)
            .await
            .with_context(|| format!("{codec:?}"))?;
        let flip = dj.play(HZ880).await?;
        let after = listener
            .await_tone_since(flip, HZ880, SOON)
            .await
            .with_context(|| format!("{codec:?}"))?;
        println!(
            "{codec:?}: flip heard after {after:?}, first byte after {:?}",
            listener.first_byte()
        );
        assert_eq!(
            named(&listener),
            [HZ440, HZ880, Tone::Silence].into(),
            "{codec:?}: {}",
            listener.report()
        );
        assert_eq!(
            listener.header("content-type").as_deref(),
            Some(codec.content_type())
        );
        assert_eq!(listener.header("icy-name").as_deref(), Some("Ünder & <Ober>"));
        let sent = dj.finish().await?;
        assert_eq!(sent.bytes, u64::try_from(sent.log.read()?.len())?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_missing_bytes_are_gaps() -> Result<()> {
    let url = wire().await?;
    let listener = Listener::to(&url).open().await?;
    let script = Script::default()
        .then(HZ440, ms(2000))
        .then(Tone::Silence, ms(700))
        .hold(HZ440);
    let dj = Sender::to(&url).play(script).start().await?;
    listener.await_tone(Tone::Silence, SOON).await?;
    listener.await_tone(HZ440, SOON).await?;
    let silence = listener.longest_gap(GapKind::Silence);
    assert!((ms(640)..=ms(760)).contains(&silence), "{silence:?}");
    assert_eq!(listener.gaps(ms(500)).len(), 1, "{:?}", listener.gaps(ms(500)));

    dj.stall().await?;
    tokio::time::sleep(ms(1500)).await;
    let lasting = listener.longest_gap(GapKind::NoBytes);
    assert!(lasting >= ms(1200), "{lasting:?}");
    dj.resume().await?;
    let before = listener.bytes();
    listener.await_bytes(before + 40_000, SOON).await?;
    let gap = listener.longest_gap(GapKind::NoBytes);
    assert!((ms(1300)..=ms(2500)).contains(&gap), "{gap:?}");
    assert!(listener.disconnects().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_disconnects_and_a_patient_listener_returns() -> Result<()> {
    let mut icecast = BareIcecast::start(16 * 1024).await?;
    let dj = Sender::to(&icecast.source_url("/live.mp3")).start().await?;
    let url = icecast.url("/live.mp3");
    let once = Listener::to(&url).patient(SOON).open().await?;
    let again = Listener::to(&url).patient(SOON).reconnect(ms(100)).open().await?;
    let crowd = Crowd::of(100, &url).over(ms(500)).gather()?;
    crowd.seated(SOON).await?;
    once.await_tone(HZ440, SOON).await?;
    crowd.await_bytes(48 * 1024, SOON).await?;
    assert_eq!((once.disconnects().len(), crowd.summary().disconnects), (0, 0));

    icecast.kill().await?;
    once.await_disconnects(1, SOON).await?;
    again.await_disconnects(1, SOON).await?;
    dj.await_server_closed(SOON).await?;
    assert!(!dj.is_on_air());
    crowd.await_disconnects(100, SOON).await?;
    let summary = crowd.summary();
    println!("{summary}");
    assert_eq!(
        (summary.listeners, summary.connects, summary.disconnects),
        (100, 100, 100)
    );
    assert!(summary.fewest_bytes >= 48 * 1024, "{summary}");
    assert!(summary.most_bytes < 200_000, "{summary}");
    assert_eq!((once.disconnects().len(), once.connects().len()), (1, 1));
    assert!(
        matches!(once.disconnects()[0].reason, Reason::Ended | Reason::Reset),
        "{}",
        once.report()
    );
    tokio::time::sleep(ms(500)).await;
    assert!(!again.failures().is_empty() && once.failures().is_empty());
    assert!(
        once.longest_gap(GapKind::NoBytes) >= ms(400),
        "a lost stream is a gap that lasts"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_byte_log_is_what_the_server_passed_on() -> Result<()> {
    let icecast = BareIcecast::start(16 * 1024).await?;
    let folder = tempfile::tempdir()?;
    for (protocol, codec) in [
        (Protocol::USUAL, Codec::Mp3),
        (
            Protocol::Put {
                expect: false,
                chunked: false,
            },
            Codec::Adts,
        ),
        (Protocol::Put10, Codec::Mp3),
        (Protocol::Source, Codec::Opus),
    ] {
        let kept = folder.path().join("kept");
        let url = icecast.url("/log");
        let dj = Sender::to(&icecast.source_url("/log"))
            .protocol(protocol)
            .codec(codec)
            .start()
            .await?;
        let listener = Listener::to(&url).patient(SOON).keep(&kept).open().await?;
        listener
            .await_bytes(60_000, SOON)
            .await
            .with_context(|| format!("{protocol:?}: {}", dj.report()))?;
        let sent = dj.finish().await?;
        listener.await_disconnects(1, SOON).await?;
        let (sent, mut got) = (sent.log.read()?, std::fs::read(&kept)?);
        assert_eq!(u64::try_from(got.len())?, listener.bytes());
        if codec == Codec::Opus {
            // Icecast gives a joiner the headers first, and then pages from where it is.
            got.drain(..got.len() - 30_000);
        }
        let found = position_of(&sent, &got);
        ensure!(
            found.is_some(),
            "{protocol:?}: {} received bytes are not among the {} sent",
            got.len(),
            sent.len()
        );
    }
    Ok(())
}

fn position_of(all: &[u8], part: &[u8]) -> Option<usize> {
    all.windows(part.len()).position(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_go_on_with_new_titles() -> Result<()> {
    let url = wire().await?;
    let listener = Listener::to(&url).open().await?;
    let dj = Sender::to(&url)
        .codec(Codec::Opus)
        .tag("title", "Eins & \"zwei\" 🎧")
        .start()
        .await?;
    listener.await_tone(HZ440, SOON).await?;
    for tone in [HZ880, HZ660, HZ440] {
        dj.new_link().await?;
        dj.play(tone).await?;
        listener.await_tone(tone, SOON).await?;
    }
    assert_eq!(
        listener
            .titles()
            .iter()
            .filter(|(_, title)| title == "Eins & \"zwei\" 🎧")
            .count(),
        4
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_go_on_from_codec_to_codec() -> Result<()> {
    let url = wire().await?;
    let listener = Listener::to(&url).open().await?;
    let folder = tempfile::tempdir()?;
    let mut chain = Vec::new();
    for (codec, tone) in [
        (Codec::Opus, HZ880),
        (Codec::OggFlac, HZ660),
        (Codec::Vorbis, Tone::Hz(1320)),
    ] {
        let path = folder.path().join("link.ogg");
        Track::of(tone)
            .length(ms(1500))
            .codec(codec)
            .title("Lied")
            .artist("Wer")
            .write(&path)
            .await?;
        chain.extend(std::fs::read(&path)?);
    }
    let dj = Sender::to(&url)
        .codec(Codec::Opus)
        .raw(chain, Some(40_000))
        .start()
        .await?;
    listener.await_tone(Tone::Hz(1320), SOON).await?;
    dj.await_over(SOON).await?;
    let tones: Vec<Tone> = listener
        .spans()
        .iter()
        .map(|s| s.tone)
        .filter(|t| matches!(t, Tone::Hz(_)))
        .collect();
    assert!(tones == [HZ880, HZ660, Tone::Hz(1320)], "{}", listener.report());
    assert_eq!(
        listener
            .titles()
            .iter()
            .filter(|(_, title)| title == "Wer - Lied")
            .count(),
        3
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_the_middle_does_not_end_the_listening() -> Result<()> {
    for codec in [Codec::Mp3, Codec::Adts, Codec::Opus] {
        let url = wire().await?;
        let mut stream = Vec::new();
        // Of all the noise there is, some looks like a header that makes ffmpeg give up: no frame begins with these.
        let mut noise = StdRng::seed_from_u64(7);
        for tone in [HZ440, HZ880] {
            let script = Script::default().then(tone, ms(2000));
            let made = Sender::to(&url)
                .codec(codec)
                .play(script)
                .unpaced()
                .start()
                .await?;
            made.await_over(SOON).await?;
            let bytes = made.finish().await?.log.read()?;
            // The half of a page or frame, then noise.
            stream.extend_from_slice(&bytes[..bytes.len() - 200]);
            stream.extend((0..5000).map(|_| noise.random_range(0..0x80_u8)));
        }
        let listener = Listener::to(&url).open().await?;
        let dj = Sender::to(&url).codec(codec).content_type(codec.content_type());
        let dj = dj.raw(stream, Some(20_000)).start().await?;
        for tone in [HZ440, HZ880] {
            let heard = listener.await_tone(tone, SOON).await;
            heard.with_context(|| format!("{codec:?}: {}", dj.report()))?;
        }
        assert!(listener.disconnects().is_empty(), "{}", listener.report());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn titles_arrive_as_they_were_sent() -> Result<()> {
    let icecast = BareIcecast::start(0).await?;
    let dj = Sender::to(&icecast.source_url("/live.mp3")).start().await?;
    let listener = Listener::to(&icecast.url("/live.mp3"))
        .titles()
        .patient(SOON)
        .open()
        .await?;
    dj.title("Käse & \"Brot\" 🎧 100%").await?;
    assert_eq!(
        listener.await_title("Brot", SOON).await?,
        "Käse & \"Brot\" 🎧 100%"
    );
    listener.await_tone(HZ440, SOON).await?;
    let spans = listener.spans();
    assert!(
        spans.iter().all(|span| span.blemishes == 0),
        "titles left in the audio: {spans:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_why() -> Result<()> {
    let icecast = BareIcecast::start(0).await?;
    let source = icecast.source_url("/live.mp3");
    let denied = Sender::to(&source).login("source", "wrong").refused().await?;
    assert_eq!(denied.status, 401, "{denied}");
    assert!(!denied.to_string().contains("hackme"), "{denied}");
    let unasked = Protocol::Put {
        expect: false,
        chunked: false,
    };
    assert_eq!(
        Sender::to(&source)
            .login("source", "wrong")
            .protocol(unasked)
            .refused()
            .await?
            .status,
        401
    );

    let missing = Listener::to(&icecast.url("/nothing"))
        .open()
        .await
        .err()
        .context("nothing was granted")?;
    assert_eq!(
        missing.downcast_ref::<Refused>().context("no refusal")?.status,
        404
    );
    let crowd = Crowd::of(3, &icecast.url("/nothing")).gather()?;
    let why = crowd
        .seated(ms(500))
        .await
        .err()
        .context("a crowd heard nothing and was seated")?;
    assert!(why.to_string().contains("404"), "{why}");

    let _holder = Sender::to(&source).start().await?;
    let taken = Sender::to(&source).refused().await?;
    assert_eq!(taken.status, 403, "{taken}");
    let closed = Listener::to("http://127.0.0.1:9/")
        .open()
        .await
        .err()
        .context("port 9 plays")?;
    assert!(format!("{closed:#}").contains("127.0.0.1:9"), "{closed:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_encoded_and_played_without_a_server() -> Result<()> {
    for codec in Codec::ALL {
        let script = Script::default().then(HZ440, ms(1000)).then(HZ880, ms(1000));
        let sender = Sender::to("http://nowhere/").codec(codec).play(script);
        let stream = sender.unpaced().encode().await?;
        let played = play(codec, &stream).await?;
        let mut tones = played.tones.clone();
        tones.retain(|tone| *tone != Tone::Unknown);
        tones.dedup();
        ensure!(tones == [HZ440, HZ880], "{codec:?}: {played:?}");
        ensure!(played.complaints.is_empty(), "{codec:?}: {}", played.complaints);
        ensure!(
            played.length.abs_diff(ms(2000)) < ms(100),
            "{codec:?}: {:?}",
            played.length
        );

        let torn = [
            &stream[..stream.len() / 2],
            &[0x55; 3000],
            &stream[stream.len() / 2 + 300..],
        ]
        .concat();
        let played = play(codec, &torn).await?;
        ensure!(
            !played.complaints.is_empty(),
            "{codec:?}: a torn stream played well"
        );
    }
    Ok(())
}

/// Takes one source, answers nothing, and tells how its connection ended.
async fn ending_seen_by_server(cut: Option<Cut>) -> Result<std::io::Result<usize>> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/live", socket.local_addr()?);
    let unasked = Protocol::Put {
        expect: false,
        chunked: false,
    };
    let dj = Sender::to(&url).protocol(unasked).start().await?;
    let (mut stream, _) = socket.accept().await?;
    let reading = tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
    dj.await_sent(8000, SOON).await?;
    match cut {
        Some(cut) => drop(dj.cut(cut).await?),
        None => drop(dj),
    }
    Ok(tokio::time::timeout(SOON, reading).await??)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut_as_asked() -> Result<()> {
    let reset = ending_seen_by_server(Some(Cut::Reset)).await?;
    assert_eq!(
        reset.err().map(|error| error.kind()),
        Some(std::io::ErrorKind::ConnectionReset)
    );
    assert!(ending_seen_by_server(Some(Cut::Fin)).await?.is_ok());
    assert!(ending_seen_by_server(None).await?.is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_carry_exactly_the_log() -> Result<()> {
    let (body, received) = tokio::sync::oneshot::channel();
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let take = axum::routing::put(move |bytes: axum::body::Bytes| async move {
        let body = body.lock().unwrap().take();
        let _ = body.unwrap().send(bytes);
    });
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/live", socket.local_addr()?);
    tokio::spawn(async move { axum::serve(socket, axum::Router::new().route("/live", take)).await });
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("sent");
    let dj = Sender::to(&url)
        .protocol(Protocol::Put {
            expect: false,
            chunked: true,
        })
        .codec(Codec::WebmOpus)
        .play(Script::default().then(HZ440, Duration::from_secs(20)))
        .speed(10.0)
        .log_to(&log)
        .start()
        .await?;
    let began = Instant::now();
    dj.await_over(SOON).await?;
    assert!(
        began.elapsed() > ms(1500),
        "20 s at 10 x took {:?}",
        began.elapsed()
    );
    assert_eq!(dj.await_reply(SOON).await?.status, 200);
    let sent = dj.finish().await?;
    let received = received.await?;
    assert!(received.len() > 100_000, "{}", received.len());
    assert_eq!(received, std::fs::read(&log)?);
    assert_eq!(sent.bytes, u64::try_from(received.len())?);
    Ok(())
}

/// Takes one connection, reads what comes for a while, refuses it and closes; gives what came.
async fn porter(stays: Duration) -> Result<(String, tokio::task::JoinHandle<Result<Vec<u8>>>)> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://source:hackme@{}/live.mp3", socket.local_addr()?);
    let taken = tokio::spawn(async move {
        let (mut stream, _) = socket.accept().await?;
        let mut seen = Vec::new();
        let reading = async {
            while stream.read_buf(&mut seen).await? > 0 {}
            Ok::<_, anyhow::Error>(())
        };
        let _ = tokio::time::timeout(stays, reading).await;
        stream.write_all(b"HTTP/1.0 400 Bad\r\n\r\nnot like this").await?;
        Ok(seen)
    });
    Ok((url, taken))
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_protocols_are_spoken() -> Result<()> {
    let dialed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dialed);
    let door: Dialer = Arc::new(move |host: String, port: u16| {
        count.fetch_add(1, Ordering::Relaxed);
        TcpStream::connect((host, port))
    });
    let said = async |wrong: Wrong| -> Result<(Vec<u8>, wrong::Verdict)> {
        let (url, taken) = porter(ms(500)).await?;
        let verdict = wrong::knock(&door, &url, &wrong, SOON).await?;
        Ok((taken.await??, verdict))
    };
    let (heads, verdict) = said(Wrong::Method("BREW".into())).await?;
    assert!(heads.starts_with(b"BREW /live.mp3 HTTP/1.1\r\n") && heads.ends_with(b"\r\n\r\n"));
    let reply = verdict.reply.context("the porter's refusal was not read")?;
    assert_eq!((reply.status, reply.body.as_str()), (400, "not like this"));
    let after = verdict
        .closed_after
        .context("the porter's closing was not seen")?;
    assert!((ms(450)..ms(2000)).contains(&after), "{after:?}");
    assert_eq!(said(Wrong::Garbage(2000)).await?.0.len(), 2000);
    assert!(said(Wrong::OversizedHead(100_000)).await?.0.len() > 100_000);
    let (half, _) = said(Wrong::HalfHead).await?;
    assert!(half.starts_with(b"PUT /live.mp3") && position_of(&half, b"\r\n\r\n").is_none());
    let (slow, _) = said(Wrong::SlowHead(ms(100))).await?;
    assert!(
        (3..=7).contains(&slow.len()) && slow.starts_with(b"PUT"),
        "{slow:?}"
    );
    assert_eq!(said(Wrong::Exactly(b"x".to_vec())).await?.0, b"x");
    assert_eq!(said(Wrong::Mute).await?.0, b"");

    let (url, taken) = porter(SOON).await?;
    let patient = wrong::knock(&door, &url, &Wrong::NoAudio, ms(300)).await?;
    assert!(
        patient.reply.is_none() && patient.closed_after.is_none(),
        "{patient:?}"
    );
    assert!(
        taken.await??.ends_with(b"\r\n\r\n"),
        "the connection ends when patience does"
    );
    assert_eq!(
        dialed.load(Ordering::Relaxed),
        8,
        "every connection is the dialer's"
    );
    let icecast = BareIcecast::start(0).await?;
    assert_eq!(
        wrong::mutes(&door, &icecast.source_url("/live.mp3"), 5)
            .await?
            .len(),
        5
    );
    Ok(())
}
