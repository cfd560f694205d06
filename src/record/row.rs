//! A decoded record: flat, borrowed, and valid as a whole before anyone sees it.
//!
//! A decoder fills a [`RowBuffer`], which it keeps from record to record so that nothing is
//! allocated in the steady state, and hands out a [`Row`] that borrows it. A row knows nothing of
//! columns or types; what a value becomes is the business of the table it lands in.

mod buffer;
mod cell;
mod entry;
mod nested;
mod stretch;
mod text;

pub use buffer::RowBuffer;
pub use cell::{Cell, Container, Opened, Piece};
pub use entry::Entry;
pub use nested::{Items, Nested};
pub use stretch::Stretch;

use super::ColumnType;

/// A record as a row of one table: its names and its fields, in the order they were written.
///
/// Field names are unique within a row: of several fields of one name the first counts.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    project: &'a str,
    collection: &'a str,
    payload: &'a str,
    buffer: &'a RowBuffer,
    declared: &'a [(String, ColumnType)],
}

impl<'a> Row<'a> {
    /// The project the row belongs to, lower-cased and not empty.
    #[inline]
    pub fn project(&self) -> &'a str {
        self.project
    }

    /// The collection within the project, lower-cased and not empty.
    #[inline]
    pub fn collection(&self) -> &'a str {
        self.collection
    }

    /// The same, with the types that its format declares for fields, by their names. Others say theirs by their values.
    #[must_use]
    pub fn declaring(self, declared: &'a [(String, ColumnType)]) -> Self {
        Self { declared, ..self }
    }

    /// The type that the row's format declares for a field, whatever its value in this row. Takes as long as there are fields.
    pub fn declared(&self, name: &str) -> Option<&'a ColumnType> {
        let mut declared = self.declared.iter();
        declared
            .find(|(field, _)| field == name)
            .map(|(_, kind)| kind)
    }

    /// The fields, in the order of the record.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'a>> + use<'a> {
        let row = *self;
        row.values().enumerate().map(move |(at, (_, value))| Field {
            name: row.name(at),
            value,
        })
    }

    /// The values, in the order of the record, each with the number that the field's name has in the row's
    /// [`numbering`](Self::numbering), if it has one.
    #[inline]
    pub fn values(&self) -> impl ExactSizeIterator<Item = (Option<u32>, Value<'a>)> + use<'a> {
        self.buffer.values(self.payload)
    }

    /// The fields by their places in the row, in the order of the record: what [`values`](Self::values) gives, for those
    /// who need few of them as a [`Value`].
    #[inline]
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_, 'a>> {
        self.buffer
            .slots()
            .iter()
            .map(|slot| Entry::new(self, slot))
    }

    /// The field at place `at` of the record.
    ///
    /// # Panics
    /// If the row has no more than `at` fields.
    pub fn entry(&self, at: usize) -> Entry<'_, 'a> {
        Entry::new(self, &self.buffer.slots()[at])
    }

    /// The value of the field `name`. `place` is where it was last, and is kept there: records of one kind have it in one place.
    pub fn value(&self, name: &str, place: &mut usize) -> Option<Value<'a>> {
        let mut values = self.values();
        if *place >= values.len() || self.name(*place) != name {
            *place = (0..values.len()).find(|&at| self.name(at) == name)?;
        }
        values.nth(*place).map(|(_, value)| value)
    }

    /// The name of the field at place `at` of the record.
    ///
    /// # Panics
    /// If the row has no more than `at` fields.
    pub fn name(&self, at: usize) -> &'a str {
        self.buffer.name(self.payload, at)
    }

    /// Which numbering of names the row has: in rows of the same one, equal numbers are equal names.
    /// Numbers are small and count from 0.
    #[inline]
    pub fn numbering(&self) -> u64 {
        self.buffer.numbering()
    }

    /// Bytes of text the row borrows: an upper bound of what its values take in a column.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.buffer.written()
    }
}

/// One field of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// The name as its column is called: without escapes, lower-cased where the layout says so.
    pub name: &'a str,
    /// The value.
    pub value: Value<'a>,
}

/// A value, borrowed.
///
/// JSON knows the first ones and containers, and gives them with the text they were written as. The others come from
/// formats that have types, which say what a value is but keep no text of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number written without fraction and exponent that fits 64 bits.
    Integer {
        /// The number.
        value: i64,
        /// The number as it was written.
        raw: &'a str,
    },
    /// Any other written number.
    Number {
        /// The nearest double; infinite if there is none.
        double: f64,
        /// The number as it was written.
        raw: &'a str,
    },
    /// A string.
    Str {
        /// The string itself.
        text: &'a str,
        /// The string as it was written, with quotes, if it has escapes.
        raw: Option<&'a str>,
    },
    /// A string with half a surrogate pair, which no UTF-8 text can hold: as it was written, with quotes.
    BadStr(&'a str),
    /// Values in an order.
    List(Nested<'a>),
    /// Values with names: an object of JSON, or a record of a format that has types.
    Object(Nested<'a>),
    /// Values of one type by text, of a format that tells them from records.
    Map(Nested<'a>),
    /// A whole number of a format that has types.
    Long(i64),
    /// A floating point number of a format that has types; any double.
    Double(f64),
    /// A day: days since 1970-01-01.
    Date(i32),
    /// A time of day: microseconds since midnight.
    Time(i64),
    /// A point in time: milliseconds since 1970-01-01 00:00 UTC.
    Millis(i64),
    /// A point in time: microseconds since 1970-01-01 00:00 UTC.
    Micros(i64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An exact number: `unscaled` × 10^-`scale`.
    Decimal {
        /// The digits.
        unscaled: i128,
        /// How many of them are behind the point.
        scale: u8,
    },
}
