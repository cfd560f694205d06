//! From settings to workers that read Kafka topics.

use std::sync::Arc;

use super::{Crew, RunError, Stop};
use crate::config::settings::Settings;
use crate::source::Survey;
use crate::source::kafka::{KafkaSettings, KafkaSource, KafkaSurvey};
use crate::worker::Shared;

/// One worker for each number, with so many bytes to fetch ahead each.
pub(super) fn start(
    kafka: &KafkaSettings,
    workers: usize,
    prefetch: usize,
    shared: &Shared,
    stop: &Stop,
) -> Result<Crew, RunError> {
    let kafka = KafkaSettings {
        prefetch_bytes: prefetch,
        ..kafka.clone()
    };
    let join = |number| KafkaSource::join(kafka.clone(), number, shared.metrics.clone());
    let sources: Vec<_> = (0..workers).map(join).collect::<Result<_, _>>()?;
    Crew::start(sources, shared, stop)
}

/// Says so if late records have no topic to go to.
pub(super) async fn missing_historical_topic(
    settings: &Settings,
    kafka: &KafkaSettings,
) -> Result<Option<String>, RunError> {
    let Some(historical) = &settings.routing.historical else {
        return Ok(None);
    };
    let topic = &historical.topic;
    let asked = KafkaSettings {
        topics: vec![topic.clone()],
        ..kafka.clone()
    };
    let found = KafkaSurvey(asked).partitions().await?;
    Ok(found.is_empty().then(|| {
        format!("kafka.historical-data-topic: the cluster has no topic {topic}: create it, or correct the name")
    }))
}

/// What a start without partitions is told.
pub(super) fn no_topic(kafka: &KafkaSettings) -> String {
    let topics = kafka.topics.join(", ");
    format!("kafka.topic: no topic of the cluster matches {topics}: create it, or correct the name")
}

/// The topics seen from outside.
pub(super) fn survey(kafka: &KafkaSettings) -> Arc<dyn Survey> {
    Arc::new(KafkaSurvey(kafka.clone()))
}
