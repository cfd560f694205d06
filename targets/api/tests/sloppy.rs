//! The conformance suite has teeth: each of these targets breaks one promise, and is caught at it.
#![expect(clippy::unwrap_used, reason = "tests panic on what must not fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Waker};

use alluvium_target::conformance::{self, Harness, Output, Place};
use alluvium_target::memory::MemoryTarget;
use alluvium_target::{
    Committed, Inserter, Position, Span, SpanStart, Staged, Table, Target, TargetError,
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
}

#[derive(Clone, Debug)]
struct Sloppy {
    fault: Fault,
    memory: MemoryTarget,
}

#[async_trait]
impl Harness for Sloppy {
    async fn fresh(&self) -> Box<dyn Place> {
        Box::new(Self {
            fault: self.fault,
            memory: MemoryTarget::new(),
        })
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
}

#[async_trait]
impl Inserter for SloppyInserter {
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
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
                span.partition = alluvium_target::Partition::new("any", 0);
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
    ] {
        let sloppy = Sloppy {
            fault,
            memory: MemoryTarget::new(),
        };
        let caught = tokio::spawn(async move { conformance::run(&sloppy).await }).await;
        let Err(panicked) = caught else {
            panic!("{fault:?} was not caught")
        };
        let message = *panicked.into_panic().downcast::<String>().unwrap();
        assert!(message.contains(check), "{fault:?}: {message}");
    }
}
