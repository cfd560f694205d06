//! Object container files: a schema and blocks of objects, all in one payload.
//!
//! The whole file is unpacked and looked through before its first object is given out, so that a bad one leaves no trace.

use std::collections::HashMap;
use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};

use super::cursor::{Cursor, Fault, What};
use super::decode::MAX_ITEMS;
use super::schema::Schema;
use super::{Compiled, Reason};
use crate::decode::BadRecord;

const MAGIC: [u8; 4] = *b"Obj\x01";
/// More texts of schemas than this are forgotten, and read anew.
const MAX_TEXTS: usize = 256;
/// Longer schemas are refused, and more text than that is forgotten, in bytes: it is in no budget.
const MAX_TEXT: usize = 256 * 1024;
const MAX_TEXTS_BYTES: usize = 1 << 20;
/// More unpacked bytes than this are given back after the record that needed them.
const KEPT: usize = 256 * 1024;

/// The file that was opened last, and what is left of it.
#[derive(Debug, Default)]
pub(super) struct Container {
    /// By the texts of their schemas.
    known: HashMap<Box<str>, Result<Arc<Compiled>, String>>,
    pub(super) compiled: Option<Arc<Compiled>>,
    pub(super) objects: Vec<u8>,
    /// Where the next object begins.
    pub(super) at: usize,
    /// How many are left.
    pub(super) left: u64,
}

/// What a file's head says.
struct Head<'a> {
    schema: &'a str,
    deflate: bool,
    sync: [u8; 16],
}

impl Container {
    pub(super) fn clear(&mut self) {
        (self.at, self.left) = (0, 0);
        self.objects.clear();
        self.objects.shrink_to(KEPT);
    }

    /// Unpacks the objects of a file.
    pub(super) fn open(
        &mut self,
        payload: &[u8],
        max_bytes: usize,
        compile: impl FnOnce(&Schema) -> Arc<Compiled>,
    ) -> Result<(), BadRecord> {
        let mut cursor = Cursor::new(payload, 0);
        let head = head(&mut cursor)?;
        self.compiled = Some(self.program(head.schema, compile)?);
        let mut left = 0u64;
        while !cursor.is_at_end() {
            let start = cursor;
            let count = cursor.long()?;
            let block = cursor.bytes()?;
            left = match u64::try_from(count) {
                Ok(count) => left.saturating_add(count),
                Err(_) => return Ok(start.broken("a block with a negative number of objects")?),
            };
            if left > MAX_ITEMS.into() {
                return Err(BadRecord::new(
                    Reason::TooLarge,
                    format_args!("the container has more than {MAX_ITEMS} objects"),
                ));
            }
            if head.deflate {
                inflate(block, &mut self.objects, max_bytes)?;
            } else {
                self.objects.extend_from_slice(block);
            }
            if cursor.array::<16>()? != head.sync {
                return Ok(start.broken("a block without the file's mark behind it")?);
            }
        }
        self.left = left;
        Ok(())
    }

    fn program(
        &mut self,
        text: &str,
        compile: impl FnOnce(&Schema) -> Arc<Compiled>,
    ) -> Result<Arc<Compiled>, BadRecord> {
        if text.len() > MAX_TEXT {
            let what = format_args!("its text is longer than {MAX_TEXT} bytes");
            return Err(BadRecord::new(Reason::UnusableSchema, what));
        }
        if !self.known.contains_key(text) {
            let known: usize = self.known.keys().map(|text| text.len()).sum();
            if self.known.len() >= MAX_TEXTS || known + text.len() > MAX_TEXTS_BYTES {
                self.known.clear();
            }
            let made = Schema::parse(text, &[]).map(|schema| compile(&schema));
            self.known
                .insert(text.into(), made.map_err(|bad| bad.to_string()));
        }
        match self.known.get(text) {
            Some(Ok(compiled)) => Ok(compiled.clone()),
            Some(Err(why)) => Err(BadRecord::new(Reason::UnusableSchema, why)),
            None => Err(BadRecord::new(Reason::UnusableSchema, "it was not kept")),
        }
    }

    /// Looks through all objects; `read` reads one and gives where it ends.
    pub(super) fn check(
        &self,
        mut read: impl FnMut(&Compiled, Cursor<'_>) -> Result<usize, BadRecord>,
    ) -> Result<(), BadRecord> {
        let Some(compiled) = &self.compiled else {
            return Ok(());
        };
        let mut at = 0;
        for object in 0..self.left {
            at = read(compiled, Cursor::new(&self.objects, at)).map_err(|bad| {
                BadRecord::new(
                    bad.reason,
                    format_args!("object {object} of the container: {}", bad.detail),
                )
            })?;
        }
        if at < self.objects.len() {
            let what = "the container's blocks hold more than their objects";
            return Err(BadRecord::new(Reason::NotAvro, what));
        }
        Ok(())
    }
}

fn head<'a>(cursor: &mut Cursor<'a>) -> Result<Head<'a>, BadRecord> {
    let start = *cursor;
    if cursor.array::<4>()? != MAGIC {
        return Ok(start.broken("the payload does not begin with Obj and 1")?);
    }
    let (mut schema, mut codec) = (None, &b"null"[..]);
    loop {
        let count = cursor.block()?;
        if count == 0 {
            break;
        }
        for _ in 0..count {
            let key = cursor.text()?;
            match key {
                "avro.schema" => schema = Some(cursor.text()?),
                "avro.codec" => codec = cursor.bytes()?,
                _ => {
                    cursor.bytes()?;
                }
            }
        }
    }
    let Some(schema) = schema else {
        return Ok(cursor.broken("the container's head has no schema")?);
    };
    let deflate = match codec {
        b"null" => false,
        b"deflate" => true,
        other => {
            let what = format_args!(
                "the container's codec is {}: null and deflate are served",
                String::from_utf8_lossy(other)
            );
            return Err(BadRecord::new(Reason::WrongLayout, what));
        }
    };
    Ok(Head {
        schema,
        deflate,
        sync: cursor.array()?,
    })
}

/// Appends what `block` holds, as long as there are no more than `max_bytes` in all.
fn inflate(block: &[u8], out: &mut Vec<u8>, max_bytes: usize) -> Result<(), BadRecord> {
    let mut inflater = Decompress::new(false);
    loop {
        let read = usize::try_from(inflater.total_in()).unwrap_or(usize::MAX);
        let rest = block.get(read..).unwrap_or_default();
        out.reserve(rest.len().clamp(1024, 64 * 1024));
        let before = out.len();
        let status = inflater.decompress_vec(rest, out, FlushDecompress::Finish);
        if out.len() > max_bytes {
            let what =
                format_args!("the container has more than {max_bytes} bytes when decompressed");
            return Err(BadRecord::new(Reason::TooLarge, what));
        }
        match status {
            Ok(Status::StreamEnd) => return Ok(()),
            Ok(_) if out.len() > before || inflater.total_in() as usize > read => {}
            _ => {
                let what = What::Broken("a block that is not compressed as deflate has it");
                return Err(BadRecord::from(Box::new(Fault { what, at: 0 })));
            }
        }
    }
}
