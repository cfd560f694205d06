//! The examples that read a stream.

use std::time::{SystemTime, UNIX_EPOCH};

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Example, bytes, sorted, tagged, tagged_row, with_tables};
use crate::kinesis::{Sent as CloudWatchWasSent, cloudwatch};
use crate::support::avro::datum;
use crate::support::catalog::runtime;
use crate::support::events::iso;
use crate::support::kinesis::{Kinesis, access, aggregate};
use crate::support::output::dead_letters;
use crate::support::service::Bucket;

/// A record: its partition key and its bytes.
type Sent = (String, Vec<u8>);

impl Example {
    /// Makes the example's stream, of two shards, with these records.
    fn stream(&self, records: &[Sent]) {
        let stream = self.config.get("kinesis.stream");
        runtime().block_on(async {
            let kinesis = Kinesis::shared().await;
            kinesis.create(stream, 2).await;
            kinesis.put_records(stream, records).await;
        });
    }

    /// Stores an object for records to point to. Gives its key.
    fn bulk(&self, name: &str, bytes: Vec<u8>) -> String {
        let shared = Bucket::shared();
        let key = format!("{}/bulk/{name}", self.id);
        runtime().block_on(async {
            let config = access(&shared.endpoint).load().await.unwrap();
            let config = aws_sdk_s3::config::Builder::from(&config)
                .force_path_style(true)
                .build();
            let put = aws_sdk_s3::Client::from_conf(config).put_object();
            let put = put.bucket(&shared.name).key(&key);
            put.body(ByteStream::from(bytes)).send().await.unwrap();
        });
        key
    }
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    iso(since.as_millis() as u64)
}

/// A bulk object: the project, then each table with its numbers of columns and records, and the records.
fn object(project: &str, tables: &[(&str, std::ops::Range<i64>)]) -> Vec<u8> {
    let fields = |fields: &str| {
        let text = format!(r#"{{"type":"record","name":"part","fields":[{fields}]}}"#);
        Schema::parse_str(&text).unwrap()
    };
    let whole = fields(r#"{"name":"project","type":"string"}"#);
    let table = fields(
        r#"{"name":"table","type":"string"},{"name":"columns","type":"int"},{"name":"records","type":"int"}"#,
    );
    let mut bytes = datum(&whole, vec![("project", Avro::String(project.to_owned()))]);
    for (name, numbers) in tables {
        let records = (numbers.end - numbers.start) as i32;
        let head = vec![
            ("table", Avro::String((*name).to_owned())),
            ("columns", Avro::Int(4)),
            ("records", Avro::Int(records)),
        ];
        bytes.extend(datum(&table, head));
        numbers.clone().for_each(|n| bytes.extend(tagged(n)));
    }
    bytes
}

/// The original's records of every type, by the columns of the original's metadata store.
pub(super) fn originals(example: Example) {
    let project = format!("{}-shop", example.id);
    let bucket = Bucket::shared();
    let mut example = with_tables(example, &project, &["orders", "refunds"])
        .set("aws.s3-bulk-bucket", &bucket.name);
    let (metrics, serving) = (CloudWatchWasSent::default(), runtime());
    let endpoint = serving.block_on(cloudwatch(metrics.clone()));
    example.config = example
        .config
        .set("aws.s3-endpoint", &bucket.endpoint)
        .set("aws.cloudwatch-endpoint", &endpoint);

    let object = object(&project, &[("orders", 10..13), ("refunds", 13..15)]);
    let pointer =
        |key: &str, size: usize| [&[3][..], &(size as i64).to_be_bytes(), key.as_bytes()].concat();
    let whole = pointer(&example.bulk("whole", object.clone()), object.len());
    let missing = pointer(&format!("{}/bulk/missing", example.id), 99);
    let old = [&[1], &tagged(3)[..]].concat();
    let single = |n: i64| [&[0], &tagged(n)[..]].concat();
    let orders = format!("{project}|orders");
    let users: Vec<Sent> = (4..7).map(|n| (orders.clone(), single(n))).collect();
    example.stream(&[
        (orders.clone(), single(1)),
        (
            project.clone(),
            [b"\x02\x0erefunds", &tagged(2)[..]].concat(),
        ),
        (orders.clone(), old.clone()),
        (project.clone(), whole),
        (project.clone(), missing.clone()),
        (orders.clone(), aggregate(&orders, &users)),
    ]);

    example.run();
    let output = example.output(&format!("{project}/"));
    let row = |table: &str, n: i64| tagged_row(&project, table, n);
    let numbers = [1].into_iter().chain(4..7).chain(10..13);
    let rows = numbers.map(|n| row("orders", n));
    let refunds = [2, 13, 14].map(|n| row("refunds", n));
    assert_eq!(
        Example::rows_in(&output),
        sorted(rows.chain(refunds).collect())
    );
    let letters = dead_letters(&output);
    let mut letters: Vec<_> = letters
        .iter()
        .map(|letter| {
            let text = |name: &str| letter[name].as_str().unwrap();
            let (reason, _) = text("reason").split_once(": ").unwrap();
            (BASE64.decode(text("payload")).unwrap(), reason)
        })
        .collect();
    letters.sort();
    let metrics = metrics.lock().unwrap();
    let said = |text: &str| {
        metrics
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    let table = example.config.get("kinesis.consumer-dynamodb-table");
    assert!(said(table) && said("RecordsProcessed"));
    assert_eq!(letters, [(old, "wrong_layout"), (missing, "no_object")]);
}

/// JSON objects of any kind, pushed; the partition key and the time of arrival are columns.
pub(super) fn fan_out(example: Example) {
    let project = example.id.clone();
    let example = example.set("source.project", &project);
    let event = |n: i64| {
        bytes(
            &json!({"event_type": "View", "user_id": "u1", "created_at": "2018-01-31 05:59:00", "n": n}),
        )
    };
    let row = |key: &str, n: i64| json!({"event_type": "View", "user_id": "u1", "created_at": "2018-01-31T05:59:00.000Z", "n": n, "_key": key});
    let user = |n: i64| (format!("user-{n}"), event(n));
    let users: Vec<Sent> = (100..120).map(user).collect();
    let mut records: Vec<Sent> = (0..20).map(user).collect();
    for (at, users) in users.chunks(5).enumerate() {
        let key = format!("producer-{at}");
        let payload = aggregate(&key, users);
        records.push((key, payload));
    }
    let begin = now();
    example.stream(&records);
    example.run();
    let mut rows = example.rows(&format!("{project}/"));
    for row in &mut rows {
        let arrival = row.as_object_mut().unwrap().remove("_arrival");
        let arrival = arrival.unwrap_or(Value::Null);
        let arrival = arrival.as_str().unwrap();
        // The server tells whole seconds.
        let second = |time: &str| time[..19].to_owned();
        let near = second(&begin)..=second(&now());
        assert!(near.contains(&second(arrival)), "{arrival}");
    }
    let wanted = (0..20).chain(100..120);
    let wanted: Vec<_> = wanted.map(|n| row(&format!("user-{n}"), n)).collect();
    assert_eq!(sorted(rows), sorted(wanted));
}
