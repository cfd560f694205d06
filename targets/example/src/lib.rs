//! A target of one's own: each span becomes one file of lines in a directory.
//!
//! A line is a JSON array of project, collection and an object of the row's columns, values as text. One
//! file a span makes the commit all or nothing with a single rename. `docs/writing-a-target.md` walks
//! through this file.

mod text;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_target::{Committed, Inserter, Span, SpanStart, Staged, Table, Target, TargetError};
use arrow_array::{Array, RecordBatch};
use async_trait::async_trait;
use tokio::fs;
use tokio::io::AsyncWriteExt;

/// Writes a file of lines per span.
#[derive(Clone, Debug)]
pub struct ExampleTarget {
    directory: PathBuf,
}

impl ExampleTarget {
    /// A target from its keys: `target.example.directory`, a directory that exists.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`] if that key is missing or there is another.
    pub fn new(keys: &BTreeMap<String, String>) -> Result<Self, TargetError> {
        const DIRECTORY: &str = "target.example.directory";
        if let Some(unknown) = keys.keys().find(|key| *key != DIRECTORY) {
            return Err(TargetError::Misconfigured(format!(
                "{unknown} is not a key"
            )));
        }
        let missing = || TargetError::Misconfigured(format!("{DIRECTORY} is missing"));
        let directory = keys.get(DIRECTORY).ok_or_else(missing)?.into();
        Ok(Self { directory })
    }
}

#[async_trait]
impl Target for ExampleTarget {
    fn begin(&self, _start: &SpanStart) -> Result<Box<dyn Inserter>, TargetError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!(".{}-{number}.unfinished", std::process::id());
        Ok(Box::new(ExampleInserter {
            directory: self.directory.clone(),
            unfinished: self.directory.join(unfinished),
            lines: Vec::new(),
            rows: 0,
        }))
    }

    async fn check(&self) -> Result<(), TargetError> {
        let found = fs::read_dir(&self.directory).await;
        found.map(drop).map_err(|error| {
            let directory = self.directory.display();
            TargetError::Misconfigured(format!("target.example.directory {directory}: {error}"))
        })
    }
}

struct ExampleInserter {
    directory: PathBuf,
    unfinished: PathBuf,
    lines: Vec<u8>,
    rows: u64,
}

#[async_trait]
impl Inserter for ExampleInserter {
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
        let before = self.lines.len();
        append(&mut self.lines, table, batch).map_err(|reason| {
            self.lines.truncate(before);
            TargetError::Rejected {
                table: table.clone(),
                reason,
            }
        })?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn staged(&self) -> Staged {
        Staged {
            memory: self.lines.capacity(),
            largest_output: self.lines.len() as u64,
        }
    }

    async fn commit(&mut self, span: &Span) -> Result<Committed, TargetError> {
        if self.rows == 0 {
            return Ok(Committed::default());
        }
        let name = format!("{}-{}-{}.lines", span.partition, span.from, span.to);
        let written = self.write(&name).await;
        written
            .map_err(|error| TargetError::Unavailable(format!("cannot write {name}: {error}")))?;
        Ok(Committed {
            outputs: 1,
            bytes: self.lines.len() as u64,
            rows: self.rows,
        })
    }
}

impl ExampleInserter {
    /// Writes the span's file whole or not at all, durable on return.
    async fn write(&self, name: &str) -> io::Result<()> {
        let mut file = fs::File::create(&self.unfinished).await?;
        file.write_all(&self.lines).await?;
        // Writes go on behind the scenes; only this tells whether they worked.
        file.flush().await?;
        file.sync_all().await?;
        fs::rename(&self.unfinished, self.directory.join(name)).await?;
        fs::File::open(&self.directory).await?.sync_all().await
    }
}

/// Appends a line per row, or says why it cannot.
fn append(lines: &mut Vec<u8>, table: &Table, batch: &RecordBatch) -> Result<(), String> {
    for row in 0..batch.num_rows() {
        let mut cells = BTreeMap::new();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if column.is_valid(row) {
                cells.insert(field.name(), text::of(column, row)?);
            }
        }
        let line = (table.project(), table.collection(), cells);
        serde_json::to_writer(&mut *lines, &line).map_err(|error| error.to_string())?;
        lines.push(b'\n');
    }
    Ok(())
}
