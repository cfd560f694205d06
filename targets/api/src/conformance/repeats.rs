//! Checks of commits that are made again, cut off, or made by several writers at once.
//!
//! Every span is given to a writer in batches of its own size: whoever writes a span again need not cut
//! the stream as the first one did.

use std::future::poll_fn;
use std::ops::Range;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::checks::{add, begin, commit, orders, rows_of, seal, sealed, users};
use super::rows::{Rows, batch, expected, rows, seen, span};
use super::{Place, Row};
use crate::{Committed, Inserter, Span, Table, TargetError};

/// Rows by the range of their ids.
type Tables = Vec<(Table, Range<i64>)>;

/// How often a commit that is unavailable is tried, since another writer may be in its way.
const TRIES: u32 = 20;

/// Two tables of `len` rows each, `first` being the first id.
fn tables(first: i64, len: i64) -> Tables {
    let middle = first + len;
    vec![(users(), first..middle), (orders(), middle..middle + len)]
}

/// As [`sealed`], in batches of `size` rows and with the tables in turns.
fn sealed_in(place: &dyn Place, span: &Span, tables: &Tables, size: i64) -> Box<dyn Inserter> {
    let mut inserter = begin(place, span);
    let mut rest = tables.clone();
    while !rest.is_empty() {
        for (table, ids) in &mut rest {
            let end = (ids.start + size).min(ids.end);
            add(&mut *inserter, table, &batch(ids.start..end));
            ids.start = end;
        }
        rest.retain(|(_, ids)| !ids.is_empty());
    }
    seal(&mut *inserter, span);
    inserter
}

/// Commits until it is anything but unavailable, as Alluvium would.
async fn persist(inserter: &mut dyn Inserter, span: &Span) -> Result<Committed, TargetError> {
    let mut tries = 1;
    loop {
        match inserter.commit(span).await {
            Err(TargetError::Unavailable(_)) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

/// Starts a writer of its own.
fn spawn(
    mut inserter: Box<dyn Inserter>,
    span: &Span,
) -> JoinHandle<Result<Committed, TargetError>> {
    let span = span.clone();
    tokio::spawn(async move { persist(&mut *inserter, &span).await })
}

#[expect(clippy::panic, reason = "a failed check panics")]
async fn join<T>(check: &str, writer: JoinHandle<T>) -> T {
    match writer.await {
        Ok(done) => done,
        Err(error) => panic!("{check}: {error}"),
    }
}

pub(super) async fn many_processes_leave_one_copy(place: &dyn Place) {
    let span = span(0, 0, 60);
    let tables = tables(0, 30);
    for size in [30, 1, 7, 30, 2, 11, 3, 30, 29, 5] {
        let mut inserter = sealed_in(place, &span, &tables, size);
        commit(&mut *inserter, &span).await;
        commit(&mut *inserter, &span).await;
        assert_eq!(
            seen(place).await,
            expected(rows_of(&tables)),
            "many processes leave one copy"
        );
    }
}

pub(super) async fn writers_at_once_leave_one_copy(place: &dyn Place) {
    const CHECK: &str = "writers at once leave one copy";
    let mut all = Vec::new();
    for (number, writers) in [(0, 2), (1, 2), (2, 12)] {
        let span = span(number, 0, 200);
        let tables = tables(i64::from(number) * 1_000, 100);
        let running: Vec<_> = (0..writers)
            .map(|writer| {
                let size = [100, 7, 33, 1][writer % 4];
                spawn(sealed_in(place, &span, &tables, size), &span)
            })
            .collect();
        for writer in running {
            let done = join(CHECK, writer).await;
            assert!(done.is_ok(), "{CHECK}: {done:?}");
        }
        all.extend(rows_of(&tables));
        assert_eq!(seen(place).await, expected(all.clone()), "{CHECK}");
    }
}

/// Where a commit is cut off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// When it has been polled so often.
    Polls(usize),
    /// When it has run for so long.
    Time(Duration),
}

/// Begins a commit and drops it at `cut`, if it is not done before.
async fn begin_to_commit(mut inserter: Box<dyn Inserter>, span: &Span, cut: Cut) {
    let mut commit = inserter.commit(span);
    match cut {
        Cut::Time(time) => drop(tokio::time::timeout(time, commit).await),
        Cut::Polls(mut left) => {
            poll_fn(|context| {
                left -= 1;
                match commit.as_mut().poll(context) {
                    Poll::Pending if left > 0 => Poll::Pending,
                    _ => Poll::Ready(()),
                }
            })
            .await;
        }
    }
}

pub(super) async fn a_commit_cut_off_is_completed_by_another(place: &dyn Place) {
    const CHECK: &str = "a commit cut off is completed by another";
    let polls = [1, 2, 3, 4, 6, 10, 20].map(Cut::Polls);
    let times = [0, 1, 2, 5, 10, 30].map(|ms| Cut::Time(Duration::from_millis(ms)));
    let mut all = Vec::new();
    for (cut, number) in polls.into_iter().chain(times).zip(0..) {
        let span = span(number, 0, 240);
        let tables = tables(i64::from(number) * 1_000, 120);
        begin_to_commit(sealed_in(place, &span, &tables, 50), &span, cut).await;
        // What the first one set going may be going on still.
        let done = persist(&mut *sealed_in(place, &span, &tables, 9), &span).await;
        assert!(done.is_ok(), "{CHECK}: after {cut:?}: {done:?}");
        all.extend(rows_of(&tables));
        let (found, expected) = (seen(place).await, expected(all.clone()));
        assert_eq!(found, expected, "{CHECK}: after {cut:?}");
    }
    // Nor may it do harm later.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(seen(place).await, expected(all), "{CHECK}: a while later");
}

pub(super) async fn a_reader_sees_whole_outputs_only(place: &dyn Place) {
    const CHECK: &str = "a reader sees whole outputs only";
    let mut all = Vec::new();
    let mut writers = Vec::new();
    for number in 0..8 {
        let span = span(number, 0, 600);
        let tables = tables(i64::from(number) * 1_000, 300);
        for size in [100, 77] {
            writers.push(spawn(sealed_in(place, &span, &tables, size), &span));
        }
        all.extend(tables);
    }
    loop {
        let done = writers.iter().all(JoinHandle::is_finished);
        let seen = seen(place).await;
        for (table, ids) in &all {
            let found = with_ids(&seen, table, ids);
            let whole = found.is_empty() || found == sorted(rows(ids.clone()));
            let count = found.len();
            assert!(
                whole,
                "{CHECK}: {count} rows of {table} with ids {ids:?} are visible"
            );
        }
        if done {
            break;
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        let done = join(CHECK, writer).await;
        assert!(done.is_ok(), "{CHECK}: {done:?}");
    }
    assert_eq!(seen(place).await, expected(rows_of(&all)), "{CHECK}");
}

/// The rows of `table` whose id is one of `ids`, sorted.
fn with_ids(seen: &Rows, table: &Table, ids: &Range<i64>) -> Vec<Row> {
    let id = |row: &Row| row.get("id").and_then(|id| id.parse().ok());
    let wanted = |row: &&Row| id(row).is_some_and(|id: i64| ids.contains(&id));
    let found = seen.get(table).into_iter().flatten();
    sorted(found.filter(wanted).cloned().collect())
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

/// Two contents for one span, with rows in common and with others, of the same tables.
fn contents(first: i64) -> [Tables; 2] {
    let other = vec![
        (users(), first + 20..first + 50),
        (orders(), first + 60..first + 95),
    ];
    [tables(first, 40), other]
}

#[expect(clippy::panic, reason = "a failed check panics")]
pub(super) async fn other_content_is_never_mixed_in(place: &dyn Place) {
    const CHECK: &str = "other content is never mixed in";
    let span = span(0, 0, 100);
    let [first, other] = contents(0);
    commit(&mut *sealed(place, &span, &first), &span).await;
    // Refused, or taken in place of the first: nothing in between, and nothing given up silently.
    let stands = match persist(&mut *sealed(place, &span, &other), &span).await {
        Ok(_) => other,
        Err(TargetError::Conflict(_)) => first,
        Err(error) => panic!("{CHECK}: not told as a conflict: {error}"),
    };
    assert_eq!(seen(place).await, expected(rows_of(&stands)), "{CHECK}");
    // Whatever stands there now can be written again.
    commit(&mut *sealed_in(place, &span, &stands, 7), &span).await;
    assert_eq!(seen(place).await, expected(rows_of(&stands)), "{CHECK}");
}

pub(super) async fn writers_of_other_content_at_once_never_mix(place: &dyn Place) {
    const CHECK: &str = "writers of other content at once never mix";
    for number in 0..4 {
        let span = span(number, 0, 100);
        let both = contents(i64::from(number) * 1_000);
        let writers = both
            .each_ref()
            .map(|tables| spawn(sealed_in(place, &span, tables, 30), &span));
        for writer in writers {
            let done = join(CHECK, writer).await;
            let fine = matches!(done, Ok(_) | Err(TargetError::Conflict(_)));
            assert!(fine, "{CHECK}: {done:?}");
        }
        let seen = seen(place).await;
        let [first, other] = &both;
        for ((table, ids), (_, others)) in first.iter().zip(other) {
            let found = with_ids(&seen, table, &(ids.start..others.end));
            let whole = [ids, others].map(|ids| sorted(rows(ids.clone())));
            let count = found.len();
            assert!(
                whole.contains(&found),
                "{CHECK}: {count} rows of {table} are of neither writer"
            );
        }
    }
}
