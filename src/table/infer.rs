//! The type of a column, decided by the first value that says one.

use hashbrown::HashSet;

use super::{ColumnType, MAX_COLUMNS, MAX_NAME, Numbers, Objects, Rules, number, time};
use crate::record::{Items, Value};

/// What is nested more deeply is text.
const MAX_DEPTH: usize = 32;
/// Digits of a decimal whose type does not say how many there may be: what 128 bits hold.
const MAX_PRECISION: u8 = 38;

/// The type of the column that a value is the first of. `None` if the value says nothing: null, and lists and objects
/// without anything that does.
pub(super) fn infer(value: &Value<'_>, rules: Rules) -> Option<ColumnType> {
    at_depth(value, rules, 0)
}

fn at_depth(value: &Value<'_>, rules: Rules, depth: usize) -> Option<ColumnType> {
    Some(match *value {
        Value::Null => return None,
        Value::Bool(_) => ColumnType::Boolean,
        Value::Number { double, raw }
            if !number::is_integer(raw) || number::is_exact(raw, double) =>
        {
            ColumnType::Double
        }
        Value::Integer { .. } | Value::Number { .. } if rules.numbers == Numbers::Double => {
            ColumnType::Double
        }
        Value::Integer { .. } | Value::Number { .. } | Value::Long(_) => ColumnType::Bigint,
        Value::Double(_) => ColumnType::Double,
        Value::Str { text, .. } => of_text(text, rules),
        Value::BadStr(_) => ColumnType::String,
        Value::Date(_) => ColumnType::Date,
        Value::Time(_) => ColumnType::Time,
        Value::Millis(_) => ColumnType::Timestamp,
        Value::Micros(_) => ColumnType::TimestampMicros,
        Value::Bytes(_) => ColumnType::Binary,
        Value::Decimal { scale, .. } => ColumnType::Decimal {
            precision: MAX_PRECISION,
            scale: scale.min(MAX_PRECISION),
        },
        Value::List(nested) => match nested.items() {
            Some(items) if depth < MAX_DEPTH => {
                ColumnType::Array(of_items(items, rules, depth + 1)?.into())
            }
            _ => ColumnType::String,
        },
        Value::Object(nested) => match (nested.items(), rules.objects) {
            (Some(items), Objects::Map) if depth < MAX_DEPTH => {
                ColumnType::Map(of_items(items, rules, depth + 1)?.into())
            }
            (Some(items), Objects::Struct | Objects::Typed) if depth < MAX_DEPTH => {
                ColumnType::Struct(of_fields(items, rules, depth + 1)?)
            }
            _ => ColumnType::String,
        },
        Value::Map(nested) => match nested.items() {
            Some(items) if depth < MAX_DEPTH => {
                ColumnType::Map(of_items(items, rules, depth + 1)?.into())
            }
            _ => ColumnType::String,
        },
    })
}

fn of_text(text: &str, rules: Rules) -> ColumnType {
    if rules.objects == Objects::Typed {
        ColumnType::String
    } else if time::date(text).is_some() {
        ColumnType::Date
    } else if time::timestamp(text, rules.zone).is_some_and(|time| time.is_millis()) {
        ColumnType::Timestamp
    } else {
        ColumnType::String
    }
}

/// What the elements of a list or the values of a map are. Those that hold others are text, unless everything is to keep
/// its structure.
fn of_items(mut items: Items<'_>, rules: Rules, depth: usize) -> Option<ColumnType> {
    if matches!(rules.objects, Objects::Struct | Objects::Typed) {
        return items.find_map(|(_, value)| at_depth(&value, rules, depth));
    }
    let (_, first) = items.find(|(_, value)| !matches!(value, Value::Null))?;
    match first {
        Value::List(_) | Value::Object(_) | Value::Map(_) => Some(ColumnType::String),
        _ => at_depth(&first, rules, depth),
    }
}

fn of_fields(items: Items<'_>, rules: Rules, depth: usize) -> Option<Vec<(String, ColumnType)>> {
    let mut fields = Vec::new();
    let mut seen = HashSet::new();
    for (name, value) in items {
        if !seen.insert(name) || name.len() > MAX_NAME || fields.len() >= MAX_COLUMNS {
            continue;
        }
        if let Some(kind) = at_depth(&value, rules, depth) {
            fields.push((name.to_owned(), kind));
        }
    }
    (!fields.is_empty()).then_some(fields)
}
