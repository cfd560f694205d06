//! The program against a stream (ferrokinesis) and a lease table (DynamoDB Local): every record is in the target once, whatever becomes of shards
//! and processes.

mod formats;
mod outage;
mod repair;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::support::config::Config;
use crate::support::kinesis::Kinesis;
use crate::support::output::{dead_letters, scratch, table_rows};
use crate::support::program::{Program, alluvium};
use crate::support::service::given;
use crate::support::{eventually, seconds, unique};

/// All hash keys.
pub(crate) const ALL: (u128, u128) = (0, u128::MAX);

/// A record with a number.
pub(crate) fn event(n: u64) -> Vec<u8> {
    let data = json!({"_project": "shop", "_collection": "click", "_time": 1_517_378_340_123_i64, "_user": "u", "n": n});
    json!({ "data": data }).to_string().into_bytes()
}

/// A stream of the test's own, and the configuration to read it.
pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    pub(crate) kinesis: Kinesis,
    pub(crate) stream: String,
    pub(crate) config: Config,
    sent: u32,
    _scratch: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new(shards: i32) -> Self {
        let (scratch, directory) = scratch();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let stream = unique("stream");
        let kinesis = runtime.block_on(async {
            let kinesis = Kinesis::shared().await;
            kinesis.create(&stream, shards).await;
            kinesis
        });
        let dynamodb = given("ALLUVIUM_TEST_DYNAMODB");
        let config = Config::kinesis(&directory, &kinesis.endpoint, &dynamodb, &stream);
        Self {
            runtime,
            kinesis,
            stream,
            config,
            sent: 0,
            _scratch: scratch,
        }
    }

    /// Sends so many more records, each with the next number.
    fn send(&mut self, count: u32) {
        let event = |n: u32| (n.to_string(), event(n.into()));
        let records: Vec<_> = (self.sent..self.sent + count).map(event).collect();
        self.put(&records);
        self.sent += count;
    }

    /// Writes records, each a partition key and a payload.
    fn put(&self, records: &[(String, Vec<u8>)]) {
        let put = self.kinesis.put_records(&self.stream, records);
        self.runtime.block_on(put);
    }

    pub(crate) fn split(&self, shard: &str, range: (u128, u128)) {
        self.runtime
            .block_on(self.kinesis.split(&self.stream, shard, range));
    }

    pub(crate) fn merge(&self, one: &str, other: &str) {
        self.runtime
            .block_on(self.kinesis.merge(&self.stream, one, other));
    }

    /// How often each number is in the target.
    pub(crate) fn numbers(&self) -> BTreeMap<u64, u32> {
        let mut numbers = BTreeMap::new();
        for row in table_rows(&self.config.output()) {
            let number = row["properties"]["n"].as_u64().unwrap();
            *numbers.entry(number).or_default() += 1;
        }
        numbers
    }

    /// All that was sent is there once, and nothing else.
    fn assert_all(&self) {
        let numbers = self.numbers();
        let all = 0..u64::from(self.sent);
        let missing: Vec<u64> = all.filter(|n| !numbers.contains_key(n)).collect();
        let doubled: Vec<_> = numbers.iter().filter(|(_, count)| **count > 1).collect();
        assert!(
            missing.is_empty() && doubled.is_empty() && numbers.len() == self.sent as usize,
            "missing {missing:?}, doubled {doubled:?} of {}",
            self.sent
        );
        assert_eq!(dead_letters(&self.config.output()), Vec::<Value>::new());
    }

    fn wait_for_all(&self) {
        let sent = self.sent as usize;
        eventually("all records in the target", seconds(180), || {
            self.numbers().len() >= sent
        });
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let file = self.config.write().display().to_string();
        let arguments: Vec<_> = [arguments, &["--config", &file]].concat();
        let output = alluvium(&arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}\n{log}");
        text
    }
}

#[test]
fn a_stream_is_read_to_its_end_and_on_from_there() {
    let mut bench = Bench::new(2);
    bench.send(500);
    let shown = bench.ask(&["check"]);
    assert!(shown.contains("kinesis: 2 shards"), "{shown}");
    Program::until_end(&bench.config, seconds(120));
    bench.assert_all();
    bench.send(300);
    Program::until_end(&bench.config, seconds(120));
    bench.assert_all();
    let leases = bench.ask(&["leases"]);
    for shard in ["shardId-000000000000", "shardId-000000000001"] {
        let line = leases.lines().find(|line| line.starts_with(shard));
        let line = line.unwrap_or_else(|| panic!("no {shard}: {leases}"));
        let cells: Vec<_> = line.split_whitespace().collect();
        assert_eq!(cells[1..4], ["-", "free", "-"], "{leases}");
    }
    bench.ask(&["verify", "--deep"]);
    assert_eq!(bench.ask(&["recover"]), "no open plans\n");
}

#[test]
fn shards_are_split_and_merged_while_they_are_read() {
    let mut bench = Bench::new(1);
    let mut program = Program::start(&bench.config);
    bench.send(200);
    bench.split("shardId-000000000000", ALL);
    bench.send(200);
    bench.wait_for_all();
    bench.merge("shardId-000000000001", "shardId-000000000002");
    bench.send(200);
    bench.wait_for_all();
    program.stop();
    bench.assert_all();
    bench.ask(&["verify", "--deep"]);
    // Reshards that nobody has read yet.
    bench.split("shardId-000000000003", ALL);
    bench.send(200);
    Program::until_end(&bench.config, seconds(180));
    bench.assert_all();
    bench.ask(&["verify", "--deep"]);
}

#[test]
fn a_process_is_killed_and_another_goes_on() {
    let mut bench = Bench::new(3);
    let config = bench
        .config
        .clone()
        .set("middleware.max-flush-duration", "300ms");
    for _ in 0..4 {
        let mut program = Program::start(&config);
        let before = bench.numbers().len();
        for _ in 0..10 {
            bench.send(50);
        }
        eventually("some new rows", seconds(120), || {
            bench.numbers().len() > before
        });
        program.kill();
    }
    Program::until_end(&config, seconds(180));
    bench.assert_all();
    bench.ask(&["verify", "--deep"]);
}

/// What a stand-in for CloudWatch was sent.
pub(crate) type Sent = Arc<Mutex<Vec<u8>>>;

/// Takes whatever it is sent, as CloudWatch would.
pub(crate) async fn cloudwatch(sent: Sent) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let take = move |body: Bytes| async move {
        sent.lock().unwrap().extend_from_slice(&body);
        let headers = [
            ("smithy-protocol", "rpc-v2-cbor"),
            ("content-type", "application/cbor"),
        ];
        // An empty map.
        (headers, vec![0xa0])
    };
    let router = Router::new().fallback(take);
    tokio::spawn(async move { axum::serve(listener, router).await });
    endpoint
}

#[test]
fn leases_and_shards_are_seen_by_prometheus_and_cloudwatch() {
    let mut bench = Bench::new(2);
    let sent = Sent::default();
    let endpoint = bench.runtime.block_on(cloudwatch(sent.clone()));
    let config = bench
        .config
        .clone()
        .set("aws.enable-cloudwatch", "true")
        .set("aws.cloudwatch-endpoint", &endpoint);
    let mut program = Program::start(&config);
    bench.send(100);
    bench.wait_for_all();
    eventually("both leases to be counted", seconds(120), || {
        let metrics = program.metrics();
        let sum = |name: &str| metrics.sum(name, &[]);
        sum("alluvium_leases_held") >= 2.0 && sum("alluvium_leases_taken_total") >= 2.0
    });
    assert!(program.metrics().has("alluvium_millis_behind_latest"));
    program.stop();
    let sent = sent.lock().unwrap();
    let said = |text: &str| sent.windows(text.len()).any(|part| part == text.as_bytes());
    for word in [
        bench.stream.as_str(),
        "ProcessTask",
        "RecordsProcessed",
        "DataBytesProcessed",
        "MillisBehindLatest",
        "shardId-000000000001",
        "RenewAllLeases",
        "CurrentLeases",
        "TakeLeases",
        "TakenLeases",
        "alluvium:",
        "PeriodicShardSyncManager",
    ] {
        assert!(said(word), "CloudWatch was not told of {word}");
    }
    assert!(!said("alluvium-secret"));
}
