//! The loop, against a scripted stream and a target in memory: what is committed is durable, whatever happens.

mod catalog;
mod expectations;
mod kinesis;
mod plans;
mod pointers;
mod revision;
mod routing;
mod script;
mod simulation;

use alluvium_target::Target;
use alluvium_target::memory::MemoryTarget;
use tokio::runtime::Runtime;

use self::script::{TestClock, TestSource};
use super::*;
use crate::decode::json::{JsonSettings, Layout};
use crate::deliver::SentBefore;
use crate::record::{Position, Table};
use crate::table::{ColumnSettings, Objects, UserType, Zone};

/// A worker on scripted parts, turned by hand.
struct Bench {
    worker: Worker<TestSource>,
    source: TestSource,
    target: MemoryTarget,
    clock: TestClock,
    metrics: Arc<Metrics>,
    _runtime: Runtime,
}

fn policy() -> Policy {
    Policy {
        max_span_age: Duration::from_secs(60),
        max_batch_age: Duration::from_secs(15),
        max_output: 1 << 40,
        batch_rows: 100,
        batch_bytes: 1 << 20,
        max_in_flight: 3,
    }
}

/// The shape that `settings` stand for: they name the project.
fn shape(target: &MemoryTarget, settings: &str) -> Shape {
    shape_on(Arc::new(target.clone()), settings)
}

fn shape_on(target: Arc<dyn Target>, settings: &str) -> Shape {
    let project = if settings == "the usual" {
        "p"
    } else {
        settings
    };
    let json = JsonSettings {
        layout: Layout::Plain,
        project: project.into(),
        collection_field: Some("c".into()),
        max_bytes: 1 << 20,
    };
    Shape::new(settings, target, columns(), json)
}

fn columns() -> ColumnSettings {
    ColumnSettings {
        checkpoint_field: "_shard_time".into(),
        time_field: "_time".into(),
        user_field: "_user".into(),
        user_type: UserType::String,
        key_field: None,
        arrival_field: None,
        zone: Zone::UTC,
        objects: Objects::Map,
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(policy(), 1 << 30, None)
    }

    /// Another process at the same target.
    fn on(target: MemoryTarget) -> Self {
        Self::at(target, policy(), 1 << 30, None)
    }

    fn with(policy: Policy, memory: u64, ends: Option<Ends>) -> Self {
        Self::at(MemoryTarget::new(), policy, memory, ends)
    }

    fn at(target: MemoryTarget, policy: Policy, memory: u64, ends: Option<Ends>) -> Self {
        let shape = shape(&target, "the usual");
        Self::shaped(target, shape, policy, memory, ends)
    }

    fn shaped(
        target: MemoryTarget,
        usual: Shape,
        policy: Policy,
        memory: u64,
        ends: Option<Ends>,
    ) -> Self {
        Self::parted(target, usual, policy, memory, ends, |_| {})
    }

    /// As [`Bench::shaped`], with other things that workers share.
    fn parted(
        target: MemoryTarget,
        usual: Shape,
        policy: Policy,
        memory: u64,
        ends: Option<Ends>,
        change: impl FnOnce(&mut Shared),
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let source = TestSource::default();
        let (clock, metrics) = (TestClock::default(), Metrics::new().unwrap());
        let mut shared = Shared {
            shape: Arc::new(usual),
            reshape: {
                let target = target.clone();
                Arc::new(move |settings| match settings {
                    "unusable" => Err("the test said so".into()),
                    settings => Ok(shape(&target, settings)),
                })
            },
            policy,
            historical: None,
            duplicates: None,
            late: Arc::new(SentBefore),
            building_limit: memory / 10,
            max_poll: 1000,
            budget: Arc::new(Budget::new(memory, metrics.clone())),
            metrics: metrics.clone(),
            health: Arc::new(Health::new(1)),
            runtime: runtime.handle().clone(),
            attempts: Arc::new(Semaphore::new(4)),
            ends: ends.map(Arc::new),
            revoke_deadline: REVOKE_DEADLINE,
            leaving: Arc::new(Leaving::new(1)),
        };
        change(&mut shared);
        let worker = Worker::new(0, source.clone(), Box::new(clock.clone()), shared);
        Self {
            worker,
            source,
            target,
            clock,
            metrics,
            _runtime: runtime,
        }
    }

    /// Turns the loop so often that everything which can happen without time passing has happened.
    fn turn(&mut self) -> Result<(), WorkerError> {
        for _ in 0..100 {
            self.clock.advance(Duration::from_millis(10));
            self.worker.step()?;
        }
        Ok(())
    }

    /// Turns the loop until `until`, which must come true.
    fn turn_until(&mut self, what: &str, until: impl Fn(&Self) -> bool) {
        let started = std::time::Instant::now();
        while !until(self) {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "never came true: {what}"
            );
            self.clock.advance(Duration::from_millis(10));
            self.worker.step().unwrap();
        }
    }

    fn rows(&self, collection: &str) -> usize {
        self.target.rows(&Table::new("p", collection))
    }
}

fn events(collection: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|id| format!(r#"{{"c":"{collection}","id":{id}}}"#))
        .collect()
}

#[test]
fn an_idle_partitions_last_rows_are_flushed_by_age_and_then_committed() {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 7));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    assert_eq!((bench.rows("a"), bench.source.checkpoint(0)), (0, None));
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(7));
    assert_eq!(bench.rows("a"), 7);
}

#[test]
fn a_bad_record_is_a_dead_letter_of_the_same_span_and_disturbs_nobody() {
    let mut bench = Bench::new();
    let mut payloads = events("a", 3);
    payloads.insert(1, "{broken".into());
    payloads.insert(3, r#"{"no":"table"}"#.into());
    bench.source.produce(0, payloads);
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(5));
    assert_eq!(bench.rows("a"), 3);
    assert_eq!(bench.target.rows(&Table::dead_letters()), 2);
    assert_eq!(
        bench
            .metrics
            .dead_letters
            .with_label_values(&["not_json"])
            .get(),
        1
    );
    assert_eq!(
        bench
            .metrics
            .dead_letters
            .with_label_values(&["no_table"])
            .get(),
        1
    );
}

#[test]
fn nothing_is_committed_before_the_target_has_it_and_others_go_on_meanwhile() {
    let mut bench = Bench::new();
    bench.target.fail_commits_of(Some(Table::new("p", "a")));
    bench.source.produce(0, events("a", 5));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("attempt", |bench| bench.target.commit_attempts() > 0);
    bench.source.produce(1, events("b", 5));
    bench.source.assign(1, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    // Its checkpoint waits for the other's, but no longer than a span may age.
    bench.turn_until("written", |bench| bench.rows("b") == 5);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("other partition", |bench| {
        bench.source.checkpoint(1) == Some(5)
    });
    assert_eq!(bench.source.checkpoint(0), Some(0));
    assert!(bench.source.plan(0).is_some());
    // The failed span comes back after its delay of a second or more, in real time.
    bench.target.fail_commits_of(None);
    bench.turn_until("retry", |bench| bench.source.checkpoint(0) == Some(5));
    assert_eq!(bench.rows("a"), 5);
}

#[test]
fn a_refused_commit_is_asked_for_again() {
    let mut bench = Bench::new();
    bench.source.0.borrow_mut().refuse_commits = 3;
    bench.source.produce(0, events("a", 5));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(5));
    assert_eq!(bench.metrics.checkpoint_failures.get(), 3);
}

#[test]
fn spans_tile_whatever_the_flush_times() {
    let mut bench = Bench::new();
    bench.source.assign(0, 0);
    for _ in 0..5 {
        bench.source.produce(0, events("a", 30));
        bench.turn().unwrap();
        bench.clock.advance(Duration::from_secs(60));
        bench.turn().unwrap();
    }
    bench.turn_until("checkpoint", |bench| {
        bench.source.checkpoint(0) == Some(150)
    });
    let mut spans = bench.target.spans();
    spans.sort_by_key(|span| span.from);
    assert_eq!(spans[0].from, Position::at(0));
    assert!(spans.windows(2).all(|pair| pair[0].to == pair[1].from));
    assert_eq!(spans.last().unwrap().to, Position::at(150));
    assert_eq!(bench.rows("a"), 150);
}

#[test]
fn size_seals_without_waiting_for_age() {
    let mut bench = Bench::with(
        Policy {
            max_output: 2000,
            ..policy()
        },
        1 << 30,
        None,
    );
    bench.source.produce(0, events("a", 5000));
    bench.source.assign(0, 0);
    bench.turn_until("some checkpoint", |bench| {
        bench.source.checkpoint(0) > Some(0)
    });
    assert!(bench.metrics.flushes.with_label_values(&["size"]).get() > 0);
}

#[test]
fn a_slow_target_pauses_partitions_but_never_the_polls() {
    let mut bench = Bench::with(policy(), 200_000, None);
    bench.target.slow_commits(Duration::from_secs(2));
    bench.source.assign(0, 0);
    bench.source.assign(1, 0);
    let started = std::time::Instant::now();
    let mut most = 0;
    while !(bench.source.is_paused(0) && bench.source.is_paused(1)) {
        assert!(started.elapsed() < Duration::from_secs(120), "never paused");
        bench.source.produce(0, events("a", 500));
        bench.source.produce(1, events("b", 500));
        bench.turn().unwrap();
        let held = bench.worker.tools.budget.held();
        most = most.max(held.open + held.sealed);
    }
    assert!(bench.metrics.flushes.with_label_values(&["memory"]).get() > 0);
    assert!(most < 400_000, "held {most} of 200000 bytes");
    let polls = bench.source.0.borrow().polls;
    bench.turn().unwrap();
    assert_eq!(bench.source.0.borrow().polls, polls + 100);
    bench.target.slow_commits(Duration::ZERO);
    bench.turn_until("reading goes on", |bench| {
        !bench.source.is_paused(0) && !bench.source.is_paused(1)
    });
}

#[test]
fn one_poll_brings_little_of_the_memory() {
    let mut bench = Bench::with(policy(), 1 << 20, None);
    bench.source.assign(0, 0);
    bench.worker.step().unwrap();
    let payload = format!(r#"{{"c":"a","text":"{}"}}"#, "x".repeat(1000));
    bench.source.produce(0, vec![payload; 500]);
    bench.worker.step().unwrap();
    let bytes = bench.metrics.bytes.get();
    assert!(
        (1..20_000).contains(&bytes),
        "one poll brought {bytes} bytes"
    );
    bench.turn_until("the rest", |bench| bench.metrics.records.get() == 500);
}

#[test]
fn a_revoked_partition_is_flushed_committed_and_only_then_given_back() {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 5));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.source.happen(Event::Revoking(vec![Slot(0)]));
    bench.turn_until("release", |bench| {
        !bench.source.0.borrow().released.is_empty()
    });
    assert_eq!(bench.source.checkpoint(0), Some(5));
    assert_eq!(bench.rows("a"), 5);
}

#[test]
fn a_target_too_slow_for_a_rebalance_costs_a_second_reading_and_no_loss() {
    let mut bench = Bench::new();
    bench.target.slow_commits(Duration::from_secs(600));
    bench.source.produce(0, events("a", 5));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.source.happen(Event::Revoking(vec![Slot(0)]));
    bench.turn().unwrap();
    assert!(bench.source.0.borrow().released.is_empty());
    bench.clock.advance(REVOKE_DEADLINE);
    bench.turn_until("release", |bench| {
        !bench.source.0.borrow().released.is_empty()
    });
    assert_eq!(bench.source.checkpoint(0), Some(0));
    assert!(
        bench.source.plan(0).is_some(),
        "the next owner must finish it"
    );
}

#[test]
fn a_lost_partition_is_dropped_and_its_late_acknowledgement_ignored() {
    let mut bench = Bench::new();
    bench.target.slow_commits(Duration::from_secs(1));
    bench.source.produce(0, events("a", 5));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("attempt", |bench| bench.target.commit_attempts() > 0);
    bench.source.0.borrow_mut().next.clear();
    bench.source.happen(Event::Lost(vec![Slot(0)]));
    bench.worker.step().unwrap();
    // Until it would have been written.
    std::thread::sleep(Duration::from_millis(1500));
    bench.turn().unwrap();
    // The scripted source asserts that nothing is committed for a partition that is not owned.
    assert_eq!(bench.source.checkpoint(0), Some(0));
    assert!(bench.worker.flows.is_empty());
}

#[test]
fn rows_the_target_refuses_become_dead_letters_of_the_same_spans() {
    let mut bench = Bench::new();
    bench.target.reject(Table::new("p", "bad"));
    let mut payloads = events("good", 4);
    payloads.extend(events("bad", 3));
    payloads.extend(events("good", 2));
    bench.source.produce(0, payloads);
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("age or refusal", |bench| {
        bench.clock.advance(Duration::from_secs(1));
        bench.source.checkpoint(0) == Some(9)
    });
    assert_eq!((bench.rows("good"), bench.rows("bad")), (6, 0));
    assert_eq!(bench.target.rows(&Table::dead_letters()), 3);
}

#[test]
fn a_stop_flushes_commits_and_leaves() {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 5));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    let source = bench.source.clone();
    bench.worker.run(|| true).unwrap();
    assert_eq!(source.checkpoint(0), Some(5));
    assert!(source.closed());
}

#[test]
fn a_stop_that_the_target_does_not_allow_says_so() {
    let mut bench = Bench::new();
    bench.target.slow_commits(Duration::from_secs(600));
    bench.source.produce(0, events("a", 5));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    let (source, clock) = (bench.source.clone(), bench.clock.clone());
    let stop = move || {
        clock.advance(Duration::from_secs(1));
        true
    };
    let result = bench.worker.run(stop);
    assert!(matches!(result, Err(WorkerError::NotDrained { spans: 1 })));
    assert_eq!(source.checkpoint(0), Some(0));
    assert!(source.plan(0).is_some(), "the next owner must finish it");
}

#[test]
fn a_misconfigured_target_stops_the_worker_and_names_the_partition() {
    let mut bench = Bench::new();
    bench.target.misconfigure("no such bucket");
    bench.source.produce(0, events("a", 1));
    bench.source.assign(0, 0);
    let error = bench.turn().unwrap_err().to_string();
    assert!(
        error.contains("t-0") && error.contains("no such bucket"),
        "{error}"
    );
}

#[test]
fn the_end_is_reached_over_a_gap_that_no_record_fills() {
    let partition = Partition::new("t", 0);
    let wanted = [(partition, Some(Position::at(8)))].into();
    let mut bench = Bench::with(policy(), 1 << 30, Some(Ends::new(wanted, 1)));
    let ends = bench.worker.ends.clone().unwrap();
    bench.source.produce(0, events("a", 5));
    bench.source.0.borrow_mut().gaps.insert(Slot(0), 8);
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    assert!(!ends.reached(Duration::ZERO));
    bench.turn_until("end", |_| ends.reached(Duration::ZERO));
    assert_eq!(bench.source.checkpoint(0), Some(8));
    assert_eq!(bench.rows("a"), 5);
    assert_eq!(bench.target.spans().len(), 1);
}
