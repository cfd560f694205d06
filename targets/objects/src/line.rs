//! Rows as lines of JSON.
//!
//! A [`LineWriter`] resolves the columns of one batch once and then writes row after row: straight from
//! Arrow to text, without a value in between. It refuses column types it has no text for before it writes
//! anything.

use alluvium_target::Table;
use alluvium_target::text::{self, time};
use arrow_array::RecordBatch;
use arrow_schema::DataType;

use column::{Column, Times};

mod column;

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
    /// The texts `,"name":` of all fields, one behind the other.
    names: Vec<u8>,
    times: Times,
}

/// A column written under its own name.
struct FieldText<'a> {
    column: Column<'a>,
    /// The end of its text in `names`; it begins where the one before ends.
    name_end: usize,
}

enum Shape<'a> {
    Rakam(Box<RakamShape<'a>>),
    Flat,
    /// As flat, but null columns are written: every dead letter has every field.
    DeadLetter,
}

struct RakamShape<'a> {
    time: Option<Column<'a>>,
    user: Option<Column<'a>>,
    before_time: Vec<u8>,
    between: Vec<u8>,
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
                    before_time: before_time(format),
                    between: between(format, table),
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
        };
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let column = Column::resolve(array).map_err(|data_type| UnsupportedColumn {
                name: field.name().clone(),
                data_type,
            })?;
            writer.place(format, field.name(), column);
        }
        Ok(writer)
    }

    /// Puts a column where the layout wants it.
    fn place(&mut self, format: &LineFormat, name: &str, column: Column<'a>) {
        if let Shape::Rakam(shape) = &mut self.shape {
            if name == format.time_field && shape.time.is_none() && column.is_time() {
                shape.time = Some(column);
                return;
            }
            if name == format.user_field && shape.user.is_none() {
                shape.user = Some(column);
                return;
            }
        }
        self.names.push(b',');
        text::string(name, &mut self.names);
        self.names.push(b':');
        self.fields.push(FieldText {
            column,
            name_end: self.names.len(),
        });
    }

    /// Appends the line of `row`, the line feed included.
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) {
        match &self.shape {
            Shape::Rakam(shape) => {
                shape.write(row, self.times, out);
                self.write_fields(row, false, out);
                out.push(b'}');
            }
            Shape::Flat => self.write_fields(row, false, out),
            Shape::DeadLetter => self.write_fields(row, true, out),
        }
        out.push(b'\n');
    }

    fn write_fields(&self, row: usize, with_nulls: bool, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut start = 0;
        // The first name goes without the comma.
        let mut skip = 1;
        for field in &self.fields {
            let name = &self.names[start..field.name_end];
            start = field.name_end;
            let null = field.column.is_null(row);
            if null && !with_nulls {
                continue;
            }
            out.extend_from_slice(&name[skip..]);
            skip = 0;
            if null {
                out.extend_from_slice(b"null");
            } else {
                field.column.write(row, self.times, out);
            }
        }
        out.push(b'}');
    }
}

impl RakamShape<'_> {
    /// Appends everything up to the value of `properties`.
    fn write(&self, row: usize, times: Times, out: &mut Vec<u8>) {
        let valid = |column: &&Column<'_>| !column.is_null(row);
        out.extend_from_slice(&self.before_time);
        match self.time.as_ref().filter(valid) {
            Some(time) => time.write_epoch_ms(row, out),
            None => out.push(b'0'),
        }
        out.extend_from_slice(&self.between);
        match self.user.as_ref().filter(valid) {
            Some(user) => user.write_as_string(row, times, out),
            None => out.extend_from_slice(b"\"\""),
        }
        out.extend_from_slice(b",\"properties\":");
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
