//! Having records sent.
//!
//! A subscription lasts five minutes, and the next goes on where the last event said. Events are not read while there is no memory for
//! them, or nobody wants them: at most one a shard is in memory beyond what may be held. What was not read is sent again by the next
//! subscription, so one that is not read for long is given up. Not at once: the service takes the next only five seconds behind the last.

use std::time::Duration;

use tokio::time::timeout;

use super::super::{Event, Events, StreamError};
use super::News;
use super::place::Said;
use super::reader::{End, Reader, footprint};
use super::service::{Counts, Mode};

/// As metrics call it.
const CALL: &str = "SubscribeToShard";
/// The service sends an event every few seconds, if only to say that there is nothing. Longer silence is a connection that is dead.
const SILENCE: Duration = Duration::from_secs(35);
/// How long a subscription is kept without being read.
const UNREAD: Duration = Duration::from_secs(10);

impl Reader {
    pub(super) async fn subscribe(&mut self, consumer: &str) -> End {
        loop {
            if let Err(end) = self.one_subscription(consumer).await {
                return end;
            }
        }
    }

    async fn one_subscription(&mut self, consumer: &str) -> Result<(), End> {
        self.wanted().await?;
        self.rest().await;
        let stream = self.service.stream.clone();
        let now = self.service.now();
        self.pace().asks(now);
        self.place.stood_still(now);
        let asked = stream.subscribe(consumer, &self.shard, self.place.from());
        match asked.await {
            Ok(events) => {
                Counts::count(&self.service.counts().answers);
                self.pace().subscribed(self.service.now());
                self.place.begun();
                self.listen(events).await
            }
            Err(error) => self.refused(error).await,
        }
    }

    /// There is no subscription. What is true of a shard is told as it is told of polling; the rest may be the consumer's fault.
    async fn refused(&mut self, error: StreamError) -> Result<(), End> {
        match error {
            // The consumer is there, and another look at it would find it again.
            StreamError::Misconfigured(reason) if self.service.settings.mode == Mode::FanOut => {
                Err(End::Told(News::Failed(reason)))
            }
            StreamError::Misconfigured(reason) => Err(End::NoConsumer(reason)),
            StreamError::NotFound(reason) => {
                self.failed(CALL, StreamError::NotFound(reason.clone()))
                    .await?;
                // The shard is there.
                Err(End::NoConsumer(reason))
            }
            error => self.failed(CALL, error).await,
        }
    }

    /// Reads events until the subscription is over.
    async fn listen(&mut self, mut events: Box<dyn Events>) -> Result<(), End> {
        loop {
            let mut paused = self.paused.clone();
            let event = tokio::select! {
                event = timeout(SILENCE, events.next()) => Some(event),
                // Also if nobody listens any more.
                _ = paused.wait_for(|paused| *paused) => None,
            };
            let Some(event) = event else {
                match timeout(UNREAD, self.wanted()).await {
                    Ok(wanted) => wanted?,
                    Err(_) => return Ok(()),
                }
                continue;
            };
            match event {
                Ok(Ok(Some(event))) => {
                    self.pace().heard();
                    if let Some(last) = self.heard(event, events).await? {
                        events = last;
                    } else {
                        return Ok(());
                    }
                }
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return self.refused(error).await,
                Err(_) => {
                    let silence = format!("no event for {SILENCE:?}");
                    return self.failed(CALL, StreamError::Unavailable(silence)).await;
                }
            }
        }
    }

    /// Hands over an event. Gives the subscription back, if it was kept and goes on.
    async fn heard(
        &mut self,
        event: Event,
        events: Box<dyn Events>,
    ) -> Result<Option<Box<dyn Events>>, End> {
        // Children are told at the end only. A server that also says where to go on has no more to say, either.
        let ended = event.continuation.is_none()
            || (event.records.is_empty() && !event.children.is_empty());
        let said = Said {
            behind_ms: event.behind_ms,
            ended,
        };
        let (held, events) = {
            let allowance = self.allowance.clone();
            let reserve = allowance.reserve(footprint(&event.records));
            let mut reserve = std::pin::pin!(reserve);
            match timeout(UNREAD, &mut reserve).await {
                Ok(held) => (held, Some(events)),
                Err(_) => {
                    drop(events);
                    (reserve.await, None)
                }
            }
        };
        self.hand_over(event.records, said, held).await?;
        match event.continuation {
            Some(continuation) if !ended => {
                self.place.continue_at(continuation);
                Ok(events)
            }
            _ => {
                self.ended(event.children).await?;
                Ok(None)
            }
        }
    }
}
