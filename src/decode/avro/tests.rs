use std::collections::BTreeMap;

use apache_avro::Schema as Parsed;
use apache_avro::types::Value as Theirs;

use super::*;
use crate::record::{Items, Nested, Value};

mod oracle;
mod records;
mod resolution;
mod vectors;

/// A value of either side, to compare.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    Long(i64),
    /// By its bits: not a number is equal to itself.
    Double(u64),
    Text(String),
    Bytes(Vec<u8>),
    Date(i32),
    Time(i64),
    Millis(i64),
    Micros(i64),
    Decimal(i128, u8),
    List(Vec<Plain>),
    Object(BTreeMap<String, Plain>),
    Map(BTreeMap<String, Plain>),
}

pub(super) fn plain(value: &Value<'_>) -> Plain {
    match value {
        Value::Null => Plain::Null,
        Value::Bool(value) => Plain::Bool(*value),
        Value::Long(value) => Plain::Long(*value),
        Value::Double(value) => Plain::Double(value.to_bits()),
        Value::Str { text, .. } => Plain::Text((*text).to_owned()),
        Value::Bytes(bytes) => Plain::Bytes(bytes.to_vec()),
        Value::Date(days) => Plain::Date(*days),
        Value::Time(micros) => Plain::Time(*micros),
        Value::Millis(value) => Plain::Millis(*value),
        Value::Micros(value) => Plain::Micros(*value),
        Value::Decimal { unscaled, scale } => Plain::Decimal(*unscaled, *scale),
        Value::List(nested) => {
            Plain::List(items(*nested).map(|(_, value)| plain(&value)).collect())
        }
        Value::Object(nested) => Plain::Object(named(*nested)),
        Value::Map(nested) => Plain::Map(named(*nested)),
        other => panic!("no value of Avro: {other:?}"),
    }
}

fn named(nested: Nested<'_>) -> BTreeMap<String, Plain> {
    items(nested)
        .map(|(name, value)| (name.to_owned(), plain(&value)))
        .collect()
}

fn items(nested: Nested<'_>) -> Items<'_> {
    nested.items().expect("items are kept")
}

/// A row's fields, each once.
pub(super) fn fields(row: &Row<'_>) -> Plain {
    let mut fields = BTreeMap::new();
    for field in row.fields() {
        let before = fields.insert(field.name.to_owned(), plain(&field.value));
        assert_eq!(before, None, "{} twice", field.name);
    }
    Plain::Object(fields)
}

/// Schemas by their numbers.
#[derive(Debug, Default)]
pub(super) struct Shelf(HashMap<SchemaId, Found>);

impl Shelf {
    pub(super) fn with(mut self, id: SchemaId, text: &str) -> Self {
        let schema = Schema::parse(text, &[]).unwrap_or_else(|bad| panic!("{text}: {bad}"));
        self.0.insert(id, Found::Schema(Arc::new(schema)));
        self
    }
}

impl Schemas for Shelf {
    fn find(&self, id: SchemaId) -> Found {
        self.0
            .get(&id)
            .cloned()
            .unwrap_or(Found::NotYet(NotYet::Asked))
    }
}

pub(super) fn settings(schemas: Shelf, reader: Option<&str>) -> AvroSettings {
    AvroSettings {
        encoding: Encoding::Confluent,
        project: "P".into(),
        collection: Collection::Topic,
        reader: reader.map(|text| {
            Arc::new(Schema::parse(text, &[]).unwrap_or_else(|bad| panic!("{text}: {bad}")))
        }),
        schemas: Arc::new(schemas),
        max_bytes: 1 << 20,
    }
}

/// Records of one schema, which has number 1.
pub(super) fn decoder(writer: &str, reader: Option<&str>) -> AvroDecoder {
    AvroDecoder::new(settings(
        Shelf::default().with(SchemaId::Number(1), writer),
        reader,
    ))
}

pub(super) fn framed(body: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 1], body].concat()
}

/// As `apache-avro` writes it.
pub(super) fn written(schema: &str, value: Theirs) -> Vec<u8> {
    let schema = Parsed::parse_str(schema).unwrap();
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema)
        .build()
        .unwrap();
    writer.write_value_to_vec(value).unwrap()
}

pub(super) fn bad(decoder: &mut AvroDecoder, payload: &[u8]) -> BadRecord {
    match decoder.decode("t", Some(payload), None) {
        Err(Failure::Bad(bad)) => bad,
        other => panic!("{other:?}"),
    }
}
