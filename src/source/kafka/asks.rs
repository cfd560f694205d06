//! Questions to the cluster, on threads of their own.
//!
//! librdkafka's commits and look-ups block until there is an answer, and a worker that waits does not poll. So each kind of
//! question has a thread; answers arrive as notices of the consumer's context.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::Begin;
use super::bell::Bell;
use super::client::{list_of, offsets};
use super::context::{Context, Notice};
use crate::record::{Partition, Position};
use crate::source::{Checkpoint, SourceError};

/// How long the group's coordinator may take to tell checkpoints.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the cluster says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The oldest record that is retained.
    pub(super) low: i64,
    /// Behind the last record.
    pub(super) high: i64,
    /// The checkpoint, if the group has one.
    pub(super) committed: Option<Checkpoint>,
}

/// A thread that answers one kind of question, one question at a time, and wakes the worker with the answer.
#[derive(Debug)]
pub(super) struct Asks<Q> {
    /// Nothing once ended.
    questions: Option<SyncSender<Q>>,
    thread: Option<JoinHandle<()>>,
}

impl<Q: Send + 'static> Asks<Q> {
    fn start(
        name: String,
        answer: impl Fn(Q) -> Notice + Send + 'static,
        consumer: &Arc<BaseConsumer<Context>>,
        bell: &Arc<Bell>,
    ) -> Result<Self, SourceError> {
        let (questions, receiver): (_, Receiver<Q>) = sync_channel(1);
        let (consumer, bell) = (consumer.clone(), bell.clone());
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                for question in receiver {
                    consumer.context().push(answer(question));
                    bell.ring();
                }
            })
            .map_err(|error| SourceError::Misconfigured(format!("no thread: {error}")))?;
        Ok(Self {
            questions: Some(questions),
            thread: Some(thread),
        })
    }

    /// Asks. `false` if a question waits already.
    pub(super) fn ask(&self, question: Q) -> bool {
        let questions = self.questions.as_ref();
        questions.is_some_and(|questions| questions.try_send(question).is_ok())
    }

    /// Waits for the answer that is under way, and lets go of the consumer.
    pub(super) fn end(&mut self) {
        self.questions = None;
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("a thread that asks the cluster has panicked");
        }
    }
}

/// Stores checkpoints: librdkafka answers only a commit that is waited for.
pub(super) fn commits(
    consumer: &Arc<BaseConsumer<Context>>,
    bell: &Arc<Bell>,
    worker: usize,
) -> Result<Asks<TopicPartitionList>, SourceError> {
    let client = consumer.clone();
    let commit = move |list: TopicPartitionList| {
        let result = client.commit(&list, CommitMode::Sync);
        Notice::Committed(result.map_err(|error| error.to_string()))
    };
    Asks::start(format!("commits-{worker}"), commit, consumer, bell)
}

/// Finds out where partitions stand.
pub(super) fn standings(
    consumer: &Arc<BaseConsumer<Context>>,
    bell: &Arc<Bell>,
    worker: usize,
    begin: Begin,
) -> Result<Asks<Vec<Partition>>, SourceError> {
    let client = consumer.clone();
    let look_up =
        move |partitions: Vec<Partition>| Notice::Standings(look_up(&client, partitions, begin));
    Asks::start(format!("standings-{worker}"), look_up, consumer, bell)
}

type Answers = Vec<(Partition, Result<Standing, String>)>;

/// All at once; if that fails, one by one, so that a partition without a leader does not keep the others from being
/// read.
fn look_up(client: &BaseConsumer<Context>, partitions: Vec<Partition>, begin: Begin) -> Answers {
    match standings_of(client, &partitions, begin) {
        Ok(standings) => partitions
            .into_iter()
            .zip(standings.into_iter().map(Ok))
            .collect(),
        Err(error) if partitions.len() == 1 => partitions
            .into_iter()
            .map(|partition| (partition, Err(error.to_string())))
            .collect(),
        Err(_) => partitions
            .into_iter()
            .take_while(|_| !client.context().closing())
            .map(|partition| {
                let standing = standings_of(client, std::slice::from_ref(&partition), begin);
                let standing = standing.map_err(|error| error.to_string());
                let first = |found: Vec<Standing>| found.into_iter().next();
                let standing =
                    standing.and_then(|found| first(found).ok_or_else(|| "no answer".into()));
                (partition, standing)
            })
            .collect(),
    }
}

/// The standing of each partition, in order.
fn standings_of(
    client: &BaseConsumer<Context>,
    partitions: &[Partition],
    begin: Begin,
) -> Result<Vec<Standing>, SourceError> {
    let all = |offset| list_of(partitions.iter().map(|partition| (partition, offset)));
    let lows = offsets(client, all(Offset::Beginning)?)?;
    let highs = offsets(client, all(Offset::End)?)?;
    let mut committed = checkpoints_of(client, partitions)?;
    let mut fresh = TopicPartitionList::new();
    let mut standings = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let key = (partition.topic().to_owned(), partition.number());
        let (Some(&low), Some(&high)) = (lows.get(&key), highs.get(&key)) else {
            return Err(SourceError::Unavailable(format!("{partition}: no offsets")));
        };
        let committed = committed.remove(partition);
        if committed.is_none() && begin == Begin::Latest {
            let _ = fresh.add_partition_offset(&key.0, key.1, Offset::Offset(high));
        }
        standings.push(Standing {
            low,
            high,
            committed,
        });
    }
    if fresh.count() > 0 {
        // After a crash the latest would be somewhere else, and what lies between lost.
        client.commit(&fresh, CommitMode::Sync).map_err(|error| {
            SourceError::Unavailable(format!("cannot commit where reading begins: {error}"))
        })?;
    }
    Ok(standings)
}

/// What the group has stored for partitions; those without a checkpoint are left out.
pub(super) fn checkpoints_of<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    partitions: &[Partition],
) -> Result<HashMap<Partition, Checkpoint>, SourceError> {
    let list = list_of(
        partitions
            .iter()
            .map(|partition| (partition, Offset::Invalid)),
    )?;
    let found = client
        .committed_offsets(list, TIMEOUT)
        .map_err(|error| SourceError::Unavailable(format!("no checkpoints: {error}")))?;
    let mut checkpoints = HashMap::new();
    for element in found.elements() {
        let partition = Partition::new(element.topic(), element.partition());
        element.error().map_err(|error| {
            SourceError::Unavailable(format!("{partition}: no checkpoint: {error}"))
        })?;
        if let Offset::Offset(offset) = element.offset() {
            let checkpoint = Checkpoint {
                position: Position::at(offset),
                reach: None,
                note: element.metadata().to_owned(),
            };
            checkpoints.insert(partition, checkpoint);
        }
    }
    Ok(checkpoints)
}
