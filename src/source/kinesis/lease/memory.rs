//! A lease table in memory, under the same conditions as the real one: for tests and simulations.
//!
//! What it does with a request can be decided from outside, request by request ([`MemoryLeases::trouble`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Answer, Ask, Claim, Coordinator, Lease, LeaseError, LeaseStore, Listing, Write};
#[cfg(test)]
use crate::mutation::{self, Mutation};

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and answered as if the service were down or throttled it.
    Down,
    /// It is done, and answered as if it were not.
    LostAnswer,
    /// It is done after a while; only for those who wait for it ([`LeaseStore`]).
    Slow(Duration),
    /// It is answered as if it were not done, and done after a while, whatever has become of who asked; not done at all by [`MemoryLeases::apply`].
    Late(Duration),
}

type Trouble = Box<dyn FnMut(&Ask) -> Option<Fault> + Send>;

/// The table. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryLeases(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    rows: BTreeMap<String, Lease>,
    coordinator: Option<Coordinator>,
    trouble: Option<Trouble>,
}

impl fmt::Debug for MemoryLeases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.lock().rows).finish()
    }
}

impl MemoryLeases {
    /// Asks `trouble` before each request what shall go wrong with it.
    pub fn trouble(&self, trouble: impl FnMut(&Ask) -> Option<Fault> + Send + 'static) {
        self.lock().trouble = Some(Box::new(trouble));
    }

    /// The rows as they are.
    pub fn rows(&self) -> Vec<Lease> {
        self.lock().rows.values().cloned().collect()
    }

    /// Writes a row as it is, as another program would.
    pub fn put(&self, lease: Lease) {
        self.lock().rows.insert(lease.key.clone(), lease);
    }

    /// Says what a fleet of KCL 3.x has written.
    pub fn coordinate(&self, coordinator: Option<Coordinator>) {
        self.lock().coordinator = coordinator;
    }

    /// Does what is asked for, with what goes wrong.
    ///
    /// # Errors
    /// As [`LeaseStore`] has them.
    pub fn apply(&self, ask: &Ask) -> Result<Answer, LeaseError> {
        match self.fault(ask) {
            Some(Fault::Down | Fault::Late(_)) => Err(down()),
            Some(Fault::LostAnswer) => {
                let _ = self.lock().apply(ask);
                Err(down())
            }
            Some(Fault::Slow(_)) | None => self.lock().apply(ask),
        }
    }

    fn fault(&self, ask: &Ask) -> Option<Fault> {
        self.lock().trouble.as_mut()?(ask)
    }

    async fn slowly(&self, ask: Ask) -> Result<Answer, LeaseError> {
        match self.fault(&ask) {
            Some(Fault::Down) => return Err(down()),
            Some(Fault::LostAnswer) => {
                let _ = self.lock().apply(&ask);
                return Err(down());
            }
            Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
            Some(Fault::Late(time)) => {
                let table = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    let _ = table.lock().apply(&ask);
                });
                return Err(down());
            }
            None => {}
        }
        self.lock().apply(&ask)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn down() -> LeaseError {
    LeaseError::Unavailable("as the test wants it".into())
}

impl Inner {
    fn apply(&mut self, ask: &Ask) -> Result<Answer, LeaseError> {
        match ask {
            Ask::Scan => {
                return Ok(Answer::Listing(Listing {
                    leases: self.rows.values().cloned().collect(),
                    unreadable: Vec::new(),
                    coordinator: self.coordinator.clone(),
                }));
            }
            Ask::Get { key } => {
                return Ok(Answer::Lease(self.rows.get(key).cloned().map(Box::new)));
            }
            Ask::Create(lease) => {
                let row = self.rows.entry(lease.key.clone());
                row.or_insert_with(|| lease.clone());
            }
            Ask::Take { seen, owner } => {
                let row = self.take(seen, owner)?;
                return Ok(Answer::Lease(Some(Box::new(row))));
            }
            Ask::Renew(claim) => self.held(claim).map(|_| ())?,
            Ask::Checkpoint(claim, write) => {
                let row = self.held(claim)?;
                if let Some(checkpoint) = write.checkpoint {
                    row.checkpoint = checkpoint;
                    row.owner_switches = 0;
                }
                row.pending.clone_from(&write.pending);
            }
            Ask::Evict(claim) => self.held(claim)?.owner = None,
            Ask::SetChildren { key, children } => {
                let row = self.rows.get_mut(key).ok_or(LeaseError::Refused)?;
                row.children.clone_from(children);
            }
        }
        Ok(Answer::Done)
    }

    fn take(&mut self, seen: &Lease, owner: &str) -> Result<Lease, LeaseError> {
        let row = self.rows.get_mut(&seen.key);
        let row = row.filter(|row| row.counter == seen.counter);
        let row = row.ok_or(LeaseError::Refused)?;
        let another = seen.owner.as_deref().is_some_and(|before| before != owner);
        if another || seen.checkpoint_owner.as_deref() == Some(owner) {
            row.owner_switches += 1;
        }
        row.counter += 1;
        row.owner = Some(owner.to_owned());
        row.checkpoint_owner = None;
        Ok(row.clone())
    }

    /// The row of who still holds it, with its counter raised.
    fn held(&mut self, claim: &Claim) -> Result<&mut Lease, LeaseError> {
        let row = self.rows.get_mut(&claim.key);
        let is_held = |row: &Lease| row.counter == claim.counter && row.belongs_to(&claim.owner);
        #[cfg(test)]
        let is_held = |row: &Lease| {
            let ours = mutation::on(Mutation::CounterIgnored) && row.belongs_to(&claim.owner);
            is_held(row) || ours || mutation::on(Mutation::LeaseUnguarded)
        };
        let row = row.filter(|row| is_held(row));
        let row = row.ok_or(LeaseError::Refused)?;
        row.counter += 1;
        Ok(row)
    }
}

#[async_trait]
impl LeaseStore for MemoryLeases {
    async fn prepare(&self) -> Result<(), LeaseError> {
        Ok(())
    }

    async fn scan(&self) -> Result<Listing, LeaseError> {
        match self.slowly(Ask::Scan).await? {
            Answer::Listing(listing) => Ok(listing),
            _ => Ok(Listing::default()),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Lease>, LeaseError> {
        let key = key.to_owned();
        match self.slowly(Ask::Get { key }).await? {
            Answer::Lease(lease) => Ok(lease.map(|lease| *lease)),
            _ => Ok(None),
        }
    }

    async fn create(&self, lease: &Lease) -> Result<bool, LeaseError> {
        let there = self.lock().rows.contains_key(&lease.key);
        self.slowly(Ask::Create(lease.clone())).await?;
        Ok(!there)
    }

    async fn renew(&self, claim: &Claim) -> Result<(), LeaseError> {
        self.slowly(Ask::Renew(claim.clone())).await.map(drop)
    }

    async fn take(&self, seen: &Lease, owner: &str) -> Result<Lease, LeaseError> {
        let (seen, owner) = (Box::new(seen.clone()), owner.to_owned());
        match self.slowly(Ask::Take { seen, owner }).await? {
            Answer::Lease(Some(lease)) => Ok(*lease),
            _ => Err(LeaseError::Refused),
        }
    }

    async fn checkpoint(&self, claim: &Claim, write: &Write) -> Result<(), LeaseError> {
        let ask = Ask::Checkpoint(claim.clone(), write.clone());
        self.slowly(ask).await.map(drop)
    }

    async fn evict(&self, claim: &Claim) -> Result<(), LeaseError> {
        self.slowly(Ask::Evict(claim.clone())).await.map(drop)
    }

    async fn set_children(&self, key: &str, children: &BTreeSet<String>) -> Result<(), LeaseError> {
        let (key, children) = (key.to_owned(), children.clone());
        self.slowly(Ask::SetChildren { key, children })
            .await
            .map(drop)
    }

    async fn delete(&self, seen: &Lease) -> Result<(), LeaseError> {
        let mut inner = self.lock();
        let row = inner.rows.get(&seen.key);
        if row.is_none_or(|row| row.counter != seen.counter) {
            return Err(LeaseError::Refused);
        }
        inner.rows.remove(&seen.key);
        Ok(())
    }
}
