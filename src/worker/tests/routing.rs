//! Rows that are not for the target.

use super::*;

/// A bench whose worker follows these rules.
fn bench(routing: Routing) -> Bench {
    let target = MemoryTarget::new();
    let shape = shape(&target, "the usual").routed(routing);
    Bench::shaped(target, shape, policy(), 1 << 30, None)
}

fn wanted(names: &[&str]) -> Routing {
    let names = names.iter().map(|&name| name.to_owned());
    Routing {
        collections: Some(names.collect()),
    }
}

fn dropped(bench: &Bench, why: &str) -> u64 {
    bench.metrics.dropped.with_label_values(&[why]).get()
}

#[test]
fn records_of_collections_that_are_not_wanted_are_dropped_and_committed() {
    let mut bench = bench(wanted(&["a"]));
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
    let mut bench = bench(wanted(&["a"]));
    bench.source.produce(0, events("b", 3));
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| bench.source.checkpoint(0) == Some(3));
    assert_eq!(bench.target.commit_attempts(), 0);
    assert_eq!(
        bench.worker.tools.budget.held(),
        crate::flush::Held::default()
    );
}
