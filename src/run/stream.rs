//! The configured stream, whichever kind it is: found, surveyed, and read by workers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Crew, RunError, Stop, kafka, kinesis, wire};
use crate::config::settings::{Settings, Stream};
use crate::deliver::{LateSink, NoLate};
use crate::metrics::Metrics;
use crate::metrics::cloudwatch::{KclMetrics, Publishing};
use crate::record::{Partition, Position};
use crate::source::Survey;
use crate::source::kafka::{KafkaLate, KafkaSettings};
use crate::worker::Shared;

/// A stream, as the settings say.
#[derive(Clone)]
pub(crate) enum Opened {
    /// Topics of a cluster.
    Kafka(Box<KafkaSettings>),
    /// A stream with its lease table.
    Kinesis(Box<kinesis::Opened>),
}

/// What the stream has for us.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) partitions: Vec<Partition>,
    pub(super) ends: HashMap<Partition, Option<Position>>,
}

impl Opened {
    /// Makes ready to ask. Neither cluster nor service is asked yet.
    ///
    /// # Errors
    /// [`RunError::Configuration`] if what is needed to ask cannot be found out.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, RunError> {
        Ok(match &settings.stream {
            Stream::Kafka(kafka) => Self::Kafka(Box::new(wire::kafka_settings(settings, kafka))),
            Stream::Kinesis(stream) => {
                Self::Kinesis(Box::new(kinesis::Opened::open(stream).await?))
            }
        })
    }

    /// What can be known of it from outside.
    pub(crate) fn survey(&self) -> Arc<dyn Survey> {
        match self {
            Self::Kafka(settings) => kafka::survey(settings),
            Self::Kinesis(opened) => Arc::new(opened.survey()),
        }
    }

    /// What there is to be read, and where it ends if that is asked for. A lease table is made if there is none, and the stream is there.
    pub(super) async fn find(&self, ends: bool) -> Result<Found, RunError> {
        let partitions = self.partitions().await?;
        if let Self::Kinesis(opened) = self {
            opened.prepare().await?;
        }
        let ends = match ends {
            true => self.survey().ends(&partitions).await?,
            false => HashMap::new(),
        };
        Ok(Found { partitions, ends })
    }

    /// What there is to be read.
    pub(super) async fn partitions(&self) -> Result<Vec<Partition>, RunError> {
        match self {
            Self::Kafka(_) => Ok(self.survey().partitions().await?),
            Self::Kinesis(opened) => opened.unread().await,
        }
    }

    /// How long partitions may seem to be nobody's that somebody is about to get.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Kafka(_) => Duration::ZERO,
            Self::Kinesis(opened) => opened.patience(),
        }
    }

    /// Bytes that each of so many workers may fetch ahead.
    pub(crate) fn prefetch(&self, budget: u64, workers: usize) -> usize {
        match self {
            Self::Kafka(_) => wire::prefetch(budget, workers),
            Self::Kinesis(_) => kinesis::prefetch(budget, workers),
        }
    }

    /// Where its late records go.
    pub(super) fn late(&self) -> Arc<dyn LateSink> {
        match self {
            Self::Kafka(settings) => Arc::new(KafkaLate::new((**settings).clone())),
            Self::Kinesis(_) => Arc::new(NoLate),
        }
    }

    /// Begins to send metrics where readers of such a stream expect them, besides where all are.
    pub(super) async fn publish(
        &self,
        metrics: &Metrics,
    ) -> Result<Option<(Arc<KclMetrics>, Publishing)>, RunError> {
        match self {
            Self::Kafka(_) => Ok(None),
            Self::Kinesis(opened) => opened.publish(metrics).await,
        }
    }

    /// Has it read by so many workers.
    pub(super) fn start(
        &self,
        workers: usize,
        prefetch: usize,
        shared: &Shared,
        kcl: Option<&Arc<KclMetrics>>,
        stop: &Stop,
    ) -> Result<Crew, RunError> {
        match self {
            Self::Kafka(settings) => kafka::start(settings, workers, prefetch, shared, stop),
            Self::Kinesis(opened) => opened.start(workers, prefetch, shared, kcl, stop),
        }
    }

    /// What a person should know who waits for partitions, or for late records.
    ///
    /// # Errors
    /// If it cannot be found out.
    pub(super) async fn missing(
        &self,
        settings: &Settings,
        partitions: &[Partition],
    ) -> Result<Option<String>, RunError> {
        match self {
            Self::Kafka(kafka) if partitions.is_empty() => Ok(Some(kafka::no_topic(kafka))),
            Self::Kafka(kafka) => kafka::missing_historical_topic(settings, kafka).await,
            Self::Kinesis(_) => Ok(None),
        }
    }
}
