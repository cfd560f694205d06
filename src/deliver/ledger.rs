//! Checkpoint arithmetic of one partition: which spans are sealed, which are durable, how far the checkpoint may move.

use std::collections::VecDeque;

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

#[derive(Debug)]
struct Sealed {
    id: SpanId,
    from: Position,
    to: Position,
    durable: bool,
}

/// The spans of one partition between its checkpoint and where reading stands.
///
/// Spans tile: each begins where the one before ended. They may become durable in any order; the
/// checkpoint moves over the longest durable run from the front.
#[derive(Debug)]
pub struct Ledger {
    checkpoint: Position,
    sealed: VecDeque<Sealed>,
}

impl Ledger {
    /// A ledger whose first span begins at `checkpoint`.
    pub fn new(checkpoint: Position) -> Self {
        Self {
            checkpoint,
            sealed: VecDeque::new(),
        }
    }

    /// Everything before this position is durable.
    pub fn checkpoint(&self) -> Position {
        self.checkpoint
    }

    /// Where the next span begins.
    pub fn end(&self) -> Position {
        self.sealed.back().map_or(self.checkpoint, |span| span.to)
    }

    /// Sealed spans that are not yet durable.
    pub fn in_flight(&self) -> usize {
        self.sealed.iter().filter(|span| !span.durable).count()
    }

    /// Seals the span from [`Ledger::end`] to `to`. `None` if that is no span: positions never go back.
    pub fn seal(&mut self, ids: &mut SpanIds, to: Position) -> Option<SpanId> {
        let from = self.end();
        if to <= from {
            return None;
        }
        let id = ids.next_id();
        self.sealed.push_back(Sealed {
            id,
            from,
            to,
            durable: false,
        });
        Some(id)
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
        while let Some(first) = self.sealed.front() {
            if !first.durable {
                break;
            }
            self.checkpoint = first.to;
            self.sealed.pop_front();
        }
        true
    }

    /// Forgets the span and all behind it; they will be read again.
    ///
    /// Returns where to read from and the ends of the forgotten spans, in order: spans that were once sealed must end there again, because
    /// their outputs may already be visible under names made from these ends. `None` if the span is unknown.
    pub fn discard(&mut self, id: SpanId) -> Option<(Position, Vec<Position>)> {
        let index = self.sealed.iter().position(|span| span.id == id)?;
        let from = self.sealed[index].from;
        let ends = self.sealed.drain(index..).map(|span| span.to).collect();
        Some((from, ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(offset: i64) -> Position {
        Position::at(offset)
    }

    #[test]
    fn the_checkpoint_waits_for_the_first_span() {
        let mut ids = SpanIds::default();
        let mut ledger = Ledger::new(at(10));
        let first = ledger.seal(&mut ids, at(20)).unwrap();
        let second = ledger.seal(&mut ids, at(30)).unwrap();
        assert!(ledger.durable(second));
        assert_eq!(ledger.checkpoint(), at(10));
        assert!(ledger.durable(first));
        assert_eq!(ledger.checkpoint(), at(30));
    }

    #[test]
    fn an_empty_or_backward_span_is_none() {
        let mut ids = SpanIds::default();
        let mut ledger = Ledger::new(at(10));
        assert!(ledger.seal(&mut ids, at(10)).is_none());
        assert!(ledger.seal(&mut ids, at(9)).is_none());
    }

    #[test]
    fn a_discarded_span_ends_where_it_ended_and_its_acknowledgement_is_ignored() {
        let mut ids = SpanIds::default();
        let mut ledger = Ledger::new(at(0));
        let first = ledger.seal(&mut ids, at(5)).unwrap();
        let second = ledger.seal(&mut ids, at(9)).unwrap();
        assert_eq!(ledger.discard(first), Some((at(0), vec![at(5), at(9)])));
        assert!(!ledger.durable(second));
        assert_eq!(ledger.end(), at(0));
        let again = ledger.seal(&mut ids, at(5)).unwrap();
        assert_ne!(again, first);
    }

    proptest! {
        /// Any order of completion, with repeats: the checkpoint is always the end of the longest durable
        /// prefix, never moves back, and reaches the end when all are durable.
        #[test]
        fn any_completion_order(
            lengths in proptest::collection::vec(1i64..100, 1..30),
            order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..90),
        ) {
            let mut ids = SpanIds::default();
        let mut ledger = Ledger::new(at(7));
            let mut ends = vec![];
            let mut to = 7;
            let ids: Vec<_> = lengths.iter().map(|length| {
                to += length;
                ends.push(at(to));
                ledger.seal(&mut ids, at(to)).unwrap()
            }).collect();
            let mut done = vec![false; ids.len()];
            let all = (0..ids.len()).rev();
            let picks = order.iter().map(|index| index.index(ids.len())).chain(all);
            for pick in picks {
                let before = ledger.checkpoint();
                prop_assert_eq!(ledger.durable(ids[pick]), !done[pick]);
                done[pick] = true;
                let prefix = done.iter().take_while(|d| **d).count();
                let expected = if prefix == 0 { at(7) } else { ends[prefix - 1] };
                prop_assert_eq!(ledger.checkpoint(), expected);
                prop_assert!(ledger.checkpoint() >= before);
                prop_assert_eq!(ledger.in_flight(), done.iter().filter(|d| !**d).count());
            }
            prop_assert_eq!(ledger.checkpoint(), at(to));
            prop_assert_eq!(ledger.end(), at(to));
        }
    }
}
