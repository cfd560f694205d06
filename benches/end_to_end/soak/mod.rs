//! Full speed for long: a load that rises until the program cannot follow, drops, and rises again. `make soak` runs it.
//!
//! The feeder is a process of its own. Every second memory, rates, lag and latency are written to `target/soak/samples.csv`. At the end
//! every record must be in the target once, and neither memory nor latency may have grown.
//!
//! | variable | meaning |
//! |---|---|
//! | `SOAK_SECONDS` | how long records are fed (1800) |
//! | `SOAK_PERIOD` | seconds of a tooth (90) |
//! | `SOAK_PEAK` | records a second at its tip (260,000): more than the program gets done beside its broker, so that records wait |
//! | `SOAK_LEVEL` | `target.compression-level` (6). Objects of half an hour take some 20 GB, more at lower levels |
//! | `SOAK_PLOT` | a file for the plot, such as `docs/soak.svg` |

mod feed;
mod plot;
mod samples;
mod verdict;
mod watch;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cases::Case;
use crate::datasets::PARTITIONS;
use crate::support::output::scratch;
use crate::support::program::{Program, alluvium_at, stderr};
use crate::support::service::{Bucket, shared_kafka};
use crate::support::{broker, eventually, seconds, setting, unique};
use crate::{matrix, objects, run as runs, stages};

pub(crate) use feed::child as feed;

/// How long a row may wait before it is flushed.
const FLUSH: Duration = seconds(10);

pub(crate) fn run() {
    let period = setting("SOAK_PERIOD", 90);
    // Whole teeth, so that all parts of the run have the same load.
    let time = setting("SOAK_SECONDS", 1800).div_ceil(period) * period;
    let (kafka, topic) = (shared_kafka(), unique("soak"));
    broker::create_topic_with(
        &kafka,
        &topic,
        PARTITIONS,
        &[
            // What waits is far less; the rest need not fill the disk.
            ("retention.bytes", "536870912"),
            ("segment.bytes", "67108864"),
        ],
    );
    let (_scratch, directory) = scratch();
    let (case, prefix) = (Case::by_name("json-400-5-gzip6"), format!("{topic}/"));
    let config = runs::config(&case, &directory, &kafka, &topic);
    let config = runs::named(config, &case, &prefix)
        .set(
            "target.compression-level",
            &setting("SOAK_LEVEL", 6).to_string(),
        )
        .set("stream.max-flush-duration", "5s")
        .set(
            "middleware.max-flush-duration",
            &format!("{}s", FLUSH.as_secs()),
        );
    let group = config.get("kafka.group.id").to_owned();
    let path = matrix::programs().remove(0);
    let mut program = Program::start_at(&path, &config, &[]);
    program.wait_ready();

    let load = feed::Load::start(&kafka, &topic, setting("SOAK_PEAK", 260_000), period, time);
    let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../soak");
    let samples = watch::watch(&mut program, &load, seconds(time), &output);
    let sent = load.finish();

    let start = Instant::now();
    eventually("everything to be committed", seconds(300), || {
        let ends = broker::ends(&kafka, &topic, PARTITIONS);
        broker::committed(&kafka, &group, &topic, PARTITIONS) == ends
    });
    println!(
        "{sent} records; all were committed {:.1} s after the last one",
        start.elapsed().as_secs_f64()
    );
    program.stop();
    everything_is_there_once(&path, &config.write(), &prefix, sent);
    if let Ok(file) = std::env::var("SOAK_PLOT") {
        std::fs::write(&file, plot::svg(&samples)).expect("a file for the plot");
        println!("plotted to {file}");
    }
    verdict::judge(&samples, period);
}

/// Spans tile, each has as many rows as positions, and there are as many rows as records.
fn everything_is_there_once(
    program: &std::ffi::OsStr,
    config: &std::path::Path,
    prefix: &str,
    sent: u64,
) {
    let verified = alluvium_at(
        program,
        &["verify", "--config", &config.display().to_string()],
    );
    assert!(verified.status.success(), "{}", stderr(&verified));
    let stock = objects::stock(&stages::settings(config), prefix);
    assert_eq!(stock.rows, sent, "rows in objects");
    let bucket = Bucket::shared().name;
    println!(
        "{} rows in {} objects of {:.1} GB in {bucket}, each once",
        stock.rows,
        stock.objects,
        stock.bytes as f64 / 1e9
    );
}
