//! Everything that can break breaks, at random, for as long as wanted; then every record is counted.
//!
//! `make chaos` runs it; CONTRIBUTING.md tells the variables. A round has its own brokers, S3 server and processes.

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

mod feed;
mod fleet;
mod history;
mod judge;
mod records;
mod round;
mod schedule;

use std::time::Duration;

use support::{seconds, setting};

/// How large a run is.
#[derive(Clone, Copy, Debug)]
struct Size {
    time: Duration,
    rate: u64,
}

#[test]
fn every_record_arrives_exactly_once_whatever_breaks() {
    let rounds = setting("ROUNDS", 1);
    let size = Size {
        time: seconds(setting("CHAOS_SECONDS", 100)),
        rate: setting("CHAOS_RATE", 4_000),
    };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let first = setting("CHAOS_SEED", now % 1_000_000_000);
    let (mut faults, mut records) = (0, 0);
    for number in 0..rounds {
        let seed = first + number;
        eprintln!(
            "chaos round {} of {rounds}: CHAOS_SEED={seed}, {size:?}",
            number + 1
        );
        let outcome = round::play(seed, size);
        faults += outcome.faults;
        records += outcome.records;
    }
    eprintln!("chaos: {rounds} rounds, {faults} faults, {records} records");
    // What the run that is part of all tests must have at least.
    if size.time >= seconds(100) {
        assert!(
            faults >= 30 * rounds,
            "only {faults} faults in {rounds} rounds"
        );
    }
}
