//! JSON records to rows, straight from the bytes, in one pass.
//!
//! The payload must be one JSON object as RFC 8259 has it, every part of it, the ignored ones too.
//! Its [`Layout`] says which object holds the fields and where the table's name stands. Objects
//! and arrays within a field have their items, and their text; only the text if there are more than
//! 262,144 items in a record, more than 32 containers within each other, or if a name in them has half a surrogate pair.
//! Of several fields of one name the first counts; names within objects are as written, and all are kept.
//!
//! A record that is valid JSON but not of the layout, or names no table, is refused as such only
//! after its last byte has been read: `not_json` always means what it says.

mod known;
mod layout;
mod reader;
mod scan;
mod text;

use std::sync::Arc;

use self::layout::Name;
use self::reader::{Reader, Scratch};
use self::scan::Fault;
use super::{BadRecord, Reason};
use crate::record::Row;

/// No payload may be larger, whatever the settings say: places in it are kept in 32 bits.
const MAX_BYTES: usize = 512 * 1024 * 1024;

/// Where a record keeps its table's name and its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `{"project": …, "collection": …, "properties": {…}}` in any order; no other key.
    Rakam,
    /// `{"data": {"_project": …, "_collection": …, …}}`, these two anywhere in `data`; other keys of the root are
    /// ignored.
    Fabric,
    /// Any object. The project is configured; the collection is the value of a configured field, or the topic.
    Plain,
}

/// How JSON records are read.
#[derive(Clone, Debug)]
pub struct JsonSettings {
    /// The layout of every record.
    pub layout: Layout,
    /// The project of every record of [`Layout::Plain`]; not empty.
    pub project: Arc<str>,
    /// The field that names the collection in [`Layout::Plain`]; `None` takes the topic.
    pub collection_field: Option<String>,
    /// Longer payloads are refused, in bytes. Never more than 512 MiB.
    pub max_bytes: usize,
}

/// Turns payloads into rows, one at a time, with storage it keeps between them.
#[derive(Debug)]
pub struct JsonDecoder {
    settings: JsonSettings,
    scratch: Scratch,
}

impl JsonDecoder {
    /// A decoder for records read as `settings` say.
    pub fn new(mut settings: JsonSettings) -> Self {
        settings.project = settings.project.to_lowercase().into();
        settings.max_bytes = settings.max_bytes.min(MAX_BYTES);
        Self {
            settings,
            scratch: Scratch::default(),
        }
    }

    /// Reads a record of `topic` as a row that borrows it and this decoder.
    ///
    /// # Errors
    /// A record that cannot become a row, with the reason.
    pub fn decode<'a>(
        &'a mut self,
        topic: &'a str,
        payload: Option<&'a [u8]>,
    ) -> Result<Row<'a>, BadRecord> {
        let Self { settings, scratch } = self;
        let payload = text_of(payload, settings.max_bytes)?;
        let mut reader = Reader::new(payload, scratch);
        let (project, collection) = match settings.layout {
            Layout::Rakam => layout::rakam(&mut reader)?,
            Layout::Fabric => layout::fabric(&mut reader)?,
            Layout::Plain => {
                layout::plain(&mut reader, settings.collection_field.as_deref(), topic)?
            }
        };
        let buffer = &scratch.buffer;
        let text = |name| match name {
            Name::Configured => &*settings.project,
            Name::Topic => topic,
            Name::Written(piece) => buffer.text(payload, piece),
        };
        Ok(buffer.row(payload, text(project), text(collection)))
    }
}

/// The payload as text, if it may be JSON at all.
fn text_of(payload: Option<&[u8]>, max_bytes: usize) -> Result<&str, BadRecord> {
    let bad = |reason, detail: String| Err(BadRecord { reason, detail });
    let Some(payload) = payload else {
        return bad(
            Reason::NotJson,
            "the record has no payload (a tombstone)".into(),
        );
    };
    if payload.is_empty() {
        return bad(Reason::NotJson, "the payload is empty".into());
    }
    if payload.len() > max_bytes {
        let len = payload.len();
        return bad(
            Reason::TooLarge,
            format!("the payload has {len} bytes, {max_bytes} are allowed"),
        );
    }
    if payload.starts_with(b"\xEF\xBB\xBF") {
        return bad(Reason::NotJson, "byte order mark at byte 0".into());
    }
    std::str::from_utf8(payload).or_else(|error| {
        bad(
            Reason::NotJson,
            format!("invalid UTF-8 at byte {}", error.valid_up_to()),
        )
    })
}

impl From<Fault> for BadRecord {
    fn from(Fault { what, at }: Fault) -> Self {
        Self::new(Reason::NotJson, format_args!("{what} at byte {at}"))
    }
}

#[cfg(test)]
mod tests;
