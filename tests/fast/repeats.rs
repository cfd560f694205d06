//! Rows that repeat an event, through the program.

use crate::support::broker;
use crate::support::config::Config;
use crate::support::output::{files, scratch, table_rows, text};
use crate::support::program::Program;
use crate::support::seconds;

#[test]
fn an_event_is_written_once_also_by_a_later_run() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 2)]);
    let bootstrap = cluster.bootstrap_servers();
    let remembered = directory.join("remembered").display().to_string();
    let config = Config::new(&directory, &bootstrap, "events")
        .set("source.data-format.json.layout", "PLAIN")
        .set("kafka.workers", "2")
        .set("committer.duplicate-handler-rocksdb-directory", &remembered);
    let send = |events: std::ops::Range<u32>| {
        let sender = broker::Sender::new(&bootstrap, "events");
        for n in events {
            let event = format!(r#"{{"_user":"u{n}","_time":1763771724123,"n":{n}}}"#);
            // A producer that sends again what was there, each time to another partition.
            for partition in [0, 1, 0] {
                sender.send(partition, None, Some(event.as_bytes()));
            }
        }
        sender.finish();
    };
    let written = || {
        let rows = table_rows(&config.output());
        let number = |row: &serde_json::Value| row["properties"]["n"].as_u64();
        let mut numbers: Vec<_> = rows.iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    };
    send(0..200);
    Program::until_end(&config, seconds(120));
    assert_eq!(written(), (0..200).collect::<Vec<_>>());
    send(100..300);
    Program::until_end(&config, seconds(120));
    assert_eq!(written(), (0..300).collect::<Vec<_>>());
}

/// Killed behind the plan, or behind the writing, with repeats in both partitions: no event is lost, and the spans that are read
/// again, whatever is decided of their rows then, stop nothing.
#[test]
fn a_crash_with_repeats_under_way_loses_no_event() {
    for failpoint in ["planned:2", "written:1"] {
        let (_scratch, directory) = scratch();
        let cluster = broker::mock_cluster(&[("events", 2)]);
        let bootstrap = cluster.bootstrap_servers();
        let remembered = directory.join("remembered").display().to_string();
        let config = Config::new(&directory, &bootstrap, "events")
            .set("source.data-format.json.layout", "PLAIN")
            .set("kafka.workers", "2")
            .set("kafka.session.timeout.ms", "6000")
            .set("committer.duplicate-handler-rocksdb-directory", &remembered);
        let sender = broker::Sender::new(&bootstrap, "events");
        for n in 0..200 {
            let event = format!(r#"{{"_user":"u{n}","_time":1763771724123,"n":{n}}}"#);
            sender.send(n % 2, None, Some(event.as_bytes()));
            if n % 4 < 2 {
                sender.send(1 - n % 2, None, Some(event.as_bytes()));
            }
        }
        sender.finish();
        let environment = [("ALLUVIUM_FAILPOINT", failpoint)];
        let mut program = Program::start_in(&config, &["--until-end"], &environment);
        assert_ne!(program.wait(seconds(120)), 0, "{failpoint}: it did not die");
        Program::until_end(&config, seconds(120));
        // A process that is killed while it writes a file leaves a part of it under another name.
        let whole = files(&config.output()).into_iter();
        let whole = whole.filter(|name| name.ends_with(".gz"));
        let texts: Vec<_> = whole
            .map(|name| text(&config.output().join(name)))
            .collect();
        let rows: Vec<serde_json::Value> = texts
            .iter()
            .flat_map(|text| text.lines())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let numbers: std::collections::BTreeSet<_> = rows
            .iter()
            .filter_map(|row| row["properties"]["n"].as_u64())
            .collect();
        assert!(
            numbers.into_iter().eq(0..200),
            "{failpoint}: {} rows",
            rows.len()
        );
        assert!(rows.len() <= 300, "{failpoint}");
    }
}
