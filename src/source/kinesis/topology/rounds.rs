//! Does what the decisions say: lists shards, makes leases, deletes them.
//!
//! [`Rounds::round`] is for the one worker that looks after all ([`missing`], [`untold`], [`deletable`]), every two minutes; two who do it do no harm. Every
//! worker calls it as long as the table is empty. [`Rounds::end_of`] is for the worker that has read a shard to its end.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::{
    Audit, Ending, Hole, Initial, NeedsShards, at_end, complete, deletable, first, hole, missing,
    untold,
};
use crate::metrics::cloudwatch::{self, KclMetrics};
use crate::source::kinesis::lease::{Lease, LeaseError, LeasePosition, LeaseStore, Topology};
use crate::source::kinesis::stream::{Child, Filter, Shard, Stream, StreamError};

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(120);
/// Between two looks for leases whose shards are gone from the stream.
const GARBAGE: Duration = Duration::from_secs(30 * 60);
/// How often in a row the shards are listed that cover all hash keys, and the pause between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// What was seen is believed no longer than this when a lease is made for it.
const FRESH: Duration = Duration::from_secs(30);

/// Why a round was broken off, named by what the caller does about it. What was done stays done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// The next round may succeed.
    #[error("cannot look after the leases of stream {stream}: {why}")]
    Unavailable {
        /// The stream.
        stream: String,
        /// What happened.
        why: String,
    },
    /// A person must change something.
    #[error("cannot look after the leases of stream {stream}: {why}")]
    Misconfigured {
        /// The stream.
        stream: String,
        /// What is wrong.
        why: String,
    },
}

/// What a round has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Leases that were made.
    pub created: Vec<String>,
    /// Finished leases that have been told their children.
    pub told: Vec<String>,
    /// Finished leases that were deleted.
    pub deleted: Vec<String>,
    /// Hash keys that no lease covers, and how often in a row that was found.
    pub hole: Option<(Hole, u32)>,
}

impl Done {
    /// Whether there is nothing to tell.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        let lists = [
            ("made", &self.created),
            ("told their children", &self.told),
            ("deleted", &self.deleted),
        ];
        for (what, leases) in lists.into_iter().filter(|(_, leases)| !leases.is_empty()) {
            write!(f, "{between}{what}: {}", leases.join(", "))?;
            between = "; ";
        }
        match self.hole {
            Some((Hole { from, to }, times)) => {
                write!(
                    f,
                    "{between}no lease for the hash keys from {from} to {to}, found {times} times in a row"
                )
            }
            None if between.is_empty() => f.write_str("nothing to do"),
            None => Ok(()),
        }
    }
}

/// Looks after the leases of one stream.
#[derive(Debug)]
pub struct Rounds {
    stream: Arc<dyn Stream>,
    leases: Arc<dyn LeaseStore>,
    initial: Initial,
    memory: Mutex<Memory>,
    kcl: Option<Arc<KclMetrics>>,
}

/// What is remembered from round to round.
#[derive(Debug, Default)]
struct Memory {
    audit: Audit,
    round: Option<Instant>,
    garbage: Option<Instant>,
    /// The leases of an empty table were being made, and something went wrong.
    incomplete: bool,
}

impl Rounds {
    /// Nothing is done yet.
    pub fn new(stream: Arc<dyn Stream>, leases: Arc<dyn LeaseStore>, initial: Initial) -> Self {
        Self {
            stream,
            leases,
            initial,
            memory: Mutex::default(),
            kcl: None,
        }
    }

    /// Tells a KCL's metrics of its rounds.
    #[must_use]
    pub fn seen_by(self, kcl: Option<Arc<KclMetrics>>) -> Self {
        Self { kcl, ..self }
    }

    /// The stream whose leases they are.
    pub fn stream(&self) -> &Arc<dyn Stream> {
        &self.stream
    }

    /// Does what is due, when a look at the whole table has seen these leases.
    ///
    /// # Errors
    /// What broke it off.
    pub async fn round(&self, leases: &[Lease]) -> Result<Done, TopologyError> {
        if leases.is_empty() {
            return self.begin().await;
        }
        let incomplete = self.memory(|memory| std::mem::take(&mut memory.incomplete));
        if incomplete {
            let filled = self.fill_missing().await;
            self.memory(|memory| memory.incomplete = filled.is_err());
            return filled;
        }
        if !self.memory(|memory| is_due(&mut memory.round, ROUND)) {
            return Ok(Done::default());
        }
        let began = Instant::now();
        let audited = self.audit(leases).await;
        if let Some(kcl) = &self.kcl {
            kcl.audit(&cloudwatch::Audit {
                holes: audited.as_ref().is_ok_and(|done| done.hole.is_some()),
                took: began.elapsed(),
                success: audited.is_ok(),
            });
        }
        let mut done = audited?;
        if leases.iter().any(Lease::is_finished) {
            self.clean(leases, &mut done).await?;
        }
        Ok(done)
    }

    /// What to do at the end of a shard whose lease is held. `children` are those that its end has told, if it has.
    ///
    /// # Errors
    /// It is not known; ask again.
    pub async fn end_of(&self, shard: &str, children: &[Child]) -> Result<Ending, TopologyError> {
        let listed = self.list(&Filter::All).await?;
        let looked_up = super::children_of(shard, &listed);
        let own = if children.is_empty() {
            &looked_up
        } else {
            children
        };
        let is_own = |id: &String| own.iter().any(|child| child.id == *id);
        let leases = if listed.iter().any(|shard| shard.parents.iter().any(is_own)) {
            // There are more behind them, which is seldom: any of those may have a lease.
            self.scan().await?
        } else {
            let parents = own.iter().flat_map(|child| &child.parents);
            let keys = own.iter().map(|child| &child.id).chain(parents);
            let mut leases = Vec::new();
            for key in keys.collect::<BTreeSet<_>>() {
                let lease = self.leases.get(key).await;
                leases.extend(lease.map_err(|error| self.of_leases(error))?);
            }
            leases
        };
        Ok(at_end(shard, children, &leases, &listed))
    }

    /// Makes the leases of an empty table.
    async fn begin(&self) -> Result<Done, TopologyError> {
        let shards = self.list_complete().await?;
        let since = Instant::now();
        let mut done = Done::default();
        // Others have begun it: at another moment the shards may be others.
        if self.scan().await?.is_empty() {
            let made = self
                .create(first(&shards, self.initial), since, &mut done)
                .await;
            self.memory(|memory| memory.incomplete = made.is_err());
            made?;
        }
        Ok(done)
    }

    /// Looks for hash keys without a lease, and makes what is missing if they are found again and again.
    async fn audit(&self, leases: &[Lease]) -> Result<Done, TopologyError> {
        let found = match hole(leases, None) {
            Ok(found) => found,
            Err(NeedsShards) => {
                let shards = self.list(&Filter::All).await?;
                hole(leases, Some(&shards)).unwrap_or_default()
            }
        };
        let (certain, times) =
            self.memory(|memory| (memory.audit.found(found), memory.audit.times()));
        let mut done = match certain {
            true => self.fill_missing().await?,
            false => Done::default(),
        };
        done.hole = found.map(|hole| (hole, times));
        Ok(done)
    }

    async fn fill_missing(&self) -> Result<Done, TopologyError> {
        let mut done = Done::default();
        let (leases, since) = (self.scan().await?, Instant::now());
        let shards = self.list(&Filter::All).await?;
        let then = match self.initial {
            Initial::AtTimestamp(_) => Some(self.list_complete().await?),
            Initial::TrimHorizon | Initial::Latest => None,
        };
        let find = |leases: &[Lease]| {
            let found = missing(&shards, leases, self.initial, then.as_deref());
            found.map_err(|error| self.unavailable(error.to_string()))
        };
        let found = find(&leases)?;
        if !found.is_empty() && find(&self.scan().await?)? == found {
            self.create(found, since, &mut done).await?;
        }
        Ok(done)
    }

    /// Deletes what is not needed any more, after it has completed what is not finished.
    async fn clean(&self, leases: &[Lease], done: &mut Done) -> Result<(), TopologyError> {
        let mut shards = None;
        let is_untold = |lease: &Lease| lease.is_finished() && lease.children.is_empty();
        if leases.iter().any(is_untold)
            || self.memory(|memory| is_due(&mut memory.garbage, GARBAGE))
        {
            let listed = self.list(&Filter::All).await?;
            self.tell(&listed, done).await?;
            shards = Some(listed);
        }
        for lease in deletable(leases, shards.as_deref()) {
            match self.leases.delete(lease).await {
                Ok(()) => done.deleted.push(lease.key.clone()),
                Err(LeaseError::Refused) => {}
                Err(error) => return Err(self.of_leases(error)),
            }
        }
        Ok(())
    }

    /// Completes finished leases that were left without their children.
    async fn tell(&self, shards: &[Shard], done: &mut Done) -> Result<(), TopologyError> {
        let (leases, since) = (self.scan().await?, Instant::now());
        let found = untold(&leases, shards);
        if found.is_empty() {
            return Ok(());
        }
        let again = self.scan().await?;
        let again = untold(&again, shards);
        for unfinished in found {
            if !again.contains(&unfinished) {
                continue;
            }
            self.create(unfinished.create, since, done).await?;
            let key = &unfinished.lease.key;
            match self.leases.set_children(key, &unfinished.children).await {
                Ok(()) => done.told.push(key.clone()),
                Err(LeaseError::Refused) => {}
                Err(error) => return Err(self.of_leases(error)),
            }
        }
        Ok(())
    }

    async fn create(
        &self,
        leases: Vec<Lease>,
        since: Instant,
        done: &mut Done,
    ) -> Result<(), TopologyError> {
        for lease in leases {
            if since.elapsed() > FRESH {
                return Err(self.unavailable("it takes too long to make its leases".into()));
            }
            let created = self.leases.create(&lease).await;
            if created.map_err(|error| self.of_leases(error))? {
                done.created.push(lease.key);
            }
        }
        Ok(())
    }

    /// All leases. Of a row that cannot be read it is only known that it is there.
    async fn scan(&self) -> Result<Vec<Lease>, TopologyError> {
        let listing = self
            .leases
            .scan()
            .await
            .map_err(|error| self.of_leases(error))?;
        let mut leases = listing.leases;
        let unreadable = listing.unreadable.into_iter();
        leases.extend(unreadable.map(|(key, _)| Lease::new(key, LeasePosition::TrimHorizon)));
        Ok(leases)
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Shard>, TopologyError> {
        let shards = self.stream.list_shards(filter).await;
        let shards = shards.map_err(|error| match error {
            StreamError::NotFound(_) | StreamError::Misconfigured(_) => {
                self.misconfigured(error.to_string())
            }
            _ => self.unavailable(format!("its shards cannot be listed: {error}")),
        })?;
        if shards.is_empty() {
            return Err(self.unavailable("it has no shards".into()));
        }
        Ok(shards)
    }

    /// The shards there were at the initial position: they cover all hash keys, or the list is not whole.
    async fn list_complete(&self) -> Result<Vec<Shard>, TopologyError> {
        let mut shards = self.list_initial().await?;
        for _ in 1..TRIES {
            if complete(&shards) {
                break;
            }
            sleep(PAUSE).await;
            shards = self.list_initial().await?;
        }
        if complete(&shards) {
            return Ok(shards);
        }
        let why = "its shards did not cover all hash keys";
        Err(self.unavailable(format!("{why}, {TRIES} times: a reshard is under way")))
    }

    /// The moment of a reshard belongs to the shards before it and to those behind it, as the service has it. Who reads the first comes to the others.
    async fn list_initial(&self) -> Result<Vec<Shard>, TopologyError> {
        let mut shards = self.list(&self.initial.filter()).await?;
        if matches!(self.initial, Initial::AtTimestamp(_)) {
            let ids: HashSet<_> = shards.iter().map(|shard| shard.id.clone()).collect();
            shards.retain(|shard| !shard.parents.iter().any(|parent| ids.contains(parent)));
        }
        Ok(shards)
    }

    fn memory<T>(&self, of: impl FnOnce(&mut Memory) -> T) -> T {
        of(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn of_leases(&self, error: LeaseError) -> TopologyError {
        match error {
            LeaseError::Misconfigured(why) => self.misconfigured(why),
            LeaseError::Unavailable(_) | LeaseError::Refused => self.unavailable(error.to_string()),
        }
    }

    fn unavailable(&self, why: String) -> TopologyError {
        TopologyError::Unavailable {
            stream: self.stream.name().into(),
            why,
        }
    }

    fn misconfigured(&self, why: String) -> TopologyError {
        TopologyError::Misconfigured {
            stream: self.stream.name().into(),
            why,
        }
    }
}

#[async_trait]
impl Topology for Rounds {
    async fn look(&self, leases: &[Lease]) -> bool {
        let stream = self.stream.name();
        match self.round(leases).await {
            Ok(done) => {
                if !done.is_nothing() {
                    tracing::info!(stream, "leases looked after; {done}");
                }
                !done.created.is_empty()
            }
            Err(error @ TopologyError::Unavailable { .. }) => {
                tracing::warn!("{error}; the next look tries again");
                false
            }
            Err(error @ TopologyError::Misconfigured { .. }) => {
                tracing::error!("{error}; nobody reads new shards before that is put right");
                false
            }
        }
    }
}

/// Whether it is time again; then it is noted.
fn is_due(last: &mut Option<Instant>, period: Duration) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= period);
    if due {
        *last = Some(Instant::now());
    }
    due
}
