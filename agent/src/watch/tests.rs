//! An API server of two routes, so that absence, change, outage and refusal happen on a real connection. The real
//! API server is asked in the end-to-end tests.

use super::*;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::broadcast;

/// What the API server knows; it outlives the server's outages.
#[derive(Clone)]
struct Cluster {
    now: Arc<Mutex<Known>>,
    events: broadcast::Sender<Value>,
}

#[derive(Default)]
struct Known {
    version: u32,
    object: Option<Value>,
    last_event: Option<Value>,
    forbidden: bool,
    selectors: Vec<String>,
    refused: usize,
}

/// One life of the API server. Its end closes every connection, as a process's death does.
struct Server {
    addr: SocketAddr,
    runtime: Option<Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Cluster {
    fn new() -> Self {
        let (events, _) = broadcast::channel(16);
        Self {
            now: Arc::default(),
            events,
        }
    }

    fn serve(&self, port: u16) -> Server {
        // The life before this one may still be closing its socket.
        let listener = loop {
            match std::net::TcpListener::bind(("127.0.0.1", port)) {
                Err(taken) if taken.kind() == io::ErrorKind::AddrInUse => std::thread::yield_now(),
                bound => break bound.unwrap(),
            }
        };
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let routes = Router::new()
            .route("/api/v1/namespaces/on-air/{kind}", get(answer))
            .with_state(self.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
        Server {
            addr,
            runtime: Some(runtime),
        }
    }

    fn put(&self, object: Option<Value>) {
        let mut now = self.now.lock().unwrap();
        now.version += 1;
        let kind = if object.is_some() { "MODIFIED" } else { "DELETED" };
        let mut told = object.clone().unwrap_or_else(|| now.object.clone().unwrap());
        let version = now.version.to_string();
        told["metadata"] = json!({"name": "live", "namespace": "on-air", "resourceVersion": version});
        now.object = object.map(|_| told.clone());
        let event = json!({"type": kind, "object": told});
        now.last_event = Some(event.clone());
        // Nobody may be watching just now.
        let _: Result<usize, _> = self.events.send(event);
    }
}

async fn answer(State(cluster): State<Cluster>, Query(query): Query<Vec<(String, String)>>) -> Response {
    let given = |key: &str| {
        query
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.clone())
    };
    let mut now = cluster.now.lock().unwrap();
    now.selectors.push(given("fieldSelector").unwrap_or_default());
    if now.forbidden {
        now.refused += 1;
        let refusal = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
            "reason": "Forbidden", "message": "no Role"});
        return (StatusCode::FORBIDDEN, refusal.to_string()).into_response();
    }
    if given("watch").is_some() {
        let known: u32 = given("resourceVersion").unwrap().parse().unwrap();
        let missed = now.last_event.clone().filter(|_| known < now.version);
        let later = futures::stream::unfold(cluster.events.subscribe(), |mut events| async move {
            Some((events.recv().await.ok()?, events))
        });
        let lines = futures::stream::iter(missed).chain(later);
        return Body::from_stream(lines.map(|event| Ok::<_, io::Error>(format!("{event}\n"))))
            .into_response();
    }
    let items: Vec<Value> = now.object.iter().cloned().collect();
    json!({"metadata": {"resourceVersion": now.version.to_string()}, "items": items})
        .to_string()
        .into_response()
}

fn secret(password: &str) -> Value {
    // base64 of the words used here, so that the test needs no encoder
    let encoded = match password {
        "one" => "b25l",
        "two" => "dHdv",
        other => panic!("no base64 of {other} here"),
    };
    json!({"metadata": {}, "data": {"password": encoded}})
}

fn files(entries: &[(&str, &[u8])]) -> Files {
    Files(
        entries
            .iter()
            .map(|(key, content)| ((*key).to_owned(), content.to_vec()))
            .collect(),
    )
}

type Followed = Pin<Box<dyn Stream<Item = Option<Files>> + Send>>;

fn start(addr: SocketAddr, object: Object) -> Followed {
    let config = kube::Config::new(format!("http://{addr}").parse().unwrap());
    Box::pin(follow(Client::try_from(config).unwrap(), "on-air", object))
}

async fn next(followed: &mut Followed) -> Option<Files> {
    tokio::time::timeout(Duration::from_secs(20), followed.next())
        .await
        .expect("nothing emitted")
        .unwrap()
}

async fn quiet(followed: &mut Followed, long: Duration) {
    assert!(
        tokio::time::timeout(long, followed.next()).await.is_err(),
        "emitted though nothing changed"
    );
}

#[tokio::test]
async fn a_secret_is_followed_from_absence_to_deletion() {
    let cluster = Cluster::new();
    cluster.now.lock().unwrap().version = 1;
    let server = cluster.serve(0);
    let mut followed = start(server.addr, Object::Secret("live".to_owned()));
    assert_eq!(next(&mut followed).await, None);
    cluster.put(Some(secret("one")));
    assert_eq!(next(&mut followed).await, Some(files(&[("password", b"one")])));
    cluster.put(Some(secret("one")));
    quiet(&mut followed, Duration::from_millis(300)).await;
    cluster.put(Some(secret("two")));
    assert_eq!(next(&mut followed).await, Some(files(&[("password", b"two")])));
    cluster.put(None);
    assert_eq!(next(&mut followed).await, None);
    assert!(
        cluster
            .now
            .lock()
            .unwrap()
            .selectors
            .iter()
            .all(|selector| selector == "metadata.name=live")
    );
}

#[tokio::test]
async fn an_outage_and_a_refusal_are_silence_and_then_only_the_change() {
    let cluster = Cluster::new();
    cluster.put(Some(secret("one")));
    let server = cluster.serve(0);
    let addr = server.addr;
    let mut followed = start(addr, Object::Secret("live".to_owned()));
    assert_eq!(next(&mut followed).await, Some(files(&[("password", b"one")])));

    drop(server);
    quiet(&mut followed, Duration::from_secs(1)).await;
    cluster.now.lock().unwrap().forbidden = true;
    let server = cluster.serve(addr.port());
    cluster.put(Some(secret("two")));
    while cluster.now.lock().unwrap().refused == 0 {
        quiet(&mut followed, Duration::from_millis(50)).await;
    }
    drop(server);
    quiet(&mut followed, Duration::from_millis(300)).await;
    cluster.now.lock().unwrap().forbidden = false;
    let server = cluster.serve(addr.port());
    assert_eq!(
        next(&mut followed).await,
        Some(files(&[("password", b"two")])),
        "changed during the outage"
    );

    drop(server);
    let _server = cluster.serve(addr.port());
    quiet(&mut followed, Duration::from_secs(2)).await;
    cluster.put(Some(secret("one")));
    assert_eq!(next(&mut followed).await, Some(files(&[("password", b"one")])));
}

#[tokio::test]
async fn the_api_may_be_away_at_the_start() {
    let cluster = Cluster::new();
    cluster.put(Some(secret("one")));
    let addr = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut followed = start(addr, Object::Secret("live".to_owned()));
    quiet(&mut followed, Duration::from_millis(500)).await;
    let _server = cluster.serve(addr.port());
    assert_eq!(next(&mut followed).await, Some(files(&[("password", b"one")])));
}

#[tokio::test]
async fn a_config_map_gives_text_and_binary_keys() {
    let cluster = Cluster::new();
    cluster.put(Some(
        json!({"metadata": {}, "data": {"a.m3u": "jingle"}, "binaryData": {"b.mp3": "/w=="}}),
    ));
    let server = cluster.serve(0);
    let mut followed = start(server.addr, Object::ConfigMap("live".to_owned()));
    assert_eq!(
        next(&mut followed).await,
        Some(files(&[("a.m3u", b"jingle"), ("b.mp3", b"\xff")]))
    );
}

#[test]
fn retries_grow_and_stay_frequent_enough() {
    let mut retry = Retry::default();
    for longest in [250, 500, 1000, 2000, 4000, 8000, 8000, 8000] {
        let pause = retry.next().unwrap();
        let longest = Duration::from_millis(longest);
        assert!(
            pause <= longest && pause >= longest / 2,
            "{pause:?} of {longest:?}"
        );
    }
    retry.reset();
    assert!(retry.next().unwrap() <= Duration::from_millis(250));
}

#[test]
fn passwords_do_not_show_in_debug_output() {
    assert_eq!(
        format!("{:?}", files(&[("password", b"hackme")])),
        r#"{"password": 6}"#
    );
}

/// Writes a version the way kubelet does: a new directory, then `..data` swapped onto it, then the old one removed.
fn project(dir: &Path, version: &str, entries: &[(&str, &str)]) {
    let old = fs::read_link(dir.join("..data"));
    fs::create_dir(dir.join(version)).unwrap();
    for (key, content) in entries {
        fs::write(dir.join(version).join(key), content).unwrap();
        if fs::symlink_metadata(dir.join(key)).is_err() {
            symlink(Path::new("..data").join(key), dir.join(key)).unwrap();
        }
    }
    symlink(version, dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    if let Ok(old) = old {
        fs::remove_dir_all(dir.join(old)).unwrap();
    }
}

#[test]
fn a_mounted_secret_is_read_whole_and_never_mixed() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        read_mounted(&dir.path().join("absent")).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    assert_eq!(read_mounted(dir.path()).unwrap(), Files::default());
    project(dir.path(), "..v0", &[("icecast.xml", "0"), ("hash", "0")]);
    assert_eq!(
        read_mounted(dir.path()).unwrap(),
        files(&[("hash", b"0"), ("icecast.xml", b"0")])
    );

    let path = dir.path().to_path_buf();
    let kubelet = std::thread::spawn(move || {
        for version in 1..400 {
            let content = version.to_string();
            project(
                &path,
                &format!("..v{version}"),
                &[("icecast.xml", &content), ("hash", &content)],
            );
        }
    });
    while !kubelet.is_finished() {
        // Losing the race ten times in a row is possible here, where versions live for microseconds.
        if let Ok(Files(read)) = read_mounted(dir.path()) {
            assert_eq!(read["icecast.xml"], read["hash"]);
        }
    }
    kubelet.join().unwrap();
    assert_eq!(
        read_mounted(dir.path()).unwrap(),
        files(&[("hash", b"399"), ("icecast.xml", b"399")])
    );
}

#[test]
fn a_plain_directory_is_read_without_its_subdirectories() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("playout.json"), "{}").unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    assert_eq!(
        read_mounted(dir.path()).unwrap(),
        files(&[("playout.json", b"{}")])
    );
}
