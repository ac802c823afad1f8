use super::*;
use tokio::sync::mpsc;

use crate::settings::tests::SOUND;

/// A good configuration whose location is this word.
fn text(word: &str) -> String {
    SOUND.replace(">here<", &format!(">{word}<"))
}

fn config(word: &str) -> Files {
    Files([(config::KEY.to_owned(), text(word).into_bytes())].into())
}

/// The location in a file, without the mark.
fn word(content: &str) -> String {
    let root = crate::xml::parse(content).unwrap();
    let (word, mark) = crate::mark::split(root.value("location").unwrap());
    assert_eq!(mark, Mark::of(content));
    word.to_owned()
}

fn broken() -> Files {
    Files([(config::KEY.to_owned(), b"<icecast>".to_vec())].into())
}

struct Stage {
    dir: tempfile::TempDir,
    tell: mpsc::UnboundedSender<Option<Files>>,
    metrics: Metrics,
    healthy: mpsc::UnboundedReceiver<()>,
    givens: Givens,
    _task: tokio::task::JoinHandle<Result<(), Failure>>,
}

impl Stage {
    fn new(adopt: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (tell, told) = mpsc::unbounded_channel();
        let (up, healthy) = mpsc::unbounded_channel();
        let metrics = Metrics::default();
        let path = dir.path().join("icecast.xml");
        let mut written = Written::new(path.clone(), PAUSE, metrics.clone());
        if let Some(content) = adopt {
            fs::write(path, content).unwrap();
            written.adopt();
        }
        let givens = written.givens();
        let versions =
            stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) }).boxed();
        let health = async move {
            up.send(()).unwrap();
            futures::future::pending().await
        };
        let task = tokio::spawn(keep_written(versions, written, health));
        Self {
            dir,
            tell,
            metrics,
            healthy,
            givens,
            _task: task,
        }
    }

    fn file(&self) -> Option<String> {
        let content = fs::read_to_string(self.dir.path().join("icecast.xml")).ok()?;
        Some(word(&content))
    }

    async fn after(&self, time: Duration) -> Option<String> {
        tokio::time::sleep(time).await;
        self.file()
    }
}

const PAUSE: Duration = Duration::from_millis(600);
const SOON: Duration = Duration::from_millis(150);

#[tokio::test]
async fn the_first_is_written_at_once_and_later_ones_together() {
    let mut stage = Stage::new(None);
    stage.tell.send(Some(broken())).unwrap();
    stage.tell.send(None).unwrap();
    assert_eq!(stage.after(PAUSE * 3).await, None);
    assert!(
        stage.healthy.try_recv().is_err(),
        "healthy without a configuration"
    );
    stage.tell.send(Some(config("one"))).unwrap();
    assert_eq!(stage.after(SOON).await.unwrap(), "one");
    assert!(stage.healthy.try_recv().is_ok());
    for word in ["two", "three"] {
        stage.tell.send(Some(config(word))).unwrap();
    }
    assert_eq!(stage.after(SOON).await.unwrap(), "one", "too early");
    assert_eq!(stage.after(PAUSE).await.unwrap(), "three");
    assert_eq!(stage.metrics.writes.get(), 2);
    assert!(stage.metrics.last_write.get() > 0);
}

#[tokio::test]
async fn the_last_good_one_outlives_bad_ones_and_the_secret() {
    let stage = Stage::new(None);
    stage.tell.send(Some(config("good"))).unwrap();
    stage.after(PAUSE * 2).await;
    for bad in [Some(broken()), Some(Files::default()), None] {
        stage.tell.send(bad).unwrap();
        assert_eq!(stage.after(PAUSE * 2).await.unwrap(), "good");
    }
    assert_eq!((stage.metrics.writes.get(), stage.metrics.refusals.get()), (1, 2));
    stage.tell.send(Some(config("good"))).unwrap();
    stage.after(PAUSE * 2).await;
    assert_eq!(stage.metrics.writes.get(), 1, "an equal one is no write");
}

#[tokio::test]
async fn a_version_taken_back_within_the_pause_is_never_written() {
    let stage = Stage::new(None);
    for word in ["one", "two", "one"] {
        stage.tell.send(Some(config(word))).unwrap();
        stage.after(SOON).await;
    }
    stage.after(PAUSE * 2).await;
    assert_eq!(stage.metrics.writes.get(), 1);
}

#[tokio::test]
async fn a_restarted_agent_goes_on_from_its_file() {
    let mark = Mark::at(jiff::Timestamp::UNIX_EPOCH + Duration::from_secs(7));
    let before = mark.put_into(&text("before"));
    let mut stage = Stage::new(Some(&before));
    assert_eq!(stage.after(SOON).await.unwrap(), "before");
    assert!(stage.healthy.try_recv().is_ok());
    assert_eq!(stage.givens.borrow().as_ref().unwrap().mark, Some(mark));
    stage.tell.send(Some(config("before"))).unwrap();
    stage.after(PAUSE * 2).await;
    assert_eq!(stage.metrics.writes.get(), 0, "an equal one is no write");
    let mut half = Stage::new(Some(&before[..before.len() / 2]));
    tokio::time::sleep(SOON).await;
    assert!(
        half.healthy.try_recv().is_err(),
        "a half file is no configuration"
    );
}

#[tokio::test]
async fn each_write_has_a_mark_of_its_own() {
    let mut stage = Stage::new(None);
    let mut marks = Vec::new();
    for word in ["one", "two"] {
        stage.tell.send(Some(config(word))).unwrap();
        stage.givens.changed().await.unwrap();
        let given = stage.givens.borrow_and_update().clone().unwrap();
        let content = fs::read_to_string(stage.dir.path().join("icecast.xml")).unwrap();
        assert!(
            given.mark.is_some() && Mark::of(&content) == given.mark,
            "{content}"
        );
        assert_eq!(given.settings.clients, 10);
        marks.push(given.mark.clone());
    }
    assert_ne!(marks[0], marks[1]);
}

#[tokio::test]
async fn a_failed_write_is_tried_again() {
    let stage = Stage::new(None);
    let blocker = stage.dir.path().join("icecast.xml.next");
    fs::create_dir(&blocker).unwrap();
    stage.tell.send(Some(config("one"))).unwrap();
    assert_eq!(stage.after(SOON).await, None);
    fs::remove_dir(&blocker).unwrap();
    assert_eq!(stage.after(PAUSE).await.unwrap(), "one");
    assert_eq!((stage.metrics.writes.get(), stage.metrics.refusals.get()), (1, 1));
}

#[test]
fn only_owner_and_group_read_the_passwords() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("icecast.xml");
    // What an interrupted write could have left.
    fs::write(dir.path().join("icecast.xml.next"), "half").unwrap();
    replace(&path, b"whole").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, MODE);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
