//! zstd in pieces: one frame made of blocks that were compressed one by one.
//!
//! As with gzip, a thread has one compressor for all the objects it has open, which starts afresh for every
//! piece of text. The blocks of the pieces, joined between [`header`] and [`trailer`], are one frame
//! (RFC 8878), because some readers stop without a word behind the first frame of a file. The header tells
//! the length of the text, which readers that read at one go ask for.
//!
//! One thing speaks against joining: a block may repeat one of the last three distances, and which those
//! were depends on the blocks before. A compressor that starts afresh takes them for 1, 4 and 8. So a later
//! piece begins with a small block that is shown to mean its text whatever came before ([`joint`]) and to
//! leave none of the older distances behind. Where it does not mean its text, the first bytes of the piece go
//! in as they are; where it leaves such a distance, what follows is begun afresh, as another piece.

use std::cell::RefCell;

use bytes::Bytes;
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective, SafeResult};

use joint::Joint;

mod joint;

/// What a frame begins with.
pub(crate) const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// The length of [`header`].
pub(crate) const HEADER_LEN: u64 = 14;

/// The window, as a power of two: readers need this much memory, and no distance is longer.
const WINDOW: u32 = 18;

/// The longest block of any frame.
const LONGEST_BLOCK: usize = 128 * 1024;

/// The header a compressor writes that is told to write neither length nor checksum.
const OWN_HEADER: usize = 6;

/// Room kept by a thread between two pieces. A piece beyond it was an uncommonly large row.
const KEPT_ROOM: usize = 1 << 20;

/// Of the block that is to be joined: how long the first is that is tried, and how much text goes in as it is where that cannot be done.
/// Both double with each that does not free what follows, for text in which little repeats.
const BEGINNING: usize = 2 << 10;
const PLAIN: usize = 48;

/// What begins the frame of `len` bytes of text: a length and a checksum are there, no dictionary.
pub(crate) fn header(len: u64) -> [u8; HEADER_LEN as usize] {
    let [m0, m1, m2, m3] = MAGIC;
    let [l0, l1, l2, l3, l4, l5, l6, l7] = len.to_le_bytes();
    let window = ((WINDOW - 10) << 3) as u8;
    [m0, m1, m2, m3, 0xc4, window, l0, l1, l2, l3, l4, l5, l6, l7]
}

/// What ends a frame: an empty last block, then the low half of the text's XXH64.
pub(crate) fn trailer(xxh64: u64) -> [u8; 7] {
    let [c0, c1, c2, c3, ..] = xxh64.to_le_bytes();
    [0x01, 0, 0, c0, c1, c2, c3]
}

/// Compresses a piece of text, which is UTF-8, to whole blocks, none of them the last of the frame. `first`
/// says that no block comes before them.
pub(crate) fn blocks(text: &[u8], level: u32, first: bool) -> Result<Bytes, Failure> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor>> = const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot.take() {
            Some(compressor) if compressor.level == level => compressor,
            _ => Compressor::new(level)?,
        };
        slot.insert(compressor).blocks(text, first)
    })
}

/// Why the compressor does not work. Never because of a text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("zstd: {0}")]
pub(crate) struct Failure(&'static str);

fn check(result: SafeResult) -> Result<usize, Failure> {
    result.map_err(|code| Failure(zstd_safe::get_error_name(code)))
}

struct Compressor {
    level: u32,
    state: CCtx<'static>,
    reader: DCtx<'static>,
    /// Blocks; behind them, room.
    out: Vec<u8>,
    len: usize,
    /// Memory of [`joint`].
    room: joint::Room,
}

impl Compressor {
    fn new(level: u32) -> Result<Self, Failure> {
        const NO_MEMORY: Failure = Failure("no memory");
        let mut state = CCtx::try_create().ok_or(NO_MEMORY)?;
        let level_number = i32::try_from(level).map_err(|_| Failure("no such level"))?;
        for parameter in [
            CParameter::CompressionLevel(level_number),
            CParameter::WindowLog(WINDOW),
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
        ] {
            check(state.set_parameter(parameter))?;
        }
        Ok(Self {
            level,
            state,
            reader: DCtx::try_create().ok_or(NO_MEMORY)?,
            out: Vec::new(),
            len: 0,
            room: joint::Room::default(),
        })
    }

    fn blocks(&mut self, text: &[u8], first: bool) -> Result<Bytes, Failure> {
        self.len = 0;
        if first {
            self.begin(text, text.len())?;
        } else {
            self.blocks_to_join(text)?;
        }
        let blocks = Bytes::copy_from_slice(self.out.get(..self.len).unwrap_or_default());
        if self.out.len() > KEPT_ROOM {
            self.out = Vec::new();
        }
        Ok(blocks)
    }

    fn blocks_to_join(&mut self, text: &[u8]) -> Result<(), Failure> {
        let (mut left, mut beginning_len, mut plain_len) = (text, BEGINNING, PLAIN);
        while !left.is_empty() {
            let (beginning, rest) = left.split_at(left.len().min(beginning_len));
            let from = self.len;
            self.begin(beginning, left.len())?;
            let blocks = self.out.get(from..self.len).unwrap_or_default();
            match joint::of(blocks, beginning, &mut self.reader, &mut self.room) {
                Joint::Free => return self.flush(rest),
                Joint::Tied => left = rest,
                Joint::Wrong => {
                    self.len = from;
                    let (plain, rest) = left.split_at(left.len().min(plain_len));
                    self.stored(plain);
                    left = rest;
                    plain_len = LONGEST_BLOCK.min(2 * plain_len);
                }
            }
            beginning_len = LONGEST_BLOCK.min(2 * beginning_len);
        }
        Ok(())
    }

    /// Starts afresh with `beginning`; `len` bytes are to come in all.
    fn begin(&mut self, beginning: &[u8], len: usize) -> Result<(), Failure> {
        check(self.state.reset(ResetDirective::SessionOnly))?;
        // Small tables for small texts. What is flushed and never ended may be less than was pledged.
        check(self.state.set_pledged_src_size(Some(len as u64)))?;
        let from = self.len;
        self.flush(beginning)?;
        let blocks = from + OWN_HEADER..self.len;
        if !blocks.is_empty() {
            self.len -= OWN_HEADER;
            self.out.copy_within(blocks, from);
        }
        Ok(())
    }

    fn flush(&mut self, text: &[u8]) -> Result<(), Failure> {
        let flush = ZSTD_EndDirective::ZSTD_e_flush;
        let mut input = InBuffer::around(text);
        loop {
            let wanted = self.len + (text.len() - input.pos()) / 2 + 1024;
            if self.out.len() < wanted {
                self.out.resize(wanted, 0);
            }
            let mut output = OutBuffer::around_pos(self.out.as_mut_slice(), self.len);
            let left = check(self.state.compress_stream2(&mut output, &mut input, flush))?;
            self.len = output.pos();
            if left == 0 && input.pos() == text.len() {
                return Ok(());
            }
        }
    }

    /// Adds text as it is.
    fn stored(&mut self, text: &[u8]) {
        self.out.truncate(self.len);
        for block in text.chunks(LONGEST_BLOCK) {
            self.out
                .extend_from_slice(&joint::block_header(0, block.len()));
            self.out.extend_from_slice(block);
        }
        self.len = self.out.len();
    }
}

#[cfg(test)]
mod tests;
