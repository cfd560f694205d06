//! The contract with a place that holds named objects: what a store must do, and what it is given.

use std::collections::BTreeMap;
use std::fmt::Debug;

use alluvium_target::TargetError;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::Description;

/// An object's bytes, in order and in pieces.
pub type Body = BoxStream<'static, Result<Bytes, TargetError>>;

/// A place that holds named objects: a bucket, a directory.
///
/// Keys are safe as [`KeyTemplate`](crate::KeyTemplate) promises. Several calls run at a time, now and then
/// for the same key, also from other processes; a future may be dropped at any point.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Writes one object under a key that has none: whole or not at all, durable when this returns.
    ///
    /// A store that cannot tell whether something stands there replaces it and answers [`Created::New`].
    /// [`Created::Exists`] says that what stands there is durable.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] is tried again with the same object.
    async fn create(&self, key: &str, object: &Object) -> Result<Created, TargetError>;

    /// As [`Store::create`], replacing whatever stands under the key.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] is tried again with the same object.
    async fn replace(&self, key: &str, object: &Object) -> Result<(), TargetError>;

    /// What is known of the object under a key without reading it; nothing if there is none.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`].
    async fn describe(&self, key: &str) -> Result<Option<Found>, TargetError>;

    /// One page of the objects whose keys begin with `prefix`: those behind `after`, the last key of the page
    /// before, or the first ones. A page may have any length; an empty one is the end.
    ///
    /// The order is the store's own. Mostly it is that of the keys' bytes; SeaweedFS goes folder by folder, so
    /// that `a/b` stands before `a-b`. A key that no page ended with is no dependable place to begin.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`].
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, TargetError>;

    /// The bytes of the object under a key, in pieces as they come, never all of a large one at a time. An
    /// object that ends early ends in an error.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`], also if there is no such object.
    async fn read(&self, key: &str) -> Result<Body, TargetError>;

    /// Fails early on what a person must put right, such as bad credentials or a missing bucket. Leaves no
    /// object behind.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`] or [`TargetError::Unavailable`].
    async fn check(&self) -> Result<(), TargetError>;
}

/// What became of an object that was to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It stands under its key now.
    New,
    /// Something stood there already and was left alone: perhaps the same, written before or by another.
    Exists,
}

/// An object that stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its length in bytes, as stored.
    pub len: u64,
    /// Its metadata, by lower-case name: what [`Description::to_metadata`] made, if it was written here and
    /// the store keeps metadata. May hold more, or nothing.
    pub metadata: BTreeMap<String, String>,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its length in bytes, as stored.
    pub len: u64,
}

/// A finished object, cheap to clone and to send again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The bytes, in order, in as many pieces as they were made in.
    pub body: Vec<Bytes>,
    /// The media type: `application/gzip`, `application/zstd` or `application/x-ndjson`.
    pub content_type: &'static str,
    /// The HTTP content encoding. None even if compressed: the key says so, and a client that is told
    /// of an encoding may undo it while it saves the object under that name.
    pub content_encoding: Option<&'static str>,
    /// What the object holds. A store that can keep metadata keeps [`Description::to_metadata`] of it, set
    /// before the object can be seen.
    pub description: Description,
}

impl Object {
    /// The length in bytes.
    pub fn len(&self) -> u64 {
        self.body.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
