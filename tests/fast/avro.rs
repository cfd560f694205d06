//! Avro through the whole program: schemas from a registry that comes and goes, and from files.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use serde_json::{Value, json};

use crate::support::avro::{SCHEMA_HEADER, branch, datum, map, record};
use crate::support::config::Config;
use crate::support::output::{dead_letters, scratch, table_rows};
use crate::support::program::Program;
use crate::support::{broker, eventually, seconds};

/// A registry of three versions of a schema, which answers 503 while it is down and 401 without the right password.
struct Registry {
    url: String,
    up: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

const FIELD: &str = r#"{"name":"a","type":"string"}"#;
const NULLABLE: &str = r#"{"name":"b","type":["null","string"],"default":null}"#;
const NESTED: &str = r#"{"name":"c","type":["null","boolean"]}"#;

fn schema(fields: &[&str]) -> String {
    format!(
        r#"{{"type":"record","name":"org.x.Event","fields":[{}]}}"#,
        fields.join(",")
    )
}

fn answer(path: &str) -> (u16, String) {
    let fields: &[&str] = match path {
        "/schemas/ids/1" | "/schemas/guids/07070707-0707-0707-0707-070707070707" => &[FIELD],
        "/schemas/ids/2" => &[FIELD, NULLABLE],
        "/schemas/ids/3" => &[NESTED, NULLABLE, FIELD],
        _ => {
            return (
                404,
                json!({"error_code": 40403, "message": "Schema not found"}).to_string(),
            );
        }
    };
    (200, json!({"schema": schema(fields)}).to_string())
}

impl Registry {
    fn start(up: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let registry = Self {
            url,
            up: Arc::new(AtomicBool::new(up)),
            asked: Arc::default(),
        };
        let (up, asked) = (registry.up.clone(), registry.asked.clone());
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(stream.try_clone().unwrap())
                    .lines()
                    .map_while(Result::ok);
                let head: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
                let path = head
                    .first()
                    .and_then(|line| line.split(' ').nth(1))
                    .unwrap_or("/");
                asked.fetch_add(1, Ordering::Relaxed);
                let login = head
                    .iter()
                    .any(|line| line.eq_ignore_ascii_case("authorization: basic dTpodW50ZXIy"));
                let (status, body) = match (up.load(Ordering::Relaxed), login) {
                    (false, _) => (503, String::new()),
                    (true, false) => (401, String::new()),
                    (true, true) => answer(path),
                };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} .\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        registry
    }

    fn config(&self, config: Config, password: &str) -> Config {
        config
            .without("source.data-format.json.layout")
            .set("source.data-format", "AVRO")
            .set("source.data-format.avro.encoding", "CONFLUENT")
            .set(
                "schema-registry.url",
                &format!("http://127.0.0.1:1,{}", self.url),
            )
            .set("schema-registry.username", "u")
            .set("schema-registry.password", password)
    }
}

fn framed(id: u8, body: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, id], body].concat()
}

/// Records of the three versions, one after the other.
fn records(count: usize) -> Vec<Vec<u8>> {
    let of = |n: usize| match n % 3 {
        0 => framed(1, b"\x02x"),
        1 => framed(2, b"\x02y\x02\x04no"),
        _ => framed(3, b"\x02\x01\x00\x02z"),
    };
    (0..count).map(of).collect()
}

fn send(bootstrap: &str, records: &[Vec<u8>]) {
    let sender = broker::Sender::new(bootstrap, "events");
    for record in records {
        sender.send(0, None, Some(record));
    }
    sender.finish();
}

#[test]
fn records_of_several_schemas_land_in_one_table_whenever_the_registry_comes() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let mut all = records(300);
    all.insert(150, framed(9, b"\x02x"));
    all.insert(200, framed(1, b"\x09x"));
    send(&bootstrap, &all);
    let registry = Registry::start(false);
    let config = registry.config(Config::new(&directory, &bootstrap, "events"), "hunter2");
    let mut program = Program::start_with(&config, &["--until-end"]);
    eventually("a line that says what is waited for", seconds(120), || {
        let log = program.log();
        log.contains("schema 1 cannot be had; the partition waits for it") && log.contains("503")
    });
    // Longer than a flush: nothing may be written meanwhile, and nobody gives up.
    thread::sleep(seconds(3));
    assert!(program.is_running());
    assert_eq!(
        (
            table_rows(&config.output()).len(),
            dead_letters(&config.output()).len()
        ),
        (0, 0)
    );
    registry.up.store(true, Ordering::Relaxed);
    assert_eq!(program.wait(seconds(120)), 0, "{}", program.log());
    assert!(!program.log().contains("hunter2"));

    let rows = table_rows(&config.output());
    assert_eq!(rows.len(), 300);
    let count = |wanted: Value| {
        let fits = |row: &&Value| {
            let mut properties = row["properties"].clone();
            properties.as_object_mut().unwrap().remove("_shard_time");
            properties == wanted && row["$table"] == "events"
        };
        rows.iter().filter(fits).count()
    };
    assert_eq!(count(json!({"a": "x"})), 100);
    assert_eq!(count(json!({"a": "y", "b": "no"})), 100);
    assert_eq!(count(json!({"a": "z", "c": true})), 100);
    let reasons: Vec<_> = dead_letters(&config.output())
        .iter()
        .map(|letter| {
            letter["reason"]
                .as_str()
                .unwrap()
                .split(':')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(reasons, ["unknown_schema", "not_avro"]);
}

#[test]
fn a_registry_that_refuses_us_ends_the_run_and_loses_nothing() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    send(&bootstrap, &records(30));
    let registry = Registry::start(true);
    let plain = Config::new(&directory, &bootstrap, "events");
    let config = registry.config(plain, "wrong");
    // Only the one that refuses: another that may answer later would be waited for.
    let config = config.set("schema-registry.url", &registry.url);
    let mut program = Program::start_with(&config, &["--until-end"]);
    assert_eq!(program.wait(seconds(120)), 1);
    let log = program.log();
    assert!(
        log.contains("schema-registry.password") && log.contains("401"),
        "{log}"
    );
    assert_eq!(dead_letters(&config.output()).len(), 0);
    let config = config.set("schema-registry.password", "hunter2");
    Program::until_end(&config, seconds(120));
    assert_eq!(
        (
            table_rows(&config.output()).len(),
            dead_letters(&config.output()).len()
        ),
        (30, 0)
    );
}

#[test]
fn a_header_may_say_the_schema() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let sender = broker::Sender::new(&bootstrap, "events");
    let guid = [&[1][..], &[7; 16]].concat();
    for id in [&guid[..], &[0, 0, 0, 0, 1]] {
        sender.send_with(0, b"\x02h", (SCHEMA_HEADER, id));
    }
    sender.finish();
    let registry = Registry::start(true);
    let config = registry.config(Config::new(&directory, &bootstrap, "events"), "hunter2");
    Program::until_end(&config, seconds(120));
    let rows = table_rows(&config.output());
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter().all(|row| row["properties"]["a"] == "h"),
        "{rows:?}"
    );
    assert_eq!(registry.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn schemas_may_lie_in_files_and_records_in_containers() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1), ("files", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let text = schema(&[FIELD, NULLABLE]);
    std::fs::create_dir(directory.join("schemas")).unwrap();
    std::fs::write(directory.join("schemas/event.avsc"), &text).unwrap();
    let parsed = apache_avro::Schema::parse_str(&text).unwrap();
    let print = parsed.fingerprint::<apache_avro::rabin::Rabin>();
    let single = [&[0xC3, 1][..], &print.bytes, b"\x02s\x00"].concat();
    send(&bootstrap, &[single, b"\xC3\x0112345678".to_vec()]);
    let avro = Config::new(&directory, &bootstrap, "events")
        .without("source.data-format.json.layout")
        .set("source.data-format", "AVRO")
        .set("source.project", "files");
    let config = avro
        .clone()
        .set("source.data-format.avro.encoding", "SINGLE_OBJECT")
        .set(
            "source.data-format.avro.schemas",
            &directory.join("schemas").display().to_string(),
        )
        .set("source.data-format.avro.collection", "RECORD");
    Program::until_end(&config, seconds(120));
    let rows = table_rows(&config.output());
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["$schema"], &rows[0]["$table"]),
        (&json!("files"), &json!("event"))
    );
    let letters = dead_letters(&config.output());
    assert!(
        letters[0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("unknown_schema: "),
        "{letters:?}"
    );

    let mut writer = apache_avro::Writer::new(&parsed, Vec::new()).unwrap();
    for n in 0..5 {
        let fields = [
            ("a", n.to_string().into()),
            (
                "b",
                apache_avro::types::Value::Union(0, apache_avro::types::Value::Null.into()),
            ),
        ];
        let fields = fields
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec();
        writer
            .append_value(apache_avro::types::Value::Record(fields))
            .unwrap();
    }
    let sender = broker::Sender::new(&bootstrap, "files");
    sender.send(0, None, Some(&writer.into_inner().unwrap()));
    sender.finish();
    let config = avro
        .set("kafka.topic", "files")
        .set("kafka.group.id", "files")
        .set("source.data-format.avro.encoding", "CONTAINER");
    Program::until_end(&config, seconds(120));
    let rows = table_rows(&config.output().join("files/files"));
    let values: Vec<_> = rows
        .iter()
        .map(|row| row["properties"]["a"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(values, ["0", "1", "2", "3", "4"]);
}

/// Every type and every logical type. Text looks like a day, and is none.
const EVERYTHING: &str = r#"{"type":"record","name":"Everything","fields":[
    {"name":"boolean","type":"boolean"},
    {"name":"int","type":"int"},
    {"name":"long","type":"long"},
    {"name":"float","type":"float"},
    {"name":"double","type":"double"},
    {"name":"bytes","type":"bytes"},
    {"name":"string","type":"string"},
    {"name":"null","type":"null"},
    {"name":"enum","type":{"type":"enum","name":"Enum","symbols":["A","B"]}},
    {"name":"fixed","type":{"type":"fixed","name":"Two","size":2}},
    {"name":"array","type":{"type":"array","items":["null","int"]}},
    {"name":"map","type":{"type":"map","values":["null","double"]}},
    {"name":"record","type":{"type":"record","name":"Inner","fields":[
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"none","type":["null","int"]},
        {"name":"maps","type":{"type":"array","items":{"type":"map","values":["null","long"]}}}]}},
    {"name":"union","type":["null","string"]},
    {"name":"date","type":{"type":"int","logicalType":"date"}},
    {"name":"time_ms","type":{"type":"int","logicalType":"time-millis"}},
    {"name":"time_us","type":{"type":"long","logicalType":"time-micros"}},
    {"name":"ms","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"us","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"ns","type":{"type":"long","logicalType":"timestamp-nanos"}},
    {"name":"local_ms","type":{"type":"long","logicalType":"local-timestamp-millis"}},
    {"name":"local_us","type":{"type":"long","logicalType":"local-timestamp-micros"}},
    {"name":"local_ns","type":{"type":"long","logicalType":"local-timestamp-nanos"}},
    {"name":"decimal","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
    {"name":"decimals","type":{"type":"array","items":
        {"type":"fixed","name":"Price","size":3,"logicalType":"decimal","precision":5,"scale":3}}},
    {"name":"uuid","type":{"type":"string","logicalType":"uuid"}},
    {"name":"uuid_bytes","type":{"type":"fixed","name":"Id","size":16,"logicalType":"uuid"}},
    {"name":"duration","type":{"type":"fixed","name":"Duration","size":12,"logicalType":"duration"}},
    {"name":"big","type":{"type":"bytes","logicalType":"big-decimal"}},
    {"name":"unknown","type":{"type":"string","logicalType":"no-such-type"}}]}"#;

/// The fingerprint of [`EVERYTHING`] as fastavro 1.13 computes it, the lowest byte first.
const EVERYTHINGS_PRINT: [u8; 8] = [0x8b, 0x1b, 0x2a, 0x26, 0x07, 0xc3, 0xa2, 0x59];

const ID: &str = "00112233-4455-6677-8899-aabbccddeeff";

/// Values of [`EVERYTHING`] as they are without their logical types.
fn everything(text: &str, double: f64) -> Vec<(&'static str, Avro)> {
    const MICROS: i64 = 1_517_378_340_123_456;
    let id = (0..16).map(|n| n * 0x11).collect();
    let inner = record(vec![
        ("day", Avro::Int(17_562)),
        ("none", branch(0, Avro::Null)),
        (
            "maps",
            Avro::Array(vec![map(vec![
                ("k", branch(1, Avro::Long(2))),
                ("n", branch(0, Avro::Null)),
            ])]),
        ),
    ]);
    vec![
        ("boolean", Avro::Boolean(true)),
        ("int", Avro::Int(-7)),
        ("long", Avro::Long((1 << 53) + 1)),
        ("float", Avro::Float(0.1)),
        ("double", Avro::Double(double)),
        ("bytes", Avro::Bytes(vec![0, 255, 16])),
        ("string", Avro::String(text.into())),
        ("null", Avro::Null),
        ("enum", Avro::Enum(1, "B".into())),
        ("fixed", Avro::Fixed(2, vec![1, 2])),
        (
            "array",
            Avro::Array(vec![branch(1, Avro::Int(1)), branch(0, Avro::Null)]),
        ),
        (
            "map",
            map(vec![
                ("x", branch(1, Avro::Double(1.5))),
                (if text == "x" { "y" } else { "z" }, branch(0, Avro::Null)),
            ]),
        ),
        ("record", inner),
        ("union", branch(1, Avro::String(text.into()))),
        ("date", Avro::Int(17_562)),
        ("time_ms", Avro::Int(21_540_123)),
        ("time_us", Avro::Long(21_540_123_456)),
        ("ms", Avro::Long(MICROS / 1000)),
        ("us", Avro::Long(MICROS)),
        ("ns", Avro::Long(MICROS * 1000 + 789)),
        ("local_ms", Avro::Long(MICROS / 1000)),
        ("local_us", Avro::Long(MICROS)),
        ("local_ns", Avro::Long(MICROS * 1000 + 789)),
        // -123.45 and 0.005
        ("decimal", Avro::Bytes((-12_345_i32).to_be_bytes().to_vec())),
        ("decimals", Avro::Array(vec![Avro::Fixed(3, vec![0, 0, 5])])),
        ("uuid", Avro::String(ID.into())),
        ("uuid_bytes", Avro::Fixed(16, id)),
        ("duration", Avro::Fixed(12, vec![0; 12])),
        ("big", Avro::Bytes(vec![1])),
        ("unknown", Avro::String(text.into())),
    ]
}

/// The row of [`everything`] in the layout `flat`.
fn everything_flat(text: &str, double: &Value) -> Value {
    // Numbers are compared as they are written.
    let exact = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    json!({
        "boolean": true, "int": -7, "long": 9_007_199_254_740_993_i64,
        // What the nearest float is, exactly.
        "float": exact("0.10000000149011612"),
        "double": double, "bytes": "AP8Q", "string": text, "enum": "B", "fixed": "AQI=", "array": [1, null],
        // Null values of maps are kept, null fields of records are not: that tells one from the other.
        "map": {"x": 1.5, if text == "x" { "y" } else { "z" }: null},
        "record": {"day": "2018-01-31", "maps": [{"k": 2, "n": null}]},
        "union": text, "date": "2018-01-31",
        "time_ms": "05:59:00.123000", "time_us": "05:59:00.123456",
        "ms": "2018-01-31T05:59:00.123Z", "us": "2018-01-31T05:59:00.123456Z", "ns": "2018-01-31T05:59:00.123456Z",
        "local_ms": "2018-01-31T05:59:00.123Z", "local_us": "2018-01-31T05:59:00.123456Z",
        "local_ns": "2018-01-31T05:59:00.123456Z",
        "decimal": exact("-123.45"), "decimals": [exact("0.005")],
        "uuid": ID, "uuid_bytes": ID, "duration": "AAAAAAAAAAAAAAAA", "big": "AQ==", "unknown": text,
    })
}

#[test]
fn every_type_and_logical_type_becomes_a_column_of_its_own() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let schemas = directory.join("schemas");
    std::fs::create_dir(&schemas).unwrap();
    std::fs::write(schemas.join("everything.avsc"), EVERYTHING).unwrap();
    // Logical types change the bytes no more than the fingerprint.
    let plain = Schema::parse_str(&EVERYTHING.replace("logicalType", "note")).unwrap();
    let values = [
        ("2018-01-31", 0.25),
        ("x", f64::NAN),
        ("y", f64::NEG_INFINITY),
    ];
    let single = |(text, double)| {
        let bytes = datum(&plain, everything(text, double));
        [&[0xC3, 1][..], &EVERYTHINGS_PRINT, &bytes].concat()
    };
    send(&bootstrap, &values.map(single));
    let config = Config::new(&directory, &bootstrap, "events")
        .without("source.data-format.json.layout")
        .set("source.data-format", "AVRO")
        .set("source.data-format.avro.encoding", "SINGLE_OBJECT")
        .set(
            "source.data-format.avro.schemas",
            &schemas.display().to_string(),
        )
        .set("target.json.layout", "flat");
    Program::until_end(&config, seconds(120));
    assert_eq!(dead_letters(&config.output()), Vec::<Value>::new());
    let mut rows = table_rows(&config.output());
    for row in &mut rows {
        assert!(row.as_object_mut().unwrap().remove("_shard_time").is_some());
    }
    let wanted = [
        everything_flat("2018-01-31", &json!(0.25)),
        everything_flat("x", &json!("NaN")),
        everything_flat("y", &json!("-Infinity")),
    ];
    assert_eq!(rows.len(), wanted.len());
    for (row, wanted) in rows.iter().zip(&wanted) {
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(row.get(name), Some(value), "{name}");
        }
        assert_eq!(
            row.as_object().unwrap().len(),
            wanted.as_object().unwrap().len(),
            "{row}"
        );
    }
}
