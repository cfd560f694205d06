//! The shared events as Avro records.

use super::{Event, Value};

/// Type and presence of a field in all events of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Time,
    Long,
    Double,
    Bool,
}

/// A field that records have.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether some events lack it.
    pub nullable: bool,
}

/// The fields of `events`, which are of one size and enough that each field has a value in one of them.
pub fn columns(events: &[Event]) -> Vec<Column> {
    let first = events.first().expect("events");
    let names = first.fields.iter().map(|(name, _)| *name);
    let columns = names.enumerate().map(|(at, name)| {
        let values = || events.iter().map(|event| &event.fields[at].1);
        let kind = match values().flatten().next().expect("a value") {
            Value::Long(_) if name == "_time" => Kind::Time,
            Value::Text(_) => Kind::Text,
            Value::Long(_) => Kind::Long,
            Value::Double(_) => Kind::Double,
            Value::Bool(_) => Kind::Bool,
        };
        Column {
            name,
            kind,
            nullable: values().any(Option::is_none),
        }
    });
    columns.collect()
}

/// The schema of records that [`write_record`] writes of the first client's events, or of the second's.
pub fn schema(columns: &[Column], reordered: bool) -> String {
    let mut fields = vec![r#"{"name":"_table","type":"string"}"#.to_owned()];
    fields.extend(in_order(columns, reordered).map(|column| {
        let kind = match column.kind {
            Kind::Text => r#""string""#,
            Kind::Time => r#"{"type":"long","logicalType":"timestamp-millis"}"#,
            Kind::Long => r#""long""#,
            Kind::Double => r#""double""#,
            Kind::Bool => r#""boolean""#,
        };
        let name = column.name;
        match column.nullable {
            true => format!(r#"{{"name":"{name}","type":["null",{kind}]}}"#),
            false => format!(r#"{{"name":"{name}","type":{kind}}}"#),
        }
    }));
    let fields = fields.join(",");
    format!(r#"{{"type":"record","name":"Event","fields":[{fields}]}}"#)
}

/// Appends the event by the [`schema`] of the client that wrote it: its table first, then its fields.
pub fn write_record(event: &Event, columns: &[Column], out: &mut Vec<u8>) {
    write_text(&event.table, out);
    let columns = in_order(columns, event.reordered);
    for (column, (_, value)) in columns.zip(in_order(&event.fields, event.reordered)) {
        match value {
            Some(value) => {
                if column.nullable {
                    write_long(1, out);
                }
                write_value(value, out);
            }
            None => write_long(0, out),
        }
    }
}

/// Appends the event as the original writes it: every field, in the columns' order, may be null.
pub fn write_rakam(event: &Event, out: &mut Vec<u8>) {
    out.push(0);
    for (_, value) in &event.fields {
        write_long(i64::from(value.is_some()), out);
        if let Some(value) = value {
            write_value(value, out);
        }
    }
}

/// The second client begins with the second half, as in [`Event::write_json`].
fn in_order<T>(all: &[T], reordered: bool) -> impl Iterator<Item = &T> {
    let half = if reordered { all.len() / 2 } else { 0 };
    let (last, first) = all.split_at(half);
    first.iter().chain(last)
}

/// Appends a value as a datum of its own type.
pub fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => write_text(text, out),
        Value::Long(long) => write_long(*long, out),
        Value::Double(double) => out.extend(double.to_le_bytes()),
        Value::Bool(bool) => out.push(u8::from(*bool)),
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    write_long(text.len() as i64, out);
    out.extend(text.as_bytes());
}

/// Appends an int, a long or the number of a union's branch: zigzag, then seven bits a byte, the lowest first.
pub fn write_long(value: i64, out: &mut Vec<u8>) {
    let mut word = (value << 1 ^ value >> 63).cast_unsigned();
    while word >= 0x80 {
        out.push(word as u8 | 0x80);
        word >>= 7;
    }
    out.push(word as u8);
}
