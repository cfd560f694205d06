//! The checks, one function each. Those of repeats and of writers at once are in `repeats`.

use std::ops::Range;

use super::rows::{
    batch, dead_letter, double_batch, double_rows, expected, rows, seen, span, start, wider_batch,
    wider_rows,
};
use super::{Place, Row};
use crate::{Committed, Inserter, Span, Table};

pub(super) fn users() -> Table {
    Table::new("shop", "users")
}

pub(super) fn orders() -> Table {
    Table::new("shop", "orders")
}

#[expect(clippy::panic, reason = "a failed check panics")]
pub(super) fn begin(place: &dyn Place, span: &Span) -> Box<dyn Inserter> {
    let begun = place.target().begin(&start(span));
    begun.unwrap_or_else(|error| panic!("begin of {span} failed: {error}"))
}

#[expect(clippy::panic, reason = "a failed check panics")]
pub(super) fn add(inserter: &mut dyn Inserter, table: &Table, batch: &arrow_array::RecordBatch) {
    if let Err(error) = inserter.add(table, batch) {
        panic!(
            "add of {} rows to {table} failed: {error}",
            batch.num_rows()
        );
    }
}

#[expect(clippy::panic, reason = "a failed check panics")]
pub(super) fn seal(inserter: &mut dyn Inserter, span: &Span) {
    if let Err(error) = inserter.seal(span) {
        panic!("seal of {span} failed: {error}");
    }
}

#[expect(clippy::panic, reason = "a failed check panics")]
pub(super) async fn commit(inserter: &mut dyn Inserter, span: &Span) -> Committed {
    let committed = inserter.commit(span).await;
    committed.unwrap_or_else(|error| panic!("commit of {span} failed: {error}"))
}

/// An inserter that was given a batch per table and sealed.
pub(super) fn sealed(
    place: &dyn Place,
    span: &Span,
    tables: &[(Table, Range<i64>)],
) -> Box<dyn Inserter> {
    let mut inserter = begin(place, span);
    for (table, ids) in tables {
        add(&mut *inserter, table, &batch(ids.clone()));
    }
    seal(&mut *inserter, span);
    inserter
}

pub(super) fn rows_of(tables: &[(Table, Range<i64>)]) -> Vec<(Table, Vec<Row>)> {
    tables
        .iter()
        .map(|(table, ids)| (table.clone(), rows(ids.clone())))
        .collect()
}

pub(super) async fn passes_its_own_check(place: &dyn Place) {
    let checked = place.target().check().await;
    assert!(checked.is_ok(), "passes its own check: {checked:?}");
    assert!(
        seen(place).await.is_empty(),
        "passes its own check: it left rows"
    );
}

pub(super) async fn nothing_is_visible_before_commit(place: &dyn Place) {
    let span = span(0, 0, 10);
    let inserter = sealed(place, &span, &[(users(), 0..10)]);
    let found = seen(place).await;
    assert!(
        found.is_empty(),
        "nothing is visible before commit: {found:?}"
    );
    drop(inserter);
}

pub(super) async fn a_dropped_inserter_leaves_nothing(place: &dyn Place) {
    let span = span(0, 0, 10);
    drop(begin(place, &span));
    let mut unsealed = begin(place, &span);
    add(&mut *unsealed, &users(), &batch(0..10));
    drop(unsealed);
    drop(sealed(place, &span, &[(users(), 0..10)]));
    let found = seen(place).await;
    assert!(
        found.is_empty(),
        "a dropped inserter leaves nothing: {found:?}"
    );
}

pub(super) async fn commit_shows_every_row_of_every_table(place: &dyn Place) {
    let span = span(0, 100, 125);
    let tables = [
        (users(), 100..110),
        (orders(), 110..115),
        (users(), 115..125),
    ];
    let mut inserter = sealed(place, &span, &tables);
    let committed = commit(&mut *inserter, &span).await;
    assert_eq!(
        committed.rows, 25,
        "commit shows every row of every table: rows it reports"
    );
    assert_eq!(
        seen(place).await,
        expected(rows_of(&tables)),
        "commit shows every row of every table"
    );
}

pub(super) async fn a_second_commit_leaves_one_copy(place: &dyn Place) {
    let span = span(0, 0, 20);
    let tables = [(users(), 0..10), (orders(), 10..20)];
    let mut inserter = sealed(place, &span, &tables);
    commit(&mut *inserter, &span).await;
    commit(&mut *inserter, &span).await;
    assert_eq!(
        seen(place).await,
        expected(rows_of(&tables)),
        "a second commit leaves one copy"
    );
}

pub(super) async fn a_second_process_leaves_one_copy(place: &dyn Place) {
    let span = span(0, 0, 20);
    let tables = [(users(), 0..10), (orders(), 10..20)];
    commit(&mut *sealed(place, &span, &tables), &span).await;
    // The same rows in other batches: the next process need not cut the stream as the first did.
    let again = [(users(), 0..3), (orders(), 10..20), (users(), 3..10)];
    commit(&mut *sealed(place, &span, &again), &span).await;
    assert_eq!(
        seen(place).await,
        expected(rows_of(&tables)),
        "a second process leaves one copy"
    );
}

pub(super) async fn spans_and_partitions_stay_apart(place: &dyn Place) {
    let spans = [
        span(0, 0, 5),
        span(0, 5, 10),
        span(1, 0, 5),
        span(10, 0, 5),
        span(1, 5, 50),
    ];
    let mut all = Vec::new();
    for (span, first) in spans.iter().zip((0..).step_by(5)) {
        let tables = [(users(), first..first + 5)];
        commit(&mut *sealed(place, span, &tables), span).await;
        all.extend(rows_of(&tables));
    }
    assert_eq!(
        seen(place).await,
        expected(all),
        "spans and partitions stay apart"
    );
}

pub(super) async fn a_later_batch_may_have_more_columns(place: &dyn Place) {
    let span = span(0, 0, 20);
    let mut inserter = begin(place, &span);
    add(&mut *inserter, &users(), &batch(0..10));
    add(&mut *inserter, &users(), &wider_batch(10..20));
    seal(&mut *inserter, &span);
    commit(&mut *inserter, &span).await;
    assert_eq!(
        seen(place).await,
        expected([(users(), rows(0..10)), (users(), wider_rows(10..20))]),
        "a later batch may have more columns"
    );
}

pub(super) async fn an_integer_column_may_become_double(place: &dyn Place) {
    let span = span(0, 0, 20);
    let mut inserter = begin(place, &span);
    add(&mut *inserter, &users(), &batch(0..10));
    add(&mut *inserter, &users(), &double_batch(10..20));
    seal(&mut *inserter, &span);
    commit(&mut *inserter, &span).await;
    assert_eq!(
        seen(place).await,
        expected([(users(), rows(0..10)), (users(), double_rows(10..20))]),
        "an integer column may become double"
    );
}

pub(super) async fn hostile_names_stay_apart_and_inside(place: &dyn Place) {
    let long = "long".repeat(2_500);
    let longer = format!("{long}er");
    let names = [
        "plain",
        "Plain",
        "",
        ".",
        "..",
        "../..",
        "../../outside",
        "/absolute",
        "a/b",
        "a%2Fb",
        "a%2fb",
        "a\\b",
        "a-b",
        "a.b",
        "dot.",
        " space ",
        "~",
        "%",
        "line\nbreak",
        "nul\0",
        "\u{7f}\u{9b}",
        "\u{202e}override",
        "ünïcödé 漢字 \u{1F30A}",
        "u\u{308}",
        "ü",
        "*?<>|:\"'`$(id)",
        "{collection}",
        "_dead_letters",
        "_misfit",
        &long,
        &longer,
    ];
    let pairs = names.iter().flat_map(|name| {
        let as_project = (!name.is_empty()).then(|| Table::new(*name, "events"));
        [Some(Table::new("shop", *name)), as_project]
            .into_iter()
            .flatten()
    });
    // What joined or split names could be mistaken for.
    let joined = [
        ("a", "b/c"),
        ("a/b", "c"),
        ("a-b", "c"),
        ("a", "b-c"),
        ("a.b", "c"),
        ("a", "b.c"),
    ];
    let all = pairs.chain(joined.map(|(project, collection)| Table::new(project, collection)));
    let tables: Vec<_> = all
        .zip(0..)
        .map(|(table, id)| (table, id..id + 1))
        .collect();
    let span = span(0, 0, 1_000);
    commit(&mut *sealed(place, &span, &tables), &span).await;
    assert_eq!(
        seen(place).await,
        expected(rows_of(&tables)),
        "hostile names stay apart and inside"
    );
}

pub(super) async fn dead_letters_come_with_the_span(place: &dyn Place) {
    let span = span(0, 0, 12);
    let mut inserter = begin(place, &span);
    add(&mut *inserter, &users(), &batch(0..5));
    add(&mut *inserter, &Table::dead_letters(), &dead_letter(5));
    add(&mut *inserter, &users(), &batch(6..11));
    add(&mut *inserter, &Table::dead_letters(), &dead_letter(11));
    seal(&mut *inserter, &span);
    assert!(
        seen(place).await.is_empty(),
        "dead letters come with the span: visible too early"
    );
    let committed = commit(&mut *inserter, &span).await;
    assert_eq!(
        committed.rows, 12,
        "dead letters come with the span: rows it reports"
    );

    let mut found = seen(place).await;
    let letters = found.remove(&Table::dead_letters()).unwrap_or_default();
    let cells = |name: &str| -> Vec<Option<&str>> {
        letters
            .iter()
            .map(|row| row.get(name).map(String::as_str))
            .collect()
    };
    let mut offsets = cells("offset");
    offsets.sort_unstable();
    assert_eq!(
        offsets,
        [Some("11"), Some("5")],
        "dead letters come with the span: offsets"
    );
    assert_eq!(
        cells("topic"),
        [Some("conformance"); 2],
        "dead letters come with the span: topic"
    );
    assert_eq!(
        cells("partition"),
        [Some("0"); 2],
        "dead letters come with the span: partition"
    );
    assert_eq!(
        cells("reason"),
        [Some("not-json: made for this check"); 2],
        "dead letters come with the span: reason"
    );
    assert!(
        cells("payload").iter().all(Option::is_some),
        "dead letters come with the span: a payload is missing"
    );
    assert_eq!(
        found,
        expected([(users(), rows(0..5)), (users(), rows(6..11))]),
        "dead letters come with the span: the rows beside them"
    );
}

pub(super) async fn a_span_without_rows_commits_nothing(place: &dyn Place) {
    let span = span(0, 7, 9);
    let mut inserter = sealed(place, &span, &[]);
    assert_eq!(
        commit(&mut *inserter, &span).await,
        Committed::default(),
        "a span without rows commits nothing"
    );
    let found = place.visible().await;
    assert!(
        found.is_empty(),
        "a span without rows commits nothing: {found:?}"
    );
}

pub(super) async fn many_tables_fit_in_one_span(place: &dyn Place) {
    let span = span(0, 0, 400);
    let tables: Vec<_> = (0..200)
        .map(|n| {
            (
                Table::new(format!("p{}", n % 7), format!("c{n}")),
                2 * n..2 * n + 2,
            )
        })
        .collect();
    let committed = commit(&mut *sealed(place, &span, &tables), &span).await;
    assert_eq!(
        committed.rows, 400,
        "many tables fit in one span: rows it reports"
    );
    assert_eq!(
        seen(place).await,
        expected(rows_of(&tables)),
        "many tables fit in one span"
    );
}

#[expect(clippy::panic, reason = "a failed check panics")]
pub(super) async fn shrinking_keeps_every_row(place: &dyn Place) {
    let span = span(0, 0, 4_000);
    let mut inserter = begin(place, &span);
    let mut all = Vec::new();
    for first in (0..4_000).step_by(500) {
        let table = if first % 1_000 == 0 {
            users()
        } else {
            orders()
        };
        add(&mut *inserter, &table, &batch(first..first + 500));
        all.push((table, rows(first..first + 500)));
        let before = inserter.staged();
        if let Err(error) = inserter.shrink() {
            panic!("shrinking keeps every row: shrink failed: {error}");
        }
        let after = inserter.staged();
        assert!(
            after.memory <= before.memory,
            "shrinking keeps every row: it made {before:?} grow to {after:?}"
        );
    }
    seal(&mut *inserter, &span);
    let committed = commit(&mut *inserter, &span).await;
    assert_eq!(
        committed.rows, 4_000,
        "shrinking keeps every row: rows it reports"
    );
    assert_eq!(
        seen(place).await,
        expected(all),
        "shrinking keeps every row"
    );
}
