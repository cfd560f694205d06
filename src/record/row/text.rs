//! Values as JSON text: as they were written, or as the text of what they are.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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
        Value::Bool(value) => text(out, format_args!("{value}")),
        Value::Integer { raw, .. }
        | Value::Number { raw, .. }
        | Value::Str { raw: Some(raw), .. }
        | Value::BadStr(raw) => out.extend_from_slice(raw.as_bytes()),
        Value::Str { text, raw: None } => string(text, out),
        Value::Long(value) => text(out, format_args!("{value}")),
        Value::Double(value) => double(value, out),
        Value::Date(days) => {
            out.push(b'"');
            date(i64::from(days), out);
            out.push(b'"');
        }
        Value::Time(micros) => {
            out.push(b'"');
            time(micros, out);
            out.push(b'"');
        }
        Value::Millis(millis) => point(
            millis.div_euclid(DAY_MILLIS),
            millis.rem_euclid(DAY_MILLIS) * 1000,
            out,
        ),
        Value::Micros(micros) => point(
            micros.div_euclid(DAY_MICROS),
            micros.rem_euclid(DAY_MICROS),
            out,
        ),
        Value::Bytes(bytes) => text(out, format_args!("\"{}\"", STANDARD.encode(bytes))),
        Value::Decimal { unscaled, scale } => decimal(unscaled, scale, out),
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

const DAY_MILLIS: i64 = 86_400_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// Writing to memory does not fail.
fn text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
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

/// A string in quotes, with the escapes that RFC 8259 requires.
fn string(value: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => text(out, format_args!("\\u{byte:04x}")),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        let sign = if value < 0.0 { "-" } else { "" };
        text(out, format_args!("\"{sign}Infinity\""));
    } else {
        text(out, format_args!("{value:?}"));
    }
}

/// `yyyy-MM-dd` in the proleptic Gregorian calendar; a sign and more digits for years outside 0 to 9999.
fn date(days: i64, out: &mut Vec<u8>) {
    // Years that begin in March put the leap day last; eras of 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + i64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    match year {
        0..=9999 => text(out, format_args!("{year:04}-{month:02}-{day:02}")),
        _ => text(out, format_args!("{year:+05}-{month:02}-{day:02}")),
    }
}

/// `HH:mm:ss`, with three or six digits behind it if there is anything below the second.
fn time(micros: i64, out: &mut Vec<u8>) {
    let seconds = micros.div_euclid(1_000_000);
    let below = micros.rem_euclid(1_000_000);
    let (hour, minute) = (seconds / 3600, seconds / 60 % 60);
    text(
        out,
        format_args!("{hour:02}:{minute:02}:{:02}", seconds % 60),
    );
    if below % 1000 != 0 {
        text(out, format_args!(".{below:06}"));
    } else if below != 0 {
        text(out, format_args!(".{:03}", below / 1000));
    }
}

fn point(day: i64, micros: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    date(day, out);
    out.push(b'T');
    time(micros, out);
    out.extend_from_slice(b"Z\"");
}

fn decimal(unscaled: i128, scale: u8, out: &mut Vec<u8>) {
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = unscaled.unsigned_abs().to_string();
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    text(out, format_args!("{sign}{whole}{point}{fraction}"));
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
