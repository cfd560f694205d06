//! Records whose id tells what must become of them: nothing has to be remembered but how many were sent.

use std::io::Write as _;

use crate::support::random::Random;

pub(crate) const PROJECT: &str = "chaos";
/// Where a line holds a record's id, which is `rPARTITION-SEQUENCE`.
pub(crate) const MARK: &[u8] = b"\"id\":\"r";
const TABLES: u64 = 3;
/// What is of days before that, counted from the day of the run, is late: the years before 2012, until 2050.
pub(crate) const DAYS: &str = "5000";
/// In milliseconds, where the times of records begin: in November 2023, and in February 2001 for those that are late.
const TIME: u64 = 1_700_000_000_000;
const LATE_TIME: u64 = 981_173_106_000;
/// A record repeats one that is no more than so many places before it in its partition, or in the next.
const APART: u64 = 2_000;

/// What must become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A row of the table `t0`, `t1`, …
    Row { table: u64 },
    /// A dead letter.
    Dead,
    /// A record of the historical topic.
    Late,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Records {
    pub(crate) seed: u64,
    /// Whether some are late.
    pub(crate) late: bool,
    /// Whether some repeat the event of another.
    pub(crate) repeats: bool,
}

impl Records {
    fn hash(self, partition: usize, sequence: u64) -> u64 {
        Random::new(self.seed ^ (partition as u64) << 48 ^ sequence).next()
    }

    /// One in a hundred is broken, and one in 25 late.
    pub(crate) fn class(self, partition: usize, sequence: u64) -> Class {
        let hash = self.hash(partition, sequence);
        if is_broken(hash) {
            Class::Dead
        } else if self.is_late(hash) {
            Class::Late
        } else {
            let (partition, sequence) = self.event(partition, sequence);
            Class::Row {
                table: self.table(partition, sequence),
            }
        }
    }

    fn table(self, partition: usize, sequence: u64) -> u64 {
        (self.hash(partition, sequence) >> 8) % TABLES
    }

    /// The record whose event this one has: itself, or, for one in five of those that become rows, another that becomes a row.
    pub(crate) fn event(self, partition: usize, sequence: u64) -> (usize, u64) {
        let hash = self.hash(partition, sequence);
        let back = 1 + (hash >> 20) % APART;
        let other = (
            partition ^ ((hash >> 40) & 1) as usize,
            sequence.wrapping_sub(back),
        );
        let repeats = self.may_repeat(hash) && back <= sequence;
        // One that may be a repeat itself is repeated by none.
        let repeated = self.hash(other.0, other.1);
        match repeats && self.is_plain(repeated) && !self.may_repeat(repeated) {
            true if self.is_plain(hash) => other,
            _ => (partition, sequence),
        }
    }

    fn is_plain(self, hash: u64) -> bool {
        !is_broken(hash) && !self.is_late(hash)
    }

    fn is_late(self, hash: u64) -> bool {
        self.late && (hash >> 50).is_multiple_of(25)
    }

    fn may_repeat(self, hash: u64) -> bool {
        self.repeats && (hash >> 33).is_multiple_of(5)
    }

    /// A number that a row carries beside its id.
    pub(crate) fn value(self, partition: usize, sequence: u64) -> u64 {
        (self.hash(partition, sequence) >> 16) % 1_000_003
    }

    /// Writes the record's payload.
    pub(crate) fn payload(self, partition: usize, sequence: u64, out: &mut Vec<u8>) {
        out.clear();
        let hash = self.hash(partition, sequence);
        let value = self.value(partition, sequence);
        let (from, table) = match self.class(partition, sequence) {
            Class::Row { table } => (TIME, table),
            Class::Late => (LATE_TIME, self.table(partition, sequence)),
            Class::Dead => return broken(partition, sequence, hash, out),
        };
        let event = self.event(partition, sequence);
        let time = from + self.hash(event.0, event.1) % 1_000_000_000;
        let user = match self.repeats {
            // No two events are alike by chance.
            true => format!("u{}-{}", event.0, event.1),
            false => format!("u{:04}", (hash >> 24) % 10_000),
        };
        write!(
            out,
            "{{\"data\":{{\"_project\":\"{PROJECT}\",\"_collection\":\"t{table}\",\"_time\":{time},\"_user\":\"{user}\",\
             \"id\":\"r{partition}-{sequence}\",\"v\":{value},\"text\":\"{}\"",
            ["a short text", "two words or some more", "naïve café", "日本語"][(hash >> 32) as usize % 4],
        )
        .unwrap();
        if (hash >> 40).is_multiple_of(10) {
            // Columns come and go, and are not always of the type they began with.
            let column = (sequence / 5_000) % 60;
            let kind = (hash >> 44) % 5;
            let cell = ["17", "\"text\"", "true", "2.5", "{\"n\":[1,2]}"][kind as usize];
            write!(out, ",\"c{column}\":{cell}").unwrap();
        }
        out.extend_from_slice(b"}}");
    }
}

fn is_broken(hash: u64) -> bool {
    hash.is_multiple_of(100)
}

fn broken(partition: usize, sequence: u64, hash: u64, out: &mut Vec<u8>) {
    let id = format!("\"id\":\"r{partition}-{sequence}\"");
    match (hash >> 32) % 5 {
        0 => write!(out, "{{\"data\":{{{id},\"_project\":\"p\",\"_coll"),
        1 => write!(
            out,
            "{{\"data\":{{{id},\"_project\":\"p\",\"_collection\":\"c\"}}}}}}"
        ),
        2 => write!(
            out,
            "{{\"date\":{{{id},\"_project\":\"p\",\"_collection\":\"c\"}}}}"
        ),
        3 => write!(out, "{{\"data\":{{{id},\"_project\":\"p\"}}}}"),
        _ => write!(out, "{{\"data\":{{{id},\"a\":\"").and_then(|()| out.write_all(b"\xc3\"}}")),
    }
    .unwrap();
}

/// Partition and sequence of the id in `line`, looked for at `hint` first; `hint` is where it was found.
pub(crate) fn id_of(line: &[u8], hint: &mut usize) -> Option<(usize, u64)> {
    let at = if line.get(*hint..).is_some_and(|rest| rest.starts_with(MARK)) {
        *hint
    } else {
        line.windows(MARK.len()).position(|window| window == MARK)?
    };
    *hint = at;
    let digits = &line[at + MARK.len()..];
    let (partition, rest) = number(digits)?;
    let (sequence, rest) = number(rest.strip_prefix(b"-")?)?;
    rest.starts_with(b"\"")
        .then(|| (usize::try_from(partition).unwrap_or(usize::MAX), sequence))
}

fn number(digits: &[u8]) -> Option<(u64, &[u8])> {
    let len = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let text = std::str::from_utf8(&digits[..len]).ok()?;
    Some((text.parse().ok()?, &digits[len..]))
}
