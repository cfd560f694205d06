//! Reads an object's bytes to the last and tells what they hold.
//!
//! It owns what a whole object is: exactly one gzip member or zstd frame (or plain text), nothing cut off,
//! nothing behind it, checksum and length right, and a line feed at the end of every line. It keeps no more
//! than one line and one window of the compression, however large the object. Lines are not looked into.

use std::fmt;

use alluvium_target::TargetError;
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt as _};

use crate::{Compression, ContentHash};

/// Text is taken out of the decompressor in pieces of this many bytes.
const WINDOW: usize = 32 * 1024;

mod gzip;
mod zstd;

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
    #[error("it is no {0}")]
    Other(Compression),
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
            let mut member = gzip::Member::new();
            while let Some(piece) = body.next().await {
                member.push(&piece?, &mut lines)?;
            }
            member.end(&lines)?;
        }
        Compression::Zstd => {
            let mut frame = zstd::Frame::new()?;
            while let Some(piece) = body.next().await {
                frame.push(&piece?, &mut lines)?;
            }
            frame.end(&lines)?;
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

#[cfg(test)]
mod tests;
