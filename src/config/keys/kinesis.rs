//! The keys of the Kinesis source, with those of AWS, which are of nothing else: the S3 target has its own.

use crate::config::key::{Key, Kind, Section};

pub(in crate::config) static STREAM: Key = Key::new(
    Section::Kinesis,
    "kinesis.stream",
    Kind::AwsName {
        shortest: 1,
        longest: 128,
    },
    "The stream to read.",
)
.required("stream.source=kinesis")
.example("events");

pub(in crate::config) static INITIAL_POSITION: Key = Key::new(
    Section::Kinesis,
    "kinesis.initial-position",
    Kind::Beginning,
    "Where to begin when the lease table is made: `TRIM_HORIZON`, the oldest record there is; `LATEST`, what is written from now on; or a time. Where a lease is, it says where to go on.",
)
.default("TRIM_HORIZON");

pub(in crate::config) static TABLE: Key = Key::new(
    Section::Kinesis,
    "kinesis.consumer-dynamodb-table",
    Kind::AwsName { shortest: 3, longest: 255 },
    "The DynamoDB table of leases and checkpoints, made if it is missing: the application name of a KCL. Copies of the program with the same table share the shards.",
)
.default("rakam-kinesis-worker");

pub(in crate::config) static FAILOVER_TIME: Key = Key::new(
    Section::Kinesis,
    "kinesis.failover-time",
    Kind::Duration,
    "After how long without a sign of life others take a worker's leases. From 1s to 1h; a KCL at the same table should have the same.",
)
.default("30s");

pub(in crate::config) static MODE: Key = Key::new(
    Section::Kinesis,
    "kinesis.mode",
    Kind::Choice { words: &["polling", "fan-out", "auto"], later: &[] },
    "How records come. `polling`: they are asked for, and every reader of the stream shares 2 MB/s and five questions a second of each shard; costs nothing. `fan-out`: they are pushed, sooner and with 2 MB/s of their own; AWS charges for each shard and hour and for each GB. `auto`: fan-out, or polling while there is none to be had.",
)
.default("polling");

pub(in crate::config) static CONSUMER_NAME: Key = Key::new(
    Section::Kinesis,
    "kinesis.consumer-name",
    Kind::AwsName {
        shortest: 1,
        longest: 128,
    },
    "Fan-out only: the name the stream knows this consumer by; registered if it is not.",
)
.unset("the value of `kinesis.consumer-dynamodb-table`")
.example("alluvium");

pub(in crate::config) static MAX_RECORDS: Key = Key::new(
    Section::Kinesis,
    "kinesis.max-records-per-batch",
    Kind::Whole {
        least: 1,
        greatest: 10_000,
        unit: "",
    },
    "Polling only: how many records one question to a shard may bring.",
)
.default("10000");

pub(in crate::config) static WORKERS: Key = Key::new(
    Section::Kinesis,
    "kinesis.workers",
    Kind::Whole {
        least: 1,
        greatest: 1024,
        unit: "",
    },
    "Workers of this process: threads with shards of their own.",
)
.unset("one per CPU, at most one per shard")
.example("4");

pub(in crate::config) static REGION: Key = Key::new(
    Section::Kinesis,
    "aws.region",
    Kind::Text,
    "The region of the stream, the table, the metrics and the bulk objects.",
)
.unset("as an endpoint at AWS names it, else as AWS's default provider chain finds it")
.example("eu-central-1");

pub(in crate::config) static ACCESS_KEY: Key = Key::new(
    Section::Kinesis,
    "aws.access-key",
    Kind::Text,
    "The access key's id; set with `aws.secret-access-key`.",
)
.secret()
.unset("AWS's default provider chain: environment, profile, instance or task role");

pub(in crate::config) static SECRET_ACCESS_KEY: Key = Key::new(
    Section::Kinesis,
    "aws.secret-access-key",
    Kind::Text,
    "The access key's secret; set with `aws.access-key`.",
)
.secret()
.unset("AWS's default provider chain");

pub(in crate::config) static KINESIS_ENDPOINT: Key = Key::new(
    Section::Kinesis,
    "aws.kinesis-endpoint",
    Kind::Endpoint,
    "Where Kinesis is, if not where AWS has it in the region. `https://` if no scheme is given.",
)
.unset("AWS")
.example("https://kinesis.eu-central-1.amazonaws.com");

pub(in crate::config) static DYNAMODB_ENDPOINT: Key = Key::new(
    Section::Kinesis,
    "aws.dynamodb-endpoint",
    Kind::Endpoint,
    "Where DynamoDB is, likewise.",
)
.unset("AWS")
.example("https://dynamodb.eu-central-1.amazonaws.com");

pub(in crate::config) static ENABLE_CLOUDWATCH: Key = Key::new(
    Section::Kinesis,
    "aws.enable-cloudwatch",
    Kind::Choice { words: &["true", "false"], later: &[] },
    "Whether CloudWatch gets the metrics of a KCL, at its level `SUMMARY`, in a namespace called as the lease table. AWS charges for them.",
)
.default("true");

pub(in crate::config) static CLOUDWATCH_ENDPOINT: Key = Key::new(
    Section::Kinesis,
    "aws.cloudwatch-endpoint",
    Kind::Endpoint,
    "Where CloudWatch is, likewise.",
)
.unset("AWS")
.example("https://monitoring.eu-central-1.amazonaws.com");

pub(in crate::config) static S3_BULK_BUCKET: Key = Key::new(
    Section::Kinesis,
    "aws.s3-bulk-bucket",
    Kind::Text,
    "The bucket of the bulk objects that the original's records of type 3 point to.",
)
.unset("the program stops at such a record")
.example("my-bulk-events")
.shapes();

pub(in crate::config) static S3_ENDPOINT: Key = Key::new(
    Section::Kinesis,
    "aws.s3-endpoint",
    Kind::Endpoint,
    "A server that speaks S3 and has the bulk bucket, if not AWS.",
)
.unset("AWS")
.example("https://s3.example.com");
