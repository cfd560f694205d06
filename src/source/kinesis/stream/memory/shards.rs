//! Shards in memory: what is written to them, and what is read.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{
    Filter, From, HashRange, Limits, RawRecord, Sequence, Shard, State, StreamError, Trouble,
};
use crate::source::kinesis::stream::Child;

/// A shard and its records.
pub(super) struct Kept {
    shard: Shard,
    records: VecDeque<(RawRecord, Duration)>,
    /// Records deleted before those.
    trimmed: usize,
    children: Vec<Child>,
    /// Since when and until when it is open.
    made: SystemTime,
    closed: Option<SystemTime>,
    pub(super) forgotten: bool,
    /// When it was read lately, and until when all is used up.
    reads: VecDeque<Duration>,
    used_up: Duration,
    /// Who is subscribed as which consumer, and since when.
    pub(super) subscribed: Vec<(String, u64, Duration)>,
}

/// What was read.
pub(super) struct Read {
    pub(super) records: Vec<RawRecord>,
    /// The place behind them, if the shard goes on.
    pub(super) next: Option<usize>,
    pub(super) behind_ms: u64,
    pub(super) children: Vec<Child>,
}

impl Kept {
    /// The place before the first record that `from` means.
    pub(super) fn place(&self, from: From) -> usize {
        let before = |is_before: &dyn Fn(&RawRecord) -> bool| {
            let records = self.records.iter();
            self.trimmed + records.take_while(|(record, _)| is_before(record)).count()
        };
        match from {
            From::TrimHorizon => self.trimmed,
            From::Latest => self.end(),
            From::At(sequence) => before(&|record| record.sequence < sequence),
            From::AtTimestamp(time) => before(&|record| record.arrival_ms < Some(millis(time))),
        }
    }

    /// The service counts the moment at which a shard is closed to it, and to its children.
    fn was_open(&self, time: SystemTime) -> bool {
        self.made <= time && self.closed.is_none_or(|closed| closed >= time)
    }

    fn end(&self) -> usize {
        self.trimmed + self.records.len()
    }

    pub(super) fn trim(&mut self, before: Sequence) {
        while (self.records.front()).is_some_and(|(record, _)| record.sequence < before) {
            self.records.pop_front();
            self.trimmed += 1;
        }
    }

    /// Reads records from a place on. Nothing is counted.
    pub(super) fn read(
        &self,
        place: usize,
        most: usize,
        bytes: usize,
        now: Duration,
        tells_children: bool,
    ) -> Read {
        let skip = place.saturating_sub(self.trimmed);
        let (mut records, mut size) = (Vec::new(), 0);
        for (record, _) in self.records.iter().skip(skip).take(most) {
            size += record.bytes();
            if size > bytes && !records.is_empty() {
                break;
            }
            records.push(record.clone());
        }
        let next = skip + records.len();
        let behind = self.records.get(next);
        let behind_ms = behind.map_or(0, |(_, arrived)| {
            u64::try_from(now.saturating_sub(*arrived).as_millis())
                .unwrap()
                .max(1)
        });
        let ends = self.shard.closed && behind.is_none();
        let children = match ends && tells_children {
            true => self.children.clone(),
            false => Vec::new(),
        };
        Read {
            records,
            next: (!ends).then_some(self.trimmed + next),
            behind_ms,
            children,
        }
    }

    /// Whether the service would answer another read.
    fn admits(&mut self, now: Duration, limits: &Limits) -> bool {
        let second = Duration::from_secs(1);
        while (self.reads.front()).is_some_and(|read| *read + second <= now) {
            self.reads.pop_front();
        }
        self.reads.len() < limits.reads_per_second && now >= self.used_up
    }

    fn note(&mut self, now: Duration, bytes: usize, limits: &Limits) {
        self.reads.push_back(now);
        let owed = bytes as u64 * 1_000_000 / limits.bytes_per_second;
        self.used_up = now + Duration::from_micros(owed);
    }
}

impl State {
    /// A number that is greater than all before: 56 digits, as the service's have.
    pub(super) fn number(&mut self) -> Sequence {
        self.numbers += 1;
        format!("4960{:052}", self.numbers).parse().unwrap()
    }

    pub(super) fn add(
        &mut self,
        parents: Vec<String>,
        hash_range: HashRange,
        made: SystemTime,
    ) -> Child {
        let id = format!("shardId-{:012}", self.shards.len());
        let child = Child {
            id: id.clone(),
            parents: parents.clone(),
            hash_range,
        };
        let shard = Shard {
            id,
            parents,
            hash_range,
            closed: false,
            first: self.number(),
            last: None,
        };
        self.shards.push(Kept {
            shard,
            records: VecDeque::new(),
            trimmed: 0,
            children: Vec::new(),
            made,
            closed: None,
            forgotten: false,
            reads: VecDeque::new(),
            used_up: Duration::ZERO,
            subscribed: Vec::new(),
        });
        child
    }

    pub(super) fn shard(&mut self, id: &str) -> Option<&mut Kept> {
        self.shards.iter_mut().find(|kept| kept.shard.id == id)
    }

    pub(super) fn find(&self, id: &str) -> Result<(usize, &Kept), StreamError> {
        let mut shards = self.shards.iter().enumerate();
        shards
            .find(|(_, kept)| kept.shard.id == id && !kept.forgotten)
            .ok_or_else(|| StreamError::NotFound(format!("shard {id}")))
    }

    pub(super) fn put(
        &mut self,
        hash: u128,
        key: &str,
        data: &[u8],
        now: Duration,
        wall: SystemTime,
    ) -> (String, Sequence) {
        let sequence = self.number();
        let mut shards = self.shards.iter_mut();
        let kept = shards
            .find(|kept| {
                let range = kept.shard.hash_range;
                !kept.shard.closed && (range.start..=range.end).contains(&hash)
            })
            .unwrap();
        let record = RawRecord {
            sequence,
            arrival_ms: Some(millis(wall)),
            partition_key: key.into(),
            data: Bytes::copy_from_slice(data),
        };
        kept.records.push_back((record, now));
        (kept.shard.id.clone(), sequence)
    }

    pub(super) fn split(&mut self, id: &str, wall: SystemTime) -> Vec<String> {
        let HashRange { start, end } = self.shard(id).unwrap().shard.hash_range;
        let middle = start + (end - start) / 2;
        let halves = [(start, middle), (middle + 1, end)];
        let children: Vec<Child> = halves
            .into_iter()
            .map(|(start, end)| self.add(vec![id.to_owned()], HashRange { start, end }, wall))
            .collect();
        self.close(id, &children, wall);
        children.into_iter().map(|child| child.id).collect()
    }

    pub(super) fn merge(&mut self, one: &str, other: &str, wall: SystemTime) -> String {
        let first = self.shard(one).unwrap().shard.hash_range;
        let second = self.shard(other).unwrap().shard.hash_range;
        assert_eq!(first.end + 1, second.start, "neighbours only");
        let range = HashRange {
            start: first.start,
            end: second.end,
        };
        let child = self.add(vec![one.to_owned(), other.to_owned()], range, wall);
        self.close(one, std::slice::from_ref(&child), wall);
        self.close(other, std::slice::from_ref(&child), wall);
        child.id
    }

    fn close(&mut self, id: &str, children: &[Child], wall: SystemTime) {
        let last = self.number();
        let kept = self.shard(id).unwrap();
        assert!(!kept.shard.closed, "{id} is closed already");
        kept.shard.closed = true;
        kept.closed = Some(wall);
        kept.shard.last = Some(last);
        kept.children = children.to_vec();
    }

    pub(super) fn list(&self, filter: &Filter) -> Vec<Shard> {
        let all = || self.shards.iter().filter(|kept| !kept.forgotten);
        let known = |id: &String| all().any(|kept| kept.shard.id == *id);
        let shards = all();
        let shards = shards.filter(|kept| match filter {
            Filter::AtLatest => !kept.shard.closed,
            // Everything that was ever written is retained, but what was forgotten.
            Filter::AtTrimHorizon => !kept.shard.parents.iter().any(known),
            Filter::AtTimestamp(time) => kept.was_open(*time),
            Filter::All => true,
        });
        shards.map(|kept| kept.shard.clone()).collect()
    }

    pub(super) fn read(
        &mut self,
        number: usize,
        place: usize,
        most: usize,
        now: Duration,
        limits: &Limits,
        trouble: Option<&Trouble>,
    ) -> Result<Read, StreamError> {
        let kept = &mut self.shards[number];
        if kept.forgotten {
            return Err(StreamError::NotFound(kept.shard.id.clone()));
        }
        if !kept.admits(now, limits) {
            self.throttled += 1;
            return Err(StreamError::Throttled(kept.shard.id.clone()));
        }
        let most = match trouble {
            Some(Trouble::Empty) => 0,
            _ => most,
        };
        let read = kept.read(place, most, limits.answer_bytes, now, limits.tells_children);
        let bytes = read.records.iter().map(RawRecord::bytes).sum();
        kept.note(now, bytes, limits);
        Ok(read)
    }
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// The shard and the place that an iterator stands for.
pub(super) fn parse(
    iterator: &str,
    now: Duration,
    limits: &Limits,
) -> Result<(usize, usize), StreamError> {
    let parts: Vec<usize> = iterator
        .split(':')
        .map(|part| part.parse().unwrap())
        .collect();
    let [shard, place, made] = parts[..] else {
        panic!("{iterator} is no iterator")
    };
    let age = now.saturating_sub(Duration::from_millis(made as u64));
    match age > limits.iterator_life {
        true => Err(StreamError::Expired),
        false => Ok((shard, place)),
    }
}
