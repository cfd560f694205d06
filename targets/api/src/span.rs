//! Where records come from: partitions, positions in them, and the spans between two positions.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// The unit of order of a stream: a Kafka topic-partition.
///
/// Cheap to clone; displayed as `topic-number`, the form used in names, logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    topic: Arc<str>,
    number: i32,
}

impl Partition {
    /// The partition `number` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, number: i32) -> Self {
        Self {
            topic: topic.into(),
            number,
        }
    }

    /// The stream's name: the Kafka topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition's number within its topic.
    pub fn number(&self) -> i32 {
        self.number
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.number)
    }
}

/// A place in a partition, before the record of the same number: a Kafka offset.
///
/// Positions of one partition are ordered; they may have gaps (compaction, transaction markers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(i64);

impl Position {
    /// The place before the record at Kafka `offset`.
    pub const fn at(offset: i64) -> Self {
        Self(offset)
    }

    /// The Kafka offset of this position.
    pub const fn offset(self) -> i64 {
        self.0
    }

    /// The place right behind the record at this position.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A contiguous half-open run `[from, to)` of one partition, delivered together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The partition the run belongs to.
    pub partition: Partition,
    /// The first position of the run.
    pub from: Position,
    /// The position right behind the run.
    pub to: Position,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, {})", self.partition, self.from, self.to)
    }
}

/// What is known of a span before its end is: where it begins, and the one clock value its rows may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanStart {
    /// The partition the span belongs to.
    pub partition: Partition,
    /// The first position of the span.
    pub from: Position,
    /// When the span was opened. The same for every row, and for every attempt to write the span.
    pub opened: SystemTime,
}
