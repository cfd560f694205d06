//! The contract between Alluvium and the place it delivers rows to.
//!
//! A [`Target`] begins one [`Inserter`] per span of a partition. The inserter takes the span's rows,
//! table by table, as Arrow record batches, and makes all of them visible at once, or none. Only
//! after that does Alluvium move the stream's checkpoint.
//!
//! This crate owns the nouns both sides speak ([`Partition`], [`Position`], [`Span`], [`Table`]), the
//! trait, its error, the [`causes`] of others, the [`text`] of values, an in-memory target for tests and the [`conformance`] suite every target passes.
//! It knows nothing of streams, of decoding, or of any particular target.

pub mod causes;
pub mod conformance;
pub mod memory;
pub mod text;

mod error;
mod inserter;
mod sequence;
mod span;
mod table;

pub use error::TargetError;
pub use inserter::{Committed, Inserter, Staged, Target};
pub use sequence::{NotASequence, Sequence};
pub use span::{NotAPartition, NotAPosition, Partition, PartitionId, Position, Span, SpanStart};
pub use table::{Table, dead_letters};
