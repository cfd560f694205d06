//! What the program costs when there is nothing to do, and how soon it is at work.

use std::time::{Duration, Instant};

use crate::checks::Stream;
use crate::support::program::Program;
use crate::support::service::{Bucket, shared_kafka};
use crate::support::{eventually, seconds};

/// Records taken so far; none if nobody answers yet.
fn taken(program: &Program) -> f64 {
    let Some((200, _)) = program.get("/metrics") else {
        return 0.0;
    };
    program.metrics().sum("alluvium_records_total", &[])
}

/// Two workers, twelve partitions with nothing left in them. The limit is for a build that is hardly optimised, on a machine that does other
/// things; docs/performance.md has the figures.
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
    stream.wait_committed(seconds(60));
    // What has just been done may have its end.
    std::thread::sleep(seconds(2));
    let (start, before) = (Instant::now(), program.cpu_time());
    std::thread::sleep(seconds(10));
    let share = (program.cpu_time() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    println!("{:.2}% of a core", share * 100.0);
    assert!(share < 0.02, "{:.2}% of a core", share * 100.0);

    let known = taken(&program);
    stream.feed(1, Duration::ZERO);
    let sent = Instant::now();
    eventually("the first record after a rest", seconds(30), || {
        taken(&program) > known
    });
    println!(
        "the first record after a rest came after {:?}",
        sent.elapsed()
    );
    assert!(sent.elapsed() < seconds(3), "{:?}", sent.elapsed());
    program.stop();
}

/// From the start of the process, the best of three. The group does not wait for others here (`group.initial.rebalance.delay.ms=0`).
#[test]
fn the_first_record_comes_soon_after_the_start() {
    let stream = Stream::new("start", &shared_kafka());
    stream.feed(2_000, Duration::ZERO);
    let times: Vec<_> = (0..3)
        .map(|turn| {
            let group = format!("{}-{turn}", stream.topic);
            let config = stream
                .config()
                .s3(&Bucket::shared())
                .set("kafka.group.id", &group)
                .set("kafka.workers", "2");
            let start = Instant::now();
            let mut program = Program::start(&config);
            while taken(&program) == 0.0 {
                assert!(program.is_running() && start.elapsed() < seconds(60));
                std::thread::sleep(Duration::from_millis(5));
            }
            let time = start.elapsed();
            program.kill();
            time
        })
        .collect();
    println!("the first record came after {times:?}");
    assert!(times.iter().any(|time| *time < seconds(2)), "{times:?}");
}
