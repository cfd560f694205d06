//! Payload bytes to rows of a table: synchronous, without I/O, one record at a time.
//!
//! A decoder reads a whole record before anything of it is used. What it cannot read is a
//! [`BadRecord`], which says why and where; it leaves no trace in the rows before and after it.
//! Decoders know nothing of columns and types.

pub mod avro;
mod case;
pub mod json;

use std::fmt;

use self::avro::rakam::{RakamDecoder, RakamSettings};
use self::avro::{AvroDecoder, AvroSettings};
use self::json::{JsonDecoder, JsonSettings};
use crate::awaited::Needed;
use crate::record::{Record, Row};

/// Why a record cannot become a row. Dead letters are counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The payload is not JSON as RFC 8259 has it, or has field names that no text can hold.
    NotJson,
    /// The payload is JSON, but not of the configured layout; or it is Avro, but nothing the reader's schema or a row has room for.
    WrongLayout,
    /// The record does not name the table it belongs to.
    NoTable,
    /// The payload is longer than the configured limit.
    TooLarge,
    /// The payload is not Avro of its schema, or does not say which schema that is.
    NotAvro,
    /// Nobody knows the schema that the record names.
    UnknownSchema,
    /// The schema is known, but cannot be used here.
    UnusableSchema,
    /// The object is not there that the record points to.
    NoObject,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Self; 8] = [
        Self::NotJson,
        Self::WrongLayout,
        Self::NoTable,
        Self::TooLarge,
        Self::NotAvro,
        Self::UnknownSchema,
        Self::UnusableSchema,
        Self::NoObject,
    ];

    /// The name dead letters are counted by.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::WrongLayout => "wrong_layout",
            Self::NoTable => "no_table",
            Self::TooLarge => "too_large",
            Self::NotAvro => "not_avro",
            Self::UnknownSchema => "unknown_schema",
            Self::UnusableSchema => "unusable_schema",
            Self::NoObject => "no_object",
        }
    }
}

/// A record that cannot become a row. Displayed as the reason's name, a colon and the detail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", .reason.name())]
pub struct BadRecord {
    /// What it is counted by.
    pub reason: Reason,
    /// What is wrong, and at which byte if that helps; never the payload itself.
    pub detail: String,
}

impl BadRecord {
    fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
        }
    }
}

/// Why there is no row, named by what the caller does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The record is a dead letter.
    #[error(transparent)]
    Bad(#[from] BadRecord),
    /// The record can be read once this is at hand: it must be offered again.
    #[error("{} is not at hand yet", .0.what)]
    Needs(Needed),
}

/// How records are read.
#[derive(Clone, Debug)]
pub enum DecoderSettings {
    /// JSON as it is.
    Json(JsonSettings),
    /// JSON behind the frame of a schema registry, whose schema nobody needs.
    FramedJson(JsonSettings),
    /// Avro that says which schema it has.
    Avro(AvroSettings),
    /// The original's Avro, which is read by the columns of its table.
    Rakam(RakamSettings),
}

impl DecoderSettings {
    /// What shapes rows besides the configuration's own words: the text of a reader's schema. Empty if there is none.
    pub fn shape(&self) -> String {
        match self {
            Self::Avro(AvroSettings {
                reader: Some(reader),
                ..
            }) => format!("reader {:016x}\n", reader.print()),
            _ => String::new(),
        }
    }
}

impl From<JsonSettings> for DecoderSettings {
    fn from(settings: JsonSettings) -> Self {
        Self::Json(settings)
    }
}

/// The decoder of a format.
#[derive(Debug)]
pub enum Decoder {
    /// See [`DecoderSettings::Json`].
    Json(JsonDecoder),
    /// See [`DecoderSettings::FramedJson`].
    FramedJson(JsonDecoder),
    /// See [`DecoderSettings::Avro`].
    Avro(Box<AvroDecoder>),
    /// See [`DecoderSettings::Rakam`].
    Rakam(Box<RakamDecoder>),
}

impl Decoder {
    /// A decoder for records read as `settings` say.
    pub fn new(settings: DecoderSettings) -> Self {
        match settings {
            DecoderSettings::Json(settings) => Self::Json(JsonDecoder::new(settings)),
            DecoderSettings::FramedJson(settings) => Self::FramedJson(JsonDecoder::new(settings)),
            DecoderSettings::Avro(settings) => Self::Avro(AvroDecoder::new(settings).into()),
            DecoderSettings::Rakam(settings) => Self::Rakam(RakamDecoder::new(settings).into()),
        }
    }

    /// Reads a record of `topic` as a row that borrows it and this decoder; [`Decoder::more`] gives those that follow.
    ///
    /// # Errors
    /// Why there is no row.
    pub fn decode<'a>(
        &'a mut self,
        topic: &'a str,
        record: &Record<'a>,
    ) -> Result<Row<'a>, Failure> {
        match self {
            Self::Json(decoder) => Ok(decoder.decode(topic, record.payload)?),
            Self::FramedJson(decoder) => {
                let json = match record.payload {
                    Some(payload) => {
                        let (_, start) = avro::registered(payload, record.schema, Reason::NotJson)?;
                        Some(payload.get(start..).unwrap_or_default())
                    }
                    None => None,
                };
                Ok(decoder.decode(topic, json)?)
            }
            Self::Avro(decoder) => decoder.decode(topic, record.payload, record.schema),
            Self::Rakam(decoder) => decoder.decode(topic, record),
        }
    }

    /// Whether the record may have more rows than one.
    pub fn may_have_more(&self, record: &Record<'_>) -> bool {
        match self {
            Self::Json(_) | Self::FramedJson(_) => false,
            Self::Avro(decoder) => decoder.may_have_more(),
            Self::Rakam(decoder) => decoder.is_pointer(record),
        }
    }

    /// The next row of the record that was decoded last, if it has more than one.
    ///
    /// # Errors
    /// A row that has no table, or all that follow if they cannot be read, or cannot yet.
    pub fn more<'a>(&'a mut self, topic: &'a str) -> Option<Result<Row<'a>, Failure>> {
        match self {
            Self::Json(_) | Self::FramedJson(_) => None,
            Self::Avro(decoder) => Some(decoder.more(topic)?.map_err(Failure::Bad)),
            Self::Rakam(decoder) => decoder.more(),
        }
    }

    /// The record that was decoded last is not offered again: what was kept for it is not needed any more.
    pub fn done(&mut self) {
        match self {
            Self::Json(_) | Self::FramedJson(_) | Self::Avro(_) => {}
            Self::Rakam(decoder) => decoder.done(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::json::Layout;
    use super::*;
    use crate::record::Position;

    #[test]
    fn json_stands_behind_the_registrys_frame_or_beside_its_header() {
        let settings = JsonSettings {
            layout: Layout::Plain,
            project: "p".into(),
            collection_field: None,
            max_bytes: 1 << 10,
        };
        let mut decoder = Decoder::new(DecoderSettings::FramedJson(settings));
        let mut fields = |payload: Option<&[u8]>, schema: Option<&[u8]>| {
            let record = Record {
                position: Position::at(0),
                timestamp: None,
                key: None,
                payload,
                schema,
                origin: None,
            };
            decoder.decode("t", &record).map(|row| row.fields().len())
        };
        assert_eq!(fields(Some(b"\0\0\0\0\x07{\"a\":1}"), None), Ok(1));
        assert_eq!(fields(Some(b"{\"a\":1}"), Some(b"\0\0\0\0\x07")), Ok(1));
        for (payload, schema) in [
            (Some(&b"{\"a\":1}"[..]), None),
            (Some(b"\0\0\0"), None),
            (Some(b"\0\0\0\0\x07"), None),
            (Some(b"{\"a\":1}"), Some(&b"7"[..])),
            (None, None),
        ] {
            let failure = fields(payload, schema).unwrap_err();
            assert!(
                matches!(
                    failure,
                    Failure::Bad(BadRecord {
                        reason: Reason::NotJson,
                        ..
                    })
                ),
                "{failure}"
            );
        }
    }
}
