//! Reads shards: one task a shard, and one channel to the worker that has them.
//!
//! Owns where a reader stands (`place`), when it may ask (`pace`), how much may be held ([`Allowance`]) and what is done about every failure. A
//! reader hands over every record once and in order, from where it was told to begin, until the shard ends or a person is needed. It
//! refuses to know what records mean, and to decide what becomes of a shard that has ended or lost records.

mod allowance;
mod consumer;
mod ended;
mod fanout;
mod pace;
mod place;
mod polling;
mod reader;
mod readers;
mod service;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::allowance::{Allowance, Held};
pub use self::readers::Readers;
pub use self::service::{Counts, Mode, Service, Settings};
use super::{Child, From, RawRecord};
use crate::record::Sequence;

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At a place that no record has proven.
    Begin(From),
    /// With this record, of which something was read before. If it is gone, so may be what followed it.
    Resume(Sequence),
}

/// What a reader has to say, under the number it was started with.
#[derive(Debug)]
pub struct Fetched {
    /// The shard's id.
    pub shard: Arc<str>,
    /// What [`Readers::start`] was given.
    pub generation: u64,
    /// What is new.
    pub news: News,
}

/// What is new in a shard. Nothing follows behind all but [`News::Records`]: the reader has ended.
#[derive(Debug)]
pub enum News {
    /// Records, in order.
    Records(Batch),
    /// The shard is closed, and all its records were handed over. Its children go on; they were looked for, so if none are told, there are none.
    Ended(Vec<Child>),
    /// The stream has forgotten the shard: all of its records are older than it retains.
    Gone,
    /// The record that reading was to resume at is not retained any more, and records behind it may be lost.
    Trimmed {
        /// The record that was expected.
        expected: Sequence,
        /// The oldest that is retained; `None` if there is none.
        oldest: Option<Sequence>,
    },
    /// A person must change something.
    Failed(String),
}

/// Records that were fetched together.
#[derive(Debug)]
pub struct Batch {
    /// In order; none if only `behind_ms` is new.
    pub records: Vec<RawRecord>,
    /// How far reading is behind the shard's tip, as far as the service tells.
    pub behind_ms: Option<u64>,
    /// Their share of what may be held. Given back when it is dropped, which must not be before the records are.
    pub held: Held,
}
