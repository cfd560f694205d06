//! Reads an object's bytes to the last and tells what they hold.
//!
//! It owns what a whole object is: exactly one gzip member (or plain text), nothing cut off, nothing behind
//! it, checksum and length right, and a line feed at the end of every line. It keeps no more than one line
//! and one window of the compression, however large the object. Lines are not looked into.

use std::fmt;

use alluvium_target::TargetError;
use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};
use futures_util::stream::{Stream, StreamExt as _};

use crate::{Compression, ContentHash};

/// Text is taken out of the decompressor in pieces of this many bytes.
const WINDOW: usize = 32 * 1024;

/// A gzip header that is longer is none of ours.
const LONGEST_HEADER: usize = 64 * 1024;

/// What an object holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Lines.
    pub rows: u64,
    /// Bytes of text.
    pub uncompressed_bytes: u64,
    /// What the lines are.
    pub content: ContentHash,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rows,
            uncompressed_bytes,
            content,
        } = self;
        write!(
            f,
            "{rows} rows in {uncompressed_bytes} bytes of text, {content}"
        )
    }
}

/// Why an object cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// The store fails. That may heal; all else says that the object is damaged, or no object of ours.
    #[error("it cannot be read: {0}")]
    Read(#[from] TargetError),
    /// It begins with something else.
    #[error("it is no gzip")]
    NotGzip,
    /// Its end is missing.
    #[error("it is cut off after {0} bytes of text")]
    Truncated(u64),
    /// Something follows the end.
    #[error("there are more bytes behind its end, after {0} bytes of text")]
    Trailing(u64),
    /// The compressed bytes make no sense, or do not make the text they were made of.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The last line is not ended: text is missing.
    #[error("its last line has no line feed, after {0} bytes of text")]
    UnendedLine(u64),
}

/// Reads `body` to its end.
///
/// # Errors
/// [`ExamineError`] if the store fails, or if this is no whole object.
pub async fn examine(
    body: impl Stream<Item = Result<Bytes, TargetError>> + Unpin,
    compression: Compression,
) -> Result<Contents, ExamineError> {
    let mut body = body;
    let mut lines = Lines::default();
    match compression {
        Compression::None => {
            while let Some(piece) = body.next().await {
                lines.push(&piece?);
            }
        }
        Compression::Gzip => {
            let mut member = Member::new();
            while let Some(piece) = body.next().await {
                member.push(&piece?, &mut lines)?;
            }
            member.end(&lines)?;
        }
    }
    lines.end()
}

/// Counts lines as they come in pieces.
#[derive(Default)]
struct Lines {
    contents: Contents,
    /// The line that has no end yet.
    open: Vec<u8>,
}

impl Lines {
    fn push(&mut self, text: &[u8]) {
        self.contents.uncompressed_bytes += text.len() as u64;
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            match piece.split_last() {
                Some((b'\n', line)) if self.open.is_empty() => self.count(line),
                Some((b'\n', line)) => {
                    let mut open = std::mem::take(&mut self.open);
                    open.extend_from_slice(line);
                    self.count(&open);
                    open.clear();
                    self.open = open;
                }
                _ => self.open.extend_from_slice(piece),
            }
        }
    }

    fn count(&mut self, line: &[u8]) {
        self.contents.rows += 1;
        self.contents.content.add(line);
    }

    fn end(self) -> Result<Contents, ExamineError> {
        if self.open.is_empty() {
            Ok(self.contents)
        } else {
            Err(ExamineError::UnendedLine(self.contents.uncompressed_bytes))
        }
    }
}

/// One gzip member (RFC 1952), taken in pieces.
struct Member {
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
    fn new() -> Self {
        Self {
            part: Part::Header,
            waiting: Vec::new(),
            inflate: Decompress::new(false),
            window: vec![0; WINDOW],
            crc: Hasher::new(),
        }
    }

    fn push(&mut self, bytes: &[u8], lines: &mut Lines) -> Result<(), ExamineError> {
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
            None if self.waiting.len() > LONGEST_HEADER => Err(ExamineError::NotGzip),
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

    fn end(&self, lines: &Lines) -> Result<(), ExamineError> {
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
        return Err(ExamineError::NotGzip);
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

#[cfg(test)]
mod tests;
