//! Records whose schemas are in a real registry, in each form in which they say so; and what becomes of them while it is away.

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use serde_json::{Value, json};

use crate::support::avro::{SCHEMA_HEADER, branch, datum, framed, number, record};
use crate::support::config::Config;
use crate::support::output::{dead_letters, files, scratch, table_rows};
use crate::support::program::Program;
use crate::support::registry::Registry;
use crate::support::service::shared_kafka;
use crate::support::{broker, eventually, seconds, unique};

const ADDRESS: &str = r#"{"type":"record","name":"org.x.Address","fields":[{"name":"city","type":"string"},
    {"name":"zip","type":["null","int"],"default":null}]}"#;

/// A schema whose field `to` is what stands in the place of `#`: the name of another schema, or that schema.
const ORDER: &str = r#"{"type":"record","name":"org.x.Order","fields":[{"name":"n","type":"long"},
    {"name":"to","type":#},{"name":"_time","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;

/// A day long ago.
const LATE: i64 = 981_173_106_000;

struct Stage {
    kafka: String,
    topic: String,
    config: Config,
    _scratch: tempfile::TempDir,
}

impl Stage {
    fn new(name: &str, partitions: i32) -> Self {
        let (kafka, topic) = (shared_kafka(), unique(name));
        broker::create_topic(&kafka, &topic, partitions);
        let (scratch, directory) = scratch();
        let config = Config::new(&directory, &kafka, &topic).set("source.project", &topic);
        Self {
            kafka,
            topic,
            config,
            _scratch: scratch,
        }
    }

    fn sender(&self) -> broker::Sender {
        broker::Sender::new(&self.kafka, &self.topic)
    }

    /// Registers the schema of orders with its reference to that of addresses; gives its number.
    fn register(&self, registry: &Registry) -> u32 {
        let address = format!("{}-address", self.topic);
        registry.register(&address, "AVRO", ADDRESS, &[]);
        let order = ORDER.replace('#', "\"org.x.Address\"");
        let references = [("org.x.Address", address.as_str(), 1)];
        registry.register(
            &format!("{}-value", self.topic),
            "AVRO",
            &order,
            &references,
        )
    }

    /// The rows in the target by their number, all of one table.
    fn rows(&self) -> Vec<Value> {
        let mut rows = table_rows(&self.config.output());
        for row in &mut rows {
            assert_eq!(row["$table"], self.topic.as_str());
            let properties = row["properties"].as_object_mut().unwrap();
            assert!(properties.remove("_shard_time").is_some());
        }
        rows.sort_by_key(|row| row["properties"]["n"].as_i64());
        rows
    }
}

fn order(n: i64, time: i64) -> Vec<u8> {
    let schema = Schema::parse_str(&ORDER.replace('#', ADDRESS)).unwrap();
    let zip = match n % 2 {
        0 => branch(0, Avro::Null),
        _ => branch(1, Avro::Int(n as i32)),
    };
    let to = record(vec![
        ("city", Avro::String(format!("city {n}"))),
        ("zip", zip),
    ]);
    let time = Avro::TimestampMillis(time);
    datum(
        &schema,
        vec![("n", Avro::Long(n)), ("to", to), ("_time", time)],
    )
}

/// The row of [`order`].
fn row(topic: &str, n: i64, time: i64) -> Value {
    let mut to = json!({"city": format!("city {n}")});
    if n % 2 == 1 {
        to["zip"] = n.into();
    }
    json!({"_time": time, "$schema": topic, "$table": topic, "_user": "", "properties": {"n": n, "to": to}})
}

#[test]
fn the_number_stands_before_the_record_or_in_its_header_and_schemas_refer_to_others() {
    let registry = Registry::shared();
    let stage = Stage::new("forms", 1);
    let id = stage.register(&registry);
    let sender = stage.sender();
    for n in 0..20 {
        match n % 2 {
            0 => sender.send(0, None, Some(&framed(id, &order(n, n)))),
            _ => sender.send_with(0, &order(n, n), (SCHEMA_HEADER, &number(id))),
        }
    }
    sender.send(0, None, Some(&framed(2_000_000_000, &order(99, 99))));
    sender.finish();
    let config = registry.avro(stage.config.clone());

    let refused = config.clone().set("schema-registry.password", "wrong");
    let mut program = Program::start_with(&refused, &["--until-end"]);
    assert_eq!(program.wait(seconds(120)), 1);
    let log = program.log();
    assert!(
        log.contains("401") && log.contains("schema-registry.password"),
        "{log}"
    );
    assert_eq!(files(&config.output()), Vec::<String>::new());

    Program::until_end(&config, seconds(120));
    let wanted: Vec<_> = (0..20).map(|n| row(&stage.topic, n, n)).collect();
    assert_eq!(stage.rows(), wanted);
    let letters = dead_letters(&config.output());
    assert_eq!(letters.len(), 1);
    let reason = letters[0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("unknown_schema: schema 2000000000"),
        "{reason}"
    );
}

#[test]
fn json_stands_in_a_registrys_frame() {
    let registry = Registry::shared();
    let stage = Stage::new("framed", 1);
    let text = r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#;
    let id = registry.register(&format!("{}-value", stage.topic), "JSON", text, &[]);
    let sender = stage.sender();
    sender.send(
        0,
        None,
        Some(&framed(id, b"{\"n\":1,\"to\":{\"city\":\"x\"}}")),
    );
    sender.send_with(0, b"{\"n\":2}", (SCHEMA_HEADER, &number(id)));
    sender.send(0, None, Some(b"{\"n\":3}"));
    sender.finish();
    let config = stage
        .config
        .clone()
        .set("source.data-format.json.layout", "PLAIN")
        .set("source.data-format.json.framing", "CONFLUENT");
    Program::until_end(&config, seconds(120));
    let properties: Vec<_> = stage
        .rows()
        .iter()
        .map(|row| row["properties"].clone())
        .collect();
    assert_eq!(
        properties,
        [json!({"n": 1, "to": {"city": "x"}}), json!({"n": 2})]
    );
    assert_eq!(dead_letters(&config.output()).len(), 1);
}

/// A late record without its header could not be read in the historical topic.
#[test]
fn late_records_take_the_header_that_names_their_schema_with_them() {
    let registry = Registry::shared();
    let stage = Stage::new("late-avro", 1);
    let historical = format!("{}-historical", stage.topic);
    broker::create_topic(&stage.kafka, &historical, 1);
    let id = stage.register(&registry);
    let sender = stage.sender();
    for n in 0..10 {
        match n % 2 {
            0 => sender.send(0, None, Some(&framed(id, &order(n, LATE + n)))),
            _ => sender.send_with(0, &order(n, LATE + n), (SCHEMA_HEADER, &number(id))),
        }
    }
    sender.finish();
    let config = registry
        .avro(stage.config.clone())
        .set("kafka.historical-data-topic", &historical)
        .set("historical.max-flush-duration", "1s");
    Program::until_end(&config, seconds(120));
    assert_eq!(stage.rows().len(), 0);
    for kept in broker::read_all(&stage.kafka, &historical, 1) {
        let n: i64 = String::from_utf8_lossy(&kept.headers["alluvium.offset"])
            .parse()
            .unwrap();
        let header = (n % 2 == 1).then(|| number(id));
        assert_eq!(kept.headers.get(SCHEMA_HEADER), header.as_ref(), "{n}");
    }
    Program::until_end(
        &config.clone().set("historical.worker", "true"),
        seconds(120),
    );
    let wanted: Vec<_> = (0..10).map(|n| row(&stage.topic, n, LATE + n)).collect();
    assert_eq!(stage.rows(), wanted);
    assert_eq!(dead_letters(&config.output()), Vec::<Value>::new());
}

/// Schemas that are known are used on; a partition that needs another one waits, and nothing becomes a dead letter.
#[test]
fn a_registry_that_stops_stops_only_who_needs_it() {
    let mut registry = Registry::start();
    let stage = Stage::new("stopped", 2);
    let known = stage.register(&registry);
    let text = r#"{"type":"record","name":"New","fields":[{"name":"n","type":"long"}]}"#;
    let new = registry.register(&format!("{}-new", stage.topic), "AVRO", text, &[]);
    let schema = Schema::parse_str(text).unwrap();
    let config = registry.avro(stage.config.clone());
    let sender = stage.sender();
    let send = |partition, from: i64, to| {
        for n in from..to {
            sender.send(partition, None, Some(&framed(known, &order(n, n))));
        }
        sender.finish();
    };
    send(0, 0, 100);
    let mut program = Program::start(&config);
    eventually("rows of the first schema", seconds(120), || {
        stage.rows().len() == 100
    });

    registry.kill();
    for n in 100..200 {
        let bytes = datum(&schema, vec![("n", Avro::Long(n))]);
        sender.send(1, None, Some(&framed(new, &bytes)));
    }
    send(0, 200, 300);
    eventually(
        "rows of the partition that needs nobody",
        seconds(120),
        || stage.rows().len() == 200,
    );
    let waits = format!("schema {new} cannot be had; the partition waits for it");
    eventually("a line that says what is waited for", seconds(120), || {
        program.log().contains(&waits)
    });
    // Longer than a flush.
    std::thread::sleep(seconds(3));
    assert!(program.is_running());
    assert_eq!(stage.rows().len(), 200);
    assert_eq!(dead_letters(&config.output()), Vec::<Value>::new());

    registry.restart();
    eventually("all rows", seconds(120), || stage.rows().len() == 300);
    program.stop();
    assert_eq!(dead_letters(&config.output()), Vec::<Value>::new());
    for (n, found) in (0..).zip(stage.rows()) {
        let wanted = match n {
            100..200 => json!({"n": n}),
            _ => row(&stage.topic, n, n)["properties"].clone(),
        };
        assert_eq!(found["properties"], wanted);
    }
}
