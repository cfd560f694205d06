//! Where reading begins, and moving to another place: decided here, never by a silent reset.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{TIMEOUT, list_of, offsets};
use super::{Begin, KafkaSource};
use crate::record::{Partition, Position};
use crate::source::{Event, Source, SourceError};

/// Offsets by topic and number.
type Offsets = HashMap<(String, i32), i64>;

impl KafkaSource {
    /// Takes over what the group has given us, once it is known where each partition stands.
    pub(super) fn assign_waiting(&mut self) -> Result<Vec<Event>, SourceError> {
        let mut events = Vec::new();
        while Instant::now() >= self.assign_after {
            let Some(list) = self.to_assign.front() else {
                break;
            };
            let partitions: Vec<_> = list
                .elements()
                .iter()
                .map(|element| Partition::new(element.topic(), element.partition()))
                .collect();
            match self.starts(&partitions) {
                Ok(starts) => {
                    self.to_assign.pop_front();
                    self.take_over(starts, &mut events);
                }
                Err(SourceError::Unavailable(reason)) => {
                    tracing::warn!(reason, "kafka: cannot begin to read yet; trying again");
                    self.assign_after = Instant::now() + Duration::from_secs(1);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(events)
    }

    fn take_over(&mut self, starts: Vec<(Partition, Position)>, events: &mut Vec<Event>) {
        let list = list_of(
            starts
                .iter()
                .map(|(p, at)| (p, Offset::Offset(at.offset()))),
        );
        let assigned = list.map_err(|error| error.to_string()).and_then(|list| {
            match self.consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&list),
                _ => self.consumer.assign(&list),
            }
            .map_err(|error| error.to_string())
        });
        if let Err(reason) = assigned {
            // The group has moved on; it will say what is ours now.
            tracing::warn!(reason, "kafka: assignment was overtaken");
            return;
        }
        for (partition, start) in starts {
            tracing::info!(%partition, %start, "partition assigned");
            let slot = self.slots.insert(partition.clone(), start);
            self.metrics.partitions.inc();
            events.push(Event::Assigned {
                slot,
                partition,
                start,
            });
        }
        events.push(Event::Joined);
    }

    /// The first position to read of each partition.
    fn starts(&self, partitions: &[Partition]) -> Result<Vec<(Partition, Position)>, SourceError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let all = |offset| list_of(partitions.iter().map(|partition| (partition, offset)));
        let lows = offsets(&self.consumer, all(Offset::Beginning)?)?;
        let highs = offsets(&self.consumer, all(Offset::End)?)?;
        let committed = self
            .consumer
            .committed_offsets(all(Offset::Invalid)?, TIMEOUT)
            .map_err(|error| SourceError::Unavailable(format!("no checkpoints: {error}")))?;
        let committed = committed_offsets(&committed)?;
        let mut starts = Vec::new();
        let mut fresh = TopicPartitionList::new();
        for partition in partitions {
            let key = (partition.topic().to_owned(), partition.number());
            let (Some(&low), Some(&high)) = (lows.get(&key), highs.get(&key)) else {
                return Err(SourceError::Unavailable(format!(
                    "{partition}: broker gave no offset"
                )));
            };
            let start = self.start(partition, committed.get(&key).copied(), low, high);
            if !committed.contains_key(&key) && self.settings.begin == Begin::Latest {
                let _ = fresh.add_partition_offset(&key.0, key.1, Offset::Offset(start));
            }
            starts.push((partition.clone(), Position::at(start)));
        }
        self.remember(&fresh)?;
        Ok(starts)
    }

    fn start(&self, partition: &Partition, committed: Option<i64>, low: i64, high: i64) -> i64 {
        let begin = match self.settings.begin {
            Begin::Earliest => low,
            Begin::Latest => high,
        };
        match committed {
            None => begin,
            Some(offset) if offset < low => {
                self.lose(partition, offset, low);
                low
            }
            Some(offset) if offset > high => {
                tracing::error!(
                    %partition, checkpoint = offset, end = high, begin,
                    "the checkpoint lies beyond the partition's end: was the topic created anew? \
                     Reading begins where kafka.offset says"
                );
                begin
            }
            Some(offset) => offset,
        }
    }

    /// Commits where `latest` was found to be: after a crash it would be somewhere else, and what lies between lost.
    fn remember(&self, fresh: &TopicPartitionList) -> Result<(), SourceError> {
        if fresh.count() == 0 {
            return Ok(());
        }
        self.consumer
            .commit(fresh, rdkafka::consumer::CommitMode::Sync)
            .map_err(|error| SourceError::Unavailable(format!("cannot commit the start: {error}")))
    }

    fn lose(&self, partition: &Partition, next: i64, low: i64) {
        let lost = low - next;
        self.metrics
            .records_expired
            .inc_by(u64::try_from(lost).unwrap_or(0));
        tracing::error!(
            %partition, next, oldest = low, lost,
            "records were deleted from the topic before they were read: its retention is too short for the \
             backlog. Reading goes on with the oldest that is left"
        );
    }

    /// A broker has said that a position is out of range: finds out whose, and goes on with what is left.
    pub(super) fn skip_expired(&mut self) {
        let partitions: Vec<_> = self
            .slots
            .iter()
            .map(|(_, assigned)| assigned.partition.clone())
            .collect();
        let lows = list_of(partitions.iter().map(|p| (p, Offset::Beginning)))
            .and_then(|list| offsets(&self.consumer, list));
        let lows: Offsets = match lows {
            Ok(lows) => lows,
            Err(error) => {
                tracing::warn!(%error, "kafka: a position is out of range, and the cluster does not say whose");
                return;
            }
        };
        let expired: Vec<_> = self
            .slots
            .iter()
            .filter_map(|(slot, assigned)| {
                let key = (
                    assigned.partition.topic().to_owned(),
                    assigned.partition.number(),
                );
                let low = *lows.get(&key)?;
                (low > assigned.next.offset()).then(|| {
                    (
                        slot,
                        assigned.partition.clone(),
                        assigned.next.offset(),
                        low,
                    )
                })
            })
            .collect();
        for (slot, partition, next, low) in expired {
            self.lose(&partition, next, low);
            self.rewind(slot, Position::at(low));
        }
    }

    /// Moves reading to where [`Source::rewind`] was asked to go. Until that has worked, nothing of the partition is handed
    /// over, so that no record is passed by.
    pub(super) fn seek_waiting(&mut self) {
        for assigned in self.slots.iter_mut() {
            let Some(to) = assigned.seek else { continue };
            let partition = &assigned.partition;
            let moved = list_of([(partition, Offset::Offset(to.offset()))])
                .map_err(|error| error.to_string())
                .and_then(|list| {
                    let moved = self.consumer.seek_partitions(list, TIMEOUT);
                    let moved = moved.map_err(|error| error.to_string())?;
                    let errors = moved
                        .elements()
                        .iter()
                        .try_for_each(rdkafka::topic_partition_list::TopicPartitionListElem::error);
                    errors.map_err(|error| error.to_string())
                });
            match moved {
                Ok(()) => assigned.seek = None,
                Err(reason) => {
                    tracing::warn!(%partition, %to, reason, "kafka: cannot go back yet; trying again");
                }
            }
        }
    }
}

fn committed_offsets(list: &TopicPartitionList) -> Result<Offsets, SourceError> {
    let mut offsets = Offsets::new();
    for element in list.elements() {
        element.error().map_err(|error| {
            let (topic, number) = (element.topic(), element.partition());
            SourceError::Unavailable(format!("{topic}-{number}: no checkpoint: {error}"))
        })?;
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert((element.topic().to_owned(), element.partition()), offset);
        }
    }
    Ok(offsets)
}
