//! Values as JSON text: as they were written, or as the text of what they are.

use std::io::Write as _;

use alluvium_target::text::{base64, decimal, double, integer, string, time};

use super::{Items, Value};

/// Containers within containers go no deeper than this in text that is made here; what is deeper is `null`.
const MAX_DEPTH: usize = 64;

impl Value<'_> {
    /// Appends the value as JSON text. What was written as JSON is verbatim, except for white space inside objects and
    /// arrays. Doubles that JSON has no number for, dates, times and bytes are strings: `"NaN"`, `"Infinity"`,
    /// ISO-8601, base64. Decimals are numbers with all their digits.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        write(self, out, 0);
    }
}

fn write(value: &Value<'_>, out: &mut Vec<u8>, depth: usize) {
    match *value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Integer { raw, .. }
        | Value::Number { raw, .. }
        | Value::Str { raw: Some(raw), .. }
        | Value::BadStr(raw) => out.extend_from_slice(raw.as_bytes()),
        Value::Str { text, raw: None } => string(text, out),
        Value::Long(value) => integer(value, out),
        // With its fraction, unlike in a line: it says that it is no integer.
        Value::Double(value) if value.is_finite() => _ = write!(out, "{value:?}"),
        Value::Double(value) => double(value, out),
        Value::Date(days) => quoted(out, |out| time::date(i64::from(days), out)),
        Value::Time(micros) if micros >= 0 => quoted(out, |out| time_since_midnight(micros, out)),
        // No time of any day: the number it is.
        Value::Time(micros) => integer(micros, out),
        Value::Millis(millis) => quoted(out, |out| time::short_millis(millis, out)),
        Value::Micros(micros) => quoted(out, |out| time::short_micros(micros, out)),
        Value::Bytes(bytes) => base64(bytes, out),
        Value::Decimal { unscaled, scale } => decimal(unscaled, i16::from(scale), out),
        Value::List(nested) => match (nested.json(), nested.items()) {
            (Some(json), _) => out.extend_from_slice(json.as_bytes()),
            (None, Some(items)) if depth < MAX_DEPTH => {
                container(b"[]", items, out, |(_, value), out| {
                    write(&value, out, depth + 1);
                });
            }
            _ => out.extend_from_slice(b"null"),
        },
        Value::Object(nested) | Value::Map(nested) => match (nested.json(), nested.items()) {
            (Some(json), _) => out.extend_from_slice(json.as_bytes()),
            (None, Some(items)) if depth < MAX_DEPTH => {
                container(b"{}", items, out, |(name, value), out| {
                    string(name, out);
                    out.push(b':');
                    write(&value, out, depth + 1);
                });
            }
            _ => out.extend_from_slice(b"null"),
        },
    }
}

const HOUR_MICROS: i64 = 3_600_000_000;

/// A time of day, or later: hours are counted on.
fn time_since_midnight(micros: i64, out: &mut Vec<u8>) {
    let hours = micros / HOUR_MICROS;
    if hours < 24 {
        return time::short_of_day(micros, out);
    }
    integer(hours, out);
    let end = out.len();
    time::short_of_day(micros % HOUR_MICROS, out);
    out.drain(end..end + "00".len());
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn container<'a>(
    brackets: &[u8; 2],
    items: Items<'a>,
    out: &mut Vec<u8>,
    item: impl Fn((&'a str, Value<'a>), &mut Vec<u8>),
) {
    out.push(brackets[0]);
    for (at, value) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        item(value, out);
    }
    out.push(brackets[1]);
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, Container, RowBuffer};
    use super::*;

    fn json(value: Value<'_>) -> String {
        let mut out = Vec::new();
        value.write_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn typed_values_have_the_text_of_what_they_are() {
        assert_eq!(json(Value::Long(i64::MIN)), "-9223372036854775808");
        assert_eq!(json(Value::Double(0.1)), "0.1");
        assert_eq!(json(Value::Double(1e300)), "1e300");
        assert_eq!(json(Value::Double(f64::NAN)), "\"NaN\"");
        assert_eq!(json(Value::Double(f64::NEG_INFINITY)), "\"-Infinity\"");
        assert_eq!(json(Value::Date(0)), "\"1970-01-01\"");
        assert_eq!(json(Value::Date(-719_529)), "\"-0001-12-31\"");
        assert_eq!(json(Value::Date(19_782)), "\"2024-02-29\"");
        assert_eq!(json(Value::Date(2_932_896)), "\"9999-12-31\"");
        assert_eq!(json(Value::Date(2_932_897)), "\"+10000-01-01\"");
        assert_eq!(json(Value::Time(86_399_999_999)), "\"23:59:59.999999\"");
        assert_eq!(json(Value::Time(1_000)), "\"00:00:00.001\"");
        assert_eq!(json(Value::Time(86_399_000_000)), "\"23:59:59\"");
        assert_eq!(json(Value::Time(86_400_001_000)), "\"24:00:00.001\"");
        assert_eq!(json(Value::Time(1_000_000_000_000)), "\"277:46:40\"");
        assert_eq!(json(Value::Time(-1)), "-1");
        assert_eq!(json(Value::Millis(-1)), "\"1969-12-31T23:59:59.999Z\"");
        assert_eq!(
            json(Value::Micros(1_700_000_000_000_000)),
            "\"2023-11-14T22:13:20Z\""
        );
        assert_eq!(json(Value::Bytes(b"\xff\x00")), "\"/wA=\"");
    }

    #[test]
    fn decimals_keep_all_digits() {
        let decimal = |unscaled, scale| json(Value::Decimal { unscaled, scale });
        assert_eq!(decimal(12345, 2), "123.45");
        assert_eq!(decimal(-5, 3), "-0.005");
        assert_eq!(decimal(0, 0), "0");
        assert_eq!(
            decimal(i128::MIN, 38),
            "-1.70141183460469231731687303715884105728"
        );
    }

    #[test]
    fn containers_are_written_with_all_they_hold() {
        let mut buffer = RowBuffer::default();
        buffer.begin(0, 1);
        let name = |buffer: &mut RowBuffer, text: &str| buffer.write(|out| out.push_str(text)).0;
        let (field, a, b, word) = (
            name(&mut buffer, "field"),
            name(&mut buffer, "a"),
            name(&mut buffer, "\"\n"),
            name(&mut buffer, "é\\"),
        );
        let outer = buffer.open(None);
        let inner = buffer.open(Some(a));
        buffer.item(None, Cell::long(1));
        buffer.item(None, Cell::NULL);
        let empty = buffer.open(None);
        buffer.close(empty, Container::Object, None);
        buffer.close(inner, Container::List, None);
        buffer.item(Some(b), Cell::str(word));
        let cell = buffer.close(outer, Container::Object, None);
        buffer.push("", field, cell);
        let row = buffer.row("", "p", "c");
        let value = row.fields().next().unwrap().value;
        assert_eq!(json(value), r#"{"a":[1,null,{}],"\"\n":"é\\"}"#);
        let Value::Object(nested) = value else {
            panic!("{value:?}");
        };
        assert_eq!(nested.items().unwrap().count(), 2);
        assert!(!nested.is_empty());
    }

    #[test]
    fn bytes_and_decimals_come_back_from_the_buffer() {
        let mut buffer = RowBuffer::default();
        buffer.begin(0, 1);
        let cells = [
            buffer.bytes(b"abc"),
            buffer.decimal(-7, 1),
            buffer.bytes(b""),
            Cell::micros(5),
        ];
        for (at, cell) in cells.into_iter().enumerate() {
            let name = buffer.write(|out| out.push_str(&at.to_string())).0;
            buffer.push("", name, cell);
        }
        let row = buffer.row("", "p", "c");
        let values: Vec<_> = row.values().map(|(_, value)| value).collect();
        let decimal = Value::Decimal {
            unscaled: -7,
            scale: 1,
        };
        assert_eq!(
            values,
            [
                Value::Bytes(b"abc"),
                decimal,
                Value::Bytes(b""),
                Value::Micros(5)
            ]
        );
    }

    #[test]
    fn a_container_that_is_too_much_leaves_nothing() {
        let mut buffer = RowBuffer::default();
        buffer.begin(2, 1);
        let opened = buffer.open(None);
        buffer.item(None, Cell::long(1));
        buffer.abandon(opened);
        assert_eq!(buffer.items(), 0);
        let text = super::super::Piece::of_payload(0, 2);
        let name = buffer.write(|out| out.push('n')).0;
        buffer.push("[]", name, Cell::list_text(text));
        let row = buffer.row("[]", "p", "c");
        let Some((_, Value::List(nested))) = row.values().next() else {
            panic!("no list");
        };
        assert_eq!(
            (nested.json(), nested.items().is_none()),
            (Some("[]"), true)
        );
        assert!(nested.is_empty());
    }
}
