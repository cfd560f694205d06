//! What librdkafka tells us between records, kept until the worker's thread asks for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::asks::Standing;
use crate::metrics::Metrics;
use crate::record::Partition;

/// Something the group or the broker said.
#[derive(Debug)]
pub(super) enum Notice {
    Assign(TopicPartitionList),
    Revoke {
        partitions: TopicPartitionList,
        lost: bool,
    },
    Committed(Result<(), String>),
    Standings(Vec<(Partition, Result<Standing, String>)>),
}

/// Receives librdkafka's callbacks. Those about the group run inside `poll`, on the worker's thread; nothing is decided
/// here.
#[derive(Debug)]
pub(super) struct Context {
    notices: Mutex<VecDeque<Notice>>,
    any: AtomicBool,
    closing: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Context {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            notices: Mutex::default(),
            any: AtomicBool::new(false),
            closing: AtomicBool::new(false),
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

    /// Whether [`Context::close`] was called.
    pub(super) fn closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Leaves a notice for the worker.
    pub(super) fn push(&self, notice: Notice) {
        lock(&self.notices).push_back(notice);
        self.any.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes on a line of librdkafka's log.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        _ => tracing::warn!(target: "librdkafka", facility, "{message}"),
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.metrics.source_errors.inc();
        tracing::warn!(%error, "kafka: {reason}");
    }

    /// Nobody asks for statistics but a person who sets `kafka.client.statistics.interval.ms`: to read them costs more than all else that
    /// happens in between.
    fn stats_raw(&self, _: &[u8]) {}
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assign = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let notice = if assign {
            Notice::Assign(partitions.clone())
        } else {
            let lost = consumer.assignment_lost();
            Notice::Revoke {
                partitions: partitions.clone(),
                lost,
            }
        };
        if self.closing() {
            answer(consumer, &notice);
        } else {
            self.push(notice);
        }
    }
}

/// Answers a rebalance that nobody is left to look at: without an answer, librdkafka would never close.
pub(super) fn answer(consumer: &BaseConsumer<Context>, notice: &Notice) {
    match notice {
        Notice::Assign(_) => {
            if let Err(error) = consumer.incremental_assign(&TopicPartitionList::new()) {
                tracing::warn!(%error, "kafka: could not answer an assignment");
            }
        }
        Notice::Revoke { partitions, .. } => unassign(consumer, partitions),
        Notice::Committed(_) | Notice::Standings(_) => {}
    }
}

/// Gives partitions back. The group's protocol is cooperative: those that are not named stay.
pub(super) fn unassign(consumer: &BaseConsumer<Context>, partitions: &TopicPartitionList) {
    // A partition that never came to be read would make librdkafka refuse the whole list, and wait for
    // another answer for ever.
    if let Err(error) = consumer.incremental_unassign(&only_assigned(consumer, partitions)) {
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
