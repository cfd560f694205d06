//! Rows that are not for the target.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;

use super::plans::plan;
use super::*;
use crate::deliver::{Late, LateError, LateSink};
use crate::duplicates::Duplicates;

const DAY: u64 = 24 * 60 * 60;
/// Of a store of events.
const MEMORY: u64 = 16 << 20;

/// A historical topic that fails as often as it is told.
#[derive(Debug, Default)]
struct Shelf {
    taken: Mutex<Vec<(String, String, i64, String)>>,
    calls: AtomicU32,
    failures: AtomicU32,
}

#[async_trait]
impl LateSink for Shelf {
    async fn send(&self, late: &mut Late) -> Result<(), LateError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let (topic, partition) = (late.topic().to_owned(), late.partition().to_string());
        let unsent: Vec<_> = late
            .unsent()
            .map(|(at, record)| {
                let payload = String::from_utf8(record.payload.unwrap().to_vec()).unwrap();
                (at, record.position.offset(), payload)
            })
            .collect();
        for (at, offset, payload) in unsent {
            // All but the first of them are refused.
            if at > 0 && self.failures.load(Ordering::SeqCst) > 0 {
                self.failures.fetch_sub(1, Ordering::SeqCst);
                return Err(LateError::Unavailable("told to".into()));
            }
            late.sent(at);
            let mut taken = self.taken.lock().unwrap();
            taken.push((topic.clone(), partition.clone(), offset, payload));
        }
        Ok(())
    }
}

impl Shelf {
    fn offsets(&self) -> Vec<i64> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|(_, _, offset, _)| *offset).collect()
    }
}

/// A bench whose worker follows these rules, on day 100 of the epoch, and where late records go.
fn bench(routing: Routing) -> (Bench, Arc<Shelf>) {
    let (target, shelf) = (MemoryTarget::new(), Arc::new(Shelf::default()));
    let shape = shape(&target, "the usual").routed(routing);
    let late = shelf.clone();
    let bench = Bench::parted(target, shape, policy(), 1 << 30, None, |shared| {
        shared.late = late;
    });
    bench.clock.advance(Duration::from_secs(100 * DAY));
    (bench, shelf)
}

fn wanted(names: &[&str]) -> Routing {
    let names = names.iter().map(|&name| name.to_owned());
    Routing {
        collections: Some(names.collect()),
        ..Routing::default()
    }
}

fn time_field() -> TimeField {
    TimeField {
        name: "_time".into(),
        zone: Zone::UTC,
    }
}

/// Days before yesterday are late, and so is tomorrow.
fn late(topic: &str) -> Routing {
    Routing {
        late: Some(LateRule {
            topic: topic.into(),
            days: 1,
        }),
        time: time_field(),
        ..Routing::default()
    }
}

/// An event at a second of a day.
fn event(day: u64, second: u64) -> String {
    format!(r#"{{"c":"a","_time":{}}}"#, (day * DAY + second) * 1000)
}

fn dropped(bench: &Bench, why: &str) -> u64 {
    bench.metrics.dropped.with_label_values(&[why]).get()
}

#[test]
fn records_of_collections_that_are_not_wanted_are_dropped_and_committed() {
    let (mut bench, _) = bench(wanted(&["a"]));
    let mut payloads = events("A", 4);
    payloads.extend(events("b", 3));
    payloads.push("{broken".into());
    payloads.extend(events("a", 2));
    bench.source.produce(0, payloads);
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(10));
    assert_eq!((bench.rows("a"), bench.rows("b")), (6, 0));
    assert_eq!(bench.target.rows(&Table::dead_letters()), 1);
    assert_eq!(dropped(&bench, "not_whitelisted"), 3);
}

#[test]
fn a_span_of_which_nothing_is_wanted_moves_the_checkpoint_and_writes_nothing() {
    let (mut bench, _) = bench(wanted(&["a"]));
    bench.source.produce(0, events("b", 3));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(3));
    assert_eq!(bench.target.commit_attempts(), 0);
    let held = bench.worker.tools.budget.held();
    assert_eq!(held, crate::flush::Held::default());
}

#[test]
fn late_records_go_to_their_topic_and_the_rest_to_the_target() {
    let (mut bench, shelf) = bench(late("old"));
    let long_ago = r#"{"c":"b","x":1,"_time":"1970-01-02T03:04:05.6789Z"}"#;
    let payloads = [
        event(98, DAY - 1),
        event(99, 0),
        long_ago.to_owned(),
        event(100, 5),
        event(101, 0),
        r#"{"c":"a"}"#.to_owned(),
        r#"{"c":"a","_time":"long ago"}"#.to_owned(),
        r#"{"c":"a","_time":null}"#.to_owned(),
        "{broken".to_owned(),
        event(5, 0),
    ];
    bench.source.produce(0, payloads.clone());
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(10));
    assert_eq!((bench.rows("a"), bench.rows("b")), (5, 0));
    assert_eq!(bench.target.rows(&Table::dead_letters()), 1);
    let expected = [0, 2, 4, 9].map(|at| {
        let payload = payloads[at].clone();
        ("old".to_owned(), "t-0".to_owned(), at as i64, payload)
    });
    assert_eq!(*shelf.taken.lock().unwrap(), expected);
    assert_eq!(bench.metrics.historical.get(), 4);
}

#[test]
fn a_checkpoint_does_not_pass_a_late_record_that_is_not_taken() {
    let (mut bench, shelf) = bench(late("old"));
    shelf.failures.store(u32::MAX, Ordering::SeqCst);
    bench
        .source
        .produce(0, (0..6).map(|second| event(90, second)));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    assert_eq!(
        shelf.calls.load(Ordering::SeqCst),
        0,
        "nothing is planned yet"
    );
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("attempt", |_| shelf.calls.load(Ordering::SeqCst) > 0);
    bench.turn().unwrap();
    assert_eq!(bench.source.checkpoint(0), Some(0));
    assert!(bench.source.plan(0).is_some());
    assert!(bench.worker.tools.budget.held().sealed > 0);
    shelf.failures.store(0, Ordering::SeqCst);
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(6));
    // What was taken the first time was not sent again.
    assert_eq!(shelf.offsets(), [0, 1, 2, 3, 4, 5]);
    let failed = u64::from(shelf.calls.load(Ordering::SeqCst)) - 1;
    assert_eq!(bench.metrics.historical_failures.get(), failed);
    // The target had nothing to do.
    assert_eq!(bench.target.commit_attempts(), 0);
    assert_eq!(bench.worker.tools.budget.held().sealed, 0);
}

#[test]
fn a_plan_is_followed_with_the_day_it_was_made_on() {
    let (mut bench, shelf) = bench(late("old"));
    let (day_50, day_100) = (event(50, 0), event(100, 0));
    let payloads = [day_50.clone(), day_100.clone(), day_50, day_100];
    bench.source.produce(0, payloads);
    let opened_ms = i64::try_from(50 * DAY * 1000 + 7).unwrap();
    let note = plan(&[(2, opened_ms)], &shape(&bench.target, "the usual"));
    bench.source.assign_with(0, 0, &note, 0);
    bench.turn_until("the plan", |bench| bench.source.checkpoint(0) == Some(2));
    assert_eq!((shelf.offsets(), bench.rows("a")), (vec![1], 1));
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("the rest", |bench| bench.source.checkpoint(0) == Some(4));
    assert_eq!((shelf.offsets(), bench.rows("a")), (vec![1, 2], 2));
}

#[test]
fn events_behind_midnight_are_not_late_in_a_span_that_was_opened_before() {
    let (mut bench, shelf) = bench(late("old"));
    bench.clock.advance(Duration::from_secs(DAY - 20));
    bench
        .source
        .produce(0, [event(100, DAY - 21), event(101, 1)]);
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    // Of tomorrow still.
    bench.clock.advance(Duration::from_secs(20));
    bench
        .source
        .produce(0, [event(101, 2), event(100, DAY - 1), event(102, 3)]);
    bench.turn().unwrap();
    assert_eq!(bench.metrics.flushes.with_label_values(&["day"]).get(), 1);
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(5));
    assert_eq!((shelf.offsets(), bench.rows("a")), (vec![1, 4], 3));
    assert_eq!(bench.target.spans().len(), 2);
}

#[test]
fn what_is_read_from_the_historical_topic_is_never_late_and_flushed_by_its_own_rule() {
    let (target, shelf) = (MemoryTarget::new(), Arc::new(Shelf::default()));
    let shape = shape(&target, "the usual").routed(late("t"));
    let late = shelf.clone();
    let mut bench = Bench::parted(target, shape, policy(), 1 << 30, None, |shared| {
        shared.late = late;
        let policy = Policy {
            max_span_age: Duration::from_secs(1800),
            ..policy()
        };
        shared.historical = Some(Arc::new(Historical {
            topic: "t".into(),
            policy,
            max_records: 7,
        }));
    });
    bench.clock.advance(Duration::from_secs(100 * DAY));
    bench
        .source
        .produce(0, (0..6).map(|second| event(3, second)));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(1000));
    bench.turn().unwrap();
    assert_eq!(bench.source.checkpoint(0), None);
    bench.clock.advance(Duration::from_secs(800));
    bench.turn_until("age", |bench| bench.source.checkpoint(0) == Some(6));
    bench
        .source
        .produce(0, (0..7).map(|second| event(3, second)));
    bench.turn_until("number", |bench| bench.source.checkpoint(0) == Some(13));
    assert_eq!(bench.rows("a"), 13);
    assert_eq!(shelf.calls.load(Ordering::SeqCst), 0);
}

/// A worker that drops what repeats an event, with what it remembers and where it writes.
fn forgetful(target: &MemoryTarget, duplicates: &Arc<Duplicates>) -> Bench {
    let routing = Routing {
        events: Some(EventRule {
            user_field: "_user".into(),
        }),
        time: time_field(),
        ..Routing::default()
    };
    let shape = shape(target, "the usual").routed(routing);
    let duplicates = duplicates.clone();
    let bench = Bench::parted(target.clone(), shape, policy(), 1 << 30, None, |shared| {
        shared.duplicates = Some(duplicates);
    });
    bench.clock.advance(Duration::from_secs(100 * DAY));
    bench
}

fn of_user(user: &str, time: u64) -> String {
    format!(r#"{{"c":"a","_user":{user},"_time":{time}}}"#)
}

#[test]
fn repeats_are_dropped_in_a_span_between_partitions_and_behind_a_restart() {
    let (target, directory) = (MemoryTarget::new(), tempfile::tempdir().unwrap());
    let duplicates = Duplicates::open(directory.path(), MEMORY).unwrap();
    let mut bench = forgetful(&target, &duplicates);
    let payloads = [
        of_user("\"x\"", 1),
        of_user("\"y\"", 1),
        of_user("\"x\"", 1),
        of_user("\"x\"", 2),
        of_user("null", 1),
        of_user("null", 1),
        r#"{"c":"a","_user":"x"}"#.to_owned(),
        r#"{"c":"a","_user":"x"}"#.to_owned(),
        of_user("7", 1),
        of_user("\"7\"", 1),
        r#"{"c":"b","_user":"x","_time":1}"#.to_owned(),
    ];
    bench.source.produce(0, payloads.clone());
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    assert_eq!(dropped(&bench, "duplicate"), 2);
    // The first span is on its way still.
    bench.source.produce(1, payloads.clone());
    bench.source.assign(1, 0);
    bench.turn().unwrap();
    assert_eq!(dropped(&bench, "duplicate"), 9);
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("both", |bench| {
        (0..2).all(|slot| bench.source.checkpoint(slot) == Some(11))
    });
    assert_eq!((bench.rows("a"), bench.rows("b")), (12, 1));
    drop((bench, duplicates));
    let duplicates = Duplicates::open(directory.path(), MEMORY).unwrap();
    let mut bench = forgetful(&target, &duplicates);
    bench.source.produce(2, payloads);
    bench.source.assign(2, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("the third", |bench| bench.source.checkpoint(2) == Some(11));
    assert_eq!((bench.rows("a"), bench.rows("b")), (16, 1));
    assert_eq!(
        bench.worker.tools.budget.held(),
        crate::flush::Held::default()
    );
}

/// The original remembered a record before it was durable, and dropped it when it was read again.
#[test]
fn a_crash_never_drops_a_record() {
    let payloads: Vec<_> = (0..20).map(|n| of_user(&(n % 15).to_string(), 5)).collect();
    // Before the plan is stored, behind it, and behind the writing.
    for crash in ["gathered", "planned", "written"] {
        let (target, directory) = (MemoryTarget::new(), tempfile::tempdir().unwrap());
        let duplicates = Duplicates::open(directory.path(), MEMORY).unwrap();
        let mut bench = forgetful(&target, &duplicates);
        bench.source.produce(0, payloads.clone());
        bench.source.assign(0, 0);
        bench.turn().unwrap();
        let mut note = String::new();
        if crash != "gathered" {
            target.fail_commits(if crash == "planned" { u64::MAX } else { 0 });
            bench.clock.advance(Duration::from_secs(60));
            bench.turn_until("attempt", |_| target.commit_attempts() > 0);
            let stream = bench.source.0.borrow();
            note = stream.committed.first().unwrap().1.note.clone();
        }
        if crash == "written" {
            bench.turn_until("stored", |bench| bench.source.checkpoint(0) == Some(20));
        }
        drop((bench, duplicates));
        assert_eq!(
            target.rows(&Table::new("p", "a")),
            if crash == "written" { 15 } else { 0 }
        );
        target.fail_commits(0);
        let duplicates = Duplicates::open(directory.path(), MEMORY).unwrap();
        let mut bench = forgetful(&target, &duplicates);
        bench.source.produce(0, payloads.clone());
        bench.source.assign_with(0, 0, &note, 0);
        bench.turn().unwrap();
        bench.clock.advance(Duration::from_secs(60));
        bench.turn_until("the end", |bench| bench.source.checkpoint(0) == Some(20));
        assert_eq!(bench.rows("a"), 15, "{crash}");
    }
}
