//! Readers over the stream in memory, in a time that stands still unless everybody waits.

mod world;

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use super::super::memory::{Call, Limits, Memory, Trouble};
use super::super::{Filter, Stream, StreamError};
use super::*;

const FIRST: &str = "shardId-000000000000";
const SECOND: &str = "shardId-000000000001";
const MINUTE: Duration = Duration::from_secs(60);

/// A stream, and one worker that reads it.
struct Rig {
    memory: Memory,
    service: Arc<Service>,
    readers: Readers,
    generation: u64,
}

impl Rig {
    fn new(shards: u32, limits: Limits, settings: Settings) -> Self {
        Self::with_memory(shards, limits, settings, 64 << 20)
    }

    fn with_memory(shards: u32, limits: Limits, settings: Settings, bytes: usize) -> Self {
        let memory = Memory::new("s", shards, limits);
        let service = Arc::new(Service::new(Arc::new(memory.clone()), settings));
        let readers = Readers::new(service.clone(), bytes, Handle::current());
        Self {
            memory,
            service,
            readers,
            generation: 0,
        }
    }

    fn polling(shards: u32) -> Self {
        Self::new(shards, Limits::default(), Settings::default())
    }

    fn fan_out(mode: Mode) -> Self {
        let settings = Settings {
            mode,
            ..Settings::default()
        };
        Self::new(1, Limits::default(), settings)
    }

    fn start(&mut self, shard: &str, start: Start) {
        self.generation += 1;
        self.readers.start(shard, self.generation, start);
    }

    fn start_oldest(&mut self, shard: &str) {
        self.start(shard, Start::Begin(From::TrimHorizon));
    }

    /// Writes records to the first shard; their payload is their number.
    fn put(&self, numbers: std::ops::Range<u32>) -> Vec<Sequence> {
        let put = |number: u32| self.memory.put(0, "k", number.to_string().as_bytes()).1;
        numbers.map(put).collect()
    }

    async fn news(&mut self) -> News {
        let next = timeout(MINUTE * 60, self.readers.next()).await;
        next.expect("nothing comes within an hour").news
    }

    /// The next records, and what comes behind so many of them is left.
    async fn records(&mut self, count: usize) -> Vec<Sequence> {
        let mut sequences = Vec::new();
        while sequences.len() < count {
            match self.news().await {
                News::Records(batch) => sequences.extend(batch.records.iter().map(|r| r.sequence)),
                other => panic!("{other:?} behind {} records", sequences.len()),
            }
        }
        sequences
    }

    /// What comes that is no records.
    async fn end(&mut self) -> News {
        loop {
            match self.news().await {
                News::Records(batch) if batch.records.is_empty() => {}
                other => return other,
            }
        }
    }

    fn fail(&self, on: Call, times: u32, error: &StreamError) {
        let (mut left, error) = (times, error.clone());
        self.memory.set_troubles(move |call| {
            let fails = call == on && left > 0;
            left -= u32::from(fails);
            fails.then(|| Trouble::Fail(error.clone()))
        });
    }
}

fn ids(children: &[Child]) -> Vec<&str> {
    children.iter().map(|child| child.id.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_read_from_its_oldest_record_to_its_children() {
    let mut rig = Rig::polling(1);
    let mut written = rig.put(0..25);
    rig.start_oldest(FIRST);
    assert_eq!(rig.records(25).await, written);
    written = rig.put(25..50);
    let children = rig.memory.split(FIRST);
    assert_eq!(rig.records(25).await, written);
    let News::Ended(told) = rig.end().await else {
        panic!("it has ended")
    };
    assert_eq!(ids(&told), children);
}

#[tokio::test(start_paused = true)]
async fn children_that_are_not_told_are_looked_up() {
    let limits = Limits {
        tells_children: false,
        ..Limits::default()
    };
    let mut rig = Rig::new(2, limits, Settings::default());
    rig.start_oldest(FIRST);
    let child = rig.memory.merge(FIRST, SECOND);
    let News::Ended(told) = rig.end().await else {
        panic!("it has ended")
    };
    assert_eq!(ids(&told), [child]);
    assert_eq!(told[0].parents, [FIRST, SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_resume_gives_the_record_it_names_first() {
    let mut rig = Rig::polling(1);
    let written = rig.put(0..10);
    rig.start(FIRST, Start::Resume(written[4]));
    assert_eq!(rig.records(6).await, written[4..]);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_whose_record_is_gone_is_told() {
    let mut rig = Rig::polling(1);
    let written = rig.put(0..10);
    rig.memory.trim(FIRST, written[7]);
    rig.start(FIRST, Start::Resume(written[4]));
    let News::Trimmed { expected, oldest } = rig.end().await else {
        panic!("it is gone")
    };
    assert_eq!((expected, oldest), (written[4], Some(written[7])));
    rig.start(FIRST, Start::Begin(From::At(written[7])));
    assert_eq!(rig.records(3).await, written[7..]);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_is_told_to_be_gone_even_if_nothing_follows() {
    let mut rig = Rig::polling(1);
    let written = rig.put(0..10);
    rig.memory.trim(FIRST, "9".repeat(60).parse().unwrap());
    rig.start(FIRST, Start::Resume(written[9]));
    let News::Trimmed { oldest, .. } = rig.end().await else {
        panic!("it is gone")
    };
    assert_eq!(oldest, None);
}

#[tokio::test(start_paused = true)]
async fn an_iterator_that_expires_costs_no_record() {
    let mut rig = Rig::polling(1);
    let mut written = rig.put(0..10);
    rig.start_oldest(FIRST);
    assert_eq!(rig.records(10).await, written);
    rig.readers.pause(FIRST);
    sleep(MINUTE * 10).await;
    written = rig.put(10..20);
    rig.readers.resume(FIRST);
    assert_eq!(rig.records(10).await, written);
    let expired = &rig.service.counts().expired;
    assert_eq!(expired.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_while_the_latest_iterator_expired_is_read() {
    let mut rig = Rig::polling(1);
    rig.put(0..10);
    sleep(MINUTE).await;
    rig.start(FIRST, Start::Begin(From::Latest));
    sleep(Duration::from_secs(2)).await;
    rig.readers.pause(FIRST);
    let written = rig.put(10..20);
    sleep(MINUTE * 10).await;
    rig.readers.resume(FIRST);
    assert_eq!(rig.records(10).await, written);
}

#[tokio::test(start_paused = true)]
async fn a_paused_shard_leaves_others_alone() {
    let mut rig = Rig::polling(2);
    rig.start_oldest(FIRST);
    rig.start_oldest(SECOND);
    rig.readers.pause(FIRST);
    sleep(MINUTE).await;
    rig.put(0..10);
    let (_, other) = rig.memory.put(u128::MAX, "k", b"other");
    sleep(MINUTE).await;
    assert_eq!(rig.records(1).await, [other]);
    assert!(timeout(MINUTE, rig.end()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_was_replaced_is_not_heard_any_more() {
    let mut rig = Rig::polling(1);
    let written = rig.put(0..10);
    rig.start_oldest(FIRST);
    sleep(MINUTE).await;
    rig.start(FIRST, Start::Resume(written[8]));
    assert_eq!(rig.records(2).await, written[8..]);
    rig.readers.stop(FIRST);
    rig.put(10..20);
    sleep(MINUTE).await;
    assert!(rig.readers.try_next().is_none());
}

#[tokio::test(start_paused = true)]
async fn failures_that_heal_are_nobodys_business() {
    for error in [
        StreamError::Throttled("slow".into()),
        StreamError::Unavailable("gone fishing".into()),
        StreamError::NotFound("a shard that is listed".into()),
        StreamError::Expired,
    ] {
        for call in [Call::Iterator, Call::Records] {
            let mut rig = Rig::polling(1);
            let written = rig.put(0..10);
            rig.fail(call, 7, &error);
            rig.start_oldest(FIRST);
            assert_eq!(rig.records(10).await, written, "{call:?} {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_must_change_is_told() {
    let mut rig = Rig::polling(1);
    rig.fail(
        Call::Iterator,
        1,
        &StreamError::Misconfigured("no rights".into()),
    );
    rig.start_oldest(FIRST);
    let News::Failed(reason) = rig.end().await else {
        panic!("a person is needed")
    };
    assert_eq!(reason, "no rights");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_the_stream_has_forgotten_is_told() {
    let mut rig = Rig::polling(1);
    rig.memory.split(FIRST);
    rig.memory.forget(FIRST);
    rig.start_oldest(FIRST);
    assert!(matches!(rig.end().await, News::Gone));
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_read_at_full_rate_and_never_beyond() {
    let mut rig = Rig::polling(1);
    let payload = vec![7; 100 << 10];
    for _ in 0..600 {
        rig.memory.put(0, "k", &payload);
    }
    sleep(MINUTE).await;
    let began = Instant::now();
    rig.start_oldest(FIRST);
    rig.records(600).await;
    // 58.6 MiB at 2 MiB a second, the last answer not counted.
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(24) && took < Duration::from_secs(27),
        "{took:?}"
    );
    assert_eq!(rig.memory.throttled(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_shard_is_asked_once_a_second() {
    let mut rig = Rig::polling(1);
    rig.start_oldest(FIRST);
    let answers = || {
        let counts = rig.service.counts();
        counts.answers.load(std::sync::atomic::Ordering::Relaxed)
    };
    sleep(MINUTE).await;
    let before = answers();
    sleep(MINUTE).await;
    assert!((55..=60).contains(&(answers() - before)));
}

#[tokio::test(start_paused = true)]
async fn no_more_is_held_than_allowed() {
    let limits = Limits {
        answer_bytes: 1 << 20,
        ..Limits::default()
    };
    let settings = Settings {
        answer_bytes: 5 << 18,
        ..Settings::default()
    };
    let mut rig = Rig::with_memory(8, limits, settings, 3 << 20);
    let payload = vec![7; 10 << 10];
    let width = u128::MAX / 8;
    for number in 0..4000 {
        rig.memory.put(width * (number % 8) + 5, "k", &payload);
    }
    for number in 0..8 {
        rig.start_oldest(&format!("shardId-{number:012}"));
    }
    let (mut kept, mut records) = (std::collections::VecDeque::new(), 0);
    while records < 4000 {
        // The worker keeps batches for a while; the last one only, if that is all that can be had.
        match timeout(MINUTE, rig.readers.next()).await {
            Ok(Fetched {
                news: News::Records(batch),
                ..
            }) => {
                records += batch.records.len();
                kept.push_back(batch);
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => drop(kept.pop_front().expect("nobody holds anything")),
        }
    }
    assert!(
        rig.memory.most_given() <= 3 << 20,
        "{}",
        rig.memory.most_given()
    );
    drop(kept);
    rig.readers.pause(FIRST);
}

#[tokio::test(start_paused = true)]
async fn records_are_sent_over_many_subscriptions() {
    let mut rig = Rig::fan_out(Mode::FanOut);
    let written = rig.put(0..10);
    rig.start(FIRST, Start::Resume(written[2]));
    assert_eq!(rig.records(8).await, written[2..]);
    for round in 1..30_u32 {
        sleep(MINUTE).await;
        let written = rig.put(round * 10..round * 10 + 10);
        assert_eq!(rig.records(10).await, written);
    }
    rig.memory.split(FIRST);
    assert!(matches!(rig.end().await, News::Ended(children) if children.len() == 2));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_taken_over_from_whoever_had_it() {
    let mut rig = Rig::fan_out(Mode::FanOut);
    let written = rig.put(0..10);
    rig.start_oldest(FIRST);
    assert_eq!(rig.records(10).await, written);
    // Somebody else who believes to have the lease.
    let arn = rig.memory.describe_consumer("alluvium").await.unwrap().arn;
    sleep(MINUTE).await;
    let thief = rig.memory.subscribe(&arn, FIRST, From::Latest).await;
    assert!(thief.is_ok());
    let written = rig.put(10..20);
    let began = Instant::now();
    assert_eq!(rig.records(10).await, written);
    assert!(began.elapsed() >= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_consumers_to_spare_is_polled() {
    for error in [
        StreamError::Throttled("twenty consumers".into()),
        StreamError::Misconfigured("no such operation".into()),
    ] {
        let mut rig = Rig::fan_out(Mode::Auto);
        rig.fail(Call::Consumer, u32::MAX, &error);
        let written = rig.put(0..10);
        rig.start_oldest(FIRST);
        assert_eq!(rig.records(10).await, written);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_whose_subscription_is_refused_is_polled() {
    let mut rig = Rig::fan_out(Mode::Auto);
    rig.fail(
        Call::Event,
        1,
        &StreamError::Misconfigured("no rights".into()),
    );
    let written = rig.put(0..10);
    rig.start_oldest(FIRST);
    assert_eq!(rig.records(10).await, written);
}

/// The consumer is there, so that looking for it again would never end.
#[tokio::test(start_paused = true)]
async fn without_a_right_to_subscribe_fan_out_fails() {
    for call in [Call::Subscribe, Call::Event] {
        let mut rig = Rig::fan_out(Mode::FanOut);
        let denied = StreamError::Misconfigured("no rights".into());
        rig.fail(call, u32::MAX, &denied);
        rig.start_oldest(FIRST);
        assert!(matches!(rig.end().await, News::Failed(reason) if reason == "no rights"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_deleted_is_made_again() {
    let mut rig = Rig::fan_out(Mode::FanOut);
    let mut written = rig.put(0..10);
    rig.start_oldest(FIRST);
    assert_eq!(rig.records(10).await, written);
    rig.memory.deregister_consumer("alluvium").await.unwrap();
    written = rig.put(10..20);
    assert_eq!(rig.records(10).await, written);
}

#[tokio::test(start_paused = true)]
async fn without_a_right_to_a_consumer_fan_out_fails() {
    let mut rig = Rig::fan_out(Mode::FanOut);
    rig.fail(
        Call::Consumer,
        1,
        &StreamError::Misconfigured("no rights".into()),
    );
    rig.start_oldest(FIRST);
    assert!(matches!(rig.end().await, News::Failed(reason) if reason == "no rights"));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_given_up_while_records_are_not_wanted() {
    let mut rig = Rig::fan_out(Mode::FanOut);
    rig.put(0..10);
    rig.start_oldest(FIRST);
    rig.records(10).await;
    rig.readers.pause(FIRST);
    sleep(MINUTE).await;
    let written = rig.put(10..20);
    sleep(MINUTE).await;
    assert!(rig.readers.try_next().is_none());
    rig.readers.resume(FIRST);
    assert_eq!(rig.records(10).await, written);
}

/// The service takes a second one only five seconds behind the first.
#[tokio::test(start_paused = true)]
async fn a_short_pause_costs_no_subscription() {
    let mut rig = Rig::fan_out(Mode::FanOut);
    rig.put(0..10);
    rig.start_oldest(FIRST);
    rig.records(10).await;
    let answers = |rig: &Rig| {
        let counts = rig.service.counts();
        counts.answers.load(std::sync::atomic::Ordering::Relaxed)
    };
    let before = answers(&rig);
    rig.readers.pause(FIRST);
    sleep(Duration::from_secs(1)).await;
    rig.readers.resume(FIRST);
    let written = rig.put(10..20);
    let began = Instant::now();
    assert_eq!(rig.records(10).await, written);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(answers(&rig), before);
}

/// A target that was away for longer than the stream retains.
#[tokio::test(start_paused = true)]
async fn what_is_deleted_while_a_subscription_pauses_is_told() {
    let mut rig = Rig::fan_out(Mode::FanOut);
    let read = rig.put(0..10);
    rig.start_oldest(FIRST);
    rig.records(10).await;
    rig.readers.pause(FIRST);
    let lost = rig.put(10..20);
    sleep(MINUTE * 60 * 30).await;
    rig.memory.trim(FIRST, lost[5]);
    rig.readers.resume(FIRST);
    let news = rig.end().await;
    let (first, last) = (lost[5], read[9]);
    assert!(
        matches!(news, News::Trimmed { expected, oldest } if expected == last && oldest == Some(first)),
        "{news:?}"
    );
}

/// As workers do that must wait for a schema, and go on from before.
#[tokio::test(start_paused = true)]
async fn whoever_begins_anew_keeps_to_the_limits() {
    let mut rig = Rig::polling(1);
    for _ in 0..12 {
        rig.memory.put(0, "k", &vec![7; 1 << 20]);
    }
    for _ in 0..10 {
        rig.start_oldest(FIRST);
        rig.records(1).await;
    }
    assert_eq!(rig.memory.throttled(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_list_of_shards_knows_what_is_open() {
    let rig = Rig::polling(2);
    let child = rig.memory.merge(FIRST, SECOND);
    let open = rig.memory.list_shards(&Filter::AtLatest).await.unwrap();
    assert_eq!(open[0].id, child);
    assert_eq!(rig.memory.list_shards(&Filter::All).await.unwrap().len(), 3);
}
