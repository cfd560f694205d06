//! A target that is damaged is found out and mended; a plan that cannot be finished is shown and given up.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use crate::support::config::Config;
use crate::support::output::{files, scratch, table_rows, text};
use crate::support::program::{Program, alluvium, stderr};
use crate::support::{broker, eventually, seconds};

fn plain(directory: &Path, bootstrap: &str) -> Config {
    Config::new(directory, bootstrap, "events")
        .set("source.data-format.json.layout", "PLAIN")
        .set("source.collection-field", "kind")
}

fn command(config: &Config, arguments: &[&str]) -> Output {
    let file = config.write().display().to_string();
    let mut all = vec![arguments[0], "--config", &file];
    all.extend(&arguments[1..]);
    alluvium(&all)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `verify`, which must end so, and gives what it printed.
fn verify(config: &Config, arguments: &[&str], clean: bool) -> String {
    let output = command(config, &[&["verify"], arguments].concat());
    let shown = stdout(&output);
    let code = i32::from(!clean);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{shown}{}",
        stderr(&output)
    );
    assert_eq!(shown.contains("\nclean: "), clean, "{shown}");
    shown
}

fn send(bootstrap: &str, numbers: std::ops::Range<usize>) {
    let sender = broker::Sender::new(bootstrap, "events");
    for number in numbers {
        let kind = ["a", "b", "c"][number % 3];
        let payload = match number % 10 {
            7 => format!("{{broken {number}"),
            _ => format!("{{\"kind\":\"{kind}\",\"n\":{number}}}"),
        };
        sender.send((number / 3 % 2) as i32, None, Some(payload.as_bytes()));
    }
    sender.finish();
}

/// Three spans in each of two partitions, of three tables and dead letters.
fn filled(directory: &Path, bootstrap: &str) -> Config {
    // Spans end with their round, however long it takes.
    let config = plain(directory, bootstrap).set("middleware.max-flush-duration", "1h");
    for round in 0..3 {
        send(bootstrap, round * 60..round * 60 + 60);
        Program::until_end(&config, seconds(120));
    }
    config
}

fn texts(config: &Config) -> BTreeMap<String, String> {
    let directory = config.output();
    let names = files(&directory).into_iter();
    names
        .filter(|name| !name.starts_with(".alluvium"))
        .map(|name| (name.clone(), text(&directory.join(&name))))
        .collect()
}

#[test]
fn zstd_is_looked_into_and_mended_like_gzip() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 2)]);
    let bootstrap = cluster.bootstrap_servers();
    let config = plain(&directory, &bootstrap)
        .set("target.compression", "zstd")
        .set("middleware.max-flush-duration", "1h");
    send(&bootstrap, 0..60);
    Program::until_end(&config, seconds(120));
    let whole = texts(&config);
    let name = "default/b/events-1-0-30.ndjson.zst";
    assert!(
        whole.len() == 2 * 4 && whole.contains_key(name),
        "{:?}",
        whole.keys()
    );
    verify(&config, &["--deep"], true);

    // A bit of the checksum.
    let path = config.output().join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    verify(&config, &[], true);
    let shown = verify(&config, &["--deep"], false);
    assert!(
        shown.contains(&format!("VIOLATION {name}: ")) && shown.contains("checksum"),
        "{shown}"
    );
    let span = ["--partition", "events-1", "--from", "0", "--to", "30"];
    let mended = command(&config, &[&["replay"], &span[..]].concat());
    assert_eq!(mended.status.code(), Some(0), "{}", stderr(&mended));
    verify(&config, &["--deep"], true);
    assert_eq!(texts(&config), whole);
}

#[test]
fn every_damage_is_found_and_mended_under_the_same_names() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 2)]);
    let bootstrap = cluster.bootstrap_servers();
    let config = filled(&directory, &bootstrap);
    let whole = texts(&config);
    assert_eq!(whole.len(), 3 * 2 * 4, "{:?}", whole.keys());
    let shown = verify(&config, &[], true);
    assert!(
        shown.contains("events-0: 3 spans from 0 to 90, 12 objects, 90 rows"),
        "{shown}"
    );
    verify(&config, &["--deep"], true);

    let span = ["--partition", "events-1", "--from", "30", "--to", "60"];
    let replay = |more: &[&str]| command(&config, &[&["replay"], &span[..], more].concat());
    let of_span = |name: &&String| name.contains("events-1-30-60");
    let lost: Vec<_> = whole.keys().filter(of_span).cloned().collect();
    assert_eq!(lost.len(), 4);

    // One object is gone.
    std::fs::remove_file(config.output().join(&lost[0])).unwrap();
    let shown = verify(&config, &[], false);
    assert!(
        shown.contains("VIOLATION events-1 [30, 60): 3 of 4 objects"),
        "{shown}"
    );
    let mended = replay(&[]);
    assert_eq!(mended.status.code(), Some(0), "{}", stderr(&mended));
    assert!(
        stdout(&mended).contains("1 spans, 4 objects with 30 rows"),
        "{}",
        stdout(&mended)
    );
    assert_eq!(texts(&config), whole);
    verify(&config, &["--deep"], true);

    // One object says what it should, and is cut short.
    let path = config.output().join(&lost[1]);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    verify(&config, &[], true);
    let shown = verify(&config, &["--deep"], false);
    assert!(
        shown.contains(&format!("VIOLATION {}: ", lost[1])),
        "{shown}"
    );
    assert_eq!(replay(&[]).status.code(), Some(0));
    verify(&config, &["--deep"], true);
    assert_eq!(texts(&config), whole);

    // All objects of a span are gone: only its time is not to be found out any more.
    for name in &lost {
        std::fs::remove_file(config.output().join(name)).unwrap();
    }
    let shown = verify(&config, &[], false);
    assert!(
        shown.contains("VIOLATION events-1 [30, 60): committed, but in no object"),
        "{shown}"
    );
    let refused = replay(&[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("--opened"),
        "{}",
        stderr(&refused)
    );
    let row: serde_json::Value = whole
        .iter()
        .find(|(name, _)| of_span(name) && !name.starts_with('_'))
        .map(|(_, text)| serde_json::from_str(text.lines().next().unwrap()).unwrap())
        .unwrap();
    let opened = row["properties"]["_shard_time"].as_str().unwrap();
    let opened = milliseconds(opened).to_string();
    let mended = replay(&["--opened", &opened]);
    assert_eq!(mended.status.code(), Some(0), "{}", stderr(&mended));
    assert_eq!(texts(&config), whole);
    verify(&config, &["--deep"], true);

    // Half a span cannot be replayed, and nothing is written.
    let half = [
        "replay",
        "--partition",
        "events-1",
        "--from",
        "30",
        "--to",
        "45",
    ];
    let refused = command(&config, &half);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("[30, 60) is one span"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(texts(&config), whole);

    // An object of a span that nobody planned.
    let doubled = lost[3].replace("30-60", "30-50");
    std::fs::copy(
        config.output().join(&lost[3]),
        config.output().join(&doubled),
    )
    .unwrap();
    let shown = verify(&config, &[], false);
    assert!(
        shown.contains("events-1 [30, 60) overlaps [30, 50)"),
        "{shown}"
    );
}

/// `yyyy-MM-ddTHH:mm:ss.SSSZ` as milliseconds since the epoch, by counting days.
fn milliseconds(iso: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| iso[range].parse::<i64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        28 + i64::from(leap(year)),
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
    let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    let months: i64 = lengths[..month as usize - 1].iter().sum();
    let days = years + months + day - 1;
    let seconds = (days * 24 + number(11..13)) * 3_600 + number(14..16) * 60 + number(17..19);
    seconds * 1_000 + number(20..23)
}

/// A partition whose plan cannot be read stops; the other is read to its end, and the exit code tells.
#[test]
fn a_plan_nobody_can_finish_stops_its_partition_and_is_shown() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 2)]);
    let bootstrap = cluster.bootstrap_servers();
    let config = plain(&directory, &bootstrap);
    send(&bootstrap, 0..60);
    broker::store(
        &bootstrap,
        "events",
        ("events", 0),
        5,
        "alluvium/9 from the future",
    );

    let mut program = Program::start_with(&config, &["--until-end"]);
    assert_eq!(program.wait(seconds(120)), 1, "{}", program.log());
    let log = program.log();
    assert!(
        log.contains("partition stopped") && log.contains("events-0"),
        "{log}"
    );
    assert!(
        log.contains("another release") && log.contains("--discard-plan"),
        "{log}"
    );
    let committed = || broker::committed(&bootstrap, "events", "events", 2);
    assert_eq!(committed(), BTreeMap::from([(0, 5), (1, 30)]));

    let shown = command(&config, &["recover"]);
    assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
    let shown = stdout(&shown);
    assert!(
        shown.contains("events-0: checkpoint 5:") && shown.contains("nothing was changed"),
        "{shown}"
    );
    assert!(!shown.contains("events-1"), "{shown}");
    let kept = broker::note(&bootstrap, "events", ("events", 0));
    assert_eq!(kept, "alluvium/9 from the future");
}

/// Killed with an open plan, and started with another key template: the plan is finished under the old names, what follows gets the
/// new ones.
#[test]
fn a_plan_is_finished_with_the_settings_it_was_made_with() {
    let (_scratch, directory) = scratch();
    let cluster = broker::mock_cluster(&[("events", 1)]);
    let bootstrap = cluster.bootstrap_servers();
    let config = plain(&directory, &bootstrap);
    let blocker = config.output().join("default");
    std::fs::create_dir_all(config.output()).unwrap();
    std::fs::write(&blocker, "a file where a directory should be").unwrap();
    let mut program = Program::start(&config);
    program.wait_ready();
    broker::send_all(
        &bootstrap,
        "events",
        &[r#"{"kind":"a","n":1}"#, r#"{"kind":"a","n":2}"#],
    );
    let note = || broker::note(&bootstrap, "events", ("events", 0));
    eventually("a plan", seconds(120), || !note().is_empty());
    program.kill();
    let plan = note();
    assert!(
        plan.starts_with("alluvium/1 ") && plan.contains(" 2@"),
        "{plan}"
    );
    let shown = stdout(&command(&config, &["recover"]));
    assert!(
        shown.contains("[0, 2): nothing is in the target"),
        "{shown}"
    );
    std::fs::remove_file(&blocker).unwrap();

    broker::send_all(&bootstrap, "events", &[r#"{"kind":"a","n":3}"#]);
    let other = config
        .set(
            "target.key",
            "new/{project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson.gz",
        )
        .set("target.json.layout", "flat");
    Program::until_end(&other, seconds(120));
    let names = texts(&other);
    let names: Vec<_> = names.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "default/a/events-0-0-2.ndjson.gz",
            "new/default/a/events-0-2-3.ndjson.gz"
        ]
    );
    let rows = table_rows(&other.output());
    assert_eq!(rows[0]["properties"]["n"], 1);
    assert_eq!(rows[2]["n"], 3);
    assert_eq!(note(), "");
}
