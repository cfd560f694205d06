//! Where the columns of a table stand whose columns a catalog decides.
//!
//! A column may come to be known at any row of a span. In batches it stands where the catalog has it all the same, so that a row
//! looks the same whenever its columns became known.

use std::sync::Arc;

use hashbrown::HashSet;

/// What a column of a catalog may be called, in characters: what the original's tables hold.
const LONGEST_NAME: usize = 255;

/// Why no catalog has a table or a column of this name, whatever keeps it.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.chars().count() > LONGEST_NAME {
        Some("has more than 255 characters")
    } else if name.contains('\0') {
        Some("holds a NUL")
    } else {
        None
    }
}

/// Behind all columns of the catalog: what it could not take, and every table must have.
pub(super) const BEHIND_ALL: u32 = u32::MAX - 1;

/// What a catalog has said of a table.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// The catalog's numbers of the columns and their places in the builder, sorted.
    order: Vec<(u32, usize)>,
    /// The catalog's number of the checkpoint's column; 0, which no column has, if it has none.
    checkpoint: u32,
    /// Fields that will never have a column.
    refused: HashSet<Box<str>>,
    /// The fields of a row that are not yet in a column: their places, and the columns they may have, if any.
    pub(super) left: Vec<(usize, u32)>,
}

impl Bound {
    pub(super) fn set_checkpoint(&mut self, id: u32) {
        self.checkpoint = id;
    }

    /// Column `at` of the builder stands as the catalog's number `id` does.
    pub(super) fn place(&mut self, id: u32, at: usize) {
        let before = self.order.partition_point(|placed| *placed < (id, at));
        self.order.insert(before, (id, at));
    }

    pub(super) fn refuse(&mut self, name: &str) {
        self.refused.insert(name.into());
    }

    /// Whether the catalog need not be asked for the column.
    pub(super) fn is_refused(&self, name: &str) -> bool {
        self.refused.contains(name) || name_fault(name).is_some()
    }

    /// Columns that the catalog will never have.
    pub(super) fn refusals(&self) -> usize {
        self.refused.len()
    }

    /// The columns that come before the checkpoint.
    pub(super) fn checkpoint_at(&self) -> usize {
        self.order.partition_point(|(id, _)| *id < self.checkpoint)
    }

    /// What the columns have, in the catalog's order.
    pub(super) fn arrange<T: Clone>(&self, of_columns: &[T]) -> Vec<T> {
        let in_order = self.order.iter();
        let part = |(_, at): &(u32, usize)| of_columns.get(*at).cloned();
        in_order.filter_map(part).collect()
    }
}

/// A field's name as the catalog has it.
pub(super) fn folded(name: &str) -> Arc<str> {
    name.to_lowercase().into()
}
