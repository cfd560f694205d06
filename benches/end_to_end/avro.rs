//! Events as Avro: a record type for each table, with the events' own field names.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use alluvium::decode::avro::{Encoding, Found, Schema, SchemaId, Schemas};

use crate::data::avro::{write_long, write_value};
use crate::data::{Event, Value};
use crate::support::avro::number;
use crate::support::registry::Registry;

/// Fields that some events lack.
const NULLABLE: [&str; 3] = ["referrer", "price", "campaign"];

/// The types of fields that any event may lack: what an event that has none of them would not tell.
fn kind(name: &str, value: Option<&Value>) -> &'static str {
    match (name, value) {
        ("_time", _) => r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        ("price", _) | (_, Some(Value::Double(_))) => r#""double""#,
        (_, Some(Value::Long(_))) => r#""long""#,
        (_, Some(Value::Bool(_))) => r#""boolean""#,
        (_, Some(Value::Text(_)) | None) => r#""string""#,
    }
}

/// The schema of an event's table.
pub(crate) fn schema(event: &Event) -> String {
    let mut fields = String::new();
    for (name, value) in &event.fields {
        let kind = kind(name, value.as_ref());
        let comma = if fields.is_empty() { "" } else { "," };
        let written = if NULLABLE.contains(name) {
            write!(
                fields,
                r#"{comma}{{"name":"{name}","type":["null",{kind}],"default":null}}"#
            )
        } else {
            write!(fields, r#"{comma}{{"name":"{name}","type":{kind}}}"#)
        };
        written.expect("text");
    }
    let table = &event.table;
    format!(r#"{{"type":"record","name":"{table}","fields":[{fields}]}}"#)
}

/// What stands before a record.
pub(crate) enum Frame {
    /// C3 01 and the schema's fingerprint.
    Fingerprint,
    /// 0 and the number that the registry gives to the schema.
    Registered(Registry),
}

/// Writes events, each with the frame of its table's schema.
pub(crate) struct Writer {
    frame: Frame,
    frames: HashMap<String, Vec<u8>>,
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(frame: Frame) -> Self {
        Self {
            frame,
            frames: HashMap::new(),
            out: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, event: &Event) -> &[u8] {
        self.out.clear();
        if !self.frames.contains_key(&event.table) {
            let frame = self.frame_of(event);
            self.frames.insert(event.table.clone(), frame);
        }
        self.out.extend(&self.frames[&event.table]);
        for (name, value) in &event.fields {
            match (NULLABLE.contains(name), value) {
                (true, None) => write_long(0, &mut self.out),
                (true, Some(value)) => {
                    write_long(1, &mut self.out);
                    write_value(value, &mut self.out);
                }
                (false, value) => {
                    write_value(
                        value.as_ref().expect("a field of all events"),
                        &mut self.out,
                    );
                }
            }
        }
        &self.out
    }

    fn frame_of(&self, event: &Event) -> Vec<u8> {
        let text = schema(event);
        match &self.frame {
            Frame::Fingerprint => {
                let schema = Schema::parse(&text, &[]).expect("a schema");
                [&[0xC3, 1][..], &schema.fingerprint().to_le_bytes()].concat()
            }
            Frame::Registered(registry) => {
                // The same text gets the same number each time.
                let subject = format!("bench-{}-{}", event.fields.len(), event.table);
                number(registry.register(&subject, "AVRO", &text, &[]))
            }
        }
    }
}

/// Schemas that are at hand, so that decoding alone waits for nobody.
#[derive(Debug)]
pub(crate) struct Known(HashMap<SchemaId, Arc<Schema>>);

impl Known {
    pub(crate) fn new(texts: impl Iterator<Item = String>, encoding: Encoding) -> Self {
        let registry = (encoding == Encoding::Confluent).then(Registry::shared);
        let known = texts.map(|text| {
            let schema = Schema::parse(&text, &[]).expect("a schema");
            let id = match &registry {
                None => SchemaId::Fingerprint(schema.fingerprint()),
                Some(registry) => {
                    SchemaId::Number(registry.register("bench-known", "AVRO", &text, &[]))
                }
            };
            (id, Arc::new(schema))
        });
        Self(known.collect())
    }
}

impl Schemas for Known {
    fn find(&self, id: SchemaId) -> Found {
        Found::Schema(self.0[&id].clone())
    }
}
