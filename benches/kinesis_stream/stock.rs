//! What the stream has: the answers to those who ask for records, ready to be sent.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::parts;
use crate::support::aggregate as written;

/// Shards, which all have the same records.
pub const SHARDS: usize = 12;
/// Answers that bring records of one shard.
const ANSWERS: usize = 8;
/// User records of one answer: the service gives at most so many, and less than the 10 MiB it gives.
const IN_ANSWER: usize = 10_000;
/// User records in an aggregate.
pub const USERS: usize = 100;
/// All user records of the stream.
pub const RECORDS: usize = SHARDS * ANSWERS * IN_ANSWER;

/// How the records came into the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Producer {
    /// Each by itself.
    Plain,
    /// [`USERS`] in each.
    Aggregating,
}

/// The answers of a shard from its beginning, the last one, which brings nothing, again and again.
pub fn answers(producer: Producer) -> Vec<Bytes> {
    let events = parts::events(ANSWERS * IN_ANSWER);
    let payloads = parts::json(&events);
    let keyed: Vec<(String, Vec<u8>)> = payloads
        .into_iter()
        .enumerate()
        .map(|(number, payload)| (key(number), payload))
        .collect();
    let mut numbers = 0..;
    let mut answers: Vec<Bytes> = keyed
        .chunks(IN_ANSWER)
        .enumerate()
        .map(|(at, users)| {
            let records = match producer {
                Producer::Plain => users.to_vec(),
                Producer::Aggregating => users.chunks(USERS).map(aggregate).collect(),
            };
            answer(&records, &mut numbers, at + 1, (ANSWERS - at) * 1000)
        })
        .collect();
    answers.push(answer(&[], &mut numbers, ANSWERS, 0));
    answers
}

fn key(number: usize) -> String {
    format!("user-{:06}", number * 7919 % 200_000)
}

fn aggregate(users: &[(String, Vec<u8>)]) -> (String, Vec<u8>) {
    let users: Vec<written::User<'_>> = users
        .iter()
        .map(|(key, payload)| (key.as_str(), None, payload.as_slice()))
        .collect();
    ("a".into(), written::aggregate(&users))
}

/// An answer to `GetRecords`.
fn answer(
    records: &[(String, Vec<u8>)],
    numbers: &mut impl Iterator<Item = u64>,
    next: usize,
    behind_ms: usize,
) -> Bytes {
    let mut text = String::from("{\"Records\":[");
    for (at, ((key, payload), number)) in records.iter().zip(numbers).enumerate() {
        if at > 0 {
            text.push(',');
        }
        // As many digits as the service's have.
        write!(
            text,
            "{{\"SequenceNumber\":\"4959033827149025660855969253836157109592157{number:013}\",\"ApproximateArrivalTimestamp\":1517378{:03}.{:03},\"Data\":\"",
            number / 1000 % 1000,
            number % 1000,
        )
        .expect("text");
        STANDARD.encode_string(payload, &mut text);
        write!(text, "\",\"PartitionKey\":\"{key}\"}}").expect("text");
    }
    write!(
        text,
        "],\"NextShardIterator\":\"{next}\",\"MillisBehindLatest\":{behind_ms}}}"
    )
    .expect("text");
    text.into()
}
