//! Where records come from: partitions, positions in them, and the spans between two positions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::sequence::Sequence;

/// What ids of shards begin with.
const SHARD: &str = "shardId-";
/// The fewest digits that follow.
const SHARD_DIGITS: usize = 12;

/// The unit of order of a stream: a Kafka topic-partition or a Kinesis shard.
///
/// Cheap to clone; displayed as `topic-number` or `stream-shardId-000000000000`, the form used in names, logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    topic: Arc<str>,
    id: PartitionId,
}

/// Which partition of its topic or stream.
///
/// Displayed as `3`, or as Kinesis calls its shards: `shardId-` and at least twelve digits. No text is both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartitionId {
    /// The number of a Kafka partition.
    Number(i32),
    /// The number in the id of a Kinesis shard.
    Shard(u64),
}

/// A text that names no partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither the number of a partition nor the id of a shard, such as shardId-000000000012")]
pub struct NotAPartition;

impl Partition {
    /// The partition `number` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, number: i32) -> Self {
        Self::of(topic, PartitionId::Number(number))
    }

    /// The shard of `stream` with this number in its id.
    pub fn shard(stream: impl Into<Arc<str>>, number: u64) -> Self {
        Self::of(stream, PartitionId::Shard(number))
    }

    /// The partition of `topic` that is called so.
    pub fn of(topic: impl Into<Arc<str>>, id: PartitionId) -> Self {
        let topic = topic.into();
        Self { topic, id }
    }

    /// The stream's name: the Kafka topic, or the Kinesis stream.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Which partition of its topic.
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// The partition's number within its Kafka topic; -1, which Kafka gives to none, for a shard.
    pub fn number(&self) -> i32 {
        match self.id {
            PartitionId::Number(number) => number,
            PartitionId::Shard(_) => -1,
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.id)
    }
}

impl FromStr for Partition {
    type Err = NotAPartition;

    /// Takes what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, NotAPartition> {
        let (topic, id) = text.rsplit_once('-').ok_or(NotAPartition)?;
        let (topic, id) = match topic.strip_suffix(SHARD.trim_end_matches('-')) {
            Some(stream) if id.len() >= SHARD_DIGITS => {
                let stream = stream.strip_suffix('-').ok_or(NotAPartition)?;
                (stream, format!("{SHARD}{id}").parse()?)
            }
            _ => (topic, id.parse()?),
        };
        match topic.is_empty() {
            true => Err(NotAPartition),
            false => Ok(Self::of(topic, id)),
        }
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Shard(number) => write!(f, "{SHARD}{number:0SHARD_DIGITS$}"),
        }
    }
}

impl FromStr for PartitionId {
    type Err = NotAPartition;

    /// Takes what [`fmt::Display`] writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, NotAPartition> {
        let id = match text.strip_prefix(SHARD) {
            Some(digits) => digits.parse().map(Self::Shard),
            None => text.parse().map(Self::Number),
        };
        let id = id.map_err(|_| NotAPartition)?;
        match id.to_string() == text {
            true => Ok(id),
            false => Err(NotAPartition),
        }
    }
}

/// A place in a partition, before the record of the same number.
///
/// Positions of one partition are of one kind and ordered; they may have gaps (compaction, transaction markers, and between any two sequence
/// numbers). Displayed as the offset, or as `sequence.sub`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(Place);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    Offset(i64),
    Shard(Sequence, u64),
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an offset nor a place in a shard, which is a sequence number, a dot and a number")]
pub struct NotAPosition;

impl Position {
    /// Behind everything that a shard ever had: it was read to its end, and will have nothing more.
    pub const END: Self = Self(Place::Shard(Sequence::MAX, u64::MAX));

    /// The place before the record at Kafka `offset`.
    #[inline]
    pub const fn at(offset: i64) -> Self {
        Self(Place::Offset(offset))
    }

    /// The place before the user record `sub` in the Kinesis record `sequence`. A record that is no aggregate holds number 0 only.
    pub const fn in_shard(sequence: Sequence, sub: u64) -> Self {
        Self(Place::Shard(sequence, sub))
    }

    /// The Kafka offset of this position; -1, which is none, in a shard.
    pub const fn offset(self) -> i64 {
        match self.0 {
            Place::Offset(offset) => offset,
            Place::Shard(..) => -1,
        }
    }

    /// Sequence number and number within the record, in a shard.
    pub const fn sequence(self) -> Option<(Sequence, u64)> {
        match self.0 {
            Place::Offset(_) => None,
            Place::Shard(sequence, sub) => Some((sequence, sub)),
        }
    }

    /// The place right behind the record at this position.
    #[must_use]
    #[inline]
    pub const fn next(self) -> Self {
        match self.0 {
            Place::Offset(offset) => Self::at(offset + 1),
            Place::Shard(sequence, sub) => Self::in_shard(sequence, sub.saturating_add(1)),
        }
    }

    /// Moves to the place right behind the record at `position`. For every record of a stream: of an offset no more is written than that.
    #[inline]
    pub const fn go_behind(&mut self, position: &Self) {
        match (&mut self.0, &position.0) {
            (Place::Offset(at), Place::Offset(offset)) => *at = *offset + 1,
            _ => *self = position.next(),
        }
    }

    /// The position in 64 bits: an offset as it is, a place in a shard as good as certainly another number than any other place.
    pub fn stamp(self) -> u64 {
        match self.0 {
            Place::Offset(offset) => offset.cast_unsigned(),
            Place::Shard(sequence, sub) => sequence.folded().wrapping_add(sub),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Place::Offset(offset) => offset.fmt(f),
            Place::Shard(..) if *self == Self::END => f.write_str("the end"),
            Place::Shard(sequence, sub) => write!(f, "{sequence}.{sub}"),
        }
    }
}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let Some((sequence, sub)) = text.split_once('.') else {
            return text.parse().map(Self::at).map_err(|_| NotAPosition);
        };
        let sequence = sequence.parse().map_err(|_| NotAPosition)?;
        let number: u64 = sub.parse().map_err(|_| NotAPosition)?;
        match number.to_string() == sub {
            true => Ok(Self::in_shard(sequence, number)),
            false => Err(NotAPosition),
        }
    }
}

/// A contiguous half-open run `[from, to)` of one partition, delivered together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The partition the run belongs to.
    pub partition: Partition,
    /// The first position of the run.
    pub from: Position,
    /// The position right behind the run.
    pub to: Position,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, {})", self.partition, self.from, self.to)
    }
}

/// What is known of a span before its end is: where it begins, and the one clock value its rows may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanStart {
    /// The partition the span belongs to.
    pub partition: Partition,
    /// The first position of the span.
    pub from: Position,
    /// When the span was opened. The same for every row, and for every attempt to write the span.
    pub opened: SystemTime,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shards_are_called_as_the_service_does() {
        let shard = Partition::shard("clicks", 12);
        assert_eq!(shard.to_string(), "clicks-shardId-000000000012");
        assert_eq!("shardId-000000000012".parse(), Ok(PartitionId::Shard(12)));
        for text in [
            "",
            "shardId-12",
            "shardId-0000000000012",
            "shardid-000000000012",
            "+1",
            "01",
            "x",
        ] {
            assert_eq!(text.parse::<PartitionId>(), Err(NotAPartition), "{text}");
        }
    }

    proptest! {
        #[test]
        fn ids_come_back(number in 0..i32::MAX, shard in any::<u64>(), topic in "[a-zA-Z0-9._-]{1,20}(-shardId)?") {
            for id in [PartitionId::Number(number), PartitionId::Shard(shard)] {
                prop_assert_eq!(id.to_string().parse(), Ok(id));
                let partition = Partition::of(topic.as_str(), id);
                prop_assert_eq!(partition.to_string().parse(), Ok(partition));
            }
        }

        #[test]
        fn positions_come_back_and_are_in_order(
            offset in any::<i64>(),
            one in ("0|[1-9][0-9]{0,128}", 0..u64::MAX),
            other in ("0|[1-9][0-9]{0,128}", 0..u64::MAX),
        ) {
            let place = |(sequence, sub): &(String, u64)| Position::in_shard(sequence.parse().unwrap(), *sub);
            for position in [Position::at(offset), place(&one), place(&other)] {
                prop_assert_eq!(position.to_string().parse(), Ok(position));
            }
            prop_assert!(place(&one).next() > place(&one));
            for from in [Position::at(offset), place(&other)] {
                for position in [Position::at(offset / 2), place(&one)] {
                    let mut moved = from;
                    moved.go_behind(&position);
                    prop_assert_eq!(moved, position.next());
                }
            }
            let order = (one.0.len(), &one.0, one.1).cmp(&(other.0.len(), &other.0, other.1));
            prop_assert_eq!(place(&one).cmp(&place(&other)), order);
        }
    }
}
