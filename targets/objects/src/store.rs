//! The contract with a place that holds named objects: what a store must do, and what it is given.

use std::fmt::Debug;

use alluvium_target::TargetError;
use async_trait::async_trait;
use bytes::Bytes;

/// A place that holds named objects: a bucket, a directory.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Writes one object: whole or not at all, durable when this returns, replacing what stood under
    /// the key.
    ///
    /// The key is safe as [`KeyTemplate`](crate::KeyTemplate) promises. Several calls run at a time,
    /// now and then for the same key with the same object.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] is tried again with the same object.
    async fn put(&self, key: &str, object: &Object) -> Result<(), TargetError>;

    /// Fails early on what a person must put right, such as bad credentials or a missing bucket.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`] or [`TargetError::Unavailable`].
    async fn check(&self) -> Result<(), TargetError>;
}

/// A finished object, cheap to clone and to send again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The bytes, in order, in as many pieces as they were made in.
    pub body: Vec<Bytes>,
    /// The media type: `application/gzip` or `application/x-ndjson`.
    pub content_type: &'static str,
    /// The HTTP content encoding. None even for gzip: the key ends in `.gz`, and a client that is told
    /// of an encoding may undo it while it saves the object under that name.
    pub content_encoding: Option<&'static str>,
    /// What the object holds, for a store that can note it: `topic`, `partition`, `from`, `to`,
    /// `rows` and `uncompressed-bytes`. Values are ASCII.
    pub metadata: Vec<(&'static str, String)>,
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
