//! Writes that must not replace anything: the header `If-None-Match: *`, and what comes of it.
//!
//! [Conditional writes](https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html): the
//! server answers 412 where something stands under the key, and 409 while another write of it is under way.
//! A write whose answer got lost is repeated by the SDK and then answered 412, by its own doing: that
//! something stands there never means that it is another's. Servers that do not know the header ignore it,
//! or refuse the request.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::failure::Failure;

/// What a write does about an object that stands under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// It leaves it alone.
    IfAbsent,
    /// It replaces it.
    Replace,
}

impl Guard {
    /// The value of `If-None-Match`.
    pub(crate) fn header(self) -> Option<String> {
        match self {
            Self::IfAbsent => Some("*".to_owned()),
            Self::Replace => None,
        }
    }
}

/// Why nothing was written.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Something stands there.
    Exists(Failure),
    /// Another write of the same key is under way.
    Busy(Failure),
    /// The server does not take requests with the header.
    Unguarded(Failure),
    /// Anything else, with or without the header.
    Failed(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Exists(failure)
            | Refusal::Busy(failure)
            | Refusal::Unguarded(failure)
            | Refusal::Failed(failure) => failure,
        }
    }
}

impl Refusal {
    /// Tells apart what the request named by `doing` failed with.
    pub(crate) fn of<E>(doing: &str, guard: Guard, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let failure = Failure::of(doing, error);
        let Some(answer) = error.raw_response().filter(|_| guard == Guard::IfAbsent) else {
            return Self::Failed(failure);
        };
        // By the code first: joining parts may fail after the server has said 200.
        match (error.code(), answer.status().as_u16()) {
            (Some("PreconditionFailed"), _) | (None, 412) => Self::Exists(failure),
            (Some("ConditionalRequestConflict" | "OperationAborted"), _) | (None, 409) => {
                Self::Busy(failure)
            }
            (Some("NotImplemented"), _) | (None, 501) => Self::Unguarded(failure),
            (_, 400) if names_the_header(answer) => Self::Unguarded(failure),
            _ => Self::Failed(failure),
        }
    }
}

fn names_the_header(answer: &HttpResponse) -> bool {
    let text = String::from_utf8_lossy(answer.body().bytes().unwrap_or_default()).to_lowercase();
    text.contains("if-none-match") || text.contains("ifnonematch")
}
