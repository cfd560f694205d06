//! Avro through the whole program: schemas from a registry that comes and goes, and from files.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

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
    eventually("a line that says what is waited for", seconds(30), || {
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
    assert_eq!(program.wait(seconds(60)), 0, "{}", program.log());
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
    assert_eq!(program.wait(seconds(60)), 1);
    let log = program.log();
    assert!(
        log.contains("schema-registry.password") && log.contains("401"),
        "{log}"
    );
    assert_eq!(dead_letters(&config.output()).len(), 0);
    let config = config.set("schema-registry.password", "hunter2");
    Program::until_end(&config, seconds(60));
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
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .create()
        .unwrap();
    let guid = [&[1][..], &[7; 16]].concat();
    for id in [&guid[..], &[0, 0, 0, 0, 1]] {
        let header = Header {
            key: "__value_schema_id",
            value: Some(id),
        };
        let headers = OwnedHeaders::new().insert(header);
        let record = BaseRecord::<(), _>::to("events")
            .payload(b"\x02h")
            .headers(headers)
            .partition(0);
        producer.send(record).unwrap();
    }
    producer.flush(seconds(30)).unwrap();
    let registry = Registry::start(true);
    let config = registry.config(Config::new(&directory, &bootstrap, "events"), "hunter2");
    Program::until_end(&config, seconds(60));
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
    Program::until_end(&config, seconds(60));
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
    Program::until_end(&config, seconds(60));
    let rows = table_rows(&config.output().join("files/files"));
    let values: Vec<_> = rows
        .iter()
        .map(|row| row["properties"]["a"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(values, ["0", "1", "2", "3", "4"]);
}
