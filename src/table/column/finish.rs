//! A column's buffers as Arrow's arrays.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};

use super::super::ColumnType;
use super::{Blank, Column, Store};

impl Column {
    /// Takes the column of a batch of so many rows.
    pub(in crate::table) fn finish(&mut self, rows: usize, blank: &mut Blank) -> ArrayRef {
        if self.nulls.is_empty() {
            self.expected = (0, 0);
            self.release();
            return blank.array(&self.kind(), rows);
        }
        self.fill_to(rows);
        self.expected = (rows, self.text_len());
        let nulls = self.nulls.finish();
        match &mut self.store {
            Store::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Store::Int32(values) => primitive::<Int32Type>(values, nulls),
            Store::Int64 { values, .. } => primitive::<Int64Type>(values, nulls),
            Store::Float64(values) => primitive::<Float64Type>(values, nulls),
            Store::Date32(values) => primitive::<Date32Type>(values, nulls),
            Store::Timestamp(values, _) => timestamps(std::mem::take(values).into(), nulls),
            Store::Time(values) => primitive::<Time64MicrosecondType>(values, nulls),
            Store::Micros(values, _) => micros(std::mem::take(values).into(), nulls),
            Store::Decimal { values, of } => decimals(std::mem::take(values).into(), nulls, *of),
            Store::Utf8(text) => {
                let (offsets, bytes) = text.finish();
                Arc::new(StringArray::new(offsets, bytes, nulls))
            }
            Store::Binary(text) => {
                let (offsets, bytes) = text.finish();
                Arc::new(BinaryArray::new(offsets, bytes, nulls))
            }
            Store::List(list) => list.finish(nulls, blank),
            Store::Map(map) => map.finish(nulls, blank),
            Store::Struct(fields) => fields.finish(rows, nulls, blank),
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(
        std::mem::take(values).into(),
        nulls,
    ))
}

pub(in crate::table) fn timestamps(
    values: ScalarBuffer<i64>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    let array = PrimitiveArray::<TimestampMillisecondType>::new(values, nulls);
    Arc::new(array.with_timezone("UTC"))
}

pub(super) fn micros(values: ScalarBuffer<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    let array = PrimitiveArray::<TimestampMicrosecondType>::new(values, nulls);
    Arc::new(array.with_timezone("UTC"))
}

pub(super) fn decimals(
    values: ScalarBuffer<i128>,
    nulls: Option<NullBuffer>,
    (precision, scale): (u8, u8),
) -> ArrayRef {
    let kind = ColumnType::Decimal { precision, scale };
    let array = PrimitiveArray::<Decimal128Type>::new(values, nulls);
    Arc::new(array.with_data_type(kind.data_type()))
}
