//! Names that are taken in lower case, which most of them are.

/// Whether lower-casing might change `text`: it has an upper-case ASCII letter or anything beyond ASCII.
#[inline]
pub(super) fn may_have_upper_case(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (words, _) = bytes.as_chunks::<8>();
    if words
        .iter()
        .any(|word| marks_upper_case(u64::from_le_bytes(*word)))
    {
        return true;
    }
    // What is left, together with bytes before it that have been looked at.
    if let Some(last) = bytes.last_chunk::<8>() {
        return marks_upper_case(u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
        return marks_upper_case(first << 32 | last);
    }
    bytes
        .iter()
        .any(|byte| !byte.is_ascii() || byte.is_ascii_uppercase())
}

#[inline]
fn marks_upper_case(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xFF;
    const TOPS: u64 = ONES * 0x80;
    let low = word & !TOPS;
    let from_a = low + ONES * (0x80 - u64::from(b'A'));
    let above_z = low + ONES * (0x7F - u64::from(b'Z'));
    (word | from_a & !above_z) & TOPS != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_case_is_found_wherever_it_stands() {
        for len in 0..40 {
            let plain = "@[`{az09_.-/".repeat(4)[..len].to_owned();
            assert!(!may_have_upper_case(&plain), "{plain}");
            for at in 0..=len {
                for letter in ["A", "M", "Z", "É", "ß"] {
                    let text = [&plain[..at], letter, &plain[at..]].concat();
                    assert!(may_have_upper_case(&text), "{text}");
                }
            }
        }
    }
}
