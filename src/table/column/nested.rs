//! Columns that hold other columns: of lists, of maps, of structs.
//!
//! What is within is a column of its own whose rows are counted by the one around it. A part that does not fit is null
//! there; that it did not is told upwards, because what is kept elsewhere is the whole value.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use hashbrown::{HashMap, HashSet};

use super::super::infer::infer;
use super::super::{ColumnType, MAX_COLUMNS, MAX_NAME, Rules};
use super::blank::{self, Blank};
use super::text::{Text, offsets};
use super::{Column, Outcome};
use crate::record::{Items, Value};

/// Maps with more entries than this look their keys up in a table instead of one after the other.
const FEW: usize = 16;

/// Values of one type in an order.
#[derive(Debug)]
pub(super) struct List {
    /// Where the elements of each row end.
    ends: Vec<i32>,
    element: Column,
}

impl List {
    pub(super) fn new(element: &ColumnType, fixed: bool, rules: Rules) -> Self {
        Self {
            ends: Vec::new(),
            element: Column::new("", element, fixed, rules),
        }
    }

    pub(super) fn kind(&self) -> ColumnType {
        ColumnType::Array(self.element.kind().into())
    }

    fn end(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }

    pub(super) fn append(&mut self, items: Items<'_>) -> Outcome {
        let mut outcome = Outcome::Kept;
        let mut end = self.end();
        for (_, value) in items {
            if end == i32::MAX as usize {
                outcome = outcome.and(Outcome::Misfit);
                break;
            }
            if !matches!(value, Value::Null) {
                outcome = outcome.and(self.element.append(end, &value));
            }
            end += 1;
        }
        self.ends.push(end as i32);
        outcome
    }

    pub(super) fn fill(&mut self, rows: usize) {
        let end = self.end();
        self.ends.resize(rows, end as i32);
    }

    pub(super) fn expect(&mut self, rows: usize) {
        self.ends.reserve(rows + 1);
        self.element.expect(0);
    }

    pub(super) fn finish(&mut self, nulls: Option<NullBuffer>, blank: &mut Blank) -> ArrayRef {
        let len = self.end();
        let elements = self.element.finish(len, blank);
        let offsets = offsets(&mut self.ends);
        match self.kind().data_type() {
            DataType::List(field) => Arc::new(ListArray::new(field, offsets, elements, nulls)),
            other => arrow_array::new_null_array(&other, offsets.len() - 1),
        }
    }

    pub(super) fn release(&mut self) {
        self.ends = Vec::new();
        self.element.release();
    }

    pub(super) fn memory(&self) -> usize {
        self.ends.capacity() * size_of::<i32>() + self.element.memory()
    }

    pub(super) fn text_len(&self) -> usize {
        self.end().max(self.element.text_len())
    }
}

/// Values of one type by text.
#[derive(Debug)]
pub(super) struct Map {
    /// Where the entries of each row end.
    ends: Vec<i32>,
    keys: Text,
    values: Column,
    expected_keys: (usize, usize),
}

impl Map {
    pub(super) fn new(values: &ColumnType, fixed: bool, rules: Rules) -> Self {
        Self {
            ends: Vec::new(),
            keys: Text::default(),
            values: Column::new("", values, fixed, rules),
            expected_keys: (0, 0),
        }
    }

    pub(super) fn kind(&self) -> ColumnType {
        ColumnType::Map(self.values.kind().into())
    }

    /// Of several entries of one key the first counts.
    pub(super) fn append(&mut self, items: Items<'_>) -> Outcome {
        let mut outcome = Outcome::Kept;
        let start = self.keys.len();
        let mut seen: Option<HashSet<&str>> = None;
        for (passed, (name, value)) in items.enumerate() {
            let entry = self.keys.len();
            let known = if entry - start < FEW {
                (start..entry).any(|at| self.keys.get(at) == name.as_bytes())
            } else {
                let seen =
                    seen.get_or_insert_with(|| items.take(passed).map(|(name, _)| name).collect());
                !seen.insert(name)
            };
            if known {
                continue;
            }
            if !self.keys.has_room(name.len()) || entry == i32::MAX as usize {
                outcome = outcome.and(Outcome::Misfit);
                continue;
            }
            self.keys.push(name.as_bytes());
            if !matches!(value, Value::Null) {
                outcome = outcome.and(self.values.append(entry, &value));
            }
        }
        self.ends.push(self.keys.len() as i32);
        outcome
    }

    pub(super) fn fill(&mut self, rows: usize) {
        self.ends.resize(rows, self.keys.len() as i32);
    }

    pub(super) fn expect(&mut self, rows: usize) {
        let (keys, bytes) = self.expected_keys;
        self.ends.reserve(rows + 1);
        self.keys.reserve(keys, bytes + bytes / 8);
        self.values.expect(0);
    }

    pub(super) fn finish(&mut self, nulls: Option<NullBuffer>, blank: &mut Blank) -> ArrayRef {
        self.expected_keys = (self.keys.len(), self.keys.text_len());
        let values = self.values.finish(self.keys.len(), blank);
        let (ends, bytes) = self.keys.finish();
        let keys = Arc::new(StringArray::new(ends, bytes, None));
        blank::map(&self.kind(), offsets(&mut self.ends), keys, values, nulls)
    }

    pub(super) fn release(&mut self) {
        self.ends = Vec::new();
        self.keys = Text::default();
        self.expected_keys = (0, 0);
        self.values.release();
    }

    pub(super) fn memory(&self) -> usize {
        self.ends.capacity() * size_of::<i32>() + self.keys.memory() + self.values.memory()
    }

    pub(super) fn text_len(&self) -> usize {
        let keys = self.keys.text_len().max(self.keys.len());
        keys.max(self.values.text_len())
    }
}

/// Named values of their own types.
#[derive(Debug)]
pub(super) struct Struct {
    fields: Vec<Column>,
    by_name: HashMap<Arc<str>, u32>,
    /// Whether the fields were given, so that there must be no others.
    fixed: bool,
    rules: Rules,
}

impl Struct {
    pub(super) fn new(fields: &[(String, ColumnType)], fixed: bool, rules: Rules) -> Self {
        let mut this = Self {
            fields: Vec::with_capacity(fields.len()),
            by_name: HashMap::new(),
            fixed,
            rules,
        };
        for (name, kind) in fields {
            if !this.by_name.contains_key(name.as_str()) {
                this.add(name, kind);
            }
        }
        this
    }

    pub(super) fn kind(&self) -> ColumnType {
        let fields = self.fields.iter();
        ColumnType::Struct(
            fields
                .map(|field| (field.name.to_string(), field.kind()))
                .collect(),
        )
    }

    fn add(&mut self, name: &str, kind: &ColumnType) -> usize {
        let at = self.fields.len();
        let field = Column::new(name, kind, self.fixed, self.rules);
        self.by_name.insert(Arc::clone(&field.name), at as u32);
        self.fields.push(field);
        at
    }

    /// Takes the fields of the batch's row `row`. Of several of one name the first counts.
    pub(super) fn append(&mut self, row: usize, items: Items<'_>) -> Outcome {
        let mut outcome = Outcome::Kept;
        // Objects of one kind name their fields in one order.
        let mut next = 0;
        // Only known fields tell by themselves whether the row has them.
        let mut seen: Option<HashSet<&str>> = None;
        for (passed, (name, value)) in items.enumerate() {
            if seen.as_mut().is_some_and(|seen| !seen.insert(name)) {
                continue;
            }
            let at = match self.fields.get(next) {
                Some(field) if *field.name == *name => Some(next),
                _ => self.by_name.get(name).map(|at| *at as usize),
            };
            let null = matches!(value, Value::Null);
            let at = match at {
                Some(at) => at,
                None if null => continue,
                None => {
                    if seen.is_none() {
                        let before = items.take(passed).map(|(name, _)| name);
                        if !seen.insert(before.collect()).insert(name) {
                            continue;
                        }
                    }
                    let Some(at) = self.field_for(name, &value) else {
                        outcome = outcome.and(Outcome::Misfit);
                        continue;
                    };
                    outcome = outcome.and(Outcome::Promoted);
                    at
                }
            };
            next = at + 1;
            let field = &mut self.fields[at];
            if !null {
                outcome = outcome.and(field.append(row, &value));
            }
            // Also if nothing was kept: another one of the name must not take its place.
            field.fill_to(row + 1);
        }
        outcome
    }

    /// A new field, if there may be one of that name and the value says its type.
    #[cold]
    fn field_for(&mut self, name: &str, value: &Value<'_>) -> Option<usize> {
        if self.fixed || self.fields.len() >= MAX_COLUMNS || name.len() > MAX_NAME {
            return None;
        }
        let kind = infer(value, self.rules)?;
        Some(self.add(name, &kind))
    }

    pub(super) fn expect(&mut self, row: usize) {
        for field in &mut self.fields {
            field.expect(row);
        }
    }

    pub(super) fn finish(
        &mut self,
        rows: usize,
        nulls: Option<NullBuffer>,
        blank: &mut Blank,
    ) -> ArrayRef {
        let columns = self
            .fields
            .iter_mut()
            .map(|field| field.finish(rows, blank))
            .collect();
        blank::structs(&self.kind(), columns, rows, nulls)
    }

    pub(super) fn release(&mut self) {
        for field in &mut self.fields {
            field.release();
        }
    }

    pub(super) fn memory(&self) -> usize {
        let fields: usize = self.fields.iter().map(Column::memory).sum();
        size_of::<Self>() + fields + self.by_name.allocation_size()
    }

    pub(super) fn text_len(&self) -> usize {
        let fields = self.fields.iter().map(Column::text_len);
        fields.max().unwrap_or(0)
    }
}
