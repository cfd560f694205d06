//! Settings of the Kafka client that `kafka.client.` cannot set, because delivery depends on them or
//! because another key does.

/// Why a setting of the Kafka client is refused, with what to do instead; or nothing.
pub(super) fn refused(setting: &str) -> Option<&'static str> {
    REFUSED
        .iter()
        .find(|(names, _)| names.contains(&setting))
        .map(|(_, why)| *why)
}

/// Settings and why they are refused.
pub(super) const REFUSED: &[(&[&str], &str)] = &[
    (
        &["bootstrap.servers", "metadata.broker.list"],
        "set kafka.nodes instead",
    ),
    (&["group.id"], "set kafka.group.id instead"),
    (&["auto.offset.reset"], "set kafka.offset instead"),
    (
        &["session.timeout.ms"],
        "set kafka.session.timeout.ms instead",
    ),
    (
        &["request.timeout.ms", "socket.timeout.ms"],
        "set kafka.request.timeout.ms instead",
    ),
    (
        &["max.poll.records"],
        "set max.poll.records instead, without the prefix",
    ),
    (
        &[
            "enable.auto.commit",
            "auto.commit.enable",
            "auto.commit.interval.ms",
            "enable.auto.offset.store",
            "offset.store.method",
        ],
        "offsets are committed only when the target has committed; remove it",
    ),
    (
        &["isolation.level"],
        "only committed records are read, since a second reading must find the same; remove it",
    ),
    (
        &["enable.partition.eof"],
        "--until-end depends on it; remove it",
    ),
    (
        &["partition.assignment.strategy"],
        "what happens when partitions move depends on it; remove it",
    ),
    (
        &["sasl.jaas.config"],
        "it is a setting of the Java client; set kafka.client.sasl.username and kafka.client.sasl.password",
    ),
    (
        &[
            "ssl.truststore.location",
            "ssl.truststore.password",
            "ssl.truststore.type",
        ],
        "it is a setting of the Java client; set kafka.client.ssl.ca.location to a PEM file",
    ),
    (
        &["key.deserializer", "value.deserializer"],
        "it is a setting of the Java client; set source.data-format",
    ),
];
