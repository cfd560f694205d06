//! The gzip files as others read them: Python, gunzip, DuckDB, pyarrow, Java and Go, to the last byte.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::checks::Stream;
use crate::support::output;
use crate::support::program::Program;
use crate::support::seconds;
use crate::support::service::{REPOSITORY, python, shared_kafka};

/// Runs a reader and gives the numbers it prints.
fn numbers(command: &mut Command) -> Vec<u64> {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {shown}: {error}"));
    assert!(
        output.status.success(),
        "{shown}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace()
        .map(|word| {
            word.parse()
                .unwrap_or_else(|_| panic!("{shown} printed {text}"))
        })
        .collect()
}

fn reader(name: &str) -> PathBuf {
    Path::new(REPOSITORY)
        .join("tests/services/readers")
        .join(name)
}

/// Files large enough to be compressed in many pieces, at the fastest and at the default level.
#[test]
fn gzip_is_read_by_everyone_to_the_last_byte() {
    let stream = Stream::new("readers", &shared_kafka());
    stream.feed(120_000, Duration::ZERO);
    for level in ["1", "6"] {
        let group = format!("{}-{level}", stream.topic);
        let directory = stream.directory.join(format!("level-{level}"));
        let config = stream
            .config()
            .set("kafka.group.id", &group)
            .set("target.file.directory", &directory.display().to_string())
            .set("target.compression-level", level)
            .set("middleware.max-flush-duration", "30s");
        Program::until_end(&config, seconds(120));
        stream.assert_exact(&directory);
        every_reader_agrees(&directory.join(&stream.project));
    }
}

fn every_reader_agrees(tables: &Path) {
    let files = output::files(tables);
    let texts: Vec<String> = files
        .iter()
        .map(|name| output::text(&tables.join(name)))
        .collect();
    let lines: u64 = texts.iter().map(|text| text.lines().count() as u64).sum();
    let bytes: u64 = texts.iter().map(|text| text.len() as u64).sum();
    let wanted = vec![files.len() as u64, lines, bytes];

    assert_eq!(
        numbers(
            Command::new(python())
                .arg(reader("read_python.py"))
                .arg(tables)
        ),
        wanted,
        "python"
    );
    assert_eq!(
        numbers(
            Command::new("java")
                .arg(reader("ReadJava.java"))
                .arg(tables)
        ),
        wanted,
        "java"
    );
    assert_eq!(
        numbers(
            Command::new("go")
                .arg("run")
                .arg(reader("read_go.go"))
                .arg(tables)
        ),
        wanted,
        "go"
    );

    let paths: Vec<PathBuf> = files.iter().map(|name| tables.join(name)).collect();
    let gunzip = Command::new("gunzip")
        .arg("-t")
        .args(&paths)
        .output()
        .unwrap();
    assert!(
        gunzip.status.success() && gunzip.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&gunzip.stderr)
    );

    let ids: Vec<u64> = texts
        .iter()
        .flat_map(|text| text.lines())
        .map(id_of)
        .collect();
    let wanted = vec![lines, ids.iter().sum(), lines];
    assert_eq!(
        numbers(
            Command::new(python())
                .arg(reader("read_duckdb.py"))
                .arg(tables)
        ),
        wanted,
        "duckdb"
    );
    assert_eq!(
        numbers(
            Command::new(python())
                .arg(reader("read_arrow.py"))
                .arg(tables)
        ),
        wanted,
        "pyarrow"
    );
}

fn id_of(line: &str) -> u64 {
    let row: serde_json::Value = serde_json::from_str(line).unwrap();
    row["properties"]["id"].as_u64().unwrap()
}
