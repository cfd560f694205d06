//! What must be read again, or not at all: refused rows, failures, plans of another shape, partitions given up.

use std::sync::Arc;
use std::time::Duration;

use alluvium_target::TargetError;

use super::{Flow, OpenSpan, Shaping, Tools};
use crate::awaited::{Needed, NotYet};
use crate::deliver::SpanId;
use crate::record::{Position, Table};
use crate::worker::shape::Shape;

/// How long a partition waits for what was asked for, and at most if there was no answer.
const ANSWER_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

impl Flow {
    /// The spans of the recovered plan are shaped as its writer did.
    pub(in crate::worker) fn shaped_as_recorded(&mut self, shape: Arc<Shape>) {
        self.recorded = Some(Box::new(Shaping::new(shape)));
    }

    /// Gives up on the partition, loudly, until a person has looked at it. What is stored stays stored.
    pub(in crate::worker) fn stop(&mut self, reason: String, tools: &Tools) {
        tools.announce_stop(&self.partition, &reason);
        self.restart(self.next);
        self.in_flight.clear();
        self.stopped = Some(reason);
    }

    /// Whether records are let pass, to be read again: the stream may then be read beyond [`Flow::next`].
    pub(in crate::worker) fn is_deaf(&self) -> bool {
        self.trouble.is_some()
            || self.hold_until.is_some()
            || self.stopped.is_some()
            || self.awaits_recorded()
    }

    /// Whether the next span must wait until those of a plan with another shape are done: one plan has one shape.
    pub(in crate::worker) fn awaits_recorded(&self) -> bool {
        self.recorded.is_some() && !self.is_bound()
    }

    /// Goes on with the usual shape once all spans of the recorded one are committed. Whether it did: reading then
    /// begins at [`Flow::next`].
    pub(in crate::worker) fn recorded_is_done(&mut self) -> bool {
        let done =
            self.awaits_recorded() && self.ledger.wanted().spans.is_empty() && !self.ledger.moved();
        if done {
            self.recorded = None;
        }
        done
    }

    /// The target refuses rows of a span that is under way: it and all behind it are forgotten and will be read again.
    /// Returns where to read from.
    pub(in crate::worker) fn refuse(
        &mut self,
        id: SpanId,
        table: Table,
        reason: String,
    ) -> Option<Position> {
        let from = self.ledger.discard(id)?;
        self.in_flight.retain(|other, _| *other < id);
        // The span is planned, and so ends where it did.
        self.refused.add(from, from, table, reason);
        self.restart(from);
        Some(from)
    }

    /// Whether the span that grows must not end where it stands.
    pub(in crate::worker) fn must_read_on(&self) -> bool {
        self.is_bound() || self.awaits_refused()
    }

    /// Whether the span must not end yet: the rows for which a table was refused are not read again yet. Without them it would
    /// not be refused again by whoever reads the span after a crash.
    pub(super) fn awaits_refused(&self) -> bool {
        !self.refused.is_empty() && self.refused.until(self.ledger.end()) > Some(self.next)
    }

    /// Forgets the spans whose plan was not confirmed. Returns where to read from.
    #[cfg(test)]
    pub(in crate::worker) fn unplan(&mut self) -> Option<Position> {
        let mut in_flight = self.in_flight.iter();
        let (&id, _) = in_flight.find(|(_, flight)| flight.is_unplanned())?;
        let from = self.ledger.discard(id)?;
        self.in_flight.retain(|other, _| *other < id);
        self.restart(from);
        Some(from)
    }

    /// What has gone wrong since the last call, if anything.
    pub(in crate::worker) fn take_trouble(&mut self) -> Option<TargetError> {
        self.trouble.take()
    }

    /// Forgets the open span, to read it again after a pause. Returns where to read from.
    pub(in crate::worker) fn retry_later(&mut self, now: Duration) -> (Position, Duration) {
        let delay = self.backoff.next_delay();
        self.hold_until = Some(now + delay);
        let from = self.ledger.end();
        self.restart(from);
        (from, delay)
    }

    /// Waits for something, to go on with the record at `position` then. What is gathered stays.
    pub(super) fn wait_for(&mut self, needed: Needed, position: Position, now: Duration) {
        // An open span without a record would be due for its age, and others with it.
        if self.open.as_ref().is_some_and(OpenSpan::is_empty) {
            self.open = None;
        }
        let Needed { what, state } = needed;
        let partition = &self.partition;
        let delay = match state {
            NotYet::Asked => {
                tracing::debug!(%partition, %position, "{what} is asked for; the partition waits");
                ANSWER_WAIT
            }
            NotYet::Failed(reason) => {
                let delay = self.backoff.next_delay().min(LONGEST_WAIT);
                tracing::warn!(%partition, %position, retry_in = ?delay, %reason, "{what} cannot be had; the partition waits for it");
                delay
            }
            NotYet::Refused(reason) => {
                self.unanswered = Some(format!("{what} is needed at {position}: {reason}"));
                LONGEST_WAIT
            }
        };
        self.hold_until = Some(now + delay);
    }

    /// Forgets the open span, to read it again with the table's records as dead letters.
    pub(in crate::worker) fn refuse_open(&mut self, table: Table, reason: String) -> Position {
        let from = self.ledger.end();
        self.refused.add(from, self.offered, table, reason);
        self.restart(from);
        from
    }

    pub(super) fn restart(&mut self, from: Position) {
        self.open = None;
        self.share.set(0);
        self.building = 0;
        self.trouble = None;
        self.ended = None;
        self.next = from;
    }
}
