//! A decoded record: flat, borrowed, and valid as a whole before anyone sees it.
//!
//! A decoder fills a [`RowBuffer`], which it keeps from record to record so that nothing is
//! allocated in the steady state, and hands out a [`Row`] that borrows it. A row knows nothing of
//! columns or types; what a value becomes is the business of the table it lands in.

mod buffer;

pub use buffer::{Cell, Piece, RowBuffer};

/// A record as a row of one table: its names and its fields, in the order they were written.
///
/// Field names are unique within a row: of several fields of one name the first counts.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    project: &'a str,
    collection: &'a str,
    payload: &'a str,
    buffer: &'a RowBuffer,
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

/// A value as JSON knows it, borrowed.
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
    /// Any other number.
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
        /// The string as it was written, with quotes, if it has escapes; otherwise that is `text` in quotes.
        raw: Option<&'a str>,
    },
    /// A string with half a surrogate pair, which no UTF-8 text can hold: as it was written, with quotes.
    BadStr(&'a str),
    /// An object or an array as JSON text without white space between its parts, otherwise as written.
    Nested(&'a str),
}

impl Value<'_> {
    /// Appends the value as JSON text: verbatim, except for white space inside objects and arrays.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let text = match *self {
            Value::Null => "null",
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Integer { raw, .. }
            | Value::Number { raw, .. }
            | Value::Str { raw: Some(raw), .. }
            | Value::BadStr(raw)
            | Value::Nested(raw) => raw,
            Value::Str { text, raw: None } => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
                return;
            }
        };
        out.extend_from_slice(text.as_bytes());
    }
}
