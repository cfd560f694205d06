//! Many checkpoints that are asked for at once and answered at once.

use std::collections::BTreeSet;

use super::{Event, Keeper, Term};
use crate::source::kinesis::lease::{LeaseError, Write};

/// What is left of a [`Command::Store`](super::Command::Store).
#[derive(Debug, Default)]
pub(super) struct Batch {
    left: BTreeSet<String>,
    done: Vec<(String, Result<(), LeaseError>)>,
}

impl Batch {
    /// Notes the answer for one lease, if it was asked for. Returns the answer to all when none is left.
    pub(super) fn answer(&mut self, key: &str, result: Result<(), LeaseError>) -> Option<Event> {
        if self.left.remove(key) {
            self.done.push((key.to_owned(), result));
        }
        self.complete()
    }

    fn complete(&mut self) -> Option<Event> {
        let complete = self.left.is_empty() && !self.done.is_empty();
        complete.then(|| Event::Stored(std::mem::take(&mut self.done)))
    }
}

impl Keeper {
    pub(super) fn store(&mut self, writes: Vec<(String, Term, Write)>) {
        for (key, term, write) in writes {
            let refusal = match self.held.get_mut(&key) {
                Some(held) if held.term == term && held.store.is_none() => {
                    held.store = Some(write);
                    self.batch.left.insert(key);
                    continue;
                }
                Some(held) if held.term == term => LeaseError::Unavailable(format!(
                    "a checkpoint of lease {key} is still being stored"
                )),
                _ => LeaseError::Refused,
            };
            self.batch.done.push((key, Err(refusal)));
        }
        self.news.extend(self.batch.complete());
    }

    pub(super) fn answer(&mut self, key: &str, result: Result<(), LeaseError>) {
        self.news.extend(self.batch.answer(key, result));
    }
}
