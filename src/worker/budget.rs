//! One byte budget for the whole process, shared by its workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::flush::{Held, Relief, relieve};
use crate::metrics::Metrics;

/// What all workers hold together, against the limit.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    open: AtomicU64,
    sealed: AtomicU64,
    metrics: Arc<Metrics>,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64, metrics: Arc<Metrics>) -> Self {
        metrics.budget_limit.set(gauge(limit));
        Self {
            limit,
            open: AtomicU64::new(0),
            sealed: AtomicU64::new(0),
            metrics,
        }
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes held now by all workers.
    pub fn held(&self) -> Held {
        Held {
            open: self.open.load(Ordering::Relaxed),
            sealed: self.sealed.load(Ordering::Relaxed),
        }
    }

    /// What to do about it.
    pub fn relief(&self) -> Relief {
        relieve(self.limit, self.held())
    }
}

/// One holder's share of the budget; given back when dropped, however that happens.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    held: u64,
    sealed: bool,
}

impl Share {
    /// An empty share in an open span.
    pub(super) fn open(budget: &Arc<Budget>) -> Self {
        Self {
            budget: budget.clone(),
            held: 0,
            sealed: false,
        }
    }

    /// Bytes of this share.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Says how much is held now.
    pub(super) fn set(&mut self, bytes: u64) {
        let counter = self.counter();
        if bytes >= self.held {
            counter.fetch_add(bytes - self.held, Ordering::Relaxed);
        } else {
            counter.fetch_sub(self.held - bytes, Ordering::Relaxed);
        }
        self.held = bytes;
        self.publish();
    }

    /// The span is sealed: from now on its bytes wait for the target.
    pub(super) fn seal(&mut self) {
        let held = self.held;
        self.set(0);
        self.sealed = true;
        self.set(held);
    }

    fn counter(&self) -> &AtomicU64 {
        if self.sealed {
            &self.budget.sealed
        } else {
            &self.budget.open
        }
    }

    fn publish(&self) {
        let Held { open, sealed } = self.budget.held();
        self.budget.metrics.budget_open.set(gauge(open));
        self.budget.metrics.budget_sealed.set(gauge(sealed));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn gauge(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_come_back() {
        let budget = Arc::new(Budget::new(1000, Metrics::new().unwrap()));
        let mut a = Share::open(&budget);
        let mut b = Share::open(&budget);
        a.set(300);
        b.set(100);
        b.set(50);
        assert_eq!(
            budget.held(),
            Held {
                open: 350,
                sealed: 0
            }
        );
        a.seal();
        assert_eq!(
            budget.held(),
            Held {
                open: 50,
                sealed: 300
            }
        );
        drop(a);
        drop(b);
        assert_eq!(budget.held(), Held::default());
    }
}
