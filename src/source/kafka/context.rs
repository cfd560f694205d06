//! What librdkafka tells us between records, kept until the worker's thread asks for it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use crate::metrics::Metrics;

/// Something the group or the broker said.
#[derive(Debug)]
pub(super) enum Notice {
    Assign(TopicPartitionList),
    Revoke {
        partitions: TopicPartitionList,
        lost: bool,
    },
    Committed(Result<(), String>),
}

/// Receives librdkafka's callbacks. Those about the group run inside `poll`, on the worker's thread; nothing is decided
/// here.
#[derive(Debug)]
pub(super) struct Context {
    notices: Mutex<VecDeque<Notice>>,
    any: AtomicBool,
    closing: AtomicBool,
    ends: Mutex<HashMap<(String, i32), i64>>,
    metrics: Arc<Metrics>,
}

impl Context {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            notices: Mutex::default(),
            any: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            ends: Mutex::default(),
            metrics,
        }
    }

    /// Whether a notice waits; cheap enough to ask after every record.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self) -> VecDeque<Notice> {
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *lock(&self.notices))
    }

    /// From now on revocations are answered at once: nobody is left to flush for them.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// The ends of partitions as last reported by their brokers.
    pub(super) fn ends(&self) -> MutexGuard<'_, HashMap<(String, i32), i64>> {
        lock(&self.ends)
    }

    /// The answer to a commit.
    pub(super) fn committed(&self, result: Result<(), String>) {
        self.push(Notice::Committed(result));
    }

    fn push(&self, notice: Notice) {
        lock(&self.notices).push_back(notice);
        self.any.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::info!(target: "librdkafka", facility, "{message}");
            }
            _ => tracing::warn!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.metrics.source_errors.inc();
        tracing::warn!(%error, "kafka: {reason}");
    }

    fn stats(&self, statistics: Statistics) {
        let mut ends = lock(&self.ends);
        for topic in statistics.topics.into_values() {
            for (number, partition) in topic.partitions {
                if partition.hi_offset >= 0 {
                    ends.insert((topic.topic.clone(), number), partition.hi_offset);
                }
            }
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            if !self.closing.load(Ordering::Relaxed) {
                self.push(Notice::Assign(partitions.clone()));
            }
        } else if self.closing.load(Ordering::Relaxed) {
            unassign(consumer, partitions);
        } else {
            let lost = consumer.assignment_lost();
            self.push(Notice::Revoke {
                partitions: partitions.clone(),
                lost,
            });
        }
    }
}

/// Gives partitions back in the way the group's protocol wants.
pub(super) fn unassign(consumer: &BaseConsumer<Context>, partitions: &TopicPartitionList) {
    let result = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => {
            // A partition that never came to be assigned would make librdkafka refuse the whole list, and wait for
            // another answer for ever.
            consumer.incremental_unassign(&only_assigned(consumer, partitions))
        }
        _ => consumer.unassign(),
    };
    if let Err(error) = result {
        tracing::warn!(%error, "kafka: could not give partitions back");
    }
}

fn only_assigned(
    consumer: &BaseConsumer<Context>,
    partitions: &TopicPartitionList,
) -> TopicPartitionList {
    let Ok(assigned) = consumer.assignment() else {
        return partitions.clone();
    };
    let mut list = TopicPartitionList::new();
    for element in partitions.elements() {
        let (topic, number) = (element.topic(), element.partition());
        if assigned.find_partition(topic, number).is_some() {
            list.add_partition(topic, number);
        }
    }
    list
}
