//! Columns without any value in a batch, which share what they are made of.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray, StringArray,
    StructArray,
};
use arrow_buffer::{
    ArrowNativeType, BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer,
};
use arrow_schema::DataType;

use super::super::ColumnType;
use super::finish::{decimals, micros, timestamps};

/// The zeros and nulls of a batch.
#[derive(Debug, Default)]
pub(in crate::table) struct Blank(Option<(usize, Buffer, NullBuffer)>);

impl Blank {
    /// A column of nulls.
    pub(super) fn array(&mut self, kind: &ColumnType, rows: usize) -> ArrayRef {
        if self.0.as_ref().is_none_or(|(len, ..)| *len < rows) {
            let zeros = MutableBuffer::from_len_zeroed((rows + 1) * size_of::<i128>());
            self.0 = Some((rows, zeros.into(), NullBuffer::new_null(rows)));
        }
        match &self.0 {
            Some((len, zeros, nulls)) => {
                let nulls = match *len == rows {
                    true => nulls.clone(),
                    false => nulls.slice(0, rows),
                };
                blank(kind, zeros, rows, Some(nulls))
            }
            None => arrow_array::new_null_array(&kind.data_type(), rows),
        }
    }
}

fn values<T: ArrowNativeType>(zeros: &Buffer, len: usize) -> ScalarBuffer<T> {
    ScalarBuffer::new(zeros.clone(), 0, len)
}

fn primitive<T: ArrowPrimitiveType>(
    zeros: &Buffer,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values(zeros, rows), nulls))
}

fn blank(kind: &ColumnType, zeros: &Buffer, rows: usize, nulls: Option<NullBuffer>) -> ArrayRef {
    let offsets = || OffsetBuffer::new(values(zeros, rows + 1));
    let nothing = || Buffer::from_vec(Vec::<u8>::new());
    match kind {
        ColumnType::Boolean => {
            let values = BooleanBuffer::new(zeros.clone(), 0, rows);
            Arc::new(BooleanArray::new(values, nulls))
        }
        ColumnType::Integer => primitive::<Int32Type>(zeros, rows, nulls),
        ColumnType::Bigint => primitive::<Int64Type>(zeros, rows, nulls),
        ColumnType::Double => primitive::<Float64Type>(zeros, rows, nulls),
        ColumnType::Date => primitive::<Date32Type>(zeros, rows, nulls),
        ColumnType::Time => primitive::<Time64MicrosecondType>(zeros, rows, nulls),
        ColumnType::Timestamp => timestamps(values(zeros, rows), nulls),
        ColumnType::TimestampMicros => micros(values(zeros, rows), nulls),
        ColumnType::Decimal { precision, scale } => {
            decimals(values(zeros, rows), nulls, (*precision, *scale))
        }
        ColumnType::String => Arc::new(StringArray::new(offsets(), nothing(), nulls)),
        ColumnType::Binary => Arc::new(BinaryArray::new(offsets(), nothing(), nulls)),
        ColumnType::Array(element) => match kind.data_type() {
            DataType::List(field) => {
                let elements = blank(element, zeros, 0, None);
                Arc::new(ListArray::new(field, offsets(), elements, nulls))
            }
            other => arrow_array::new_null_array(&other, rows),
        },
        ColumnType::Map(of) => {
            let keys = blank(&ColumnType::String, zeros, 0, None);
            map(kind, offsets(), keys, blank(of, zeros, 0, None), nulls)
        }
        ColumnType::Struct(fields) => {
            let columns = fields
                .iter()
                .map(|(_, kind)| blank(kind, zeros, rows, nulls.clone()))
                .collect();
            structs(kind, columns, rows, nulls)
        }
    }
}

/// A column of maps; `kind` is theirs.
pub(super) fn map(
    kind: &ColumnType,
    offsets: OffsetBuffer<i32>,
    keys: ArrayRef,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    match kind.data_type() {
        DataType::Map(field, sorted) => {
            let fields = match field.data_type() {
                DataType::Struct(fields) => fields.clone(),
                _ => [].into(),
            };
            let entries = StructArray::new(fields, vec![keys, values], None);
            Arc::new(MapArray::new(field, offsets, entries, nulls, sorted))
        }
        other => arrow_array::new_null_array(&other, offsets.len() - 1),
    }
}

/// A column of structs; `kind` is theirs.
pub(super) fn structs(
    kind: &ColumnType,
    columns: Vec<ArrayRef>,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    match kind.data_type() {
        DataType::Struct(fields) if fields.is_empty() => {
            Arc::new(StructArray::new_empty_fields(rows, nulls))
        }
        DataType::Struct(fields) => Arc::new(StructArray::new(fields, columns, nulls)),
        other => arrow_array::new_null_array(&other, rows),
    }
}
