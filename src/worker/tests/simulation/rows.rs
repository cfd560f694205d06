//! Batches as text, row by row, in the same words as the oracle's.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use super::log::letter;

/// The rows of a table: columns by name, those without a value left out.
pub(super) fn rows(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    let mut columns: Vec<_> = (0..batch.num_columns())
        .map(|at| (schema.field(at).name().clone(), batch.column(at)))
        .collect();
    columns.sort_by(|(a, _), (b, _)| a.cmp(b));
    (0..batch.num_rows())
        .map(|row| {
            let mut text = String::new();
            for (name, column) in &columns {
                if column.is_valid(row) {
                    value(&mut text, name, column.as_ref(), row);
                }
            }
            text
        })
        .collect()
}

fn value(text: &mut String, name: &str, column: &dyn Array, row: usize) {
    let _ = match column.data_type() {
        DataType::Utf8 => write!(text, "{name}={} ", column.as_string::<i32>().value(row)),
        DataType::Boolean => write!(text, "{name}={} ", column.as_boolean().value(row)),
        DataType::Int64 => write!(
            text,
            "{name}={} ",
            column.as_primitive::<Int64Type>().value(row)
        ),
        // Whole numbers come out without a fraction, as they would from a column of whole numbers.
        DataType::Float64 => write!(
            text,
            "{name}={} ",
            column.as_primitive::<Float64Type>().value(row)
        ),
        DataType::Timestamp(_, _) => write!(
            text,
            "{name}={} ",
            column.as_primitive::<TimestampMillisecondType>().value(row)
        ),
        DataType::Map(_, _) => {
            let entries = column.as_map().value(row);
            let (names, values) = (
                entries.column(0).as_string::<i32>(),
                entries.column(1).as_string::<i32>(),
            );
            for at in 0..entries.len() {
                let _ = write!(text, "{name}.{}={} ", names.value(at), values.value(at));
            }
            Ok(())
        }
        other => write!(text, "{name}=a column of {other} "),
    };
}

/// Dead letters; of the reason only the name.
pub(super) fn letters(batch: &RecordBatch) -> Vec<String> {
    let column = |name| batch.column_by_name(name).unwrap();
    let (partition, offset) = (
        column("partition").as_primitive::<Int32Type>(),
        column("offset").as_primitive::<Int64Type>(),
    );
    let (payload, reason) = (
        column("payload").as_binary::<i32>(),
        column("reason").as_string::<i32>(),
    );
    (0..batch.num_rows())
        .map(|row| {
            let payload = payload
                .is_valid(row)
                .then(|| std::str::from_utf8(payload.value(row)).unwrap());
            let reason = reason.value(row).split(':').next().unwrap_or_default();
            let partition = usize::try_from(partition.value(row)).unwrap();
            letter(partition, offset.value(row), payload, reason)
        })
        .collect()
}
