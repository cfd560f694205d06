//! One column's buffers: filled value by value, back-filled when needed, handed to Arrow uncopied.

use std::sync::Arc;

mod bits;
mod blank;
mod finish;
mod nested;
mod plain;
mod room;
mod text;

use self::bits::{Bits, Validity};
pub(super) use self::blank::Blank;
pub(super) use self::finish::timestamps;
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
    nulls: Validity,
    /// Whether the type was given, so that it must not change.
    fixed: bool,
    /// Rows and bytes of text in the last batch: what the next one will likely need.
    expected: (usize, usize),
}

#[derive(Debug)]
enum Store {
    Boolean(Bits),
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
            ColumnType::Boolean => Self::Boolean(Bits::default()),
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
            nulls: Validity::default(),
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
                    values.push(value);
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
        self.nulls.push();
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
            self.nulls.push();
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
                self.nulls.push();
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
        self.nulls.push();
        outcome
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
