//! What follows from a look at the whole table.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Event, First, Keeper, Seen};
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::source::kinesis::lease::native::{OWNER_PREFIX, PEEK, Standing};
use crate::source::kinesis::lease::rules::Chooser;
use crate::source::kinesis::lease::{LeaseError, Listing};

impl Keeper {
    /// Takes in the end of a look.
    pub(super) fn looked(
        &mut self,
        found: Result<Listing, LeaseError>,
        sent: Duration,
        now: Duration,
    ) {
        self.looking = false;
        if !std::mem::take(&mut self.troubled) {
            self.troubles = 0;
        }
        let seen = Seen {
            took: now.saturating_sub(sent),
            success: found.is_ok(),
            ..Seen::default()
        };
        // What could be taken because of the one before is taken.
        let before = std::mem::replace(&mut self.seen, seen);
        if before != Seen::default() {
            self.tally.look = before;
            self.tally.looks += 1;
        }
        let listing = match found {
            Ok(listing) => listing,
            Err(error) => {
                self.next_look = now + self.after_trouble();
                tracing::warn!(%error, "kinesis: cannot look at the lease table");
                let hopeless = matches!(error, LeaseError::Misconfigured(_));
                if hopeless && self.first == First::Ahead {
                    self.news.clear();
                    self.news.push_back(Event::Failed(error));
                }
                return;
            }
        };
        for (key, reason) in &listing.unreadable {
            tracing::error!(
                key,
                reason,
                "kinesis: nobody reads this shard: its lease cannot be read"
            );
        }
        self.next_look = now + self.settings.take_every();
        let standing = self.watch.look(&listing, now);
        self.board.look(listing.leases, now);
        self.drop_taken();
        self.check_parents();
        match standing {
            Standing::Open => {
                self.blocked = None;
                self.choose(now);
                self.lead(now);
            }
            Standing::Waiting => self.next_look = now + PEEK,
            Standing::Taken(worker) => {
                self.next_look = now + PEEK;
                self.block(worker);
            }
        }
    }

    /// How long to wait with the next look, because this one has failed or something that was taken because of it. Longer each time: a look
    /// reads the whole table, and one that is throttled would never get well.
    pub(super) fn after_trouble(&mut self) -> Duration {
        if !std::mem::replace(&mut self.troubled, true) {
            self.troubles = self.troubles.saturating_add(1);
        }
        self.settings.pause_after(self.troubles)
    }

    fn choose(&mut self, now: Duration) {
        if self.closing || self.leaving {
            return;
        }
        self.shunned.retain(|_, until| *until > now);
        let held = self.held.keys().chain(self.taking());
        let held: BTreeSet<String> = held.cloned().collect();
        let shunned = self.shunned.keys().cloned().collect();
        let Self { chance, .. } = self;
        let choice = Chooser {
            settings: &self.settings,
            held: &held,
            shunned: &shunned,
            now,
            chance: &mut |below| chance.below(below),
        }
        .choose(&self.board);
        let waiting = self.held.values().any(|held| !held.told);
        if choice.left {
            self.next_look = now + self.settings.renew_every();
        } else if choice.hungry || waiting {
            self.next_look = now + self.settings.look_soon();
        }
        self.seen = Seen {
            leases: self.board.rows().count() as u64,
            free: choice.free as u64,
            very_old: choice.very_old as u64,
            workers: choice.workers as u64,
            wanted: choice.take.len() as u64,
            ..self.seen
        };
        self.to_take = choice.take.into();
        if self.first == First::Ahead {
            self.first = First::Taking;
        }
    }

    /// One worker of ours sees to the shards of the stream: of those that own something, the one whose name comes first. Two that
    /// both think so do no harm, since all they do has conditions.
    fn lead(&mut self, now: Duration) {
        let me = self.settings.worker.as_str();
        let live = self.board.live_owners(now, self.settings.failover);
        let first = live
            .into_iter()
            .find(|owner| owner.starts_with(OWNER_PREFIX));
        if first.is_none_or(|first| first == me) && !self.closing {
            self.round = Some(self.board.leases());
        }
    }

    /// A row that is newer than ours and has another owner was taken from us; it need not be found out by a write.
    fn drop_taken(&mut self) {
        let me = &self.settings.worker;
        let taken = |key: &String, counter: u64| {
            let row = self.board.get(key);
            row.is_some_and(|row| row.counter > counter && !row.belongs_to(me))
        };
        let keys: Vec<String> = self
            .held
            .iter()
            .filter(|(key, held)| taken(key, held.lease.counter))
            // What is under way may itself be what the row shows.
            .filter(|(_, held)| !held.busy)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.lose(&key);
        }
    }

    /// Tells of leases whose parents are done.
    pub(super) fn check_parents(&mut self) {
        for held in self.held.values_mut() {
            let board = &self.board;
            held.waiting_for
                .retain(|parent| !board.get(parent).is_some_and(|lease| lease.is_finished()));
            #[cfg(test)]
            if mutation::on(Mutation::ParentsIgnored) {
                held.waiting_for.clear();
            }
            if held.waiting_for.is_empty() && !held.told && !held.leaving {
                held.told = true;
                self.news.push_back(Event::Gained {
                    lease: Box::new(held.lease.clone()),
                    term: held.term,
                });
            }
        }
    }

    fn block(&mut self, worker: String) {
        if self.blocked.as_ref() == Some(&worker) {
            return;
        }
        let message = format!(
            "leases of this table are assigned by a fleet of KCL 3.x that is alive ({worker}): stop all of its workers, or give this \
             application a table of its own in kinesis.consumer-dynamodb-table; nothing is taken until then"
        );
        self.blocked = Some(worker);
        self.news.retain(|news| !matches!(news, Event::Blocked(_)));
        self.news.push_back(Event::Blocked(message));
    }
}
