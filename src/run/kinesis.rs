//! From settings to workers that read a Kinesis stream.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;

use super::{Crew, RunError, Stop};
use crate::awaited::Objects;
use crate::config::settings::{Aws, InitialPosition, Kinesis, KinesisMode};
use crate::metrics::Metrics;
use crate::metrics::cloudwatch::{self, CloudWatchSink, KclMetrics, Publishing};
use crate::record::Partition;
use crate::source::kinesis::bulk::{self, Fetcher, S3Bucket};
use crate::source::kinesis::lease::{
    self, DynamoLeases, LeaseStore, MemoryLeases, OWNER_PREFIX, Topology,
};
use crate::source::kinesis::sdk::{Access, Keys};
use crate::source::kinesis::stream::shard::{self, Mode, Readers, Service};
use crate::source::kinesis::stream::{Filter, Stream, aws};
use crate::source::kinesis::topology::{Initial, Rounds};
use crate::source::kinesis::{
    KinesisSource, KinesisSurvey, Parts, Runs, done_and_forgotten, lease_at, of_stream, of_table,
};
use crate::source::{Checkpoint, SourceError};
use crate::worker::Shared;

/// Memory that one answer of the service may take: 10 MiB of records, and what they are kept in.
const ANSWER_BYTES: usize = 12 << 20;
/// Records in it, at most.
const MOST_RECORDS: usize = 10_000;
/// The least that readers of a worker have: answers of streams that are not written to at full rate are small.
const LEAST_BYTES: usize = 2 << 20;
/// Bytes that may be held of bulk objects, in all: an eighth of the budget between these.
const LEAST_HELD: u64 = 1 << 20;
const MOST_HELD: u64 = 128 << 20;

/// A stream and its leases, as the settings say.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    kinesis: Kinesis,
    stream: Arc<dyn Stream>,
    leases: Arc<dyn LeaseStore>,
}

impl Opened {
    /// Builds the clients. Nothing is asked of either service yet.
    ///
    /// # Errors
    /// [`RunError::Configuration`] if no region is known, or reading is to begin in the future.
    pub(super) async fn open(kinesis: &Kinesis) -> Result<Self, RunError> {
        not_in_the_future(kinesis.initial_position)?;
        let at = access(&kinesis.aws, kinesis.aws.kinesis_endpoint.clone());
        let stream = aws::Kinesis::open(&at, &kinesis.stream).await;
        let stream = stream.map_err(|error| of_stream(&error))?;
        let at = access(&kinesis.aws, kinesis.aws.dynamodb_endpoint.clone());
        let leases = DynamoLeases::connect(&at, kinesis.failover, &kinesis.table).await;
        let leases = leases.map_err(|error| of_table(&error))?;
        Ok(Self {
            kinesis: kinesis.clone(),
            stream: Arc::new(stream),
            leases: Arc::new(leases),
        })
    }

    /// What it was opened with.
    pub(crate) fn settings(&self) -> &Kinesis {
        &self.kinesis
    }

    /// Its leases.
    pub(crate) fn leases(&self) -> &Arc<dyn LeaseStore> {
        &self.leases
    }

    /// What can be known of both from outside.
    pub(super) fn survey(&self) -> KinesisSurvey {
        KinesisSurvey {
            stream: self.stream.clone(),
            leases: self.leases.clone(),
            failover: self.kinesis.failover,
        }
    }

    /// Makes the lease table if there is none.
    ///
    /// # Errors
    /// What a person must change, or that DynamoDB does not answer.
    pub(super) async fn prepare(&self) -> Result<(), RunError> {
        let prepared = self.leases.prepare().await;
        Ok(prepared.map_err(|error| of_table(&error))?)
    }

    /// A lease whose owner is dead is taken when it was seen to stand still for the failover time, at the look behind that.
    pub(super) fn patience(&self) -> Duration {
        self.kinesis.failover * 4 + Duration::from_secs(10)
    }

    /// The shards that there is something to read of: those that are open, and those that were not read to their end.
    ///
    /// # Errors
    /// What a person must change, or that one of both services does not answer.
    pub(super) async fn unread(&self) -> Result<Vec<Partition>, RunError> {
        let shards = self.stream.list_shards(&Filter::All).await;
        let shards = shards.map_err(|error| of_stream(&error))?;
        let of_leases = |error| of_table(&error);
        let leases = match self.leases.exists().await.map_err(of_leases)? {
            true => self.leases.scan().await.map_err(of_leases)?.leases,
            false => Vec::new(),
        };
        let forgotten = done_and_forgotten(&shards, &leases);
        let finished = |id: &str| {
            let mut finished = leases.iter().filter(|lease| lease.is_finished());
            forgotten.contains(id) || finished.any(|lease| lease.key == id)
        };
        let unread = shards.iter().filter(|shard| !finished(&shard.id));
        let unread = unread.filter_map(|shard| shard.id.parse().ok());
        let name: Arc<str> = self.stream.name().into();
        Ok(unread.map(|id| Partition::of(name.clone(), id)).collect())
    }

    /// One worker for each number, with so many bytes to fetch ahead each.
    pub(super) fn start(
        &self,
        workers: usize,
        prefetch: usize,
        shared: &Shared,
        kcl: Option<&Arc<KclMetrics>>,
        stop: &Stop,
    ) -> Result<Crew, RunError> {
        let initial = initial(self.kinesis.initial_position);
        let rounds = Rounds::new(self.stream.clone(), self.leases.clone(), initial);
        let rounds = Arc::new(rounds.seen_by(kcl.cloned()));
        let topology: Arc<dyn Topology> = rounds.clone();
        let service = self.service(prefetch);
        let service = Arc::new(service.seen_by(shared.metrics.clone(), kcl.cloned()));
        let process = unique();
        let worker = |number: usize| {
            let settings = lease::Settings::new(
                format!("{OWNER_PREFIX}{process:016x}-{number}"),
                self.kinesis.failover,
            );
            let seed = process.wrapping_add(number as u64);
            let leases = self.leases.clone();
            let runtime = &shared.runtime;
            KinesisSource::new(Parts {
                stream: self.stream.name().into(),
                holder: lease::start(settings, leases, Some(topology.clone()), seed, runtime),
                readers: Readers::new(service.clone(), prefetch, runtime.clone()),
                rounds: rounds.clone(),
                initial,
                runtime: Runs::Beside(runtime.clone()),
                metrics: shared.metrics.clone(),
                kcl: kcl.cloned(),
            })
        };
        Crew::start((0..workers).map(worker).collect(), shared, stop)
    }

    /// A worker for one shard, which begins at the checkpoint and finds its plan. What it stores is stored nowhere.
    ///
    /// # Errors
    /// If the partition is no shard.
    pub(crate) async fn part(
        &self,
        partition: &Partition,
        checkpoint: &Checkpoint,
        prefetch: usize,
        metrics: &Arc<Metrics>,
    ) -> Result<KinesisSource, SourceError> {
        let key = partition.id().to_string();
        let listed = self.stream.list_shards(&Filter::All).await;
        let listed = listed.map_err(|error| of_stream(&error))?;
        let shard = listed.iter().find(|shard| shard.id == key);
        let shard = shard.ok_or_else(|| {
            let why = format!(
                "{partition}: stream {} has no such shard, or has forgotten it",
                self.stream.name()
            );
            SourceError::Misconfigured(why)
        })?;
        let leases = MemoryLeases::default();
        let mut lease = lease_at(&key, checkpoint);
        lease.hash_range = Some(shard.hash_range);
        leases.put(lease);
        let leases: Arc<dyn LeaseStore> = Arc::new(leases);
        let initial = Initial::TrimHorizon;
        let runtime = Handle::current();
        let settings = lease::Settings::new(format!("{OWNER_PREFIX}replay"), self.kinesis.failover);
        let service = Arc::new(self.service(prefetch));
        Ok(KinesisSource::new(Parts {
            stream: self.stream.name().into(),
            holder: lease::start(settings, leases.clone(), None, 0, &runtime),
            readers: Readers::new(service, prefetch, runtime.clone()),
            rounds: Arc::new(Rounds::new(self.stream.clone(), leases, initial)),
            initial,
            runtime: Runs::Beside(runtime),
            metrics: metrics.clone(),
            kcl: None,
        }))
    }

    /// Begins to send to CloudWatch what a KCL would, if that is wanted.
    ///
    /// # Errors
    /// [`RunError::Configuration`] if no region is known.
    pub(super) async fn publish(
        &self,
        metrics: &Metrics,
    ) -> Result<Option<(Arc<KclMetrics>, Publishing)>, RunError> {
        if !self.kinesis.cloudwatch {
            return Ok(None);
        }
        let at = access(
            &self.kinesis.aws,
            self.kinesis.aws.cloudwatch_endpoint.clone(),
        );
        let config = at
            .load()
            .await
            .map_err(|why| RunError::Configuration(format!("aws.enable-cloudwatch: {why}")))?;
        let kcl = Arc::new(KclMetrics::new(metrics.cloudwatch_dropped.clone()));
        let sink = CloudWatchSink::new(&config, &self.kinesis.table);
        let publishing = cloudwatch::start(kcl.clone(), Box::new(sink), &Handle::current());
        Ok(Some((kcl, publishing)))
    }

    /// How the stream is read by workers that may hold so many bytes each.
    fn service(&self, prefetch: usize) -> Service {
        let kinesis = &self.kinesis;
        // Where there is no room for the largest answer there may be, fewer records are asked for.
        let share = prefetch.min(ANSWER_BYTES) * MOST_RECORDS / ANSWER_BYTES;
        let limit = kinesis.max_records.min(share.max(1));
        let settings = shard::Settings {
            mode: match kinesis.mode {
                KinesisMode::Polling => Mode::Polling,
                KinesisMode::FanOut => Mode::FanOut,
                KinesisMode::Auto => Mode::Auto,
            },
            consumer: kinesis.consumer.clone(),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            answer_bytes: ANSWER_BYTES,
            ..shard::Settings::default()
        };
        Service::new(self.stream.clone(), settings)
    }
}

/// The bucket of bulk objects, if there is one, with so many bytes held of them.
///
/// # Errors
/// [`RunError::Configuration`] if no region is known.
pub(super) async fn objects(
    kinesis: &Kinesis,
    held: u64,
) -> Result<Option<Arc<dyn Objects>>, RunError> {
    let Some(bulk) = &kinesis.bulk else {
        return Ok(None);
    };
    let config = access(&kinesis.aws, bulk.endpoint.clone()).load().await;
    let config =
        config.map_err(|why| RunError::Configuration(format!("aws.s3-bulk-bucket: {why}")))?;
    let bucket = Arc::new(S3Bucket::new(&config, &bulk.bucket));
    let fetcher = Fetcher::new(bucket, bulk::Settings::new(held), Handle::current());
    Ok(Some(Arc::new(fetcher)))
}

/// Bytes that may be held of bulk objects.
pub(super) fn held(kinesis: &Kinesis, budget: u64) -> u64 {
    match kinesis.bulk {
        Some(_) => (budget / 8).clamp(LEAST_HELD, MOST_HELD),
        None => 0,
    }
}

/// Bytes each worker may fetch ahead: an eighth of the budget in all, as elsewhere, but enough for one answer if that is at most a
/// fourth of it.
pub(super) fn prefetch(budget: u64, workers: usize) -> usize {
    let budget = usize::try_from(budget).unwrap_or(usize::MAX);
    let most = (budget / 4 / workers.max(1)).max(LEAST_BYTES);
    (budget / 8 / workers.max(1)).max(ANSWER_BYTES).min(most)
}

fn access(aws: &Aws, endpoint: Option<String>) -> Access {
    let keys = |credentials: &crate::config::settings::Credentials| Keys {
        access_key: credentials.access_key.expose().to_owned(),
        secret_key: credentials.secret_access_key.expose().to_owned(),
    };
    Access {
        region: aws.region.clone(),
        endpoint,
        keys: aws.credentials.as_ref().map(keys),
    }
}

/// Nobody knows yet which shards there will be.
fn not_in_the_future(position: InitialPosition) -> Result<(), RunError> {
    match position {
        InitialPosition::At(time) if time > SystemTime::now() => {
            let why = "kinesis.initial-position: that time has not come yet; to begin with what is written from now on, set LATEST";
            Err(RunError::Configuration(why.into()))
        }
        _ => Ok(()),
    }
}

fn initial(position: InitialPosition) -> Initial {
    match position {
        InitialPosition::TrimHorizon => Initial::TrimHorizon,
        InitialPosition::Latest => Initial::Latest,
        InitialPosition::At(time) => Initial::AtTimestamp(time),
    }
}

/// As good as certainly no other process's.
fn unique() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.unwrap_or(Duration::ZERO).as_nanos();
    // Seeded by the system's randomness.
    RandomState::new().hash_one((nanos, std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_fetches_one_answer_ahead_if_memory_allows() {
        let mb = |budget: u64, workers| prefetch(budget << 20, workers) >> 20;
        assert_eq!(mb(128, 2), 12);
        assert_eq!(mb(64, 2), 8);
        assert_eq!(mb(8, 2), 2);
        assert_eq!(mb(1024, 2), 64);
    }

    #[test]
    fn nobody_begins_in_the_future() {
        let hour = Duration::from_secs(3600);
        let at = |time| not_in_the_future(InitialPosition::At(time));
        assert!(at(SystemTime::now() - hour).is_ok());
        let refused = at(SystemTime::now() + hour).unwrap_err();
        assert!(refused.to_string().starts_with("kinesis.initial-position"));
    }
}
