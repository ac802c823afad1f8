use super::*;
use tokio::sync::mpsc;

fn config(word: &str) -> Files {
    Files(
        [(
            config::KEY.to_owned(),
            format!("<icecast>{word}</icecast>").into_bytes(),
        )]
        .into(),
    )
}

fn broken() -> Files {
    Files([(config::KEY.to_owned(), b"<icecast>".to_vec())].into())
}

struct Stage {
    dir: tempfile::TempDir,
    tell: mpsc::UnboundedSender<Option<Files>>,
    metrics: Metrics,
    healthy: mpsc::UnboundedReceiver<()>,
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
            _task: task,
        }
    }

    fn file(&self) -> Option<String> {
        fs::read_to_string(self.dir.path().join("icecast.xml")).ok()
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
    assert_eq!(stage.after(SOON).await.unwrap(), "<icecast>one</icecast>");
    assert!(stage.healthy.try_recv().is_ok());
    for word in ["two", "three"] {
        stage.tell.send(Some(config(word))).unwrap();
    }
    assert_eq!(
        stage.after(SOON).await.unwrap(),
        "<icecast>one</icecast>",
        "too early"
    );
    assert_eq!(stage.after(PAUSE).await.unwrap(), "<icecast>three</icecast>");
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
        assert_eq!(stage.after(PAUSE * 2).await.unwrap(), "<icecast>good</icecast>");
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
    let mut stage = Stage::new(Some("<icecast>before</icecast>"));
    assert_eq!(stage.after(SOON).await.unwrap(), "<icecast>before</icecast>");
    assert!(stage.healthy.try_recv().is_ok());
    let mut half = Stage::new(Some("<icecast>bef"));
    half.after(SOON).await;
    assert!(
        half.healthy.try_recv().is_err(),
        "a half file is no configuration"
    );
}

#[tokio::test]
async fn a_failed_write_is_tried_again() {
    let stage = Stage::new(None);
    let blocker = stage.dir.path().join("icecast.xml.next");
    fs::create_dir(&blocker).unwrap();
    stage.tell.send(Some(config("one"))).unwrap();
    assert_eq!(stage.after(SOON).await, None);
    fs::remove_dir(&blocker).unwrap();
    assert_eq!(stage.after(PAUSE).await.unwrap(), "<icecast>one</icecast>");
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
