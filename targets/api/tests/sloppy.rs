//! The conformance suite has teeth: each of these targets breaks one promise, and is caught at it.
#![expect(clippy::unwrap_used, reason = "tests panic on what must not fail")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use alluvium_target::conformance::{self, Harness, Output, Place};
use alluvium_target::memory::MemoryTarget;
use alluvium_target::{
    Committed, Inserter, Partition, Position, Span, SpanStart, Staged, Table, Target, TargetError,
};
use arrow_array::RecordBatch;
use async_trait::async_trait;

#[derive(Clone, Copy, Debug)]
enum Fault {
    ShowsWhenSealed,
    NamesByCounter,
    IgnoresPartition,
    KeepsTwoColumns,
    MergesNamesThatDifferInCase,
    DropsDeadLetters,
    WritesEmptySpans,
    LosesRowsWhenShrunk,
    FailsItsCheck,
    AppendsFromTheThirdProcessOn,
    LooksBeforeItWrites,
    ClaimsBeforeItWrites,
    WritesInTwoSteps,
    KeepsOtherContentSilently,
    AddsOtherContent,
    CallsAConflictUnavailable,
}

#[derive(Clone, Debug)]
struct Sloppy {
    fault: Fault,
    memory: MemoryTarget,
    /// How often a span was begun to be written, or was written.
    written: Arc<Mutex<HashMap<Span, i32>>>,
}

impl Sloppy {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            memory: MemoryTarget::new(),
            written: Arc::default(),
        }
    }

    fn times_written(&self, span: &Span) -> i32 {
        self.written
            .lock()
            .unwrap()
            .get(span)
            .copied()
            .unwrap_or_default()
    }

    fn note(&self, span: &Span) {
        *self
            .written
            .lock()
            .unwrap()
            .entry(span.clone())
            .or_default() += 1;
    }
}

/// A span that is another output to the memory target.
fn aside(span: &Span, number: i32) -> Span {
    let topic = format!("{}+{}", span.partition, number);
    Span {
        partition: Partition::new(topic, number),
        ..span.clone()
    }
}

#[async_trait]
impl Harness for Sloppy {
    async fn fresh(&self) -> Box<dyn Place> {
        Box::new(Self::new(self.fault))
    }
}

#[async_trait]
impl Place for Sloppy {
    fn target(&self) -> Arc<dyn Target> {
        Arc::new(self.clone())
    }

    async fn visible(&self) -> Vec<Output> {
        self.memory.visible().await
    }
}

#[async_trait]
impl Target for Sloppy {
    fn begin(&self, start: &SpanStart) -> Result<Box<dyn Inserter>, TargetError> {
        let (target, start) = (self.clone(), start.clone());
        let inner = self.memory.begin(&start)?;
        Ok(Box::new(SloppyInserter {
            target,
            start,
            inner,
            batches: Vec::new(),
            noted: false,
        }))
    }

    async fn check(&self) -> Result<(), TargetError> {
        match self.fault {
            Fault::FailsItsCheck => Err(TargetError::Misconfigured("always".into())),
            _ => Ok(()),
        }
    }
}

struct SloppyInserter {
    target: Sloppy,
    start: SpanStart,
    inner: Box<dyn Inserter>,
    batches: Vec<(Table, RecordBatch)>,
    /// Whether this inserter has noted the span.
    noted: bool,
}

impl SloppyInserter {
    /// Shows the first row of every table, and the others a moment later.
    async fn in_two_steps(&mut self, span: &Span) -> Result<(), TargetError> {
        for step in 0..2 {
            let mut part = self.target.memory.begin(&self.start)?;
            let mut met = Vec::new();
            for (table, batch) in &self.batches {
                let head = usize::from(!met.contains(&table));
                met.push(table);
                let rows = batch.num_rows();
                let piece = match step {
                    0 => batch.slice(0, head),
                    _ => batch.slice(head, rows - head),
                };
                part.add(table, &piece)?;
            }
            part.commit(&aside(span, step)).await?;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Inserter for SloppyInserter {
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
        self.batches.push((table.clone(), batch.clone()));
        match self.target.fault {
            Fault::DropsDeadLetters if table.is_dead_letters() => Ok(()),
            Fault::KeepsTwoColumns => self.inner.add(table, &batch.project(&[0, 1]).unwrap()),
            Fault::MergesNamesThatDifferInCase => {
                let collection = table.collection().to_lowercase();
                self.inner
                    .add(&Table::new(table.project(), collection), batch)
            }
            _ => self.inner.add(table, batch),
        }
    }

    fn staged(&self) -> Staged {
        self.inner.staged()
    }

    fn shrink(&mut self) -> Result<(), TargetError> {
        if matches!(self.target.fault, Fault::LosesRowsWhenShrunk) {
            self.inner = self.target.memory.begin(&self.start)?;
        }
        Ok(())
    }

    fn seal(&mut self, span: &Span) -> Result<(), TargetError> {
        if matches!(self.target.fault, Fault::ShowsWhenSealed) {
            let mut commit = self.inner.commit(span);
            let shown = commit
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(shown.is_ready());
        }
        Ok(())
    }

    async fn commit(&mut self, span: &Span) -> Result<Committed, TargetError> {
        static COUNTER: AtomicI64 = AtomicI64::new(0);
        let mut span = span.clone();
        match self.target.fault {
            Fault::NamesByCounter => {
                span.to = Position::at(COUNTER.fetch_add(1, Ordering::Relaxed));
            }
            Fault::IgnoresPartition => {
                span.partition = Partition::new("any", 0);
                return match self.inner.commit(&span).await {
                    Err(TargetError::Conflict(_)) => Ok(Committed::default()),
                    other => other,
                };
            }
            Fault::AppendsFromTheThirdProcessOn => {
                let times = self.target.times_written(&span);
                if !self.noted {
                    self.target.note(&span);
                    self.noted = true;
                }
                if times > 2 {
                    span = aside(&span, times);
                }
            }
            Fault::LooksBeforeItWrites => {
                if self.target.times_written(&span) > 0 {
                    return Ok(Committed::default());
                }
                tokio::task::yield_now().await;
                let own = aside(&span, COUNTER.fetch_add(1, Ordering::Relaxed) as i32);
                let committed = self.inner.commit(&own).await;
                self.target.note(&span);
                return committed;
            }
            Fault::ClaimsBeforeItWrites => {
                if self.target.times_written(&span) > 0 && !self.noted {
                    return Ok(Committed::default());
                }
                self.target.note(&span);
                self.noted = true;
                tokio::task::yield_now().await;
            }
            Fault::WritesInTwoSteps => {
                self.in_two_steps(&span).await?;
                let rows = self.batches.iter().map(|(_, batch)| batch.num_rows());
                return Ok(Committed {
                    rows: rows.sum::<usize>() as u64,
                    ..Committed::default()
                });
            }
            Fault::KeepsOtherContentSilently
            | Fault::AddsOtherContent
            | Fault::CallsAConflictUnavailable => {
                let result = self.inner.commit(&span).await;
                let Err(TargetError::Conflict(why)) = result else {
                    return result;
                };
                return match self.target.fault {
                    Fault::KeepsOtherContentSilently => Ok(Committed::default()),
                    Fault::AddsOtherContent => self.inner.commit(&aside(&span, 0)).await,
                    _ => Err(TargetError::Unavailable(why)),
                };
            }
            Fault::WritesEmptySpans => {
                let committed = self.inner.commit(&span).await?;
                return Ok(Committed {
                    outputs: committed.outputs.max(1),
                    ..committed
                });
            }
            _ => {}
        }
        self.inner.commit(&span).await
    }
}

#[tokio::test]
async fn every_fault_is_caught_by_its_check() {
    for (fault, check) in [
        (Fault::ShowsWhenSealed, "nothing is visible before commit"),
        (Fault::NamesByCounter, "a second commit leaves one copy"),
        (Fault::IgnoresPartition, "spans and partitions stay apart"),
        (
            Fault::KeepsTwoColumns,
            "a later batch may have more columns",
        ),
        (
            Fault::MergesNamesThatDifferInCase,
            "hostile names stay apart and inside",
        ),
        (Fault::DropsDeadLetters, "dead letters come with the span"),
        (
            Fault::WritesEmptySpans,
            "a span without rows commits nothing",
        ),
        (Fault::LosesRowsWhenShrunk, "shrinking keeps every row"),
        (Fault::FailsItsCheck, "passes its own check"),
        (
            Fault::AppendsFromTheThirdProcessOn,
            "many processes leave one copy",
        ),
        (Fault::LooksBeforeItWrites, "writers at once leave one copy"),
        (
            Fault::ClaimsBeforeItWrites,
            "a commit cut off is completed by another",
        ),
        (Fault::WritesInTwoSteps, "a reader sees whole outputs only"),
        (
            Fault::KeepsOtherContentSilently,
            "other content is never mixed in",
        ),
        (Fault::AddsOtherContent, "other content is never mixed in"),
        (
            Fault::CallsAConflictUnavailable,
            "other content is never mixed in",
        ),
    ] {
        let sloppy = Sloppy::new(fault);
        let caught = tokio::spawn(async move { conformance::run(&sloppy).await }).await;
        let Err(panicked) = caught else {
            panic!("{fault:?} was not caught")
        };
        let message = *panicked.into_panic().downcast::<String>().unwrap();
        assert!(message.contains(check), "{fault:?}: {message}");
    }
}
