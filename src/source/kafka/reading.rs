//! From librdkafka's messages to records, handed over in the order of each partition.
//!
//! What the group says is heard first: a record behind a rebalance may belong to somebody else. Messages that were taken from librdkafka and
//! not handed over stay for the next time, through a pause too; they go when their partition does, or is read from somewhere else.

use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;

use super::batch::Fate;
use super::native::Message;
use super::{KafkaSettings, KafkaSource, late};
use crate::record::{Position, Record};
use crate::source::Slot;

/// What keeps librdkafka from reading, and how it says so.
pub(super) type Disturbance = (KafkaError, String);

/// Things besides messages that are heard at once.
const MAX_EVENTS: usize = 64;

type Take<'a> = &'a mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>;

impl KafkaSource {
    /// Waits up to `wait` for something to happen and hands over at most `max` records.
    pub(super) fn read(&mut self, wait: Duration, max: usize, take: Take<'_>) -> Vec<Disturbance> {
        let (mut wait, mut left) = (wait, max);
        let mut disturbed = Vec::new();
        loop {
            let heard_all = self.hear(&mut disturbed);
            if self.consumer.context().any() || !disturbed.is_empty() {
                break;
            }
            let (handed_over, flow) = self.hand_over(left, take, &mut disturbed);
            left = left.saturating_sub(handed_over);
            if handed_over > 0 {
                wait = Duration::ZERO;
            }
            if flow.is_break() || left == 0 || !disturbed.is_empty() {
                break;
            }
            if !heard_all {
                // Nothing rings for what has been there before.
                wait = Duration::ZERO;
            }
            if !self.messages.fill(wait, left) {
                break;
            }
            wait = Duration::ZERO;
        }
        disturbed
    }

    /// Hears what there is besides messages. Whether that was all.
    fn hear(&mut self, disturbed: &mut Vec<Disturbance>) -> bool {
        for _ in 0..MAX_EVENTS {
            if self.events.queue().is_empty() {
                return true;
            }
            if self.consumer.context().any() || !disturbed.is_empty() {
                break;
            }
            self.hear_one(disturbed);
        }
        false
    }

    fn hear_one(&mut self, disturbed: &mut Vec<Disturbance>) {
        match self.consumer.poll(Duration::ZERO) {
            None => {}
            Some(Err(error)) => disturbed.push((error, String::new())),
            // It came before its partition was followed, which should not be: those that came with it are elsewhere, so all are read again.
            Some(Ok(message)) => {
                let found = self.slots.find(message.topic(), message.partition());
                if let Some(assigned) = found.and_then(|slot| self.slots.get_mut(slot)) {
                    let partition = &assigned.partition;
                    tracing::warn!(%partition, "kafka: a message came the wrong way; reading on behind the one before");
                    assigned.seek = Some(assigned.next);
                    self.messages.discard(&assigned.partition);
                }
            }
        }
    }

    /// Hands over at most `max` of the records that were taken from librdkafka.
    fn hand_over(
        &mut self,
        max: usize,
        take: Take<'_>,
        disturbed: &mut Vec<Disturbance>,
    ) -> (usize, ControlFlow<()>) {
        let Self {
            messages,
            slots,
            settings,
            ..
        } = self;
        let header = settings.schema_header;
        let (mut handed_over, mut flow) = (0, ControlFlow::Continue(()));
        let mut known = None;
        messages.go_through(|message| {
            if let Some(disturbance) = message.error() {
                disturbed.push(disturbance);
                return Fate::Last;
            }
            let home = message.home();
            let (slot, is_historical) = match known {
                Some((same, slot, is_historical)) if same == home => (slot, is_historical),
                _ => {
                    let slot = slots.find(message.topic(), message.number());
                    let is_historical = settings.is_historical(message.topic());
                    known = Some((home, slot, is_historical));
                    (slot, is_historical)
                }
            };
            let Some((slot, assigned)) = slot.and_then(|slot| Some((slot, slots.get_mut(slot)?)))
            else {
                return Fate::Done;
            };
            if assigned.seek.is_some() {
                return Fate::Done;
            }
            if assigned.paused {
                return Fate::Keep;
            }
            let record = record(message, header, is_historical);
            assigned.next.go_behind(&record.position);
            flow = take(slot, record);
            handed_over += 1;
            if flow.is_break() || handed_over == max {
                Fate::Last
            } else {
                Fate::Done
            }
        });
        (handed_over, flow)
    }
}

impl KafkaSettings {
    /// Whether this is the topic of late records.
    pub(super) fn is_historical(&self, topic: &str) -> bool {
        self.historical_topic.as_deref() == Some(topic)
    }
}

/// A message as a record, with what its header of that name says of a schema. Only in the historical topic other headers are looked at.
pub(super) fn record<'a>(
    message: &'a Message,
    schema_header: Option<&str>,
    is_historical: bool,
) -> Record<'a> {
    Record {
        position: Position::at(message.offset()),
        timestamp: message.timestamp(),
        key: message.key(),
        payload: message.payload(),
        schema: schema_header.and_then(|name| header(message, name)),
        origin: if is_historical {
            late::origin(message)
        } else {
            None
        },
    }
}

/// The value of the last header of that name.
fn header<'a>(message: &'a Message, name: &str) -> Option<&'a [u8]> {
    let mut headers = message.headers().rev();
    let (_, value) = headers.find(|(key, _)| *key == name.as_bytes())?;
    value
}

#[cfg(test)]
mod tests;
