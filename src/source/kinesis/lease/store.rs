//! What can be done to a lease table, and under which conditions.
//!
//! The same request is a value ([`Ask`]) for those who decide without I/O, and a method for those who just want it done.

use std::collections::BTreeSet;
use std::fmt::Debug;

use async_trait::async_trait;

use super::{Lease, LeaseError, LeasePosition, Pending};

/// What a worker believes of a lease that it holds: the condition of its writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The lease.
    pub key: String,
    /// The worker.
    pub owner: String,
    /// The counter it has seen last.
    pub counter: u64,
}

/// What a holder stores in its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The new checkpoint; `None` leaves it and the count of owners where they are.
    pub checkpoint: Option<LeasePosition>,
    /// What stands beside it from now on; `None` removes what stood there.
    pub pending: Option<Pending>,
}

impl Write {
    /// Leaves the checkpoint as it is.
    pub(super) fn beside(pending: Pending) -> Self {
        Self {
            checkpoint: None,
            pending: Some(pending),
        }
    }

    /// Whether a row looks as if this had been stored in it.
    pub(super) fn is_in(&self, lease: &Lease) -> bool {
        self.checkpoint.is_none_or(|to| to == lease.checkpoint) && self.pending == lease.pending
    }
}

/// What KCL 3.x keeps beside the leases, in a table of its own or among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coordinator {
    /// A leader assigns the leases: who takes one by itself only disturbs.
    pub assigns: bool,
    /// Changes when anything of it does, as it does every few seconds while a worker of 3.x is alive.
    pub print: u64,
}

/// All of a lease table.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The leases.
    pub leases: Vec<Lease>,
    /// Rows that should be leases and cannot be read, with the reason. Nobody reads their shards.
    pub unreadable: Vec<(String, String)>,
    /// What KCL 3.x has left, if it was ever here.
    pub coordinator: Option<Coordinator>,
}

/// A lease table. Nothing is ever written in it without a condition, and attributes that are not named here survive every write.
#[async_trait]
pub trait LeaseStore: Debug + Send + Sync {
    /// Makes the table if there is none, and waits until it can be used.
    ///
    /// # Errors
    /// [`LeaseError::Misconfigured`] if a person must do something first.
    async fn prepare(&self) -> Result<(), LeaseError>;

    /// Whether there is a table; those in memory always are.
    ///
    /// # Errors
    /// If that cannot be found out.
    async fn exists(&self) -> Result<bool, LeaseError> {
        Ok(true)
    }

    /// All rows, each as it was at some moment after the call.
    ///
    /// # Errors
    /// Never [`LeaseError::Refused`].
    async fn scan(&self) -> Result<Listing, LeaseError>;

    /// One row as it is now.
    ///
    /// # Errors
    /// Never [`LeaseError::Refused`].
    async fn get(&self, key: &str) -> Result<Option<Lease>, LeaseError>;

    /// Creates a lease. `false` if there is one already, which stays as it is.
    ///
    /// # Errors
    /// Never [`LeaseError::Refused`].
    async fn create(&self, lease: &Lease) -> Result<bool, LeaseError>;

    /// Raises the counter.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] unless owner and counter are those of the claim, and no hand-off has begun.
    async fn renew(&self, claim: &Claim) -> Result<(), LeaseError>;

    /// Makes `owner` the owner of a lease that was seen like this, and returns the row as it is then.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] unless the counter is the one seen.
    async fn take(&self, seen: &Lease, owner: &str) -> Result<Lease, LeaseError>;

    /// Stores a checkpoint, a plan, or both, and raises the counter. The owner is not written.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] as for [`LeaseStore::renew`].
    async fn checkpoint(&self, claim: &Claim, write: &Write) -> Result<(), LeaseError>;

    /// Gives the lease back: removes the owner and raises the counter.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] as for [`LeaseStore::renew`].
    async fn evict(&self, claim: &Claim) -> Result<(), LeaseError>;

    /// Writes down what became of a shard. Does not raise the counter, as KCL does not.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] if there is no such lease.
    async fn set_children(&self, key: &str, children: &BTreeSet<String>) -> Result<(), LeaseError>;

    /// Deletes a lease that was seen like this.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] unless the counter is the one seen.
    async fn delete(&self, seen: &Lease) -> Result<(), LeaseError>;

    /// Does what is asked for.
    ///
    /// # Errors
    /// As the method it stands for.
    async fn perform(&self, ask: &Ask) -> Result<Answer, LeaseError> {
        Ok(match ask {
            Ask::Scan => Answer::Listing(self.scan().await?),
            Ask::Get { key } => Answer::Lease(self.get(key).await?.map(Box::new)),
            Ask::Create(lease) => self.create(lease).await.map(|_| Answer::Done)?,
            Ask::Renew(claim) => self.renew(claim).await.map(|()| Answer::Done)?,
            Ask::Take { seen, owner } => {
                Answer::Lease(Some(Box::new(self.take(seen, owner).await?)))
            }
            Ask::Checkpoint(claim, write) => {
                self.checkpoint(claim, write).await?;
                Answer::Done
            }
            Ask::Evict(claim) => self.evict(claim).await.map(|()| Answer::Done)?,
            Ask::SetChildren { key, children } => {
                self.set_children(key, children).await?;
                Answer::Done
            }
        })
    }
}

/// A request to a [`LeaseStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// [`LeaseStore::scan`].
    Scan,
    /// [`LeaseStore::get`].
    Get {
        /// The lease.
        key: String,
    },
    /// [`LeaseStore::create`].
    Create(Lease),
    /// [`LeaseStore::renew`].
    Renew(Claim),
    /// [`LeaseStore::take`].
    Take {
        /// The row as it was seen.
        seen: Box<Lease>,
        /// Who takes it.
        owner: String,
    },
    /// [`LeaseStore::checkpoint`].
    Checkpoint(Claim, Write),
    /// [`LeaseStore::evict`].
    Evict(Claim),
    /// [`LeaseStore::set_children`].
    SetChildren {
        /// The lease.
        key: String,
        /// The shards that came from it.
        children: BTreeSet<String>,
    },
}

/// What came of an [`Ask`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// It was done.
    Done,
    /// The row, if there is one.
    Lease(Option<Box<Lease>>),
    /// All rows.
    Listing(Listing),
}
