//! The ways DynamoDB can fail, told apart by who can put them right, and put into words.

use std::error::Error;

use alluvium_target::causes;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::source::kinesis::lease::LeaseError;

/// What was tried, for the words of its failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing<'a> {
    pub(super) what: &'static str,
    pub(super) key: Option<&'a str>,
    pub(super) table: &'a str,
}

const RIGHTS: &str = "the credentials need dynamodb:CreateTable, dynamodb:DescribeTable, dynamodb:Scan, dynamodb:GetItem, \
    dynamodb:PutItem, dynamodb:UpdateItem and dynamodb:DeleteItem on the lease table, and dynamodb:Scan on the table of the same name with \
    -CoordinatorState behind it";
const KEYS: &str =
    "correct aws.access-key and aws.secret-access-key, or the credentials of the environment";
const TABLE: &str = "check kinesis.consumer-dynamodb-table and aws.region";
const CLOCK: &str = "check this machine's clock";

impl Doing<'_> {
    /// What it failed with.
    pub(super) fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> LeaseError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let Some(response) = error.raw_response() else {
            let text = causes::line_behind(error);
            let text = self.words(&text);
            // No credentials, or an address that is none.
            return match error {
                SdkError::ConstructionFailure(_) => {
                    LeaseError::Misconfigured(format!("{text}; {KEYS}"))
                }
                _ => LeaseError::Unavailable(text),
            };
        };
        let status = response.status().as_u16();
        let code = error.code().unwrap_or_default();
        if code == "ConditionalCheckFailedException" {
            return LeaseError::Refused;
        }
        let said = error.message().unwrap_or("the answer cannot be read");
        let said = said.trim().trim_end_matches('.');
        let text = self.words(&format!("{status} {code}: {said}"));
        match advice(status, code) {
            Some(advice) => LeaseError::Misconfigured(format!("{text}; {advice}")),
            None => LeaseError::Unavailable(text),
        }
    }

    /// The row is there and says nothing that a lease says.
    pub(super) fn unreadable(&self, what: &str) -> LeaseError {
        LeaseError::Misconfigured(self.words(what))
    }

    pub(super) fn words(&self, what: &str) -> String {
        let Self {
            what: did, table, ..
        } = self;
        match self.key {
            Some(key) => format!("{did} lease {key} of table {table}: {what}"),
            None => format!("{did} table {table}: {what}"),
        }
    }
}

/// What a person can do about an error answer; `None` if time heals it.
fn advice(status: u16, code: &str) -> Option<&'static str> {
    match code {
        "ResourceNotFoundException" => Some(TABLE),
        "AccessDeniedException" => Some(RIGHTS),
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException" => Some(KEYS),
        "SignatureDoesNotMatch" | "RequestTimeTooSkewed" => Some(CLOCK),
        "ValidationException" => Some(TABLE),
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "ResourceInUseException"
        | "TransactionConflictException"
        | "ExpiredTokenException" => None,
        _ if status == 401 || status == 403 => Some(RIGHTS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_of_what_time_does_not_heal() {
        for (status, code) in [
            (400, "ProvisionedThroughputExceededException"),
            (400, "ThrottlingException"),
            (400, "ExpiredTokenException"),
            (500, "InternalServerError"),
            (503, ""),
        ] {
            assert_eq!(advice(status, code), None, "{code}");
        }
        assert_eq!(advice(400, "AccessDeniedException"), Some(RIGHTS));
        assert_eq!(advice(403, ""), Some(RIGHTS));
        assert_eq!(advice(400, "ResourceNotFoundException"), Some(TABLE));
        assert_eq!(advice(400, "UnrecognizedClientException"), Some(KEYS));
    }
}
