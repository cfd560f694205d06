//! From Kafka to S3 and how fast, next to what the bare stages cost: `make bench` starts the services and runs this.
//!
//! Each case ([`cases`]) is a seeded dataset in a topic of twelve partitions, and settings. The program drains it with
//! `alluvium run --until-end`; then each stage alone ([`stages`]) does its part of the work on the same data. The broker and
//! the S3 server share the machine, so the rate says what was left beside them; the numbers to compare are the CPU time per
//! record, and its ratio to the sum of the stages.
//!
//! | variable | meaning |
//! |---|---|
//! | `ALLUVIUM_BENCH_ONLY` | names of cases, with commas between; a `*` at the end stands for anything. `standing` is start and idling |
//! | `ALLUVIUM_BENCH_ROUNDS` | how often each case runs (3); the tables show the median, the least and the greatest |
//! | `ALLUVIUM_BENCH_EVENTS` | events of 400 bytes (1,000,000); there are twice as many of 150 bytes and a fourth of 2000 |
//! | `ALLUVIUM_BENCH_PROGRAMS` | paths of programs to compare, with commas between; they run in turn |
//! | `ALLUVIUM_BENCH_ASSERT` | 1: a row that misses a goal ([`goals`]) fails the run |
//! | `ALLUVIUM_BENCH_STARTS`, `_IDLE_SECONDS` | how many starts (10), and how long idling is watched (60) |
//!
//! Results go to `target/bench/results.md`, too. `make soak` runs the same program with the argument `soak` ([`soak`]).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking"
)]

#[allow(
    unreachable_pub,
    clippy::duplicate_mod,
    reason = "other benchmarks include it by itself"
)]
#[path = "../data/mod.rs"]
mod data;
#[allow(unreachable_pub, reason = "other benchmarks include it by itself")]
#[path = "../parts/mod.rs"]
mod parts;
#[path = "../../tests/support/mod.rs"]
mod support;

mod avro;
mod cases;
mod consume;
mod datasets;
mod goals;
mod matrix;
mod objects;
mod report;
mod run;
mod soak;
mod spread;
mod stages;
mod standing;
mod transform;

use std::process::ExitCode;

/// What `cargo bench` adds to the arguments, and `cargo test`, which runs benches too, to see that they work, does not. This one
/// needs its services for that.
const WANTED: &str = "--bench";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (wanted, arguments): (Vec<_>, Vec<_>) = arguments
        .into_iter()
        .partition(|argument| argument == WANTED);
    if wanted.is_empty() {
        return ExitCode::SUCCESS;
    }
    match arguments.first().map(String::as_str) {
        Some("stage") => stages::child(&arguments[1..]),
        Some("feed") => soak::feed(&arguments[1..]),
        Some("soak") => soak::run(),
        Some(other) => panic!("{other} is not a part of this"),
        None => return bench(),
    }
    ExitCode::SUCCESS
}

/// Measures everything that is wanted. A failure if goals are missed and that is to be one.
fn bench() -> ExitCode {
    let mut report = report::Report::default();
    let only = std::env::var("ALLUVIUM_BENCH_ONLY").ok();
    if only.as_deref() != Some("standing") {
        matrix::run(&mut report);
    }
    if only.is_none_or(|only| only == "standing") {
        for program in matrix::programs() {
            report.standing(&standing::measure(&program));
        }
    }
    for missed in &report.missed {
        println!("missed: {missed}");
    }
    if report.missed.is_empty() || support::setting("ALLUVIUM_BENCH_ASSERT", 0) == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
