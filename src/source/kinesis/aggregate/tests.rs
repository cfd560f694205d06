use proptest::prelude::*;

use super::written::{User, aggregate, bytes, framed, message, number};
use super::*;

const ALL: HashRange = HashRange {
    start: 0,
    end: u128::MAX,
};

/// What became of a payload, with everything copied.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Plain,
    Foreign,
    Users(Vec<(String, Option<String>, Vec<u8>)>),
}

fn seen(payload: &[u8], range: HashRange) -> Seen {
    // What an earlier aggregate has left must not count.
    let mut unpacker = Unpacker {
        keys: vec![CHECKED | 3; 9],
        hashes: vec![2; 9],
    };
    let users = match unpacker.unpack(payload, range) {
        Unpacked::Plain => return Seen::Plain,
        Unpacked::Foreign => return Seen::Foreign,
        Unpacked::Aggregate(users) => users,
    };
    let count = users.len();
    let users: Vec<_> = users.collect();
    assert_eq!(users.len(), count);
    let within = payload.as_ptr_range();
    for (at, user) in users.iter().enumerate() {
        assert_eq!(user.sub_sequence, at as u64);
        assert!(user.data.is_empty() || within.contains(&user.data.as_ptr()));
    }
    let copied = users.into_iter().map(|user| {
        let hash = user.explicit_hash_key.map(str::to_owned);
        (user.partition_key.to_owned(), hash, user.data.to_vec())
    });
    Seen::Users(copied.collect())
}

fn users(users: &[User<'_>]) -> Seen {
    let copied = users
        .iter()
        .map(|(key, hash, data)| (key.to_string(), hash.map(str::to_owned), data.to_vec()));
    Seen::Users(copied.collect())
}

fn md5(text: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(text).into())
}

#[test]
fn user_records_come_in_their_order_with_their_own_keys() {
    let given: [User<'_>; 4] = [
        ("a", None, b"1"),
        ("b", Some("340282366920938463463374607431768211455"), b""),
        ("a", Some("0"), b"\xf3\x89\x9a\xc2"),
        ("", None, b"4"),
    ];
    assert_eq!(seen(&aggregate(&given), ALL), users(&given));
    assert_eq!(seen(&framed(&bytes(1, b"unused")), ALL), users(&[]));
}

/// Written by `aws_kinesis_agg` 1.2.3 of Python.
#[test]
fn an_aggregate_of_another_writer_is_read() {
    let payload = hex(
        "f3899ac20a06757365722d310a06757365722d321227313730313431313833343630343639323331373331363837\
         3330333731353838343130353732381a0b08001a077b2261223a317d1a09080110001a0374776f1a0608001a0200ff\
         021a26536bfac89982a6e4e1280c4c8d",
    );
    let expected: [User<'_>; 3] = [
        ("user-1", None, b"{\"a\":1}"),
        (
            "user-2",
            Some("170141183460469231731687303715884105728"),
            b"two",
        ),
        ("user-1", None, b"\0\xff"),
    ];
    assert_eq!(seen(&payload, ALL), users(&expected));
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

#[test]
fn what_is_not_whole_is_a_plain_record() {
    let whole = aggregate(&[("a", None, b"one"), ("b", Some("7"), b"two")]);
    for len in 0..whole.len() {
        assert_eq!(seen(&whole[..len], ALL), Seen::Plain, "{len} bytes");
        let mut damaged = whole.clone();
        damaged[len] ^= 1;
        assert_eq!(seen(&damaged, ALL), Seen::Plain, "byte {len}");
    }
    assert_eq!(seen(&framed(b""), ALL), Seen::Plain);
    assert_eq!(seen(&[&whole[..], b"x"].concat(), ALL), Seen::Plain);
}

#[test]
fn messages_that_are_none_make_a_plain_record() {
    let key = bytes(1, b"k");
    let record = |fields: &[Vec<u8>]| framed(&[&key[..], &bytes(3, &fields.concat())].concat());
    let (of_key, data) = (number(1, 0), bytes(3, b"d"));
    assert_eq!(
        seen(&record(&[of_key.clone(), data.clone()]), ALL),
        users(&[("k", None, b"d")])
    );
    let broken = [
        // What every record must have.
        record(std::slice::from_ref(&of_key)),
        record(std::slice::from_ref(&data)),
        record(&[
            of_key.clone(),
            data.clone(),
            bytes(4, &bytes(2, b"no name")),
        ]),
        // What is in no table.
        record(&[number(1, 1), data.clone()]),
        record(&[number(1, 1 << 32), data.clone()]),
        record(&[number(1, u64::MAX), data.clone()]),
        record(&[of_key.clone(), number(2, 0), data.clone()]),
        framed(&[bytes(1, b"\xff"), bytes(3, &[of_key, data].concat())].concat()),
        // Field 0, kinds 6 and 7, an end without a beginning, lengths and numbers without an end.
        framed(&[0, 0]),
        framed(&[0x0e]),
        framed(&[0x0f]),
        framed(&[0x0c]),
        framed(&[0x0a, 0x05, b'k']),
        framed(&[&[0x0a][..], &[0xff; 9], &[0x01]].concat()),
        framed(&[0xff; 11]),
        framed(&[0x09, 1, 2, 3]),
        framed(&[0x0d, 1, 2, 3]),
    ];
    for payload in broken {
        assert_eq!(seen(&payload, ALL), Seen::Plain, "{payload:x?}");
    }
}

#[test]
fn a_hash_key_is_a_number_or_the_aggregate_is_none() {
    let of = |hash| {
        seen(
            &aggregate(&[("k", None, b"1"), ("k", Some(hash), b"2")]),
            ALL,
        )
    };
    for hash in [
        "0",
        "+7",
        "-0",
        "007",
        "340282366920938463463374607431768211455",
    ] {
        assert_eq!(
            of(hash),
            users(&[("k", None, b"1"), ("k", Some(hash), b"2")]),
            "{hash}"
        );
    }
    // Numbers, beyond every shard.
    let long = "9".repeat(200);
    for hash in ["-1", "340282366920938463463374607431768211456", &long] {
        assert_eq!(of(hash), Seen::Foreign, "{hash}");
    }
    for hash in ["", "-", "+", "1a", " 1", "--1", "0x1", "1.0"] {
        assert_eq!(of(hash), Seen::Plain, "{hash:?}");
    }
}

#[test]
fn fields_nobody_asks_for_are_passed_over() {
    let record = [
        number(1, 0),
        bytes(3, b"old"),
        bytes(4, &bytes(1, b"name")),
        bytes(3, b"new"),
        number(9, 5),
    ];
    // A field of another kind than it should be is one of those.
    let message = [
        number(1, 3),
        bytes(3, &record.concat()),
        bytes(1, b"behind its record"),
        vec![0x7d, 1, 2, 3, 4],
        vec![0x79, 1, 2, 3, 4, 5, 6, 7, 8],
        // A group with a group in it.
        vec![0x7b, 0x83, 0x01, 0x08, 0x01, 0x84, 0x01, 0x7c],
    ];
    assert_eq!(
        seen(&framed(&message.concat()), ALL),
        users(&[("behind its record", None, b"new")])
    );
    let groups = |depth| framed(&[vec![0x7b; depth], vec![0x7c; depth]].concat());
    assert_eq!(seen(&groups(100), ALL), users(&[]));
    assert_eq!(seen(&groups(101), ALL), Seen::Plain);
    assert_eq!(seen(&framed(&[0x7b, 0x84, 0x01]), ALL), Seen::Plain);
}

#[test]
fn one_user_record_beyond_the_range_makes_the_aggregate_foreign() {
    let (mine, other) = (md5("mine"), md5("other"));
    let range = HashRange {
        start: mine,
        end: mine,
    };
    let one: User<'_> = ("mine", None, b"1");
    let by_hash = mine.to_string();
    let explicit: User<'_> = ("other", Some(&by_hash), b"2");
    let own = [one, one, explicit];
    assert_eq!(seen(&aggregate(&own), range), users(&own));
    for beyond in [("other", None, &b"3"[..]), ("mine", Some("17"), b"3")] {
        for at in 0..=own.len() {
            let mut given = own.to_vec();
            given.insert(at, beyond);
            assert_eq!(seen(&aggregate(&given), range), Seen::Foreign, "at {at}");
        }
    }
    // A key's own hash does not count beside an explicit one, and is not taken for looked at.
    let other_hash = other.to_string();
    let given: [User<'_>; 2] = [("other", Some(&by_hash), b"1"), ("other", None, b"2")];
    assert_eq!(seen(&aggregate(&given), range), Seen::Foreign);
    let beside = HashRange {
        start: other,
        end: other,
    };
    assert_eq!(
        seen(&aggregate(&[("mine", Some(&other_hash), b"1")]), beside),
        users(&[("mine", Some(&other_hash), b"1")])
    );
    // Whatever comes first decides, as in the KCL: what is broken behind a foreign one is not looked at.
    let (foreign, nowhere) = (
        [number(1, 0), bytes(3, b"")].concat(),
        [number(1, 7), bytes(3, b"")].concat(),
    );
    let table = bytes(1, b"other");
    let order = |first: &[u8], second: &[u8]| {
        framed(&[table.clone(), bytes(3, first), bytes(3, second)].concat())
    };
    assert_eq!(seen(&order(&foreign, &nowhere), range), Seen::Foreign);
    assert_eq!(seen(&order(&nowhere, &foreign), range), Seen::Plain);
    // What is no aggregate has no range.
    assert_eq!(seen(b"plain", range), Seen::Plain);
}

type Given = (String, Option<u128>, Vec<u8>);

fn given() -> impl Strategy<Value = Vec<Given>> {
    let hash = proptest::option::of(any::<u128>());
    let data = proptest::collection::vec(any::<u8>(), 0..40);
    proptest::collection::vec(("[a-cé]{0,2}", hash, data), 0..12)
}

fn with_texts<T>(given: &[Given], then: impl FnOnce(&[User<'_>]) -> T) -> T {
    let hashes: Vec<_> = given
        .iter()
        .map(|(_, hash, _)| hash.map(|hash| hash.to_string()))
        .collect();
    let users: Vec<User<'_>> = given
        .iter()
        .zip(&hashes)
        .map(|((key, _, data), hash)| (key.as_str(), hash.as_deref(), data.as_slice()))
        .collect();
    then(&users)
}

proptest! {
    #[test]
    fn whatever_is_put_in_comes_out(given in given().prop_filter("an aggregate has a message", |given| !given.is_empty()), one: u128, other: u128) {
        let range = HashRange { start: one.min(other), end: one.max(other) };
        let within = given.iter().all(|(key, hash, _)| {
            let hash = hash.unwrap_or_else(|| md5(key));
            range.start <= hash && hash <= range.end
        });
        with_texts(&given, |texts| {
            let payload = aggregate(texts);
            assert_eq!(seen(&payload, ALL), users(texts));
            let expected = if within { users(texts) } else { Seen::Foreign };
            assert_eq!(seen(&payload, range), expected);
        });
    }

    /// The MD5 keeps nobody away who means harm.
    #[test]
    fn hostile_messages_are_survived(given in given(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..8), start: u128) {
        let mut message = with_texts(&given, message);
        for (at, byte, how) in changes {
            let at = at.index(message.len() + 1);
            match how {
                0 => message.insert(at, byte),
                1 if at < message.len() => message[at] = byte,
                _ => message.truncate(at),
            }
        }
        let payload = framed(&message);
        for range in [ALL, HashRange { start, end: u128::MAX }] {
            if let Seen::Users(users) = seen(&payload, range) {
                let bytes: usize = users.iter().map(|(_, _, data)| data.len()).sum();
                prop_assert!(bytes <= payload.len());
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        seen(&message, ALL);
        seen(&framed(&message), ALL);
    }
}
