//! What a partition may have to wait for: something a registry or a database has to say.
//!
//! Whoever looks for it asks without waiting, and comes again. That nobody has answered is never taken for an answer.

mod asking;

use std::fmt;
use std::io;
use std::sync::Arc;

#[cfg(test)]
pub(crate) use self::asking::WAITING;
pub(crate) use self::asking::{Asking, RETRY};

/// Why something is not at hand yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// It was asked for.
    Asked,
    /// There was no answer, and the question is asked again.
    Failed(Arc<str>),
    /// There will be none before a person has changed something.
    Refused(Arc<str>),
}

/// What a record cannot do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// What it is, to be followed by "is needed".
    pub what: Box<str>,
    /// How it stands with it.
    pub state: NotYet,
}

impl Needed {
    /// What is needed, and why it is not at hand.
    pub fn new(what: impl fmt::Display, state: NotYet) -> Self {
        Self {
            what: what.to_string().into(),
            state,
        }
    }
}

/// Has objects fetched that records point to.
pub trait Objects: fmt::Debug + Send + Sync {
    /// Begins to read an object from its first byte, if it is at hand: else sees to it that it will be. `size` is what is said of it. May wait
    /// a little for an object that is too large to be at hand as a whole, and so may reading it; an error then is no word on the
    /// object, which must be opened again.
    ///
    /// # Errors
    /// What is to be done instead.
    fn open(&self, key: &str, size: u64) -> Result<Box<dyn ReadObject>, Unopened>;

    /// The record that points to it is not offered again.
    fn done(&self, key: &str);
}

/// An object that is read.
pub trait ReadObject: io::Read + fmt::Debug + Send {}

/// Why an object is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It is not at hand yet.
    NotYet(NotYet),
    /// There is none, which is certain, and who says so.
    Missing(Arc<str>),
}
