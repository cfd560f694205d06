//! Counts the instructions that records cost on their way, so that a slow-down fails a build on any machine.
//!
//! Each case runs fixed records through a part of the program, once to warm up and once under valgrind's callgrind, in a process of its own.
//! What counts is compared with the checked-in figures. Valgrind shows no more of a processor than AVX2, so that the same
//! instructions run on any that has it; `make instructions` builds and runs this, and CONTRIBUTING.md says what to do when it fails.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark on its own data"
)]
#![allow(unreachable_pub, reason = "benchmarks share modules")]

#[path = "../data/mod.rs"]
mod data;
#[path = "../parts/mod.rs"]
mod parts;

mod cases;
mod figures;
mod lines;
mod stream;
mod valgrind;

use std::process::ExitCode;

use self::figures::{Figures, Verdict};

/// The first argument of a process that runs one case.
const RUN: &str = "run-one-case";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(RUN) {
        let name = arguments.next().expect("the name of a case");
        cases::run(&name);
        return ExitCode::SUCCESS;
    }
    match compare() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts all cases and says what became of them; whether all are as expected.
fn compare() -> Result<bool, String> {
    let update = std::env::var_os("UPDATE").is_some();
    let expected = Figures::read()?;
    let mut found = Figures::default();
    let mut as_expected = true;
    println!(
        "{:20} {:>12} {:>12}",
        "instructions", "a record", "expected"
    );
    for name in cases::names() {
        let records = cases::RECORDS as f64;
        let counted = valgrind::count(name)? as f64 / records;
        found.set(name, counted);
        let verdict = Verdict::of(counted, expected.get(name));
        as_expected &= verdict.is_expected();
        let before = expected
            .get(name)
            .map_or("none".into(), |was| format!("{was:.0}"));
        println!("{name:20} {counted:12.0} {before:>12}  {verdict}");
    }
    if update {
        found.write()?;
        return Ok(true);
    }
    if !as_expected {
        eprintln!("{}", figures::ADVICE);
    }
    Ok(as_expected)
}
