//! What a value is worth in a column of a type; the rules are in the head of the parent module.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::number::{self, Decimal, Whole};
use super::{Zone, time};
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

#[inline]
pub(super) fn text<'a>(value: &Value<'a>) -> Option<&'a str> {
    match *value {
        Value::Str { text, .. } => Some(text),
        Value::Integer { raw, .. } | Value::Number { raw, .. } => Some(raw),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::List(nested) | Value::Object(nested) | Value::Map(nested) => nested.json(),
        _ => None,
    }
}

/// The text of a value that is not written as text: its JSON without quotes.
pub(super) fn made_text(value: &Value<'_>) -> Option<String> {
    if matches!(value, Value::BadStr(_) | Value::Str { .. } | Value::Null) {
        return None;
    }
    let json = json_of(value)?;
    let quoted = |json: &str| Some(json.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    Some(quoted(&json).unwrap_or(json))
}

fn json_of(value: &Value<'_>) -> Option<String> {
    let mut json = Vec::new();
    value.write_json(&mut json);
    String::from_utf8(json).ok()
}

#[inline]
pub(super) fn boolean(value: &Value<'_>) -> Option<bool> {
    match *value {
        Value::Bool(value) => Some(value),
        Value::Str { text: "true", .. } | Value::Integer { value: 1, .. } => Some(true),
        Value::Str { text: "false", .. } | Value::Integer { value: 0, .. } => Some(false),
        Value::Long(value @ 0..=1) => Some(value == 1),
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
        Value::Long(value) => Integer::Exact(value),
        Value::Double(double) => whole_of(double),
        Value::Decimal { .. } => match json_of(value).map(|raw| Decimal::of(&raw).whole()) {
            Some(Whole::Fits(value)) => Integer::Exact(value),
            _ => Integer::Other,
        },
        _ => Integer::None,
    }
}

/// A double as an integer that it comes back from. No integer is minus zero.
fn whole_of(double: f64) -> Integer {
    let whole = double as i64;
    let same = number::exact_double(whole).is_some_and(|back| back.to_bits() == double.to_bits());
    match same {
        true => Integer::Exact(whole),
        false => Integer::Other,
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
        Value::Double(value) => Fit::Exact(value),
        Value::Long(value) => number::exact_double(value).into(),
        Value::Decimal { .. } => decimal_as_double(value),
        _ => Fit::None,
    }
}

fn decimal_as_double(value: &Value<'_>) -> Fit<f64> {
    let raw = json_of(value);
    let double = raw.as_deref().and_then(|raw| raw.parse().ok());
    match (raw, double) {
        (Some(raw), Some(double)) => long_double(double, &raw),
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
        Value::Date(days) => Some(days),
        _ => None,
    }
}

/// Milliseconds since the epoch.
#[inline]
pub(super) fn timestamp(value: &Value<'_>, zone: Zone) -> Fit<i64> {
    match *value {
        Value::Integer { value, .. } | Value::Long(value) | Value::Millis(value) => {
            Fit::Exact(value)
        }
        Value::Str { text, .. } => match time::timestamp(text, zone) {
            Some(time) if time.is_millis() => Fit::Exact(time.micros.div_euclid(1000)),
            Some(time) => Fit::Rounded(time.micros.div_euclid(1000)),
            None => Fit::None,
        },
        Value::Micros(micros) if micros % 1000 == 0 => Fit::Exact(micros / 1000),
        Value::Micros(micros) => Fit::Rounded(micros.div_euclid(1000)),
        Value::Number { double, raw } => match integer(value) {
            Integer::Exact(value) => Fit::Exact(value),
            Integer::Other => cut(double, raw).map_or(Fit::None, Fit::Rounded),
            Integer::None => Fit::None,
        },
        _ => Fit::None,
    }
}

/// Microseconds since the epoch.
pub(super) fn micros(value: &Value<'_>, zone: Zone) -> Fit<i64> {
    match *value {
        Value::Micros(micros) => Fit::Exact(micros),
        Value::Str { text, .. } => match time::timestamp(text, zone) {
            Some(time) if time.exact => Fit::Exact(time.micros),
            Some(time) => Fit::Rounded(time.micros),
            None => Fit::None,
        },
        // A number is milliseconds in every column of times.
        _ => match timestamp(value, zone) {
            Fit::Exact(millis) => millis.checked_mul(1000).into(),
            Fit::Rounded(millis) => millis.checked_mul(1000).map_or(Fit::None, Fit::Rounded),
            Fit::None => Fit::None,
        },
    }
}

/// Microseconds since midnight.
pub(super) fn time(value: &Value<'_>) -> Fit<i64> {
    match *value {
        Value::Time(micros) => (0..DAY_MICROS).contains(&micros).then_some(micros).into(),
        Value::Str { text, .. } => match time::time_of_day(text) {
            Some(time) if time.exact => Fit::Exact(time.micros),
            Some(time) => Fit::Rounded(time.micros),
            None => Fit::None,
        },
        _ => Fit::None,
    }
}

const DAY_MICROS: i64 = 86_400_000_000;

/// The digits of a decimal with so many in all and behind the point.
pub(super) fn decimal(value: &Value<'_>, of: (u8, u8)) -> Fit<i128> {
    let (precision, scale) = of;
    let made = |raw: &str| match number::fixed(raw, of) {
        Some((unscaled, true)) => Fit::Exact(unscaled),
        Some((unscaled, false)) => Fit::Rounded(unscaled),
        None => Fit::None,
    };
    match *value {
        Value::Decimal {
            unscaled,
            scale: own,
        } if own == scale => number::is_within(unscaled, precision)
            .then_some(unscaled)
            .into(),
        Value::Decimal { .. } => json_of(value).map_or(Fit::None, |raw| made(&raw)),
        Value::Integer { value, .. } | Value::Long(value) => {
            let shift = 10i128.checked_pow(u32::from(scale));
            let unscaled = shift.and_then(|shift| i128::from(value).checked_mul(shift));
            unscaled
                .filter(|unscaled| number::is_within(*unscaled, precision))
                .into()
        }
        Value::Number { raw, .. } => made(raw),
        Value::Double(double) if double.is_finite() => made(&format!("{double:?}")),
        Value::Str { text, .. } if number::is_plain(text) => match made(text) {
            Fit::Exact(unscaled) => Fit::Exact(unscaled),
            _ => Fit::None,
        },
        _ => Fit::None,
    }
}

/// Bytes, or a string that is their base64.
pub(super) fn bytes<'a>(value: &Value<'a>) -> Option<Cow<'a, [u8]>> {
    match *value {
        Value::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
        Value::Str { text, .. } => STANDARD.decode(text).ok().map(Cow::Owned),
        _ => None,
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
