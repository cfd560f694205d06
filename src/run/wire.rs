//! From settings to what each module wants to know.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{Lookups, kinesis};
use crate::catalog::RecordColumns;
use crate::config::settings::{self, Settings};
use crate::decode::DecoderSettings;
use crate::decode::avro::rakam::{Carrier, RakamSettings};
use crate::decode::avro::{AvroSettings, Collection, Encoding, SCHEMA_HEADER, Schemas};
use crate::decode::json::{JsonSettings, Layout};
use crate::flush::Policy;
use crate::schemas::{Client, ClientSettings, Files, NoSchemas, Registry, SchemaError};
use crate::source::kafka::{Begin, KafkaSettings};
use crate::table::{ColumnSettings, UserType};
use crate::worker::{EventRule, Historical, LateRule, REVOKE_DEADLINE, Routing, TimeField};

/// Rows of one batch: a few thousand stay in the processor's cache.
const BATCH_ROWS: usize = 2048;
/// Payload bytes of one batch, depending on how large an output may be.
const MIN_BATCH_BYTES: usize = 32 << 10;
const MAX_BATCH_BYTES: usize = 4 << 20;
/// Spans of one partition that may be on their way at once.
const MAX_IN_FLIGHT: usize = 3;
/// Records of shards that a worker takes at once.
const MAX_POLL: usize = 1000;

/// Topic names and patterns, as they were written.
pub(super) fn topics(settings: &Settings, kafka: &settings::Kafka) -> Vec<String> {
    let text = |topic: &settings::Topic| match topic {
        settings::Topic::Name(text) | settings::Topic::Pattern(text) => text.clone(),
    };
    let mut topics: Vec<_> = kafka.topics.iter().map(text).collect();
    let historical = &settings.routing.historical;
    let historical = historical.as_ref().filter(|historical| historical.worker);
    if let Some(historical) = historical.filter(|h| !topics.contains(&h.topic)) {
        topics.push(historical.topic.clone());
    }
    topics
}

/// What the Kafka client needs to know.
pub(super) fn kafka_settings(settings: &Settings, kafka: &settings::Kafka) -> KafkaSettings {
    KafkaSettings {
        nodes: kafka.nodes.clone(),
        topics: topics(settings, kafka),
        begin: match kafka.offset {
            settings::Offset::Latest => Begin::Latest,
            settings::Offset::Earliest => Begin::Earliest,
        },
        group_id: kafka.group_id.clone(),
        session_timeout: kafka.session_timeout,
        request_timeout: kafka.request_timeout,
        historical_topic: (settings.routing.historical.as_ref()).map(|h| h.topic.clone()),
        prefetch_bytes: 1 << 20,
        schema_header: has_schema_header(settings).then_some(SCHEMA_HEADER),
        client: kafka
            .client
            .iter()
            .map(|(key, value)| (key.clone(), value.expose().to_owned()))
            .collect(),
    }
}

/// Records that a worker takes before it looks at anything else.
pub(super) fn max_poll(settings: &Settings) -> usize {
    match &settings.stream {
        settings::Stream::Kafka(kafka) => kafka.max_poll_records,
        settings::Stream::Kinesis(_) => MAX_POLL,
    }
}

pub(super) fn column_settings(settings: &Settings) -> ColumnSettings {
    ColumnSettings {
        checkpoint_field: settings.columns.checkpoint.clone(),
        key_field: settings.columns.key.clone(),
        arrival_field: settings.columns.arrival.clone(),
        time_field: settings.columns.time.clone(),
        user_field: settings.columns.user.clone(),
        user_type: match settings.columns.user_type {
            settings::UserType::String => UserType::String,
            settings::UserType::Long => UserType::Long,
            settings::UserType::Integer => UserType::Integer,
            settings::UserType::Double => UserType::Double,
        },
        zone: settings.source.zone,
        objects: settings.source.objects,
    }
}

pub(super) fn routing(settings: &Settings) -> Routing {
    Routing {
        collections: (settings.routing.collections.clone())
            .map(|names| names.into_iter().collect()),
        late: settings
            .routing
            .historical
            .as_ref()
            .map(|historical| LateRule {
                topic: historical.topic.as_str().into(),
                days: historical.outdated_days,
            }),
        events: settings.routing.duplicates.as_ref().map(|_| EventRule {
            user_field: settings.columns.user.clone(),
        }),
        time: TimeField {
            name: settings.columns.time.clone(),
            zone: settings.source.zone,
        },
    }
}

/// How partitions of the historical topic are flushed.
pub(super) fn historical(settings: &Settings) -> Option<Historical> {
    let historical = settings.routing.historical.as_ref()?;
    Some(Historical {
        topic: historical.topic.clone(),
        policy: Policy {
            max_span_age: historical.max_flush_age,
            ..policy(settings)
        },
        max_records: historical.max_flush_records,
    })
}

/// Whether a header may say what schema a record has.
fn has_schema_header(settings: &Settings) -> bool {
    let avro = settings.source.avro.as_ref();
    settings.source.framed
        || avro.is_some_and(|avro| avro.encoding == settings::AvroEncoding::Confluent)
}

/// How records are read, with what is needed for that. Schemas are asked for on `runtime`.
///
/// # Errors
/// [`SchemaError::Misconfigured`] if a file cannot be used.
pub(super) fn decoder_settings(
    settings: &Settings,
    runtime: &Handle,
    lookups: &Lookups,
) -> Result<DecoderSettings, SchemaError> {
    let json = json_settings(settings);
    let Some(avro) = &settings.source.avro else {
        return Ok(match settings.source.framed {
            true => DecoderSettings::FramedJson(json),
            false => DecoderSettings::Json(json),
        });
    };
    let (encoding, schemas): (_, Arc<dyn Schemas>) = match &avro.encoding {
        settings::AvroEncoding::Rakam => return rakam_settings(settings, lookups),
        settings::AvroEncoding::Confluent => {
            let client = Client::new(&registry_settings(settings))?;
            (
                Encoding::Confluent,
                Arc::new(Registry::new(client, runtime)),
            )
        }
        settings::AvroEncoding::SingleObject { schemas } => {
            (Encoding::SingleObject, Arc::new(Files::read(schemas)?))
        }
        settings::AvroEncoding::Container => (Encoding::Container, Arc::new(NoSchemas)),
    };
    let reader = avro
        .reader_schema
        .as_deref()
        .map(Files::read_one)
        .transpose()?;
    Ok(DecoderSettings::Avro(AvroSettings {
        encoding,
        project: json.project,
        collection: match (json.collection_field, avro.collection_of_record) {
            (Some(field), _) => Collection::Field(field),
            (None, true) => Collection::Record,
            (None, false) => Collection::Topic,
        },
        reader: reader.map(Arc::new),
        schemas,
        max_bytes: json.max_bytes,
    }))
}

fn rakam_settings(settings: &Settings, lookups: &Lookups) -> Result<DecoderSettings, SchemaError> {
    let tables = lookups.tables.as_ref().ok_or_else(|| {
        let why =
            "records without a schema can only be read with the columns of metadata.store.jdbc.url";
        SchemaError::Misconfigured(why.into())
    })?;
    Ok(DecoderSettings::Rakam(RakamSettings {
        carrier: match settings.stream {
            settings::Stream::Kafka(_) => Carrier::Kafka,
            settings::Stream::Kinesis(_) => Carrier::Kinesis {
                objects: lookups.objects.clone(),
            },
        },
        columns: Arc::new(RecordColumns(tables.clone())),
        checkpoint: settings.columns.checkpoint.as_str().into(),
        max_bytes: settings.source.max_record_size,
    }))
}

/// What the client of the registry needs to know.
pub(super) fn registry_settings(settings: &Settings) -> ClientSettings {
    let registry = &settings.schema_registry;
    let login = registry.login.as_ref();
    ClientSettings {
        urls: registry.urls.clone(),
        login: login.map(|(name, password)| (name.clone(), password.expose().to_owned())),
        authorities: registry.ca_file.clone(),
    }
}

/// Whether records can only be read with what a registry says.
pub(super) fn needs_registry(settings: &Settings) -> bool {
    let avro = settings.source.avro.as_ref();
    avro.is_some_and(|avro| avro.encoding == settings::AvroEncoding::Confluent)
}

fn json_settings(settings: &Settings) -> JsonSettings {
    let (layout, project, collection_field) = match &settings.source.layout {
        settings::JsonLayout::Rakam => (Layout::Rakam, "", None),
        settings::JsonLayout::Fabric => (Layout::Fabric, "", None),
        settings::JsonLayout::Plain {
            project,
            collection_field,
        } => (Layout::Plain, project.as_str(), collection_field.clone()),
    };
    JsonSettings {
        layout,
        project: project.into(),
        collection_field,
        max_bytes: settings.source.max_record_size,
    }
}

pub(super) fn policy(settings: &Settings) -> Policy {
    Policy {
        max_span_age: settings.flush.max_row_age,
        max_batch_age: settings.flush.max_record_age,
        max_output: settings.flush.max_output_size,
        batch_rows: BATCH_ROWS,
        batch_bytes: batch_bytes(settings.flush.max_output_size),
        max_in_flight: MAX_IN_FLIGHT,
    }
}

/// Half the time the group waits for a worker in a rebalance, at most.
pub(super) fn revoke_deadline(settings: &Settings) -> Duration {
    let client = settings.stream.kafka().map(|kafka| &kafka.client);
    let waits = client.and_then(|client| client.get("max.poll.interval.ms"));
    let waits = waits.and_then(|millis| millis.expose().trim().parse().ok());
    waits.map_or(REVOKE_DEADLINE, |millis| {
        REVOKE_DEADLINE.min(Duration::from_millis(millis) / 2)
    })
}

/// How large an output has become is known when a batch is handed on, so batches must be small against its limit.
fn batch_bytes(max_output: u64) -> usize {
    usize::try_from(max_output / 8)
        .unwrap_or(usize::MAX)
        .clamp(MIN_BATCH_BYTES, MAX_BATCH_BYTES)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
pub(super) fn building_limit(settings: &Settings, budget: u64, workers: usize) -> u64 {
    (budget as f64 * settings.flush.max_record_ratio) as u64 / workers.max(1) as u64
}

/// Bytes librdkafka may fetch ahead for each worker: an eighth of the budget in all, and no more than keeps a
/// worker busy over a slow line.
pub(super) fn prefetch(budget: u64, workers: usize) -> usize {
    let eighth = usize::try_from(budget / 8).unwrap_or(usize::MAX);
    (eighth / workers).clamp(1 << 20, 8 << 20)
}

/// The store of events: a sixteenth of the budget, and no less than it runs in, nor more than makes it faster.
const MIN_EVENT_STORE: u64 = 12 << 20;
const MAX_EVENT_STORE: u64 = 64 << 20;

/// How the budget is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portions {
    /// For records, from column builders to sealed spans.
    pub(crate) records: u64,
    /// For the store of events, if there is one.
    pub(crate) event_store: u64,
}

/// Shares out the budget, of which `prefetched` bytes are for what is fetched ahead. Half of it is for records, whatever the rest would need.
pub(crate) fn portions(settings: &Settings, budget: u64, prefetched: usize) -> Portions {
    let prefetched = u64::try_from(prefetched).unwrap_or(u64::MAX);
    let stream = settings.stream.kinesis();
    let held = stream.map_or(0, |kinesis| kinesis::held(kinesis, budget));
    let remembers = settings.routing.duplicates.is_some();
    share_out(remembers, budget, prefetched.saturating_add(held))
}

fn share_out(remembers: bool, budget: u64, prefetched: u64) -> Portions {
    let event_store = match remembers {
        true => (budget / 16).clamp(MIN_EVENT_STORE, MAX_EVENT_STORE),
        false => 0,
    };
    Portions {
        records: budget - prefetched.saturating_add(event_store).min(budget / 2),
        event_store,
    }
}

pub(super) fn wanted_workers(settings: &Settings) -> usize {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = settings.stream.workers();
    workers.map_or(cpus, std::num::NonZero::get)
}

/// Workers that have no partition are of no use, but a stream of Kinesis may have more shards tomorrow: who asks for a number of workers
/// there gets it.
pub(super) fn worker_count(settings: &Settings, partitions: usize) -> usize {
    let asked = settings
        .stream
        .kinesis()
        .and_then(|kinesis| kinesis.workers);
    match asked {
        Some(workers) => workers.get(),
        None => wanted_workers(settings).min(partitions).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn what_is_set_aside_is_not_shared_out_to_records() {
        let shared = |remembers, budget, prefetched| {
            let portions = share_out(remembers, budget * MB, prefetched * MB);
            (portions.records / MB, portions.event_store / MB)
        };
        assert_eq!(shared(false, 256, 16), (240, 0));
        assert_eq!(shared(true, 256, 16), (224, 16));
        assert_eq!(shared(true, 96, 8), (76, 12));
        assert_eq!(shared(true, 4096, 16), (4016, 64));
        // Half of it is left, whatever is taken off.
        assert_eq!(shared(true, 20, 2), (10, 12));
    }
}
