//! Late records of a span: they go to a topic of their own instead of the target, before the span counts as durable.
//!
//! Owns how they are kept until then, and what whoever sends them must keep to. Knows no stream.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::record::{Partition, Position, Record};

/// The late records of one span of one partition, in the order of the stream.
#[derive(Debug)]
pub struct Late {
    topic: Arc<str>,
    partition: Partition,
    /// Keys, payloads and what says their schemas, one behind the other.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    position: Position,
    timestamp: Option<i64>,
    start: usize,
    key: Option<usize>,
    payload: Option<usize>,
    schema: Option<usize>,
    sent: bool,
}

impl Late {
    /// None yet of `partition`; they go to `topic`.
    pub fn new(topic: Arc<str>, partition: Partition) -> Self {
        Self {
            topic,
            partition,
            bytes: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Where they go.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Where they came from.
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// Keeps a copy of the record.
    pub fn push(&mut self, record: &Record<'_>) {
        let start = self.bytes.len();
        for part in [record.key, record.payload, record.schema] {
            self.bytes.extend_from_slice(part.unwrap_or_default());
        }
        self.entries.push(Entry {
            position: record.position,
            timestamp: record.timestamp,
            start,
            key: record.key.map(<[u8]>::len),
            payload: record.payload.map(<[u8]>::len),
            schema: record.schema.map(<[u8]>::len),
            sent: false,
        });
    }

    /// Bytes of memory in use.
    pub fn memory(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// How many there are, sent or not.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those that are not sent yet, each with its place.
    pub fn unsent(&self) -> impl Iterator<Item = (usize, Record<'_>)> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(_, entry)| !entry.sent)
            .map(|(at, entry)| (at, self.record(entry)))
    }

    fn record(&self, entry: &Entry) -> Record<'_> {
        let behind_key = entry.start + entry.key.unwrap_or(0);
        let behind_payload = behind_key + entry.payload.unwrap_or(0);
        let part = |start: usize, len: Option<usize>| {
            len.map(|len| self.bytes.get(start..start + len).unwrap_or_default())
        };
        Record {
            position: entry.position,
            timestamp: entry.timestamp,
            key: part(entry.start, entry.key),
            payload: part(behind_key, entry.payload),
            origin: None,
            schema: part(behind_payload, entry.schema),
        }
    }

    /// The one at this place has been taken for good: it is not sent again.
    pub fn sent(&mut self, at: usize) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.sent = true;
        }
    }
}

/// Why late records were not taken, named by what the caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum LateError {
    /// Heals by itself, or when a person has put something right: hold the span and try again.
    #[error("{0}")]
    Unavailable(String),
}

/// Where late records go.
#[async_trait]
pub trait LateSink: Debug + Send + Sync + 'static {
    /// Makes every record that is not [`sent`](Late::sent) yet durable in their topic, unchanged, with where it came from beside
    /// it; marks each one that is. Called again after a failure, and, after a crash, with the same records in
    /// another process: those are there twice then.
    ///
    /// Called on the async runtime; the future may be dropped at any point.
    ///
    /// # Errors
    /// [`LateError`] if one of them is not durable.
    async fn send(&self, late: &mut Late) -> Result<(), LateError>;
}

/// Where late records go if there is no topic for them: there are none then.
#[derive(Debug)]
pub struct NoLate;

#[async_trait]
impl LateSink for NoLate {
    async fn send(&self, late: &mut Late) -> Result<(), LateError> {
        match late.len() {
            0 => Ok(()),
            count => Err(LateError::Unavailable(format!(
                "{count} late records, and this stream has no topic for them"
            ))),
        }
    }
}

/// Takes late records and forgets them: for spans whose late records were sent when they were first written.
#[derive(Debug)]
pub struct SentBefore;

#[async_trait]
impl LateSink for SentBefore {
    async fn send(&self, late: &mut Late) -> Result<(), LateError> {
        for at in 0..late.len() {
            late.sent(at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_until_they_are_sent() {
        let mut late = Late::new("old".into(), Partition::new("t", 3));
        let records = [
            (Some(&b"key"[..]), Some(&b"payload"[..]), Some(5), None),
            (None, Some(&b""[..]), None, Some(&b"\0\0\0\0\x01"[..])),
            (Some(&b""[..]), None, Some(-1), None),
            (None, Some(&b"last"[..]), Some(7), Some(&b""[..])),
        ];
        for (at, (key, payload, timestamp, schema)) in records.into_iter().enumerate() {
            late.push(&Record {
                position: Position::at(10 * at as i64),
                timestamp,
                key,
                payload,
                origin: None,
                schema,
            });
        }
        let unsent = |late: &Late| {
            let fields = |record: Record<'_>| {
                let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                let bytes = [record.key, record.payload, record.schema].map(owned);
                (bytes, record.timestamp)
            };
            let unsent = late.unsent();
            unsent
                .map(|(at, record)| (at, record.position.offset(), fields(record)))
                .collect::<Vec<_>>()
        };
        for (at, offset, (bytes, timestamp)) in unsent(&late) {
            let (key, payload, wanted, schema) = records[at];
            assert_eq!(offset, 10 * at as i64);
            let bytes = bytes.each_ref().map(Option::as_deref);
            assert_eq!((bytes, timestamp), ([key, payload, schema], wanted));
        }
        assert_eq!(unsent(&late).len(), 4);
        late.sent(1);
        late.sent(99);
        let left: Vec<_> = unsent(&late).iter().map(|(at, ..)| *at).collect();
        assert_eq!(left, [0, 2, 3]);
        assert!(late.memory() >= 14);
    }
}
