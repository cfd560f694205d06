//! The two traits a target implements.

use std::fmt::Debug;

use arrow_array::RecordBatch;
use async_trait::async_trait;

use crate::{Span, SpanStart, Table, TargetError};

/// A place rows are delivered to. One value serves the whole process; it is shared by all workers.
#[async_trait]
pub trait Target: Debug + Send + Sync + 'static {
    /// Begins the output of one span. Nothing is visible before [`Inserter::commit`] succeeds.
    ///
    /// Called on a worker's thread; it must not wait for anything.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`] stops the program; [`TargetError::Unavailable`] is tried again.
    fn begin(&self, start: &SpanStart) -> Result<Box<dyn Inserter>, TargetError>;

    /// Fails early on what a person must put right, such as bad credentials or a missing bucket.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`] or [`TargetError::Unavailable`].
    async fn check(&self) -> Result<(), TargetError>;

    /// Whatever in the target's own settings shapes the names or contents of outputs, as text without
    /// secrets.
    ///
    /// It goes into the plan of every span. A plan made under another shape is not continued silently:
    /// its outputs would get other names or other rows, beside those that are there already. Settings
    /// that change neither, such as a level of compression, do not belong here.
    fn shape(&self) -> String {
        String::new()
    }
}

/// The output of one span: rows of any number of tables, visible all at once or not at all.
///
/// Life: `add`* `seal` `commit`+, or dropped at any point, which leaves nothing visible (unless a
/// `commit` has already succeeded).
#[async_trait]
pub trait Inserter: Send {
    /// Takes a batch of one table's rows; may encode and stage it.
    ///
    /// Batches of a table arrive in the order of the stream. A later one may have more columns than an
    /// earlier one, what was `Int64` may come back as `Float64`, and a struct with more fields. Dead letters
    /// arrive as the table [`Table::dead_letters`].
    ///
    /// Called on a worker's thread, which does the CPU work of encoding; it must not wait for I/O.
    ///
    /// # Errors
    /// [`TargetError::Rejected`] turns the table's records of this span into dead letters.
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError>;

    /// How much the inserter holds now. Asked often, so it must be cheap.
    fn staged(&self) -> Staged;

    /// The memory is needed elsewhere: gives back what it can without losing rows, such as by
    /// compressing early. Called on a worker's thread.
    ///
    /// # Errors
    /// As [`Inserter::add`].
    fn shrink(&mut self) -> Result<(), TargetError> {
        Ok(())
    }

    /// The span's end is known and no batch follows: does the rest of the CPU work.
    ///
    /// Called once, on a worker's thread.
    ///
    /// # Errors
    /// As [`Inserter::add`].
    fn seal(&mut self, span: &Span) -> Result<(), TargetError> {
        let _ = span;
        Ok(())
    }

    /// Makes all rows of the span durable and visible, all or nothing as far as the target can.
    ///
    /// Called on the async runtime, again and again until it succeeds; and, after a crash or while an owner
    /// that lost the partition is still at it, by another inserter of another process that was given the rows
    /// of the same span in other batches. However often and how many at once, it leaves one copy: whatever
    /// names the output must be made from the table and `span` only, never from a clock, a host or a random
    /// number. The future may be dropped at any point; what it has done by then must be no obstacle to the
    /// next commit.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] is tried again with the same inserter, which must have kept the rows.
    /// [`TargetError::Conflict`] if other rows stand under a name of this span: they are not touched.
    /// [`TargetError::Rejected`], here as in [`Inserter::add`], must depend on the rows only, its reason
    /// included: after a crash the same rows must be rejected again, in the same words.
    async fn commit(&mut self, span: &Span) -> Result<Committed, TargetError>;
}

/// What an inserter holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// Bytes of memory in use, counted against the process's budget.
    pub memory: usize,
    /// Bytes of the largest single output as it would be stored. At `target.aws.s3-max-data-size` the span is sealed.
    pub largest_output: u64,
}

/// What a commit made durable, for logs and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Outputs written, such as objects or files.
    pub outputs: u64,
    /// Bytes written, as stored.
    pub bytes: u64,
    /// Rows in those outputs, dead letters included.
    pub rows: u64,
}
