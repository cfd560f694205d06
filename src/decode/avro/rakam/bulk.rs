//! Bulk objects: many records of a project in one object of a bucket, to which a record of a Kinesis stream points.
//!
//! An object is read from any source of bytes, a part at a time. What cannot be read ends the reading, with the rows before it given.

use std::io::{self, Read as _};

use super::super::cursor::{Cursor, Fault, What};
use super::super::decode::Extent;
use super::{Broken, RakamDecoder, wrong};
use crate::awaited::Needed;
use crate::decode::{BadRecord, Reason};
use crate::record::Row;

/// What is read from a bulk object at a time.
const CHUNK: usize = 64 * 1024;

/// Rows without a column take no bytes, so that a group of a few bytes may claim any number of them. An object has no more.
pub(super) const MAX_EMPTY: u64 = 65_536;

/// The place of a bulk object, in a record of type 3 of a Kinesis stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkPointer<'a> {
    /// The object's size in bytes, as its writer says.
    pub size: u64,
    /// Its key in the bucket.
    pub key: &'a str,
}

/// Reads where a bulk object is; `None` if the record is of another type.
///
/// # Errors
/// A record of that type which does not say it.
pub fn bulk_pointer(payload: &[u8]) -> Result<Option<BulkPointer<'_>>, BadRecord> {
    let Some((3, rest)) = payload.split_first().map(|(kind, rest)| (*kind, rest)) else {
        return Ok(None);
    };
    let Some((size, key)) = rest.split_first_chunk::<8>() else {
        return wrong("the record ends within the size of its bulk object");
    };
    match (
        u64::try_from(i64::from_be_bytes(*size)),
        std::str::from_utf8(key),
    ) {
        (Ok(size), Ok(key)) if !key.is_empty() => Ok(Some(BulkPointer { size, key })),
        _ => wrong("the record names no bulk object of any size"),
    }
}

/// Why a bulk object is not read any further. The rows before it are good.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// Its bytes did not come.
    #[error("cannot read the bulk object: {0}")]
    Unavailable(#[from] io::Error),
    /// A table's columns are not known yet: it must be read again, from its beginning.
    #[error("{} is not at hand yet", .0.what)]
    Needs(Needed),
    /// It is nothing that can be read, or names a table whose columns are not known: without them nobody can tell where its
    /// records end. Where, in bytes.
    #[error("the bulk object cannot be read beyond byte {at}: {bad}")]
    Bad {
        /// What is wrong.
        bad: BadRecord,
        /// The byte at which the part begins that cannot be read.
        at: u64,
    },
}

/// Records of one table in a bulk object.
#[derive(Clone, Copy, Debug)]
struct Group {
    columns: usize,
    left: u64,
}

/// A bulk object: a project, and for each of its tables the number of columns its writer knew, the number of records,
/// and the records.
pub struct Bulk<'d, R> {
    decoder: &'d mut RakamDecoder,
    reading: Reading<R>,
}

/// How far a bulk object was read.
#[derive(Debug)]
pub(super) struct Reading<R> {
    source: R,
    bytes: Vec<u8>,
    /// Where reading stands in `bytes`.
    at: usize,
    /// Bytes before those in `bytes`.
    passed: u64,
    /// Whether the source has no more.
    whole: bool,
    project: Option<String>,
    group: Option<Group>,
    /// Rows without a column that its groups have claimed.
    empty: u64,
    done: bool,
}

impl<'d, R: io::Read> Bulk<'d, R> {
    pub(super) fn new(decoder: &'d mut RakamDecoder, source: R) -> Self {
        let reading = Reading::new(source);
        Self { decoder, reading }
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// What ends the reading before the object's end.
    pub fn next_row(&mut self) -> Option<Result<Row<'_>, BulkError>> {
        if let Err(error) = self.reading.next(self.decoder)? {
            return Some(Err(error));
        }
        let at = self.reading.passed + self.reading.at as u64;
        Some(self.decoder.row().map_err(|bad| BulkError::Bad { bad, at }))
    }
}

impl<R: io::Read> Reading<R> {
    /// Nothing is read yet.
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            bytes: Vec::new(),
            at: 0,
            passed: 0,
            whole: false,
            project: None,
            group: None,
            empty: 0,
            done: false,
        }
    }

    /// Goes on to the next row, which is in the decoder's buffer then; `None` at the end.
    ///
    /// # Errors
    /// What ends the reading before the object's end.
    pub(super) fn next(&mut self, decoder: &mut RakamDecoder) -> Option<Result<(), BulkError>> {
        if self.done {
            return None;
        }
        let step = self.step(decoder);
        self.done = !matches!(step, Ok(true));
        match step {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn step(&mut self, decoder: &mut RakamDecoder) -> Result<bool, BulkError> {
        if self.project.is_none() {
            self.project = Some(self.part(decoder, |_, cursor| Ok(cursor.text()?.to_owned()))?);
        }
        while self.group.is_none_or(|group| group.left == 0) {
            if self.ended()? {
                return Ok(false);
            }
            let project = self.project.clone().unwrap_or_default();
            let group = self.part(decoder, |decoder, cursor| {
                let collection = cursor.text()?;
                let (columns, records) = (cursor.int()?, cursor.int()?);
                decoder.scratch.address(&project, collection)?;
                let known = decoder.own_columns(columns)?;
                match (usize::try_from(columns), u64::try_from(records)) {
                    (Ok(columns), Ok(_)) if columns > known => Err(Broken::Bad(BadRecord::new(
                        Reason::WrongLayout,
                        format_args!("{project}.{collection} was written with {columns} columns, {known} are known"),
                    ))),
                    (Ok(columns), Ok(left)) => Ok(Group { columns, left }),
                    _ => Err(Broken::Fault(Box::new(Fault { what: What::Broken("a negative number of columns or records"), at: cursor.at() }))),
                }
            })?;
            self.bound_empty(group)?;
            self.group = Some(group);
        }
        let Some(group) = &mut self.group else {
            return Ok(false);
        };
        group.left -= 1;
        let columns = group.columns;
        self.part(decoder, |decoder, cursor| {
            decoder.body(cursor, Extent::First(columns), 0)
        })?;
        Ok(true)
    }

    fn bound_empty(&mut self, group: Group) -> Result<(), BulkError> {
        if group.columns == 0 {
            self.empty = self.empty.saturating_add(group.left);
        }
        if self.empty <= MAX_EMPTY {
            return Ok(());
        }
        let claimed = format_args!(
            "{} records without a column are claimed, {MAX_EMPTY} are allowed",
            self.empty
        );
        Err(BulkError::Bad {
            bad: BadRecord::new(Reason::TooLarge, claimed),
            at: self.passed + self.at as u64,
        })
    }

    /// Reads a part of the object, with as many bytes as that takes.
    fn part<T>(
        &mut self,
        decoder: &mut RakamDecoder,
        mut read: impl FnMut(&mut RakamDecoder, &mut Cursor<'_>) -> Result<T, Broken>,
    ) -> Result<T, BulkError> {
        loop {
            let mut cursor = Cursor::new(&self.bytes, self.at);
            let broken = match read(decoder, &mut cursor) {
                Ok(part) => {
                    self.at = cursor.at();
                    return Ok(part);
                }
                Err(broken) => broken,
            };
            let truncated =
                matches!(&broken, Broken::Fault(fault) if fault.what == What::Truncated);
            let large = self.bytes.len() - self.at > decoder.settings.max_bytes;
            if truncated && !self.whole && !large {
                self.fill()?;
                continue;
            }
            let at = self.passed + self.at as u64;
            let bad = match broken {
                Broken::Needs(needed) => return Err(BulkError::Needs(needed)),
                Broken::Bad(bad) => bad,
                Broken::Fault(_) if large => {
                    BadRecord::new(Reason::TooLarge, "a record is larger than allowed")
                }
                Broken::Fault(fault) => fault.into(),
            };
            return Err(BulkError::Bad { bad, at });
        }
    }

    fn ended(&mut self) -> Result<bool, BulkError> {
        while self.at == self.bytes.len() && !self.whole {
            self.fill()?;
        }
        Ok(self.at == self.bytes.len())
    }

    /// Brings more bytes, and drops those that were read.
    fn fill(&mut self) -> Result<(), BulkError> {
        self.bytes.drain(..self.at);
        self.passed += self.at as u64;
        self.at = 0;
        // Twice as much each time, so that a large part is not tried anew for every few of its bytes.
        let more = self.bytes.len().max(CHUNK);
        let read = (&mut self.source)
            .take(more as u64)
            .read_to_end(&mut self.bytes)?;
        self.whole = read == 0;
        Ok(())
    }
}
