//! One assigned partition: its spans, from the one that grows to those under way to the target.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use alluvium_target::{Target, TargetError};

use super::budget::{Budget, Share};
use super::clock::Clock;
use super::span::{Making, OpenSpan};
use crate::decode::json::JsonDecoder;
use crate::deliver::{Backoff, Ledger, SpanId, SpanIds, UnderWay, Writer};
use crate::flush::{self, Policy, Reason};
use crate::metrics::Metrics;
use crate::record::{Partition, Position, Record, Span, SpanStart, Table};
use crate::table::ColumnSettings;

/// What all flows of a worker work with.
pub(super) struct Tools {
    pub(super) target: Arc<dyn Target>,
    pub(super) decoder: JsonDecoder,
    pub(super) columns: Arc<ColumnSettings>,
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

/// A sealed span on its way. Dropping it abandons the write.
struct InFlight {
    _write: UnderWay,
    _share: Share,
}

/// Tables whose rows the target has refused, up to a position: their records become dead letters.
#[derive(Default)]
struct Refused {
    tables: Vec<(Table, String)>,
    until: Option<Position>,
}

/// A partition while it is assigned to this worker.
pub(super) struct Flow {
    pub(super) partition: Partition,
    ledger: Ledger,
    /// Behind the last record taken.
    next: Position,
    open: Option<OpenSpan>,
    share: Share,
    /// Bytes in column builders when last measured.
    building: u64,
    in_flight: BTreeMap<SpanId, InFlight>,
    /// Where spans that are read again ended before.
    replay: VecDeque<Position>,
    refused: Refused,
    /// The first failure since it was last looked at. Records are let pass until the flow is rewound.
    trouble: Option<TargetError>,
    backoff: Backoff,
    /// Not to be read before this time.
    pub(super) hold_until: Option<Duration>,
    /// The checkpoint the stream has confirmed.
    pub(super) confirmed: Position,
    /// Where `--until-end` ends, if asked for.
    pub(super) end: Option<Position>,
    /// When the last record was taken.
    pub(super) last_taken: Duration,
    pub(super) paused: bool,
}

impl Flow {
    pub(super) fn new(
        partition: Partition,
        start: Position,
        end: Option<Position>,
        tools: &Tools,
    ) -> Self {
        Self {
            ledger: Ledger::new(start),
            next: start,
            open: None,
            share: Share::open(&tools.budget),
            building: 0,
            in_flight: BTreeMap::new(),
            replay: VecDeque::new(),
            refused: Refused::default(),
            trouble: None,
            backoff: Backoff::new(start.offset().unsigned_abs()),
            hold_until: None,
            confirmed: start,
            end,
            last_taken: tools.clock.now(),
            paused: false,
            partition,
        }
    }

    /// Takes a record into the open span. Failures wait in the flow until [`Flow::take_trouble`].
    pub(super) fn take(&mut self, record: &Record<'_>, tools: &mut Tools, now: Duration) {
        let deaf = self.trouble.is_some() || self.hold_until.is_some();
        if deaf || record.position < self.next {
            return;
        }
        tools.taken.records += 1;
        tools.taken.bytes += record.bytes();
        if let Err(error) = self.try_take(record, tools, now) {
            self.trouble = Some(error);
        }
    }

    fn try_take(
        &mut self,
        record: &Record<'_>,
        tools: &mut Tools,
        now: Duration,
    ) -> Result<(), TargetError> {
        self.seal_replayed(record.position, tools)?;
        self.begin(tools, now)?;
        let handed_on = self.decode(record, tools, now)?;
        self.next = record.position.next();
        self.last_taken = now;
        self.seal_replayed(self.next, tools)?;
        // Only what was handed on tells how large the output has become.
        if handed_on {
            self.seal_if_due(tools, now)
        } else {
            Ok(())
        }
    }

    fn begin(&mut self, tools: &Tools, now: Duration) -> Result<(), TargetError> {
        if self.open.is_some() {
            return Ok(());
        }
        let opened = tools.clock.wall();
        let start = SpanStart {
            partition: self.partition.clone(),
            from: self.ledger.end(),
            opened,
        };
        let opened_ms = opened
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let inserter = tools.target.begin(&start)?;
        let opened_ms = i64::try_from(opened_ms).unwrap_or(i64::MAX);
        self.open = Some(OpenSpan::new(inserter, now, opened_ms));
        Ok(())
    }

    /// Makes a row or a dead letter of the record. Whether a batch was handed on to the target's inserter.
    fn decode(
        &mut self,
        record: &Record<'_>,
        tools: &mut Tools,
        now: Duration,
    ) -> Result<bool, TargetError> {
        let Some(open) = &mut self.open else {
            return Ok(false);
        };
        let making = Making {
            policy: &tools.policy,
            columns: &tools.columns,
            metrics: &tools.metrics,
        };
        let bytes = record.bytes();
        let (label, reason) = match tools.decoder.decode(self.partition.topic(), record.payload) {
            Ok(row) => match self.refused.reason(row.project(), row.collection()) {
                None => return open.take_row(&row, bytes, now, &making),
                Some(reason) => ("target_rejected", format!("target_rejected: {reason}")),
            },
            Err(bad) => (bad.reason.name(), bad.to_string()),
        };
        tools.metrics.dead_letters.with_label_values(&[label]).inc();
        open.take_letter(&self.partition, record, &reason, now, &making)
    }

    /// Seals a span that is read again where it ended before.
    fn seal_replayed(&mut self, reached: Position, tools: &mut Tools) -> Result<(), TargetError> {
        while let Some(end) = self.replay.front().copied().filter(|end| *end <= reached) {
            self.seal_at(end, Reason::Replay, tools)?;
            // Not before it has worked: the next attempt must end there too.
            self.replay.pop_front();
        }
        Ok(())
    }

    /// Whether the span that grows is one that is read again: it may end only where it ended before.
    pub(super) fn is_replaying(&self) -> bool {
        !self.replay.is_empty()
    }

    /// Seals everything taken so far.
    pub(super) fn seal(&mut self, reason: Reason, tools: &mut Tools) {
        if self.trouble.is_some() || self.is_replaying() {
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
        let inserter = match self.open.take() {
            Some(open) => open.seal(&span)?,
            None => None,
        };
        let Some(id) = self.ledger.seal(&mut tools.ids, to) else {
            return Ok(());
        };
        self.refused.passed(to);
        let Some(inserter) = inserter else {
            // Nothing to read in there: as good as durable.
            self.ledger.durable(id);
            return Ok(());
        };
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
        let write = tools.writer.write(span, id, inserter);
        self.in_flight.insert(
            id,
            InFlight {
                _write: write,
                _share: share,
            },
        );
        Ok(())
    }

    /// Seals or shrinks what its age and size ask for.
    pub(super) fn flush_due(&mut self, tools: &mut Tools, now: Duration) {
        if self.trouble.is_some() {
            return;
        }
        let Some(open) = &mut self.open else { return };
        if let Err(error) = open.finish_aged(now, &tools.policy) {
            self.trouble = Some(error);
            return;
        }
        self.measure();
        if let Err(error) = self.seal_if_due(tools, now) {
            self.trouble = Some(error);
        }
    }

    fn seal_if_due(&mut self, tools: &mut Tools, now: Duration) -> Result<(), TargetError> {
        if self.is_replaying() {
            return Ok(());
        }
        match self.state(now).and_then(|state| tools.policy.due(&state)) {
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
        self.in_flight.remove(&id).is_some() && self.ledger.durable(id)
    }

    /// The target refuses rows of a span that is under way: it and all behind it are forgotten and will be read again.
    /// Returns where to read from.
    pub(super) fn refuse(&mut self, id: SpanId, table: Table, reason: String) -> Option<Position> {
        let (from, mut ends) = self.ledger.discard(id)?;
        self.in_flight.retain(|other, _| *other < id);
        ends.extend(self.replay.drain(..));
        self.replay = ends.into();
        self.refused.add(table, reason, self.next);
        self.restart(from);
        Some(from)
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
        self.refused.add(table, reason, self.next.next());
        let from = self.ledger.end();
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
    pub(super) fn skip_to(&mut self, to: Position) {
        self.next = self.next.max(to);
    }

    pub(super) fn next(&self) -> Position {
        self.next
    }

    /// Everything before this is durable.
    pub(super) fn checkpoint(&self) -> Position {
        self.ledger.checkpoint()
    }

    pub(super) fn at_end(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// Whether everything taken is durable and confirmed.
    pub(super) fn settled(&self) -> bool {
        self.open.is_none()
            && self.written()
            && !self.is_replaying()
            && self.confirmed >= self.ledger.checkpoint()
    }

    /// Whether nothing is under way to the target.
    pub(super) fn written(&self) -> bool {
        self.in_flight.is_empty()
    }
}

impl Refused {
    fn reason(&self, project: &str, collection: &str) -> Option<&str> {
        self.tables
            .iter()
            .find(|(table, _)| table.project() == project && table.collection() == collection)
            .map(|(_, reason)| reason.as_str())
    }

    fn add(&mut self, table: Table, reason: String, until: Position) {
        self.until = self.until.max(Some(until));
        self.tables.push((table, reason));
    }

    fn passed(&mut self, to: Position) {
        if self.until.is_some_and(|until| to >= until) {
            *self = Self::default();
        }
    }
}
