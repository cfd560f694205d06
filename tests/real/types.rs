//! Lines of every column type, as pyarrow reads them.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use alluvium::decode::json::{JsonDecoder, JsonSettings, Layout};
use alluvium::record::{Partition, Table};
use alluvium::table::{ColumnSettings, ColumnType, Objects, TableBuilder, UserType, Zone};
use alluvium_objects::{Compression, LineLayout};
use arrow_array::RecordBatch;

use crate::support::output::files;
use crate::support::service::{REPOSITORY, python};
use crate::support::target;

fn script(arguments: &[&str]) -> String {
    let output = Command::new(python())
        .arg(Path::new(REPOSITORY).join("tests/services/readers/every_type.py"))
        .args(arguments)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// The rows that the script makes, in columns of the types it names.
fn made() -> RecordBatch {
    let made = script(&["make"]);
    let mut lines = made.lines();
    let columns: Vec<(String, String)> = serde_json::from_str(lines.next().unwrap()).unwrap();
    let columns: Vec<(String, ColumnType)> = columns
        .into_iter()
        .map(|(name, kind)| (name, kind.parse().unwrap()))
        .collect();
    let settings = Arc::new(ColumnSettings {
        checkpoint_field: "_shard_time".into(),
        time_field: "_time".into(),
        user_field: "_user".into(),
        user_type: UserType::String,
        key_field: None,
        arrival_field: None,
        zone: Zone::UTC,
        objects: Objects::Map,
    });
    let given = columns.iter().zip(1..);
    let given = given.map(|((name, kind), id)| (id, name.as_str(), kind));
    let mut builder = TableBuilder::bound(&settings, 0, given);
    let mut decoder = JsonDecoder::new(JsonSettings {
        layout: Layout::Plain,
        project: "p".into(),
        collection_field: None,
        max_bytes: 1 << 20,
    });
    for line in lines {
        builder.append(&decoder.decode("types", Some(line.as_bytes())).unwrap());
    }
    let batch = builder.finish();
    // Also: nothing went to `_misfit`.
    assert_eq!(batch.num_columns(), columns.len() + 3);
    batch
}

fn write(batch: &RecordBatch, layout: LineLayout, directory: &Path) {
    let settings = target::settings(layout, Compression::Gzip, 6);
    let partition = Partition::new("types", 0);
    target::write(
        directory,
        settings,
        partition,
        batch.num_rows(),
        |inserter| {
            inserter.add(&Table::new("p", "types"), batch).unwrap();
        },
    );
}

#[test]
fn every_type_is_read_back_equal() {
    let batch = made();
    for (name, layout) in [("flat", LineLayout::Flat), ("rakam", LineLayout::Rakam)] {
        let scratch = tempfile::tempdir().unwrap();
        write(&batch, layout, scratch.path());
        let written = files(scratch.path());
        let file = scratch.path().join(&written[0]);
        let rows = script(&["check", name, &file.display().to_string()]);
        assert_eq!((rows.trim(), written.len()), ("500", 1));
    }
}
