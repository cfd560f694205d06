//! The types that a schema declares for the fields of rows.
//!
//! A type that a value alone would not tell in full: the field of a nested record that is null in the first row, the
//! elements of an empty array. A field that may be one thing or another, of a union of several types, is left to its
//! values; within others it is text, which can hold them all.

use super::schema::{Content, Schema, Sense, Type};
use crate::record::ColumnType;

/// Types within types go no deeper than this; what does is text.
const MAX_DEPTH: usize = 16;
/// Digits of a decimal: a later schema may allow more than this one.
const MAX_PRECISION: u8 = 38;

/// The fields that have one type, with it.
pub(super) fn of(schema: &Schema) -> Vec<(String, ColumnType)> {
    let mut columns: Vec<(String, Option<ColumnType>)> = Vec::new();
    let records: &[Type] = match &schema.root {
        Type::Union(branches) => branches,
        one => std::slice::from_ref(one),
    };
    for record in records {
        let Type::Record(_, fields) = record else {
            continue;
        };
        for field in fields {
            let kind = kind(&field.kind, 0);
            match columns.iter_mut().find(|(name, _)| *name == field.name) {
                // Two records of a union do not agree.
                Some((_, other)) if *other != kind => *other = None,
                Some(_) => {}
                None => columns.push((field.name.clone(), kind)),
            }
        }
    }
    let with_type = |(name, kind): (String, Option<ColumnType>)| Some((name, kind?));
    columns.into_iter().filter_map(with_type).collect()
}

fn kind(of: &Type, depth: usize) -> Option<ColumnType> {
    if depth > MAX_DEPTH {
        return Some(ColumnType::String);
    }
    let within = |of: &Type| kind(of, depth + 1);
    Some(match of {
        Type::Null => return None,
        Type::Boolean => ColumnType::Boolean,
        // A later schema may have made it a long.
        Type::Int(sense) | Type::Long(sense) => whole(*sense),
        Type::Float | Type::Double => ColumnType::Double,
        Type::Bytes(content) | Type::Fixed(_, _, content) => match content {
            Content::Bytes => ColumnType::Binary,
            Content::Uuid => ColumnType::String,
            Content::Decimal { scale, .. } => ColumnType::Decimal {
                precision: MAX_PRECISION,
                scale: (*scale).min(MAX_PRECISION),
            },
        },
        Type::String | Type::Enum(..) => ColumnType::String,
        Type::Array(items) => ColumnType::Array(within(items)?.into()),
        Type::Map(values) => ColumnType::Map(within(values)?.into()),
        Type::Union(branches) => {
            let mut branches = branches.iter().filter(|branch| **branch != Type::Null);
            return match (branches.next(), branches.next()) {
                (Some(one), None) => kind(one, depth),
                (Some(_), Some(_)) if depth > 0 => Some(ColumnType::String),
                _ => None,
            };
        }
        Type::Record(_, fields) => {
            let fields = fields
                .iter()
                .filter_map(|field| Some((field.name.clone(), within(&field.kind)?)));
            let fields: Vec<_> = fields.collect();
            match fields.is_empty() {
                true => return None,
                false => ColumnType::Struct(fields),
            }
        }
    })
}

fn whole(sense: Sense) -> ColumnType {
    match sense {
        Sense::Number => ColumnType::Bigint,
        Sense::Date => ColumnType::Date,
        Sense::TimeMillis | Sense::TimeMicros => ColumnType::Time,
        Sense::Millis => ColumnType::Timestamp,
        Sense::Micros | Sense::Nanos => ColumnType::TimestampMicros,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(schema: &str) -> String {
        let columns = of(&Schema::parse(schema, &[]).unwrap());
        let columns = columns.iter().map(|(name, kind)| format!("{name} {kind}"));
        columns.collect::<Vec<_>>().join(", ")
    }

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
    }

    #[test]
    fn fields_have_the_types_their_schema_gives_them() {
        let inner = r#"{"type":"record","name":"I","fields":[{"name":"x","type":["null","int"]},{"name":"y","type":["string","long"]},{"name":"z","type":"null"}]}"#;
        let schema = record(&format!(
            r#"{{"name":"a","type":{inner}}},
            {{"name":"b","type":{{"type":"map","values":["null",{{"type":"array","items":"I"}}]}}}},
            {{"name":"c","type":[{{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},"null"]}},
            {{"name":"d","type":{{"type":"enum","name":"E","symbols":["A"]}}}},
            {{"name":"e","type":["null","int","string"]}},
            {{"name":"f","type":"null"}},
            {{"name":"g","type":{{"type":"int","logicalType":"time-millis"}}}},
            {{"name":"h","type":"float"}}"#
        ));
        assert_eq!(
            columns(&schema),
            r#"a row("x" bigint,"y" varchar), b map(varchar,array(row("x" bigint,"y" varchar))), c decimal(38,2), d varchar, g time, h double"#
        );
    }

    #[test]
    fn records_of_a_union_that_do_not_agree_leave_it_to_the_values() {
        let of = |name: &str, kind: &str| {
            format!(
                r#"{{"type":"record","name":"{name}","fields":[{{"name":"a","type":"{kind}"}},{{"name":"b","type":"long"}}]}}"#
            )
        };
        let union = format!("[{},{}]", of("A", "string"), of("B", "int"));
        assert_eq!(columns(&union), "b bigint");
    }
}
