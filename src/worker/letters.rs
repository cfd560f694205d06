//! Dead letters of a span: records that cannot become rows, as a batch.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, Int32Builder, Int64Builder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;

use crate::record::{Partition, Record, dead_letters};

/// Collects dead letters, column by column.
#[derive(Debug, Default)]
pub(super) struct Letters {
    topic: StringBuilder,
    partition: Int32Builder,
    shard: StringBuilder,
    sequence: StringBuilder,
    /// Offsets, or numbers within aggregated records.
    offset: Int64Builder,
    timestamp: TimestampMillisecondBuilder,
    key: BinaryBuilder,
    payload: BinaryBuilder,
    reason: StringBuilder,
    rows: usize,
    bytes: usize,
}

impl Letters {
    /// Keeps a record with the reason it is no row.
    pub(super) fn append(&mut self, partition: &Partition, record: &Record<'_>, reason: &str) {
        self.topic.append_value(partition.topic());
        match record.position.sequence() {
            Some((sequence, sub)) => {
                self.shard.append_value(partition.id().to_string());
                self.sequence.append_value(sequence.to_string());
                self.offset
                    .append_value(i64::try_from(sub).unwrap_or(i64::MAX));
            }
            None => {
                self.partition.append_value(partition.number());
                self.offset.append_value(record.position.offset());
            }
        }
        self.timestamp.append_option(record.timestamp);
        self.key.append_option(record.key);
        self.payload.append_option(record.payload);
        self.reason.append_value(reason);
        self.rows += 1;
        self.bytes += record.bytes() + reason.len() + partition.topic().len() + 64;
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes held, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drains the letters as a batch of [`dead_letters::schema`], or [`dead_letters::shard_schema`]: all are of one partition.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        (self.rows, self.bytes) = (0, 0);
        let shards: ArrayRef = Arc::new(self.shard.finish());
        let sequences: ArrayRef = Arc::new(self.sequence.finish());
        let partitions: ArrayRef = Arc::new(self.partition.finish());
        let (schema, place) = match shards.is_empty() {
            true => (dead_letters::schema(), vec![partitions]),
            false => (dead_letters::shard_schema(), vec![shards, sequences]),
        };
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.topic.finish())];
        columns.extend(place);
        columns.extend::<[ArrayRef; 5]>([
            Arc::new(self.offset.finish()),
            Arc::new(self.timestamp.finish().with_timezone("UTC")),
            Arc::new(self.key.finish()),
            Arc::new(self.payload.finish()),
            Arc::new(self.reason.finish()),
        ]);
        RecordBatch::try_new(schema, columns)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    use super::*;
    use crate::record::Position;

    #[test]
    fn a_letter_keeps_every_coordinate_and_nulls() {
        let mut letters = Letters::default();
        let record = Record {
            position: Position::at(7),
            timestamp: None,
            key: None,
            payload: Some(b"\xff"),
            schema: None,
            origin: None,
        };
        letters.append(&Partition::new("t", 3), &record, "not_json: byte 0");
        letters.append(
            &Partition::new("t", 3),
            &Record {
                payload: None,
                timestamp: Some(5),
                ..record
            },
            "x",
        );
        assert_eq!(letters.rows(), 2);
        let batch = letters.finish().unwrap();
        assert_eq!(batch.num_rows(), 2);
        assert_eq!(batch.schema(), dead_letters::schema());
        assert_eq!(letters.rows(), 0);
        assert_eq!(letters.finish().unwrap().num_rows(), 0);
        assert_eq!(batch.column(5).null_count(), 1);
        assert_eq!(batch.column(3).null_count(), 1);
    }

    #[test]
    fn a_letter_of_a_shard_says_its_sequence_number() {
        let sequence = "49590338271490256608559692538361571095921575989136588898";
        let mut letters = Letters::default();
        let record = Record {
            position: Position::in_shard(sequence.parse().unwrap(), 3),
            timestamp: Some(5),
            key: Some(b"demo|clicks"),
            payload: Some(b"\xff"),
            schema: None,
            origin: None,
        };
        letters.append(&Partition::shard("s", 7), &record, "not_json: byte 0");
        let batch = letters.finish().unwrap();
        assert_eq!(batch.schema(), dead_letters::shard_schema());
        let text = |at: usize| batch.column(at).as_string::<i32>().value(0).to_owned();
        assert_eq!(
            (text(1), text(2)),
            ("shardId-000000000007".into(), sequence.into())
        );
        assert_eq!(batch.column(3).as_primitive::<Int64Type>().value(0), 3);
    }
}
