//! The configuration as a whole: text in, settings or problems out.

mod kinesis;

use std::collections::BTreeSet;
use std::time::Duration;
use std::{env, fs};

use alluvium_objects::{Compression, LineLayout};
use proptest::prelude::*;

use super::key::Kind;
use super::keys::{ORIGINAL, SERVED};
use super::settings::{JsonLayout, Offset, Target, Topic, UserType};
use super::*;

/// The least that loads.
const LEAST: &str = "stream.source=kafka\nkafka.nodes=a\nkafka.topic=t\nsource.data-format=JSON\n\
                     target=file\ntarget.file.directory=/d\n";

fn with_env(text: &str, env: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    from_text("a.properties", text.as_bytes(), env, &["mine"])
}

fn load_with(more: &str) -> Result<Loaded, Problems> {
    with_env(&format!("{LEAST}{more}"), &[])
}

fn settings(more: &str) -> Settings {
    load_with(more).unwrap().settings
}

/// The problems of the least configuration with `more` behind it, whose first line is 7.
fn problems(more: &str) -> Vec<String> {
    load_with(more)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn warnings(more: &str) -> Vec<String> {
    load_with(more)
        .unwrap()
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let Loaded {
        settings, warnings, ..
    } = load_with("").unwrap();
    assert_eq!(warnings, []);
    assert_eq!(settings.source.layout, JsonLayout::Fabric);
    assert_eq!(settings.source.max_record_size, 16 << 20);
    let kafka = settings.stream.kafka().unwrap();
    assert_eq!(kafka.nodes, ["a:9092"]);
    assert_eq!(kafka.topics, [Topic::Name("t".into())]);
    assert_eq!(kafka.offset, Offset::Latest);
    assert_eq!(kafka.group_id, "presto_streaming");
    assert_eq!(kafka.session_timeout, Duration::from_secs(12));
    assert_eq!(kafka.request_timeout, Duration::from_secs(15));
    assert_eq!(kafka.max_poll_records, 300_000);
    assert_eq!(kafka.workers, None);
    assert!(kafka.client.is_empty());
    assert_eq!(settings.flush.max_record_age, Duration::from_secs(15));
    assert_eq!(settings.flush.max_row_age, Duration::from_secs(60));
    assert_eq!(settings.flush.max_output_size, 256 << 20);
    assert!((settings.flush.max_record_ratio - 0.1).abs() < f64::EPSILON);
    assert_eq!(settings.columns.checkpoint, "_shard_time");
    assert_eq!(settings.columns.user, "_user");
    assert_eq!(settings.columns.user_type, UserType::String);
    assert_eq!(settings.columns.time, "_time");
    assert_eq!(
        (settings.columns.key, settings.columns.arrival),
        (None, None)
    );
    assert_eq!(settings.memory.max_size, None);
    assert!((settings.memory.heap_ratio - 0.6).abs() < f64::EPSILON);
    assert_eq!(
        settings.target,
        Target::File {
            directory: "/d".into()
        }
    );
    let key = "{project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson.gz";
    assert_eq!(settings.output.key.to_string(), key);
    assert_eq!(settings.output.layout, LineLayout::Rakam);
    assert_eq!(settings.output.compression, Compression::Gzip);
    assert_eq!(settings.output.level, 6);
    assert_eq!(settings.output.time_field, "_time");
    assert_eq!(
        settings.admin.listen,
        Some("127.0.0.1:9464".parse().unwrap())
    );
    assert_eq!(settings.log.filter, "info");
}

#[test]
fn the_example_of_the_originals_readme_runs_with_only_placeholders_filled_in() {
    let text = "\
stream.max-flush-duration=15s
middleware.max-flush-duration=60s
stream.source=kafka
max.poll.records=
historical.worker=false
kafka.topic=events
kafka.offset=earliest
kafka.group.id=
kafka.session.timeout.ms=
kafka.request.timeout.ms=
kafka.nodes=127.0.0.1,127.0.0.2
kafka.historical-data-topic=
source.data-format=JSON
target=s3
target.aws.region=
target.aws.s3-bucket=bucket
target.access-key= ## instance profile is used when not provided
target.secret-access-key= ## instance profile is used when not provided
target.aws.s3-endpoint=
target.aws.s3-max-data-size=
";
    let Loaded {
        settings, warnings, ..
    } = with_env(text, &[]).unwrap();
    let kafka = settings.stream.kafka().unwrap();
    assert_eq!(kafka.nodes, ["127.0.0.1:9092", "127.0.0.2:9092"]);
    let Target::S3(s3) = settings.target else {
        panic!("{:?}", settings.target)
    };
    assert_eq!(
        (s3.bucket.as_str(), s3.region, s3.credentials),
        ("bucket", None, None)
    );
    let lines: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[0],
        "a.properties:17: target.access-key: counts as not set, since its value begins with ##; write comments on lines of their own"
    );
}

#[test]
fn every_file_in_config_loads_without_a_warning() {
    let mut files = 0;
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/config")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.extension().unwrap(), "properties", "{path:?}");
        let loaded = load(&path, [], &[]).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.warnings, [], "{path:?}");
        files += 1;
    }
    assert!(files >= 5, "{files}");
}

#[test]
fn a_missing_file_is_a_problem() {
    let problems = load(Path::new("/nowhere/a.properties"), [], &[])
        .unwrap_err()
        .to_string();
    assert!(
        problems.starts_with("/nowhere/a.properties: cannot be read: "),
        "{problems}"
    );
}

#[test]
fn all_problems_are_reported_together_in_the_order_of_the_file() {
    let text = "\
stream.source=kafka
kafka.topics=t
kafka.offset=newest
kafka.offset=latest
middleware.max-flush-duration=60
a=\\u12
raptor.node.id=s
source.data-format=xml
memory.heap-ratio=1.5
kafka.client.enable.auto.commit=true
target=s3
target.access-key=AKIA
";
    let env = [
        ("ALLUVIUM_KAFKA_WORKERS", "many"),
        ("ALLUVIUM_KAFKA_GROUPID", "x"),
    ];
    let problems = with_env(text, &env).unwrap_err();
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "a.properties:2: kafka.topics: unknown key; did you mean kafka.topic?",
            "a.properties:4: kafka.offset: set in line 3 too; keep one",
            "a.properties:5: middleware.max-flush-duration: \"60\" has no unit; write a number and one of ns, us, ms, s, m, h, d, for example middleware.max-flush-duration=60s",
            "a.properties:6: \\u must be followed by four hexadecimal digits; write a backslash as \\\\",
            "a.properties:7: raptor.node.id: not served yet (the Raptor target); remove it, or leave its value empty",
            "a.properties:8: source.data-format: \"xml\" is not known; write one of JSON, AVRO",
            "a.properties:9: memory.heap-ratio: \"1.5\" is out of range; write a number above 0 and at most 1, for example memory.heap-ratio=0.6",
            "a.properties:10: kafka.client.enable.auto.commit: cannot be set; offsets are committed only when the target has committed; remove it",
            "a.properties:12: target.access-key: is set without its secret; set target.secret-access-key too, or neither",
            "a.properties: kafka.nodes: is missing, and stream.source=kafka needs it; add kafka.nodes=broker-1:9092,broker-2:9092",
            "a.properties: kafka.topic: is missing, and stream.source=kafka needs it; add kafka.topic=events,^web-.*",
            "a.properties: target.aws.s3-bucket: is missing, and target=s3 needs it; add target.aws.s3-bucket=my-events",
            "environment variable ALLUVIUM_KAFKA_GROUPID: no key has this variable; did you mean ALLUVIUM_KAFKA_GROUP_ID?",
            "environment variable ALLUVIUM_KAFKA_WORKERS: kafka.workers: \"many\" is not a whole number in range; write a whole number from 1 to 1024, for example kafka.workers=4",
        ]
    );
    assert_eq!(problems.to_string().lines().count(), problems.count());
}

#[test]
fn variables_go_over_the_file_and_the_file_over_defaults() {
    let text = format!("{LEAST}kafka.group.id=file\nkafka.offset=earliest\n");
    let env = [
        ("ALLUVIUM_KAFKA_GROUP_ID", "variable"),
        ("ALLUVIUM_KAFKA_OFFSET", ""),
        ("ALLUVIUM_KAFKA_CLIENT_SASL_PASSWORD", "pass word "),
        ("ALLUVIUM_TEST_KAFKA", "x"),
        ("HOME", "/"),
    ];
    let loaded = with_env(&text, &env).unwrap();
    let kafka = loaded.settings.stream.kafka().unwrap();
    assert_eq!(kafka.group_id, "variable");
    assert_eq!(kafka.offset, Offset::Earliest);
    assert_eq!(kafka.max_poll_records, 300_000);
    assert_eq!(kafka.client["sasl.password"].expose(), "pass word ");
    assert!(loaded.warnings.is_empty());
    let all = loaded.effective.all();
    for line in [
        "# environment variable ALLUVIUM_KAFKA_GROUP_ID\nkafka.group.id=variable\n",
        "# a.properties:8\nkafka.offset=earliest\n",
    ] {
        assert!(all.contains(line), "{all}");
    }
    let (_, defaults) = all.split_once("# defaults\n").unwrap();
    assert!(defaults.contains("max.poll.records=300000\n"), "{all}");
    assert!(!defaults.contains("kafka.offset"), "{all}");
}

#[test]
fn keys_of_the_original_are_refused_or_warned_of() {
    for key in ORIGINAL {
        let name = key.name.replace('*', "anything");
        assert!(
            load_with(&format!("{name}=\n"))
                .unwrap()
                .warnings
                .is_empty(),
            "{name}"
        );
        match key.status {
            key::Status::NoEffect => {
                let warnings = warnings(&format!("{name}=x\n"));
                assert!(warnings[0].contains("has no effect"), "{warnings:?}");
            }
            key::Status::NotYet => {
                let problems = problems(&format!("{name}=x\n"));
                assert_eq!(problems.len(), 1);
                assert!(problems[0].contains("not served yet"), "{problems:?}");
            }
            key::Status::Served => panic!("{name}"),
        }
    }
}

#[test]
fn values_of_the_original_that_are_not_served_yet_say_so() {
    let line = "target=file";
    let raptor = with_env(&LEAST.replace(line, "target=RAPTOR"), &[]).unwrap_err();
    let raptor = raptor.to_string();
    let unserved = "target: \"RAPTOR\" is not served yet";
    assert!(raptor.contains(unserved), "{raptor}");
    let none = with_env(&LEAST.replace(line, ""), &[])
        .unwrap_err()
        .to_string();
    assert!(
        none.starts_with("a.properties: target: is missing"),
        "{none}"
    );
}

#[test]
fn the_source_must_be_named() {
    let nameless = LEAST.replace("stream.source=kafka\n", "");
    let problems = with_env(&nameless, &[]).unwrap_err().to_string();
    assert_eq!(
        problems,
        "a.properties: stream.source: is missing; add stream.source=kafka"
    );
}

#[test]
fn names_of_columns_must_be_such_as_a_catalog_has() {
    let plain =
        format!("{LEAST}source.data-format.json.layout=PLAIN\ndatabase.user-field-name=userId\n");
    assert!(with_env(&plain, &[]).is_ok());
    let catalog = format!("{plain}metadata.store.jdbc.url=jdbc:sqlite:/c.db\n");
    let problems = with_env(&catalog, &[]).unwrap_err().to_string();
    assert!(
        problems.contains("database.user-field-name: is not lower case"),
        "{problems}"
    );
}

#[test]
fn avro_must_be_told_how_its_records_say_their_schema() {
    let avro = LEAST.replace("source.data-format=JSON", "source.data-format=AVRO");
    let problems = |more: &str| {
        with_env(&format!("{avro}{more}"), &[])
            .unwrap_err()
            .to_string()
    };
    let original = problems("");
    let store = "metadata.store.jdbc.url: is missing, and source.data-format.avro.encoding=RAKAM";
    assert!(original.contains(store), "{original}");
    let unsaid = problems("schema-registry.url=a:1\n");
    assert!(unsaid.contains("avro.encoding=CONFLUENT"), "{unsaid}");
    let table = "metadata.store.jdbc.url=jdbc:sqlite:/c.db\nsource.collection-field=kind\n";
    assert!(problems(table).contains("source.collection-field"));
    assert!(
        problems("source.data-format.avro.encoding=CONFLUENT\n")
            .contains("schema-registry.url: is missing")
    );
    assert!(
        problems("source.data-format.avro.encoding=SINGLE_OBJECT\n")
            .contains("avro.schemas: is missing")
    );
    let half = "source.data-format.avro.encoding=CONTAINER\nschema-registry.password=hunter2\n";
    assert!(problems(half).contains("schema-registry.password: is set without a name"));
    assert!(!problems(half).contains("hunter2"));
    let loaded = with_env(
        &format!(
            "{avro}source.data-format.avro.encoding=confluent\nschema-registry.url=a:1, http://b/ccompat/v7/\n\
             schema-registry.username=u\nschema-registry.password=hunter2\nsource.collection-field=kind\n"
        ),
        &[],
    )
    .unwrap();
    let registry = &loaded.settings.schema_registry;
    assert_eq!(registry.urls, ["https://a:1", "http://b/ccompat/v7"]);
    assert!(!format!("{:?}", loaded.settings).contains("hunter2"));
    assert_eq!(
        loaded.settings.source.avro.unwrap().encoding,
        settings::AvroEncoding::Confluent
    );
}

#[test]
fn contradictions() {
    for (text, problem) in [
        (
            "source.project=p\n",
            "7: source.project: only the layout PLAIN reads it",
        ),
        (
            "source.collection-field=p\n",
            "7: source.collection-field: only the layout PLAIN reads it",
        ),
        (
            "source.time-zone=Mars\n",
            "7: source.time-zone: \"Mars\" is refused: no time zone of the IANA database has this name",
        ),
        (
            "target.secret-access-key=s\n",
            "7: target.secret-access-key: is set without the key's id",
        ),
        (
            "database.user-field-name=_TIME\n",
            "7: database.user-field-name: names the same column as database.time-field-name",
        ),
        (
            "database.time-field-name=_shard_time\n",
            "7: database.time-field-name: names the same column as database.checkpoint-field",
        ),
        (
            "target.compression=none\ntarget.key={topic}-{partition}-{from}-{to}.gz\n",
            "8: target.key: \"{topic}-{partition}-{from}-{to}.gz\" names a gzip file, but target.compression is none",
        ),
        (
            "target.compression=zstd\ntarget.key={topic}-{partition}-{from}-{to}.gz\n",
            "8: target.key: \"{topic}-{partition}-{from}-{to}.gz\" names a gzip file, but target.compression is zstd",
        ),
        (
            "target.key={topic}-{partition}-{from}-{to}.zst\n",
            "7: target.key: \"{topic}-{partition}-{from}-{to}.zst\" names a zstd file, but target.compression is gzip",
        ),
        (
            "target.compression-level=10\n",
            "7: target.compression-level: \"10\" is out of range: target.compression is gzip; write one of 0 to 9",
        ),
        (
            "target.compression=zstd\ntarget.compression-level=0\n",
            "8: target.compression-level: \"0\" is out of range: target.compression is zstd; write one of 1 to 22",
        ),
        (
            "target.json.layout=flat\ntarget.key={project}-{partition}-{from}-{to}/{topic}\n",
            "8: target.key: \"{project}-{partition}-{from}-{to}/{topic}\" is refused: `{collection}` is missing: the layout `flat`",
        ),
        (
            "target.key={when}\n",
            "7: target.key: \"{when}\" is refused: `{when}` is no placeholder",
        ),
        (
            "database.user-field-name=properties\n",
            "7: database.user-field-name: names what every line holds anyway",
        ),
    ] {
        let problems = problems(text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(&format!("a.properties:{problem}")),
            "{problems:?}"
        );
    }
}

#[test]
fn keys_without_effect_are_warned_of() {
    for (text, why) in [
        ("target.aws.s3-bucket=b\n", "the target is not s3"),
        ("target.mine.url=u\n", "the target is not mine"),
        (
            "memory.max-size=1GB\nmemory.heap-ratio=0.5\n",
            "memory.max-size decides",
        ),
        (
            "target.compression=none\ntarget.compression-level=9\n",
            "target.compression is none",
        ),
        (
            "source.data-format.json.nested=struct\n",
            "only the layout PLAIN reads it",
        ),
    ] {
        let warnings = warnings(text);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].ends_with(&format!("has no effect: {why}; remove it")),
            "{warnings:?}"
        );
    }
}

#[test]
fn zstd_has_names_and_a_level_of_its_own() {
    let output = |text: &str| load_with(text).unwrap().settings.output;
    let zstd = output("target.compression=ZSTD\n");
    assert_eq!(zstd.compression, Compression::Zstd);
    assert_eq!(zstd.level, 1);
    assert!(
        zstd.key.to_string().ends_with("{to}.ndjson.zst"),
        "{zstd:?}"
    );
    let smallest = output("target.compression=zstd\ntarget.compression-level=22\n");
    assert_eq!(smallest.level, 22);
    assert_eq!(output("").level, 6);
}

#[test]
fn an_output_that_is_not_compressed_is_not_called_gz() {
    let loaded = load_with("target.compression=NONE\n").unwrap();
    assert!(
        loaded
            .settings
            .output
            .key
            .to_string()
            .ends_with("{to}.ndjson"),
        "{:?}",
        loaded.settings.output
    );
    assert!(loaded.effective.all().contains("{to}.ndjson\n"));
}

#[test]
fn values_of_each_kind() {
    let s =
        settings("kafka.workers=3\ncommitter.thread.count=7\nadmin.listen=OFF\nlog.format=json\n");
    assert_eq!(s.stream.workers().unwrap().get(), 3);
    assert_eq!(s.flush.deliveries.get(), 7);
    assert_eq!(s.admin.listen, None);
    assert_eq!(s.log.format, settings::LogFormat::Json);
    let s = settings("source.data-format.json.layout=plain\nsource.collection-field=kind\n");
    let layout = JsonLayout::Plain {
        project: "default".into(),
        collection_field: Some("kind".into()),
    };
    assert_eq!(s.source.layout, layout);
    let s = settings("log.level=info, alluvium::source=debug\nadmin.listen=[::]:80\n");
    assert_eq!(s.log.filter, "info,alluvium::source=debug");
    assert_eq!(s.admin.listen.unwrap().to_string(), "[::]:80");
}

#[test]
fn words_of_every_choice_are_served_in_any_case() {
    for key in SERVED {
        let Kind::Choice { words, .. } = key.kind else {
            continue;
        };
        for word in words {
            for word in [
                (*word).to_owned(),
                word.to_ascii_lowercase(),
                word.to_ascii_uppercase(),
            ] {
                let mut line = format!("{}={word}\ntarget.aws.s3-bucket=b\n", key.name);
                if key.name == "stream.source" && word.eq_ignore_ascii_case("kinesis") {
                    line += "kinesis.stream=s\n";
                }
                if key.name == "source.data-format" && word.eq_ignore_ascii_case("avro") {
                    line += "source.data-format.avro.encoding=CONTAINER\n";
                }
                let rest: String = LEAST
                    .lines()
                    .filter(|l| !l.starts_with(&format!("{}=", key.name)))
                    .map(|l| format!("{l}\n"))
                    .collect();
                with_env(&(rest + &line), &[]).unwrap_or_else(|problems| panic!("{problems}"));
            }
        }
        assert!(!problems_of(key.name, "no-such-word").is_empty());
    }
}

/// Problems of the least configuration with this key set to this value.
fn problems_of(key: &str, value: &str) -> Vec<String> {
    let rest = LEAST
        .lines()
        .filter(|line| !line.starts_with(&format!("{key}=")));
    let text: String = rest.map(|line| format!("{line}\n")).collect();
    match with_env(&format!("{text}{key}={value}\n"), &[]) {
        Ok(_) => vec![],
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn bad_values_are_refused() {
    for (key, value, why) in [
        ("kafka.nodes", ",", "has no entry"),
        (
            "kafka.nodes",
            "a:0",
            "has a port that is not from 1 to 65535",
        ),
        ("kafka.nodes", "a:b:9", "has a port"),
        ("kafka.nodes", "a b", "is not a host"),
        ("kafka.nodes", "[::1]x", "has a port"),
        ("kafka.nodes", "SSL://a:9092", "has a scheme"),
        ("kafka.topic", "a b", "is not the name of a topic"),
        (
            "kafka.topic",
            "ok,^(",
            "is no regular expression: unclosed group",
        ),
        ("kafka.workers", "0", "is out of range"),
        ("kafka.workers", "-1", "is not a whole number in range"),
        ("target.compression-level", "23", "is out of range"),
        ("memory.heap-ratio", "0", "is out of range"),
        ("memory.heap-ratio", "NaN", "is out of range"),
        ("memory.max-size", "1gb", "which is written GB"),
        (
            "admin.listen",
            "localhost:9464",
            "is not an IP address with a port",
        ),
        (
            "target.aws.s3-endpoint",
            "ftp://a",
            "has a scheme other than http and https",
        ),
        ("target.aws.s3-endpoint", "http://", "has no host"),
        ("log.level", "inof", "ends in no level"),
        (
            "target",
            "mien",
            "is not known (this program has s3, file, mine)",
        ),
    ] {
        let problems = problems_of(key, value);
        assert!(
            problems.iter().any(|p| p.contains(key) && p.contains(why)),
            "{key}={value}: {problems:?}"
        );
    }
}

#[test]
fn nodes_topics_and_endpoints_as_they_come() {
    let kafka = |settings: Settings| settings.stream.kafka().unwrap().clone();
    assert_eq!(kafka(settings("")).nodes, ["a:9092"]);
    let text = LEAST
        .replace("kafka.nodes=a", "kafka.nodes= a , b:1 ,,[::1],[fe80::2]:9")
        .replace("kafka.topic=t", "kafka.topic=t.1, ^x|y$");
    let s = kafka(with_env(&text, &[]).unwrap().settings);
    assert_eq!(s.nodes, ["a:9092", "b:1", "[::1]:9092", "[fe80::2]:9"]);
    assert_eq!(
        s.topics,
        [Topic::Name("t.1".into()), Topic::Pattern("^x|y$".into())]
    );
    for (text, url) in [
        ("s3.example.com", "https://s3.example.com"),
        ("HTTP://localhost:9000/", "http://localhost:9000"),
        ("https://host/prefix", "https://host/prefix"),
    ] {
        assert_eq!(read::endpoint(text, "k").as_deref(), Ok(url));
    }
}

#[test]
fn whitelisted_collections_as_they_come() {
    let listed = |value: &str| {
        let text = format!("database.whitelisted.collections={value}\n");
        (settings(&text).routing.collections, warnings(&text).len())
    };
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(listed(""), (None, 0));
    assert_eq!(
        listed(" Page View , b,,\t\u{c4} "),
        (names(&["pageview", "b", "\u{e4}"]), 0)
    );
    // As in the original: all are taken then, but not without a word.
    for ignored in ["*", "a", "12", ",,", "a "] {
        assert_eq!(listed(ignored), (None, 1), "{ignored}");
    }
    assert_eq!(listed("a,"), (names(&["a"]), 0));
}

#[test]
fn late_records_have_a_topic_or_there_are_none() {
    let read = |text: &str| (settings(text).routing.historical, warnings(text).len());
    assert_eq!(read("historical.worker=false\n"), (None, 0));
    assert_eq!(
        read("historical.worker=true\noutdated.day.index=3\n"),
        (None, 2)
    );
    let (historical, warnings) = read(
        "kafka.historical-data-topic=old\noutdated.day.index=0\nhistorical.worker=TRUE\n\
         historical.max-flush-duration=5m\nhistorical.max-flush-records=7\n",
    );
    assert_eq!(warnings, 0);
    let expected = settings::Historical {
        topic: "old".into(),
        outdated_days: 0,
        worker: true,
        max_flush_age: Duration::from_secs(300),
        max_flush_records: 7,
    };
    assert_eq!(historical, Some(expected));
    let (historical, _) = read("kafka.historical-data-topic=old\n");
    let historical = historical.unwrap();
    assert_eq!((historical.outdated_days, historical.worker), (1, false));
    for (key, value) in [
        ("kafka.historical-data-topic", "^old"),
        ("kafka.historical-data-topic", "a,b"),
        ("outdated.day.index", "-1"),
        ("historical.worker", "yes"),
    ] {
        assert_eq!(problems_of(key, value).len(), 1, "{key}={value}");
    }
}

#[test]
fn custom_targets_get_their_own_keys() {
    let text = LEAST.replace(
        "target=file\ntarget.file.directory=/d\n",
        "target=MINE\ntarget.mine.url=u \n",
    );
    let env = [("ALLUVIUM_TARGET_MINE_API___KEY", "k")];
    let settings = with_env(&text, &env).unwrap().settings;
    let Target::Custom { name, settings } = settings.target else {
        panic!("{:?}", settings.target)
    };
    assert_eq!(name, "mine");
    let settings: Vec<_> = settings
        .iter()
        .map(|(key, value)| (key.as_str(), value.expose()))
        .collect();
    assert_eq!(settings, [("api-key", "k"), ("url", "u")]);
    assert_eq!(problems("target.yours.url=u\n").len(), 1);
}

#[test]
fn no_secret_is_seen_anywhere() {
    const HIDDEN: &str = "hunter2";
    let secrets = "target.access-key=hunter2\ntarget.secret-access-key=hunter2\n\
         kafka.client.sasl.password=hunter2\nkafka.client.ssl.key.pem=hunter2\n\
         kafka.client.sasl.oauthbearer.client.secret=hunter2\ntarget.mine.token=hunter2\n\
         target.mine.url=http://me:hunter2@host\nmetadata.store.jdbc.password=hunter2\n\
         aws.access-key=hunter2\naws.secret-access-key=hunter2\n\
         metadata.store.jdbc.url=mysql://me:hunter2@db/x?password=hunter2&odd=hunter2\n";
    let loaded = load_with(secrets).unwrap();
    let printed = loaded.effective.all() + &loaded.effective.given();
    assert_eq!(printed.matches("[redacted]").count(), 22, "{printed}");
    for text in [format!("{loaded:?}"), format!("{loaded:#?}"), printed] {
        assert!(!text.contains(HIDDEN), "{text}");
    }
    // The same with every kind of problem a secret's line can have.
    for bad in [
        "target.secret-acess-key=hunter2",
        "target.secret-access-key=hunter2\\u12",
        "target.secret-access-key=## hunter2",
        "aws.secret-acces-key=hunter2",
        "aws.kinesis-endpoint=http://me:hunter2@host",
        "metadata.store.jdbc.url=oracle://me:hunter2@db/x",
        "raptor.metadata.url=jdbc:mysql://me:hunter2@db/x",
        "kafka.client.sasl.jaas.config=hunter2",
        "target.aws.s3-endpoint=http://me:hunter2@host",
        "ssl.key.password=hunter2",
        "license.keyname=hunter2",
        // The second line of a key's text, without a backslash at the end of the first.
        "MIIEvQIBADANBgkqhkiGhunter2AQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
        "hunter2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "hunter2+/abc==",
        "-----hunter2-----",
    ] {
        let text = format!("{secrets}{bad}\n{bad}\nkafka.workers=none\n");
        let problems = load_with(&text).unwrap_err();
        assert!(problems.count() >= 2, "{problems}");
        assert!(
            !format!("{problems}{problems:?}").contains(HIDDEN),
            "{problems}"
        );
    }
}

#[test]
fn what_effective_gives_loads_to_the_same_settings() {
    let text =
        "kafka.group.id=a\\ b \nkafka.client.debug=x\\\\y\nmemory.max-size=1GB\nkafka.workers=2\n";
    let first = load_with(text).unwrap();
    let again = with_env(&first.effective.given(), &[]).unwrap();
    assert_eq!(
        format!("{:?}", again.settings),
        format!("{:?}", first.settings)
    );
    let all = with_env(&first.effective.all(), &[]);
    // Defaults become set, and one of them is for another layout.
    let problems = all.unwrap_err();
    assert_eq!(problems.count(), 1, "{problems}");
    assert!(problems.to_string().contains("source.project"));
}

#[test]
fn every_served_key_is_read() {
    let names = names::Names::new(&[]);
    let mut findings = problem::Findings::default();
    let file = layers::file("a", LEAST.as_bytes(), &names, &mut findings);
    let values = layers::merge(file, layers::Layer::default()).unwrap();
    let mut reader = read::Reader::new(&values, &mut findings, "a");
    assemble::settings(&mut reader, &[]);
    let declared: BTreeSet<_> = SERVED.iter().map(|key| key.name).collect();
    assert_eq!(reader.keys_read, declared);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
        let problems = from_text("a", &bytes, [], &[]).unwrap_err();
        prop_assert!(problems.count() >= 3);
    }

    #[test]
    fn no_value_panics(index in 0..SERVED.len(), value in "\\PC{0,20}") {
        let line = properties::print(SERVED[index].name, &value);
        match load_with(&format!("{line}\n")) {
            Ok(loaded) => prop_assert!(loaded.warnings.len() <= 2),
            Err(problems) => prop_assert!(problems.to_string().contains(SERVED[index].name)),
        }
    }
}
