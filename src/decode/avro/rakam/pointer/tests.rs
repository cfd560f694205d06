use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use super::super::{Column, ColumnKind, Columns, RakamSettings};
use super::*;
use crate::awaited::Objects;
use crate::decode::avro::written::{long, text};
use crate::decode::{Decoder, DecoderSettings};
use crate::record::{Position, Value};

/// Tables of one column.
#[derive(Debug)]
struct One;

impl Columns for One {
    fn of(&self, _: &str, collection: &str, _: usize) -> Result<Option<Arc<[Column]>>, NotYet> {
        let column = Column {
            name: "x".into(),
            kind: ColumnKind::Long,
        };
        match collection {
            "none" => Ok(None),
            "later" => Err(NotYet::Asked),
            _ => Ok(Some([column].into())),
        }
    }
}

/// Objects as the test puts them there, and what was asked of them.
#[derive(Debug, Default)]
struct Shelf {
    objects: BTreeMap<String, Result<Vec<u8>, Unopened>>,
    asked: Mutex<Vec<String>>,
}

/// Gives some bytes, then an error if there is one.
#[derive(Debug)]
struct Bytes(io::Cursor<Vec<u8>>, Option<&'static str>);

impl Read for Bytes {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match (self.0.read(to)?, self.1) {
            (0, Some(error)) => Err(io::Error::other(error)),
            (len, _) => Ok(len),
        }
    }
}

impl ReadObject for Bytes {}

impl Objects for Shelf {
    fn open(&self, key: &str, size: u64) -> Result<Box<dyn ReadObject>, Unopened> {
        self.asked
            .lock()
            .unwrap()
            .push(format!("open {key} {size}"));
        let bytes = self.objects[key].clone()?;
        let error = key.starts_with("cut").then_some("the line is cut");
        Ok(Box::new(Bytes(io::Cursor::new(bytes), error)))
    }

    fn done(&self, key: &str) {
        self.asked.lock().unwrap().push(format!("done {key}"));
    }
}

fn object(groups: &[(&str, &[i64])]) -> Vec<u8> {
    let groups = groups.iter().flat_map(|(collection, values)| {
        let rows = values
            .iter()
            .flat_map(|value| [vec![2], long(*value)].concat());
        let head = [text(collection), long(1), long(values.len() as i64)].concat();
        head.into_iter().chain(rows.collect::<Vec<_>>())
    });
    text("P").into_iter().chain(groups).collect()
}

fn pointer(key: &str) -> Vec<u8> {
    [&[3], &7i64.to_be_bytes()[..], key.as_bytes()].concat()
}

fn decoder(objects: Option<Arc<Shelf>>) -> Decoder {
    Decoder::new(DecoderSettings::Rakam(RakamSettings {
        carrier: Carrier::Kinesis {
            objects: objects.map(|objects| objects as Arc<dyn Objects>),
        },
        columns: Arc::new(One),
        checkpoint: "_shard_time".into(),
        max_bytes: 1 << 10,
    }))
}

fn record<'a>(key: Option<&'a [u8]>, payload: &'a [u8]) -> Record<'a> {
    Record {
        position: Position::at(0),
        timestamp: None,
        key,
        payload: Some(payload),
        schema: None,
        origin: None,
    }
}

/// The rows of a record, as table and value, and what ends them.
fn rows(decoder: &mut Decoder, key: &str, payload: &[u8]) -> (Vec<(String, i64)>, Option<Failure>) {
    let record = record(Some(key.as_bytes()), payload);
    let mut rows = Vec::new();
    let mut next = Some(decoder.decode("stream", &record));
    while let Some(row) = next {
        match row {
            Ok(row) => {
                let Some((_, Value::Long(value))) = row.values().next() else {
                    panic!("{row:?}");
                };
                rows.push((format!("{}.{}", row.project(), row.collection()), value));
            }
            Err(failure) => {
                assert!(decoder.more("stream").is_none());
                return (rows, Some(failure));
            }
        }
        next = decoder.more("stream");
    }
    (rows, None)
}

fn of(values: &[(&str, i64)]) -> Vec<(String, i64)> {
    values
        .iter()
        .map(|(table, value)| ((*table).to_owned(), *value))
        .collect()
}

fn shelf<const N: usize>(objects: [(&str, Result<Vec<u8>, Unopened>); N]) -> Arc<Shelf> {
    let objects = objects
        .into_iter()
        .map(|(key, object)| (key.to_owned(), object));
    Arc::new(Shelf {
        objects: objects.collect(),
        ..Shelf::default()
    })
}

#[test]
fn every_type_of_record_of_a_stream_is_read() {
    let shelf = shelf([(
        "p/1",
        Ok(object(&[("a", &[1, 2]), ("B", &[]), ("B", &[3])])),
    )]);
    let mut decoder = decoder(Some(shelf.clone()));
    let row = [2, 8];
    assert_eq!(
        rows(&mut decoder, "P|Orders", &[&[0], &row[..]].concat()),
        (of(&[("p.orders", 4)]), None)
    );
    let named = [&[2], &text("Orders")[..], &row].concat();
    assert_eq!(
        rows(&mut decoder, "p|orders17", &named),
        (of(&[("p.orders", 4)]), None)
    );
    let expected = of(&[("p.a", 1), ("p.a", 2), ("p.b", 3)]);
    // Whatever its partition key says: the object names its project.
    assert_eq!(
        rows(&mut decoder, "other", &pointer("p/1")),
        (expected, None)
    );
    assert_eq!(*shelf.asked.lock().unwrap(), ["open p/1 7"]);
    decoder.done();
    decoder.done();
    assert_eq!(*shelf.asked.lock().unwrap(), ["open p/1 7", "done p/1"]);
    for (key, payload, what) in [
        (
            Some(&b"p|a"[..]),
            &[1, 0][..],
            "wrong_layout: records of type 1",
        ),
        (
            Some(b"p|a"),
            &[9],
            "wrong_layout: there are no records of type 9",
        ),
        (
            Some(b"p|a"),
            &[3, 0],
            "wrong_layout: the record ends within the size",
        ),
        (Some(b"p"), &[0, 0], "no_table: the collection is empty"),
        (
            Some(b"\xff"),
            &[0, 0],
            "no_table: the partition key is not UTF-8",
        ),
        (None, &[0, 0], "no_table: the record has no partition key"),
    ] {
        let failure = decoder
            .decode("stream", &record(key, payload))
            .unwrap_err()
            .to_string();
        assert!(failure.starts_with(what), "{failure}");
    }
}

#[test]
fn only_what_points_somewhere_may_have_more_rows() {
    let kinesis = decoder(None);
    assert!(kinesis.may_have_more(&record(None, &[3])));
    assert!(!kinesis.may_have_more(&record(None, &[0, 3])));
    assert!(!kinesis.may_have_more(&record(None, &[])));
}

#[test]
fn what_is_missing_or_broken_is_a_bad_record_and_what_is_late_is_waited_for() {
    let whole = object(&[("a", &[1, 2])]);
    let groups = |second| object(&[("a", &[1]), (second, &[2])]);
    let shelf = shelf([
        (
            "missing",
            Err(Unopened::Missing("s3://b/missing is not there".into())),
        ),
        ("asked", Err(Unopened::NotYet(NotYet::Asked))),
        ("torn", Ok(whole[..whole.len() - 1].to_vec())),
        ("cut", Ok(whole[..whole.len() - 1].to_vec())),
        ("unknown", Ok(groups("none"))),
        ("later", Ok(groups("later"))),
        ("empty", Ok(text("p"))),
        ("nothing", Ok(Vec::new())),
    ]);
    let mut decoder = decoder(Some(shelf.clone()));
    let mut ends = |key: &str, count: usize, what: &str| {
        let (rows, end) = rows(&mut decoder, "p|a", &pointer(key));
        let end = end.unwrap();
        assert_eq!(rows.len(), count, "{end}");
        let text = match &end {
            Failure::Bad(bad) => bad.to_string(),
            Failure::Needs(needed) => format!("{}: {:?}", needed.what, needed.state),
        };
        assert!(text.contains(what), "{text}");
    };
    ends(
        "missing",
        0,
        "no_object: the record points to a bulk object, but s3://b/missing is not there",
    );
    ends("asked", 0, "bulk object asked: Asked");
    ends(
        "torn",
        1,
        "not_avro: bulk object torn cannot be read beyond byte 8: the bytes end within a value",
    );
    ends("cut", 0, "bulk object cut: Failed(\"the line is cut\")");
    ends(
        "unknown",
        1,
        "no_table: bulk object unknown cannot be read beyond byte",
    );
    ends("later", 1, "the catalog's word on p.later: Asked");
    ends("empty", 0, "not_avro: the bulk object has no records");
    ends(
        "nothing",
        0,
        "not_avro: bulk object nothing cannot be read beyond byte 0",
    );
    decoder.done();
    assert_eq!(shelf.asked.lock().unwrap().last().unwrap(), "done nothing");
}

/// Nobody's record is given up because a bucket was not named.
#[test]
fn a_pointer_without_a_bucket_waits_for_a_person() {
    let (rows, end) = rows(&mut decoder(None), "p|a", &pointer("k"));
    assert!(rows.is_empty());
    let Some(Failure::Needs(Needed {
        state: NotYet::Refused(why),
        ..
    })) = end
    else {
        panic!("{end:?}");
    };
    assert!(why.contains("aws.s3-bulk-bucket"), "{why}");
}
