//! The whole way with the real ingest, which is killed too.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ingest::config::{Credential, INGEST_KEY, Ingest, Input, Reader, Routing};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::audio::Mp3;
use crate::stage::{Stage, TOKEN, free_port, kill};

/// Received by the ingest, so it is in the bucket: `kill -9` of the ingest costs what was in no tape yet, and nothing else.
#[tokio::test]
async fn what_the_ingest_had_is_in_the_bucket() {
    let mut stage = Stage::new().await;
    stage.close_desk().await;
    let program = program().await;
    let mounted = stage.dir().join("ingest");
    let tapes = stage.dir().join("real");
    configure(&mounted);
    let sources = free_port().await;
    let start = || start(&program, &mounted, &tapes, sources, stage.desk_address);
    let mut ingest = start();
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    let mut audio = Mp3::new(42);
    let mut sent = Vec::new();
    for round in 0..4 {
        let mut source = connect(sources).await;
        let mut bytes = Vec::new();
        for _ in 0..20 {
            let some = audio.frames(150);
            if source.write_all(&some).await.is_err() {
                break;
            }
            bytes.extend(some);
            sleep(Duration::from_millis(100)).await;
        }
        sent.push(bytes);
        if round < 3 {
            kill(&mut ingest).await;
            ingest = start();
        }
    }
    sleep(Duration::from_millis(500)).await;
    stage.over(&mut ship).await;
    let bucket = stage.bucket().await;
    assert_eq!(
        bucket.len(),
        4,
        "one session for each connection\n{}",
        stage.log()
    );
    let (mut undelivered, mut total) = (0, 0);
    for ((session, (segments, doubled)), bytes) in bucket.iter().zip(&sent) {
        assert_eq!(*doubled, 0);
        let kept: Vec<u8> = segments.values().flatten().copied().collect();
        let on_tape = fs::read(tapes.join("sessions").join(session).join("tape")).unwrap();
        assert!(
            kept == on_tape,
            "{session}: {} stored, {} taped\n{}",
            kept.len(),
            on_tape.len(),
            stage.log()
        );
        assert!(bytes.starts_with(&kept), "{session}");
        undelivered += bytes.len() - kept.len();
        total += kept.len();
    }
    println!(
        "4 sessions, 3 kills of the ingest, {total} bytes taped: 0 lost, 0 doubled; {undelivered} never reached a tape"
    );
}

fn start(program: &Path, mounted: &Path, tapes: &Path, sources: SocketAddr, readers: SocketAddr) -> Child {
    let mut command = Command::new(program);
    command
        .arg("serve")
        .arg("--mounted")
        .arg(mounted)
        .arg("--tapes")
        .arg(tapes);
    for (name, address) in [
        ("--sources", sources.to_string()),
        ("--readers", readers.to_string()),
        ("--health", "127.0.0.1:0".to_owned()),
    ] {
        command.arg(name).arg(address);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn configure(mounted: &Path) {
    let hex = |text: &str| recorder::store::hex(&Sha256::digest(text));
    let config = Ingest {
        inputs: vec![Input {
            mount: "main".to_owned(),
            name: "studio".to_owned(),
            path: "/main/studio".to_owned(),
            priority: 0,
            accepts: None,
            credentials: vec![Credential {
                user: "source".to_owned(),
                sha256: hex("password"),
                routing: Routing::Live,
            }],
        }],
        readers: vec![Reader {
            name: "recording/show".to_owned(),
            sha256: hex(TOKEN),
            mounts: Some(vec!["main".to_owned()]),
        }],
        tape_cap_bytes: 1 << 40,
    };
    fs::create_dir(mounted).unwrap();
    fs::write(mounted.join(INGEST_KEY), serde_json::to_vec(&config).unwrap()).unwrap();
}

async fn connect(sources: SocketAddr) -> TcpStream {
    let mut source = loop {
        match TcpStream::connect(sources).await {
            Ok(source) => break source,
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    };
    let login = STANDARD.encode("source:password");
    let head = format!(
        "PUT /main/studio HTTP/1.1\r\nHost: radio\r\nAuthorization: Basic {login}\r\nContent-Type: audio/mpeg\r\n\r\n"
    );
    source.write_all(head.as_bytes()).await.unwrap();
    source
}

/// The ingest of this build, built if need be.
async fn program() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--package", "ingest"])
        .status()
        .await
        .unwrap();
    assert!(built.success());
    Path::new(env!("CARGO_BIN_EXE_recorder")).with_file_name("ingest")
}
