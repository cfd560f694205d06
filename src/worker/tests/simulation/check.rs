//! The promises, looked at whenever something is stored or written, and once more at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::log::Log;
use super::world::World;
use crate::deliver::Plan;
use crate::source::Checkpoint;

/// `(partition, from, to)`
pub(super) type SpanKey = (usize, i64, i64);

#[derive(Default)]
pub(super) struct Checks {
    pub(super) violation: Option<String>,
    /// Each record: the object it is in.
    written: Vec<Vec<Option<String>>>,
    /// So many records from the front are written.
    prefix: Vec<usize>,
    /// Every span that ever was in a stored plan, with the times it was opened at.
    planned: BTreeMap<SpanKey, BTreeSet<i64>>,
    /// Spans some object was written of.
    spans: BTreeSet<SpanKey>,
    /// Partitions that were begun again from an older checkpoint, which they may store anew.
    pub(super) begun_again: BTreeSet<usize>,
}

impl Checks {
    pub(super) fn new(logs: &[Arc<Log>]) -> Self {
        Self {
            written: logs
                .iter()
                .map(|log| vec![None; log.records.len()])
                .collect(),
            prefix: vec![0; logs.len()],
            ..Self::default()
        }
    }
}

impl World {
    /// A checkpoint is about to be stored: all before it must be in objects.
    pub(super) fn check_stored(&mut self, partition: usize, checkpoint: &Checkpoint) {
        let to = checkpoint.position.offset();
        let before = self.group.stored[partition].position.offset();
        if to < before && !self.checks.begun_again.contains(&partition) {
            self.violate(&format!(
                "the checkpoint of {partition} goes back from {before} to {to}"
            ));
        }
        let due = self.logs[partition].index_of(to);
        let written = &self.checks.written[partition];
        let mut prefix = self.checks.prefix[partition];
        while written.get(prefix).is_some_and(Option::is_some) {
            prefix += 1;
        }
        self.checks.prefix[partition] = prefix;
        if prefix < due {
            let missing = self.logs[partition].records[prefix].offset;
            self.violate(&format!(
                "the checkpoint of {partition} is {to}, but record {missing} is in no object"
            ));
        }
        match Plan::read(&checkpoint.note, checkpoint.position) {
            Ok(plan) => {
                let mut from = to;
                for span in plan.map(|plan| plan.spans).unwrap_or_default() {
                    let key = (partition, from, span.to.offset());
                    self.checks
                        .planned
                        .entry(key)
                        .or_default()
                        .insert(span.opened_ms);
                    from = span.to.offset();
                }
            }
            Err(error) => self.violate(&format!("a plan of {partition}: {error}")),
        }
    }

    /// A process begins to write an output.
    pub(super) fn check_sent(&mut self, process: usize, span: SpanKey, opened_ms: i64) {
        let planned = self.checks.planned.get(&span);
        if !planned.is_some_and(|times| times.contains(&opened_ms)) {
            self.violate(&format!(
                "p{process} writes {span:?} opened at {opened_ms}, of which no plan was ever stored"
            ));
        }
        let reads = self
            .clients
            .get(&process)
            .is_some_and(|client| client.slot_of(span.0).is_some());
        if !reads && !crate::mutation::on(crate::mutation::Mutation::ReportForAnother) {
            self.violate(&format!(
                "p{process} writes {span:?}, which it knows to be another's"
            ));
        }
    }

    /// An object has appeared.
    pub(super) fn check_created(
        &mut self,
        name: &str,
        table: &str,
        span: SpanKey,
        opened_ms: i64,
        rows: &[String],
    ) {
        let (partition, from, to) = span;
        let log = self.logs[partition].clone();
        let expected = log.rows(table, from, to, opened_ms);
        if expected != rows {
            let differs = expected.iter().zip(rows).position(|(a, b)| a != b);
            let at = differs.unwrap_or(expected.len().min(rows.len()));
            self.violate(&format!(
                "{name} has {} rows, not {}; row {at} is {:?}, not {:?}",
                rows.len(),
                expected.len(),
                rows.get(at),
                expected.get(at)
            ));
        }
        self.checks.spans.insert(span);
        for index in log.within(from, to) {
            if log.table_of(index) != table {
                continue;
            }
            if let Some(other) = self.checks.written[partition][index].replace(name.to_owned()) {
                let offset = log.records[index].offset;
                self.violate(&format!(
                    "record {offset} of {partition} is in {other} and in {name}"
                ));
            }
        }
    }

    /// Whether everything is committed, and nothing is planned any more.
    pub(super) fn finished(&self) -> bool {
        let mut stored = self.logs.iter().zip(&self.group.stored);
        stored.all(|(log, stored)| stored.position.offset() >= log.end() && stored.note.is_empty())
    }

    /// What must be true once everything is committed.
    pub(super) fn check_end(&mut self) {
        for partition in 0..self.logs.len() {
            let missing = self.checks.written[partition]
                .iter()
                .position(Option::is_none);
            if let Some(index) = missing {
                let offset = self.logs[partition].records[index].offset;
                self.violate(&format!(
                    "record {offset} of {partition} is in no object at the end"
                ));
            }
        }
        let spans: Vec<_> = self.checks.spans.iter().copied().collect();
        for pair in spans.windows(2) {
            if pair[0].0 == pair[1].0 && pair[1].1 < pair[0].2 {
                self.violate(&format!("spans overlap: {:?} and {:?}", pair[0], pair[1]));
            }
        }
    }
}
