//! Sets up the SDK's client: address, credentials, time limits. Nothing here talks to S3 yet.

use std::time::Duration;

use alluvium_target::TargetError;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

use crate::S3Settings;

/// How long a request may take and how often it is repeated before the caller hears of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// For a connection to stand.
    pub(crate) connect: Duration,
    /// For one attempt, besides what its body takes.
    pub(crate) answer: Duration,
    /// The slowest upload that is still taken for one. One request out of many on a thin line.
    pub(crate) bytes_per_second: u64,
    /// Attempts of one request. Few: the caller repeats for ever and shows that it does.
    pub(crate) attempts: u32,
    /// The longest first pause between two attempts; it doubles.
    pub(crate) pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            bytes_per_second: 256 << 10,
            attempts: 3,
            pause: Duration::from_millis(200),
        }
    }
}

impl Pace {
    /// The limits of a request with a body of `bytes`.
    pub(crate) fn config(&self, bytes: u64) -> Builder {
        Builder::new().timeout_config(self.timeouts(bytes))
    }

    /// The limits of a request that only cleans up, which nobody should wait for long.
    pub(crate) fn brief(&self) -> Builder {
        let once = RetryConfig::standard().with_max_attempts(1);
        Self {
            answer: self.answer / 3,
            ..*self
        }
        .config(0)
        .retry_config(once)
    }

    /// The limits of a request that joins parts, for which S3 may take minutes.
    pub(crate) fn patient(&self) -> Builder {
        Self {
            answer: self.answer * 10,
            ..*self
        }
        .config(0)
    }

    fn timeouts(&self, bytes: u64) -> TimeoutConfig {
        let upload = Duration::from_secs(bytes / self.bytes_per_second.max(1));
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .operation_attempt_timeout(self.answer + upload)
            .build()
    }
}

/// Builds a client, and tells the endpoint it has if it is not AWS's own. Asks the instance for its
/// region if nothing else names one.
///
/// # Errors
/// [`TargetError::Misconfigured`] if no region can be found.
pub(crate) async fn connect(
    settings: &S3Settings,
    pace: Pace,
) -> Result<(Client, Option<String>), TargetError> {
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).http_client(http_client(settings));
    if let Some(keys) = &settings.keys {
        let name = "target.access-key";
        loader = loader.credentials_provider(Credentials::new(
            &keys.access_key,
            &keys.secret_key,
            None,
            None,
            name,
        ));
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    match (&settings.region, &settings.endpoint) {
        (Some(region), _) => loader = loader.region(Region::new(region.clone())),
        (None, Some(_)) => loader = loader.region(Region::from_static("us-east-1")),
        (None, None) => {}
    }
    let found = loader.load().await;
    if found.region().is_none() {
        return Err(TargetError::Misconfigured(format!(
            "no region for bucket {}: set target.aws.region (looked there, in AWS_REGION \
             and AWS_DEFAULT_REGION, in the AWS profile and at the instance's metadata service)",
            settings.bucket
        )));
    }
    // The environment may name one as well (AWS_ENDPOINT_URL).
    let endpoint = found.endpoint_url().map(str::to_owned);
    let config = Builder::from(&found)
        .force_path_style(endpoint.is_some())
        // The store sends checksums of its own as plain headers. For a body in pieces the SDK
        // would use the encoding `aws-chunked` and a trailer, which not every server knows.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(pace.attempts)
                .with_initial_backoff(pace.pause),
        )
        .timeout_config(pace.timeouts(0))
        .build();
    Ok((Client::from_conf(config), endpoint))
}

fn http_client(settings: &S3Settings) -> SharedHttpClient {
    let builder =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let without_roots = TlsContext::builder()
        .with_trust_store(TrustStore::empty())
        .build();
    match without_roots {
        // To read the system's roots is a good part of a start.
        Ok(context) if is_plain(settings) => builder.tls_context(context).build_https(),
        _ => builder.build_https(),
    }
}

/// Whether nobody is talked to with TLS: neither S3 nor who has its keys.
fn is_plain(settings: &S3Settings) -> bool {
    let endpoint = settings.endpoint.as_deref();
    settings.keys.is_some() && endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"))
}
