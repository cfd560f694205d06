//! Runs whose columns a catalog decides, in a SQLite file.

use std::path::Path;

use alluvium::catalog::{Catalog as _, SqlCatalog};
use alluvium::table::ColumnType;
use serde_json::{Value, json};

use crate::support::broker;
use crate::support::catalog::{listed, listing, runtime, wanted};
use crate::support::config::Config;
use crate::support::output::{dead_letters, scratch, table_rows};
use crate::support::program::Program;
use crate::support::seconds;

fn config(directory: &Path, bootstrap: &str, topic: &str) -> Config {
    let url = format!("jdbc:sqlite:{}", directory.join("catalog.db").display());
    Config::new(directory, bootstrap, topic).set("metadata.store.jdbc.url", &url)
}

/// What `alluvium catalog` says of a table's columns: name and type.
fn columns(config: &Config, table: &str) -> Vec<(String, String)> {
    listed(&listing(config, table))
}

fn add(config: &Config, table: (&str, &str), columns: &[(&str, ColumnType)]) {
    let loaded = alluvium::config::load(&config.write(), [], &[]).unwrap();
    runtime().block_on(async {
        let catalog = SqlCatalog::open(&loaded.settings.store.unwrap())
            .await
            .unwrap();
        let columns = wanted(columns);
        catalog
            .add_columns(table.0, table.1, &columns)
            .await
            .unwrap();
    });
}

fn properties(rows: &[Value], field: &str) -> Vec<Value> {
    let of = |row: &Value| row["properties"][field].clone();
    rows.iter().map(of).collect()
}

#[test]
fn what_was_decided_once_holds_for_every_later_run() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let config = config(&directory, &bootstrap, "events");
    let event = |properties: &str| {
        format!(
            r#"{{"data":{{"_project":"p","_collection":"c","_time":1517378340123,{properties}}}}}"#
        )
    };
    broker::send_all(&bootstrap, "events", &[&event(r#""Amount":1,"tags":[]"#)]);
    Program::until_end(&config, seconds(120));
    assert_eq!(
        columns(&config, "p.c"),
        [
            ("_shard_time", "timestamp"),
            ("_time", "timestamp"),
            ("_user", "varchar"),
            ("amount", "double")
        ]
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
    );
    let later = [
        event(r#""amount":"a lot","tags":["x"]"#),
        event(r#""amount":2.5,"tags":[]"#),
    ];
    let later: Vec<_> = later.iter().map(String::as_str).collect();
    broker::send_all(&bootstrap, "events", &later);
    Program::until_end(&config, seconds(120));
    let rows = table_rows(&config.output());
    assert_eq!(
        properties(&rows, "amount"),
        [json!(1), Value::Null, json!(2.5)]
    );
    assert_eq!(
        properties(&rows, "tags"),
        [Value::Null, json!(["x"]), json!([])]
    );
    assert_eq!(
        properties(&rows, "_misfit"),
        [
            json!({"tags": "[]"}),
            json!({"amount": "\"a lot\""}),
            Value::Null
        ]
    );
    let last = columns(&config, "p.c").pop();
    assert_eq!(last, Some(("tags".into(), "array(varchar)".into())));
}

/// The original's Avro value of a column: the union's branch, then the value.
fn long(value: i64) -> Vec<u8> {
    let mut word = (value << 1 ^ value >> 63).cast_unsigned();
    let mut bytes = vec![2];
    while word >= 0x80 {
        bytes.push(u8::try_from(word & 0x7f).unwrap() | 0x80);
        word >>= 7;
    }
    bytes.push(u8::try_from(word).unwrap());
    bytes
}

fn text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() * 2).unwrap();
    [&[2, length], text.as_bytes()].concat()
}

#[test]
fn the_originals_records_are_read_by_the_columns_of_their_table() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("shop.orders", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let config = config(&directory, &bootstrap, "shop.orders")
        .without("source.data-format")
        .without("source.data-format.json.layout");
    let base = [
        ("_shard_time", ColumnType::Timestamp),
        ("_time", ColumnType::Timestamp),
        ("_user", ColumnType::String),
        ("amount", ColumnType::Bigint),
    ];
    add(&config, ("shop", "orders"), &base);
    add(&config, ("shop", "refunds"), &base);
    let row = |time: i64, user: &str, amount: i64| [long(time), text(user), long(amount)].concat();
    let sender = broker::Sender::new(&bootstrap, "shop.orders");
    let send = |payload: &[u8]| sender.send(0, None, Some(payload));
    send(&[&[0][..], &row(1_517_378_340_123, "ann", 7)].concat());
    // Written before there was a column `amount`.
    send(&[&[1][..], &long(5), &text("bob")].concat());
    send(&[&[2, 14][..], b"Refunds", &row(6, "cid", -1)].concat());
    send(&[&[2, 8][..], b"none", &row(6, "cid", -1)].concat());
    send(&[&[0][..], &row(1, "broken", 1)[..5]].concat());
    sender.finish();
    Program::until_end(&config, seconds(120));
    let rows = table_rows(&config.output().join("shop/orders"));
    assert_eq!(properties(&rows, "amount"), [json!(7), Value::Null]);
    assert_eq!(
        (&rows[0]["_time"], &rows[0]["_user"], &rows[1]["_time"]),
        (&json!(1_517_378_340_123_i64), &json!("ann"), &json!(5))
    );
    let refunds = table_rows(&config.output().join("shop/refunds"));
    assert_eq!(properties(&refunds, "amount"), [json!(-1)]);
    let letters = dead_letters(&config.output());
    let reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons[0].contains("there is no table shop.none"),
        "{reasons:?}"
    );
    assert!(reasons[1].starts_with("not_avro: "), "{reasons:?}");

    // The table gets a column: records that have it are read with it, and older ones as before.
    add(&config, ("shop", "orders"), &[("city", ColumnType::String)]);
    let send = |payload: &[u8]| {
        let sender = broker::Sender::new(&bootstrap, "shop.orders");
        sender.send(0, None, Some(payload));
        sender.finish();
    };
    let mut program = Program::start(&config);
    send(&[&[0][..], &row(7, "dan", 3), &text("Oslo")].concat());
    send(&[&[0][..], &row(8, "eve", 4)].concat());
    let city = |count: usize| {
        crate::support::eventually("rows", seconds(120), || {
            table_rows(&config.output().join("shop/orders")).len() == count
        });
        properties(&table_rows(&config.output().join("shop/orders")), "city")
    };
    assert_eq!(city(4)[2..], [json!("Oslo"), Value::Null]);
    // Also while it runs.
    add(&config, ("shop", "orders"), &[("zip", ColumnType::Bigint)]);
    send(&[&[0][..], &row(9, "fay", 5), &text("Rome"), &long(118)].concat());
    assert_eq!(city(5)[4], json!("Rome"));
    let rows = table_rows(&config.output().join("shop/orders"));
    assert_eq!(properties(&rows, "zip")[4], json!(118));
    program.stop();
}

/// A record of several rows is taken as a whole or not at all, however often one of them has to wait for a column.
#[test]
fn containers_whose_rows_bring_columns_are_taken_once() {
    use apache_avro::types::Value as Avro;
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("files", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let field = |name: &str| format!(r#"{{"name":"{name}","type":["null","long"]}}"#);
    let fields: Vec<_> = (0..20).map(|n| field(&format!("f{n}"))).collect();
    let schema = format!(
        r#"{{"type":"record","name":"E","fields":[{}]}}"#,
        fields.join(",")
    );
    let schema = apache_avro::Schema::parse_str(&schema).unwrap();
    let mut writer = apache_avro::Writer::new(&schema, Vec::new()).unwrap();
    for row in 0..20 {
        let value = |n: usize| match n == row {
            true => Avro::Union(1, Avro::Long(1).into()),
            false => Avro::Union(0, Avro::Null.into()),
        };
        let fields = (0..20).map(|n| (format!("f{n}"), value(n)));
        writer.append_value(Avro::Record(fields.collect())).unwrap();
    }
    let sender = broker::Sender::new(&bootstrap, "files");
    let container = writer.into_inner().unwrap();
    for _ in 0..3 {
        sender.send(0, None, Some(&container));
    }
    sender.finish();
    let config = config(&directory, &bootstrap, "files")
        .without("source.data-format.json.layout")
        .set("source.data-format", "AVRO")
        .set("source.project", "p")
        .set("source.data-format.avro.encoding", "CONTAINER");
    Program::until_end(&config, seconds(120));
    let rows = table_rows(&config.output());
    assert_eq!(rows.len(), 60);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(
            row["properties"][format!("f{}", at % 20)],
            json!(1),
            "{row}"
        );
    }
    assert_eq!(columns(&config, "p.files").len(), 23);
}

/// The type of a nested record is its schema's, not that of the values which happen to come first: what is stored would stay short of
/// the fields that were null.
#[test]
fn a_nested_records_column_has_all_its_fields_from_the_first_row() {
    use apache_avro::types::Value as Avro;
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("files", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let schema = r#"{"type":"record","name":"E","fields":[{"name":"at","type":{"type":"record","name":"At","fields":[
        {"name":"city","type":["null","string"]},{"name":"floor","type":["null","int"]}]}},{"name":"tags","type":{"type":"array","items":"long"}}]}"#;
    let schema = apache_avro::Schema::parse_str(schema).unwrap();
    let sender = broker::Sender::new(&bootstrap, "files");
    let null = || Avro::Union(0, Avro::Null.into());
    let some = |value: Avro| Avro::Union(1, value.into());
    for (city, floor, tags) in [
        (null(), null(), vec![]),
        (
            some(Avro::String("Oslo".into())),
            null(),
            vec![Avro::Long(1)],
        ),
        (null(), some(Avro::Int(3)), vec![]),
    ] {
        let mut writer = apache_avro::Writer::new(&schema, Vec::new()).unwrap();
        let at = Avro::Record(vec![("city".into(), city), ("floor".into(), floor)]);
        let fields = vec![("at".into(), at), ("tags".into(), Avro::Array(tags))];
        writer.append_value(Avro::Record(fields)).unwrap();
        sender.send(0, None, Some(&writer.into_inner().unwrap()));
    }
    sender.finish();
    let config = config(&directory, &bootstrap, "files")
        .without("source.data-format.json.layout")
        .set("source.data-format", "AVRO")
        .set("source.project", "p")
        .set("source.data-format.avro.encoding", "CONTAINER");
    Program::until_end(&config, seconds(120));
    let rows = table_rows(&config.output());
    assert_eq!(
        properties(&rows, "at"),
        [json!({}), json!({"city": "Oslo"}), json!({"floor": 3})]
    );
    assert_eq!(
        properties(&rows, "tags"),
        [json!([]), json!([1]), json!([])]
    );
    assert_eq!(
        properties(&rows, "_misfit"),
        [Value::Null, Value::Null, Value::Null]
    );
    let columns = columns(&config, "p.files");
    assert!(
        columns.contains(&("tags".into(), "array(bigint)".into())),
        "{columns:?}"
    );
}
