//! A bucket of S3, or of a server that speaks its protocol.
//!
//! Made after the API reference: [GetObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html) and
//! [error responses](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).

use std::error::Error;
use std::ops::Range;
use std::time::Duration;

use alluvium_target::causes;
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{Builder, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::{Bucket, BucketError, Piece};

/// The longest an answer may take, besides what its bytes do on the thinnest line that is still taken for one.
const ANSWER: Duration = Duration::from_secs(30);
const BYTES_PER_SECOND: u64 = 256 << 10;

const RIGHTS: &str = "the credentials need s3:GetObject on the objects of aws.s3-bulk-bucket, and s3:ListBucket on the bucket, without \
    which S3 says the same of an object that is missing";
const SETTINGS: &str = "check aws.s3-bulk-bucket, aws.s3-endpoint, aws.region, aws.access-key and aws.secret-access-key";

/// The bucket that bulk objects are in.
#[derive(Debug)]
pub struct S3Bucket {
    client: Client,
    bucket: String,
    endpoint: Option<String>,
}

impl S3Bucket {
    /// The bucket of this name, reached as `config` says. Nothing is asked of it yet.
    pub fn new(config: &SdkConfig, bucket: impl Into<String>) -> Self {
        let endpoint = config.endpoint_url().map(str::to_owned);
        let config = Builder::from(config)
            .force_path_style(endpoint.is_some())
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self {
            client: Client::from_conf(config),
            bucket: bucket.into(),
            endpoint,
        }
    }

    /// How messages name an object.
    fn name(&self, key: &str) -> String {
        let bucket = &self.bucket;
        match &self.endpoint {
            Some(endpoint) => format!("s3://{bucket}/{key} at {endpoint}"),
            None => format!("s3://{bucket}/{key}"),
        }
    }

    async fn fetch(
        &self,
        key: &str,
        part: Range<u64>,
        version: Option<&str>,
    ) -> Result<Piece, BucketError> {
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let request = request.range(format!(
            "bytes={}-{}",
            part.start,
            part.end.saturating_sub(1)
        ));
        let answer = match request
            .set_if_match(version.map(str::to_owned))
            .send()
            .await
        {
            Ok(answer) => answer,
            Err(error) => return self.failed(key, &part, &error),
        };
        let total = self.total(key, &part, &answer)?;
        let version = answer.e_tag.clone();
        let len = total.min(part.end).saturating_sub(part.start);
        let bytes = self.body(key, answer, len).await?;
        Ok(Piece {
            bytes,
            total,
            version,
        })
    }

    /// How many bytes the whole object has, if the answer is the part that was asked for.
    fn total(
        &self,
        key: &str,
        part: &Range<u64>,
        answer: &GetObjectOutput,
    ) -> Result<u64, BucketError> {
        let length = answer
            .content_length
            .and_then(|len| u64::try_from(len).ok());
        let of_part = answer.content_range.as_deref().and_then(range);
        match (of_part, length) {
            (Some((start, total)), _) if start == part.start => Ok(total),
            // All of it, which may not be more than was asked for.
            (None, Some(length)) if part.start == 0 && length <= part.end => Ok(length),
            _ => {
                let name = self.name(key);
                let why = format!(
                    "{name}: the server does not answer with the part that was asked for; {SETTINGS}"
                );
                Err(BucketError::Misconfigured(why))
            }
        }
    }

    async fn body(
        &self,
        key: &str,
        answer: GetObjectOutput,
        len: u64,
    ) -> Result<Bytes, BucketError> {
        let unavailable =
            |why: String| BucketError::Unavailable(format!("{}: {why}", self.name(key)));
        let len = usize::try_from(len).map_err(|error| unavailable(error.to_string()))?;
        let mut bytes = BytesMut::with_capacity(len);
        let mut body = answer.body;
        while let Some(some) = body.next().await {
            let some = some.map_err(|error| unavailable(causes::line(&error)))?;
            if bytes.len() + some.len() > len {
                return Err(unavailable(format!("the answer has more than {len} bytes")));
            }
            bytes.extend_from_slice(&some);
        }
        if bytes.len() < len {
            return Err(unavailable(format!(
                "the answer has {} bytes of {len}",
                bytes.len()
            )));
        }
        Ok(bytes.freeze())
    }

    fn failed<E>(
        &self,
        key: &str,
        part: &Range<u64>,
        error: &SdkError<E, HttpResponse>,
    ) -> Result<Piece, BucketError>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let name = self.name(key);
        let Some(response) = error.raw_response() else {
            let why = causes::line_behind(error);
            return Err(BucketError::Unavailable(format!("{name}: {why}")));
        };
        let status = response.status().as_u16();
        let code = error.code().unwrap_or_default();
        let said = format!(
            "{name}: {status} {code}: {}",
            error.message().unwrap_or("no message")
        );
        Err(match (status, code) {
            // An empty object has no first byte.
            (416, _) if part.start == 0 => {
                return Ok(Piece {
                    bytes: Bytes::new(),
                    total: 0,
                    version: None,
                });
            }
            (412 | 416, _) => BucketError::Changed(name),
            (_, "NoSuchKey") => BucketError::Missing(name),
            (403, "RequestTimeTooSkewed" | "RequestExpired") => {
                BucketError::Unavailable(format!("{said}; check this machine's clock"))
            }
            (_, "AccessDenied") => BucketError::Misconfigured(format!("{said}; {RIGHTS}")),
            (408 | 429 | 500.., _)
            | (
                _,
                "ExpiredToken"
                | "TokenRefreshRequired"
                | "RequestTimeout"
                | "SlowDown"
                | "Throttling"
                | "OperationAborted",
            ) => BucketError::Unavailable(said),
            _ => BucketError::Misconfigured(format!("{said}; {SETTINGS}")),
        })
    }
}

#[async_trait]
impl Bucket for S3Bucket {
    async fn get(
        &self,
        key: &str,
        part: Range<u64>,
        version: Option<&str>,
    ) -> Result<Piece, BucketError> {
        let bytes = part.end.saturating_sub(part.start);
        let patience = ANSWER + Duration::from_secs(bytes / BYTES_PER_SECOND);
        let answer = timeout(patience, self.fetch(key, part, version)).await;
        answer.unwrap_or_else(|_| {
            let why = format!(
                "{}: no answer within {} s",
                self.name(key),
                patience.as_secs()
            );
            Err(BucketError::Unavailable(why))
        })
    }
}

/// Start and total of a header such as `bytes 0-9/100`.
fn range(header: &str) -> Option<(u64, u64)> {
    let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn a_range_says_where_it_begins_and_how_much_there_is() {
        assert_eq!(range("bytes 0-9/100"), Some((0, 100)));
        assert_eq!(range("bytes 90-99/100"), Some((90, 100)));
        for other in ["", "bytes */100", "bytes 0-9/*", "0-9/100", "bytes 0-9"] {
            assert_eq!(range(other), None, "{other}");
        }
    }
}
