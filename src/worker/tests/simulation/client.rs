//! A member of the group, as the client library and `KafkaSource` are one together: what goes on between polls.
//!
//! Keeps the rules the real source keeps: a revocation is answered only after the commit under way was; whoever is out of the
//! group commits nothing; a place to read from counts only for the assignment it was asked for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::group::MAX_POLL_INTERVAL;
use super::world::{Due, World};
use crate::mutation::{Mutation, on};
use crate::source::{Checkpoint, Slot};

/// What waits for the next poll.
pub(super) enum Notice {
    Joined,
    Revoke(Vec<usize>),
    Lost,
    Standing {
        partition: usize,
        ticket: u64,
        found: Checkpoint,
    },
    Committed(Result<(), &'static str>),
    /// The assignment of a partition ends and begins anew, with nothing given up in the group.
    Again(usize),
}

/// A partition whose records are handed over.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) partition: usize,
    pub(super) next: i64,
    pub(super) paused: bool,
    /// Nothing is handed over before this time.
    pub(super) not_before: Duration,
}

#[derive(Default)]
pub(super) struct Client {
    pub(super) member: Option<u64>,
    pub(super) generation: u64,
    /// What the group says is ours.
    owned: BTreeSet<usize>,
    /// Assigned, but not known where to begin; with the number of the question.
    pub(super) waiting: BTreeMap<usize, u64>,
    pub(super) reading: Vec<Option<Reading>>,
    pub(super) notices: VecDeque<Notice>,
    pub(super) committing: bool,
    /// Commits of one member are stored in the order in which they were asked for: they travel on one connection.
    pub(super) last_arrival: Duration,
    /// Whether the group waits for partitions to be given back.
    revoking: bool,
    giving_back: Vec<Vec<usize>>,
    /// Out of the group, as the client knows.
    pub(super) lost: bool,
    /// Out of the group, as the worker knows.
    told_lost: bool,
    /// Whether partitions were given back since it joined last.
    gave_back: bool,
    closing: bool,
    /// Stopped as a whole: nothing is sent.
    pub(super) frozen: bool,
    pub(super) polled: Duration,
    tickets: u64,
}

impl Client {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            polled: now,
            ..Self::default()
        }
    }

    pub(super) fn slot_of(&self, partition: usize) -> Option<Slot> {
        let is = |reading: &Option<Reading>| {
            reading
                .as_ref()
                .is_some_and(|reading| reading.partition == partition)
        };
        self.reading.iter().position(is).map(Slot)
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        let used = |(at, reading): (usize, &Option<Reading>)| reading.as_ref().map(|_| Slot(at));
        self.reading.iter().enumerate().filter_map(used).collect()
    }

    /// Under the lowest number that is free.
    pub(super) fn begin(&mut self, partition: usize, next: i64, not_before: Duration) -> Slot {
        let free = self
            .reading
            .iter()
            .position(Option::is_none)
            .unwrap_or_else(|| {
                self.reading.push(None);
                self.reading.len() - 1
            });
        self.reading[free] = Some(Reading {
            partition,
            next,
            paused: false,
            not_before,
        });
        Slot(free)
    }

    /// The same partition under the same number, as if it had just been assigned.
    pub(super) fn begin_again(&mut self, slot: Slot, next: i64, not_before: Duration) {
        if let Some(Some(reading)) = self.reading.get_mut(slot.0) {
            (reading.next, reading.not_before, reading.paused) = (next, not_before, false);
        }
    }

    pub(super) fn partitions(&self, slots: &[Slot]) -> Vec<usize> {
        let of = |slot: &Slot| self.reading.get(slot.0)?.as_ref().map(|r| r.partition);
        slots.iter().filter_map(of).collect()
    }

    pub(super) fn forget(&mut self, slots: &[Slot]) {
        for slot in slots {
            if let Some(reading) = self.reading.get_mut(slot.0) {
                *reading = None;
            }
        }
    }

    /// Everything is somebody else's: the slots that were.
    pub(super) fn lose(&mut self) -> Vec<Slot> {
        let slots = self.slots();
        self.waiting.clear();
        let all = self.owned.iter().copied().collect();
        self.told_lost = true;
        self.give_back(all);
        self.forget(&slots);
        slots
    }

    /// The group takes these. Returns the slots the worker must settle first.
    pub(super) fn revoke(&mut self, partitions: Vec<usize>) -> Vec<Slot> {
        for partition in &partitions {
            // Where nothing is read yet there is nothing to settle.
            if self.waiting.remove(partition).is_some() {
                self.owned.remove(partition);
            }
        }
        let slots: Vec<_> = partitions.iter().filter_map(|p| self.slot_of(*p)).collect();
        if slots.is_empty() {
            self.give_back(partitions);
        }
        slots
    }

    pub(super) fn give_back(&mut self, partitions: Vec<usize>) {
        self.giving_back.push(partitions);
        if !self.committing || on(Mutation::GivenBackDuringCommit) {
            self.give_back_waiting();
        }
    }

    pub(super) fn give_back_waiting(&mut self) {
        for partitions in std::mem::take(&mut self.giving_back) {
            for partition in partitions {
                self.owned.remove(&partition);
            }
            self.revoking = false;
            self.gave_back = true;
            if self.told_lost {
                (self.lost, self.told_lost, self.member) = (false, false, None);
                self.owned.clear();
            }
        }
    }

    /// Whether the group waits for an answer of ours.
    pub(super) fn owes(&self) -> bool {
        self.revoking || !self.giving_back.is_empty()
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
        self.waiting.clear();
    }
}

impl World {
    /// Heartbeats: what a client does in the background.
    pub(super) fn beat(&mut self, process: usize) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(&process) else {
            return;
        };
        if client.frozen {
            return;
        }
        if client.closing {
            // A commit under way is answered first.
            if !client.committing {
                if let Some(member) = client.member {
                    self.group.leave(member);
                }
                self.clients.remove(&process);
                self.note(format_args!("p{process} has left the group"));
            }
            return;
        }
        let Some(member) = client.member else {
            if !client.owes() {
                let member = self.group.join(now);
                (client.member, client.generation) = (Some(member), 0);
                self.note(format_args!("p{process} joins as member {member}"));
            }
            return;
        };
        if now.saturating_sub(client.polled) > MAX_POLL_INTERVAL {
            client.polled = now;
            if !client.lost && self.group.members.contains_key(&member) {
                self.group.leave(member);
                self.note(format_args!(
                    "p{process} does not poll: member {member} leaves"
                ));
            }
        }
        self.hear(process, member);
    }

    /// What the group has to say to a member.
    fn hear(&mut self, process: usize, member: u64) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(&process) else {
            return;
        };
        if !self.group.seen(member, now) {
            if !client.lost {
                client.lost = true;
                client.notices.push_back(Notice::Lost);
                self.note(format_args!(
                    "p{process} learns that member {member} is out"
                ));
            }
            return;
        }
        let known = &self.group.members[&member];
        if known.generation > client.generation {
            client.generation = known.generation;
            let assigned = &known.assigned;
            let revoked: Vec<_> = client.owned.difference(assigned).copied().collect();
            let new: Vec<_> = assigned.difference(&client.owned).copied().collect();
            let text = format!("p{process} is told: keeps {assigned:?}, gives back {revoked:?}");
            client.owned.extend(&new);
            client.notices.push_back(Notice::Joined);
            if !revoked.is_empty() {
                client.revoking = true;
                client.notices.push_back(Notice::Revoke(revoked));
            }
            for partition in new {
                self.ask_for_standing(process, partition);
            }
            self.note(format_args!("{text}"));
            return;
        }
        if !client.owes() && (client.gave_back || self.group.wants(member)) {
            client.gave_back = false;
            self.group.rejoin(member, client.owned.clone());
        }
    }

    fn ask_for_standing(&mut self, process: usize, partition: usize) {
        let Some(client) = self.clients.get_mut(&process) else {
            return;
        };
        client.tickets += 1;
        let ticket = client.tickets;
        client.waiting.insert(partition, ticket);
        let at = self.now + self.random.ms(1, 300);
        self.schedule(
            at,
            Due::Fetch {
                process,
                partition,
                ticket,
            },
        );
    }
}
