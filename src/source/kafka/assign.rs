//! Where reading begins, and moving to another place: decided here, never by a silent reset.
//!
//! What the group assigns is accepted at once, with nothing to read yet, so that neither the group nor the partitions we
//! keep wait for us. Each partition is read as soon as it is known where it stands.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};

use super::asks::Standing;
use super::client::list_of;
use super::context::Context;
use super::{Begin, KafkaSource};
use crate::record::{Partition, Position};
use crate::source::{Assigned, Checkpoint, Event, SourceError};

/// How long to wait before something that failed is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a move within a partition may take.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

impl KafkaSource {
    /// Accepts what the group assigns.
    pub(super) fn on_assign(&mut self, partitions: &TopicPartitionList) -> Result<(), SourceError> {
        self.metrics
            .rebalances
            .with_label_values(&["assigned"])
            .inc();
        self.consumer
            .incremental_assign(&TopicPartitionList::new())
            .map_err(|error| {
                // librdkafka would wait for an answer for ever.
                SourceError::Misconfigured(format!("cannot accept an assignment: {error}"))
            })?;
        for element in partitions.elements() {
            let partition = Partition::new(element.topic(), element.partition());
            self.assignments += 1;
            self.waiting.insert(partition, self.assignments);
        }
        self.joined = false;
        Ok(())
    }

    /// Asks where partitions stand that wait to be read, or whose place does not exist any more.
    pub(super) fn ask_for_standings(&mut self) {
        let now = Instant::now();
        if self.asking || now < self.ask_after {
            return;
        }
        let waiting = self.waiting.iter();
        let mut asked: HashMap<_, _> = waiting
            .map(|(partition, number)| (partition.clone(), Asked::ToBegin(*number)))
            .collect();
        if self.misplaced {
            let assigned = self.slots.iter().map(|(_, assigned)| assigned);
            asked.extend(assigned.map(|a| (a.partition.clone(), Asked::AboutPlace(a.next))));
        }
        let partitions: Vec<_> = asked.keys().cloned().collect();
        self.asking = !partitions.is_empty() && self.standings.ask(partitions);
        self.asked = asked;
    }

    /// Begins to read the partitions whose standing is known now.
    pub(super) fn on_standings(
        &mut self,
        standings: Vec<(Partition, Result<Standing, String>)>,
        events: &mut Vec<Event>,
    ) {
        self.asking = false;
        let (mut starts, mut failed) = (Vec::new(), None);
        for (partition, standing) in standings {
            let standing = match standing {
                Ok(standing) => standing,
                Err(reason) => {
                    failed = Some((partition, reason));
                    continue;
                }
            };
            match self.asked.remove(&partition) {
                // An answer counts for the assignment it was asked for: others may have committed between two.
                Some(Asked::ToBegin(number)) if self.waiting.get(&partition) == Some(&number) => {
                    starts.push((partition.clone(), self.start(&partition, standing)));
                }
                Some(Asked::AboutPlace(next)) => {
                    self.check_place(&partition, next, &standing, events);
                }
                _ => {}
            }
        }
        if let Some((partition, reason)) = failed {
            tracing::warn!(%partition, reason, "kafka: it is not known yet where to read; asking again");
            self.ask_after = Instant::now() + PAUSE;
        } else {
            self.misplaced = false;
        }
        self.take_over(starts, events);
    }

    fn take_over(&mut self, starts: Vec<(Partition, Start)>, events: &mut Vec<Event>) {
        if starts.is_empty() {
            return;
        }
        let places: Vec<_> = starts
            .iter()
            .map(|(partition, start)| (partition.clone(), start.place()))
            .collect();
        for (partition, _) in &places {
            self.messages.follow(partition);
        }
        let begun = begin_at(&self.consumer, &places);
        self.messages.refollow();
        if let Err(reason) = begun {
            tracing::warn!(reason, "kafka: cannot begin to read; trying again");
            self.ask_after = Instant::now() + PAUSE;
            return;
        }
        for (partition, start) in starts {
            tracing::info!(%partition, start = %start.checkpoint.position, "partition assigned");
            self.waiting.remove(&partition);
            let slot = self.slots.insert(partition.clone(), start.place());
            self.metrics.partitions.inc();
            let Start {
                checkpoint,
                oldest,
                end,
            } = start;
            events.push(Event::Assigned(Box::new(Assigned {
                slot,
                partition,
                checkpoint,
                oldest: Some(oldest),
                end: Some(end),
            })));
        }
    }

    fn start(&self, partition: &Partition, standing: Standing) -> Start {
        let begin = Position::at(self.beginning(&standing));
        let oldest = Position::at(standing.low);
        let nothing = |position| Checkpoint {
            position,
            reach: None,
            note: String::new(),
        };
        let checkpoint = match standing.committed {
            None => nothing(begin),
            // An open plan must be looked at by the worker, whatever has become of the topic.
            Some(found) if found.position.offset() > standing.high && found.note.is_empty() => {
                tracing::error!(
                    %partition, checkpoint = %found.position, end = standing.high, %begin,
                    "the checkpoint lies beyond the partition's end: was the topic created anew? \
                     Reading begins where kafka.offset says"
                );
                nothing(begin)
            }
            Some(found) => found,
        };
        let end = Position::at(standing.high);
        Start {
            checkpoint,
            oldest,
            end,
        }
    }

    fn beginning(&self, standing: &Standing) -> i64 {
        match self.settings.begin {
            Begin::Earliest => standing.low,
            Begin::Latest => standing.high,
        }
    }

    /// A broker has said that some place does not exist: if it is this partition's, reads on from one that does.
    /// Only a partition that has not moved since it was asked about can be at a place that does not exist.
    fn check_place(
        &mut self,
        partition: &Partition,
        asked_at: Position,
        standing: &Standing,
        events: &mut Vec<Event>,
    ) {
        let Some(slot) = self.slots.find(partition.topic(), partition.number()) else {
            return;
        };
        let next = asked_at.offset();
        if self.slots.get(slot).map(|assigned| assigned.next) != Some(asked_at) {
            return;
        }
        if next < standing.low {
            events.push(Event::Expired(slot, Position::at(standing.low)));
        } else if next > standing.high {
            events.push(Event::Truncated(slot, Position::at(standing.high)));
        }
    }

    /// Moves reading to where it was asked to go. Until that has worked, nothing of the partition is handed
    /// over, so that no record is passed by.
    pub(super) fn seek_waiting(&mut self) {
        if Instant::now() < self.seek_after {
            return;
        }
        let rebalancing = self.revoking;
        for assigned in self.slots.iter_mut() {
            let Some(to) = assigned.seek else { continue };
            let place = [(assigned.partition.clone(), to)];
            let moved = seek(&self.consumer, &place).or_else(|reason| {
                // A partition whose place did not exist has stopped, and only begins anew. But in a rebalance that
                // would count as our answer to it.
                if rebalancing {
                    Err(reason)
                } else {
                    begin_anew(&self.consumer, &place)
                }
            });
            self.messages.refollow();
            match moved {
                Ok(()) => {
                    assigned.seek = None;
                    // What came since the place was asked for lies behind it.
                    self.messages.discard(&assigned.partition);
                }
                Err(reason) => {
                    let partition = &assigned.partition;
                    tracing::warn!(%partition, %to, reason, "kafka: cannot move yet; trying again");
                    self.seek_after = Instant::now() + PAUSE;
                }
            }
        }
    }
}

/// Where a partition stands for us.
struct Start {
    checkpoint: Checkpoint,
    oldest: Position,
    end: Position,
}

impl Start {
    /// Where reading begins: some place that exists.
    fn place(&self) -> Position {
        let checkpoint = self.checkpoint.position.min(self.end);
        checkpoint.max(self.oldest)
    }
}

/// What a standing was asked for.
#[derive(Debug)]
pub(super) enum Asked {
    /// To begin to read: the number of the assignment.
    ToBegin(u64),
    /// Because some place does not exist: where reading stood then.
    AboutPlace(Position),
}

type Places<'a> = &'a [(Partition, Position)];

fn list(places: Places<'_>) -> Result<TopicPartitionList, String> {
    list_of(
        places
            .iter()
            .map(|(partition, at)| (partition, Offset::Offset(at.offset()))),
    )
    .map_err(|error| error.to_string())
}

/// Adds partitions to those that are read. They may have been ours before, and paused then: librdkafka remembers that.
fn begin_at(consumer: &BaseConsumer<Context>, places: Places<'_>) -> Result<(), String> {
    let list = list(places)?;
    let begun = consumer
        .incremental_assign(&list)
        .and_then(|()| consumer.resume(&list));
    begun.map_err(|error| error.to_string())
}

fn begin_anew(consumer: &BaseConsumer<Context>, places: Places<'_>) -> Result<(), String> {
    let list = list(places)?;
    let begun = consumer
        .incremental_unassign(&list)
        .and_then(|()| consumer.incremental_assign(&list));
    begun.map_err(|error| error.to_string())
}

fn seek(consumer: &BaseConsumer<Context>, places: Places<'_>) -> Result<(), String> {
    let moved = consumer.seek_partitions(list(places)?, SEEK_TIMEOUT);
    let moved = moved.map_err(|error| error.to_string())?;
    let errors = moved
        .elements()
        .iter()
        .try_for_each(TopicPartitionListElem::error);
    errors.map_err(|error| error.to_string())
}
