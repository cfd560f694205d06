//! Sets up the SDK's client: time limits that fit leases. Nothing here talks to DynamoDB yet.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;

use crate::source::kinesis::lease::LeaseError;
use crate::source::kinesis::sdk::Access;

/// Attempts of one request: few, since a lease that cannot be renewed in time must be given up, and whoever asked asks again.
const ATTEMPTS: u32 = 2;
const CONNECT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);
/// The longest that one attempt may take whatever leases live, and the least.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);
const SHORTEST_ANSWER: Duration = Duration::from_millis(500);

/// How long one attempt may take: two of them, and what may be sent behind them, must fit into the life of a lease that is not renewed.
fn answer(failover: Duration) -> Duration {
    (failover / 4).clamp(SHORTEST_ANSWER, LONGEST_ANSWER)
}

pub(super) async fn connect(access: &Access, failover: Duration) -> Result<Client, LeaseError> {
    let found = access.load().await.map_err(LeaseError::Misconfigured)?;
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(PAUSE);
    let answer = answer(failover);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT.min(answer))
        .operation_attempt_timeout(answer)
        .build();
    let config = Builder::from(&found)
        .retry_config(retries)
        .timeout_config(timeouts)
        .build();
    Ok(Client::from_conf(config))
}
