//! Records that point to objects: all rows of one are of its position.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::Mutex;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;

use super::*;
use crate::awaited::{NotYet, ReadObject, Unopened};
use crate::catalog::{Column, RecordColumns, Tables, Told};
use crate::decode::DecoderSettings;
use crate::decode::avro::rakam::{Carrier, RakamSettings};
use crate::decode::avro::written::{long, text};
use crate::table::ColumnType;

/// A catalog with one column of a table; later ones it is not asked for.
#[derive(Debug)]
struct Known;

impl Known {
    fn told() -> Told {
        let columns = [
            ("x", ColumnType::Bigint),
            ("_shard_time", ColumnType::Timestamp),
            ("_time", ColumnType::Timestamp),
            ("_user", ColumnType::String),
        ];
        let column = |((name, kind), id): ((&str, ColumnType), u32)| Column {
            id,
            name: name.into(),
            kind,
            added_ms: None,
        };
        Told {
            columns: columns.into_iter().zip(1..).map(column).collect(),
            refused: Arc::default(),
        }
    }
}

impl Tables for Known {
    fn columns(&self, _: &str, _: &str, _: usize) -> Result<Option<Told>, NotYet> {
        Ok(Some(Self::told()))
    }

    fn decide(&self, _: &str, _: &str, _: &[(String, ColumnType)]) -> Result<Told, NotYet> {
        Ok(Self::told())
    }
}

/// What opening an object comes to, time after time; the last holds from then on.
type Answers = Vec<Result<Vec<u8>, Unopened>>;

#[derive(Debug, Default)]
struct Shelf {
    objects: Mutex<BTreeMap<String, Answers>>,
    done: Mutex<Vec<String>>,
}

/// A good beginning, and behind it an error if it is a torn one.
#[derive(Debug)]
struct Bytes(Cursor<Vec<u8>>, bool);

impl Read for Bytes {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.0.read(to)? {
            0 if self.1 => Err(io::Error::other("the line is cut")),
            len => Ok(len),
        }
    }
}

impl ReadObject for Bytes {}

impl crate::awaited::Objects for Shelf {
    fn open(&self, key: &str, _: u64) -> Result<Box<dyn ReadObject>, Unopened> {
        let mut objects = self.objects.lock().unwrap();
        let answers = objects.get_mut(key).unwrap();
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        };
        let mut bytes = answer?;
        // A byte that no object begins with.
        let torn = bytes.first() == Some(&b'!');
        if torn {
            bytes.remove(0);
        }
        Ok(Box::new(Bytes(Cursor::new(bytes), torn)))
    }

    fn done(&self, key: &str) {
        self.done.lock().unwrap().push(key.into());
    }
}

fn object(values: std::ops::Range<i64>) -> Vec<u8> {
    let rows = values
        .clone()
        .flat_map(|value| [vec![2], long(value), vec![0, 0]].concat());
    let head = [
        text("p"),
        text("a"),
        long(3),
        long(values.end - values.start),
    ]
    .concat();
    head.into_iter().chain(rows).collect()
}

fn torn(object: &[u8]) -> Vec<u8> {
    [b"!", &object[..object.len() / 2]].concat()
}

fn pointer(key: &str) -> String {
    format!("\u{3}\0\0\0\0\0\0\0\u{7}{key}")
}

fn single(value: i64) -> String {
    String::from_utf8([vec![0, 2], long(value)].concat()).unwrap()
}

fn bench(objects: &[(&str, Answers)], policy: Policy, memory: u64) -> (Bench, Arc<Shelf>) {
    let shelf = Arc::new(Shelf::default());
    let named = objects
        .iter()
        .map(|(key, answers)| ((*key).to_owned(), answers.clone()));
    *shelf.objects.lock().unwrap() = named.collect();
    let target = MemoryTarget::new();
    let tables: Arc<dyn Tables> = Arc::new(Known);
    let rakam = RakamSettings {
        carrier: Carrier::Kinesis {
            objects: Some(shelf.clone()),
        },
        columns: Arc::new(RecordColumns(tables.clone())),
        checkpoint: "_shard_time".into(),
        max_bytes: 1 << 20,
    };
    let shape = Shape::new(
        "the usual",
        Arc::new(target.clone()),
        columns(),
        DecoderSettings::Rakam(rakam),
    );
    let shape = shape.bound(Some(tables));
    let bench = Bench::shaped(target, shape, policy, memory, None);
    bench.source.0.borrow_mut().key = Some(b"p|a");
    (bench, shelf)
}

fn values(bench: &Bench) -> Vec<i64> {
    let written = bench.target.batches(&Table::new("p", "a"));
    let batches = written.into_iter().flat_map(|(_, batches)| batches);
    let values = batches.flat_map(|batch| {
        let column = batch
            .column_by_name("x")
            .unwrap()
            .as_primitive::<Int64Type>()
            .clone();
        column.values().to_vec()
    });
    values.collect()
}

fn committed(bench: &mut Bench, until: i64) {
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| {
        bench.source.checkpoint(0) == Some(until)
    });
}

#[test]
fn the_rows_of_an_object_are_of_the_record_that_points_to_it() {
    let not_yet = || Err(Unopened::NotYet(NotYet::Asked));
    let failed = || Err(Unopened::NotYet(NotYet::Failed("down".into())));
    let answers = vec![not_yet(), failed(), not_yet(), Ok(object(10..510))];
    let (mut bench, shelf) = bench(&[("k", answers)], policy(), 1 << 30);
    bench
        .source
        .produce(0, [single(1), pointer("k"), single(2)]);
    bench.source.assign(0, 0);
    bench.turn_until("taken", |_| !shelf.done.lock().unwrap().is_empty());
    committed(&mut bench, 3);
    let expected: Vec<i64> = [1].into_iter().chain(10..510).chain([2]).collect();
    assert_eq!(values(&bench), expected);
    assert_eq!(*shelf.done.lock().unwrap(), ["k"]);
    assert_eq!(bench.target.rows(&Table::dead_letters()), 0);
}

/// The source has it still when the record is offered again, and need not fetch it once more.
#[test]
fn nothing_is_taken_behind_a_record_that_waits() {
    let not_yet = Err(Unopened::NotYet(NotYet::Asked));
    let (mut bench, _) = bench(&[("k", vec![not_yet])], policy(), 1 << 30);
    bench
        .source
        .produce(0, [single(1), pointer("k"), single(2), single(3)]);
    bench.source.assign(0, 0);
    for _ in 0..5 {
        bench.turn().unwrap();
    }
    let stream = bench.source.0.borrow();
    assert_eq!(stream.next[&Slot(0)], 2);
    assert!(stream.paused[&Slot(0)]);
}

#[test]
fn a_missing_object_is_a_dead_letter_that_keeps_the_pointer() {
    let missing = Err(Unopened::Missing("s3://b/k is not there".into()));
    let (mut bench, shelf) = bench(&[("k", vec![missing])], policy(), 1 << 30);
    bench.source.produce(0, [pointer("k"), single(2)]);
    bench.source.assign(0, 0);
    committed(&mut bench, 2);
    assert_eq!(values(&bench), [2]);
    let letters = bench.target.batches(&Table::dead_letters());
    let letter = &letters[0].1[0];
    let payload = letter.column_by_name("payload").unwrap().as_binary::<i32>();
    assert_eq!(payload.value(0), pointer("k").as_bytes());
    let reason = letter
        .column_by_name("reason")
        .unwrap()
        .as_string::<i32>()
        .value(0)
        .to_owned();
    assert!(
        reason.starts_with("no_object: ") && reason.contains("s3://b/k is not there"),
        "{reason}"
    );
    assert_eq!(
        bench
            .metrics
            .dead_letters
            .with_label_values(&["no_object"])
            .get(),
        1
    );
    assert_eq!(*shelf.done.lock().unwrap(), ["k"]);
}

#[test]
fn a_broken_object_gives_its_rows_up_to_there_and_one_dead_letter() {
    let whole = object(0..100);
    let broken = whole[..whole.len() - 1].to_vec();
    let (mut bench, _) = bench(&[("k", vec![Ok(broken)])], policy(), 1 << 30);
    bench.source.produce(0, [pointer("k")]);
    bench.source.assign(0, 0);
    committed(&mut bench, 1);
    assert_eq!(values(&bench), (0..99).collect::<Vec<_>>());
    assert_eq!(bench.target.rows(&Table::dead_letters()), 1);
}

/// A large object (this one is larger than what is read at a time) is not at hand as a whole: whatever stops it in the middle, no row of it is there twice or without the others.
#[test]
fn an_object_that_stops_in_the_middle_is_read_again_from_its_beginning() {
    let whole = object(0..30_000);
    for stops in [1, 2] {
        // Once while it is looked through, or when its rows are taken.
        let mut answers = vec![Ok(whole.clone()); stops - 1];
        answers.extend([
            Ok(torn(&whole)),
            Err(Unopened::NotYet(NotYet::Asked)),
            Ok(whole.clone()),
        ]);
        let (mut bench, shelf) = bench(&[("k", answers)], policy(), 1 << 30);
        bench
            .source
            .produce(0, [single(60), pointer("k"), single(61)]);
        bench.source.assign(0, 0);
        bench.turn_until("taken", |_| !shelf.done.lock().unwrap().is_empty());
        committed(&mut bench, 3);
        // Some had been taken the second time, and those before the object with them.
        assert_eq!(bench.metrics.commit_failures.get(), stops as u64 - 1);
        let expected: Vec<i64> = [60].into_iter().chain(0..30_000).chain([61]).collect();
        assert_eq!(values(&bench), expected, "stops at attempt {stops}");
    }
}

/// Nobody else can make builders smaller while a record is taken.
#[test]
fn builders_stay_small_while_a_record_of_very_many_rows_is_taken() {
    let policy = Policy {
        batch_rows: 1 << 30,
        batch_bytes: 1 << 30,
        ..policy()
    };
    let (mut bench, shelf) = bench(&[("k", vec![Ok(object(0..200_000))])], policy, 1 << 20);
    bench.source.produce(0, [pointer("k")]);
    bench.source.assign(0, 0);
    bench.turn_until("taken", |_| !shelf.done.lock().unwrap().is_empty());
    committed(&mut bench, 1);
    let written = bench.target.batches(&Table::new("p", "a"));
    let largest = written
        .iter()
        .flat_map(|(_, batches)| batches)
        .map(|batch| batch.num_rows())
        .max();
    assert!(largest < Some(40_000), "{largest:?}");
    assert_eq!(values(&bench).len(), 200_000);
}
