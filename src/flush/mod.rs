//! When to seal a span, and when to stop taking records.
//!
//! Owns the decisions and nothing else: no clock, no I/O, no knowledge of partitions. Callers pass the
//! time and what they hold; what comes back is what to do.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// The limits a person sets.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How long rows wait to be committed: `middleware.max-flush-duration`.
    pub max_span_age: Duration,
    /// How long bytes wait to become a batch: `stream.max-flush-duration`.
    pub max_batch_age: Duration,
    /// Bytes of one output as stored: `target.aws.s3-max-data-size`.
    pub max_output: u64,
    /// Rows of one batch. Batches of a few thousand rows stay in the processor's cache.
    pub batch_rows: usize,
    /// Bytes one table's column builders may hold before they become a batch.
    pub batch_bytes: usize,
    /// Sealed spans of one partition that may be on their way to the target at once.
    pub max_in_flight: usize,
}

/// Why a span was sealed. The name is a metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its oldest row has waited long enough.
    Age,
    /// One of its outputs is as large as it may be.
    Size,
    /// The memory is needed.
    Memory,
    /// A new day has begun, by which late records are told.
    Day,
    /// The partition has reached the end that was asked for.
    End,
    /// The partition goes to another worker.
    Revoked,
    /// The program stops.
    Shutdown,
    /// The span is read again and ends where it ended before.
    Replay,
}

impl Reason {
    /// Every reason, for metrics that exist before the first flush.
    pub const ALL: [Self; 8] = [
        Self::Age,
        Self::Size,
        Self::Memory,
        Self::Day,
        Self::End,
        Self::Revoked,
        Self::Shutdown,
        Self::Replay,
    ];

    /// The reason as a metrics label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
            Self::Memory => "memory",
            Self::Day => "day",
            Self::End => "end",
            Self::Revoked => "revoked",
            Self::Shutdown => "shutdown",
            Self::Replay => "replay",
        }
    }
}

/// What the decision about one open span needs to know.
#[derive(Clone, Copy, Debug)]
pub struct OpenSpan {
    /// Time since its first record was taken.
    pub age: Duration,
    /// Bytes of its largest output so far, as stored.
    pub largest_output: u64,
    /// Sealed spans of the same partition still on their way.
    pub in_flight: usize,
    /// Whether the partition has reached the end that was asked for.
    pub at_end: bool,
    /// Whether another span of the same worker is sealed for its age now.
    pub in_company: bool,
}

impl Policy {
    /// Whether to seal the span now, and why.
    ///
    /// Age waits while an earlier span of the partition is on its way: a slow or failing target then
    /// gets fewer and larger outputs, not more and smaller ones. In company, half the age is enough: partitions that are sealed
    /// together share their requests to the checkpoint store, and stay together from then on.
    pub fn due(&self, span: &OpenSpan) -> Option<Reason> {
        if span.in_flight >= self.max_in_flight {
            None
        } else if span.largest_output >= self.max_output {
            Some(Reason::Size)
        } else if span.in_flight > 0 {
            None
        } else if span.at_end {
            Some(Reason::End)
        } else if span.age >= self.age_of(span) {
            Some(Reason::Age)
        } else {
            None
        }
    }

    fn age_of(&self, span: &OpenSpan) -> Duration {
        if span.in_company {
            self.max_span_age / 2
        } else {
            self.max_span_age
        }
    }

    /// Whether a partition must wait before it takes more records.
    pub fn must_wait(&self, span: &OpenSpan) -> bool {
        span.in_flight >= self.max_in_flight && span.largest_output >= self.max_output
    }
}

/// Bytes held by the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// In spans that still grow.
    pub open: u64,
    /// In sealed spans the target has not committed yet.
    pub sealed: u64,
}

/// What a worker does about memory, from the mildest to the hardest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// There is room.
    None,
    /// Batches and staged rows are made small; nothing is sealed for it.
    Shrink,
    /// The largest spans are sealed until open spans hold at most this many bytes.
    Seal {
        /// Bytes that all open spans together may keep.
        keep_open: u64,
    },
}

/// What the budget asks for: pressure on open spans, and whether to take records at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relief {
    /// What to do with open spans.
    pub pressure: Pressure,
    /// Whether records may be taken.
    pub intake: Intake,
}

/// Whether a worker takes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Take records, and resume if paused.
    Open,
    /// Leave it as it is: between the marks, so that intake does not flutter.
    Keep,
    /// Pause every partition, but keep polling.
    Closed,
}

/// Decides what to do about memory.
///
/// Open spans may hold 60% of the limit, and are sealed, largest first, down to 40%. Above 90%, sealed ones
/// included, intake closes until it falls below 75%. So open spans always have a way out through the target, and a
/// target that stands still stops intake without stopping the polls.
pub fn relieve(limit: u64, held: Held) -> Relief {
    let percent = |n: u64| limit / 100 * n;
    let pressure = if held.open > percent(60) {
        Pressure::Seal {
            keep_open: percent(40),
        }
    } else if held.open > percent(45) {
        Pressure::Shrink
    } else {
        Pressure::None
    };
    let used = held.open.saturating_add(held.sealed);
    let intake = if used > percent(90) {
        Intake::Closed
    } else if used < percent(75) {
        Intake::Open
    } else {
        Intake::Keep
    };
    Relief { pressure, intake }
}

/// Which spans to seal so that what stays open falls to `keep_open`: the largest first.
///
/// `open` is what all workers hold in open spans; `spans` are this worker's, as (name, bytes).
pub fn largest_first<T: Copy>(mut spans: Vec<(T, u64)>, open: u64, keep_open: u64) -> Vec<T> {
    spans.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let mut excess = open.saturating_sub(keep_open);
    let mut chosen = Vec::new();
    for (span, bytes) in spans {
        if excess == 0 || bytes == 0 {
            break;
        }
        excess = excess.saturating_sub(bytes);
        chosen.push(span);
    }
    chosen
}
