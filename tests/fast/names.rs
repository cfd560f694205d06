//! What outputs are called, and that nothing a record says can change where they go.

use serde_json::json;

use crate::support::config::Config;
use crate::support::output::{files, rows, scratch, table_rows, text};
use crate::support::program::Program;
use crate::support::{broker, seconds};

fn plain(config: Config) -> Config {
    config
        .set("source.data-format.json.layout", "PLAIN")
        .set("source.collection-field", "kind")
}

#[test]
fn names_come_from_table_partition_and_span_alone() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 2)]);
    let bootstrap = cluster.bootstrap_servers();
    let sender = broker::Sender::new(&bootstrap, "events");
    for number in 0..10 {
        sender.send(
            number % 2,
            None,
            Some(format!("{{\"kind\":\"k{}\"}}", number / 6).as_bytes()),
        );
    }
    sender.finish();
    let config = plain(Config::new(&directory, &bootstrap, "events"))
        .set("middleware.max-flush-duration", "1h");
    // Two runs of two groups, as two processes on two days might: the same names.
    for group in ["one", "two"] {
        let output = directory.join(group);
        let config = config
            .clone()
            .set("kafka.group.id", group)
            .set("target.file.directory", &output.display().to_string());
        Program::until_end(&config, seconds(120));
        let wanted = [
            "default/k0/events-0-0-5.ndjson.gz",
            "default/k0/events-1-0-5.ndjson.gz",
        ];
        let wanted = [
            wanted,
            [
                "default/k1/events-0-0-5.ndjson.gz",
                "default/k1/events-1-0-5.ndjson.gz",
            ],
        ]
        .concat();
        assert_eq!(files(&output), wanted);
    }
}

#[test]
fn a_template_without_collection_puts_a_projects_tables_together() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    broker::send_all(
        &bootstrap,
        "events",
        &[r#"{"kind":"a"}"#, r#"{"kind":"b"}"#, r#"{"kind":"a"}"#],
    );
    let config = plain(Config::new(&directory, &bootstrap, "events")).set(
        "target.key",
        "all/{project}/{topic}/{partition}/{from}-{to}.gz",
    );
    Program::until_end(&config, seconds(120));
    assert_eq!(files(&config.output()), ["all/default/events/0/0-3.gz"]);
    let mut tables: Vec<_> = rows(&config.output(), "all/")
        .iter()
        .map(|row| row["$table"].as_str().unwrap().to_owned())
        .collect();
    tables.sort();
    assert_eq!(tables, ["a", "a", "b"]);
}

#[test]
fn compression_can_be_switched_off_or_be_zstd() {
    for (compression, ending) in [("none", ""), ("zstd", ".zst")] {
        let (_scratch, directory) = scratch();
        let cluster = broker::mock_cluster(&[("events", 1)]);
        let bootstrap = cluster.bootstrap_servers();
        broker::send_all(&bootstrap, "events", &[r#"{"kind":"a"}"#, "broken"]);
        let config = plain(Config::new(&directory, &bootstrap, "events"))
            .set("target.compression", compression);
        Program::until_end(&config, seconds(120));
        let object = format!("default/a/events-0-0-2.ndjson{ending}");
        assert_eq!(
            files(&config.output()),
            [
                format!("_dead_letters/events-0-0-2.ndjson{ending}"),
                object.clone()
            ]
        );
        assert!(text(&config.output().join(object)).starts_with("{\"_time\":0,"));
    }
}

#[test]
fn hostile_names_stay_in_their_place() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let long = "x".repeat(100);
    let names = [
        "../../../../escape",
        "..",
        ".",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "nul\0",
        "ünï-日本",
        "_dead_letters",
        &long,
        " ",
    ];
    let sender = broker::Sender::new(&bootstrap, "events");
    for name in names {
        for project in ["../up", "p"] {
            let data = json!({"data": {"_project": project, "_collection": name, "_user": name}});
            sender.send(0, None, Some(data.to_string().as_bytes()));
        }
    }
    let project =
        json!({"data": {"_project": "p/".repeat(5_000), "_collection": "c", "_user": "long"}});
    sender.send(0, None, Some(project.to_string().as_bytes()));
    sender.finish();
    let config = Config::new(&directory, &bootstrap, "events");
    Program::until_end(&config, seconds(120));

    let outside: Vec<_> = files(&directory)
        .into_iter()
        .filter(|name| !name.starts_with("out/"))
        .collect();
    assert!(
        outside.iter().all(|name| name.starts_with("alluvium-")),
        "{outside:?}"
    );
    let inside = files(&config.output());
    assert!(
        inside.iter().all(|name| name.split('/').count() == 3),
        "{inside:?}"
    );
    assert!(
        inside
            .iter()
            .all(|name| !name.chars().any(char::is_control)),
        "{inside:?}"
    );
    // One file a table: no two names fell together.
    assert_eq!(inside.len(), 2 * names.len() + 1, "{inside:?}");
    assert_eq!(table_rows(&config.output()).len(), 2 * names.len() + 1);
}

#[test]
fn topics_can_be_a_list_or_a_pattern() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("web-a", 1), ("web-b", 1), ("other", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    for topic in ["web-a", "web-b", "other"] {
        broker::send_all(&bootstrap, topic, &[r#"{"kind":"k"}"#]);
    }
    for (topics, count) in [
        ("^web-.*", 2),
        ("web-a, other", 2),
        ("other,^web-[b]$", 2),
        ("^.*", 3),
    ] {
        let output = directory.join(format!("out-{count}-{}", topics.len()));
        let config = plain(Config::new(&directory, &bootstrap, topics))
            .set("kafka.group.id", &format!("group-{count}-{}", topics.len()))
            .set("target.file.directory", &output.display().to_string());
        Program::until_end(&config, seconds(120));
        assert_eq!(
            table_rows(&output).len(),
            count,
            "{topics}: {:?}",
            files(&output)
        );
    }
}
