//! One column's buffers: filled value by value, back-filled when needed, handed to Arrow uncopied.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, NullBufferBuilder, ScalarBuffer};

mod blank;
mod nested;
mod text;

pub(super) use self::blank::Blank;
use self::nested::{List, Map, Struct};
pub(super) use self::text::Text;
use super::fit::{self, Fit, Integer};
use super::{ColumnType, Rules, Zone, number};
use crate::record::Value;

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Kept,
    /// The column has the nearest value or null, in whole or in parts; the verbatim one must be kept elsewhere.
    Misfit,
    /// Kept, and the column has another type from now on.
    Promoted,
    /// As `Promoted`, and as `Misfit`.
    PromotedMisfit,
}

impl Outcome {
    fn new(promoted: bool, misfit: bool) -> Self {
        match (promoted, misfit) {
            (false, false) => Self::Kept,
            (false, true) => Self::Misfit,
            (true, false) => Self::Promoted,
            (true, true) => Self::PromotedMisfit,
        }
    }

    pub(super) fn is_promoted(self) -> bool {
        matches!(self, Self::Promoted | Self::PromotedMisfit)
    }

    pub(super) fn is_misfit(self) -> bool {
        matches!(self, Self::Misfit | Self::PromotedMisfit)
    }

    /// Of a whole, given those of its parts.
    #[inline]
    fn and(self, other: Self) -> Self {
        Self::new(
            self.is_promoted() || other.is_promoted(),
            self.is_misfit() || other.is_misfit(),
        )
    }
}

/// A column of a table, or what is within one: the elements of its lists, the values of its maps, a field of its structs.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: Arc<str>,
    store: Store,
    /// One entry for each row up to the last one that has a value.
    nulls: NullBufferBuilder,
    /// Whether the type was given, so that it must not change.
    fixed: bool,
    /// Rows and bytes of text in the last batch: what the next one will likely need.
    expected: (usize, usize),
}

#[derive(Debug)]
enum Store {
    Boolean(BooleanBufferBuilder),
    Int32(Vec<i32>),
    /// `exact`: a double holds every value of the span so far.
    Int64 {
        values: Vec<i64>,
        exact: bool,
    },
    Float64(Vec<f64>),
    Date32(Vec<i32>),
    Timestamp(Vec<i64>, Zone),
    Utf8(Text),
    Binary(Text),
    Time(Vec<i64>),
    Micros(Vec<i64>, Zone),
    /// `of`: digits in all, and behind the point.
    Decimal {
        values: Vec<i128>,
        of: (u8, u8),
    },
    List(Box<List>),
    Map(Box<Map>),
    Struct(Box<Struct>),
}

impl Store {
    fn new(kind: &ColumnType, fixed: bool, rules: Rules) -> Self {
        match kind {
            ColumnType::Boolean => Self::Boolean(BooleanBufferBuilder::new(0)),
            ColumnType::Integer => Self::Int32(Vec::new()),
            ColumnType::Bigint => Self::Int64 {
                values: Vec::new(),
                exact: true,
            },
            ColumnType::Double => Self::Float64(Vec::new()),
            ColumnType::Decimal { precision, scale } => Self::Decimal {
                values: Vec::new(),
                of: (*precision, *scale),
            },
            ColumnType::String => Self::Utf8(Text::default()),
            ColumnType::Binary => Self::Binary(Text::default()),
            ColumnType::Date => Self::Date32(Vec::new()),
            ColumnType::Time => Self::Time(Vec::new()),
            ColumnType::Timestamp => Self::Timestamp(Vec::new(), rules.zone),
            ColumnType::TimestampMicros => Self::Micros(Vec::new(), rules.zone),
            ColumnType::Array(element) => Self::List(List::new(element, fixed, rules).into()),
            ColumnType::Map(values) => Self::Map(Map::new(values, fixed, rules).into()),
            ColumnType::Struct(fields) => Self::Struct(Struct::new(fields, fixed, rules).into()),
        }
    }
}

impl Column {
    pub(super) fn new(name: &str, kind: &ColumnType, fixed: bool, rules: Rules) -> Self {
        Self {
            name: name.into(),
            store: Store::new(kind, fixed, rules),
            nulls: NullBufferBuilder::new(0),
            fixed,
            expected: (0, 0),
        }
    }

    /// The type it has by now.
    pub(super) fn kind(&self) -> ColumnType {
        match &self.store {
            Store::Boolean(_) => ColumnType::Boolean,
            Store::Int32(_) => ColumnType::Integer,
            Store::Int64 { .. } => ColumnType::Bigint,
            Store::Float64(_) => ColumnType::Double,
            Store::Date32(_) => ColumnType::Date,
            Store::Timestamp(..) => ColumnType::Timestamp,
            Store::Utf8(_) => ColumnType::String,
            Store::Binary(_) => ColumnType::Binary,
            Store::Time(_) => ColumnType::Time,
            Store::Micros(..) => ColumnType::TimestampMicros,
            Store::Decimal {
                of: (precision, scale),
                ..
            } => ColumnType::Decimal {
                precision: *precision,
                scale: *scale,
            },
            Store::List(list) => list.kind(),
            Store::Map(map) => map.kind(),
            Store::Struct(fields) => fields.kind(),
        }
    }

    /// Whether it has a value of the batch's row `row`.
    pub(super) fn has(&self, row: usize) -> bool {
        self.nulls.len() > row
    }

    /// Takes the value of the batch's row `row`; earlier rows without one become null. Of several values of one
    /// row the first counts.
    #[inline]
    pub(super) fn append(&mut self, row: usize, value: &Value<'_>) -> Outcome {
        let len = self.nulls.len();
        if len != row {
            if len > row {
                return Outcome::Kept;
            }
            self.fill(row);
        }
        let kept = match &mut self.store {
            Store::Utf8(text) => match fit::text(value) {
                Some(value) if text.has_room(value.len()) => {
                    text.push(value.as_bytes());
                    true
                }
                _ => return self.append_made(value),
            },
            Store::Int64 { values, exact } => match fit::integer(value) {
                Integer::Exact(value) => {
                    *exact &= number::exact_double(value).is_some();
                    values.push(value);
                    true
                }
                Integer::Other if *exact && !self.fixed => return self.promote(value),
                Integer::Other | Integer::None => return Outcome::Misfit,
            },
            Store::Float64(values) => match fit::double(value) {
                Fit::Exact(value) => push(values, value, true),
                Fit::Rounded(value) => push(values, value, false),
                Fit::None => return Outcome::Misfit,
            },
            Store::Timestamp(values, zone) => match fit::timestamp(value, *zone) {
                Fit::Exact(value) => push(values, value, true),
                Fit::Rounded(value) => push(values, value, false),
                Fit::None => return Outcome::Misfit,
            },
            Store::Boolean(values) => match fit::boolean(value) {
                Some(value) => {
                    values.append(value);
                    true
                }
                None => return Outcome::Misfit,
            },
            Store::Int32(values) => match fit::small_integer(value) {
                Some(value) => push(values, value, true),
                None => return Outcome::Misfit,
            },
            Store::Date32(values) => match fit::date(value) {
                Some(value) => push(values, value, true),
                None => return Outcome::Misfit,
            },
            _ => return self.append_other(value),
        };
        self.nulls.append_non_null();
        if kept { Outcome::Kept } else { Outcome::Misfit }
    }

    /// Takes a value of the next row into a column of a type that JSON's scalars do not lead to.
    #[inline(never)]
    fn append_other(&mut self, value: &Value<'_>) -> Outcome {
        let row = self.nulls.len();
        let fit = match &mut self.store {
            Store::List(list) => match value {
                Value::List(nested) => nested.items().map(|items| list.append(items)),
                _ => None,
            },
            Store::Map(map) => match value {
                Value::Object(nested) | Value::Map(nested) => {
                    nested.items().map(|items| map.append(items))
                }
                _ => None,
            },
            Store::Struct(fields) => match value {
                Value::Object(nested) => nested.items().map(|items| fields.append(row, items)),
                _ => None,
            },
            Store::Time(values) => put(values, fit::time(value)),
            Store::Micros(values, zone) => put(values, fit::micros(value, *zone)),
            Store::Decimal { values, of } => put(values, fit::decimal(value, *of)),
            Store::Binary(bytes) => match fit::bytes(value) {
                Some(value) if bytes.has_room(value.len()) => {
                    bytes.push(&value);
                    Some(Outcome::Kept)
                }
                _ => None,
            },
            _ => None,
        };
        if fit.is_some() {
            self.nulls.append_non_null();
        }
        fit.unwrap_or(Outcome::Misfit)
    }

    /// Takes a value that is not written as text into a column of text.
    #[inline(never)]
    fn append_made(&mut self, value: &Value<'_>) -> Outcome {
        let Store::Utf8(text) = &mut self.store else {
            return Outcome::Misfit;
        };
        match fit::made_text(value) {
            Some(made) if text.has_room(made.len()) => {
                text.push(made.as_bytes());
                self.nulls.append_non_null();
                Outcome::Kept
            }
            _ => Outcome::Misfit,
        }
    }

    /// Makes an `Int64` column, all of whose values are exact as doubles, a `Float64` one that has `value` too.
    #[cold]
    fn promote(&mut self, value: &Value<'_>) -> Outcome {
        let (double, outcome) = match fit::double(value) {
            Fit::Exact(double) => (double, Outcome::Promoted),
            Fit::Rounded(double) => (double, Outcome::PromotedMisfit),
            Fit::None => return Outcome::Misfit,
        };
        let Store::Int64 { values, .. } = &mut self.store else {
            return Outcome::Misfit;
        };
        let mut doubles: Vec<f64> = values.iter().map(|value| *value as f64).collect();
        doubles.push(double);
        self.store = Store::Float64(doubles);
        self.nulls.append_non_null();
        outcome
    }

    /// Makes null what rows before `row` have no value.
    fn fill_to(&mut self, row: usize) {
        if self.nulls.len() < row {
            self.fill(row);
        }
    }

    /// Gives the rows up to `row` that have no value a null.
    #[cold]
    fn fill(&mut self, row: usize) {
        let missing = row - self.nulls.len();
        if self.nulls.is_empty() {
            self.expect(row);
        }
        self.nulls.append_n_nulls(missing);
        match &mut self.store {
            Store::Boolean(values) => values.append_n(missing, false),
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
    pub(super) fn expect(&mut self, row: usize) {
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

    /// Takes the column of a batch of so many rows.
    pub(super) fn finish(&mut self, rows: usize, blank: &mut Blank) -> ArrayRef {
        if self.nulls.is_empty() {
            self.expected = (0, 0);
            self.release();
            return blank.array(&self.kind(), rows);
        }
        self.fill_to(rows);
        self.expected = (rows, self.text_len());
        let nulls = self.nulls.finish();
        match &mut self.store {
            Store::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Store::Int32(values) => primitive::<Int32Type>(values, nulls),
            Store::Int64 { values, .. } => primitive::<Int64Type>(values, nulls),
            Store::Float64(values) => primitive::<Float64Type>(values, nulls),
            Store::Date32(values) => primitive::<Date32Type>(values, nulls),
            Store::Timestamp(values, _) => timestamps(std::mem::take(values).into(), nulls),
            Store::Time(values) => primitive::<Time64MicrosecondType>(values, nulls),
            Store::Micros(values, _) => micros(std::mem::take(values).into(), nulls),
            Store::Decimal { values, of } => decimals(std::mem::take(values).into(), nulls, *of),
            Store::Utf8(text) => {
                let (offsets, bytes) = text.finish();
                Arc::new(StringArray::new(offsets, bytes, nulls))
            }
            Store::Binary(text) => {
                let (offsets, bytes) = text.finish();
                Arc::new(BinaryArray::new(offsets, bytes, nulls))
            }
            Store::List(list) => list.finish(nulls, blank),
            Store::Map(map) => map.finish(nulls, blank),
            Store::Struct(fields) => fields.finish(rows, nulls, blank),
        }
    }

    /// Gives back the room made for values that did not come.
    fn release(&mut self) {
        match &mut self.store {
            Store::Boolean(values) => *values = BooleanBufferBuilder::new(0),
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
    pub(super) fn memory(&self) -> usize {
        let values = match &self.store {
            Store::Boolean(values) => values.capacity() / 8,
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
        size_of::<Self>() + 2 * self.name.len() + self.nulls.allocated_size() + values
    }

    /// Bytes of text in this batch, or elements of lists and maps if they are more: neither may be more than an
    /// offset of Arrow can say.
    pub(super) fn text_len(&self) -> usize {
        match &self.store {
            Store::Utf8(text) | Store::Binary(text) => text.text_len(),
            Store::List(list) => list.text_len(),
            Store::Map(map) => map.text_len(),
            Store::Struct(fields) => fields.text_len(),
            _ => 0,
        }
    }
}

#[inline]
fn push<T>(values: &mut Vec<T>, value: T, exact: bool) -> bool {
    values.push(value);
    exact
}

fn put<T>(values: &mut Vec<T>, fit: Fit<T>) -> Option<Outcome> {
    let (value, misfit) = match fit {
        Fit::Exact(value) => (value, false),
        Fit::Rounded(value) => (value, true),
        Fit::None => return None,
    };
    values.push(value);
    Some(Outcome::new(false, misfit))
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(
        std::mem::take(values).into(),
        nulls,
    ))
}

pub(super) fn timestamps(values: ScalarBuffer<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    let array = PrimitiveArray::<TimestampMillisecondType>::new(values, nulls);
    Arc::new(array.with_timezone("UTC"))
}

fn micros(values: ScalarBuffer<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    let array = PrimitiveArray::<TimestampMicrosecondType>::new(values, nulls);
    Arc::new(array.with_timezone("UTC"))
}

fn decimals(
    values: ScalarBuffer<i128>,
    nulls: Option<NullBuffer>,
    (precision, scale): (u8, u8),
) -> ArrayRef {
    let kind = ColumnType::Decimal { precision, scale };
    let array = PrimitiveArray::<Decimal128Type>::new(values, nulls);
    Arc::new(array.with_data_type(kind.data_type()))
}
