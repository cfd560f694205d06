//! When spans are flushed, when offsets are committed, and what a failing target does to both.

use std::time::Instant;

use crate::support::config::Config;
use crate::support::output::{files, scratch, table_rows};
use crate::support::program::{Metrics, Program};
use crate::support::random::Random;
use crate::support::{broker, eventually, seconds};

fn plain(config: Config) -> Config {
    config
        .set("source.data-format.json.layout", "PLAIN")
        .set("source.collection-field", "kind")
}

/// Sends `count` records that do not compress well, all to partition 0.
fn send_noise(bootstrap: &str, count: usize) {
    let sender = broker::Sender::new(bootstrap, "events");
    let mut random = Random::new(7);
    for _ in 0..count {
        let noise: Vec<String> = (0..30).map(|_| format!("{:016x}", random.next())).collect();
        sender.send(
            0,
            None,
            Some(format!("{{\"kind\":\"k\",\"noise\":\"{}\"}}", noise.concat()).as_bytes()),
        );
    }
    sender.finish();
}

fn wait_until_read(program: &Program, records: u32) {
    eventually("all records to be read", seconds(120), || {
        program.get("/metrics").is_some_and(|(_, page)| {
            Metrics(page).sum("alluvium_records_total", &[]) >= f64::from(records)
        })
    });
}

/// The last rows of a partition that gets no more records are there, and committed, within the flush age.
#[test]
fn an_idle_partition_is_flushed_by_age() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let config = plain(Config::new(&directory, &bootstrap, "events"))
        .set("middleware.max-flush-duration", "2s");
    let mut program = Program::start(&config);
    program.wait_ready();
    // Before the record can be read: sending takes its time to end.
    let sent = Instant::now();
    broker::send_all(&bootstrap, "events", &[r#"{"kind":"k"}"#]);
    eventually("the file of the only record", seconds(180), || {
        !files(&config.output()).is_empty()
    });
    assert!(
        sent.elapsed() > std::time::Duration::from_millis(1_500),
        "flushed before its time"
    );
    eventually("the commit", seconds(120), || {
        broker::committed(&bootstrap, "events", "events", 1).get(&0) == Some(&1)
    });
    assert!(
        program
            .metrics()
            .sum("alluvium_flushes_total", &["reason=\"age\""])
            >= 1.0
    );
    program.stop();
    assert_eq!(table_rows(&config.output()).len(), 1);
}

/// With ages of an hour, only the size can have ended these spans.
#[test]
fn a_span_is_flushed_by_size() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    send_noise(&bootstrap, 9_000);
    let config = plain(Config::new(&directory, &bootstrap, "events"))
        .set("stream.max-flush-duration", "100ms")
        .set("middleware.max-flush-duration", "1h")
        .set("target.aws.s3-max-data-size", "200kB");
    let mut program = Program::start(&config);
    wait_until_read(&program, 9_000);
    eventually("files of full spans", seconds(120), || {
        files(&config.output()).len() >= 2
    });
    assert!(
        program
            .metrics()
            .sum("alluvium_flushes_total", &["reason=\"size\""])
            >= 2.0
    );
    program.stop();
    let sizes: Vec<u64> = files(&config.output())
        .iter()
        .map(|name| std::fs::metadata(config.output().join(name)).unwrap().len())
        .collect();
    assert!(sizes.iter().all(|size| *size < 1_000_000), "{sizes:?}");
    assert_eq!(table_rows(&config.output()).len(), 9_000);
}

/// With ages of an hour and no limit of size in reach, only the memory budget can have ended these spans.
#[test]
fn a_span_is_flushed_when_memory_runs_short() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    send_noise(&bootstrap, 8_000);
    let config = plain(Config::new(&directory, &bootstrap, "events"))
        .set("middleware.max-flush-duration", "1h")
        .set("stream.max-flush-duration", "1h")
        .set("memory.max-size", "1MB");
    let mut program = Program::start(&config);
    wait_until_read(&program, 8_000);
    eventually("files without a trigger but memory", seconds(120), || {
        !files(&config.output()).is_empty()
    });
    assert!(
        program
            .metrics()
            .sum("alluvium_flushes_total", &["reason=\"memory\""])
            >= 1.0
    );
    program.stop();
    assert_eq!(table_rows(&config.output()).len(), 8_000);
}

/// One partition's outputs cannot be written; it is held and tried again, while another goes on. When the
/// trouble is over, it catches up.
#[test]
fn a_failing_output_holds_its_partition_and_no_other() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 2)]);
    let bootstrap = cluster.bootstrap_servers();
    let config = plain(Config::new(&directory, &bootstrap, "events"));
    let blocker = config.output().join("default/blocked");
    std::fs::create_dir_all(blocker.parent().unwrap()).unwrap();
    std::fs::write(&blocker, "a file where a directory should be").unwrap();

    let mut program = Program::start(&config);
    program.wait_ready();
    let sender = broker::Sender::new(&bootstrap, "events");
    sender.send(0, None, Some(br#"{"kind":"blocked"}"#));
    let committed = || broker::committed(&bootstrap, "events", "events", 2);
    for number in 1..=3 {
        sender.send(1, None, Some(br#"{"kind":"fine"}"#));
        sender.finish();
        eventually("the other partition's commit", seconds(120), || {
            committed().get(&1) == Some(&number)
        });
    }
    eventually("retries in the metrics", seconds(120), || {
        program.metrics().sum("alluvium_commit_failures_total", &[]) >= 2.0
    });
    assert_eq!(
        committed().get(&0),
        Some(&0),
        "the plan stands at the unmoved checkpoint"
    );
    assert!(
        program.log().contains("events-0"),
        "the held partition is not in the log:\n{}",
        program.log()
    );

    std::fs::remove_file(&blocker).unwrap();
    eventually("the held partition to catch up", seconds(120), || {
        committed().get(&0) == Some(&1)
    });
    program.stop();
    assert_eq!(table_rows(&config.output()).len(), 4);
}

/// What SIGTERM finds gathered is written and committed, however young; a second run adds nothing.
#[test]
fn sigterm_flushes_and_commits_what_is_gathered() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 3)]);
    let bootstrap = cluster.bootstrap_servers();
    let sender = broker::Sender::new(&bootstrap, "events");
    for number in 0..300 {
        sender.send(
            number % 3,
            None,
            Some(format!("{{\"kind\":\"k\",\"n\":{number}}}").as_bytes()),
        );
    }
    sender.finish();
    let config = plain(Config::new(&directory, &bootstrap, "events"))
        .set("middleware.max-flush-duration", "1h")
        .set("stream.max-flush-duration", "1h");
    let mut program = Program::start(&config);
    wait_until_read(&program, 300);
    assert!(
        files(&config.output()).is_empty(),
        "flushed without a reason"
    );
    program.stop();
    assert_eq!(table_rows(&config.output()).len(), 300);
    let committed = broker::committed(&bootstrap, "events", "events", 3);
    assert_eq!(committed.into_values().collect::<Vec<_>>(), [100, 100, 100]);
    let before = files(&config.output());
    Program::until_end(&config, seconds(120));
    assert_eq!(files(&config.output()), before);
}

/// `latest` begins behind what is there.
#[test]
fn a_new_group_starts_where_it_is_told() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    broker::send_all(&bootstrap, "events", &[r#"{"kind":"old"}"#]);
    let config = plain(Config::new(&directory, &bootstrap, "events")).set("kafka.offset", "latest");
    let mut program = Program::start(&config);
    program.wait_ready();
    eventually("a row of the new record", seconds(120), || {
        broker::send_all(&bootstrap, "events", &[r#"{"kind":"new"}"#]);
        !files(&config.output()).is_empty()
    });
    program.stop();
    assert!(
        files(&config.output())
            .iter()
            .all(|name| name.starts_with("default/new/"))
    );
}
