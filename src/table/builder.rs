//! The rows of one table of one span, on their way into record batches.

mod decided;
mod own;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field as ArrowField, Schema, SchemaRef};
use hashbrown::HashMap;

use self::own::Own;
use super::bound::Bound;
use super::column::{self, Blank, Column, Outcome};
use super::infer::infer;
use super::misfits::{self, Misfits};
use super::{ColumnSettings, ColumnType, MAX_COLUMNS, MAX_NAME, MISFIT, Rules};
use crate::record::{Entry, Row, Value};

/// Memory is counted anew after that many bytes of rows.
const COUNT_EVERY: usize = 64 * 1024;
/// A batch whose text in one column comes near the 2 GiB that Arrow can address is full.
const FULL: usize = 1 << 30;
/// In `by_number`: not looked up yet, or without a column.
const NO_COLUMN: u32 = u32::MAX;
/// In `by_number`, beside the column: its name is the field's in lower case only, so that another field of the row comes first.
const FOLDED: u32 = 1 << 31;

/// Gathers rows of one table and gives them back as record batches.
///
/// It lives as long as a span: columns and their types stay from batch to batch. Which columns there are, rows decide one after the
/// other; or a catalog, if the builder is [bound](TableBuilder::bound) to one.
#[derive(Debug)]
pub struct TableBuilder {
    settings: Arc<ColumnSettings>,
    opened_ms: i64,
    rows: usize,
    rules: Rules,
    columns: Vec<Column>,
    /// What the catalog has said, if it decides.
    bound: Option<Box<Bound>>,
    by_name: HashMap<Arc<str>, u32>,
    /// Columns by the numbers that the names have in the rows' numbering.
    by_number: Vec<u32>,
    numbering: u64,
    /// The columns whose values are the record's.
    own: Own,
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
    /// A table without rows, in a span opened at `opened_ms` milliseconds since the epoch. It has the columns that its rows need.
    pub fn new(settings: &Arc<ColumnSettings>, opened_ms: i64) -> Self {
        let mut this = Self::empty(settings, opened_ms, settings.rules());
        let [(checkpoint, _), others @ ..] = settings.of_every_table();
        for (name, kind) in others.iter().filter(|(name, _)| *name != checkpoint) {
            this.add_fixed(name, kind);
        }
        this.add_own();
        this.count();
        this
    }

    fn empty(settings: &Arc<ColumnSettings>, opened_ms: i64, rules: Rules) -> Self {
        Self {
            settings: Arc::clone(settings),
            opened_ms,
            rows: 0,
            rules,
            columns: Vec::new(),
            bound: None,
            by_name: HashMap::new(),
            by_number: Vec::new(),
            numbering: 0,
            own: Own::default(),
            misfits: Misfits::new(),
            misfits_at: None,
            schema: None,
            counted: 0,
            uncounted: 0,
            full: false,
        }
    }

    /// Looks names up anew if the row has another numbering than the last.
    #[inline]
    fn follow(&mut self, row: &Row<'_>) {
        if self.numbering != row.numbering() {
            self.numbering = row.numbering();
            self.by_number.clear();
        }
    }

    /// The columns besides the checkpoint's and `_misfit`, as they came to be known.
    #[cfg(test)]
    pub(super) fn kinds(&self) -> impl ExactSizeIterator<Item = (&str, ColumnType)> {
        let columns = self.columns.iter();
        columns.map(|column| (&*column.name, column.kind()))
    }

    /// Takes a row of no record. It cannot fail.
    pub fn append(&mut self, row: &Row<'_>) {
        self.append_fields(row);
        self.end_row(row.bytes());
    }

    #[inline]
    fn append_fields(&mut self, row: &Row<'_>) {
        if self.rows == 0 {
            for column in &mut self.columns {
                column.expect(0);
            }
            self.count();
        }
        self.follow(row);
        for (place, entry) in row.entries().enumerate() {
            if entry.is_null() {
                continue;
            }
            let column = self.column_by_number(entry.number());
            if column.is_none_or(|at| !self.columns[at].append_plain(self.rows, entry)) {
                self.append_value(column, row, place, entry);
            }
        }
        if self
            .bound
            .as_ref()
            .is_some_and(|bound| !bound.left.is_empty())
        {
            self.append_left(row);
        }
    }

    #[inline]
    fn end_row(&mut self, bytes: usize) {
        self.rows += 1;
        self.uncounted += bytes;
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
        let schema = match &self.schema {
            Some(schema) => Arc::clone(schema),
            None => self.schema.insert(self.make_schema()).clone(),
        };
        let mut blank = Blank::default();
        let columns = self.columns.iter_mut();
        let arrays: Vec<ArrayRef> = columns
            .map(|column| column.finish(rows, &mut blank))
            .collect();
        let opened = column::timestamps(vec![self.opened_ms; rows].into(), None);
        let misfits = self.misfits_at.map(|_| self.misfits.finish(rows));
        let arrays = self.arrange(arrays, opened, misfits);
        self.count();
        #[expect(
            clippy::expect_used,
            reason = "schema and arrays are made from the same columns"
        )]
        RecordBatch::try_new(schema, arrays).expect("every column has the batch's rows")
    }

    /// The column whose name is the field's, letter by letter.
    #[inline]
    fn column_by_number(&self, number: Option<u32>) -> Option<usize> {
        let at = *self.by_number.get(number? as usize)?;
        (at < FOLDED).then_some(at as usize)
    }

    fn note_number(&mut self, number: Option<u32>, column: u32) {
        let Some(number) = number else { return };
        let number = number as usize;
        if self.by_number.len() <= number {
            self.by_number.resize(number + 1, NO_COLUMN);
        }
        self.by_number[number] = column;
    }

    /// Takes a field that `column` does not take as it lies, or whose column is not known by the number of its name.
    #[inline(never)]
    fn append_value(
        &mut self,
        column: Option<usize>,
        row: &Row<'_>,
        place: usize,
        entry: Entry<'_, '_>,
    ) {
        if column.is_none() && self.bound.is_some() && self.leave(row, place, entry.number()) {
            return;
        }
        let value = entry.value();
        match column {
            Some(at) => self.append_to(at, &value),
            None => self.append_by_name(entry.number(), row, place, &value),
        }
    }

    fn append_to(&mut self, at: usize, value: &Value<'_>) {
        let outcome = self.columns[at].append(self.rows, value);
        if outcome != Outcome::Kept {
            self.appended_otherwise(at, value, outcome);
        }
    }

    #[inline(never)]
    fn appended_otherwise(&mut self, at: usize, value: &Value<'_>, outcome: Outcome) {
        if outcome.is_promoted() {
            self.schema = None;
        }
        if outcome.is_misfit() {
            let name = Arc::clone(&self.columns[at].name);
            self.add_misfit(&name, value);
        }
    }

    /// Takes a field by its name, whose column is found by its number from now on.
    #[inline(never)]
    fn append_by_name(
        &mut self,
        number: Option<u32>,
        row: &Row<'_>,
        place: usize,
        value: &Value<'_>,
    ) {
        let name = row.name(place);
        let at = match self.by_name.get(name) {
            Some(&at) => at as usize,
            None => {
                let Some(kind) = self.kind_of_new(name, row.declared(name), value) else {
                    self.add_misfit(name, value);
                    return;
                };
                self.add_column(Column::new(name, &kind, false, self.rules))
            }
        };
        self.note_number(number, at as u32);
        self.append_to(at, value);
    }

    /// The type of the column that a field of a new name begins, if it may begin one and says its type.
    fn kind_of_new(
        &self,
        name: &str,
        declared: Option<&ColumnType>,
        value: &Value<'_>,
    ) -> Option<ColumnType> {
        let reserved = self.is_checkpoint(name) || name == MISFIT || self.is_own(name);
        if reserved || name.len() > MAX_NAME || self.columns.len() >= MAX_COLUMNS {
            return None;
        }
        declared.cloned().or_else(|| infer(value, self.rules))
    }

    /// Adds a column that keeps its type, unless there is one of the name.
    fn add_fixed(&mut self, name: &str, kind: &ColumnType) {
        if !self.by_name.contains_key(name) {
            self.add_column(Column::new(name, kind, true, self.rules));
        }
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

    fn make_schema(&self) -> SchemaRef {
        let field = |name: &str, kind: &ColumnType, nullable| {
            ArrowField::new(name, kind.data_type(), nullable)
        };
        let columns = self.columns.iter();
        let fields = columns
            .map(|of| field(&of.name, &of.kind(), true))
            .collect();
        let checkpoint = field(
            &self.settings.checkpoint_field,
            &ColumnType::Timestamp,
            false,
        );
        let misfits = self.misfits_at;
        let misfits = misfits.map(|_| ArrowField::new(MISFIT, misfits::data_type(), true));
        Arc::new(Schema::new(self.arrange(fields, checkpoint, misfits)))
    }

    /// Whatever columns have, in the order of a batch.
    fn arrange<T: Clone>(
        &self,
        mut of_columns: Vec<T>,
        checkpoint: T,
        misfits: Option<T>,
    ) -> Vec<T> {
        let checkpoint_at = match &self.bound {
            Some(bound) => {
                of_columns = bound.arrange(&of_columns);
                of_columns.extend(misfits);
                bound.checkpoint_at()
            }
            None => {
                if let (Some(misfits), Some(at)) = (misfits, self.misfits_at) {
                    of_columns.insert(at, misfits);
                }
                0
            }
        };
        of_columns.insert(checkpoint_at, checkpoint);
        of_columns
    }
}
