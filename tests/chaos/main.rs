//! Everything that can break breaks, at random, for as long as wanted; then every record is counted.
//!
//! `make chaos` runs it; CONTRIBUTING.md tells the variables. A round has its own brokers, or its own Kinesis and DynamoDB, and its own S3
//! server and processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod brokers;
mod feed;
mod fleet;
mod history;
mod judge;
mod kinesis;
mod offences;
mod records;
mod round;
mod schedule;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use round::Outcome;
use support::{seconds, setting};

/// How large a run is.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// At least.
    time: Duration,
    rate: u64,
    /// What a round must have at least; one on a slow machine goes on for longer.
    faults: u64,
}

/// Rounds, one after the other, each from one seed.
fn play(what: &str, size: Size, round: fn(u64, Size) -> Outcome) -> (u64, Outcome) {
    // Each wants the whole machine.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let rounds = setting("ROUNDS", 1);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let first = setting("CHAOS_SEED", now % 1_000_000_000);
    let mut all = Outcome::default();
    for number in 0..rounds {
        let seed = first + number;
        eprintln!(
            "{what}: chaos round {} of {rounds}: CHAOS_SEED={seed}, {size:?}",
            number + 1
        );
        let Outcome { faults, records } = round(seed, size);
        all.faults += faults;
        all.records += records;
    }
    let Outcome { faults, records } = all;
    eprintln!("{what}: {rounds} rounds, {faults} faults, {records} records");
    (rounds, all)
}

#[test]
fn every_record_of_kafka_arrives_exactly_once_whatever_breaks() {
    let time = seconds(setting("CHAOS_SECONDS", 100));
    let size = Size {
        time,
        rate: setting("CHAOS_RATE", 4_000),
        // What the run that is part of all tests must have.
        faults: if time >= seconds(100) { 30 } else { 0 },
    };
    let (rounds, Outcome { faults, .. }) = play("Kafka", size, round::play);
    assert!(
        faults >= size.faults * rounds,
        "only {faults} faults in {rounds} rounds"
    );
}

#[test]
fn every_record_of_a_stream_arrives_exactly_once_whatever_breaks() {
    let time = seconds(setting("CHAOS_SECONDS", 40));
    let size = Size {
        time,
        rate: setting("CHAOS_RATE", 1_000),
        faults: if time >= seconds(40) { 8 } else { 0 },
    };
    let (rounds, Outcome { faults, .. }) = play("Kinesis", size, kinesis::play);
    assert!(
        faults >= size.faults * rounds,
        "only {faults} faults in {rounds} rounds"
    );
}
