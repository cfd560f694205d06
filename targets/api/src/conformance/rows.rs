//! The rows the checks write, and what they must read like.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow_array::{
    ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};

use super::{Place, Row};
use crate::{Partition, Position, Span, SpanStart, Table, dead_letters};

/// Rows by table, sorted: what a check expects and what a reader found.
pub(super) type Rows = BTreeMap<Table, Vec<Row>>;

pub(super) fn span(number: i32, from: i64, to: i64) -> Span {
    Span {
        partition: Partition::new("conformance", number),
        from: Position::at(from),
        to: Position::at(to),
    }
}

/// The start of `span`, opened at a time long past, as it would be read from a plan.
pub(super) fn start(span: &Span) -> SpanStart {
    SpanStart {
        partition: span.partition.clone(),
        from: span.from,
        opened: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    }
}

/// A batch with the columns `id` and `text`.
#[expect(
    clippy::expect_used,
    reason = "the columns are made here, of one length"
)]
pub(super) fn batch(ids: Range<i64>) -> RecordBatch {
    RecordBatch::try_from_iter(id_and_text(ids)).expect("columns of one length")
}

/// As [`batch`], with a third column `late`.
#[expect(
    clippy::expect_used,
    reason = "the columns are made here, of one length"
)]
pub(super) fn wider_batch(ids: Range<i64>) -> RecordBatch {
    let late: StringArray = ids.clone().map(|id| Some(format!("late {id}"))).collect();
    let mut columns = id_and_text(ids);
    columns.push(("late", Arc::new(late) as ArrayRef));
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// As [`batch`], with `id` as double and half a unit more.
#[expect(
    clippy::expect_used,
    reason = "the columns are made here, of one length"
)]
pub(super) fn double_batch(ids: Range<i64>) -> RecordBatch {
    let doubles: Float64Array = ids.clone().map(|id| Some(id as f64 + 0.5)).collect();
    let mut columns = id_and_text(ids);
    columns[0].1 = Arc::new(doubles);
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn id_and_text(ids: Range<i64>) -> Vec<(&'static str, ArrayRef)> {
    let id: Int64Array = ids.clone().map(Some).collect();
    // Every third text is null; the others would break a format that does not escape.
    let text: StringArray = ids.map(text_of).collect();
    vec![
        ("id", Arc::new(id) as ArrayRef),
        ("text", Arc::new(text) as ArrayRef),
    ]
}

fn text_of(id: i64) -> Option<String> {
    (id % 3 != 0).then(|| format!("row {id}: \"quoted\", \\ \t\r\n{{}} ü 漢 \u{1F30A}"))
}

/// What [`batch`] must read like.
pub(super) fn rows(ids: Range<i64>) -> Vec<Row> {
    ids.map(|id| row(id, id.to_string())).collect()
}

/// What [`wider_batch`] must read like.
pub(super) fn wider_rows(ids: Range<i64>) -> Vec<Row> {
    let widen = |id: i64| {
        let mut row = row(id, id.to_string());
        row.insert("late".into(), format!("late {id}"));
        row
    };
    ids.map(widen).collect()
}

/// What [`double_batch`] must read like.
pub(super) fn double_rows(ids: Range<i64>) -> Vec<Row> {
    ids.map(|id| row(id, format!("{id}.5"))).collect()
}

fn row(id: i64, shown: String) -> Row {
    let mut row = Row::from([("id".to_owned(), shown)]);
    row.extend(text_of(id).map(|text| ("text".to_owned(), text)));
    row
}

/// One dead letter at `offset`, without time and key.
#[expect(
    clippy::expect_used,
    reason = "the columns are made here, as the schema says"
)]
pub(super) fn dead_letter(offset: i64) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["conformance"])),
        Arc::new(Int32Array::from(vec![0])),
        Arc::new(Int64Array::from(vec![offset])),
        Arc::new(TimestampMillisecondArray::from(vec![None::<i64>]).with_timezone("UTC")),
        Arc::new(BinaryArray::from(vec![None::<&[u8]>])),
        Arc::new(BinaryArray::from(vec![Some(&b"{\xff"[..])])),
        Arc::new(StringArray::from(vec!["not-json: made for this check"])),
    ];
    RecordBatch::try_new(dead_letters::schema(), columns).expect("the columns of a dead letter")
}

/// What a reader sees, by table and in the order of the rows' text, since outputs have no order.
pub(super) async fn seen(place: &dyn Place) -> Rows {
    let mut seen = Rows::new();
    for output in place.visible().await {
        seen.entry(output.table).or_default().extend(output.rows);
    }
    seen.retain(|_, rows| !rows.is_empty());
    sorted(seen)
}

pub(super) fn expected(tables: impl IntoIterator<Item = (Table, Vec<Row>)>) -> Rows {
    let mut expected = Rows::new();
    for (table, rows) in tables {
        expected.entry(table).or_default().extend(rows);
    }
    sorted(expected)
}

fn sorted(mut rows: Rows) -> Rows {
    rows.values_mut().for_each(|rows| rows.sort());
    rows
}
