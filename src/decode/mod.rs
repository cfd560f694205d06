//! Payload bytes to rows of a table: synchronous, without I/O, one record at a time.
//!
//! A decoder reads a whole record before anything of it is used. What it cannot read is a
//! [`BadRecord`], which says why and where; it leaves no trace in the rows before and after it.
//! Decoders know nothing of columns and types.

pub mod json;

use std::fmt;

/// Why a record cannot become a row. Dead letters are counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The payload is not JSON as RFC 8259 has it, or has field names that no text can hold.
    NotJson,
    /// The payload is JSON, but not of the configured layout.
    WrongLayout,
    /// The record does not name the table it belongs to.
    NoTable,
    /// The payload is longer than the configured limit.
    TooLarge,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Self; 4] = [
        Self::NotJson,
        Self::WrongLayout,
        Self::NoTable,
        Self::TooLarge,
    ];

    /// The name dead letters are counted by.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::WrongLayout => "wrong_layout",
            Self::NoTable => "no_table",
            Self::TooLarge => "too_large",
        }
    }
}

/// A record that cannot become a row. Displayed as the reason's name, a colon and the detail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", .reason.name())]
pub struct BadRecord {
    /// What it is counted by.
    pub reason: Reason,
    /// What is wrong, and at which byte if that helps; never the payload itself.
    pub detail: String,
}

impl BadRecord {
    fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
        }
    }
}
