//! The bytes of a record, read from the front: nothing is read beyond their end, and nothing is believed of a length.

use std::fmt;

use crate::record::Stretch;

/// What is wrong with the bytes, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: What,
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The bytes end within a value: more of them might make it whole.
    Truncated,
    /// They are not of the schema.
    Broken(&'static str),
    /// They are of the schema, but this is nothing that can be kept.
    Unfit(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Truncated => out.write_str("the bytes end within a value")?,
            What::Broken(what) => out.write_str(what)?,
            What::Unfit(what) => out.write_str(what)?,
        }
        write!(out, " at byte {}", self.at)
    }
}

/// What is wrong with such bytes.
pub(super) const NOT_TEXT: &str = "a string that is not UTF-8";

/// Boxed, so that what was read comes back in registers.
pub(super) type Read<T> = Result<T, Box<Fault>>;

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[cold]
    pub(super) fn fault<T>(&self, what: What) -> Read<T> {
        let at = self.at;
        Err(Fault { what, at }.into())
    }

    #[cold]
    pub(super) fn broken<T>(&self, what: &'static str) -> Read<T> {
        self.fault(What::Broken(what))
    }

    /// As [`Cursor::broken`], of what began at `at`.
    #[cold]
    pub(super) fn broken_at<T>(&self, at: usize, what: &'static str) -> Read<T> {
        Cursor { at, ..*self }.broken(what)
    }

    /// Goes to a place that was passed.
    pub(super) fn go_back(&mut self, at: usize) {
        self.at = at;
    }

    /// The next `len` bytes.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.get(..len) {
            Some(taken) => {
                self.at += len;
                Ok(taken)
            }
            None => self.fault(What::Truncated),
        }
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.first_chunk::<N>() {
            Some(taken) => {
                self.at += N;
                Ok(*taken)
            }
            None => self.fault(What::Truncated),
        }
    }

    /// A whole number of variable length.
    #[inline]
    pub(super) fn long(&mut self) -> Read<i64> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(i64::from(byte >> 1) ^ -i64::from(byte & 1))
            }
            _ => self.longer(),
        }
    }

    #[inline(never)]
    fn longer(&mut self) -> Read<i64> {
        let (mut word, mut shift) = (0u64, 0);
        for (count, &byte) in self
            .bytes
            .get(self.at..)
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return self.broken("a number of more than 64 bits");
            }
            word |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                self.at += count + 1;
                return Ok((word >> 1).cast_signed() ^ -(word & 1).cast_signed());
            }
            shift += 7;
        }
        self.fault(What::Truncated)
    }

    #[inline]
    pub(super) fn int(&mut self) -> Read<i64> {
        let start = self.at;
        let value = self.long()?;
        if i32::try_from(value).is_err() {
            return self.broken_at(start, "an int of more than 32 bits");
        }
        Ok(value)
    }

    /// A length and so many bytes.
    #[inline]
    pub(super) fn bytes(&mut self) -> Read<&'a [u8]> {
        let Stretch { rest, len } = self.stretch()?;
        Ok(&rest[..len])
    }

    /// As [`Cursor::bytes`], with what is behind them.
    #[inline]
    pub(super) fn stretch(&mut self) -> Read<Stretch<'a>> {
        let start = self.at;
        let Ok(len) = usize::try_from(self.long()?) else {
            return self.broken_at(start, "a negative length");
        };
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if len > rest.len() {
            return self.fault(What::Truncated);
        }
        self.at += len;
        Ok(Stretch { rest, len })
    }

    /// As [`Cursor::bytes`], in UTF-8.
    #[inline]
    pub(super) fn text(&mut self) -> Read<&'a str> {
        let start = self.at;
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).or_else(|_| self.broken_at(start, NOT_TEXT))
    }

    /// The head of a block: how many items it has.
    pub(super) fn block(&mut self) -> Read<u64> {
        let count = self.long()?;
        if count < 0 {
            // What follows is the bytes they take.
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::avro::written::long;

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_written(value: i64, few in -70_000i64..70_000) {
            for value in [value, few, i64::MIN, i64::MAX] {
                let bytes = long(value);
                let mut cursor = Cursor::new(&bytes, 0);
                prop_assert_eq!(cursor.long(), Ok(value));
                prop_assert!(cursor.is_at_end());
                for len in 0..bytes.len() {
                    let truncated = Cursor::new(&bytes[..len], 0).long().unwrap_err();
                    prop_assert_eq!(truncated.what, What::Truncated);
                }
            }
        }
    }

    #[test]
    fn numbers_that_are_too_long_are_refused() {
        let mut bytes = [0xff; 10];
        bytes[9] = 2;
        let fault = Cursor::new(&bytes, 0).long().unwrap_err();
        assert!(matches!(fault.what, What::Broken(_)) && fault.at == 0);
        let fault = Cursor::new(&[0x80; 30], 0).long().unwrap_err();
        assert!(matches!(fault.what, What::Broken(_)));
        assert!(Cursor::new(&long(1 << 31), 0).int().is_err());
        assert_eq!(Cursor::new(&long(-(1 << 31)), 0).int(), Ok(-(1 << 31)));
        assert!(Cursor::new(&long(-1), 0).bytes().is_err());
        assert!(Cursor::new(&long(i64::MAX), 0).bytes().is_err());
    }
}
