//! What clients of AWS services share: region, address, credentials, no retries.
//!
//! Owns nothing that is particular to a service; whoever builds a client from this adds its own limits of time. The SDK repeats nothing:
//! who is told of a failure at once can pace itself.

use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_kinesis::config::SharedHttpClient;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

/// The longest a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest an answer may take. Ten MiB in text on a thin line take most of it.
const ANSWER: Duration = Duration::from_secs(30);

/// Who asks, and where.
#[derive(Clone, Default)]
pub struct Access {
    /// The region; looked for in the environment and at the instance if there is none here.
    pub region: Option<String>,
    /// Another address than AWS's own.
    pub endpoint: Option<String>,
    /// The default chain of credentials is asked if there are none here.
    pub keys: Option<Keys>,
}

/// An access key and its secret.
#[derive(Clone)]
pub struct Keys {
    /// `aws.access-key`.
    pub access_key: String,
    /// `aws.secret-access-key`.
    pub secret_key: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .field("keys", &self.keys.is_some())
            .finish()
    }
}

impl Access {
    /// What a client is built from.
    ///
    /// # Errors
    /// A text for a person if no region can be found.
    pub async fn load(&self) -> Result<SdkConfig, String> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ANSWER)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.http_client())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            // Answers have their limit as a whole, and a stream of events is silent when nothing happens.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(keys) = &self.keys {
            let name = "aws.access-key";
            loader = loader.credentials_provider(Credentials::new(
                &keys.access_key,
                &keys.secret_key,
                None,
                None,
                name,
            ));
        }
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        match (&self.region, &self.endpoint) {
            (Some(region), _) => loader = loader.region(Region::new(region.clone())),
            (None, Some(_)) => loader = loader.region(Region::from_static("us-east-1")),
            (None, None) => {}
        }
        let found = loader.load().await;
        match found.region() {
            Some(_) => Ok(found),
            None => Err(
                "no region: set aws.region (looked there, in AWS_REGION and AWS_DEFAULT_REGION, in the AWS profile and at \
                 the instance's metadata service)"
                    .into(),
            ),
        }
    }

    /// A pool of connections of its own.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let builder =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
        let without_roots = TlsContext::builder()
            .with_trust_store(TrustStore::empty())
            .build();
        match without_roots {
            // To read the system's roots is a good part of a start.
            Ok(context) if self.is_plain() => builder.tls_context(context).build_https(),
            _ => builder.build_https(),
        }
    }

    /// Whether nobody is talked to with TLS: neither the service nor who has its keys.
    fn is_plain(&self) -> bool {
        let endpoint = self.endpoint.as_deref();
        self.keys.is_some() && endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let keys = Keys {
            access_key: "AKIA".into(),
            secret_key: "hush".into(),
        };
        let access = Access {
            keys: Some(keys),
            ..Access::default()
        };
        let shown = format!("{access:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("AKIA"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn an_address_without_a_region_gets_one() {
        let access = Access {
            endpoint: Some("http://127.0.0.1:1".into()),
            ..Access::default()
        };
        let config = access.load().await.unwrap();
        assert_eq!(config.region().unwrap().as_ref(), "us-east-1");
    }
}
