//! Writes to a stream all the time, at a steady rate, and remembers where each record went.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use alluvium::record::Position;
use tokio::runtime::Handle;

use crate::records::Records;
use crate::support::aggregate::aggregate as across;
use crate::support::kinesis::{Kinesis, aggregate};
use crate::support::random::Random;

/// User records of an aggregate, at most.
const USERS: u64 = 20;
const TICK: Duration = Duration::from_millis(50);

/// Where a record went.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) shard: u64,
    pub(crate) position: Position,
}

/// The number in a shard's id.
pub(crate) fn number(shard: &str) -> u64 {
    let digits = shard.strip_prefix("shardId-").unwrap();
    digits.parse().unwrap()
}

pub(crate) struct Feed<'a> {
    pub(crate) kinesis: &'a Kinesis,
    pub(crate) runtime: &'a Handle,
    pub(crate) stream: &'a str,
    pub(crate) records: Records,
    /// By producer, in the order of their sequences.
    pub(crate) sent: Vec<Vec<Place>>,
}

impl Feed<'_> {
    /// Sends `rate` records a second until `stop`, and tells where they went.
    pub(crate) fn run(mut self, rate: u64, stop: &AtomicBool) -> Vec<Vec<Place>> {
        let start = Instant::now();
        let mut random = Random::new(self.records.seed);
        let mut total = 0;
        while !stop.load(Ordering::Relaxed) {
            let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
            // What is late because the machine is slow is made up for bit by bit.
            let due = due.min(total + rate);
            let mut runs = Vec::new();
            let mut next: Vec<u64> = self.sent.iter().map(|sent| sent.len() as u64).collect();
            while total < due {
                let producer = random.below(next.len() as u64) as usize;
                let count = match random.chance(30) {
                    true => 2 + random.below(USERS - 1),
                    false => 1,
                };
                runs.push((producer, next[producer], count));
                next[producer] += count;
                total += count;
            }
            self.send(&runs, &mut random);
            std::thread::sleep(TICK);
        }
        self.sent
    }

    /// Sends runs of a producer's records: one by itself, more of them as an aggregate.
    fn send(&mut self, runs: &[(usize, u64, u64)], random: &mut Random) {
        let mut written = Vec::new();
        let mut meant = Vec::new();
        for &run in runs {
            let (producer, first, count) = run;
            let key = format!("{producer}-{first}");
            if count == 1 {
                written.push((key, self.payload(producer, first)));
            } else {
                let users = (first..first + count)
                    .map(|sequence| (format!("{sequence}"), self.payload(producer, sequence)));
                let users: Vec<_> = users.collect();
                if random.chance(20) {
                    written.push((key.clone(), foreign(&users)));
                    meant.push(None);
                }
                let payload = aggregate(&key, &users);
                written.push((key, payload));
            }
            meant.push(Some(run));
        }
        let put = self.kinesis.put_records(self.stream, &written);
        let places = self.runtime.block_on(put);
        for ((shard, sequence), run) in places.into_iter().zip(meant) {
            let Some((producer, _, count)) = run else {
                continue;
            };
            let place = |sub| Place {
                shard: number(&shard),
                position: Position::in_shard(sequence, sub),
            };
            self.sent[producer].extend((0..count).map(place));
        }
    }

    fn payload(&self, producer: usize, sequence: u64) -> Vec<u8> {
        let mut payload = Vec::new();
        self.records.payload(producer, sequence, &mut payload);
        payload
    }
}

/// An aggregate whose user records belong to the first and to the last shard: as after a reshard, nobody may take it, and its producer
/// sends them again.
fn foreign(users: &[(String, Vec<u8>)]) -> Vec<u8> {
    let last = u128::MAX.to_string();
    let hashes = ["0", last.as_str()].into_iter().cycle();
    let users = users
        .iter()
        .zip(hashes)
        .map(|((key, data), hash)| (key.as_str(), Some(hash), data.as_slice()));
    across(&users.collect::<Vec<_>>())
}
