//! What an audit has found, in words.

use std::fmt;

use super::inventory::SpanObjects;
use crate::record::{Partition, Position, Span};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Two spans hold the same positions.
    Overlap {
        /// The one that begins first.
        first: Span,
        /// The one that begins within it.
        second: Span,
    },
    /// Records that were committed are in no object.
    Missing {
        /// Where they are.
        span: Span,
    },
    /// Nothing was written for these positions, and the stream cannot tell any more whether there were records.
    Unknown {
        /// Where.
        span: Span,
        /// Why it cannot tell.
        why: String,
    },
    /// A committed span lacks objects or rows, or has too many.
    Incomplete {
        /// The span.
        span: Span,
        /// What there is of it.
        objects: SpanObjects,
    },
    /// What stands beside the checkpoint is a plan nobody can follow: the partition is stopped.
    Plan {
        /// The partition.
        partition: Partition,
        /// What is wrong with the plan.
        why: String,
    },
    /// Written beyond the checkpoint without a plan.
    Unplanned {
        /// The span.
        span: Span,
    },
    /// Objects of one span do not say the same of it.
    Disagreeing {
        /// The span.
        span: Span,
        /// One of the objects.
        key: String,
    },
    /// An object's name and what it says of itself differ.
    Misnamed {
        /// Its name.
        key: String,
        /// The span it says it is of.
        says: String,
    },
    /// An object does not say what it is.
    Undescribed {
        /// Its name.
        key: String,
        /// What is missing.
        why: String,
    },
    /// What is in an object is not what it says.
    Damaged {
        /// Its name.
        key: String,
        /// The difference.
        why: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap { first, second } => {
                write!(
                    f,
                    "{second} overlaps [{}, {}): records are there twice",
                    first.from, first.to
                )
            }
            Self::Missing { span } => {
                write!(
                    f,
                    "{span}: committed, but in no object; `alluvium replay` writes it again while the topic has it"
                )
            }
            Self::Unknown { span, why } => {
                write!(
                    f,
                    "{span}: in no object, and it cannot be told whether there were records: {why}"
                )
            }
            Self::Incomplete { span, objects } if objects.loose => write!(
                f,
                "{span}: {} of at least {} objects: one is missing, or all of its rows were repeats for the process that finished the span",
                objects.found, objects.expected
            ),
            Self::Incomplete { span, objects } => write!(
                f,
                "{span}: {} of {} objects with {} of {} rows; `alluvium replay` writes it again while the topic has it",
                objects.found, objects.expected, objects.rows, objects.expected_rows
            ),
            Self::Plan { partition, why } => {
                write!(f, "{partition}: {why}; see `alluvium recover`")
            }
            Self::Unplanned { span } => {
                write!(
                    f,
                    "{span}: beyond the checkpoint, and in no plan: its records will be there twice"
                )
            }
            Self::Disagreeing { span, key } => {
                write!(f, "{span}: its objects do not say the same of it: {key}")
            }
            Self::Misnamed { key, says } => write!(f, "{key}: says that it is of {says}"),
            Self::Undescribed { key, why } => {
                write!(
                    f,
                    "{key}: {why}, so it cannot be checked; was it written by an older release or copied without its metadata?"
                )
            }
            Self::Damaged { key, why } => write!(f, "{key}: {why}"),
        }
    }
}

/// One partition's sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionReport {
    /// The partition.
    pub partition: Partition,
    /// Spans found.
    pub spans: u64,
    /// Objects in them.
    pub objects: u64,
    /// Rows in those, dead letters included.
    pub rows: u64,
    /// Bytes, as stored.
    pub bytes: u64,
    /// Where the first span begins.
    pub begin: Option<Position>,
    /// Where the last one ends.
    pub end: Option<Position>,
    /// What the stream has committed.
    pub checkpoint: Option<Position>,
    /// Spans of an open plan.
    pub open_plan: usize,
}

impl PartitionReport {
    pub(super) fn empty(partition: Partition) -> Self {
        Self {
            partition,
            spans: 0,
            objects: 0,
            rows: 0,
            bytes: 0,
            begin: None,
            end: None,
            checkpoint: None,
            open_plan: 0,
        }
    }
}

impl fmt::Display for PartitionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            spans,
            objects,
            rows,
            bytes,
            ..
        } = self;
        write!(f, "{partition}: ")?;
        match (self.begin, self.end) {
            (Some(begin), Some(end)) => write!(
                f,
                "{spans} spans from {begin} to {end}, {objects} objects, {rows} rows, {bytes} bytes"
            )?,
            _ => write!(f, "no objects")?,
        }
        match self.checkpoint {
            Some(checkpoint) => write!(f, "; committed {checkpoint}")?,
            None => write!(f, "; nothing committed")?,
        }
        match self.open_plan {
            0 => Ok(()),
            spans => write!(f, "; an open plan of {spans} spans"),
        }
    }
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each partition.
    pub partitions: Vec<PartitionReport>,
    /// Everything that must not be.
    pub violations: Vec<Violation>,
    /// Objects that belong to none of the partitions.
    pub others: u64,
    /// Whether contents were read.
    pub deep: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for partition in &self.partitions {
            writeln!(f, "{partition}")?;
        }
        if self.others > 0 {
            writeln!(f, "{} other objects were left alone", self.others)?;
        }
        for violation in &self.violations {
            writeln!(f, "VIOLATION {violation}")?;
        }
        let rows: u64 = self.partitions.iter().map(|p| p.rows).sum();
        let objects: u64 = self.partitions.iter().map(|p| p.objects).sum();
        let read = if self.deep {
            "read and hashed"
        } else {
            "not read"
        };
        match self.violations.len() {
            0 => writeln!(f, "clean: {rows} rows in {objects} objects ({read})"),
            count => writeln!(f, "{count} violations in {objects} objects ({read})"),
        }
    }
}
