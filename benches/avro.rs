//! Avro events to rows and to record batches: what a record costs at each step.
//!
//! `cargo bench --bench avro` prints the time for [`RECORDS`] of the shared events (`data`); the counter is records per second, on
//! one core. Records name their schema by a registry's number; 15% have the second client's. Lines with `rakam` are the original's
//! records, which are read by the columns of their tables.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a benchmark on its own data"
)]
#![allow(unreachable_pub, reason = "benchmarks share modules")]

mod data;
mod parts;

use alluvium::table::Objects;
use divan::Bencher;
use divan::counter::ItemsCount;
use parts::Tables;

/// Records per measured round.
const RECORDS: usize = 20_000;
/// Rows per batch of one table.
const BATCH: usize = 2_048;

fn main() {
    let events = parts::avro(&parts::events(RECORDS));
    let bytes: usize = events.iter().map(Vec::len).sum();
    eprintln!("{RECORDS} records of {} bytes on average", bytes / RECORDS);
    divan::main();
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let events = parts::events(RECORDS);
    let payloads = parts::avro(&events);
    let mut decoder = parts::avro_decoder(&events);
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        let mut fields = 0;
        for payload in &payloads {
            let row = decoder.decode("events", Some(payload), None);
            fields += row.expect("valid").values().len();
        }
        fields
    });
}

#[divan::bench]
fn batches(bencher: Bencher<'_, '_>) {
    into(bencher, |_| Tables::free(Objects::Typed, BATCH));
}

#[divan::bench]
fn catalog(bencher: Bencher<'_, '_>) {
    into(bencher, |events| {
        Tables::bound(events, Objects::Typed, BATCH)
    });
}

fn into(bencher: Bencher<'_, '_>, tables: impl FnOnce(&[data::Event]) -> Tables) {
    let events = parts::events(RECORDS);
    let payloads = parts::avro(&events);
    let mut decoder = parts::avro_decoder(&events);
    let mut tables = tables(&events);
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        for payload in &payloads {
            let row = decoder.decode("events", Some(payload), None);
            tables.append(&row.expect("valid"));
        }
    });
}

#[divan::bench]
fn rakam(bencher: Bencher<'_, '_>) {
    let events = parts::events(RECORDS);
    let payloads = parts::rakam(&events);
    let mut decoder = parts::rakam_decoder(&events);
    let mut tables = Tables::bound(&events, Objects::Typed, BATCH);
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        for (topic, payload) in &payloads {
            let row = decoder.kafka(topic, Some(payload)).expect("valid");
            tables.append(&row);
        }
    });
}
