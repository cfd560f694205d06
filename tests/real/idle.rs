//! What the program costs when there is nothing to do, and how soon it is at work.

use std::time::{Duration, Instant};

use crate::checks::Stream;
use crate::support::program::Program;
use crate::support::service::{Bucket, shared_kafka};
use crate::support::{broker, eventually, seconds};

/// Records taken so far; none if nobody answers yet.
fn taken(program: &Program) -> f64 {
    let Some((200, _)) = program.get("/metrics") else {
        return 0.0;
    };
    program.metrics().sum("alluvium_records_total", &[])
}

/// Two workers, twelve partitions with nothing left in them. How often its threads wait for something is the same on every machine; what
/// that costs is not, and the limit is for a build that is hardly optimised, on a slow machine that does other things.
/// docs/performance.md has the figures.
#[test]
fn who_waits_costs_next_to_nothing_and_hears_at_once() {
    let stream = Stream::new("idle", &shared_kafka());
    let config = stream
        .config()
        .s3(&Bucket::shared())
        .set("kafka.workers", "2");
    stream.feed(2_000, Duration::ZERO);
    let mut program = Program::start(&config);
    program.wait_ready();
    stream.wait_committed(seconds(120));
    // What has just been done may have its end.
    std::thread::sleep(seconds(2));
    let (start, before, waits) = (Instant::now(), program.cpu_time(), program.waits());
    std::thread::sleep(seconds(10));
    let waits = (program.waits() - waits) as f64 / start.elapsed().as_secs_f64();
    let share = (program.cpu_time() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    println!("{:.2}% of a core, {waits:.0} waits a second", share * 100.0);
    assert!(waits < 100.0, "its threads wait {waits:.0} times a second");
    assert!(share < 0.05, "{:.2}% of a core", share * 100.0);

    // The best of three: the machine may have been busy.
    let times = [(); 3].map(|()| {
        let known = taken(&program);
        stream.feed(1, Duration::ZERO);
        let sent = Instant::now();
        eventually("the first record after a rest", seconds(120), || {
            taken(&program) > known
        });
        sent.elapsed()
    });
    println!("the first record after a rest came after {times:?}");
    assert!(times.iter().any(|time| *time < seconds(3)), "{times:?}");
    program.stop();
}

/// From the start of the process, the best of three, measured by what a consumer needs that does nothing else, at the same time and on the
/// same machine. The group does not wait for others here (`group.initial.rebalance.delay.ms=0`).
#[test]
fn the_first_record_comes_soon_after_the_start() {
    let stream = Stream::new("start", &shared_kafka());
    stream.feed(2_000, Duration::ZERO);
    let times: Vec<_> = (0..3)
        .map(|turn| {
            let plain = broker::first_record(&stream.bootstrap, &stream.topic);
            let group = format!("{}-{turn}", stream.topic);
            let config = stream
                .config()
                .s3(&Bucket::shared())
                .set("kafka.group.id", &group)
                .set("kafka.workers", "2");
            let start = Instant::now();
            let mut program = Program::start(&config);
            while taken(&program) == 0.0 {
                assert!(program.is_running() && start.elapsed() < seconds(120));
                std::thread::sleep(Duration::from_millis(5));
            }
            let time = start.elapsed();
            program.kill();
            (time, plain)
        })
        .collect();
    println!("the first record came after, and to a plain consumer after: {times:?}");
    let soon = |(time, plain): &(Duration, Duration)| *time < seconds(1) + *plain * 4;
    assert!(times.iter().any(soon), "{times:?}");
}
