//! The many ways S3 can fail, told apart by who can put them right, and put into words.

use std::error::Error;
use std::fmt;

use alluvium_target::{TargetError, causes};
use aws_config::imds::client::error::ImdsError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;

/// A failed request.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What happened.
    text: String,
    cure: Cure,
}

/// What puts a failure right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cure {
    /// Time: a server comes back, a clock is set, credentials rotate.
    Time,
    /// Most likely time, else a person who looks at this.
    TimeOr(&'static str),
    /// A person who looks at this.
    Person(&'static str),
}

const BUCKET: &str = "create the bucket or correct target.aws.s3-bucket";
const RIGHTS: &str = "the credentials need s3:PutObject, s3:AbortMultipartUpload and s3:GetObject on \
    the bucket's objects (and the use of its KMS key, if it has one)";
const READ_RIGHTS: &str = "the credentials need s3:GetObject on the bucket's objects, to compare what \
    stands there already; without s3:ListBucket on the bucket, S3 says the same of an object that is missing";
const LIST_RIGHTS: &str = "the credentials need s3:ListBucket on the bucket";
const KEYS: &str = "correct target.access-key and target.secret-access-key, or the credentials of \
    the environment";
const REGION: &str = "set target.aws.region to the bucket's region";
const ENDPOINT: &str = "check that target.aws.s3-endpoint is the address of an S3 server";
const CREDENTIALS: &str = "credentials were looked for in target.access-key and \
    target.secret-access-key, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the AWS profile \
    (AWS_PROFILE, ~/.aws), the web identity token (AWS_WEB_IDENTITY_TOKEN_FILE), the container's \
    credentials endpoint and the instance's metadata service";
const CLOCK: &str = "check this machine's clock";
const REQUEST: &str = "check the bucket's settings and policies";

impl Failure {
    /// Names what `doing` (such as "put s3://bucket/key") failed with.
    pub(crate) fn of<E>(doing: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error.raw_response() {
            Some(response) => {
                let status = response.status().as_u16();
                let cure = cure_of_answer(status, error.code().unwrap_or_default());
                Self {
                    text: format!("{doing}: {}", answer(error, response)),
                    cure,
                }
            }
            // The SDK's own words for it, such as "dispatch failure", come first and say nothing.
            None => {
                let text = causes::line_behind(error);
                Self {
                    text: format!("{doing}: {text}"),
                    cure: cure_of_silence(error),
                }
            }
        }
    }

    /// An answer that lacks what S3 always sends.
    pub(crate) fn not_s3(doing: &str, lacks: &str) -> Self {
        let text = format!("{doing}: the answer has no {lacks}");
        Self {
            text,
            cure: Cure::Person(ENDPOINT),
        }
    }

    /// The same, seen while reading: other rights are needed than for writing.
    pub(crate) fn of_reading(self) -> Self {
        self.instead_of_rights(READ_RIGHTS)
    }

    /// The same, seen while listing.
    pub(crate) fn of_listing(self) -> Self {
        self.instead_of_rights(LIST_RIGHTS)
    }

    fn instead_of_rights(self, advice: &'static str) -> Self {
        let cure = match self.cure {
            Cure::Person(RIGHTS) => Cure::Person(advice),
            other => other,
        };
        Self { cure, ..self }
    }

    /// A body that ended before its length.
    pub(crate) fn cut_off(doing: &str, missing: u64) -> Self {
        Self {
            text: format!("{doing}: {missing} bytes are missing at the end"),
            cure: Cure::Time,
        }
    }

    /// A body that could not be read on.
    pub(crate) fn of_body(doing: &str, error: &(dyn Error + 'static)) -> Self {
        Self {
            text: format!("{doing}: {}", causes::line(error)),
            cure: Cure::Time,
        }
    }

    /// For rows at hand: whatever is wrong, they are kept and sent again, since a bucket, a right
    /// or a key may also come back.
    pub(crate) fn while_running(self) -> TargetError {
        TargetError::Unavailable(self.to_string())
    }

    /// For a program that is starting, with nothing to lose yet.
    pub(crate) fn at_check(self) -> TargetError {
        match self.cure {
            Cure::Time | Cure::TimeOr(_) => TargetError::Unavailable(self.to_string()),
            Cure::Person(_) => TargetError::Misconfigured(self.to_string()),
        }
    }
}

/// What happened, and what a person can do about it.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match self.cure {
            Cure::Time => Ok(()),
            Cure::TimeOr(advice) | Cure::Person(advice) => write!(f, "; {advice}"),
        }
    }
}

/// The words of an error answer: status, code, message, and what AWS support asks for.
fn answer<E>(error: &SdkError<E, HttpResponse>, response: &HttpResponse) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let mut text = response.status().as_u16().to_string();
    if let Some(code) = error.code() {
        text = format!("{text} {code}");
    }
    if let Some(message) = error.message() {
        text = format!("{text}: {}", message.trim().trim_end_matches('.'));
    } else if matches!(error, SdkError::ResponseError(_)) {
        // The client could not read the answer.
        text = format!(
            "{text}: {}",
            error.source().map(causes::line).unwrap_or_default()
        );
    }
    if let Some(region) = response.headers().get("x-amz-bucket-region") {
        text = format!("{text} (the bucket is in {region})");
    }
    if let Some(id) = error.request_id() {
        text = format!("{text} (request id {id})");
    }
    text
}

/// An error answer, by its [code] where it has one, else by its status.
///
/// [code]: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
fn cure_of_answer(status: u16, code: &str) -> Cure {
    match code {
        "RequestTimeTooSkewed" | "RequestExpired" => Cure::TimeOr(CLOCK),
        "ExpiredToken"
        | "TokenRefreshRequired"
        | "RequestTimeout"
        | "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "BandwidthLimitExceeded"
        | "InternalError"
        | "ServiceUnavailable"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "NoSuchUpload"
        | "BadDigest"
        | "XAmzContentChecksumMismatch"
        | "IncompleteBody" => Cure::Time,
        "NoSuchKey" => Cure::Time,
        "NoSuchBucket" | "InvalidBucketName" => Cure::Person(BUCKET),
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidSecurity"
        | "AuthFailure" => Cure::Person(KEYS),
        "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => Cure::Person(REGION),
        _ => match status {
            408 | 409 | 425 | 429 | 500 | 502..=599 => Cure::Time,
            // The SDK follows no redirects; S3 redirects to the bucket's region.
            300..=399 => Cure::Person(REGION),
            401 | 403 => Cure::Person(RIGHTS),
            404 | 405 | 501 | 200..=299 => Cure::Person(ENDPOINT),
            _ => Cure::Person(REQUEST),
        },
    }
}

/// A request that got no answer, or was never sent.
fn cure_of_silence<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Cure {
    if let Some(cure) = cure_of_credentials(error) {
        return cure;
    }
    match error {
        SdkError::ConstructionFailure(_) => Cure::Person(REQUEST),
        SdkError::DispatchFailure(failure) if failure.is_user() => Cure::Person(ENDPOINT),
        _ => Cure::Time,
    }
}

/// A request that could not be signed.
fn cure_of_credentials(error: &(dyn Error + 'static)) -> Option<Cure> {
    // An instance that answers, but hands out no token, is set up so (or a container is one hop too
    // far).
    let refused = |cause: &(dyn Error + 'static)| {
        matches!(cause.downcast_ref(), Some(ImdsError::FailedToLoadToken(_)))
    };
    let cause = causes::chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    Some(match cause {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            Cure::Person(CREDENTIALS)
        }
        _ if causes::chain(error).any(refused) => Cure::Person(CREDENTIALS),
        // A service that hands out credentials fails or is slow.
        _ => Cure::TimeOr(CREDENTIALS),
    })
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::provider::future::ProvideCredentials as Provided;
    use aws_sdk_s3::config::ProvideCredentials;
    use aws_sdk_s3::{Client, Config};

    use super::*;

    /// Finds no credentials, in one way or another.
    #[derive(Debug)]
    struct Empty(fn() -> CredentialsError);

    impl ProvideCredentials for Empty {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            Provided::ready(Err(self.0()))
        }
    }

    async fn check_with(provider: Empty) -> TargetError {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(provider)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let client = Client::from_conf(config);
        let error = client
            .put_object()
            .bucket("b")
            .key("k")
            .send()
            .await
            .unwrap_err();
        Failure::of("put s3://b/k", &error).at_check()
    }

    #[tokio::test]
    async fn missing_credentials_need_a_person_who_is_told_where_they_were_looked_for() {
        let error = check_with(Empty(CredentialsError::not_loaded_no_source)).await;
        let TargetError::Misconfigured(text) = error else {
            panic!("{error:?}")
        };
        for place in [
            "target.access-key",
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "metadata service",
        ] {
            assert!(text.contains(place), "{text}");
        }
        let error = check_with(Empty(|| CredentialsError::invalid_configuration("a loop"))).await;
        let TargetError::Misconfigured(text) = error else {
            panic!("{error:?}")
        };
        assert!(text.contains("a loop"), "{text}");
    }

    #[tokio::test]
    async fn a_slow_credentials_service_may_heal() {
        let error = check_with(Empty(|| CredentialsError::provider_error("503 from sts"))).await;
        let TargetError::Unavailable(text) = error else {
            panic!("{error:?}")
        };
        assert!(
            text.contains("503 from sts") && text.contains("AWS_PROFILE"),
            "{text}"
        );
    }
}
