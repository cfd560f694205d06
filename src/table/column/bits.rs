//! Bits one after the other: values that are true, and rows that are not null.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};

const WORD: usize = 64;

/// Booleans. Appending one has no branch that depends on it.
#[derive(Debug, Default)]
pub(super) struct Bits {
    /// As many as the bits need; those behind the last bit are 0.
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    #[inline]
    pub(super) fn push(&mut self, bit: bool) {
        let at = self.len % WORD;
        if at == 0 {
            self.words.push(0);
        }
        if let Some(last) = self.words.last_mut() {
            *last |= u64::from(bit) << at;
        }
        self.len += 1;
    }

    /// Appends zeros until there are `len` bits.
    pub(super) fn fill(&mut self, len: usize) {
        self.words.resize(len.div_ceil(WORD), 0);
        self.len = len;
    }

    /// As many ones.
    fn ones(len: usize) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(WORD)];
        if let (Some(last), behind @ 1..) = (words.last_mut(), len % WORD) {
            *last = u64::MAX >> (WORD - behind);
        }
        Self { words, len }
    }

    pub(super) fn reserve(&mut self, bits: usize) {
        self.words.reserve(bits.div_ceil(WORD));
    }

    pub(super) fn memory(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    pub(super) fn finish(&mut self) -> BooleanBuffer {
        let Self { mut words, len } = std::mem::take(self);
        // Arrow counts bits from the lowest of the first byte.
        for word in &mut words {
            *word = word.to_le();
        }
        BooleanBuffer::new(Buffer::from_vec(words), 0, len)
    }
}

/// Which rows have a value. No bits are kept before the first null.
#[derive(Debug, Default)]
pub(super) struct Validity {
    len: usize,
    bits: Option<Bits>,
}

impl Validity {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a row that has a value.
    #[inline]
    pub(super) fn push(&mut self) {
        self.len += 1;
        if let Some(bits) = &mut self.bits {
            bits.push(true);
        }
    }

    /// Appends nulls until there are `len` rows.
    pub(super) fn fill(&mut self, len: usize) {
        let bits = self.bits.get_or_insert_with(|| Bits::ones(self.len));
        bits.fill(len);
        self.len = len;
    }

    pub(super) fn memory(&self) -> usize {
        self.bits.as_ref().map_or(0, Bits::memory)
    }

    /// Takes the rows; nothing if all of them have a value.
    pub(super) fn finish(&mut self) -> Option<NullBuffer> {
        let mut bits = std::mem::take(self).bits?;
        Some(NullBuffer::new(bits.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_what_was_appended() {
        for len in [0, 1, 63, 64, 65, 127, 128, 200] {
            let all: Vec<bool> = (0..len).map(|at| at % 3 == 0 || at % 7 == 1).collect();
            let mut bits = Bits::default();
            for bit in &all {
                bits.push(*bit);
            }
            bits.fill(len + 70);
            bits.push(true);
            let expected = all.iter().copied().chain([false; 70]).chain([true]);
            assert!(bits.finish().iter().eq(expected), "{len}");
            assert_eq!(bits.finish().len(), 0);
        }
    }

    #[test]
    fn rows_before_the_first_null_have_values() {
        for len in [0, 1, 63, 64, 65, 128] {
            let mut validity = Validity::default();
            for _ in 0..len {
                validity.push();
            }
            validity.fill(len + 2);
            validity.push();
            assert_eq!(validity.len(), len + 3);
            let nulls = validity.finish().expect("two nulls");
            assert_eq!(nulls.null_count(), 2);
            assert_eq!((nulls.len(), nulls.is_valid(len + 2)), (len + 3, true));
            assert!(nulls.is_null(len) && nulls.is_null(len + 1));
            assert!(validity.is_empty());
        }
        let mut validity = Validity::default();
        validity.push();
        assert!(validity.finish().is_none());
    }
}
