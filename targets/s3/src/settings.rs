//! What a person sets, and which of it cannot be right.

use std::fmt;

use alluvium_target::TargetError;
use http::Uri;

/// Where objects go, as whom, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Settings {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region. None: taken from the environment, the profile or the instance;
    /// `us-east-1` when there is an endpoint, since a server of one's own seldom has regions.
    pub region: Option<String>,
    /// The address of a server that speaks S3, as `https://host:port`. Buckets are then named in
    /// the path. None: AWS.
    pub endpoint: Option<String>,
    /// Keys that do not change. None: whatever the AWS environment provides.
    pub keys: Option<StaticKeys>,
    /// Bytes of one part of a multipart upload; raised to what S3 takes where it is less.
    pub part_size: u64,
    /// Bytes up to which an object is sent in one request; S3 takes 5 GiB.
    pub single_put_max: u64,
    /// Whether a CRC-32 goes with each request, so that the server refuses a body that was damaged
    /// on its way. Off for servers that refuse the headers.
    pub checksums: bool,
}

/// An access key and its secret. Never shown, not by `Debug` either.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticKeys {
    /// The access key's id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
}

impl S3Settings {
    /// The settings for `bucket` with everything else at its default.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            region: None,
            endpoint: None,
            keys: None,
            part_size: 8 << 20,
            single_put_max: 16 << 20,
            checksums: true,
        }
    }

    /// Finds what no server could serve, before there is a client.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`].
    pub(crate) fn validate(&self) -> Result<(), TargetError> {
        // Rules of AWS beyond these are left to the server: others have their own.
        let strange = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        if self.bucket.is_empty() || self.bucket.contains(strange) {
            return Err(TargetError::Misconfigured(format!(
                "{:?} is not a bucket's name: set target.aws.s3-bucket to the name alone, such as \
                 `events`",
                self.bucket
            )));
        }
        if let Some(endpoint) = &self.endpoint {
            validate_endpoint(endpoint)?;
        }
        if let Some(keys) = &self.keys
            && (keys.access_key.is_empty() || keys.secret_key.is_empty())
        {
            return Err(TargetError::Misconfigured(
                "an empty key: set both target.access-key and target.secret-access-key, or neither"
                    .into(),
            ));
        }
        Ok(())
    }
}

fn validate_endpoint(endpoint: &str) -> Result<(), TargetError> {
    // The text is not repeated where it may hold a password.
    if endpoint.contains('@') {
        return Err(TargetError::Misconfigured(
            "the S3 endpoint holds a `@`: set target.aws.s3-endpoint to an address without user \
             and password; keys go into target.access-key and target.secret-access-key"
                .into(),
        ));
    }
    let fits = endpoint.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    });
    if fits {
        return Ok(());
    }
    Err(TargetError::Misconfigured(format!(
        "{endpoint:?} is not an S3 endpoint: set target.aws.s3-endpoint to an address such as \
         `https://s3.example.com` or `http://localhost:9000`"
    )))
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticKeys(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(change: impl FnOnce(&mut S3Settings)) -> String {
        let mut settings = S3Settings::new("events");
        change(&mut settings);
        match settings.validate() {
            Err(TargetError::Misconfigured(text)) => text,
            other => panic!("{settings:?} gave {other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_right_is_named_with_its_key() {
        for bucket in ["", "s3://events", "events/raw", "my events", "a\n"] {
            assert!(complaint(|s| s.bucket = bucket.into()).contains("target.aws.s3-bucket"));
        }
        for endpoint in [
            "",
            "localhost",
            "localhost:9000",
            "ftp://host",
            "http://",
            "http://host?x=1",
            "http://a b",
        ] {
            let text = complaint(|s| s.endpoint = Some(endpoint.into()));
            assert!(text.contains("target.aws.s3-endpoint"), "{text}");
        }
    }

    #[test]
    fn usual_settings_pass() {
        for endpoint in [
            "http://localhost:9000",
            "https://s3.example.com",
            "https://s3.example.com/",
            "http://[::1]:9",
        ] {
            let settings = S3Settings {
                endpoint: Some(endpoint.into()),
                ..S3Settings::new("my.events-1")
            };
            assert!(settings.validate().is_ok(), "{endpoint}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let keys = StaticKeys {
            access_key: "AKIAEXAMPLE".into(),
            secret_key: "hush".into(),
        };
        let settings = S3Settings {
            keys: Some(keys),
            ..S3Settings::new("events")
        };
        let shown = format!("{settings:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("AKIA"),
            "{shown}"
        );
        let text = complaint(|s| s.endpoint = Some("https://me:hush@host".into()));
        assert!(!text.contains("hush"), "{text}");
        let empty = StaticKeys {
            access_key: "AKIAEXAMPLE".into(),
            secret_key: String::new(),
        };
        let text = complaint(|s| s.keys = Some(empty));
        assert!(
            text.contains("target.secret-access-key") && !text.contains("AKIA"),
            "{text}"
        );
    }
}
