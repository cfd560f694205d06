//! A cluster seen from outside. librdkafka's questions block, so each is asked on a thread of its own.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;

use super::{KafkaSettings, questions};
use crate::record::{Partition, Position, Span};
use crate::source::{Checkpoint, SourceError, Survey};

/// How long the cluster may take to tell whether there are records in a hole.
const PATIENCE: Duration = Duration::from_secs(10);

/// The configured topics, and the group's offsets.
#[derive(Clone, Debug)]
pub struct KafkaSurvey(pub KafkaSettings);

impl KafkaSurvey {
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&KafkaSettings) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let settings = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&settings)).await;
        asked.map_err(|error| SourceError::Unavailable(error.to_string()))?
    }
}

#[async_trait]
impl Survey for KafkaSurvey {
    async fn partitions(&self) -> Result<Vec<Partition>, SourceError> {
        self.ask(questions::partitions).await
    }

    async fn checkpoints(
        &self,
        partitions: &[Partition],
    ) -> Result<HashMap<Partition, Checkpoint>, SourceError> {
        let asked = partitions.to_vec();
        self.ask(move |kafka| questions::checkpoints(kafka, &asked))
            .await
    }

    async fn oldest(
        &self,
        partitions: &[Partition],
    ) -> Result<HashMap<Partition, Position>, SourceError> {
        let asked = partitions.to_vec();
        self.ask(move |kafka| questions::oldest(kafka, &asked))
            .await
    }

    async fn ends(
        &self,
        partitions: &[Partition],
    ) -> Result<HashMap<Partition, Option<Position>>, SourceError> {
        let asked = partitions.to_vec();
        let ends = self
            .ask(move |kafka| questions::ends(kafka, &asked))
            .await?;
        let known = |(partition, end)| (partition, Some(end));
        Ok(ends.into_iter().map(known).collect())
    }

    async fn is_gap(&self, span: &Span) -> Result<bool, SourceError> {
        let Span {
            partition,
            from,
            to,
        } = span.clone();
        self.ask(move |kafka| questions::is_gap(kafka, &partition, from, to, PATIENCE))
            .await
    }

    async fn store(&self, checkpoints: &[(Partition, Checkpoint)]) -> Result<(), SourceError> {
        let asked = checkpoints.to_vec();
        self.ask(move |kafka| questions::store(kafka, &asked)).await
    }
}
