//! From Kafka to S3 and how fast: `make bench` starts both services and runs this.
//!
//! Feeds seeded 400-byte JSON events of five tables to a topic of twelve partitions, then drains it with
//! `alluvium run --until-end` at two compression levels. The broker and the S3 server share the machine, so the
//! number to compare is the CPU time per record; the rate tells only what is left beside them.
//!
//! `ALLUVIUM_BENCH_EVENTS` sets how many events (default 2,000,000). To compare programs, name their paths in
//! `ALLUVIUM_BENCH_PROGRAMS`, separated by commas: they run in turn, `ALLUVIUM_BENCH_ROUNDS` times.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::broker::{self, Sender};
use support::config::Config;
use support::output::scratch;
use support::random::Random;
use support::service::{Bucket, shared_kafka};
use support::{seconds, unique};

const PARTITIONS: i32 = 12;
const TABLES: [&str; 5] = ["page_view", "click", "purchase", "sign_up", "session_end"];

fn main() {
    // `cargo test` runs benches too, to see that they work; this one needs its services for that.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let events = std::env::var("ALLUVIUM_BENCH_EVENTS").map_or(2_000_000, |count| {
        count.parse().expect("a number of events")
    });
    let (kafka, bucket, topic) = (shared_kafka(), Bucket::shared(), unique("bench"));
    broker::create_topic(&kafka, &topic, PARTITIONS);
    let start = Instant::now();
    let bytes = feed(&kafka, &topic, events);
    println!(
        "{events} events, {} bytes each on average, fed in {:.1} s",
        bytes / events,
        start.elapsed().as_secs_f64()
    );
    let programs = std::env::var("ALLUVIUM_BENCH_PROGRAMS");
    let programs = programs.unwrap_or_else(|_| env!("CARGO_BIN_EXE_alluvium").into());
    let rounds = std::env::var("ALLUVIUM_BENCH_ROUNDS")
        .map_or(1, |rounds| rounds.parse().expect("a number of rounds"));
    let runs = (0..rounds).flat_map(|round| {
        let programs = programs.split(',').enumerate();
        programs.flat_map(move |(number, program)| {
            ["1", "6"].map(|level| (format!("{round}-{number}-{level}"), program, level))
        })
    });
    for (run, program, level) in runs {
        let (_scratch, directory) = scratch();
        let config = Config::new(&directory, &kafka, &topic)
            .s3(&bucket)
            .set("source.data-format.json.layout", "RAKAM")
            .set("stream.max-flush-duration", "15s")
            .set("middleware.max-flush-duration", "60s")
            .set("memory.max-size", "128MB")
            .set("kafka.group.id", &format!("{topic}-{run}"))
            .set("target.key", &format!("{topic}/{run}/{{project}}/{{collection}}/{{topic}}-{{partition}}-{{from}}-{{to}}.ndjson.gz"))
            .set("target.compression-level", level);
        let used = drain(program, &config);
        let (objects, stored) = bucket.fetch(&format!("{topic}/{run}/"), &directory);
        if programs.contains(',') {
            println!("{program}:");
        }
        report(level, events, bytes, &used, objects, stored);
    }
}

/// Sends the events and gives their bytes.
fn feed(kafka: &str, topic: &str, events: u64) -> u64 {
    let (sender, mut random) = (Sender::new(kafka, topic), Random::new(1));
    let (mut bytes, mut event) = (0, String::new());
    for number in 0..events {
        write_event(&mut event, &mut random, number);
        bytes += event.len() as u64;
        sender.send(
            random.below(PARTITIONS as u64) as i32,
            None,
            Some(event.as_bytes()),
        );
    }
    sender.finish();
    bytes
}

/// An analytics event of about 400 bytes. 15 in 100 come from a second client with another order of keys.
fn write_event(event: &mut String, random: &mut Random, number: u64) {
    const PATHS: [&str; 6] = [
        "/",
        "/pricing",
        "/docs/getting-started",
        "/blog/2018/01",
        "/account/settings",
        "/search",
    ];
    const AGENTS: [&str; 4] = [
        "Firefox 58.0",
        "Chrome 64.0.3282",
        "Safari 11.0.3",
        "Chrome Mobile 64.0",
    ];
    const COUNTRIES: [&str; 8] = ["TR", "DE", "US", "FR", "GB", "NL", "JP", "BR"];
    let table = TABLES[random.below(5) as usize];
    let time = 1_517_378_340_000 + number;
    let (user, session) = (random.below(100_000), random.next());
    let (path, agent, country) = (
        random.pick(&PATHS),
        random.pick(&AGENTS),
        random.pick(&COUNTRIES),
    );
    let (price, duration, position) = (
        random.below(100_000),
        random.below(30_000),
        random.below(20),
    );
    let returning = random.chance(40);
    let common = format!(
        "\"_session\":\"{session:016x}\",\"url\":\"https://www.example.com{path}\",\"referrer\":\"https://search.example.org/\",\
         \"user_agent\":\"{agent}\",\"country_code\":\"{country}\",\"city\":\"city of {country}\""
    );
    let own = format!(
        "\"price\":{}.{:02},\"duration_ms\":{duration},\"position\":{position},\"returning\":{returning},\"campaign\":\"winter-2018\"",
        price / 100,
        price % 100
    );
    event.clear();
    let written = if random.chance(15) {
        write!(
            event,
            "{{\"project\":\"bench\",\"collection\":\"{table}\",\"properties\":{{{own},{common},\"_user\":\"user-{user}\",\"_time\":{time}}}}}"
        )
    } else {
        write!(
            event,
            "{{\"project\":\"bench\",\"collection\":\"{table}\",\"properties\":{{\"_time\":{time},\"_user\":\"user-{user}\",{common},{own}}}}}"
        )
    };
    written.expect("text can be written to a string");
}

/// What a run took.
struct Used {
    elapsed: Duration,
    /// User and system time.
    cpu: Duration,
    /// Highest resident memory, in bytes.
    memory: u64,
}

/// Runs the program to the topic's end and watches it.
fn drain(program: &str, config: &Config) -> Used {
    let start = Instant::now();
    let mut command = Command::new(program);
    // The benchmark's own variables must not configure the program.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ALLUVIUM_")) {
        command.env_remove(name);
    }
    let mut process = command
        .args([
            "run",
            "--until-end",
            "--config",
            &config.write().display().to_string(),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut memory = 0;
    // A process that has ended keeps its CPU time until it is waited for, but not its memory.
    while !has_ended(&process) {
        memory = highest_memory(&process).unwrap_or(memory);
        assert!(
            start.elapsed() < seconds(1_800),
            "the program does not come to an end"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_time(&process));
    let status = process.wait().expect("the program ends");
    assert!(status.success(), "the program failed: {status}");
    Used {
        elapsed,
        cpu,
        memory,
    }
}

/// The fields of `/proc/PID/stat` behind the program's name, beginning with its state.
fn stat(process: &Child) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", process.id()))
        .expect("this needs Linux's /proc");
    let (_, fields) = text.rsplit_once(") ").expect("a name in parentheses");
    fields.split(' ').map(str::to_owned).collect()
}

fn has_ended(process: &Child) -> bool {
    stat(process)[0] == "Z"
}

fn cpu_time(process: &Child) -> Duration {
    let fields = stat(process);
    let ticks = |index: usize| fields[index].parse::<u64>().expect("a number of ticks");
    // utime and stime, in hundredths of a second on every Linux in use.
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

fn highest_memory(process: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim()
        .strip_suffix(" kB")?
        .parse::<u64>()
        .ok()
        .map(|kilobytes| kilobytes * 1024)
}

fn report(level: &str, events: u64, bytes: u64, used: &Used, objects: u64, stored: u64) {
    let (seconds, cpu) = (used.elapsed.as_secs_f64(), used.cpu.as_secs_f64());
    let (events, bytes, stored) = (events as f64, bytes as f64, stored as f64);
    println!("\ngzip level {level}");
    println!("  {:>12.0} records/s", events / seconds);
    println!("  {:>12.1} MB/s", bytes / seconds / 1e6);
    println!(
        "  {:>12.2} CPU seconds per million records ({:.0} records per CPU second)",
        cpu / events * 1e6,
        events / cpu
    );
    println!(
        "  {:>12.1} MB highest resident memory",
        used.memory as f64 / 1e6
    );
    println!(
        "  {objects:>12} objects, {:.1} MB, {:.2} : 1",
        stored / 1e6,
        bytes / stored
    );
}
