//! Sequence numbers of Kinesis: decimals too long for any integer type.
//!
//! The service calls them strings of up to 129 digits without leading zeros (API reference, `SequenceNumber`) and promises an order
//! only of their values, so they are kept as numbers.

use std::fmt;
use std::str::FromStr;

/// 64-bit words of a number: 10^129 needs 429 bits.
const WORDS: usize = 7;
const MAX_DIGITS: usize = 129;
/// Decimal digits that are read or written at once, and their power of ten.
const CHUNK_DIGITS: usize = 19;
const CHUNK: u64 = 10_u64.pow(CHUNK_DIGITS as u32);

/// The sequence number of a record of a shard: a whole number of up to 129 decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence(
    /// The most significant word first, so that words in their order compare as numbers do.
    [u64; WORDS],
);

/// A text that is no sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sequence number: those are decimals of 1 to 129 digits without leading zeros")]
pub struct NotASequence;

impl Sequence {
    /// Before every number that a service gives.
    pub const ZERO: Self = Self([0; WORDS]);
    /// Behind every number that a service gives.
    pub const MAX: Self = Self([u64::MAX; WORDS]);

    /// All bits in 64: two numbers that stand for each other's neighbours differ in it.
    pub(crate) fn folded(self) -> u64 {
        let words = self.0.iter();
        words.fold(0, |folded: u64, word| {
            (folded ^ word)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
        })
    }

    /// Makes it `self * factor + more`. Numbers of 129 digits leave room for that.
    fn scale(&mut self, factor: u64, more: u64) {
        let mut carry = u128::from(more);
        for word in self.0.iter_mut().rev() {
            let product = u128::from(*word) * u128::from(factor) + carry;
            *word = low(product);
            carry = product >> 64;
        }
    }

    /// Divides by `divisor` and returns what is left.
    fn divide(&mut self, divisor: u64) -> u64 {
        let mut rest = 0;
        for word in &mut self.0 {
            let part = (u128::from(rest) << 64) | u128::from(*word);
            *word = low(part / u128::from(divisor));
            rest = low(part % u128::from(divisor));
        }
        rest
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low word is what is asked for"
)]
const fn low(wide: u128) -> u64 {
    wide as u64
}

impl FromStr for Sequence {
    type Err = NotASequence;

    fn from_str(text: &str) -> Result<Self, NotASequence> {
        let digits = text.as_bytes();
        let padded = digits.len() > 1 && digits.first() == Some(&b'0');
        let decimal = digits.iter().all(u8::is_ascii_digit);
        if !decimal || padded || digits.is_empty() || digits.len() > MAX_DIGITS {
            return Err(NotASequence);
        }
        let mut sequence = Self::ZERO;
        for chunk in digits.chunks(CHUNK_DIGITS) {
            let (mut power, mut value) = (1, 0);
            for digit in chunk {
                value = value * 10 + u64::from(digit - b'0');
                power *= 10;
            }
            sequence.scale(power, value);
        }
        Ok(sequence)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last chunk first; 448 bits are at most 135 digits.
        let mut chunks = [0; 8];
        let mut rest = *self;
        let mut used = 0;
        for chunk in &mut chunks {
            *chunk = rest.divide(CHUNK);
            used += 1;
            if rest == Self::ZERO {
                break;
            }
        }
        let mut written = chunks.iter().take(used).rev();
        let first = written.next().copied().unwrap_or(0);
        write!(f, "{first}")?;
        written.try_for_each(|chunk| write!(f, "{chunk:0CHUNK_DIGITS$}"))
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn by_digits(one: &str, other: &str) -> Ordering {
        one.len().cmp(&other.len()).then_with(|| one.cmp(other))
    }

    #[test]
    fn other_texts_are_none() {
        let long = "1".repeat(130);
        for text in [
            "",
            "00",
            "01",
            "-1",
            "+1",
            "1.0",
            " 1",
            "1e3",
            "TRIM_HORIZON",
            &long,
        ] {
            assert_eq!(text.parse::<Sequence>(), Err(NotASequence), "{text}");
        }
        assert_eq!("0".parse(), Ok(Sequence::ZERO));
    }

    #[test]
    fn the_largest_fits() {
        let largest = "9".repeat(129);
        assert_eq!(largest.parse::<Sequence>().unwrap().to_string(), largest);
    }

    proptest! {
        #[test]
        fn texts_come_back_and_numbers_are_in_order(one in "0|[1-9][0-9]{0,128}", other in "0|[1-9][0-9]{0,128}") {
            let parsed: Sequence = one.parse().unwrap();
            prop_assert_eq!(&parsed.to_string(), &one);
            let compared = parsed.cmp(&other.parse().unwrap());
            prop_assert_eq!(compared, by_digits(&one, &other));
        }

        /// Numbers of one shard share most of their digits.
        #[test]
        fn neighbours_are_in_order(start in "[1-9][0-9]{40,110}", ends in "[0-9]{2}") {
            let (one, other) = (format!("{start}{}", &ends[..1]), format!("{start}{}", &ends[1..]));
            let (first, second): (Sequence, Sequence) = (one.parse().unwrap(), other.parse().unwrap());
            prop_assert_eq!(first.cmp(&second), by_digits(&one, &other));
            prop_assert_eq!(first.folded() == second.folded(), one == other);
        }
    }
}
