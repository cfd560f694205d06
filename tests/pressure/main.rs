//! Many partitions, many tables, little memory, and a target that cannot keep up.
//!
//! `make pressure` runs it at length; CONTRIBUTING.md tells the variables.

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

mod load;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use load::Load;
use support::config::Config;
use support::objects::Client;
use support::program::Program;
use support::proxy::Proxy;
use support::service::{Bucket, shared_kafka};
use support::{broker, output, seconds, setting, unique};
use watch::Watch;

/// What a run is made of. The defaults are those of the short run.
#[derive(Debug)]
struct Size {
    partitions: i32,
    tables: u64,
    /// Records a second.
    rate: u64,
    steady: Duration,
    slow: Duration,
    slow_bytes_per_second: u64,
    /// Records that wait when the program starts for the second time.
    backlog: u64,
    flush: Duration,
    memory_mb: u64,
    resident_mb: u64,
}

impl Size {
    fn from_environment() -> Self {
        Self {
            partitions: i32::try_from(setting("PRESSURE_PARTITIONS", 500)).unwrap(),
            tables: setting("PRESSURE_TABLES", 20),
            rate: setting("PRESSURE_RATE", 3_000),
            steady: seconds(setting("PRESSURE_SECONDS", 25)),
            slow: seconds(setting("PRESSURE_SLOW_SECONDS", 20)),
            slow_bytes_per_second: setting("PRESSURE_SLOW_BYTES", 50_000),
            backlog: setting("PRESSURE_BACKLOG", 60_000),
            flush: seconds(setting("PRESSURE_FLUSH_SECONDS", 20)),
            memory_mb: setting("PRESSURE_MEMORY_MB", 96),
            resident_mb: setting("PRESSURE_RESIDENT_MB", 256),
        }
    }
}

#[test]
fn many_partitions_and_tables_stay_in_their_memory() {
    let size = Size::from_environment();
    eprintln!("pressure: {size:?}");
    let (_scratch, directory) = output::scratch();
    let (bootstrap, bucket, topic) = (shared_kafka(), Bucket::shared(), unique("pressure"));
    broker::create_topic(&bootstrap, &topic, size.partitions);
    let proxy = Proxy::new(&bucket.endpoint, 1);
    let door = proxy.door();
    let through = Bucket {
        endpoint: door.endpoint(),
        ..bucket.clone()
    };
    let config = Config::new(&directory, &bootstrap, &topic)
        .s3(&through)
        .set("kafka.workers", "2")
        .set("kafka.session.timeout.ms", "12000")
        .set("kafka.client.max.poll.interval.ms", "20000")
        .set("memory.max-size", &format!("{}MB", size.memory_mb))
        .set(
            "middleware.max-flush-duration",
            &format!("{}s", size.flush.as_secs()),
        );
    let mut load = Load::new(&bootstrap, &topic, size.partitions, size.tables);
    let settled = |limit: Duration| {
        let start = Instant::now();
        loop {
            let mut ends = broker::ends(&bootstrap, &topic, size.partitions);
            ends.retain(|_, end| *end > 0);
            let committed = broker::committed(&bootstrap, &topic, &topic, size.partitions);
            if ends == committed {
                return start.elapsed();
            }
            let behind = ends.values().sum::<i64>() - committed.values().sum::<i64>();
            assert!(
                start.elapsed() < limit,
                "{behind} records are not committed after {limit:?}"
            );
            std::thread::sleep(Duration::from_millis(500));
        }
    };

    // As fast as the target takes it, then with a target that does not.
    let mut program = Program::start(&config);
    let mut watch = Watch::begin(&program, &bootstrap, &topic, size.partitions, 0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| load.run(size.rate, &done));
        watch.during("steady", size.steady, &mut program);
        proxy.limit(Some(size.slow_bytes_per_second));
        watch.during("slow target", size.slow, &mut program);
        proxy.limit(None);
        done.store(true, Ordering::Relaxed);
        feeder.join().unwrap();
    });
    let took = settled(size.flush * 3 + seconds(120));
    watch.look("caught up", &mut program);
    eprintln!("pressure: everything was committed {took:.1?} after the feed ended");
    watch.members_are_the_same();
    program.stop();
    watch.end(&program);
    let (first, behind) = (watch.peak, watch.behind);

    // A backlog, as after an outage of the program.
    let read = load.sent();
    load.send(size.backlog);
    let start = Instant::now();
    let mut program = Program::start(&config);
    let mut watch = Watch::begin(&program, &bootstrap, &topic, size.partitions, read);
    let limit = size.flush * 3 + seconds(120 + size.backlog / 1_000);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| settled(limit));
        while !waiting.is_finished() {
            watch.during("backlog", seconds(1), &mut program);
        }
        waiting.join().unwrap();
    });
    eprintln!(
        "pressure: a backlog of {} records took {:.1?}",
        size.backlog,
        start.elapsed()
    );
    watch.members_are_the_same();
    program.stop();
    watch.end(&program);

    let peak = first.max(watch.peak);
    let objects = Client::new(&bucket).list(&format!("{}/", load::project(&topic)));
    eprintln!(
        "pressure: at most {} MB resident, {} objects",
        peak >> 20,
        objects.len()
    );
    let waited = seconds(behind.div_ceil(size.rate));
    load.nobody_starved(&bucket, &objects, size.flush, waited);
    assert!(
        peak <= size.resident_mb << 20,
        "{} MB were resident, {} are meant; see above where they are",
        peak >> 20,
        size.resident_mb
    );
}
