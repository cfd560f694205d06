//! Objects of a bucket that records of a stream point to, brought near in pieces while everybody else goes on.
//!
//! Owns the fetching: what is asked for, how much of it is held ([`Settings::hold`], over all objects and workers), and when to try again.
//! Refuses to know what is in an object.
//!
//! An object up to [`Settings::whole_max`] is held as a whole before anybody reads it, so that its rows are taken all or not at all, and none
//! of its readers waits for anything. A larger one is read while it comes, with as much of it held: its reader waits for the next piece, up to
//! [`Settings::patience`], on its own thread.
//!
//! That there is no such object is said only when the bucket has said so twice. Whatever else happens to a request leaves the partition
//! waiting: a bucket that is down, a right that is missing, an object that was replaced between two pieces.

mod fetch;
mod object;
mod s3;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use self::object::Object;
pub use self::s3::S3Bucket;
use crate::awaited::{Objects, ReadObject, Unopened};

/// Permits are of this many bytes.
const UNIT: u64 = 1024;

/// How much is held, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of all objects together.
    pub hold: u64,
    /// Up to this many bytes an object is held as a whole, and of a larger one as much.
    pub whole_max: u64,
    /// Bytes of one request.
    pub piece: u64,
    /// How long a reader waits for the next piece of a large object.
    pub patience: Duration,
    /// An object that nobody has asked for since is forgotten.
    pub idle: Duration,
}

impl Settings {
    /// The settings for `hold` bytes: two objects of the largest kind that is held as a whole.
    pub fn new(hold: u64) -> Self {
        let hold = hold.max(4 * UNIT);
        let whole_max = hold / 2;
        Self {
            hold,
            whole_max,
            piece: (whole_max / 2).min(4 << 20),
            patience: Duration::from_secs(10),
            idle: Duration::from_secs(60),
        }
    }
}

/// A part of an object.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Its bytes: all that were asked for, or fewer at the end.
    pub bytes: Bytes,
    /// How many the whole object has.
    pub total: u64,
    /// What tells the object from one that replaces it, if the bucket says so.
    pub version: Option<String>,
}

/// Why there is no piece, named by what the caller does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// The bucket has no such object.
    #[error("{0} is not there")]
    Missing(String),
    /// It is another object than before: begin again.
    #[error("{0} was replaced while it was read")]
    Changed(String),
    /// Heals by itself or with another attempt.
    #[error("{0}")]
    Unavailable(String),
    /// A person must change something.
    #[error("{0}")]
    Misconfigured(String),
}

/// Where objects are.
#[async_trait]
pub trait Bucket: fmt::Debug + Send + Sync {
    /// Gets a part of an object, of the given version if there is one.
    ///
    /// # Errors
    /// Why it did not come.
    async fn get(
        &self,
        key: &str,
        part: Range<u64>,
        version: Option<&str>,
    ) -> Result<Piece, BucketError>;
}

/// Fetches objects for all workers of a process.
#[derive(Debug)]
pub struct Fetcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bucket: Arc<dyn Bucket>,
    settings: Settings,
    runtime: Handle,
    room: Arc<Semaphore>,
    /// Those that were asked for and not done. Each has a partition that waits for it, or did until a short time ago.
    asked: Mutex<HashMap<String, Asked>>,
}

/// An object that is fetched, and who does it.
#[derive(Debug)]
struct Asked {
    object: Arc<Object>,
    task: AbortHandle,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fetcher {
    /// Nothing is asked for yet. Requests are made on the runtime.
    pub fn new(bucket: Arc<dyn Bucket>, settings: Settings, runtime: Handle) -> Self {
        let room = usize::try_from(settings.hold / UNIT).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            bucket,
            settings,
            runtime,
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
            asked: Mutex::default(),
        }))
    }

    /// Bytes that are held or about to be.
    pub fn held(&self) -> u64 {
        let free = u64::try_from(self.0.room.available_permits()).unwrap_or(u64::MAX);
        (self.0.settings.hold / UNIT).saturating_sub(free) * UNIT
    }

    fn object(&self, key: &str, size: u64) -> Arc<Object> {
        let mut asked = self.0.asked();
        if let Some(asked) = asked.get(key) {
            return asked.object.clone();
        }
        let object = Arc::new(Object::new(self.0.settings));
        let fetching = fetch::run(Arc::downgrade(&self.0), object.clone(), key.into(), size);
        let task = self.0.runtime.spawn(fetching).abort_handle();
        let fetched = Asked {
            object: object.clone(),
            task,
        };
        asked.insert(key.into(), fetched);
        object
    }
}

impl Inner {
    fn asked(&self) -> std::sync::MutexGuard<'_, HashMap<String, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody has asked for the object for long: whoever does again begins anew.
    fn forget(&self, key: &str, object: &Arc<Object>) {
        let mut asked = self.asked();
        if asked
            .get(key)
            .is_some_and(|asked| Arc::ptr_eq(&asked.object, object))
        {
            asked.remove(key);
        }
    }
}

impl Objects for Fetcher {
    fn open(&self, key: &str, size: u64) -> Result<Box<dyn ReadObject>, Unopened> {
        self.object(key, size).open()
    }

    fn done(&self, key: &str) {
        self.0.asked().remove(key);
    }
}
