//! What can go wrong at a target, named by what the caller does about it.

use crate::Table;

/// A failure of a target. The variant says what happens next, the text says why.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// May heal: the span is kept and tried again, with growing delay, for ever.
    #[error("target unavailable: {0}")]
    Unavailable(String),
    /// These rows will never be accepted: their records become dead letters.
    #[error("target rejects rows of {table}: {reason}")]
    Rejected {
        /// The table whose rows are not acceptable.
        table: Table,
        /// Why, in the target's words.
        reason: String,
    },
    /// Something else stands under a name that this span must write: the partition stops, others go on.
    #[error("conflict at the target: {0}")]
    Conflict(String),
    /// A person must change something: the program stops and says so.
    #[error("target misconfigured: {0}")]
    Misconfigured(String),
}
