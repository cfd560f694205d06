//! What was sent to a stream against what is in the bucket: every record exactly once, in an object of its shard whose span holds it,
//! in order, and nothing else.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use alluvium::record::Position;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::feed::{Place, number};
use crate::offences::Offences;
use crate::records::{Class, PROJECT, Records, id_of};

/// What an object's key says.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    /// `None` for dead letters.
    table: Option<u64>,
    shard: u64,
    from: Position,
    to: Position,
}

pub(crate) struct Judge {
    records: Records,
    stream: String,
    sent: Vec<Vec<Place>>,
    seen: Vec<Vec<AtomicBool>>,
    offences: Offences,
    rows: AtomicU64,
    letters: AtomicU64,
}

impl Judge {
    pub(crate) fn new(records: Records, stream: &str, sent: Vec<Vec<Place>>) -> Self {
        let unseen = |sent: &Vec<Place>| sent.iter().map(|_| AtomicBool::new(false)).collect();
        Self {
            records,
            stream: stream.to_owned(),
            seen: sent.iter().map(unseen).collect(),
            sent,
            offences: Offences::default(),
            rows: AtomicU64::new(0),
            letters: AtomicU64::new(0),
        }
    }

    /// Judges an object as it is stored.
    pub(crate) fn object(&self, key: &str, gzip: &[u8]) {
        let Some(place) = parsed(key, &self.stream) else {
            return self.offences.add("foreign", format!("an object: {key}"));
        };
        let mut text = String::new();
        if let Err(error) = MultiGzDecoder::new(gzip).read_to_string(&mut text) {
            return self.offences.add("unreadable", format!("{key}: {error}"));
        }
        if !text.ends_with('\n') {
            self.offences
                .add("unreadable", format!("no line, or half a line, in {key}"));
        }
        let (mut hint, mut last) = (0, None);
        for line in text.lines() {
            let id = match place.table {
                Some(_) => self.row(key, line, &mut hint),
                None => self.letter(key, line),
            };
            let found = id.and_then(|(producer, sequence)| {
                let sent = self.sent.get(producer)?.get(sequence as usize)?;
                Some((producer, sequence, sent))
            });
            let Some((producer, sequence, sent)) = found else {
                self.offences
                    .add("foreign", format!("{id:?} was never sent: {key}: {line}"));
                continue;
            };
            self.found(key, &place, (producer, sequence), sent);
            if last.replace(sent.position) >= Some(sent.position) {
                let text = format!("r{producer}-{sequence} is not in order in {key}");
                self.offences.add("reordered", text);
            }
        }
    }

    /// The id of a row, which must be as it was sent.
    fn row(&self, key: &str, line: &str, hint: &mut usize) -> Option<(usize, u64)> {
        let (producer, sequence) = id_of(line.as_bytes(), hint)?;
        let value = serde_json::from_str::<Value>(line).unwrap_or_default();
        let properties = &value["properties"];
        let text = format!("r{producer}-{sequence}");
        let number = self.records.value(producer, sequence);
        if properties["id"] != text.as_str() || properties["v"].as_u64() != Some(number) {
            self.offences
                .add("changed", format!("{text} in {key}: {line}"));
        }
        self.rows.fetch_add(1, Ordering::Relaxed);
        Some((producer, sequence))
    }

    /// The id in the payload of a dead letter, which must be the very bytes that were sent, with the place they were sent to.
    fn letter(&self, key: &str, line: &str) -> Option<(usize, u64)> {
        let letter: Value = serde_json::from_str(line).ok()?;
        let payload = BASE64.decode(letter["payload"].as_str()?).ok()?;
        let (producer, sequence) = id_of(&payload, &mut 0)?;
        let sent = self.sent.get(producer)?.get(sequence as usize)?;
        let mut bytes = Vec::new();
        self.records.payload(producer, sequence, &mut bytes);
        let says = |name: &str| letter[name].as_str();
        let sub = letter["sub_sequence"].as_u64();
        let position = format!("{}.{}", says("sequence")?, sub?);
        let same = payload == bytes
            && says("stream") == Some(&self.stream)
            && number(says("shard")?) == sent.shard
            && position.parse() == Ok(sent.position);
        if !same {
            let text = format!("r{producer}-{sequence}, sent to {sent:?}, in {key}: {letter}");
            self.offences.add("changed", text);
        }
        self.letters.fetch_add(1, Ordering::Relaxed);
        Some((producer, sequence))
    }

    fn found(&self, key: &str, place: &Key, id: (usize, u64), sent: &Place) {
        let (producer, sequence) = id;
        let wanted = match self.records.class(producer, sequence) {
            Class::Row { table } => Some(table),
            Class::Dead | Class::Late => None,
        };
        let within = (place.from..place.to).contains(&sent.position);
        if place.table != wanted || place.shard != sent.shard || !within {
            let text = format!("r{producer}-{sequence}, sent to {sent:?}, in {key}");
            self.offences.add("misplaced", text);
        }
        let seen = &self.seen[producer][sequence as usize];
        if seen.swap(true, Ordering::Relaxed) {
            let text = format!("r{producer}-{sequence}, sent to {sent:?}, again in {key}");
            self.offences.add("doubled", text);
        }
    }

    /// How many rows and dead letters there are, or all that is wrong.
    pub(crate) fn verdict(&self) -> Result<(u64, u64), String> {
        for (producer, seen) in self.seen.iter().enumerate() {
            for (sequence, seen) in seen.iter().enumerate() {
                if !seen.load(Ordering::Relaxed) {
                    let sent = &self.sent[producer][sequence];
                    let text = format!("r{producer}-{sequence}, sent to {sent:?}");
                    self.offences.add("missing", text);
                }
            }
        }
        let text = self.offences.text();
        match text.is_empty() {
            true => Ok((
                self.rows.load(Ordering::Relaxed),
                self.letters.load(Ordering::Relaxed),
            )),
            false => Err(text),
        }
    }
}

/// `chaos/t1/STREAM-shardId-000000000003-FROM-TO.ndjson.gz` or `_dead_letters/STREAM-…`.
fn parsed(key: &str, stream: &str) -> Option<Key> {
    let (folder, name) = key.rsplit_once('/')?;
    let table = match folder.strip_prefix(PROJECT) {
        Some(table) => Some(table.strip_prefix("/t")?.parse().ok()?),
        None if folder == "_dead_letters" => None,
        None => return None,
    };
    let rest = name.strip_prefix(stream)?.strip_suffix(".ndjson.gz")?;
    let mut numbers = rest.strip_prefix("-shardId-")?.split('-');
    let place = Key {
        table,
        shard: numbers.next()?.parse().ok()?,
        from: numbers.next()?.parse().ok()?,
        to: numbers.next()?.parse().ok()?,
    };
    (numbers.next().is_none() && place.from < place.to).then_some(place)
}

#[cfg(test)]
mod tests;
