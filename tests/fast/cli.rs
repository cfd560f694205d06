//! Commands, exit codes, and what is printed where.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::config::Config;
use crate::support::output::{self, dead_letters, scratch, table_rows};
use crate::support::program::{Program, alluvium, alluvium_with, stderr};
use crate::support::{broker, seconds};

fn command(name: &str, file: &Path) -> std::process::Output {
    alluvium(&[name, "--config", &file.display().to_string()])
}

#[test]
fn every_problem_of_a_configuration_is_reported_at_once() {
    let (_scratch, directory) = scratch();
    let file = directory.join("wrong.properties");
    let text = "stream.source=kafka\nsource.data-format=JSON\nkafka.topics=events\nmiddleware.max-flush-duration=soon\n\
                target=file\ntarget.file.directory=out\ntarget=file\nkafka.client.sasl.password=hunter2\n";
    std::fs::write(&file, text).unwrap();
    for name in ["run", "check"] {
        let output = command(name, &file);
        let errors = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(
            errors.contains("wrong.properties:3"),
            "the unknown key's line: {errors}"
        );
        assert!(
            errors.contains("kafka.topics") && errors.contains("kafka.topic"),
            "a suggestion: {errors}"
        );
        assert!(
            errors.contains("wrong.properties:4") && errors.contains("soon"),
            "the bad value: {errors}"
        );
        assert!(
            errors.contains("wrong.properties:7"),
            "the duplicate key: {errors}"
        );
        assert!(errors.contains("kafka.nodes"), "the missing key: {errors}");
        assert!(
            !errors.contains("hunter2"),
            "a secret was printed: {errors}"
        );
        assert!(output.stdout.is_empty());
    }
    assert_eq!(
        output::files(&directory),
        ["wrong.properties"],
        "something was started"
    );
}

#[test]
fn what_the_original_knows_and_we_do_not_serve_is_an_error() {
    let (_scratch, directory) = scratch();
    let config = Config::new(&directory, "127.0.0.1:9", "events");
    for (key, value) in [("target", "raptor"), ("raptor.node.id", "collector")] {
        let output = command("run", &config.clone().set(key, value).write());
        assert_eq!(
            output.status.code(),
            Some(2),
            "{key}={value}: {}",
            stderr(&output)
        );
        assert!(stderr(&output).contains(key), "{}", stderr(&output));
    }
}

#[test]
fn a_source_without_its_keys_is_a_wrong_configuration() {
    let (_scratch, directory) = scratch();
    let config = Config::new(&directory, "127.0.0.1:9", "events").set("stream.source", "kinesis");
    let output = command("run", &config.write());
    assert_eq!(output.status.code(), Some(2));
    let missing = "kinesis.stream: is missing";
    assert!(stderr(&output).contains(missing), "{}", stderr(&output));
}

#[test]
fn a_missing_file_or_command_is_a_wrong_configuration() {
    let output = alluvium(&["run", "--config", "/no/such/file.properties"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/no/such/file.properties"));
    assert_eq!(alluvium(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(alluvium(&["run"]).status.code(), Some(2));
}

#[test]
fn config_prints_every_key() {
    let output = alluvium(&["config"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for key in [
        "stream.source",
        "stream.max-flush-duration",
        "middleware.max-flush-duration",
        "memory.heap-ratio",
        "memory.max-size",
        "database.checkpoint-field",
        "source.data-format.json.layout",
        "source.project",
        "source.collection-field",
        "kafka.nodes",
        "kafka.topic",
        "kafka.offset",
        "kafka.group.id",
        "kafka.workers",
        "max.poll.records",
        "target.aws.s3-bucket",
        "target.aws.s3-max-data-size",
        "target.file.directory",
        "target.key",
        "target.json.layout",
        "target.compression",
        "target.compression-level",
        "admin.listen",
        "log.format",
    ] {
        assert!(text.contains(key), "{key} is not listed");
    }
    for default in ["presto_streaming", "256MB", "127.0.0.1:9464", "60s"] {
        assert!(text.contains(default), "default {default} is not listed");
    }
}

#[test]
fn check_names_a_broker_that_does_not_answer() {
    let (_scratch, directory) = scratch();
    let output = command(
        "check",
        &Config::new(&directory, "127.0.0.1:9", "events").write(),
    );
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("127.0.0.1:9"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn check_names_a_topic_that_does_not_exist() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let good = Config::new(&directory, &bootstrap, "events");
    let output = command("check", &good.write());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        output::files(&good.output()).is_empty(),
        "check left files behind"
    );
}

#[test]
fn a_target_that_cannot_work_stops_the_program_at_its_start() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let config = Config::new(&directory, &cluster.bootstrap_servers(), "events");
    std::fs::write(config.output(), "a file where the directory should be").unwrap();
    for name in ["check", "run"] {
        let output = command(name, &config.write());
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{name}: {:?}",
            output.status
        );
        assert!(
            stderr(&output).contains(&config.output().display().to_string()),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn the_environment_overrides_the_file() {
    let (_scratch, directory) = scratch();
    let config = Config::new(&directory, "127.0.0.1:9", "events");
    let file = config.write().display().to_string();
    let bad = alluvium_with(
        &["check", "--config", &file],
        &[("ALLUVIUM_KAFKA_WORKERS", "many")],
    );
    assert_eq!(bad.status.code(), Some(2), "{}", stderr(&bad));
    assert!(
        stderr(&bad).contains("ALLUVIUM_KAFKA_WORKERS"),
        "{}",
        stderr(&bad)
    );
    let other = alluvium_with(
        &["check", "--config", &file],
        &[("ALLUVIUM_KAFKA_NODES", "127.0.0.1:11")],
    );
    assert!(
        stderr(&other).contains("127.0.0.1:11"),
        "{}",
        stderr(&other)
    );
    let unknown = alluvium_with(
        &["check", "--config", &file],
        &[("ALLUVIUM_KAFKA_NODEZ", "x")],
    );
    assert_eq!(unknown.status.code(), Some(2), "{}", stderr(&unknown));
}

#[test]
fn an_idle_program_ends_cleanly_on_sigterm_and_sigint() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 2)]);
    for signal in ["TERM", "INT"] {
        let config = Config::new(&directory, &cluster.bootstrap_servers(), "events").another();
        let mut program = Program::start(&config);
        program.wait_ready();
        program.signal(signal);
        assert_eq!(
            program.wait(seconds(120)),
            0,
            "SIG{signal}; log:\n{}",
            program.log()
        );
    }
}

#[test]
fn until_end_of_an_empty_topic_ends_at_once() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 3)]);
    let config = Config::new(&directory, &cluster.bootstrap_servers(), "events");
    Program::until_end(&config, seconds(120));
    assert!(output::files(&config.output()).is_empty());
}

#[test]
fn demo_runs_the_real_pipeline_and_says_what_it_did() {
    let (_scratch, directory) = scratch();
    let out = directory.join("demo");
    let output = alluvium(&[
        "demo",
        "--records",
        "20000",
        "--dir",
        &out.display().to_string(),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let (rows, dead) = (table_rows(&out), dead_letters(&out).len());
    assert_eq!(rows.len() + dead, 20_000);
    assert!(dead > 0, "the demo has no broken records");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut tables = BTreeMap::new();
    for row in &rows {
        let (schema, table) = (
            row["$schema"].as_str().unwrap(),
            row["$table"].as_str().unwrap(),
        );
        *tables.entry(format!("{schema}/{table}")).or_insert(0) += 1;
    }
    assert!(tables.len() > 1, "one table only: {tables:?}");
    for (table, count) in tables {
        let line = text
            .lines()
            .find(|line| line.starts_with(&table))
            .unwrap_or_default();
        assert!(
            line.contains(&format!(" {count} ")),
            "{table} has {count} rows, but the demo says {line:?}"
        );
    }
    assert!(
        text.contains("kafka.nodes"),
        "no .properties for a real cluster in:\n{text}"
    );
    assert!(
        text.contains(".ndjson.gz"),
        "nothing on how to read a file in:\n{text}"
    );
}
