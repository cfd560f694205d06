//! One process: a real worker, its runtime, its clocks, and the ways it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::events::SimEvents;
use super::historical::SimLate;
use super::log::Log;
use super::source::SimSource;
use super::store::SimTarget;
use super::tables::SimTables;
use super::world::Shared as World;
use crate::catalog::Tables;
use crate::decode::json::{JsonSettings, Layout};
use crate::duplicates::Duplicates;
use crate::metrics::{Health, Metrics};
use crate::record::{Partition, Position};
use crate::source::Source;
use crate::table::{ColumnSettings, Objects, UserType, Zone};
use crate::worker::flow::Flow;
use crate::worker::{
    Budget, Clock, Ends, EventRule, LateRule, Leaving, REVOKE_DEADLINE, Routing, Shape, Shared,
    TimeField, Worker,
};

/// How far clocks are ahead of the world's time.
const EARLIEST_START_MS: u64 = 1_000_000;
pub(super) const LATEST_START_MS: u64 = 1_010_000;

/// The world's time, with this process's own idea of the date.
#[derive(Clone, Debug)]
struct SimClock {
    now_ms: Arc<AtomicU64>,
    ahead: Duration,
}

impl Clock for SimClock {
    fn now(&self) -> Duration {
        Duration::from_millis(self.now_ms.load(Ordering::Relaxed))
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + self.ahead + self.now()
    }
}

pub(super) struct Process {
    pub(super) number: usize,
    /// Whose disk it has. No other process has it.
    pub(super) machine: usize,
    // Before the runtime: what it has under way ends with it.
    worker: Worker<SimSource>,
    runtime: Runtime,
    clock: SimClock,
    budget: Arc<Budget>,
    /// How far the runtime's time is behind.
    behind: Duration,
    /// Stopped as a whole until then.
    pub(super) frozen_until: Option<Duration>,
    /// Only the worker's thread hangs until then.
    pub(super) stalled_until: Option<Duration>,
    stopping: bool,
    /// Whether it has read a planned span again: those are read to their ends, however much memory they take.
    bound: bool,
}

impl Process {
    pub(super) fn start(
        number: usize,
        machine: usize,
        world: &World,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let (policy, memory, ends, ahead, now, max_poll, attempts, routing) = {
            let mut world = world.lock();
            let world = &mut *world;
            let policy = world.settings.policy(&mut world.random);
            let ahead = world.random.ms(EARLIEST_START_MS, LATEST_START_MS) + world.settings.date;
            let max_poll = world.random.pick(&[1, 3, 10, 50]);
            let attempts = world.random.index(3) + 1;
            world
                .clients
                .insert(number, super::client::Client::new(world.now));
            let now = world.now;
            world.note(format_args!("p{number} starts: {policy:?}"));
            let ends = world.settings.until_end.then(|| {
                let number = |log: &Log| i32::try_from(log.partition).unwrap();
                let end = |log: &Arc<Log>| {
                    (
                        Partition::new("t", number(log)),
                        Some(Position::at(log.high())),
                    )
                };
                Arc::new(Ends::new(world.logs.iter().map(end).collect(), 1))
            });
            (
                policy,
                world.settings.memory,
                ends,
                ahead,
                now,
                max_poll,
                attempts,
                routing(world.settings.late, world.settings.repeats),
            )
        };
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let target = Arc::new(SimTarget {
            world: world.clone(),
            process: number,
        });
        let duplicates = routing.events.is_some().then(|| {
            Duplicates::kept_in(SimEvents {
                world: world.clone(),
                machine,
            })
        });
        let catalog = world.lock().settings.catalog;
        let tables = catalog.then(|| -> Arc<dyn Tables> {
            Arc::new(SimTables {
                world: world.clone(),
                process: number,
            })
        });
        let shape = shape(target).routed(routing).bound(tables);
        let budget = Arc::new(Budget::new(memory, metrics.clone()));
        let clock = SimClock {
            now_ms: Arc::new(AtomicU64::new(millis(now))),
            ahead,
        };
        let shared = Shared {
            reshape: Arc::new(|_| Err("all have the same settings".into())),
            shape: Arc::new(shape),
            policy,
            historical: None,
            duplicates,
            late: Arc::new(SimLate {
                world: world.clone(),
                process: number,
            }),
            building_limit: memory / 10,
            max_poll: usize::try_from(max_poll).unwrap(),
            budget: budget.clone(),
            metrics: metrics.clone(),
            health: Arc::new(Health::new(1)),
            runtime: runtime.handle().clone(),
            attempts: Arc::new(Semaphore::new(attempts)),
            ends,
            leaving: Arc::new(Leaving::new(1)),
            revoke_deadline: REVOKE_DEADLINE,
        };
        let source = SimSource {
            world: world.clone(),
            process: number,
        };
        Self {
            number,
            machine,
            worker: Worker::new(0, source, Box::new(clock.clone()), shared),
            runtime,
            clock,
            budget,
            behind: Duration::ZERO,
            frozen_until: None,
            stalled_until: None,
            stopping: false,
            bound: false,
        }
    }

    /// A turn of the worker. `true` when a stop is complete.
    pub(super) fn turn(&mut self, now: Duration) -> Result<bool, String> {
        self.clock.now_ms.store(millis(now), Ordering::Relaxed);
        let done = self
            .worker
            .step()
            .map_err(|error| format!("p{}: {error}", self.number))?;
        self.bound |= self.worker.flows.values().any(Flow::is_bound);
        match self
            .worker
            .flows
            .values()
            .find_map(|flow| flow.stopped.as_ref())
        {
            Some(reason) => Err(format!(
                "p{} has stopped a partition: {reason}",
                self.number
            )),
            None => Ok(done),
        }
    }

    /// Lets the writes of this process go on.
    pub(super) fn write(&mut self, passed: Duration) {
        self.behind += passed;
        if self.frozen_until.is_some() {
            return;
        }
        let passed = std::mem::take(&mut self.behind);
        self.runtime.block_on(async {
            if !passed.is_zero() {
                tokio::time::advance(passed).await;
            }
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        });
    }

    pub(super) fn begin_stop(&mut self) {
        self.stopping = true;
        self.worker.begin_stop();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// The end of [`Worker::run`].
    pub(super) fn leave(mut self, now: Duration) {
        let all: Vec<_> = self.worker.flows.keys().copied().collect();
        self.worker.drop_flows(&all, now);
        self.worker.source.close();
    }

    /// Bytes held, and what may be, if there is a limit.
    pub(super) fn memory(&self) -> Option<(u64, u64)> {
        let held = self.budget.held();
        (!self.bound).then(|| (held.open + held.sealed, self.budget.limit()))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

fn routing(late: bool, repeats: bool) -> Routing {
    Routing {
        late: late.then(|| LateRule {
            topic: "old".into(),
            days: 1,
        }),
        events: repeats.then(|| EventRule {
            user_field: "_user".into(),
        }),
        time: TimeField {
            name: "_time".into(),
            zone: Zone::UTC,
        },
        ..Routing::default()
    }
}

fn shape(target: Arc<SimTarget>) -> Shape {
    let columns = ColumnSettings {
        checkpoint_field: "_shard_time".into(),
        time_field: "_time".into(),
        user_field: "_user".into(),
        user_type: UserType::String,
        key_field: None,
        arrival_field: None,
        zone: Zone::UTC,
        objects: Objects::Map,
    };
    let json = JsonSettings {
        layout: Layout::Plain,
        project: "p".into(),
        collection_field: Some("c".into()),
        max_bytes: 1 << 20,
    };
    Shape::new("the usual", target, columns, json)
}
