//! From settings to running workers, and to their end.
//!
//! Owns the process's shape: the runtime that writes and answers, a thread for each worker, the signals that
//! end them. Decides nothing about records.

mod check;
mod crew;
mod error;
mod kafka;
mod kinesis;
mod outside;
mod shape;
mod stream;
mod summary;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Notify, Semaphore};

pub use self::check::check;
use self::crew::Crew;
pub use self::error::RunError;
pub(crate) use self::shape::{Lookups, shape, shape_for};
use self::stream::Found;
pub(crate) use self::stream::Opened;
use self::wire::Portions;
pub(crate) use self::wire::portions;
use crate::config::Loaded;
use crate::config::memory;
use crate::config::settings::Settings;
use crate::deliver::Backoff;
use crate::duplicates::Duplicates;
use crate::metrics::{Health, Metrics};
use crate::registry::Targets;
use crate::worker::{Budget, Ends, Leaving, Shape, Shared};

/// Spans that talk to the target at once, for each of `committer.thread.count`: a thread of the original waited for one
/// upload, while a span here holds no thread, and one that hangs must not keep the others from the target.
const ATTEMPTS_A_THREAD: usize = 4;
/// Beyond the workers' own deadline: a client that does not close in this time never will.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);

/// For the last metrics of a run: an orchestrator that waits 30 seconds should see the end of it.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(2);

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
    outside::announce(settings);
    let health = Arc::new(Health::new(wire::wanted_workers(settings)));
    // First of all, so that a start that waits can be seen from outside.
    let answering = outside::answer(settings, &metrics, &health).await?;
    let memory = budget(settings)?;
    let opened = Opened::open(settings).await?;
    // At once: each waits for somebody else, and a start is part of every outage.
    let (found, shaped) = tokio::try_join!(
        find_available(&opened, options.until_end, &stop),
        shape_available(loaded, targets, &stop)
    )?;
    let Some((shape, lookups)) = shaped.filter(|_| !stop.asked()) else {
        return Ok(());
    };
    let workers = wire::worker_count(settings, found.partitions.len());
    let prefetch = opened.prefetch(memory, workers);
    let portions = portions(settings, memory, prefetch * workers);
    let parts = (targets, shape, lookups);
    let mut shared = shared(loaded, parts, &opened, metrics.clone(), workers, portions)?;
    shared.health = health;
    tracing::info!(
        partitions = found.partitions.len(),
        workers,
        memory_bytes = memory,
        "joining those who read the stream"
    );
    // Brokers may be set up to create it when the first record comes.
    if let Ok(Some(missing)) = opened.missing(settings, &found.partitions).await {
        tracing::warn!("{missing}");
    }
    if options.until_end {
        let ends = Ends::new(found.ends, workers).patient_for(opened.patience());
        shared.ends = Some(Arc::new(ends));
    }
    let published = opened.publish(&metrics).await?;
    let kcl = published.as_ref().map(|(kcl, _)| kcl);
    let crew = opened.start(workers, prefetch, &shared, kcl, &stop)?;
    let summary = tokio::spawn(summary::every_minute(metrics));
    let result = crew.until_done(shared.ends.as_deref(), &stop).await;
    summary.abort();
    if let Some((_, publishing)) = published {
        let _ = tokio::time::timeout(PUBLISH_PATIENCE, publishing.finish()).await;
    }
    if let Some(answering) = answering {
        answering.abort();
    }
    result
}

/// What the stream has for us, as soon as it answers.
async fn find_available(opened: &Opened, ends: bool, stop: &Stop) -> Result<Found, RunError> {
    let mut found = Found::default();
    until_available("stream", stop, async || {
        found = opened.find(ends).await?;
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
) -> Result<Option<(Shape, Lookups)>, RunError> {
    let settings = &loaded.settings;
    let mut lookups = Lookups::default();
    until_available("catalog", stop, async || {
        lookups = Lookups::open(settings).await?;
        Ok(())
    })
    .await?;
    if stop.asked() {
        return Ok(None);
    }
    let shape = shape(settings, &loaded.recipe.shaping(), targets, &lookups).await?;
    let target = shape.target();
    until_available("target", stop, async || {
        target.check().await.map_err(RunError::from)
    })
    .await?;
    Ok(Some((shape, lookups)))
}

/// What workers share, for so many of them, with so much memory.
///
/// # Errors
/// If what is remembered of events cannot be opened.
pub(crate) fn shared(
    loaded: &Loaded,
    (targets, shape, lookups): (&Targets, Shape, Lookups),
    opened: &Opened,
    metrics: Arc<Metrics>,
    workers: usize,
    portions: Portions,
) -> Result<Shared, RunError> {
    let settings = &loaded.settings;
    let deliveries = settings.flush.deliveries.get();
    Ok(Shared {
        shape: Arc::new(shape),
        reshape: shape::reshape(loaded.recipe.clone(), targets.clone(), lookups),
        policy: wire::policy(settings),
        historical: wire::historical(settings).map(Arc::new),
        duplicates: duplicates(settings, portions.event_store)?,
        late: opened.late(),
        building_limit: wire::building_limit(settings, portions.records, workers),
        max_poll: wire::max_poll(settings),
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
