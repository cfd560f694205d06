//! Avro: records of a schema with every kind of type, schemas themselves, containers, and the original's records.

use std::sync::Arc;

use alluvium::decode::avro::rakam::{Column, ColumnKind, Columns, RakamDecoder, RakamSettings};
use alluvium::awaited::NotYet;
use alluvium::decode::avro::{
    AvroDecoder, AvroSettings, Collection, Encoding, Found, Schema, SchemaId, Schemas,
};
use alluvium::record::Row;

const EVERY_KIND: &str = r#"{"type":"record","name":"R","fields":[
    {"name":"t","type":"string"},{"name":"i","type":["null","int","string"]},{"name":"l","type":"long"},
    {"name":"d","type":["null","double"]},{"name":"b","type":"bytes"},{"name":"o","type":"boolean"},
    {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
    {"name":"x","type":{"type":"fixed","name":"F","size":3}},
    {"name":"n","type":{"type":"array","items":"null"}},
    {"name":"a","type":{"type":"array","items":{"type":"map","values":{"type":"array","items":["null","long"]}}}},
    {"name":"p","type":{"type":"bytes","logicalType":"decimal","precision":30,"scale":2}},
    {"name":"r","type":["null",{"type":"record","name":"In","fields":[{"name":"y","type":"float"},{"name":"z","type":"string"}]}]}]}"#;

const READER: &str = r#"{"type":"record","name":"R","fields":[
    {"name":"l","type":"double"},{"name":"a2","aliases":["a"],"type":["null",{"type":"array","items":
    {"type":"map","values":{"type":"array","items":["null","double"]}}}]},{"name":"new","type":"string","default":"x"}]}"#;

#[derive(Debug)]
struct Shelf(Found);

impl Schemas for Shelf {
    fn find(&self, _: SchemaId) -> Found {
        self.0.clone()
    }
}

fn parsed(text: &str) -> Arc<Schema> {
    Arc::new(Schema::parse(text, &[]).expect("a schema"))
}

fn decoder(encoding: Encoding, writer: Arc<Schema>, reader: Option<&str>) -> AvroDecoder {
    AvroDecoder::new(AvroSettings {
        encoding,
        project: "default".into(),
        collection: Collection::Topic,
        reader: reader.map(parsed),
        schemas: Arc::new(Shelf(Found::Schema(writer))),
        max_bytes: 1 << 20,
    })
}

/// Looks at everything a row has.
fn look(row: &Row<'_>) {
    let text = format!("{row:?}");
    let fields = row.fields().len();
    assert!(!text.is_empty() && fields <= 4096);
}

/// A record, as it was written and as another would read it: a row of the same fields each time, or none.
pub fn record(input: &[u8]) {
    let payload = [&[0; 5], input].concat();
    let mut written = decoder(Encoding::Confluent, parsed(EVERY_KIND), None);
    let mut read = decoder(Encoding::Confluent, parsed(EVERY_KIND), Some(READER));
    if let Ok(row) = written.decode("topic", Some(&payload), None) {
        look(&row);
        assert_eq!(row.fields().len(), 12);
        let row = read
            .decode("topic", Some(&payload), None)
            .expect("what can be read can be resolved");
        assert_eq!(row.fields().len(), 3);
    }
}

/// The first line is a schema, the rest a record of it.
pub fn schema(input: &[u8]) {
    let (text, body) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[][..]),
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let Ok(schema) = Schema::parse(text, &[]) else {
        return;
    };
    let mut decoder = decoder(Encoding::Confluent, Arc::new(schema), Some(READER));
    let payload = [&[0; 5], body].concat();
    if let Ok(row) = decoder.decode("topic", Some(&payload), None) {
        look(&row);
    }
}

/// A container: all its rows, or none.
pub fn container(input: &[u8]) {
    let mut decoder = decoder(Encoding::Container, parsed(EVERY_KIND), None);
    if decoder.decode("topic", Some(input), None).is_ok() {
        while let Some(row) = decoder.more("topic") {
            look(&row.expect("checked before the first was given"));
        }
    } else {
        assert!(decoder.more("topic").is_none());
    }
}

#[derive(Debug)]
struct Known(Arc<[Column]>);

impl Columns for Known {
    fn of(&self, _: &str, collection: &str, _: usize) -> Result<Option<Arc<[Column]>>, NotYet> {
        Ok((collection != "none").then(|| self.0.clone()))
    }
}

/// A record of the original's, by itself and as a bulk object.
pub fn rakam(input: &[u8]) {
    let column = |name: &str, kind| Column {
        name: name.into(),
        kind,
    };
    let columns = [
        column("_shard_time", ColumnKind::Timestamp),
        column("t", ColumnKind::Text),
        column("l", ColumnKind::Long),
        column("d", ColumnKind::Double),
        column(
            "m",
            ColumnKind::Map(ColumnKind::Array(ColumnKind::Date.into()).into()),
        ),
    ];
    let mut decoder = RakamDecoder::new(RakamSettings {
        columns: Arc::new(Known(columns.into())),
        checkpoint: "_shard_time".into(),
        max_bytes: 1 << 20,
    });
    if let Ok(row) = decoder.kafka("p.c", Some(input)) {
        look(&row);
        assert_eq!(row.fields().len(), 4);
    }
    let _ = decoder.kinesis("p|c", Some(input)).map(|row| look(&row));
    let mut bulk = decoder.bulk(input);
    // Rows may take no bytes at all.
    for _ in 0..100_000 {
        match bulk.next_row() {
            Some(Ok(row)) => assert_eq!(row.fields().len(), 4),
            Some(Err(_)) | None => break,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_and_what_is_near_them() {
        let mut state = 1u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let kinds: [(&str, fn(&[u8])); 4] = [
            ("avro_record", super::record),
            ("avro_schema", super::schema),
            ("avro_container", super::container),
            ("avro_rakam", super::rakam),
        ];
        for (name, run) in kinds {
            for file in std::fs::read_dir(format!("seeds/{name}")).unwrap() {
                let seed = std::fs::read(file.unwrap().path()).unwrap();
                run(&seed);
                for _ in 0..2000 {
                    let mut input = seed.clone();
                    for _ in 0..1 + random() % 4 {
                        let at = random() as usize % input.len().max(1);
                        match random() % 3 {
                            0 if !input.is_empty() => input[at] = random() as u8,
                            1 => input.truncate(at),
                            _ => input.insert(at, random() as u8),
                        }
                    }
                    run(&input);
                }
            }
        }
    }
}
