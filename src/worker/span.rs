//! The open span of one partition: rows in column builders, batches in the target's inserter.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use alluvium_target::{Inserter, TargetError};
use hashbrown::{Equivalent, HashMap};
use prometheus::IntCounter;

use super::letters::Letters;
use crate::awaited::Needed;
use crate::catalog::{Tables, Told};
use crate::deliver::{Late, Load, Unreadable};
use crate::duplicates::{Gathering, Key};
use crate::flush::Policy;
use crate::metrics::Metrics;
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Partition, Record, Row, Span, Table};
use crate::table::{ColumnSettings, ColumnType, TableBuilder};

/// A table's name as a record gives it, to look the table up without making one.
#[derive(Hash)]
struct Name<'a>(&'a str, &'a str);

impl Equivalent<Table> for Name<'_> {
    fn equivalent(&self, table: &Table) -> bool {
        self.0 == table.project() && self.1 == table.collection()
    }
}

/// The place of a table in its span.
#[derive(Clone, Copy)]
pub(super) struct TableIndex(usize);

/// One table's rows on their way into batches.
struct Building {
    table: Table,
    builder: TableBuilder,
    count: IntCounter,
    /// Payload bytes of the rows in the builder.
    bytes: usize,
}

impl Building {
    /// Has all that the catalog has told of the table.
    fn extend(&mut self, told: &Told) {
        self.builder.extend(columns(told));
        for name in &*told.refused {
            self.builder.refuse(name);
        }
    }
}

fn columns(told: &Told) -> impl Iterator<Item = (u32, &str, &ColumnType)> {
    let columns = told.columns.iter();
    columns.map(|column| (column.id, &*column.name, &column.kind))
}

/// Everything gathered of a span so far. Dropped, it leaves nothing behind.
pub(super) struct OpenSpan {
    /// When the first record was taken, on the worker's clock.
    pub(super) opened: Duration,
    pub(super) opened_ms: i64,
    inserter: Box<dyn Inserter>,
    tables: Vec<Building>,
    by_name: HashMap<Table, usize>,
    /// Made when the first is kept: its builders take 28 KB, and most spans have none.
    letters: Option<Box<Letters>>,
    /// When the oldest row that is in no batch yet was taken.
    waiting_since: Option<Duration>,
    /// Records of another day, on their way to the historical topic.
    late: Option<Late>,
    /// The events of its rows, if repeats are dropped.
    events: Option<Gathering>,
    /// Rows, dead letters and late records taken.
    records: u64,
    /// The records that nobody could read.
    unreadable: Unreadable,
    /// Whether the target gets anything.
    empty: bool,
}

/// What a span needs to make batches.
pub(super) struct Making<'a> {
    pub(super) policy: &'a Policy,
    pub(super) columns: &'a Arc<ColumnSettings>,
    /// Decides which columns tables have; if nobody does, their rows do.
    pub(super) tables: Option<&'a dyn Tables>,
    pub(super) metrics: &'a Metrics,
}

impl OpenSpan {
    pub(super) fn new(
        inserter: Box<dyn Inserter>,
        opened: Duration,
        opened_ms: i64,
        events: Option<Gathering>,
    ) -> Self {
        Self {
            opened,
            opened_ms,
            inserter,
            tables: Vec::new(),
            by_name: HashMap::new(),
            letters: None,
            waiting_since: None,
            late: None,
            events,
            records: 0,
            unreadable: Unreadable::default(),
            empty: true,
        }
    }

    /// Sees to it that every field of a row has been decided about, before the row is taken. Who decides has to know the table, which
    /// need not be looked for again.
    ///
    /// # Errors
    /// What is not decided yet. Nothing of the row is taken then.
    pub(super) fn decide(
        &mut self,
        row: &Row<'_>,
        making: &Making<'_>,
    ) -> Result<Option<TableIndex>, Needed> {
        let Some(tables) = making.tables else {
            return Ok(None);
        };
        let (project, collection) = (row.project(), row.collection());
        let of_every_table = || {
            let columns = making.columns.of_every_table().into_iter();
            columns.map(|(name, kind)| (name.to_lowercase(), kind))
        };
        let needed = |state| {
            Needed::new(
                format_args!("the catalog's word on {project}.{collection}"),
                state,
            )
        };
        let index = match self.by_name.get(&Name(project, collection)) {
            Some(index) => *index,
            None => {
                let wanted: Vec<_> = of_every_table().collect();
                let told = tables
                    .decide(project, collection, &wanted)
                    .map_err(needed)?;
                #[cfg(test)]
                let told = match mutation::on(Mutation::DecidedByOneself) {
                    true => told.only(&wanted),
                    false => told,
                };
                let builder = TableBuilder::bound(making.columns, self.opened_ms, columns(&told));
                let index = self.begin_table(project, collection, builder, making);
                self.tables[index].extend(&told);
                index
            }
        };
        let building = &mut self.tables[index];
        let undecided = building.builder.undecided(row);
        if !undecided.is_empty() {
            let told = tables
                .decide(project, collection, &undecided)
                .map_err(needed)?;
            #[cfg(test)]
            if mutation::on(Mutation::DecidedByOneself) {
                let own = undecided.iter().zip(1000..);
                let own = own.map(|((name, kind), id)| (id, name.as_str(), kind));
                building.builder.extend(own);
            }
            building.extend(&told);
        }
        Ok(Some(TableIndex(index)))
    }

    /// Takes a row, whose table may have been found already, and hands a full batch to the target; whether it did.
    pub(super) fn take_row(
        &mut self,
        row: &Row<'_>,
        record: &Record<'_>,
        table: Option<TableIndex>,
        bytes: usize,
        now: Duration,
        making: &Making<'_>,
    ) -> Result<bool, TargetError> {
        self.note(now);
        let index = match table {
            Some(TableIndex(index)) => index,
            None => self.table(row.project(), row.collection(), making),
        };
        let building = &mut self.tables[index];
        building.builder.append_of(row, record);
        building.bytes += bytes;
        let full = building.builder.rows() >= making.policy.batch_rows
            || building.bytes >= making.policy.batch_bytes
            || building.builder.full();
        if full {
            self.finish_table(index)?;
        }
        Ok(full)
    }

    /// Keeps a record that is no row; whether it handed a full batch to the target.
    pub(super) fn take_letter(
        &mut self,
        partition: &Partition,
        record: &Record<'_>,
        reason: &str,
        now: Duration,
        making: &Making<'_>,
    ) -> Result<bool, TargetError> {
        self.note(now);
        let letters = self.letters.get_or_insert_default();
        letters.append(partition, record, reason);
        let full = letters.rows() >= making.policy.batch_rows
            || letters.bytes() >= making.policy.batch_bytes;
        if full {
            self.finish_letters()?;
        }
        Ok(full)
    }

    /// Nobody could read the record.
    pub(super) fn note_unreadable(&mut self, record: &Record<'_>) {
        self.unreadable.add(record.position);
    }

    /// The records that nobody could read so far.
    pub(super) fn unreadable(&self) -> Unreadable {
        self.unreadable
    }

    /// Whether no record was taken yet.
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Whether the record repeats an event.
    pub(super) fn repeats(&mut self, event: Key, record: &Record<'_>) -> Result<bool, TargetError> {
        let Some(events) = &mut self.events else {
            return Ok(false);
        };
        let repeats = events.repeats(event, record.position);
        repeats.map_err(|error| TargetError::Unavailable(error.to_string()))
    }

    /// Keeps a record that goes to the topic `to` instead of the target.
    pub(super) fn take_late(&mut self, to: &Arc<str>, partition: &Partition, record: &Record<'_>) {
        self.records += 1;
        let late = self
            .late
            .get_or_insert_with(|| Late::new(to.clone(), partition.clone()));
        late.push(record);
    }

    /// Rows, dead letters and late records taken.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    fn note(&mut self, now: Duration) {
        self.empty = false;
        self.records += 1;
        self.waiting_since.get_or_insert(now);
    }

    fn table(&mut self, project: &str, collection: &str, making: &Making<'_>) -> usize {
        if let Some(index) = self.by_name.get(&Name(project, collection)) {
            return *index;
        }
        let builder = TableBuilder::new(making.columns, self.opened_ms);
        self.begin_table(project, collection, builder, making)
    }

    fn begin_table(
        &mut self,
        project: &str,
        collection: &str,
        builder: TableBuilder,
        making: &Making<'_>,
    ) -> usize {
        let table = Table::new(project, collection);
        let count = making.metrics.rows_of(&table.to_string());
        self.tables.push(Building {
            table: table.clone(),
            builder,
            count,
            bytes: 0,
        });
        self.by_name.insert(table, self.tables.len() - 1);
        self.tables.len() - 1
    }

    fn finish_table(&mut self, index: usize) -> Result<(), TargetError> {
        let building = &mut self.tables[index];
        let rows = building.builder.rows();
        if rows == 0 {
            return Ok(());
        }
        building.bytes = 0;
        let batch = building.builder.finish();
        building.count.inc_by(to_u64(rows));
        self.inserter.add(&building.table, &batch)
    }

    fn finish_letters(&mut self) -> Result<(), TargetError> {
        // Also gives back what their builders took.
        let Some(mut letters) = self.letters.take() else {
            return Ok(());
        };
        let table = Table::dead_letters();
        let batch = letters.finish().map_err(|error| TargetError::Rejected {
            table: table.clone(),
            reason: format!("dead letters do not form a batch: {error}"),
        })?;
        self.inserter.add(&table, &batch)
    }

    /// Hands every row to the target, full batch or not, in the order in which tables appeared.
    fn finish_batches(&mut self) -> Result<(), TargetError> {
        for index in 0..self.tables.len() {
            self.finish_table(index)?;
        }
        self.finish_letters()?;
        self.waiting_since = None;
        Ok(())
    }

    /// As [`OpenSpan::finish_batches`], if rows have waited for long enough.
    pub(super) fn finish_aged(
        &mut self,
        now: Duration,
        policy: &Policy,
    ) -> Result<(), TargetError> {
        let aged = |since: Duration| now.saturating_sub(since) >= policy.max_batch_age;
        if self.waiting_since.is_some_and(aged) {
            self.finish_batches()
        } else {
            Ok(())
        }
    }

    /// Makes what is held as small as it can be without sealing.
    pub(super) fn shrink(&mut self) -> Result<(), TargetError> {
        self.finish_batches()?;
        self.inserter.shrink()
    }

    /// Bytes in builders, and bytes in all.
    pub(super) fn memory(&self) -> (u64, u64) {
        let building: usize = self.tables.iter().map(|t| t.builder.memory()).sum();
        let letters = self.letters.as_ref().map_or(0, |letters| letters.bytes());
        let building = to_u64(building + letters);
        let late = self.late.as_ref().map_or(0, Late::memory)
            + self.events.as_ref().map_or(0, Gathering::memory);
        (
            building,
            building + to_u64(late + self.inserter.staged().memory),
        )
    }

    pub(super) fn largest_output(&self) -> u64 {
        let late = self.late.as_ref().map_or(0, Late::memory);
        self.inserter.staged().largest_output.max(to_u64(late))
    }

    /// Hands the rest to the target and returns what is to be made durable; `None` if that is nothing.
    pub(super) fn seal(mut self, span: &Span) -> Result<Option<Load>, TargetError> {
        if self.empty {
            let late = self.late.map(|late| Load {
                inserter: None,
                late: Some(late),
                events: None,
            });
            return Ok(late);
        }
        self.finish_batches()?;
        self.inserter.seal(span)?;
        Ok(Some(Load {
            inserter: Some(self.inserter),
            late: self.late,
            events: self.events,
        }))
    }
}

fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
