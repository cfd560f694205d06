//! What it costs to turn rows into lines and lines into gzip.
//!
//! A batch is 4,096 rows of 15 columns, like those of web analytics. Throughput is given in rows, and in
//! bytes of NDJSON in a second run of the same work.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use alluvium_objects::{
    Body, Compression, Created, Found, KeyTemplate, LineLayout, Listed, Object, ObjectSettings,
    ObjectTarget, Store,
};
use alluvium_target::{Partition, Position, Span, SpanStart, Table, Target, TargetError};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use async_trait::async_trait;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

const ROWS: usize = 4_096;

fn main() {
    divan::main();
}

/// A generator of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }

    fn pick(&mut self, from: &[&'static str]) -> Option<&'static str> {
        let at = self.below(from.len() as u64 * 8 / 7) as usize;
        from.get(at).copied()
    }
}

fn events() -> RecordBatch {
    const PAGES: [&str; 6] = [
        "/",
        "/pricing",
        "/docs/getting-started",
        "/blog/2024/columns",
        "/cart",
        "/search?q=shoes",
    ];
    const COUNTRIES: [&str; 7] = ["DE", "US", "TR", "FR", "JP", "BR", "IN"];
    const BROWSERS: [&str; 4] = ["Chrome", "Firefox", "Safari", "Edge"];
    const AGENTS: [&str; 3] = [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)",
    ];
    let numbers = &mut Numbers(7);
    let mut time = 1_700_000_000_000;
    let mut clock = || {
        time += 37;
        time
    };
    let mut texts = |from: &[&'static str]| -> ArrayRef {
        Arc::new(
            (0..ROWS)
                .map(|_| numbers.pick(from))
                .collect::<StringArray>(),
        )
    };
    let (pages, referrers, titles) = (texts(&PAGES), texts(&PAGES), texts(&PAGES));
    let (countries, browsers, agents) = (texts(&COUNTRIES), texts(&BROWSERS), texts(&AGENTS));
    let mut each = |end: u64| -> Vec<u64> { (0..ROWS).map(|_| numbers.below(end)).collect() };
    let users: StringArray = each(50_000)
        .iter()
        .map(|n| Some(format!("user-{n:06}")))
        .collect();
    let sessions: StringArray = each(u64::MAX)
        .iter()
        .map(|n| Some(format!("{:016x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))))
        .collect();
    let longs = |values: Vec<u64>| Int64Array::from_iter_values(values.iter().map(|n| *n as i64));
    let prices = each(100_000).into_iter().map(|n| n as f64 / 100.0);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "_shard_time",
            Arc::new(TimestampMillisecondArray::from(vec![
                1_700_000_000_000;
                ROWS
            ])),
        ),
        (
            "_time",
            Arc::new(TimestampMillisecondArray::from_iter_values(
                (0..ROWS).map(|_| clock()),
            )),
        ),
        ("_user", Arc::new(users)),
        ("session_id", Arc::new(sessions)),
        ("page", pages),
        ("referrer", referrers),
        ("title", titles),
        ("country", countries),
        ("browser", browsers),
        ("user_agent", agents),
        ("price", Arc::new(Float64Array::from_iter_values(prices))),
        ("duration_ms", Arc::new(longs(each(600_000)))),
        ("position", Arc::new(longs(each(20)))),
        (
            "returning",
            Arc::new(BooleanArray::from_iter(
                each(2).iter().map(|n| Some(*n == 1)),
            )),
        ),
        (
            "birthday",
            Arc::new(Date32Array::from_iter_values(
                each(20_000).iter().map(|n| *n as i32),
            )),
        ),
    ];
    #[expect(
        clippy::expect_used,
        reason = "the columns are made here, of one length"
    )]
    RecordBatch::try_from_iter(columns).expect("columns of one length")
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
    batch: RecordBatch,
    table: Table,
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
            batch: events(),
            table: Table::new("shop", "page_view"),
            start: SpanStart {
                partition,
                from: Position::at(0),
                opened,
            },
        })
    }

    /// Eight batches into one object; its length as stored.
    fn run(&self) -> Result<u64, TargetError> {
        let mut inserter = self.target.begin(&self.start)?;
        for _ in 0..8 {
            inserter.add(&self.table, &self.batch)?;
        }
        let SpanStart {
            partition, from, ..
        } = self.start.clone();
        inserter.seal(&Span {
            partition,
            from,
            to: Position::at(8),
        })?;
        Ok(inserter.staged().largest_output)
    }
}

#[expect(clippy::expect_used, reason = "a benchmark may panic")]
fn measure(bencher: Bencher<'_, '_>, layout: LineLayout, compression: Compression, level: u32) {
    let plain = Work::new(layout, Compression::None, 0).expect("good settings");
    let text = plain.run().expect("rows are accepted");
    let work = Work::new(layout, compression, level).expect("good settings");
    bencher
        .counter(ItemsCount::new(8 * ROWS))
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
