//! Reads a part of one partition, outside any group.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::batch::{Fate, Messages};
use super::client::{list_of, outsider};
use super::reading::record;
use super::{KafkaSettings, no_queue};
use crate::record::{Partition, Position, Record};
use crate::source::SourceError;

/// A consumer of one partition that joins no group and commits nothing.
pub struct PartReader {
    messages: Messages<DefaultConsumerContext>,
    client: Arc<BaseConsumer>,
    schema_header: Option<&'static str>,
    is_historical: bool,
}

impl PartReader {
    /// Begins at `from`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] if librdkafka does not accept a setting.
    pub fn open(
        settings: &KafkaSettings,
        partition: &Partition,
        from: Position,
    ) -> Result<Self, SourceError> {
        let client = Arc::new(outsider(settings, &[])?);
        let mut messages = Messages::of(&client, &Arc::default()).ok_or_else(no_queue)?;
        messages.follow(partition);
        let list = list_of([(partition, Offset::Offset(from.offset()))])?;
        client
            .assign(&list)
            .map_err(|error| SourceError::Unavailable(error.to_string()))?;
        Ok(Self {
            messages,
            client,
            schema_header: settings.schema_header,
            is_historical: settings.is_historical(partition.topic()),
        })
    }

    /// Waits up to `wait` for records and hands over at most `max`. Breaks off if there is none, or if `take` does.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] if the place is not retained any more; what heals is logged.
    pub fn read(
        &mut self,
        wait: Duration,
        max: usize,
        mut take: impl FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, SourceError> {
        if self.messages.is_empty() && !self.messages.fill(wait, max) {
            // Nothing is left to do then but to hear what the client has to say.
            if let Some(Err(error)) = self.client.poll(Duration::ZERO) {
                disturbed(&error)?;
            }
            return Ok(ControlFlow::Break(()));
        }
        let (header, is_historical) = (self.schema_header, self.is_historical);
        let (mut left, mut failure, mut flow) = (max, None, ControlFlow::Continue(()));
        self.messages.go_through(|message| {
            if let Some((error, _)) = message.error() {
                failure = Some(error);
                return Fate::Last;
            }
            flow = take(record(message, header, is_historical));
            left = left.saturating_sub(1);
            if flow.is_break() || left == 0 {
                Fate::Last
            } else {
                Fate::Done
            }
        });
        if let Some(error) = failure {
            disturbed(&error)?;
            return Ok(ControlFlow::Break(()));
        }
        Ok(flow)
    }
}

fn disturbed(error: &KafkaError) -> Result<(), SourceError> {
    if let KafkaError::MessageConsumption(
        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
    ) = error
    {
        return Err(SourceError::Unavailable(
            "the records are not retained any more".into(),
        ));
    }
    tracing::warn!(%error, "kafka: reading is disturbed; librdkafka tries again");
    Ok(())
}
