//! Expectation 11 of the original's own tests: what the committer asks of a target. There a table's batches became durable by
//! themselves; here those of all tables of a partition's span do, at once.

use std::sync::Mutex;

use alluvium_target::{Committed, Inserter, Span, SpanStart, Staged, Target};
use arrow_array::RecordBatch;
use async_trait::async_trait;

use super::*;

type Calls = Arc<Mutex<Vec<String>>>;

/// A target in memory that notes what it is asked for.
#[derive(Debug)]
struct Noting(MemoryTarget, Calls);

struct NotingInserter(Box<dyn Inserter>, Calls);

#[async_trait]
impl Target for Noting {
    fn begin(&self, start: &SpanStart) -> Result<Box<dyn Inserter>, TargetError> {
        Ok(Box::new(NotingInserter(
            self.0.begin(start)?,
            self.1.clone(),
        )))
    }

    async fn check(&self) -> Result<(), TargetError> {
        self.0.check().await
    }
}

#[async_trait]
impl Inserter for NotingInserter {
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
        let schema = batch.schema();
        let own = schema.fields().iter().skip(3);
        let own: Vec<_> = own.map(|field| field.name().as_str()).collect();
        let call = format!(
            "add {} {} {}",
            table.collection(),
            batch.num_rows(),
            own.join(",")
        );
        self.1.lock().unwrap().push(call);
        self.0.add(table, batch)
    }

    fn staged(&self) -> Staged {
        self.0.staged()
    }

    async fn commit(&mut self, span: &Span) -> Result<Committed, TargetError> {
        let call = format!("commit {} to {}", span.partition.number(), span.to.offset());
        self.1.lock().unwrap().push(call);
        self.0.commit(span).await
    }
}

fn bench(policy: Policy) -> (Bench, Calls) {
    let (target, calls) = (MemoryTarget::new(), Calls::default());
    let json = JsonSettings {
        layout: Layout::Plain,
        project: "p".into(),
        collection_field: Some("c".into()),
        max_bytes: 1 << 20,
    };
    let noting = Arc::new(Noting(target.clone(), calls.clone()));
    let shape = Shape::new("the usual", noting, columns(), json);
    (Bench::shaped(target, shape, policy, 1 << 30, None), calls)
}

/// Lets the open spans come of age, and waits for their checkpoints.
fn finish(bench: &mut Bench, checkpoints: &[(usize, i64)]) {
    bench.turn().unwrap();
    assert!(
        checkpoints
            .iter()
            .all(|(slot, _)| bench.source.checkpoint(*slot).is_none())
    );
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoints", |bench| {
        let reached = |(slot, at): &(usize, i64)| bench.source.checkpoint(*slot) == Some(*at);
        checkpoints.iter().all(reached)
    });
}

fn taken(calls: &Calls) -> Vec<String> {
    std::mem::take(&mut *calls.lock().unwrap())
}

#[test]
fn expectation_11_one_table_is_one_batch_one_commit_and_one_checkpoint() {
    let (mut bench, calls) = bench(policy());
    bench
        .source
        .produce(0, [r#"{"c":"a","x":1}"#, r#"{"c":"a","x":2}"#]);
    bench.source.assign(0, 0);
    finish(&mut bench, &[(0, 2)]);
    assert_eq!(taken(&calls), ["add a 2 c,x", "commit 0 to 2"]);
    assert_eq!(bench.rows("a"), 2);
}

#[test]
fn expectation_11_two_tables_of_a_span_are_two_batches_and_one_commit() {
    let (mut bench, calls) = bench(policy());
    bench
        .source
        .produce(0, [r#"{"c":"a","x":1}"#, r#"{"c":"b","y":1}"#]);
    bench.source.assign(0, 0);
    finish(&mut bench, &[(0, 2)]);
    assert_eq!(
        taken(&calls),
        ["add a 1 c,x", "add b 1 c,y", "commit 0 to 2"]
    );
    assert_eq!((bench.rows("a"), bench.rows("b")), (1, 1));
}

#[test]
fn expectation_11_two_tables_of_two_partitions_do_not_wait_for_each_other() {
    let (mut bench, calls) = bench(policy());
    // Of two spans of which one fails, the other is durable all the same.
    let one = Table::new("p", "a");
    bench.target.fail_commits_of(Some(one));
    for (slot, record) in [r#"{"c":"a","x":1}"#, r#"{"c":"b","y":1}"#]
        .into_iter()
        .enumerate()
    {
        bench.source.produce(slot, [record]);
        bench.source.assign(slot, 0);
    }
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("the other", |bench| bench.rows("b") == 1);
    assert_eq!(bench.rows("a"), 0);
    bench.target.fail_commits_of(None);
    bench.turn_until("both", |bench| {
        (bench.source.checkpoint(0), bench.source.checkpoint(1)) == (Some(1), Some(1))
    });
    assert_eq!((bench.rows("a"), bench.rows("b")), (1, 1));
    let mut calls = taken(&calls);
    calls.sort();
    let both = [
        "add a 1 c,x",
        "add b 1 c,y",
        "commit 0 to 1",
        "commit 1 to 1",
    ];
    calls.dedup();
    assert_eq!(calls, both);
}

#[test]
fn expectation_11_two_batches_of_a_table_that_grows_are_one_commit() {
    let (mut bench, calls) = bench(Policy {
        batch_rows: 1,
        ..policy()
    });
    bench
        .source
        .produce(0, [r#"{"c":"a"}"#, r#"{"c":"a","x":1}"#]);
    bench.source.assign(0, 0);
    finish(&mut bench, &[(0, 2)]);
    assert_eq!(taken(&calls), ["add a 1 c", "add a 1 c,x", "commit 0 to 2"]);
    let batches = bench.target.batches(&Table::new("p", "a"));
    assert_eq!(
        (batches.len(), batches[0].1.len(), bench.rows("a")),
        (1, 2, 2)
    );
}
