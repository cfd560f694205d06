//! A target of one's own: each span becomes one file of lines in a directory.
//!
//! A line is a JSON array of project, collection and an object of the row's columns, values as text. One
//! file a span, made under a temporary name that begins with a dot, makes the commit all or nothing with a
//! single link. `docs/writing-a-target.md` walks through this file.

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
        Ok(Box::new(ExampleInserter {
            directory: self.directory.clone(),
            lines: BTreeMap::new(),
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
    /// By table: how tables take turns depends on how the rows came in batches, and must not show.
    lines: BTreeMap<Table, Vec<u8>>,
    rows: u64,
}

#[async_trait]
impl Inserter for ExampleInserter {
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
        let lines = self.lines.entry(table.clone()).or_default();
        let before = lines.len();
        append(lines, table, batch).map_err(|reason| {
            lines.truncate(before);
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
            memory: self.lines.values().map(Vec::capacity).sum(),
            largest_output: self.lines.values().map(|lines| lines.len() as u64).sum(),
        }
    }

    async fn commit(&mut self, span: &Span) -> Result<Committed, TargetError> {
        if self.rows == 0 {
            return Ok(Committed::default());
        }
        let name = format!("{}-{}-{}.lines", span.partition, span.from, span.to);
        let text: Vec<u8> = self.lines.values().flatten().copied().collect();
        match self.write(&name, &text).await {
            Ok(true) => Ok(Committed {
                outputs: 1,
                bytes: text.len() as u64,
                rows: self.rows,
            }),
            Ok(false) => Err(TargetError::Conflict(format!(
                "{name} holds other lines than those of {span}; move it away if it is not wanted"
            ))),
            Err(error) => Err(TargetError::Unavailable(format!(
                "cannot write {name}: {error}"
            ))),
        }
    }
}

impl ExampleInserter {
    /// Writes the span's file whole or not at all, durable on return, and says whether it is what stands
    /// there: written now, or before, or by another process at this moment.
    async fn write(&self, name: &str, text: &[u8]) -> io::Result<bool> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!(".{}-{number}.unfinished", std::process::id());
        let (unfinished, place) = (self.directory.join(unfinished), self.directory.join(name));
        let mut file = fs::File::create(&unfinished).await?;
        file.write_all(text).await?;
        // Writes go on behind the scenes; only this tells whether they worked.
        file.flush().await?;
        file.sync_all().await?;
        // Unlike a rename, a link never replaces what stands there.
        let linked = fs::hard_link(&unfinished, &place).await;
        fs::remove_file(&unfinished).await?;
        let same = match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::read(&place).await? == text
            }
            other => other.map(|()| true)?,
        };
        fs::File::open(&self.directory).await?.sync_all().await?;
        Ok(same)
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
