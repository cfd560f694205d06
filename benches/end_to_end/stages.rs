//! The bare stages, each alone: what the program's CPU time is compared with.
//!
//! Each runs in a process of its own, this program called `end_to_end stage …`, and prints nanoseconds of CPU time.
//! What is prepared for a stage is not on its clock.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use alluvium::config::Settings;

use crate::cases::Case;
use crate::support::service::shared_kafka;
use crate::{consume, objects, transform};

/// CPU time of each stage for one record, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stages {
    pub(crate) consume: f64,
    pub(crate) decode: f64,
    pub(crate) encode: f64,
    pub(crate) compress: f64,
    pub(crate) upload: f64,
}

impl Stages {
    pub(crate) fn sum(&self) -> f64 {
        self.consume + self.decode + self.encode + self.compress + self.upload
    }

    /// Measures all stages: `config` is the file that the program ran with, its objects stand under `prefix`.
    pub(crate) fn measure(case: &Case, topic: &str, config: &Path, prefix: &str) -> Self {
        let (name, config) = (case.name(), config.display().to_string());
        let mut taken = run(&["consume", &name, topic]);
        taken.extend(run(&["transform", &name, &config]));
        let other = format!("{}-again/", prefix.trim_end_matches('/'));
        taken.extend(run(&["upload", &config, prefix, &other]));
        let events = case.dataset.events() as f64;
        let each = |stage: &str| taken[stage] / 1e3 / events;
        Self {
            consume: each("consume"),
            decode: each("decode"),
            encode: each("encode"),
            compress: each("compress"),
            upload: each("upload"),
        }
    }
}

/// Runs a stage in a child; gives nanoseconds by name.
fn run(arguments: &[&str]) -> HashMap<String, f64> {
    let this = std::env::current_exe().expect("a path");
    let output = Command::new(this)
        .args([crate::WANTED, "stage"])
        .args(arguments)
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("this program starts");
    assert!(output.status.success(), "stage {arguments:?} failed");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = |line: &str| {
        let (name, nanoseconds) = line.split_once(' ').expect("a name and a number");
        (name.to_owned(), nanoseconds.parse().expect("a number"))
    };
    text.lines().map(line).collect()
}

/// The child's part.
pub(crate) fn child(arguments: &[String]) {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["consume", name, topic] => {
            let events = Case::by_name(name).dataset.events();
            say("consume", consume::consume(&shared_kafka(), topic, events));
        }
        ["transform", name, config] => {
            let dataset = Case::by_name(name).dataset;
            let settings = settings(Path::new(config));
            let steps = transform::transform(&dataset, dataset.events(), &settings.output);
            say("decode", steps.decode);
            say("encode", steps.encode);
            say("compress", steps.compress);
        }
        ["upload", config, prefix, other] => {
            let settings = settings(Path::new(config));
            say("upload", objects::upload(&settings, prefix, other));
        }
        _ => panic!("not a stage: {arguments:?}"),
    }
}

fn say(stage: &str, time: Duration) {
    println!("{stage} {}", time.as_nanos());
}

/// The settings of a file, as the program reads them.
pub(crate) fn settings(config: &Path) -> Settings {
    let loaded = alluvium::config::load(config, [], &[]);
    loaded
        .unwrap_or_else(|problems| panic!("{problems}"))
        .settings
}
