//! An object store as a target: one object for a table and a span, created if absent and compared if not.
//!
//! Requests travel: they may be refused, land without an answer, land late, or never, whatever has become of who sent them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use alluvium_target::{Committed, Inserter, Staged, Target, TargetError};
use arrow_array::RecordBatch;
use async_trait::async_trait;
use tokio::sync::oneshot;

use super::check::SpanKey;
use super::log::{LETTERS, table_name};
use super::rows;
use super::world::{Due, Shared, World};
use crate::mutation::{Mutation, on};
use crate::record::{Span, SpanStart, Table};

type Rows = Arc<Vec<String>>;

/// The objects, and the requests on their way.
#[derive(Default)]
pub(super) struct Store {
    /// With the time at which the span was opened, as objects say.
    objects: BTreeMap<String, (i64, Rows)>,
    puts: BTreeMap<u64, Put>,
}

struct Put {
    process: usize,
    name: String,
    table: String,
    span: SpanKey,
    opened_ms: i64,
    rows: Rows,
    /// Whether it lands, and whether an answer comes back.
    lands: bool,
    answers: bool,
    answer: Option<oneshot::Sender<Answer>>,
    result: Answer,
}

#[derive(Clone)]
enum Answer {
    Created,
    Exists(i64, Rows),
    Unavailable,
}

impl World {
    fn put(
        &mut self,
        process: usize,
        span: SpanKey,
        opened_ms: i64,
        table: &str,
        rows: Rows,
    ) -> oneshot::Receiver<Answer> {
        let (partition, from, to) = span;
        let name = if on(Mutation::NamedByClock) {
            format!("{table}/{partition}-{from}-{}", self.now.as_millis())
        } else {
            format!("{table}/{partition}-{from}-{to}")
        };
        self.check_sent(process, span, opened_ms);
        let (sender, receiver) = oneshot::channel();
        let id = self.number();
        let (mut lands, mut answers) = (true, true);
        let travel = |world: &mut Self| {
            if world.settings.slow_target && !world.settings.quiet {
                world.random.ms(200, 8000)
            } else {
                world.random.ms(2, 250)
            }
        };
        let mut arrives = self.now + travel(self);
        let mut answered = arrives + travel(self);
        if self.fault(self.settings.failing_puts) {
            lands = false;
        } else if self.fault(self.settings.lost_put_answers) {
            answers = false;
        } else if self.fault(self.settings.late_puts) {
            // The client gives up first; the request may land long after.
            answers = false;
            arrives = answered + self.random.ms(1, 30_000);
            lands = !self.random.chance(2000);
        }
        answered = answered.max(self.now);
        self.note(format_args!(
            "p{process} puts {name} ({} rows){}{}",
            rows.len(),
            if lands { "" } else { ", which will not land" },
            if answers {
                ""
            } else {
                ", which will not be answered"
            },
        ));
        let put = Put {
            process,
            name,
            table: table.to_owned(),
            span,
            opened_ms,
            rows,
            lands,
            answers,
            answer: Some(sender),
            result: Answer::Unavailable,
        };
        self.store.puts.insert(id, put);
        self.schedule(arrives, Due::PutArrives(id));
        self.schedule(answered, Due::PutAnswered(id));
        receiver
    }

    pub(super) fn put_arrives(&mut self, id: u64) {
        let Some(put) = self.store.puts.get_mut(&id) else {
            return;
        };
        if !put.lands {
            return;
        }
        if on(Mutation::Overwritten)
            && let Some((_, found)) = self.store.objects.get_mut(&put.name)
            && !self.settings.repeats
        {
            put.result = Answer::Created;
            if *found != put.rows {
                let what = format!("{} holds something else now", put.name);
                self.violate(&what);
            }
            return;
        }
        if let Some((opened_ms, found)) = self.store.objects.get(&put.name) {
            put.result = Answer::Exists(*opened_ms, found.clone());
            return;
        }
        put.result = Answer::Created;
        let (process, name, table) = (put.process, put.name.clone(), put.table.clone());
        let (span, opened_ms, rows) = (put.span, put.opened_ms, put.rows.clone());
        self.note(format_args!("{name} of p{process} is there"));
        self.check_created(&name, &table, span, opened_ms, &rows);
        self.store.objects.insert(name, (opened_ms, rows));
        self.ambush(process);
    }

    pub(super) fn put_answered(&mut self, id: u64) {
        let Some(put) = self.store.puts.get_mut(&id) else {
            return;
        };
        let answer = if put.answers {
            put.result.clone()
        } else {
            Answer::Unavailable
        };
        if let Some(sender) = put.answer.take() {
            let _ = sender.send(answer);
        }
    }
}

/// The target as one process has it.
#[derive(Debug)]
pub(super) struct SimTarget {
    pub(super) world: Shared,
    pub(super) process: usize,
}

#[async_trait]
impl Target for SimTarget {
    fn begin(&self, start: &SpanStart) -> Result<Box<dyn Inserter>, TargetError> {
        self.try_hand("begin")?;
        let opened = start.opened.duration_since(UNIX_EPOCH).unwrap();
        let settings = &self.world.lock().settings;
        let refused = settings
            .refused
            .map(|table| Table::new("p", table_name(table)));
        Ok(Box::new(SimInserter {
            target: Self {
                world: self.world.clone(),
                process: self.process,
            },
            from: start.from.offset(),
            opened_ms: i64::try_from(opened.as_millis()).unwrap(),
            refused_late: settings.refused_late,
            accepting: settings.repeats,
            refused,
            tables: Vec::new(),
            held: 0,
        }))
    }

    async fn check(&self) -> Result<(), TargetError> {
        Ok(())
    }
}

impl SimTarget {
    /// What is done on the worker's own thread may fail as well.
    fn try_hand(&self, what: &str) -> Result<(), TargetError> {
        let world = &mut *self.world.lock();
        if world.fault(world.settings.failing_hands) {
            world.note(format_args!(
                "p{}: the target takes nothing, at {what}",
                self.process
            ));
            return Err(TargetError::Unavailable(what.into()));
        }
        Ok(())
    }
}

struct SimInserter {
    target: SimTarget,
    from: i64,
    opened_ms: i64,
    refused: Option<Table>,
    refused_late: bool,
    /// Whether an object of the same span is as good: see `ObjectTarget::accepting`.
    accepting: bool,
    /// In the order in which they came; dead letters last.
    tables: Vec<(Table, Rows)>,
    held: usize,
}

impl SimInserter {
    fn refuse(table: &Table) -> TargetError {
        TargetError::Rejected {
            table: table.clone(),
            reason: "the world says so".into(),
        }
    }
}

#[async_trait]
impl Inserter for SimInserter {
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
        self.target.try_hand("add")?;
        if self.refused.as_ref() == Some(table) && !self.refused_late {
            return Err(Self::refuse(table));
        }
        let rows = if table.is_dead_letters() {
            rows::letters(batch)
        } else {
            rows::rows(batch)
        };
        self.held += rows.iter().map(String::len).sum::<usize>();
        if let Some((_, known)) = self.tables.iter_mut().find(|(known, _)| known == table) {
            Arc::make_mut(known).extend(rows);
        } else {
            self.tables.push((table.clone(), Arc::new(rows)));
        }
        Ok(())
    }

    fn staged(&self) -> Staged {
        let size = |(_, rows): &(Table, Rows)| rows.iter().map(|row| row.len() as u64).sum();
        Staged {
            memory: self.held,
            largest_output: self.tables.iter().map(size).max().unwrap_or(0),
        }
    }

    fn seal(&mut self, span: &Span) -> Result<(), TargetError> {
        assert_eq!(span.from.offset(), self.from);
        self.target.try_hand("seal")?;
        self.tables
            .sort_by_key(|(table, _)| table.is_dead_letters());
        Ok(())
    }

    async fn commit(&mut self, span: &Span) -> Result<Committed, TargetError> {
        if let Some(table) = &self.refused
            && self.tables.iter().any(|(known, _)| known == table)
        {
            return Err(Self::refuse(table));
        }
        let partition = usize::try_from(span.partition.number()).unwrap();
        let key = (partition, span.from.offset(), span.to.offset());
        for (table, rows) in &self.tables {
            let name = if table.is_dead_letters() {
                LETTERS
            } else {
                table.collection()
            };
            let process = self.target.process;
            let answer =
                self.target
                    .world
                    .lock()
                    .put(process, key, self.opened_ms, name, rows.clone());
            if table.is_dead_letters() && on(Mutation::LettersAfterwards) {
                continue;
            }
            match answer.await {
                Ok(Answer::Created) => {}
                Ok(Answer::Exists(_, found)) if found == *rows => {}
                Ok(Answer::Exists(opened_ms, _))
                    if self.accepting && opened_ms == self.opened_ms => {}
                Ok(Answer::Exists(..)) => {
                    let text = format!("p{process}: something else is in {name} of {key:?}");
                    self.target.world.lock().violate(&text);
                    return Err(TargetError::Conflict(text));
                }
                Ok(Answer::Unavailable) | Err(_) => {
                    return Err(TargetError::Unavailable("no answer".into()));
                }
            }
        }
        Ok(Committed::default())
    }
}
