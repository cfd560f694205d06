//! Runs the cases: each dataset is fed once, each round runs every program on every case, and the bare stages beside it.

use std::ffi::OsString;

use crate::cases::{self, Case};
use crate::datasets::Dataset;
use crate::report::{Report, Row};
use crate::run::{self, Used};
use crate::stages::Stages;
use crate::support::output::scratch;
use crate::support::service::shared_kafka;
use crate::support::{setting, unique};

/// The programs to measure: those of `ALLUVIUM_BENCH_PROGRAMS`, with commas between, or the one that was built.
pub(crate) fn programs() -> Vec<OsString> {
    match std::env::var("ALLUVIUM_BENCH_PROGRAMS") {
        Ok(paths) => paths.split(',').map(OsString::from).collect(),
        Err(_) => vec![env!("CARGO_BIN_EXE_alluvium").into()],
    }
}

/// Measures the cases that are wanted and adds them to the report as they are done.
pub(crate) fn run(report: &mut Report) {
    let mut cases = cases::wanted();
    while let Some(first) = cases.first() {
        let dataset = first.dataset;
        let (of_dataset, others): (Vec<Case>, Vec<Case>) =
            cases.into_iter().partition(|case| case.dataset == dataset);
        measure(&dataset, &of_dataset, report);
        cases = others;
    }
}

/// What was measured of a case, by program and round.
struct Measured {
    used: Vec<Vec<Used>>,
    stages: Vec<Stages>,
}

fn measure(dataset: &Dataset, cases: &[Case], report: &mut Report) {
    let (kafka, topic) = (shared_kafka(), unique("bench"));
    let (programs, rounds) = (programs(), setting("ALLUVIUM_BENCH_ROUNDS", 3));
    let (events, bytes) = (dataset.events(), dataset.feed(&kafka, &topic));
    eprintln!(
        "{}: {events} events, {} bytes each on average",
        dataset.name(),
        bytes / events
    );
    let new = |_: &Case| Measured {
        used: vec![Vec::new(); programs.len()],
        stages: Vec::new(),
    };
    let mut measured: Vec<_> = cases.iter().map(new).collect();
    for round in 0..rounds {
        for (case, measured) in cases.iter().zip(&mut measured) {
            let (_scratch, directory) = scratch();
            let config = run::config(case, &directory, &kafka, &topic);
            for (number, program) in programs.iter().enumerate() {
                let prefix = format!("{topic}/{}/{round}-{number}/", case.name());
                let config = run::named(config.clone(), case, &prefix);
                let used = run::drain(program, &config, &prefix, events);
                measured.used[number].push(used);
                if number == 0 {
                    let stages = Stages::measure(case, &topic, &config.write(), &prefix);
                    measured.stages.push(stages);
                }
            }
        }
    }
    for (case, measured) in cases.iter().zip(measured) {
        let of_program = programs.iter().zip(measured.used);
        report.add(of_program.map(|(program, used)| Row {
            case: *case,
            program: program.clone(),
            bytes,
            used,
            stages: measured.stages.clone(),
        }));
    }
}
