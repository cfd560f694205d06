//! What can be known of a stream from outside, without being one of its readers: for audits, repairs and starts.

use std::collections::HashMap;
use std::fmt::Debug;

use async_trait::async_trait;

use super::{Checkpoint, SourceError};
use crate::record::{Partition, Position, Span};

/// Looks at a stream and at what is kept for its readers.
///
/// Every method fails with [`SourceError::Unavailable`] if the stream does not answer, and with [`SourceError::Misconfigured`] if it
/// refuses to.
#[async_trait]
pub trait Survey: Debug + Send + Sync {
    /// The partitions there are now.
    async fn partitions(&self) -> Result<Vec<Partition>, SourceError>;

    /// What is kept of them. Partitions of which nothing is kept are left out; one that was read and committed to its end for good is at
    /// [`Position::END`].
    async fn checkpoints(
        &self,
        partitions: &[Partition],
    ) -> Result<HashMap<Partition, Checkpoint>, SourceError>;

    /// The oldest position that each retains; those of which it cannot be told are left out.
    async fn oldest(
        &self,
        partitions: &[Partition],
    ) -> Result<HashMap<Partition, Position>, SourceError>;

    /// The position behind the last record of each; `None` if that shows only when it is read.
    async fn ends(
        &self,
        partitions: &[Partition],
    ) -> Result<HashMap<Partition, Option<Position>>, SourceError>;

    /// Whether there is no record that could be read in the span. May take ten seconds.
    async fn is_gap(&self, span: &Span) -> Result<bool, SourceError>;

    /// Stores checkpoints from outside. Refused while anybody reads the partitions.
    async fn store(&self, checkpoints: &[(Partition, Checkpoint)]) -> Result<(), SourceError>;
}
