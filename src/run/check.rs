//! `alluvium check`: whether a run could start.

use super::{Lookups, Opened, RunError, budget, wire};
use crate::config::settings::{Settings, Stream};
use crate::registry::{self, Targets};
use crate::schemas::Client;

/// Answers whether a run with these settings could start, without starting one.
///
/// # Errors
/// What would keep it from starting, or that something did not answer.
pub async fn check(settings: &Settings, targets: &Targets) -> Result<String, RunError> {
    budget(settings)?;
    let target = targets.open(settings).await?;
    target.check().await?;
    Lookups::open(settings).await?;
    if wire::needs_registry(settings) {
        Client::new(&wire::registry_settings(settings))?
            .check()
            .await?;
    }
    let opened = Opened::open(settings).await?;
    let partitions = opened.partitions().await?;
    if let Some(missing) = opened.missing(settings, &partitions).await? {
        return Err(RunError::Configuration(missing));
    }
    let count = partitions.len();
    let stream = match &settings.stream {
        Stream::Kafka(_) => format!("kafka: {count} partitions"),
        Stream::Kinesis(_) => format!("kinesis: {count} shards"),
    };
    let catalog = settings.store.as_ref();
    let catalog = catalog.map(|store| format!("catalog: {} answers\n", store.address));
    Ok(format!(
        "target: {} is writable\n{}{stream} to read with {} workers",
        registry::describe(settings),
        catalog.unwrap_or_default(),
        wire::worker_count(settings, count),
    ))
}
