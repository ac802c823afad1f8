use jiff::SignedDuration;

use super::*;
use crate::settings::tests::SOUND;
use crate::stats::{read, tests::XIPH, tests::now as clock};
use crate::xml::parse;

fn settings() -> Settings {
    let config = SOUND.replace("/live.mp3", "/live").replace("/test.mp3", "/hid");
    Settings::read(&parse(&config).unwrap()).unwrap()
}

struct Watched {
    view: View,
    given: Arc<Given>,
    started: Instant,
}

impl Watched {
    fn new(mark: &str) -> Self {
        let started = Instant::now();
        let given = Given {
            settings: settings(),
            mark: mark::split(&format!("[configuration {mark}]")).1,
            at: started,
        };
        Self {
            view: View::default(),
            given: Arc::new(given),
            started,
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.started + Duration::from_secs(seconds)
    }

    fn take(&mut self, seconds: u64, answer: Answer) {
        let at = self.at(seconds);
        let wall = clock() + SignedDuration::from_secs(i64::try_from(seconds).unwrap());
        self.view.take(&self.given, answer, at, wall);
    }

    fn tell(&mut self, seconds: u64, xml: &str) {
        self.take(seconds, Answer::Told(read(xml.as_bytes(), clock()).unwrap()));
    }

    fn why(&self, seconds: u64, path: &str) -> String {
        let path = Some(path).filter(|path| !path.is_empty());
        match self.view.on_air(path, false, self.at(seconds)) {
            Ok(()) => "on air".to_owned(),
            Err(why) => why.to_string(),
        }
    }
}

#[test]
fn on_air_only_while_audio_flows() {
    let mut watched = Watched::new("5f");
    assert!(watched.why(0, "").contains("not asked yet"));
    watched.take(0, Answer::Failed("connection refused".to_owned()));
    assert!(watched.why(0, "").contains("connection refused"));
    watched.tell(10, XIPH);
    assert!(watched.why(10, "/live").contains("first time"));
    watched.tell(20, &XIPH.replace("158200", "200000"));
    for path in ["", "/live"] {
        assert_eq!(watched.why(20, path), "on air");
    }
    assert!(
        watched.why(20, "/b.mp3").contains("no source"),
        "configured, and not there"
    );
    for path in ["/hid", "/nowhere", "/.internal"] {
        assert!(watched.why(20, path).contains("no such mount"), "{path}");
    }
    assert_eq!(
        watched.view.on_air(None, true, watched.at(20)),
        Err(Off::Draining)
    );
    watched.tell(30, &XIPH.replace("158200", "200000"));
    assert_eq!(
        watched.why(30, "/live"),
        "the source of /live is connected and has sent nothing for 10 s"
    );
    assert!(watched.why(30, "").contains("nothing for 10 s"));
    watched.tell(40, &XIPH.replace("158200", "300000"));
    watched.take(50, Answer::Failed("timed out".to_owned()));
    assert_eq!(watched.why(60, ""), "on air");
    assert_eq!(watched.why(66, ""), "nothing from Icecast for 26 s: timed out");
    assert!(watched.view.stats(watched.at(66)).is_none() && watched.view.pages(watched.at(66)).is_none());
}

#[test]
fn a_full_server_and_a_full_mount_say_so() {
    let mut watched = Watched::new("5f");
    watched.tell(0, XIPH);
    watched.tell(10, &XIPH.replace("158200", "200000"));
    watched.take(20, Answer::Full);
    assert!(watched.why(20, "").contains("takes 10 connections"));
    assert!(
        watched.view.pages(watched.at(40)).is_some(),
        "it answers, it only does not tell"
    );
    watched.tell(
        30,
        &XIPH
            .replace("158200", "300000")
            .replace("<clients>4", "<clients>10"),
    );
    assert!(watched.why(30, "/live").contains("server is full"));
    watched.tell(
        40,
        &XIPH
            .replace("158200", "400000")
            .replace("<listeners>2", "<listeners>7"),
    );
    assert_eq!(watched.why(40, "/live"), "/live is full: it takes 7 listeners");
    assert!(watched.why(40, "").contains("full"));
}

#[test]
fn a_configuration_that_is_not_in_effect_is_told_after_a_while() {
    let mut watched = Watched::new("60");
    for (second, told) in [(2, false), (20, false), (21, true)] {
        watched.tell(second, XIPH);
        assert_eq!(watched.view.is_not_applied(), told, "{second}");
        assert!(!watched.view.is_applied(watched.given.mark.as_ref()));
    }
    watched.take(30, Answer::Full);
    assert!(watched.view.is_not_applied(), "not heard of since");
    watched.tell(40, &XIPH.replace(" 5f]", " 60]"));
    assert!(!watched.view.is_not_applied() && watched.view.is_applied(watched.given.mark.as_ref()));
}
