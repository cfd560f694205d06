//! Reads Kafka topics as a member of a consumer group, through librdkafka.
//!
//! Owns the consumer, the group's protocol (cooperative-sticky: partitions that stay pause for a rebalance, but are not given up) and the
//! offsets committed to it. Partitions that are revoked stay assigned until the worker has flushed what it can: the
//! callback only takes note, and the partitions are given back when the worker says so.

mod asks;
mod assign;
mod batch;
mod bell;
mod client;
mod context;
mod late;
mod native;
mod part;
mod questions;
mod reading;
mod second;
mod slots;
mod survey;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;

use self::asks::Asks;
use self::assign::Asked;
use self::batch::Messages;
use self::bell::Bell;
use self::context::{Context, Notice};
use self::native::{Queue, Ringing};
use self::slots::{Assigned, Slots};
use super::{Checkpoint, Event, Slot, Source, SourceError};
use crate::metrics::Metrics;
use crate::record::{Partition, Position, Record};

pub use self::late::{KafkaLate, ORIGIN_OFFSET, ORIGIN_PARTITION, ORIGIN_TOPIC};
pub use self::part::PartReader;
pub use self::questions::{checkpoints, ends, is_gap, oldest, partitions, store};
pub use self::survey::KafkaSurvey;

/// How long a worker waits to be told whether a partition has something left: it does not poll meanwhile.
const GAP_PATIENCE: Duration = Duration::from_secs(2);

/// Where reading begins in a partition that has no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest record that is retained.
    Earliest,
    /// With the first record produced after the assignment.
    Latest,
}

/// What a Kafka source needs to know.
#[derive(Clone)]
pub struct KafkaSettings {
    /// Brokers to ask first, as `host:port`.
    pub nodes: Vec<String>,
    /// Topic names, or patterns that begin with `^`.
    pub topics: Vec<String>,
    /// Where to begin without a checkpoint.
    pub begin: Begin,
    /// The consumer group.
    pub group_id: String,
    /// After this much silence the group takes a member's partitions away.
    pub session_timeout: Duration,
    /// How long a request to a broker may take.
    pub request_timeout: Duration,
    /// The topic of late records, which say in headers where they came from.
    pub historical_topic: Option<String>,
    /// Bytes of records librdkafka may fetch ahead, for each worker; at least 1 MiB.
    pub prefetch_bytes: usize,
    /// The header that says what schema a payload has, if records are to have it.
    pub schema_header: Option<&'static str>,
    /// Properties for librdkafka as they are. May hold secrets.
    pub client: BTreeMap<String, String>,
}

impl std::fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("nodes", &self.nodes)
            .field("topics", &self.topics)
            .field("group_id", &self.group_id)
            .field("client", &self.client.keys())
            .finish_non_exhaustive()
    }
}

/// A member of a consumer group.
pub struct KafkaSource {
    settings: KafkaSettings,
    messages: Messages<Context>,
    /// What is no message.
    events: Ringing<Context>,
    consumer: Arc<BaseConsumer<Context>>,
    commits: Asks<TopicPartitionList>,
    standings: Asks<Vec<Partition>>,
    slots: Slots,
    /// Assigned, but it is not known yet where to begin; with the number of the assignment.
    waiting: HashMap<Partition, u64>,
    /// Numbers the assignments of single partitions.
    assignments: u64,
    /// Whether a question about standings is under way.
    asking: bool,
    /// What it was asked for.
    asked: HashMap<Partition, Asked>,
    ask_after: Instant,
    /// Whether some partition is at a place that does not exist any more.
    misplaced: bool,
    seek_after: Instant,
    /// Whether the group waits for partitions to be given back.
    revoking: bool,
    /// Whether a commit is under way.
    committing: bool,
    /// Given back by us, but kept until a commit that is under way has been answered.
    giving_back: Vec<TopicPartitionList>,
    /// Whether the last assignment was told as [`Event::Joined`].
    joined: bool,
    each_second_after: Instant,
    metrics: Arc<Metrics>,
}

impl KafkaSource {
    /// Joins the group, as the process's worker number `worker`. Nothing is assigned yet.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] if librdkafka does not accept a setting.
    pub fn join(
        settings: KafkaSettings,
        worker: usize,
        metrics: Arc<Metrics>,
    ) -> Result<Self, SourceError> {
        let consumer: BaseConsumer<Context> = client::member_config(&settings, worker)
            .create_with_context(Context::new(metrics.clone()))
            .map_err(|error| client::refused(&error))?;
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|error| {
            SourceError::Misconfigured(format!("cannot subscribe to {topics:?}: {error}"))
        })?;
        let consumer = Arc::new(consumer);
        let bell = Arc::new(Bell::default());
        let events = Queue::of_consumer(&consumer).ok_or_else(no_queue)?;
        let now = Instant::now();
        Ok(Self {
            commits: asks::commits(&consumer, &bell, worker)?,
            standings: asks::standings(&consumer, &bell, worker, settings.begin)?,
            events: events.ringing(&bell),
            messages: Messages::of(&consumer, &bell).ok_or_else(no_queue)?,
            settings,
            consumer,
            slots: Slots::default(),
            waiting: HashMap::new(),
            assignments: 0,
            asking: false,
            asked: HashMap::new(),
            ask_after: now,
            misplaced: false,
            seek_after: now,
            revoking: false,
            committing: false,
            giving_back: Vec::new(),
            joined: true,
            each_second_after: now,
            metrics,
        })
    }

    fn partition(&self, slot: Slot) -> Option<&Partition> {
        self.slots.get(slot).map(|assigned| &assigned.partition)
    }

    fn list(&self, slots: &[Slot]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in slots.iter().filter_map(|slot| self.partition(*slot)) {
            list.add_partition(partition.topic(), partition.number());
        }
        list
    }

    fn checkpoint_list(
        &self,
        checkpoints: &[(Slot, Checkpoint)],
    ) -> Result<TopicPartitionList, SourceError> {
        let owned = checkpoints.iter();
        client::noted(
            owned.filter_map(|(slot, checkpoint)| Some((self.partition(*slot)?, checkpoint))),
        )
    }

    fn on_error(&mut self, error: &KafkaError, reason: &str) -> Result<(), SourceError> {
        self.metrics.source_errors.inc();
        match error {
            KafkaError::MessageConsumptionFatal(code) => Err(SourceError::Misconfigured(format!(
                "kafka gave this consumer up for good: {code} (another one with the same group.instance.id?)"
            ))),
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => {
                self.misplaced = true;
                Ok(())
            }
            error => {
                tracing::warn!(%error, reason, "kafka: reading is disturbed; librdkafka tries again");
                Ok(())
            }
        }
    }

    fn on_notice(&mut self, notice: Notice, events: &mut Vec<Event>) -> Result<(), SourceError> {
        match notice {
            Notice::Assign(partitions) => self.on_assign(&partitions)?,
            Notice::Revoke { partitions, lost } => self.on_revoke(&partitions, lost, events),
            Notice::Standings(standings) => {
                self.on_standings(standings, events);
                self.give_back_waiting();
            }
            Notice::Committed(result) => {
                self.committing = false;
                self.give_back_waiting();
                events.push(Event::Committed(result.map_err(SourceError::Unavailable)));
            }
        }
        Ok(())
    }

    fn on_revoke(&mut self, partitions: &TopicPartitionList, lost: bool, events: &mut Vec<Event>) {
        let kind = if lost { "lost" } else { "revoked" };
        self.metrics.rebalances.with_label_values(&[kind]).inc();
        let mut slots = Vec::new();
        for element in partitions.elements() {
            let (topic, number) = (element.topic(), element.partition());
            self.waiting.remove(&Partition::new(topic, number));
            slots.extend(self.slots.find(topic, number));
        }
        if lost {
            self.give_back(partitions.clone());
            self.forget(&slots);
            events.push(Event::Lost(slots));
        } else if slots.is_empty() {
            self.give_back(partitions.clone());
        } else {
            self.revoking = true;
            events.push(Event::Revoking(slots));
        }
    }

    /// Answers a revocation, but not while a commit is under way: with the answer librdkafka is free to join again, and would then
    /// send a commit that had to wait with its new membership. So a request is never stored under another membership than
    /// the one it was made under.
    fn give_back(&mut self, partitions: TopicPartitionList) {
        self.giving_back.push(partitions);
        self.give_back_waiting();
    }

    fn give_back_waiting(&mut self) {
        // A question about where to begin at the latest stores the answer.
        let storing = self.asking && self.settings.begin == Begin::Latest;
        if self.committing || storing {
            return;
        }
        for partitions in std::mem::take(&mut self.giving_back) {
            context::unassign(&self.consumer, &partitions);
            self.revoking = false;
        }
    }

    fn forget(&mut self, slots: &[Slot]) {
        for slot in slots {
            if let Some(Assigned { partition, .. }) = self.slots.remove(*slot) {
                self.messages.unfollow(&partition);
                self.metrics
                    .forget_partition(partition.topic(), &partition.number().to_string());
                self.metrics.partitions.dec();
            }
        }
    }
}

fn no_queue() -> SourceError {
    SourceError::Misconfigured("librdkafka has no queue to give".into())
}

impl Source for KafkaSource {
    fn poll(
        &mut self,
        wait: Duration,
        max: usize,
        take: &mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Event>, SourceError> {
        self.ask_for_standings();
        self.seek_waiting();
        let disturbed = self.read(wait, max, take);
        for (error, reason) in &disturbed {
            self.on_error(error, reason)?;
        }
        // Behind the records, so that those of a new partition come only after it was told.
        let mut events = Vec::new();
        for notice in self.consumer.context().take() {
            self.on_notice(notice, &mut events)?;
        }
        if !self.joined && self.waiting.is_empty() {
            self.joined = true;
            events.push(Event::Joined);
        }
        self.each_second();
        Ok(events)
    }

    fn pause(&mut self, slots: &[Slot]) {
        self.slots.set_paused(slots, true);
        if let Err(error) = self.consumer.pause(&self.list(slots)) {
            tracing::warn!(%error, "kafka: could not pause");
        }
    }

    fn resume(&mut self, slots: &[Slot]) {
        self.slots.set_paused(slots, false);
        if let Err(error) = self.consumer.resume(&self.list(slots)) {
            tracing::warn!(%error, "kafka: could not resume");
        }
    }

    fn rewind(&mut self, slot: Slot, to: Position) {
        if let Some(assigned) = self.slots.get_mut(slot) {
            assigned.next = to;
            assigned.seek = Some(to);
            self.messages.discard(&assigned.partition);
        }
    }

    fn commit(&mut self, checkpoints: &[(Slot, Checkpoint)]) {
        let answer = match self.checkpoint_list(checkpoints) {
            Ok(list) if list.count() == 0 => Ok(()),
            // librdkafka would send it with whatever membership it has by then.
            Ok(_) if self.consumer.assignment_lost() => Err("the assignment is lost".into()),
            Ok(list) => {
                if self.commits.ask(list) {
                    self.committing = true;
                    return;
                }
                Err("the commit before is still under way".into())
            }
            Err(error) => Err(error.to_string()),
        };
        self.consumer.context().push(Notice::Committed(answer));
    }

    fn release(&mut self, slots: &[Slot]) {
        self.give_back(self.list(slots));
        self.forget(slots);
    }

    fn nothing_before(&mut self, slot: Slot, end: Position) -> bool {
        let Some(assigned) = self.slots.get(slot) else {
            return false;
        };
        if assigned.next >= end {
            return true;
        }
        let partition = &assigned.partition;
        let gap = questions::is_gap(&self.settings, partition, assigned.next, end, GAP_PATIENCE);
        gap.unwrap_or_else(|error| {
            tracing::warn!(partition = %assigned.partition, %error, "cannot tell whether the end is reached");
            false
        })
    }

    fn close(mut self) {
        // So that no commit is left behind that would be sent under another membership.
        self.consumer.context().close();
        self.commits.end();
        self.standings.end();
        (self.committing, self.asking) = (false, false);
        let context = self.consumer.context();
        // What the group waits for must be answered, or the consumer never closes.
        for notice in context.take() {
            context::answer(&self.consumer, &notice);
        }
        let all: Vec<Slot> = self.slots.iter().map(|(slot, _)| slot).collect();
        if self.revoking {
            context::unassign(&self.consumer, &self.list(&all));
        }
        self.give_back_waiting();
        self.forget(&all);
        // Dropping the last reference to the consumer leaves the group and waits for the answer.
    }
}
