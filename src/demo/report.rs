//! What the demo ends with: the files it made, how to read them, and how to do the same for real.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use crate::metrics::Metrics;
use crate::record::dead_letters;
use crate::run::RunError;

/// Every file below a directory.
///
/// # Errors
/// If a directory cannot be listed.
fn files(directory: &Path) -> Result<BTreeSet<PathBuf>, RunError> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        let entries = std::fs::read_dir(&next).map_err(|error| cannot_read(&next, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| cannot_read(&next, &error))?.path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

/// The table of files and rows, the rate, and what to do next.
pub(super) fn report(
    directory: &Path,
    metrics: &Metrics,
    took: Duration,
) -> Result<String, RunError> {
    let mut tables: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    let mut example = None;
    for path in &files(directory)? {
        let table = path
            .parent()
            .and_then(|parent| parent.strip_prefix(directory).ok());
        let name = table
            .map(|table| table.display().to_string())
            .unwrap_or_default();
        let (rows, bytes) = count(path)?;
        let line = tables.entry(name).or_default();
        *line = (line.0 + 1, line.1 + rows, line.2 + bytes);
        example = Some(path.clone());
    }
    let mut text = format!(
        "\n{:<28}{:>7}{:>12}{:>14}\n",
        "table", "files", "rows", "bytes"
    );
    for (name, (files, rows, bytes)) in &tables {
        let _ = writeln!(text, "{name:<28}{files:>7}{rows:>12}{bytes:>14}");
    }
    let records = metrics.records.get();
    let letters = tables
        .get(dead_letters::NAME)
        .map_or(0, |(_, rows, _)| *rows);
    let rows = tables.values().map(|(_, rows, _)| rows).sum::<u64>() - letters;
    let seconds = took.as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let rate = records as f64 / seconds;
    let _ = writeln!(
        text,
        "\n{records} records read, {rows} rows and {letters} dead letters written in {seconds:.1} s ({rate:.0} records/s, broker and producer on the same machine)"
    );
    if let Some(example) = example {
        let _ = writeln!(
            text,
            "\nRead a file:\n  gunzip -c '{}' | head -n 3",
            example.display()
        );
    }
    let _ = write!(
        text,
        "\nDo the same against a cluster: save this as collector.properties, put in your addresses, and\nrun `alluvium run --config collector.properties`\n\n{REAL}"
    );
    Ok(text)
}

const REAL: &str = "\
stream.source=kafka
kafka.nodes=broker-1:9092,broker-2:9092
kafka.topic=events
kafka.offset=earliest
kafka.group.id=alluvium
source.data-format=JSON
source.data-format.json.layout=RAKAM
middleware.max-flush-duration=60s
target=s3
target.aws.region=eu-central-1
target.aws.s3-bucket=my-bucket
";

fn count(path: &Path) -> Result<(u64, u64), RunError> {
    let failed = |error: std::io::Error| cannot_read(path, &error);
    let bytes = std::fs::read(path).map_err(failed)?;
    let mut lines = Vec::new();
    MultiGzDecoder::new(bytes.as_slice())
        .read_to_end(&mut lines)
        .map_err(failed)?;
    let rows = lines.iter().filter(|byte| **byte == b'\n').count();
    Ok((rows as u64, bytes.len() as u64))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> RunError {
    RunError::Failed(format!("cannot read {}: {error}", path.display()))
}
