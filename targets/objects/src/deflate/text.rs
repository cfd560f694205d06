//! Looking at text eight bytes at a time.

use std::hint::select_unpredictable;

/// A match is at most this long.
pub(super) const LONGEST: usize = 258;

/// A match begins at most this many bytes back.
pub(super) const WINDOW: usize = 32_768;

/// Eight bytes from `at`, the first lowest; zeros stand for those behind the end.
#[inline(always)]
pub(super) fn word(text: &[u8], at: usize) -> u64 {
    match text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => last_word(text, at),
    }
}

#[cold]
fn last_word(text: &[u8], at: usize) -> u64 {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// How many bytes from `one` on are those from `other` on, which is before it: at most [`LONGEST`], and none
/// behind the end of the text.
#[inline(always)]
pub(super) fn common(text: &[u8], one: usize, other: usize) -> usize {
    let most = LONGEST.min(text.len() - one);
    let (ones, others) = (text.get(one..one + 32), text.get(other..other + 32));
    let (Some(ones), Some(others)) = (ones, others) else {
        return common_from(text, one, other, 0);
    };
    // How long a match is cannot be foreseen, so that a branch for each word would often be taken wrongly.
    let mut differs = [0; 4];
    for (at, differs) in differs.iter_mut().enumerate() {
        *differs = word(ones, at * 8) ^ word(others, at * 8);
    }
    let [d0, d1, d2, d3] = differs;
    let (low, low_at) = select_unpredictable(d0 != 0, (d0, 0), (d1, 8));
    let (high, high_at) = select_unpredictable(d2 != 0, (d2, 16), (d3, 24));
    let (differs, at) = select_unpredictable(low != 0, (low, low_at), (high, high_at));
    if differs == 0 {
        return common_from(text, one, other, 32);
    }
    most.min(at + differs.trailing_zeros() as usize / 8)
}

fn common_from(text: &[u8], one: usize, other: usize, known: usize) -> usize {
    let most = LONGEST.min(text.len() - one);
    let mut len = known;
    while len < most {
        let differs = word(text, one + len) ^ word(text, other + len);
        if differs != 0 {
            return most.min(len + differs.trailing_zeros() as usize / 8);
        }
        len += 8;
    }
    most
}
