//! The task that reads one shard: what polling and subscriptions have in common.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use super::super::{Child, RawRecord, StreamError};
use super::allowance::{Allowance, Held};
use super::ended::Listed;
use super::pace::Pace;
use super::place::{Mishap, Place, Said};
use super::service::{Counts, Mode, Service};
use super::{Batch, Fetched, News};

/// Failures one behind the other between two complaints.
const COMPLAINTS: u32 = 20;

/// Reads one shard until it ends, or nobody wants it any more.
pub(super) struct Reader {
    pub(super) shard: Arc<str>,
    pub(super) generation: u64,
    pub(super) service: Arc<Service>,
    pub(super) allowance: Allowance,
    pub(super) out: mpsc::Sender<Fetched>,
    /// Whether its records are not wanted for now.
    pub(super) paused: watch::Receiver<bool>,
    pub(super) place: Place,
    /// The shard's, whoever reads it.
    pub(super) pace: Arc<Mutex<Pace>>,
    /// How far behind the worker was told reading is, if it was told anything.
    pub(super) told: Option<Option<u64>>,
}

/// Why a reader ends.
#[derive(Debug)]
pub(super) enum End {
    /// With this for the worker.
    Told(News),
    /// Nobody listens.
    Unheard,
    /// There is no consumer to subscribe as.
    NoConsumer(String),
}

impl Reader {
    pub(super) async fn run(mut self) {
        let end = match self.service.consumer().await {
            Ok(None) => self.poll().await,
            Ok(Some(consumer)) => self.receive(consumer).await,
            Err(reason) => End::Told(News::Failed(reason)),
        };
        let (End::Told(news), stream) = (end, self.service.stream.name()) else {
            return;
        };
        tracing::debug!(stream, shard = %self.shard, ?news, "reading has ended");
        // Nobody listens any more if that fails.
        let _ = self.tell(news).await;
    }

    /// Has records sent, and asks for them where that cannot be had.
    async fn receive(&mut self, mut consumer: Arc<str>) -> End {
        loop {
            let reason = match self.subscribe(&consumer).await {
                End::NoConsumer(reason) => reason,
                end => return end,
            };
            let (stream, shard) = (self.service.stream.name(), &self.shard);
            if self.service.settings.mode == Mode::Auto {
                tracing::warn!(stream, %shard, reason, "no subscription to be had: the shard is polled instead");
                return self.poll().await;
            }
            tracing::warn!(stream, %shard, reason, "the consumer is gone; looking for it");
            match self.service.active_consumer().await {
                Ok(again) => consumer = again,
                Err(reason) => return End::Told(News::Failed(reason)),
            }
        }
    }

    /// Waits until records are wanted.
    pub(super) async fn wanted(&mut self) -> Result<(), End> {
        let wanted = self.paused.wait_for(|paused| !paused).await;
        wanted.map(|_| ()).map_err(|_| End::Unheard)
    }

    /// Waits until the service may be asked.
    pub(super) async fn rest(&self) {
        let rest = self.pace().rest(self.service.now());
        tokio::time::sleep(rest).await;
    }

    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what is new of `records`, and returns whether there was anything to hand over.
    pub(super) async fn hand_over(
        &mut self,
        records: Vec<RawRecord>,
        said: Said,
        mut held: Held,
    ) -> Result<(), End> {
        let now = self.service.now();
        let records = self.place.accept(records, said, now);
        let records = records.map_err(|mishap| End::Told(self.mishap(mishap)))?;
        let behind_ms = said.behind_ms;
        if records.is_empty() && self.told == Some(behind_ms) {
            return Ok(());
        }
        held.settle(footprint(&records));
        self.told = Some(behind_ms);
        let batch = Batch {
            records,
            behind_ms,
            held,
        };
        self.tell(News::Records(batch)).await
    }

    async fn tell(&self, news: News) -> Result<(), End> {
        let fetched = Fetched {
            shard: self.shard.clone(),
            generation: self.generation,
            news,
        };
        self.out.send(fetched).await.map_err(|_| End::Unheard)
    }

    fn mishap(&self, mishap: Mishap) -> News {
        match mishap {
            Mishap::Trimmed { expected, oldest } => News::Trimmed { expected, oldest },
            Mishap::Disordered(one, next) => News::Failed(format!(
                "{}-{}: record {next} comes behind {one}: this server keeps no order",
                self.service.stream.name(),
                self.shard
            )),
        }
    }

    /// A call of this name has failed: rests, or ends.
    pub(super) async fn failed(&mut self, call: &str, error: StreamError) -> Result<(), End> {
        let now = self.service.now();
        match &error {
            StreamError::Expired => {
                self.service.expired(&self.shard);
                self.pace().expired(now);
                self.place.renew(now);
                return Ok(());
            }
            StreamError::Misconfigured(reason) => {
                return Err(End::Told(News::Failed(reason.clone())));
            }
            StreamError::NotFound(reason) => {
                self.pace().failed(now);
                self.missing(reason).await?;
            }
            StreamError::Throttled(_) => {
                self.service.throttled(call);
                self.pace().failed(now);
            }
            StreamError::InUse(_) => self.pace().in_use(now),
            StreamError::Unavailable(_) => {
                Counts::count(&self.service.counts().failed);
                self.pace().failed(now);
            }
        }
        self.complain(&error);
        Ok(())
    }

    fn complain(&self, error: &StreamError) {
        let (stream, failures) = (self.service.stream.name(), self.pace().failures());
        // Throttling is usual where several read a stream.
        if failures % COMPLAINTS == 3 {
            tracing::warn!(stream, shard = %self.shard, %error, failures, "kinesis: the shard cannot be read for now; trying again");
        } else {
            tracing::debug!(stream, shard = %self.shard, %error, "kinesis: trying again");
        }
    }

    /// The service does not know the shard, or not at this moment, or does not know the stream.
    async fn missing(&self, reason: &str) -> Result<(), End> {
        match self.service.look_up(&self.shard).await {
            Ok(Listed::Gone) => Err(End::Told(News::Gone)),
            Err(StreamError::NotFound(reason) | StreamError::Misconfigured(reason)) => {
                Err(End::Told(News::Failed(reason)))
            }
            Ok(_) | Err(_) => {
                tracing::debug!(shard = %self.shard, reason, "kinesis: an answer that the list of shards contradicts, or cannot confirm");
                Ok(())
            }
        }
    }

    /// The service says that the shard ends here. If it names nobody who goes on, the list of shards has to confirm it: an end that is
    /// none would lose what follows. Returns if it is none.
    pub(super) async fn ended(&mut self, children: Vec<Child>) -> Result<(), End> {
        if !children.is_empty() {
            return Err(End::Told(News::Ended(children)));
        }
        let error = match self.service.look_up(&self.shard).await {
            Ok(Listed::Closed(children)) => return Err(End::Told(News::Ended(children))),
            Ok(Listed::Gone) => return Err(End::Told(News::Ended(Vec::new()))),
            Ok(Listed::Open) => StreamError::Unavailable("the end of a shard that is open".into()),
            Err(error) => error,
        };
        // The end is read once more.
        let now = self.service.now();
        self.place.renew(now);
        self.pace().failed(now);
        self.complain(&error);
        Ok(())
    }
}

/// Memory that records take, about.
pub(super) fn footprint(records: &[RawRecord]) -> usize {
    let records = records.iter();
    let bytes = records.map(|record| record.bytes() + size_of::<RawRecord>());
    bytes.sum()
}

/// Bytes as the service counts them.
pub(super) fn counted(records: &[RawRecord]) -> usize {
    records.iter().map(RawRecord::bytes).sum()
}

/// Another one each time, and for each shard.
pub(super) fn seed(shard: &str) -> u64 {
    RandomState::new().hash_one(shard)
}
