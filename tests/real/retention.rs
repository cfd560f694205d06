//! Records that Kafka deletes before they were read: said loudly, counted, and no reason to stop.

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::{Offset, TopicPartitionList};

use crate::support::config::Config;
use crate::support::output::{scratch, table_rows};
use crate::support::program::Program;
use crate::support::service::shared_kafka;
use crate::support::{broker, eventually, seconds, unique};

/// Deletes the records of partition 0 before `offset`, as a topic's retention does.
fn delete_before(bootstrap: &str, topic: &str, offset: i64) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .unwrap();
    let mut places = TopicPartitionList::new();
    places
        .add_partition_offset(topic, 0, Offset::Offset(offset))
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let options = AdminOptions::new().operation_timeout(Some(seconds(30)));
    let deleted = runtime.block_on(admin.delete_records(&places, &options));
    deleted.unwrap().elements()[0].error().unwrap();
}

fn send(bootstrap: &str, topic: &str, ids: std::ops::Range<u64>) {
    let records: Vec<_> = ids.map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    let records: Vec<_> = records.iter().map(String::as_str).collect();
    broker::send_all(bootstrap, topic, &records);
}

fn config(directory: &std::path::Path, bootstrap: &str, topic: &str) -> Config {
    broker::create_topic(bootstrap, topic, 1);
    Config::new(directory, bootstrap, topic).set("source.data-format.json.layout", "PLAIN")
}

fn ids(config: &Config) -> Vec<u64> {
    let rows = table_rows(&config.output());
    let id = |row: &serde_json::Value| row["properties"]["id"].as_u64().unwrap();
    let mut ids: Vec<_> = rows.iter().map(id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_checkpoint_that_has_expired_goes_on_with_the_oldest_record() {
    let (_scratch, directory) = scratch();
    let (kafka, topic) = (shared_kafka(), unique("expired"));
    let config = config(&directory, &kafka, &topic);
    send(&kafka, &topic, 0..100);
    Program::until_end(&config, seconds(120));
    send(&kafka, &topic, 100..200);
    delete_before(&kafka, &topic, 150);
    let log = Program::until_end(&config, seconds(120));
    assert!(
        log.contains("records were deleted") && log.contains("lost=50"),
        "{log}"
    );
    assert_eq!(ids(&config), (0..100).chain(150..200).collect::<Vec<_>>());
}

/// The reader stands still while what it was about to read is deleted.
#[test]
fn a_running_reader_that_retention_overtakes_reads_on() {
    let (_scratch, directory) = scratch();
    let (kafka, topic) = (shared_kafka(), unique("overtaken"));
    let config = config(&directory, &kafka, &topic);
    send(&kafka, &topic, 0..100);
    let mut program = Program::start(&config);
    eventually("the first records", seconds(120), || {
        ids(&config).len() == 100
    });
    program.signal("STOP");
    // What it has asked for already is answered with nothing, within half a second (`fetch.wait.max.ms`): it must not be given what
    // comes now.
    std::thread::sleep(seconds(5));
    send(&kafka, &topic, 100..200);
    delete_before(&kafka, &topic, 150);
    program.signal("CONT");
    eventually("the records that were left", seconds(120), || {
        ids(&config).len() >= 150
    });
    assert!(program.metrics().sum("alluvium_records_expired_total", &[]) >= 1.0);
    program.stop();
    let found = ids(&config);
    assert!(
        found.ends_with(&(150..200).collect::<Vec<_>>()),
        "{found:?}"
    );
}
