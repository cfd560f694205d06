//! All readers of one worker, as the worker has them on its thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::allowance::Allowance;
use super::pace::Pace;
use super::place::Place;
use super::reader::{Reader, seed};
use super::service::Service;
use super::{Fetched, Start};
#[cfg(test)]
use crate::mutation::{self, Mutation};

/// Batches that may wait for the worker; readers wait beyond that. Their bytes are bounded by the allowance.
const WAITING: usize = 64;

/// The readers of one worker's shards. They end when this is dropped.
#[derive(Debug)]
pub struct Readers {
    service: Arc<Service>,
    allowance: Allowance,
    runtime: Handle,
    out: mpsc::Sender<Fetched>,
    inbox: mpsc::Receiver<Fetched>,
    running: HashMap<Arc<str>, Running>,
    /// When each shard may be asked next: who begins anew with it has no more calls than whoever goes on.
    paces: HashMap<Arc<str>, Arc<Mutex<Pace>>>,
}

#[derive(Debug)]
struct Running {
    generation: u64,
    task: AbortHandle,
    paused: watch::Sender<bool>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Readers {
    /// No readers yet. All together hold at most `bytes`: below what one answer may bring, they fetch one at a time.
    #[must_use]
    pub fn new(service: Arc<Service>, bytes: usize, runtime: Handle) -> Self {
        let (out, inbox) = mpsc::channel(WAITING);
        Self {
            service,
            allowance: Allowance::new(bytes),
            runtime,
            out,
            inbox,
            running: HashMap::new(),
            paces: HashMap::new(),
        }
    }

    /// The time of day.
    pub fn wall(&self) -> SystemTime {
        self.service.wall()
    }

    /// Reads the shard from `start` on. Whatever read it before ends, and what that has fetched is dropped.
    pub fn start(&mut self, shard: &str, generation: u64, start: Start) {
        self.stop(shard);
        let shard: Arc<str> = shard.into();
        let (paused, is_paused) = watch::channel(false);
        let reader = Reader {
            shard: shard.clone(),
            generation,
            service: self.service.clone(),
            allowance: self.allowance.clone(),
            out: self.out.clone(),
            paused: is_paused,
            place: Place::new(start, self.service.wall()),
            pace: self.pace_of(&shard),
            told: None,
        };
        let running = Running {
            generation,
            task: self.runtime.spawn(reader.run()).abort_handle(),
            paused,
        };
        self.running.insert(shard, running);
    }

    fn pace_of(&mut self, shard: &Arc<str>) -> Arc<Mutex<Pace>> {
        let now = self.service.now();
        // Those of shards that nobody reads are forgotten when they would not hold up anybody.
        self.paces.retain(|_, pace| {
            let rest = pace
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .rest(now);
            Arc::strong_count(pace) > 1 || !rest.is_zero()
        });
        let pace = self.paces.entry(shard.clone());
        let pace = pace.or_insert_with(|| Arc::new(Mutex::new(Pace::new(seed(shard)))));
        pace.clone()
    }

    /// Reads the shard no more. Nothing of it comes out from now on.
    pub fn stop(&mut self, shard: &str) {
        self.running.remove(shard);
    }

    /// Fetches nothing more of the shard; what was fetched already still comes out. Whoever keeps that for later keeps a part of what
    /// all readers may hold.
    pub fn pause(&mut self, shard: &str) {
        self.set_paused(shard, true);
    }

    /// Undoes [`Readers::pause`].
    pub fn resume(&mut self, shard: &str) {
        self.set_paused(shard, false);
    }

    fn set_paused(&mut self, shard: &str, paused: bool) {
        if let Some(running) = self.running.get(shard) {
            running.paused.send_replace(paused);
        }
    }

    /// Waits for something to be fetched. May be given up and called again.
    pub async fn next(&mut self) -> Fetched {
        loop {
            match self.inbox.recv().await {
                Some(fetched) if self.is_wanted(&fetched) => return fetched,
                Some(_) => {}
                // This holds a sender.
                None => std::future::pending().await,
            }
        }
    }

    /// What is there already, if anything.
    pub fn try_next(&mut self) -> Option<Fetched> {
        while let Ok(fetched) = self.inbox.try_recv() {
            if self.is_wanted(&fetched) {
                return Some(fetched);
            }
        }
        None
    }

    /// Whether what is held leaves too little for a reader to ask for more.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let answer = self.service.settings.answer_bytes;
        self.allowance.is_short_of(answer)
    }

    /// What all readers may hold together.
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    fn is_wanted(&self, fetched: &Fetched) -> bool {
        let running = self.running.get(&fetched.shard);
        #[cfg(test)]
        if mutation::on(Mutation::NewsOfAnotherReader) {
            return running.is_some();
        }
        running.is_some_and(|running| running.generation == fetched.generation)
    }
}
