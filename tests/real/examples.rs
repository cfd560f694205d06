//! Every file of `config/`, with nothing but names and addresses replaced: records go in, and the rows that come out are compared.

#![allow(
    clippy::needless_pass_by_value,
    reason = "what runs one example has its example, whether it changes it or not"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use alluvium::catalog::{Catalog as _, SqlCatalog};
use alluvium::table::ColumnType;
use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use serde_json::{Value, json};

use crate::support::avro::{SCHEMA_HEADER, branch, datum, framed, map, number, record};
use crate::support::broker::{self, Sender};
use crate::support::catalog::{runtime, wanted};
use crate::support::config::Config;
use crate::support::output::{dead_letters, files, scratch, table_rows};
use crate::support::program::Program;
use crate::support::registry::Registry;
use crate::support::service::{Bucket, Database, DatabaseKind, REPOSITORY, shared_kafka};
use crate::support::{seconds, unique};

mod kinesis;

/// A file and what is done with it.
type Run = fn(Example);

const EXAMPLES: [(&str, Run); 16] = [
    ("kafka-avro-containers-s3.properties", containers),
    ("kafka-avro-rakam-s3.properties", originals),
    ("kafka-avro-registry-file.properties", registry),
    (
        "kafka-avro-registry-mysql-s3.properties",
        registry_and_reader,
    ),
    ("kafka-avro-single-object-file.properties", single_objects),
    ("kafka-json-catalog-s3.properties", catalog),
    ("kafka-json-file.properties", rakam),
    ("kafka-json-framed-sqlite.properties", framed_json),
    ("kafka-json-historical.properties", historical),
    ("kafka-json-plain-flat-s3.properties", plain_and_flat),
    ("kafka-json-s3.properties", fabric),
    ("kafka-json-zstd-s3.properties", fabric),
    ("kafka-tls-scram.properties", tls),
    ("kinesis-fan-out-json.properties", kinesis::fan_out),
    ("kinesis-s3.properties", kinesis::originals),
    ("minio-or-other-s3.properties", fabric),
];

const TIME: i64 = 1_517_378_340_123;

struct Example {
    /// Stands before the names of what others use as well.
    id: String,
    kafka: String,
    config: Config,
    _scratch: tempfile::TempDir,
}

impl Example {
    fn new(file: &str) -> Self {
        let (scratch, directory) = scratch();
        let (id, kafka) = (unique("example"), shared_kafka());
        let config = Config::example(file, &directory, &kafka, &id);
        let config = match config.get("target") {
            "s3" => config.s3(&Bucket::shared()),
            _ => config,
        };
        Self {
            id,
            kafka,
            config,
            _scratch: scratch,
        }
    }

    fn set(mut self, key: &str, value: &str) -> Self {
        assert!(self.config.has(key), "the example has no {key}");
        self.config = self.config.set(key, value);
        self
    }

    fn without(mut self, key: &str) -> Self {
        assert!(self.config.has(key), "the example has no {key}");
        self.config = self.config.without(key);
        self
    }

    fn with_catalog(self, kind: DatabaseKind) -> Self {
        let database = Database::shared(kind);
        let name = runtime().block_on(database.create());
        self.without("metadata.store.jdbc.username")
            .set("metadata.store.jdbc.url", &database.url(&name))
    }

    fn with_registry(mut self, registry: &Registry) -> Self {
        for key in ["url", "username", "password"] {
            assert!(self.config.has(&format!("schema-registry.{key}")));
        }
        self.config = registry.asked_by(self.config);
        self
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.config.directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A topic of the example, made anew.
    fn topic(&self, name: &str) -> Sender {
        let name = format!("{}-{name}", self.id);
        broker::create_topic(&self.kafka, &name, 2);
        Sender::new(&self.kafka, &name)
    }

    fn send(&self, topic: &str, records: &[Vec<u8>]) {
        let sender = self.topic(topic);
        for (at, record) in records.iter().enumerate() {
            sender.send(at as i32 % 2, None, Some(record));
        }
        sender.finish();
    }

    fn run(&self) {
        let log = Program::until_end(&self.config, seconds(180));
        assert!(!log.contains("has no effect"), "{log}");
    }

    /// Where everything is that is in the target now.
    fn output(&self, prefix: &str) -> PathBuf {
        match self.config.get("target") {
            "s3" => {
                let directory = self.config.directory.join("objects");
                let bucket = Bucket::shared();
                bucket.fetch(prefix, &directory);
                bucket.fetch(&format!("_dead_letters/{}-", self.id), &directory);
                directory
            }
            _ => self.config.output(),
        }
    }

    /// The rows that are in the target now, without the time of their span, in the order of their text.
    fn rows(&self, prefix: &str) -> Vec<Value> {
        let directory = self.output(prefix);
        assert_eq!(dead_letters(&directory), Vec::<Value>::new());
        Self::rows_in(&directory)
    }

    fn rows_in(directory: &Path) -> Vec<Value> {
        let mut rows = table_rows(directory);
        for row in &mut rows {
            let row = row.as_object_mut().unwrap();
            let columns = match row.get_mut("properties") {
                Some(properties) => properties.as_object_mut().unwrap(),
                None => row,
            };
            assert!(columns.remove("_shard_time").is_some());
        }
        sorted(rows)
    }

    /// Runs to the end of what was sent, and compares.
    fn assert_rows(&self, prefix: &str, wanted: Vec<Value>) {
        self.run();
        assert_eq!(self.rows(prefix), sorted(wanted));
    }
}

fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_cached_key(in_order);
    rows
}

/// The text of a value whose keys stand in one order, whatever theirs is.
fn in_order(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields
                .iter()
                .map(|(name, value)| (name, in_order(value)))
                .collect();
            format!("{fields:?}")
        }
        value => value.to_string(),
    }
}

fn bytes(json: &Value) -> Vec<u8> {
    json.to_string().into_bytes()
}

#[test]
fn every_file_in_config_runs_from_records_to_rows() {
    let names: Vec<_> = EXAMPLES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let directory = Path::new(REPOSITORY).join("config");
    assert_eq!(files(&directory), names);
    for (name, run) in EXAMPLES {
        eprintln!("{name}");
        run(Example::new(name));
    }
}

/// Events of the layout FABRIC, and the rows that become of them.
fn fabric(example: Example) {
    let project = example.id.clone();
    let event = |n: i64| {
        json!({"id": "x", "data": {"_project": project, "_collection": "Click", "_time": TIME + n, "_user": "u1",
            "N": n, "price": 1.5, "tags": ["a", "b"], "at": {"x": 1}}})
    };
    let row = |n: i64| {
        json!({"_time": TIME + n, "$schema": project, "$table": "click", "_user": "u1",
            "properties": {"n": n, "price": 1.5, "tags": ["a", "b"], "at": {"x": 1}}})
    };
    example.send(
        "events",
        &(0..50).map(|n| bytes(&event(n))).collect::<Vec<_>>(),
    );
    let wanted = (0..50).map(row).collect();
    example.assert_rows(&format!("{project}/"), wanted);
}

fn catalog(example: Example) {
    fabric(example.with_catalog(DatabaseKind::Postgres));
}

/// The shared broker speaks without TLS and knows no users: all but those keys is as in the file.
fn tls(example: Example) {
    let example = example
        .without("kafka.client.security.protocol")
        .without("kafka.client.ssl.ca.location")
        .without("kafka.client.sasl.mechanism")
        .without("kafka.client.sasl.username")
        .without("kafka.client.sasl.password");
    fabric(example);
}

fn rakam(example: Example) {
    let event = |n: i64| {
        json!({"project": "Shop", "collection": "click", "properties": {"_time": TIME, "_user": "u", "N": n,
            "day": "2018-01-31", "ok": true}})
    };
    let row = |n: i64| {
        json!({"_time": TIME, "$schema": "shop", "$table": "click", "_user": "u",
            "properties": {"n": n, "day": "20180131", "ok": true}})
    };
    example.send("events", &[bytes(&event(1)), bytes(&event(2))]);
    example.assert_rows("", vec![row(1), row(2)]);
}

fn plain_and_flat(example: Example) {
    let project = example.id.clone();
    let example = example.set("source.project", &project);
    let event = |kind: &str, n: i64| {
        json!({"event_type": kind, "user_id": "u1", "created_at": "2018-01-31 05:59:00", "n": n,
            "at": {"city": "İzmir", "point": {"lat": 38.5}}, "list": [{"a": 1}, {"a": 2}]})
    };
    let row = |kind: &str, n: i64| {
        json!({"event_type": kind, "user_id": "u1", "created_at": "2018-01-31T02:59:00.000Z", "n": n,
            "at": {"city": "İzmir", "point": {"lat": 38.5}}, "list": [{"a": 1}, {"a": 2}]})
    };
    let topics = ["orders", "payments", "web-shop"];
    for (n, topic) in (0..).zip(topics) {
        example.send(topic, &[bytes(&event("View", n)), bytes(&event("Buy", n))]);
    }
    let wanted = (0..3)
        .flat_map(|n| [row("View", n), row("Buy", n)])
        .collect();
    example.assert_rows(&format!("events/{project}/"), wanted);
}

fn framed_json(example: Example) {
    let file = example.config.directory.join("catalog.db");
    let url = format!("jdbc:sqlite:{}", file.display());
    let example = example.set("metadata.store.jdbc.url", &url);
    let sender = example.topic("events");
    sender.send(
        0,
        None,
        Some(&framed(7, br#"{"kind":"A","_time":5,"m":{"x":1,"y":2}}"#)),
    );
    sender.send_with(
        1,
        br#"{"kind":"a","_user":"u"}"#,
        (SCHEMA_HEADER, &number(7)),
    );
    sender.finish();
    let row = |time: i64, user: &str, properties: Value| json!({"_time": time, "$schema": "shop", "$table": "a", "_user": user, "properties": properties});
    let wanted = vec![
        row(5, "", json!({"kind": "A", "m": {"x": 1, "y": 2}})),
        row(0, "u", json!({"kind": "a"})),
    ];
    example.assert_rows("", wanted);
}

fn historical(example: Example) {
    let directory = example
        .config
        .directory
        .join("events")
        .display()
        .to_string();
    let example = example.set("committer.duplicate-handler-rocksdb-directory", &directory);
    let project = example.id.clone();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let today = now.as_millis() as i64 - 60_000;
    let event = |collection: &str, time: i64, n: i64| {
        bytes(
            &json!({"data": {"_project": project, "_collection": collection, "_time": time, "_user": "u", "n": n}}),
        )
    };
    let row = |collection: &str, time: i64, n: i64| json!({"_time": time, "$schema": project, "$table": collection, "_user": "u", "properties": {"n": n}});
    drop(example.topic("events-historical"));
    // Both partitions have: one on time, the same again, one of a collection that is not listed, one of long ago.
    let records = (0..2).map(|n| {
        let one = event("page_view", today + n, n);
        [
            one.clone(),
            one,
            event("other", today, n),
            event("purchase", TIME + n, n),
        ]
    });
    let sender = example.topic("events");
    for (partition, records) in (0..).zip(records) {
        for record in records {
            sender.send(partition, None, Some(&record));
        }
    }
    sender.finish();
    let on_time = vec![row("page_view", today, 0), row("page_view", today + 1, 1)];
    let prefix = format!("{project}/");
    // What a run sends to the historical topic may come behind the end it reads to: the next run has it all.
    example.run();
    example.run();
    let wanted = [
        on_time,
        vec![row("purchase", TIME, 0), row("purchase", TIME + 1, 1)],
    ]
    .concat();
    assert_eq!(example.rows(&prefix), sorted(wanted));
    let late = broker::read_all(
        &example.kafka,
        &format!("{}-events-historical", example.id),
        2,
    );
    assert_eq!(late.len(), 2);
}

const ORDER: &str = r#"{"type":"record","name":"com.example.Order","fields":[
    {"name":"kind","type":"string"},
    {"name":"user_id","type":"string"},
    {"name":"created_at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[
        {"name":"sku","type":"string"},{"name":"count","type":"int"}]}}},
    {"name":"labels","type":{"type":"map","values":"string"}}]}"#;

/// The order's fields, as Avro and as a row has them.
fn order(n: i64) -> (Vec<(&'static str, Avro)>, Value) {
    let item = record(vec![
        ("sku", Avro::String("s".into())),
        ("count", Avro::Int(n as i32)),
    ]);
    let fields = vec![
        ("kind", Avro::String("Order".into())),
        ("user_id", Avro::String(format!("u{n}"))),
        ("created_at", Avro::TimestampMillis(TIME + n)),
        ("items", Avro::Array(vec![item.clone(), item])),
        ("labels", map(vec![("k", Avro::String("v".into()))])),
    ];
    let item = json!({"sku": "s", "count": n});
    let columns = json!({"kind": "Order", "items": [item, item], "labels": {"k": "v"}});
    (fields, columns)
}

fn order_bytes(n: i64) -> Vec<u8> {
    datum(&Schema::parse_str(ORDER).unwrap(), order(n).0)
}

/// The row of an order, where the time and user fields are the usual ones.
fn order_row(project: &str, table: &str, n: i64) -> Value {
    let mut properties = order(n).1;
    properties["user_id"] = format!("u{n}").into();
    properties["created_at"] = format!("2018-01-31T05:59:00.{}Z", 123 + n).into();
    json!({"_time": 0, "$schema": project, "$table": table, "_user": "", "properties": properties})
}

/// Gives the example a metadata store that has tables of the project, for [`tagged`].
fn with_tables(example: Example, project: &str, tables: &[&str]) -> Example {
    let example = example
        .without("metadata.store.jdbc.password")
        .with_catalog(DatabaseKind::Postgres);
    let columns = wanted(&[
        ("_shard_time", ColumnType::Timestamp),
        ("_time", ColumnType::Timestamp),
        ("_user", ColumnType::String),
        ("n", ColumnType::Bigint),
        ("tags", ColumnType::Array(ColumnType::String.into())),
    ]);
    let loaded = alluvium::config::load(&example.config.write(), [], &[]).unwrap();
    runtime().block_on(async {
        let store = loaded.settings.store.unwrap();
        let catalog = SqlCatalog::open(&store).await.unwrap();
        for table in tables {
            let added = catalog.add_columns(project, table, &columns);
            added.await.unwrap();
        }
    });
    example
}

/// A record of such a table without its schema: null or a value, in front of each stands which.
fn tagged(n: i64) -> Vec<u8> {
    let schema = r#"{"type":"record","name":"row","fields":[{"name":"_time","type":["null","long"]},{"name":"_user","type":["null","string"]},
        {"name":"n","type":["null","long"]},{"name":"tags","type":["null",{"type":"array","items":["null","string"]}]}]}"#;
    let schema = Schema::parse_str(schema).unwrap();
    let tags = Avro::Array(vec![
        branch(1, Avro::String("a".into())),
        branch(0, Avro::Null),
    ]);
    let fields = vec![
        ("_time", branch(1, Avro::Long(TIME + n))),
        ("_user", branch(1, Avro::String("u1".into()))),
        ("n", branch(1, Avro::Long(n))),
        ("tags", branch(1, tags)),
    ];
    datum(&schema, fields)
}

fn tagged_row(project: &str, table: &str, n: i64) -> Value {
    json!({"_time": TIME + n, "$schema": project, "$table": table, "_user": "u1",
        "properties": {"n": n, "tags": ["a", null]}})
}

/// Records without a schema, of tables that the metadata store has.
fn originals(example: Example) {
    let project = format!("{}-shop", example.id);
    let example = with_tables(example, &project, &["orders", "events", "refunds"]);
    let of = |start: &[u8], n: i64| [start, &tagged(n)].concat();
    example.send(
        "shop.orders",
        &[of(&[0], 1), of(&[1], 2), of(b"\x02\x0erefunds", 3)],
    );
    example.send("shop.events", &[of(&[0], 4)]);
    let row = |table: &str, n: i64| tagged_row(&project, table, n);
    let rows = vec![
        row("orders", 1),
        row("orders", 2),
        row("refunds", 3),
        row("events", 4),
    ];
    example.assert_rows(&format!("{project}/"), rows);
}

fn registry(example: Example) {
    let registry = Registry::shared();
    let example = example
        .with_registry(&registry)
        .without("schema-registry.ca-file");
    let id = registry.register(&format!("{}-value", example.id), "AVRO", ORDER, &[]);
    let mut wanted = Vec::new();
    for (n, topic) in [(1, "orders"), (2, "payments")] {
        example.send(topic, &[framed(id, &order_bytes(n))]);
        let table = format!("{}-{topic}", example.id);
        wanted.push(
            json!({"created_at": TIME + n, "$schema": "shop", "$table": table, "user_id": format!("u{n}"),
            "properties": order(n).1}),
        );
    }
    example.assert_rows("", wanted);
}

/// A version before [`ORDER`]: it calls the user otherwise, and knows no labels.
const OLD_ORDER: &str = r#"{"type":"record","name":"com.example.Order","fields":[
    {"name":"kind","type":"string"},
    {"name":"customer","type":"string"},
    {"name":"created_at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[
        {"name":"sku","type":"string"},{"name":"count","type":"int"}]}}}]}"#;

fn registry_and_reader(example: Example) {
    let registry = Registry::shared();
    let reader = ORDER
        .replace(
            "\"name\":\"user_id\"",
            "\"name\":\"user_id\",\"aliases\":[\"customer\"]",
        )
        .replace(
            "\"values\":\"string\"}",
            "\"values\":\"string\"},\"default\":{\"k\":\"none\"}",
        );
    let reader = example.file("order.avsc", &reader);
    let project = example.id.clone();
    let example = example
        .with_catalog(DatabaseKind::MariaDb)
        .without("metadata.store.jdbc.password")
        .with_registry(&registry)
        .set("source.project", &project)
        .set("source.data-format.avro.reader-schema", &reader);
    let subject = format!("{project}-value");
    let old = registry.register(&subject, "AVRO", OLD_ORDER, &[]);
    let new = registry.register(&subject, "AVRO", ORDER, &[]);
    let (mut fields, _) = order(1);
    fields.pop();
    fields[1].0 = "customer";
    let sender = example.topic("orders");
    let old_bytes = datum(&Schema::parse_str(OLD_ORDER).unwrap(), fields);
    sender.send(0, None, Some(&framed(old, &old_bytes)));
    sender.send_with(0, &order_bytes(2), (SCHEMA_HEADER, &number(new)));
    sender.finish();
    let mut first = order_row(&project, "order", 1);
    first["properties"]["labels"] = json!({"k": "none"});
    let wanted = vec![first, order_row(&project, "order", 2)];
    example.assert_rows(&format!("{project}/"), wanted);
}

fn single_objects(example: Example) {
    let directory = example.config.directory.join("schemas");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("order.avsc"), ORDER).unwrap();
    let example = example.set(
        "source.data-format.avro.schemas",
        &directory.display().to_string(),
    );
    // That of `apache-avro` is another one than the specification's, because the schema has a logical type.
    let print = alluvium::decode::avro::Schema::parse(ORDER, &[])
        .unwrap()
        .fingerprint();
    let single = |n| [&[0xC3, 1][..], &print.to_le_bytes(), &order_bytes(n)].concat();
    example.send("events", &[single(1), single(2)]);
    let wanted = vec![order_row("shop", "order", 1), order_row("shop", "order", 2)];
    example.assert_rows("", wanted);
}

fn containers(example: Example) {
    let project = example.id.clone();
    let example = example.set("source.project", &project);
    let schema = Schema::parse_str(ORDER).unwrap();
    let container = |orders: std::ops::Range<i64>| {
        let mut writer = apache_avro::Writer::new(&schema, Vec::new()).unwrap();
        for n in orders {
            writer.append_value(record(order(n).0)).unwrap();
        }
        writer.into_inner().unwrap()
    };
    example.send("exports", &[container(0..3), container(3..5)]);
    let row = |n| order_row("", "", n)["properties"].clone();
    example.assert_rows(&format!("{project}/"), (0..5).map(row).collect());
}
