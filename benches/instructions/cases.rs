//! The cases: which records go through which part of the program.

use std::hint::black_box;

use alluvium::decode::json::JsonDecoder;
use alluvium::table::Objects;
use alluvium_objects::Compression;

use super::data::Event;
use super::lines::Lines;
use super::parts::{self, Tables};
use super::stream;

/// Records of every case.
pub const RECORDS: usize = 4_000;
/// Rows of a batch: several of them are made of each table.
const BATCH: usize = 250;

/// What is counted, ready to run again and again.
type Work = Box<dyn FnMut()>;

/// Makes work of events, which is not counted.
type Prepare = fn(&[Event]) -> Work;

/// The cases by their names.
const CASES: [(&str, Prepare); 11] = [
    ("json_batches", |events| {
        let tables = Tables::free(Objects::Map, BATCH);
        json(parts::json_decoder(), parts::json(events), tables)
    }),
    ("json_nested", |events| {
        let tables = Tables::free(Objects::Map, BATCH);
        json(parts::json_decoder(), parts::json_nested(events), tables)
    }),
    ("json_catalog", |events| {
        let tables = Tables::bound(events, Objects::Map, BATCH);
        json(parts::json_decoder(), parts::json(events), tables)
    }),
    ("json_capitals", |events| {
        let tables = Tables::bound(events, Objects::Map, BATCH);
        json(
            parts::plain_decoder(),
            parts::json_in_capitals(events),
            tables,
        )
    }),
    ("avro_batches", avro),
    ("rakam_batches", rakam),
    ("lines", |events| lines(events, Compression::None, 0)),
    ("lines_gzip_1", |events| lines(events, Compression::Gzip, 1)),
    ("lines_gzip_6", |events| lines(events, Compression::Gzip, 6)),
    ("lines_zstd_1", |events| lines(events, Compression::Zstd, 1)),
    ("worker_loop", |events| {
        let payloads = parts::json(events);
        Box::new(move || stream::through_a_worker(&payloads))
    }),
];

pub fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|(name, _)| *name)
}

/// Runs a case twice, the second time as what is counted.
pub fn run(name: &str) {
    let found = CASES.iter().find(|(case, _)| *case == name);
    let (_, prepare) = found.expect("a case of this name");
    let mut work = prepare(&parts::events(RECORDS));
    work();
    counted_instructions(&mut work);
}

/// Callgrind knows it by its name.
#[inline(never)]
fn counted_instructions(work: &mut Work) {
    black_box(work)();
}

fn json(mut decoder: JsonDecoder, payloads: Vec<Vec<u8>>, mut tables: Tables) -> Work {
    Box::new(move || {
        for payload in &payloads {
            let row = decoder.decode("events", Some(payload)).expect("valid");
            tables.append(&row);
        }
        black_box(tables.finish());
    })
}

fn avro(events: &[Event]) -> Work {
    let payloads = parts::avro(events);
    let mut decoder = parts::avro_decoder(events);
    let mut tables = Tables::free(Objects::Typed, BATCH);
    Box::new(move || {
        for payload in &payloads {
            let row = decoder.decode("events", Some(payload), None);
            tables.append(&row.expect("valid"));
        }
        black_box(tables.finish());
    })
}

fn rakam(events: &[Event]) -> Work {
    let payloads = parts::rakam(events);
    let mut decoder = parts::rakam_decoder(events);
    let mut tables = Tables::bound(events, Objects::Typed, BATCH);
    Box::new(move || {
        for (topic, payload) in &payloads {
            let row = decoder.kafka(topic, Some(payload)).expect("valid");
            tables.append(&row);
        }
        black_box(tables.finish());
    })
}

fn lines(events: &[Event], compression: Compression, level: u32) -> Work {
    let mut decoder = parts::json_decoder();
    let mut tables = Tables::free(Objects::Map, RECORDS);
    for payload in parts::json(events) {
        tables.append(&decoder.decode("events", Some(&payload)).expect("valid"));
    }
    let lines = Lines::new(tables.finish(), compression, level);
    Box::new(move || lines.write())
}
