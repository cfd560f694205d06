//! What goes wrong, and what else happens, one thing at a time.

use std::sync::atomic::Ordering;

use super::super::check;
use super::super::gate::{Arrow, Trap};
use super::super::process::FAILOVER;
use super::{Fate, Random, World};
use crate::source::kinesis::lease::{Ask, Began, Fault, Lease, LeasePosition};
use crate::source::kinesis::stream::StreamError;
use crate::source::kinesis::stream::memory::Trouble;

/// Another program that takes leases.
const KCL: &str = "kcl";

impl World {
    pub(super) fn make_trouble(&mut self) {
        let often = self.random.pick(&[0, 50, 300]);
        let mut random = Random::new(self.random.next());
        let [(stream, _), (table, _)] = &self.away;
        let (stream, table) = (stream.clone(), table.clone());
        self.services.stream.set_troubles(move |_| {
            if stream.load(Ordering::Relaxed) {
                return Some(Trouble::Fail(StreamError::Throttled("all of it".into())));
            }
            random.chance(often).then(|| match random.index(5) {
                0 => Trouble::Lose,
                1 => Trouble::Empty,
                2 => Trouble::Fail(StreamError::Expired),
                3 => Trouble::Fail(StreamError::Throttled("too much".into())),
                _ => Trouble::Fail(StreamError::Unavailable("the test said so".into())),
            })
        });
        let often = self.random.pick(&[0, 100, 500]);
        let mut random = Random::new(self.random.next());
        self.services.leases.trouble(move |_| {
            if table.load(Ordering::Relaxed) {
                return Some(Fault::Down);
            }
            random.chance(often).then(|| match random.index(4) {
                0 => Fault::Down,
                1 => Fault::LostAnswer,
                2 => Fault::Slow(random.ms(50, 4000)),
                _ => Fault::Late(random.ms(50, 8000)),
            })
        });
    }

    /// Something that happens, or nothing.
    pub(super) fn happen(&mut self) {
        if self.random.chance(3000) {
            self.write();
        }
        match self.random.index(1000) {
            0..5 if self.processes.len() < 3 => self.start(),
            5..7 => self.kill(),
            7..10 => self.stop(),
            10..12 => self.freeze_one(),
            12..16 => self.reshard(),
            16..19 => self.services.target.fail_commits(self.random.range(1, 5)),
            19..21 => {
                let slow = self.random.ms(0, 4000);
                self.services.target.slow_commits(slow);
            }
            21..29 => self.lay_trap(),
            29..31 => self.steal(),
            32 => self.begin_fight(),
            33..36 => self.let_go(),
            36..38 => self.services.target.fail_adds(self.random.range(1, 3)),
            38 => self.services.target.hesitate(self.random.ms(0, 10_000)),
            31 if self.random.chance(5000) => self.take_away(),
            _ => {}
        }
        self.come_back();
        self.fight();
        let now = self.now();
        let thawed: Vec<usize> = self
            .frozen
            .iter()
            .filter(|(_, until)| now >= *until)
            .map(|(name, _)| *name)
            .collect();
        self.frozen.retain(|(_, until)| now < *until);
        for name in thawed {
            self.freeze(name, false);
        }
    }

    /// A service is not to be had for a while.
    fn take_away(&mut self) {
        let which = self.random.index(self.away.len());
        let until = self.now() + self.random.ms(5000, 60_000);
        let what = ["the stream", "the lease table"][which];
        self.tell(format_args!("{what} is away"));
        self.count(format!("{what} is away"));
        let (away, end) = &mut self.away[which];
        away.store(true, Ordering::Relaxed);
        *end = until;
    }

    fn come_back(&mut self) {
        let now = self.now();
        for (away, end) in &self.away {
            if now >= *end {
                away.store(false, Ordering::Relaxed);
            }
        }
    }

    /// A process is cut off at its next step of some kind.
    fn lay_trap(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let at = self.random.index(self.processes.len());
        let name = self.processes[at].name;
        let trap = Trap {
            arrow: self.random.pick(&Arrow::ALL),
            before: self.random.chance(5000),
        };
        let fate = match self.random.chance(5000) {
            true => Fate::Killed,
            false => Fate::Frozen(self.random.ms(100, 4 * FAILOVER.as_millis() as u64)),
        };
        self.processes[at].gate.lay(trap);
        self.fates.insert(name, fate);
    }

    /// Some lease that somebody has.
    fn owned(&mut self) -> Option<Lease> {
        let mut rows = self.services.leases.rows();
        rows.retain(|row| row.owner.is_some());
        let some = |rows: &Vec<Lease>| !rows.is_empty();
        let rows = Some(rows).filter(some)?;
        Some(rows[self.random.index(rows.len())].clone())
    }

    /// A worker of a KCL takes a lease from whoever has it, and dies.
    fn steal(&mut self) {
        if let Some(seen) = self.owned() {
            self.steal_this(seen);
        }
    }

    /// One that lives, and wants the same lease for a while.
    fn begin_fight(&mut self) {
        if let Some(lease) = self.owned() {
            let until = self.now() + self.random.ms(5000, 40_000);
            self.count("fights for a lease");
            self.fights.push((lease.key, until));
        }
    }

    fn fight(&mut self) {
        let now = self.now();
        self.fights.retain(|(_, until)| now < *until);
        for (key, _) in self.fights.clone() {
            let rows = self.services.leases.rows();
            let ours = |row: &Lease| {
                row.key == key && row.owner.as_deref().is_some_and(|owner| owner != KCL)
            };
            if let Some(seen) = rows.into_iter().find(ours)
                && self.random.chance(300)
            {
                self.steal_this(seen);
            }
        }
    }

    fn steal_this(&mut self, seen: Lease) {
        let seen = Box::new(seen);
        self.tell(format_args!("{} is taken by another program", seen.key));
        let planned = check::has_plan(&seen);
        let owner = KCL.to_owned();
        if self
            .services
            .leases
            .apply(&Ask::Take { seen, owner })
            .is_ok()
        {
            self.count(match planned {
                true => "stolen with a plan",
                false => "stolen",
            });
        }
    }

    fn kill(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let at = self.random.index(self.processes.len());
        let process = self.processes.swap_remove(at);
        self.tell(format_args!("process {} is killed", process.name));
        self.count("killed");
        self.frozen.retain(|(name, _)| *name != process.name);
        process.kill();
    }

    fn stop(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let at = self.random.index(self.processes.len());
        let name = self.processes[at].name;
        if self.frozen.iter().all(|(frozen, _)| *frozen != name) {
            self.tell(format_args!("process {name} is asked to stop"));
            self.count("stopped");
            self.processes[at].begin_stop();
        }
    }

    fn freeze_one(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let at = self.random.index(self.processes.len());
        let name = self.processes[at].name;
        let length = self.random.ms(100, 4 * FAILOVER.as_millis() as u64);
        if self.processes[at].is_stopping() || self.frozen.iter().any(|(frozen, _)| *frozen == name)
        {
            return;
        }
        self.tell(format_args!("process {name} stands still for {length:?}"));
        self.count("frozen");
        self.freeze(name, true);
        self.frozen.push((name, self.now() + length));
    }

    pub(super) fn freeze(&self, name: usize, frozen: bool) {
        if let Some(process) = self.processes.iter().find(|process| process.name == name) {
            process.freeze(frozen);
        }
    }

    /// The stream deletes records of a shard that are done, as it does after a day. So is the last of them, if a plan says what follows.
    fn let_go(&mut self) {
        let rows = self.services.leases.rows();
        if rows.is_empty() {
            return;
        }
        let row = &rows[self.random.index(rows.len())];
        let planned = row.state().filter(|state| !state.plan.is_empty());
        let (before, what) = match (row.checkpoint, planned.and_then(|state| state.began)) {
            (_, Some(Began::Record(first))) => (first, "records before a plan are gone"),
            (LeasePosition::At { sequence, .. }, _) => (sequence, "records that are done are gone"),
            _ => return,
        };
        self.services.stream.trim(&row.key, before);
        self.tell(format_args!("{}, {what}: all before {before}", row.key));
        self.count(what);
    }

    pub(super) fn reshard(&mut self) {
        let mut open = self.services.stream.open();
        open.sort_by_key(|shard| shard.hash_range.start);
        if open.len() > 1 && self.random.chance(5000) {
            let at = self.random.index(open.len() - 1);
            self.count_reshard("merges", &[&open[at].id, &open[at + 1].id]);
            let child = self.services.stream.merge(&open[at].id, &open[at + 1].id);
            self.tell(format_args!(
                "{} and {} are merged to {child}",
                open[at].id,
                open[at + 1].id
            ));
        } else if open.len() < 6 {
            let at = self.random.index(open.len());
            self.count_reshard("splits", &[&open[at].id]);
            let children = self.services.stream.split(&open[at].id);
            self.tell(format_args!("{} is split to {children:?}", open[at].id));
        }
    }

    fn count_reshard(&mut self, what: &str, shards: &[&String]) {
        let rows = self.services.leases.rows();
        let planned = |row: &Lease| shards.contains(&&row.key) && check::has_plan(row);
        match rows.iter().any(planned) {
            true => self.count(format!("{what} in the middle of a plan")),
            false => self.count(what),
        }
    }
}
