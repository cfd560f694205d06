//! The column `_misfit`: for each row, the values its columns could not hold, as they were written.

use std::sync::Arc;

use arrow_array::{ArrayRef, MapArray, StringArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields};

use super::column::Text;
use crate::record::Value;

/// A map from column name to JSON text for each row that has misfits, null for others.
#[derive(Debug)]
pub(super) struct Misfits {
    /// Where the entries of each row begin, for the rows up to the last one that has any.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    names: Text,
    values: Text,
    json: Vec<u8>,
}

impl Misfits {
    pub(super) fn new() -> Self {
        Self {
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
            names: Text::default(),
            values: Text::default(),
            json: Vec::new(),
        }
    }

    /// Adds a value of the given row of the batch, which is the last one that has any.
    pub(super) fn add(&mut self, row: usize, name: &str, value: &Value<'_>) {
        self.json.clear();
        value.write_json(&mut self.json);
        if !self.names.has_room(name.len()) || !self.values.has_room(self.json.len()) {
            return;
        }
        if self.nulls.len() <= row {
            self.fill(row);
            self.offsets.push(self.names.len() as i32);
            self.nulls.append_non_null();
        }
        self.names.push(name.as_bytes());
        self.values.push(&self.json);
        if let Some(end) = self.offsets.last_mut() {
            *end = self.names.len() as i32;
        }
    }

    /// Gives rows that have no misfit a null, up to `row`.
    fn fill(&mut self, row: usize) {
        let missing = row.saturating_sub(self.nulls.len());
        if missing > 0 {
            self.nulls.append_n_nulls(missing);
            let end = self.names.len() as i32;
            self.offsets.resize(self.offsets.len() + missing, end);
        }
    }

    /// Takes the misfits of a batch of so many rows.
    pub(super) fn finish(&mut self, rows: usize) -> ArrayRef {
        self.fill(rows);
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let texts = [&mut self.names, &mut self.values].map(|text| {
            let (offsets, bytes) = text.finish();
            Arc::new(StringArray::new(offsets, bytes, None)) as ArrayRef
        });
        let entries = StructArray::new(entry_fields(), texts.to_vec(), None);
        Arc::new(MapArray::new(
            entries_field(),
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            entries,
            self.nulls.finish(),
            false,
        ))
    }

    pub(super) fn memory(&self) -> usize {
        self.offsets.capacity() * size_of::<i32>()
            + self.nulls.allocated_size()
            + self.names.memory()
            + self.values.memory()
            + self.json.capacity()
    }

    pub(super) fn text_len(&self) -> usize {
        self.names.text_len().max(self.values.text_len())
    }
}

fn entry_fields() -> Fields {
    Fields::from(vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::Utf8, false),
    ])
}

fn entries_field() -> Arc<Field> {
    Arc::new(Field::new(
        "entries",
        DataType::Struct(entry_fields()),
        false,
    ))
}

/// The type of the column.
pub(super) fn data_type() -> DataType {
    DataType::Map(entries_field(), false)
}
