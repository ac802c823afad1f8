use recorder::report::Progress;

use super::*;
use crate::recording::sample::{FULL, PLAIN, at, capture, ship, valid};

fn key() -> Key {
    ("city".to_owned(), "live-20261121t140000z".to_owned())
}

fn target(uid: &str) -> Target {
    Target {
        pod: "live-20261121t140000z-x".to_owned(),
        uid: uid.to_owned(),
        address: IpAddr::from([127, 0, 0, 1]),
        station: "radio".to_owned(),
        rule: Rule::from(&valid(PLAIN).told),
    }
}

fn said(sessions: &[(&str, i64, Option<i64>)]) -> Told {
    Told {
        ship: Some(ship(None, sessions)),
        capture: Some(capture()),
        over_on_tape: false,
    }
}

#[test]
fn a_recorder_is_asked_until_it_is_gone() {
    let (recorders, mut orders) = Recorders::new();
    let mut next = || orders.try_recv().ok();
    recorders.follow(&key(), None);
    assert_eq!(next(), None);
    recorders.follow(&key(), Some(target("1")));
    assert_eq!(next(), Some(Order::Follow(key(), Box::new(target("1")))));
    recorders.follow(&key(), Some(target("1")));
    assert_eq!(next(), None);
    assert_eq!(recorders.told("city", "live-20261121t140000z"), Told::default());
    assert!(recorders.said(&key(), "1", said(&[]), at(0)));
    assert!(!recorders.said(&key(), "1", said(&[]), at(0)));

    // Another pod has to speak for itself, and the one before it has nothing to say any more.
    recorders.follow(&key(), Some(target("2")));
    assert_eq!(next(), Some(Order::Follow(key(), Box::new(target("2")))));
    assert_eq!(recorders.told("city", "live-20261121t140000z"), Told::default());
    assert!(!recorders.said(&key(), "1", said(&[("a", 2, None)]), at(0)));
    assert!(recorders.said(&key(), "2", said(&[("a", 2, None)]), at(0)));

    recorders.follow(&key(), None);
    assert_eq!(next(), Some(Order::Leave(key())));
    assert!(!recorders.said(&key(), "2", said(&[]), at(0)));
    assert_eq!(recorders.told("city", "live-20261121t140000z"), Told::default());
}

#[test]
fn only_what_a_status_says_is_news() {
    let (recorders, _orders) = Recorders::new();
    recorders.follow(&key(), Some(target("1")));
    let news = |told: Told| recorders.said(&key(), "1", told, at(0));
    assert!(news(said(&[("a", 2, None)])));
    let mut further = said(&[("a", 2, None)]);
    let progress: &mut Progress = &mut further.ship.as_mut().unwrap().sessions[0];
    progress.stored += 1_000_000;
    further.capture.as_mut().unwrap().spool_bytes = 5000;
    assert!(!news(further));
    assert!(news(said(&[("a", 2, Some(60))])));
    assert!(news(said(&[("a", 2, Some(60)), ("b", 65, None)])));
    let mut over = said(&[("a", 2, Some(60)), ("b", 65, Some(70))]);
    over.ship.as_mut().unwrap().over = Some(OverWhy::Idle);
    assert!(news(over.clone()));
    let mut filling = over.clone();
    filling.capture.as_mut().unwrap().spool_fill = Fill::Half;
    assert!(news(filling.clone()));
    let mut silence = filling.clone();
    silence.over_on_tape = true;
    assert!(news(silence));
    filling.over_on_tape = false;
    assert!(news(filling.clone()));
    // No answer is no news, and nothing is forgotten.
    assert!(!news(Told::default()));
    assert_eq!(recorders.told("city", "live-20261121t140000z"), filling);
}

#[test]
fn a_store_in_trouble_is_told_when_it_lasts_and_in_its_first_words() {
    let (recorders, _orders) = Recorders::new();
    recorders.follow(&key(), Some(target("1")));
    let trouble = |since, code: &str, message: &str| Trouble {
        since: at(since),
        code: code.to_owned(),
        message: message.to_owned(),
    };
    let news = |trouble: Option<Trouble>, second| {
        let mut told = said(&[]);
        told.ship.as_mut().unwrap().trouble = trouble;
        recorders.said(&key(), "1", told, at(second))
    };
    let told = || {
        recorders
            .told("city", "live-20261121t140000z")
            .ship
            .unwrap()
            .trouble
    };
    assert!(news(None, 0));
    assert!(!news(Some(trouble(1, "Silent", "PUT a")), 5));
    assert_eq!(told(), None);
    assert!(news(Some(trouble(1, "Silent", "PUT a")), 11));
    assert!(!news(Some(trouble(1, "Silent", "PUT b")), 16));
    assert_eq!(told(), Some(trouble(1, "Silent", "PUT a")));
    assert!(news(Some(trouble(1, "AccessDenied", "PUT b")), 21));
    assert!(news(None, 26));
    // A storm that lets something through now and then.
    for second in (30..600).step_by(5) {
        assert!(!news(Some(trouble(second - 4, "SlowDown", "PUT c")), second));
    }
}

#[test]
fn a_pod_is_asked_where_it_is() {
    let pod = |ip: serde_json::Value| -> Pod {
        serde_json::from_value(
            serde_json::json!({"metadata": {"name": "p", "uid": "u"}, "status": {"podIP": ip}}),
        )
        .unwrap()
    };
    let target = Target::of(&pod("10.1.2.3".into()), &valid(FULL)).unwrap();
    let doors = ask::Doors::of(target.address);
    assert_eq!(
        (doors.capture.to_string(), doors.ship.to_string()),
        ("10.1.2.3:8001".to_owned(), "10.1.2.3:8002".to_owned())
    );
    assert_eq!(
        (target.station.as_str(), target.rule.input.as_deref()),
        ("radio", Some("van"))
    );
    let of_ip6 = Target::of(&pod("fd00::1".into()), &valid(PLAIN)).unwrap();
    assert_eq!(ask::Doors::of(of_ip6.address).ship.to_string(), "[fd00::1]:8002");
    for nowhere in [serde_json::Value::Null, "".into(), "x".into()] {
        assert_eq!(Target::of(&pod(nowhere), &valid(PLAIN)), None);
    }
}

mod over_the_network {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use axum::{Json, Router, routing::get};
    use futures::{StreamExt, channel::mpsc::unbounded};
    use kube::core::DeserializeGuard;
    use recorder::report::Captured;
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        recorders::ask::{Asker, Doors},
        testing::{self, MockApi, fill, yaml},
        watch::{Queues, Stores},
    };

    async fn serve(router: Router) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn one_that_answers_strangely_has_said_nothing() {
        let good = Router::new().route("/v1/state", get(async || Json(ship(None, &[("a", 2, None)]))));
        let strange = Router::new().route("/v1/state", get(async || "nonsense"));
        let doors = Doors {
            capture: serve(strange).await,
            ship: serve(good).await,
        };
        let told = Asker::default().ask(doors).await;
        assert_eq!(
            (told.capture, told.ship),
            (None, Some(ship(None, &[("a", 2, None)])))
        );
        let nobody = Doors {
            capture: doors.capture,
            ship: serve(Router::new()).await,
        };
        assert_eq!(Asker::default().ask(nobody).await, Told::default());
    }

    fn hangs() -> CaptureState {
        CaptureState {
            sessions: vec![Captured {
                id: "a".to_owned(),
                captured: 1000,
            }],
            ..capture()
        }
    }

    async fn says<T: serde::Serialize + Clone + Send + Sync + 'static>(state: T) -> std::net::SocketAddr {
        let answer = move || std::future::ready(Json(state.clone()));
        serve(Router::new().route("/v1/state", get(answer))).await
    }

    /// A tape that grows with each question.
    async fn growing_tape() -> std::net::SocketAddr {
        let bytes = Arc::new(AtomicU64::new(2000));
        let answer = async move || {
            let session = ingest::api::Session {
                bytes: bytes.fetch_add(100, Ordering::SeqCst),
                ..crate::recording::sample::taped("a", 2, None)
            };
            Json(ingest::api::Sessions {
                version: "1".to_owned(),
                sessions: vec![session],
                refusals: Vec::new(),
                fill: Fill::Low,
            })
        };
        serve(Router::new().route("/v1/sessions", get(answer))).await
    }

    /// An operator that knows the Recording and its Station's tape.
    fn operator(api: &MockApi, tape: std::net::SocketAddr) -> Arc<crate::context::Context> {
        let client = api.client(|asked| (200, asked.body.clone()));
        let (stores, mut writers) = Stores::empty();
        let recording = yaml(crate::recording::sample::PLAIN);
        fill(&mut writers.recordings, [DeserializeGuard(Ok(recording))]);
        let context = testing::context(client, stores);
        let station = ("city".to_owned(), "radio".to_owned());
        let access = ingest::config::TapeAccess {
            addresses: vec![tape.to_string()],
            token: "t".to_owned(),
        };
        context.sources.follow(&station, Some(access));
        context.recorders.follow(&key(), Some(target("1")));
        Arc::new(context)
    }

    /// A recorder that captures nothing, and a tape that grows: in a time that passes faster.
    #[tokio::test]
    async fn one_that_hangs_is_replaced_once_and_that_is_told() {
        let api = MockApi::default();
        let (recordings, mut woken) = unbounded();
        let asking = follow::Follower {
            context: operator(&api, growing_tape().await),
            queues: Queues {
                stations: unbounded().0,
                mounts: unbounded().0,
                shows: unbounded().0,
                recordings,
            },
            asker: Asker::default(),
            doors: Doors {
                capture: says(hangs()).await,
                ship: says(ship(None, &[("a", 2, None)])).await,
            },
            key: key(),
            target: target("1"),
            every: Duration::from_millis(20),
            watchdog: watchdog::Watchdog::in_time(0.01),
        };
        let patience = Duration::from_secs(30);
        tokio::time::timeout(patience, asking.run()).await.unwrap();
        assert_eq!(woken.next().await.unwrap().name, key().1);
        assert_eq!(api.asked(), ["DELETE live-20261121t140000z-x", "POST events"]);
        assert_eq!(api.last_body("DELETE")["preconditions"]["uid"], "1");
        let event = api.last_body("POST");
        assert_eq!(event["reason"], "RecorderReplaced");
        assert_eq!(event["regarding"]["name"], key().1.as_str());
        let note = event["note"].as_str().unwrap();
        assert!(note.contains("captured nothing of session a"), "{note}");
    }
}
