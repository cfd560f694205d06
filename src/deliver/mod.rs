//! From sealed spans to checkpoints: plan, write until durable, then let the checkpoint move.
//!
//! Owns the order of things: nothing is written before the stream has confirmed a plan of it, and a checkpoint moves only
//! past spans whose outputs are all durable. Retry of a failing target lives here and nowhere else. Knows the target's
//! contract, not any target, and not where checkpoints and plans are kept.

mod backoff;
mod late;
mod ledger;
mod plan;
mod write;

pub use backoff::Backoff;
pub use late::{Late, LateError, LateSink, NoLate, SentBefore};
pub use ledger::{Ledger, SpanId, SpanIds, Stored};
pub use plan::{MAX_TEXT, Plan, PlanError, Planned, Print, Unreadable};
pub use write::{Load, Outcome, UnderWay, Writer, Written};
