//! Services that go away and come back.

use std::thread;
use std::time::Duration;

use crate::checks::Stream;
use crate::support::program::Program;
use crate::support::service::{Kafka, S3, shared_kafka};
use crate::support::{broker, eventually, seconds};

/// S3 is gone for a minute under load: nothing is lost or doubled, the consumers stay in their group, and the
/// trouble can be seen in metrics and log.
#[test]
fn a_minute_without_s3_costs_nothing() {
    let mut s3 = S3::start();
    let stream = Stream::new("outage", &shared_kafka());
    // A consumer that does not poll for 20 s is thrown out of its group.
    let config = stream
        .config()
        .s3(s3.bucket())
        .set("kafka.workers", "2")
        .set("kafka.client.max.poll.interval.ms", "20000")
        .set("memory.max-size", "96MB");
    let mut program = Program::start(&config);
    program.wait_ready();
    thread::scope(|scope| {
        let mut members = Vec::new();
        eventually("both workers to be members", seconds(180), || {
            members = broker::members(&stream.bootstrap, &stream.topic);
            members.len() == 2
        });
        // Not before: how long it takes to get here is up to the machine.
        let feeder = scope.spawn(|| stream.feed(300_000, seconds(45)));
        eventually("the first commits", seconds(120), || {
            !stream.committed().is_empty()
        });

        s3.kill();
        thread::sleep(Duration::from_secs(60));
        assert_eq!(
            broker::members(&stream.bootstrap, &stream.topic),
            members,
            "a consumer left its group"
        );
        assert!(program.metrics().sum("alluvium_commit_failures_total", &[]) > 0.0);
        assert!(!stream.is_committed(), "records were committed without S3");
        assert_eq!(program.get("/healthz").map(|(status, _)| status), Some(200));

        s3.restart();
        feeder.join().unwrap();
        stream.wait_committed(seconds(180));
        assert_eq!(
            broker::members(&stream.bootstrap, &stream.topic),
            members,
            "a consumer left its group"
        );
    });
    program.stop();
    stream.assert_exact(&stream.fetch(s3.bucket()));
}

/// One of three brokers is killed under load and comes back: nothing is lost.
#[test]
fn a_broker_that_dies_and_returns_costs_nothing() {
    let mut kafka = Kafka::start(3);
    let stream = Stream::new("brokers", &kafka.bootstrap());
    let config = stream.config();
    let mut program = Program::start(&config);
    program.wait_ready();
    thread::scope(|scope| {
        let feeder = scope.spawn(|| stream.feed(150_000, seconds(40)));
        thread::sleep(seconds(10));
        kafka.kill(1);
        thread::sleep(seconds(12));
        kafka.restart(1);
        feeder.join().unwrap();
        stream.wait_committed(seconds(180));
    });
    program.stop();
    stream.assert_exact(&config.output());
}
