//! What follows from the answers to requests.

use std::time::Duration;

use super::held::{Ending, Held, Step};
use super::{Event, First, Flight, Keeper, Term};
use crate::source::kinesis::lease::{Answer, Lease, LeaseError, Listing, Write};

/// Refusals in a row of a lease whose row is ours each time it is read: somebody writes it under our name.
const MOST_REFUSALS: u8 = 5;

impl Keeper {
    /// Takes in what a request came to.
    pub fn answered(&mut self, id: u64, outcome: Result<Answer, LeaseError>, now: Duration) {
        let Some((flight, sent)) = self.flights.remove(&id) else {
            return;
        };
        match flight {
            Flight::Look => {
                let listing = outcome.map(|answer| match answer {
                    Answer::Listing(listing) => listing,
                    _ => Listing::default(),
                });
                self.looked(listing, sent, now);
            }
            Flight::Take { key } => self.taken(&key, outcome, sent, now),
            Flight::Parent {
                child,
                term,
                parent,
            } => self.found_parent(&child, term, &parent, outcome, now),
            Flight::Held { key, term, step } => self.stepped(&key, term, step, outcome, sent, now),
        }
    }

    fn taken(
        &mut self,
        key: &str,
        outcome: Result<Answer, LeaseError>,
        sent: Duration,
        now: Duration,
    ) {
        match outcome {
            Ok(Answer::Lease(Some(lease))) => self.gain(*lease, sent, now),
            // Somebody was quicker, or the lease is well after all.
            Ok(_) | Err(LeaseError::Refused) => {
                self.look_by(now + self.settings.renew_every());
            }
            // It never worked, and will not.
            Err(error @ LeaseError::Misconfigured(_)) if self.last_term == 0 => {
                self.news.clear();
                self.news.push_back(Event::Failed(error));
            }
            // If it was stored all the same, the next look finds the lease to be ours and not held.
            Err(error) => {
                tracing::warn!(key, %error, "kinesis: cannot take a lease");
                let pause = self.after_trouble();
                self.look_by(now + pause);
            }
        }
    }

    fn gain(&mut self, lease: Lease, sent: Duration, now: Duration) {
        let key = lease.key.clone();
        self.lose(&key);
        self.board.see(lease.clone(), now);
        if now >= sent + self.settings.belief() {
            // The answer took so long that others may have taken it as expired since.
            self.look_by(now);
            return;
        }
        self.last_term += 1;
        self.tally.taken += 1;
        self.seen.taken += 1;
        let mut held = Held::new(lease, Term(self.last_term), sent);
        held.leaving = self.closing;
        self.held.insert(key, held);
        self.check_parents();
    }

    fn found_parent(
        &mut self,
        child: &str,
        term: Term,
        parent: &str,
        outcome: Result<Answer, LeaseError>,
        now: Duration,
    ) {
        let pause = self.settings.pause();
        let Some(held) = self.holding(child, term) else {
            return;
        };
        held.asking = false;
        match outcome {
            Ok(Answer::Lease(None)) => {
                held.waiting_for.remove(parent);
            }
            Ok(Answer::Lease(Some(lease))) => self.board.see(*lease, now),
            Ok(_) | Err(_) => held.rest = now + pause,
        }
        self.check_parents();
    }

    fn stepped(
        &mut self,
        key: &str,
        term: Term,
        step: Step,
        outcome: Result<Answer, LeaseError>,
        sent: Duration,
        now: Duration,
    ) {
        let pause = self.settings.pause();
        if step == Step::Renew {
            self.tally.renewal = now.saturating_sub(sent);
            self.tally.failed += u64::from(outcome.is_err());
        }
        // What was given up meanwhile is over, whatever became of the request.
        let Some(held) = self.holding(key, term) else {
            return;
        };
        held.busy = false;
        match outcome {
            Ok(Answer::Lease(row)) if step == Step::Read => {
                self.read(key, row.map(|row| *row), now);
            }
            Ok(_) => self.done(key, step, sent, now),
            Err(LeaseError::Refused) => {
                held.unsure = Some(sent);
                held.refusals += 1;
                if held.refusals > MOST_REFUSALS {
                    self.lose(key);
                }
            }
            Err(error) => {
                tracing::warn!(key, %error, "kinesis: cannot {}", words(step));
                held.rest = now + pause;
                if step.raises() {
                    held.unsure = Some(sent);
                }
                if step == Step::Store {
                    held.store = None;
                    self.answer(key, Err(error));
                }
            }
        }
    }

    /// Takes in what a row is, after a write of which that was not known.
    fn read(&mut self, key: &str, row: Option<Lease>, now: Duration) {
        let me = &self.settings.worker;
        let Some(held) = self.held.get_mut(key) else {
            return;
        };
        let given_back = held.leaving && row.as_ref().is_some_and(|row| row.owner.is_none());
        let Some(row) = row.filter(|row| row.belongs_to(me)) else {
            if given_back {
                self.released(key, now);
            }
            self.lose(key);
            return;
        };
        let raised = row.counter == held.lease.counter.wrapping_add(1);
        if let Some(sent) = held.unsure.take().filter(|_| raised) {
            held.since = held.since.max(sent);
        }
        let is_in = |write: &Option<Write>| write.as_ref().is_some_and(|write| write.is_in(&row));
        let (stored, noted) = (is_in(&held.store), is_in(&held.note));
        held.lease = row;
        if noted {
            self.noted(key);
        }
        if let Some(held) = self.held.get_mut(key).filter(|_| stored) {
            held.store = None;
            held.refusals = 0;
            self.answer(key, Ok(()));
        }
    }

    fn noted(&mut self, key: &str) {
        let Some(held) = self.held.get_mut(key) else {
            return;
        };
        held.note = None;
        held.refusals = 0;
        self.news.push_back(Event::Noted {
            key: key.to_owned(),
            term: held.term,
        });
    }

    fn done(&mut self, key: &str, step: Step, sent: Duration, now: Duration) {
        let Some(held) = self.held.get_mut(key) else {
            return;
        };
        match step {
            Step::Read => {}
            Step::Renew => held.stored(None, sent),
            Step::Store => {
                let write = held.store.take();
                held.stored(write.as_ref(), sent);
                self.answer(key, Ok(()));
            }
            Step::Note => {
                held.stored(held.note.clone().as_ref(), sent);
                self.noted(key);
            }
            Step::Evict => self.released(key, now),
            Step::CreateChild => {
                if let Some(ending) = &mut held.ending {
                    ending.create.pop_front();
                }
            }
            Step::SetChildren => {
                if let Some(ending) = &mut held.ending {
                    ending.written = true;
                    held.lease.children.clone_from(&ending.children);
                }
            }
            Step::End => self.ended(key, sent, now),
        }
    }

    fn released(&mut self, key: &str, now: Duration) {
        let Some(mut held) = self.held.remove(key) else {
            return;
        };
        held.stored(None, now);
        held.lease.owner = None;
        self.board.see(held.lease, now);
        // Somebody else should have the chance to look before.
        let until = now + self.settings.take_every() * 2;
        self.shunned.insert(key.to_owned(), until);
        self.answer(key, Err(LeaseError::Refused));
    }

    fn ended(&mut self, key: &str, sent: Duration, now: Duration) {
        let Some(mut held) = self.held.remove(key) else {
            return;
        };
        held.stored(Some(&Ending::write()), sent);
        self.board.see(held.lease, now);
        self.news.push_back(Event::Finished {
            key: key.to_owned(),
            term: held.term,
        });
        self.check_parents();
        // Its children are free, and nobody else knows yet.
        self.next_look = now;
    }

    /// Gives up a lease that is not ours any more, or may not be.
    pub(super) fn lose(&mut self, key: &str) {
        let Some(held) = self.held.remove(key) else {
            return;
        };
        self.answer(key, Err(LeaseError::Refused));
        if held.leaving {
            return;
        }
        self.tally.lost += 1;
        if !held.told {
            return;
        }
        let gained = self.news.iter().position(
            |news| matches!(news, Event::Gained { lease, term } if lease.key == key && *term == held.term),
        );
        // Nobody has heard of it yet; and what a worker does not ask for cannot pile up.
        if let Some(at) = gained {
            self.news.remove(at);
            return;
        }
        self.news.push_back(Event::Lost {
            key: key.to_owned(),
            term: held.term,
        });
    }

    fn look_by(&mut self, time: Duration) {
        if self.first != First::Ahead {
            self.next_look = self.next_look.min(time);
        }
    }
}

fn words(step: Step) -> &'static str {
    match step {
        Step::Read => "read a lease",
        Step::Renew => "renew a lease",
        Step::Store => "store a checkpoint",
        Step::Note => "note where reading begins",
        Step::Evict => "give a lease back",
        Step::CreateChild => "create the lease of a child",
        Step::SetChildren => "write the children of a shard",
        Step::End => "write the end of a shard",
    }
}
