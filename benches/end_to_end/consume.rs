//! Consuming alone: librdkafka's batch queue into a loop that counts.
//!
//! The cheapest way there is to get records out of librdkafka, and one that the crate `rdkafka` has no safe word for.

#![allow(
    unsafe_code,
    reason = "librdkafka's batch queue has no safe form in the crate rdkafka"
)]

use std::ptr;
use std::time::{Duration, Instant};

use rdkafka::bindings::{
    rd_kafka_consume_batch_queue, rd_kafka_message_destroy, rd_kafka_queue_destroy,
    rd_kafka_queue_get_consumer,
};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::datasets::PARTITIONS;
use crate::support::process::own_cpu;
use crate::support::seconds;

const BATCH: usize = 4096;

/// Takes `events` records from the topic and gives the CPU time of the process for that, librdkafka's threads included.
pub(crate) fn consume(kafka: &str, topic: &str, events: u64) -> Duration {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", "consumes alone")
        .set("enable.auto.commit", "false")
        // As the program: librdkafka would rest for a second when its queue is full.
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .expect("an offset");
    }
    let before = own_cpu();
    consumer.assign(&list).expect("partitions");
    let (records, bytes) = count(&consumer, events);
    let used = own_cpu() - before;
    assert!(
        records == events && bytes > 0,
        "{records} of {events} records came"
    );
    used
}

/// Counts records and bytes until there were `events`.
fn count(consumer: &BaseConsumer, events: u64) -> (u64, u64) {
    let start = Instant::now();
    // SAFETY: the consumer outlives the queue, which is given back below.
    let queue = unsafe { rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
    let mut messages = [ptr::null_mut(); BATCH];
    let (mut records, mut bytes) = (0, 0);
    while records < events {
        assert!(start.elapsed() < seconds(300), "records do not come");
        // SAFETY: the queue is alive, and there is room for as many messages as are asked for.
        let count =
            unsafe { rd_kafka_consume_batch_queue(queue, 100, messages.as_mut_ptr(), BATCH) };
        let count = usize::try_from(count).expect("no error of the queue");
        for &message in &messages[..count] {
            // SAFETY: the first `count` pointers were just filled in; each is a message of ours until it is given back, once.
            unsafe {
                if (*message).err as i32 == 0 {
                    records += 1;
                    bytes += (*message).len as u64;
                }
                rd_kafka_message_destroy(message);
            }
        }
    }
    // SAFETY: our own reference, not used again.
    unsafe { rd_kafka_queue_destroy(queue) };
    (records, bytes)
}
