//! Plans: stored before anything is visible, followed to the letter by whoever comes next.

use super::*;
use crate::deliver::{Plan, Planned, Print, Unreadable};

/// What another owner has left behind.
pub(super) fn plan(spans: &[(i64, i64)], shape: &Shape) -> String {
    let spans: Vec<_> = spans
        .iter()
        .map(|&(to, opened_ms)| Planned {
            to: Position::at(to),
            opened_ms,
            unreadable: None,
        })
        .collect();
    Plan::text(shape.print, &spans, &shape.settings)
}

fn ends(bench: &Bench) -> Vec<(i64, i64)> {
    let mut spans: Vec<_> = bench
        .target
        .spans()
        .iter()
        .map(|span| (span.from.offset(), span.to.offset()))
        .collect();
    spans.sort_unstable();
    spans
}

#[test]
fn nothing_is_written_before_its_plan_is_stored() {
    let mut bench = Bench::new();
    bench.source.0.borrow_mut().refuse_commits = 10;
    bench.source.produce(0, events("a", 7));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn().unwrap();
    assert_eq!(bench.metrics.flushes.with_label_values(&["age"]).get(), 1);
    assert_eq!(bench.target.commit_attempts(), 0);
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(7));
    assert_eq!(bench.rows("a"), 7);
    assert_eq!(
        bench.source.plan(0),
        None,
        "what is committed is no plan any more"
    );
}

#[test]
fn a_flush_of_many_partitions_costs_two_requests() {
    let mut bench = Bench::new();
    for slot in 0..20 {
        bench.source.produce(slot, events("a", 5));
        bench.source.assign(slot, 0);
    }
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("all", |bench| {
        (0..20).all(|slot| bench.source.checkpoint(slot) == Some(5))
    });
    let requests = bench.metrics.checkpoint_requests.get();
    assert!(requests <= 2, "{requests} requests");
}

#[test]
fn a_commit_and_the_next_plan_share_a_request() {
    let mut bench = Bench::new();
    bench.source.assign(0, 0);
    bench.source.produce(0, events("a", 5));
    bench.turn().unwrap();
    // Others that are not written yet let the checkpoint wait.
    bench.source.assign(1, 0);
    bench.source.produce(1, events("a", 5));
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("both", |bench| {
        (0..2).all(|slot| bench.source.checkpoint(slot) == Some(5))
    });
    let before = bench.metrics.checkpoint_requests.get();
    bench.source.produce(0, events("a", 5));
    bench.turn().unwrap();
    bench.target.slow_commits(Duration::from_millis(300));
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("the end", |bench| bench.source.checkpoint(0) == Some(10));
    assert_eq!(bench.metrics.checkpoint_requests.get(), before + 2);
}

#[test]
fn an_open_plan_is_finished_first_and_to_the_letter() {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 30));
    let shape = shape(&bench.target, "the usual");
    let note = plan(&[(11, 1_700_000_000_000), (13, 1_700_000_060_000)], &shape);
    bench.source.assign_with(0, 4, &note, 0);
    bench.turn().unwrap();
    bench.turn_until("the plan", |bench| bench.source.checkpoint(0) == Some(13));
    assert_eq!(ends(&bench), [(4, 11), (11, 13)]);
    // The only clock a row may see is the plan's.
    let batches = bench.target.batches(&Table::new("p", "a"));
    let opened: Vec<_> = batches
        .iter()
        .map(|(_, batches)| {
            let column = batches[0].column_by_name("_shard_time").unwrap();
            let column = arrow_array::cast::AsArray::as_primitive::<
                arrow_array::types::TimestampMillisecondType,
            >(column);
            column.value(0)
        })
        .collect();
    assert_eq!(opened, [1_700_000_000_000, 1_700_000_060_000]);
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("the rest", |bench| bench.source.checkpoint(0) == Some(30));
    assert_eq!(ends(&bench), [(4, 11), (11, 13), (13, 30)]);
    assert_eq!(bench.metrics.plans_recovered.get(), 1);
}

/// What was written before the crash, and once more by a zombie, is there once.
#[test]
fn outputs_that_are_there_already_are_not_doubled() {
    let mut first = Bench::new();
    first.source.produce(0, events("a", 20));
    first.source.assign(0, 0);
    first.turn().unwrap();
    first.clock.advance(Duration::from_secs(60));
    first.turn_until("the plan", |bench| bench.source.plan(0).is_some());
    let stored = first.source.0.borrow().committed[0].1.clone();
    first.turn_until("written", |bench| bench.rows("a") == 20);

    let mut second = Bench::on(first.target.clone());
    second.source.produce(0, events("a", 25));
    second
        .source
        .assign_with(0, stored.position.offset(), &stored.note, 0);
    second.turn_until("the plan", |bench| bench.source.checkpoint(0) == Some(20));
    assert_eq!(second.rows("a"), 20);
    assert_eq!(second.metrics.partitions_stopped.get(), 0);
}

#[test]
fn a_plan_whose_last_records_are_gone_is_finished_at_its_end() {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 8));
    bench.source.0.borrow_mut().gaps.insert(Slot(0), 12);
    let shape = shape(&bench.target, "the usual");
    bench.source.assign_with(0, 2, &plan(&[(12, 1)], &shape), 0);
    bench.turn_until("the plan", |bench| bench.source.checkpoint(0) == Some(12));
    assert_eq!(ends(&bench), [(2, 12)]);
}

/// What failed is to be read again: that nothing is left to read behind it must not end the span without it.
#[test]
fn a_failure_in_a_plan_whose_last_records_are_gone_loses_nothing() {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 8));
    bench.source.0.borrow_mut().gaps.insert(Slot(0), 12);
    let shape = shape(&bench.target, "the usual");
    bench.source.assign_with(0, 0, &plan(&[(12, 1)], &shape), 0);
    bench.turn().unwrap();
    bench.target.reject(Table::new("p", "a"));
    bench.clock.advance(Duration::from_secs(16));
    bench.turn_until("the plan", |bench| bench.source.checkpoint(0) == Some(12));
    assert_eq!(bench.target.rows(&Table::dead_letters()), 8);
}

#[test]
fn a_plan_made_with_other_settings_is_finished_with_those() {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 9));
    let other = shape(&bench.target, "other");
    bench
        .source
        .assign_with(0, 0, &plan(&[(3, 1), (6, 2)], &other), 0);
    bench.turn_until("the plan", |bench| bench.source.checkpoint(0) == Some(6));
    assert_eq!(bench.target.rows(&Table::new("other", "a")), 6);
    bench.turn_until("the rest is read", |bench| bench.metrics.records.get() == 9);
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("the rest", |bench| bench.source.checkpoint(0) == Some(9));
    assert_eq!(bench.rows("a"), 3);
    assert_eq!(ends(&bench), [(0, 3), (3, 6), (6, 9)]);
}

/// Assigns a partition with such a plan beside a good one; the first must stop, the second go on.
fn stops(note: &str, oldest: i64, why: &str) {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 9));
    bench.source.produce(1, events("b", 9));
    bench.source.assign_with(0, 0, note, oldest);
    bench.source.assign(1, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("the other partition", |bench| {
        bench.source.checkpoint(1) == Some(9)
    });
    let flow = &bench.worker.flows[&Slot(0)];
    let reason = flow.stopped.clone().unwrap_or_default();
    assert!(reason.contains(why), "{reason}");
    assert_eq!((bench.rows("a"), bench.source.checkpoint(0)), (0, None));
    assert_eq!(bench.metrics.partitions_stopped.get(), 1);
    let result = bench.worker.run(|| true);
    assert!(
        matches!(result, Err(WorkerError::Stopped { partitions: 1 })),
        "{result:?}"
    );
}

#[test]
fn a_plan_that_cannot_be_followed_stops_its_partition_and_no_other() {
    let target = MemoryTarget::new();
    let usual = shape(&target, "the usual");
    stops("alluvium/1 rubbish", 0, "cannot be read");
    stops("alluvium/7 something new", 0, "another release");
    stops(&plan(&[(5, 1)], &usual), 3, "retains nothing before 3");
    stops(
        &plan(&[(5, 1)], &shape(&target, "unusable")),
        0,
        "the test said so",
    );
    let spans = [Planned {
        to: Position::at(5),
        opened_ms: 1,
        unreadable: None,
    }];
    let print = Print::of("somebody else's");
    stops(&Plan::text(print, &spans, ""), 0, "not recorded");
    stops(
        &Plan::text(print, &spans, "the usual"),
        0,
        "another release",
    );
}

#[test]
fn retention_that_overtakes_a_planned_span_stops_the_partition() {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 4));
    let shape = shape(&bench.target, "the usual");
    bench.source.assign_with(0, 0, &plan(&[(9, 1)], &shape), 0);
    bench.turn().unwrap();
    bench
        .source
        .happen(Event::Expired(Slot(0), Position::at(7)));
    bench.turn().unwrap();
    assert!(bench.worker.flows[&Slot(0)].stopped.is_some());
    assert_eq!(bench.target.spans(), []);
}

#[test]
fn records_deleted_before_they_were_read_are_counted_and_reading_goes_on() {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 9));
    bench.source.assign_with(0, 2, "somebody's note", 5);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(9));
    assert_eq!(ends(&bench), [(5, 9)]);
    assert_eq!(bench.metrics.records_expired.get(), 3);
}

/// Somebody else's rows stand under the names of a span: nothing is overwritten, nothing passed over.
#[test]
fn another_content_under_the_same_name_stops_the_partition() {
    let mut first = Bench::new();
    first.source.produce(0, events("other", 5));
    first.source.assign(0, 0);
    first.turn().unwrap();
    first.clock.advance(Duration::from_secs(60));
    first.turn_until("written", |bench| bench.source.checkpoint(0) == Some(5));

    let mut second = Bench::on(first.target.clone());
    second.source.produce(0, events("a", 5));
    second.source.assign(0, 0);
    second.turn().unwrap();
    second.clock.advance(Duration::from_secs(60));
    second.turn_until("stop", |bench| {
        bench.worker.flows[&Slot(0)].stopped.is_some()
    });
    second.turn().unwrap();
    assert_eq!(second.source.checkpoint(0), Some(0));
    assert!(second.source.plan(0).is_some(), "the plan stays");
    assert_eq!((second.rows("a"), second.rows("other")), (0, 5));
}

/// Whoever takes over many plans at once reads them one after the other if they do not fit into the memory together.
#[test]
fn planned_spans_beyond_the_memory_are_read_one_at_a_time() {
    let limit = 400_000;
    let mut bench = Bench::with(policy(), limit, None);
    let shape = shape(&bench.target, "the usual");
    for slot in 0..20 {
        bench.source.produce(slot, events("a", 1500));
        bench
            .source
            .assign_with(slot, 0, &plan(&[(1500, 1)], &shape), 0);
    }
    let started = std::time::Instant::now();
    let mut most = 0;
    while !(0..20).all(|slot| bench.source.checkpoint(slot) == Some(1500)) {
        assert!(started.elapsed() < Duration::from_secs(120), "never done");
        bench.clock.advance(Duration::from_millis(10));
        bench.worker.step().unwrap();
        let held = bench.worker.tools.budget.held();
        most = most.max(held.open + held.sealed);
    }
    assert_eq!(bench.rows("a"), 20 * 1500);
    assert!(most < 2 * limit, "held {most} of {limit} bytes");
}

#[test]
fn a_partition_that_ends_before_the_place_that_is_read_stops() {
    let mut bench = Bench::new();
    bench.source.produce(0, events("a", 9));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench
        .source
        .happen(Event::Truncated(Slot(0), Position::at(4)));
    bench.turn().unwrap();
    let reason = bench.worker.flows[&Slot(0)].stopped.clone();
    assert!(reason.is_some_and(|reason| reason.contains("ends at 4, before 9")));
    bench.clock.advance(Duration::from_secs(60));
    bench.turn().unwrap();
    assert_eq!(bench.target.spans(), []);
}

/// What nobody could read when the span was planned, somebody may read now, or the other way round: a registry or a database has
/// changed. Some outputs may be there as they were, so nothing is written beside them.
#[test]
fn a_plan_of_other_dead_letters_is_not_followed() {
    let letters = |positions: &[i64]| {
        let mut unreadable = Unreadable::default();
        for position in positions {
            unreadable.add(Position::at(*position));
        }
        unreadable
    };
    for (planned, follows) in [
        (vec![3], true),
        (vec![], false),
        (vec![2], false),
        (vec![3, 4], false),
    ] {
        let mut bench = Bench::new();
        let mut payloads = events("a", 8);
        payloads[3] = "{broken".into();
        bench.source.produce(0, payloads);
        let shape = shape(&bench.target, "the usual");
        let span = Planned {
            to: Position::at(6),
            opened_ms: 1_700_000_000_000,
            unreadable: Some(letters(&planned)),
        };
        let note = Plan::text(shape.print, &[span], &shape.settings);
        bench.source.assign_with(0, 0, &note, 0);
        bench.turn().unwrap();
        if follows {
            bench.turn_until("the plan", |bench| bench.source.checkpoint(0) == Some(6));
            assert_eq!(bench.rows("a"), 5);
            continue;
        }
        let reason = bench.worker.flows[&Slot(0)].stopped.clone().unwrap();
        assert!(
            reason.contains("t-0 [0, 6)") && reason.contains("schema registry"),
            "{reason}"
        );
        assert_eq!(
            (bench.target.commit_attempts(), bench.source.checkpoint(0)),
            (0, None)
        );
    }
}

/// The plan that is stored says which records could not be read.
#[test]
fn a_plan_says_which_records_nobody_could_read() {
    let mut bench = Bench::new();
    let mut payloads = events("a", 8);
    payloads[3] = "{broken".into();
    bench.target.slow_commits(Duration::from_secs(3600));
    bench.source.produce(0, payloads);
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("the plan", |bench| bench.source.plan(0).is_some());
    let mut unreadable = Unreadable::default();
    unreadable.add(Position::at(3));
    assert_eq!(
        bench.source.plan(0).unwrap().spans[0].unreadable,
        Some(unreadable)
    );
}
