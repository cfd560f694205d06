//! One assigned partition: its spans, from the one that grows to those under way to the target.
//!
//! [`gather`] takes records into the span that grows; [`seal`] ends spans and brings them to the target, [`again`] is about what must be
//! read again, or not at all.

mod again;
mod gather;
mod seal;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alluvium_target::TargetError;

use self::gather::Gathered;
use self::seal::InFlight;
use super::budget::{Budget, Share};
use super::clock::Clock;
use super::refused::Refused;
use super::routing::{Historical, Places};
use super::shape::Shape;
use super::span::OpenSpan;
use crate::decode::Decoder;
use crate::deliver::{Backoff, Ledger, SpanId, SpanIds, Writer};
use crate::duplicates::{Duplicates, Gathering};
use crate::flush::{Policy, Reason};
use crate::metrics::Metrics;
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Partition, Position, Record, SpanStart};

/// How records become outputs, with what that needs to be kept between them.
pub(super) struct Shaping {
    pub(super) shape: Arc<Shape>,
    decoder: Decoder,
    places: Places,
}

impl Shaping {
    pub(super) fn new(shape: Arc<Shape>) -> Self {
        let decoder = Decoder::new(shape.decoder.clone());
        Self {
            shape,
            decoder,
            places: Places::default(),
        }
    }
}

/// What all flows of a worker work with.
pub(super) struct Tools {
    pub(super) shaping: Shaping,
    pub(super) policy: Policy,
    pub(super) historical: Option<Arc<Historical>>,
    pub(super) duplicates: Option<Arc<Duplicates>>,
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

/// A partition while it is assigned to this worker.
pub(super) struct Flow {
    pub(super) partition: Partition,
    /// Whether it holds late records: when its spans are sealed is another matter.
    historical: bool,
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
    /// Why what is needed will not come before a person has looked.
    pub(super) unanswered: Option<String>,
    /// Where `--until-end` ends, if asked for.
    pub(super) end: Option<Position>,
    /// When the last record was taken.
    pub(super) last_taken: Duration,
    pub(super) paused: bool,
    /// That the partition is closed and everything in it was offered, and what goes on in its place.
    pub(super) ended: Option<Vec<Partition>>,
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
            backoff: Backoff::new(start.stamp()),
            hold_until: None,
            stopped: None,
            unanswered: None,
            end,
            last_taken: tools.clock.now(),
            paused: false,
            ended: None,
            historical: (tools.historical.as_ref()).is_some_and(|h| h.topic == partition.topic()),
            partition,
        }
    }

    /// Takes a record into the open span. Failures wait in the flow until [`Flow::take_trouble`]. Breaks off if records are let pass from here
    /// on: whoever has them need not let them go.
    pub(super) fn take(
        &mut self,
        record: &Record<'_>,
        tools: &mut Tools,
        now: Duration,
    ) -> ControlFlow<()> {
        if self.is_deaf() {
            return ControlFlow::Break(());
        }
        if record.position < self.next {
            return ControlFlow::Continue(());
        }
        if self.offered <= record.position {
            self.offered.go_behind(&record.position);
        }
        tools.taken.records += 1;
        tools.taken.bytes += record.bytes();
        match self.try_take(record, tools, now) {
            Ok(flow) => flow,
            Err(error) => {
                self.trouble = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn try_take(
        &mut self,
        record: &Record<'_>,
        tools: &mut Tools,
        now: Duration,
    ) -> Result<ControlFlow<()>, TargetError> {
        self.seal_bound(record.position, tools)?;
        if self.awaits_recorded() {
            return Ok(ControlFlow::Break(()));
        }
        self.begin(tools, now)?;
        let mut gathered = self.gather(record, tools, now, true)?;
        if gathered == Gathered::OfAnotherDay {
            self.seal_at(self.next, Reason::Day, tools)?;
            self.begin(tools, now)?;
            gathered = self.gather(record, tools, now, false)?;
        }
        if gathered == Gathered::Waits {
            return Ok(ControlFlow::Break(()));
        }
        self.next.go_behind(&record.position);
        self.last_taken = now;
        self.seal_bound(self.next, tools)?;
        // Only what was handed on tells how large the output has become.
        if gathered == Gathered::HandedOn {
            self.seal_if_due(tools, now, false)?;
        }
        Ok(ControlFlow::Continue(()))
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
        let deduplicates = self.shape(tools).routing.events.is_some();
        let duplicates = tools.duplicates.as_ref().filter(|_| deduplicates);
        let events = duplicates.map(|duplicates| {
            let first_time = !self.is_bound();
            Gathering::new(
                duplicates.clone(),
                self.partition.clone(),
                opened_ms,
                first_time,
            )
        });
        self.open = Some(OpenSpan::new(inserter, now, opened_ms, events));
        Ok(())
    }

    fn shape<'a>(&'a self, tools: &'a Tools) -> &'a Shape {
        &self.recorded.as_deref().unwrap_or(&tools.shaping).shape
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

    pub(super) fn next(&self) -> Position {
        self.next
    }

    pub(super) fn at_end(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// Whether everything taken is durable and confirmed, or nothing can be done about it.
    pub(super) fn settled(&self) -> bool {
        // A span that was refused as it was sealed is not open, and not under way either.
        let done = self.trouble.is_none() && self.open.is_none() && self.written();
        let done = done && !self.is_bound() && !self.moved();
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
