//! The target itself: which rows go into which object, and the commit.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use alluvium_target::{Committed, Inserter, Span, SpanStart, Staged, Table, Target, TargetError};
use arrow_array::RecordBatch;
use async_trait::async_trait;

use crate::compression::Codec;
use crate::description::{Description, epoch_ms};
use crate::line::{LineFormat, LineWriter};
use crate::output::Output;
use crate::{Compression, KeyTemplate, LineLayout, Object, Store, key};
use write::{Mode, SealedObject, write_all};

mod write;

/// Which way of making objects this is: raised when the same rows would become other lines or keys, so
/// that a span planned by another version is not mixed with them.
const REVISION: u32 = 1;

/// What an entry in a hash map costs beside its key and value, in bytes.
const ENTRY_COST: usize = 16;

/// What objects are called and what is in them.
#[derive(Clone, Debug)]
pub struct ObjectSettings {
    /// How objects are named. Dead letters go to `_dead_letters/` whatever it says.
    pub key: KeyTemplate,
    /// How a row is laid out in its line.
    pub layout: LineLayout,
    /// How objects are compressed.
    pub compression: Compression,
    /// One of the compression's levels; without meaning if it has none.
    pub level: u32,
    /// The column of a row's time, for [`LineLayout::Rakam`].
    pub time_field: String,
    /// The column of a row's user, for [`LineLayout::Rakam`].
    pub user_field: String,
}

impl ObjectSettings {
    fn check(&self) -> Result<(), TargetError> {
        let misconfigured = |why: String| Err(TargetError::Misconfigured(why));
        if let Err(error) = self.key.suits(self.layout) {
            return misconfigured(format!("key template `{}`: {error}", self.key));
        }
        if let Some(levels) = self.compression.levels()
            && !levels.contains(&self.level)
        {
            let (name, (from, to)) = (self.compression, levels.into_inner());
            return misconfigured(format!(
                "{name} has no level {}: choose {from} to {to}",
                self.level
            ));
        }
        let fixed = ["$schema", "$table", "properties", ""];
        let taken = |field: &String| fixed.contains(&field.as_str());
        if let Some(field) = [&self.time_field, &self.user_field]
            .into_iter()
            .find(|f| taken(f))
        {
            return misconfigured(format!(
                "`{field}` cannot be the time or user column's name"
            ));
        }
        if self.time_field == self.user_field {
            return misconfigured(format!(
                "`{}` cannot be both time and user",
                self.time_field
            ));
        }
        Ok(())
    }
}

/// A target that writes NDJSON objects into a store.
#[derive(Debug)]
pub struct ObjectTarget<S> {
    store: Arc<S>,
    shared: Arc<Shared>,
    existing: Existing,
}

/// What is done about an object that stands under a name already.
#[derive(Clone, Copy, Debug)]
enum Existing {
    Compared,
    Repaired,
    Accepted,
}

#[derive(Debug)]
struct Shared {
    key: KeyTemplate,
    format: LineFormat,
    codec: Codec,
}

impl Shared {
    fn shape(&self) -> String {
        let layout = match self.format.layout {
            LineLayout::Rakam => "rakam",
            LineLayout::Flat => "flat",
        };
        let compression = self.codec.compression;
        format!(
            "objects/{REVISION} key={:?} layout={layout} compression={compression} time={:?} user={:?}",
            self.key.to_string(),
            self.format.time_field,
            self.format.user_field,
        )
    }
}

impl<S: Store> ObjectTarget<S> {
    /// A target that puts objects into `store`.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`] if the settings contradict each other or would lose rows.
    pub fn new(store: S, settings: ObjectSettings) -> Result<Self, TargetError> {
        settings.check()?;
        let ObjectSettings {
            key,
            layout,
            compression,
            level,
            time_field,
            user_field,
        } = settings;
        let format = LineFormat {
            layout,
            time_field,
            user_field,
        };
        let codec = Codec { compression, level };
        let shared = Shared { key, format, codec };
        Ok(Self {
            store: Arc::new(store),
            shared: Arc::new(shared),
            existing: Existing::Compared,
        })
    }

    /// The same target, replacing objects that are not what they say of themselves: to repair what is damaged. What is whole and holds
    /// other rows stays, and is a conflict.
    #[must_use]
    pub fn repairing(self) -> Self {
        Self {
            existing: Existing::Repaired,
            ..self
        }
    }

    /// The same target, taking an object of the same span, opened at the same time, for done, whatever its rows: for a program whose
    /// decision about a row depends on what it has seen before, so that another process may come to other rows of
    /// a planned span. Each object must be right on its own then.
    #[must_use]
    pub fn accepting(self) -> Self {
        Self {
            existing: Existing::Accepted,
            ..self
        }
    }

    fn inserter(&self, start: &SpanStart) -> ObjectInserter<S> {
        ObjectInserter {
            store: Arc::clone(&self.store),
            shared: Arc::clone(&self.shared),
            mode: match self.existing {
                Existing::Compared => Mode::Create(self.shared.codec.compression),
                Existing::Repaired => Mode::Repair(self.shared.codec.compression),
                Existing::Accepted => Mode::Accept(self.shared.codec.compression),
            },
            opened_ms: epoch_ms(start.opened),
            outputs: Vec::new(),
            of_table: HashMap::new(),
            of_key: HashMap::new(),
            staged: Staged::default(),
            sealed: None,
        }
    }

    /// The store objects are put into.
    pub fn store(&self) -> &S {
        &self.store
    }
}

#[async_trait]
impl<S: Store> Target for ObjectTarget<S> {
    fn begin(&self, start: &SpanStart) -> Result<Box<dyn Inserter>, TargetError> {
        Ok(Box::new(self.inserter(start)))
    }

    async fn check(&self) -> Result<(), TargetError> {
        self.store.check().await
    }

    fn shape(&self) -> String {
        self.shared.shape()
    }
}

struct ObjectInserter<S> {
    store: Arc<S>,
    shared: Arc<Shared>,
    mode: Mode,
    opened_ms: i64,
    outputs: Vec<Output>,
    /// The output of each table met.
    of_table: HashMap<Table, usize>,
    /// The output of each object, by the table that stands for all in it.
    of_key: HashMap<Table, usize>,
    /// Running totals of `outputs` and the maps, or of what is left in `sealed`.
    staged: Staged,
    sealed: Option<Sealed>,
}

/// The objects of a sealed span.
struct Sealed {
    objects: Vec<SealedObject>,
    committed: Committed,
}

impl<S: Store> ObjectInserter<S> {
    /// Where the rows of `table` go.
    fn output_of(&mut self, table: &Table) -> usize {
        if let Some(at) = self.of_table.get(table) {
            return *at;
        }
        let representative = self.shared.key.representative(table);
        let next = self.outputs.len();
        let at = *self.of_key.entry(representative.clone()).or_insert(next);
        if at == next {
            self.staged.memory += entry_cost(&representative);
            let output = Output::new(representative, self.shared.codec);
            self.staged.memory += output.memory();
            self.outputs.push(output);
        }
        self.staged.memory += entry_cost(table);
        self.of_table.insert(table.clone(), at);
        at
    }

    /// Lets `work` change an output, and keeps the totals.
    fn change(
        &mut self,
        at: usize,
        work: impl FnOnce(&mut Output) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        let Some(output) = self.outputs.get_mut(at) else {
            return Ok(());
        };
        let before = output.memory();
        let done = work(output);
        self.staged.memory = self.staged.memory + output.memory() - before;
        self.staged.largest_output = self.staged.largest_output.max(output.stored_len());
        done
    }

    /// Ends all objects and names them. Does nothing the second time.
    fn finish(&mut self, span: &Span) -> Result<&mut Sealed, TargetError> {
        let sealed = match self.sealed.take() {
            Some(sealed) => sealed,
            None => self.sealed_outputs(span)?,
        };
        Ok(self.sealed.insert(sealed))
    }

    fn sealed_outputs(&mut self, span: &Span) -> Result<Sealed, TargetError> {
        // What can fail comes first: nothing is taken away before all is ready.
        self.outputs.iter_mut().try_for_each(Output::cut)?;
        let mut objects = Vec::with_capacity(self.outputs.len());
        let mut committed = Committed::default();
        self.staged = Staged::default();
        self.of_table = HashMap::new();
        self.of_key = HashMap::new();
        let span_objects = self.outputs.len() as u64;
        let span_rows = self.outputs.iter().map(|output| output.rows).sum();
        for output in mem::take(&mut self.outputs) {
            let description = Description {
                span: span.clone(),
                opened_ms: self.opened_ms,
                rows: output.rows,
                uncompressed_bytes: output.raw,
                content: output.content,
                span_objects,
                span_rows,
            };
            let rows = output.rows;
            let key = if output.table.is_dead_letters() {
                key::dead_letters_key(span, self.shared.codec.compression)
            } else {
                self.shared.key.key(&output.table, span)
            };
            let object = object(output, description, self.shared.codec.compression);
            let len = object.len();
            self.staged.memory += memory_of(&key, &object);
            self.staged.largest_output = self.staged.largest_output.max(len);
            committed.outputs += 1;
            committed.bytes += len;
            committed.rows += rows;
            objects.push(SealedObject {
                key,
                object: Some(object),
            });
        }
        Ok(Sealed { objects, committed })
    }
}

#[async_trait]
impl<S: Store> Inserter for ObjectInserter<S> {
    fn add(&mut self, table: &Table, batch: &RecordBatch) -> Result<(), TargetError> {
        if self.sealed.is_some() {
            let why = format!("rows of {table} came after the span was sealed");
            return Err(TargetError::Misconfigured(why));
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let mut lines = LineWriter::new(&shared.format, table, batch).map_err(|column| {
            let reason = format!(
                "column `{}` of type {} has no JSON form",
                column.name, column.data_type
            );
            TargetError::Rejected {
                table: table.clone(),
                reason,
            }
        })?;
        let at = self.output_of(table);
        self.change(at, |output| output.add(&mut lines, batch.num_rows()))
    }

    fn staged(&self) -> Staged {
        self.staged
    }

    fn shrink(&mut self) -> Result<(), TargetError> {
        (0..self.outputs.len()).try_for_each(|at| self.change(at, Output::shrink))
    }

    fn seal(&mut self, span: &Span) -> Result<(), TargetError> {
        self.finish(span).map(|_| ())
    }

    async fn commit(&mut self, span: &Span) -> Result<Committed, TargetError> {
        let (store, mode) = (Arc::clone(&self.store), self.mode);
        let sealed = self.finish(span)?;
        let committed = sealed.committed;
        let result = write_all(&*store, &mut sealed.objects, mode).await;
        let left = sealed.objects.iter().filter_map(|sealed| {
            let object = sealed.object.as_ref()?;
            Some(memory_of(&sealed.key, object))
        });
        self.staged.memory = left.sum();
        result.map(|()| committed)
    }
}

fn object(output: Output, description: Description, compression: Compression) -> Object {
    Object {
        body: output.finish(),
        content_type: compression.content_type(),
        content_encoding: None,
        description,
    }
}

fn entry_cost(table: &Table) -> usize {
    size_of::<(Table, usize)>() + ENTRY_COST + table.project().len() + table.collection().len()
}

fn memory_of(key: &str, object: &Object) -> usize {
    let handles = object.body.len() * size_of::<bytes::Bytes>();
    size_of::<SealedObject>() + key.len() + handles + object.len() as usize
}

#[cfg(test)]
mod tests;
