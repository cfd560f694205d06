//! Reading a Kinesis stream from a server: shards of every kind, by asking and by being sent to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alluvium::source::kinesis::stream::shard::{
    Fetched, Mode, News, Readers, Service, Settings, Start,
};
use alluvium::source::kinesis::stream::{Child, Filter, From, Stream, StreamError};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::support::kinesis::{Kinesis, Written};
use crate::support::{seconds, unique};

/// One worker of a stream, which follows shards to their children and notes what it gets.
struct Reading {
    service: Arc<Service>,
    readers: Readers,
    read: Written,
    ended: BTreeMap<String, Vec<Child>>,
    started: BTreeSet<String>,
}

impl Reading {
    async fn new(kinesis: &Kinesis, stream: &str, mode: Mode) -> Self {
        let opened = Arc::new(kinesis.open(stream).await);
        let settings = Settings {
            mode,
            consumer: "alluvium-test".into(),
            ..Settings::default()
        };
        let service = Arc::new(Service::new(opened, settings));
        let readers = Readers::new(service.clone(), 64 << 20, Handle::current());
        Self {
            service,
            readers,
            read: Written::new(),
            ended: BTreeMap::new(),
            started: BTreeSet::new(),
        }
    }

    /// Begins with the oldest record of each shard that has no parent.
    async fn begin(&mut self) {
        let shards = self.service.stream().list_shards(&Filter::All).await;
        for shard in shards.unwrap() {
            if shard.parents.is_empty() {
                self.start(&shard.id);
            }
        }
    }

    fn start(&mut self, shard: &str) {
        if self.started.insert(shard.to_owned()) {
            let oldest = Start::Begin(From::TrimHorizon);
            self.readers.start(shard, 1, oldest);
        }
    }

    fn count(&self) -> usize {
        self.read.values().map(Vec::len).sum()
    }

    /// Reads until so many records are there.
    async fn until(&mut self, count: usize) {
        while self.count() < count {
            let next = timeout(seconds(120), self.readers.next()).await;
            let got = self.count();
            self.take(next.unwrap_or_else(|_| panic!("only {got} of {count} records came")));
        }
        assert_eq!(self.count(), count);
    }

    /// Reads until so many shards have ended.
    async fn until_ended(&mut self, shards: usize) {
        while self.ended.len() < shards {
            let next = timeout(seconds(120), self.readers.next()).await;
            self.take(next.expect("a shard does not end"));
        }
    }

    fn take(&mut self, fetched: Fetched) {
        let shard = fetched.shard.to_string();
        match fetched.news {
            News::Records(batch) => {
                let read = self.read.entry(shard).or_default();
                for record in batch.records {
                    let payload = String::from_utf8(record.data.to_vec()).unwrap();
                    assert_eq!(record.partition_key, payload);
                    assert!(record.arrival_ms.is_some());
                    read.push((record.sequence, payload));
                }
                self.read.retain(|_, records| !records.is_empty());
            }
            News::Ended(children) => {
                self.ended.insert(shard, children.clone());
                for child in children {
                    if child
                        .parents
                        .iter()
                        .all(|parent| self.ended.contains_key(parent))
                    {
                        self.start(&child.id);
                    }
                }
            }
            other => panic!("{shard}: {other:?}"),
        }
    }
}

/// Splits the first shard of two, merges one of its children with the other shard, and writes before, between and behind.
async fn reshard_and_read(kinesis: &Kinesis, mode: Mode) {
    let (stream, mut written) = (unique("reshard"), Written::new());
    kinesis.create(&stream, 2).await;
    kinesis.put(&stream, 0..200, &mut written).await;
    let mut reading = Reading::new(kinesis, &stream, mode).await;
    reading.begin().await;
    reading.until(200).await;

    let shards = reading.service.stream().list_shards(&Filter::All).await;
    let first = shards.unwrap().remove(0);
    let range = (first.hash_range.start, first.hash_range.end);
    kinesis.split(&stream, &first.id, range).await;
    kinesis.put(&stream, 200..500, &mut written).await;
    reading.until(500).await;
    reading.until_ended(1).await;
    let children: Vec<&str> = reading.ended[&first.id]
        .iter()
        .map(|c| c.id.as_str())
        .collect();
    assert_eq!(children, ["shardId-000000000002", "shardId-000000000003"]);

    kinesis
        .merge(&stream, "shardId-000000000003", "shardId-000000000001")
        .await;
    kinesis.put(&stream, 500..800, &mut written).await;
    reading.until(800).await;
    reading.until_ended(3).await;
    assert_eq!(reading.read, written);

    let shards = reading
        .service
        .stream()
        .list_shards(&Filter::All)
        .await
        .unwrap();
    let merged = shards.last().unwrap();
    assert_eq!(
        merged.parents,
        ["shardId-000000000003", "shardId-000000000001"]
    );
    assert_eq!(merged.hash_range.end, u128::MAX);
    let closed: Vec<bool> = shards.iter().map(|shard| shard.closed).collect();
    assert_eq!(closed, [true, true, false, true, false]);
    let open = reading
        .service
        .stream()
        .list_shards(&Filter::AtLatest)
        .await
        .unwrap();
    assert_eq!(open.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polled_stream_is_read_through_a_split_and_a_merge() {
    reshard_and_read(&Kinesis::shared().await, Mode::Polling).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_sent_through_a_split_and_a_merge() {
    reshard_and_read(&Kinesis::shared().await, Mode::FanOut).await;
}

/// What the service makes of `UpdateShardCount`, up and down again. The server's own makes shards that have no parents.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_read_through_changes_of_its_shard_count() {
    for mode in [Mode::Polling, Mode::FanOut] {
        let kinesis = Kinesis::shared().await;
        let (stream, mut written) = (unique("resize"), Written::new());
        kinesis.create(&stream, 2).await;
        kinesis.put(&stream, 0..200, &mut written).await;
        let mut reading = Reading::new(&kinesis, &stream, mode).await;
        reading.begin().await;
        let shards = reading.service.stream().list_shards(&Filter::All).await;
        for shard in shards.unwrap() {
            let range = (shard.hash_range.start, shard.hash_range.end);
            kinesis.split(&stream, &shard.id, range).await;
        }
        kinesis.put(&stream, 200..500, &mut written).await;
        for (one, other) in [(2, 3), (4, 5)] {
            let shard = |number| format!("shardId-{number:012}");
            kinesis.merge(&stream, &shard(one), &shard(other)).await;
        }
        kinesis.put(&stream, 500..800, &mut written).await;
        reading.until(800).await;
        reading.until_ended(6).await;
        assert_eq!(reading.read, written);
    }
}

/// The server's subscriptions last two seconds, with three records an event.
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_end_lose_and_repeat_nothing() {
    let kinesis = Kinesis::start(&[
        ("KINESIS_SUBSCRIPTION_MS", "2000"),
        ("KINESIS_EVENT_RECORDS", "3"),
    ])
    .await;
    let (stream, mut written) = (unique("subscriptions"), Written::new());
    kinesis.create(&stream, 1).await;
    let mut reading = Reading::new(&kinesis, &stream, Mode::FanOut).await;
    reading.begin().await;
    for round in 0..4 {
        kinesis
            .put(&stream, round * 50..round * 50 + 50, &mut written)
            .await;
        reading.until(round as usize * 50 + 50).await;
    }
    assert_eq!(reading.read, written);
    assert!(reading.service.counts().answers.load(Ordering::Relaxed) > 1);
}

/// The server's iterators live for a second.
#[tokio::test(flavor = "multi_thread")]
async fn iterators_that_expire_lose_and_repeat_nothing() {
    let kinesis = Kinesis::start(&[("KINESIS_ITERATOR_SECONDS", "1")]).await;
    let (stream, mut written) = (unique("iterators"), Written::new());
    kinesis.create(&stream, 1).await;
    kinesis.put(&stream, 0..50, &mut written).await;
    let mut reading = Reading::new(&kinesis, &stream, Mode::Polling).await;
    reading.begin().await;
    reading.until(50).await;
    reading.readers.pause("shardId-000000000000");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    kinesis.put(&stream, 50..100, &mut written).await;
    reading.readers.resume("shardId-000000000000");
    reading.until(100).await;
    assert_eq!(reading.read, written);
    assert!(reading.service.counts().expired.load(Ordering::Relaxed) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_resumed_at() {
    for mode in [Mode::Polling, Mode::FanOut] {
        let kinesis = Kinesis::shared().await;
        let (stream, mut written) = (unique("resume"), Written::new());
        kinesis.create(&stream, 1).await;
        kinesis.put(&stream, 0..100, &mut written).await;
        let records = &written["shardId-000000000000"];
        let mut reading = Reading::new(&kinesis, &stream, mode).await;
        let resume = Start::Resume(records[40].0);
        reading.readers.start("shardId-000000000000", 1, resume);
        reading.until(60).await;
        assert_eq!(reading.read["shardId-000000000000"], records[40..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_read_from_its_tip_and_from_a_time() {
    let kinesis = Kinesis::shared().await;
    let (stream, mut written) = (unique("tip"), Written::new());
    kinesis.create(&stream, 1).await;
    kinesis.put(&stream, 0..10, &mut written).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let between = std::time::SystemTime::now();
    let opened = kinesis.open(&stream).await;
    let shard = "shardId-000000000000";
    let tip = opened.iterator(shard, From::Latest).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    kinesis.put(&stream, 10..20, &mut written).await;
    let expected: Vec<_> = written[shard][10..].iter().map(|(at, _)| *at).collect();
    let time = opened
        .iterator(shard, From::AtTimestamp(between))
        .await
        .unwrap();
    for iterator in [tip, time] {
        let answer = opened.records(&iterator, 1000).await.unwrap();
        let got: Vec<_> = answer
            .records
            .iter()
            .map(|record| record.sequence)
            .collect();
        assert_eq!(got, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_listed_page_by_page() {
    let kinesis = Kinesis::shared().await;
    let stream = unique("pages");
    kinesis.create(&stream, 7).await;
    let opened = kinesis.open(&stream).await.with_page(2);
    let shards = opened.list_shards(&Filter::All).await.unwrap();
    assert_eq!(shards.len(), 7);
    assert_eq!(shards[0].hash_range.start, 0);
    for pair in shards.windows(2) {
        assert_eq!(pair[0].hash_range.end + 1, pair[1].hash_range.start);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_are_made_found_and_ended() {
    let kinesis = Kinesis::shared().await;
    let stream = unique("consumers");
    kinesis.create(&stream, 1).await;
    let opened = kinesis.open(&stream).await;
    let missing = opened.describe_consumer("one").await;
    assert!(
        matches!(missing, Err(StreamError::NotFound(_))),
        "{missing:?}"
    );
    let made = opened.register_consumer("one").await.unwrap();
    let again = opened.register_consumer("one").await;
    assert!(matches!(again, Err(StreamError::InUse(_))), "{again:?}");
    let found = opened.describe_consumer("one").await.unwrap();
    assert_eq!(found.arn, made.arn);
    while !opened.describe_consumer("one").await.unwrap().active {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    opened.deregister_consumer("one").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_apart() {
    let kinesis = Kinesis::shared().await;
    let opened = kinesis.open(&unique("missing")).await;
    let shards = opened.list_shards(&Filter::All).await;
    assert!(
        matches!(shards, Err(StreamError::NotFound(_))),
        "{shards:?}"
    );

    let stream = unique("missing-shard");
    kinesis.create(&stream, 1).await;
    let mut reading = Reading::new(&kinesis, &stream, Mode::Polling).await;
    reading
        .readers
        .start("shardId-000000000007", 1, Start::Begin(From::TrimHorizon));
    let fetched = timeout(seconds(120), reading.readers.next()).await.unwrap();
    assert!(matches!(fetched.news, News::Gone), "{:?}", fetched.news);
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let opened = Kinesis::stream_at("http://127.0.0.1:9", "any").await;
    let answer = opened.list_shards(&Filter::All).await;
    assert!(
        matches!(answer, Err(StreamError::Unavailable(_))),
        "{answer:?}"
    );
}

/// The clock by which it was written down is ahead.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_has_not_come_is_waited_for() {
    let kinesis = Kinesis::shared().await;
    let (stream, mut written) = (unique("to-come"), Written::new());
    kinesis.create(&stream, 1).await;
    let to_come = From::AtTimestamp(std::time::SystemTime::now() + seconds(4));
    let shard = "shardId-000000000000";
    let early = kinesis.open(&stream).await.iterator(shard, to_come).await;
    assert!(
        matches!(&early, Err(StreamError::Unavailable(why)) if why.contains("clock")),
        "{early:?}"
    );
    let mut reading = Reading::new(&kinesis, &stream, Mode::Polling).await;
    reading.readers.start(shard, 1, Start::Begin(to_come));
    tokio::time::sleep(seconds(5)).await;
    kinesis.put(&stream, 0..10, &mut written).await;
    reading.until(10).await;
    assert_eq!(reading.read, written);
}
