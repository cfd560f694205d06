//! What it costs to turn rows into lines and lines into objects.
//!
//! The rows are those of the events that all benchmarks share: five tables, 16 columns, three of them often
//! null. Throughput is given in rows, and in bytes of NDJSON in a second run of the same work.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use alluvium_objects::{
    Body, Compression, Created, Found, KeyTemplate, LineLayout, Listed, Object, ObjectSettings,
    ObjectTarget, Store,
};
use alluvium_target::{Partition, Position, Span, SpanStart, Table, Target, TargetError};
use arrow_array::RecordBatch;
use async_trait::async_trait;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

mod rows;

use rows::{ROWS, batches};

/// Times that each batch is added to its object.
const ROUNDS: usize = 4;

fn main() {
    divan::main();
}

/// Keeps the last object, to measure it.
#[derive(Clone, Debug, Default)]
struct Last(Arc<Mutex<Option<Object>>>);

#[async_trait]
impl Store for Last {
    async fn create(&self, _key: &str, object: &Object) -> Result<Created, TargetError> {
        if let Ok(mut last) = self.0.lock() {
            *last = Some(object.clone());
        }
        Ok(Created::New)
    }

    async fn replace(&self, key: &str, object: &Object) -> Result<(), TargetError> {
        self.create(key, object).await.map(drop)
    }

    async fn describe(&self, _key: &str) -> Result<Option<Found>, TargetError> {
        Ok(None)
    }

    async fn list(&self, _prefix: &str, _after: Option<&str>) -> Result<Vec<Listed>, TargetError> {
        Ok(Vec::new())
    }

    async fn read(&self, key: &str) -> Result<Body, TargetError> {
        Err(TargetError::Unavailable(format!("{key} is not kept")))
    }

    async fn check(&self) -> Result<(), TargetError> {
        Ok(())
    }
}

struct Work {
    target: ObjectTarget<Last>,
    batches: Vec<(Table, RecordBatch)>,
    start: SpanStart,
}

impl Work {
    fn new(layout: LineLayout, compression: Compression, level: u32) -> Result<Self, TargetError> {
        let misconfigured =
            |error: alluvium_objects::KeyError| TargetError::Misconfigured(error.to_string());
        let settings = ObjectSettings {
            key: KeyTemplate::parse(KeyTemplate::default_text(compression))
                .map_err(misconfigured)?,
            layout,
            compression,
            level,
            time_field: "_time".into(),
            user_field: "_user".into(),
        };
        let partition = Partition::new("events", 0);
        let opened = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Ok(Self {
            target: ObjectTarget::new(Last::default(), settings)?,
            batches: batches(),
            start: SpanStart {
                partition,
                from: Position::at(0),
                opened,
            },
        })
    }

    /// All batches, each into the object of its table; the bytes as stored.
    fn run(&self) -> Result<u64, TargetError> {
        let mut inserter = self.target.begin(&self.start)?;
        for _ in 0..ROUNDS {
            for (table, batch) in &self.batches {
                inserter.add(table, batch)?;
            }
        }
        let SpanStart {
            partition, from, ..
        } = self.start.clone();
        inserter.seal(&Span {
            partition,
            from,
            to: Position::at(8),
        })?;
        Ok(inserter.staged().memory as u64)
    }
}

#[expect(clippy::expect_used, reason = "a benchmark may panic")]
fn measure(bencher: Bencher<'_, '_>, layout: LineLayout, compression: Compression, level: u32) {
    let plain = Work::new(layout, Compression::None, 0).expect("good settings");
    let text = plain.run().expect("rows are accepted");
    let work = Work::new(layout, compression, level).expect("good settings");
    bencher
        .counter(ItemsCount::new(ROUNDS * work.batches.len() * ROWS))
        .counter(BytesCount::new(text))
        .bench_local(|| work.run().expect("rows are accepted"));
}

#[divan::bench]
fn rakam_text(bencher: Bencher<'_, '_>) {
    measure(bencher, LineLayout::Rakam, Compression::None, 0);
}

#[divan::bench]
fn flat_text(bencher: Bencher<'_, '_>) {
    measure(bencher, LineLayout::Flat, Compression::None, 0);
}

#[divan::bench(args = [1, 6])]
fn rakam_gzip(bencher: Bencher<'_, '_>, level: u32) {
    measure(bencher, LineLayout::Rakam, Compression::Gzip, level);
}

#[divan::bench(args = [1, 3, 9])]
fn rakam_zstd(bencher: Bencher<'_, '_>, level: u32) {
    measure(bencher, LineLayout::Rakam, Compression::Zstd, level);
}
