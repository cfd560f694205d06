//! Batches to the objects of a span, which nobody keeps.

use std::time::{Duration, SystemTime};

use alluvium_objects::{
    Body, Compression, Created, Found, KeyTemplate, LineLayout, Listed, Object, ObjectSettings,
    ObjectTarget, Store,
};
use alluvium_target::{Partition, Position, Span, SpanStart, Table, Target, TargetError};
use arrow_array::RecordBatch;
use async_trait::async_trait;

/// Forgets every object.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Store for Nowhere {
    async fn create(&self, _: &str, _: &Object) -> Result<Created, TargetError> {
        Ok(Created::New)
    }

    async fn replace(&self, _: &str, _: &Object) -> Result<(), TargetError> {
        Ok(())
    }

    async fn describe(&self, _: &str) -> Result<Option<Found>, TargetError> {
        Ok(None)
    }

    async fn list(&self, _: &str, _: Option<&str>) -> Result<Vec<Listed>, TargetError> {
        Ok(Vec::new())
    }

    async fn read(&self, key: &str) -> Result<Body, TargetError> {
        Err(TargetError::Unavailable(format!("{key} is not kept")))
    }

    async fn check(&self) -> Result<(), TargetError> {
        Ok(())
    }
}

/// Batches, one of each table, and the target that writes them.
pub struct Lines {
    batches: Vec<(Table, RecordBatch)>,
    target: ObjectTarget<Nowhere>,
    span: Span,
}

impl Lines {
    pub fn new(batches: Vec<RecordBatch>, compression: Compression, level: u32) -> Self {
        let key = KeyTemplate::default_text(compression);
        let settings = ObjectSettings {
            key: KeyTemplate::parse(key).expect("a template"),
            layout: LineLayout::Rakam,
            compression,
            level,
            time_field: "_time".into(),
            user_field: "_user".into(),
        };
        let tables = (0..).map(|number| Table::new("bench", format!("table_{number}")));
        Self {
            batches: tables.zip(batches).collect(),
            target: ObjectTarget::new(Nowhere, settings).expect("good settings"),
            span: Span {
                partition: Partition::new("events", 0),
                from: Position::at(0),
                to: Position::at(1),
            },
        }
    }

    /// All of them to one span's objects.
    pub fn write(&self) {
        let Span {
            partition, from, ..
        } = self.span.clone();
        let start = SpanStart {
            partition,
            from,
            opened: SystemTime::UNIX_EPOCH + Duration::from_secs(1_517_378_400),
        };
        let mut inserter = self.target.begin(&start).expect("an inserter");
        for (table, batch) in &self.batches {
            inserter.add(table, batch).expect("rows are taken");
        }
        inserter.seal(&self.span).expect("rows are taken");
    }
}
