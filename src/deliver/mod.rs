//! From sealed spans to checkpoints: write until durable, then let the checkpoint move.
//!
//! Owns the order of things: a checkpoint moves only past spans whose outputs are all durable. Retry
//! of a failing target lives here and nowhere else. Knows the target's contract, not any target, and not where checkpoints
//! are kept.

mod backoff;
mod ledger;
mod write;

pub use backoff::Backoff;
pub use ledger::{Ledger, SpanId, SpanIds};
pub use write::{Outcome, UnderWay, Writer, Written};
