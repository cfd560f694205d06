//! The group's coordinator: members, generations, who reads what, and the checkpoints with what stands beside them.
//!
//! Like Kafka's with cooperative assignment: a partition that moves is first taken from its owner, who gives it back when it
//! is ready, and is assigned in the generation behind that. A commit is stored only for a member of the present generation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::random::Random;
use crate::source::Checkpoint;

/// After this much silence a member is out.
pub(super) const SESSION: Duration = Duration::from_secs(8);
/// After so long without a poll a client leaves by itself.
pub(super) const MAX_POLL_INTERVAL: Duration = Duration::from_secs(15);

#[derive(Default)]
pub(super) struct Member {
    /// Whether it has joined for the generation that comes.
    joined: bool,
    pub(super) generation: u64,
    seen: Duration,
    /// What it had when it joined last.
    claims: BTreeSet<usize>,
    /// What is its own in this generation.
    pub(super) assigned: BTreeSet<usize>,
}

pub(super) struct Group {
    pub(super) generation: u64,
    pub(super) members: BTreeMap<u64, Member>,
    last_member: u64,
    /// Whether all must join again.
    pub(super) preparing: bool,
    pub(super) stored: Vec<Checkpoint>,
}

impl Group {
    pub(super) fn new(stored: Vec<Checkpoint>) -> Self {
        Self {
            generation: 0,
            members: BTreeMap::new(),
            last_member: 0,
            preparing: false,
            stored,
        }
    }

    /// A new member.
    pub(super) fn join(&mut self, now: Duration) -> u64 {
        self.last_member += 1;
        let member = Member {
            joined: true,
            seen: now,
            ..Member::default()
        };
        self.members.insert(self.last_member, member);
        self.preparing = true;
        self.last_member
    }

    /// A sign of life. `false` if the group does not know the member any more.
    pub(super) fn seen(&mut self, member: u64, now: Duration) -> bool {
        let found = self.members.get_mut(&member);
        found.map(|member| member.seen = now).is_some()
    }

    /// Whether the member is asked to join again.
    pub(super) fn wants(&self, member: u64) -> bool {
        self.preparing && !self.members[&member].joined
    }

    pub(super) fn rejoin(&mut self, member: u64, claims: BTreeSet<usize>) {
        if let Some(member) = self.members.get_mut(&member) {
            member.joined = true;
            member.claims = claims;
        }
        self.preparing = true;
    }

    pub(super) fn leave(&mut self, member: u64) {
        self.members.remove(&member);
        self.preparing = true;
    }

    /// Expels the silent. Returns them.
    pub(super) fn expel(&mut self, now: Duration) -> Vec<u64> {
        let silent = |member: &Member| now.saturating_sub(member.seen) >= SESSION;
        let members = self.members.iter();
        let out: Vec<_> = members
            .filter(|(_, m)| silent(m))
            .map(|(id, _)| *id)
            .collect();
        for member in &out {
            self.leave(*member);
        }
        out
    }

    /// Begins the next generation once all have joined. Whether it did. `restless` of ten thousand partitions move without need.
    pub(super) fn complete(&mut self, restless: u64, random: &mut Random) -> bool {
        if !self.preparing || self.members.is_empty() || self.members.values().any(|m| !m.joined) {
            return false;
        }
        self.preparing = false;
        self.generation += 1;
        let fair = self.stored.len().div_ceil(self.members.len());
        let mut free: BTreeSet<_> = (0..self.stored.len()).collect();
        for member in self.members.values_mut() {
            member.joined = false;
            member.generation = self.generation;
            member.assigned.clear();
            for partition in std::mem::take(&mut member.claims) {
                free.remove(&partition);
                if member.assigned.len() < fair && !random.chance(restless) {
                    member.assigned.insert(partition);
                }
            }
        }
        for partition in free {
            let least = self.members.values_mut().min_by_key(|m| m.assigned.len());
            if let Some(member) = least {
                member.assigned.insert(partition);
            }
        }
        true
    }

    /// Whether a commit of this member, made in this generation, is stored.
    pub(super) fn accepts(&self, member: u64, generation: u64) -> bool {
        self.members.contains_key(&member) && generation == self.generation
    }
}
