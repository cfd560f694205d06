//! Deliberate faults in the protocol, for tests that ask whether the simulation would notice.
//!
//! Exists in this crate's own tests only. A place that can be broken asks [`on`]; nothing else knows of it.

use std::cell::Cell;

/// A way to break exactly-once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// A span is written as soon as it is sealed, whether or not its plan is stored.
    WrittenBeforePlanned,
    /// A span counts as durable when its writing begins.
    DurableBeforeWritten,
    /// The checkpoint moves to the end of any span that is durable, whatever is before it.
    CheckpointOutOfOrder,
    /// A planned span that is read again may end anywhere.
    BoundsForgotten,
    /// A moved checkpoint clears the plans of the spans behind it.
    PlanClearedEarly,
    /// Spans of a recovered plan are opened now, not when the plan says.
    OpenedAnew,
    /// Whoever takes over a partition reads on from the checkpoint and does not look at the plan.
    PlanIgnored,
    /// A commit that failed counts as stored.
    ErrorTakenForStored,
    /// A partition whose records are let pass, to be read again, counts as read where the stream stands.
    SkippedWhileDeaf,
    /// The answer to a commit counts for whoever has the partition when it comes.
    AnswerForAnother,
    /// Reports of writes count for whoever has the partition when they come: numbers of spans are used twice.
    ReportForAnother,
    /// Spans whose plan may not have been stored are read again and end elsewhere.
    ReplannedAfterError,
    /// Commits of an earlier generation are stored.
    NoFence,
    /// Commits of one member may be stored in another order than they were asked for.
    StoredOutOfOrder,
    /// A revocation is answered while a commit is under way.
    GivenBackDuringCommit,
    /// An answer about where to read counts for a later assignment of the same partition.
    StandingOfAnother,
    /// Outputs are named by the time at which they are written.
    NamedByClock,
    /// The span counts as written before its dead letters are.
    LettersAfterwards,
    /// A name that is taken is written again with what is at hand.
    Overwritten,
    /// The span counts as durable before its late records are sent.
    LateAfterwards,
    /// Late records that are not taken at the first attempt are given up.
    LateGivenUp,
    /// Which records are late is told by the clock, not by when their span was opened.
    LateByClock,
    /// An event is remembered when its record is taken, not when it is durable.
    RememberedEarly,
    /// As the original: remembered when it is taken, and a record that is read again repeats itself.
    RepeatsItself,
    /// Events of spans whose writing was given up count as on their way.
    UnderWayForEver,
    /// Events of planned spans that are read again count for others.
    AgainCountsForOthers,
    /// A row is taken though the catalog has not decided about its columns.
    TakenUndecided,
    /// Of a column that somebody else has decided, the type that one's own row says is taken.
    DecidedByOneself,
    /// A write in a lease is taken from anybody, whatever its counter.
    LeaseUnguarded,
    /// A write in a lease is taken from its owner, whatever its counter.
    CounterIgnored,
    /// A shard that has ended is said to be done though not all of it is committed.
    EndedUncommitted,
    /// Shards are read though their parents are not done.
    ParentsIgnored,
    /// A shard is said to be done before those that go on have leases.
    EndBeforeChildren,
    /// The place in an aggregate is no part of a checkpoint.
    SubSequenceForgotten,
    /// Records of an aggregate count whatever shard they belong to.
    ForeignAccepted,
    /// Whoever takes over a lease that says `LATEST` begins at the tip of his own time.
    BeginningForgotten,
    /// When reading began is taken for a time of the service's clock.
    ClocksAgree,
    /// A plan does not say which record came first.
    FirstForgotten,
    /// What a reader has fetched that was replaced since counts.
    NewsOfAnotherReader,
}

thread_local! {
    static ON: Cell<Option<Mutation>> = const { Cell::new(None) };
}

/// Whether the fault is switched on, on this thread.
pub(crate) fn on(mutation: Mutation) -> bool {
    ON.get() == Some(mutation)
}

/// Switches a fault on, and all others off.
pub(crate) fn switch(mutation: Option<Mutation>) {
    ON.set(mutation);
}
