//! What a value is worth in a column of a type; the rules are in the head of the parent module.

use super::column::Kind;
use super::number::{self, Decimal, Whole};
use super::time;
use crate::record::Value;

/// A value as a column's type has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fit<T> {
    Exact(T),
    /// The nearest there is; the verbatim value must be kept elsewhere.
    Rounded(T),
    None,
}

impl<T> From<Option<T>> for Fit<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Self::Exact)
    }
}

/// The type of the column that a value not null is the first of.
pub(super) fn infer(value: &Value<'_>) -> Kind {
    match *value {
        Value::Bool(_) => Kind::Boolean,
        Value::Number { double, raw }
            if !number::is_integer(raw) || number::is_exact(raw, double) =>
        {
            Kind::Float64
        }
        Value::Integer { .. } | Value::Number { .. } => Kind::Int64,
        Value::Str { text, .. } if time::date(text).is_some() => Kind::Date32,
        Value::Str { text, .. } if time::timestamp(text).is_some_and(|time| time.exact) => {
            Kind::Timestamp
        }
        Value::Long(_) => Kind::Int64,
        Value::Double(_) => Kind::Float64,
        Value::Date(_) => Kind::Date32,
        Value::Millis(_) | Value::Micros(_) => Kind::Timestamp,
        _ => Kind::Utf8,
    }
}

#[inline]
pub(super) fn text<'a>(value: &Value<'a>) -> Option<&'a str> {
    match *value {
        Value::Str { text, .. } => Some(text),
        Value::Integer { raw, .. } | Value::Number { raw, .. } => Some(raw),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::List(nested) | Value::Object(nested) => nested.json(),
        _ => None,
    }
}

#[inline]
pub(super) fn boolean(value: &Value<'_>) -> Option<bool> {
    match *value {
        Value::Bool(value) => Some(value),
        Value::Str { text: "true", .. } | Value::Integer { value: 1, .. } => Some(true),
        Value::Str { text: "false", .. } | Value::Integer { value: 0, .. } => Some(false),
        _ => None,
    }
}

/// A whole number of 64 bits, or a hint that a double may hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Integer {
    Exact(i64),
    /// Not whole, or written with an exponent and too large.
    Other,
    None,
}

#[inline]
pub(super) fn integer(value: &Value<'_>) -> Integer {
    match *value {
        Value::Integer { value, .. } => Integer::Exact(value),
        Value::Number { raw, .. } if !number::is_integer(raw) => match Decimal::of(raw).whole() {
            Whole::Fits(value) => Integer::Exact(value),
            Whole::TooLarge | Whole::Fraction => Integer::Other,
        },
        Value::Str { text, .. } => number::integer_in(text).map_or(Integer::None, Integer::Exact),
        _ => Integer::None,
    }
}

#[inline]
pub(super) fn small_integer(value: &Value<'_>) -> Option<i32> {
    match integer(value) {
        Integer::Exact(value) => i32::try_from(value).ok(),
        _ => None,
    }
}

#[inline]
pub(super) fn double(value: &Value<'_>) -> Fit<f64> {
    match *value {
        Value::Integer { value, .. } => number::exact_double(value).into(),
        // So short a text has at most 17 digits.
        Value::Number { double, raw } if raw.len() <= 17 && double.is_finite() && double != 0.0 => {
            Fit::Exact(double)
        }
        Value::Number { double, raw } => long_double(double, raw),
        Value::Str { text, .. } => number::double_in(text).into(),
        _ => Fit::None,
    }
}

fn long_double(double: f64, raw: &str) -> Fit<f64> {
    if number::is_integer(raw) {
        return number::is_exact(raw, double).then_some(double).into();
    }
    if !double.is_finite() {
        return Fit::None;
    }
    let significant = Decimal::of(raw).significant;
    if significant > 17 || (double == 0.0 && significant > 0) {
        return Fit::Rounded(double);
    }
    Fit::Exact(double)
}

#[inline]
pub(super) fn date(value: &Value<'_>) -> Option<i32> {
    match *value {
        Value::Str { text, .. } => time::date(text),
        _ => None,
    }
}

#[inline]
pub(super) fn timestamp(value: &Value<'_>) -> Fit<i64> {
    match *value {
        Value::Integer { value, .. } => Fit::Exact(value),
        Value::Str { text, .. } => match time::timestamp(text) {
            Some(time) if time.exact => Fit::Exact(time.millis),
            Some(time) => Fit::Rounded(time.millis),
            None => Fit::None,
        },
        Value::Number { double, raw } => match integer(value) {
            Integer::Exact(value) => Fit::Exact(value),
            Integer::Other => cut(double, raw).map_or(Fit::None, Fit::Rounded),
            Integer::None => Fit::None,
        },
        _ => Fit::None,
    }
}

/// The whole part of a number that has a fraction.
fn cut(double: f64, raw: &str) -> Option<i64> {
    if let Some((whole, fraction)) = raw.split_once('.')
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return whole.parse().ok();
    }
    // With an exponent the text does not show the whole part; the nearest double does well enough.
    let whole = double.trunc();
    (whole.abs() < 9.2e18).then_some(whole as i64)
}
