//! Produces all the time, at a steady rate, and remembers what the brokers did not acknowledge.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use crate::judge::Sent;
use crate::records::Records;
use crate::support::random::Random;
use crate::support::seconds;

/// Partition and sequence in one number, as librdkafka hands it back with the acknowledgement.
fn packed(partition: usize, sequence: u64) -> usize {
    partition << 48 | sequence as usize
}

#[derive(Default)]
struct Acknowledged {
    count: AtomicU64,
    failed: Mutex<Vec<usize>>,
}

struct Context(Arc<Acknowledged>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, id: usize) {
        match result {
            Ok(_) => _ = self.0.count.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.0.failed.lock().unwrap().push(id),
        }
    }
}

pub(crate) struct Feed {
    topic: String,
    records: Records,
    sent: Vec<Sent>,
    acknowledged: Arc<Acknowledged>,
    producer: BaseProducer<Context>,
}

impl Feed {
    pub(crate) fn new(bootstrap: &str, topic: &str, partitions: usize, records: Records) -> Self {
        let acknowledged = Arc::new(Acknowledged::default());
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("log_level", "0")
            // Acknowledged by all copies, in order, without doubles, for as long as it takes.
            .set("enable.idempotence", "true")
            .set("delivery.timeout.ms", "600000")
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.kbytes", "65536")
            .create_with_context(Context(acknowledged.clone()))
            .unwrap();
        Self {
            topic: topic.to_owned(),
            records,
            sent: vec![Sent::default(); partitions],
            acknowledged,
            producer,
        }
    }

    /// Sends `rate` records a second until `stop`, then waits for the last answer, and tells what was sent.
    pub(crate) fn run(mut self, rate: u64, stop: &AtomicBool) -> Vec<Sent> {
        let start = Instant::now();
        let mut random = Random::new(self.records.seed);
        let (mut total, mut payload) = (0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
            while total < due {
                // Runs of a partition, so that partitions are not all alike at any time.
                let partition = random.below(self.sent.len() as u64) as usize;
                for _ in 0..1 + random.below(20) {
                    self.send(partition, &mut payload);
                    total += 1;
                }
            }
            self.producer.poll(Duration::from_millis(5));
        }
        let flushed = self.producer.flush(seconds(300));
        let failed = std::mem::take(&mut *self.acknowledged.failed.lock().unwrap());
        let acknowledged = self.acknowledged.count.load(Ordering::Relaxed);
        assert!(
            flushed.is_ok() && acknowledged + failed.len() as u64 == total,
            "of {total} records {acknowledged} were acknowledged and {} failed: {flushed:?}",
            failed.len()
        );
        for id in failed {
            let sequence = id as u64 & ((1 << 48) - 1);
            self.sent[id >> 48].unacknowledged.insert(sequence);
        }
        self.sent
    }

    fn send(&mut self, partition: usize, payload: &mut Vec<u8>) {
        let sequence = self.sent[partition].count;
        self.records.payload(partition, sequence, payload);
        let mut record: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(&self.topic, packed(partition, sequence))
                .partition(partition as i32)
                .payload(payload);
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                // While no leader is known, records wait here.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(50));
                }
                Err((error, _)) => panic!("cannot send a record: {error}"),
            }
        }
        self.sent[partition].count += 1;
    }
}
