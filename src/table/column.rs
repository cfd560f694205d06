//! One column's buffers: filled value by value, back-filled when needed, handed to Arrow uncopied.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType,
};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{
    BooleanBuffer, BooleanBufferBuilder, Buffer, MutableBuffer, NullBuffer, NullBufferBuilder,
    OffsetBuffer, ScalarBuffer,
};
use arrow_schema::{DataType, TimeUnit};

use super::fit::{self, Fit, Integer};
use super::number;
use crate::record::Value;

/// The types a column can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Int32,
    Int64,
    Float64,
    Date32,
    Timestamp,
    Utf8,
}

impl Kind {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Date32 => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Utf8 => DataType::Utf8,
        }
    }
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Kept,
    /// The column has the nearest value or null; the verbatim one must be kept elsewhere.
    Misfit,
    /// Kept, and the column has another type from now on.
    Promoted,
    /// As `Promoted`, and as `Misfit`.
    PromotedMisfit,
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: Arc<str>,
    store: Store,
    /// One entry for each row up to the last one that has a value.
    nulls: NullBufferBuilder,
    /// Whether the type was configured, so that it must not change.
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
    Timestamp(Vec<i64>),
    Utf8(Text),
}

impl Column {
    pub(super) fn new(name: &str, kind: Kind, fixed: bool) -> Self {
        let store = match kind {
            Kind::Boolean => Store::Boolean(BooleanBufferBuilder::new(0)),
            Kind::Int32 => Store::Int32(Vec::new()),
            Kind::Int64 => Store::Int64 {
                values: Vec::new(),
                exact: true,
            },
            Kind::Float64 => Store::Float64(Vec::new()),
            Kind::Date32 => Store::Date32(Vec::new()),
            Kind::Timestamp => Store::Timestamp(Vec::new()),
            Kind::Utf8 => Store::Utf8(Text::default()),
        };
        let nulls = NullBufferBuilder::new(0);
        Self {
            name: name.into(),
            store,
            nulls,
            fixed,
            expected: (0, 0),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.store {
            Store::Boolean(_) => Kind::Boolean,
            Store::Int32(_) => Kind::Int32,
            Store::Int64 { .. } => Kind::Int64,
            Store::Float64(_) => Kind::Float64,
            Store::Date32(_) => Kind::Date32,
            Store::Timestamp(_) => Kind::Timestamp,
            Store::Utf8(_) => Kind::Utf8,
        }
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
                _ => return Outcome::Misfit,
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
            Store::Timestamp(values) => match fit::timestamp(value) {
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
        };
        self.nulls.append_non_null();
        if kept { Outcome::Kept } else { Outcome::Misfit }
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
            Store::Int64 { values, .. } | Store::Timestamp(values) => values.resize(row, 0),
            Store::Float64(values) => values.resize(row, 0.0),
            Store::Utf8(text) => text.fill(row),
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
            Store::Int64 { values, .. } | Store::Timestamp(values) => values.reserve(rows),
            Store::Float64(values) => values.reserve(rows),
            Store::Utf8(text) => text.reserve(rows, bytes + bytes / 8),
        }
    }

    /// Takes the column of a batch of so many rows.
    pub(super) fn finish(&mut self, rows: usize, blank: &mut Blank) -> ArrayRef {
        if self.nulls.is_empty() {
            self.expected = (0, 0);
            self.release();
            return blank.array(self.kind(), rows);
        }
        if self.nulls.len() < rows {
            self.fill(rows);
        }
        self.expected = (rows, self.text_len());
        let nulls = self.nulls.finish();
        match &mut self.store {
            Store::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Store::Int32(values) => primitive::<Int32Type>(values, nulls),
            Store::Int64 { values, .. } => primitive::<Int64Type>(values, nulls),
            Store::Float64(values) => primitive::<Float64Type>(values, nulls),
            Store::Date32(values) => primitive::<Date32Type>(values, nulls),
            Store::Timestamp(values) => timestamps(std::mem::take(values).into(), nulls),
            Store::Utf8(text) => text.finish(nulls),
        }
    }

    /// Gives back the room made for values that did not come.
    fn release(&mut self) {
        match &mut self.store {
            Store::Boolean(values) => *values = BooleanBufferBuilder::new(0),
            Store::Int32(values) | Store::Date32(values) => values.shrink_to_fit(),
            Store::Int64 { values, .. } | Store::Timestamp(values) => values.shrink_to_fit(),
            Store::Float64(values) => values.shrink_to_fit(),
            Store::Utf8(text) => *text = Text::default(),
        }
    }

    /// Bytes allocated.
    pub(super) fn memory(&self) -> usize {
        let values = match &self.store {
            Store::Boolean(values) => values.capacity() / 8,
            Store::Int32(values) | Store::Date32(values) => values.capacity() * size_of::<i32>(),
            Store::Int64 { values, .. } | Store::Timestamp(values) => {
                values.capacity() * size_of::<i64>()
            }
            Store::Float64(values) => values.capacity() * size_of::<f64>(),
            Store::Utf8(text) => text.memory(),
        };
        // The name is also a key of the table's index of names.
        size_of::<Self>() + 2 * self.name.len() + self.nulls.allocated_size() + values
    }

    /// Bytes of text in this batch.
    pub(super) fn text_len(&self) -> usize {
        match &self.store {
            Store::Utf8(text) => text.text_len(),
            _ => 0,
        }
    }
}

#[inline]
fn push<T>(values: &mut Vec<T>, value: T, exact: bool) -> bool {
    values.push(value);
    exact
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

/// Strings one after the other.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// Where each string ends.
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

impl Text {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether a string of that many bytes can follow: Arrow's offsets have 31 bits.
    #[inline]
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.bytes.len() + len <= i32::MAX as usize
    }

    /// Appends valid UTF-8 that there is room for.
    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as i32);
    }

    fn fill(&mut self, len: usize) {
        self.ends.resize(len, self.bytes.len() as i32);
    }

    fn reserve(&mut self, strings: usize, bytes: usize) {
        // One more, for where the first begins.
        self.ends.reserve(strings + 1);
        self.bytes.reserve(bytes);
    }

    pub(super) fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        let mut offsets = std::mem::take(&mut self.ends);
        offsets.insert(0, 0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let bytes = Buffer::from_vec(std::mem::take(&mut self.bytes));
        Arc::new(StringArray::new(offsets, bytes, nulls))
    }

    pub(super) fn memory(&self) -> usize {
        self.ends.capacity() * size_of::<i32>() + self.bytes.capacity()
    }

    pub(super) fn text_len(&self) -> usize {
        self.bytes.len()
    }
}

/// What the columns without any value in a batch share.
#[derive(Debug, Default)]
pub(super) struct Blank(Option<(Buffer, NullBuffer)>);

impl Blank {
    /// A column of nulls.
    fn array(&mut self, kind: Kind, rows: usize) -> ArrayRef {
        let (zeros, nulls) = self.0.get_or_insert_with(|| {
            let zeros = MutableBuffer::from_len_zeroed((rows + 1) * size_of::<i64>());
            (zeros.into(), NullBuffer::new_null(rows))
        });
        let (zeros, nulls) = (zeros.clone(), Some(nulls.clone()));
        match kind {
            Kind::Boolean => Arc::new(BooleanArray::new(BooleanBuffer::new(zeros, 0, rows), nulls)),
            Kind::Int32 => blank::<Int32Type>(zeros, rows, nulls),
            Kind::Int64 => blank::<Int64Type>(zeros, rows, nulls),
            Kind::Float64 => blank::<Float64Type>(zeros, rows, nulls),
            Kind::Date32 => blank::<Date32Type>(zeros, rows, nulls),
            Kind::Timestamp => timestamps(ScalarBuffer::new(zeros, 0, rows), nulls),
            Kind::Utf8 => {
                let offsets = OffsetBuffer::new(ScalarBuffer::new(zeros, 0, rows + 1));
                Arc::new(StringArray::new(
                    offsets,
                    Buffer::from_vec(Vec::<u8>::new()),
                    nulls,
                ))
            }
        }
    }
}

fn blank<T: ArrowPrimitiveType>(zeros: Buffer, rows: usize, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(
        ScalarBuffer::new(zeros, 0, rows),
        nulls,
    ))
}
