//! Avro records to rows, straight from the bytes, in one pass.
//!
//! Which schema a record was written with stands before it ([`Encoding`]). A writer's schema, and the reader's if one is configured, are
//! compiled once to a program that reads records; see [`Schema`] for what is refused. This module asks nobody for a
//! schema: one that is not at hand is answered with [`Failure::Needs`], and the record must be offered again once it is.
//!
//! A row's fields are those of the record, or of the reader's schema, under their own names. Values have the types the schema gives
//! them; records within are objects.

mod bytes;
mod canonical;
mod container;
mod columns;
mod cursor;
mod decode;
mod frame;
mod names;
mod program;
pub mod rakam;
mod resolve;
mod schema;
#[cfg(test)]
pub(crate) mod written;

use std::fmt::Debug;
use std::sync::Arc;

use hashbrown::HashMap;

use self::container::Container;
use self::cursor::{Cursor, Fault};
use self::decode::{Extent, Run};
use self::names::Names;
use self::program::Program;
use super::{BadRecord, Failure, Reason, case};
use crate::awaited::Needed;
pub use crate::awaited::NotYet;
use crate::record::{ColumnType, Row, RowBuffer, Value};

pub(super) use self::frame::registered;
pub use self::frame::{SCHEMA_HEADER, SchemaId};
pub use self::schema::{BadSchema, Schema};

/// No payload may be larger, whatever the settings say: places in it are kept in 32 bits.
const MAX_BYTES: usize = 512 * 1024 * 1024;
/// A collection that a record or a schema names has no more characters than this; see the JSON layouts.
const MAX_COLLECTION: usize = 100;
/// More programs than this are forgotten, and compiled anew.
const MAX_PROGRAMS: usize = 4096;

/// What stands before the record to say which schema it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 0 and a registry's number in four bytes; or the header [`SCHEMA_HEADER`].
    Confluent,
    /// C3 01 and the schema's fingerprint.
    SingleObject,
    /// A whole object container file, which has its schema in it. Each of its objects becomes a row.
    Container,
}

/// What names the collection of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collection {
    /// The topic.
    Topic,
    /// The record's type, without its namespace, as its writer calls it.
    Record,
    /// The text in a field.
    Field(String),
}

/// Where schemas are found.
pub trait Schemas: Debug + Send + Sync {
    /// Looks among those at hand, and sees to it that one which is not will be. Does no I/O and does not wait.
    fn find(&self, id: SchemaId) -> Found;
}

/// What is known of a schema.
#[derive(Clone, Debug)]
pub enum Found {
    /// It is at hand.
    Schema(Arc<Schema>),
    /// There is one, but it is of no use here, and why.
    Unusable(Arc<str>),
    /// There is none, which is certain, and who says so.
    Unknown(Arc<str>),
    /// It is not at hand yet.
    NotYet(NotYet),
}

/// How Avro records are read.
#[derive(Clone, Debug)]
pub struct AvroSettings {
    /// What stands before a record.
    pub encoding: Encoding,
    /// The project of every record; not empty.
    pub project: Arc<str>,
    /// What names the collection.
    pub collection: Collection,
    /// What records are to look like; without one, as they were written.
    pub reader: Option<Arc<Schema>>,
    /// Where schemas are found.
    pub schemas: Arc<dyn Schemas>,
    /// Longer payloads are refused, in bytes, also if they become so when decompressed. Never more than 512 MiB.
    pub max_bytes: usize,
}

/// A program, and where its rows belong.
#[derive(Debug)]
struct Compiled {
    program: Program,
    /// The number of the field that names the collection.
    collection: Option<u32>,
    /// The types of the fields that have one.
    columns: Vec<(String, ColumnType)>,
}

/// Turns payloads into rows, one at a time, with storage it keeps between them.
#[derive(Debug)]
pub struct AvroDecoder {
    settings: AvroSettings,
    names: Names,
    programs: Vec<Arc<Compiled>>,
    /// Which of them is for records of a schema.
    places: HashMap<SchemaId, usize>,
    /// That of the record before.
    last: Option<(SchemaId, usize)>,
    container: Container,
    buffer: RowBuffer,
    /// The collection of the row, if it had to be written.
    collection: String,
}

impl AvroDecoder {
    /// A decoder for records read as `settings` say.
    pub fn new(mut settings: AvroSettings) -> Self {
        settings.project = settings.project.to_lowercase().into();
        settings.max_bytes = settings.max_bytes.min(MAX_BYTES);
        Self {
            settings,
            names: Names::default(),
            programs: Vec::new(),
            places: HashMap::new(),
            last: None,
            container: Container::default(),
            buffer: RowBuffer::default(),
            collection: String::new(),
        }
    }

    /// Reads a record of `topic` as a row that borrows this decoder. `header` is the value of its header [`SCHEMA_HEADER`]. Further
    /// rows of the same record are then given by [`AvroDecoder::more`].
    ///
    /// # Errors
    /// A record that cannot become a row, or cannot yet.
    pub fn decode<'a>(
        &'a mut self,
        topic: &'a str,
        payload: Option<&[u8]>,
        header: Option<&[u8]>,
    ) -> Result<Row<'a>, Failure> {
        let payload = bytes_of(payload, self.settings.max_bytes)?;
        self.container.clear();
        let (id, start) = match self.settings.encoding {
            Encoding::Confluent => frame::registered(payload, header, Reason::NotAvro)?,
            Encoding::SingleObject => frame::single_object(payload)?,
            Encoding::Container => {
                self.open_container(topic, payload)?;
                let row = self.more(topic).transpose()?;
                return row.ok_or_else(|| no_rows().into());
            }
        };
        let at = match self.last {
            Some((last, at)) if last == id => at,
            _ => self.program_of(id)?,
        };
        self.last = Some((id, at));
        let Self {
            programs,
            buffer,
            collection,
            settings,
            ..
        } = self;
        let Some(compiled) = programs.get(at) else {
            return Err(Failure::Needs(Needed::new(id, NotYet::Asked)));
        };
        let mut run = Run::new(&compiled.program, Cursor::new(payload, start), buffer);
        let name = run.row(Extent::All)?;
        if !run.cursor.is_at_end() {
            run.cursor.broken::<()>("something follows the record")?;
        }
        let collection = collection_of(settings, compiled, buffer, name, topic, collection)?;
        let row = buffer.row(&compiled.program.text, &settings.project, collection);
        Ok(row.declaring(&compiled.columns))
    }

    /// Whether a record may have more rows than one.
    pub fn may_have_more(&self) -> bool {
        self.settings.encoding == Encoding::Container
    }

    /// The next row of the record that was decoded last, if it has more than one.
    ///
    /// # Errors
    /// None: that all rows can be read and have a table is known from [`AvroDecoder::decode`].
    pub fn more<'a>(&'a mut self, topic: &'a str) -> Option<Result<Row<'a>, BadRecord>> {
        let Self {
            container,
            buffer,
            collection,
            settings,
            ..
        } = self;
        let Container {
            compiled,
            objects,
            at,
            left,
            ..
        } = container;
        *left = left.checked_sub(1)?;
        let compiled = compiled.as_deref()?;
        let mut run = Run::new(&compiled.program, Cursor::new(objects, *at), buffer);
        let name = match run.row(Extent::All) {
            Ok(name) => name,
            Err(fault) => return Some(Err(fault.into())),
        };
        *at = run.cursor.at();
        let collection = match collection_of(settings, compiled, buffer, name, topic, collection) {
            Ok(collection) => collection,
            Err(bad) => return Some(Err(bad)),
        };
        let row = buffer.row(&compiled.program.text, &settings.project, collection);
        Some(Ok(row.declaring(&compiled.columns)))
    }

    /// Where the program for records written with a schema is.
    fn program_of(&mut self, id: SchemaId) -> Result<usize, Failure> {
        match self.places.get(&id) {
            Some(at) => Ok(*at),
            None => self.compile(id),
        }
    }

    #[inline(never)]
    fn compile(&mut self, id: SchemaId) -> Result<usize, Failure> {
        let schema = match self.settings.schemas.find(id) {
            Found::Schema(schema) => schema,
            Found::NotYet(state) => return Err(Failure::Needs(Needed::new(id, state))),
            Found::Unusable(why) => {
                return Err(
                    BadRecord::new(Reason::UnusableSchema, format_args!("{id}: {why}")).into(),
                );
            }
            Found::Unknown(who) => {
                return Err(
                    BadRecord::new(Reason::UnknownSchema, format_args!("{id}: {who}")).into(),
                );
            }
        };
        if self.programs.len() >= MAX_PROGRAMS {
            self.programs.clear();
            self.places.clear();
        }
        let compiled = compile(&self.settings, &schema, &mut self.names);
        let at = self.programs.len();
        self.programs.push(compiled);
        self.places.insert(id, at);
        Ok(at)
    }

    fn open_container(&mut self, topic: &str, payload: &[u8]) -> Result<(), BadRecord> {
        let Self {
            container,
            settings,
            names,
            buffer,
            collection,
            ..
        } = self;
        container.open(payload, settings.max_bytes, |schema| {
            compile(settings, schema, names)
        })?;
        let checked = container.check(|compiled, cursor| {
            let mut run = Run::new(&compiled.program, cursor, buffer);
            let name = run.row(Extent::All)?;
            let end = run.cursor.at();
            collection_of(settings, compiled, buffer, name, topic, collection)?;
            Ok(end)
        });
        if checked.is_err() {
            container.clear();
        }
        checked
    }
}

fn compile(settings: &AvroSettings, schema: &Schema, names: &mut Names) -> Arc<Compiled> {
    let program = Program::new(schema, settings.reader.as_deref(), names);
    let collection = match &settings.collection {
        Collection::Field(name) => Some(names.number(name)),
        Collection::Topic | Collection::Record => None,
    };
    Arc::new(Compiled {
        program,
        collection,
        columns: columns::of(settings.reader.as_deref().unwrap_or(schema)),
    })
}

fn collection_of<'a>(
    settings: &AvroSettings,
    compiled: &'a Compiled,
    buffer: &'a RowBuffer,
    record: &'a str,
    topic: &'a str,
    scratch: &'a mut String,
) -> Result<&'a str, BadRecord> {
    let no_table = |what: String| Err(BadRecord::new(Reason::NoTable, what));
    let name = match &settings.collection {
        Collection::Topic => topic,
        Collection::Record => record,
        Collection::Field(field) => {
            let row = buffer.row(&compiled.program.text, "", "");
            let found = row
                .values()
                .find(|(number, _)| *number == compiled.collection);
            match found.map(|(_, value)| value) {
                Some(Value::Str { text, .. }) => text,
                Some(Value::Null) | None => return no_table(format!("{field} is missing")),
                Some(_) => return no_table(format!("{field} is not a string")),
            }
        }
    };
    if name.is_empty() {
        return no_table("the collection's name is empty".into());
    }
    let limited = settings.collection != Collection::Topic;
    if limited && name.len() > MAX_COLLECTION && name.chars().count() > MAX_COLLECTION {
        return no_table(format!(
            "the collection's name is longer than {MAX_COLLECTION} characters"
        ));
    }
    Ok(lower_case(name, scratch))
}

/// The text in lower case, in `scratch` if it is not.
fn lower_case<'a>(text: &'a str, scratch: &'a mut String) -> &'a str {
    if !case::may_have_upper_case(text) {
        return text;
    }
    scratch.clear();
    scratch.push_str(&text.to_lowercase());
    scratch
}

/// The payload, if it may be Avro at all.
fn bytes_of(payload: Option<&[u8]>, max_bytes: usize) -> Result<&[u8], BadRecord> {
    match payload {
        None => Err(BadRecord::new(
            Reason::NotAvro,
            "the record has no payload (a tombstone)",
        )),
        Some(payload) if payload.len() > max_bytes => {
            let what = format_args!(
                "the payload has {} bytes, {max_bytes} are allowed",
                payload.len()
            );
            Err(BadRecord::new(Reason::TooLarge, what))
        }
        Some(payload) => Ok(payload),
    }
}

fn no_rows() -> BadRecord {
    BadRecord::new(Reason::NotAvro, "the container has no objects")
}

impl From<Box<Fault>> for BadRecord {
    fn from(fault: Box<Fault>) -> Self {
        let reason = match fault.what {
            cursor::What::Unfit(_) => Reason::WrongLayout,
            cursor::What::Truncated | cursor::What::Broken(_) => Reason::NotAvro,
        };
        Self::new(reason, fault)
    }
}

impl From<Box<Fault>> for Failure {
    fn from(fault: Box<Fault>) -> Self {
        Self::Bad(fault.into())
    }
}

#[cfg(test)]
mod tests;
