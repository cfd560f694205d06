//! One process: a worker, and what it has of the world.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::super::simulation::random::Random;
use super::beside::Beside;
use super::gate::{Gate, GatedLeases, GatedStream};
use super::world::Services;
use crate::deliver::SentBefore;
use crate::flush::Policy;
use crate::metrics::Health;
use crate::source::Source as _;
use crate::source::kinesis::lease::{self, LeaseStore, OWNER_PREFIX, Topology};
use crate::source::kinesis::stream::Stream;
use crate::source::kinesis::stream::shard::{Mode, Readers, Service, Settings};
use crate::source::kinesis::topology::Rounds;
use crate::source::kinesis::{KinesisSource, Parts, Runs};
use crate::worker::clock::Clock;
use crate::worker::tests::shape_on;
use crate::worker::{Budget, Leaving, REVOKE_DEADLINE, Shared, Worker, WorkerError};

/// A lease without a sign of life for so long is another's.
pub(super) const FAILOVER: Duration = Duration::from_secs(10);

pub(super) struct Process {
    pub(super) name: usize,
    pub(super) worker: Option<Worker<Beside>>,
    pub(super) gate: Gate,
    stopping: bool,
}

/// How a process works.
pub(super) struct Ways {
    pub(super) mode: Mode,
    pub(super) policy: Policy,
    /// How often, of ten thousand times, other threads get on while the worker is busy.
    pub(super) lags: u64,
}

/// The time of a runtime that a test has stopped.
#[derive(Debug)]
struct RuntimeClock {
    runtime: Arc<Runtime>,
    began: tokio::time::Instant,
    wall: SystemTime,
}

impl Clock for RuntimeClock {
    fn now(&self) -> Duration {
        let _inside = self.runtime.enter();
        self.began.elapsed()
    }

    fn wall(&self) -> SystemTime {
        self.wall + self.now()
    }
}

/// What a process reads the stream with.
pub(super) fn source(
    name: usize,
    services: &Services,
    gate: &Gate,
    settings: Settings,
) -> KinesisSource {
    let runtime = &services.runtime;
    let stream: Arc<dyn Stream> = Arc::new(GatedStream {
        gate: gate.clone(),
        stream: services.stream.clone(),
    });
    let leases: Arc<dyn LeaseStore> = Arc::new(GatedLeases {
        gate: gate.clone(),
        leases: services.leases.clone(),
        refused: services.refused.clone(),
    });
    let initial = services.initial;
    let rounds = Arc::new(Rounds::new(stream.clone(), leases.clone(), initial));
    // No two clocks agree.
    let ahead = Duration::from_millis(name as u64 * 3571 % 9000);
    let wall = services.stream.wall() + ahead - Duration::from_millis(4500);
    let service = Arc::new(Service::new(stream, settings).at(wall));
    let topology: Arc<dyn Topology> = rounds.clone();
    let holder = lease::Settings::new(format!("{OWNER_PREFIX}{name:03}"), FAILOVER);
    KinesisSource::new(Parts {
        stream: "s".into(),
        holder: lease::start(
            holder,
            leases,
            Some(topology),
            name as u64,
            runtime.handle(),
        ),
        readers: Readers::new(service, 256 << 10, runtime.handle().clone()),
        rounds,
        initial,
        runtime: Runs::Within(runtime.clone()),
        metrics: services.metrics.clone(),
        kcl: None,
    })
}

impl Process {
    pub(super) fn start(name: usize, services: &Services, ways: Ways) -> Self {
        let gate = Gate::open();
        let runtime = &services.runtime;
        let _inside = runtime.enter();
        let metrics = services.metrics.clone();
        let settings = Settings {
            mode: ways.mode,
            limit: 50,
            answer_bytes: 64 << 10,
            ..Settings::default()
        };
        let source = source(name, services, &gate, settings);
        let random = Random::new(name as u64);
        let source = Beside::new(source, runtime.clone(), random, ways.lags);
        let clock = RuntimeClock {
            runtime: runtime.clone(),
            began: tokio::time::Instant::now(),
            wall: services.stream.wall(),
        };
        let shared = Shared {
            shape: Arc::new(shape_on(Arc::new(services.target.clone()), "the usual")),
            reshape: Arc::new(|_| Err("there is one shape only".into())),
            policy: ways.policy,
            historical: None,
            duplicates: None,
            late: Arc::new(SentBefore),
            building_limit: 1 << 20,
            max_poll: 7,
            budget: Arc::new(Budget::new(1 << 22, metrics.clone())),
            health: Arc::new(Health::new(1)),
            metrics,
            runtime: runtime.handle().clone(),
            attempts: Arc::new(Semaphore::new(4)),
            ends: None,
            revoke_deadline: REVOKE_DEADLINE,
            leaving: Arc::new(Leaving::new(1)),
        };
        Self {
            name,
            worker: Some(Worker::new(0, source, Box::new(clock), shared)),
            gate,
            stopping: false,
        }
    }

    /// One turn of its worker. Returns whether it has ended.
    pub(super) fn step(&mut self) -> Result<bool, WorkerError> {
        let Some(worker) = &mut self.worker else {
            return Ok(true);
        };
        if !worker.step()? {
            return Ok(false);
        }
        if let Some(mut worker) = self.worker.take() {
            let now = worker.tools.clock.now();
            let all: Vec<_> = worker.flows.keys().copied().collect();
            worker.drop_flows(&all, now);
            worker.source.close();
        }
        Ok(true)
    }

    /// Neither asks nor hears anything from now on, or does again.
    pub(super) fn freeze(&self, frozen: bool) {
        self.gate.set(!frozen);
    }

    /// A partition that it has stopped, and why.
    pub(super) fn stopped(&self) -> Option<String> {
        let mut flows = self.worker.as_ref()?.flows.values();
        flows.find_map(|flow| Some(format!("{}: {}", flow.partition, flow.stopped.as_ref()?)))
    }

    pub(super) fn begin_stop(&mut self) {
        self.stopping = true;
        if let Some(worker) = &mut self.worker {
            worker.begin_stop();
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// As `kill -9`: what it has under way at the services may still be done.
    pub(super) fn kill(self) {
        self.gate.set(false);
        drop(self.worker);
    }
}
