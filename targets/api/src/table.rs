//! Where a row belongs, and the one table whose columns are fixed: the dead letters.

use std::fmt;
use std::sync::Arc;

/// A table: `project.collection`, where a row belongs.
///
/// Names come from records and may hold anything: slashes, control characters, kilobytes. A target
/// must make them safe for itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table {
    project: Arc<str>,
    collection: Arc<str>,
}

impl Table {
    /// The table `collection` of `project`.
    pub fn new(project: impl Into<Arc<str>>, collection: impl Into<Arc<str>>) -> Self {
        Self {
            project: project.into(),
            collection: collection.into(),
        }
    }

    /// The table that holds the dead letters of every stream; its columns are [`dead_letters::schema`].
    ///
    /// Its project is empty, which no record's project can be.
    pub fn dead_letters() -> Self {
        Self::new("", dead_letters::NAME)
    }

    /// Whether this is the table of dead letters.
    pub fn is_dead_letters(&self) -> bool {
        self.project.is_empty()
    }

    /// The project, or the empty string for the dead letters.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The collection within the project.
    pub fn collection(&self) -> &str {
        &self.collection
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_dead_letters() {
            f.write_str(dead_letters::NAME)
        } else {
            write!(f, "{}.{}", self.project, self.collection)
        }
    }
}

/// Records that cannot become rows, kept with their bytes, coordinates and reason.
pub mod dead_letters {
    use std::sync::{Arc, LazyLock};

    use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

    /// The name dead letters go by in a target.
    pub const NAME: &str = "_dead_letters";

    /// The columns of a dead letter of a Kafka topic, in this order:
    ///
    /// | column | type | |
    /// |---|---|---|
    /// | `topic` | Utf8 | |
    /// | `partition` | Int32 | |
    /// | `offset` | Int64 | |
    /// | `timestamp` | Timestamp(ms, UTC), null if the record had none | |
    /// | `key` | Binary, null if the record had none | written as base64 |
    /// | `payload` | Binary, null if the record had none | written as base64 |
    /// | `reason` | Utf8 | starts with the name it is counted by |
    pub fn schema() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
            Arc::new(Schema::new(vec![
                Field::new("topic", DataType::Utf8, false),
                Field::new("partition", DataType::Int32, false),
                Field::new("offset", DataType::Int64, false),
                Field::new(
                    "timestamp",
                    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
                    true,
                ),
                Field::new("key", DataType::Binary, true),
                Field::new("payload", DataType::Binary, true),
                Field::new("reason", DataType::Utf8, false),
            ]))
        });
        SCHEMA.clone()
    }

    /// The columns of a dead letter of a Kinesis stream: `stream`, `shard`, `sequence` and `sub_sequence` instead of topic, partition and
    /// offset, then the same.
    ///
    /// | column | type | |
    /// |---|---|---|
    /// | `stream`, `shard` | Utf8 | |
    /// | `sequence` | Utf8 | the record's sequence number, in decimal |
    /// | `sub_sequence` | Int64 | its number within an aggregated record, or 0 |
    /// | `timestamp` | Timestamp(ms, UTC), null if the service gave none | when it arrived |
    /// | `key` | Binary | the partition key |
    pub fn shard_schema() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
            let mut fields = vec![
                Arc::new(Field::new("stream", DataType::Utf8, false)),
                Arc::new(Field::new("shard", DataType::Utf8, false)),
                Arc::new(Field::new("sequence", DataType::Utf8, false)),
                Arc::new(Field::new("sub_sequence", DataType::Int64, false)),
            ];
            fields.extend(schema().fields().iter().skip(3).cloned());
            Arc::new(Schema::new(fields))
        });
        SCHEMA.clone()
    }
}
