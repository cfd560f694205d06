//! Consumers in memory, and what is sent to them.

use std::time::Duration;

use async_trait::async_trait;

use super::{Call, Consumer, Event, Events, Limits, Memory, State, StreamError, Trouble, lost};

/// A consumer that was made.
pub(super) struct Registered {
    active_at: Duration,
}

impl Registered {
    pub(super) fn consumer(&self, name: &str, now: Duration) -> Consumer {
        Consumer {
            arn: arn(name),
            active: now >= self.active_at,
        }
    }
}

fn arn(name: &str) -> String {
    format!("arn:consumer/{name}")
}

impl State {
    pub(super) fn register(
        &mut self,
        name: &str,
        now: Duration,
        limits: &Limits,
    ) -> Result<Consumer, StreamError> {
        if self.consumers.contains_key(name) {
            return Err(StreamError::InUse(format!("consumer {name}")));
        }
        if self.consumers.len() >= limits.consumers {
            return Err(StreamError::Throttled("too many consumers".into()));
        }
        let made = Registered {
            active_at: now + limits.activation,
        };
        let consumer = made.consumer(name, now);
        self.consumers.insert(name.into(), made);
        Ok(consumer)
    }

    /// Takes the subscription of a consumer to a shard over, unless it is too new.
    pub(super) fn subscribe(
        &mut self,
        consumer: &str,
        shard: usize,
        now: Duration,
        limits: &Limits,
    ) -> Result<u64, StreamError> {
        if !self.is_active(consumer, now) {
            return Err(StreamError::NotFound(consumer.into()));
        }
        let subscribed = &mut self.shards[shard].subscribed;
        let ours = subscribed.iter().position(|(arn, ..)| arn == consumer);
        if let Some(ours) = ours {
            if now < subscribed[ours].2 + limits.protected {
                return Err(StreamError::InUse(consumer.into()));
            }
            subscribed.remove(ours);
        }
        self.subscriptions += 1;
        subscribed.push((consumer.into(), self.subscriptions, now));
        Ok(self.subscriptions)
    }

    fn is_active(&self, consumer: &str, now: Duration) -> bool {
        let mut consumers = self.consumers.iter();
        consumers.any(|(name, made)| arn(name) == consumer && made.consumer(name, now).active)
    }
}

/// A subscription. Nothing is sent ahead.
#[derive(Debug)]
pub(super) struct MemoryEvents {
    pub(super) memory: Memory,
    pub(super) consumer: String,
    pub(super) shard: usize,
    pub(super) place: usize,
    pub(super) id: u64,
    pub(super) until: Duration,
}

/// What to do next in a subscription.
enum Step {
    Send(Event),
    Over,
    Wait,
}

#[async_trait]
impl Events for MemoryEvents {
    async fn next(&mut self) -> Result<Option<Event>, StreamError> {
        let memory = self.memory.clone();
        match memory.call(Call::Event).await? {
            // The connection breaks, and what was on it is gone.
            Some(Trouble::Lose) => return Err(lost()),
            Some(Trouble::Empty) => return Ok(Some(self.heartbeat())),
            _ => {}
        }
        let heartbeat = memory.now() + memory.0.limits.heartbeat;
        loop {
            let changed = memory.0.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            match self.step()? {
                Step::Send(event) => return Ok(Some(event)),
                Step::Over => return Ok(None),
                Step::Wait => {}
            }
            let until = heartbeat.min(self.until).saturating_sub(memory.now());
            if until.is_zero() {
                return Ok(Some(self.heartbeat()));
            }
            let _ = tokio::time::timeout(until, changed).await;
        }
    }
}

impl MemoryEvents {
    fn step(&mut self) -> Result<Step, StreamError> {
        let memory = self.memory.clone();
        let (now, limits) = (memory.now(), &memory.0.limits);
        if now >= self.until {
            return Ok(Step::Over);
        }
        let state = memory.state();
        let kept = &state.shards[self.shard];
        let ours = kept.subscribed.iter().any(|(_, id, _)| *id == self.id);
        if !ours || !state.is_active(&self.consumer, now) {
            return Err(StreamError::InUse("taken over".into()));
        }
        let read = kept.read(
            self.place,
            limits.event_records,
            limits.answer_bytes,
            now,
            limits.tells_children,
        );
        if read.records.is_empty() && read.next.is_some() {
            return Ok(Step::Wait);
        }
        let last = read.records.last().map(|record| record.sequence);
        let event = Event {
            records: read.records.iter().map(|r| memory.give(r)).collect(),
            continuation: read.next.and(last),
            behind_ms: Some(read.behind_ms),
            children: read.children,
        };
        self.place = read.next.unwrap_or(self.place);
        Ok(Step::Send(event))
    }

    /// Nothing new; another subscription would go on behind the last record there is, at a number of no record.
    fn heartbeat(&self) -> Event {
        let memory = &self.memory;
        let mut state = memory.state();
        let kept = &state.shards[self.shard];
        let behind_ms = kept.read(self.place, 0, 0, memory.now(), false).behind_ms;
        let next = kept.read(self.place, 1, usize::MAX, memory.now(), false);
        let continuation = match next.records.first() {
            Some(next) => next.sequence,
            None => state.number(),
        };
        Event {
            continuation: Some(continuation),
            behind_ms: Some(behind_ms),
            ..Event::default()
        }
    }
}
