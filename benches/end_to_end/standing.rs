//! What the program takes besides records: the time from its start to the first one, and the CPU while there are none.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use crate::cases::Case;
use crate::datasets::PARTITIONS;
use crate::run;
use crate::spread::Spread;
use crate::support::output::scratch;
use crate::support::program::Program;
use crate::support::service::shared_kafka;
use crate::support::{broker, eventually, seconds, setting, unique};

/// Events in the topic: enough that each partition has some.
const EVENTS: u64 = 20_000;

pub(crate) struct Standing {
    /// Milliseconds from the start of the process until it has taken a record.
    pub(crate) first_record: Spread,
    /// Hundredths of a core.
    pub(crate) idle: Spread,
}

/// Measures both with the base case's settings: 12 partitions, 2 workers.
pub(crate) fn measure(program: &OsStr) -> Standing {
    let case = Case::by_name("json-400-5-gzip1");
    let (kafka, topic) = (shared_kafka(), unique("standing"));
    case.dataset.feed_some(&kafka, &topic, EVENTS);
    let starts = setting("ALLUVIUM_BENCH_STARTS", 10);
    let first = (0..starts).map(|number| first_record(program, &case, &kafka, &topic, number));
    let first_record = Spread::new(first, 0);
    let rounds = setting("ALLUVIUM_BENCH_ROUNDS", 3);
    let idle = (0..rounds).map(|number| idle(program, &case, &kafka, &topic, number));
    Standing {
        first_record,
        idle: Spread::new(idle, 2),
    }
}

/// From the start of the process until its metrics say that a record was taken. The group is new each time.
fn first_record(program: &OsStr, case: &Case, kafka: &str, topic: &str, number: u64) -> f64 {
    let (_scratch, directory) = scratch();
    let config = run::config(case, &directory, kafka, topic);
    let config = run::named(config, case, &format!("{topic}/start-{number}/"));
    let start = Instant::now();
    let program = Program::start_at(program, &config, &[]);
    loop {
        let taken = program
            .get("/metrics")
            .is_some_and(|_| program.metrics().sum("alluvium_records_total", &[]) > 0.0);
        if taken {
            return start.elapsed().as_secs_f64() * 1e3;
        }
        assert!(start.elapsed() < seconds(60), "no record was taken");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// CPU of a process that has read and committed everything, in hundredths of a core.
fn idle(program: &OsStr, case: &Case, kafka: &str, topic: &str, number: u64) -> f64 {
    let (_scratch, directory) = scratch();
    let config = run::config(case, &directory, kafka, topic);
    let config = run::named(config, case, &format!("{topic}/idle-{number}/"))
        .set("middleware.max-flush-duration", "2s")
        .set("stream.max-flush-duration", "1s");
    let group = config.get("kafka.group.id").to_owned();
    let mut program = Program::start_at(program, &config, &[]);
    let ends = broker::ends(kafka, topic, PARTITIONS);
    eventually("everything to be committed", seconds(60), || {
        broker::committed(kafka, &group, topic, PARTITIONS) == ends
    });
    // What comes once behind the last commit is not idling.
    std::thread::sleep(seconds(5));
    let time = seconds(setting("ALLUVIUM_BENCH_IDLE_SECONDS", 60));
    let before = program.cpu_time();
    std::thread::sleep(time);
    let used = program.cpu_time() - before;
    program.stop();
    used.as_secs_f64() / time.as_secs_f64() * 100.0
}
