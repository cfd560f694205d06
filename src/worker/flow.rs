//! One assigned partition: its spans, from the one that grows to those under way to the target.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alluvium_target::{Inserter, TargetError};

use super::budget::{Budget, Share};
use super::clock::Clock;
use super::refused::Refused;
use super::shape::Shape;
use super::span::{Making, OpenSpan};
use crate::decode::json::JsonDecoder;
use crate::deliver::{Backoff, Ledger, Plan, Planned, SpanId, SpanIds, Stored, UnderWay, Writer};
use crate::failpoint;
use crate::flush::{self, Policy, Reason};
use crate::metrics::Metrics;
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Partition, Position, Record, Span, SpanStart, Table};

/// How records become outputs, with what that needs to be kept between them.
pub(super) struct Shaping {
    pub(super) shape: Arc<Shape>,
    decoder: JsonDecoder,
}

impl Shaping {
    pub(super) fn new(shape: Arc<Shape>) -> Self {
        let decoder = JsonDecoder::new(shape.json.clone());
        Self { shape, decoder }
    }
}

/// What all flows of a worker work with.
pub(super) struct Tools {
    pub(super) shaping: Shaping,
    pub(super) policy: Policy,
    pub(super) budget: Arc<Budget>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) writer: Writer,
    pub(super) ids: SpanIds,
    pub(super) clock: Box<dyn Clock>,
    pub(super) taken: Taken,
}

/// Records taken since the last turn: counted here first, because workers that count in the same place for every record slow
/// each other down.
#[derive(Default)]
pub(super) struct Taken {
    records: u64,
    bytes: usize,
}

impl Taken {
    /// Bytes taken since the last turn.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds to the process's counts.
    pub(super) fn publish(&mut self, metrics: &Metrics) {
        let Self { records, bytes } = std::mem::take(self);
        metrics.records.inc_by(records);
        metrics
            .bytes
            .inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// A sealed span until it is durable. Dropping it abandons the write.
struct InFlight {
    span: Span,
    state: State,
    _share: Share,
}

enum State {
    /// Nothing may be visible before its plan is stored.
    Unplanned(Box<dyn Inserter>),
    Writing {
        _write: UnderWay,
    },
}

/// A partition while it is assigned to this worker.
pub(super) struct Flow {
    pub(super) partition: Partition,
    /// Tells this assignment from an earlier one of the same partition.
    pub(super) id: SpanId,
    ledger: Ledger,
    /// Behind the last record taken.
    next: Position,
    open: Option<OpenSpan>,
    share: Share,
    /// Bytes in column builders when last measured.
    building: u64,
    in_flight: BTreeMap<SpanId, InFlight>,
    /// How the spans of a recovered plan are shaped, if not as all others.
    recorded: Option<Box<Shaping>>,
    refused: Refused,
    /// The first failure since it was last looked at. Records are let pass until the flow is rewound.
    trouble: Option<TargetError>,
    /// Behind the last record that was offered.
    offered: Position,
    backoff: Backoff,
    /// Not to be read before this time.
    pub(super) hold_until: Option<Duration>,
    /// Why nothing more is done for this partition before a person has looked.
    pub(super) stopped: Option<String>,
    /// Where `--until-end` ends, if asked for.
    pub(super) end: Option<Position>,
    /// When the last record was taken.
    pub(super) last_taken: Duration,
    pub(super) paused: bool,
}

impl Flow {
    /// A partition whose checkpoint and plan the stream has as in `ledger`.
    pub(super) fn new(
        partition: Partition,
        ledger: Ledger,
        end: Option<Position>,
        tools: &mut Tools,
    ) -> Self {
        let start = ledger.end();
        #[cfg(test)]
        if mutation::on(Mutation::ReportForAnother) {
            tools.ids = SpanIds::default();
        }
        Self {
            id: tools.ids.next_id(),
            ledger,
            next: start,
            open: None,
            share: Share::open(&tools.budget),
            building: 0,
            in_flight: BTreeMap::new(),
            recorded: None,
            refused: Refused::default(),
            trouble: None,
            offered: start,
            backoff: Backoff::new(start.offset().unsigned_abs()),
            hold_until: None,
            stopped: None,
            end,
            last_taken: tools.clock.now(),
            paused: false,
            partition,
        }
    }

    /// The spans of the recovered plan are shaped as its writer did.
    pub(super) fn shaped_as_recorded(&mut self, shape: Arc<Shape>) {
        self.recorded = Some(Box::new(Shaping::new(shape)));
    }

    /// Gives up on the partition until a person has looked at it. What is stored stays stored.
    pub(super) fn stop(&mut self, reason: String) {
        self.open = None;
        self.share.set(0);
        self.building = 0;
        self.trouble = None;
        self.in_flight.clear();
        self.stopped = Some(reason);
    }

    /// Takes a record into the open span. Failures wait in the flow until [`Flow::take_trouble`].
    pub(super) fn take(&mut self, record: &Record<'_>, tools: &mut Tools, now: Duration) {
        if self.is_deaf() || record.position < self.next {
            return;
        }
        self.offered = self.offered.max(record.position.next());
        tools.taken.records += 1;
        tools.taken.bytes += record.bytes();
        if let Err(error) = self.try_take(record, tools, now) {
            self.trouble = Some(error);
        }
    }

    /// Whether records are let pass, to be read again: the stream may then be read beyond [`Flow::next`].
    pub(super) fn is_deaf(&self) -> bool {
        self.trouble.is_some()
            || self.hold_until.is_some()
            || self.stopped.is_some()
            || self.awaits_recorded()
    }

    fn try_take(
        &mut self,
        record: &Record<'_>,
        tools: &mut Tools,
        now: Duration,
    ) -> Result<(), TargetError> {
        self.seal_bound(record.position, tools)?;
        if self.awaits_recorded() {
            return Ok(());
        }
        self.begin(tools, now)?;
        let handed_on = self.decode(record, tools, now)?;
        self.next = record.position.next();
        self.last_taken = now;
        self.seal_bound(self.next, tools)?;
        // Only what was handed on tells how large the output has become.
        if handed_on {
            self.seal_if_due(tools, now, false)
        } else {
            Ok(())
        }
    }

    fn begin(&mut self, tools: &Tools, now: Duration) -> Result<(), TargetError> {
        if self.open.is_some() {
            return Ok(());
        }
        // Only milliseconds are kept in a plan.
        let opened_ms = match self.ledger.bound() {
            Some(bound) => bound.opened_ms,
            None => millis(tools.clock.wall()),
        };
        #[cfg(test)]
        let opened_ms = if mutation::on(Mutation::OpenedAnew) {
            millis(tools.clock.wall())
        } else {
            opened_ms
        };
        let start = SpanStart {
            partition: self.partition.clone(),
            from: self.ledger.end(),
            opened: UNIX_EPOCH + Duration::from_millis(u64::try_from(opened_ms).unwrap_or(0)),
        };
        let inserter = self.shape(tools).target.begin(&start)?;
        self.open = Some(OpenSpan::new(inserter, now, opened_ms));
        Ok(())
    }

    fn shape<'a>(&'a self, tools: &'a Tools) -> &'a Shape {
        &self.recorded.as_deref().unwrap_or(&tools.shaping).shape
    }

    /// Makes a row or a dead letter of the record. Whether a batch was handed on to the target's inserter.
    fn decode(
        &mut self,
        record: &Record<'_>,
        tools: &mut Tools,
        now: Duration,
    ) -> Result<bool, TargetError> {
        let from = self.ledger.end();
        let Some(open) = &mut self.open else {
            return Ok(false);
        };
        let Shaping { shape, decoder } = match &mut self.recorded {
            Some(recorded) => recorded,
            None => &mut tools.shaping,
        };
        let making = Making {
            policy: &tools.policy,
            columns: &shape.columns,
            metrics: &tools.metrics,
        };
        let bytes = record.bytes();
        let (label, reason) = match decoder.decode(self.partition.topic(), record.payload) {
            Ok(row) => match self.refused.reason(from, row.project(), row.collection()) {
                None => return open.take_row(&row, bytes, now, &making),
                Some(reason) => ("target_rejected", format!("target_rejected: {reason}")),
            },
            Err(bad) => (bad.reason.name(), bad.to_string()),
        };
        tools.metrics.dead_letters.with_label_values(&[label]).inc();
        open.take_letter(&self.partition, record, &reason, now, &making)
    }

    /// Seals a span of a plan where the plan says that it ends.
    fn seal_bound(&mut self, reached: Position, tools: &mut Tools) -> Result<(), TargetError> {
        while let Some(bound) = self.ledger.bound().filter(|bound| bound.to <= reached) {
            self.seal_at(bound.to, Reason::Replay, tools)?;
        }
        Ok(())
    }

    /// Whether the span that grows may end only where a plan says.
    pub(super) fn is_bound(&self) -> bool {
        self.ledger.bound().is_some()
    }

    /// Where a plan says that the span that grows must end.
    pub(super) fn bound(&self) -> Option<Position> {
        self.ledger.bound().map(|bound| bound.to)
    }

    /// Whether the next span must wait until those of a plan with another shape are done: one plan has one shape.
    pub(super) fn awaits_recorded(&self) -> bool {
        self.recorded.is_some() && !self.is_bound()
    }

    /// Goes on with the usual shape once all spans of the recorded one are committed. Whether it did: reading then
    /// begins at [`Flow::next`].
    pub(super) fn recorded_is_done(&mut self) -> bool {
        let done =
            self.awaits_recorded() && self.ledger.wanted().spans.is_empty() && !self.ledger.moved();
        if done {
            self.recorded = None;
        }
        done
    }

    /// Seals everything taken so far.
    pub(super) fn seal(&mut self, reason: Reason, tools: &mut Tools) {
        if self.trouble.is_some() || self.stopped.is_some() || self.is_bound() {
            return;
        }
        if self.awaits_refused() {
            // Nothing of it is planned: whoever reads it next is refused as well, or not, as the span then ends.
            if matches!(reason, Reason::Revoked | Reason::Shutdown) {
                self.restart(self.ledger.end());
                self.hold_until = Some(Duration::MAX);
            }
            return;
        }
        if let Err(error) = self.seal_at(self.next, reason, tools) {
            self.trouble = Some(error);
        }
    }

    fn seal_at(
        &mut self,
        to: Position,
        reason: Reason,
        tools: &mut Tools,
    ) -> Result<(), TargetError> {
        let from = self.ledger.end();
        if to <= from {
            return Ok(());
        }
        let span = Span {
            partition: self.partition.clone(),
            from,
            to,
        };
        let bound = self.ledger.bound();
        let open = self.open.take();
        let opened_ms = match (bound, &open) {
            (Some(bound), _) => bound.opened_ms,
            (None, Some(open)) => open.opened_ms,
            (None, None) => millis(tools.clock.wall()),
        };
        let inserter = match open {
            Some(open) => open.seal(&span)?,
            None => None,
        };
        let end = Planned { to, opened_ms };
        let Some((id, planned)) = self.ledger.seal(&mut tools.ids, end) else {
            return Ok(());
        };
        #[cfg(test)]
        let planned = planned || mutation::on(Mutation::WrittenBeforePlanned);
        let Some(inserter) = inserter else {
            // Nothing to read in there: as good as durable.
            self.ledger.durable(id);
            return Ok(());
        };
        failpoint::pass("sealed");
        self.building = 0;
        let mut share = std::mem::replace(&mut self.share, Share::open(&tools.budget));
        share.set(u64::try_from(inserter.staged().memory).unwrap_or(u64::MAX));
        share.seal();
        tools
            .metrics
            .flushes
            .with_label_values(&[reason.name()])
            .inc();
        tracing::debug!(%span, reason = reason.name(), "span sealed");
        let state = if planned {
            State::Writing {
                _write: tools.writer.write(span.clone(), id, inserter),
            }
        } else {
            State::Unplanned(inserter)
        };
        self.in_flight.insert(
            id,
            InFlight {
                span,
                state,
                _share: share,
            },
        );
        Ok(())
    }

    /// What the stream should keep of this partition: the checkpoint, and the plan as text.
    pub(super) fn wanted(&self, tools: &Tools) -> (Stored, String) {
        let shape = self.shape(tools);
        let stored = self.ledger.wanted();
        let plan = Plan::text(shape.print, &stored.spans, &shape.settings);
        (stored, plan)
    }

    /// Whether sealed spans wait for their plan to be stored.
    pub(super) fn wants_plan(&self) -> bool {
        self.stopped.is_none() && self.ledger.wants_plan()
    }

    /// Whether the checkpoint has moved since the stream confirmed one.
    pub(super) fn moved(&self) -> bool {
        self.ledger.moved()
    }

    /// The stream has confirmed what it keeps: spans that are planned now are written.
    pub(super) fn confirm(&mut self, stored: Stored, tools: &Tools) {
        for id in self.ledger.confirm(stored) {
            let Some(in_flight) = self.in_flight.remove(&id) else {
                continue;
            };
            failpoint::pass("planned");
            let InFlight {
                span,
                state,
                _share,
            } = in_flight;
            #[cfg(test)]
            if mutation::on(Mutation::DurableBeforeWritten) {
                self.ledger.durable(id);
            }
            let state = match state {
                State::Unplanned(inserter) => State::Writing {
                    _write: tools.writer.write(span.clone(), id, inserter),
                },
                writing @ State::Writing { .. } => writing,
            };
            self.in_flight.insert(
                id,
                InFlight {
                    span,
                    state,
                    _share,
                },
            );
        }
    }

    /// Seals or shrinks what its age and size ask for.
    pub(super) fn flush_due(&mut self, tools: &mut Tools, now: Duration, in_company: bool) {
        if self.trouble.is_some() {
            return;
        }
        let Some(open) = &mut self.open else { return };
        if let Err(error) = open.finish_aged(now, &tools.policy) {
            self.trouble = Some(error);
            return;
        }
        self.measure();
        if let Err(error) = self.seal_if_due(tools, now, in_company) {
            self.trouble = Some(error);
        }
    }

    /// Whether the open span is sealed now because of its age.
    pub(super) fn due_by_age(&self, policy: &Policy, now: Duration) -> bool {
        let due = |state| policy.due(&state) == Some(Reason::Age);
        !self.is_bound() && self.state(now).is_some_and(due)
    }

    fn seal_if_due(
        &mut self,
        tools: &mut Tools,
        now: Duration,
        in_company: bool,
    ) -> Result<(), TargetError> {
        if self.is_bound() || self.awaits_refused() {
            return Ok(());
        }
        let state = self.state(now).map(|state| flush::OpenSpan {
            in_company,
            ..state
        });
        match state.and_then(|state| tools.policy.due(&state)) {
            Some(reason) => self.seal_at(self.next, reason, tools),
            None => Ok(()),
        }
    }

    fn state(&self, now: Duration) -> Option<flush::OpenSpan> {
        self.open.as_ref().map(|open| flush::OpenSpan {
            age: now.saturating_sub(open.opened),
            largest_output: open.largest_output(),
            in_flight: self.ledger.in_flight(),
            at_end: self.at_end(),
            in_company: false,
        })
    }

    /// Whether so much is under way that no more may be taken.
    pub(super) fn must_wait(&self, policy: &Policy, now: Duration) -> bool {
        self.state(now)
            .is_some_and(|state| policy.must_wait(&state))
    }

    /// Tells the budget what is held.
    fn measure(&mut self) {
        let (building, all) = self.open.as_ref().map_or((0, 0), OpenSpan::memory);
        self.building = building;
        self.share.set(all);
    }

    /// Bytes in column builders when last measured.
    pub(super) fn building(&self) -> u64 {
        self.building
    }

    /// Bytes held in the open span when last measured.
    pub(super) fn open_bytes(&self) -> u64 {
        self.share.held()
    }

    /// Age of the open span.
    pub(super) fn age(&self, now: Duration) -> Duration {
        self.open
            .as_ref()
            .map_or(Duration::ZERO, |open| now.saturating_sub(open.opened))
    }

    /// Makes the open span small without sealing it.
    pub(super) fn shrink(&mut self) {
        if let Some(open) = &mut self.open
            && let Err(error) = open.shrink()
        {
            self.trouble.get_or_insert(error);
        }
        self.measure();
    }

    /// The target has made a span durable. `false` if nobody waits for it.
    pub(super) fn durable(&mut self, id: SpanId) -> bool {
        self.backoff = Backoff::new(self.next.offset().unsigned_abs());
        let known = self.in_flight.remove(&id).is_some() && self.ledger.durable(id);
        self.refused.forget_before(self.ledger.checkpoint());
        known
    }

    /// The target refuses rows of a span that is under way: it and all behind it are forgotten and will be read again.
    /// Returns where to read from.
    pub(super) fn refuse(&mut self, id: SpanId, table: Table, reason: String) -> Option<Position> {
        let from = self.ledger.discard(id)?;
        self.in_flight.retain(|other, _| *other < id);
        // The span is planned, and so ends where it did.
        self.refused.add(from, from, table, reason);
        self.restart(from);
        Some(from)
    }

    /// Whether the span that grows must not end where it stands.
    pub(super) fn must_read_on(&self) -> bool {
        self.is_bound() || self.awaits_refused()
    }

    /// Whether the span must not end yet: the rows for which a table was refused are not read again yet. Without them it would
    /// not be refused again by whoever reads the span after a crash.
    fn awaits_refused(&self) -> bool {
        self.refused.until(self.ledger.end()) > Some(self.next)
    }

    /// Forgets the spans whose plan was not confirmed. Returns where to read from.
    #[cfg(test)]
    pub(super) fn unplan(&mut self) -> Option<Position> {
        let unplanned = |flight: &InFlight| matches!(flight.state, State::Unplanned(_));
        let (id, _) = self
            .in_flight
            .iter()
            .find(|(_, flight)| unplanned(flight))?;
        let id = *id;
        let from = self.ledger.discard(id)?;
        self.in_flight.retain(|other, _| *other < id);
        self.restart(from);
        Some(from)
    }

    /// Whether the span is on its way.
    pub(super) fn is_writing(&self, id: SpanId) -> bool {
        self.in_flight.contains_key(&id)
    }

    /// What has gone wrong since the last call, if anything.
    pub(super) fn take_trouble(&mut self) -> Option<TargetError> {
        self.trouble.take()
    }

    /// Forgets the open span, to read it again after a pause. Returns where to read from.
    pub(super) fn retry_later(&mut self, now: Duration) -> (Position, Duration) {
        let delay = self.backoff.next_delay();
        self.hold_until = Some(now + delay);
        let from = self.ledger.end();
        self.restart(from);
        (from, delay)
    }

    /// Forgets the open span, to read it again with the table's records as dead letters.
    pub(super) fn refuse_open(&mut self, table: Table, reason: String) -> Position {
        let from = self.ledger.end();
        self.refused.add(from, self.offered, table, reason);
        self.restart(from);
        from
    }

    fn restart(&mut self, from: Position) {
        self.open = None;
        self.share.set(0);
        self.building = 0;
        self.trouble = None;
        self.next = from;
    }

    /// Nothing can be read before `to`: reading stands there.
    pub(super) fn skip_to(&mut self, to: Position, tools: &mut Tools) {
        self.next = self.next.max(to);
        if let Err(error) = self.seal_bound(self.next, tools) {
            self.trouble = Some(error);
        }
    }

    pub(super) fn next(&self) -> Position {
        self.next
    }

    pub(super) fn at_end(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// The checkpoint that the stream has confirmed.
    pub(super) fn confirmed(&self) -> Position {
        self.ledger.confirmed()
    }

    /// Whether everything taken is durable and confirmed, or nothing can be done about it.
    pub(super) fn settled(&self) -> bool {
        let done = self.open.is_none() && self.written() && !self.is_bound() && !self.moved();
        done || self.stopped.is_some()
    }

    /// Whether nothing is under way to the target.
    pub(super) fn written(&self) -> bool {
        self.in_flight.is_empty()
    }
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
