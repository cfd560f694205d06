//! The program as a user runs it, from the topic's beginning to its end.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::cases::Case;
use crate::objects::{self, Stock};
use crate::stages;
use crate::support::config::Config;
use crate::support::program::{alluvium_at, command_of, stderr};
use crate::support::service::Bucket;
use crate::support::{process, seconds};

/// What a run took, and what it left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) elapsed: Duration,
    /// User and system time of all threads and children.
    pub(crate) cpu: Duration,
    /// Highest resident memory, in bytes.
    pub(crate) memory: u64,
    pub(crate) stock: Stock,
}

/// The configuration of a run whose objects are called `prefix…`.
pub(crate) fn config(case: &Case, directory: &Path, kafka: &str, topic: &str) -> Config {
    let config = Config::new(directory, kafka, topic)
        .s3(&Bucket::shared())
        .set("stream.max-flush-duration", "15s")
        .set("middleware.max-flush-duration", "60s")
        .set("memory.max-size", "128MB")
        .set("kafka.workers", &case.workers.to_string())
        .set("target.compression", case.compression)
        .set("target.compression-level", case.level);
    case.dataset.configure(config, directory)
}

/// Names the group and the objects of one run.
pub(crate) fn named(config: Config, case: &Case, prefix: &str) -> Config {
    let (group, extension) = (prefix.replace('/', "-"), case.extension());
    let key = format!(
        "{prefix}{{project}}/{{collection}}/{{topic}}-{{partition}}-{{from}}-{{to}}.{extension}"
    );
    config.set("kafka.group.id", &group).set("target.key", &key)
}

/// Runs the program to the topic's end, watches it, and counts what it wrote.
pub(crate) fn drain(program: &OsStr, config: &Config, prefix: &str, events: u64) -> Used {
    let file = config.write();
    let start = Instant::now();
    let mut process = command_of(program)
        .args(["run", "--until-end", "--config"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut memory = 0;
    // A process that has ended keeps its CPU time until it is waited for, but not its memory.
    while !process::has_ended(process.id()) {
        memory = process::memory(process.id(), "VmHWM").unwrap_or(memory);
        assert!(
            start.elapsed() < seconds(1_800),
            "the program does not come to an end"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let (elapsed, cpu) = (start.elapsed(), process::cpu(process.id()));
    let status = process.wait().expect("the program ends");
    assert!(status.success(), "the program failed: {status}");
    let stock = objects::stock(&stages::settings(&file), prefix);
    assert_eq!(stock.rows, events, "rows in objects");
    let verified = alluvium_at(
        program,
        &["verify", "--config", &file.display().to_string()],
    );
    assert!(verified.status.success(), "{}", stderr(&verified));
    Used {
        elapsed,
        cpu,
        memory,
        stock,
    }
}
