//! Where records come from: one of the two kinds of stream, with what only that kind has.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use super::Credentials;
use crate::config::secret::Secret;

/// `stream.source`, with the keys of that source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Topics of Kafka.
    Kafka(Kafka),
    /// A stream of Kinesis.
    Kinesis(Kinesis),
}

impl Stream {
    /// The Kafka consumer, if that is the source.
    pub fn kafka(&self) -> Option<&Kafka> {
        match self {
            Self::Kafka(kafka) => Some(kafka),
            Self::Kinesis(_) => None,
        }
    }

    /// The Kinesis consumer, if that is the source.
    pub fn kinesis(&self) -> Option<&Kinesis> {
        match self {
            Self::Kinesis(kinesis) => Some(kinesis),
            Self::Kafka(_) => None,
        }
    }

    /// `kafka.workers` or `kinesis.workers`; if not set, one per CPU. Never more than partitions.
    pub fn workers(&self) -> Option<NonZeroUsize> {
        match self {
            Self::Kafka(kafka) => kafka.workers,
            Self::Kinesis(kinesis) => kinesis.workers,
        }
    }
}

/// A Kafka consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// `kafka.nodes`: each `host:port`. Never empty.
    pub nodes: Vec<String>,
    /// `kafka.topic`. Never empty.
    pub topics: Vec<Topic>,
    /// `kafka.offset`.
    pub offset: Offset,
    /// `kafka.group.id`.
    pub group_id: String,
    /// `kafka.session.timeout.ms`.
    pub session_timeout: Duration,
    /// `kafka.request.timeout.ms`.
    pub request_timeout: Duration,
    /// `max.poll.records`.
    pub max_poll_records: usize,
    /// `kafka.workers`; if not set, one per CPU. Never more than partitions.
    pub workers: Option<NonZeroUsize>,
    /// `kafka.client.…`: librdkafka's settings, by librdkafka's names. None that delivery depends on.
    pub client: BTreeMap<String, Secret>,
}

/// One entry of `kafka.topic`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The topic of this name.
    Name(String),
    /// All topics that match; begins with `^`.
    Pattern(String),
}

/// Where to begin in a partition without a committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// With what is written from now on.
    Latest,
    /// With the oldest record that is kept.
    Earliest,
}

/// A Kinesis consumer. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinesis {
    /// `kinesis.stream`: its name. Never empty.
    pub stream: String,
    /// `kinesis.initial-position`.
    pub initial_position: InitialPosition,
    /// `kinesis.consumer-dynamodb-table`: of the leases; also the namespace of the metrics.
    pub table: String,
    /// `kinesis.failover-time`: from 1 s to 1 h.
    pub failover: Duration,
    /// `kinesis.mode`.
    pub mode: KinesisMode,
    /// `kinesis.consumer-name`, or the name of the table.
    pub consumer: String,
    /// `kinesis.max-records-per-batch`: from 1 to 10,000.
    pub max_records: usize,
    /// `kinesis.workers`; if not set, one per CPU. Never more than shards.
    pub workers: Option<NonZeroUsize>,
    /// `aws.enable-cloudwatch`.
    pub cloudwatch: bool,
    /// `aws.s3-bulk-bucket`; if not set, a pointer to a bulk object stops the program.
    pub bulk: Option<Bulk>,
    /// Where AWS's services are, and as whom they are talked to.
    pub aws: Aws,
}

/// Where to begin where no lease says where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialPosition {
    /// With the oldest record there is.
    TrimHorizon,
    /// With what is written from now on.
    Latest,
    /// With the first record that is not older. In whole milliseconds.
    At(SystemTime),
}

/// How records come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KinesisMode {
    /// They are asked for.
    Polling,
    /// They are pushed, or nothing comes.
    FanOut,
    /// They are pushed, or asked for while that cannot be had.
    Auto,
}

/// The bucket of bulk objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// `aws.s3-bulk-bucket`.
    pub bucket: String,
    /// `aws.s3-endpoint`: a URL with its scheme. If set, the bucket is addressed in the path.
    pub endpoint: Option<String>,
}

/// How AWS's services are reached. `Debug` shows no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aws {
    /// `aws.region`, or what an endpoint says; if not set, as the default provider chain finds it.
    pub region: Option<String>,
    /// `aws.access-key`, `aws.secret-access-key`; if not set, the default provider chain.
    pub credentials: Option<Credentials>,
    /// `aws.kinesis-endpoint`: a URL with its scheme.
    pub kinesis_endpoint: Option<String>,
    /// `aws.dynamodb-endpoint`: likewise.
    pub dynamodb_endpoint: Option<String>,
    /// `aws.cloudwatch-endpoint`: likewise.
    pub cloudwatch_endpoint: Option<String>,
}
