#![no_main]

//! What our deflate writes is read back by zlib-rs, at every level.

use alluvium_objects::deflate::Deflater;
use flate2::{Decompress, FlushDecompress};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((how, part)) = input.split_first() else {
        return;
    };
    let text = text(part, usize::from(how / 10) * 16);
    let mut deflater = Deflater::new(u32::from(how % 10));
    let blocks = deflater.compress(&text).to_vec();
    assert!(blocks.len() <= text.len() + 6 * (text.len() / 32_000 + 1) + 6);
    let mut back = Vec::with_capacity(text.len() + 1);
    Decompress::new(false)
        .decompress_vec(&blocks, &mut back, FlushDecompress::Sync)
        .expect("good blocks");
    assert!(back == text);
    // What was compressed before leaves no trace.
    assert!(deflater.compress(&text) == blocks);
});

/// The input, then parts of it from places that depend on it: beyond a window, which no input is.
fn text(part: &[u8], repeats: usize) -> Vec<u8> {
    let mut text = part.to_vec();
    let mut state = part.len();
    for repeat in 0..repeats {
        let byte = part.get(repeat % part.len().max(1)).copied();
        state = state.wrapping_mul(31).wrapping_add(usize::from(byte.unwrap_or(0)));
        let rest = part.get(state % part.len().max(1)..).unwrap_or_default();
        text.extend_from_slice(rest);
        text.push(state as u8);
    }
    text
}
