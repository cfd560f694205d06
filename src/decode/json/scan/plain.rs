//! Where plain text ends in a string: what is looked at most of all bytes.

/// The first quote, backslash or control character at or behind `at`, or the end.
#[inline(always)]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<CHUNK>) {
        if let Some(place) = first_special(chunk) {
            return at + place;
        }
        at += CHUNK;
    }
    last_plain_end(bytes, at)
}

/// As [`plain_end`], near the end of the payload.
#[inline(never)]
fn last_plain_end(bytes: &[u8], mut at: usize) -> usize {
    while bytes
        .get(at)
        .is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20))
    {
        at += 1;
    }
    at
}

#[cfg(target_arch = "x86_64")]
use self::sse2::{CHUNK, first_special};
#[cfg(not(target_arch = "x86_64"))]
use self::words::{CHUNK, first_special};

/// Sixteen bytes at once. SSE2 is a part of x86-64: there is no processor to ask whether it has it.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8,
    };

    pub(super) const CHUNK: usize = 16;

    /// The place of the first byte that ends a plain run.
    #[inline(always)]
    #[expect(
        unsafe_code,
        reason = "to scan all strings and names of the benchmarks' events takes 1,476 instructions a record with it and 2,046 with words of eight"
    )]
    pub(super) fn first_special(chunk: &[u8; CHUNK]) -> Option<usize> {
        let all = |byte: u8| byte.cast_signed();
        // SAFETY: every x86-64 processor has SSE2, which is all that these functions ask for. The one that reads memory reads the
        // sixteen bytes of `chunk`, at any alignment.
        let marks = unsafe {
            let bytes = _mm_loadu_si128(chunk.as_ptr().cast::<__m128i>());
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(all(b'"')));
            let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(all(b'\\')));
            let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control))
        };
        (marks != 0).then(|| marks.trailing_zeros() as usize)
    }
}

/// Eight bytes at once, for every processor.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    pub(super) const CHUNK: usize = 8;

    /// The place of the first byte that ends a plain run.
    #[inline(always)]
    pub(super) fn first_special(chunk: &[u8; CHUNK]) -> Option<usize> {
        let special = special(u64::from_le_bytes(*chunk));
        (special != 0).then(|| (special.trailing_zeros() / 8) as usize)
    }

    /// Marks the top bit of bytes that end a plain run. The lowest mark is right; a borrow may put
    /// wrong ones above it.
    #[inline]
    fn special(word: u64) -> u64 {
        const ONES: u64 = u64::MAX / 0xFF;
        const TOPS: u64 = ONES * 0x80;
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        (zero(quote) | zero(backslash) | control) & TOPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_ends_at_the_first_special_byte() {
        for len in 0..70 {
            for special in 0..=u8::MAX {
                let ends = matches!(special, b'"' | b'\\' | 0..0x20);
                for at in 0..len {
                    let mut bytes = vec![b'a'; len];
                    bytes[at] = special;
                    let end = if ends { at } else { len };
                    assert_eq!(plain_end(&bytes, 0), end);
                    assert_eq!(plain_end(&bytes, at), end);
                    assert_eq!(plain_end(&bytes, at + 1), len);
                }
            }
        }
    }

    #[test]
    fn both_ways_find_the_same() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let chunk = [b'a', first, b' ', second, 0x7F, 0x80, 0xFF, b'"'];
                let mut padded = [b'z'; CHUNK];
                padded[..8].copy_from_slice(&chunk);
                assert_eq!(words::first_special(&chunk), first_special(&padded));
            }
        }
    }
}
