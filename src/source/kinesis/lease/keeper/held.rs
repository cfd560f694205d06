//! One lease that is held: what is known of it, and what is to be done next.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{Settings, Term};
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::source::kinesis::lease::{Ask, Claim, Lease, LeasePosition, Write};

/// A request about a lease that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Reads the row, after a write whose end is not known.
    Read,
    Renew,
    Store,
    Note,
    Evict,
    CreateChild,
    SetChildren,
    End,
}

impl Step {
    /// Whether it writes the lease's own counter.
    pub(super) fn raises(self) -> bool {
        matches!(
            self,
            Self::Renew | Self::Store | Self::Note | Self::Evict | Self::End
        )
    }
}

/// What is left to do at the end of a shard.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) create: VecDeque<Lease>,
    pub(super) children: BTreeSet<String>,
    /// Whether the row has them already.
    pub(super) written: bool,
}

impl Ending {
    pub(super) fn new(create: Vec<Lease>, children: BTreeSet<String>) -> Self {
        Self {
            create: create.into(),
            written: children.is_empty(),
            children,
        }
    }

    /// What the row is to say in the end.
    pub(super) fn write() -> Write {
        Write {
            checkpoint: Some(LeasePosition::ShardEnd),
            pending: None,
        }
    }
}

/// A lease that is ours.
#[derive(Debug)]
pub(super) struct Held {
    /// The row as far as it is known.
    pub(super) lease: Lease,
    pub(super) term: Term,
    /// When the last write was sent that is known to be stored.
    pub(super) since: Duration,
    /// Whether a request about it is under way.
    pub(super) busy: bool,
    /// When the write was sent of which it is not known whether it is stored.
    pub(super) unsure: Option<Duration>,
    /// Writes in a row that were refused though the row is ours.
    pub(super) refusals: u8,
    /// Not to be tried again before.
    pub(super) rest: Duration,
    pub(super) store: Option<Write>,
    /// What is stored without being asked for again and again.
    pub(super) note: Option<Write>,
    pub(super) ending: Option<Ending>,
    pub(super) leaving: bool,
    /// Parents that have not been read to their end, as far as is known.
    pub(super) waiting_for: BTreeSet<String>,
    /// Whether a parent is being asked for.
    pub(super) asking: bool,
    /// Whether the worker knows of it.
    pub(super) told: bool,
}

impl Held {
    pub(super) fn new(lease: Lease, term: Term, since: Duration) -> Self {
        Self {
            waiting_for: lease.parents.clone(),
            lease,
            term,
            since,
            busy: false,
            unsure: None,
            refusals: 0,
            rest: Duration::ZERO,
            store: None,
            note: None,
            ending: None,
            leaving: false,
            asking: false,
            told: false,
        }
    }

    /// What is to be done now, if anything.
    pub(super) fn next(&self, now: Duration, settings: &Settings) -> Option<Step> {
        if self.busy || now < self.rest {
            return None;
        }
        if self.unsure.is_some() {
            return Some(Step::Read);
        }
        if self.store.is_some() {
            return Some(Step::Store);
        }
        if self.leaving {
            return Some(Step::Evict);
        }
        if self.note.is_some() {
            return Some(Step::Note);
        }
        if now >= self.since + settings.renew_every() {
            return Some(Step::Renew);
        }
        let ending = self.ending.as_ref()?;
        #[cfg(test)]
        if mutation::on(Mutation::EndBeforeChildren) {
            return Some(Step::End);
        }
        Some(match (ending.create.is_empty(), ending.written) {
            (false, _) => Step::CreateChild,
            (true, false) => Step::SetChildren,
            (true, true) => Step::End,
        })
    }

    /// When there will be something to do, if no answer comes before.
    pub(super) fn wake_at(&self, settings: &Settings, now: Duration) -> Duration {
        let until = self.since + settings.belief();
        let renewal = self.rest.max(self.since + settings.renew_every());
        let wanted = self.unsure.is_some()
            || self.store.is_some()
            || self.note.is_some()
            || self.leaving
            || self.ending.is_some()
            // A parent could not be asked for.
            || (!self.told && self.rest > now);
        match (self.busy, wanted) {
            (true, _) => until,
            (false, true) => self.rest.min(renewal).min(until),
            (false, false) => renewal.min(until),
        }
    }

    /// The request for a step.
    pub(super) fn ask(&self, step: Step, worker: &str) -> Option<Ask> {
        let key = || self.lease.key.clone();
        let claim = || Claim {
            key: key(),
            owner: worker.to_owned(),
            counter: self.lease.counter,
        };
        Some(match step {
            Step::Read => Ask::Get { key: key() },
            Step::Renew => Ask::Renew(claim()),
            Step::Store => {
                let mut write = self.store.clone()?;
                // A plan beside an unchanged checkpoint does not tell anybody that the lease moves.
                write.checkpoint = write.checkpoint.filter(|to| *to != self.lease.checkpoint);
                Ask::Checkpoint(claim(), write)
            }
            Step::Note => Ask::Checkpoint(claim(), self.note.clone()?),
            Step::Evict => Ask::Evict(claim()),
            Step::CreateChild => Ask::Create(self.ending.as_ref()?.create.front()?.clone()),
            Step::SetChildren => Ask::SetChildren {
                key: key(),
                children: self.ending.as_ref()?.children.clone(),
            },
            Step::End => Ask::Checkpoint(claim(), Ending::write()),
        })
    }

    /// Takes in that a write sent then was stored.
    pub(super) fn stored(&mut self, write: Option<&Write>, sent: Duration) {
        self.lease.counter = self.lease.counter.wrapping_add(1);
        self.since = sent;
        self.refusals = 0;
        if let Some(write) = write {
            self.lease.checkpoint = write.checkpoint.unwrap_or(self.lease.checkpoint);
            self.lease.pending.clone_from(&write.pending);
        }
    }
}
