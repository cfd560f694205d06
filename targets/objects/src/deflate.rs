//! Deflate (RFC 1951) made for one job: pieces of NDJSON text, compressed one by one to whole blocks.
//!
//! [`Deflater::compress`] turns a text into blocks of which none is the last, ended on a byte boundary, so
//! that what came of several texts can be joined. What a text becomes depends on it and the level alone, not
//! on what the same state compressed before. There is no streaming, no dictionary and no decompressor here.
//!
//! ```text
//! text -> fast | chain (where it repeats itself) -> tokens (and how often each occurs)
//!      -> huffman (code lengths) -> block (stored, fixed or dynamic, whichever is smallest) -> bits
//! ```

mod bits;
mod block;
mod chain;
mod fast;
mod huffman;
mod text;
mod tokens;

use bits::Bits;
use chain::{Chain, Effort};
use fast::Fast;
use tokens::Tokens;

/// A compressor, some hundred KiB of state that is worth being used again.
#[derive(Debug)]
pub struct Deflater {
    finder: Finder,
    tokens: Tokens,
    bits: Bits,
}

#[derive(Debug)]
enum Finder {
    Nothing,
    /// Small enough for the processor's first cache.
    Fast(Fast<6, 4_096>),
    /// More places.
    Wide(Fast<6, 16_384>),
    Chain(Chain),
}

impl Deflater {
    /// Levels are 0, which stores, to 9, which is slowest and smallest; higher ones are as 9.
    pub fn new(level: u32) -> Self {
        let finder = match level {
            0 => Finder::Nothing,
            1 => Finder::Fast(Fast::new()),
            2 => Finder::Wide(Fast::new()),
            _ => Finder::Chain(Chain::new(effort(level))),
        };
        Self {
            finder,
            tokens: Tokens::new(),
            bits: Bits::new(),
        }
    }

    /// `text` as blocks, none of them the last, ended on a byte boundary; valid until the next call.
    ///
    /// Larger than the text by at most 6 bytes, and 6 for each 32,000 begun.
    pub fn compress(&mut self, text: &[u8]) -> &[u8] {
        self.bits.clear();
        match &mut self.finder {
            Finder::Nothing => block::stored(text, &mut self.bits),
            Finder::Fast(fast) => fast.compress(text, &mut self.tokens, &mut self.bits),
            Finder::Wide(fast) => fast.compress(text, &mut self.tokens, &mut self.bits),
            Finder::Chain(chain) => chain.compress(text, &mut self.tokens, &mut self.bits),
        }
        block::align(&mut self.bits);
        if self.bits.spilled() {
            // A cost was counted wrongly. What is stored for years is rather large than damaged.
            debug_assert!(false, "more bits than were counted");
            self.bits.clear();
            block::stored(text, &mut self.bits);
            block::align(&mut self.bits);
        }
        self.bits.written()
    }
}

/// What levels from 3 on look at.
fn effort(level: u32) -> Effort {
    let (depth, lazy_depth, nice) = match level {
        3 => (2, 2, 32),
        4 => (3, 2, 64),
        5 => (3, 3, 64),
        6 => (4, 4, 64),
        7 => (8, 8, 64),
        8 => (24, 16, 128),
        _ => (96, 48, 258),
    };
    Effort {
        depth,
        lazy_depth,
        ahead: 2,
        nice,
    }
}

#[cfg(test)]
mod tests;
