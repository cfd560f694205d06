//! Late records: in the historical topic as they were sent, and from there in the target.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::broker::{self, Kept};
use crate::support::config::Config;
use crate::support::output::{scratch, table_rows};
use crate::support::program::Program;
use crate::support::service::{Bucket, shared_kafka};
use crate::support::{seconds, unique};

const EVENTS: u64 = 400;
const PARTITIONS: i32 = 2;

/// Where a late record came from, as its headers tell.
type Origin = (String, i32, i64);

struct Stage {
    kafka: String,
    topic: String,
    historical: String,
    bucket: Bucket,
    config: Config,
    _scratch: tempfile::TempDir,
}

impl Stage {
    fn new(name: &str) -> Self {
        let (kafka, topic) = (shared_kafka(), unique(name));
        let historical = format!("{topic}-historical");
        broker::create_topic(&kafka, &topic, PARTITIONS);
        broker::create_topic(&kafka, &historical, 3);
        let (scratch, directory) = scratch();
        let bucket = Bucket::shared();
        // The topic is the collection: what comes by way of the historical topic must not be of another one.
        let config = Config::new(&directory, &kafka, &topic)
            .s3(&bucket)
            .set("source.data-format.json.layout", "PLAIN")
            .set("source.project", &topic)
            .set("historical.max-flush-duration", "1s")
            .set("kafka.historical-data-topic", &historical);
        Self {
            kafka,
            topic,
            historical,
            bucket,
            config,
            _scratch: scratch,
        }
    }

    /// Sends events of today, and every third one of long ago.
    fn feed(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let sender = broker::Sender::new(&self.kafka, &self.topic);
        for n in 0..EVENTS {
            let time = if is_late(n) {
                981_173_106_000 + n
            } else {
                now.as_millis() as u64
            };
            let payload = format!("{{ \"n\":{n}, \"_time\" : {time}}}");
            let key = format!("key {n}");
            let key = (n % 2 == 0).then_some(key.as_bytes());
            sender.send(n as i32 % PARTITIONS, key, Some(payload.as_bytes()));
        }
        sender.finish();
    }

    /// The numbers of the rows in the target, sorted; all must be of one table.
    fn rows(&self) -> Vec<u64> {
        let directory = self.config.directory.join(unique("objects"));
        self.bucket.fetch(&format!("{}/", self.topic), &directory);
        let rows = table_rows(&directory);
        assert!(rows.iter().all(|row| row["$table"] == self.topic.as_str()));
        let number = |row: &Value| row["properties"]["n"].as_u64().unwrap();
        let mut rows: Vec<_> = rows.iter().map(number).collect();
        rows.sort_unstable();
        rows
    }

    /// What the historical topic holds, by origin: each record must be as it was sent.
    fn late(&self) -> BTreeMap<Origin, usize> {
        let sent = broker::read_all(&self.kafka, &self.topic, PARTITIONS);
        let sent: BTreeMap<_, _> = sent
            .into_iter()
            .map(|kept| ((kept.partition, kept.offset), kept))
            .collect();
        let mut found = BTreeMap::new();
        for kept in broker::read_all(&self.kafka, &self.historical, 3) {
            let origin = origin(&kept);
            let sent = &sent[&(origin.1, origin.2)];
            assert_eq!(
                (&kept.key, &kept.payload, kept.timestamp),
                (&sent.key, &sent.payload, sent.timestamp)
            );
            let payload: Value = serde_json::from_slice(&kept.payload.unwrap()).unwrap();
            assert!(is_late(payload["n"].as_u64().unwrap()));
            *found.entry(origin).or_insert(0) += 1;
        }
        assert!(found.keys().all(|(topic, ..)| *topic == self.topic));
        found
    }
}

fn is_late(n: u64) -> bool {
    n.is_multiple_of(3)
}

fn origin(kept: &Kept) -> Origin {
    let header = |name: &str| String::from_utf8(kept.headers[name].clone()).unwrap();
    (
        header("alluvium.topic"),
        header("alluvium.partition").parse().unwrap(),
        header("alluvium.offset").parse().unwrap(),
    )
}

#[test]
fn late_records_are_in_the_historical_topic_as_sent_and_a_historical_worker_writes_them() {
    let stage = Stage::new("late");
    stage.feed();
    Program::until_end(&stage.config, seconds(120));
    let on_time: Vec<_> = (0..EVENTS).filter(|n| !is_late(*n)).collect();
    assert_eq!(stage.rows(), on_time);
    let late = stage.late();
    assert_eq!(late.len(), (0..EVENTS).filter(|n| is_late(*n)).count());
    assert!(late.values().all(|times| *times == 1), "{late:?}");

    let worker = stage.config.clone().set("historical.worker", "true");
    Program::until_end(&worker, seconds(120));
    assert_eq!(stage.rows(), (0..EVENTS).collect::<Vec<_>>());
    assert_eq!(stage.late(), late, "late records were sent on again");
}

#[test]
fn a_crash_between_sending_and_committing_repeats_late_records_and_loses_none() {
    let stage = Stage::new("late-crash");
    stage.feed();
    let mut program = Program::start_in(
        &stage.config.clone().set("kafka.session.timeout.ms", "6000"),
        &["--until-end"],
        &[("ALLUVIUM_FAILPOINT", "written:1")],
    );
    assert_ne!(program.wait(seconds(120)), 0, "the program did not die");
    Program::until_end(&stage.config, seconds(120));
    let on_time: Vec<_> = (0..EVENTS).filter(|n| !is_late(*n)).collect();
    assert_eq!(stage.rows(), on_time);
    let late = stage.late();
    assert_eq!(late.len(), (0..EVENTS).filter(|n| is_late(*n)).count());
    assert!(
        late.values().all(|times| (1..=2).contains(times)),
        "{late:?}"
    );
    assert!(
        late.values().any(|times| *times == 2),
        "nothing was repeated"
    );
}
