//! A hash of what an object holds, by which two attempts to write it are told to be the same.
//!
//! It depends on the lines only: not on their order, since the tables that share an object take turns in it
//! as the batches came, and not on how they were compressed. It is made to find differences that happen,
//! not ones that somebody contrives.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_128;

/// What the text of a hash begins with: how it is made.
const METHOD: &str = "xxh3-128-sum:";

/// The sum, modulo 2^128, of the XXH3-128 of every line without its line feed.
///
/// Two halves, so that it is not aligned to its size and takes 16 bytes wherever it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ContentHash {
    high: u64,
    low: u64,
}

impl ContentHash {
    /// The hash of some lines, given without their line feeds.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Self::default();
        lines.into_iter().for_each(|line| hash.add(line));
        hash
    }

    /// Counts one more line in, given without its line feed.
    pub fn add(&mut self, line: &[u8]) {
        *self = Self::from_sum(self.sum().wrapping_add(xxh3_128(line)));
    }

    fn sum(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    fn from_sum(sum: u128) -> Self {
        Self {
            high: (sum >> 64) as u64,
            low: sum as u64,
        }
    }
}

/// `xxh3-128-sum:` and 32 hexadecimal digits.
impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{METHOD}{:032x}", self.sum())
    }
}

/// A text that is no content hash, or one made in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not `xxh3-128-sum:` and 32 hexadecimal digits")]
pub struct NotAContentHash;

impl FromStr for ContentHash {
    type Err = NotAContentHash;

    fn from_str(text: &str) -> Result<Self, NotAContentHash> {
        let digits = text.strip_prefix(METHOD).ok_or(NotAContentHash)?;
        let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        if digits.len() != 32 || !digits.chars().all(hex) {
            return Err(NotAContentHash);
        }
        u128::from_str_radix(digits, 16)
            .map(Self::from_sum)
            .map_err(|_| NotAContentHash)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_is_fixed_for_ever() {
        assert_eq!(
            ContentHash::default().to_string(),
            "xxh3-128-sum:00000000000000000000000000000000"
        );
        // The published XXH3-128 of nothing: an empty line is not no line.
        assert_eq!(
            ContentHash::of([&b""[..]]).to_string(),
            "xxh3-128-sum:99aa06d3014798d86001c324468d497f"
        );
        for bad in [
            "",
            "xxh3-128-sum:",
            "xxh3-128-sum:+0000000000000000000000000000001",
        ] {
            assert_eq!(bad.parse::<ContentHash>(), Err(NotAContentHash), "{bad}");
        }
    }

    #[test]
    fn it_takes_sixteen_bytes() {
        assert_eq!(
            (size_of::<ContentHash>(), align_of::<ContentHash>()),
            (16, 8)
        );
    }

    proptest! {
        #[test]
        fn order_means_nothing_and_every_line_counts(
            mut lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..12),
        ) {
            let of = |lines: &[Vec<u8>]| ContentHash::of(lines.iter().map(Vec::as_slice));
            let hash = of(&lines);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
            lines.reverse();
            prop_assert_eq!(of(&lines), hash);
            prop_assert_ne!(of(&lines[1..]), hash);
            let twice = lines[0].clone();
            lines.push(twice);
            prop_assert_ne!(of(&lines), hash);
        }
    }
}
