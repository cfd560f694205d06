//! One object in the making: lines at first, compressed pieces as they grow.

use std::mem;

use alluvium_target::{Table, TargetError};
use bytes::Bytes;

use crate::compression::{Checksum, Codec};
use crate::line::LineWriter;
use crate::{Compression, ContentHash};

/// Text is compressed in pieces of about this many bytes, cut between lines. Events in one piece would be
/// 1% smaller at level 1 and 3% at level 6; pieces of 16 KiB would be larger by a sixth and a third.
pub(crate) const PIECE: usize = 240 * 1024;

/// Room for a piece and a line that goes beyond it.
const ROOM: usize = PIECE + 8 * 1024;

/// Less text than this stays as it is when memory is short: compressed so early, it would gain little
/// then and cost size for good.
const TOO_SMALL: usize = 4 * 1024;

/// What NDJSON of events shrinks to at least. Only for text not yet compressed.
const EXPECTED_RATIO: u64 = 4;

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
    checksum: Checksum,
    /// What the lines so far are.
    pub(crate) content: ContentHash,
    /// Bytes of text so far, in pieces or not.
    pub(crate) raw: u64,
    pub(crate) rows: u64,
}

impl Output {
    pub(crate) fn new(table: Table, codec: Codec) -> Self {
        Self {
            table,
            codec,
            text: Vec::new(),
            pieces: Vec::new(),
            stored: codec.frame_len(),
            checksum: codec.checksum(),
            content: ContentHash::default(),
            raw: 0,
            rows: 0,
        }
    }

    /// Adds all rows of a batch.
    ///
    /// Pieces are cut behind the same rows however the rows come in batches.
    pub(crate) fn add(
        &mut self,
        lines: &mut LineWriter<'_>,
        rows: usize,
    ) -> Result<(), TargetError> {
        for row in 0..rows {
            let line = lines.line(row);
            self.text.extend_from_slice(line);
            if let [line @ .., b'\n'] = line {
                self.content.add(line);
            }
            if self.text.len() >= PIECE {
                self.cut()?;
                self.text.reserve_exact(ROOM);
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
    pub(crate) fn finish(self) -> Vec<Bytes> {
        debug_assert!(self.text.is_empty());
        let mut pieces = self.pieces;
        if let Some((before, behind)) = self.checksum.frame(self.raw) {
            pieces.insert(0, before);
            pieces.push(behind);
        }
        pieces
    }

    /// Bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.table.project().len()
            + self.table.collection().len()
            + self.checksum.memory()
            + self.text.capacity()
            + self.pieces.capacity() * size_of::<Bytes>()
            + self.stored as usize
    }

    /// About how large the object would be, ended here.
    pub(crate) fn stored_len(&self) -> u64 {
        let text = self.text.len() as u64;
        let waiting = match self.codec.compression {
            Compression::Gzip | Compression::Zstd => text / EXPECTED_RATIO,
            Compression::None => text,
        };
        self.stored + waiting
    }

    /// Turns the text so far into a piece.
    pub(crate) fn cut(&mut self) -> Result<(), TargetError> {
        if self.text.is_empty() {
            return Ok(());
        }
        let made = self.codec.piece(&self.text, self.pieces.is_empty())?;
        self.raw += self.text.len() as u64;
        self.checksum.update(&self.text);
        let piece = match made {
            Some(piece) => {
                self.text.clear();
                piece
            }
            // No larger than its text, which is all that is counted of it.
            None => Bytes::from(mem::take(&mut self.text).into_boxed_slice()),
        };
        self.stored += piece.len() as u64;
        self.pieces.push(piece);
        Ok(())
    }
}
