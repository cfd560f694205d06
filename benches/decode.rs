//! JSON events to record batches: what a record costs at each step.
//!
//! The events are 396 bytes on average, about 341 of them properties, of five tables; 15% come from
//! a second client that writes its fields in another order. `cargo bench --bench decode` prints the
//! time for [`RECORDS`] of them; the counter is records per second.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a benchmark on its own data"
)]

use std::fmt::Write;
use std::sync::Arc;

use alluvium::decode::json::{JsonDecoder, JsonSettings, Layout};
use alluvium::table::{ColumnSettings, Objects, TableBuilder, UserType, Zone};
use divan::Bencher;
use divan::counter::ItemsCount;

/// Records per measured round.
const RECORDS: usize = 20_000;
/// Rows per batch of one table.
const BATCH: usize = 4_000;
const TABLES: [&str; 5] = ["pageview", "click", "purchase", "signup", "search"];

fn main() {
    let bytes: usize = events().iter().map(Vec::len).sum();
    eprintln!("{RECORDS} records of {} bytes on average", bytes / RECORDS);
    divan::main();
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let events = events();
    let mut decoder = decoder();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        let mut fields = 0;
        for event in &events {
            let row = decoder.decode("events", Some(event)).expect("valid");
            fields += row.fields().len();
        }
        fields
    });
}

#[divan::bench]
fn decode_append(bencher: Bencher<'_, '_>) {
    let events = events();
    let mut decoder = decoder();
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(builders)
        .bench_local_refs(|tables| {
            for event in &events {
                let row = decoder.decode("events", Some(event)).expect("valid");
                tables[table_of(row.collection())].append(&row);
            }
        });
}

#[divan::bench]
fn decode_append_finish(bencher: Bencher<'_, '_>) {
    let events = events();
    let mut decoder = decoder();
    let mut tables = builders();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        for event in &events {
            let row = decoder.decode("events", Some(event)).expect("valid");
            let table = &mut tables[table_of(row.collection())];
            table.append(&row);
            if table.rows() == BATCH {
                divan::black_box(table.finish());
            }
        }
    });
}

/// As `decode_append_finish`, with an array and an object in every event.
#[divan::bench]
fn nested(bencher: Bencher<'_, '_>) {
    let events = with_containers(&events());
    let mut decoder = decoder();
    let mut tables = builders();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        for event in &events {
            let row = decoder.decode("events", Some(event)).expect("valid");
            let table = &mut tables[table_of(row.collection())];
            table.append(&row);
            if table.rows() == BATCH {
                divan::black_box(table.finish());
            }
        }
    });
}

fn decoder() -> JsonDecoder {
    JsonDecoder::new(JsonSettings {
        layout: Layout::Rakam,
        project: "default".into(),
        collection_field: None,
        max_bytes: 1 << 20,
    })
}

fn builders() -> Vec<TableBuilder> {
    let settings = Arc::new(ColumnSettings {
        checkpoint_field: "_shard_time".into(),
        time_field: "_time".into(),
        user_field: "_user".into(),
        user_type: UserType::String,
        zone: Zone::UTC,
        objects: Objects::Map,
    });
    TABLES
        .iter()
        .map(|_| TableBuilder::new(&settings, 1_700_000_000_000))
        .collect()
}

fn table_of(collection: &str) -> usize {
    TABLES
        .iter()
        .position(|table| *table == collection)
        .expect("one of the tables")
}

fn events() -> Vec<Vec<u8>> {
    let mut random = Random(42);
    (0..RECORDS)
        .map(|n| event(&mut random, n).into_bytes())
        .collect()
}

/// Adds `"tags":["…","…","…"],"sizes":{"w":1,"h":2,"d":3}` to the properties of each event.
fn with_containers(events: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut random = Random(7);
    let mut containers = |event: &Vec<u8>| {
        let mut text = String::from_utf8(event.clone()).expect("JSON");
        text.truncate(text.len() - 2);
        let [a, b, c] = [(); 3].map(|()| random.below(1000));
        write!(
            text,
            ",\"tags\":[\"tag-{a}\",\"tag-{b}\",\"tag-{c}\"],\"sizes\":{{\"w\":{a},\"h\":{b},\"d\":{c}}}}}}}"
        )
        .expect("writing to a string");
        text.into_bytes()
    };
    events.iter().map(&mut containers).collect()
}

fn event(random: &mut Random, n: usize) -> String {
    let table = TABLES[random.below(5)];
    let (second, millis) = (n / 60 % 60, n % 1000);
    let fields = [
        (
            "_time",
            format!(
                "\"2026-01-31T05:{:02}:{second:02}.{millis:03}Z\"",
                n / 3600 % 60
            ),
        ),
        ("_user", format!("\"user-{:06}\"", random.below(50_000))),
        ("_session", format!("\"{:016x}\"", random.next())),
        (
            "url",
            format!("\"https://shop.example/{table}/{}\"", random.below(2000)),
        ),
        (
            "referrer",
            format!("\"https://search.example/?q={}\"", random.below(300)),
        ),
        (
            "country",
            format!("\"{}\"", ["DE", "TR", "US", "FR", "JP"][random.below(5)]),
        ),
        (
            "platform",
            format!("\"{}\"", ["ios", "android", "web"][random.below(3)]),
        ),
        (
            "version",
            format!("\"{}.{}.0\"", random.below(4), random.below(20)),
        ),
        ("screen_width", format!("{}", 320 + random.below(1600))),
        ("duration_ms", format!("{}", random.below(100_000))),
        (
            "price",
            format!("{}.{:02}", random.below(500), 1 + random.below(99)),
        ),
        ("logged_in", format!("{}", random.below(2) == 0)),
        ("quantity", format!("{}", random.below(9))),
    ];
    let mut order: Vec<usize> = (0..fields.len()).collect();
    if random.below(100) < 15 {
        order.reverse();
        order.rotate_left(3);
    }
    let mut event = format!("{{\"project\":\"demo\",\"collection\":\"{table}\",\"properties\":{{");
    for (n, field) in order.into_iter().enumerate() {
        let (name, value) = &fields[field];
        let comma = if n == 0 { "" } else { "," };
        write!(event, "{comma}\"{name}\":{value}").expect("writing to a string");
    }
    event.push_str("}}");
    event
}

/// A small generator of numbers that are random enough, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
