//! What can be seen from outside: metrics, health, logs.

use std::net::TcpStream;

use crate::support::config::Config;
use crate::support::output::scratch;
use crate::support::program::Program;
use crate::support::{broker, eventually, seconds};

#[test]
fn metrics_count_what_went_through() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let config = Config::new(&directory, &bootstrap, "events")
        .set("source.data-format.json.layout", "PLAIN");
    let mut program = Program::start(&config);
    program.wait_ready();
    broker::send_all(
        &bootstrap,
        "events",
        &[r#"{"n":1}"#, "broken", r#"{"n":2}"#, "[]"],
    );
    eventually("the commit", seconds(120), || {
        broker::committed(&bootstrap, "events", "events", 1).get(&0) == Some(&4)
    });
    // The lag comes with the client's statistics, every five seconds.
    eventually("the lag", seconds(120), || {
        program.metrics().has("alluvium_lag_records")
    });
    let metrics = program.metrics();
    assert_eq!(metrics.sum("alluvium_records_total", &[]), 4.0);
    assert_eq!(metrics.sum("alluvium_record_bytes_total", &[]), 22.0);
    assert_eq!(
        metrics.sum("alluvium_rows_total", &["table=\"default.events\""]),
        2.0
    );
    assert_eq!(
        metrics.sum("alluvium_dead_letters_total", &["reason=\"not_json\""]),
        1.0
    );
    assert_eq!(
        metrics.sum("alluvium_dead_letters_total", &["reason=\"wrong_layout\""]),
        1.0
    );
    assert!(metrics.sum("alluvium_flushes_total", &["reason=\"age\""]) >= 1.0);
    for name in [
        "alluvium_open_span_age_seconds",
        "alluvium_lag_records",
        "alluvium_memory_open_bytes",
        "alluvium_memory_budget_bytes",
        "alluvium_commit_seconds_count",
        "alluvium_commit_failures_total",
    ] {
        assert!(metrics.has(name), "no metric {name} in\n{}", metrics.0);
    }
    for line in metrics
        .0
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = name
            .trim_end_matches("_bucket")
            .trim_end_matches("_count")
            .trim_end_matches("_sum");
        assert!(
            metrics.0.contains(&format!("# TYPE {family} ")),
            "{name} has no type"
        );
    }
    assert_eq!(program.get("/healthz").map(|(status, _)| status), Some(200));
    assert_eq!(program.get("/nowhere").map(|(status, _)| status), Some(404));
    program.stop();
}

#[test]
fn not_ready_before_the_broker_answers() {
    let (_scratch, directory) = scratch();
    let mut program = Program::start(&Config::new(&directory, "127.0.0.1:9", "events"));
    eventually("the admin address", seconds(120), || {
        program
            .get("/healthz")
            .is_some_and(|(status, _)| status == 200)
    });
    assert_eq!(program.get("/readyz").map(|(status, _)| status), Some(503));
    let named = |line: &str| line.contains("trying again") && line.contains("127.0.0.1:9");
    eventually("a warning that names the broker", seconds(120), || {
        program.log().lines().any(named)
    });
    program.signal("TERM");
    assert_eq!(program.wait(seconds(120)), 0);
}

#[test]
fn the_admin_address_can_be_switched_off() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let config = Config::new(&directory, &cluster.bootstrap_servers(), "events");
    let mut program = Program::start(&config);
    program.wait_ready();
    program.stop();
    let mut program = Program::start(&config.clone().set("admin.listen", "off"));
    broker::send_all(&cluster.bootstrap_servers(), "events", &["{}"]);
    eventually("the program to work", seconds(120), || {
        broker::committed(&cluster.bootstrap_servers(), "events", "events", 1).contains_key(&0)
    });
    assert!(TcpStream::connect(("127.0.0.1", config.admin)).is_err());
    program.stop();
}

/// One line at the start says what is read, by whom, where it goes and where to look.
#[test]
fn the_log_begins_with_what_runs_and_where_to_look() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let config = Config::new(&directory, &cluster.bootstrap_servers(), "events")
        .set("kafka.group.id", "the-group");
    let log = Program::until_end(&config, seconds(120));
    let admin = format!("127.0.0.1:{}", config.admin);
    let says_all = |line: &str| {
        ["events", "the-group", "file", &admin]
            .iter()
            .all(|part| line.contains(part))
    };
    assert!(
        log.lines().take(10).any(says_all),
        "no start-up line in:\n{log}"
    );
}

#[test]
fn json_logs_are_json_line_by_line() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    broker::send_all(&bootstrap, "events", &["broken"]);
    let config = Config::new(&directory, &bootstrap, "events").set("log.format", "json");
    let log = Program::until_end(&config, seconds(120));
    assert!(!log.is_empty());
    for line in log.lines() {
        let entry: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(entry.is_object());
    }
}
