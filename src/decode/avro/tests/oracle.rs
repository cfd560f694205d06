//! Random schemas and values: what we read is what `apache-avro` reads, with a reader's schema and without.

use apache_avro::reader::datum::GenericDatumReader;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

mod kinds;

use self::kinds::{SCALE, Text, default, kinds, record, value};

/// A value of theirs, as ours would be.
pub(super) fn theirs(value: Theirs) -> Plain {
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
        Theirs::Decimal(decimal) => {
            let bytes = Vec::try_from(&decimal).unwrap();
            let start: i128 = if bytes[0] >= 0x80 { -1 } else { 0 };
            let fold = |value, byte: &u8| value << 8 | i128::from(*byte);
            Plain::Decimal(bytes.iter().fold(start, fold), SCALE)
        }
        Theirs::Uuid(uuid) => Plain::Text(uuid.to_string()),
        Theirs::Duration(duration) => Plain::Bytes(<[u8; 12]>::from(duration).to_vec()),
        other => panic!("not made here: {other:?}"),
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

/// Where in a schema the records without a namespace are.
fn records_of(schema: &Json, at: &str, found: &mut Vec<String>) {
    match schema {
        Json::Object(parts) => {
            let name = parts.get("name").and_then(Json::as_str).unwrap_or("R.");
            if parts.contains_key("fields") && !name.contains('.') {
                found.push(at.to_owned());
            }
            for (key, part) in parts {
                records_of(part, &format!("{at}/{key}"), found);
            }
        }
        Json::Array(parts) => {
            for (key, part) in parts.iter().enumerate() {
                records_of(part, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
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
        let text = Text::default().schema(&kind, "").to_string();
        let parsed = Parsed::parse_str(&text).unwrap();
        let datum = value(&kind, &mut random.iter().copied().cycle());
        let bytes = written(&text, datum.clone());
        let mut ours = decoder(&text, None);
        prop_assert_eq!(read_by_ours(&mut ours, &bytes), Ok(theirs(datum)), "{}", text);
        prop_assert_eq!(read_by_theirs(&parsed, None, &bytes), read_by_ours(&mut ours, &bytes));

        let reader = |aliases| {
            let mut text = Text::reader(aliases);
            text.wanted(&kind, "", &mut choices.iter().copied()).to_string()
        };
        let read = Parsed::parse_str(&reader(false)).unwrap();
        let mut ours = decoder(&text, Some(&reader(false)));
        // Messages differ; that there is one must not.
        let expected = read_by_theirs(&parsed, Some(&read), &bytes).map_err(drop);
        let found = read_by_ours(&mut ours, &bytes);
        prop_assert_eq!(&found.clone().map_err(drop), &expected, "{:?} {} as {}", found, text, reader(false));
        // apache-avro does not know fields by their aliases; the names must be all that differs.
        let mut ours = decoder(&text, Some(&reader(true)));
        let found = read_by_ours(&mut ours, &bytes);
        prop_assert_eq!(found.clone().map(renamed).map_err(drop), expected, "{:?} {} as {}", found, text, reader(true));
    }

    /// Not against apache-avro, which takes the characters in defaults of bytes for UTF-8.
    #[test]
    fn defaults_of_every_type_are_what_the_specification_says(
        fields in prop::collection::vec(kinds(), 1..8),
        random in prop::collection::vec(any::<u64>(), 128),
    ) {
        let mut random = random.iter().copied().cycle();
        let (mut text, mut wanted, mut expected) = (Text::reader(false), Vec::new(), BTreeMap::new());
        for (at, kind) in fields.iter().enumerate() {
            let (json, plain) = default(kind, &mut random);
            let of = text.schema(kind, &at.to_string());
            wanted.push(json!({"name": format!("d{at}"), "type": of, "default": json}));
            expected.insert(format!("d{at}"), plain);
        }
        let reader = json!({"type": "record", "name": "R", "fields": wanted}).to_string();
        let mut ours = decoder(r#"{"type":"record","name":"R","fields":[]}"#, Some(&reader));
        prop_assert_eq!(read_by_ours(&mut ours, &[]), Ok(Plain::Object(expected)), "{}", reader);
    }

    /// Wherever in a schema it is named again.
    #[test]
    fn a_record_within_itself_is_refused(kind in record(), at in any::<prop::sample::Index>(), way in 0..4u8) {
        let mut schema = Text::default().schema(&kind, "");
        let mut records = Vec::new();
        records_of(&schema, "", &mut records);
        let again = match way {
            0 => json!("R"),
            1 => json!(["null", "R"]),
            2 => json!({"type": "array", "items": "R"}),
            _ => json!({"type": "map", "values": ["null", "R"]}),
        };
        let pointer = &records[at.index(records.len())];
        let fields = schema.pointer_mut(&format!("{pointer}/fields")).unwrap();
        fields.as_array_mut().unwrap().push(json!({"name": "again", "type": again}));
        let why = Schema::parse(&schema.to_string(), &[]).unwrap_err().to_string();
        prop_assert!(why.contains("contains its own record R: recursive types have no columns"), "{}: {}", schema, why);
        prop_assert!(why.contains("again"), "{}", why);
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
        let text = Text::default().schema(&kind, "").to_string();
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
