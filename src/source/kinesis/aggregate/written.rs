//! Writes aggregates as the producer's library does, for tests and benchmarks.

use md5::{Digest as _, Md5};

/// A record as it is given to the producer: partition key, explicit hash key, bytes.
pub(crate) type User<'a> = (&'a str, Option<&'a str>, &'a [u8]);

/// What an aggregate begins with.
const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// The payload of an aggregate.
pub(crate) fn aggregate(users: &[User<'_>]) -> Vec<u8> {
    framed(&message(users))
}

/// A message between magic and MD5.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&MAGIC[..], message, &Md5::digest(message)].concat()
}

/// The message: both tables, each text once, then the records.
pub(crate) fn message(users: &[User<'_>]) -> Vec<u8> {
    let (mut keys, mut hashes) = (Vec::new(), Vec::new());
    let mut records = Vec::new();
    for (key, hash, data) in users {
        let mut record = number(1, place(&mut keys, key));
        if let Some(hash) = hash {
            record.extend(number(2, place(&mut hashes, hash)));
        }
        record.extend(bytes(3, data));
        records.extend(bytes(3, &record));
    }
    let keys = keys.iter().flat_map(|key| bytes(1, key.as_bytes()));
    let hashes = hashes.iter().flat_map(|hash| bytes(2, hash.as_bytes()));
    keys.chain(hashes).chain(records).collect()
}

fn place<'a>(table: &mut Vec<&'a str>, text: &'a str) -> u64 {
    let found = table.iter().position(|entry| *entry == text);
    let place = found.unwrap_or_else(|| {
        table.push(text);
        table.len() - 1
    });
    place as u64
}

/// A field that is a number.
pub(crate) fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field that is bytes.
pub(crate) fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(value.len() as u64),
        value.to_vec(),
    ]
    .concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
