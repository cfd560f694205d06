//! The one loop that joins source, decoding, flushing and delivery.
//!
//! A worker owns a source, and the partitions assigned to it, on a thread of its own. It shares with other
//! workers the target, the memory budget and the metrics, and nothing else. It polls whatever happens: a slow or failing
//! target pauses partitions, never the polls.

mod adopt;
mod budget;
mod clock;
mod commit;
mod ended;
mod ends;
mod flow;
mod leaving;
mod leave;
mod letters;
mod look;
mod refused;
mod routing;
mod shape;
mod span;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use alluvium_target::TargetError;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

pub use self::budget::Budget;
pub use self::clock::{Clock, SystemClock};
pub use self::ends::Ends;
pub use self::leave::{REVOKE_DEADLINE, STOP_DEADLINE};
pub use self::leaving::Leaving;
pub use self::routing::{EventRule, Historical, LateRule, Routing, TimeField};
pub use self::shape::{Reshape, Shape};

use self::commit::Committing;
use self::flow::{Flow, Shaping, Taken, Tools};
use self::leave::Revoking;
use self::leaving::AtWork;
use crate::deliver::{LateSink, Outcome, SpanIds, Writer, Written};
use crate::duplicates::Duplicates;
use crate::failpoint;
use crate::flush::Policy;
use crate::metrics::{Health, Metrics};
use crate::record::{Partition, Position};
use crate::source::{Event, Slot, Source, SourceError};

/// Records handed over between two looks at everything else.
const MAX_POLL: usize = 4096;
/// Bytes handed over between two looks, depending on the budget.
const MIN_POLL_BYTES: usize = 16 << 10;
const MAX_POLL_BYTES: usize = 4 << 20;
/// How often spans are looked at for their age and size.
const LOOK: Duration = Duration::from_millis(10);
/// How long a poll may wait while nothing is under way, and while something is.
const IDLE_WAIT: Duration = Duration::from_millis(100);
const BUSY_WAIT: Duration = Duration::from_millis(10);
/// Reports of finished writes that may wait for the worker; writers wait beyond that.
const REPORTS: usize = 256;

/// What all workers of a process share.
#[derive(Clone)]
pub struct Shared {
    /// How records become outputs, and where those go.
    pub shape: Arc<Shape>,
    /// Makes the shape of a plan that was made with other settings.
    pub reshape: Arc<Reshape>,
    /// When to flush.
    pub policy: Policy,
    /// The topic whose partitions hold late records, and when those are flushed.
    pub historical: Option<Arc<Historical>>,
    /// What is remembered of events, if repeats are to be dropped.
    pub duplicates: Option<Arc<Duplicates>>,
    /// Where late records go.
    pub late: Arc<dyn LateSink>,
    /// Bytes that all column builders of one worker may hold.
    pub building_limit: u64,
    /// Records to take between two looks at everything else, at most.
    pub max_poll: usize,
    /// The process's memory.
    pub budget: Arc<Budget>,
    /// Where to count.
    pub metrics: Arc<Metrics>,
    /// Where to give signs of life.
    pub health: Arc<Health>,
    /// Where writes run.
    pub runtime: Handle,
    /// How many spans talk to the target at once.
    pub attempts: Arc<Semaphore>,
    /// Where to end, if there is an end.
    pub ends: Option<Arc<Ends>>,
    /// How long a revocation may take; well below the time after which the group gives up on a worker.
    pub revoke_deadline: Duration,
    /// So that all leave together.
    pub leaving: Arc<Leaving>,
}

/// Why a worker gave up, named by what a person does about it.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The stream needs a person.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The target needs a person.
    #[error("{partition}: {error}")]
    Target {
        /// The partition whose span failed.
        partition: Partition,
        /// What the target said.
        error: TargetError,
    },
    /// Whoever has the schemas of records or the columns of tables needs a person.
    #[error("{partition}: {reason}")]
    Unanswered {
        /// The partition whose record needs one.
        partition: Partition,
        /// Which one, and what was said.
        reason: String,
    },
    /// Partitions were given up until a person has looked at them; the log says why.
    #[error("{partitions} partitions are stopped: the log says why, and what to do about it")]
    Stopped {
        /// How many.
        partitions: usize,
    },
    /// The target did not take everything in time; what is missing will be read again.
    #[error(
        "stopped with {spans} partitions not fully committed; their records will be read again"
    )]
    NotDrained {
        /// Partitions with uncommitted records.
        spans: usize,
    },
}

/// One consumer, one thread, its partitions.
pub struct Worker<S: Source> {
    number: usize,
    source: S,
    flows: BTreeMap<Slot, Flow>,
    tools: Tools,
    reshape: Arc<Reshape>,
    /// The last shape that a plan was made with: those of one crash are all alike.
    reshaped: Option<(String, Arc<Shape>)>,
    health: Arc<Health>,
    ends: Option<Arc<Ends>>,
    leaving: Arc<Leaving>,
    at_work: Option<AtWork>,
    building_limit: u64,
    max_poll: usize,
    reports: mpsc::Receiver<Written>,
    committing: Committing,
    revoking: Option<Revoking>,
    revoke_deadline: Duration,
    stop_deadline: Option<Duration>,
    looked: Duration,
    /// Whether the last poll brought as many bytes as it may, or records that were let pass: there is something to be looked at.
    full: bool,
    published: Duration,
    shrunk: Duration,
    intake_closed: bool,
}

impl<S: Source> Worker<S> {
    /// Worker number `number`, reading from `source`.
    pub fn new(number: usize, source: S, clock: Box<dyn Clock>, shared: Shared) -> Self {
        let (sender, reports) = mpsc::channel(REPORTS);
        let writer = Writer::new(
            shared.runtime,
            shared.attempts,
            shared.late,
            sender,
            shared.metrics.clone(),
        );
        let now = clock.now();
        Self {
            number,
            source,
            flows: BTreeMap::new(),
            tools: Tools {
                shaping: Shaping::new(shared.shape),
                policy: shared.policy,
                historical: shared.historical,
                duplicates: shared.duplicates,
                budget: shared.budget,
                metrics: shared.metrics,
                writer,
                ids: SpanIds::default(),
                clock,
                taken: Taken::default(),
            },
            reshape: shared.reshape,
            reshaped: None,
            health: shared.health,
            ends: shared.ends,
            at_work: Some(AtWork::new(&shared.leaving)),
            leaving: shared.leaving,
            building_limit: shared.building_limit,
            max_poll: shared.max_poll.clamp(1, MAX_POLL),
            reports,
            committing: Committing::default(),
            revoking: None,
            revoke_deadline: shared.revoke_deadline,
            stop_deadline: None,
            looked: now,
            full: false,
            published: now,
            shrunk: now,
            intake_closed: false,
        }
    }

    /// Works until `stop` says so and everything gathered is committed.
    ///
    /// # Errors
    /// What only a person can put right; nothing uncommitted is lost, it will be read again.
    pub fn run(mut self, stop: impl Fn() -> bool) -> Result<(), WorkerError> {
        let result = loop {
            if stop() {
                self.begin_stop();
            }
            match self.step() {
                Ok(false) => {}
                Ok(true) => break self.drained(),
                Err(error) => break Err(error),
            }
        };
        let now = self.tools.clock.now();
        // Writes under way are abandoned before the group is left: what they would commit is somebody else's then.
        let all: Vec<_> = self.flows.keys().copied().collect();
        self.drop_flows(&all, now);
        self.source.close();
        result
    }

    /// One turn of the loop: records, events, reports, flushes, commits. `true` when a stop is complete.
    fn step(&mut self) -> Result<bool, WorkerError> {
        self.health.turned(self.number);
        self.poll()?;
        let now = self.tools.clock.now();
        self.collect_reports(now)?;
        self.mend(now)?;
        if self.full || now.saturating_sub(self.looked) >= LOOK {
            self.looked = now;
            self.look(now);
            self.mend(now)?;
        }
        self.commit(now);
        self.finish_ended(now);
        self.finish_revocation(now);
        Ok(self.stop_complete(now))
    }

    fn poll(&mut self) -> Result<(), WorkerError> {
        let busy = self.committing.under_way() || self.flows.values().any(|flow| !flow.written());
        let wait = if busy || self.ends.is_some() {
            BUSY_WAIT
        } else {
            IDLE_WAIT
        };
        let (flows, tools) = (&mut self.flows, &mut self.tools);
        let mut now = None;
        // Of a partition that lets records pass.
        let mut passing = false;
        let poll_bytes = usize::try_from(tools.budget.limit() / 64).unwrap_or(usize::MAX);
        let poll_bytes = poll_bytes.clamp(MIN_POLL_BYTES, MAX_POLL_BYTES);
        let events = self.source.poll(wait, self.max_poll, &mut |slot, record| {
            let now = *now.get_or_insert_with(|| tools.clock.now());
            match flows.get_mut(&slot) {
                Some(flow) => passing = flow.take(&record, tools, now).is_break(),
                None => tracing::error!(?slot, position = %record.position, "record of a partition that was never assigned; report this as a bug"),
            }
            // Memory is looked at between polls: what one poll brings must be little of it.
            if passing || tools.taken.bytes() >= poll_bytes {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        self.full = passing || tools.taken.bytes() >= poll_bytes;
        tools.taken.publish(&tools.metrics);
        for event in events {
            self.on_event(event);
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event) {
        let now = self.tools.clock.now();
        match event {
            Event::Joined => {
                self.health.joined(self.number);
                if let Some(ends) = &self.ends {
                    ends.joined(self.number);
                }
            }
            Event::Assigned(assigned) => self.adopt(*assigned),
            Event::Expired(slot, oldest) => self.expire(slot, oldest, now),
            Event::Truncated(slot, end) => self.truncate(slot, end),
            Event::Ended { slot, successors } => self.note_ended(slot, successors),
            Event::CaughtUp(slot) => self.note_caught_up(slot),
            Event::Revoking(slots) => self.begin_revocation(slots, now),
            Event::Lost(slots) => {
                tracing::warn!(
                    partitions = slots.len(),
                    "partitions lost to other readers; what was not committed is theirs"
                );
                self.drop_flows(&slots, now);
            }
            Event::Committed(result) => self.on_committed(result, now),
        }
    }

    /// What the target has said since the last turn.
    fn collect_reports(&mut self, now: Duration) -> Result<(), WorkerError> {
        while let Ok(Written { span, id, outcome }) = self.reports.try_recv() {
            let found = self
                .flows
                .iter_mut()
                .find(|(_, flow)| flow.partition == span.partition);
            let Some((&slot, flow)) = found else { continue };
            match outcome {
                Outcome::Durable(committed) => {
                    if flow.durable(id) {
                        failpoint::pass("written");
                        let metrics = &self.tools.metrics;
                        metrics.outputs.inc_by(committed.outputs);
                        metrics.output_bytes.inc_by(committed.bytes);
                        metrics.output_rows.inc_by(committed.rows);
                        tracing::debug!(%span, rows = committed.rows, "span durable");
                    }
                }
                Outcome::Rejected(table, reason) => {
                    check_letters(&span.partition, &table, &reason)?;
                    if let Some(from) = flow.refuse(id, table.clone(), reason.clone()) {
                        tracing::warn!(%span, %table, reason, "target refuses rows; their records become dead letters");
                        flow.last_taken = now;
                        self.source.rewind(slot, from);
                    }
                }
                Outcome::Conflict(reason) => {
                    // A report about a span that was given up meanwhile says nothing about this assignment.
                    if flow.is_writing(id) {
                        flow.stop(reason, &self.tools);
                    }
                }
                Outcome::Misconfigured(reason) => {
                    let error = TargetError::Misconfigured(reason);
                    return Err(WorkerError::Target {
                        partition: span.partition,
                        error,
                    });
                }
            }
        }
        Ok(())
    }

    /// Deals with flows whose target failed on the worker's own thread.
    fn mend(&mut self, now: Duration) -> Result<(), WorkerError> {
        for (&slot, flow) in &mut self.flows {
            if let Some(reason) = flow.unanswered.take() {
                let partition = flow.partition.clone();
                return Err(WorkerError::Unanswered { partition, reason });
            }
            let Some(error) = flow.take_trouble() else {
                continue;
            };
            let partition = &flow.partition;
            match error {
                TargetError::Rejected { table, reason } => {
                    check_letters(partition, &table, &reason)?;
                    tracing::warn!(%partition, %table, reason, "target refuses rows; their records become dead letters");
                    let from = flow.refuse_open(table, reason);
                    self.source.rewind(slot, from);
                }
                TargetError::Unavailable(reason) => {
                    self.tools.metrics.commit_failures.inc();
                    let partition = partition.clone();
                    let (from, delay) = flow.retry_later(now);
                    tracing::warn!(%partition, %from, retry_in = ?delay, reason, "target takes no rows; the span is read again later");
                }
                TargetError::Conflict(reason) => flow.stop(reason, &self.tools),
                error @ TargetError::Misconfigured(_) => {
                    return Err(WorkerError::Target {
                        partition: partition.clone(),
                        error,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Tools {
    /// A partition stops, loudly: what it holds up and what to do about it.
    fn announce_stop(&self, partition: &Partition, reason: &str) {
        self.metrics.partitions_stopped.inc();
        tracing::error!(
            %partition, reason,
            "partition stopped; others go on. Its checkpoint and plan stay as they are. See what is in the target with \
             `alluvium recover --config FILE`; to begin anew at the checkpoint, stop all copies and add --discard-plan"
        );
    }

    /// Records are lost: they were deleted from the stream before anybody read them.
    fn note_expired(&self, partition: &Partition, next: Position, oldest: Position) {
        // Sequence numbers do not say how many records lie between them: at least one.
        let lost = match next.sequence() {
            Some(_) => 1,
            None => u64::try_from(oldest.offset() - next.offset()).unwrap_or(0),
        };
        self.metrics.records_expired.inc_by(lost);
        tracing::error!(
            %partition, %next, %oldest, lost,
            "records were deleted from the stream before they were read: its retention is too short for the backlog. \
             Reading goes on with the oldest that is left"
        );
    }
}

/// Dead letters are the last resort: a target that refuses them cannot be used.
fn check_letters(
    partition: &Partition,
    table: &crate::record::Table,
    reason: &str,
) -> Result<(), WorkerError> {
    if !table.is_dead_letters() {
        return Ok(());
    }
    let error = TargetError::Misconfigured(format!("it refuses dead letters: {reason}"));
    Err(WorkerError::Target {
        partition: partition.clone(),
        error,
    })
}
