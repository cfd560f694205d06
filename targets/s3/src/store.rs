//! A bucket as a place that holds objects.

use std::fmt;

use alluvium_objects::{Object, Store};
use alluvium_target::TargetError;
use async_trait::async_trait;
use aws_sdk_s3::Client;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::body::Payload;
use crate::client::{self, Pace};
use crate::failure::Failure;
use crate::{S3Settings, multipart};

/// Requests on their way at a time, of the whole process. Bounds sockets, and keeps requests from
/// starving each other on a thin line until all of them run out of time.
const REQUESTS_AT_ONCE: usize = 32;

/// Where [`Store::check`] begins an upload: a place that whoever writes dead letters must be able
/// to write to.
const CHECK_KEY: &str = "_dead_letters/.alluvium-check";

/// A bucket. One value serves the whole process.
pub struct S3Store {
    client: Client,
    settings: S3Settings,
    pace: Pace,
    turns: Semaphore,
}

impl S3Store {
    /// Sets up a client; nothing is asked of S3 before [`Store::check`] or [`Store::put`].
    ///
    /// Must run on a tokio runtime. Where no region is set or found it asks the instance's metadata
    /// service.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`] for settings no server could serve.
    pub async fn connect(settings: S3Settings) -> Result<Self, TargetError> {
        Self::connect_at(settings, Pace::default()).await
    }

    pub(crate) async fn connect_at(settings: S3Settings, pace: Pace) -> Result<Self, TargetError> {
        settings.validate()?;
        let (client, endpoint) = client::connect(&settings, pace).await?;
        let settings = S3Settings {
            endpoint,
            ..settings
        };
        Ok(Self {
            client,
            settings,
            pace,
            turns: Semaphore::new(REQUESTS_AT_ONCE),
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn settings(&self) -> &S3Settings {
        &self.settings
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.settings.bucket
    }

    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// How messages name an object.
    pub(crate) fn name(&self, key: &str) -> String {
        let bucket = &self.settings.bucket;
        match &self.settings.endpoint {
            Some(endpoint) => format!("s3://{bucket}/{key} at {endpoint}"),
            None => format!("s3://{bucket}/{key}"),
        }
    }

    /// Waits until one more request may be sent. Held for one request, never while waiting for
    /// another turn.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // An error would mean a closed semaphore; nothing closes it.
        self.turns.acquire().await.ok()
    }

    async fn put_at_once(&self, key: &str, object: &Object) -> Result<(), Failure> {
        let _turn = self.turn().await;
        let payload = Payload::new(object.body.clone());
        let len = payload.len();
        let mut request = self
            .client
            .put_object()
            .bucket(self.bucket())
            .key(key)
            .content_type(object.content_type)
            .set_content_encoding(object.content_encoding.map(Into::into))
            .content_length(len.cast_signed())
            .set_checksum_crc32(self.settings.checksums.then(|| payload.crc32()))
            .body(payload.stream());
        for (name, value) in &object.metadata {
            request = request.metadata(*name, value);
        }
        match request
            .customize()
            .config_override(self.pace.config(len))
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::of(&format!("put {}", self.name(key)), &error)),
        }
    }
}

#[async_trait]
impl Store for S3Store {
    /// One `PutObject`, or a multipart upload for large objects. S3 shows an object only when it is
    /// whole.
    ///
    /// # Errors
    /// Always [`TargetError::Unavailable`]: the rows are kept, even for a failure that needs a
    /// person.
    async fn put(&self, key: &str, object: &Object) -> Result<(), TargetError> {
        let result = if object.len() <= self.settings.single_put_max {
            self.put_at_once(key, object).await
        } else {
            multipart::put(self, key, object).await
        };
        result.map_err(Failure::while_running)
    }

    /// Begins a multipart upload and takes it back.
    ///
    /// That proves what the program needs, the right to write, and leaves nothing: no object, no
    /// version, no event. A failure says why, whereas `HeadBucket` needs the right to list, which
    /// writing does not, answers without a reason, and passes where writing is forbidden.
    async fn check(&self) -> Result<(), TargetError> {
        let nothing = Object {
            body: Vec::new(),
            content_type: "application/octet-stream",
            content_encoding: None,
            metadata: Vec::new(),
        };
        let doing = format!("try an upload to {}", self.name(CHECK_KEY));
        let begun = multipart::create(self, CHECK_KEY, &nothing, &doing).await;
        let upload = begun.map_err(Failure::at_check)?;
        if let Err(failure) = multipart::abort(self, CHECK_KEY, &upload).await {
            tracing::warn!("failed uploads will leave parts behind that cost money: {failure}");
        }
        Ok(())
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
