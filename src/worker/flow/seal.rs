//! Ends spans: where a plan says, or where age, size, memory or a stop ask for it; and follows them to the checkpoint.

use std::time::Duration;

use alluvium_target::TargetError;

use super::{Flow, Tools, millis};
use crate::deliver::{Backoff, Load, Plan, Planned, SpanId, Stored, UnderWay, Unreadable};
use crate::failpoint;
use crate::flush::{self, Policy, Reason};
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Position, Span};
use crate::worker::budget::Share;
use crate::worker::span::OpenSpan;

/// A sealed span until it is durable. Dropping it abandons the write.
pub(super) struct InFlight {
    span: Span,
    /// Until its plan is stored: nothing may be visible before.
    unplanned: Option<Load>,
    write: Option<UnderWay>,
    _share: Share,
}

impl InFlight {
    /// Its plan is stored: it is written from now on. Does nothing the second time.
    fn begin(&mut self, id: SpanId, tools: &Tools) {
        if let Some(load) = self.unplanned.take() {
            self.write = Some(tools.writer.write(self.span.clone(), id, load));
        }
    }

    #[cfg(test)]
    pub(super) fn is_unplanned(&self) -> bool {
        self.unplanned.is_some()
    }
}

/// Other records than before are dead letters. Some of the outputs may be there as they were: with the others as they would be now, records
/// would be in two of them or in none.
fn read_otherwise(span: &Span) -> TargetError {
    TargetError::Conflict(format!(
        "{span} was planned when other records of it could be read than now: a schema or a table has come or gone since. Let the \
         schema registry or the catalog answer as it did then, and start again"
    ))
}

impl Flow {
    /// Seals a span of a plan where the plan says that it ends.
    #[inline]
    pub(super) fn seal_bound(
        &mut self,
        reached: Position,
        tools: &mut Tools,
    ) -> Result<(), TargetError> {
        match self.is_bound() {
            true => self.seal_reached(reached, tools),
            false => Ok(()),
        }
    }

    #[inline(never)]
    fn seal_reached(&mut self, reached: Position, tools: &mut Tools) -> Result<(), TargetError> {
        while let Some(bound) = self.ledger.bound().filter(|bound| bound.to <= reached) {
            self.seal_at(bound.to, Reason::Replay, tools)?;
        }
        Ok(())
    }

    /// Whether the span that grows may end only where a plan says.
    pub(in crate::worker) fn is_bound(&self) -> bool {
        self.ledger.is_bound()
    }

    /// Where a plan says that the span that grows must end.
    pub(in crate::worker) fn bound(&self) -> Option<Position> {
        self.ledger.bound().map(|bound| bound.to)
    }

    /// Seals everything taken so far.
    pub(in crate::worker) fn seal(&mut self, reason: Reason, tools: &mut Tools) {
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

    pub(super) fn seal_at(
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
        let unreadable = open
            .as_ref()
            .map_or(Unreadable::default(), OpenSpan::unreadable);
        let end = match (bound, &open) {
            (Some(bound), _) if bound.to == to => match bound.unreadable {
                Some(planned) if planned != unreadable => return Err(read_otherwise(&span)),
                _ => bound,
            },
            (_, open) => Planned {
                to,
                opened_ms: match open {
                    Some(open) => open.opened_ms,
                    None => millis(tools.clock.wall()),
                },
                unreadable: Some(unreadable),
            },
        };
        let load = match open {
            Some(open) => open.seal(&span)?,
            None => None,
        };
        let Some((id, planned)) = self.ledger.seal(&mut tools.ids, end) else {
            return Ok(());
        };
        #[cfg(test)]
        let planned = planned || mutation::on(Mutation::WrittenBeforePlanned);
        let Some(load) = load else {
            // Nothing in there for anybody: as good as durable.
            self.building = 0;
            self.share.set(0);
            self.ledger.durable(id);
            return Ok(());
        };
        failpoint::pass("sealed");
        self.building = 0;
        let mut share = std::mem::replace(&mut self.share, Share::open(&tools.budget));
        share.set(u64::try_from(load.memory()).unwrap_or(u64::MAX));
        share.seal();
        tools
            .metrics
            .flushes
            .with_label_values(&[reason.name()])
            .inc();
        tracing::debug!(%span, reason = reason.name(), "span sealed");
        let mut in_flight = InFlight {
            span,
            unplanned: Some(load),
            write: None,
            _share: share,
        };
        if planned {
            in_flight.begin(id, tools);
        }
        self.in_flight.insert(id, in_flight);
        Ok(())
    }

    /// What the stream should keep of this partition: the checkpoint, and the plan as text.
    pub(in crate::worker) fn wanted(&self, tools: &Tools) -> (Stored, String) {
        let shape = self.shape(tools);
        let stored = self.ledger.wanted();
        let plan = Plan::text(shape.print, &stored.spans, &shape.settings);
        (stored, plan)
    }

    /// Whether sealed spans wait for their plan to be stored.
    pub(in crate::worker) fn wants_plan(&self) -> bool {
        self.stopped.is_none() && self.ledger.wants_plan()
    }

    /// Whether the checkpoint has moved since the stream confirmed one.
    pub(in crate::worker) fn moved(&self) -> bool {
        self.ledger.moved()
    }

    /// The stream has confirmed what it keeps: spans that are planned now are written.
    pub(in crate::worker) fn confirm(&mut self, stored: Stored, tools: &Tools) {
        for id in self.ledger.confirm(stored) {
            let Some(in_flight) = self.in_flight.get_mut(&id) else {
                continue;
            };
            failpoint::pass("planned");
            #[cfg(test)]
            if mutation::on(Mutation::DurableBeforeWritten) {
                self.ledger.durable(id);
            }
            in_flight.begin(id, tools);
        }
    }

    /// Seals or shrinks what its age and size ask for.
    pub(in crate::worker) fn flush_due(
        &mut self,
        tools: &mut Tools,
        now: Duration,
        in_company: bool,
    ) {
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
    pub(in crate::worker) fn due_by_age(&self, tools: &Tools, now: Duration) -> bool {
        let due = |state| self.policy(tools).due(&state) == Some(Reason::Age);
        !self.is_bound() && self.state(now).is_some_and(due)
    }

    pub(super) fn seal_if_due(
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
        match state.and_then(|state| self.due(&state, tools)) {
            Some(reason) => self.seal_at(self.next, reason, tools),
            None => Ok(()),
        }
    }

    fn policy<'a>(&self, tools: &'a Tools) -> &'a Policy {
        let historical = tools.historical.as_ref().filter(|_| self.historical);
        historical.map_or(&tools.policy, |historical| &historical.policy)
    }

    fn due(&self, state: &flush::OpenSpan, tools: &Tools) -> Option<Reason> {
        let most = tools.historical.as_ref().filter(|_| self.historical);
        let records = self.open.as_ref().map_or(0, OpenSpan::records);
        match most.is_some_and(|historical| records >= historical.max_records) {
            true if state.in_flight == 0 => Some(Reason::Size),
            _ => self.policy(tools).due(state),
        }
    }

    pub(super) fn state(&self, now: Duration) -> Option<flush::OpenSpan> {
        self.open.as_ref().map(|open| flush::OpenSpan {
            age: now.saturating_sub(open.opened),
            largest_output: open.largest_output(),
            in_flight: self.ledger.in_flight(),
            at_end: self.at_end(),
            in_company: false,
        })
    }

    /// Whether so much is under way that no more may be taken.
    pub(in crate::worker) fn must_wait(&self, tools: &Tools, now: Duration) -> bool {
        self.state(now)
            .is_some_and(|state| self.policy(tools).must_wait(&state))
    }

    /// The target has made a span durable. `false` if nobody waits for it.
    pub(in crate::worker) fn durable(&mut self, id: SpanId) -> bool {
        self.backoff = Backoff::new(self.next.stamp());
        let known = self.in_flight.remove(&id).is_some() && self.ledger.durable(id);
        self.refused.forget_before(self.ledger.checkpoint());
        known
    }

    /// Whether the span is on its way.
    pub(in crate::worker) fn is_writing(&self, id: SpanId) -> bool {
        self.in_flight.contains_key(&id)
    }

    /// Nothing can be read before `to`: reading stands there.
    pub(in crate::worker) fn skip_to(&mut self, to: Position, tools: &mut Tools) {
        self.next = self.next.max(to);
        if let Err(error) = self.seal_bound(self.next, tools) {
            self.trouble = Some(error);
        }
    }

    /// The checkpoint that the stream has confirmed.
    pub(in crate::worker) fn confirmed(&self) -> Position {
        self.ledger.confirmed()
    }
}
