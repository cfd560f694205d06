//! The messages that were taken from librdkafka and not handed over yet.
//!
//! Owns which partitions' messages come, how many are taken at once, and their order. It refuses to know what messages mean, and who may have
//! them.
//!
//! The messages of followed partitions come into a queue of their own, and nothing else does: what the group and the log say stays in the
//! consumer's queue, for `poll`. Nothing that lies here is older than the following of its partition; who has a partition read from somewhere
//! else discards what lies here when that was asked for, and once more when librdkafka goes there.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, ConsumerContext};

use super::bell::Bell;
use super::native::{Message, Queue, Ringing};
use crate::record::Partition;

/// What becomes of a message that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is not needed any more.
    Done,
    /// Nor is it, but no more are to be looked at.
    Last,
    /// It stays where it is.
    Keep,
}

/// Payloads that are taken from librdkafka at once, about: what lies here is not counted by its limits.
const BATCH_BYTES: usize = 256 << 10;
/// Messages that are taken at once, and between two looks at how large they are.
const BATCH: usize = 512;
const STEP: usize = 32;

/// The messages of followed partitions, in the order of each.
pub(super) struct Messages<C: ConsumerContext> {
    /// Taken from the queue. Fields are dropped in order: these before what keeps the client.
    taken: Vec<Message>,
    queue: Ringing<C>,
    bell: Arc<Bell>,
    partitions: Vec<(Partition, Arc<Queue<C>>)>,
    consumer: Arc<BaseConsumer<C>>,
}

impl<C: ConsumerContext> Messages<C> {
    /// None yet; those to come ring the bell. `None` if librdkafka has no queue to give.
    pub(super) fn of(consumer: &Arc<BaseConsumer<C>>, bell: &Arc<Bell>) -> Option<Self> {
        Some(Self {
            taken: Vec::with_capacity(BATCH),
            queue: Queue::new(consumer)?.ringing(bell),
            bell: bell.clone(),
            partitions: Vec::new(),
            consumer: consumer.clone(),
        })
    }

    /// Has the partition's messages come here. To be called before it is assigned, so that none goes to the consumer's queue.
    pub(super) fn follow(&mut self, partition: &Partition) {
        if self.partitions.iter().any(|(known, _)| known == partition) {
            return;
        }
        // Of an assignment that has ended, to be sure.
        self.discard(partition);
        match Queue::of_partition(&self.consumer, partition) {
            Some(queue) => {
                queue.forward(self.queue.queue());
                self.partitions.push((partition.clone(), queue));
            }
            None => {
                tracing::error!(%partition, "kafka: the client has no queue for the partition; report this as a bug");
            }
        }
    }

    /// As [`follow`](Self::follow), for all that were: librdkafka forgets it when it ends an assignment, which may be some time after it was told
    /// to. Messages wait meanwhile.
    pub(super) fn refollow(&self) {
        for (_, queue) in &self.partitions {
            queue.forward(self.queue.queue());
        }
    }

    /// Drops what was taken of a partition, which is not assigned any more.
    pub(super) fn unfollow(&mut self, partition: &Partition) {
        self.discard(partition);
        self.partitions.retain(|(known, _)| known != partition);
    }

    /// Drops what was taken of a partition, which is about to be read from somewhere else.
    pub(super) fn discard(&mut self, partition: &Partition) {
        self.taken.retain(|message| !message.is_of(partition));
    }

    /// Whether none was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// Takes some messages; if there are none, those that are there when the bell has rung. Whether there were any.
    pub(super) fn fill(&mut self, wait: Duration, most: usize) -> bool {
        if self.take(most) {
            return true;
        }
        if wait.is_zero() {
            return false;
        }
        self.bell.wait(wait);
        self.take(most)
    }

    fn take(&mut self, most: usize) -> bool {
        let most = most.min(BATCH);
        let (mut came, mut bytes) = (0, 0);
        while came < most && bytes < BATCH_BYTES {
            let wanted = STEP.min(most - came);
            let before = self.taken.len();
            let now = self.queue.queue().take(wanted, &mut self.taken);
            came += now;
            if now < wanted {
                break;
            }
            bytes += self.taken[before..].iter().map(Message::len).sum::<usize>();
        }
        came > 0
    }

    /// Shows each message that was taken, oldest first, until there is none or one is the last.
    pub(super) fn go_through(&mut self, mut show: impl FnMut(&Message) -> Fate) {
        let mut over = false;
        self.taken.retain(|message| {
            over || match show(message) {
                Fate::Done => false,
                Fate::Keep => true,
                Fate::Last => {
                    over = true;
                    false
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
