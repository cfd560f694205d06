//! The configuration as the rest of the program sees it: typed, checked, complete.

mod stream;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use alluvium_objects::ObjectSettings;

pub use self::stream::{
    Aws, Bulk, InitialPosition, Kafka, Kinesis, KinesisMode, Offset, Stream, Topic,
};
use super::secret::Secret;
use crate::table::{Objects, Zone};

/// Everything that is configured. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How payloads become rows.
    pub source: Source,
    /// Where schemas are asked for.
    pub schema_registry: SchemaRegistry,
    /// Where records come from.
    pub stream: Stream,
    /// When spans are sealed and how many are delivered at once.
    pub flush: Flush,
    /// Columns with a role.
    pub columns: Columns,
    /// Which rows go to the target.
    pub routing: Routing,
    /// What the byte budget is made from; see [`super::memory::budget`].
    pub memory: Memory,
    /// Where rows go.
    pub target: Target,
    /// `target.key`, `target.json.layout`, `target.compression` and its level, with the names of the time and
    /// user columns: how rows become outputs, for targets that write objects.
    pub output: ObjectSettings,
    /// `metadata.store.jdbc.…`: where the catalog is kept, if not in memory.
    pub store: Option<Store>,
    /// What is seen from outside.
    pub admin: Admin,
    /// What is logged, and how.
    pub log: Log,
}

/// How payloads become rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `source.data-format.json.layout`, with what only one layout has; [`JsonLayout::Plain`] for Avro.
    pub layout: JsonLayout,
    /// `source.data-format.json.framing`: whether a registry's frame stands before the JSON.
    pub framed: bool,
    /// What only Avro has, if the format is that.
    pub avro: Option<Avro>,
    /// `source.max-record-size`: payloads of more bytes become dead letters.
    pub max_record_size: usize,
    /// `source.data-format.json.nested`: what objects within a record become. [`Objects::Typed`] for Avro.
    pub objects: Objects,
    /// `source.time-zone`.
    pub zone: Zone,
}

/// What only Avro has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avro {
    /// `source.data-format.avro.encoding`.
    pub encoding: AvroEncoding,
    /// `source.data-format.avro.collection`: whether it is the record's type.
    pub collection_of_record: bool,
    /// `source.data-format.avro.reader-schema`.
    pub reader_schema: Option<PathBuf>,
}

/// How an Avro record says its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvroEncoding {
    /// Not at all: by the columns of the table in the catalog.
    Rakam,
    /// By a registry's number.
    Confluent,
    /// By a fingerprint.
    SingleObject {
        /// `source.data-format.avro.schemas`.
        schemas: PathBuf,
    },
    /// It has it with it.
    Container,
}

/// The schema registry. `Debug` shows no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaRegistry {
    /// `schema-registry.url`.
    pub urls: Vec<String>,
    /// `schema-registry.username`, `schema-registry.password`.
    pub login: Option<(String, Secret)>,
    /// `schema-registry.ca-file`.
    pub ca_file: Option<PathBuf>,
}

/// Where a JSON record says its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonLayout {
    /// `project`, `collection`, `properties`.
    Rakam,
    /// All in `data`.
    Fabric,
    /// Any object.
    Plain {
        /// `source.project`: the project of every record.
        project: String,
        /// `source.collection-field`; without it, the topic's name is the collection.
        collection_field: Option<String>,
    },
}

/// When spans are sealed and how many are delivered at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flush {
    /// `stream.max-flush-duration`: how long bytes may wait to become rows.
    pub max_record_age: Duration,
    /// `stream.memory-max-flush-ratio`: the share of the byte budget that bytes may wait in.
    pub max_record_ratio: f64,
    /// `middleware.max-flush-duration`: how long rows may wait to be delivered.
    pub max_row_age: Duration,
    /// `target.aws.s3-max-data-size`: bytes, as stored, of the largest output of a span.
    pub max_output_size: u64,
    /// `committer.thread.count`: spans delivered at once.
    pub deliveries: NonZeroUsize,
}

/// Columns with a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// `database.checkpoint-field`: when the span was opened; the first column.
    pub checkpoint: String,
    /// `database.user-field-name`.
    pub user: String,
    /// `database.user-field-type`.
    pub user_type: UserType,
    /// `database.time-field-name`.
    pub time: String,
    /// `database.key-field-name`: of the record's key; if not set, there is no such column.
    pub key: Option<String>,
    /// `database.arrival-field-name`: of the time the record arrived; if not set, there is no such column.
    pub arrival: Option<String>,
}

impl Columns {
    /// For layouts that lower-case the names of fields: a column must be named as its field arrives.
    pub(super) fn lower_case(&mut self) {
        let always = [&mut self.checkpoint, &mut self.user, &mut self.time];
        let perhaps = [&mut self.key, &mut self.arrival];
        for name in always.into_iter().chain(perhaps.into_iter().flatten()) {
            *name = name.to_lowercase();
        }
    }
}

/// The type of the user column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserType {
    /// Text.
    String,
    /// A 64-bit whole number.
    Long,
    /// A whole number; kept with 64 bits too.
    Integer,
    /// A 64-bit floating-point number.
    Double,
}

/// Which rows go to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// `database.whitelisted.collections`, in lower case; all if not set.
    pub collections: Option<Vec<String>>,
    /// What becomes of late records; there are none if `kafka.historical-data-topic` is not set.
    pub historical: Option<Historical>,
    /// `committer.duplicate-handler-rocksdb-directory`: where events are remembered; if not set, repeats are kept.
    pub duplicates: Option<PathBuf>,
}

impl Routing {
    /// Whether records may be left out of the target, so that a span may have no object there.
    pub fn leaves_out(&self) -> bool {
        self.collections.is_some() || self.historical.is_some() || self.duplicates.is_some()
    }
}

/// What becomes of late records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Historical {
    /// `kafka.historical-data-topic`.
    pub topic: String,
    /// `outdated.day.index`.
    pub outdated_days: i64,
    /// `historical.worker`: whether the topic is read too.
    pub worker: bool,
    /// `historical.max-flush-duration`.
    pub max_flush_age: Duration,
    /// `historical.max-flush-records`.
    pub max_flush_records: u64,
}

/// What the byte budget is made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// `memory.max-size`: bytes, outright.
    pub max_size: Option<u64>,
    /// `memory.heap-ratio`: above 0, at most 1.
    pub heap_ratio: f64,
}

/// Where rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Objects in a bucket.
    S3(S3),
    /// Files of this machine.
    File {
        /// `target.file.directory`.
        directory: PathBuf,
    },
    /// A target of the user's own program.
    Custom {
        /// Its name, as the program registered it.
        name: String,
        /// Its `target.<name>.…` keys, without that prefix.
        settings: BTreeMap<String, Secret>,
    },
}

/// A bucket and how to get at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// `target.aws.s3-bucket`.
    pub bucket: String,
    /// `target.aws.region`; if not set, as the default provider chain finds it.
    pub region: Option<String>,
    /// `target.aws.s3-endpoint`: a URL with its scheme. If set, buckets are addressed in the path.
    pub endpoint: Option<String>,
    /// `target.access-key`, `target.secret-access-key`; if not set, the default provider chain.
    pub credentials: Option<Credentials>,
}

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The key's id.
    pub access_key: Secret,
    /// The key's secret.
    pub secret_access_key: Secret,
}

/// The database that keeps the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// `metadata.store.jdbc.url`, without what is secret.
    pub address: StoreAddress,
    /// `metadata.store.jdbc.username`, or what the URL says.
    pub username: String,
    /// `metadata.store.jdbc.password`, or what the URL says.
    pub password: Secret,
    /// `metadata.store.jdbc.max-connection`
    pub max_connections: u32,
    /// `metadata.store.jdbc.connection.max-life-time`
    pub max_life: Option<Duration>,
    /// `metadata.store.jdbc.connection.max-idle-timeout`
    pub max_idle: Option<Duration>,
    /// Not `metadata.store.jdbc.connection.disable-pool`: whether connections are used again.
    pub pooled: bool,
}

/// A kind of database and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAddress {
    /// PostgreSQL.
    Postgres {
        /// The server.
        server: Server,
        /// The schema that holds the tables.
        schema: String,
    },
    /// MySQL or MariaDB.
    MySql {
        /// The server.
        server: Server,
    },
    /// SQLite.
    Sqlite {
        /// The file.
        file: PathBuf,
    },
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, server) = match self {
            Self::Postgres { server, .. } => ("postgresql", server),
            Self::MySql { server } => ("mysql", server),
            Self::Sqlite { file } => return write!(f, "sqlite:{}", file.display()),
        };
        let Server {
            host,
            port,
            database,
            ..
        } = server;
        write!(f, "{scheme}://{host}:{port}/{database}")
    }
}

/// A database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database there.
    pub database: String,
    /// Whether the connection is encrypted.
    pub tls: Tls,
}

/// Whether a connection is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether it must be.
    pub mode: TlsMode,
    /// A PEM file with the authorities that are trusted; if not set, the system's.
    pub ca: Option<PathBuf>,
}

/// Whether a connection must be encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the server offers it.
    #[default]
    Prefer,
    /// Always.
    Require,
    /// Always, to a server with a certificate of an authority that is trusted.
    VerifyCa,
    /// Always, to a server with such a certificate for its name.
    VerifyFull,
}

/// What is seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admin {
    /// `admin.listen`; nothing if `off`.
    pub listen: Option<SocketAddr>,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `log.format`.
    pub format: LogFormat,
    /// `log.level`: comma-separated levels and `module=level`.
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}
