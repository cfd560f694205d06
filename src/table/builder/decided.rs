//! The columns of a table that a catalog decides.

use std::sync::Arc;

use super::{FOLDED, NO_COLUMN, TableBuilder};
use crate::record::{Row, Value};
use crate::table::bound::{BEHIND_ALL, folded};
use crate::table::column::Column;
use crate::table::{ColumnSettings, ColumnType, MAX_COLUMNS, MISFIT};

impl TableBuilder {
    /// As [`TableBuilder::new`], but with these columns of a catalog, and no others until [`TableBuilder::extend`] brings them.
    /// They are given by their places, from 1, their names, in lower case, and their types.
    ///
    /// Fields belong to columns by their names in lower case. The checkpoint's column is first if it is not among
    /// them. `_misfit` is last and has its own type.
    pub fn bound<'a>(
        settings: &Arc<ColumnSettings>,
        opened_ms: i64,
        columns: impl IntoIterator<Item = (u32, &'a str, &'a ColumnType)>,
    ) -> Self {
        let mut this = Self::empty(settings, opened_ms, settings.rules().for_good());
        this.bound = Some(Box::default());
        this.extend(columns);
        for (name, kind) in settings.of_every_table() {
            this.extend([(BEHIND_ALL, &*name.to_lowercase(), &kind)]);
        }
        this.add_own();
        this.count();
        this
    }

    /// Takes what the catalog has decided: columns that are not there yet are added, as [`TableBuilder::bound`] has them.
    pub fn extend<'a>(
        &mut self,
        columns: impl IntoIterator<Item = (u32, &'a str, &'a ColumnType)>,
    ) {
        for (id, name, kind) in columns {
            let is_checkpoint = self.is_checkpoint(name);
            let is_known = self.is_own(name) || self.by_name.contains_key(name);
            if name == MISFIT || is_checkpoint || is_known {
                if let Some(bound) = self
                    .bound
                    .as_mut()
                    .filter(|_| is_checkpoint && id != BEHIND_ALL)
                {
                    bound.set_checkpoint(id);
                }
                continue;
            }
            let at = self.add_column(Column::new(name, kind, true, self.rules));
            if let Some(bound) = &mut self.bound {
                bound.place(id, at);
            }
        }
    }

    pub(super) fn is_checkpoint(&self, name: &str) -> bool {
        let checkpoint = &self.settings.checkpoint_field;
        name == *checkpoint || self.bound.is_some() && *name == *folded(checkpoint)
    }

    /// The catalog will never have a column of this name, which is in lower case: the field is always a misfit.
    pub fn refuse(&mut self, name: &str) {
        if let Some(bound) = &mut self.bound {
            bound.refuse(name);
        }
    }

    /// The columns that a row has values for, and the catalog has not decided yet, with the types the values say. Empty if
    /// there is no catalog.
    pub fn undecided(&mut self, row: &Row<'_>) -> Vec<(String, ColumnType)> {
        let mut undecided = Vec::new();
        if self.bound.is_none() {
            return undecided;
        }
        self.follow(row);
        for (place, entry) in row.entries().enumerate() {
            if !entry.is_null() && !self.is_decided(entry.number()) {
                self.note_undecided(row, place, &entry.value(), &mut undecided);
            }
        }
        undecided
    }

    #[inline(never)]
    fn note_undecided(
        &self,
        row: &Row<'_>,
        place: usize,
        value: &Value<'_>,
        undecided: &mut Vec<(String, ColumnType)>,
    ) {
        let name = row.name(place);
        let folded = folded(name);
        let has = |(other, _): &(String, ColumnType)| **other == *folded;
        if self.by_name.contains_key(name)
            || self.by_name.contains_key(&folded)
            || undecided.iter().any(has)
        {
            return;
        }
        let Some(bound) = self
            .bound
            .as_ref()
            .filter(|bound| !bound.is_refused(&folded))
        else {
            return;
        };
        // Refusals count, or there would be no end of questions.
        if self.columns.len() + bound.refusals() + undecided.len() >= MAX_COLUMNS {
            return;
        }
        if let Some(kind) = self.kind_of_new(&folded, row.declared(name), value) {
            undecided.push((folded.to_string(), kind));
        }
    }

    /// Whether the column of a field is known by the number of its name.
    #[inline]
    fn is_decided(&self, number: Option<u32>) -> bool {
        let known = number.and_then(|number| self.by_number.get(number as usize));
        known.is_some_and(|at| *at != NO_COLUMN)
    }

    /// Leaves a field whose name is no column's letter by letter until all others are taken; whether it is such a one.
    pub(super) fn leave(&mut self, row: &Row<'_>, place: usize, number: Option<u32>) -> bool {
        let known = number.and_then(|number| self.by_number.get(number as usize));
        let column = match known {
            Some(&at) if at != NO_COLUMN => at & !FOLDED,
            _ => {
                let name = row.name(place);
                if self.by_name.contains_key(name) {
                    return false;
                }
                match self.by_name.get(&*folded(name)) {
                    Some(&at) => {
                        self.note_number(number, at | FOLDED);
                        at
                    }
                    None => NO_COLUMN,
                }
            }
        };
        if let Some(bound) = &mut self.bound {
            bound.left.push((place, column));
        }
        true
    }

    /// Takes the fields of a row that were left.
    #[inline(never)]
    pub(super) fn append_left(&mut self, row: &Row<'_>) {
        let mut left = match &mut self.bound {
            Some(bound) => std::mem::take(&mut bound.left),
            None => return,
        };
        for (place, column) in left.drain(..) {
            let entry = row.entry(place);
            match self.columns.get_mut(column as usize) {
                // Not if another field has the column in this row.
                Some(column_of) if !column_of.has(self.rows) => {
                    if !column_of.append_plain(self.rows, entry) {
                        self.append_to(column as usize, &entry.value());
                    }
                }
                _ => self.add_misfit(row.name(place), &entry.value()),
            }
        }
        if let Some(bound) = &mut self.bound {
            bound.left = left;
        }
    }
}
