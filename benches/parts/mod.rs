//! The parts of the program that records pass on their way to batches, set up as the program does for the shared events.

#![allow(dead_code, reason = "each benchmark uses its own part")]

pub mod worker;

use std::sync::Arc;

use alluvium::decode::avro::rakam::{self, Carrier, ColumnKind, RakamDecoder, RakamSettings};
use alluvium::decode::avro::{
    AvroDecoder, AvroSettings, Collection, Encoding, Found, NotYet, Schema, SchemaId, Schemas,
};
use alluvium::decode::json::{JsonDecoder, JsonSettings, Layout};
use alluvium::record::{ColumnType, Row};
use alluvium::table::{ColumnSettings, Objects, TableBuilder, UserType, Zone};
use arrow_array::RecordBatch;

use super::data::avro::{self, Column, Kind};
use super::data::{Event, Events, Size};

/// Tables of the events.
const TABLES: usize = 5;
/// What stands before an event's fields.
const PROPERTIES: &str = "\"properties\":{";
/// When the spans of all rows were opened, in milliseconds since the epoch.
const OPENED: i64 = 1_517_378_400_000;

/// Events of 400 bytes, five tables.
pub fn events(count: usize) -> Vec<Event> {
    Events::new(42, Size::Bytes400, TABLES)
        .take(count)
        .collect()
}

/// Each event as JSON.
pub fn json(events: &[Event]) -> Vec<Vec<u8>> {
    let mut text = String::new();
    let mut one = |event: &Event| {
        event.write_json(&mut text);
        text.clone().into_bytes()
    };
    events.iter().map(&mut one).collect()
}

/// The fields of each event as an object of the layout `PLAIN`, their names in capitals, which that layout leaves as they are.
pub fn json_in_capitals(events: &[Event]) -> Vec<Vec<u8>> {
    let in_capitals = |(event, json): (&Event, Vec<u8>)| {
        let mut text = String::from_utf8(json).expect("JSON");
        let fields = text.find(PROPERTIES).expect("properties") + PROPERTIES.len();
        text.replace_range(..fields, &format!("{{\"_table\":\"{}\",", event.table));
        text.pop();
        for (name, _) in &event.fields {
            let capitals = format!("\"{}\":", name.to_uppercase());
            text = text.replace(&format!("\"{name}\":"), &capitals);
        }
        text.into_bytes()
    };
    events.iter().zip(json(events)).map(in_capitals).collect()
}

/// The same as [`json`], with an array and an object in each.
pub fn json_nested(events: &[Event]) -> Vec<Vec<u8>> {
    let nested = |(number, event): (usize, Vec<u8>)| {
        let mut text = String::from_utf8(event).expect("JSON");
        text.truncate(text.len() - 2);
        let [a, b, c] = [7, 31, 57].map(|factor| number * factor % 1000);
        text.push_str(&format!(
            ",\"tags\":[\"tag-{a}\",\"tag-{b}\",\"tag-{c}\"],\"sizes\":{{\"w\":{a},\"h\":{b},\"d\":{c}}}}}}}"
        ));
        text.into_bytes()
    };
    json(events).into_iter().enumerate().map(nested).collect()
}

/// Each event as Avro behind the number of its schema: 0, or 1 for the second client's.
pub fn avro(events: &[Event]) -> Vec<Vec<u8>> {
    let columns = avro::columns(events);
    let one = |event: &Event| {
        let mut bytes = vec![0, 0, 0, 0, u8::from(event.reordered)];
        avro::write_record(event, &columns, &mut bytes);
        bytes
    };
    events.iter().map(one).collect()
}

/// Each event as the original writes it, with the topic it comes from.
pub fn rakam(events: &[Event]) -> Vec<(String, Vec<u8>)> {
    let one = |event: &Event| {
        let mut bytes = Vec::new();
        avro::write_rakam(event, &mut bytes);
        (format!("bench.{}", event.table), bytes)
    };
    events.iter().map(one).collect()
}

pub fn json_settings() -> JsonSettings {
    JsonSettings {
        layout: Layout::Rakam,
        project: "default".into(),
        collection_field: None,
        max_bytes: 1 << 20,
    }
}

pub fn json_decoder() -> JsonDecoder {
    JsonDecoder::new(json_settings())
}

/// For [`json_in_capitals`].
pub fn plain_decoder() -> JsonDecoder {
    JsonDecoder::new(JsonSettings {
        layout: Layout::Plain,
        collection_field: Some("_table".into()),
        ..json_settings()
    })
}

#[derive(Debug)]
struct Both([Arc<Schema>; 2]);

impl Schemas for Both {
    fn find(&self, id: SchemaId) -> Found {
        let [first, second] = &self.0;
        Found::Schema(match id {
            SchemaId::Number(0) => first.clone(),
            _ => second.clone(),
        })
    }
}

pub fn avro_decoder(events: &[Event]) -> AvroDecoder {
    let columns = avro::columns(events);
    let schema = |reordered| {
        let text = avro::schema(&columns, reordered);
        Arc::new(Schema::parse(&text, &[]).expect("a schema"))
    };
    AvroDecoder::new(AvroSettings {
        encoding: Encoding::Confluent,
        project: "bench".into(),
        collection: Collection::Field("_table".into()),
        reader: None,
        schemas: Arc::new(Both([schema(false), schema(true)])),
        max_bytes: 1 << 20,
    })
}

/// Every table has these columns.
#[derive(Debug)]
struct Alike(Arc<[rakam::Column]>);

impl rakam::Columns for Alike {
    fn of(&self, _: &str, _: &str, _: usize) -> Result<Option<Arc<[rakam::Column]>>, NotYet> {
        Ok(Some(self.0.clone()))
    }
}

pub fn rakam_decoder(events: &[Event]) -> RakamDecoder {
    let column = |column: &Column| rakam::Column {
        name: column.name.into(),
        kind: match column.kind {
            Kind::Text => ColumnKind::Text,
            Kind::Time => ColumnKind::Timestamp,
            Kind::Long => ColumnKind::Long,
            Kind::Double => ColumnKind::Double,
            Kind::Bool => ColumnKind::Boolean,
        },
    };
    RakamDecoder::new(RakamSettings {
        carrier: Carrier::Kafka,
        columns: Arc::new(Alike(avro::columns(events).iter().map(column).collect())),
        checkpoint: "_shard_time".into(),
        max_bytes: 1 << 20,
    })
}

pub fn column_settings(objects: Objects) -> ColumnSettings {
    ColumnSettings {
        checkpoint_field: "_shard_time".into(),
        time_field: "_time".into(),
        user_field: "_user".into(),
        user_type: UserType::String,
        key_field: None,
        arrival_field: None,
        zone: Zone::UTC,
        objects,
    }
}

/// What begins a table.
type Begin = Box<dyn Fn() -> TableBuilder>;

/// The builders of all tables.
pub struct Tables {
    begin: Begin,
    tables: Vec<(String, TableBuilder)>,
    /// Rows of a batch.
    full: usize,
    /// The last batch: in the program a batch is being written while the next one fills.
    last: Option<RecordBatch>,
}

impl Tables {
    /// Tables with the columns that their rows need, in batches of `full` rows.
    pub fn free(objects: Objects, full: usize) -> Self {
        let settings = Arc::new(column_settings(objects));
        Self::new(Box::new(move || TableBuilder::new(&settings, OPENED)), full)
    }

    /// Tables with the columns that a catalog has for the events.
    pub fn bound(events: &[Event], objects: Objects, full: usize) -> Self {
        let settings = Arc::new(column_settings(objects));
        let columns: Vec<_> = avro::columns(events)
            .iter()
            .map(|column| (column.name, type_of(column.kind)))
            .chain([("_table", ColumnType::String)])
            .zip(1..)
            .map(|((name, kind), id)| (id, name, kind))
            .collect();
        let begin = move || {
            let columns = columns.iter().map(|(id, name, kind)| (*id, *name, kind));
            TableBuilder::bound(&settings, OPENED, columns)
        };
        Self::new(Box::new(begin), full)
    }

    fn new(begin: Begin, full: usize) -> Self {
        Self {
            begin,
            tables: Vec::new(),
            full,
            last: None,
        }
    }

    /// Takes a row, in the program's order: the catalog's decisions first, if there is one.
    pub fn append(&mut self, row: &Row<'_>) {
        let at = self.place_of(row);
        let builder = &mut self.tables[at].1;
        assert!(builder.undecided(row).is_empty());
        builder.append(row);
        if builder.rows() == self.full {
            self.last = Some(builder.finish());
        }
    }

    fn place_of(&mut self, row: &Row<'_>) -> usize {
        let collection = row.collection();
        let found = self.tables.iter().position(|(name, _)| name == collection);
        found.unwrap_or_else(|| {
            self.tables.push((collection.to_owned(), (self.begin)()));
            self.tables.len() - 1
        })
    }

    /// The rows that fill no batch.
    pub fn finish(&mut self) -> Vec<RecordBatch> {
        let builders = self.tables.iter_mut().map(|(_, builder)| builder);
        let builders = builders.filter(|builder| builder.rows() > 0);
        builders.map(TableBuilder::finish).collect()
    }
}

/// What a catalog has for such a column: whole numbers of JSON are doubles in it.
fn type_of(kind: Kind) -> ColumnType {
    match kind {
        Kind::Text => ColumnType::String,
        Kind::Time => ColumnType::Timestamp,
        Kind::Long | Kind::Double => ColumnType::Double,
        Kind::Bool => ColumnType::Boolean,
    }
}
