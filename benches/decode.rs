//! JSON events to rows and to record batches: what a record costs at each step.
//!
//! `cargo bench --bench decode` prints the time for [`RECORDS`] of the shared events (`data`); the counter is records per second, on
//! one core. Lines with `catalog` have tables whose columns a catalog decides.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a benchmark on its own data"
)]
#![allow(unreachable_pub, reason = "benchmarks share modules")]

mod data;
mod parts;

use alluvium::decode::json::JsonDecoder;
use alluvium::table::Objects;
use divan::Bencher;
use divan::counter::ItemsCount;
use parts::Tables;

/// Records per measured round.
const RECORDS: usize = 20_000;
/// Rows per batch of one table.
const BATCH: usize = 2_048;

fn main() {
    let events = parts::json(&parts::events(RECORDS));
    let bytes: usize = events.iter().map(Vec::len).sum();
    eprintln!("{RECORDS} records of {} bytes on average", bytes / RECORDS);
    divan::main();
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let events = parts::json(&parts::events(RECORDS));
    let mut decoder = parts::json_decoder();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        let mut fields = 0;
        for event in &events {
            let row = decoder.decode("events", Some(event)).expect("valid");
            fields += row.values().len();
        }
        fields
    });
}

#[divan::bench]
fn batches(bencher: Bencher<'_, '_>) {
    let events = parts::json(&parts::events(RECORDS));
    let tables = Tables::free(Objects::Map, BATCH);
    into(bencher, parts::json_decoder(), &events, tables);
}

/// As `batches`, with an array and an object in every event.
#[divan::bench]
fn nested(bencher: Bencher<'_, '_>) {
    let events = parts::json_nested(&parts::events(RECORDS));
    let tables = Tables::free(Objects::Map, BATCH);
    into(bencher, parts::json_decoder(), &events, tables);
}

#[divan::bench]
fn catalog(bencher: Bencher<'_, '_>) {
    let events = parts::events(RECORDS);
    let tables = Tables::bound(&events, Objects::Map, BATCH);
    into(
        bencher,
        parts::json_decoder(),
        &parts::json(&events),
        tables,
    );
}

/// As `catalog`, with fields whose names are not the columns' letter by letter.
#[divan::bench]
fn catalog_capitals(bencher: Bencher<'_, '_>) {
    let events = parts::events(RECORDS);
    let tables = Tables::bound(&events, Objects::Map, BATCH);
    let payloads = parts::json_in_capitals(&events);
    into(bencher, parts::plain_decoder(), &payloads, tables);
}

fn into(
    bencher: Bencher<'_, '_>,
    mut decoder: JsonDecoder,
    payloads: &[Vec<u8>],
    mut tables: Tables,
) {
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        for payload in payloads {
            let row = decoder.decode("events", Some(payload)).expect("valid");
            tables.append(&row);
        }
    });
}
