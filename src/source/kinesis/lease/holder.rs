//! The task that does what a [`Keeper`] asks for: one for each worker, beside the worker's own thread.
//!
//! Owns the channels between the two. What the worker does not take from its channel holds nothing up: leases are renewed all the same, and
//! what it has not heard of a lease that was gained and lost meanwhile it never hears of.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{
    Answer, Ask, Command, Event, Keeper, Lease, LeaseError, LeaseStore, Request, Settings, Tally,
};

/// Waiting on either side; who sends more waits.
const CHANNEL: usize = 64;
/// Between two ticks, while requests are under way that must end first.
const BREATH: Duration = Duration::from_millis(5);

/// Sees to it that every shard has a lease, and no lease outlives its use.
#[async_trait]
pub trait Topology: Debug + Send + Sync {
    /// Told all leases after each look, on one worker of the fleet. True if there are leases now that this look did not see.
    async fn look(&self, leases: &[Lease]) -> bool;
}

/// A worker's end of the task. Dropping it gives all leases back, as closing does.
#[derive(Debug)]
pub struct Holder {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
    tally: watch::Receiver<Tally>,
    worker: String,
}

impl Holder {
    /// The worker's name in the table.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// What has come of its work, if that is not what was told the last time.
    pub fn new_tally(&mut self) -> Option<Tally> {
        match self.tally.has_changed() {
            Ok(true) => Some(*self.tally.borrow_and_update()),
            Ok(false) | Err(_) => None,
        }
    }

    /// Whether the task has ended, though nobody has closed it, and nothing of what has happened is left to be heard.
    pub fn has_ended(&self) -> bool {
        self.events.is_closed() && self.events.is_empty()
    }

    /// What has happened, if anything.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Where what has happened comes in, for those who wait for it.
    pub fn events(&mut self) -> &mut mpsc::Receiver<Event> {
        &mut self.events
    }

    /// Passes a command on. Not to be called from a task: may wait for a moment.
    pub fn send(&self, command: Command) {
        // The task ends only when it was told to, and then nothing is left to command.
        let _ = self.commands.blocking_send(command);
    }

    /// Passes a command on from a task.
    pub async fn pass(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }

    /// Gives all leases back and waits until that is done, for no longer than a lease lives. Not to be called from a task. Returns what has
    /// happened meanwhile.
    pub fn close(mut self) -> Vec<Event> {
        self.send(Command::Close);
        std::iter::from_fn(|| self.events.blocking_recv()).collect()
    }
}

/// Starts the task. `seed` decides which of several free leases it takes first.
pub fn start(
    settings: Settings,
    store: Arc<dyn LeaseStore>,
    topology: Option<Arc<dyn Topology>>,
    seed: u64,
    runtime: &Handle,
) -> Holder {
    let (commands, received) = mpsc::channel(CHANNEL);
    let (sender, events) = mpsc::channel(CHANNEL);
    let (told, tally) = watch::channel(Tally::default());
    let worker = settings.worker.clone();
    let task = Task {
        told,
        keeper: Keeper::new(settings, seed),
        store,
        topology,
        started: Instant::now(),
    };
    runtime.spawn(task.run(received, sender));
    Holder {
        commands,
        events,
        tally,
        worker,
    }
}

type Round = Pin<Box<dyn Future<Output = bool> + Send>>;

struct Task {
    told: watch::Sender<Tally>,
    keeper: Keeper,
    store: Arc<dyn LeaseStore>,
    topology: Option<Arc<dyn Topology>>,
    started: Instant,
}

impl Task {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>, events: mpsc::Sender<Event>) {
        let mut answers = FuturesUnordered::new();
        let mut round: Option<Round> = None;
        let mut news = None;
        let mut commanded = true;
        loop {
            let now = self.now();
            for request in self.keeper.tick(now) {
                answers.push(self.perform(request));
            }
            self.next_round(&mut round);
            let tally = self.keeper.tally();
            self.told.send_if_modified(|told| {
                let new = *told != tally;
                *told = tally;
                new
            });
            news = news.or_else(|| self.keeper.next_event());
            if self.keeper.is_over() && news.is_none() {
                return;
            }
            let wake = self.keeper.wake_at(now).max(now + BREATH);
            let wake = wake.min(now + Duration::from_secs(3600));
            tokio::select! {
                Some((id, outcome)) = answers.next(), if !answers.is_empty() => {
                    let now = self.now();
                    self.keeper.answered(id, outcome, now);
                }
                command = commands.recv(), if commanded => {
                    commanded = command.is_some();
                    let now = self.now();
                    self.keeper.command(command.unwrap_or(Command::Close), now);
                }
                place = events.reserve(), if news.is_some() => {
                    // Without a place nobody listens any more.
                    if let (Ok(place), Some(event)) = (place, news.take()) {
                        place.send(event);
                    }
                }
                more = end_of(&mut round) => {
                    round = None;
                    if more {
                        let now = self.now();
                        self.keeper.command(Command::Look, now);
                    }
                }
                () = tokio::time::sleep_until(self.started + wake) => {}
            }
        }
    }

    /// Makes a request, and gives up waiting for its end when that is of no use any more.
    fn perform(
        &self,
        request: Request,
    ) -> impl Future<Output = (u64, Result<Answer, LeaseError>)> + Send + use<> {
        let store = Arc::clone(&self.store);
        let failover = self.keeper.settings().failover;
        async move {
            let Request { id, ask } = request;
            let limit = match ask {
                // Pages of a large table, of which none may be slow.
                Ask::Scan => failover * 3,
                _ => failover / 2,
            };
            let outcome = tokio::time::timeout(limit, store.perform(&ask)).await;
            let late = |_| LeaseError::Unavailable(format!("no answer within {limit:?}"));
            (id, outcome.map_err(late).and_then(|outcome| outcome))
        }
    }

    /// Begins to see to the shards, unless that is still going on from the last time.
    fn next_round(&mut self, round: &mut Option<Round>) {
        let Some(leases) = self.keeper.next_round() else {
            return;
        };
        if let (None, Some(topology)) = (&round, &self.topology) {
            let topology = Arc::clone(topology);
            *round = Some(Box::pin(async move { topology.look(&leases).await }));
        }
    }
}

/// What a round came to; never, if there is none.
async fn end_of(round: &mut Option<Round>) -> bool {
    match round {
        Some(round) => round.as_mut().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
