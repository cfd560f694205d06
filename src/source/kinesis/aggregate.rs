//! Aggregates of the Kinesis Producer Library: many user records in one record of a stream.
//!
//! An aggregate is [`MAGIC`], a message of Protocol Buffers, and the MD5 of the message. Whatever is not one to its last byte is a plain
//! record, which stands for itself: nothing is dropped for being broken. Nothing is copied either: user records borrow the payload.
//!
//! The message is read by hand (`wire`): three fields in two levels, checked as a whole before anything of it is used. A library would
//! make an object of every user record, and take one without its required fields for whole, which the KCL does not.
//!
//! **The hash range.** A reshard may bring an aggregate to a shard that some of its user records do not belong to. The producer then sends
//! it again. As the KCL does, an aggregate is dropped as a whole if any of its user records lies outside of the shard's range: by
//! its explicit hash key if it has one, else by the MD5 of its partition key. A record that is none is never dropped.
//!
//! In one thing this is not the KCL: where a user record names a key that the aggregate's tables do not have, or a hash key that is no
//! number, the KCL delivers those before it and drops it and those behind. Here the whole is a plain record then.

mod wire;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod written;

use md5::{Digest as _, Md5};

use self::wire::{Broken, Field, Value, Wire};
use super::lease::HashRange;

/// What an aggregate begins with.
pub const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
/// Bytes of an MD5.
const DIGEST: usize = 16;
/// Places in a message are kept in 31 bits. The service takes no records of a hundredth of that.
const MAX_MESSAGE: usize = (CHECKED - 1) as usize;
/// In the place of a partition key: that its hash lies within the shard's range.
const CHECKED: u32 = 1 << 31;

/// Takes payloads apart, with storage it keeps between them.
#[derive(Debug, Default)]
pub struct Unpacker {
    /// Where the entries of the table of partition keys are in the message.
    keys: Vec<u32>,
    /// Where those of the table of explicit hash keys are.
    hashes: Vec<u32>,
}

/// What a payload is.
#[derive(Debug)]
pub enum Unpacked<'a> {
    /// No aggregate: the record is the only user record there is.
    Plain,
    /// An aggregate, which may be empty.
    Aggregate(UserRecords<'a>),
    /// An aggregate that the producer sends again, because not all of it belongs to this shard. None of it is to be used.
    Foreign,
}

/// One record as it was given to the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRecord<'a> {
    /// Its place in the aggregate, from 0. With the record's sequence number it is the user record's position.
    pub sub_sequence: u64,
    /// Its own partition key; the record's is that of some of its user records.
    pub partition_key: &'a str,
    /// The hash key that its producer gave it, if it did.
    pub explicit_hash_key: Option<&'a str>,
    /// Its bytes.
    pub data: &'a [u8],
}

impl Unpacker {
    /// Takes a payload apart that was read from a shard with this range of hash keys.
    pub fn unpack<'a>(&'a mut self, payload: &'a [u8], range: HashRange) -> Unpacked<'a> {
        let Some(message) = message(payload) else {
            return Unpacked::Plain;
        };
        let Ok(records) = self.read(message) else {
            return Unpacked::Plain;
        };
        match self.all_within(message, range) {
            Ok(true) => Unpacked::Aggregate(UserRecords {
                message: Message {
                    wire: Wire::new(message),
                    keys: &self.keys,
                    hashes: &self.hashes,
                },
                rest: Wire::new(message),
                next: 0,
                left: records,
            }),
            Ok(false) => Unpacked::Foreign,
            Err(Broken) => Unpacked::Plain,
        }
    }

    /// Reads the whole message: notes the entries of its tables, and returns how many user records it has.
    fn read(&mut self, message: &[u8]) -> Result<usize, Broken> {
        self.keys.clear();
        self.hashes.clear();
        let mut records = 0;
        let mut rest = Wire::new(message);
        while let Some(Field { number, value, at }) = rest.field()? {
            match (number, value) {
                (1, Value::Bytes(key)) => {
                    std::str::from_utf8(key).map_err(|_| Broken)?;
                    self.keys.push(at);
                }
                (2, Value::Bytes(hash)) => {
                    std::str::from_utf8(hash).map_err(|_| Broken)?;
                    self.hashes.push(at);
                }
                (3, Value::Bytes(record)) => {
                    Entry::read(record)?;
                    records += 1;
                }
                _ => {}
            }
        }
        Ok(records)
    }

    /// Whether all user records lie within the range. Ends at the first that does not, as the KCL does.
    fn all_within(&mut self, message: &[u8], range: HashRange) -> Result<bool, Broken> {
        let mut rest = Wire::new(message);
        while let Some(field) = rest.field()? {
            let (3, Value::Bytes(record)) = (field.number, field.value) else {
                continue;
            };
            let entry = Entry::read(record)?;
            // The key's own hash does not count then, but it must be there.
            let key = *index(&self.keys, entry.key)?;
            let hash = match entry.hash {
                Some(hash) => number(text(message, *index(&self.hashes, hash)?)?)?,
                None if key & CHECKED != 0 => continue,
                None => {
                    let hash = Md5::digest(text(message, key)?.as_bytes());
                    Some(u128::from_be_bytes(hash.into()))
                }
            };
            if hash.is_none_or(|hash| hash < range.start || hash > range.end) {
                return Ok(false);
            }
            let known = usize::try_from(entry.key).unwrap_or(usize::MAX);
            if let (Some(key), None) = (self.keys.get_mut(known), entry.hash) {
                *key |= CHECKED;
            }
        }
        Ok(true)
    }
}

/// The message of an aggregate, if the payload is whole.
fn message(payload: &[u8]) -> Option<&[u8]> {
    let (message, digest) = payload.strip_prefix(&MAGIC)?.split_last_chunk::<DIGEST>()?;
    let fits = !message.is_empty() && message.len() <= MAX_MESSAGE;
    (fits && <[u8; DIGEST]>::from(Md5::digest(message)) == *digest).then_some(message)
}

/// A table's entry.
fn index(table: &[u32], index: u64) -> Result<&u32, Broken> {
    let index = usize::try_from(index).map_err(|_| Broken)?;
    table.get(index).ok_or(Broken)
}

/// The text at a place that was noted.
fn text(message: &[u8], at: u32) -> Result<&str, Broken> {
    let bytes = Wire::at(message, at & !CHECKED).bytes()?;
    std::str::from_utf8(bytes).map_err(|_| Broken)
}

/// A hash key as `BigInteger` reads it; `None` if it is a number beyond all ranges.
fn number(text: &str) -> Result<Option<u128>, Broken> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Broken);
    }
    let number = digits.iter().try_fold(0u128, |number, digit| {
        number
            .checked_mul(10)?
            .checked_add(u128::from(digit - b'0'))
    });
    Ok(number.filter(|number| !negative || *number == 0))
}

/// A user record in the message.
struct Entry<'a> {
    key: u64,
    hash: Option<u64>,
    data: &'a [u8],
}

impl<'a> Entry<'a> {
    fn read(record: &'a [u8]) -> Result<Self, Broken> {
        let (mut key, mut hash, mut data) = (None, None, None);
        let mut rest = Wire::new(record);
        while let Some(field) = rest.field()? {
            match (field.number, field.value) {
                (1, Value::Number(number)) => key = Some(number),
                (2, Value::Number(number)) => hash = Some(number),
                (3, Value::Bytes(bytes)) => data = Some(bytes),
                (4, Value::Bytes(tag)) => check_tag(tag)?,
                _ => {}
            }
        }
        match (key, data) {
            (Some(key), Some(data)) => Ok(Self { key, hash, data }),
            _ => Err(Broken),
        }
    }
}

/// A tag has a name; nobody reads it.
fn check_tag(tag: &[u8]) -> Result<(), Broken> {
    let mut named = false;
    let mut rest = Wire::new(tag);
    while let Some(field) = rest.field()? {
        named |= matches!((field.number, field.value), (1, Value::Bytes(_)));
    }
    named.then_some(()).ok_or(Broken)
}

/// A message that was read as a whole, with its tables.
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    wire: Wire<'a>,
    keys: &'a [u32],
    hashes: &'a [u32],
}

/// The user records of an aggregate, in their order.
#[derive(Debug)]
pub struct UserRecords<'a> {
    message: Message<'a>,
    rest: Wire<'a>,
    next: u64,
    left: usize,
}

impl<'a> UserRecords<'a> {
    /// The next, or what cannot be: everything was read before.
    fn read(&mut self) -> Result<Option<UserRecord<'a>>, Broken> {
        while let Some(field) = self.rest.field()? {
            let (3, Value::Bytes(record)) = (field.number, field.value) else {
                continue;
            };
            let entry = Entry::read(record)?;
            let Message { wire, keys, hashes } = self.message;
            let bytes = wire.all();
            let explicit = entry.hash.map(|hash| text(bytes, *index(hashes, hash)?));
            let record = UserRecord {
                sub_sequence: self.next,
                partition_key: text(bytes, *index(keys, entry.key)?)?,
                explicit_hash_key: explicit.transpose()?,
                data: entry.data,
            };
            self.next += 1;
            self.left -= 1;
            return Ok(Some(record));
        }
        Ok(None)
    }
}

impl<'a> Iterator for UserRecords<'a> {
    type Item = UserRecord<'a>;

    fn next(&mut self) -> Option<UserRecord<'a>> {
        self.read().unwrap_or_default()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for UserRecords<'_> {}
