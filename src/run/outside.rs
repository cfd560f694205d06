//! What a run shows of itself from its first moment on: a line in the log, and an address that answers.

use std::sync::Arc;

use super::{RunError, wire};
use crate::config::settings::{Settings, Stream};
use crate::metrics::{Health, Metrics};
use crate::registry;

/// Where answers are given when nobody has chosen an address.
const DEFAULT_LISTEN: &str = "127.0.0.1:9464";

/// Answers who asks for metrics and health, if that is wanted.
pub(super) async fn answer(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) -> Result<Option<tokio::task::JoinHandle<std::io::Result<()>>>, RunError> {
    let Some(address) = settings.admin.listen else {
        return Ok(None);
    };
    match crate::admin::listen(address).await {
        Ok(listener) => {
            let (metrics, health) = (metrics.clone(), health.clone());
            Ok(Some(tokio::spawn(crate::admin::serve(
                listener, metrics, health,
            ))))
        }
        // A second copy on the same machine is no mistake; an address somebody chose must work.
        Err(error) if address.to_string() == DEFAULT_LISTEN => {
            tracing::warn!(%address, %error, "no metrics: the default address is taken; set admin.listen to another one or to off");
            Ok(None)
        }
        Err(error) => Err(RunError::Configuration(format!(
            "admin.listen: cannot listen on {address}: {error}"
        ))),
    }
}

/// The first line of the log: what is read, by whom, where it goes, and where to look.
pub(super) fn announce(settings: &Settings) {
    let listen = settings.admin.listen;
    let metrics = listen.map_or_else(|| "off".into(), |at| format!("http://{at}/metrics"));
    let target = registry::describe(settings);
    let version = env!("CARGO_PKG_VERSION");
    match &settings.stream {
        Stream::Kafka(kafka) => tracing::info!(
            source = "kafka",
            nodes = kafka.nodes.join(","),
            topics = wire::topics(settings, kafka).join(","),
            group = kafka.group_id,
            target,
            metrics,
            "alluvium {version} starts",
        ),
        Stream::Kinesis(kinesis) => tracing::info!(
            source = "kinesis",
            stream = kinesis.stream,
            leases = kinesis.table,
            region = kinesis.aws.region,
            target,
            metrics,
            "alluvium {version} starts",
        ),
    }
}
