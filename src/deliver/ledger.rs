//! Checkpoint arithmetic of one partition: which spans are sealed, which are durable, how far the checkpoint may move.

use std::collections::VecDeque;

use super::plan::{MAX_SPANS, Planned};
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::Position;

/// Names a sealed span of a partition. Never used twice, so that a late acknowledgement of a discarded span is known as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(u64);

/// Hands out span names, one source for all partitions of a worker.
#[derive(Debug, Default)]
pub struct SpanIds(u64);

impl SpanIds {
    /// A name that was never handed out before.
    pub fn next_id(&mut self) -> SpanId {
        self.0 += 1;
        SpanId(self.0)
    }
}

/// What the stream keeps of a partition: the checkpoint, and beside it the spans planned behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Everything before it is durable.
    pub checkpoint: Position,
    /// Where the spans behind it end.
    pub spans: Vec<Planned>,
}

#[derive(Debug)]
struct Sealed {
    id: SpanId,
    end: Planned,
    /// Whether the stream has confirmed a plan that holds it: only then may it be written.
    planned: bool,
    durable: bool,
}

/// The spans of one partition between its checkpoint and where reading stands.
///
/// Spans tile: each begins where the one before ended. A span is sealed, then planned, then durable. Spans may become durable in any
/// order; the checkpoint moves over the longest durable run from the front. A span that was ever planned keeps its end for
/// good: if it must be read again, the ledger holds it to that.
#[derive(Debug)]
pub struct Ledger {
    checkpoint: Position,
    sealed: VecDeque<Sealed>,
    /// Planned spans that are still to be read, or read again. They follow the sealed ones.
    bounds: VecDeque<Planned>,
    stored: Stored,
}

impl Ledger {
    /// A ledger whose first span begins at `checkpoint`, as the stream has it.
    pub fn new(checkpoint: Position) -> Self {
        Self::recovered(checkpoint, Vec::new())
    }

    /// A ledger that begins with the spans of a plan the stream has: they end where the plan says.
    pub fn recovered(checkpoint: Position, spans: Vec<Planned>) -> Self {
        Self {
            checkpoint,
            sealed: VecDeque::new(),
            bounds: spans.iter().copied().collect(),
            stored: Stored { checkpoint, spans },
        }
    }

    /// Everything before this position is durable.
    pub fn checkpoint(&self) -> Position {
        self.checkpoint
    }

    /// The checkpoint that the stream has confirmed.
    pub fn confirmed(&self) -> Position {
        self.stored.checkpoint
    }

    /// Where the next span begins.
    pub fn end(&self) -> Position {
        self.sealed
            .back()
            .map_or(self.checkpoint, |span| span.end.to)
    }

    /// Where the next span must end, if a plan says so.
    pub fn bound(&self) -> Option<Planned> {
        self.bounds.front().copied()
    }

    /// Whether a plan says where the next span must end.
    #[inline]
    pub fn is_bound(&self) -> bool {
        !self.bounds.is_empty()
    }

    /// Sealed spans that are not yet durable.
    pub fn in_flight(&self) -> usize {
        self.sealed.iter().filter(|span| !span.durable).count()
    }

    /// Seals the span from [`Ledger::end`] to `end`. `None` if that is no span: positions never go back, and a
    /// [bound](Ledger::bound) must be met. Says whether it is planned already.
    pub fn seal(&mut self, ids: &mut SpanIds, end: Planned) -> Option<(SpanId, bool)> {
        if end.to <= self.end() {
            return None;
        }
        let planned = match self.bound() {
            Some(bound) if bound != end => return None,
            Some(_) => {
                self.bounds.pop_front();
                true
            }
            None => false,
        };
        let id = ids.next_id();
        self.sealed.push_back(Sealed {
            id,
            end,
            planned,
            durable: false,
        });
        Some((id, planned))
    }

    /// What the stream should keep now.
    pub fn wanted(&self) -> Stored {
        #[cfg(test)]
        if mutation::on(Mutation::PlanClearedEarly) && self.moved() {
            return Stored {
                checkpoint: self.checkpoint,
                spans: Vec::new(),
            };
        }
        let sealed = self.sealed.iter().map(|span| span.end);
        let spans = sealed.chain(self.bounds.iter().copied());
        Stored {
            checkpoint: self.checkpoint,
            spans: spans.take(MAX_SPANS).collect(),
        }
    }

    /// Whether a sealed span waits to be planned, and there is room for it.
    pub fn wants_plan(&self) -> bool {
        let mut listed = self.sealed.iter().take(MAX_SPANS);
        listed.any(|span| !span.planned && !span.durable)
    }

    /// Whether the checkpoint has moved since the stream confirmed one.
    pub fn moved(&self) -> bool {
        self.checkpoint > self.stored.checkpoint
    }

    /// The stream has confirmed `stored`. Returns the spans that may be written from now on.
    pub fn confirm(&mut self, stored: Stored) -> Vec<SpanId> {
        let mut planned = Vec::new();
        for span in &mut self.sealed {
            // A span that was sealed anew since may end elsewhere: only the same span is planned.
            if !span.planned && stored.spans.contains(&span.end) {
                span.planned = true;
                planned.push(span.id);
            }
        }
        self.stored = stored;
        planned
    }

    /// Notes that all outputs of the span are durable. `false` if the span is unknown: discarded, or noted before.
    pub fn durable(&mut self, id: SpanId) -> bool {
        let Some(span) = self
            .sealed
            .iter_mut()
            .find(|span| span.id == id && !span.durable)
        else {
            return false;
        };
        span.durable = true;
        #[cfg(test)]
        if mutation::on(Mutation::CheckpointOutOfOrder) {
            while self.sealed.front().is_some_and(|span| span.id < id) {
                self.sealed.pop_front();
            }
        }
        while let Some(first) = self.sealed.front() {
            if !first.durable {
                break;
            }
            self.checkpoint = first.end.to;
            self.sealed.pop_front();
        }
        true
    }

    /// Forgets the span and all behind it; they will be read again. Those that were planned must end there again, because their
    /// outputs may already be visible under names made from these ends.
    ///
    /// Returns where to read from. `None` if the span is unknown.
    pub fn discard(&mut self, id: SpanId) -> Option<Position> {
        let index = self.sealed.iter().position(|span| span.id == id)?;
        let forgotten: Vec<_> = self.sealed.drain(index..).collect();
        #[cfg(test)]
        if mutation::on(Mutation::BoundsForgotten) {
            return Some(self.end());
        }
        for span in forgotten.iter().rev().filter(|span| span.planned) {
            self.bounds.push_front(span.end);
        }
        Some(self.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(offset: i64) -> Position {
        Position::at(offset)
    }

    fn end(to: i64) -> Planned {
        Planned {
            to: at(to),
            opened_ms: to * 1000,
            unreadable: None,
        }
    }

    /// A ledger with spans that end there, sealed and planned.
    fn planned(from: i64, ends: &[i64]) -> (Ledger, SpanIds, Vec<SpanId>) {
        let (mut ledger, mut ids) = (Ledger::new(at(from)), SpanIds::default());
        let sealed: Vec<_> = ends
            .iter()
            .map(|to| ledger.seal(&mut ids, end(*to)).unwrap().0)
            .collect();
        let newly = ledger.confirm(ledger.wanted());
        assert_eq!(newly, sealed[..newly.len()]);
        (ledger, ids, sealed)
    }

    #[test]
    fn a_span_is_written_only_when_its_plan_is_stored() {
        let (mut ledger, mut ids) = (Ledger::new(at(10)), SpanIds::default());
        let (first, planned) = ledger.seal(&mut ids, end(20)).unwrap();
        assert!(!planned && ledger.wants_plan());
        let asked = ledger.wanted();
        assert_eq!(
            (asked.checkpoint, &asked.spans[..]),
            (at(10), &[end(20)][..])
        );
        let (second, _) = ledger.seal(&mut ids, end(30)).unwrap();
        assert_eq!(ledger.confirm(asked), [first]);
        assert!(ledger.wants_plan(), "the second was not in the request");
        // One request moves the checkpoint and plans the next.
        assert!(ledger.durable(first) && ledger.moved());
        let next = ledger.wanted();
        assert_eq!((next.checkpoint, &next.spans[..]), (at(20), &[end(30)][..]));
        assert_eq!(ledger.confirm(next), [second]);
        assert!(!ledger.moved() && !ledger.wants_plan());
    }

    #[test]
    fn the_checkpoint_waits_for_the_first_span() {
        let (mut ledger, _, ids) = planned(10, &[20, 30]);
        assert!(ledger.durable(ids[1]));
        assert_eq!(ledger.checkpoint(), at(10));
        assert!(ledger.durable(ids[0]));
        assert_eq!(ledger.checkpoint(), at(30));
    }

    #[test]
    fn an_empty_or_backward_span_is_none() {
        let (mut ledger, mut ids) = (Ledger::new(at(10)), SpanIds::default());
        assert!(ledger.seal(&mut ids, end(10)).is_none());
        assert!(ledger.seal(&mut ids, end(9)).is_none());
    }

    #[test]
    fn a_recovered_plan_is_met_exactly_and_needs_no_other() {
        let mut ids = SpanIds::default();
        let mut ledger = Ledger::recovered(at(5), vec![end(9), end(12)]);
        assert_eq!(ledger.wanted().spans, [end(9), end(12)]);
        assert!(ledger.seal(&mut ids, end(8)).is_none());
        let other_time = Planned {
            to: at(9),
            opened_ms: 1,
            unreadable: None,
        };
        assert!(ledger.seal(&mut ids, other_time).is_none());
        let (first, planned) = ledger.seal(&mut ids, end(9)).unwrap();
        assert!(planned && !ledger.wants_plan());
        assert!(ledger.durable(first));
        // The rest of the plan stays in the stream until it is met.
        assert_eq!(ledger.wanted().spans, [end(12)]);
        assert!(ledger.seal(&mut ids, end(12)).unwrap().1);
        assert_eq!(ledger.bound(), None);
        assert!(!ledger.seal(&mut ids, end(13)).unwrap().1);
    }

    #[test]
    fn a_discarded_span_ends_where_it_was_planned_and_its_acknowledgement_is_ignored() {
        let (mut ledger, mut ids, sealed) = planned(0, &[5, 9]);
        let (unplanned, _) = ledger.seal(&mut ids, end(11)).unwrap();
        assert_eq!(ledger.discard(sealed[0]), Some(at(0)));
        assert!(!ledger.durable(sealed[1]) && !ledger.durable(unplanned));
        assert_eq!(
            ledger.wanted().spans,
            [end(5), end(9)],
            "what nobody planned may end elsewhere"
        );
        let (again, planned) = ledger.seal(&mut ids, end(5)).unwrap();
        assert!(planned && again != sealed[0]);
    }

    #[test]
    fn a_late_confirmation_of_a_span_sealed_anew_plans_nothing() {
        let (mut ledger, mut ids) = (Ledger::new(at(0)), SpanIds::default());
        let (first, _) = ledger.seal(&mut ids, end(5)).unwrap();
        let asked = ledger.wanted();
        ledger.discard(first);
        ledger.seal(&mut ids, end(7)).unwrap();
        assert!(ledger.confirm(asked).is_empty());
        assert!(ledger.wants_plan());
    }

    #[test]
    fn a_plan_is_never_longer_than_may_be_and_the_rest_follows() {
        let ends: Vec<_> = (1..=MAX_SPANS as i64 + 3).collect();
        let (mut ledger, _, ids) = planned(0, &ends);
        assert_eq!(ledger.wanted().spans.len(), MAX_SPANS);
        assert!(!ledger.wants_plan(), "there is no room");
        ledger.durable(ids[0]);
        assert!(ledger.wants_plan());
        assert_eq!(ledger.confirm(ledger.wanted()), [ids[MAX_SPANS]]);
    }

    proptest! {
        /// Any order of completion, with repeats: the checkpoint is always the end of the longest durable
        /// prefix, never moves back, and reaches the end when all are durable.
        #[test]
        fn any_completion_order(
            lengths in proptest::collection::vec(1i64..100, 1..30),
            order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..90),
        ) {
            let mut to = 7;
            let ends: Vec<_> = lengths.iter().map(|length| { to += length; to }).collect();
            let (mut ledger, _, ids) = planned(7, &ends);
            let mut done = vec![false; ids.len()];
            let all = (0..ids.len()).rev();
            let picks = order.iter().map(|index| index.index(ids.len())).chain(all);
            for pick in picks {
                let before = ledger.checkpoint();
                prop_assert_eq!(ledger.durable(ids[pick]), !done[pick]);
                done[pick] = true;
                let prefix = done.iter().take_while(|d| **d).count();
                let expected = if prefix == 0 { at(7) } else { at(ends[prefix - 1]) };
                prop_assert_eq!(ledger.checkpoint(), expected);
                prop_assert!(ledger.checkpoint() >= before);
                prop_assert_eq!(ledger.in_flight(), done.iter().filter(|d| !**d).count());
                let wanted = ledger.wanted();
                prop_assert!(wanted.spans.first().is_none_or(|span| span.to > wanted.checkpoint));
            }
            prop_assert_eq!(ledger.checkpoint(), at(to));
            prop_assert_eq!(ledger.end(), at(to));
            prop_assert!(ledger.wanted().spans.is_empty());
        }
    }
}
