//! The memory of a column: rows without a value, room for those to come, and what it takes.

use super::bits::Bits;
use super::{Column, Store, Text};

impl Column {
    /// Makes null what rows before `row` have no value.
    pub(super) fn fill_to(&mut self, row: usize) {
        if self.nulls.len() < row {
            self.fill(row);
        }
    }

    /// Gives the rows up to `row` that have no value a null.
    #[cold]
    pub(super) fn fill(&mut self, row: usize) {
        if self.nulls.is_empty() {
            self.expect(row);
        }
        self.nulls.fill(row);
        match &mut self.store {
            Store::Boolean(values) => values.fill(row),
            Store::Int32(values) | Store::Date32(values) => values.resize(row, 0),
            Store::Int64 { values, .. }
            | Store::Timestamp(values, _)
            | Store::Micros(values, _)
            | Store::Time(values) => values.resize(row, 0),
            Store::Float64(values) => values.resize(row, 0.0),
            Store::Decimal { values, .. } => values.resize(row, 0),
            Store::Utf8(text) | Store::Binary(text) => text.fill(row),
            Store::List(list) => list.fill(row),
            Store::Map(map) => map.fill(row),
            // Fields are filled when they get their next value.
            Store::Struct(_) => {}
        }
    }

    /// Makes room for what the last batch needed, at least `row` rows.
    pub(in crate::table) fn expect(&mut self, row: usize) {
        let (rows, bytes) = self.expected;
        if rows == 0 {
            return;
        }
        let rows = row.max(rows);
        match &mut self.store {
            Store::Boolean(values) => values.reserve(rows),
            Store::Int32(values) | Store::Date32(values) => values.reserve(rows),
            Store::Int64 { values, .. }
            | Store::Timestamp(values, _)
            | Store::Micros(values, _)
            | Store::Time(values) => values.reserve(rows),
            Store::Float64(values) => values.reserve(rows),
            Store::Decimal { values, .. } => values.reserve(rows),
            Store::Utf8(text) | Store::Binary(text) => text.reserve(rows, bytes + bytes / 8),
            Store::List(list) => list.expect(rows),
            Store::Map(map) => map.expect(rows),
            Store::Struct(fields) => fields.expect(row),
        }
    }

    /// Gives back the room made for values that did not come.
    pub(super) fn release(&mut self) {
        match &mut self.store {
            Store::Boolean(values) => *values = Bits::default(),
            Store::Int32(values) | Store::Date32(values) => values.shrink_to_fit(),
            Store::Int64 { values, .. }
            | Store::Timestamp(values, _)
            | Store::Micros(values, _)
            | Store::Time(values) => values.shrink_to_fit(),
            Store::Float64(values) => values.shrink_to_fit(),
            Store::Decimal { values, .. } => values.shrink_to_fit(),
            Store::Utf8(text) | Store::Binary(text) => *text = Text::default(),
            Store::List(list) => list.release(),
            Store::Map(map) => map.release(),
            Store::Struct(fields) => fields.release(),
        }
    }

    /// Bytes allocated.
    pub(in crate::table) fn memory(&self) -> usize {
        let values = match &self.store {
            Store::Boolean(values) => values.memory(),
            Store::Int32(values) | Store::Date32(values) => values.capacity() * size_of::<i32>(),
            Store::Int64 { values, .. }
            | Store::Timestamp(values, _)
            | Store::Micros(values, _)
            | Store::Time(values) => values.capacity() * size_of::<i64>(),
            Store::Float64(values) => values.capacity() * size_of::<f64>(),
            Store::Decimal { values, .. } => values.capacity() * size_of::<i128>(),
            Store::Utf8(text) | Store::Binary(text) => text.memory(),
            Store::List(list) => list.memory(),
            Store::Map(map) => map.memory(),
            Store::Struct(fields) => fields.memory(),
        };
        // The name is also a key of an index of names.
        size_of::<Self>() + 2 * self.name.len() + self.nulls.memory() + values
    }

    /// Bytes of text in this batch, or elements of lists and maps if they are more: neither may be more than an
    /// offset of Arrow can say.
    pub(in crate::table) fn text_len(&self) -> usize {
        match &self.store {
            Store::Utf8(text) | Store::Binary(text) => text.text_len(),
            Store::List(list) => list.text_len(),
            Store::Map(map) => map.text_len(),
            Store::Struct(fields) => fields.text_len(),
            _ => 0,
        }
    }
}
