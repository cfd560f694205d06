//! A real S3 server, named by the environment: `ALLUVIUM_TEST_S3_ENDPOINT`,
//! `ALLUVIUM_TEST_S3_ACCESS_KEY`, `ALLUVIUM_TEST_S3_SECRET_KEY` and `ALLUVIUM_TEST_S3_BUCKET`, a
//! bucket that exists. The keys may create and delete buckets whose names begin with that bucket's.

use alluvium_target_s3::{S3Settings, StaticKeys};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};

fn given(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: these tests need a real S3 server"))
}

/// Settings for the server and its bucket.
pub(crate) fn settings() -> S3Settings {
    S3Settings {
        endpoint: Some(given("ALLUVIUM_TEST_S3_ENDPOINT")),
        keys: Some(StaticKeys {
            access_key: given("ALLUVIUM_TEST_S3_ACCESS_KEY"),
            secret_key: given("ALLUVIUM_TEST_S3_SECRET_KEY"),
        }),
        ..S3Settings::new(given("ALLUVIUM_TEST_S3_BUCKET"))
    }
}

/// A client apart from the one that is tested, to read back with.
pub(crate) fn reader() -> Client {
    let settings = settings();
    let keys = settings.keys.unwrap();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(settings.endpoint.unwrap())
        .force_path_style(true)
        .credentials_provider(Credentials::new(
            keys.access_key,
            keys.secret_key,
            None,
            None,
            "test",
        ))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}
