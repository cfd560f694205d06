//! Reads a Kinesis stream as one of the workers that share its leases.
//!
//! A worker ([`KinesisSource`]) holds leases ([`lease`]), has a reader for each of their shards ([`stream`]), takes aggregates apart
//! ([`aggregate`]) and writes down where a shard has ended and what follows it ([`topology`]). What stands in a lease for a checkpoint and a plan is
//! `stored`'s; [`bulk`] fetches what records point to. Nothing here knows what becomes of records.

pub mod aggregate;
pub mod bulk;
pub mod lease;
pub mod sdk;
mod seen;
mod slots;
mod source;
mod stored;
pub mod stream;
mod survey;
pub mod topology;

pub use self::source::{KinesisSource, Parts, Runs};
pub use self::stored::lease_at;
pub use self::survey::{KinesisSurvey, done_and_forgotten, of_stream, of_table};
