//! The many ways the service can fail, told apart by what to do about them, and put into words.

use std::error::Error;

use alluvium_target::causes;
use aws_config::imds::client::error::ImdsError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

use super::StreamError;

const RIGHTS: &str = "see docs/kinesis.md for the permissions that are needed";
const KEYS: &str =
    "correct aws.access-key and aws.secret-access-key, or the credentials of the environment";
const KMS: &str = "the stream's KMS key must be enabled, and the credentials may use it";
const STREAM: &str = "check kinesis.stream and aws.region";
const ANOTHER: &str = "the stream is not the one that its leases were made for, but perhaps another of the same name: set \
    kinesis.consumer-dynamodb-table to a table of its own";
const ENDPOINT: &str = "check aws.kinesis-endpoint and aws.region";
const CLOCK: &str = "check this machine's clock";
const CREDENTIALS: &str = "credentials were looked for in aws.access-key and aws.secret-access-key, AWS_ACCESS_KEY_ID and \
    AWS_SECRET_ACCESS_KEY, the AWS profile (AWS_PROFILE, ~/.aws), the web identity token (AWS_WEB_IDENTITY_TOKEN_FILE), the \
    container's credentials endpoint and the instance's metadata service";

/// What `doing` (such as "read stream-shardId-000000000001") failed with.
pub(super) fn failure<E, R>(doing: &str, error: &SdkError<E, R>) -> StreamError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match error {
        SdkError::ServiceError(said) => {
            let said = said.err();
            of_answer(doing, said.code(), said.message())
        }
        // The SDK's own words for it, such as "dispatch failure", come first and say nothing.
        _ => {
            let text = causes::line_behind(error);
            of_silence(format!("{doing}: {text}"), error)
        }
    }
}

/// The same failure, where nothing but the stream itself can be missing.
pub(super) fn no_stream(error: StreamError) -> StreamError {
    match error {
        StreamError::NotFound(text) => StreamError::NotFound(format!("{text}; {STREAM}")),
        other => other,
    }
}

/// An error that the service has named.
fn of_answer(doing: &str, code: Option<&str>, message: Option<&str>) -> StreamError {
    let name = code.unwrap_or("an error without a name");
    let message = message.unwrap_or_default().trim().trim_end_matches('.');
    let text = match message {
        "" => format!("{doing}: {name}"),
        message => format!("{doing}: {name}: {message}"),
    };
    let person = |advice: &str| StreamError::Misconfigured(format!("{text}; {advice}"));
    match name {
        "ExpiredIteratorException" => StreamError::Expired,
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "KMSThrottlingException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => StreamError::Throttled(text),
        "ResourceInUseException" => StreamError::InUse(text),
        "ResourceNotFoundException" => StreamError::NotFound(text),
        "AccessDeniedException" | "AccessDenied" | "OptInRequired" => person(RIGHTS),
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => person(KEYS),
        // Also what a clock that is wrong leads to.
        "InvalidSignatureException" | "SignatureDoesNotMatch" if !message.contains("expired") => {
            person(KEYS)
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestExpired" => {
            StreamError::Unavailable(format!("{text}; {CLOCK}"))
        }
        "KMSAccessDeniedException"
        | "KMSDisabledException"
        | "KMSInvalidStateException"
        | "KMSNotFoundException"
        | "KMSOptInRequired" => person(KMS),
        "UnknownOperationException" | "InvalidAction" => person(ENDPOINT),
        "InvalidArgumentException" if message.contains("did not come from this stream") => {
            person(ANOTHER)
        }
        // A time by a clock that is ahead of the service's: it will come.
        "InvalidArgumentException" if message.contains("currentTimestampInMillis") => {
            StreamError::Unavailable(format!("{text}; {CLOCK}"))
        }
        "InvalidArgumentException" | "ValidationException" => StreamError::Misconfigured(text),
        // The credentials of an instance or a role are about to be renewed, and so on.
        _ => StreamError::Unavailable(text),
    }
}

/// A request that got no answer one can read, or was never sent.
fn of_silence<E, R>(text: String, error: &SdkError<E, R>) -> StreamError
where
    E: Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match error {
        _ if lacks_credentials(error) => {
            StreamError::Misconfigured(format!("{text}; {CREDENTIALS}"))
        }
        SdkError::ConstructionFailure(_) => StreamError::Misconfigured(text),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            StreamError::Misconfigured(format!("{text}; {ENDPOINT}"))
        }
        _ => StreamError::Unavailable(text),
    }
}

/// Whether nobody has credentials to give. One who has them, but fails or is slow, is asked again.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    let Some(cause) =
        causes::chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())
    else {
        return false;
    };
    // An instance that answers, but hands out no token, is set up so (or a container is one hop too far).
    let refused = |cause: &(dyn Error + 'static)| {
        matches!(cause.downcast_ref(), Some(ImdsError::FailedToLoadToken(_)))
    };
    matches!(
        cause,
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)
    ) || causes::chain(error).any(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str) -> StreamError {
        of_answer(
            "read s-shardId-000000000001",
            Some(code),
            Some("Rate exceeded."),
        )
    }

    #[test]
    fn what_the_service_says_is_told_apart() {
        assert_eq!(said("ExpiredIteratorException"), StreamError::Expired);
        for code in [
            "ProvisionedThroughputExceededException",
            "LimitExceededException",
            "KMSThrottlingException",
        ] {
            assert!(matches!(said(code), StreamError::Throttled(_)), "{code}");
        }
        assert!(matches!(
            said("ResourceInUseException"),
            StreamError::InUse(_)
        ));
        assert!(matches!(
            said("ResourceNotFoundException"),
            StreamError::NotFound(_)
        ));
        for code in [
            "AccessDeniedException",
            "UnrecognizedClientException",
            "KMSDisabledException",
            "InvalidArgumentException",
            "UnknownOperationException",
        ] {
            assert!(
                matches!(said(code), StreamError::Misconfigured(_)),
                "{code}"
            );
        }
        for code in [
            "InternalFailure",
            "ServiceUnavailable",
            "ExpiredTokenException",
        ] {
            assert!(matches!(said(code), StreamError::Unavailable(_)), "{code}");
        }
    }

    #[test]
    fn a_text_names_what_was_done_and_what_was_said() {
        let text = said("LimitExceededException").to_string();
        assert_eq!(
            text,
            "throttled: read s-shardId-000000000001: LimitExceededException: Rate exceeded"
        );
    }

    #[test]
    fn a_person_is_told_which_setting_names_what_is_missing() {
        let text = no_stream(said("ResourceNotFoundException")).to_string();
        assert!(text.contains("kinesis.stream"), "{text}");
        let said = "StartingSequenceNumber 5 used in GetShardIterator on shard shardId-000000000000 in stream s under account 1 is \
                    invalid because it did not come from this stream.";
        let error = of_answer("x", Some("InvalidArgumentException"), Some(said));
        assert!(
            matches!(&error, StreamError::Misconfigured(text) if text.contains("kinesis.consumer-dynamodb-table")),
            "{error}"
        );
    }

    #[test]
    fn a_late_signature_and_a_time_to_come_are_the_clocks_fault() {
        for (code, message) in [
            (
                "InvalidSignatureException",
                "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z",
            ),
            (
                "InvalidArgumentException",
                "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: 2, \
                 currentTimestampInMillis: 1",
            ),
        ] {
            let error = of_answer("x", Some(code), Some(message));
            assert!(
                matches!(&error, StreamError::Unavailable(text) if text.contains("clock")),
                "{error}"
            );
        }
    }
}
