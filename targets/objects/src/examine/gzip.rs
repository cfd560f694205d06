//! One gzip member (RFC 1952), taken in pieces.
//!
//! Header and trailer are looked at here, so that the end is found to the byte; the blocks are the
//! decompressor's.

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use super::{ExamineError, Lines, WINDOW};
use crate::Compression;

/// A header that is longer is none of ours.
const LONGEST_HEADER: usize = 64 * 1024;

/// What has been read of a member.
pub(super) struct Member {
    part: Part,
    /// What has come of the header or the trailer.
    waiting: Vec<u8>,
    inflate: Decompress,
    window: Vec<u8>,
    crc: Hasher,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Blocks,
    Trailer,
    End,
}

impl Member {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Header,
            waiting: Vec::new(),
            inflate: Decompress::new(false),
            window: vec![0; WINDOW],
            crc: Hasher::new(),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], lines: &mut Lines) -> Result<(), ExamineError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.part {
                Part::Header => self.header(rest)?,
                Part::Blocks => self.blocks(rest, lines)?,
                Part::Trailer => self.trailer(rest, lines)?,
                Part::End => {
                    return Err(ExamineError::Trailing(lines.contents.uncompressed_bytes));
                }
            };
        }
        Ok(())
    }

    fn header<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ExamineError> {
        let before = self.waiting.len();
        self.waiting.extend_from_slice(bytes);
        match header_len(&self.waiting)? {
            Some(len) => {
                self.waiting.clear();
                self.part = Part::Blocks;
                // It was not whole before these bytes.
                Ok(bytes.get(len.saturating_sub(before)..).unwrap_or_default())
            }
            None if self.waiting.len() > LONGEST_HEADER => {
                Err(ExamineError::Other(Compression::Gzip))
            }
            None => Ok(&[]),
        }
    }

    fn blocks<'a>(&mut self, bytes: &'a [u8], lines: &mut Lines) -> Result<&'a [u8], ExamineError> {
        let mut rest = bytes;
        loop {
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(rest, &mut self.window, FlushDecompress::None)
                .map_err(|error| ExamineError::Damaged(error.to_string()))?;
            let read = (self.inflate.total_in() - read) as usize;
            let written = (self.inflate.total_out() - written) as usize;
            rest = rest.get(read..).unwrap_or_default();
            let text = self.window.get(..written).unwrap_or_default();
            self.crc.update(text);
            lines.push(text);
            if status == Status::StreamEnd {
                self.part = Part::Trailer;
                return Ok(rest);
            }
            // A window that was not filled leaves nothing behind in the decompressor.
            if rest.is_empty() && written < WINDOW {
                return Ok(rest);
            }
            if read == 0 && written == 0 {
                return Err(ExamineError::Damaged("it makes no progress".into()));
            }
        }
    }

    fn trailer<'a>(&mut self, bytes: &'a [u8], lines: &Lines) -> Result<&'a [u8], ExamineError> {
        let (now, rest) = bytes.split_at(bytes.len().min(8 - self.waiting.len()));
        self.waiting.extend_from_slice(now);
        let Some(&[c0, c1, c2, c3, l0, l1, l2, l3]) = self.waiting.as_array::<8>() else {
            return Ok(rest);
        };
        if u32::from_le_bytes([c0, c1, c2, c3]) != self.crc.clone().finalize() {
            return Err(ExamineError::Damaged("its checksum is another".into()));
        }
        // The format has the length modulo 2^32.
        if u32::from_le_bytes([l0, l1, l2, l3]) != lines.contents.uncompressed_bytes as u32 {
            return Err(ExamineError::Damaged("its length is another".into()));
        }
        self.part = Part::End;
        Ok(rest)
    }

    pub(super) fn end(&self, lines: &Lines) -> Result<(), ExamineError> {
        match self.part {
            Part::End => Ok(()),
            _ => Err(ExamineError::Truncated(lines.contents.uncompressed_bytes)),
        }
    }
}

/// The length of the gzip header that `bytes` begin with, once it is whole.
fn header_len(bytes: &[u8]) -> Result<Option<usize>, ExamineError> {
    const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
    const CHECKSUM: u8 = 2;
    const EXTRA: u8 = 4;
    const TEXTS: [u8; 2] = [8, 16];
    if !bytes.iter().zip(MAGIC).all(|(byte, magic)| *byte == magic) {
        return Err(ExamineError::Other(Compression::Gzip));
    }
    let Some(flags) = bytes.get(3).copied().filter(|_| bytes.len() >= 10) else {
        return Ok(None);
    };
    let mut len = 10;
    if flags & EXTRA != 0 {
        let Some(&[low, high]) = bytes.get(len..len + 2).and_then(<[u8]>::as_array::<2>) else {
            return Ok(None);
        };
        len += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for text in TEXTS {
        if flags & text != 0 {
            let text = bytes.get(len..).unwrap_or_default();
            let Some(end) = text.iter().position(|byte| *byte == 0) else {
                return Ok(None);
            };
            len += end + 1;
        }
    }
    if flags & CHECKSUM != 0 {
        len += 2;
    }
    Ok((bytes.len() >= len).then_some(len))
}
