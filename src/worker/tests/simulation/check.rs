//! The promises, looked at whenever something is stored or written, and once more at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::log::{Log, offset_of};
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
    /// Each record: how often it is in the historical topic.
    late: Vec<Vec<u64>>,
    /// The records of each event that can be repeated, if repeats are dropped.
    copies: BTreeMap<(usize, u64, u64), Vec<(usize, usize)>>,
    /// So many records from the front are safe.
    prefix: Vec<usize>,
    /// Every span that ever was in a stored plan, with the times it was opened at.
    planned: BTreeMap<SpanKey, BTreeSet<i64>>,
    /// Spans some object was written of.
    spans: BTreeSet<SpanKey>,
    /// Partitions that were begun again from an older checkpoint, which they may store anew.
    pub(super) begun_again: BTreeSet<usize>,
}

impl Checks {
    pub(super) fn new(logs: &[Arc<Log>], repeats: bool) -> Self {
        let mut copies: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (partition, log) in logs.iter().enumerate().filter(|_| repeats) {
            for index in 0..log.records.len() {
                if let Some(event) = log.event(index) {
                    copies.entry(event).or_default().push((partition, index));
                }
            }
        }
        Self {
            copies,
            late: logs.iter().map(|log| vec![0; log.records.len()]).collect(),
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
    /// A checkpoint is about to be stored: all before it must be safe.
    pub(super) fn check_stored(&mut self, partition: usize, checkpoint: &Checkpoint) {
        let to = checkpoint.position.offset();
        let before = self.group.stored[partition].position.offset();
        if to < before && !self.checks.begun_again.contains(&partition) {
            self.violate(&format!(
                "the checkpoint of {partition} goes back from {before} to {to}"
            ));
        }
        let due = self.logs[partition].index_of(to);
        let mut prefix = self.checks.prefix[partition];
        while prefix < due && self.is_safe(partition, prefix, to) {
            prefix += 1;
        }
        self.checks.prefix[partition] = prefix;
        if prefix < due {
            let missing = self.logs[partition].records[prefix].offset;
            self.violate(&format!(
                "the checkpoint of {partition} is {to}, but record {missing} is neither in an object nor where else it belongs"
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

    /// Whether a record may be passed by the checkpoint `to`: it is where it belongs, or repeats one that is, or that is still to be
    /// delivered because nobody has passed it yet.
    fn is_safe(&self, partition: usize, index: usize, to: i64) -> bool {
        if self.checks.written[partition][index].is_some() || self.checks.late[partition][index] > 0
        {
            return true;
        }
        let is_late =
            |(_, opened_ms): (SpanKey, i64)| self.logs[partition].is_late(index, opened_ms);
        let mut plans = self.plans_of(partition, index).peekable();
        if plans.peek().is_some() && plans.all(is_late) {
            return false;
        }
        self.has_copy(partition, index, |other, at| {
            let stored = self.group.stored[other].position.offset();
            let checkpoint = if other == partition { to } else { stored };
            self.logs[other].records[at].offset >= checkpoint
        })
    }

    /// Whether the record repeats one that is where it belongs, or of which `so` is true. That may be the historical topic: the
    /// span of the other may have been opened anew, on another day.
    fn has_copy(&self, partition: usize, index: usize, so: impl Fn(usize, usize) -> bool) -> bool {
        let Some(event) = self.logs[partition].event(index) else {
            return false;
        };
        let others = self.checks.copies.get(&event).into_iter().flatten();
        others.into_iter().any(|&(other, at)| {
            let delivered =
                self.checks.written[other][at].is_some() || self.checks.late[other][at] > 0;
            (other, at) != (partition, index) && (delivered || so(other, at))
        })
    }

    /// The planned spans that hold a record, each with a time at which it was opened.
    fn plans_of(&self, partition: usize, index: usize) -> impl Iterator<Item = (SpanKey, i64)> {
        let offset = self.logs[partition].records[index].offset;
        let mine = (partition, i64::MIN, i64::MIN)..=(partition, offset, i64::MAX);
        let spans = self.checks.planned.range(mine);
        spans
            .filter(move |((_, _, to), _)| offset < *to)
            .flat_map(|(span, times)| times.iter().map(|time| (*span, *time)))
    }

    /// A process sends a record to the historical topic: a plan must say that it is late.
    pub(super) fn check_late_sent(
        &mut self,
        process: usize,
        partition: usize,
        offset: i64,
        payload: Option<&str>,
    ) {
        let log = self.logs[partition].clone();
        let index = log.index_of(offset);
        let same = log.records.get(index);
        let same = same.is_some_and(|r| r.offset == offset && r.payload.as_deref() == payload);
        let is_late = |(_, opened_ms): (SpanKey, i64)| log.is_late(index, opened_ms);
        if !same || !self.plans_of(partition, index).any(is_late) {
            self.violate(&format!(
                "p{process} sends record {offset} of {partition} to the historical topic, which no plan that was ever stored makes late"
            ));
        }
    }

    /// A record is in the historical topic, perhaps not for the first time.
    pub(super) fn check_late_landed(&mut self, partition: usize, offset: i64) {
        let index = self.logs[partition].index_of(offset);
        self.checks.late[partition][index] += 1;
        if let Some(name) = self.checks.written[partition][index].clone() {
            self.violate(&format!(
                "record {offset} of {partition} is in the historical topic and in {name}"
            ));
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
        // Which of the rows repeat an event cannot be known here: what is left out is looked at when the checkpoint passes it.
        let repeats = self.settings.repeats;
        let kept: Option<BTreeSet<i64>> =
            repeats.then(|| rows.iter().filter_map(|row| offset_of(row)).collect());
        let text = self.decided.is_text(table, "n");
        let expected = log.rows(table, (from, to), opened_ms, kept.as_ref(), text);
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
            let offset = log.records[index].offset;
            let is_kept = kept.as_ref().is_none_or(|kept| kept.contains(&offset));
            if log.table_of(index) != table || !is_kept || log.is_late(index, opened_ms) {
                continue;
            }
            if self.checks.late[partition][index] > 0 {
                self.violate(&format!(
                    "record {offset} of {partition} is in the historical topic and in {name}"
                ));
            }
            if let Some(other) = self.checks.written[partition][index].replace(name.to_owned()) {
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
            let records = 0..self.logs[partition].records.len();
            let missing = records.into_iter().find(|index| {
                let written = self.checks.written[partition][*index].is_some();
                let sent_on = self.checks.late[partition][*index] > 0;
                !written && !sent_on && !self.has_copy(partition, *index, |_, _| false)
            });
            if let Some(index) = missing {
                let offset = self.logs[partition].records[index].offset;
                self.violate(&format!(
                    "record {offset} of {partition}, or one that it repeats, is nowhere at the end"
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
