//! One object in the making: lines at first, compressed pieces as they grow.

use alluvium_target::{Table, TargetError};
use bytes::Bytes;
use crc32fast::Hasher;

use crate::line::LineWriter;
use crate::{ContentHash, gzip};

/// Text is compressed in pieces of about this many bytes, cut between lines. Events in one piece would be
/// 1% smaller at level 1 and 3% at level 6; pieces of 16 KiB would be larger by a sixth and a third.
pub(crate) const PIECE: usize = 240 * 1024;

/// Less text than this stays as it is when memory is short: compressed so early, it would gain little
/// then and cost size for good.
const TOO_SMALL: usize = 4 * 1024;

/// What NDJSON of events shrinks to at least. Only for text not yet compressed.
const EXPECTED_RATIO: u64 = 4;

/// How objects are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// One gzip member.
    Gzip,
    /// Plain text.
    None,
}

/// How text becomes bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codec {
    pub(crate) compression: Compression,
    /// The level of gzip, 0 to 9.
    pub(crate) level: u32,
}

/// The lines of one object.
#[derive(Debug)]
pub(crate) struct Output {
    /// Names the object. Other tables may share it.
    pub(crate) table: Table,
    codec: Codec,
    text: Vec<u8>,
    pieces: Vec<Bytes>,
    /// Bytes in `pieces`.
    stored: u64,
    crc: Hasher,
    /// What the lines so far are.
    pub(crate) content: ContentHash,
    /// Bytes of text so far, in pieces or not.
    pub(crate) raw: u64,
    pub(crate) rows: u64,
}

impl Output {
    pub(crate) fn new(table: Table, codec: Codec) -> Self {
        let mut output = Self {
            table,
            codec,
            text: Vec::new(),
            pieces: Vec::new(),
            stored: 0,
            crc: Hasher::new(),
            content: ContentHash::default(),
            raw: 0,
            rows: 0,
        };
        if codec.compression == Compression::Gzip {
            output.push(Bytes::from_static(&gzip::HEADER));
        }
        output
    }

    /// Adds all rows of a batch.
    ///
    /// Pieces are cut behind the same rows however the rows come in batches.
    pub(crate) fn add(&mut self, lines: &LineWriter<'_>, rows: usize) -> Result<(), TargetError> {
        for row in 0..rows {
            let start = self.text.len();
            lines.write(row, &mut self.text);
            if let Some([line @ .., b'\n']) = self.text.get(start..) {
                self.content.add(line);
            }
            if self.text.len() >= PIECE {
                self.cut()?;
            }
        }
        self.rows += rows as u64;
        Ok(())
    }

    /// Gives back memory without losing rows.
    pub(crate) fn shrink(&mut self) -> Result<(), TargetError> {
        if self.text.len() >= TOO_SMALL {
            self.cut()?;
        }
        self.text.shrink_to_fit();
        Ok(())
    }

    /// Ends the object and hands out its bytes. All text must have been [`cut`](Self::cut) before.
    pub(crate) fn finish(mut self) -> Vec<Bytes> {
        debug_assert!(self.text.is_empty());
        if self.codec.compression == Compression::Gzip {
            let crc = self.crc.clone().finalize();
            self.push(Bytes::copy_from_slice(&gzip::trailer(crc, self.raw)));
        }
        self.pieces
    }

    /// Bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.table.project().len()
            + self.table.collection().len()
            + self.text.capacity()
            + self.pieces.capacity() * size_of::<Bytes>()
            + self.stored as usize
    }

    /// About how large the object would be, ended here.
    pub(crate) fn stored_len(&self) -> u64 {
        let text = self.text.len() as u64;
        let waiting = match self.codec.compression {
            Compression::Gzip => text / EXPECTED_RATIO,
            Compression::None => text,
        };
        self.stored + waiting
    }

    /// Turns the text so far into a piece.
    pub(crate) fn cut(&mut self) -> Result<(), TargetError> {
        if self.text.is_empty() {
            return Ok(());
        }
        let piece = match self.codec.compression {
            Compression::None => Bytes::copy_from_slice(&self.text),
            Compression::Gzip => gzip::blocks(&self.text, self.codec.level).map_err(|error| {
                TargetError::Misconfigured(format!("the compressor does not work: {error}"))
            })?,
        };
        self.raw += self.text.len() as u64;
        if self.codec.compression == Compression::Gzip {
            self.crc.update(&self.text);
        }
        self.text.clear();
        self.push(piece);
        Ok(())
    }

    fn push(&mut self, piece: Bytes) {
        self.stored += piece.len() as u64;
        self.pieces.push(piece);
    }
}
