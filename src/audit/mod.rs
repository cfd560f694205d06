//! What stands in a target, against what must stand there.
//!
//! Owns `verify`'s questions: do the spans of each partition tile up to its checkpoint, is every span complete, do counts and
//! names agree with what the objects say of themselves, and, on request, is in them what they say. Changes nothing.
//!
//! [`inventory`] reads the store, [`tiles`] judges; the judging is pure.

pub mod inventory;
mod report;
pub mod tiles;
mod verify;

pub use inventory::Inventory;
pub use report::{PartitionReport, Report, Violation};
pub use verify::verify;
