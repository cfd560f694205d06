//! What the protocol asks of the group: how many requests, and how much room beside an offset.

use std::time::Instant;

use crate::checks::Stream;
use crate::support::program::Program;
use crate::support::service::{Bucket, shared_kafka};
use crate::support::{broker, seconds};

/// Twelve partitions of one worker, flushed every three seconds: two requests a flush, one for the plans and one for the
/// checkpoints.
#[test]
fn a_flush_costs_two_requests() {
    const FLUSH: u64 = 3;
    const FEED: u64 = 24;
    let stream = Stream::new("requests", &shared_kafka());
    let config = stream
        .config()
        .s3(&Bucket::shared())
        .set("kafka.workers", "1")
        .set("middleware.max-flush-duration", &format!("{FLUSH}s"));
    let mut program = Program::start(&config);
    program.wait_ready();
    let began = Instant::now();
    stream.feed(120_000, seconds(FEED));
    stream.wait_committed(seconds(180));
    let metrics = program.metrics();
    let requests = metrics.sum("alluvium_checkpoint_requests_total", &[]);
    let spans = metrics.sum("alluvium_flushes_total", &["reason=\"age\""]);
    program.stop();
    // Partitions that fell out of step at the start or the end may flush once on their own. A machine that is slow feeds for longer, and
    // where the target is slow, flushes are rarer.
    let flushes = began.elapsed().as_secs_f64() / FLUSH as f64 + 2.0;
    println!(
        "{requests} requests for {spans} spans in about {flushes:.1} flushes of 12 partitions"
    );
    assert!(
        spans >= 12.0 * (FEED / FLUSH / 2) as f64,
        "only {spans} spans"
    );
    assert!(
        requests <= 2.0 * flushes,
        "{requests} requests for {flushes} flushes"
    );
}

/// The longest plan there can be is kept beside an offset to the letter.
#[test]
fn the_longest_plan_fits_beside_an_offset() {
    let stream = Stream::new("plan", &shared_kafka());
    let place = (stream.topic.as_str(), 0);
    let note = format!("alluvium/1 {}", "x".repeat(3_072 - 11));
    broker::store(&stream.bootstrap, &stream.topic, place, 7, &note);
    assert_eq!(broker::note(&stream.bootstrap, &stream.topic, place), note);
}
