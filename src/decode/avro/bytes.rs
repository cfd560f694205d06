//! Bytes that stand for something else.

/// A number in two's complement, the highest byte first, if it has no more than 38 digits.
pub(super) fn unscaled(bytes: &[u8]) -> Option<i128> {
    const MAX: i128 = 10_i128.pow(38) - 1;
    let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    let sign = if negative { 0xff } else { 0 };
    let start = bytes.len().saturating_sub(16);
    let (high, low) = bytes.split_at(start);
    if high.iter().any(|byte| *byte != sign) {
        return None;
    }
    let mut word = [sign; 16];
    word[16 - low.len()..].copy_from_slice(low);
    let value = i128::from_be_bytes(word);
    // Behind bytes of the sign there must be a number of that sign.
    ((value < 0) == negative && (-MAX..=MAX).contains(&value)).then_some(value)
}

/// The text of a UUID.
pub(super) fn uuid(bytes: [u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (count, byte) in bytes.into_iter().enumerate() {
        at += usize::from(matches!(count, 4 | 6 | 8 | 10));
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 0xf)];
        at += 2;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_twos_complement_of_any_length() {
        assert_eq!(unscaled(&[]), Some(0));
        assert_eq!(unscaled(&[0xff]), Some(-1));
        assert_eq!(unscaled(&[0x00, 0xff]), Some(255));
        let mut long = [0xff; 20];
        long[19] = 0x85;
        assert_eq!(unscaled(&long), Some(-123));
        long[3] = 0x7f;
        assert_eq!(unscaled(&long), None);
        let mut other_sign = [0xff; 17];
        other_sign[1] = 0x7f;
        assert_eq!(unscaled(&other_sign), None);
        assert_eq!(unscaled(&[0x7f; 16]), None, "39 digits");
    }

    #[test]
    fn uuids_are_written_in_five_groups() {
        let bytes = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes();
        let text = uuid(bytes);
        assert_eq!(&text, b"01234567-89ab-cdef-fedc-ba9876543210");
    }
}
