#![no_main]

//! Payloads of a stream, whole aggregates among them: whatever comes out lies within what went in. The MD5 is made right, or nothing would
//! come behind it.

use alluvium::source::kinesis::aggregate::{MAGIC, Unpacked, Unpacker};
use alluvium::source::kinesis::lease::HashRange;
use md5::{Digest, Md5};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut unpacker = Unpacker::default();
    let all = HashRange {
        start: 0,
        end: u128::MAX,
    };
    let upper = HashRange {
        start: 1 << 127,
        ..all
    };
    let framed = [&MAGIC[..], input, &Md5::digest(input)].concat();
    for payload in [input, &framed] {
        let (first, again) = (
            users(&mut unpacker, payload, all),
            users(&mut unpacker, payload, all),
        );
        assert_eq!(first, again);
        // A part of the range has all of the aggregate or nothing.
        let part = users(&mut unpacker, payload, upper);
        assert!(part.is_none() || part == first);
    }
});

/// How many user records there are, and bytes in them.
fn users(unpacker: &mut Unpacker, payload: &[u8], range: HashRange) -> Option<(usize, usize)> {
    let Unpacked::Aggregate(users) = unpacker.unpack(payload, range) else {
        return None;
    };
    let count = users.len();
    let mut bytes = 0;
    let mut seen = 0;
    for user in users {
        assert_eq!(user.sub_sequence, seen);
        seen += 1;
        bytes += user.data.len();
        assert!(user.partition_key.len() <= payload.len());
        assert!(
            user.explicit_hash_key
                .is_none_or(|hash| hash.parse::<u128>().is_ok() || hash.starts_with(['+', '-']))
        );
    }
    assert_eq!(seen, count as u64);
    assert!(bytes <= payload.len());
    Some((count, bytes))
}
