//! Brings records in, and keeps checkpoints.
//!
//! A source owns the membership in the group of readers, the assignment of partitions and the
//! connection to the checkpoint store. It refuses to know what becomes of records: it hands them over and stores a
//! checkpoint, with whatever note stands beside it, only when told to.

pub mod kafka;
pub mod kinesis;
mod survey;

pub use survey::Survey;

use std::ops::ControlFlow;
use std::time::Duration;

use crate::record::{Partition, Position, Record};

/// A partition as long as it is assigned: the number under which its records are handed over.
///
/// A number is used again only after the assignment before has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub usize);

/// What the stream keeps of a partition for its readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything before it is durable in the target.
    pub position: Position,
    /// Up to where the note reaches at first, for those who look into the store; `None` if there is none.
    pub reach: Option<Position>,
    /// A text of the reader's, empty if there is none: the plan. At most 4096 bytes.
    pub note: String,
}

/// A partition that is read from now on.
#[derive(Debug)]
pub struct Assigned {
    /// The number its records come under.
    pub slot: Slot,
    /// Its name.
    pub partition: Partition,
    /// What is kept of it, or where reading begins if nothing is. Looked up after the assignment was made, and after every commit that
    /// this reader has asked for in an earlier assignment of the partition was stored or refused.
    pub checkpoint: Checkpoint,
    /// The oldest position that is retained, if that is known. If that is behind the checkpoint, records between them are lost, and reading
    /// begins here.
    pub oldest: Option<Position>,
    /// Behind the last record there was when this was found out, if that is known.
    pub end: Option<Position>,
}

/// What has happened besides records.
#[derive(Debug)]
pub enum Event {
    /// A partition is ours.
    Assigned(Box<Assigned>),
    /// The partition ends here, before the place that is read: it was created anew, or has lost records. Nothing more comes of it.
    Truncated(Slot, Position),
    /// Records that were to be read next have been deleted: this is the oldest position that is left. Reading stands until it
    /// is [rewound](Source::rewind).
    Expired(Slot, Position),
    /// The partition has no records but those handed over since the assignment or the last [rewind](Source::rewind), and never will have:
    /// a shard was closed. Once they are committed the partition is [released](Source::release). Others go on with what it
    /// would have had.
    Ended {
        /// The partition.
        slot: Slot,
        /// Those that go on.
        successors: Vec<Partition>,
    },
    /// No record is there at present but those handed over. Told only by sources that cannot tell where a partition ends, at least
    /// once when it comes to be so.
    CaughtUp(Slot),
    /// The group has said what is ours for now, even if that is nothing.
    Joined,
    /// These partitions go to other readers. They stay readable and can be committed until
    /// [`Source::release`], which should come soon.
    Revoking(Vec<Slot>),
    /// These partitions belong to somebody else already: nothing can be committed any more.
    Lost(Vec<Slot>),
    /// The answer to [`Source::commit`].
    Committed(Result<(), SourceError>),
}

/// A failure of a source, named by what the caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Heals by itself or with another attempt.
    #[error("stream unavailable: {0}")]
    Unavailable(String),
    /// A person must change something: stop.
    #[error("stream misconfigured: {0}")]
    Misconfigured(String),
}

/// A stream of records in partitions, with checkpoints. Used by one worker, on its thread.
pub trait Source {
    /// Waits up to `wait` for something to happen, then hands over `max` records at most, or a few more where they came as one, fewer if `take`
    /// breaks off behind one, and returns what else has
    /// happened. No record of a partition comes before its [`Event::Assigned`] was returned. Must be called again and again, whatever the state of the target, or the group takes the
    /// partitions away.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] only; what heals is logged and counted.
    fn poll(
        &mut self,
        wait: Duration,
        max: usize,
        take: &mut dyn FnMut(Slot, Record<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Event>, SourceError>;

    /// Hands over no more records of these partitions until [`Source::resume`].
    fn pause(&mut self, slots: &[Slot]);

    /// Undoes [`Source::pause`].
    fn resume(&mut self, slots: &[Slot]);

    /// Goes on reading at `to`, which may be behind what was handed over.
    fn rewind(&mut self, slot: Slot, to: Position);

    /// Asks for these checkpoints to be stored, all in one request; the answer comes as [`Event::Committed`]. Not called again
    /// before the answer.
    ///
    /// Nothing may be stored for a reader that has lost the partition: its place in the group is proven with the request, and
    /// is not given up before the answer. An error does not mean that nothing was stored.
    fn commit(&mut self, checkpoints: &[(Slot, Checkpoint)]);

    /// Ends the assignment of partitions that were [`Event::Revoking`] or have [`Event::Ended`]; checkpoints not stored by now are for the
    /// next owner to move.
    fn release(&mut self, slots: &[Slot]);

    /// The reader will leave soon: nothing more should be assigned to it.
    fn stopping(&mut self) {}

    /// Whether nothing can be read between the place reading stands at and `end`: positions may have gaps there, left by compaction
    /// or transactions. May take a second; asked only when no record has come for a while.
    fn nothing_before(&mut self, slot: Slot, end: Position) -> bool;

    /// Leaves the group of readers. What was not committed is read again by whoever comes next.
    fn close(self);
}
