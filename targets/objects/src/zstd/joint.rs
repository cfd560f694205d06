//! Whether blocks mean the same whatever blocks stand before them in their frame.
//!
//! It is tried out: a frame is made that begins with bytes no text has and leaves three distances that
//! always lead back into these bytes. Behind it come the blocks, and behind them a block of our own that
//! copies three bytes over each of the last three distances. If the blocks used a distance from before
//! themselves, their text holds such a byte; if they leave one behind, the copies do. So it is the decoder
//! that says so, and nothing need be known of how the compressor chooses.
//!
//! Blocks are laid out by hand here, in the simplest way there is: for each field of a sequence one code
//! for all sequences of the block (RFC 8878, 3.1.1.3.2.1).

use zstd_safe::DCtx;

use super::{LONGEST_BLOCK, MAGIC};

/// Never a byte of UTF-8.
const FOREIGN: u8 = 0xff;

/// Copies 3 bytes over each of the last three distances, each behind one byte `x`: 3 literals, 3 sequences
/// of one code each, literal length 1, match length 3; the bits 0, 1, 1 choose the second distance, the
/// third, and again the third, which then is what was the first.
const COPIES: [u8; 10] = [0x18, b'x', b'x', b'x', 3, 0x54, 1, 1, 0, 0b0000_1011];
const COPIED: usize = 12;

/// What is known of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// They mean their text, and so will all that follow them.
    Free,
    /// They mean their text, but what follows may use a distance from before them.
    Tied,
    /// They mean their text only at the beginning of a frame.
    Wrong,
}

/// Memory to use again.
#[derive(Default)]
pub(super) struct Room {
    frame: Vec<u8>,
    text: Vec<u8>,
}

/// What holds of `blocks`, which a compressor made of `text` (UTF-8) at the beginning of a frame.
pub(super) fn of(blocks: &[u8], text: &[u8], reader: &mut DCtx<'_>, room: &mut Room) -> Joint {
    let Room { frame, text: found } = room;
    // Longer than all that follows, so that the distance leads back into these bytes from everywhere.
    let run = (text.len() + 64).next_power_of_two();
    write_beginning(run, frame);
    frame.extend_from_slice(blocks);
    let [h0, h1, h2] = block_header(2, COPIES.len());
    frame.extend_from_slice(&[h0 | 1, h1, h2]);
    frame.extend_from_slice(&COPIES);

    let before = run + 9;
    let wanted = before + text.len() + COPIED;
    if found.len() < wanted {
        found.resize(wanted, 0);
    }
    let Some(place) = found.get_mut(..wanted) else {
        return Joint::Wrong;
    };
    if reader.decompress(place, frame) != Ok(wanted) {
        return Joint::Wrong;
    }
    let (found, copied) = place.split_at(before + text.len());
    match found.get(before..) {
        Some(found) if found != text => Joint::Wrong,
        _ if copied.contains(&FOREIGN) => Joint::Tied,
        _ => Joint::Free,
    }
}

/// A frame's header and blocks of `run` + 9 foreign bytes, `run` being a power of two. Leaves `run` - 3 as
/// the last three distances.
fn write_beginning(run: usize, frame: &mut Vec<u8>) {
    frame.clear();
    frame.extend_from_slice(&MAGIC);
    // No length, no checksum; a window of 1 MiB.
    frame.extend_from_slice(&[0, (20 - 10) << 3]);
    let mut left = run;
    while left > 0 {
        let len = left.min(LONGEST_BLOCK);
        frame.extend_from_slice(&block_header(1, len));
        frame.push(FOREIGN);
        left -= len;
    }
    // No literals, 3 sequences of one code each: literal length 0, match length 3, and as the distance's
    // code the number of bits that follow, all 0. The highest bit that is set marks the end of the bits.
    let code = run.ilog2() as u8;
    let bits = 3 * usize::from(code);
    frame.extend_from_slice(&block_header(2, 6 + bits / 8 + 1));
    frame.extend_from_slice(&[0, 3, 0x54, 0, code, 0]);
    frame.resize(frame.len() + bits / 8, 0);
    frame.push(1 << (bits % 8));
}

/// The header of a block that is not the last: type 0 is text as it is, 1 one byte many times, 2 compressed.
pub(super) fn block_header(kind: u8, len: usize) -> [u8; 3] {
    let [low, middle, high, _] = ((len as u32) << 3 | u32::from(kind) << 1).to_le_bytes();
    [low, middle, high]
}
