//! The three layouts: which object holds the fields, and where the table's name stands.

use super::super::{BadRecord, Reason, case};
use super::reader::{Case, Reader};
use crate::record::{Cell, Piece};

/// Characters of a collection's name that a record may give.
const MAX_COLLECTION: usize = 100;
/// Characters of a collection's name that comes from a topic: Kafka allows no longer ones.
const MAX_TOPIC: usize = 249;

/// Where a name of the row's table is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name {
    Configured,
    Topic,
    Written(Piece),
}

type Names = Result<(Name, Name), BadRecord>;

pub(super) fn rakam(reader: &mut Reader<'_>) -> Names {
    let (mut project, mut collection) = (None, None);
    let mut properties = None;
    let mut strange = None;
    root(reader, |reader| {
        reader.object(|reader, quoted| {
            let name = reader.name(quoted).map_or("", |name| reader.text(name));
            match name {
                "project" if project.is_none() => {
                    reader.value(project.insert(Cell::NULL))?;
                }
                "collection" if collection.is_none() => {
                    reader.value(collection.insert(Cell::NULL))?;
                }
                "properties" if properties.is_none() => {
                    let object = reader.scan.peek() == b'{';
                    properties = Some(object);
                    if object {
                        return reader.fields(Case::Lower, |_, _| false);
                    }
                    reader.skip()?;
                }
                "project" | "collection" | "properties" => reader.skip()?,
                _ => {
                    strange.get_or_insert(quoted.start);
                    reader.skip()?;
                }
            }
            Ok(())
        })
    })?;
    if let Some(at) = strange {
        return wrong(format_args!(
            "only project, collection and properties may be in the root, not the key at byte {at}"
        ));
    }
    of_fields("properties", properties)?;
    names(reader, ("project", project), ("collection", collection))
}

pub(super) fn fabric(reader: &mut Reader<'_>) -> Names {
    let (mut project, mut collection) = (None, None);
    let mut data = None;
    root(reader, |reader| {
        reader.object(|reader, quoted| {
            let name = reader.name(quoted).map_or("", |name| reader.text(name));
            if name != "data" || data.is_some() {
                return reader.skip();
            }
            let object = reader.scan.peek() == b'{';
            data = Some(object);
            if !object {
                return reader.skip();
            }
            reader.fields(Case::Lower, |name, cell| match name.text() {
                "_project" => {
                    project.get_or_insert(cell);
                    true
                }
                "_collection" => {
                    collection.get_or_insert(cell);
                    true
                }
                _ => false,
            })
        })
    })?;
    of_fields("data", data)?;
    names(reader, ("_project", project), ("_collection", collection))
}

pub(super) fn plain(reader: &mut Reader<'_>, collection_field: Option<&str>, topic: &str) -> Names {
    let mut collection = None;
    root(reader, |reader| {
        reader.fields(Case::AsIs, |name, cell| {
            if collection_field.is_some_and(|field| field == name.text()) {
                collection.get_or_insert(cell);
            }
            false
        })
    })?;
    let collection = match collection_field {
        Some(field) => collection_of(reader, field, collection)?,
        None => from_topic(reader, topic)?,
    };
    Ok((Name::Configured, collection))
}

/// Reads the whole document as `object` does, if it is an object.
#[inline]
fn root<'a>(
    reader: &mut Reader<'a>,
    object: impl FnOnce(&mut Reader<'a>) -> Result<(), super::Fault>,
) -> Result<(), BadRecord> {
    reader.scan.space();
    if reader.scan.peek() == b'{' {
        object(reader)?;
        reader.scan.end()?;
        return Ok(());
    }
    reader.skip()?;
    reader.scan.end()?;
    wrong("the record is not an object")
}

/// Refuses a record without the object of that name: missing (`None`) or something else (`false`).
fn of_fields(name: &str, object: Option<bool>) -> Result<(), BadRecord> {
    match object {
        Some(true) => Ok(()),
        Some(false) => wrong(format_args!("{name} is not an object")),
        None => wrong(format_args!("{name} is missing")),
    }
}

fn names(
    reader: &mut Reader<'_>,
    (project_key, project): (&str, Option<Cell>),
    (collection_key, collection): (&str, Option<Cell>),
) -> Names {
    let project = string_of(project_key, project)?;
    let project = Name::Written(reader.lower_case(project));
    Ok((project, collection_of(reader, collection_key, collection)?))
}

fn collection_of(
    reader: &mut Reader<'_>,
    key: &str,
    cell: Option<Cell>,
) -> Result<Name, BadRecord> {
    let piece = string_of(key, cell)?;
    limit(key, reader.text(piece), MAX_COLLECTION)?;
    Ok(Name::Written(reader.lower_case(piece)))
}

fn from_topic(reader: &mut Reader<'_>, topic: &str) -> Result<Name, BadRecord> {
    if topic.is_empty() {
        return no_table("the topic has no name");
    }
    limit("the topic's name", topic, MAX_TOPIC)?;
    if case::may_have_upper_case(topic) {
        return Ok(Name::Written(reader.write_lower_case(topic)));
    }
    Ok(Name::Topic)
}

#[inline]
fn string_of(key: &str, cell: Option<Cell>) -> Result<Piece, BadRecord> {
    let Some(cell) = cell else {
        return no_table(format_args!("{key} is missing"));
    };
    match cell.text() {
        Some(text) if text.is_empty() => no_table(format_args!("{key} is empty")),
        Some(text) => Ok(text),
        None if cell.is_bad_str() => no_table(format_args!("{key} has half a surrogate pair")),
        None => no_table(format_args!("{key} is not a string")),
    }
}

#[inline]
fn limit(key: &str, name: &str, max: usize) -> Result<(), BadRecord> {
    if name.len() > max && name.chars().count() > max {
        return no_table(format_args!("{key} is longer than {max} characters"));
    }
    Ok(())
}

#[cold]
fn wrong<T>(detail: impl std::fmt::Display) -> Result<T, BadRecord> {
    Err(BadRecord::new(Reason::WrongLayout, detail))
}

#[cold]
fn no_table<T>(detail: impl std::fmt::Display) -> Result<T, BadRecord> {
    Err(BadRecord::new(Reason::NoTable, detail))
}
