//! Versions of a schema that change with every record, over six partitions, while four processes read them and one is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use apache_avro::types::Value as Avro;
use apache_avro::{Decimal, Schema};
use serde_json::{Value, json};

use crate::support::avro::{branch, datum, framed, map, record};
use crate::support::catalog::{listed, listing, runtime};
use crate::support::config::Config;
use crate::support::output::{dead_letters, files, scratch, table_rows};
use crate::support::program::Program;
use crate::support::registry::Registry;
use crate::support::service::{Bucket, Database, DatabaseKind, shared_kafka};
use crate::support::{broker, eventually, seconds, unique};

const PARTITIONS: i32 = 6;

/// What all versions begin with.
const COMMON: &str = r#"{"name":"id","type":"long"},
    {"name":"_time","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"_user","type":"string"},
    {"name":"day","type":{"type":"int","logicalType":"date"}},
    {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
    {"name":"place","type":{"type":"record","name":"Place","fields":[{"name":"city","type":"string"},
        {"name":"at","type":{"type":"record","name":"Point","fields":[{"name":"lat","type":"double"}]}}]}},
    {"name":"tags","type":{"type":"map","values":"long"}},
    {"name":"choice","type":["null","string",{"type":"enum","name":"Color","symbols":["RED","BLUE"]}]}"#;

/// A field that goes, one that is promoted, one that is renamed later, one that comes.
const VERSIONS: [&str; 3] = [
    r#"{"name":"note","type":"string"},{"name":"amount","type":"int"},{"name":"title","type":"string"}"#,
    r#"{"name":"amount","type":"long"},{"name":"title","type":"string"},
       {"name":"source","type":"string","default":"unknown"}"#,
    r#"{"name":"source","type":"string","default":"unknown"},{"name":"amount","type":"long"},
       {"name":"caption","type":"string","aliases":["title"]}"#,
];

fn text(version: usize) -> String {
    let fields = VERSIONS[version];
    format!(r#"{{"type":"record","name":"org.x.Event","fields":[{COMMON},{fields}]}}"#)
}

/// Which version the record `id` has: another than the one before it in its partition.
fn version(id: i64) -> usize {
    (id / i64::from(PARTITIONS) % 3) as usize
}

fn amount(id: i64) -> i64 {
    match version(id) {
        0 => id,
        // More than an int holds.
        _ => id + (1 << 40),
    }
}

fn payload(id: i64, schemas: &[(u32, Schema)]) -> Vec<u8> {
    let version = version(id);
    let string = |text: String| Avro::String(text);
    let place = record(vec![
        ("city", string(format!("city {}", id % 7))),
        (
            "at",
            record(vec![("lat", Avro::Double((id as f64 + 0.5) / 8.0))]),
        ),
    ]);
    let choice = match id % 4 {
        0 => branch(0, Avro::Null),
        1 => branch(1, string(format!("any {id}"))),
        _ => branch(
            2,
            Avro::Enum((id % 2) as u32, ["RED", "BLUE"][(id % 2) as usize].into()),
        ),
    };
    let mut fields = vec![
        ("id", Avro::Long(id)),
        ("_time", Avro::TimestampMillis(1_500_000_000_000 + id)),
        ("_user", string(format!("u{}", id % 11))),
        ("day", Avro::Date(17_000 + (id % 365) as i32)),
        (
            "price",
            Avro::Decimal(Decimal::from((id % 10_000).to_be_bytes().to_vec())),
        ),
        ("place", place),
        (
            "tags",
            map(vec![("a", Avro::Long(id)), ("b", Avro::Long(-id))]),
        ),
        ("choice", choice),
    ];
    let title = string(format!("title {id}"));
    let long = Avro::Long(amount(id));
    let source = string(format!("source {id}"));
    fields.extend(match version {
        0 => [
            ("note", string(format!("note {id}"))),
            ("amount", Avro::Int(id as i32)),
            ("title", title),
        ],
        1 => [("amount", long), ("title", title), ("source", source)],
        _ => [("source", source), ("amount", long), ("caption", title)],
    });
    let (number, schema) = &schemas[version];
    framed(*number, &datum(schema, fields))
}

/// The row of a record; `resolved`: as the last version has it.
fn row(id: i64, resolved: bool, project: &str) -> Value {
    let date = compact_date(17_000 + id % 365);
    let mut properties = json!({
        "id": id,
        "day": date,
        "price": exact_number(&format!("{}.{:02}", id % 10_000 / 100, id % 100)),
        "place": {"city": format!("city {}", id % 7), "at": {"lat": (id as f64 + 0.5) / 8.0}},
        "tags": {"a": id, "b": -id},
        "amount": amount(id),
    });
    match id % 4 {
        0 => {}
        1 => properties["choice"] = format!("any {id}").into(),
        _ => properties["choice"] = ["RED", "BLUE"][(id % 2) as usize].into(),
    }
    let title = format!("title {id}");
    let version = version(id);
    let name = if resolved || version == 2 {
        "caption"
    } else {
        "title"
    };
    properties[name] = title.into();
    match (version, resolved) {
        (0, true) => properties["source"] = "unknown".into(),
        (0, false) => properties["note"] = format!("note {id}").into(),
        _ => properties["source"] = format!("source {id}").into(),
    }
    json!({"_time": 1_500_000_000_000 + id, "$schema": project, "$table": "event", "_user": format!("u{}", id % 11),
        "properties": properties})
}

/// Numbers of JSON are compared as they are written, with every digit.
fn exact_number(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Days since 1970-01-01 as `yyyyMMdd`.
fn compact_date(days: i64) -> String {
    let mut left = days;
    for year in 1970.. {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [
            31,
            if leap { 29 } else { 28 },
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ];
        for (month, length) in (1..).zip(lengths) {
            if left < length {
                return format!("{year:04}{month:02}{:02}", left + 1);
            }
            left -= length;
        }
    }
    unreachable!("years do not end")
}

struct Stage {
    kafka: String,
    topic: String,
    config: Config,
    schemas: Vec<(u32, Schema)>,
    _scratch: tempfile::TempDir,
}

impl Stage {
    /// With the last version as the reader's schema if `resolved`.
    fn new(name: &str, resolved: bool) -> Self {
        let (kafka, topic) = (shared_kafka(), unique(name));
        broker::create_topic(&kafka, &topic, PARTITIONS);
        let (scratch, directory) = scratch();
        let registry = Registry::shared();
        let subject = format!("{topic}-value");
        let schemas = (0..3).map(|version| {
            let text = text(version);
            let id = registry.register(&subject, "AVRO", &text, &[]);
            (id, Schema::parse_str(&text).unwrap())
        });
        let schemas: Vec<_> = schemas.collect();
        let ids: BTreeSet<_> = schemas.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 3);
        let mut config = registry
            .avro(Config::new(&directory, &kafka, &topic))
            .set("source.project", &topic)
            .set("source.data-format.avro.collection", "RECORD");
        if resolved {
            let file = directory.join("event.avsc");
            std::fs::write(&file, text(2)).unwrap();
            config = config.set(
                "source.data-format.avro.reader-schema",
                &file.display().to_string(),
            );
        }
        Self {
            kafka,
            topic,
            config,
            schemas,
            _scratch: scratch,
        }
    }

    /// Sends records over about `spread` of time.
    fn feed(&self, records: i64, spread: Duration) {
        let sender = broker::Sender::new(&self.kafka, &self.topic);
        let start = Instant::now();
        for id in 0..records {
            if id % 500 == 0 {
                let due = spread.mul_f64(id as f64 / records as f64);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
            let partition = (id % i64::from(PARTITIONS)) as i32;
            sender.send(partition, None, Some(&payload(id, &self.schemas)));
        }
        sender.finish();
    }

    fn committed(&self) -> i64 {
        let committed = broker::committed(&self.kafka, &self.topic, &self.topic, PARTITIONS);
        committed.values().sum()
    }
}

/// Each record is one row of one table, equal value by value.
fn assert_rows(stage: &Stage, found: Vec<Value>, records: i64, resolved: bool) {
    assert_eq!(found.len() as i64, records);
    let mut seen = BTreeSet::new();
    for mut found in found {
        let properties = found["properties"].as_object_mut().unwrap();
        assert!(properties.remove("_shard_time").is_some());
        let id = properties["id"].as_i64().unwrap();
        assert!(seen.insert(id), "{id} is there twice");
        assert_eq!(found, row(id, resolved, &stage.topic));
    }
    assert_eq!(seen, (0..records).collect());
}

/// The objects lie end to end over each partition. Gives their number.
fn assert_tiles(stage: &Stage, names: &[String], records: i64) -> usize {
    let mut tiles: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
    for name in names {
        let prefix = format!("{}/event/{}-", stage.topic, stage.topic);
        let place = name
            .strip_prefix(&prefix)
            .unwrap_or_else(|| panic!("{name}"));
        let place = place.strip_suffix(".ndjson.gz").unwrap();
        let place: Vec<i64> = place.split('-').map(|part| part.parse().unwrap()).collect();
        let before = tiles
            .entry(place[0])
            .or_default()
            .insert(place[1], place[2]);
        assert_eq!(before, None, "{name}");
    }
    for (partition, tiles) in &tiles {
        let mut end = 0;
        for (from, to) in tiles {
            assert_eq!(*from, end, "partition {partition}");
            end = *to;
        }
        assert_eq!(
            end,
            records / i64::from(PARTITIONS),
            "partition {partition}"
        );
    }
    assert_eq!(tiles.len(), PARTITIONS as usize);
    names.len()
}

/// The table's columns are in the catalog, as `alluvium catalog` shows them.
fn assert_catalog(stage: &Stage, config: &Config, resolved: bool) {
    let listing = listing(config, &format!("{}.event", stage.topic));
    let columns: BTreeMap<_, _> = listed(&listing).into_iter().collect();
    let mut wanted: BTreeMap<_, _> = [
        ("_shard_time", "timestamp"),
        ("_time", "timestamp"),
        ("_user", "varchar"),
        ("id", "bigint"),
        ("day", "date"),
        ("price", "decimal(38,2)"),
        ("tags", "map(varchar,bigint)"),
        ("choice", "varchar"),
        ("amount", "bigint"),
        ("caption", "varchar"),
        ("source", "varchar"),
    ]
    .into();
    if !resolved {
        wanted.extend([("note", "varchar"), ("title", "varchar")]);
    }
    for (name, kind) in wanted {
        let listed = columns.get(name).map(String::as_str);
        assert_eq!(listed, Some(kind), "{name} in\n{listing}");
    }
    let place = r#"row("city" varchar,"at" row("lat" double))"#;
    let line = listing.lines().find(|line| line.contains(" place "));
    assert!(line.is_some_and(|line| line.contains(place)), "{listing}");
}

/// Four processes of one group with a catalog in a database; one is killed in the middle.
fn four_and_a_kill(kind: DatabaseKind, resolved: bool) {
    const RECORDS: i64 = 60_000;
    let stage = Stage::new("versions", resolved);
    let database = Database::shared(kind);
    let catalog = runtime().block_on(database.create());
    let bucket = Bucket::shared();
    let config = stage
        .config
        .clone()
        .s3(&bucket)
        .set("metadata.store.jdbc.url", &database.url(&catalog))
        .set("kafka.workers", "1")
        .set("kafka.session.timeout.ms", "6000");
    std::thread::scope(|scope| {
        let mut processes: Vec<_> = (0..4).map(|_| Program::start(&config.another())).collect();
        eventually("each process to have partitions", seconds(180), || {
            processes.iter().all(|process| {
                process.get("/metrics").is_some()
                    && process.metrics().sum("alluvium_partitions", &[]) > 0.0
            })
        });
        // Not before: how long it takes to get here is up to the machine, and one is to be killed in mid-stream.
        let feeder = scope.spawn(|| stage.feed(RECORDS, seconds(20)));
        eventually("commits in mid-stream", seconds(180), || {
            stage.committed() >= RECORDS / 4
        });
        let mut killed = processes.remove(1);
        killed.kill();
        assert!(!feeder.is_finished(), "it was killed too late");
        feeder.join().unwrap();
        eventually("everything to be committed", seconds(180), || {
            stage.committed() == RECORDS
        });
        for process in &mut processes {
            process.stop();
        }
    });
    let objects = config.directory.join("objects");
    bucket.fetch(&format!("{}/", stage.topic), &objects);
    bucket.fetch(&format!("_dead_letters/{}-", stage.topic), &objects);
    assert_eq!(dead_letters(&objects), Vec::<Value>::new());
    let number = assert_tiles(&stage, &files(&objects), RECORDS);
    eprintln!("{kind:?}: {RECORDS} records in {number} objects");
    // A span is at most a second of a partition; one that ended with each record would leave 60,000.
    assert!((number as i64) < RECORDS / 100, "{number} objects");
    assert_rows(&stage, table_rows(&objects), RECORDS, resolved);
    assert_catalog(&stage, &config, resolved);
}

#[test]
fn versions_that_a_readers_schema_resolves_are_one_table_with_its_catalog_in_postgres() {
    four_and_a_kill(DatabaseKind::Postgres, true);
}

#[test]
fn versions_as_they_were_written_are_one_table_with_its_catalog_in_mariadb() {
    four_and_a_kill(DatabaseKind::MariaDb, false);
}

/// A schema that changes with every record cuts nothing: a partition that is read in one go is one span, and one object.
#[test]
fn versions_that_change_with_every_record_cut_no_span() {
    const RECORDS: i64 = 6_000;
    for resolved in [true, false] {
        let stage = Stage::new("uncut", resolved);
        stage.feed(RECORDS, Duration::ZERO);
        let config = stage
            .config
            .clone()
            // A second worker would take half of the partitions from the first, which ends their spans.
            .set("kafka.workers", "1")
            .set("stream.max-flush-duration", "10m")
            .set("middleware.max-flush-duration", "10m");
        Program::until_end(&config, seconds(120));
        let objects = assert_tiles(&stage, &files(&config.output()), RECORDS);
        assert_eq!(objects, PARTITIONS as usize);
        assert_rows(&stage, table_rows(&config.output()), RECORDS, resolved);
    }
}
