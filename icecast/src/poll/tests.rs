use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;
use crate::mark;
use crate::settings::{Settings, tests::SOUND};
use crate::stats::tests::XIPH;
use crate::xml::parse;

/// An Icecast that answers what it is told to, and remembers what it was asked.
struct Double {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<String>>,
}

impl Double {
    async fn new(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(answer)));
        let (questions, answers) = (Arc::clone(&asked), Arc::clone(&answer));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut question = vec![0; 2000];
                let read = socket.read(&mut question).await.unwrap();
                let question = String::from_utf8_lossy(&question[..read]).into_owned();
                let answer = match question.split(' ').nth(1) {
                    Some("/admin/stats") => answers.lock().unwrap().clone(),
                    _ => ok(
                        "<icestats><source><listener><username>relay</username></listener></source></icestats>",
                    ),
                };
                questions.lock().unwrap().push(question);
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self {
            address,
            asked,
            answer,
        }
    }

    fn paths(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|question| question.split(' ').nth(1).unwrap().to_owned())
            .collect()
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.0 200 OK\r\n\r\n{body}")
}

fn given(config: &str, mark: &str) -> Arc<Given> {
    Arc::new(Given {
        settings: Settings::read(&parse(config).unwrap()).unwrap(),
        mark: mark::split(&format!("[configuration {mark}]")).1,
        at: Instant::now(),
    })
}

fn eye(double: &Double) -> Eye {
    Eye {
        icecast: double.address,
        view: Shared::default(),
        metrics: Metrics::default(),
        previous: None,
        failed: 0,
        slow: HashSet::new(),
        told: None,
    }
}

fn origin() -> String {
    let relay = SOUND.find("<relay>").unwrap();
    format!("{}</icecast>", &SOUND[..relay])
}

#[tokio::test]
async fn an_origin_is_asked_for_its_relays_and_a_relay_is_not() {
    let double = Double::new(ok(&XIPH.replace("\"/live\"", "\"/live &amp; l\u{e4}ut\""))).await;
    let mut eye = eye(&double);
    eye.look(&given(&origin(), "5f")).await;
    assert_eq!(
        double.paths(),
        ["/admin/stats", "/admin/listclients?mount=/live%20%26%20l%C3%A4ut"]
    );
    {
        let view = eye.view.look();
        let mount = &view.stats(Instant::now()).unwrap().mounts["/live & l\u{e4}ut"];
        assert_eq!((mount.listeners, mount.relays, mount.people()), (2, Some(1), 1));
    }
    eye.look(&given(SOUND, "5f")).await;
    assert_eq!(double.paths().len(), 3);
}

#[tokio::test]
async fn failures_are_counted_by_their_kind() {
    let double = Double::new(String::new()).await;
    let mut eye = eye(&double);
    for (answer, word) in [
        ("HTTP/1.0 401 No\r\n\r\n".to_owned(), "refused"),
        ("HTTP/1.0 500 No\r\n\r\n".to_owned(), "refused"),
        (
            "HTTP/1.0 403 No\r\n\r\nIcecast connection limit reached".to_owned(),
            "full",
        ),
        (ok("<icestats>"), "unreadable"),
        (String::new(), "unreachable"),
    ] {
        *double.answer.lock().unwrap() = answer;
        let count = |eye: &Eye| {
            let reason = crate::metrics::Reason { reason: word };
            eye.metrics.poll_failures.get_or_create(&reason).get()
        };
        let before = count(&eye);
        eye.look(&given(SOUND, "5f")).await;
        assert_eq!(count(&eye), before + 1, "{word}");
    }
    assert_eq!(eye.pause(None), SOONER);
    *double.answer.lock().unwrap() = ok(XIPH);
    eye.look(&given(SOUND, "5f")).await;
    assert_eq!(eye.pause(Some(&given(SOUND, "5f"))), BETWEEN);
    assert_eq!(eye.pause(Some(&given(SOUND, "60"))), SOONER, "awaited");
}

#[tokio::test]
async fn a_rotated_password_is_tried_after_the_new_one() {
    let double = Double::new("HTTP/1.0 401 No\r\n\r\n".to_owned()).await;
    let (tell, givens) = watch::channel(Some(given(SOUND, "5f")));
    let (view, metrics) = (Shared::default(), Metrics::default());
    let looking = tokio::spawn(keep_looking(double.address, givens, view, metrics));
    let words = |double: &Double| {
        let asked = double.asked.lock().unwrap();
        let mut words: Vec<String> = asked
            .iter()
            .map(|question| {
                let (_, word) = question.split_once("authorization: Basic ").unwrap();
                word.split_once("\r\n").unwrap().0.to_owned()
            })
            .collect();
        words.dedup();
        words
    };
    let asked = timeout(Duration::from_secs(10), async {
        while words(&double).is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        tell.send_replace(Some(given(&SOUND.replace("hackme", "rotated"), "60")));
        while words(&double).len() < 3 {
            sleep(Duration::from_millis(10)).await;
        }
    });
    asked.await.unwrap();
    // admin:hackme, admin:rotated
    let (old, new) = ("YWRtaW46aGFja21l", "YWRtaW46cm90YXRlZA==");
    assert_eq!(words(&double)[..3], [old, new, old]);
    drop(tell);
    timeout(Duration::from_secs(10), looking).await.unwrap().unwrap();
}
