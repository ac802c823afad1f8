//! Sends each output to each origin, over connections that outlive Liquidsoap. IO: TCP to the origins.
//!
//! Nobody waits for anybody: an origin that is too slow loses whole units, one that is away is tried again. An origin
//! is connected only when there is audio for it, as Icecast ends a source that stays silent.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ingest::framing::{Link, Unit};
use ingest::source_client::{About, Credentials, Error, Source, Target, set_title};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Codec;
use crate::intake::Outputs;
use crate::metrics::{Line, Metrics};
use crate::output::Output;
use crate::settings::Settings;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const TITLE_AGAIN: Duration = Duration::from_secs(1);

/// Feeds every origin that the settings name, as they change. Never ends.
pub async fn feed_all(outputs: Outputs, mut settings: watch::Receiver<Arc<Settings>>, metrics: Metrics) {
    let mut fed: BTreeMap<Line, JoinHandle<Infallible>> = BTreeMap::new();
    loop {
        let origins = settings.borrow_and_update().playout.origins.clone();
        for (line, task) in fed.extract_if(.., |line, _| !origins.contains(&line.origin)) {
            task.abort();
            // It may be counting right now; its series must not come back.
            let _ = task.await;
            metrics.forget(&line);
        }
        for origin in &origins {
            for (path, output) in &*outputs {
                let line = Line {
                    origin: origin.clone(),
                    output: path.clone(),
                };
                fed.entry(line.clone()).or_insert_with(|| {
                    let (output, settings, metrics) = (Arc::clone(output), settings.clone(), metrics.clone());
                    tokio::spawn(
                        Feeding {
                            line,
                            output,
                            settings,
                            metrics,
                        }
                        .feed(),
                    )
                });
            }
        }
        if settings.changed().await.is_err() {
            return;
        }
    }
}

struct Feeding {
    line: Line,
    output: Arc<Output>,
    settings: watch::Receiver<Arc<Settings>>,
    metrics: Metrics,
}

impl Feeding {
    async fn feed(self) -> Infallible {
        let Line { origin, output } = &self.line;
        let mut units = self.output.listen();
        let mut pause = Duration::ZERO;
        let mut said = String::new();
        loop {
            let first = joinable(&mut units).await;
            match self.connect().await {
                Ok(source) => {
                    tracing::info!(origin, output, "the origin takes it");
                    said.clear();
                    pause = Duration::ZERO;
                    self.metrics.connects.get_or_create(&self.line).inc();
                    self.metrics.connected.get_or_create(&self.line).set(1);
                    let why = self.stream(source, first, &mut units).await;
                    self.metrics.connected.get_or_create(&self.line).set(0);
                    tracing::warn!(origin, output, why, "the origin has gone; connecting again");
                }
                Err(failure) => {
                    self.metrics.connected.get_or_create(&self.line).set(0);
                    let failure = failure.to_string();
                    // Once, not once a second.
                    if said != failure {
                        tracing::warn!(origin, output, %failure, "the origin does not take it; trying again");
                        said = failure;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                }
            }
        }
    }

    fn target(&self) -> Target {
        Target {
            address: self.line.origin.clone(),
            mount: self.line.output.clone(),
        }
    }

    async fn connect(&self) -> Result<Source, Error> {
        let settings = Arc::clone(&self.settings.borrow());
        let (target, about) = (self.target(), self.about(&settings));
        match (
            Source::connect(&target, &current(&settings), &about).await,
            previous(&settings),
        ) {
            // The origin has not read the new password yet.
            (Err(Error::Unauthorized { .. }), Some(previous)) => {
                Source::connect(&target, &previous, &about).await
            }
            (connected, _) => connected,
        }
    }

    /// Like a connection, but later: the password may have changed since.
    async fn tell(&self, title: &str) -> Result<(), Error> {
        let settings = Arc::clone(&self.settings.borrow());
        let target = self.target();
        match (
            set_title(&target, &current(&settings), title).await,
            previous(&settings),
        ) {
            (Err(Error::Unauthorized { .. }), Some(previous)) => set_title(&target, &previous, title).await,
            (told, _) => told,
        }
    }

    fn about(&self, settings: &Settings) -> About {
        let about = &settings.playout.about;
        let mut headers = vec![
            ("ice-name", about.title.clone()),
            ("ice-public", "0".to_owned()),
            ("ice-bitrate", self.output.config.bitrate_kbps.to_string()),
        ];
        let optional = [
            ("ice-description", &about.description),
            ("ice-genre", &about.genre),
            ("ice-url", &about.website),
        ];
        headers.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.clone()?))),
        );
        About {
            content_type: self.output.content_type(),
            headers,
        }
    }

    async fn stream(&self, source: Source, first: Unit, units: &mut Receiver<Unit>) -> String {
        tokio::select! {
            why = self.send(source, first, units) => why,
            never = self.tell_titles() => match never {},
        }
    }

    async fn send(&self, mut source: Source, first: Unit, units: &mut Receiver<Unit>) -> String {
        let mut sent_link = None;
        let mut next = first;
        loop {
            if let Err(failure) = self.send_unit(&mut source, &mut sent_link, &next).await {
                return failure.to_string();
            }
            next = tokio::select! {
                unit = self.receive(units) => unit,
                () = source.closed() => return "it closed the connection".to_owned(),
            };
        }
    }

    /// The next unit, or after a loss the next that can be played without the lost ones.
    async fn receive(&self, units: &mut Receiver<Unit>) -> Unit {
        match units.recv().await {
            Ok(unit) => unit,
            Err(RecvError::Lagged(lost)) => {
                self.metrics.lost.get_or_create(&self.line).inc_by(lost);
                joinable(units).await
            }
            // The output lives as long as this.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    async fn send_unit(
        &self,
        source: &mut Source,
        sent_link: &mut Option<Arc<Link>>,
        unit: &Unit,
    ) -> std::io::Result<()> {
        if !sent_link
            .as_ref()
            .is_some_and(|sent| Arc::ptr_eq(sent, &unit.link))
        {
            for header in &unit.link.headers {
                source.send(header).await?;
            }
            *sent_link = Some(Arc::clone(&unit.link));
        }
        source.send(&unit.bytes).await?;
        self.metrics.moved(&self.line, unit.bytes.len());
        Ok(())
    }

    async fn tell_titles(&self) -> Infallible {
        if self.output.config.codec == Codec::Opus {
            // Its titles are in the stream.
            return std::future::pending().await;
        }
        let mut titles = self.output.titles();
        loop {
            let title = titles.borrow_and_update().clone();
            if let Some(title) = title
                && let Err(failure) = self.tell(&title).await
            {
                tracing::debug!(%failure, "a title was not taken; trying again");
                // A newer title is worth trying at once.
                if tokio::time::timeout(TITLE_AGAIN, titles.changed()).await.is_err() {
                    titles.mark_changed();
                }
                continue;
            }
            if titles.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

fn current(settings: &Settings) -> Credentials {
    login(&settings.playout.source_password)
}

fn previous(settings: &Settings) -> Option<Credentials> {
    settings.previous_password.as_deref().map(login)
}

fn login(password: &str) -> Credentials {
    Credentials {
        user: "source".to_owned(),
        password: password.to_owned(),
    }
}

async fn joinable(units: &mut Receiver<Unit>) -> Unit {
    loop {
        match units.recv().await {
            Ok(unit) if unit.joins => return unit,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
