//! Random schemas and values: what we read is what `apache-avro` reads, with a reader's schema and without.

use apache_avro::reader::datum::GenericDatumReader;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// A value of theirs, as ours would be.
fn theirs(value: Theirs) -> Plain {
    match value {
        Theirs::Null => Plain::Null,
        Theirs::Boolean(value) => Plain::Bool(value),
        Theirs::Int(value) => Plain::Long(value.into()),
        Theirs::Long(value) => Plain::Long(value),
        Theirs::Float(value) => Plain::Double(f64::from(value).to_bits()),
        Theirs::Double(value) => Plain::Double(value.to_bits()),
        Theirs::Bytes(bytes) | Theirs::Fixed(_, bytes) => Plain::Bytes(bytes),
        Theirs::String(text) | Theirs::Enum(_, text) => Plain::Text(text),
        Theirs::Union(_, value) => theirs(*value),
        Theirs::Array(items) => Plain::List(items.into_iter().map(theirs).collect()),
        Theirs::Map(entries) => Plain::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key, theirs(value)))
                .collect(),
        ),
        Theirs::Record(fields) => Plain::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name, theirs(value)))
                .collect(),
        ),
        Theirs::Date(days) => Plain::Date(days),
        Theirs::TimeMillis(millis) => Plain::Time(i64::from(millis) * 1000),
        Theirs::TimeMicros(micros) => Plain::Time(micros),
        Theirs::TimestampMillis(value) | Theirs::LocalTimestampMillis(value) => {
            Plain::Millis(value)
        }
        Theirs::TimestampMicros(value) | Theirs::LocalTimestampMicros(value) => {
            Plain::Micros(value)
        }
        Theirs::TimestampNanos(value) | Theirs::LocalTimestampNanos(value) => {
            Plain::Micros(value.div_euclid(1000))
        }
        other => panic!("not made here: {other:?}"),
    }
}

/// A schema without names, and how to write a value of it from random bytes.
#[derive(Clone, Debug)]
enum Kind {
    Plain(&'static str),
    Logical(&'static str, &'static str),
    Symbols(usize),
    Fixed(usize),
    Array(Box<Kind>),
    Map(Box<Kind>),
    Nullable(Box<Kind>),
    Record(Vec<Kind>),
}

const PLAIN: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];
const LOGICAL: [(&str, &str); 8] = [
    ("int", "date"),
    ("int", "time-millis"),
    ("long", "time-micros"),
    ("long", "timestamp-millis"),
    ("long", "timestamp-micros"),
    ("long", "timestamp-nanos"),
    ("long", "local-timestamp-millis"),
    ("long", "local-timestamp-micros"),
];

fn kinds() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        6 => prop::sample::select(&PLAIN[..]).prop_map(Kind::Plain),
        2 => prop::sample::select(&LOGICAL[..]).prop_map(|(kind, logical)| Kind::Logical(kind, logical)),
        1 => (1usize..4).prop_map(Kind::Symbols),
        1 => (0usize..5).prop_map(Kind::Fixed),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            inner.clone().prop_map(|kind| Kind::Array(kind.into())),
            inner.clone().prop_map(|kind| Kind::Map(kind.into())),
            inner.clone().prop_map(|kind| match kind {
                Kind::Plain("null") | Kind::Nullable(_) => kind,
                kind => Kind::Nullable(kind.into()),
            }),
            prop::collection::vec(inner, 0..5).prop_map(Kind::Record),
        ]
    })
}

fn record() -> impl Strategy<Value = Kind> {
    prop::collection::vec(kinds(), 0..8).prop_map(Kind::Record)
}

/// Names are made unique by `path`.
fn schema(kind: &Kind, path: &str) -> Json {
    match kind {
        Kind::Plain(name) => json!(name),
        Kind::Logical(kind, logical) => json!({"type": kind, "logicalType": logical}),
        Kind::Symbols(symbols) => {
            let symbols: Vec<_> = (0..*symbols).map(|at| format!("S{at}")).collect();
            json!({"type": "enum", "name": format!("E{path}"), "symbols": symbols})
        }
        Kind::Fixed(size) => json!({"type": "fixed", "name": format!("F{path}"), "size": size}),
        Kind::Array(items) => {
            json!({"type": "array", "items": schema(items, &format!("{path}_a"))})
        }
        Kind::Map(values) => json!({"type": "map", "values": schema(values, &format!("{path}_m"))}),
        Kind::Nullable(kind) => json!(["null", schema(kind, &format!("{path}_n"))]),
        Kind::Record(fields) => {
            let fields = fields.iter().enumerate().map(|(at, kind)| {
                json!({"name": format!("f{at}"), "type": schema(kind, &format!("{path}_{at}"))})
            });
            json!({"type": "record", "name": format!("R{path}"), "fields": fields.collect::<Vec<_>>()})
        }
    }
}

/// The same record as a later version of its program would read it: numbers wider, some fields gone, new, or called `g…` with an
/// alias if `aliases` says so.
fn reader_of(
    writer: &Kind,
    path: &str,
    aliases: bool,
    choices: &mut impl Iterator<Item = u8>,
) -> Json {
    let choice = choices.next().unwrap_or(0);
    match writer {
        Kind::Plain("int") => json!(["int", "long", "double"][usize::from(choice % 3)]),
        Kind::Plain("long") => json!(["long", "double"][usize::from(choice % 2)]),
        Kind::Plain("float") => json!(["float", "double"][usize::from(choice % 2)]),
        Kind::Array(items) => {
            json!({"type": "array", "items": reader_of(items, &format!("{path}_a"), aliases, choices)})
        }
        Kind::Map(values) => {
            json!({"type": "map", "values": reader_of(values, &format!("{path}_m"), aliases, choices)})
        }
        Kind::Nullable(kind) => json!([
            "null",
            reader_of(kind, &format!("{path}_n"), aliases, choices)
        ]),
        Kind::Record(fields) => {
            let mut read = Vec::new();
            for (at, kind) in fields.iter().enumerate() {
                let inner = reader_of(kind, &format!("{path}_{at}"), aliases, choices);
                match choices.next().unwrap_or(0) % 6 {
                    0 => {}
                    1 if aliases => read.push(json!({"name": format!("g{at}"), "aliases": [format!("f{at}")], "type": inner})),
                    _ => read.push(json!({"name": format!("f{at}"), "type": inner})),
                }
            }
            if choice.is_multiple_of(2) {
                read.push(json!({"name": "added", "type": "string", "default": "new"}));
                read.push(json!({"name": "none", "type": ["null", "long"], "default": null}));
            }
            if choice.is_multiple_of(3) {
                read.reverse();
            }
            json!({"type": "record", "name": format!("R{path}"), "fields": read})
        }
        kind => schema(kind, path),
    }
}

/// A value of the schema, made of random bytes.
fn value(kind: &Kind, random: &mut impl Iterator<Item = u64>) -> Theirs {
    let mut next = || random.next().unwrap_or(0);
    match kind {
        Kind::Plain(name) => match *name {
            "null" => Theirs::Null,
            "boolean" => Theirs::Boolean(next() % 2 == 0),
            "int" => Theirs::Int(next() as i32),
            "long" => Theirs::Long(next() as i64 >> (next() % 64)),
            "float" => Theirs::Float(next() as i32 as f32 / 7.0),
            "double" => Theirs::Double(f64::from_bits(next())),
            "bytes" => Theirs::Bytes(next().to_le_bytes()[..next() as usize % 9].to_vec()),
            _ => Theirs::String(
                "aé€𝄞\"\\\0"
                    .chars()
                    .cycle()
                    .skip(next() as usize % 7)
                    .take(next() as usize % 9)
                    .collect(),
            ),
        },
        Kind::Logical(_, logical) => match *logical {
            "date" => Theirs::Date(next() as i32),
            "time-millis" => Theirs::TimeMillis(next() as i32 % 86_400_000),
            "time-micros" => Theirs::TimeMicros(next() as i64 % 86_400_000_000),
            "timestamp-millis" => Theirs::TimestampMillis(next() as i64),
            "timestamp-micros" => Theirs::TimestampMicros(next() as i64),
            "timestamp-nanos" => Theirs::TimestampNanos(next() as i64),
            "local-timestamp-millis" => Theirs::LocalTimestampMillis(next() as i64),
            _ => Theirs::LocalTimestampMicros(next() as i64),
        },
        Kind::Symbols(symbols) => {
            let at = next() as usize % symbols;
            Theirs::Enum(at as u32, format!("S{at}"))
        }
        Kind::Fixed(size) => Theirs::Fixed(*size, next().to_le_bytes()[..*size].to_vec()),
        Kind::Array(items) => {
            let count = next() % 4;
            Theirs::Array((0..count).map(|_| value(items, random)).collect())
        }
        Kind::Map(values) => {
            let count = next() % 4;
            Theirs::Map(
                (0..count)
                    .map(|at| (format!("k{at}"), value(values, random)))
                    .collect(),
            )
        }
        Kind::Nullable(kind) => match next() % 3 {
            0 => Theirs::Union(0, Theirs::Null.into()),
            _ => Theirs::Union(1, value(kind, random).into()),
        },
        Kind::Record(fields) => {
            let fields = fields.iter().enumerate();
            Theirs::Record(
                fields
                    .map(|(at, kind)| (format!("f{at}"), value(kind, random)))
                    .collect(),
            )
        }
    }
}

/// Fields that are called by an alias under their old names.
fn renamed(value: Plain) -> Plain {
    match value {
        Plain::List(items) => Plain::List(items.into_iter().map(renamed).collect()),
        Plain::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| (name.replace('g', "f"), renamed(value)));
            Plain::Object(fields.collect())
        }
        Plain::Map(entries) => Plain::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key, renamed(value)))
                .collect(),
        ),
        value => value,
    }
}

fn read_by_theirs(writer: &Parsed, reader: Option<&Parsed>, bytes: &[u8]) -> Result<Plain, String> {
    let built = match reader {
        Some(reader) => GenericDatumReader::builder(writer)
            .reader_schema(reader)
            .build(),
        None => GenericDatumReader::builder(writer).build(),
    };
    let value = built.and_then(|built| built.read_value(&mut &*bytes));
    value.map(theirs).map_err(|error| error.to_string())
}

fn read_by_ours(decoder: &mut AvroDecoder, bytes: &[u8]) -> Result<Plain, String> {
    let payload = framed(bytes);
    let row = decoder.decode("t", Some(&payload), None);
    row.map(|row| fields(&row))
        .map_err(|failure| failure.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn records_are_read_as_apache_avro_reads_them(
        kind in record(),
        choices in prop::collection::vec(any::<u8>(), 64),
        random in prop::collection::vec(any::<u64>(), 128),
    ) {
        let text = schema(&kind, "").to_string();
        let parsed = Parsed::parse_str(&text).unwrap();
        let datum = value(&kind, &mut random.iter().copied().cycle());
        let bytes = written(&text, datum.clone());
        let mut ours = decoder(&text, None);
        prop_assert_eq!(read_by_ours(&mut ours, &bytes), Ok(theirs(datum)), "{}", text);
        prop_assert_eq!(read_by_theirs(&parsed, None, &bytes), read_by_ours(&mut ours, &bytes));

        let reader = |aliases| reader_of(&kind, "", aliases, &mut choices.iter().copied()).to_string();
        let read = Parsed::parse_str(&reader(false)).unwrap();
        let mut ours = decoder(&text, Some(&reader(false)));
        let expected = read_by_theirs(&parsed, Some(&read), &bytes);
        prop_assert_eq!(&read_by_ours(&mut ours, &bytes), &expected, "{} as {}", text, reader(false));
        // apache-avro does not know fields by their aliases; the names must be all that differs.
        let mut ours = decoder(&text, Some(&reader(true)));
        prop_assert_eq!(read_by_ours(&mut ours, &bytes).map(renamed), expected, "{} as {}", text, reader(true));
    }

    /// Whatever is done to the bytes: a row or a bad record, and the next one is read as ever.
    #[test]
    fn damaged_records_leave_no_trace(
        kind in record(),
        random in prop::collection::vec(any::<u64>(), 64),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
        cut: bool,
    ) {
        let text = schema(&kind, "").to_string();
        let whole = written(&text, value(&kind, &mut random.iter().copied().cycle()));
        let mut ours = decoder(&text, None);
        let expected = read_by_ours(&mut ours, &whole);
        if !whole.is_empty() {
            let mut damaged = whole.clone();
            let at = at.index(whole.len());
            if cut {
                damaged.truncate(at);
                prop_assert!(read_by_ours(&mut ours, &damaged).is_err());
            } else {
                damaged[at] ^= with;
                let _ = read_by_ours(&mut ours, &damaged);
            }
        }
        prop_assert_eq!(read_by_ours(&mut ours, &whole), expected);
    }
}
