//! The whole path at size: a million events from Kafka to S3 and back.

use std::time::{Duration, Instant};

use crate::checks::{PARTITIONS, Stream};
use crate::support::broker;
use crate::support::program::{Program, alluvium, stderr};
use crate::support::seconds;
use crate::support::service::{Bucket, shared_kafka};

/// One million events of five tables over twelve partitions: every event is in S3 exactly once, in order,
/// with equal values, every broken one in the dead letters with its bytes, and all offsets are committed.
#[test]
fn a_million_events_reach_s3_exactly_once() {
    const EVENTS: u64 = 1_000_000;
    let bucket = Bucket::shared();
    let stream = Stream::new("million", &shared_kafka());
    stream.feed(EVENTS, Duration::ZERO);
    let config = stream
        .config()
        .s3(&bucket)
        .set("middleware.max-flush-duration", "10s");

    let start = Instant::now();
    Program::until_end(&config, seconds(600));
    eprintln!("one million events took {:.1?}", start.elapsed());

    let ends = broker::ends(&stream.bootstrap, &stream.topic, PARTITIONS);
    let committed = broker::committed(&stream.bootstrap, &stream.topic, &stream.topic, PARTITIONS);
    assert_eq!(committed, ends);
    let summary = stream.assert_exact(&stream.fetch(&bucket));
    let (rows, dead) = (
        summary["rows"].as_u64().unwrap(),
        summary["dead_letters"].as_u64().unwrap(),
    );
    assert_eq!(rows + dead, EVENTS);
    assert!(dead > EVENTS / 200, "only {dead} dead letters");
}

/// A second run finds everything committed and writes nothing.
#[test]
fn what_is_committed_is_not_read_again() {
    let bucket = Bucket::shared();
    let stream = Stream::new("again", &shared_kafka());
    stream.feed(2_000, Duration::ZERO);
    let config = stream.config().s3(&bucket);
    Program::until_end(&config, seconds(120));
    let first = stream.assert_exact(&stream.fetch(&bucket));
    Program::until_end(&config, seconds(120));
    assert_eq!(stream.assert_exact(&stream.fetch(&bucket)), first);
}

/// `check` finds fault with a wrong key, a missing bucket and a silent endpoint before anything is read.
#[test]
fn check_tells_what_is_wrong_with_s3() {
    let stream = Stream::new("check", &shared_kafka());
    let good = stream.config().s3(&Bucket::shared());
    let check = |config: &crate::support::config::Config| {
        let file = config.write().display().to_string();
        alluvium(&["check", "--config", &file])
    };
    let output = check(&good);
    assert!(output.status.success(), "{}", stderr(&output));

    let output = check(
        &good
            .clone()
            .set("target.aws.s3-bucket", "no-such-bucket-here"),
    );
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("no-such-bucket-here"),
        "{}",
        stderr(&output)
    );

    let output = check(
        &good
            .clone()
            .set("target.secret-access-key", "the-wrong-secret"),
    );
    assert!(!output.status.success());
    assert!(
        !stderr(&output).contains("the-wrong-secret"),
        "a secret was printed: {}",
        stderr(&output)
    );

    let output = check(&good.set("target.aws.s3-endpoint", "http://127.0.0.1:9"));
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("127.0.0.1:9"),
        "{}",
        stderr(&output)
    );
}
