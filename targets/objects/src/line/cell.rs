//! The columns of a batch as a line's writer wants them: what all rows share is found out once.
//!
//! The types that most columns have are written from their buffers; everything else goes through
//! [`Column`], to the same text.

use alluvium_target::text::{self, time};
use arrow_array::BooleanArray;

use super::Line;
use super::column::{Column, Times, Values};

/// A column, and the cheapest way to its text.
pub(super) struct Cell<'a> {
    pub(super) column: Column<'a>,
    times: Times,
    kind: Kind<'a>,
}

enum Kind<'a> {
    /// Strings none of which needs an escape.
    Plain(Strings<'a>),
    Text(Strings<'a>),
    Long(&'a [i64]),
    Double(&'a [f64]),
    Boolean(&'a BooleanArray),
    /// Times as ISO-8601.
    Timestamp(&'a [i64], Box<Timestamp>),
    Other,
}

#[derive(Clone, Copy)]
struct Strings<'a> {
    bytes: &'a [u8],
    offsets: &'a [i32],
}

impl<'a> Strings<'a> {
    /// The bytes of a row, from where to where. Offsets are never negative.
    fn range(&self, row: usize) -> (usize, usize) {
        (self.offsets[row] as usize, self.offsets[row + 1] as usize)
    }

    /// The bytes of all rows there are; a slice of an array has more.
    fn all(&self) -> &'a [u8] {
        match self.offsets {
            [first, .., last] => self
                .bytes
                .get(*first as usize..*last as usize)
                .unwrap_or_default(),
            _ => &[],
        }
    }
}

impl<'a> Cell<'a> {
    pub(super) fn new(column: Column<'a>, times: Times) -> Self {
        let kind = match &column.values {
            Values::Text(array) => {
                let strings = Strings {
                    bytes: array.values(),
                    offsets: array.value_offsets(),
                };
                if text::is_plain(strings.all()) {
                    Kind::Plain(strings)
                } else {
                    Kind::Text(strings)
                }
            }
            Values::Int64(array) => Kind::Long(array.values()),
            Values::Double(array) => Kind::Double(array.values()),
            Values::Boolean(array) => Kind::Boolean(array),
            Values::Timestamp(array) if times == Times::Epoch => Kind::Long(array.values()),
            Values::Timestamp(array) => Kind::Timestamp(array.values(), Box::default()),
            _ => Kind::Other,
        };
        Self {
            column,
            times,
            kind,
        }
    }

    /// Whether the text of every value begins and ends with a quote that is not written here: it goes
    /// with the name.
    pub(super) fn is_quoted(&self) -> bool {
        matches!(
            self.kind,
            Kind::Plain(_) | Kind::Text(_) | Kind::Timestamp(..)
        )
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.column.is_null(row)
    }

    /// Appends the value of `row`, which is not null; without its first quote if it [`is_quoted`](Self::is_quoted).
    #[inline]
    pub(super) fn write(&mut self, row: usize, line: &mut Line) {
        match &mut self.kind {
            Kind::Plain(strings) => {
                let (from, to) = strings.range(row);
                line.put_part(strings.bytes, from, to);
                line.put_byte(b'"');
            }
            Kind::Text(strings) => {
                let (from, to) = strings.range(row);
                if text::is_plain(strings.bytes.get(from..to).unwrap_or_default()) {
                    line.put_part(strings.bytes, from, to);
                } else {
                    line.put_escaped(strings.bytes.get(from..to).unwrap_or_default());
                }
                line.put_byte(b'"');
            }
            Kind::Long(values) => line.put_integer(values[row]),
            Kind::Double(values) => line.put_double(values[row]),
            Kind::Boolean(values) => line.put_boolean(values.value(row)),
            Kind::Timestamp(values, last) => {
                last.write(values[row], line);
                line.put_byte(b'"');
            }
            Kind::Other => {
                let Self { column, times, .. } = self;
                line.put_with(|out| column.write(row, *times, out));
            }
        }
    }

    /// Appends the value of `row`, which is not null, as epoch milliseconds.
    pub(super) fn write_epoch_ms(&self, row: usize, line: &mut Line) {
        match &self.column.values {
            Values::Timestamp(array) => line.put_integer(array.values()[row]),
            _ => line.put_with(|out| self.column.write_epoch_ms(row, out)),
        }
    }

    /// Appends the value of `row`, which is not null, as a JSON string.
    pub(super) fn write_as_string(&mut self, row: usize, line: &mut Line) {
        if let Kind::Plain(_) | Kind::Text(_) = self.kind {
            line.put_byte(b'"');
            self.write(row, line);
        } else {
            line.put_with(|out| self.column.write_as_string(row, self.times, out));
        }
    }
}

/// A time as text, kept for the next row: many rows of a batch have the same, most the same day.
struct Timestamp {
    ms: i64,
    day: i64,
    text: [u8; 32],
    len: usize,
}

const MS_PER_DAY: i64 = 86_400_000;
/// The length of `2018-01-31T05:59:00.000Z`.
const LEN: usize = 24;

/// The text of 1970-01-01.
impl Default for Timestamp {
    fn default() -> Self {
        let mut text = [0; 32];
        if let Some((begin, _)) = text.split_first_chunk_mut() {
            *begin = *b"1970-01-01T00:00:00.000Z";
        }
        Self {
            ms: 0,
            day: 0,
            text,
            len: LEN,
        }
    }
}

impl Timestamp {
    #[inline]
    fn write(&mut self, ms: i64, line: &mut Line) {
        if ms != self.ms {
            self.change(ms);
        }
        if self.len == LEN {
            line.put_part(&self.text, 0, LEN);
        } else {
            line.put_with(|out| time::timestamp(ms, out));
        }
    }

    fn change(&mut self, ms: i64) {
        let (day, of_day) = (ms.div_euclid(MS_PER_DAY), ms.rem_euclid(MS_PER_DAY));
        if day != self.day || self.len != LEN {
            let mut text = Vec::with_capacity(LEN);
            time::timestamp(ms, &mut text);
            self.len = text.len();
            if let Some(kept) = self.text.get_mut(..LEN)
                && self.len == LEN
            {
                kept.copy_from_slice(&text);
            }
        } else {
            let text = &mut self.text;
            let of_day = of_day as u32;
            let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
            [text[11], text[12]] = two(seconds / 3_600);
            [text[14], text[15]] = two(seconds / 60 % 60);
            [text[17], text[18]] = two(seconds % 60);
            [text[20], text[21]] = two(millis / 10);
            text[22] = b'0' + (millis % 10) as u8;
        }
        (self.ms, self.day) = (ms, day);
    }
}

fn two(value: u32) -> [u8; 2] {
    super::sink::PAIRS[value as usize % 100]
}
