//! Avro records as `apache-avro` writes them.

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

/// The header by which Confluent's serializers name a record's schema.
pub const SCHEMA_HEADER: &str = "__value_schema_id";

/// A record's bytes, without anything before them.
pub fn datum(schema: &Schema, fields: Vec<(&'static str, Value)>) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    writer.write_value_to_vec(record(fields)).unwrap()
}

pub fn record(fields: Vec<(&'static str, Value)>) -> Value {
    let fields = fields.into_iter();
    Value::Record(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

pub fn map(entries: Vec<(&'static str, Value)>) -> Value {
    let entries = entries.into_iter();
    Value::Map(
        entries
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

/// The branch of a union at this place.
pub fn branch(at: u32, value: Value) -> Value {
    Value::Union(at, value.into())
}

/// 0 and the schema's number: before a record, or in its header.
pub fn number(id: u32) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes()].concat()
}

/// A record with the number of its schema before it.
pub fn framed(id: u32, bytes: &[u8]) -> Vec<u8> {
    [&number(id), bytes].concat()
}
