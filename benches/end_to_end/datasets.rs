//! What is fed: format, size of events, number of tables, and the topic's compression.
//!
//! A dataset is the same in every run; the stages read the same records as the program.

use std::path::Path;
use std::sync::Arc;

use alluvium::decode::DecoderSettings;
use alluvium::decode::avro::{AvroSettings, Collection, Encoding};
use alluvium::decode::json::{JsonSettings, Layout};

use crate::avro::{Frame, Writer};
use crate::data::{Events, Random, Size};
use crate::support::broker::{self, Sender};
use crate::support::config::Config;
use crate::support::registry::Registry;

pub(crate) const PARTITIONS: i32 = 12;

/// Events of 400 bytes, unless `ALLUVIUM_BENCH_EVENTS` says otherwise.
const EVENTS: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    /// Single objects, with the schemas in a directory.
    Avro,
    /// Confluent's frame, with the schemas in a registry.
    Registry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dataset {
    pub(crate) format: Format,
    pub(crate) size: Size,
    pub(crate) tables: usize,
    /// What the producer compresses with: `none`, `snappy`, `lz4`, `zstd`.
    pub(crate) codec: &'static str,
}

impl Dataset {
    pub(crate) fn name(&self) -> String {
        let format = match self.format {
            Format::Json => "json",
            Format::Avro => "avro",
            Format::Registry => "registry",
        };
        let size = match self.size {
            Size::Bytes150 => 150,
            Size::Bytes400 => 400,
            Size::Bytes2000 => 2000,
        };
        let codec = match self.codec {
            "none" => String::new(),
            codec => format!("-{codec}"),
        };
        format!("{format}-{size}-{}{codec}", self.tables)
    }

    /// How many events: about as many bytes whatever their size.
    pub(crate) fn events(&self) -> u64 {
        let base = crate::support::setting("ALLUVIUM_BENCH_EVENTS", EVENTS);
        match self.size {
            Size::Bytes150 => base * 2,
            Size::Bytes400 => base,
            Size::Bytes2000 => base / 4,
        }
    }

    /// The records, in the order in which they are sent.
    pub(crate) fn payloads(&self) -> Payloads {
        let avro = match self.format {
            Format::Json => None,
            Format::Avro => Some(Writer::new(Frame::Fingerprint)),
            Format::Registry => Some(Writer::new(Frame::Registered(Registry::shared()))),
        };
        Payloads {
            events: Events::new(1, self.size, self.tables),
            avro,
            json: String::new(),
        }
    }

    /// Sends all records to a new topic; gives their bytes.
    pub(crate) fn feed(&self, kafka: &str, topic: &str) -> u64 {
        self.feed_some(kafka, topic, self.events())
    }

    /// Sends the first `events` records to a new topic; gives their bytes.
    pub(crate) fn feed_some(&self, kafka: &str, topic: &str, events: u64) -> u64 {
        broker::create_topic(kafka, topic, PARTITIONS);
        let sender = Sender::compressing(kafka, topic, self.codec);
        let (mut payloads, mut random, mut bytes) = (self.payloads(), Random::new(2), 0);
        for _ in 0..events {
            let payload = payloads.next();
            bytes += payload.len() as u64;
            let partition = random.below(PARTITIONS as u64) as i32;
            sender.send(partition, None, Some(payload));
        }
        sender.finish();
        bytes
    }

    /// Tells the program how to read them. Schemas that it reads from files are put into `directory`.
    pub(crate) fn configure(&self, config: Config, directory: &Path) -> Config {
        let config = match self.format {
            Format::Json => return config.set("source.data-format.json.layout", "RAKAM"),
            Format::Avro => {
                let schemas = directory.join("schemas");
                self.write_schemas(&schemas);
                config
                    .without("source.data-format.json.layout")
                    .set("source.data-format", "AVRO")
                    .set("source.data-format.avro.encoding", "SINGLE_OBJECT")
                    .set(
                        "source.data-format.avro.schemas",
                        &schemas.display().to_string(),
                    )
            }
            Format::Registry => Registry::shared().avro(config),
        };
        config
            .set("source.data-format.avro.collection", "RECORD")
            .set("source.project", "bench")
    }

    fn write_schemas(&self, directory: &Path) {
        std::fs::create_dir_all(directory).expect("a directory for schemas");
        for (table, schema) in self.written_schemas() {
            let path = directory.join(format!("{table}.avsc"));
            std::fs::write(path, schema).expect("a file for a schema");
        }
    }

    /// The schema of every table, found by writing until each was met.
    fn written_schemas(&self) -> Vec<(String, String)> {
        let mut schemas = std::collections::BTreeMap::new();
        let mut events = Events::new(1, self.size, self.tables);
        while schemas.len() < self.tables {
            let event = events.next().expect("events without end");
            let schema = crate::avro::schema(&event);
            schemas.entry(event.table).or_insert(schema);
        }
        schemas.into_iter().collect()
    }

    /// The program's decoder for these records, without a registry to ask.
    pub(crate) fn decoder(&self) -> DecoderSettings {
        let max_bytes = 16 << 20;
        let encoding = match self.format {
            Format::Json => {
                return DecoderSettings::Json(JsonSettings {
                    layout: Layout::Rakam,
                    project: "default".into(),
                    collection_field: None,
                    max_bytes,
                });
            }
            Format::Avro => Encoding::SingleObject,
            Format::Registry => Encoding::Confluent,
        };
        let texts = self.written_schemas().into_iter().map(|(_, text)| text);
        DecoderSettings::Avro(AvroSettings {
            encoding,
            project: "bench".into(),
            collection: Collection::Record,
            reader: None,
            schemas: Arc::new(crate::avro::Known::new(texts, encoding)),
            max_bytes,
        })
    }
}

pub(crate) struct Payloads {
    events: Events,
    avro: Option<Writer>,
    json: String,
}

impl Payloads {
    pub(crate) fn next(&mut self) -> &[u8] {
        let event = self.events.next().expect("events without end");
        match &mut self.avro {
            Some(writer) => writer.write(&event),
            None => {
                event.write_json(&mut self.json);
                self.json.as_bytes()
            }
        }
    }
}
