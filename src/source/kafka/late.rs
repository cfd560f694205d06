//! Sends late records to their topic, each acknowledged by all of the brokers that must have it.
//!
//! Owns the producer: idempotent, made when the first record is late, and made anew when librdkafka gives it up. No more than
//! [`WINDOW`] bytes are in its hands at a time, whatever the spans hold. Nothing here blocks.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};

use super::KafkaSettings;
use super::client;
use super::native::Message;
use crate::deliver::{Late, LateError, LateSink};
use crate::record::{Partition, Position, Record};

/// The headers that say where a late record came from.
pub const ORIGIN_TOPIC: &str = "alluvium.topic";
/// See [`ORIGIN_TOPIC`].
pub const ORIGIN_PARTITION: &str = "alluvium.partition";
/// See [`ORIGIN_TOPIC`].
pub const ORIGIN_OFFSET: &str = "alluvium.offset";

/// Bytes of records that the producer may hold, for the whole process.
pub(super) const WINDOW: u32 = 8 << 20;
/// What librdkafka keeps of a record besides its bytes, about.
const RECORD_BYTES: usize = 512;
/// How long librdkafka tries before it gives a record back.
const PATIENCE: &str = "60000";
/// Between two attempts to hand over a record while the producer's queue is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(20);

type LateProducer = ThreadedProducer<Context>;

/// Sends late records to Kafka.
pub struct KafkaLate {
    settings: KafkaSettings,
    producer: Mutex<Option<Arc<LateProducer>>>,
    window: Arc<Semaphore>,
}

impl fmt::Debug for KafkaLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLate").finish_non_exhaustive()
    }
}

impl KafkaLate {
    /// Nothing is connected before the first record is late.
    pub fn new(settings: KafkaSettings) -> Self {
        Self {
            settings,
            producer: Mutex::default(),
            window: Arc::new(Semaphore::new(WINDOW as usize)),
        }
    }

    /// The producer: a new one if there is none, or if librdkafka has given up the one there is.
    async fn producer(&self) -> Result<Arc<LateProducer>, LateError> {
        let mut producer = self.producer.lock().await;
        if let Some(good) = producer.as_ref().filter(|p| !given_up(p)) {
            return Ok(good.clone());
        }
        let (given_up, settings) = (producer.take(), self.settings.clone());
        // To end a producer takes time, and to make one may read certificates.
        let made = tokio::task::spawn_blocking(move || {
            drop(given_up);
            client::producer_config(&settings, PATIENCE).create_with_context(Context)
        });
        let made: Result<LateProducer, _> = made.await.map_err(|e| unavailable(e.to_string()))?;
        let made = made.map_err(|error| unavailable(client::refused(&error).to_string()))?;
        Ok(producer.insert(Arc::new(made)).clone())
    }
}

fn given_up(producer: &LateProducer) -> bool {
    producer.client().fatal_error().is_some()
}

fn unavailable(what: String) -> LateError {
    LateError::Unavailable(what)
}

#[async_trait]
impl LateSink for KafkaLate {
    async fn send(&self, late: &mut Late) -> Result<(), LateError> {
        let producer = self.producer().await?;
        let outcome = Arc::new(Outcome::new(late.len()));
        let (alive, mut settled) = mpsc::channel(1);
        for (at, record) in late.unsent() {
            if outcome.failed() {
                break;
            }
            let bytes = u32::try_from(record.bytes() + RECORD_BYTES).unwrap_or(WINDOW);
            // Larger than the window: it goes alone.
            let permit = self.window.clone().acquire_many_owned(bytes.min(WINDOW));
            let permit = permit.await.map_err(|e| unavailable(e.to_string()))?;
            let ticket = Box::new(Ticket {
                outcome: outcome.clone(),
                at,
                _alive: alive.clone(),
                _permit: permit,
            });
            let header = self.settings.schema_header;
            hand_over(&producer, late, &record, header, ticket).await;
        }
        drop(alive);
        // Nothing is ever sent: this ends when the last ticket is gone.
        let _ = settled.recv().await;
        for at in outcome.acknowledged() {
            late.sent(at);
        }
        match outcome.failure() {
            None => Ok(()),
            Some((at, error)) => Err(unavailable(told(late, at, &error))),
        }
    }
}

/// Gives one record to librdkafka, which copies it. Of the headers it came with only the one that says its schema goes with it.
async fn hand_over(
    producer: &LateProducer,
    late: &Late,
    record: &Record<'_>,
    schema_header: Option<&str>,
    mut ticket: Box<Ticket>,
) {
    loop {
        let mut headers = origin_headers(late.partition(), record.position);
        if let (Some(key), value @ Some(_)) = (schema_header, record.schema) {
            headers = headers.insert(Header { key, value });
        }
        let sent = producer.send(BaseRecord::<[u8], [u8], _> {
            topic: late.topic(),
            partition: None,
            payload: record.payload,
            key: record.key,
            timestamp: record.timestamp,
            headers: Some(headers),
            delivery_opaque: ticket,
        });
        match sent {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                ticket = back.delivery_opaque;
            }
            Err((error, back)) => {
                back.delivery_opaque.fail(error);
                return;
            }
        }
        tokio::time::sleep(QUEUE_PAUSE).await;
    }
}

/// The topic that a record of the historical topic was first sent to, if it says so.
pub(super) fn origin(message: &Message) -> Option<&str> {
    let mut headers = message.headers();
    let (_, topic) = headers.find(|(name, _)| *name == ORIGIN_TOPIC.as_bytes())?;
    let topic = topic?;
    (std::str::from_utf8(topic).ok()).filter(|topic| !topic.is_empty())
}

fn origin_headers(partition: &Partition, position: Position) -> OwnedHeaders {
    let (number, offset) = (
        partition.number().to_string(),
        position.offset().to_string(),
    );
    let headers = [
        (ORIGIN_TOPIC, partition.topic()),
        (ORIGIN_PARTITION, &number),
        (ORIGIN_OFFSET, &offset),
    ];
    (headers.into_iter()).fold(OwnedHeaders::new(), |headers, (key, value)| {
        let value = Some(value);
        headers.insert(Header { key, value })
    })
}

/// What went wrong with the record at place `at`, for a person.
fn told(late: &Late, at: usize, error: &KafkaError) -> String {
    let (topic, partition) = (late.topic(), late.partition());
    let record = late.unsent().find(|(other, _)| *other == at);
    let (position, bytes) = record.map_or((String::new(), 0), |(_, record)| {
        (record.position.to_string(), record.bytes())
    });
    let too_large = matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize)
    );
    if too_large {
        return format!(
            "the late record {partition} at {position} has {bytes} bytes, which the topic {topic} (kafka.historical-data-topic) does \
             not take: raise its max.message.bytes"
        );
    }
    format!(
        "the topic {topic} (kafka.historical-data-topic) did not take the late record {partition} at {position}: {error}"
    )
}

/// What has become of the records of one call.
#[derive(Debug)]
struct Outcome {
    acknowledged: Vec<AtomicBool>,
    /// The first that was given back.
    failure: std::sync::Mutex<Option<(usize, KafkaError)>>,
}

impl Outcome {
    fn new(records: usize) -> Self {
        Self {
            acknowledged: (0..records).map(|_| AtomicBool::new(false)).collect(),
            failure: std::sync::Mutex::default(),
        }
    }

    fn acknowledged(&self) -> impl Iterator<Item = usize> {
        let places = self.acknowledged.iter().enumerate();
        places
            .filter(|(_, yes)| yes.load(Ordering::Acquire))
            .map(|(at, _)| at)
    }

    fn failure(&self) -> Option<(usize, KafkaError)> {
        let failure = self.failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).take()
    }

    fn failed(&self) -> bool {
        let failure = self.failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// A record in librdkafka's hands.
struct Ticket {
    outcome: Arc<Outcome>,
    at: usize,
    _alive: mpsc::Sender<()>,
    _permit: OwnedSemaphorePermit,
}

impl Ticket {
    fn succeed(&self) {
        if let Some(acknowledged) = self.outcome.acknowledged.get(self.at) {
            acknowledged.store(true, Ordering::Release);
        }
    }

    fn fail(&self, error: KafkaError) {
        let failure = self.outcome.failure.lock();
        let mut failure = failure.unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert((self.at, error));
    }
}

/// Hears from librdkafka what has become of each record, on the producer's own thread.
struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, "kafka: {reason}");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        match result {
            Ok(_) => ticket.succeed(),
            Err((error, _)) => ticket.fail(error.clone()),
        }
    }
}
