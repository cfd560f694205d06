//! Looks at the program each second, from outside.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::feed::{Load, now};
use super::samples::{HEADER, Sample};
use crate::datasets::PARTITIONS;
use crate::support::program::{Metrics, Program};
use crate::support::{process, seconds};

/// With less free disk the run ends: others use it, too.
const DISK_KEPT: u64 = 8 << 30;

/// Samples for so long, into a file of `directory`.
pub(super) fn watch(
    program: &mut Program,
    load: &Load,
    time: Duration,
    directory: &Path,
) -> Vec<Sample> {
    std::fs::create_dir_all(directory).expect("a directory for samples");
    let mut file = File::create(directory.join("samples.csv")).expect("a file for samples");
    file.write_all(HEADER.as_bytes()).expect("a line");
    print!("{HEADER}");
    let start = Instant::now();
    let (mut samples, mut before) = (Vec::new(), Seen::now(program, load, start));
    while start.elapsed() < time {
        let next = seconds(samples.len() as u64 + 1);
        std::thread::sleep(next.saturating_sub(start.elapsed()));
        assert!(program.is_running(), "the program ended");
        let seen = Seen::now(program, load, start);
        let sample = seen.since(&before);
        file.write_all(sample.line().as_bytes()).expect("a line");
        if samples.len() % 10 == 9 {
            print!("{}", sample.line());
            let free = free_disk(directory);
            assert!(free > DISK_KEPT, "only {} MB of disk are left", free >> 20);
        }
        samples.push(sample);
        before = seen;
    }
    samples
}

/// Counters at a moment.
struct Seen {
    time: Duration,
    sent: u64,
    taken: u64,
    latency: f64,
    memory: u64,
    cpu: Duration,
}

impl Seen {
    fn now(program: &Program, load: &Load, start: Instant) -> Self {
        let metrics = program.metrics();
        let taken = metrics.sum("alluvium_records_total", &[]) as u64;
        Self {
            time: start.elapsed(),
            // The feeder counts ten times a second.
            sent: load.sent().max(taken),
            taken,
            latency: latency(&metrics, load),
            memory: process::memory(program.id(), "VmRSS").unwrap_or_default(),
            cpu: process::cpu(program.id()),
        }
    }

    fn since(&self, before: &Self) -> Sample {
        let time = (self.time - before.time).as_secs_f64();
        Sample {
            seconds: self.time.as_secs_f64(),
            sent_rate: (self.sent - before.sent) as f64 / time,
            taken_rate: (self.taken - before.taken) as f64 / time,
            lag: (self.sent - self.taken) as f64,
            latency: self.latency,
            memory: self.memory as f64 / 1e6,
            cpu: (self.cpu - before.cpu).as_secs_f64() / time,
        }
    }
}

/// The age of the oldest record that is not committed, in seconds.
fn latency(metrics: &Metrics, load: &Load) -> f64 {
    let now = now();
    let ages = (0..PARTITIONS).filter_map(|partition| {
        let label = format!("partition=\"{partition}\"");
        let checkpoint = metrics.sum("alluvium_checkpoint", &[&label]) as u64;
        let sent = load.sent_at(partition, checkpoint)?;
        Some(now.saturating_sub(sent))
    });
    ages.max().unwrap_or_default() as f64 / 1e3
}

/// Bytes that are free where `directory` is.
fn free_disk(directory: &Path) -> u64 {
    let output = Command::new("df")
        .args(["--output=avail", "-B1"])
        .arg(directory)
        .output()
        .expect("df");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.lines().nth(1).map(str::trim).unwrap_or_default();
    number.parse().expect("bytes that are free")
}
