//! Records in other formats than the original's, from a stream.

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use serde_json::json;

use super::Bench;
use crate::support::avro::{branch, datum, framed, number};
use crate::support::kinesis::aggregate;
use crate::support::output::{dead_letters, table_rows};
use crate::support::program::Program;
use crate::support::registry::Registry;
use crate::support::seconds;

const OLD: &str = r#"{"type":"record","name":"org.x.Click","fields":[{"name":"n","type":"long"},
    {"name":"_time","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;
const NEW: &str = r#"{"type":"record","name":"org.x.Click","fields":[{"name":"n","type":"long"},
    {"name":"_time","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"page","type":["null","string"],"default":null}]}"#;
const TIME: i64 = 1_517_378_340_123;

/// The record of a number: odd ones have the newer schema.
fn click(n: i64) -> Vec<u8> {
    let mut fields = vec![("n", Avro::Long(n)), ("_time", Avro::TimestampMillis(TIME))];
    let schema = match n % 2 {
        0 => OLD,
        _ => {
            fields.push(("page", branch(1, Avro::String(format!("page {n}")))));
            NEW
        }
    };
    datum(&Schema::parse_str(schema).unwrap(), fields)
}

#[test]
fn records_of_a_registry_come_one_by_one_and_in_aggregates() {
    let mut bench = Bench::new(2);
    let registry = Registry::shared();
    bench.config = registry.avro(bench.config).set("source.project", "shop");
    let subject = format!("{}-value", bench.stream);
    let ids = [OLD, NEW].map(|schema| registry.register(&subject, "AVRO", schema, &[]));
    let framed = |n: i64| framed(ids[(n % 2) as usize], &click(n));
    let user = |n: i64| (format!("user {n}"), framed(n));
    let mut records: Vec<_> = (0..40).map(user).collect();
    for first in [40, 50, 60] {
        let users: Vec<_> = (first..first + 10).map(user).collect();
        let key = format!("producer {first}");
        let payload = aggregate(&key, &users);
        records.push((key, payload));
    }
    let unknown = [number(99_999_999), click(1)].concat();
    records.push(("unknown".into(), unknown));
    bench.put(&records);

    Program::until_end(&bench.config, seconds(120));
    let mut rows = table_rows(&bench.config.output());
    for row in &mut rows {
        let properties = row["properties"].as_object_mut().unwrap();
        assert!(properties.remove("_shard_time").is_some());
    }
    rows.sort_by_key(|row| row["properties"]["n"].as_i64());
    let row = |n: i64| {
        let properties = match n % 2 {
            0 => json!({"n": n}),
            _ => json!({"n": n, "page": format!("page {n}")}),
        };
        json!({"_time": TIME, "$schema": "shop", "$table": bench.stream, "_user": "", "properties": properties})
    };
    assert_eq!(rows, (0..70).map(row).collect::<Vec<_>>());
    let letters = dead_letters(&bench.config.output());
    let reasons = letters.iter().map(|letter| letter["reason"].as_str());
    let reasons: Vec<_> = reasons.flatten().collect();
    assert_eq!(
        reasons,
        ["unknown_schema: schema 99999999: the registry has none of that number"]
    );
    bench.ask(&["verify", "--deep"]);
}
