//! The original's own records: no schema with them, only the values of a table's columns in the columns' order.
//!
//! Which columns a table has is not this module's to know: [`Columns`] are given to it. Every value is of a union of null and what
//! [`ColumnKind`] says. The checkpoint's column is not in a record.
//!
//! A record may have been written when the table had fewer columns: if its bytes end where a field would begin, that field and the rest
//! are null. Bytes behind the last column are of a newer table, and ignored. Whatever names a table is taken in lower case.
//!
//! A record of a Kinesis stream may point to an object with many of them, whose rows are all the record's. [`Objects`] has it fetched: here
//! nobody waits for it.

mod bulk;
mod pointer;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use hashbrown::HashMap;

pub use self::bulk::{Bulk, BulkError, BulkPointer, bulk_pointer};

use self::pointer::Pointed;
use super::cursor::{Cursor, Fault};
use super::decode::{Extent, Run};
use super::names::Names;
use super::program::Program;
use super::schema::{Content, Field, Schema, Sense, Type};
use super::{MAX_BYTES, MAX_COLLECTION, bytes_of, lower_case};
use crate::awaited::{Needed, NotYet, Objects};
use crate::decode::{BadRecord, Failure, Reason};
use crate::record::{Record, Row, RowBuffer};

/// More tables than this are forgotten, and compiled anew.
const MAX_TABLES: usize = 4096;

/// How the original writes a column's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A string.
    Text,
    /// A long.
    Long,
    /// An int.
    Int,
    /// A double.
    Double,
    /// A boolean.
    Boolean,
    /// An int: days since 1970-01-01.
    Date,
    /// A long: milliseconds since midnight.
    Time,
    /// A long: milliseconds since 1970-01-01 00:00 UTC.
    Timestamp,
    /// Bytes. The original wrote them and failed to read them.
    Bytes,
    /// An array of them, each of which may be null.
    Array(Box<ColumnKind>),
    /// A map from strings to them, each of which may be null.
    Map(Box<ColumnKind>),
    /// A type the original has no form for; its name, for messages.
    Other(String),
}

/// A column as the table's owner has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// How its values are written.
    pub kind: ColumnKind,
}

/// Knows which columns tables have.
pub trait Columns: Debug + Send + Sync {
    /// All columns of a table in their order, the checkpoint's too, of which there are more than `known` if it can be;
    /// `Ok(None)` if there is no such table. Columns are only ever added, behind the others.
    ///
    /// # Errors
    /// Why nobody knows yet.
    fn of(
        &self,
        project: &str,
        collection: &str,
        known: usize,
    ) -> Result<Option<Arc<[Column]>>, NotYet>;
}

/// What brings the original's records, and with that what names their tables.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// Kafka topics, which are called `project.collection`.
    Kafka,
    /// Kinesis streams, where partition keys are `project|collection`.
    Kinesis {
        /// Where the objects are that records point to, if there is a bucket for them.
        objects: Option<Arc<dyn Objects>>,
    },
}

/// How the original's records are read.
#[derive(Clone, Debug)]
pub struct RakamSettings {
    /// What brings them.
    pub carrier: Carrier,
    /// Knows which columns tables have.
    pub columns: Arc<dyn Columns>,
    /// The column that is not in records.
    pub checkpoint: Arc<str>,
    /// Longer payloads are refused, in bytes. Never more than 512 MiB.
    pub max_bytes: usize,
}

/// Turns records of the original into rows, with storage it keeps between them.
#[derive(Debug)]
pub struct RakamDecoder {
    settings: RakamSettings,
    names: Names,
    tables: HashMap<TableName, (Arc<[Column]>, Compiled)>,
    scratch: Scratch,
    /// What the record that was decoded last points to.
    pointed: Option<Pointed>,
}

/// Project and collection.
type TableName = (Box<str>, Box<str>);
type Compiled = Result<Arc<Program>, String>;

#[derive(Debug, Default)]
struct Scratch {
    buffer: RowBuffer,
    project: String,
    collection: String,
}

/// The start of a record, and what names its table.
struct Addressed<'a> {
    project: &'a str,
    collection: &'a str,
    body: usize,
}

impl RakamDecoder {
    /// A decoder for records read as `settings` say.
    pub fn new(mut settings: RakamSettings) -> Self {
        settings.max_bytes = settings.max_bytes.min(MAX_BYTES);
        Self {
            settings,
            names: Names::default(),
            tables: HashMap::new(),
            scratch: Scratch::default(),
            pointed: None,
        }
    }

    /// Reads a record of a topic or a stream, as [`RakamSettings::carrier`] says. If it [points](bulk_pointer) to an object, that
    /// is its first row, and [`RakamDecoder::more`] gives those that follow.
    ///
    /// # Errors
    /// A record that cannot become a row, or cannot yet.
    pub fn decode<'a>(
        &'a mut self,
        topic: &'a str,
        record: &Record<'_>,
    ) -> Result<Row<'a>, Failure> {
        if matches!(self.settings.carrier, Carrier::Kafka) {
            return self.kafka(topic, record.payload);
        }
        match record.key.map(std::str::from_utf8) {
            Some(Ok(key)) => self.kinesis(key, record.payload),
            Some(Err(_)) => Ok(no_table("the partition key is not UTF-8")?),
            None => Ok(no_table("the record has no partition key")?),
        }
    }

    /// Reads a record of a Kafka topic, which is called `project.collection`.
    ///
    /// # Errors
    /// A record that cannot become a row, or cannot yet.
    pub fn kafka<'a>(
        &'a mut self,
        topic: &'a str,
        payload: Option<&[u8]>,
    ) -> Result<Row<'a>, Failure> {
        let payload = bytes_of(payload, self.settings.max_bytes)?;
        let Some((project, rest)) = topic.split_once('.') else {
            return Ok(no_table("the topic is not called project.collection")?);
        };
        let Some(kind) = payload.first() else {
            return Err(BadRecord::new(Reason::NotAvro, "the payload is empty").into());
        };
        let mut cursor = Cursor::new(payload, 1);
        let collection = match kind {
            0 | 1 => rest,
            _ => cursor.text()?,
        };
        let body = cursor.at();
        self.single(
            payload,
            &Addressed {
                project,
                collection,
                body,
            },
        )
    }

    /// Reads a record of a Kinesis stream. Partition keys are `project|collection`.
    ///
    /// # Errors
    /// A record that cannot become a row, or cannot yet.
    pub fn kinesis<'a>(
        &'a mut self,
        partition_key: &str,
        payload: Option<&[u8]>,
    ) -> Result<Row<'a>, Failure> {
        self.pointed = None;
        let payload = bytes_of(payload, self.settings.max_bytes)?;
        let (project, rest) = partition_key.split_once('|').unwrap_or((partition_key, ""));
        let mut cursor = Cursor::new(payload, 1);
        let collection = match payload.first() {
            Some(0) => rest,
            Some(2) => cursor.text()?,
            Some(1) => wrong("records of type 1, an old form of bulk, are not read")?,
            Some(3) => return self.pointer(payload),
            Some(kind) => wrong(format_args!("there are no records of type {kind}"))?,
            None => return Err(BadRecord::new(Reason::NotAvro, "the payload is empty").into()),
        };
        let body = cursor.at();
        self.single(
            payload,
            &Addressed {
                project,
                collection,
                body,
            },
        )
    }

    /// Begins to read a bulk object, whose bytes `source` gives.
    pub fn bulk<R: io::Read>(&mut self, source: R) -> Bulk<'_, R> {
        Bulk::new(self, source)
    }

    fn single<'a>(
        &'a mut self,
        payload: &[u8],
        addressed: &Addressed<'_>,
    ) -> Result<Row<'a>, Failure> {
        self.scratch
            .address(addressed.project, addressed.collection)?;
        let mut known = 0;
        loop {
            let mut cursor = Cursor::new(payload, addressed.body);
            let columns = self.body(&mut cursor, Extent::UntilEnd, known)?;
            // Bytes behind the last column are of columns that were added since, if anybody knows of any.
            if cursor.is_at_end() || columns == known {
                return Ok(self.row()?);
            }
            known = columns;
        }
    }

    /// Reads the values of a row of the table that is addressed into the buffer, by more columns than `known` if there are; gives
    /// how many.
    fn body<'c>(
        &mut self,
        cursor: &mut Cursor<'c>,
        extent: Extent,
        known: usize,
    ) -> Result<usize, Broken> {
        let (program, columns) = self.table(known)?;
        let (program, columns) = (Arc::clone(program), columns.len());
        let mut run = Run::new(&program, *cursor, &mut self.scratch.buffer);
        run.row(extent)?;
        *cursor = run.cursor;
        Ok(columns)
    }

    /// The row in the buffer.
    fn row(&self) -> Result<Row<'_>, BadRecord> {
        let Scratch {
            buffer,
            project,
            collection,
        } = &self.scratch;
        match self.tables.get(&Key(project, collection)) {
            Some((_, Ok(program))) => Ok(buffer.row(&program.text, project, collection)),
            _ => no_table("the table is gone"),
        }
    }

    /// What reads records of the table that is addressed, and its columns, of which there are more than `known` if it can be.
    fn table(&mut self, known: usize) -> Result<(&Arc<Program>, &[Column]), Failure> {
        let Scratch {
            project,
            collection,
            ..
        } = &self.scratch;
        let compiled = self.tables.get(&Key(project, collection));
        let has = compiled.map_or(0, |(columns, _)| columns.len());
        if has <= known {
            let columns = self.settings.columns.of(project, collection, known);
            let columns = columns.map_err(|state| {
                let what = format_args!("the catalog's word on {project}.{collection}");
                Failure::Needs(Needed::new(what, state))
            })?;
            let Some(columns) = columns.filter(|columns| !columns.is_empty()) else {
                return Ok(no_table(format_args!(
                    "there is no table {project}.{collection}"
                ))?);
            };
            if columns.len() > has {
                self.compile(columns);
            }
        }
        let Scratch {
            project,
            collection,
            ..
        } = &self.scratch;
        match self.tables.get(&Key(project, collection)) {
            Some((columns, Ok(program))) => Ok((program, columns)),
            Some((_, Err(why))) => Err(BadRecord::new(Reason::UnusableSchema, why).into()),
            None => Ok(no_table("the table is gone")?),
        }
    }

    /// How many columns records of the table that is addressed may have; asks for more if they have `wanted`.
    fn own_columns(&mut self, wanted: i64) -> Result<usize, Failure> {
        let wanted = usize::try_from(wanted).unwrap_or(0);
        let mut known = 0;
        loop {
            let checkpoint = self.settings.checkpoint.clone();
            let (_, columns) = self.table(known)?;
            let own = columns.iter().filter(|column| *column.name != *checkpoint);
            let own = own.count();
            if own >= wanted || columns.len() == known {
                return Ok(own);
            }
            known = columns.len();
        }
    }

    #[cold]
    fn compile(&mut self, columns: Arc<[Column]>) {
        if self.tables.len() >= MAX_TABLES {
            self.tables.clear();
        }
        let schema = schema(&columns, &self.settings.checkpoint);
        let program = schema.map(|schema| Arc::new(Program::new(&schema, None, &mut self.names)));
        let Scratch {
            project,
            collection,
            ..
        } = &self.scratch;
        let key = (project.as_str().into(), collection.as_str().into());
        self.tables.insert(key, (columns, program));
    }
}

#[derive(Hash)]
struct Key<'a>(&'a str, &'a str);

impl hashbrown::Equivalent<TableName> for Key<'_> {
    fn equivalent(&self, key: &TableName) -> bool {
        *self.0 == *key.0 && *self.1 == *key.1
    }
}

impl Scratch {
    /// Notes which table the next row belongs to.
    fn address(&mut self, project: &str, collection: &str) -> Result<(), BadRecord> {
        for (what, name) in [("project", project), ("collection", collection)] {
            if name.is_empty() {
                return no_table(format_args!("the {what} is empty"));
            }
            if name.len() > MAX_COLLECTION && name.chars().count() > MAX_COLLECTION {
                return no_table(format_args!(
                    "the {what} is longer than {MAX_COLLECTION} characters"
                ));
            }
        }
        for (to, name) in [
            (&mut self.project, project),
            (&mut self.collection, collection),
        ] {
            let mut lower = String::new();
            let name = lower_case(name, &mut lower);
            to.clear();
            to.push_str(name);
        }
        Ok(())
    }
}

/// Why a part of a bulk object was not read.
enum Broken {
    Fault(Box<Fault>),
    Bad(BadRecord),
    Needs(Needed),
}

impl From<Box<Fault>> for Broken {
    fn from(fault: Box<Fault>) -> Self {
        Self::Fault(fault)
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Fault(fault) => fault.into(),
            Broken::Bad(bad) => Self::Bad(bad),
            Broken::Needs(needed) => Self::Needs(needed),
        }
    }
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Bad(bad) => Self::Bad(bad),
            Failure::Needs(needed) => Self::Needs(needed),
        }
    }
}

impl From<BadRecord> for Broken {
    fn from(bad: BadRecord) -> Self {
        Self::Bad(bad)
    }
}

/// The schema of a table's records.
fn schema(columns: &[Column], checkpoint: &str) -> Result<Schema, String> {
    let own = columns.iter().filter(|column| column.name != checkpoint);
    let fields = own.map(|column| {
        let kind = nullable(&column.kind).map_err(|kind| {
            format!(
                "column {} is of type {kind}, for which the original's records have no form",
                column.name
            )
        })?;
        Ok(Field {
            name: column.name.clone(),
            aliases: Vec::new(),
            kind,
            default: None,
        })
    });
    Ok(Schema::of_record(
        "row",
        fields.collect::<Result<_, String>>()?,
    ))
}

fn nullable(kind: &ColumnKind) -> Result<Type, &str> {
    let kind = match kind {
        ColumnKind::Text => Type::String,
        ColumnKind::Long => Type::Long(Sense::Number),
        ColumnKind::Int => Type::Int(Sense::Number),
        ColumnKind::Double => Type::Double,
        ColumnKind::Boolean => Type::Boolean,
        ColumnKind::Date => Type::Int(Sense::Date),
        ColumnKind::Time => Type::Long(Sense::TimeMillis),
        ColumnKind::Timestamp => Type::Long(Sense::Millis),
        ColumnKind::Bytes => Type::Bytes(Content::Bytes),
        ColumnKind::Array(of) => Type::Array(nullable(of)?.into()),
        ColumnKind::Map(of) => Type::Map(nullable(of)?.into()),
        ColumnKind::Other(name) => return Err(name),
    };
    Ok(Type::Union(vec![Type::Null, kind]))
}

fn no_table<T>(what: impl std::fmt::Display) -> Result<T, BadRecord> {
    Err(BadRecord::new(Reason::NoTable, what))
}

fn wrong<T>(what: impl std::fmt::Display) -> Result<T, BadRecord> {
    Err(BadRecord::new(Reason::WrongLayout, what))
}

#[cfg(test)]
mod tests;
