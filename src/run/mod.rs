//! From settings to running workers, and to their end.
//!
//! Owns the process's shape: the runtime that writes and answers, a thread for each worker, the signals that
//! end them. Decides nothing about records.

mod crew;
mod error;
mod summary;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_target::Target;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Notify, Semaphore};

use self::crew::Crew;
pub use self::error::RunError;
use self::wire::Portions;
pub(crate) use self::wire::portions;
use crate::catalog::{Binding, SqlCatalog, Tables};
use crate::config::memory;
use crate::config::settings::Settings;
use crate::config::{Loaded, Recipe};
use crate::deliver::Backoff;
use crate::duplicates::Duplicates;
use crate::metrics::{Health, Metrics};
use crate::record::{Partition, Position};
use crate::registry::{self, Targets};
use crate::schemas::Client;
use crate::source::SourceError;
use crate::source::kafka::{self, KafkaLate, KafkaSettings};
use crate::worker::{Budget, Ends, Leaving, Shape, Shared};

/// Spans that talk to the target at once, for each of `committer.thread.count`: a thread of the original waited for one
/// upload, while a span here holds no thread, and one that hangs must not keep the others from the target.
const ATTEMPTS_A_THREAD: usize = 4;
/// Beyond the workers' own deadline: a client that does not close in this time never will.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);
/// Where answers are given when nobody has chosen an address.
const DEFAULT_LISTEN: &str = "127.0.0.1:9464";

/// Asks a running program to stop. Clones ask the same program.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(AtomicBool, Notify)>);

impl Stop {
    /// Asks once and for all.
    pub fn ask(&self) {
        self.0.0.store(true, Ordering::Relaxed);
        self.0.1.notify_waiters();
    }

    /// Whether somebody has asked.
    pub fn asked(&self) -> bool {
        self.0.0.load(Ordering::Relaxed)
    }

    /// Waits for the asking.
    async fn wait(&self) {
        while !self.asked() {
            self.sleep(Duration::from_secs(60)).await;
        }
    }

    /// Sleeps, but not beyond the asking.
    async fn sleep(&self, time: Duration) {
        let mut asked = std::pin::pin!(self.0.1.notified());
        // Listening first, so that an asking between the two is heard.
        asked.as_mut().enable();
        if !self.asked() {
            let _ = tokio::time::timeout(time, asked).await;
        }
    }
}

/// The threads that writes, answers and timers run on.
///
/// # Errors
/// If the system gives no threads.
pub fn runtime() -> Result<Runtime, RunError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("alluvium-io")
        .enable_all()
        .build()
        .map_err(|error| RunError::Failed(format!("cannot start threads: {error}")))
}

/// What a run is asked to do besides its settings.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// End once every assigned partition is committed up to the end it had at start.
    pub until_end: bool,
    /// Ends the run early.
    pub stop: Stop,
}

/// Runs until it is asked to stop, the end is reached, or something fails for good.
///
/// # Errors
/// See [`RunError`]. Whatever was not committed is read again by the next run.
pub async fn run(
    loaded: &Loaded,
    targets: &Targets,
    metrics: Arc<Metrics>,
    options: Options,
) -> Result<(), RunError> {
    let stop = options.stop;
    let settings = &loaded.settings;
    announce(settings);
    let health = Arc::new(Health::new(wire::wanted_workers(settings)));
    // First of all, so that a start that waits can be seen from outside.
    let answering = answer(settings, &metrics, &health).await?;
    let budget_bytes = budget(settings)?;
    let mut kafka = wire::kafka_settings(settings);
    // At once: each waits for somebody else, and a start is part of every outage.
    let (found, shape) = tokio::try_join!(
        find_available(&kafka, options.until_end, &stop),
        shape_available(loaded, targets, &stop)
    )?;
    let Some(shape) = shape.filter(|_| !stop.asked()) else {
        return Ok(());
    };
    let workers = wire::worker_count(settings, found.partitions.len());
    kafka.prefetch_bytes = wire::prefetch(budget_bytes, workers);
    let ends = options
        .until_end
        .then(|| Arc::new(Ends::new(found.ends, workers)));
    let prefetched = u64::try_from(kafka.prefetch_bytes * workers).unwrap_or(0);
    let portions = wire::portions(settings, budget_bytes, prefetched);
    let shared = Shared {
        health,
        ends: ends.clone(),
        ..shared(loaded, targets, shape, metrics.clone(), workers, portions)?
    };
    let partitions = found.partitions.len();
    tracing::info!(
        partitions,
        workers,
        memory_bytes = budget_bytes,
        "joining the group"
    );
    // Brokers may be set up to create it when the first record comes.
    if let Ok(Some(missing)) = missing_historical_topic(settings).await {
        tracing::warn!("{missing}");
    }
    if partitions == 0 {
        tracing::warn!("no topic matches kafka.topic yet; waiting for one");
    }
    let crew = Crew::start(&kafka, workers, &shared, &stop)?;
    let summary = tokio::spawn(summary::every_minute(metrics));
    let result = crew.until_done(ends.as_deref(), &stop).await;
    summary.abort();
    if let Some(answering) = answering {
        answering.abort();
    }
    result
}

/// What the cluster has for us, as soon as it answers.
async fn find_available(kafka: &KafkaSettings, ends: bool, stop: &Stop) -> Result<Found, RunError> {
    let mut found = Found::default();
    until_available("kafka", stop, async || {
        found = find(kafka, ends).await?;
        Ok(())
    })
    .await?;
    Ok(found)
}

/// How records become outputs, as soon as catalog and target answer. `None` if it was asked to stop before.
async fn shape_available(
    loaded: &Loaded,
    targets: &Targets,
    stop: &Stop,
) -> Result<Option<Shape>, RunError> {
    let settings = &loaded.settings;
    let mut tables = None;
    until_available("catalog", stop, async || {
        tables = open_catalog(settings).await?;
        Ok(())
    })
    .await?;
    if stop.asked() {
        return Ok(None);
    }
    let shape = shape(settings, &loaded.recipe.shaping(), targets, tables).await?;
    let target = shape.target();
    until_available("target", stop, async || {
        target.check().await.map_err(RunError::from)
    })
    .await?;
    Ok(Some(shape))
}

/// What workers share, for so many of them, with so much memory.
///
/// # Errors
/// If what is remembered of events cannot be opened.
pub(crate) fn shared(
    loaded: &Loaded,
    targets: &Targets,
    shape: Shape,
    metrics: Arc<Metrics>,
    workers: usize,
    portions: Portions,
) -> Result<Shared, RunError> {
    let settings = &loaded.settings;
    let deliveries = settings.flush.deliveries.get();
    let tables = shape.tables();
    Ok(Shared {
        shape: Arc::new(shape),
        reshape: reshape(loaded.recipe.clone(), targets.clone(), tables),
        policy: wire::policy(settings),
        historical: wire::historical(settings).map(Arc::new),
        duplicates: duplicates(settings, portions.event_store)?,
        late: Arc::new(KafkaLate::new(wire::kafka_settings(settings))),
        building_limit: wire::building_limit(settings, portions.records, workers),
        max_poll: settings.kafka.max_poll_records,
        budget: Arc::new(Budget::new(portions.records, metrics.clone())),
        metrics,
        health: Arc::new(Health::new(workers)),
        runtime: Handle::current(),
        attempts: Arc::new(Semaphore::new(deliveries.saturating_mul(ATTEMPTS_A_THREAD))),
        ends: None,
        revoke_deadline: wire::revoke_deadline(settings),
        leaving: Arc::new(Leaving::new(workers)),
    })
}

/// Opens what is remembered of events, if repeats are to be dropped.
fn duplicates(settings: &Settings, memory: u64) -> Result<Option<Arc<Duplicates>>, RunError> {
    let directory = settings.routing.duplicates.as_deref();
    let opened = directory.map(|directory| Duplicates::open(directory, memory));
    let opened = opened.transpose();
    opened.map_err(|error| RunError::Configuration(error.to_string()))
}

/// The byte budget of this process.
///
/// # Errors
/// If it is to be a share of the machine's memory, and that cannot be found out.
pub(crate) fn budget(settings: &Settings) -> Result<u64, RunError> {
    Ok(memory::budget(&settings.memory, std::path::Path::new("/"))?)
}

/// What the Kafka client needs to know.
pub(crate) fn kafka_settings(settings: &Settings) -> KafkaSettings {
    wire::kafka_settings(settings)
}

/// Asks the cluster on a thread of its own, because librdkafka's questions block.
///
/// # Errors
/// What the question ends in.
pub(crate) async fn blocking<T: Send + 'static>(
    kafka: &KafkaSettings,
    ask: impl FnOnce(&KafkaSettings) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, RunError> {
    let kafka = kafka.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&kafka)).await;
    let answer = asked.map_err(|error| RunError::Failed(error.to_string()))?;
    Ok(answer?)
}

/// How these settings turn records into outputs. `shaping` says it as plans keep it.
///
/// # Errors
/// [`RunError::Configuration`] if the settings of the target or of the records' schemas cannot work.
pub async fn shape(
    settings: &Settings,
    shaping: &str,
    targets: &Targets,
    tables: Option<Arc<dyn Tables>>,
) -> Result<Shape, RunError> {
    let target = targets.open(settings).await?;
    shape_for(settings, shaping, target, tables)
}

/// As [`shape`], for a target that is open already.
///
/// # Errors
/// [`RunError::Configuration`] if the settings of the records' schemas cannot work.
pub(crate) fn shape_for(
    settings: &Settings,
    shaping: &str,
    target: Arc<dyn Target>,
    tables: Option<Arc<dyn Tables>>,
) -> Result<Shape, RunError> {
    let columns = wire::column_settings(settings);
    let decoder = wire::decoder_settings(settings, &Handle::current(), tables.as_ref())?;
    let shape = Shape::new(shaping, target, columns, decoder);
    Ok(shape.routed(wire::routing(settings)).bound(tables))
}

/// Opens the catalog that decides which columns tables have, if one is configured.
///
/// # Errors
/// As [`SqlCatalog::open`].
pub(crate) async fn open_catalog(settings: &Settings) -> Result<Option<Arc<dyn Tables>>, RunError> {
    let Some(store) = &settings.store else {
        return Ok(None);
    };
    let catalog = Arc::new(SqlCatalog::open(store).await?);
    Ok(Some(Arc::new(Binding::new(catalog, &Handle::current()))))
}

/// Makes the shapes of plans that were made with other settings. Called on a worker's thread, rarely: it opens the target anew.
fn reshape(
    recipe: Recipe,
    targets: Targets,
    tables: Option<Arc<dyn Tables>>,
) -> Arc<crate::worker::Reshape> {
    let runtime = Handle::current();
    Arc::new(move |recorded| {
        let settings = recipe.with(recorded)?;
        let shape = runtime.block_on(shape(&settings, recorded, &targets, tables.clone()));
        shape.map_err(|error| error.to_string())
    })
}

/// Answers whether a run with these settings could start, without starting one.
///
/// # Errors
/// What would keep it from starting, or that something did not answer.
pub async fn check(settings: &Settings, targets: &Targets) -> Result<String, RunError> {
    budget(settings)?;
    let target = targets.open(settings).await?;
    target.check().await?;
    open_catalog(settings).await?;
    if wire::needs_registry(settings) {
        Client::new(&wire::registry_settings(settings))?
            .check()
            .await?;
    }
    let found = find(&wire::kafka_settings(settings), false).await?;
    if found.partitions.is_empty() {
        let topics = wire::topics(settings).join(", ");
        return Err(RunError::Configuration(format!(
            "kafka.topic: no topic of the cluster matches {topics}: create it, or correct the name"
        )));
    }
    if let Some(missing) = missing_historical_topic(settings).await? {
        return Err(RunError::Configuration(missing));
    }
    let catalog = settings.store.as_ref();
    let catalog = catalog.map(|store| format!("catalog: {} answers\n", store.address));
    Ok(format!(
        "target: {} is writable\n{}kafka: {} partitions to read with {} workers",
        registry::describe(settings),
        catalog.unwrap_or_default(),
        found.partitions.len(),
        wire::worker_count(settings, found.partitions.len()),
    ))
}

/// Says so if late records have no topic to go to.
async fn missing_historical_topic(settings: &Settings) -> Result<Option<String>, RunError> {
    let Some(historical) = &settings.routing.historical else {
        return Ok(None);
    };
    let topic = &historical.topic;
    let asked = KafkaSettings {
        topics: vec![topic.clone()],
        ..wire::kafka_settings(settings)
    };
    let found = blocking(&asked, kafka::partitions).await?;
    Ok(found.is_empty().then(|| {
        format!("kafka.historical-data-topic: the cluster has no topic {topic}: create it, or correct the name")
    }))
}

/// Tries until it works, fails for good, or nobody waits any more: a cluster or bucket that is down when the program
/// starts is no different from one that goes down later.
async fn until_available(
    what: &str,
    stop: &Stop,
    mut attempt: impl AsyncFnMut() -> Result<(), RunError>,
) -> Result<(), RunError> {
    let mut backoff = Backoff::new(1);
    while !stop.asked() {
        let attempted = tokio::select! {
            attempted = attempt() => attempted,
            () = stop.wait() => return Ok(()),
        };
        match attempted {
            Err(RunError::Failed(reason)) => {
                let delay = backoff.next_delay().min(Duration::from_secs(15));
                tracing::warn!(what, retry_in = ?delay, reason, "not available yet; trying again");
                stop.sleep(delay).await;
            }
            result => return result,
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Found {
    partitions: Vec<Partition>,
    ends: HashMap<Partition, Position>,
}

/// What the cluster has for us.
async fn find(kafka: &KafkaSettings, ends: bool) -> Result<Found, RunError> {
    blocking(kafka, move |kafka| {
        let partitions = kafka::partitions(kafka)?;
        let ends = if ends {
            kafka::ends(kafka, &partitions)?
        } else {
            HashMap::new()
        };
        Ok(Found { partitions, ends })
    })
    .await
}

async fn answer(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) -> Result<Option<tokio::task::JoinHandle<std::io::Result<()>>>, RunError> {
    let Some(address) = settings.admin.listen else {
        return Ok(None);
    };
    match crate::admin::listen(address).await {
        Ok(listener) => {
            let (metrics, health) = (metrics.clone(), health.clone());
            Ok(Some(tokio::spawn(crate::admin::serve(
                listener, metrics, health,
            ))))
        }
        // A second copy on the same machine is no mistake; an address somebody chose must work.
        Err(error) if address.to_string() == DEFAULT_LISTEN => {
            tracing::warn!(%address, %error, "no metrics: the default address is taken; set admin.listen to another one or to off");
            Ok(None)
        }
        Err(error) => Err(RunError::Configuration(format!(
            "admin.listen: cannot listen on {address}: {error}"
        ))),
    }
}

/// The first line of the log: what is read, by whom, where it goes, and where to look.
fn announce(settings: &Settings) {
    let listen = settings.admin.listen;
    tracing::info!(
        source = "kafka",
        nodes = settings.kafka.nodes.join(","),
        topics = wire::topics(settings).join(","),
        group = settings.kafka.group_id,
        target = registry::describe(settings),
        metrics = listen.map_or_else(|| "off".into(), |at| format!("http://{at}/metrics")),
        "alluvium {} starts",
        env!("CARGO_PKG_VERSION"),
    );
}
