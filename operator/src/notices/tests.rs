use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    StreamExt,
    channel::mpsc::{UnboundedReceiver, unbounded},
};
use ingest::{
    api::{Session, Sessions},
    config::TapeAccess,
};
use jiff::{SignedDuration, Timestamp};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use radio_crds::{
    Show, Station,
    notify::DrillState,
    show::{NoticeKind, NoticeState},
};
use serde_json::{Value, json};

use super::{condition::Delivery, double::Double, follow::Teller};
use crate::{
    context::Context,
    sources::Sources,
    testing::{self, Asked, MockApi, PLAIN_MOUNT, aired, fill, refusal, session, value, yaml},
    watch::{GuardedStation, Queues, Stores, Writers},
};

const TOKEN: &str = "123456:AAF-s3cr3t";

/// The slot of the Show starts at 0 and ends two hours later.
fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-21T20:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(second)
}

const SHOW: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Show
metadata: {name: night, namespace: city, uid: night-uid, generation: 1, resourceVersion: "100"}
spec:
  mountRef: {name: live}
  title: Night Shift
  schedule: {cron: 0 20 * * *, duration: 2h}
status:
  underWay:
  - start: "2026-11-21T20:00:00Z"
    end: "2026-11-21T22:00:00Z"
    opens: "2026-11-21T19:45:00Z"
    closes: "2026-11-21T22:15:00Z"
    hardEnd: false
"#;

/// What the API server has, and our copies.
struct World {
    writers: Writers,
    show: Show,
    station: Station,
    version: u64,
    /// The next writes fail like this.
    fails: Option<(u16, &'static str)>,
}

impl World {
    fn copy(&mut self) {
        let show = DeserializeGuard(Ok(self.show.clone()));
        fill(&mut self.writers.shows, [show]);
        let station = DeserializeGuard(Ok(self.station.clone()));
        fill(&mut self.writers.stations, [station]);
    }

    /// A merge patch of a status, only over the version it names.
    fn patch(&mut self, asked: &Asked) -> (u16, Value) {
        if let Some((code, reason)) = self.fails {
            return refusal(code, reason);
        }
        let is_show = asked.path.contains("/shows/");
        let mut object = if is_show {
            value(&self.show)
        } else {
            value(&self.station)
        };
        for guard in ["uid", "resourceVersion"] {
            if object["metadata"][guard] != asked.body["metadata"][guard] {
                return refusal(409, "Conflict");
            }
        }
        for (field, written) in asked.body["status"].as_object().unwrap() {
            object["status"][field] = written.clone();
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if is_show {
            self.show = serde_json::from_value(object.clone()).unwrap();
        } else {
            self.station = serde_json::from_value(object.clone()).unwrap();
        }
        (200, object)
    }

    fn answer(&mut self, asked: &Asked) -> (u16, Value) {
        let secret = |key: &str, value: String| {
            use k8s_openapi::ByteString;
            let data = [(key.to_owned(), ByteString(value.into_bytes()))];
            let data: std::collections::BTreeMap<_, _> = data.into();
            (200, json!({"metadata": {"name": "s"}, "data": data}))
        };
        let last = asked.path.rsplit('/').next().unwrap();
        match (asked.method.as_str(), last) {
            ("PATCH", _) => self.patch(asked),
            ("POST", _) => (201, asked.body.clone()),
            ("GET", "bot") => secret("token", TOKEN.to_owned()),
            ("GET", "hook" | "heart") => {
                let annotation = &self.station.metadata.annotations.clone().unwrap_or_default()[last];
                secret("url", format!("{annotation}/s3cr3t"))
            }
            ("GET", "shows") => {
                let item = json!({"metadata": value(&self.show)["metadata"]});
                (200, json!({"metadata": {}, "items": [item]}))
            }
            ("GET", "radio") => (200, json!({"metadata": value(&self.station)["metadata"]})),
            _ => refusal(404, "NotFound"),
        }
    }
}

/// An operator at work, in a cluster and with people who are not there.
struct Stage {
    world: Arc<Mutex<World>>,
    api: MockApi,
    context: Arc<Context>,
    teller: Teller,
    queues: Queues,
    woken: UnboundedReceiver<ObjectRef<GuardedStation>>,
    telegram: Double,
    webhook: Double,
    heartbeat: Double,
    now: i64,
    /// Copies lag behind what was written by one round.
    lags: bool,
}

impl Stage {
    /// Whom the Station tells by which part of `notify`.
    async fn new(notify: &[&str]) -> Self {
        let telegram = Double::there().await;
        let (webhook, heartbeat) = (Double::there().await, Double::there().await);
        let url = |double: &Double| format!("http://{}", double.address);
        let all = json!({
            "telegram": {"chatId": "-100", "secretRef": {"name": "bot"}, "apiUrl": url(&telegram)},
            "webhook": {"secretRef": {"name": "hook"}},
            "heartbeat": {"secretRef": {"name": "heart"}},
            "drill": {"cron": "30 20 * * SAT"},
        });
        let wanted: serde_json::Map<String, Value> = notify
            .iter()
            .map(|name| ((*name).to_owned(), all[*name].clone()))
            .collect();
        let station = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Station",
            "metadata": {
                "name": "radio", "namespace": "city", "uid": "station-uid", "generation": 1, "resourceVersion": "50",
                "annotations": {"hook": url(&webhook), "heart": url(&heartbeat)},
            },
            "spec": {"title": "Radio", "notify": wanted},
        });
        let (stores, mut writers) = testing::stores(&[], &[yaml(PLAIN_MOUNT)]);
        for name in ["bot", "hook", "heart"] {
            let secret = json!({"metadata": {"name": name, "namespace": "city", "resourceVersion": "1"}});
            fill(&mut writers.secrets, [serde_json::from_value(secret).unwrap()]);
        }
        let world = Arc::new(Mutex::new(World {
            writers,
            show: yaml(SHOW),
            station: serde_json::from_value(station).unwrap(),
            version: 100,
            fails: None,
        }));
        world.lock().unwrap().copy();
        Self::around(world, stores, (telegram, webhook, heartbeat))
    }

    fn around(
        world: Arc<Mutex<World>>,
        stores: Stores,
        (telegram, webhook, heartbeat): (Double, Double, Double),
    ) -> Self {
        let api = MockApi::default();
        let answering = world.clone();
        let client = api.client(move |asked| answering.lock().unwrap().answer(asked));
        let (sources, _) = Sources::new(Timestamp::UNIX_EPOCH);
        let mut context = testing::context(client, stores);
        context.sources = sources;
        let context = Arc::new(context);
        let (stations, woken) = unbounded();
        let queues = Queues {
            stations,
            mounts: unbounded().0,
            shows: unbounded().0,
            recordings: unbounded().0,
        };
        let key = ("city".to_owned(), "radio".to_owned());
        let access = TapeAccess {
            addresses: Vec::new(),
            token: String::new(),
        };
        context.sources.follow(&key, Some(access));
        let stage = Self {
            teller: Teller::new(context.clone(), queues.clone(), at(-3600)),
            world,
            api,
            context,
            queues,
            woken,
            telegram,
            webhook,
            heartbeat,
            now: -3600,
            lags: false,
        };
        stage.on_air(&[]);
        stage
    }

    /// The ingest says that these are there.
    fn on_air(&self, sessions: &[Session]) {
        let answer = Sessions {
            version: "1".to_owned(),
            sessions: sessions.to_vec(),
            refusals: Vec::new(),
            fill: ingest::api::Fill::default(),
        };
        let key = ("city".to_owned(), "radio".to_owned());
        self.context.sources.answered(&key, &answer);
    }

    fn comes(&self, second: i64) {
        let mut dj = session("live", "studio", at(second));
        dj.aired = Some(aired(at(second), None));
        self.on_air(&[dj]);
    }

    /// One look, and what came of everything that was sent.
    async fn round(&mut self) {
        let now = at(self.now);
        if !self.lags {
            self.world.lock().unwrap().copy();
        }
        self.teller.round(now).await;
        self.lands().await;
        if self.lags {
            self.world.lock().unwrap().copy();
        }
    }

    async fn lands(&mut self) {
        while let Some(landed) = self.teller.flights.join_next_with_id().await {
            self.teller.landed(landed, at(self.now));
        }
    }

    /// Looks every two seconds until then.
    async fn until(&mut self, second: i64) {
        while self.now < second {
            self.now += 2;
            self.round().await;
        }
    }

    /// The operator ends, and another one begins.
    fn restarts(&mut self) {
        self.teller = Teller::new(self.context.clone(), self.queues.clone(), at(self.now));
    }

    fn states(&self) -> Vec<(NoticeKind, NoticeState)> {
        let world = self.world.lock().unwrap();
        let notices = &world.show.status.as_ref().unwrap().notices;
        notices.iter().map(|notice| (notice.kind, notice.state)).collect()
    }

    fn drill(&self) -> Option<(DrillState, Timestamp)> {
        let world = self.world.lock().unwrap();
        let drill = world.station.status.as_ref()?.drill.as_ref()?;
        Some((drill.state, drill.due))
    }

    fn events(&self) -> Vec<String> {
        self.api
            .bodies("POST")
            .iter()
            .map(|event| event["reason"].as_str().unwrap().to_owned())
            .collect()
    }

    fn texts(double: &Double) -> Vec<String> {
        let got = double.got();
        got.iter()
            .map(|got| {
                let text = got.body["text"].as_str().unwrap();
                text.lines().next().unwrap().to_owned()
            })
            .collect()
    }
}

#[tokio::test]
async fn a_missed_show_is_told_once_and_so_is_that_it_is_over() {
    let mut stage = Stage::new(&["telegram", "webhook"]).await;
    for lags in [false, true] {
        stage.lags = lags;
        stage.until(298).await;
        assert_eq!((stage.states(), stage.telegram.got().len()), (vec![], 0));
    }
    stage.until(304).await;
    assert_eq!(stage.states(), [(NoticeKind::Missed, NoticeState::Told)]);
    stage.until(600).await;
    let got = stage.telegram.got();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].path, format!("/bot{TOKEN}/sendMessage"));
    assert_eq!(
        got[0].body["text"],
        "MISSED: Night Shift\nnobody has been on air since it began at 2026-11-21 20:00 UTC\nShow night, Station radio, \
         namespace city"
    );
    assert_eq!(stage.webhook.got()[0].body["kind"], "Missed");
    assert_eq!(stage.events(), ["Missed"]);

    stage.comes(601);
    stage.until(900).await;
    assert_eq!(stage.states(), [(NoticeKind::Missed, NoticeState::Recovered)]);
    let both = ["MISSED: Night Shift", "No longer missed: Night Shift"];
    assert_eq!(Stage::texts(&stage.telegram), both);
    assert_eq!(Stage::texts(&stage.webhook), both);
    assert_eq!(stage.events(), ["Missed", "Recovered"]);
    // Five writes for all of it: due, told by each, over, told by each.
    let writes = stage
        .api
        .asked()
        .iter()
        .filter(|asked| asked.starts_with("PATCH"))
        .count();
    assert!(writes <= 6, "{writes}");
}

#[tokio::test]
async fn a_good_show_is_no_news() {
    let mut stage = Stage::new(&["telegram", "webhook"]).await;
    stage.until(-600).await;
    stage.comes(-600);
    stage.until(3600).await;
    assert_eq!(stage.states(), []);
    assert!(stage.telegram.got().is_empty() && stage.webhook.got().is_empty());
    let writes = stage
        .api
        .asked()
        .iter()
        .filter(|asked| !asked.starts_with("GET"))
        .count();
    assert_eq!(writes, 0);
}

#[tokio::test]
async fn a_telegram_that_is_away_for_ten_minutes_has_the_notice_afterwards_once() {
    let mut stage = Stage::new(&["telegram", "webhook", "heartbeat"]).await;
    stage.until(200).await;
    stage.telegram.goes().await;
    stage.until(310).await;
    // Who is there need not wait for who is not.
    assert_eq!(Stage::texts(&stage.webhook), ["MISSED: Night Shift"]);
    assert_eq!(stage.states(), [(NoticeKind::Missed, NoticeState::Due)]);
    let beats = stage.heartbeat.got().len();
    assert!((62..=66).contains(&beats), "{beats}");

    stage.until(800).await;
    assert!(stage.telegram.got().is_empty());
    // There is somebody who does not know: no heartbeat, and after ten minutes the Station says so.
    assert_eq!(stage.heartbeat.got().len(), beats);
    stage.until(910).await;
    let fails = stage.context.notices.delivery("city", "radio");
    let Delivery::Fails { reason, words } = fails else {
        panic!("{fails:?}")
    };
    assert_eq!(reason, "NotDelivered");
    assert!(
        words.starts_with("Telegram has not worked since 2026-11-21 20:05 UTC: Telegram cannot be reached: "),
        "{words}"
    );
    assert!(stage.woken.try_recv().is_ok());

    stage.telegram.comes().await;
    stage.until(975).await;
    assert_eq!(Stage::texts(&stage.telegram), ["MISSED: Night Shift"]);
    assert_eq!(stage.states(), [(NoticeKind::Missed, NoticeState::Told)]);
    stage.until(2000).await;
    assert_eq!((stage.telegram.got().len(), stage.webhook.got().len()), (1, 1));
    assert!(stage.heartbeat.got().len() > beats + 15);
    assert_eq!(stage.context.notices.delivery("city", "radio"), Delivery::Works);
}

#[tokio::test]
async fn an_operator_that_dies_tells_what_it_did_not_tell_and_nothing_else() {
    let mut stage = Stage::new(&["telegram", "webhook"]).await;
    stage.telegram.goes().await;
    stage.until(310).await;
    assert_eq!((stage.webhook.got().len(), stage.telegram.got().len()), (1, 0));
    stage.restarts();
    stage.telegram.comes().await;
    stage.until(320).await;
    assert_eq!((stage.webhook.got().len(), stage.telegram.got().len()), (1, 1));
    for _ in 0..3 {
        stage.restarts();
        stage.until(stage.now + 60).await;
    }
    assert_eq!((stage.webhook.got().len(), stage.telegram.got().len()), (1, 1));
    assert_eq!(stage.events(), ["Missed"]);
}

#[tokio::test]
async fn one_that_dies_between_the_message_and_its_note_tells_it_again_under_the_same_id() {
    let mut stage = Stage::new(&["webhook"]).await;
    stage.until(298).await;
    stage.now = 300;
    stage.round().await;
    // It was sent; that it arrived is written by nobody.
    assert_eq!(
        (stage.webhook.got().len(), stage.states()),
        (1, vec![(NoticeKind::Missed, NoticeState::Due)])
    );
    stage.restarts();
    stage.until(400).await;
    let got = stage.webhook.got();
    let ids: Vec<_> = got.iter().map(|got| got.id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["city/night/2026-11-21T20:00:00Z/Missed"; 2]);
    assert_eq!(stage.states(), [(NoticeKind::Missed, NoticeState::Told)]);
}

#[tokio::test]
async fn nothing_is_sent_before_it_is_written_that_it_is_to_be() {
    let mut stage = Stage::new(&["telegram", "heartbeat"]).await;
    stage.until(200).await;
    stage.world.lock().unwrap().fails = Some((500, "InternalError"));
    let beats = stage.heartbeat.got().len();
    stage.until(400).await;
    assert_eq!((stage.telegram.got().len(), stage.events().len()), (0, 0));
    // One or two came before it was to be written.
    assert!(stage.heartbeat.got().len() <= beats + 2);
    stage.world.lock().unwrap().fails = None;
    stage.until(410).await;
    assert_eq!((stage.telegram.got().len(), stage.events().len()), (1, 1));
}

#[tokio::test]
async fn who_asks_us_to_wait_is_not_asked_before() {
    let mut stage = Stage::new(&["telegram"]).await;
    let flood = json!({"ok": false, "description": "Too Many Requests", "parameters": {"retry_after": 120}});
    stage.telegram.says((429, Some("120"), flood));
    stage.until(310).await;
    assert_eq!(stage.telegram.got().len(), 1);
    stage.telegram.says((200, None, json!({"ok": true})));
    stage.until(418).await;
    assert_eq!(
        (stage.telegram.got().len(), stage.states()),
        (1, vec![(NoticeKind::Missed, NoticeState::Due)])
    );
    stage.until(426).await;
    assert_eq!(
        (stage.telegram.got().len(), stage.states()),
        (2, vec![(NoticeKind::Missed, NoticeState::Told)])
    );
}

#[tokio::test]
async fn the_heart_beats_once_a_minute_while_all_is_well() {
    let mut stage = Stage::new(&["heartbeat"]).await;
    stage.comes(-3600);
    stage.until(-3000).await;
    let got = stage.heartbeat.got();
    assert!((10..=11).contains(&got.len()), "{}", got.len());
    assert!(got.iter().all(|got| got.method == "GET" && got.path == "/s3cr3t"));
    // A watch that is dead: the API server has another Show than we have.
    stage.lags = true;
    stage.world.lock().unwrap().show.metadata.resource_version = Some("999".to_owned());
    let before = stage.heartbeat.got().len();
    let copies = stage.context.stores.shows.state();
    for _ in 0..60 {
        stage.now += 2;
        stage.teller.round(at(stage.now)).await;
        stage.lands().await;
    }
    assert_eq!((stage.heartbeat.got().len(), copies.len()), (before, 1));
    stage.lags = false;
    stage.until(stage.now + 4).await;
    assert_eq!(stage.heartbeat.got().len(), before + 1);
}

#[tokio::test]
async fn a_drill_goes_all_the_way_and_says_so() {
    let mut stage = Stage::new(&["telegram", "webhook", "drill"]).await;
    stage.comes(-100);
    stage.until(1790).await;
    assert_eq!(stage.drill(), None);
    stage.until(1810).await;
    assert_eq!(stage.drill(), Some((DrillState::Told, at(1800))));
    assert_eq!(Stage::texts(&stage.telegram), ["DRILL: Radio"]);
    assert_eq!(Stage::texts(&stage.webhook), ["DRILL: Radio"]);
    assert_eq!(stage.events(), ["DrillDelivered"]);
    stage.restarts();
    stage.until(2000).await;
    assert_eq!(stage.telegram.got().len(), 1);
}

#[tokio::test]
async fn a_drill_that_does_not_arrive_says_so_itself() {
    let mut stage = Stage::new(&["telegram"]).await;
    stage.comes(-100);
    stage.telegram.goes().await;
    stage.until(0).await;
    let asked = at(1).to_string();
    stage
        .world
        .lock()
        .unwrap()
        .station
        .metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert(radio_crds::DRILL_ANNOTATION.to_owned(), asked);
    stage.until(590).await;
    assert_eq!(stage.drill(), Some((DrillState::Due, at(1))));
    stage.until(610).await;
    assert_eq!(stage.drill(), Some((DrillState::Failed, at(1))));
    assert_eq!(stage.events(), ["DrillFailed"]);
    stage.until(614).await;
    let fails = stage.context.notices.delivery("city", "radio");
    assert!(
        matches!(&fails, Delivery::Fails { reason: "DrillFailed", words } if words.contains("Telegram cannot be reached")),
        "{fails:?}"
    );
    stage.telegram.comes().await;
    stage.until(700).await;
    assert_eq!(stage.drill(), Some((DrillState::Told, at(1))));
    assert_eq!(stage.events(), ["DrillFailed", "DrillDelivered"]);
    assert_eq!(stage.context.notices.delivery("city", "radio"), Delivery::Works);
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told_at_once() {
    let mut stage = Stage::new(&["telegram"]).await;
    let gone = json!({"metadata": {"name": "bot", "namespace": "city", "resourceVersion": "2"}});
    let gone = kube::runtime::watcher::Event::Delete(serde_json::from_value(gone).unwrap());
    stage
        .world
        .lock()
        .unwrap()
        .writers
        .secrets
        .apply_watcher_event(&gone);
    stage.until(-3590).await;
    assert_eq!(
        stage.context.notices.delivery("city", "radio"),
        Delivery::Fails {
            reason: "NotifySecretNotFound",
            words: "Telegram cannot be reached: Secret bot does not exist".to_owned(),
        }
    );
    let woken = tokio::time::timeout(Duration::from_secs(5), stage.woken.next()).await;
    assert_eq!(woken.unwrap().unwrap().name, "radio");
}

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logs.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_secret_is_in_no_log_no_status_and_no_event() {
    let logs = Logs::default();
    let writer = logs.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // With a single one, what another test's thread logs first counts as of no interest to anybody, here neither.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    let _logging = tracing::subscriber::set_default(subscriber);

    let mut stage = Stage::new(&["telegram", "webhook", "heartbeat"]).await;
    let repeats = json!({"ok": false, "description": format!("/bot{TOKEN}/sendMessage is unknown")});
    for says in [(400, None, repeats.clone()), (502, None, repeats)] {
        stage.telegram.says(says.clone());
        stage.webhook.says(says.clone());
        stage.heartbeat.says(says);
        stage.until(stage.now + 2000).await;
    }
    stage.telegram.goes().await;
    stage.webhook.goes().await;
    stage.heartbeat.goes().await;
    stage.until(1200).await;

    let logged = String::from_utf8(logs.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("failed to tell"), "{}", logged.len());
    assert!(logged.contains("the heartbeat is not heard"));
    assert!(!logged.contains("s3cr3t"));
    let world = stage.world.lock().unwrap();
    for object in [value(&world.show), value(&world.station)] {
        assert!(!object.to_string().contains("s3cr3t"));
    }
    for event in stage.api.bodies("POST") {
        assert!(!event.to_string().contains("s3cr3t"), "{event}");
    }
    let delivery = stage.context.notices.delivery("city", "radio");
    assert!(matches!(delivery, Delivery::Fails { .. }) && !format!("{delivery:?}").contains("s3cr3t"));
}
