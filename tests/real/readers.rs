//! The files as others read them: gunzip, Python, DuckDB, pyarrow, Java, Go and Node, to the last byte.
//!
//! Every level that can be chosen of gzip, and of zstd some of every strategy, in files of many pieces; and files of the program itself.
//! zstd is read by everyone but gunzip, and a Node before 22.15, which does not know it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use alluvium_objects::{Compression, LineLayout};
use alluvium_target::{Partition, Table};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

use crate::checks::Stream;
use crate::support::output;
use crate::support::program::Program;
use crate::support::random::Random;
use crate::support::seconds;
use crate::support::service::{REPOSITORY, python, shared_kafka};
use crate::support::target;

/// Rows of a file. Makes some ten pieces.
const ROWS: usize = 10_000;

/// One at least of each way in which zstd looks for repeats (fast, dfast, greedy, lazy, lazy2, btlazy2, btopt, btultra, btultra2) in
/// texts as long as our pieces.
const ZSTD_LEVELS: [u32; 11] = [1, 3, 5, 6, 9, 12, 13, 16, 18, 19, 22];

#[test]
fn gzip_of_every_level_is_read_by_everyone_to_the_last_byte() {
    let scratch = tempfile::tempdir().unwrap();
    for level in 0..=9 {
        write(scratch.path(), Compression::Gzip, level);
    }
    every_reader_agrees(scratch.path(), Compression::Gzip, 10);
}

#[test]
fn zstd_of_every_strategy_is_read_to_the_last_byte() {
    let scratch = tempfile::tempdir().unwrap();
    for level in ZSTD_LEVELS {
        write(scratch.path(), Compression::Zstd, level);
    }
    every_reader_agrees(scratch.path(), Compression::Zstd, ZSTD_LEVELS.len());
}

#[test]
fn plain_text_is_read_by_everyone() {
    let scratch = tempfile::tempdir().unwrap();
    write(scratch.path(), Compression::None, 0);
    every_reader_agrees(scratch.path(), Compression::None, 1);
}

#[test]
fn what_the_program_writes_is_read_by_everyone() {
    let stream = Stream::new("readers", &shared_kafka());
    stream.feed(60_000, Duration::ZERO);
    for compression in Compression::with_ending() {
        let group = format!("{}-{compression}", stream.topic);
        let directory = stream.directory.join(compression.name());
        let config = stream
            .config()
            .set("kafka.group.id", &group)
            .set("target.file.directory", &directory.display().to_string())
            .set("target.compression", compression.name())
            .set("middleware.max-flush-duration", "30s");
        Program::until_end(&config, seconds(180));
        stream.assert_exact(&directory);
        let tables = directory.join(&stream.project);
        let files = output::files(&tables).len();
        every_reader_agrees(&tables, compression, files);
    }
}

/// Rows whose numbers are not those of another level; one of them longer than a piece, of letters in no order.
fn rows(level: u32) -> RecordBatch {
    let random = &mut Random::new(u64::from(level));
    let first = i64::from(level) * ROWS as i64;
    let letters = |random: &mut Random, count: usize| -> String {
        let letter = |_| char::from(b'0' + random.below(64) as u8).to_string();
        let text: String = (0..count).map(letter).collect();
        text.replace('\\', "ü")
    };
    let paths = (0..ROWS).map(|_| format!("/shop/{}/item-{}", random.below(9), random.below(500)));
    let paths: StringArray = paths.map(Some).collect();
    let tokens: StringArray = (0..ROWS).map(|_| Some(letters(random, 40))).collect();
    let amounts = (0..ROWS).map(|_| random.below(1_000_000) as f64 / 100.0);
    let amounts = Float64Array::from_iter_values(amounts);
    let agents: StringArray = (0..ROWS)
        .map(|_| {
            Some(format!(
                "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 \"quoted\"",
                random.below(130)
            ))
        })
        .collect();
    let long: StringArray = (0..ROWS)
        .map(|row| (row == ROWS / 2).then(|| letters(random, 400_000)))
        .collect();
    let columns: [(&str, ArrayRef); 7] = [
        (
            "_time",
            Arc::new(Int64Array::from_iter_values(
                (0..ROWS as i64).map(|row| 1_517_378_340_000 + row * 1_000),
            )),
        ),
        (
            "id",
            Arc::new(Int64Array::from_iter_values(first..first + ROWS as i64)),
        ),
        ("path", Arc::new(paths)),
        ("token", Arc::new(tokens)),
        ("amount", Arc::new(amounts)),
        ("user_agent", Arc::new(agents)),
        ("long", Arc::new(long)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .unwrap()
}

/// One file of [`rows`], as a target makes it that now and then has to give memory back.
fn write(directory: &Path, compression: Compression, level: u32) {
    let settings = target::settings(LineLayout::Rakam, compression, level);
    let partition = Partition::new("readers", i32::try_from(level).unwrap());
    let batch = rows(level);
    target::write(directory, settings, partition, ROWS, |inserter| {
        for (at, first) in (0..ROWS).step_by(500).enumerate() {
            let rows = batch.slice(first, 500);
            inserter.add(&Table::new("p", "levels"), &rows).unwrap();
            if at % 5 == 4 {
                inserter.shrink().unwrap();
            }
        }
    });
}

/// Asserts what each reader finds in all files below `directory`, of which there are `count`.
fn every_reader_agrees(directory: &Path, compression: Compression, count: usize) {
    let files = output::files(directory);
    assert_eq!(files.len(), count, "{files:?}");
    let texts: Vec<String> = files
        .iter()
        .map(|name| output::text(&directory.join(name)))
        .collect();
    let lines: u64 = texts.iter().map(|text| text.lines().count() as u64).sum();
    let bytes: u64 = texts.iter().map(|text| text.len() as u64).sum();
    let counts = vec![count as u64, lines, bytes];
    let ids = texts.iter().flat_map(|text| text.lines()).map(id_of);
    let rows = vec![lines, ids.sum(), lines];

    let ending = match compression {
        Compression::None => ".ndjson",
        packed => packed.ending(),
    };
    let agrees = |name: &str, command: &mut Command, wanted: &[u64]| {
        let found = numbers(command.arg(directory).arg(ending));
        assert_eq!(found, wanted, "{name}, {compression}");
    };
    let script = |name: &str| {
        let mut command = Command::new(python());
        command.arg(reader(name));
        command
    };
    agrees("python", &mut script("read_python.py"), &counts);
    agrees("java", &mut java(), &counts);
    let mut go = Command::new("go");
    agrees(
        "go",
        go.arg("-C").arg(reader("go")).args(["run", "."]),
        &counts,
    );
    agrees("duckdb", &mut script("read_duckdb.py"), &rows);
    agrees("pyarrow", &mut script("read_arrow.py"), &rows);
    if compression != Compression::Zstd || node_knows_zstd() {
        let mut node = Command::new("node");
        agrees("node", node.arg(reader("read_node.js")), &counts);
    }
    if compression == Compression::Gzip {
        gunzip_has_nothing_to_say(files.iter().map(|name| directory.join(name)));
    }
}

fn node_knows_zstd() -> bool {
    let mut node = Command::new("node");
    let asked = node.args([
        "-p",
        "Number('createZstdDecompress' in require('node:zlib'))",
    ]);
    numbers(asked) == [1]
}

/// With the zstd that Kafka's own client brings.
fn java() -> Command {
    let libs = Path::new(REPOSITORY).join(".services/kafka/libs/*");
    let mut command = Command::new("java");
    command.arg("-cp").arg(libs).arg(reader("ReadJava.java"));
    command
}

fn gunzip_has_nothing_to_say(paths: impl Iterator<Item = PathBuf>) {
    let gunzip = Command::new("gunzip")
        .arg("-t")
        .args(paths)
        .output()
        .unwrap();
    assert!(
        gunzip.status.success() && gunzip.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&gunzip.stderr)
    );
}

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

fn id_of(line: &str) -> u64 {
    let row: serde_json::Value = serde_json::from_str(line).unwrap();
    row["properties"]["id"].as_u64().unwrap()
}
