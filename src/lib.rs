//! Alluvium drains event streams into columns.
//!
//! It reads partitions of a stream, decodes payloads into the rows of tables, delivers them to a target as Arrow
//! record batches, and moves the stream's checkpoint only when the target has made them durable.
//!
//! The modules, in the order a record meets them:
//! * [`record`]: the nouns;
//! * [`source`]: brings records in and keeps checkpoints;
//! * [`decode`]: payload bytes to a row;
//! * [`table`]: rows to columns;
//! * [`flush`]: when to seal a span;
//! * [`duplicates`]: which events were there before;
//! * [`deliver`]: write and commit, with retry;
//! * [`worker`]: the loop that joins these;
//!
//! and around them [`awaited`] (what partitions wait for), [`catalog`] (which columns tables have), [`config`], [`metrics`], [`admin`], [`registry`] (the targets there are), [`schemas`] (where those of records are had from), [`run`] (the process's shape), [`audit`],
//! [`replay`] and [`recover`] (looking at a target and mending it), [`demo`] and [`cli`].

pub mod record;
pub mod source;
pub mod decode;
pub mod table;
pub mod flush;
pub mod duplicates;
pub mod deliver;
pub mod worker;

pub mod admin;
pub mod audit;
pub mod awaited;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod demo;
mod failpoint;
pub mod metrics;
pub mod recover;
#[cfg(test)]
mod mutation;
pub mod registry;
pub mod replay;
pub mod run;
pub mod schemas;

pub use registry::Targets;
