//! Bytes to be copied, with those behind them.
//!
//! Most texts are short, and a call to copy one takes longer than copying. Where more bytes follow in the same memory, so many that
//! their number need not be asked for are copied instead, and what is too much is cut off.

/// Bytes that are copied at once.
const AT_ONCE: usize = 32;

/// The first `len` bytes of `rest`.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'a> {
    /// The bytes, and whatever is behind them.
    pub rest: &'a [u8],
    /// How many are meant; never more than there are.
    pub len: usize,
}

impl<'a> Stretch<'a> {
    /// All of them.
    pub fn of(rest: &'a [u8]) -> Self {
        let len = rest.len();
        Self { rest, len }
    }

    /// Those that are meant.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        &self.rest[..self.len]
    }

    /// Appends those that are meant.
    #[inline]
    pub fn append_to(self, out: &mut Vec<u8>) {
        match self.rest.first_chunk::<AT_ONCE>() {
            Some(chunk) if self.len <= AT_ONCE => {
                let end = out.len() + self.len;
                out.extend_from_slice(chunk);
                out.truncate(end);
            }
            _ => out.extend_from_slice(self.bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_appended_than_is_meant() {
        let bytes: Vec<u8> = (0..80).collect();
        for start in 0..bytes.len() {
            for len in 0..=bytes.len() - start {
                let rest = &bytes[start..];
                let mut out = vec![7; 3];
                Stretch { rest, len }.append_to(&mut out);
                assert_eq!(out, [&[7; 3], &rest[..len]].concat());
            }
        }
    }
}
