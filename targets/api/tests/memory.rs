//! The memory target keeps the contract, and its switches do what they say.
#![expect(clippy::unwrap_used, reason = "tests panic on what must not fail")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use alluvium_target::conformance::{self, Harness, Place};
use alluvium_target::memory::MemoryTarget;
use alluvium_target::{
    Committed, Inserter, Partition, Position, Span, SpanStart, Table, Target, TargetError,
};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use async_trait::async_trait;

struct Memory;

#[async_trait]
impl Harness for Memory {
    async fn fresh(&self) -> Box<dyn Place> {
        Box::new(MemoryTarget::new())
    }
}

#[tokio::test]
async fn conforms() {
    conformance::run(&Memory).await;
}

fn span() -> Span {
    Span {
        partition: Partition::new("t", 0),
        from: Position::at(0),
        to: Position::at(3),
    }
}

fn begin(target: &MemoryTarget) -> Box<dyn Inserter> {
    let opened = SystemTime::UNIX_EPOCH;
    let start = SpanStart {
        partition: span().partition,
        from: span().from,
        opened,
    };
    target.begin(&start).unwrap()
}

fn batch() -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    RecordBatch::try_from_iter([("a", column)]).unwrap()
}

#[tokio::test]
async fn fails_as_often_as_told_and_keeps_the_rows() {
    let (target, table) = (MemoryTarget::new(), Table::new("p", "c"));
    let mut inserter = begin(&target);
    inserter.add(&table, &batch()).unwrap();
    target.fail_commits(2);
    for _ in 0..2 {
        let failed = inserter.commit(&span()).await;
        assert!(
            matches!(failed, Err(TargetError::Unavailable(_))),
            "{failed:?}"
        );
        assert_eq!(target.rows(&table), 0);
    }
    assert_eq!(inserter.commit(&span()).await.unwrap().rows, 3);
    assert_eq!((target.rows(&table), target.commit_attempts()), (3, 3));
    assert_eq!(
        (target.spans(), target.tables()),
        (vec![span()], vec![table.clone()])
    );
    assert_eq!(target.batches(&table), [(span(), vec![batch()])]);
}

#[tokio::test]
async fn fails_where_and_as_long_as_it_was_told_to() {
    let (target, table) = (MemoryTarget::new(), Table::new("p", "c"));
    let mut inserter = begin(&target);
    inserter.add(&table, &batch()).unwrap();
    target.fail_commits_of(Some(table.clone()));
    for _ in 0..3 {
        let failed = inserter.commit(&span()).await;
        assert!(
            matches!(failed, Err(TargetError::Unavailable(_))),
            "{failed:?}"
        );
    }
    target.fail_commits_of(Some(Table::new("p", "other")));
    assert_eq!(inserter.commit(&span()).await.unwrap().rows, 3);
}

#[tokio::test]
async fn rejects_the_table_it_was_told_to() {
    let target = MemoryTarget::new();
    target.reject(Table::new("p", "bad"));
    let mut inserter = begin(&target);
    let refused = inserter.add(&Table::new("p", "bad"), &batch());
    assert!(
        matches!(refused, Err(TargetError::Rejected { .. })),
        "{refused:?}"
    );
    inserter.add(&Table::new("p", "good"), &batch()).unwrap();
}

#[tokio::test]
async fn is_as_slow_and_as_misconfigured_as_told() {
    let target = MemoryTarget::new();
    target.slow_commits(Duration::from_millis(30));
    let began = Instant::now();
    assert_eq!(
        begin(&target).commit(&span()).await.unwrap(),
        Committed::default()
    );
    assert!(began.elapsed() >= Duration::from_millis(30));
    target.misconfigure("no such place");
    assert!(matches!(
        target.check().await,
        Err(TargetError::Misconfigured(_))
    ));
}

#[tokio::test]
async fn refuses_other_rows_for_a_span_that_is_there() {
    let (target, table) = (MemoryTarget::new(), Table::new("p", "c"));
    let commit = async |batches: &[RecordBatch]| {
        let mut inserter = begin(&target);
        for batch in batches {
            inserter.add(&table, batch).unwrap();
        }
        inserter.commit(&span()).await.map(|done| done.rows)
    };
    assert_eq!(commit(&[batch()]).await.unwrap(), 3);
    let (head, tail) = (batch().slice(0, 1), batch().slice(1, 2));
    assert_eq!(commit(&[tail.clone(), head.clone()]).await.unwrap(), 3);
    for other in [&[head.clone(), head][..], &[tail], &[]] {
        let refused = commit(other).await;
        assert!(
            matches!(refused, Err(TargetError::Conflict(_))),
            "{refused:?}"
        );
    }
    assert_eq!(target.batches(&table), [(span(), vec![batch()])]);
}

#[test]
fn a_target_without_settings_has_no_shape() {
    assert_eq!(MemoryTarget::new().shape(), "");
}
