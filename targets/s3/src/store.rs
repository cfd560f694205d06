//! A bucket as a place that holds objects.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_objects::{Body, Created, Found, Listed, Object, Store};
use alluvium_target::TargetError;
use async_trait::async_trait;
use aws_sdk_s3::Client;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::body::Payload;
use crate::client::{self, Pace};
use crate::failure::Failure;
use crate::guard::{Guard, Refusal};
use crate::{S3Settings, multipart, read};

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
    /// Whether the server has turned out to refuse writes that must not replace.
    unguarded: AtomicBool,
}

impl S3Store {
    /// Sets up a client; nothing is asked of S3 before [`Store::check`] or [`Store::create`].
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
            unguarded: AtomicBool::new(false),
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

    async fn put(&self, key: &str, object: &Object, guard: Guard) -> Result<(), Refusal> {
        if object.len() <= self.settings.single_put_max {
            self.put_at_once(key, object, guard).await
        } else {
            multipart::put(self, key, object, guard).await
        }
    }

    async fn put_at_once(&self, key: &str, object: &Object, guard: Guard) -> Result<(), Refusal> {
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
            .set_if_none_match(guard.header())
            .body(payload.stream());
        for (name, value) in object.description.to_metadata() {
            request = request.metadata(name, value);
        }
        match request
            .customize()
            .config_override(self.pace.config(len))
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => {
                let doing = format!("put {}", self.name(key));
                Err(Refusal::of(&doing, guard, &error))
            }
        }
    }

    /// Writes without the guard the server has just refused. It is not used again if that succeeds: else
    /// the server may refuse more than the guard.
    async fn put_unguarded(
        &self,
        key: &str,
        object: &Object,
        why: &Failure,
    ) -> Result<(), Failure> {
        self.put(key, object, Guard::Replace).await?;
        if !self.unguarded.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "this server does not know `If-None-Match`: objects that stand there already are \
                 replaced, and another program's would not be noticed ({why})"
            );
        }
        Ok(())
    }
}

#[async_trait]
impl Store for S3Store {
    /// One `PutObject`, or a multipart upload for large objects, with `If-None-Match: *`. S3 shows an object
    /// only when it is whole.
    ///
    /// # Errors
    /// Always [`TargetError::Unavailable`]: the rows are kept, even for a failure that needs a
    /// person.
    async fn create(&self, key: &str, object: &Object) -> Result<Created, TargetError> {
        let mut attempts = 1;
        let mut pause = self.pace.pause;
        loop {
            let guard = match self.unguarded.load(Ordering::Relaxed) {
                true => Guard::Replace,
                false => Guard::IfAbsent,
            };
            let failure = match self.put(key, object, guard).await {
                Ok(()) => return Ok(Created::New),
                Err(Refusal::Exists(_)) => return Ok(Created::Exists),
                Err(Refusal::Unguarded(why)) => {
                    let put = self.put_unguarded(key, object, &why).await;
                    return put.map(|()| Created::New).map_err(Failure::while_running);
                }
                Err(Refusal::Failed(failure)) => return Err(failure.while_running()),
                // The SDK takes this one for final.
                Err(Refusal::Busy(failure)) => failure,
            };
            if attempts >= self.pace.attempts {
                return Err(failure.while_running());
            }
            tokio::time::sleep(pause).await;
            attempts += 1;
            pause *= 2;
        }
    }

    async fn replace(&self, key: &str, object: &Object) -> Result<(), TargetError> {
        let put = self.put(key, object, Guard::Replace).await;
        put.map_err(|refusal| Failure::from(refusal).while_running())
    }

    async fn describe(&self, key: &str) -> Result<Option<Found>, TargetError> {
        let found = read::describe(self, key).await;
        found.map_err(Failure::while_running)
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, TargetError> {
        let listed = read::list(self, prefix, after).await;
        listed.map_err(Failure::while_running)
    }

    async fn read(&self, key: &str) -> Result<Body, TargetError> {
        read::body(self, key).await.map_err(Failure::while_running)
    }

    /// Begins a multipart upload and takes it back, and looks at an object that is not there.
    ///
    /// The upload proves what the program cannot do without, the right to write, and leaves nothing: no
    /// object, no version, no event. A failure says why, whereas `HeadBucket` needs the right to list,
    /// which writing does not, answers without a reason, and passes where writing is forbidden. The right
    /// to read is needed only where an object stands already: that it is missing is said, no more.
    async fn check(&self) -> Result<(), TargetError> {
        let doing = format!("try an upload to {}", self.name(CHECK_KEY));
        let begun = multipart::begin(self, CHECK_KEY, None, &doing).await;
        let upload = begun.map_err(Failure::at_check)?;
        if let Err(failure) = multipart::abort(self, CHECK_KEY, &upload).await {
            tracing::warn!("failed uploads will leave parts behind that cost money: {failure}");
        }
        if let Err(failure) = read::describe(self, CHECK_KEY).await {
            tracing::warn!("an object that stands there already could not be compared: {failure}");
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
