//! Records whose id tells what must become of them: nothing has to be remembered but how many were sent.

use std::io::Write as _;

use crate::support::random::Random;

pub(crate) const PROJECT: &str = "chaos";
/// Where a line holds a record's id, which is `rPARTITION-SEQUENCE`.
pub(crate) const MARK: &[u8] = b"\"id\":\"r";
const TABLES: u64 = 3;

/// What must become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A row of the table `t0`, `t1`, …
    Row { table: u64 },
    /// A dead letter.
    Dead,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Records {
    pub(crate) seed: u64,
}

impl Records {
    fn hash(self, partition: usize, sequence: u64) -> u64 {
        Random::new(self.seed ^ (partition as u64) << 48 ^ sequence).next()
    }

    /// One in a hundred is broken.
    pub(crate) fn class(self, partition: usize, sequence: u64) -> Class {
        let hash = self.hash(partition, sequence);
        if hash.is_multiple_of(100) {
            Class::Dead
        } else {
            Class::Row {
                table: (hash >> 8) % TABLES,
            }
        }
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
        let table = match self.class(partition, sequence) {
            Class::Row { table } => table,
            Class::Dead => return broken(partition, sequence, hash, out),
        };
        write!(
            out,
            "{{\"data\":{{\"_project\":\"{PROJECT}\",\"_collection\":\"t{table}\",\"_time\":{},\"_user\":\"u{:04}\",\
             \"id\":\"r{partition}-{sequence}\",\"v\":{value},\"text\":\"{}\"",
            1_700_000_000_000 + hash % 1_000_000_000,
            (hash >> 24) % 10_000,
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
