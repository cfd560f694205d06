//! What was sent against what is in the bucket: every id exactly once, where it belongs, in order, and nothing else. Late records
//! are in the historical topic, once or more, and in the bucket never. If repeats are dropped, a record may be missing whose event
//! another record has that is there.
//!
//! One bit an id, so that tens of millions fit in a few megabytes; objects are judged one by one, by any number of
//! threads, and forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::offences::{Offences, SHOWN};
use crate::records::{Class, PROJECT, Records, id_of};
use crate::support::broker::Kept;

/// One offence in so many lines is looked at in full.
const SAMPLE: u64 = 997;

/// What was sent to a partition: sequences `0..count`, acknowledged but for a few.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) count: u64,
    /// These may be there once, or not at all.
    pub(crate) unacknowledged: BTreeSet<u64>,
}

/// What an object's key says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// `None` for dead letters.
    table: Option<u64>,
    partition: usize,
    from: u64,
    to: u64,
}

pub(crate) struct Judge {
    records: Records,
    topic: String,
    sent: Vec<Sent>,
    seen: Vec<Vec<AtomicU64>>,
    offences: Offences,
    /// Offending ids, to name all objects that could hold them.
    suspects: Mutex<BTreeSet<(usize, u64)>>,
    rows: AtomicU64,
    letters: AtomicU64,
    /// Records of the historical topic.
    late: AtomicU64,
    /// Repeats that are not there.
    dropped: AtomicU64,
}

impl Judge {
    pub(crate) fn new(records: Records, topic: &str, sent: Vec<Sent>) -> Self {
        let bits = |sent: &Sent| {
            (0..sent.count.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect()
        };
        Self {
            records,
            topic: topic.to_owned(),
            seen: sent.iter().map(bits).collect(),
            sent,
            offences: Offences::default(),
            suspects: Mutex::default(),
            rows: AtomicU64::new(0),
            letters: AtomicU64::new(0),
            late: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Judges a record of the historical topic.
    pub(crate) fn late(&self, kept: &Kept) {
        let payload = kept.payload.as_deref().unwrap_or_default();
        let Some((partition, sequence)) = id_of(payload, &mut 0) else {
            let text = format!("{kept:?} in the historical topic");
            return self.offence("foreign", text);
        };
        let id = format!("r{partition}-{sequence}");
        if !self.was_sent(partition, sequence) {
            let text = format!("{id} was never sent: in the historical topic");
            return self.offence("foreign", text);
        }
        let mut sent = Vec::new();
        self.records.payload(partition, sequence, &mut sent);
        let says = |name: &str| {
            kept.headers
                .get(name)
                .map(|value| String::from_utf8_lossy(value))
        };
        let same = payload == sent
            && says("alluvium.topic").as_deref() == Some(&self.topic)
            && says("alluvium.partition").as_deref() == Some(&partition.to_string())
            && (!self.complete(partition)
                || says("alluvium.offset").as_deref() == Some(&sequence.to_string()));
        if !same {
            let text = format!("{id} is not as it was sent in the historical topic: {kept:?}");
            self.offence("changed", text);
        }
        if self.records.class(partition, sequence) != Class::Late {
            let text = format!("{id} does not belong in the historical topic");
            self.offence("misplaced", text);
        }
        self.late.fetch_add(1, Ordering::Relaxed);
        self.see(partition, sequence);
    }

    /// So many records are in the historical topic, and so many repeats are nowhere. To be asked behind the verdict.
    pub(crate) fn late_and_dropped(&self) -> (u64, u64) {
        (
            self.late.load(Ordering::Relaxed),
            self.dropped.load(Ordering::Relaxed),
        )
    }

    fn was_sent(&self, partition: usize, sequence: u64) -> bool {
        let sent = self.sent.get(partition);
        sent.is_some_and(|sent| sequence < sent.count)
    }

    /// Whether it was seen before.
    fn see(&self, partition: usize, sequence: u64) -> bool {
        let (word, bit) = (sequence / 64, 1 << (sequence % 64));
        let before = self.seen[partition][word as usize].fetch_or(bit, Ordering::Relaxed);
        before & bit != 0
    }

    fn is_seen(&self, partition: usize, sequence: u64) -> bool {
        let word = self.seen[partition][(sequence / 64) as usize].load(Ordering::Relaxed);
        word & (1 << (sequence % 64)) != 0
    }

    /// Judges an object as it is stored.
    pub(crate) fn object(&self, key: &str, gzip: &[u8]) {
        self.lines(key, MultiGzDecoder::new(gzip));
    }

    fn lines(&self, key: &str, text: impl Read) {
        let Some(place) = place(key, &self.topic) else {
            return self.offence(
                "foreign",
                format!("an object nobody should have written: {key}"),
            );
        };
        let mut text = BufReader::with_capacity(1 << 17, text);
        let (mut line, mut hint, mut last, mut lines) = (Vec::new(), 0, None, 0_u64);
        loop {
            line.clear();
            match text.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) if line.ends_with(b"}\n") => {}
                Ok(_) => return self.offence("unreadable", format!("half a line in {key}")),
                Err(error) => return self.offence("unreadable", format!("{key}: {error}")),
            }
            lines += 1;
            let id = match place.table {
                Some(_) => self.row(key, &line, &mut hint, lines.is_multiple_of(SAMPLE)),
                None => self.letter(key, &line),
            };
            let Some((partition, sequence)) = id else {
                let shown = String::from_utf8_lossy(&line[..line.len().min(300)]).into_owned();
                self.offence(
                    "foreign",
                    format!("a line without an id of ours in {key}: {shown}"),
                );
                continue;
            };
            self.found(key, &place, partition, sequence);
            if last.is_some_and(|last| last >= sequence) {
                self.offence(
                    "reordered",
                    format!(
                        "r{partition}-{sequence} behind r{partition}-{} in {key}",
                        last.unwrap()
                    ),
                );
            }
            last = Some(sequence);
        }
        if lines == 0 {
            self.offence("unreadable", format!("no line in {key}"));
        }
        let counter = if place.table.is_some() {
            &self.rows
        } else {
            &self.letters
        };
        counter.fetch_add(lines, Ordering::Relaxed);
    }

    /// The id of a row. Now and then the whole line is read, to see that it means what its bytes look like.
    fn row(&self, key: &str, line: &[u8], hint: &mut usize, whole: bool) -> Option<(usize, u64)> {
        let id = id_of(line, hint);
        if let (true, Some((partition, sequence))) = (whole, id) {
            let value = serde_json::from_slice::<Value>(line).unwrap_or_default();
            let properties = &value["properties"];
            let text = format!("r{partition}-{sequence}");
            let number = self.records.value(partition, sequence);
            if properties["id"] != text.as_str() || properties["v"].as_u64() != Some(number) {
                self.offence(
                    "changed",
                    format!("{text} is not as it was sent in {key}: {value}"),
                );
            }
        }
        id
    }

    /// The id in the payload of a dead letter, which must be the very bytes that were sent.
    fn letter(&self, key: &str, line: &[u8]) -> Option<(usize, u64)> {
        let letter: Value = serde_json::from_slice(line).ok()?;
        let payload = BASE64.decode(letter["payload"].as_str()?).ok()?;
        let (partition, sequence) = id_of(&payload, &mut 0)?;
        let mut sent = Vec::new();
        self.records.payload(partition, sequence, &mut sent);
        let place = (letter["topic"].as_str(), letter["partition"].as_u64());
        if payload != sent || place != (Some(&self.topic), Some(partition as u64)) {
            self.offence(
                "changed",
                format!("r{partition}-{sequence} is not as it was sent in {key}: {letter}"),
            );
        }
        if self.complete(partition) && letter["offset"].as_u64() != Some(sequence) {
            self.offence(
                "changed",
                format!(
                    "r{partition}-{sequence} has the offset {} in {key}",
                    letter["offset"]
                ),
            );
        }
        Some((partition, sequence))
    }

    /// Whether every record was acknowledged: then a record's offset is its sequence.
    fn complete(&self, partition: usize) -> bool {
        self.sent
            .get(partition)
            .is_some_and(|sent| sent.unacknowledged.is_empty())
    }

    fn found(&self, key: &str, place: &Place, partition: usize, sequence: u64) {
        if !self.was_sent(partition, sequence) {
            return self.offence(
                "foreign",
                format!("r{partition}-{sequence} was never sent: {key}"),
            );
        }
        let wanted = match self.records.class(partition, sequence) {
            Class::Row { table } => Some(Some(table)),
            Class::Dead => Some(None),
            Class::Late => None,
        };
        let outside = self.complete(partition) && !(place.from..place.to).contains(&sequence);
        if Some(place.table) != wanted || place.partition != partition || outside {
            self.offence(
                "misplaced",
                format!("r{partition}-{sequence} does not belong in {key}"),
            );
        }
        if self.see(partition, sequence) {
            self.suspects.lock().unwrap().insert((partition, sequence));
            self.offence("doubled", format!("r{partition}-{sequence} again in {key}"));
        }
    }

    fn offence(&self, kind: &'static str, text: String) {
        self.offences.add(kind, text);
    }

    fn find_missing(&self) {
        // What may be a repeat of something that is there, by its event.
        let mut left_out: BTreeMap<(usize, u64), Vec<(usize, u64)>> = BTreeMap::new();
        for (partition, sent) in self.sent.iter().enumerate() {
            for sequence in 0..sent.count {
                if self.is_seen(partition, sequence) || sent.unacknowledged.contains(&sequence) {
                    continue;
                }
                let row = matches!(self.records.class(partition, sequence), Class::Row { .. });
                if row && self.records.repeats {
                    let event = self.records.event(partition, sequence);
                    left_out
                        .entry(event)
                        .or_default()
                        .push((partition, sequence));
                } else {
                    self.missing(partition, sequence);
                }
            }
        }
        if left_out.is_empty() {
            return;
        }
        for (partition, sent) in self.sent.iter().enumerate() {
            for sequence in (0..sent.count).filter(|at| self.is_seen(partition, *at)) {
                if let Some(repeats) = left_out.remove(&self.records.event(partition, sequence)) {
                    let dropped = repeats.len() as u64;
                    self.dropped.fetch_add(dropped, Ordering::Relaxed);
                }
            }
        }
        for (partition, sequence) in left_out.into_values().flatten() {
            self.missing(partition, sequence);
        }
    }

    fn missing(&self, partition: usize, sequence: u64) {
        self.suspects.lock().unwrap().insert((partition, sequence));
        self.offence("missing", format!("r{partition}-{sequence}"));
    }

    /// Says what was found, or all that is wrong. `keys` are all objects that were judged.
    pub(crate) fn verdict(&self, keys: &[String]) -> Result<(u64, u64), Verdict> {
        self.find_missing();
        let counts = self.offences.counts();
        if counts.is_empty() {
            return Ok((
                self.rows.load(Ordering::Relaxed),
                self.letters.load(Ordering::Relaxed),
            ));
        }
        let mut text = self.offences.text();
        for &(partition, sequence) in self.suspects.lock().unwrap().iter().take(SHOWN) {
            writeln!(text, "objects whose span holds r{partition}-{sequence}:").unwrap();
            for key in keys {
                let covers = |place: Place| {
                    place.partition == partition && (place.from..place.to).contains(&sequence)
                };
                if place(key, &self.topic).is_some_and(covers) {
                    writeln!(text, "  {key}").unwrap();
                }
            }
        }
        Err(Verdict { counts, text })
    }
}

/// What is wrong.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) text: String,
}

/// `chaos/t1/TOPIC-3-100-200.ndjson.gz` or `_dead_letters/TOPIC-3-100-200.ndjson.gz`.
fn place(key: &str, topic: &str) -> Option<Place> {
    let (folder, name) = key.rsplit_once('/')?;
    let table = match folder.strip_prefix(PROJECT) {
        Some(table) => Some(table.strip_prefix("/t")?.parse().ok()?),
        None if folder == "_dead_letters" => None,
        None => return None,
    };
    let rest = name.strip_prefix(topic)?.strip_suffix(".ndjson.gz")?;
    let mut numbers = rest.strip_prefix('-')?.split('-');
    let place = Place {
        table,
        partition: numbers.next()?.parse().ok()?,
        from: numbers.next()?.parse().ok()?,
        to: numbers.next()?.parse().ok()?,
    };
    (numbers.next().is_none() && place.from < place.to).then_some(place)
}

#[cfg(test)]
mod tests;
