//! Rows as lines of JSON.
//!
//! A [`LineWriter`] resolves the columns of one batch once and then writes row after row: straight from
//! Arrow to text, without a value in between. It refuses column types it has no text for before it writes
//! anything.

use std::ops::Range;

use alluvium_target::Table;
use alluvium_target::text::{self, time};
use arrow_array::RecordBatch;
use arrow_schema::DataType;

use cell::Cell;
use column::{Column, Times};
use sink::Line;

mod cell;
mod column;
mod sink;

/// A time given in milliseconds since the epoch, as lines have it: `2018-01-31T05:59:00.000Z`.
pub fn timestamp_text(ms: i64) -> String {
    let mut text = Vec::new();
    time::timestamp(ms, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// How a row is laid out in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineLayout {
    /// The time as epoch milliseconds, `$schema`, `$table`, the user, and all other columns that are not
    /// null in an object `properties`. Dates are `yyyyMMdd`, times ISO-8601 in UTC with milliseconds.
    ///
    /// The time is 0 where it is null, missing or not a number, the user `""` where it is null or missing.
    /// A time column that holds something other than numbers, dates or times stays in `properties`.
    Rakam,
    /// An object of all columns that are not null. Dates and times are ISO-8601.
    ///
    /// In either layout, objects within columns leave out null fields, lists and maps keep null values.
    Flat,
}

/// What a line looks like, the names of the special columns included.
#[derive(Clone, Debug)]
pub(crate) struct LineFormat {
    pub(crate) layout: LineLayout,
    /// The column with a row's time, and the name it is written under. Used by `Rakam`.
    pub(crate) time_field: String,
    /// The column with a row's user, and the name it is written under. Used by `Rakam`.
    pub(crate) user_field: String,
}

/// Writes the rows of one batch.
pub(crate) struct LineWriter<'a> {
    shape: Shape<'a>,
    fields: Vec<FieldText<'a>>,
    /// The texts `,"name":` of all fields, one behind the other, each with the quote its values begin with.
    names: Vec<u8>,
    times: Times,
    line: Line,
}

/// A column written under its own name.
struct FieldText<'a> {
    cell: Cell<'a>,
    /// Its text in `names`, the quote included.
    name: Range<usize>,
}

enum Shape<'a> {
    Rakam(Box<RakamShape<'a>>),
    Flat,
    /// As flat, but null columns are written: every dead letter has every field.
    DeadLetter,
}

struct RakamShape<'a> {
    time: Option<Cell<'a>>,
    user: Option<Cell<'a>>,
    before_time: Fixed,
    between: Fixed,
    before_properties: Fixed,
}

/// A column that cannot be written as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnsupportedColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
}

impl<'a> LineWriter<'a> {
    /// Resolves the columns of `batch`, rows of `table`.
    pub(crate) fn new(
        format: &LineFormat,
        table: &Table,
        batch: &'a RecordBatch,
    ) -> Result<Self, UnsupportedColumn> {
        let (shape, times) = match format.layout {
            _ if table.is_dead_letters() => (Shape::DeadLetter, Times::Epoch),
            LineLayout::Flat => (Shape::Flat, Times::Iso),
            LineLayout::Rakam => {
                let shape = RakamShape {
                    time: None,
                    user: None,
                    before_time: Fixed::new(before_time(format)),
                    between: Fixed::new(between(format, table)),
                    before_properties: Fixed::new(b",\"properties\":".to_vec()),
                };
                (Shape::Rakam(Box::new(shape)), Times::Rakam)
            }
        };
        let width = batch.num_columns();
        let fields = Vec::with_capacity(width);
        let mut writer = Self {
            shape,
            fields,
            names: Vec::with_capacity(24 * width),
            times,
            line: Line::new(),
        };
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let column = Column::resolve(array).map_err(|data_type| UnsupportedColumn {
                name: field.name().clone(),
                data_type,
            })?;
            writer.place(format, field.name(), column);
        }
        writer.names.extend_from_slice(&sink::BEHIND);
        Ok(writer)
    }

    /// Puts a column where the layout wants it.
    fn place(&mut self, format: &LineFormat, name: &str, column: Column<'a>) {
        let cell = |column: Column<'a>| Cell::new(column, self.times);
        if let Shape::Rakam(shape) = &mut self.shape {
            if name == format.time_field && shape.time.is_none() && column.is_time() {
                shape.time = Some(cell(column));
                return;
            }
            if name == format.user_field && shape.user.is_none() {
                shape.user = Some(cell(column));
                return;
            }
        }
        let cell = cell(column);
        let start = self.names.len();
        self.names.push(b',');
        text::string(name, &mut self.names);
        self.names.push(b':');
        if cell.is_quoted() {
            self.names.push(b'"');
        }
        let name = start..self.names.len();
        self.fields.push(FieldText { cell, name });
    }

    /// The line of `row`, the line feed included.
    pub(crate) fn line(&mut self, row: usize) -> &[u8] {
        self.line.clear();
        match &mut self.shape {
            Shape::Rakam(shape) => {
                shape.write(row, &mut self.line);
                self.write_fields(row, false);
                self.line.put_byte(b'}');
            }
            Shape::Flat => self.write_fields(row, false),
            Shape::DeadLetter => self.write_fields(row, true),
        }
        self.line.put_byte(b'\n');
        self.line.bytes()
    }

    fn write_fields(&mut self, row: usize, with_nulls: bool) {
        let line = &mut self.line;
        line.put_byte(b'{');
        // The first name goes without the comma.
        let mut skip = 1;
        for FieldText { cell, name } in &mut self.fields {
            let null = cell.is_null(row);
            if null && !with_nulls {
                continue;
            }
            let quote = usize::from(null && cell.is_quoted());
            line.put_part(&self.names, name.start + skip, name.end - quote);
            skip = 0;
            if null {
                line.put(b"null");
            } else {
                cell.write(row, line);
            }
        }
        line.put_byte(b'}');
    }
}

/// A text that is the same in every line.
struct Fixed {
    /// With [`sink::BEHIND`].
    text: Vec<u8>,
    len: usize,
}

impl Fixed {
    fn new(mut text: Vec<u8>) -> Self {
        let len = text.len();
        text.extend_from_slice(&sink::BEHIND);
        Self { text, len }
    }

    fn write(&self, line: &mut Line) {
        line.put_part(&self.text, 0, self.len);
    }
}

impl RakamShape<'_> {
    /// Appends everything up to the value of `properties`.
    fn write(&mut self, row: usize, line: &mut Line) {
        self.before_time.write(line);
        match self.time.as_ref().filter(|time| !time.is_null(row)) {
            Some(time) => time.write_epoch_ms(row, line),
            None => line.put_byte(b'0'),
        }
        self.between.write(line);
        match self.user.as_mut().filter(|user| !user.is_null(row)) {
            Some(user) => user.write_as_string(row, line),
            None => line.put(b"\"\""),
        }
        self.before_properties.write(line);
    }
}

fn before_time(format: &LineFormat) -> Vec<u8> {
    let mut text = vec![b'{'];
    text::string(&format.time_field, &mut text);
    text.push(b':');
    text
}

/// What stands between the time's value and the user's.
fn between(format: &LineFormat, table: &Table) -> Vec<u8> {
    let mut text = b",\"$schema\":".to_vec();
    text::string(table.project(), &mut text);
    text.extend_from_slice(b",\"$table\":");
    text::string(table.collection(), &mut text);
    text.push(b',');
    text::string(&format.user_field, &mut text);
    text.push(b':');
    text
}

#[cfg(test)]
mod tests;
