//! CloudWatch itself, over its SDK.

use std::time::SystemTime;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::Builder;
use aws_sdk_cloudwatch::error::DisplayErrorContext;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, StatisticSet};

use super::{Datum, Sink, Unit};

/// Sends to one namespace of CloudWatch.
#[derive(Debug)]
pub struct CloudWatchSink {
    client: Client,
    namespace: String,
}

impl CloudWatchSink {
    /// Sends to `namespace`, which a KCL calls as its application.
    pub fn new(config: &SdkConfig, namespace: &str) -> Self {
        // Servers that stand in for CloudWatch do not all read what is compressed, and ten seconds' metrics are some kilobytes.
        let config = Builder::from(config).disable_request_compression(true);
        Self {
            client: Client::from_conf(config.build()),
            namespace: namespace.to_owned(),
        }
    }
}

#[async_trait]
impl Sink for CloudWatchSink {
    async fn put(&self, data: &[Datum], at: SystemTime) -> Result<(), String> {
        let at = DateTime::from(at);
        let data = data.iter().map(|datum| datum_of(datum, at)).collect();
        let asked = self.client.put_metric_data();
        let asked = asked.namespace(&self.namespace).set_metric_data(Some(data));
        match asked.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(DisplayErrorContext(error).to_string()),
        }
    }
}

fn datum_of(datum: &Datum, at: DateTime) -> MetricDatum {
    let dimensions = datum.dimensions();
    let dimensions =
        dimensions.map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let statistics = StatisticSet::builder()
        .sample_count(datum.statistics.samples)
        .sum(datum.statistics.sum)
        .minimum(datum.statistics.minimum)
        .maximum(datum.statistics.maximum);
    MetricDatum::builder()
        .metric_name(datum.metric.name())
        .set_dimensions(Some(dimensions.collect()))
        .timestamp(at)
        .unit(match datum.metric.unit() {
            Unit::Bytes => StandardUnit::Bytes,
            Unit::Count => StandardUnit::Count,
            Unit::Milliseconds => StandardUnit::Milliseconds,
        })
        .statistic_values(statistics.build())
        .build()
}

#[cfg(test)]
mod tests;
