//! From settings to librdkafka clients, and the lists they are asked with.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::KafkaSettings;
use crate::record::Partition;
use crate::source::{Checkpoint, SourceError};

/// How long one question to the cluster may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The properties every client of ours has. The person's own come last, so that they win.
pub(super) fn config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", settings.nodes.join(","))
        .set("client.id", "alluvium")
        .set(
            "socket.timeout.ms",
            settings.request_timeout.as_millis().to_string(),
        )
        .set_log_level(RDKafkaLogLevel::Info);
    for (key, value) in &settings.client {
        config.set(key, value);
    }
    config
}

/// The properties of a client that joins no group.
fn outside_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = config(settings);
    for key in [
        "group.instance.id",
        "group.protocol",
        "group.remote.assignor",
        // Must not be below the session's time-out, which such a client does not have.
        "max.poll.interval.ms",
    ] {
        config.remove(key);
    }
    config
}

/// What librdkafka keeps of a record in its queue besides the payload: an operation of 384 bytes, and its share of
/// what describes the batch it came in.
const QUEUED_RECORD_BYTES: usize = 512;

/// librdkafka takes no `fetch.max.bytes` below its `message.max.bytes`.
const LEAST_FETCH_BYTES: usize = 1 << 20;

/// The properties of a member of the group.
pub(super) fn member_config(settings: &KafkaSettings, worker: usize) -> ClientConfig {
    let mut config = config(settings);
    let prefetch = settings.prefetch_bytes;
    let defaults = [
        ("group.id", settings.group_id.clone()),
        ("enable.auto.commit", "false".into()),
        ("enable.auto.offset.store", "false".into()),
        // Where reading begins is decided here, aloud; an expired position must not be skipped in silence.
        ("auto.offset.reset", "error".into()),
        // Both are looked at before a request, so that one more answer comes on top.
        ("queued.max.messages.kbytes", (prefetch >> 11).to_string()),
        (
            "queued.min.messages",
            (prefetch / 2 / QUEUED_RECORD_BYTES).to_string(),
        ),
        // An answer is compressed: it is kept as it came and decompressed, until its last record is taken.
        (
            "fetch.max.bytes",
            (prefetch / 8).max(LEAST_FETCH_BYTES).to_string(),
        ),
        (
            "fetch.message.max.bytes",
            (prefetch / 8).clamp(64 << 10, 1 << 20).to_string(),
        ),
        // A full queue is drained in milliseconds; librdkafka's own second of rest would starve the worker.
        ("fetch.queue.backoff.ms", "10".into()),
    ];
    // In the protocol of KIP-848 the brokers decide these.
    let classic = [
        ("partition.assignment.strategy", "cooperative-sticky".into()),
        (
            "session.timeout.ms",
            settings.session_timeout.as_millis().to_string(),
        ),
        ("heartbeat.interval.ms", "1000".into()),
    ];
    let protocol = settings.client.get("group.protocol");
    let is_classic = protocol.is_none_or(|name| !name.eq_ignore_ascii_case("consumer"));
    let classic = classic.into_iter().filter(|_| is_classic);
    for (key, value) in defaults.into_iter().chain(classic) {
        if !settings.client.contains_key(key) {
            config.set(key, value);
        }
    }
    // Members of one process would otherwise fence each other.
    if let Some(id) = settings.client.get("group.instance.id") {
        config.set("group.instance.id", format!("{id}-{worker}"));
    }
    config
}

/// The properties of the producer of late records. Delivery depends on some of them, whatever the person's own say.
pub(super) fn producer_config(settings: &KafkaSettings, patience: &str) -> ClientConfig {
    let mut config = outside_config(settings);
    for key in [
        "transactional.id",
        "request.required.acks",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
        "retries",
        "message.send.max.retries",
    ] {
        config.remove(key);
    }
    let defaults = [
        ("message.timeout.ms", patience),
        ("compression.type", "lz4"),
        // As the Java client, so that records of one key stay in one partition whoever sends them.
        ("partitioner", "murmur2_random"),
    ];
    for (key, value) in defaults {
        if !settings.client.contains_key(key) {
            config.set(key, value);
        }
    }
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // The topic decides what is too large, not this end.
        .set("message.max.bytes", "1000000000");
    config
}

/// A client that belongs to no group, for questions.
///
/// # Errors
/// [`SourceError::Misconfigured`] if librdkafka does not accept a property.
pub(super) fn plain_client(settings: &KafkaSettings) -> Result<BaseConsumer, SourceError> {
    outside_config(settings)
        .create()
        .map_err(|error| refused(&error))
}

pub(super) fn refused(error: &KafkaError) -> SourceError {
    SourceError::Misconfigured(match error {
        // librdkafka's own text may repeat the value, which may be a secret.
        KafkaError::ClientConfig(_, _, key, _) => {
            format!("librdkafka does not accept kafka.client.{key}: check its name and value")
        }
        error => format!("librdkafka refuses the settings: {error}"),
    })
}

/// Lists partitions with an offset each.
pub(super) fn list_of<'a>(
    partitions: impl IntoIterator<Item = (&'a Partition, Offset)>,
) -> Result<TopicPartitionList, SourceError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(partition.topic(), partition.number(), offset)
            .map_err(|error| SourceError::Unavailable(format!("{partition}: {error}")))?;
    }
    Ok(list)
}

/// Asks for the offsets that `Beginning` and `End` in the list stand for, in one request a broker.
pub(super) fn offsets<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    list: TopicPartitionList,
) -> Result<HashMap<(String, i32), i64>, SourceError> {
    offsets_within(client, list, TIMEOUT)
}

pub(super) fn offsets_within<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    list: TopicPartitionList,
    patience: Duration,
) -> Result<HashMap<(String, i32), i64>, SourceError> {
    if list.count() == 0 {
        return Ok(HashMap::new());
    }
    let answered = client
        .offsets_for_times(list, patience)
        .map_err(|error| SourceError::Unavailable(format!("cannot list offsets: {error}")))?;
    let mut offsets = HashMap::new();
    for element in answered.elements() {
        let name = format!("{}-{}", element.topic(), element.partition());
        element
            .error()
            .map_err(|error| SourceError::Unavailable(format!("{name}: {error}")))?;
        let Offset::Offset(offset) = element.offset() else {
            return Err(SourceError::Unavailable(format!(
                "{name}: broker gave no offset"
            )));
        };
        offsets.insert((element.topic().to_owned(), element.partition()), offset);
    }
    Ok(offsets)
}

/// Lists partitions with what is to be stored of each.
pub(super) fn noted<'a>(
    checkpoints: impl IntoIterator<Item = (&'a Partition, &'a Checkpoint)>,
) -> Result<TopicPartitionList, SourceError> {
    let mut list = TopicPartitionList::new();
    for (partition, Checkpoint { position, note, .. }) in checkpoints {
        let mut element = list.add_partition(partition.topic(), partition.number());
        element.set_metadata(note);
        element
            .set_offset(Offset::Offset(position.offset()))
            .map_err(|error| SourceError::Unavailable(format!("{partition}: {error}")))?;
    }
    Ok(list)
}

/// A client with the group's name that is no member of it: to read partitions, or to ask for and store checkpoints.
pub(super) fn outsider(
    settings: &KafkaSettings,
    more: &[(&str, &str)],
) -> Result<BaseConsumer, SourceError> {
    let mut config = outside_config(settings);
    config
        .set("group.id", &settings.group_id)
        .set("auto.offset.reset", "error")
        .set("enable.auto.commit", "false");
    for (key, value) in more {
        config.set(*key, *value);
    }
    config.create().map_err(|error| refused(&error))
}

#[cfg(test)]
mod tests {
    use super::super::Begin;
    use super::*;

    fn settings(client: &[(&str, &str)]) -> KafkaSettings {
        KafkaSettings {
            nodes: vec!["127.0.0.1:9".into()],
            topics: vec!["t".into()],
            begin: Begin::Earliest,
            group_id: "g".into(),
            session_timeout: Duration::from_secs(12),
            request_timeout: Duration::from_secs(15),
            historical_topic: None,
            prefetch_bytes: 1 << 20,
            schema_header: None,
            client: client
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
        }
    }

    #[test]
    fn tls_and_scram_are_built_in() {
        for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let settings = settings(&[
                ("security.protocol", "SASL_SSL"),
                ("sasl.mechanism", mechanism),
                ("sasl.username", "u"),
                ("sasl.password", "p"),
            ]);
            assert!(plain_client(&settings).is_ok(), "{mechanism}");
        }
    }

    #[test]
    fn a_refused_property_is_named_without_its_value() {
        let secret = "hunter2";
        for key in [
            "no.such.property",
            "sasl.mechanisms.of.mine",
            "socket.keepalive.enable",
        ] {
            let Err(error) = plain_client(&settings(&[(key, secret)])) else {
                panic!("{key} was accepted");
            };
            assert!(matches!(error, SourceError::Misconfigured(_)));
            let text = error.to_string();
            assert!(text.contains(key) && !text.contains(secret), "{text}");
        }
    }

    #[test]
    fn settings_show_no_values_of_the_client() {
        let text = format!("{:?}", settings(&[("sasl.password", "hunter2")]));
        assert!(text.contains("sasl.password") && !text.contains("hunter2"));
    }

    #[test]
    fn members_of_one_process_are_told_apart() {
        let settings = settings(&[("group.instance.id", "host")]);
        assert_eq!(
            member_config(&settings, 3).get("group.instance.id"),
            Some("host-3")
        );
    }

    #[test]
    fn both_protocols_of_a_group_are_accepted_by_librdkafka() {
        for protocol in ["classic", "consumer"] {
            let settings = settings(&[("group.protocol", protocol), ("group.instance.id", "host")]);
            let member = member_config(&settings, 0).create::<BaseConsumer>();
            assert!(member.is_ok(), "{protocol}: {:?}", member.err());
            assert!(plain_client(&settings).is_ok(), "{protocol}");
        }
    }

    #[test]
    fn the_persons_own_properties_win() {
        let settings = settings(&[("statistics.interval.ms", "60000")]);
        let config = member_config(&settings, 0);
        assert_eq!(config.get("statistics.interval.ms"), Some("60000"));
        assert_eq!(config.get("enable.auto.commit"), Some("false"));
    }
}
