//! Which rows go to the target: those of the collections that are wanted.
//!
//! Decides from the row and the settings only, so that whoever reads a planned span again comes to the same rows.

use std::collections::HashSet;

use crate::record::Row;

/// The rules. The default lets every row go to the target.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// The collections whose rows are kept, in lower case as tables are named; all if there is no list.
    pub collections: Option<HashSet<String>>,
}

/// Where a row goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the target.
    Target,
    /// Nowhere: it is counted under this name.
    Dropped(&'static str),
}

impl Routing {
    pub(super) fn way(&self, row: &Row<'_>) -> Way {
        match &self.collections {
            Some(wanted) if !wanted.contains(row.collection()) => Way::Dropped("not_whitelisted"),
            _ => Way::Target,
        }
    }
}
