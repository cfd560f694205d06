//! Reads a part of one partition, outside any group.

use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::client::{list_of, outsider};
use super::{KafkaSettings, record};
use crate::record::{Partition, Position, Record};
use crate::source::SourceError;

/// A consumer of one partition that joins no group and commits nothing.
pub struct PartReader {
    client: BaseConsumer,
    schema_header: Option<&'static str>,
    historical_topic: Option<String>,
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
        let client = outsider(settings, &[])?;
        let list = list_of([(partition, Offset::Offset(from.offset()))])?;
        client
            .assign(&list)
            .map_err(|error| SourceError::Unavailable(error.to_string()))?;
        let historical_topic = settings.historical_topic.clone();
        Ok(Self {
            client,
            schema_header: settings.schema_header,
            historical_topic,
        })
    }

    /// Waits up to `wait` for a record and hands it over. Breaks off if there is none, or if `take` does.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] if the place is not retained any more; what heals is logged.
    pub fn read(
        &self,
        wait: Duration,
        take: impl FnOnce(Record<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, SourceError> {
        match self.client.poll(wait) {
            None => Ok(ControlFlow::Break(())),
            Some(Ok(message)) => {
                let historical_topic = self.historical_topic.as_deref();
                Ok(take(record(&message, self.schema_header, historical_topic)))
            }
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ))) => Err(SourceError::Unavailable(
                "the records are not retained any more".into(),
            )),
            Some(Err(error)) => {
                tracing::warn!(%error, "kafka: reading is disturbed; librdkafka tries again");
                Ok(ControlFlow::Break(()))
            }
        }
    }
}
