//! Wiring: starts everything, and ends when the first part of it does. IO.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use axum::http::{HeaderValue, header::USER_AGENT};
use futures::{
    StreamExt,
    channel::mpsc::{UnboundedReceiver, unbounded},
    future::BoxFuture,
};
use jiff::Timestamp;
use kube::{
    Client, Config,
    core::DeserializeGuard,
    runtime::{
        applier,
        controller::{self, Action},
        events::{Recorder, Reporter},
        reflector::{ObjectRef, Store},
    },
};
use prometheus_client::registry::Registry;
use radio_crds::{GROUP, Mount, Recording, Show, Station, VERSION};
use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

use crate::{
    args::{Args, Switch},
    clock::{self, Clock},
    context::{Context, Images},
    health::Readiness,
    http,
    k8s::{
        apply::Ledger,
        backoff::Backoff,
        error::Class,
        kind::{Failure, Kind, next_try, reconcile},
        meta::MANAGED_BY,
    },
    lease::{self, Held, Lease, Lost},
    metrics::{Conditions, Ended, Metrics},
    notices::{self, Notices},
    recorders::{self, Recorders},
    sources::{self, Sources},
    watch::{Queues, Stores, Writers, follow},
};

/// Wakes that come within this time are one.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Watches are answered at least this often (the API server ends them after 290 s); a silent connection is dead.
const SILENCE: Duration = Duration::from_secs(330);

/// Why the operator ends.
#[derive(Debug, Error)]
pub enum Error {
    /// No way to the API server is known.
    #[error("found neither a kubeconfig nor a pod's service account")]
    Config(#[source] kube::config::InferConfigError),
    /// The client could not be made from the configuration.
    #[error("failed to make a client for the API server")]
    Client(#[source] Box<kube::Error>),
    /// Signals cannot be received.
    #[error("failed to listen for signals")]
    Signals(#[source] std::io::Error),
    /// The HTTP server ended.
    #[error("failed to serve {0}")]
    Http(std::net::SocketAddr, #[source] std::io::Error),
    /// Another replica may be at work.
    #[error("this replica must not work any longer")]
    Lease(#[from] Lost),
    /// A task that runs for ever did not.
    #[error("the {0} ended, which it never should")]
    Ended(&'static str),
}

/// Runs the operator until a signal, or until it cannot go on.
pub async fn run(args: Args) -> Result<(), Error> {
    let mut config = Config::infer().await.map_err(Error::Config)?;
    config.read_timeout = Some(SILENCE);
    let agent = concat!("radio-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));
    let client = Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))?;
    let readiness = Arc::new(Readiness::new());
    let (stores, writers) = Stores::empty();
    let stores = Arc::new(stores);
    let mut registry = Registry::default();
    let metrics = Arc::new(Metrics::register(&mut registry));
    metrics.leading(lease::NAME, false);
    Conditions::register(&mut registry, stores.clone());
    notices::metrics::register(&mut registry, stores.clone());

    let http = http::serve(args.http, readiness.clone(), Arc::new(registry));
    let work = work(&args, client, stores, writers, &readiness, &metrics);
    tokio::select! {
        ended = http => Err(ended.map_or_else(|error| Error::Http(args.http, error), |()| Error::Ended("HTTP server"))),
        ended = work => ended,
    }
}

async fn work(
    args: &Args,
    client: Client,
    stores: Arc<Stores>,
    writers: Writers,
    readiness: &Arc<Readiness>,
    metrics: &Arc<Metrics>,
) -> Result<(), Error> {
    let mut stop = Box::pin(stopped()?);
    tokio::select! {
        () = wait_for_crds(&client, readiness) => {}
        () = &mut stop => return Ok(()),
    }
    let mut held = tokio::select! {
        held = lead(args, &client) => held,
        () = &mut stop => return Ok(()),
    };
    metrics.leading(lease::NAME, true);

    let controllers = control(args, &client, stores, writers, readiness, metrics);
    let ended = tokio::select! {
        ended = controllers => Err(Error::Ended(ended)),
        lost = until_lost(&mut held) => return Err(lost.into()),
        () = stop => Ok(()),
    };
    // Nothing of ours runs any more: the next replica may start at once.
    if let Some(held) = held {
        held.release().await;
    }
    ended
}

async fn lead(args: &Args, client: &Client) -> Option<Held> {
    match args.lease {
        Switch::On => Some(
            Lease::new(client.clone(), &args.namespace, args.pod.as_deref())
                .acquire()
                .await,
        ),
        Switch::Off => None,
    }
}

async fn until_lost(held: &mut Option<Held>) -> Lost {
    match held {
        Some(held) => held.until_lost().await,
        None => pending().await,
    }
}

fn stopped() -> Result<impl Future<Output = ()>, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to end");
    })
}

/// The operator may be installed before its CRDs: then it waits for them, and says so.
async fn wait_for_crds(client: &Client, readiness: &Readiness) {
    loop {
        match missing_crds(client).await {
            Ok(missing) if missing.is_empty() => return readiness.crds(Ok(())),
            Ok(missing) => {
                let why = format!("{} not installed", missing.join(", "));
                tracing::warn!(why, "waiting for CRDs");
                readiness.crds(Err(why));
            }
            Err(error) => {
                tracing::warn!(%error, "failed to ask for our CRDs, trying again");
                readiness.crds(Err(format!("the API server does not tell: {error}")));
            }
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn missing_crds(client: &Client) -> Result<Vec<String>, kube::Error> {
    let installed = match client
        .list_api_group_resources(&format!("{GROUP}/{VERSION}"))
        .await
    {
        Ok(list) => list.resources.into_iter().map(|resource| resource.name).collect(),
        Err(kube::Error::Api(status)) if status.is_not_found() => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(["stations", "mounts", "shows", "recordings"]
        .into_iter()
        .filter(|plural| !installed.iter().any(|found| found == plural))
        .map(|plural| format!("{plural}.{GROUP}"))
        .collect())
}

/// Watches and controllers; returns the name of what ended.
async fn control(
    args: &Args,
    client: &Client,
    stores: Arc<Stores>,
    writers: Writers,
    readiness: &Arc<Readiness>,
    metrics: &Arc<Metrics>,
) -> &'static str {
    let (stations, station_queue) = unbounded();
    let (mounts, mount_queue) = unbounded();
    let (shows, show_queue) = unbounded();
    let (recordings, recording_queue) = unbounded();
    let queues = Queues {
        stations,
        mounts,
        shows,
        recordings,
    };
    let watches = follow(client, &stores, writers, &queues, readiness);
    let (sources, orders) = Sources::new(Timestamp::now());
    let (recorders, recorder_orders) = Recorders::new();
    let reporter = Reporter {
        controller: MANAGED_BY.to_owned(),
        instance: Some(args.replica().to_owned()),
    };
    let context = Arc::new(Context {
        client: client.clone(),
        images: Images {
            icecast: args.icecast_image.clone(),
            liquidsoap: args.liquidsoap_image.clone(),
            ingest: args.ingest_image.clone(),
            recorder: args.recorder_image.clone(),
        },
        clock: Clock::default(),
        stores: stores.clone(),
        ledger: Ledger::default(),
        backoff: Backoff::default(),
        sources,
        recorders,
        notices: Notices::default(),
        recorder: Recorder::new(client.clone(), reporter.clone()),
        reporter,
        metrics: metrics.clone(),
    });
    // A Station seen without its Mounts would be told to drop their listeners: nothing starts before everything is seen.
    let controllers = async {
        if !stores.filled().await {
            return;
        }
        clock::first(&context).await;
        tracing::info!("all copies are filled, reconciling begins");
        tokio::select! {
            () = spawn_controller::<Station>(&context, &stores.stations, station_queue, args.concurrency) => {}
            () = spawn_controller::<Mount>(&context, &stores.mounts, mount_queue, args.concurrency) => {}
            () = spawn_controller::<Show>(&context, &stores.shows, show_queue, args.concurrency) => {}
            () = spawn_controller::<Recording>(&context, &stores.recordings, recording_queue, args.concurrency) => {}
        }
    };
    tokio::select! {
        () = watches => "watches",
        () = controllers => "controllers",
        () = sources::follow::run(context.clone(), orders, queues.clone()) => "followers of ingests",
        () = recorders::follow::run(context.clone(), recorder_orders, queues.clone()) => "followers of recorders",
        () = notices::follow::run(context.clone(), queues.clone()) => "notices",
        () = clock::follow(context.clone(), queues) => "clock",
    }
}

/// One controller: a queue, and reconciles in tasks of their own.
fn spawn_controller<K: Kind>(
    context: &Arc<Context>,
    store: &Store<DeserializeGuard<K>>,
    queue: UnboundedReceiver<ObjectRef<DeserializeGuard<K>>>,
    concurrency: u16,
) -> BoxFuture<'static, ()> {
    context.metrics.controller(K::CONTROLLER, concurrency);
    let metrics = context.metrics.clone();
    let results = applier(
        |object, context| Box::pin(measured::<K>(object, context)),
        |object, failure, context| next_try::<K>(&object, failure, &context),
        context.clone(),
        store.clone(),
        queue.map(move |object| {
            metrics.woken(K::CONTROLLER);
            Ok::<_, Infallible>(object)
        }),
        controller::Config::default()
            .debounce(DEBOUNCE)
            .concurrency(concurrency),
    );
    let context = context.clone();
    Box::pin(async move {
        let mut results = std::pin::pin!(results);
        while let Some(result) = results.next().await {
            if let Err(controller::Error::ObjectNotFound(object)) = result {
                forget::<K>(
                    &context,
                    object.namespace.as_deref().unwrap_or_default(),
                    &object.name,
                );
            }
        }
    })
}

/// A reconcile in a task of its own, so that a panic ends nothing but this one try.
async fn measured<K: Kind>(
    object: Arc<DeserializeGuard<K>>,
    context: Arc<Context>,
) -> Result<Action, Failure> {
    let began = Instant::now();
    context.metrics.began(K::CONTROLLER);
    let metadata = kube::Resource::meta(&*object).clone();
    let result = match tokio::spawn(reconcile::<K>(object, context.clone())).await {
        Ok(result) => result,
        Err(error) => Err(Failure::panicked(&error)),
    };
    let (ended, reason) = match &result {
        Ok(_) => {
            context.backoff.reset(&crate::k8s::kind::key::<K>(&metadata));
            (Ended::Success, None)
        }
        Err(failure) => {
            let ended = if failure.class == Class::Retry {
                Ended::Error
            } else {
                Ended::RequeueAfter
            };
            log::<K>(&metadata, failure);
            (ended, Some(failure.reason))
        }
    };
    context
        .metrics
        .ended(K::CONTROLLER, began.elapsed(), ended, reason);
    result
}

fn log<K: Kind>(metadata: &kube::core::ObjectMeta, failure: &Failure) {
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    match failure.class {
        Class::Retry => {
            tracing::warn!(controller = K::CONTROLLER, namespace, name, reason = failure.reason, %failure, "failed");
        }
        Class::Wait(_) | Class::Stalled { .. } => {
            tracing::debug!(controller = K::CONTROLLER, namespace, name, reason = failure.reason, %failure, "waits");
        }
    }
}

fn forget<K: Kind>(context: &Context, namespace: &str, name: &str) {
    if K::CONTROLLER == Station::CONTROLLER {
        context
            .sources
            .follow(&(namespace.to_owned(), name.to_owned()), None);
    }
    if K::CONTROLLER == Recording::CONTROLLER {
        context
            .recorders
            .follow(&(namespace.to_owned(), name.to_owned()), None);
    }
    context.ledger.forget(&K::kind(&()), namespace, name);
    context
        .backoff
        .reset(&(K::CONTROLLER, namespace.to_owned(), name.to_owned()));
}
