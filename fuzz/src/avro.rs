//! Avro: records of a schema with every kind of type, schemas themselves, containers, and the original's records. Every row goes
//! into a table's columns.

use std::io::Read;
use std::sync::{Arc, LazyLock};

use alluvium::awaited::{NotYet, Objects as Bucket, ReadObject, Unopened};
use alluvium::decode::avro::rakam::{
    Carrier, Column, ColumnKind, Columns, RakamDecoder, RakamSettings,
};
use alluvium::decode::avro::{
    AvroDecoder, AvroSettings, Collection, Encoding, Found, Schema, SchemaId, Schemas,
};
use alluvium::record::Row;
use alluvium::table::{Objects, TableBuilder};

use crate::columns;

const EVERY_KIND: &str = r#"{"type":"record","name":"R","fields":[
    {"name":"t","type":"string"},{"name":"i","type":["null","int","string"]},{"name":"l","type":"long"},
    {"name":"d","type":["null","double"]},{"name":"b","type":"bytes"},{"name":"o","type":"boolean"},
    {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
    {"name":"x","type":{"type":"fixed","name":"F","size":3}},
    {"name":"n","type":{"type":"array","items":"null"}},
    {"name":"a","type":{"type":"array","items":{"type":"map","values":{"type":"array","items":["null","long"]}}}},
    {"name":"p","type":{"type":"bytes","logicalType":"decimal","precision":30,"scale":2}},
    {"name":"r","type":["null",{"type":"record","name":"In","fields":[{"name":"y","type":"float"},{"name":"z","type":"string"}]}]},
    {"name":"ts","type":["null",{"type":"long","logicalType":"timestamp-millis"}]},
    {"name":"tu","type":{"type":"long","logicalType":"timestamp-nanos"}},
    {"name":"day","type":{"type":"int","logicalType":"date"}},
    {"name":"tm","type":{"type":"int","logicalType":"time-millis"}},
    {"name":"id","type":["null",{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}]},
    {"name":"fd","type":{"type":"array","items":{"type":"fixed","name":"D","size":2,"logicalType":"decimal","precision":4,"scale":1}}},
    {"name":"many","type":["null","boolean","double","string","bytes","E",{"type":"map","values":"In"},{"type":"array","items":["null","In","F"]}]}]}"#;

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

/// Parsed once: that takes longer than all the rest.
static WRITTEN: LazyLock<Arc<Schema>> = LazyLock::new(|| parsed(EVERY_KIND));
static WANTED: LazyLock<Arc<Schema>> = LazyLock::new(|| parsed(READER));

fn parsed(text: &str) -> Arc<Schema> {
    Arc::new(Schema::parse(text, &[]).expect("a schema"))
}

fn decoder(encoding: Encoding, writer: Arc<Schema>, reader: Option<Arc<Schema>>) -> AvroDecoder {
    AvroDecoder::new(AvroSettings {
        encoding,
        project: "default".into(),
        collection: Collection::Topic,
        reader,
        schemas: Arc::new(Shelf(Found::Schema(writer))),
        max_bytes: 1 << 20,
    })
}

/// Rows that become a batch, as a worker's do: a container may have many.
const BATCH: usize = 4096;

/// A table, and how many rows it must have.
struct Rows(TableBuilder, usize);

impl Rows {
    fn new(objects: Objects) -> Self {
        Self(TableBuilder::new(&columns(objects), 0), 0)
    }

    /// Looks at everything a row has, and appends it.
    fn take(&mut self, row: &Row<'_>) {
        let text = format!("{row:?}");
        let fields = row.fields().len();
        assert!(!text.is_empty() && fields <= 4096);
        self.0.append(row);
        self.1 += 1;
        if self.1 == BATCH {
            self.batch();
        }
    }

    fn batch(&mut self) {
        assert_eq!(self.0.finish().num_rows(), std::mem::take(&mut self.1));
    }

    fn end(mut self) {
        self.batch();
    }
}

/// A record, as it was written and as another would read it: a row of the same fields each time, or none.
pub fn record(input: &[u8]) {
    let payload = [&[0; 5], input].concat();
    let mut written = decoder(Encoding::Confluent, WRITTEN.clone(), None);
    let Ok(row) = written.decode("topic", Some(&payload), None) else {
        return;
    };
    assert_eq!(row.fields().len(), 19);
    let mut rows = Rows::new(Objects::Struct);
    rows.take(&row);
    rows.end();
    let mut read = decoder(Encoding::Confluent, WRITTEN.clone(), Some(WANTED.clone()));
    let row = read
        .decode("topic", Some(&payload), None)
        .expect("what can be read can be resolved");
    assert_eq!(row.fields().len(), 3);
    let mut rows = Rows::new(Objects::Map);
    rows.take(&row);
    rows.end();
}

/// The first line is a writer's schema, the second may be a reader's, the rest is a record.
pub fn schema(input: &[u8]) {
    let (text, rest) = line(input);
    let Some(writer) = schema_of(text) else {
        return;
    };
    let (text, body) = line(rest);
    let (reader, body) = match schema_of(text) {
        Some(reader) => (reader, body),
        None => (WANTED.clone(), rest),
    };
    let payload = [&[0; 5], body].concat();
    for (reader, objects) in [(None, Objects::Struct), (Some(reader), Objects::Text)] {
        let mut decoder = decoder(Encoding::Confluent, writer.clone(), reader);
        if let Ok(row) = decoder.decode("topic", Some(&payload), None) {
            let mut rows = Rows::new(objects);
            rows.take(&row);
            rows.end();
        }
    }
}

/// What comes before the first line's end, and what comes after it.
fn line(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[]),
    }
}

fn schema_of(text: &[u8]) -> Option<Arc<Schema>> {
    let text = std::str::from_utf8(text).ok()?;
    Schema::parse(text, &[]).ok().map(Arc::new)
}

/// A container: all its rows, or none.
pub fn container(input: &[u8]) {
    let mut decoder = decoder(Encoding::Container, WRITTEN.clone(), None);
    let mut rows = Rows::new(Objects::Struct);
    match decoder.decode("topic", Some(input), None) {
        Ok(row) => rows.take(&row),
        Err(_) => {
            assert!(decoder.more("topic").is_none());
            return;
        }
    }
    while let Some(row) = decoder.more("topic") {
        rows.take(&row.expect("checked before the first was given"));
    }
    rows.end();
}

#[derive(Debug)]
struct Known(Arc<[Column]>);

impl Columns for Known {
    fn of(&self, _: &str, collection: &str, _: usize) -> Result<Option<Arc<[Column]>>, NotYet> {
        Ok((collection != "none").then(|| self.0.clone()))
    }
}

/// Reads records of the original's.
fn rakam_decoder(carrier: Carrier) -> RakamDecoder {
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
        column("b", ColumnKind::Bytes),
        column("tm", ColumnKind::Time),
        column("o", ColumnKind::Boolean),
    ];
    RakamDecoder::new(RakamSettings {
        carrier,
        columns: Arc::new(Known(columns.into())),
        checkpoint: "_shard_time".into(),
        max_bytes: 1 << 20,
    })
}

/// A record of the original's, by itself and as a bulk object.
pub fn rakam(input: &[u8]) {
    let mut decoder = rakam_decoder(Carrier::Kafka);
    let mut rows = Rows::new(Objects::Map);
    if let Ok(row) = decoder.kafka("p.c", Some(input)) {
        assert_eq!(row.fields().len(), 7);
        rows.take(&row);
    }
    if let Ok(row) = decoder.kinesis("p|c", Some(input)) {
        rows.take(&row);
    }
    let mut bulk = decoder.bulk(input);
    // Rows may take no bytes at all.
    for n in 0..100_000 {
        match bulk.next_row() {
            Some(Ok(row)) if n < 1000 => rows.take(&row),
            Some(Ok(row)) => assert_eq!(row.fields().len(), 7),
            Some(Err(_)) | None => break,
        }
    }
    rows.end();
}

/// The one object that records point to, which comes a few bytes at a time.
#[derive(Clone, Debug)]
struct Dribbling {
    bytes: Arc<[u8]>,
    at: usize,
    step: usize,
}

impl Bucket for Dribbling {
    fn open(&self, _: &str, _: u64) -> Result<Box<dyn ReadObject>, Unopened> {
        Ok(Box::new(self.clone()))
    }

    fn done(&self, _: &str) {}
}

impl Read for Dribbling {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let left = self.bytes.get(self.at..).unwrap_or_default();
        let read = left.take(self.step as u64).read(to)?;
        self.at += read;
        Ok(read)
    }
}

impl ReadObject for Dribbling {}

/// Rows of a bulk object before reading ends, and whether it has ended well.
fn pointed(groups: &[u8], times: usize, step: usize) -> (usize, bool) {
    // Behind the project's name.
    let bytes = [&b"\x02p"[..], &groups.repeat(times)].concat();
    let objects = Dribbling {
        bytes: bytes.into(),
        at: 0,
        step,
    };
    let mut decoder = rakam_decoder(Carrier::Kinesis {
        objects: Some(Arc::new(objects)),
    });
    let pointer = [&[3][..], &0u64.to_be_bytes(), b"key"].concat();
    let mut rows = Rows::new(Objects::Map);
    let mut count = 0;
    match decoder.kinesis("p|c", Some(&pointer)) {
        Ok(row) => rows.take(&row),
        Err(_) => return (0, false),
    }
    let mut well = true;
    loop {
        count += 1;
        match decoder.more() {
            Some(Ok(row)) if count < 1000 => rows.take(&row),
            Some(Ok(row)) => assert_eq!(row.fields().len(), 7),
            ended => {
                well &= ended.is_none();
                break;
            }
        }
    }
    decoder.done();
    rows.end();
    (count, well)
}

/// The tables of a bulk object, to which a record of a stream points. Many times behind each other they are so many times the rows, however
/// the object comes.
pub fn bulk(input: &[u8]) {
    let Some(([often, step], groups)) = input.split_first_chunk::<2>() else {
        return;
    };
    let (times, step) = (1 + usize::from(*often), 1 + usize::from(*step) * 64);
    let (rows, well) = pointed(groups, 1, usize::MAX >> 1);
    // Beyond that many, rows without a column are refused.
    if well && rows * times <= 65_536 {
        assert_eq!(pointed(groups, times, step), (rows * times, true));
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
        let kinds: [(&str, fn(&[u8])); 5] = [
            ("avro_record", super::record),
            ("avro_schema", super::schema),
            ("avro_container", super::container),
            ("avro_rakam", super::rakam),
            ("avro_bulk", super::bulk),
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
