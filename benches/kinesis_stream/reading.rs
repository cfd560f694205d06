//! One worker that reads the stream to its end, set up as the program does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alluvium::Targets;
use alluvium::metrics::Metrics;
use alluvium::record::{Span, SpanStart, Table};
use alluvium::source::kinesis::lease::{
    self, HashRange, Lease, LeasePosition, LeaseStore, MemoryLeases, OWNER_PREFIX,
};
use alluvium::source::kinesis::stream::Stream;
use alluvium::source::kinesis::stream::shard::{Readers, Service, Settings};
use alluvium::source::kinesis::topology::{Initial, Rounds};
use alluvium::source::kinesis::{KinesisSource, Parts, Runs};
use alluvium::worker::{SystemClock, Worker};
use alluvium_target::{Committed, Inserter, Staged, Target, TargetError};
use arrow_array::RecordBatch;
use async_trait::async_trait;
use tokio::runtime::Runtime;

use crate::server::Server;
use crate::stock::{RECORDS, SHARDS};
use crate::support::config::Config;
use crate::support::kinesis::Kinesis;
use crate::support::process::own_cpu;
use crate::support::service::Bucket;
use crate::{parts, support};

/// The stream's name, which the server does not ask for.
const STREAM: &str = "events";
/// The program's memory, as in `make bench`.
const MEMORY: u64 = 128 << 20;
/// What readers may hold: two answers that are under way, where the program would let one worker have one of so little memory.
const READING: usize = 32 << 20;

/// Where rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Into columns, which are dropped.
    Columns,
    /// Into objects of gzip 1 on the S3 server of the tests.
    S3,
}

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub elapsed: Duration,
    /// CPU time of the process without the server's.
    pub program: Duration,
    pub server: Duration,
}

/// Reads everything and waits until it is committed.
pub fn read(server: &Server, way: Way) -> Used {
    let runtime = alluvium::run::runtime().expect("threads");
    let metrics = Metrics::new().expect("metrics");
    let rows = Arc::new(AtomicU64::new(0));
    let target: Arc<dyn Target> = match way {
        Way::Columns => Arc::new(Counting(rows.clone())),
        Way::S3 => runtime.block_on(bucket()),
    };
    let (clock, before, servers) = (Instant::now(), own_cpu(), server.cpu());
    let source = source(server, &runtime, &metrics);
    let shared = parts::worker::shared(runtime.handle(), metrics.clone(), target, MEMORY);
    Worker::new(0, source, Box::new(SystemClock::default()), shared)
        .run(|| metrics.records.get() >= RECORDS as u64)
        .expect("everything is committed");
    let (elapsed, all) = (clock.elapsed(), own_cpu() - before);
    let servers = server.cpu() - servers;
    let taken = match way {
        Way::Columns => rows.load(Ordering::Relaxed),
        Way::S3 => metrics.output_rows.get(),
    };
    assert_eq!(taken, RECORDS as u64, "rows");
    Used {
        elapsed,
        program: all - servers,
        server: servers,
    }
}

fn source(server: &Server, runtime: &Runtime, metrics: &Arc<Metrics>) -> KinesisSource {
    let _inside = runtime.enter();
    let opened = runtime.block_on(Kinesis::stream_at(&server.endpoint, STREAM));
    let stream: Arc<dyn Stream> = Arc::new(opened);
    let leases: Arc<dyn LeaseStore> = Arc::new(leases());
    let initial = Initial::TrimHorizon;
    let rounds = Arc::new(Rounds::new(stream.clone(), leases.clone(), initial));
    let holder = lease::Settings::new(format!("{OWNER_PREFIX}bench"), Duration::from_secs(10));
    let service = Arc::new(Service::new(stream, Settings::default()));
    KinesisSource::new(Parts {
        stream: STREAM.into(),
        // No shard ends, so nobody need look for those that follow.
        holder: lease::start(holder, leases, None, 1, runtime.handle()),
        readers: Readers::new(service, READING, runtime.handle().clone()),
        rounds,
        initial,
        runtime: Runs::Beside(runtime.handle().clone()),
        metrics: metrics.clone(),
        kcl: None,
    })
}

/// All shards are free, and have all hash keys: the same aggregates are in each of them.
fn leases() -> MemoryLeases {
    let leases = MemoryLeases::default();
    for shard in 0..SHARDS {
        leases.put(Lease {
            hash_range: Some(HashRange::ALL),
            ..Lease::new(format!("shardId-{shard:012}"), LeasePosition::TrimHorizon)
        });
    }
    leases
}

/// The program's own target, in a place that no other run has.
async fn bucket() -> Arc<dyn Target> {
    let directory = tempfile::tempdir().expect("a directory");
    let key = format!(
        "{}/{{project}}/{{collection}}/{{topic}}-{{partition}}-{{from}}-{{to}}.ndjson.gz",
        support::unique("bench-kinesis")
    );
    let config = Config::new(directory.path(), "127.0.0.1:1", STREAM)
        .s3(&Bucket::shared())
        .set("target.key", &key)
        .set("target.compression", "gzip")
        .set("target.compression-level", "1");
    let loaded = alluvium::config::load(&config.write(), [], &[]);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    let target = Targets::standard().open(&loaded.settings).await;
    target.expect("a target")
}

/// Counts rows and keeps nothing.
#[derive(Clone, Debug)]
struct Counting(Arc<AtomicU64>);

#[async_trait]
impl Target for Counting {
    fn begin(&self, _: &SpanStart) -> Result<Box<dyn Inserter>, TargetError> {
        Ok(Box::new(self.clone()))
    }

    async fn check(&self) -> Result<(), TargetError> {
        Ok(())
    }
}

#[async_trait]
impl Inserter for Counting {
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
        assert!(!table.is_dead_letters(), "a dead letter");
        self.0.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn staged(&self) -> Staged {
        Staged::default()
    }

    async fn commit(&mut self, _: &Span) -> Result<Committed, TargetError> {
        Ok(Committed::default())
    }
}
