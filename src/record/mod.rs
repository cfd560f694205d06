//! The nouns of the program: what is read, where it stands, and where it goes.
//!
//! Everything else knows this module; it knows nothing but the nouns it shares with targets.

mod column_type;
mod row;

pub use alluvium_target::{
    Partition, PartitionId, Position, Sequence, Span, SpanStart, Table, dead_letters,
};
#[cfg(test)]
pub(crate) use column_type::tests::types;
pub use column_type::{ColumnType, UnknownType};
pub use row::{
    Cell, Container, Entry, Field, Items, Nested, Opened, Piece, Row, RowBuffer, Stretch, Value,
};

/// One message of a stream, borrowed from the client that received it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it stands in its partition.
    pub position: Position,
    /// Its time in milliseconds since the epoch, if the stream knows one.
    pub timestamp: Option<i64>,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its payload; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// What one of its headers says of its payload's schema, if the source was asked for it.
    pub schema: Option<&'a [u8]>,
    /// The topic it was first sent to, if it has come to this one by way of the historical topic: its table is that one's.
    pub origin: Option<&'a str>,
}

impl Record<'_> {
    /// Bytes of key and payload.
    pub fn bytes(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.payload.map_or(0, <[u8]>::len)
    }
}
