//! Batches of the events that all benchmarks share, as the program makes them: one for each table.

use std::sync::Arc;

use alluvium_target::Table;
use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMillisecondArray};

#[allow(
    clippy::expect_used,
    unreachable_pub,
    unused_imports,
    reason = "shared with benchmarks of other crates; one may panic"
)]
#[path = "../../../../benches/data/mod.rs"]
mod data;

use data::{Event, Events, Size, Value};

/// Rows of a batch.
pub(crate) const ROWS: usize = 2_048;

/// Five tables with a batch each; an event has about 400 bytes as JSON.
#[expect(
    clippy::expect_used,
    reason = "the columns are made here, of one length"
)]
pub(crate) fn batches() -> Vec<(Table, RecordBatch)> {
    let events: Vec<Event> = Events::new(7, Size::Bytes400, 5)
        .take(6 * 5 * ROWS / 5)
        .collect();
    let mut names: Vec<&str> = events.iter().map(|event| event.table.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let batch = |name: &&str| {
        let of_table = events.iter().filter(|event| event.table == **name);
        let of_table: Vec<&Event> = of_table.take(ROWS).collect();
        assert_eq!(of_table.len(), ROWS);
        let batch = RecordBatch::try_from_iter_with_nullable(columns(&of_table));
        (
            Table::new("bench", *name),
            batch.expect("columns of one length"),
        )
    };
    names.iter().map(batch).collect()
}

fn columns(events: &[&Event]) -> Vec<(&'static str, ArrayRef, bool)> {
    let shard = TimestampMillisecondArray::from(vec![1_517_378_400_120; events.len()]);
    let mut columns: Vec<(&'static str, ArrayRef, bool)> =
        vec![("_shard_time", Arc::new(shard), true)];
    let fields = events.first().map_or(0, |event| event.fields.len());
    for at in 0..fields {
        let name = events.first().map_or("", |event| event.fields[at].0);
        let values: Vec<Option<&Value>> = events
            .iter()
            .map(|event| event.fields[at].1.as_ref())
            .collect();
        columns.push((name, column(name, &values), true));
    }
    columns
}

fn column(name: &str, values: &[Option<&Value>]) -> ArrayRef {
    let (mut texts, mut longs) = (StringBuilder::new(), Int64Builder::new());
    let (mut doubles, mut booleans) = (Float64Builder::new(), BooleanBuilder::new());
    for value in values {
        texts.append_option(match value {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        });
        longs.append_option(match value {
            Some(Value::Long(long)) => Some(*long),
            _ => None,
        });
        doubles.append_option(match value {
            Some(Value::Double(double)) => Some(*double),
            _ => None,
        });
        booleans.append_option(match value {
            Some(Value::Bool(bool)) => Some(*bool),
            _ => None,
        });
    }
    match values.iter().flatten().next() {
        Some(Value::Text(_)) | None => Arc::new(texts.finish()),
        Some(Value::Long(_)) if name == "_time" => {
            let longs = longs.finish();
            let times =
                TimestampMillisecondArray::new(longs.values().clone(), longs.nulls().cloned());
            Arc::new(times)
        }
        Some(Value::Long(_)) => Arc::new(longs.finish()),
        Some(Value::Double(_)) => Arc::new(doubles.finish()),
        Some(Value::Bool(_)) => Arc::new(booleans.finish()),
    }
}
