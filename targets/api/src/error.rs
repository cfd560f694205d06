//! What can go wrong at a target, named by what the caller does about it.

use crate::Table;

/// A failure of a target. The variant says what happens next, the text says why.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// May heal: the span is kept and tried again, with growing delay, for ever.
    #[error("target unavailable: {0}")]
    Unavailable(String),
    /// These rows will never be accepted: their records become dead letters.
    ///
    /// Which rows are rejected, and the text of the reason, must depend on the rows only: the dead
    /// letters are part of the span, and whoever writes it again after a crash must write the same. No
    /// clock, no host, no request id, no state of the place.
    #[error("target rejects rows of {table}: {reason}")]
    Rejected {
        /// The table whose rows are not acceptable.
        table: Table,
        /// Why, in the target's words.
        reason: String,
    },
    /// Something else stands under a name this span must write: the partition stops, others go on.
    ///
    /// The text names the output, what stands there, what should, and what to do. It is not for the
    /// same rows written before or by somebody else at the same time: that is success.
    #[error("target conflict: {0}")]
    Conflict(String),
    /// A person must change something: the program stops and says so.
    #[error("target misconfigured: {0}")]
    Misconfigured(String),
}
