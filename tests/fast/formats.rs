//! Records of every layout, and the rows that become of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::support::config::Config;
use crate::support::output::{dead_letters, rows, scratch, table_rows};
use crate::support::program::Program;
use crate::support::{broker, seconds};

/// Sends `records` to one partition, runs to its end with what `adjust` makes of the configuration, and gives
/// it for a look at the output.
fn run(records: &[&str], adjust: impl FnOnce(Config) -> Config) -> (tempfile::TempDir, Config) {
    let (scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    broker::send_all(&bootstrap, "events", records);
    let config = adjust(Config::new(&directory, &bootstrap, "events"));
    Program::until_end(&config, seconds(120));
    (scratch, config)
}

/// `properties` without the checkpoint column, which must be there.
fn properties(row: &Value) -> Value {
    let mut properties = row["properties"].clone();
    let checkpoint = properties
        .as_object_mut()
        .unwrap()
        .remove("_shard_time")
        .expect("no _shard_time");
    assert!(checkpoint.as_str().unwrap().ends_with('Z'), "{checkpoint}");
    properties
}

#[test]
fn fabric_records_become_rows_of_the_original_layout() {
    let record = r#"{"id":1,"metadata":{"data":{"_project":"no"}},"data":{"_project":"Shop","_collection":"Orders",
        "_time":1517378340123,"_user":"u1","Amount":3,"when":"2018-01-31T05:59:00.250Z","day":"2018-01-31","ok":true,
        "tags":[1, "a"],"none":null}}"#;
    let (_scratch, config) = run(&[record], |config| config);
    let rows = rows(&config.output(), "shop/orders/events-0-0-1.ndjson.gz");
    assert_eq!(rows.len(), 1);
    let row = rows[0].as_object().unwrap();
    let names: Vec<_> = row.keys().collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(row["_time"], json!(1_517_378_340_123_i64));
    assert_eq!(
        (&row["$schema"], &row["$table"], &row["_user"]),
        (&json!("shop"), &json!("orders"), &json!("u1"))
    );
    let wanted = json!({"amount": 3, "when": "2018-01-31T05:59:00.250Z", "day": "20180131", "ok": true, "tags": [1, null],
        "_misfit": {"tags": "[1,\"a\"]"}});
    assert_eq!(properties(&rows[0]), wanted);
}

#[test]
fn rakam_records_may_have_their_parts_in_any_order() {
    let records = [
        r#"{"project":"P","collection":"c","properties":{"_user":"a","x":1}}"#,
        r#"{"properties":{"_user":"b","x":2},"collection":"c","project":"P"}"#,
        r#"{"project":"P","collection":"c","properties":{},"more":1}"#,
    ];
    let (_scratch, config) = run(&records, |config| {
        config.set("source.data-format.json.layout", "RAKAM")
    });
    let rows = rows(&config.output(), "p/c/");
    assert_eq!(
        rows.iter()
            .map(|row| row["_user"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(
        rows.iter()
            .map(|row| properties(row)["x"].as_i64().unwrap())
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert!(
        dead_letters(&config.output())[0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("wrong_layout")
    );
}

#[test]
fn plain_records_go_to_the_table_of_a_field_or_of_the_topic() {
    let plain = |config: Config| config.set("source.data-format.json.layout", "PLAIN");
    let (_scratch, config) = run(&[r#"{"Kind":"a","n":1}"#, r#"{"n":2}"#], plain);
    let found = rows(&config.output(), "default/events/");
    assert_eq!(
        found.iter().map(properties).collect::<Vec<_>>(),
        [json!({"Kind": "a", "n": 1}), json!({"n": 2})]
    );

    let by_field = |config| {
        plain(config)
            .set("source.collection-field", "kind")
            .set("source.project", "shop")
    };
    let (_scratch, config) = run(
        &[
            r#"{"kind":"a","n":1}"#,
            r#"{"kind":"b","n":2}"#,
            r#"{"n":3}"#,
        ],
        by_field,
    );
    assert_eq!(rows(&config.output(), "shop/a/").len(), 1);
    assert_eq!(
        properties(&rows(&config.output(), "shop/b/")[0]),
        json!({"kind": "b", "n": 2})
    );
    assert!(
        dead_letters(&config.output())[0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("no_table")
    );
}

#[test]
fn flat_lines_have_all_columns_at_the_top() {
    let flat = |config: Config| {
        config
            .set("source.data-format.json.layout", "PLAIN")
            .set("target.json.layout", "flat")
    };
    let (_scratch, config) = run(&[r#"{"_user":"u","day":"2018-01-31","n":1.5}"#], flat);
    let mut rows = rows(&config.output(), "default/events/");
    let row = rows[0].as_object_mut().unwrap();
    assert!(row.remove("_shard_time").is_some());
    assert_eq!(
        rows[0],
        json!({"_user": "u", "day": "2018-01-31", "n": 1.5})
    );
}

#[test]
fn new_fields_become_columns_and_integers_may_become_fractions() {
    let plain = |config: Config| config.set("source.data-format.json.layout", "PLAIN");
    let records = [
        r#"{"a":1}"#,
        r#"{"a":2.5,"b":"new"}"#,
        r#"{"c":true,"a":3}"#,
    ];
    let (_scratch, config) = run(&records, plain);
    let found: Vec<_> = rows(&config.output(), "default/events/")
        .iter()
        .map(properties)
        .collect();
    assert_eq!(
        found,
        [
            json!({"a": 1}),
            json!({"a": 2.5, "b": "new"}),
            json!({"a": 3, "c": true})
        ]
    );
}

#[test]
fn plain_objects_become_what_the_configuration_says() {
    let record = r#"{"o":{"x":1,"y":{"z":["2020-01-01 10:00:00"]}},"o":2}"#;
    let time = json!("2020-01-01T07:00:00.000Z");
    for (nested, wanted) in [
        ("struct", json!({"x": 1, "y": {"z": [time]}})),
        (
            "map",
            json!({"x": "1", "y": "{\"z\":[\"2020-01-01 10:00:00\"]}"}),
        ),
        (
            "text",
            json!("{\"x\":1,\"y\":{\"z\":[\"2020-01-01 10:00:00\"]}}"),
        ),
    ] {
        // The first value decides what a map holds.
        let first = r#"{"o":{"x":"s"}}"#;
        let records = if nested == "map" {
            vec![first, record]
        } else {
            vec![record]
        };
        let (_scratch, config) = run(&records, |config| {
            config
                .set("source.data-format.json.layout", "PLAIN")
                .set("source.data-format.json.nested", nested)
                .set("source.time-zone", "Europe/Istanbul")
        });
        let found = rows(&config.output(), "default/events/");
        assert_eq!(properties(found.last().unwrap()), json!({"o": wanted}));
    }
}

#[test]
fn a_value_that_does_not_fit_its_column_is_kept_verbatim() {
    let plain = |config: Config| config.set("source.data-format.json.layout", "PLAIN");
    let records = [
        r#"{"a":9007199254740993,"t":"2018-01-31T05:59:00Z"}"#,
        r#"{"a":0.1,"t":"someday"}"#,
        r#"{"a":"w\u00f6rd","t":1517378340000}"#,
        r#"{"a":123456789012345678901234567890}"#,
    ];
    let (_scratch, config) = run(&records, plain);
    let found: Vec<_> = rows(&config.output(), "default/events/")
        .iter()
        .map(properties)
        .collect();
    let wanted = [
        json!({"a": 9_007_199_254_740_993_i64, "t": "2018-01-31T05:59:00.000Z"}),
        json!({"_misfit": {"a": "0.1", "t": "\"someday\""}}),
        json!({"t": "2018-01-31T05:59:00.000Z", "_misfit": {"a": "\"w\\u00f6rd\""}}),
        json!({"_misfit": {"a": "123456789012345678901234567890"}}),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn broken_records_become_dead_letters_and_harm_nobody() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let sender = broker::Sender::new(&bootstrap, "events");
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(2_000));
    let payloads: [(Option<&[u8]>, &str); 6] = [
        (Some(b"{\"n\":1}"), ""),
        (Some(b"\xff{broken"), "not_json"),
        (Some(b"[]"), "wrong_layout"),
        (None, "not_json"),
        (Some(large.as_bytes()), "too_large"),
        (Some(b"{\"n\":2}"), ""),
    ];
    for (payload, _) in payloads {
        sender.send(0, Some(b"\xfekey"), payload);
    }
    sender.finish();
    let config = Config::new(&directory, &bootstrap, "events")
        .set("source.data-format.json.layout", "PLAIN")
        .set("source.max-record-size", "1kB");
    Program::until_end(&config, seconds(120));

    assert_eq!(table_rows(&config.output()).len(), 2);
    let letters = rows(&config.output(), "_dead_letters/events-0-0-6.ndjson.gz");
    let broken: Vec<_> = (0_i64..)
        .zip(payloads)
        .filter(|(_, (_, reason))| !reason.is_empty())
        .collect();
    assert_eq!(letters.len(), broken.len());
    for (letter, (offset, (payload, reason))) in letters.iter().zip(broken) {
        assert_eq!(letter.as_object().unwrap().len(), 7, "{letter}");
        assert_eq!(
            (&letter["topic"], &letter["partition"]),
            (&json!("events"), &json!(0))
        );
        assert_eq!(letter["offset"], json!(offset));
        assert!(
            letter["timestamp"].as_i64().unwrap() > 1_500_000_000_000,
            "{letter}"
        );
        assert_eq!(letter["key"], json!(BASE64.encode(b"\xfekey")));
        assert_eq!(
            letter["payload"],
            payload.map_or(Value::Null, |payload| json!(BASE64.encode(payload)))
        );
        assert!(
            letter["reason"].as_str().unwrap().starts_with(reason),
            "{letter}"
        );
    }
}
