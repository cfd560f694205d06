use std::cell::RefCell;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use super::*;
use crate::decode::json::{JsonDecoder, JsonSettings, Layout};
use crate::record::Row;

mod batches;
mod catalog;
mod expectations;
mod nested;
mod own;
mod typed;
mod types;
mod values;

const OPENED: i64 = 1_700_000_000_000;

fn settings(user_type: UserType) -> Arc<ColumnSettings> {
    Arc::new(ColumnSettings {
        checkpoint_field: "_shard_time".into(),
        time_field: "_time".into(),
        user_field: "_user".into(),
        user_type,
        key_field: None,
        arrival_field: None,
        zone: Zone::UTC,
        objects: Objects::Map,
    })
}

fn builder() -> TableBuilder {
    TableBuilder::new(&settings(UserType::String), OPENED)
}

/// A table of a catalog with these columns.
fn bound(columns: &[(String, ColumnType)]) -> TableBuilder {
    let columns = columns.iter().zip(1..);
    let columns = columns.map(|((name, kind), id)| (id, name.as_str(), kind));
    TableBuilder::bound(&settings(UserType::String), OPENED, columns)
}

/// Decides as a catalog does to which nobody else has come.
fn decide(builder: &mut TableBuilder, row: &Row<'_>) {
    for (name, kind) in builder.undecided(row) {
        let id = u32::try_from(1000 + builder.kinds().len()).unwrap();
        builder.extend([(id, name.as_str(), &kind)]);
    }
    assert_eq!(builder.undecided(row), []);
}

fn decoder() -> JsonDecoder {
    JsonDecoder::new(JsonSettings {
        layout: Layout::Plain,
        project: "p".into(),
        collection_field: None,
        max_bytes: 1 << 30,
    })
}

fn append_with(decoder: &mut JsonDecoder, builder: &mut TableBuilder, json: &str) {
    let row = decoder
        .decode("c", Some(json.as_bytes()))
        .expect("valid JSON");
    decide(builder, &row);
    builder.append(&row);
}

/// Appends with the test's one decoder, as a worker does.
fn append(builder: &mut TableBuilder, json: &str) {
    thread_local! {
        static DECODER: RefCell<JsonDecoder> = RefCell::new(decoder());
    }
    DECODER.with_borrow_mut(|decoder| append_with(decoder, builder, json));
}

fn batch(rows: &[&str]) -> RecordBatch {
    let mut builder = builder();
    for row in rows {
        append(&mut builder, row);
    }
    builder.finish()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}

fn type_of(batch: &RecordBatch, name: &str) -> DataType {
    batch
        .schema()
        .field_with_name(name)
        .expect("a column of that name")
        .data_type()
        .clone()
}

/// A value as text; numbers alike whether integer or double; a missing column is null.
fn cell(batch: &RecordBatch, name: &str, row: usize) -> String {
    match batch.column_by_name(name) {
        Some(array) if array.is_valid(row) => text(array, row),
        _ => "null".into(),
    }
}

fn text(array: &dyn Array, row: usize) -> String {
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            let whole = value as i64;
            if whole as f64 == value && whole != i64::MAX {
                whole.to_string()
            } else {
                value.to_string()
            }
        }
        DataType::Date32 => format!("day {}", array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(TimeUnit::Millisecond, Some(zone)) if &**zone == "UTC" => {
            format!(
                "ms {}",
                array.as_primitive::<TimestampMillisecondType>().value(row)
            )
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {
            format!(
                "us {}",
                array.as_primitive::<TimestampMicrosecondType>().value(row)
            )
        }
        DataType::Time64(TimeUnit::Microsecond) => format!(
            "time {}",
            array.as_primitive::<Time64MicrosecondType>().value(row)
        ),
        DataType::Decimal128(_, scale) => format!(
            "{} at {scale}",
            array.as_primitive::<Decimal128Type>().value(row)
        ),
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(row)),
        DataType::Binary => format!("bytes {:?}", array.as_binary::<i32>().value(row)),
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            let elements = (0..elements.len()).map(|at| part(&elements, at));
            format!("[{}]", elements.collect::<Vec<_>>().join(", "))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let valid = columns.filter(|(_, column)| column.is_valid(row));
            let fields =
                valid.map(|(field, column)| format!("{}: {}", field.name(), text(column, row)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) if !is_misfits(entries) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
            let entries =
                (0..entries.len()).map(|at| format!("{}={}", keys.value(at), part(values, at)));
            format!("<{}>", entries.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
            let entries = (0..entries.len())
                .map(|at| format!("{}={}", keys.value(at), values.as_string::<i32>().value(at)));
            entries.collect::<Vec<_>>().join(" ")
        }
        other => panic!("no column has the type {other}"),
    }
}

fn part(array: &dyn Array, row: usize) -> String {
    match array.is_valid(row) {
        true => text(array, row),
        false => "null".into(),
    }
}

/// The values of `_misfit` are never null.
fn is_misfits(entries: &arrow_schema::Field) -> bool {
    match entries.data_type() {
        DataType::Struct(fields) => !fields[1].is_nullable(),
        _ => false,
    }
}

/// What column `a`, first given `first`, and `_misfit` have of `then`.
fn given(first: &str, then: &str) -> (String, String) {
    let rows = [format!("{{\"a\":{first}}}"), format!("{{\"a\":{then}}}")];
    let batch = batch(&[&rows[0], &rows[1]]);
    (cell(&batch, "a", 1), cell(&batch, MISFIT, 1))
}

fn assert_kept(first: &str, then: &str, expected: &str) {
    assert_eq!(
        given(first, then),
        (expected.into(), "null".into()),
        "{then} after {first}"
    );
}

fn assert_misfit(first: &str, then: &str) {
    assert_rounded(first, then, "null");
}

fn assert_rounded(first: &str, then: &str, expected: &str) {
    assert_eq!(
        given(first, then),
        (expected.into(), format!("a={then}")),
        "{then} after {first}"
    );
}
