//! What a partition may have to wait for: something a registry or a database has to say.
//!
//! Whoever looks for it asks without waiting, and comes again. That nobody has answered is never taken for an answer.

use std::fmt;
use std::sync::Arc;

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
