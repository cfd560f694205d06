//! Workers of a process leave the group together.
//!
//! One that left earlier would start a rebalance in which the others' last commits are refused.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the workers that still have something to commit.
#[derive(Debug)]
pub struct Leaving(AtomicUsize);

impl Leaving {
    /// So many workers are at work.
    pub fn new(workers: usize) -> Self {
        Self(AtomicUsize::new(workers))
    }

    /// Whether nobody has anything left to commit.
    pub fn together(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// One worker's part in leaving: it is done when this is dropped, however the worker ends.
#[derive(Debug)]
pub(super) struct AtWork(std::sync::Arc<Leaving>);

impl AtWork {
    pub(super) fn new(leaving: &std::sync::Arc<Leaving>) -> Self {
        Self(leaving.clone())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
