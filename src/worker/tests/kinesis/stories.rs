//! Worlds in which one thing happens.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::check;
use super::gate::Gate;
use super::process::{self, Process, Ways};
use super::target::{REFUSED, UNWELCOME};
use super::world::Services;
use crate::flush::Policy;
use crate::record::{Position, Record, Sequence};
use crate::source::kinesis::KinesisSource;
use crate::source::kinesis::lease::{Began, Lease, LeasePosition};
use crate::source::kinesis::stream::memory::{Call, Limits};
use crate::source::kinesis::stream::shard::{Mode, Settings};
use crate::source::kinesis::topology::Initial;
use crate::source::{Event, Source as _};

const SHARD: &str = "shardId-000000000000";
const SECOND: Duration = Duration::from_secs(1);
/// Spans are not flushed by age.
const NEVER: Duration = Duration::from_secs(100_000);

/// A stream of one shard, and the process that reads it.
struct Story {
    services: Services,
    process: Option<Process>,
    names: usize,
    written: u64,
    /// How large an output may become.
    max_output: u64,
}

impl Story {
    fn new(initial: Initial) -> Self {
        Self {
            services: Services::new(1, Limits::default(), initial),
            process: None,
            names: 0,
            written: 0,
            max_output: 1 << 40,
        }
    }

    /// Writes so many records, and returns where each is.
    fn put(&mut self, count: u64) -> Vec<Sequence> {
        self.put_in("t", count)
    }

    fn put_in(&mut self, collection: &str, count: u64) -> Vec<Sequence> {
        let runtime = self.services.runtime.clone();
        let _inside = runtime.enter();
        let numbers = self.written..self.written + count;
        self.written += count;
        let put = |number| {
            let data = format!(r#"{{"c":"{collection}","n":{number}}}"#);
            self.services.stream.put(0, "k", data.as_bytes()).1
        };
        numbers.map(put).collect()
    }

    fn start(&mut self, max_span_age: Duration) {
        self.names += 1;
        let policy = Policy {
            max_span_age,
            max_batch_age: Duration::from_secs(5),
            max_output: self.max_output,
            batch_rows: 100,
            batch_bytes: 1 << 20,
            max_in_flight: 3,
        };
        let ways = Ways {
            mode: Mode::Polling,
            policy,
            lags: 0,
        };
        let process = Process::start(self.names, &self.services, ways);
        self.process = Some(process);
    }

    fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// Reading is to begin at this moment.
    fn begin_now(&mut self) {
        let runtime = self.services.runtime.clone();
        let _inside = runtime.enter();
        self.services.initial = Initial::AtTimestamp(self.services.stream.wall());
    }

    fn split(&self) -> Vec<String> {
        let _inside = self.services.runtime.enter();
        self.services.stream.split(SHARD)
    }

    fn merge(&self, halves: &[String]) {
        let _inside = self.services.runtime.enter();
        self.services.stream.merge(&halves[0], &halves[1]);
    }

    /// Lets time pass.
    fn turn(&mut self, time: Duration) {
        let runtime = self.services.runtime.clone();
        let _inside = runtime.enter();
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            match &mut self.process {
                Some(process) => assert!(!process.step().unwrap()),
                None => runtime.block_on(tokio::time::sleep(SECOND)),
            }
        }
    }

    /// The numbers of the records that are in the target.
    fn rows(&self) -> Vec<u64> {
        check::each_once(&self.services).unwrap();
        self.services.target.found().into_keys().collect()
    }

    fn lease(&self) -> Lease {
        let rows = self.services.leases.rows();
        rows.into_iter().find(|row| row.key == SHARD).unwrap()
    }

    /// Why the shard is stopped, if it is.
    fn stopped(&self) -> Option<String> {
        self.process.as_ref()?.stopped()
    }

    /// A process plans so many records and dies before any of them is written.
    fn die_with_a_plan(&mut self, count: u64) -> Vec<Sequence> {
        let put = self.put(count);
        self.services.target.fail_commits(u64::MAX);
        self.start(SECOND);
        self.turn(SECOND * 30);
        assert!(check::has_plan(&self.lease()));
        self.kill();
        self.services.target.fail_commits(0);
        assert!(self.rows().is_empty());
        put
    }

    /// The plan stands as it was, and the shard stays where it is.
    fn assert_nothing_is_lost_silently(&self, plan: &Lease) {
        let lease = self.lease();
        assert_eq!(
            (&lease.pending, lease.checkpoint),
            (&plan.pending, plan.checkpoint)
        );
        assert_eq!(self.services.metrics.partitions_stopped.get(), 1);
        assert!(self.rows().is_empty());
    }
}

fn all(numbers: Range<u64>) -> Vec<u64> {
    numbers.collect()
}

/// The first owner has read them and written none; the second comes later.
#[test]
fn records_that_were_read_from_latest_are_read_by_the_next_owner() {
    let mut story = Story::new(Initial::Latest);
    story.put(3);
    story.turn(SECOND * 60);
    story.start(NEVER);
    story.turn(SECOND * 5);
    let lease = story.lease();
    assert_eq!(lease.checkpoint, LeasePosition::Latest);
    let began = lease.state().unwrap().began;
    assert!(matches!(began, Some(Began::Time(_))), "{began:?}");
    story.put(10);
    story.turn(SECOND * 30);
    story.kill();
    story.put(10);
    story.start(SECOND);
    story.turn(SECOND * 60);
    assert_eq!(story.rows(), all(3..23));
    assert_eq!(
        story.lease().pending,
        None,
        "the checkpoint says where it is"
    );
}

/// There was nothing to read as long as the first owner was alive, but it had begun.
#[test]
pub(super) fn records_that_come_between_two_owners_are_not_lost_at_latest() {
    let mut story = Story::new(Initial::Latest);
    story.start(NEVER);
    story.turn(SECOND * 30);
    story.kill();
    story.put(10);
    story.turn(SECOND * 30);
    // Nor does another one that reads nothing forget it.
    story.start(NEVER);
    story.turn(SECOND * 3);
    story.kill();
    story.start(SECOND);
    story.turn(SECOND * 60);
    assert_eq!(story.rows(), all(0..10));
}

/// What is there in the end of ten records that came soon after the first owner began, whose clock is ahead.
fn begun_by_a_clock_that_is_ahead() -> Vec<u64> {
    let mut story = Story::new(Initial::Latest);
    // The second name's is.
    story.names = 1;
    story.start(NEVER);
    story.turn(SECOND);
    assert!(story.lease().state().is_some(), "it has begun");
    story.put(10);
    story.turn(SECOND);
    story.kill();
    story.start(SECOND);
    story.turn(SECOND * 60);
    story.rows()
}

#[test]
pub(super) fn a_clock_that_is_ahead_loses_nothing() {
    assert_eq!(begun_by_a_clock_that_is_ahead(), all(0..10));
}

/// A plan of a shard that was begun at the tip is finished from the record on that came first.
#[test]
pub(super) fn a_first_plan_at_latest_is_finished_by_the_next_owner() {
    let mut story = Story::new(Initial::Latest);
    story.put(3);
    story.turn(SECOND * 60);
    story.start(SECOND);
    story.turn(SECOND * 5);
    story.services.target.fail_commits(u64::MAX);
    story.put(10);
    story.turn(SECOND * 30);
    let lease = story.lease();
    let began = lease.state().unwrap().began;
    assert!(check::has_plan(&lease) && matches!(began, Some(Began::Record(_))));
    story.kill();
    story.services.target.fail_commits(0);
    story.put(10);
    story.start(SECOND);
    story.turn(SECOND * 60);
    assert_eq!(story.rows(), all(3..23));
}

/// The shard was silent for so long that the record before the plan is gone when somebody follows it.
#[test]
pub(super) fn a_plan_behind_a_long_silence_is_finished() {
    let mut story = Story::new(Initial::TrimHorizon);
    story.put(5);
    story.start(SECOND);
    story.turn(SECOND * 30);
    story.services.target.fail_commits(u64::MAX);
    let put = story.put(5);
    story.turn(SECOND * 30);
    assert!(check::has_plan(&story.lease()));
    story.kill();
    story.services.stream.trim(SHARD, put[0]);
    story.services.target.fail_commits(0);
    story.put(5);
    story.start(SECOND);
    story.turn(SECOND * 60);
    assert_eq!(story.stopped(), None);
    assert_eq!(story.rows(), all(0..15));
}

#[test]
pub(super) fn a_plan_that_was_not_written_is_written_by_the_next_owner() {
    let mut story = Story::new(Initial::TrimHorizon);
    story.die_with_a_plan(10);
    story.start(SECOND);
    story.turn(SECOND * 60);
    assert_eq!(story.rows(), all(0..10));
}

/// The target refuses them when the last span is sealed, which is then read once more.
#[test]
fn a_closed_shard_whose_last_rows_are_refused_is_read_to_its_end() {
    let mut story = Story::new(Initial::TrimHorizon);
    story.put(5);
    story.put_in(UNWELCOME, 1);
    story.split();
    story.put(5);
    story.start(SECOND * 10);
    story.turn(SECOND * 120);
    assert_eq!(story.rows(), all(0..11));
}

/// Two spans are under way. The second is durable by the time the first is refused for some of its rows, and both are read again.
#[test]
pub(super) fn a_span_that_is_refused_ends_where_it_was_planned() {
    let mut story = Story::new(Initial::TrimHorizon);
    story.services.target.hesitate(SECOND * 30);
    // Only size asks for a second one.
    story.max_output = 1;
    story.start(SECOND);
    story.turn(SECOND * 10);
    story.put(5);
    story.put_in(REFUSED, 1);
    story.turn(SECOND * 10);
    story.put(5);
    story.turn(SECOND * 10);
    assert_eq!(story.rows(), all(6..11), "the second");
    story.services.target.hesitate(Duration::ZERO);
    story.turn(SECOND * 60);
    assert_eq!(story.rows(), all(0..11));
    assert_eq!(story.lease().pending, None);
}

/// The settings are others when the next owner comes, and nothing was committed.
#[test]
pub(super) fn a_time_is_remembered_before_the_first_checkpoint() {
    for then in [Initial::Latest, Initial::TrimHorizon] {
        let mut story = Story::new(Initial::TrimHorizon);
        story.put(3);
        story.turn(SECOND * 60);
        story.begin_now();
        story.put(10);
        story.turn(SECOND * 60);
        story.start(NEVER);
        story.turn(SECOND * 30);
        let lease = story.lease();
        assert_eq!(lease.checkpoint, LeasePosition::AtTimestamp);
        story.kill();
        story.services.initial = then;
        story.put(10);
        story.start(SECOND);
        story.turn(SECOND * 60);
        assert_eq!(story.rows(), all(3..23), "{then:?}");
    }
}

/// One shard is closed before that time, and its halves before anybody reads.
#[test]
fn a_stream_that_was_resharded_is_read_from_a_time_on() {
    let mut story = Story::new(Initial::TrimHorizon);
    story.put(3);
    let halves = story.split();
    story.turn(SECOND);
    story.put(3);
    story.turn(SECOND);
    story.begin_now();
    story.put(3);
    story.turn(SECOND);
    story.merge(&halves);
    story.put(3);
    story.start(SECOND);
    story.turn(SECOND * 120);
    assert_eq!(story.rows(), all(6..12));
    let leases = story.services.leases.rows();
    let keys: Vec<_> = leases.iter().map(|lease| lease.key.as_str()).collect();
    assert!(!keys.contains(&SHARD), "{keys:?}");
}

/// The service lists the shards on both sides of it.
#[test]
fn a_stream_is_read_from_the_moment_of_a_reshard_on() {
    let mut story = Story::new(Initial::TrimHorizon);
    story.put(3);
    story.turn(SECOND);
    story.begin_now();
    story.split();
    story.put(3);
    story.turn(SECOND);
    story.start(SECOND);
    story.turn(SECOND * 300);
    assert_eq!(story.rows(), all(3..6));
}

#[test]
fn a_plan_whose_records_are_gone_stops_the_shard() {
    for left in [3, 0] {
        let mut story = Story::new(Initial::TrimHorizon);
        let put = story.die_with_a_plan(10);
        let plan = story.lease();
        match left {
            0 => story
                .services
                .stream
                .trim(SHARD, "5".repeat(56).parse().unwrap()),
            left => story.services.stream.trim(SHARD, put[10 - left]),
        }
        story.start(SECOND);
        story.turn(SECOND * 120);
        let why = story.stopped().expect("it is stopped");
        assert!(
            why.contains("retains nothing before") && why.contains("ends at"),
            "{why}"
        );
        story.assert_nothing_is_lost_silently(&plan);
    }
}

#[test]
fn a_plan_of_a_shard_that_is_gone_stops_it() {
    let mut story = Story::new(Initial::TrimHorizon);
    story.die_with_a_plan(10);
    let plan = story.lease();
    story.split();
    story.services.stream.forget(SHARD);
    story.start(SECOND);
    // Also when the leases have been looked after.
    story.turn(SECOND * 600);
    let why = story.stopped().expect("it is stopped");
    assert!(why.contains("records have been deleted"), "{why}");
    story.assert_nothing_is_lost_silently(&plan);
}

#[test]
fn without_a_plan_reading_goes_on_with_what_is_left() {
    let mut story = Story::new(Initial::TrimHorizon);
    story.put(5);
    story.start(SECOND);
    story.turn(SECOND * 30);
    story.kill();
    assert_eq!(story.rows(), all(0..5));
    let put = story.put(5);
    story.services.stream.trim(SHARD, put[3]);
    story.start(SECOND);
    story.turn(SECOND * 60);
    assert_eq!(story.rows(), [0, 1, 2, 3, 4, 8, 9]);
    assert_eq!(story.stopped(), None);
    assert_eq!(story.services.metrics.records_expired.get(), 1);
    let done = LeasePosition::At {
        sequence: put[4],
        sub: 0,
    };
    assert_eq!(story.lease().checkpoint, done);
}

/// Answers of four records.
fn four_at_a_time() -> Settings {
    Settings {
        mode: Mode::Polling,
        limit: 4,
        answer_bytes: 1 << 10,
        ..Settings::default()
    }
}

/// What was fetched before the rest was deleted is not lost with it.
#[test]
fn that_records_are_gone_is_told_behind_those_that_are_there() {
    let limits = Limits {
        iterator_life: Duration::from_millis(100),
        ..Limits::default()
    };
    let mut story = Story::new(Initial::TrimHorizon);
    story.services = Services::new(1, limits, Initial::TrimHorizon);
    let put = story.put(8);
    let services = &story.services;
    let _inside = services.runtime.enter();
    let mut source = process::source(1, services, &Gate::open(), four_at_a_time());
    let mut read = Vec::new();
    let mut gone = None;
    for _ in 0..1000 {
        let events = source.poll(SECOND, 1, &mut |slot, record| {
            read.push((slot, record.position));
            ControlFlow::Continue(())
        });
        for event in events.unwrap() {
            if let Event::Expired(slot, oldest) = event {
                gone.get_or_insert(read.len());
                source.rewind(slot, oldest);
            }
        }
        if read.len() == 1 {
            services.stream.trim(SHARD, put[6]);
            services.runtime.block_on(tokio::time::sleep(SECOND * 5));
        }
    }
    let read: Vec<_> = read
        .iter()
        .map(|(_, at)| at.sequence().unwrap().0)
        .collect();
    assert_eq!(read, [put[0], put[1], put[2], put[3], put[6], put[7]]);
    assert_eq!(gone, Some(4));
}

/// Its last batch comes when the next reader has begun already.
#[test]
pub(super) fn what_a_reader_had_fetched_counts_for_nothing_when_it_is_replaced() {
    let mut story = Story::new(Initial::TrimHorizon);
    let put = story.put(20);
    let services = &story.services;
    let _inside = services.runtime.enter();
    let mut source = process::source(1, services, &Gate::open(), four_at_a_time());
    let mut read: Vec<Sequence> = Vec::new();
    let (mut begin, mut rewound) = (None, false);
    for _ in 0..1000 {
        let events = source.poll(SECOND, 1, &mut |slot, record| {
            begin.get_or_insert((slot, record.position));
            read.push(record.position.sequence().unwrap().0);
            ControlFlow::Continue(())
        });
        events.unwrap();
        // The first answer is gone: whoever goes back into one that waits needs no other reader.
        if let (Some((slot, begin)), 5.., false) = (begin, read.len(), rewound) {
            // Meanwhile the reader fetches on.
            services.runtime.block_on(tokio::time::sleep(SECOND * 5));
            read.clear();
            source.rewind(slot, begin);
            rewound = true;
        }
    }
    assert_eq!(read, put);
}

/// As a worker does that must wait for what a record needs: again and again, wherever the record is in what was fetched.
#[test]
fn whoever_goes_back_to_what_is_still_there_fetches_nothing_again() {
    for waits_at in [0, 2, 7] {
        let mut story = Story::new(Initial::TrimHorizon);
        let put = story.put(8);
        let services = &story.services;
        let _inside = services.runtime.enter();
        let iterators = Arc::new(AtomicU64::new(0));
        let count = iterators.clone();
        services.stream.set_troubles(move |call| {
            count.fetch_add(u64::from(call == Call::Iterator), Ordering::Relaxed);
            None
        });
        // There is room for one answer.
        let settings = Settings {
            answer_bytes: 256 << 10,
            ..Settings::default()
        };
        let mut source = process::source(1, services, &Gate::open(), settings);
        let (mut read, mut waits) = (Vec::new(), 3);
        for _ in 0..100 {
            let mut back = None;
            let polled = source.poll(SECOND, 100, &mut |slot, record| {
                if read.len() == waits_at && waits > 0 {
                    waits -= 1;
                    back = Some(slot);
                    return ControlFlow::Break(());
                }
                read.push(record.position);
                ControlFlow::Continue(())
            });
            polled.unwrap();
            if let Some(slot) = back {
                source.pause(&[slot]);
                let nothing = &mut |_, _: Record<'_>| unreachable!("the shard pauses");
                source.poll(SECOND, 100, nothing).unwrap();
                let beginning = Position::in_shard(Sequence::ZERO, 0);
                source.rewind(slot, read.last().map_or(beginning, |last| last.next()));
                source.resume(&[slot]);
            }
        }
        let read: Vec<_> = read.iter().map(|at| at.sequence().unwrap().0).collect();
        assert_eq!((read, waits), (put, 0));
        assert_eq!(iterators.load(Ordering::Relaxed), 1);
    }
}

/// Who looks at the gauge must not believe that nothing is wrong.
#[test]
fn a_shard_that_pauses_falls_behind_for_all_to_see() {
    let mut story = Story::new(Initial::TrimHorizon);
    story.put(8);
    let services = &story.services;
    let _inside = services.runtime.enter();
    let mut source = process::source(1, services, &Gate::open(), Settings::default());
    let mut read = None;
    let mut poll = |source: &mut KinesisSource| {
        let events = source.poll(SECOND, 100, &mut |slot, _| {
            read = Some(slot);
            ControlFlow::Continue(())
        });
        events.unwrap();
        read
    };
    let slot = (0..100).find_map(|_| poll(&mut source)).expect("a record");
    let behind = &services.metrics.behind;
    let behind = behind.with_label_values(&["s", "shardId-000000000000"]);
    let told = behind.get();
    source.pause(&[slot]);
    services.runtime.block_on(tokio::time::sleep(SECOND * 60));
    poll(&mut source);
    assert!(behind.get() >= told + 60_000, "{told} {}", behind.get());
    source.resume(&[slot]);
    assert!(behind.get() < 60_000, "{}", behind.get());
}
