//! Everything outside the workers: time, chance, the stream, the group, the target, and what is under way between them.

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::check::Checks;
use super::client::{Client, Notice};
use super::commits::Commits;
use super::events::Disk;
use super::group::Group;
use super::historical::Historical;
use super::history::History;
use super::log::Log;
use super::random::Random;
use super::settings::Settings;
use super::store::Store;
use super::tables::Decided;
use crate::record::Position;
use crate::source::Checkpoint;

/// What happens at a time.
#[derive(Clone, Copy)]
pub(super) enum Due {
    CommitSent(u64),
    CommitArrives(u64),
    CommitAnswered(u64),
    PutArrives(u64),
    PutAnswered(u64),
    LateArrives(u64),
    LateAnswered(u64),
    Fetch {
        process: usize,
        partition: usize,
        ticket: u64,
    },
    Told {
        process: usize,
        partition: usize,
        ticket: u64,
    },
}

/// What becomes of a process at a moment that matters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Doom {
    Kill,
    Freeze,
    Stall,
}

pub(super) struct World {
    pub(super) now: Duration,
    pub(super) random: Random,
    pub(super) history: History,
    pub(super) settings: Settings,
    pub(super) logs: Vec<Arc<Log>>,
    pub(super) group: Group,
    pub(super) clients: BTreeMap<usize, Client>,
    pub(super) store: Store,
    pub(super) historical: Historical,
    /// What each machine remembers of events.
    pub(super) disks: Vec<Disk>,
    pub(super) decided: Decided,
    pub(super) commits: Commits,
    pub(super) checks: Checks,
    pub(super) doomed: Vec<(usize, Doom)>,
    due: BTreeMap<(Duration, u64), Due>,
    number: u64,
    /// Answers to lookups that are on their way.
    found: BTreeMap<(usize, usize, u64), Checkpoint>,
}

/// The world, as everybody in it holds it. One thread only: nobody ever waits for it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<World>>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl Shared {
    pub(super) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0
            .try_lock()
            .expect("the world is asked by one at a time")
    }
}

impl World {
    pub(super) fn new(seed: u64, keep: bool) -> Self {
        let mut random = Random::new(seed);
        let mut more = Random::new(!seed);
        let settings = Settings::new(&mut random, &mut more);
        let logs: Vec<_> = (0..settings.partitions)
            .map(|partition| {
                let until = settings.faults_until * 3 / 4;
                Arc::new(Log::new(
                    partition,
                    &settings,
                    until,
                    &mut random,
                    &mut more,
                ))
            })
            .collect();
        let nothing = Checkpoint {
            position: Position::at(0),
            reach: None,
            note: String::new(),
        };
        Self {
            now: Duration::ZERO,
            history: History::new(keep),
            group: Group::new(vec![nothing; logs.len()]),
            clients: BTreeMap::new(),
            store: Store::default(),
            historical: Historical::default(),
            disks: vec![Disk::default(); settings.processes],
            decided: Decided::default(),
            commits: Commits::default(),
            checks: Checks::new(&logs, settings.repeats),
            doomed: Vec::new(),
            due: BTreeMap::new(),
            number: 0,
            found: BTreeMap::new(),
            random,
            settings,
            logs,
        }
    }

    pub(super) fn note(&mut self, what: Arguments<'_>) {
        self.history.note(self.now, what);
    }

    /// A promise is broken. The first one counts.
    pub(super) fn violate(&mut self, what: &str) {
        if self.checks.violation.is_none() {
            self.note(format_args!("VIOLATION: {what}"));
            self.checks.violation = Some(what.to_owned());
        }
    }

    /// A name that was never given before.
    pub(super) fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub(super) fn schedule(&mut self, at: Duration, due: Due) {
        let number = self.number();
        self.due.insert((at.max(self.now), number), due);
    }

    /// Whether a fault of this likelihood, of ten thousand, happens now.
    pub(super) fn fault(&mut self, likelihood: u64) -> bool {
        !self.settings.quiet && self.random.chance(likelihood)
    }

    /// This process has just caused something that matters.
    pub(super) fn ambush(&mut self, process: usize) {
        if self.fault(self.settings.ambushes) && self.clients.contains_key(&process) {
            let doom = self
                .random
                .pick(&[Doom::Kill, Doom::Kill, Doom::Freeze, Doom::Stall]);
            self.doomed.push((process, doom));
        }
    }

    /// Lets happen what is due, and the group and its members turn.
    pub(super) fn tick(&mut self) {
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let due = entry.remove();
            self.happen(due);
        }
        for member in self.group.expel(self.now) {
            self.note(format_args!("member {member} is expelled"));
        }
        let processes: Vec<_> = self.clients.keys().copied().collect();
        for process in processes {
            self.beat(process);
        }
        if self.fault(self.settings.restless / 20) && self.group.generation > 0 {
            self.group.preparing = true;
            self.note(format_args!("the group is made to join again"));
        }
        let restless = if self.settings.quiet {
            0
        } else {
            self.settings.restless
        };
        if self.group.complete(restless, &mut self.random) {
            let generation = self.group.generation;
            self.note(format_args!("generation {generation} begins"));
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::CommitSent(id) => self.commit_sent(id),
            Due::CommitArrives(id) => self.commit_arrives(id),
            Due::CommitAnswered(id) => self.commit_answered(id),
            Due::PutArrives(id) => self.put_arrives(id),
            Due::PutAnswered(id) => self.put_answered(id),
            Due::LateArrives(id) => self.late_arrives(id),
            Due::LateAnswered(id) => self.late_answered(id),
            Due::Fetch {
                process,
                partition,
                ticket,
            } => {
                let stored = self.group.stored[partition].clone();
                self.found.insert((process, partition, ticket), stored);
                let slow = self.fault(self.settings.slow_lookups);
                let at = self.now
                    + if slow {
                        self.random.ms(1000, 40_000)
                    } else {
                        self.random.ms(1, 200)
                    };
                self.schedule(
                    at,
                    Due::Told {
                        process,
                        partition,
                        ticket,
                    },
                );
            }
            Due::Told {
                process,
                partition,
                ticket,
            } => {
                let found = self.found.remove(&(process, partition, ticket));
                if let (Some(client), Some(found)) = (self.clients.get_mut(&process), found) {
                    client.notices.push_back(Notice::Standing {
                        partition,
                        ticket,
                        found,
                    });
                }
            }
        }
    }
}
