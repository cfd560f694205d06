//! Tables whose rows the target has refused: in the spans concerned their records become dead letters.

use crate::record::{Position, Table};

/// Refusals, each of one table in one span.
///
/// A refusal counts for its span only, and the span does not end before the rows that were refused. So whoever reads it again
/// after a crash, and knows nothing of it, is refused for the same rows and comes to the same dead letters.
#[derive(Default)]
pub(super) struct Refused(Vec<Refusal>);

struct Refusal {
    /// Where the span begins.
    from: Position,
    /// Behind the record at which it was refused.
    until: Position,
    table: Table,
    reason: String,
}

impl Refused {
    /// Whether nothing was refused, which is all that is asked for most records.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why the table's rows are refused in the span that begins at `from`, if they are.
    pub(super) fn reason(&self, from: Position, project: &str, collection: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|refusal| {
                refusal.from == from
                    && refusal.table.project() == project
                    && refusal.table.collection() == collection
            })
            .map(|refusal| refusal.reason.as_str())
    }

    /// How far the span that begins at `from` must at least go, to be refused by whoever reads it.
    pub(super) fn until(&self, from: Position) -> Option<Position> {
        let of_span = self.0.iter().filter(|refusal| refusal.from == from);
        of_span.map(|refusal| refusal.until).max()
    }

    pub(super) fn add(&mut self, from: Position, until: Position, table: Table, reason: String) {
        self.0.push(Refusal {
            from,
            until,
            table,
            reason,
        });
    }

    /// Spans before `checkpoint` are done with.
    pub(super) fn forget_before(&mut self, checkpoint: Position) {
        self.0.retain(|refusal| refusal.from >= checkpoint);
    }
}
