//! Every key, declared once. Parsing, `alluvium config` and docs/configuration.md all come from here.

pub(super) mod kinesis;

use super::key::{Key, Kind, Section};

/// The words of `database.user-field-type`.
const USER_TYPES: &[&str] = &["STRING", "LONG", "INTEGER", "DOUBLE"];

pub(super) static STREAM_SOURCE: Key = Key::new(
    Section::Source,
    "stream.source",
    Kind::Choice {
        words: &["kafka", "kinesis"],
        later: &[],
    },
    "Where records come from.",
)
.required("always");

pub(super) static DATA_FORMAT: Key = Key::new(
    Section::Source,
    "source.data-format",
    Kind::Choice {
        words: &["JSON", "AVRO"],
        later: &[],
    },
    "How a record's payload is encoded.",
)
.default("AVRO")
.shapes();

pub(super) static JSON_LAYOUT: Key = Key::new(
    Section::Source,
    "source.data-format.json.layout",
    Kind::Choice { words: &["RAKAM", "FABRIC", "PLAIN"], later: &[] },
    "Where a JSON record says its table. `RAKAM`: `project`, `collection` and the fields in `properties`. `FABRIC`: all in `data`, with `_project` and `_collection`. `PLAIN`: any object.",
)
.default("FABRIC")
.shapes();

pub(super) static PROJECT: Key = Key::new(
    Section::Source,
    "source.project",
    Kind::Text,
    "Layout `PLAIN` and Avro only: the project of every record.",
)
.default("default")
.shapes();

pub(super) static COLLECTION_FIELD: Key = Key::new(
    Section::Source,
    "source.collection-field",
    Kind::Text,
    "Layout `PLAIN` and Avro only: the field that names a record's collection.",
)
.unset("the name of the topic or the stream is the collection")
.example("event_type")
.shapes();

pub(super) static JSON_NESTED: Key = Key::new(
    Section::Source,
    "source.data-format.json.nested",
    Kind::Choice { words: &["map", "struct", "text"], later: &[] },
    "Layout `PLAIN` only: what an object within a record becomes. `map`: a map to values of one type, in which what is nested is JSON text. `struct`: a struct, of whatever is nested in it. `text`: JSON text.",
)
.default("map")
.shapes();

pub(super) static TIME_ZONE: Key = Key::new(
    Section::Source,
    "source.time-zone",
    Kind::Text,
    "The zone of the IANA database in which times in strings are that name no zone.",
)
.default("UTC")
.example("Europe/Istanbul")
.shapes();
pub(super) static JSON_FRAMING: Key = Key::new(
    Section::Source,
    "source.data-format.json.framing",
    Kind::Choice { words: &["NONE", "CONFLUENT"], later: &[] },
    "What stands before the JSON. `CONFLUENT`: 0 and the four bytes of a schema's number, or nothing if the header `__value_schema_id` says it. The schema itself is not needed.",
)
.default("NONE")
.shapes();

pub(super) static AVRO_ENCODING: Key = Key::new(
    Section::Source,
    "source.data-format.avro.encoding",
    Kind::Choice { words: &["RAKAM", "CONFLUENT", "SINGLE_OBJECT", "CONTAINER"], later: &[] },
    "How an Avro record says its schema. `RAKAM`, the original's: not at all; its values are those of the table's columns, which `metadata.store.jdbc.url` must know. `CONFLUENT`: by a registry's number before it, or in the header `__value_schema_id`. `SINGLE_OBJECT`: by a fingerprint before it. `CONTAINER`: each payload is a whole object container file.",
)
.default("RAKAM")
.shapes();

pub(super) static AVRO_COLLECTION: Key = Key::new(
    Section::Source,
    "source.data-format.avro.collection",
    Kind::Choice { words: &["TOPIC", "RECORD"], later: &[] },
    "What names an Avro record's collection, if not `source.collection-field`: the topic, or the record's type without its namespace.",
)
.default("TOPIC")
.shapes();

pub(super) static AVRO_READER: Key = Key::new(
    Section::Source,
    "source.data-format.avro.reader-schema",
    Kind::Path,
    "An `.avsc` file: what Avro records are to look like, by the specification's rules of schema resolution.",
)
.unset("records are read as they were written")
.example("/etc/alluvium/event.avsc")
.shapes();

pub(super) static AVRO_SCHEMAS: Key = Key::new(
    Section::Source,
    "source.data-format.avro.schemas",
    Kind::Path,
    "The directory of the `.avsc` files that `SINGLE_OBJECT` records were written with. Read at start.",
)
.required("source.data-format.avro.encoding=SINGLE_OBJECT")
.example("/etc/alluvium/schemas");

pub(super) static REGISTRY_URL: Key = Key::new(
    Section::Source,
    "schema-registry.url",
    Kind::Endpoints,
    "Where the schema registry is; several with the same schemas, with commas between, are asked one after the other.",
)
.required("source.data-format.avro.encoding=CONFLUENT")
.example("http://registry:8081");

pub(super) static REGISTRY_USERNAME: Key = Key::new(
    Section::Source,
    "schema-registry.username",
    Kind::Text,
    "The name for the registry's basic authentication; set with `schema-registry.password`.",
)
.unset("none is sent");

pub(super) static REGISTRY_PASSWORD: Key = Key::new(
    Section::Source,
    "schema-registry.password",
    Kind::Text,
    "The password; set with `schema-registry.username`.",
)
.secret()
.unset("none is sent");

pub(super) static REGISTRY_CA: Key = Key::new(
    Section::Source,
    "schema-registry.ca-file",
    Kind::Path,
    "Certificates in PEM that the registry's is checked against, instead of the system's.",
)
.unset("what the system trusts")
.example("/etc/alluvium/ca.pem");

pub(super) static MAX_RECORD_SIZE: Key = Key::new(
    Section::Source,
    "source.max-record-size",
    Kind::Size,
    "Records with a larger payload become dead letters.",
)
.default("16MB")
.shapes();

pub(super) static KAFKA_NODES: Key = Key::new(
    Section::Kafka,
    "kafka.nodes",
    Kind::Nodes,
    "Brokers to ask first. The port is 9092 if none is given.",
)
.required("stream.source=kafka")
.example("broker-1:9092,broker-2:9092");

pub(super) static KAFKA_TOPIC: Key = Key::new(
    Section::Kafka,
    "kafka.topic",
    Kind::Topics,
    "Topics to read. An entry that begins with `^` is a regular expression (it cannot hold a comma); topics that appear later and match are read too.",
)
.required("stream.source=kafka")
.example("events,^web-.*");

pub(super) static KAFKA_OFFSET: Key = Key::new(
    Section::Kafka,
    "kafka.offset",
    Kind::Choice {
        words: &["latest", "earliest"],
        later: &[],
    },
    "Where to begin in a partition that has no committed offset.",
)
.default("latest");

pub(super) static KAFKA_GROUP_ID: Key = Key::new(
    Section::Kafka,
    "kafka.group.id",
    Kind::Text,
    "The consumer group. Copies of the program with the same group share the partitions.",
)
.default("presto_streaming");

pub(super) static KAFKA_SESSION_TIMEOUT: Key = Key::new(
    Section::Kafka,
    "kafka.session.timeout.ms",
    Kind::Whole {
        least: 1,
        greatest: 3_600_000,
        unit: "ms",
    },
    "After how long without a heartbeat the group gives a worker's partitions to others.",
)
.default("12000");

pub(super) static KAFKA_REQUEST_TIMEOUT: Key = Key::new(
    Section::Kafka,
    "kafka.request.timeout.ms",
    Kind::Whole {
        least: 10,
        greatest: 300_000,
        unit: "ms",
    },
    "How long a request to a broker may take.",
)
.default("15000");

pub(super) static MAX_POLL_RECORDS: Key = Key::new(
    Section::Kafka,
    "max.poll.records",
    Kind::Whole {
        least: 1,
        greatest: 100_000_000,
        unit: "",
    },
    "How many records a worker takes before it looks at anything else. It never takes more than 4096.",
)
.default("300000");

pub(super) static KAFKA_WORKERS: Key = Key::new(
    Section::Kafka,
    "kafka.workers",
    Kind::Whole {
        least: 1,
        greatest: 1024,
        unit: "",
    },
    "Workers of this process: threads with a consumer each.",
)
.unset("one per CPU, at most one per partition")
.example("4");

pub(super) static STREAM_MAX_FLUSH: Key = Key::new(
    Section::Flushing,
    "stream.max-flush-duration",
    Kind::Duration,
    "How long a record may wait to become a row.",
)
.default("15s");

pub(super) static STREAM_MEMORY_RATIO: Key = Key::new(
    Section::Flushing,
    "stream.memory-max-flush-ratio",
    Kind::Ratio,
    "Records that wait to become rows are decoded at once when they reach this share of the byte budget.",
)
.default("0.1");

pub(super) static MIDDLEWARE_MAX_FLUSH: Key = Key::new(
    Section::Flushing,
    "middleware.max-flush-duration",
    Kind::Duration,
    "How long a row may wait before its span is delivered and committed.",
)
.default("60s");

pub(super) static S3_MAX_DATA_SIZE: Key = Key::new(
    Section::Flushing,
    "target.aws.s3-max-data-size",
    Kind::Size,
    "A span is delivered when its largest output reaches this size, as stored. Holds for every target that stages outputs.",
)
.default("256MB");

pub(super) static COMMITTER_THREADS: Key = Key::new(
    Section::Flushing,
    "committer.thread.count",
    Kind::Whole {
        least: 1,
        greatest: 4096,
        unit: "",
    },
    "How many uploads the original made at the same time. Here four times as many spans are delivered at the same time, because none of them holds a thread.",
)
.unset("one per CPU")
.example("4");

pub(super) static CHECKPOINT_FIELD: Key = Key::new(
    Section::Columns,
    "database.checkpoint-field",
    Kind::Text,
    "The first column of every table: when the row's span was opened.",
)
.default("_shard_time")
.shapes();

pub(super) static USER_FIELD: Key = Key::new(
    Section::Columns,
    "database.user-field-name",
    Kind::Text,
    "The column that holds who an event is about.",
)
.default("_user")
.shapes();

pub(super) static TIME_FIELD: Key = Key::new(
    Section::Columns,
    "database.time-field-name",
    Kind::Text,
    "The column that holds when an event happened; always a timestamp.",
)
.default("_time")
.shapes();

pub(super) static USER_FIELD_TYPE: Key = Key::new(
    Section::Columns,
    "database.user-field-type",
    Kind::Choice {
        words: USER_TYPES,
        later: &[],
    },
    "The type of the user column.",
)
.default("STRING")
.shapes();

pub(super) static KEY_FIELD: Key = Key::new(
    Section::Columns,
    "database.key-field-name",
    Kind::Text,
    "A column of every table with the record's key as text: of Kinesis, the partition key. A key that is not UTF-8 is base64. Records' own fields of the name go to `_misfit`.",
)
.unset("there is no such column")
.example("_key")
.shapes();

pub(super) static ARRIVAL_FIELD: Key = Key::new(
    Section::Columns,
    "database.arrival-field-name",
    Kind::Text,
    "A column of every table with the time at which the record came into the stream: of Kinesis, about that time; of Kafka, the record's timestamp. Records' own fields of the name go to `_misfit`.",
)
.unset("there is no such column")
.example("_arrival")
.shapes();

pub(super) static WHITELISTED: Key = Key::new(
    Section::Routing,
    "database.whitelisted.collections",
    Kind::Names,
    "The collections whose rows are kept, with commas between; case and white space do not matter. Records of others are dropped and counted. As in the original, a value counts as not set unless it has more than one character, one of them a letter.",
)
.unset("all collections")
.example("page_view,purchase")
.shapes();

pub(super) static HISTORICAL_TOPIC: Key = Key::new(
    Section::Routing,
    "kafka.historical-data-topic",
    Kind::Topic,
    "The topic that late records are sent to instead of the target. Records of this topic itself are never late.",
)
.unset("no record is late")
.example("events-historical")
.shapes();

pub(super) static OUTDATED_DAYS: Key = Key::new(
    Section::Routing,
    "outdated.day.index",
    Kind::Whole { least: 0, greatest: 36_500, unit: "days" },
    "A record is late if its time field lies on a day (of UTC) more than so many days before the day its span was opened, or on a later day. One without a time that can be read is not.",
)
.default("1")
.shapes();

pub(super) static HISTORICAL_WORKER: Key = Key::new(
    Section::Routing,
    "historical.worker",
    Kind::Choice {
        words: &["false", "true"],
        later: &[],
    },
    "Whether this program reads the topic of late records too and writes them to the target.",
)
.default("false");

pub(super) static HISTORICAL_MAX_FLUSH: Key = Key::new(
    Section::Routing,
    "historical.max-flush-duration",
    Kind::Duration,
    "How long a row of the topic of late records may wait before its span is delivered; for all other topics, `middleware.max-flush-duration` says it.",
)
.default("30m");

pub(super) static HISTORICAL_MAX_RECORDS: Key = Key::new(
    Section::Routing,
    "historical.max-flush-records",
    Kind::Whole {
        least: 1,
        greatest: u64::MAX,
        unit: "",
    },
    "A span of the topic of late records is delivered when it has about so many records.",
)
.default("500000");

pub(super) static DUPLICATES: Key = Key::new(
    Section::Routing,
    "committer.duplicate-handler-rocksdb-directory",
    Kind::Path,
    "Where this machine remembers events for 30 days; rows that repeat one (same project, collection, time and user) are dropped and counted. A row without time or user repeats none. Give copies on other machines the same path, and copies on one machine each its own. The store is not RocksDB: the name is the original's. It has a sixteenth of the memory, between 12 and 64 MB.",
)
.unset("repeats are kept")
.example("/var/lib/alluvium/events")
.shapes();

pub(super) static HEAP_RATIO: Key = Key::new(
    Section::Memory,
    "memory.heap-ratio",
    Kind::Ratio,
    "The byte budget as a share of the memory the process may use: physical memory or the control group's limit, whichever is less.",
)
.default("0.6");

pub(super) static MEMORY_MAX_SIZE: Key = Key::new(
    Section::Memory,
    "memory.max-size",
    Kind::Size,
    "The byte budget, outright.",
)
.unset("`memory.heap-ratio` decides")
.example("512MB");

pub(super) static TARGET: Key = Key::new(
    Section::Target,
    "target",
    Kind::Choice { words: &["s3", "file"], later: &["raptor"] },
    "Where rows go. A program with targets of its own takes their names too, and hands every `target.<name>.…` key to them.",
)
.required("always")
.shapes();

pub(super) static TARGET_KEY: Key = Key::new(
    Section::Target,
    "target.key",
    Kind::Template,
    "The name of an output. `{project}`, `{collection}`, `{topic}` (or stream), `{partition}` (or shard), `{from}` and `{to}` (first position, and the one behind the last) are filled in; the last four are needed. Without `{collection}`, a project's tables share one output. Dead letters go to `_dead_letters/` whatever it says.",
)
.unset("the default ends in `.zst` if `target.compression` is `zstd`, in `.ndjson` if it is `none`")
.default("{project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson.gz")
.shapes();

pub(super) static TARGET_LAYOUT: Key = Key::new(
    Section::Target,
    "target.json.layout",
    Kind::Choice { words: &["rakam", "flat"], later: &[] },
    "How a line looks. `rakam`: time, `$schema`, `$table`, user, and the rest in `properties`. `flat`: all columns at the top.",
)
.default("rakam")
.shapes();

pub(super) static COMPRESSION: Key = Key::new(
    Section::Target,
    "target.compression",
    Kind::Choice {
        words: &["gzip", "zstd", "none"],
        later: &[],
    },
    "How outputs are compressed: `gzip` in one member, `zstd` in one frame with its length, a checksum and a window of 256 KiB.",
)
.default("gzip")
.shapes();

pub(super) static COMPRESSION_LEVEL: Key = Key::new(
    Section::Target,
    "target.compression-level",
    Kind::Whole {
        least: 0,
        greatest: 22,
        unit: "",
    },
    "`gzip`: 0 stores, 1 is fastest, 9 is smallest. `zstd`: 1 is fastest, 22 is smallest.",
)
.unset("1 if `target.compression` is `zstd`")
.default("6");

/// The level of zstd that holds when none is set.
pub(super) const ZSTD_LEVEL: u32 = 1;

pub(super) static S3_BUCKET: Key = Key::new(
    Section::S3,
    "target.aws.s3-bucket",
    Kind::Text,
    "The bucket.",
)
.required("target=s3")
.example("my-events")
.shapes();

pub(super) static S3_REGION: Key = Key::new(
    Section::S3,
    "target.aws.region",
    Kind::Text,
    "The bucket's region.",
)
.unset("as AWS's default provider chain finds it")
.example("eu-central-1");

pub(super) static S3_ENDPOINT: Key = Key::new(
    Section::S3,
    "target.aws.s3-endpoint",
    Kind::Endpoint,
    "A server that speaks S3, if not AWS. Buckets are addressed in the path then. `https://` if no scheme is given.",
)
.unset("AWS")
.example("https://s3.example.com");

pub(super) static ACCESS_KEY: Key = Key::new(
    Section::S3,
    "target.access-key",
    Kind::Text,
    "The access key's id; set with `target.secret-access-key`.",
)
.secret()
.unset("AWS's default provider chain: environment, profile, instance or task role");

pub(super) static SECRET_ACCESS_KEY: Key = Key::new(
    Section::S3,
    "target.secret-access-key",
    Kind::Text,
    "The access key's secret; set with `target.access-key`.",
)
.secret()
.unset("AWS's default provider chain");

pub(super) static FILE_DIRECTORY: Key = Key::new(
    Section::File,
    "target.file.directory",
    Kind::Path,
    "The directory outputs are written below.",
)
.required("target=file")
.example("/var/lib/alluvium")
.shapes();

pub(super) static STORE_URL: Key = Key::new(
    Section::Catalog,
    "metadata.store.jdbc.url",
    Kind::Jdbc,
    "The database that keeps which columns tables have (docs/catalog.md). `jdbc:` may be left out. User and password may be in it, `user:password@` before the host or `?user=…&password=…` at the end. TLS by `sslmode` and `sslrootcert` (PostgreSQL), `sslMode` (MySQL).",
)
.secret()
.unset("each span's own rows decide")
.example("jdbc:postgresql://db.example.com/rakam");

pub(super) static STORE_USERNAME: Key = Key::new(
    Section::Catalog,
    "metadata.store.jdbc.username",
    Kind::Text,
    "The user of the database. Wins over the URL.",
)
.unset("what the URL says")
.example("alluvium");

pub(super) static STORE_PASSWORD: Key = Key::new(
    Section::Catalog,
    "metadata.store.jdbc.password",
    Kind::Text,
    "The user's password. Wins over the URL.",
)
.secret()
.unset("what the URL says, else empty");

pub(super) static STORE_CONNECTIONS: Key = Key::new(
    Section::Catalog,
    "metadata.store.jdbc.max-connection",
    Kind::Whole {
        least: 1,
        greatest: 10_000,
        unit: "",
    },
    "The most connections of this process. SQLite has one.",
)
.default("30");

pub(super) static STORE_LIFE: Key = Key::new(
    Section::Catalog,
    "metadata.store.jdbc.connection.max-life-time",
    Kind::Whole {
        least: 0,
        greatest: 31_536_000_000,
        unit: "ms",
    },
    "How old a connection may become; 0 is no limit. The original ignores it.",
)
.default("1800000");

pub(super) static STORE_IDLE: Key = Key::new(
    Section::Catalog,
    "metadata.store.jdbc.connection.max-idle-timeout",
    Kind::Whole {
        least: 0,
        greatest: 31_536_000_000,
        unit: "ms",
    },
    "How long a connection may be idle; 0 is no limit.",
)
.default("600000");

pub(super) static STORE_NO_POOL: Key = Key::new(
    Section::Catalog,
    "metadata.store.jdbc.connection.disable-pool",
    Kind::Choice {
        words: &["false", "true"],
        later: &[],
    },
    "Whether each connection is closed after one use.",
)
.default("false");

pub(super) static ADMIN_LISTEN: Key = Key::new(
    Section::Operation,
    "admin.listen",
    Kind::Listen,
    "Where `/metrics`, `/healthz` and `/readyz` are served; `off` serves none.",
)
.default("127.0.0.1:9464");

pub(super) static LOG_FORMAT: Key = Key::new(
    Section::Operation,
    "log.format",
    Kind::Choice {
        words: &["human", "json"],
        later: &[],
    },
    "How log lines look. They go to standard error.",
)
.default("human");

pub(super) static LOG_LEVEL: Key = Key::new(
    Section::Operation,
    "log.level",
    Kind::LogFilter,
    "What is logged: `off`, `error`, `warn`, `info`, `debug` or `trace`; for single modules, `info,alluvium::source=debug`.",
)
.default("info");

/// The served keys, in the order of the documents.
pub(super) static SERVED: [&Key; 83] = [
    &STREAM_SOURCE,
    &DATA_FORMAT,
    &JSON_LAYOUT,
    &JSON_NESTED,
    &JSON_FRAMING,
    &TIME_ZONE,
    &AVRO_ENCODING,
    &AVRO_COLLECTION,
    &AVRO_READER,
    &AVRO_SCHEMAS,
    &REGISTRY_URL,
    &REGISTRY_USERNAME,
    &REGISTRY_PASSWORD,
    &REGISTRY_CA,
    &PROJECT,
    &COLLECTION_FIELD,
    &MAX_RECORD_SIZE,
    &KAFKA_NODES,
    &KAFKA_TOPIC,
    &KAFKA_OFFSET,
    &KAFKA_GROUP_ID,
    &KAFKA_SESSION_TIMEOUT,
    &KAFKA_REQUEST_TIMEOUT,
    &MAX_POLL_RECORDS,
    &KAFKA_WORKERS,
    &kinesis::STREAM,
    &kinesis::INITIAL_POSITION,
    &kinesis::TABLE,
    &kinesis::FAILOVER_TIME,
    &kinesis::MODE,
    &kinesis::CONSUMER_NAME,
    &kinesis::MAX_RECORDS,
    &kinesis::WORKERS,
    &kinesis::REGION,
    &kinesis::ACCESS_KEY,
    &kinesis::SECRET_ACCESS_KEY,
    &kinesis::KINESIS_ENDPOINT,
    &kinesis::DYNAMODB_ENDPOINT,
    &kinesis::ENABLE_CLOUDWATCH,
    &kinesis::CLOUDWATCH_ENDPOINT,
    &kinesis::S3_BULK_BUCKET,
    &kinesis::S3_ENDPOINT,
    &STREAM_MAX_FLUSH,
    &STREAM_MEMORY_RATIO,
    &MIDDLEWARE_MAX_FLUSH,
    &S3_MAX_DATA_SIZE,
    &COMMITTER_THREADS,
    &CHECKPOINT_FIELD,
    &USER_FIELD,
    &TIME_FIELD,
    &USER_FIELD_TYPE,
    &KEY_FIELD,
    &ARRIVAL_FIELD,
    &WHITELISTED,
    &HISTORICAL_TOPIC,
    &OUTDATED_DAYS,
    &HISTORICAL_WORKER,
    &HISTORICAL_MAX_FLUSH,
    &HISTORICAL_MAX_RECORDS,
    &DUPLICATES,
    &HEAP_RATIO,
    &MEMORY_MAX_SIZE,
    &TARGET,
    &TARGET_KEY,
    &TARGET_LAYOUT,
    &COMPRESSION,
    &COMPRESSION_LEVEL,
    &S3_BUCKET,
    &S3_REGION,
    &S3_ENDPOINT,
    &ACCESS_KEY,
    &SECRET_ACCESS_KEY,
    &FILE_DIRECTORY,
    &STORE_URL,
    &STORE_USERNAME,
    &STORE_PASSWORD,
    &STORE_CONNECTIONS,
    &STORE_LIFE,
    &STORE_IDLE,
    &STORE_NO_POOL,
    &ADMIN_LISTEN,
    &LOG_FORMAT,
    &LOG_LEVEL,
];

/// The keys of the original that do nothing here, or not yet.
pub(super) static ORIGINAL: &[Key] = &[
    Key::no_effect(
        "metadata.store.jdbc.data-source",
        "the original reads and ignores it too",
    ),
    Key::no_effect(
        "metadata.store.jdbc.table",
        "the original reads and ignores it too",
    ),
    Key::later("raptor.metadata.url", "the Raptor target").secret(),
    Key::later("raptor.metadata.max-connection", "the Raptor target"),
    Key::later("raptor.node.id", "the Raptor target"),
    Key::later("raptor.presto-url", "the Raptor target"),
    Key::later("raptor.backup.threads", "the Raptor target"),
    Key::later("raptor.aws.region", "the Raptor target"),
    Key::later("raptor.aws.s3-bucket", "the Raptor target"),
    Key::later("raptor.aws.s3-endpoint", "the Raptor target"),
    Key::no_effect("license.*", "there is no licence to check"),
    Key::no_effect("log-active", "errors are reported to nobody but the log"),
    Key::no_effect(
        "log-identifier",
        "errors are reported to nobody but the log",
    ),
    Key::no_effect("company-name", "errors are reported to nobody but the log"),
    Key::no_effect("backup.*", "only the Raptor target keeps backups"),
];

/// What passes through to the Kafka client begins so.
pub(super) const CLIENT_PREFIX: &str = "kafka.client.";
