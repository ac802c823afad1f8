//! Figure: how soon a listener hears something, through a relay Service and from a bare Icecast beside it.

use std::time::Duration;

use anyhow::Result;
use e2e::harness::play;
use e2e::harness::radio::{ON_AIR, dial};
use e2e::sound::{BareIcecast, Codec, Crowd, Dial, Direct, Script, Sender, Summary, Tone};

const LISTENERS: usize = 100;
const ROUNDS: usize = 2;
/// What our relays are configured with.
const BURST: u32 = 8 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn bench_first_byte_beside_a_bare_icecast() {
    play("bench", |stage| async move {
        stage.on_air().await?;
        let bare = BareIcecast::start(BURST).await?;
        let source = bare.source_url("/live.mp3");
        let dj = Sender::to(&source)
            .codec(Codec::Mp3)
            .kbps(128)
            .play(Script::steady(Tone::Hz(880)))
            .start()
            .await?;
        dj.await_sent(u64::from(BURST) * 2, ON_AIR).await?;
        let service = stage.service("fm-listen", ON_AIR).await?;
        for round in 1..=ROUNDS {
            let ours = crowd(&format!("http://{service}/live.mp3"), dial).await?;
            let peer = crowd(&bare.url("/live.mp3"), Direct).await?;
            println!("bench: round {round}, ours: {ours}");
            println!("bench: round {round}, bare: {peer}");
            let ratio = |percentile: fn(&Summary) -> Duration| {
                percentile(&ours).as_secs_f64() / percentile(&peer).as_secs_f64()
            };
            println!(
                "bench: first byte, ours / bare: p50 {:.2}, p99 {:.2}",
                ratio(|s| s.first_bytes.p50()),
                ratio(|s| s.first_bytes.p99())
            );
        }
        Ok(())
    })
    .await;
}

async fn crowd(url: &str, by: impl Dial) -> Result<Summary> {
    let crowd = Crowd::of(LISTENERS, url)
        .dial(by)
        .over(Duration::from_secs(2))
        .gather()?;
    crowd.seated(ON_AIR).await?;
    crowd.await_bytes(u64::from(BURST), ON_AIR).await?;
    Ok(crowd.summary())
}
