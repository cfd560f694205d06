//! A target in memory that knows which records it has, and takes neither all rows nor always.

use std::collections::{BTreeMap, HashSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alluvium_target::memory::MemoryTarget;
use alluvium_target::{Committed, Inserter, Staged, Target, TargetError};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_schema::DataType;
use async_trait::async_trait;

use crate::record::{Span, SpanStart, Table};

/// The collection whose rows are refused as they come, and the one whose rows are refused when the span is to be made durable. Both always, as
/// those of a real target: who reads a span again is refused again.
pub(super) const UNWELCOME: &str = "unwelcome";
pub(super) const REFUSED: &str = "refused";

/// A handle; clones share everything. What [`MemoryTarget`] has switches for goes wrong there.
#[derive(Clone, Debug, Default)]
pub(super) struct SimTarget {
    memory: MemoryTarget,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How often each record is there, as a row or as a dead letter.
    found: BTreeMap<u64, usize>,
    repeated: Option<(u64, usize)>,
    spans: HashSet<Span>,
    /// How long it takes to refuse a span.
    hesitation: Duration,
    failing_adds: u64,
}

impl Deref for SimTarget {
    type Target = MemoryTarget;

    fn deref(&self) -> &MemoryTarget {
        &self.memory
    }
}

impl SimTarget {
    /// How often each record is there.
    pub(super) fn found(&self) -> BTreeMap<u64, usize> {
        self.lock().found.clone()
    }

    /// Whether a record is there.
    pub(super) fn has(&self, number: u64) -> bool {
        self.lock().found.contains_key(&number)
    }

    /// The first record that is there.
    pub(super) fn first(&self) -> Option<u64> {
        let shared = self.lock();
        shared.found.first_key_value().map(|(number, _)| *number)
    }

    /// A record that is there more than once, and how often.
    pub(super) fn repeated(&self) -> Option<(u64, usize)> {
        self.lock().repeated
    }

    /// Lets the next `count` batches be refused for now.
    pub(super) fn fail_adds(&self, count: u64) {
        self.lock().failing_adds = count;
    }

    /// Lets every refusal of a span from now on take this long.
    pub(super) fn hesitate(&self, hesitation: Duration) {
        self.lock().hesitation = hesitation;
    }

    fn note(&self, span: &Span, numbers: &[u64]) {
        let shared = &mut *self.lock();
        if shared.spans.insert(span.clone()) {
            for &number in numbers {
                let count = shared.found.entry(number).or_default();
                *count += 1;
                if *count > 1 {
                    shared.repeated = Some((number, *count));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Target for SimTarget {
    fn begin(&self, start: &SpanStart) -> Result<Box<dyn Inserter>, TargetError> {
        Ok(Box::new(SimInserter {
            target: self.clone(),
            inner: self.memory.begin(start)?,
            numbers: Vec::new(),
            refused: None,
        }))
    }

    async fn check(&self) -> Result<(), TargetError> {
        self.memory.check().await
    }
}

struct SimInserter {
    target: SimTarget,
    inner: Box<dyn Inserter>,
    numbers: Vec<u64>,
    /// The table for whose sake the span is refused.
    refused: Option<Table>,
}

#[async_trait]
impl Inserter for SimInserter {
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
        {
            let mut shared = self.target.lock();
            if shared.failing_adds > 0 {
                shared.failing_adds -= 1;
                return Err(TargetError::Unavailable("the test said so".into()));
            }
        }
        match table.collection() {
            UNWELCOME => return Err(rejected(table)),
            REFUSED => self.refused = Some(table.clone()),
            _ => {}
        }
        self.numbers.extend(numbers(table, batch));
        self.inner.add(table, batch)
    }

    fn staged(&self) -> Staged {
        self.inner.staged()
    }

    async fn commit(&mut self, span: &Span) -> Result<Committed, TargetError> {
        if let Some(table) = &self.refused {
            let hesitation = self.target.lock().hesitation;
            tokio::time::sleep(hesitation).await;
            return Err(rejected(table));
        }
        let committed = self.inner.commit(span).await?;
        self.target.note(span, &self.numbers);
        Ok(committed)
    }
}

fn rejected(table: &Table) -> TargetError {
    TargetError::Rejected {
        table: table.clone(),
        reason: "the test said so".into(),
    }
}

/// The numbers of the records in a batch.
fn numbers(table: &Table, batch: &RecordBatch) -> Vec<u64> {
    let name = match table.is_dead_letters() {
        true => "payload",
        false => "n",
    };
    let column = batch.column_by_name(name).unwrap();
    let number = |row| match column.data_type() {
        DataType::Binary => number_in(column.as_binary::<i32>().value(row)),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row) as u64,
        _ => column.as_primitive::<Float64Type>().value(row) as u64,
    };
    (0..batch.num_rows()).map(number).collect()
}

fn number_in(payload: &[u8]) -> u64 {
    let event: serde_json::Value = serde_json::from_slice(payload).unwrap();
    event["n"].as_u64().unwrap()
}
