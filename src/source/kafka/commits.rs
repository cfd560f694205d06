//! Commits beside the polls: librdkafka gives an answer only to a commit that is waited for, and a
//! worker that waits does not poll.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::context::Context;
use crate::source::SourceError;

/// A thread that waits for the answers to commits. Answers arrive as notices of the consumer's context.
#[derive(Debug)]
pub(super) struct Commits {
    requests: SyncSender<TopicPartitionList>,
    thread: JoinHandle<()>,
}

impl Commits {
    /// Commits for the worker number `worker`.
    pub(super) fn start(
        consumer: &Arc<BaseConsumer<Context>>,
        worker: usize,
    ) -> Result<Self, SourceError> {
        // One commit is under way at a time.
        let (requests, receiver) = sync_channel(1);
        let consumer = consumer.clone();
        let thread = std::thread::Builder::new()
            .name(format!("commits-{worker}"))
            .spawn(move || serve(&consumer, &receiver))
            .map_err(|error| SourceError::Misconfigured(format!("no thread: {error}")))?;
        Ok(Self { requests, thread })
    }

    /// Asks for a commit. `false` if one is under way already.
    pub(super) fn ask(&self, list: TopicPartitionList) -> bool {
        self.requests.try_send(list).is_ok()
    }

    /// Waits for the commit under way, and lets go of the consumer.
    pub(super) fn end(self) {
        drop(self.requests);
        if self.thread.join().is_err() {
            tracing::error!("the thread that commits has panicked");
        }
    }
}

fn serve(consumer: &BaseConsumer<Context>, requests: &Receiver<TopicPartitionList>) {
    for list in requests {
        let result = consumer.commit(&list, CommitMode::Sync);
        consumer
            .context()
            .committed(result.map_err(|error| error.to_string()));
    }
}
