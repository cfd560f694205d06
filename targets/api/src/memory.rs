//! A target that keeps rows in memory, for tests.
//!
//! It owns what was committed, and switches for the failures a test wants to see. It refuses other rows
//! for a span that is there. It is not for use in earnest: nothing leaves the process and nothing is ever
//! given back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use async_trait::async_trait;

use crate::conformance::{Output, Place, Row};
use crate::{Committed, Inserter, Span, SpanStart, Staged, Table, Target, TargetError};

/// Rows of one span, by table, in the order they came.
type Rows = BTreeMap<Table, Vec<RecordBatch>>;

/// A handle to committed rows. Clones share them, so that a test can keep one.
#[derive(Clone, Debug, Default)]
pub struct MemoryTarget {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    spans: HashMap<Span, Rows>,
    /// Spans in the order they were first committed.
    order: Vec<Span>,
    attempts: u64,
    failing_commits: u64,
    failing_table: Option<Table>,
    rejected: HashSet<Table>,
    delay: Duration,
    unusable: Option<String>,
}

impl MemoryTarget {
    /// A target nothing was committed to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the next `count` commits fail as [`TargetError::Unavailable`].
    pub fn fail_commits(&self, count: u64) {
        self.lock().failing_commits = count;
    }

    /// Lets every commit that has rows of `table` fail as [`TargetError::Unavailable`]; with `None`, no more.
    pub fn fail_commits_of(&self, table: Option<Table>) {
        self.lock().failing_table = table;
    }

    /// Refuses rows of `table` from now on, as [`TargetError::Rejected`].
    pub fn reject(&self, table: Table) {
        self.lock().rejected.insert(table);
    }

    /// Lets every commit that begins from now on take this long.
    pub fn slow_commits(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Lets `check` and `begin` fail as [`TargetError::Misconfigured`] with this text.
    pub fn misconfigure(&self, why: impl Into<String>) {
        self.lock().unusable = Some(why.into());
    }

    /// The committed spans, in the order they were first committed.
    pub fn spans(&self) -> Vec<Span> {
        self.lock().order.clone()
    }

    /// The tables that have rows, sorted.
    pub fn tables(&self) -> Vec<Table> {
        let shared = self.lock();
        let mut tables: Vec<_> = shared
            .spans
            .values()
            .flat_map(|rows| rows.keys().cloned())
            .collect();
        tables.sort();
        tables.dedup();
        tables
    }

    /// The committed batches of `table`, span by span in the order of [`MemoryTarget::spans`].
    pub fn batches(&self, table: &Table) -> Vec<(Span, Vec<RecordBatch>)> {
        let shared = self.lock();
        let of_span = |span: &Span| {
            let batches = shared.spans.get(span)?.get(table)?;
            Some((span.clone(), batches.clone()))
        };
        shared.order.iter().filter_map(of_span).collect()
    }

    /// How many rows of `table` are committed.
    pub fn rows(&self, table: &Table) -> usize {
        let shared = self.lock();
        let batches = shared
            .spans
            .values()
            .filter_map(|rows| rows.get(table))
            .flatten();
        batches.map(RecordBatch::num_rows).sum()
    }

    /// How often commit was called, failures and repeats included.
    pub fn commit_attempts(&self) -> u64 {
        self.lock().attempts
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Result<(), TargetError> {
        match &self.lock().unusable {
            Some(why) => Err(TargetError::Misconfigured(why.clone())),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Target for MemoryTarget {
    fn begin(&self, _start: &SpanStart) -> Result<Box<dyn Inserter>, TargetError> {
        self.usable()?;
        Ok(Box::new(MemoryInserter {
            target: self.clone(),
            rows: Rows::new(),
            memory: 0,
        }))
    }

    async fn check(&self) -> Result<(), TargetError> {
        self.usable()
    }
}

struct MemoryInserter {
    target: MemoryTarget,
    rows: Rows,
    memory: usize,
}

#[async_trait]
impl Inserter for MemoryInserter {
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
        if self.target.lock().rejected.contains(table) {
            let reason = "the test said so".to_owned();
            return Err(TargetError::Rejected {
                table: table.clone(),
                reason,
            });
        }
        self.memory += batch.get_array_memory_size();
        self.rows
            .entry(table.clone())
            .or_default()
            .push(batch.clone());
        Ok(())
    }

    fn staged(&self) -> Staged {
        Staged {
            memory: self.memory,
            largest_output: self.memory as u64,
        }
    }

    async fn commit(&mut self, span: &Span) -> Result<Committed, TargetError> {
        let (delay, fails) = {
            let mut shared = self.target.lock();
            shared.attempts += 1;
            let of_table = shared.failing_table.as_ref();
            let of_table = of_table.is_some_and(|table| self.rows.contains_key(table));
            let fails = of_table || shared.failing_commits > 0;
            shared.failing_commits = shared.failing_commits.saturating_sub(1);
            (shared.delay, fails)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if fails {
            return Err(TargetError::Unavailable(format!(
                "the test said so, at {span}"
            )));
        }
        let count: usize = self
            .rows
            .values()
            .flatten()
            .map(RecordBatch::num_rows)
            .sum();
        if count == 0 {
            return match self.target.lock().spans.get(span) {
                Some(there) => Err(conflict(span, there, &self.rows)),
                None => Ok(Committed::default()),
            };
        }
        let mut shared = self.target.lock();
        if let Some(there) = shared.spans.get(span) {
            if sorted(there) != sorted(&self.rows) {
                return Err(conflict(span, there, &self.rows));
            }
        } else {
            shared.spans.insert(span.clone(), self.rows.clone());
            shared.order.push(span.clone());
        }
        Ok(Committed {
            outputs: self.rows.len() as u64,
            bytes: self.memory as u64,
            rows: count as u64,
        })
    }
}

/// Rows as they compare: by table, as text and in no order, however they came in batches.
fn sorted(rows: &Rows) -> BTreeMap<&Table, Vec<Row>> {
    let mut sorted = BTreeMap::new();
    for (table, batches) in rows {
        let mut rows: Vec<Row> = batches.iter().flat_map(rows_as_text).collect();
        rows.sort();
        if !rows.is_empty() {
            sorted.insert(table, rows);
        }
    }
    sorted
}

fn conflict(span: &Span, there: &Rows, rows: &Rows) -> TargetError {
    let count = |rows: &Rows| -> usize { rows.values().flatten().map(RecordBatch::num_rows).sum() };
    let (there, new) = (count(there), count(rows));
    TargetError::Conflict(format!(
        "{span} is there already with other rows ({there} there, {new} given)"
    ))
}

/// A memory target is its own reader.
#[async_trait]
impl Place for MemoryTarget {
    fn target(&self) -> Arc<dyn Target> {
        Arc::new(self.clone())
    }

    async fn visible(&self) -> Vec<Output> {
        let shared = self.lock();
        let outputs = shared.spans.values().flatten();
        let shown = outputs.map(|(table, batches)| Output {
            table: table.clone(),
            rows: batches.iter().flat_map(rows_as_text).collect(),
        });
        shown.collect()
    }
}

fn rows_as_text(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema_ref();
    let row = |at: usize| {
        let cells = schema.fields().iter().zip(batch.columns());
        let valid = cells.filter(|(_, column)| column.is_valid(at));
        valid
            .map(|(field, column)| (field.name().clone(), cell_as_text(column, at)))
            .collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn cell_as_text(column: &dyn Array, at: usize) -> String {
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(at).to_owned(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(at).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(at).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(at).to_string(),
        // Good enough to tell values apart.
        _ => format!("{:?}", column.slice(at, 1)),
    }
}
