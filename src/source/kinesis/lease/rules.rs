//! Which leases a worker takes: the rules of KCL 2.x, so that its workers and ours balance each other.
//!
//! Pure: time and chance are arguments. A share is the number of leases over the number of live workers, rounded up; live is who owns
//! a lease that has not expired, and who asks. Finished leases are nobody's work and do not count; one that waits for its parents does, since it
//! will be work where it is. (KCL counts finished ones too until they are deleted. That shifts its share, not ours. And it steals one lease a look, unless it is told
//! otherwise: with many of them that takes long.)

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Lease;
use super::board::{Board, Row};
use super::keeper::Settings;

/// Leases that stand still for so many failover times are taken by whoever sees it first, whatever his share.
const VERY_OLD: u32 = 3;

/// What a look comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// To be taken, in this order.
    pub(super) take: Vec<Lease>,
    /// Whether there will be less than a share, so that the next look should come soon.
    pub(super) hungry: bool,
    /// Whether there is something free that nobody has taken so far.
    pub(super) left: bool,
    /// How many leases others have who do not renew them, or nobody has.
    pub(super) free: usize,
    /// Those of them that have stood still for very long.
    pub(super) very_old: usize,
    /// How many workers are alive.
    pub(super) workers: usize,
}

/// Who chooses, when, and by what chance.
pub(super) struct Chooser<'a> {
    pub(super) settings: &'a Settings,
    /// What this worker has or is about to take.
    pub(super) held: &'a BTreeSet<String>,
    /// What it has given back on purpose.
    pub(super) shunned: &'a BTreeSet<String>,
    pub(super) now: Duration,
    /// A number below the one given.
    pub(super) chance: &'a mut dyn FnMut(usize) -> usize,
}

impl<'a> Chooser<'a> {
    /// Chooses.
    pub(super) fn choose(&mut self, board: &Board) -> Choice {
        let me = self.settings.worker.clone();
        let unfinished: Vec<&Row> = board
            .rows()
            .filter(|row| !row.lease.is_finished())
            .collect();
        let (own, others): (Vec<&Row>, Vec<&Row>) = unfinished
            .iter()
            .partition(|row| self.is_own(&row.lease, &me));
        let mut choice = Choice::default();
        // Ours by the table, but not held: an answer was lost, or it was given up when the table could not be reached.
        let stray = own.iter().filter(|row| !self.held.contains(&row.lease.key));
        choice.take.extend(stray.map(|row| row.lease.clone()));

        let counts = self.counts(board, &others, own.len());
        let most = self.settings.most_leases;
        let target = unfinished
            .len()
            .div_ceil(counts.len().max(1))
            .max(1)
            .min(most);
        let mut free: Vec<&Row> = others
            .iter()
            .copied()
            .filter(|row| self.is_free(row))
            .collect();
        shuffle(&mut free, self.chance);
        let very_old = self.settings.failover * VERY_OLD;
        let (old, fresh): (Vec<_>, Vec<_>) = free
            .into_iter()
            .partition(|row| row.idle(self.now) > very_old);
        choice.workers = counts.len();
        (choice.free, choice.very_old) = (old.len() + fresh.len(), old.len());
        let room = most.saturating_sub(own.len());
        let old = &old[..old.len().min(room)];
        let need = target.saturating_sub(own.len() + old.len());
        let taken = fresh.len().min(need);
        choice.left = fresh.len() > taken;
        let free = old.iter().chain(&fresh[..taken]);
        choice.take.extend(free.map(|row| row.lease.clone()));
        if old.is_empty() && fresh.is_empty() {
            choice
                .take
                .extend(self.steal(&others, &counts, need, target));
        }
        choice.hungry = need > taken;
        choice
    }

    fn is_own(&self, lease: &Lease, me: &str) -> bool {
        lease.owner.as_deref() == Some(me) || self.held.contains(&lease.key)
    }

    fn is_free(&self, row: &Row) -> bool {
        row.is_available(self.now, self.settings.failover) && !self.shunned.contains(&row.lease.key)
    }

    /// How many leases everybody has who is alive.
    fn counts<'b>(
        &self,
        board: &'b Board,
        others: &[&'b Row],
        own: usize,
    ) -> BTreeMap<&'b str, usize>
    where
        'a: 'b,
    {
        let settings = self.settings;
        let failover = settings.failover;
        let live = board.live_owners(self.now, failover);
        let mut counts: BTreeMap<&str, usize> = live.into_iter().map(|owner| (owner, 0)).collect();
        for row in others {
            let owner = row.lease.owner.as_deref();
            if let Some(owner) = owner.filter(|_| !row.is_available(self.now, failover)) {
                *counts.entry(owner).or_default() += 1;
            }
        }
        counts.insert(&settings.worker, own);
        counts
    }

    /// Leases to take from a worker that has most of all, if it has more than its share, or if we have less than ours by more than one.
    fn steal(
        &mut self,
        others: &[&Row],
        counts: &BTreeMap<&str, usize>,
        need: usize,
        target: usize,
    ) -> Vec<Lease> {
        let settings = self.settings;
        let rivals = || {
            counts
                .iter()
                .filter(|(owner, _)| **owner != settings.worker)
        };
        let Some(most) = rivals().map(|(_, count)| *count).max() else {
            return Vec::new();
        };
        let excess = match most.checked_sub(target) {
            Some(0) if need > 1 => 1,
            Some(excess) => excess.min(need),
            None => 0,
        };
        let loaded: Vec<&str> = rivals()
            .filter(|(_, count)| **count == most)
            .map(|(owner, _)| *owner)
            .collect();
        let victim = loaded[(self.chance)(loaded.len())];
        let mut candidates: Vec<&&Row> = others
            .iter()
            .filter(|row| row.lease.owner.as_deref() == Some(victim))
            .collect();
        shuffle(&mut candidates, self.chance);
        // Half of what is missing: few looks are enough, and those who come at the same time do not all want the same.
        let some = excess.min(need.div_ceil(2)).min(settings.most_stolen);
        let stolen = candidates.into_iter().take(some);
        stolen.map(|row| row.lease.clone()).collect()
    }
}

fn shuffle<T>(items: &mut [T], chance: &mut dyn FnMut(usize) -> usize) {
    for at in (1..items.len()).rev() {
        items.swap(at, chance(at + 1));
    }
}

/// A small generator (splitmix64): workers that start together should not all want the same lease, no more.
#[derive(Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// A number below `below`, which is not 0.
    pub(super) fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        usize::try_from(z % below.max(1) as u64).unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "rules/tests.rs"]
mod tests;
