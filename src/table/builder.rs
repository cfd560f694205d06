//! The rows of one table of one span, on their way into record batches.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field as ArrowField, Schema, SchemaRef};
use hashbrown::HashMap;

use super::column::{self, Blank, Column, Kind, Outcome};
use super::misfits::{self, Misfits};
use super::{ColumnSettings, MAX_COLUMNS, MAX_NAME, MISFIT, UserType, fit};
use crate::record::{Row, Value};

/// Memory is counted anew after that many bytes of rows.
const COUNT_EVERY: usize = 64 * 1024;
/// A batch whose text in one column comes near the 2 GiB that Arrow can address is full.
const FULL: usize = 1 << 30;
/// In `by_number`: not looked up yet.
const NO_COLUMN: u32 = u32::MAX;

/// Gathers rows of one table and gives them back as record batches.
///
/// It lives as long as a span: columns and their types stay from batch to batch.
#[derive(Debug)]
pub struct TableBuilder {
    settings: Arc<ColumnSettings>,
    opened_ms: i64,
    rows: usize,
    columns: Vec<Column>,
    by_name: HashMap<Arc<str>, u32>,
    /// Columns by the numbers that the names have in the rows' numbering.
    by_number: Vec<u32>,
    numbering: u64,
    misfits: Misfits,
    /// The columns that came before the first misfit of the span.
    misfits_at: Option<usize>,
    /// Of the last batch, while still right.
    schema: Option<SchemaRef>,
    counted: usize,
    uncounted: usize,
    full: bool,
}

impl TableBuilder {
    /// A table without rows, in a span opened at `opened_ms` milliseconds since the epoch.
    pub fn new(settings: &Arc<ColumnSettings>, opened_ms: i64) -> Self {
        let mut this = Self {
            settings: Arc::clone(settings),
            opened_ms,
            rows: 0,
            columns: Vec::new(),
            by_name: HashMap::new(),
            by_number: Vec::new(),
            numbering: 0,
            misfits: Misfits::new(),
            misfits_at: None,
            schema: None,
            counted: 0,
            uncounted: 0,
            full: false,
        };
        let user = match settings.user_type {
            UserType::Double => Kind::Float64,
            UserType::Integer => Kind::Int32,
            UserType::Long => Kind::Int64,
            UserType::String => Kind::Utf8,
        };
        for (name, kind) in [
            (&settings.time_field, Kind::Timestamp),
            (&settings.user_field, user),
        ] {
            if *name != settings.checkpoint_field && !this.by_name.contains_key(name.as_str()) {
                this.add_column(Column::new(name, kind, true));
            }
        }
        this.count();
        this
    }

    /// Takes a row. It cannot fail.
    pub fn append(&mut self, row: &Row<'_>) {
        if self.rows == 0 {
            for column in &mut self.columns {
                column.expect(0);
            }
            self.count();
        }
        if self.numbering != row.numbering() {
            self.numbering = row.numbering();
            self.by_number.clear();
        }
        for (place, (number, value)) in row.values().enumerate() {
            if matches!(value, Value::Null) {
                continue;
            }
            match self.column_by_number(number) {
                Some(at) => self.append_to(at, &value),
                None => self.append_by_name(number, row.name(place), &value),
            }
        }
        self.rows += 1;
        self.uncounted += row.bytes();
        if self.uncounted >= COUNT_EVERY {
            self.count();
        }
    }

    /// Rows since the last [`TableBuilder::finish`].
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of memory allocated, right to some 64 KiB of rows. Cheap.
    pub fn memory(&self) -> usize {
        self.counted + self.uncounted
    }

    /// Whether the rows should be taken before more are added: a column nears the 2 GiB of text that a batch
    /// can hold. Values that do not fit go to `_misfit`, and are lost once that is full too.
    pub fn full(&self) -> bool {
        self.full
    }

    /// Takes the rows as a batch; columns and their types stay.
    pub fn finish(&mut self) -> RecordBatch {
        let rows = std::mem::take(&mut self.rows);
        let schema = self.schema.get_or_insert_with(|| {
            schema(
                &self.settings.checkpoint_field,
                &self.columns,
                self.misfits_at,
            )
        });
        let schema = Arc::clone(schema);
        let mut blank = Blank::default();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len() + 2);
        arrays.push(column::timestamps(vec![self.opened_ms; rows].into(), None));
        arrays.extend(
            self.columns
                .iter_mut()
                .map(|column| column.finish(rows, &mut blank)),
        );
        if let Some(at) = self.misfits_at {
            arrays.insert(at + 1, self.misfits.finish(rows));
        }
        self.count();
        #[expect(
            clippy::expect_used,
            reason = "schema and arrays are made from the same columns"
        )]
        RecordBatch::try_new(schema, arrays).expect("every column has the batch's rows")
    }

    #[inline]
    fn column_by_number(&self, number: Option<u32>) -> Option<usize> {
        let at = *self.by_number.get(number? as usize)?;
        (at != NO_COLUMN).then_some(at as usize)
    }

    #[inline]
    fn append_to(&mut self, at: usize, value: &Value<'_>) {
        let outcome = self.columns[at].append(self.rows, value);
        if outcome != Outcome::Kept {
            self.appended_otherwise(at, value, outcome);
        }
    }

    #[inline(never)]
    fn appended_otherwise(&mut self, at: usize, value: &Value<'_>, outcome: Outcome) {
        if outcome != Outcome::Misfit {
            self.schema = None;
        }
        if outcome != Outcome::Promoted {
            let name = Arc::clone(&self.columns[at].name);
            self.add_misfit(&name, value);
        }
    }

    /// Takes a field by its name, whose column is found by its number from now on.
    #[inline(never)]
    fn append_by_name(&mut self, number: Option<u32>, name: &str, value: &Value<'_>) {
        let at = match self.by_name.get(name) {
            Some(&at) => at as usize,
            None => {
                let reserved = name == self.settings.checkpoint_field || name == MISFIT;
                if reserved || name.len() > MAX_NAME || self.columns.len() >= MAX_COLUMNS {
                    self.add_misfit(name, value);
                    return;
                }
                self.add_column(Column::new(name, fit::infer(value), false))
            }
        };
        if let Some(number) = number {
            let number = number as usize;
            if self.by_number.len() <= number {
                self.by_number.resize(number + 1, NO_COLUMN);
            }
            self.by_number[number] = at as u32;
        }
        self.append_to(at, value);
    }

    fn add_column(&mut self, column: Column) -> usize {
        let at = self.columns.len();
        self.by_name.insert(Arc::clone(&column.name), at as u32);
        self.columns.push(column);
        self.schema = None;
        at
    }

    #[cold]
    fn add_misfit(&mut self, name: &str, value: &Value<'_>) {
        if self.misfits_at.is_none() {
            self.misfits_at = Some(self.columns.len());
            self.schema = None;
        }
        self.misfits.add(self.rows, name, value);
    }

    /// Counts memory and looks for columns that are full.
    fn count(&mut self) {
        let mut memory = size_of::<Self>()
            + self.misfits.memory()
            + self.by_name.allocation_size()
            + self.by_number.capacity() * size_of::<u32>();
        let mut text = self.misfits.text_len();
        for column in &self.columns {
            memory += column.memory();
            text = text.max(column.text_len());
        }
        self.counted = memory;
        self.uncounted = 0;
        self.full = text >= FULL;
    }
}

fn schema(checkpoint: &str, columns: &[Column], misfits_at: Option<usize>) -> SchemaRef {
    let mut fields = Vec::with_capacity(columns.len() + 2);
    fields.push(ArrowField::new(
        checkpoint,
        Kind::Timestamp.data_type(),
        false,
    ));
    for column in columns {
        fields.push(ArrowField::new(
            &*column.name,
            column.kind().data_type(),
            true,
        ));
    }
    if let Some(at) = misfits_at {
        fields.insert(at + 1, ArrowField::new(MISFIT, misfits::data_type(), true));
    }
    Arc::new(Schema::new(fields))
}
