//! One seed from its beginning to its end: processes turn, faults happen, then all must come to rest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::client::Notice;
use super::process::Process;
use super::world::{Doom, Shared, World};
use crate::metrics::Metrics;

/// Bytes a process may hold beyond its limit: what one poll may bring before memory is looked at. 16 KiB of payloads take more than that as columns, and as late
/// records and dead letters beside them.
pub(super) const SLACK: u64 = 26 << 10;
/// After this long without faults everything must be committed.
const PATIENCE: Duration = Duration::from_secs(400);

/// What has come of a seed.
pub(super) struct Ran {
    pub(super) violation: Option<String>,
    pub(super) hash: u64,
    pub(super) events: u64,
    /// Simulated.
    pub(super) took: Duration,
    pub(super) over_memory: u64,
    pub(super) lines: Vec<String>,
}

/// Runs a seed. `keep` keeps its history.
pub(super) fn run(seed: u64, metrics: &Arc<Metrics>, keep: bool) -> Ran {
    let world = Shared::new(World::new(seed, keep));
    let mut drive = Drive {
        processes: Vec::new(),
        restarts: Vec::new(),
        started: 0,
        over_memory: 0,
        world: world.clone(),
        metrics: metrics.clone(),
    };
    let ended = catch_unwind(AssertUnwindSafe(|| drive.run()));
    let over_memory = drive.over_memory;
    drop(drive);
    let mut world = world.lock();
    if let Err(panic) = ended {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.violate(&format!("panic: {}", text.unwrap_or_default()));
    }
    let history = std::mem::replace(&mut world.history, super::history::History::new(false));
    Ran {
        violation: world.checks.violation.take(),
        hash: history.hash(),
        events: history.events,
        took: world.now,
        over_memory,
        lines: history.into_lines(),
    }
}

struct Drive {
    processes: Vec<Process>,
    /// When processes that have ended are started anew.
    restarts: Vec<Duration>,
    started: usize,
    over_memory: u64,
    world: Shared,
    metrics: Arc<Metrics>,
}

impl Drive {
    fn run(&mut self) {
        let (until, processes) = {
            let mut world = self.world.lock();
            let until = world.settings.faults_until;
            let processes = world.settings.processes;
            (
                until,
                (0..processes).map(|_| world.random.ms(0, 3000)).collect(),
            )
        };
        self.restarts = processes;
        while self.world.lock().now < until {
            self.turn();
            self.faults();
            if self.over() {
                return;
            }
        }
        self.quieten();
        while !self.world.lock().finished() {
            self.turn();
            if self.over() {
                return;
            }
            let mut world = self.world.lock();
            if world.now > until + PATIENCE {
                let stored: Vec<_> = world
                    .group
                    .stored
                    .iter()
                    .map(|s| s.position.offset())
                    .collect();
                world.violate(&format!("never comes to rest: checkpoints {stored:?}"));
                return;
            }
        }
        self.world.lock().check_end();
    }

    fn over(&self) -> bool {
        self.world.lock().checks.violation.is_some()
    }

    /// Time passes, and everybody does what it brings.
    fn turn(&mut self) {
        let (passed, now) = {
            let mut world = self.world.lock();
            let passed = if world.settings.quiet {
                world.random.ms(200, 1200)
            } else {
                match world.random.range(0, 9) {
                    0..=2 => world.random.ms(1, 60),
                    9 => world.random.ms(1000, 2500),
                    _ => world.random.ms(60, 500),
                }
            };
            world.now += passed;
            world.tick();
            (passed, world.now)
        };
        self.doom();
        self.start_due(now);
        for process in &mut self.processes {
            process.write(passed);
        }
        let mut ended = Vec::new();
        for (at, process) in self.processes.iter_mut().enumerate() {
            if process.frozen_until.is_some() || process.stalled_until.is_some() {
                continue;
            }
            for _ in 0..2 {
                match process.turn(now) {
                    Ok(false) => {}
                    Ok(true) => {
                        ended.push(at);
                        break;
                    }
                    Err(what) => return self.world.lock().violate(&what),
                }
            }
            let (held, limit) = process.memory().unwrap_or((0, 0));
            self.over_memory = self.over_memory.max(held.saturating_sub(limit));
            if held > limit + SLACK {
                let what = format!("p{} holds {held} bytes of {limit}", process.number);
                return self.world.lock().violate(&what);
            }
            process.write(Duration::ZERO);
        }
        for at in ended.into_iter().rev() {
            self.processes.remove(at).leave(now);
            self.restart_later();
        }
    }

    fn restart_later(&mut self) {
        let mut world = self.world.lock();
        let at = world.now + world.random.ms(100, 8000);
        self.restarts.push(at);
    }

    fn start_due(&mut self, now: Duration) {
        while let Some(at) = self.restarts.iter().position(|at| *at <= now) {
            self.restarts.swap_remove(at);
            self.started += 1;
            // Whoever is started is the only process of its machine.
            let taken = |machine: &usize| self.processes.iter().any(|p| p.machine == *machine);
            let machine = (0..).find(|machine| !taken(machine)).unwrap_or_default();
            let process = Process::start(self.started, machine, &self.world, &self.metrics);
            self.processes.push(process);
        }
        for process in &mut self.processes {
            if process.frozen_until.is_some_and(|until| until <= now) {
                process.frozen_until = None;
                let mut world = self.world.lock();
                world.note(format_args!("p{} wakes up", process.number));
                if let Some(client) = world.clients.get_mut(&process.number) {
                    client.frozen = false;
                    client.polled = now;
                }
            }
            if process.stalled_until.is_some_and(|until| until <= now) {
                process.stalled_until = None;
                self.world
                    .lock()
                    .note(format_args!("p{} goes on", process.number));
            }
        }
    }

    /// Ends and halts of processes at moments that matter, and at any other.
    fn doom(&mut self) {
        let doomed = std::mem::take(&mut self.world.lock().doomed);
        for (number, doom) in doomed {
            if let Some(at) = self.processes.iter().position(|p| p.number == number) {
                self.strike(at, doom);
            }
        }
    }

    fn strike(&mut self, at: usize, doom: Doom) {
        let number = self.processes[at].number;
        let mut world = self.world.lock();
        world.note(format_args!("p{number}: {doom:?}"));
        let until = world.now + world.random.ms(500, 25_000);
        match doom {
            // As kill -9: nobody is told, and what is on its way stays on its way.
            Doom::Kill => {
                world.clients.remove(&number);
                world.lose_power(self.processes[at].machine);
                drop(world);
                drop(self.processes.remove(at));
                self.restart_later();
            }
            Doom::Freeze => {
                if let Some(client) = world.clients.get_mut(&number) {
                    client.frozen = true;
                }
                self.processes[at].frozen_until = Some(until);
            }
            Doom::Stall => self.processes[at].stalled_until = Some(until),
        }
    }

    fn faults(&mut self) {
        for at in (0..self.processes.len()).rev() {
            let number = self.processes[at].number;
            let mut held = self.world.lock();
            let world = &mut *held;
            let (kills, freezes) = (world.settings.kills, world.settings.freezes);
            let (stalls, stops) = (world.settings.stalls, world.settings.stops);
            let doom = if world.fault(kills) {
                Some(Doom::Kill)
            } else if world.fault(freezes) {
                Some(Doom::Freeze)
            } else if world.fault(stalls) {
                Some(Doom::Stall)
            } else {
                None
            };
            let stop = world.fault(stops);
            let again = world.fault(world.settings.begun_again);
            let partition = world.random.index(world.settings.partitions);
            if again
                && let Some(client) = world.clients.get_mut(&number)
                && !client.owes()
            {
                client.notices.push_back(Notice::Again(partition));
            }
            if stop && !self.processes[at].is_stopping() {
                world.note(format_args!("p{number} is asked to stop"));
                drop(held);
                self.processes[at].begin_stop();
                continue;
            }
            drop(held);
            if let Some(doom) = doom {
                self.strike(at, doom);
            }
        }
    }

    /// No faults any more; who sleeps wakes up.
    fn quieten(&mut self) {
        let mut world = self.world.lock();
        world.note(format_args!("no faults any more"));
        world.settings.quiet = true;
        world.doomed.clear();
    }
}
