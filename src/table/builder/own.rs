//! The columns whose values are the record's own: its key, and when it arrived.
//!
//! A field that is called like one of them never gets there. No catalog has them: they stand behind its columns.

use std::str;

use super::{Column, TableBuilder};
use crate::record::{Record, Row, Value};
use crate::table::bound::{BEHIND_ALL, folded};

/// Where these columns are, if there are any.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    key: Option<usize>,
    arrival: Option<usize>,
}

impl TableBuilder {
    /// Takes a row of this record. It cannot fail.
    pub fn append_of(&mut self, row: &Row<'_>, record: &Record<'_>) {
        let mut bytes = row.bytes();
        self.append_fields(row);
        if let (Some(at), Some(key)) = (self.own.key, record.key) {
            bytes += key.len();
            match str::from_utf8(key) {
                Ok(text) => self.append_to(at, &Value::Str { text, raw: None }),
                Err(_) => self.append_to(at, &Value::Bytes(key)),
            }
        }
        if let (Some(at), Some(time)) = (self.own.arrival, record.timestamp) {
            self.append_to(at, &Value::Millis(time));
        }
        self.end_row(bytes);
    }

    pub(super) fn add_own(&mut self) {
        let settings = self.settings.clone();
        let [key, arrival] = settings.of_the_record().map(|column| {
            let (name, kind) = column?;
            let at = self.columns.len();
            // Not by its name, by which fields are put into columns.
            self.columns
                .push(Column::new(name, &kind, true, self.rules));
            if let Some(bound) = &mut self.bound {
                bound.place(BEHIND_ALL, at);
            }
            Some(at)
        });
        self.own = Own { key, arrival };
    }

    pub(super) fn is_own(&self, name: &str) -> bool {
        let own = [&self.settings.key_field, &self.settings.arrival_field];
        let mut own = own.into_iter().flatten();
        own.any(|own| name == *own || self.bound.is_some() && *name == *folded(own))
    }
}
