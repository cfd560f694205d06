//! One zstd frame (RFC 8878), taken in pieces.
//!
//! The checksum is compared by the decompressor, the length here: it does not look at that where the last
//! block is empty. A frame that asks for more memory than any of ours is refused before it gets it.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{ExamineError, Lines, WINDOW};
use crate::Compression;
use crate::zstd::MAGIC;

/// The largest window, as a power of two: what every decoder should have at least (RFC 8878, 3.1.1.1.2).
const LARGEST_WINDOW: u32 = 23;

/// No header is longer (RFC 8878, 3.1.1.1).
const LONGEST_HEADER: usize = 18;

/// What has been read of a frame.
pub(super) struct Frame {
    state: DCtx<'static>,
    window: Vec<u8>,
    /// What has come of the header, and perhaps bytes behind it.
    head: Vec<u8>,
    ended: bool,
}

impl Frame {
    pub(super) fn new() -> Result<Self, ExamineError> {
        let no_memory = || ExamineError::Damaged("there is no memory to read it".into());
        let mut state = DCtx::try_create().ok_or_else(no_memory)?;
        state
            .set_parameter(DParameter::WindowLogMax(LARGEST_WINDOW))
            .map_err(damaged)?;
        Ok(Self {
            state,
            window: vec![0; WINDOW],
            head: Vec::with_capacity(LONGEST_HEADER),
            ended: false,
        })
    }

    pub(super) fn push(&mut self, bytes: &[u8], lines: &mut Lines) -> Result<(), ExamineError> {
        self.begin(bytes)?;
        let mut input = InBuffer::around(bytes);
        while !self.ended {
            let mut output = OutBuffer::around(self.window.as_mut_slice());
            let before = input.pos();
            let left = self.state.decompress_stream(&mut output, &mut input);
            let (left, written) = (left.map_err(damaged)?, output.pos());
            lines.push(self.window.get(..written).unwrap_or_default());
            if left == 0 && self.head.len() >= MAGIC.len() {
                self.ended = true;
                break;
            }
            // A window that was not filled leaves nothing behind in the decompressor.
            if input.pos() == bytes.len() && written < WINDOW {
                return Ok(());
            }
            if input.pos() == before && written == 0 {
                return Err(ExamineError::Damaged("it makes no progress".into()));
            }
        }
        if input.pos() < bytes.len() {
            return Err(ExamineError::Trailing(lines.contents.uncompressed_bytes));
        }
        Ok(())
    }

    /// Looks at the magic number itself: the decompressor would skip frames of other kinds.
    fn begin(&mut self, bytes: &[u8]) -> Result<(), ExamineError> {
        let missing = LONGEST_HEADER - self.head.len();
        self.head.extend(bytes.iter().take(missing));
        if self
            .head
            .iter()
            .zip(MAGIC)
            .all(|(byte, magic)| *byte == magic)
        {
            Ok(())
        } else {
            Err(ExamineError::Other(Compression::Zstd))
        }
    }

    pub(super) fn end(&self, lines: &Lines) -> Result<(), ExamineError> {
        let len = lines.contents.uncompressed_bytes;
        if !self.ended {
            return Err(ExamineError::Truncated(len));
        }
        match zstd_safe::get_frame_content_size(&self.head) {
            Ok(said) if said.is_none_or(|said| said == len) => Ok(()),
            _ => Err(ExamineError::Damaged("its length is another".into())),
        }
    }
}

fn damaged(code: usize) -> ExamineError {
    ExamineError::Damaged(zstd_safe::get_error_name(code).into())
}
