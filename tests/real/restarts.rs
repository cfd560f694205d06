//! The program stopped, killed, added and removed while records flow.

use std::thread;

use crate::checks::Stream;
use crate::support::config::Config;
use crate::support::program::Program;
use crate::support::service::{Bucket, shared_kafka};
use crate::support::{eventually, seconds};

/// Waits until the group has committed at least `records`, so that what follows happens in mid-stream.
fn wait_in_mid_stream(stream: &Stream, records: i64) {
    eventually("commits in mid-stream", seconds(120), || {
        let committed = stream.committed();
        committed.values().sum::<i64>() >= records
    });
}

/// SIGTERM in mid-stream, twice, and once SIGINT: every record exactly once.
#[test]
fn a_stop_in_mid_stream_neither_loses_nor_doubles() {
    let bucket = Bucket::shared();
    let stream = Stream::new("sigterm", &shared_kafka());
    let config = stream.config().s3(&bucket);
    thread::scope(|scope| {
        let feeder = scope.spawn(|| stream.feed(200_000, seconds(20)));
        for (stop, signal) in [(1, "TERM"), (2, "INT"), (3, "TERM")] {
            let mut program = Program::start(&config);
            wait_in_mid_stream(&stream, stop * 40_000);
            program.signal(signal);
            assert_eq!(
                program.wait(seconds(60)),
                0,
                "SIG{signal} must end with exit 0; log:\n{}",
                program.log()
            );
        }
        feeder.join().unwrap();
    });
    Program::until_end(&config, seconds(120));
    assert!(stream.is_committed());
    stream.assert_exact(&stream.fetch(&bucket));
}

/// kill -9 in mid-stream, three times: nothing is lost.
#[test]
fn a_crash_in_mid_stream_loses_nothing() {
    let stream = Stream::new("crash", &shared_kafka());
    let config = stream.config().set("kafka.session.timeout.ms", "6000");
    thread::scope(|scope| {
        let feeder = scope.spawn(|| stream.feed(150_000, seconds(20)));
        for crash in 1..=3 {
            let mut program = Program::start(&config);
            wait_in_mid_stream(&stream, crash * 25_000);
            program.kill();
        }
        feeder.join().unwrap();
    });
    Program::until_end(&config, seconds(120));
    assert!(stream.is_committed());
    stream.assert_exact(&config.output());
}

/// Two more processes join the group under load and leave it again, one cleanly, one by a crash: nothing is lost.
#[test]
fn processes_added_and_removed_under_load_lose_nothing() {
    let stream = Stream::new("rebalance", &shared_kafka());
    let first = stream
        .config()
        .set("kafka.workers", "2")
        .set("kafka.session.timeout.ms", "6000");
    let joined = |config: &Config| {
        let mut program = Program::start(config);
        program.wait_ready();
        eventually("the new process to get partitions", seconds(60), || {
            program.metrics().sum("alluvium_partitions", &[]) > 0.0
        });
        program
    };
    thread::scope(|scope| {
        let feeder = scope.spawn(|| stream.feed(200_000, seconds(40)));
        let mut one = Program::start(&first);
        wait_in_mid_stream(&stream, 10_000);
        let mut two = joined(&first.another());
        let mut three = joined(&first.another());
        wait_in_mid_stream(&stream, 60_000);
        two.stop();
        three.kill();
        feeder.join().unwrap();
        stream.wait_committed(seconds(120));
        one.stop();
    });
    stream.assert_exact(&first.output());
}
