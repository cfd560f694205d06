//! The command line: what a person can ask for, and the exit code that answers.
//!
//! 0: done, or drained after SIGTERM or SIGINT. 1: failed while running. 2: the configuration is wrong, and nothing was started.
//! Logs go to stderr; stdout is for results.

mod catalog;
mod leases;
mod logging;
mod repair;
mod signals;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use alluvium_target::Table;
use clap::{Parser, Subcommand};

use crate::config::{self, Loaded};
use crate::demo;
use crate::metrics::Metrics;
use crate::record::{Partition, Position};
use crate::recover::Wanted;
use crate::registry::Targets;
use crate::replay::Part;
use crate::run::{self, Options, RunError, Stop};

/// Drains event streams into columns: Kafka topics to compressed files per table, each committed only when it is durable.
#[derive(Debug, Parser)]
#[command(name = "alluvium", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read, deliver and commit until stopped.
    Run {
        /// The .properties file; environment variables (ALLUVIUM_KAFKA_GROUP_ID) win over it.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Stop with exit code 0 once every assigned partition is committed up to the end it had at start.
        #[arg(long)]
        until_end: bool,
    },
    /// Say whether `run` could start: configuration, target, cluster, topics.
    Check {
        /// The .properties file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Audit what is in the target: do spans tile up to the checkpoints, are they complete, do counts agree. Exit code 0 only if so.
    Verify {
        /// The .properties file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Read every object, and compare what is in it with what it says.
        #[arg(long)]
        deep: bool,
    },
    /// Write past spans again, under the same names, over whatever stands there: repairs a damaged target.
    Replay {
        /// The .properties file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The partition.
        #[arg(long, value_name = "TOPIC-NUMBER", value_parser = partition)]
        partition: Partition,
        /// The first offset, or SEQUENCE.NUMBER: where a span begins.
        #[arg(long, value_name = "POSITION")]
        from: Position,
        /// The position behind the last: where a span ends.
        #[arg(long, value_name = "POSITION")]
        to: Position,
        /// When a span of which no object is left was opened, in milliseconds since the epoch.
        #[arg(long, value_name = "MILLISECONDS")]
        opened: Option<i64>,
    },
    /// Show plans that were not finished, and what is in the target for them.
    Recover {
        /// The .properties file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only this partition; may be given several times.
        #[arg(long, value_name = "TOPIC-NUMBER", value_parser = partition)]
        partition: Vec<Partition>,
        /// Discard the plans, so that reading begins at the checkpoints anew. All copies must be stopped.
        #[arg(long)]
        discard_plan: bool,
    },
    /// Show which columns tables have, of which types, and when they came.
    Catalog {
        /// The .properties file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only this table, with what changed when.
        #[arg(long, value_name = "PROJECT.COLLECTION", value_parser = catalog::table)]
        table: Option<Table>,
    },
    /// Show the lease table of a Kinesis stream: who reads which shard, how far, and which plans are open. Looks twice, as long
    /// apart as a lease lives that nobody renews.
    Leases {
        /// The .properties file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Show the whole path on this machine: an in-process broker, a generated stream, files in a directory.
    Demo {
        /// How many records to stream.
        #[arg(long, default_value_t = 200_000, value_name = "N")]
        records: u64,
        /// Where the files go.
        #[arg(long, default_value = "demo-output", value_name = "DIR")]
        dir: PathBuf,
    },
    /// Print every configuration key: type, default, meaning.
    Config,
}

/// Runs the program with these targets. A program of one's own calls this from its `main`.
pub fn main(targets: &Targets) -> ExitCode {
    // clap exits with 2 by itself when the command line is wrong, and with 0 for --help.
    let result = match Arguments::parse().command {
        Command::Run { config, until_end } => run(&config, until_end, targets),
        Command::Check { config } => check(&config, targets),
        Command::Verify { config, deep } => repair::verify(&config, deep, targets),
        Command::Replay {
            config,
            partition,
            from,
            to,
            opened,
        } => {
            let part = Part {
                partition,
                from,
                to,
                opened_ms: opened,
            };
            repair::replay(&config, part, targets)
        }
        Command::Recover {
            config,
            partition,
            discard_plan,
        } => {
            let wanted = Wanted {
                partitions: partition,
                discard: discard_plan,
            };
            repair::recover(&config, wanted, targets)
        }
        Command::Catalog { config, table } => catalog::show(&config, table.as_ref(), targets),
        Command::Leases { config } => leases::show(&config, targets),
        Command::Demo { records, dir } => show_demo(records, &dir),
        Command::Config => print(&config::reference_text()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(RunError::Failed(reason)) => {
            complain(&reason);
            ExitCode::from(1)
        }
        Err(RunError::Configuration(reason)) => {
            complain(&reason);
            ExitCode::from(2)
        }
    }
}

fn run(file: &Path, until_end: bool, targets: &Targets) -> Result<(), RunError> {
    let loaded = load(file, targets)?;
    logging::start(&loaded.settings.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let stop = Stop::default();
    let runtime = run::runtime()?;
    signals::ask_on_signal(&runtime, &stop)?;
    let metrics = metrics()?;
    let result = runtime.block_on(run::run(
        &loaded,
        targets,
        metrics,
        Options { until_end, stop },
    ));
    if result.is_ok() {
        tracing::info!("stopped; everything read is committed");
    }
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

fn check(file: &Path, targets: &Targets) -> Result<(), RunError> {
    let Loaded {
        settings,
        warnings,
        effective,
        ..
    } = load(file, targets)?;
    logging::start(&settings.log)?;
    let runtime = run::runtime()?;
    let found = runtime.block_on(run::check(&settings, targets));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    let found = found?;
    for warning in &warnings {
        print(&format!("warning: {warning}\n"))?;
    }
    print(&format!(
        "configuration: {} is good\n{found}\n\n{}",
        file.display(),
        effective.given()
    ))
}

fn show_demo(records: u64, directory: &Path) -> Result<(), RunError> {
    let stop = Stop::default();
    let runtime = run::runtime()?;
    signals::ask_on_signal(&runtime, &stop)?;
    let shown = demo::run(&runtime, records, directory, &metrics()?, &stop);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    print(&shown?)
}

fn load(file: &Path, targets: &Targets) -> Result<Loaded, RunError> {
    config::load(file, config::environment(), &targets.custom_names())
        .map_err(|problems| RunError::Configuration(problems.to_string()))
}

fn metrics() -> Result<std::sync::Arc<Metrics>, RunError> {
    Metrics::new().map_err(|error| RunError::Failed(error.to_string()))
}

/// A partition as logs show it: the topic may hold dashes.
fn partition(text: &str) -> Result<Partition, String> {
    text.parse().map_err(|_| {
        "expected TOPIC-NUMBER, such as events-0, or STREAM-SHARD, such as clicks-shardId-000000000000".into()
    })
}

/// Results go to stdout. A reader that has gone away, such as `head`, is no failure.
fn print(text: &str) -> Result<(), RunError> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(RunError::Failed(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

fn complain(reason: &str) {
    // Nobody is left to tell if stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "alluvium: {reason}");
}
