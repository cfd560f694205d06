//! Bits in the order deflate wants them: the first is the lowest of the first byte.

/// Bytes kept between two texts at most. What needed more was an uncommonly large row.
const KEPT: usize = 1 << 20;

/// What was written, and bits that are no whole byte yet.
#[derive(Debug)]
pub(super) struct Bits {
    /// Longer than what was written: eight bytes are stored at a time, those behind the end are written anew.
    bytes: Vec<u8>,
    len: usize,
    word: u64,
    /// Bits in `word`, fewer than 8 between two calls.
    count: u32,
    /// Whether more was written than there was room for, so that some is missing.
    spilled: bool,
}

impl Bits {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            len: 0,
            word: 0,
            count: 0,
            spilled: false,
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.truncate(KEPT);
        self.bytes.shrink_to(KEPT);
        self.len = 0;
        self.word = 0;
        self.count = 0;
        self.spilled = false;
    }

    /// Whether what was [written](Self::written) is useless: somebody has put more bits than were reserved.
    pub(super) fn spilled(&self) -> bool {
        self.spilled
    }

    /// The whole bytes so far.
    pub(super) fn written(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// How many bits are missing to a byte.
    pub(super) fn missing(&self) -> u32 {
        self.count.wrapping_neg() % 8
    }

    /// Makes room for so many bits, which [`put`](Self::put) needs.
    pub(super) fn reserve(&mut self, bits: u64) {
        let room = self.len + (bits / 8) as usize + 16;
        if self.bytes.len() < room {
            self.bytes.resize(room.next_power_of_two(), 0);
        }
    }

    /// Writes the lowest `count` bits of `value`, at most 56; the others must be 0.
    pub(super) fn put(&mut self, value: u64, count: u32) {
        self.write(|put| put.put(value, count));
    }

    /// Lets `write` put many bits.
    #[inline(always)]
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Put<'_>)) {
        let mut put = Put {
            bytes: &mut self.bytes,
            len: self.len,
            word: self.word,
            count: self.count,
        };
        write(&mut put);
        (self.len, self.word, self.count) = (put.len, put.word, put.count);
        // Behind what was reserved there are 16 bytes of room, and half of them are never reached.
        self.spilled |= self.len + 8 > self.bytes.len();
    }

    /// Appends whole bytes. There must be no part of a byte before them.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0);
        self.reserve(bytes.len() as u64 * 8);
        if let Some(room) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self.len += bytes.len();
    }
}

/// The end of what was written, by itself so that it stays in registers.
pub(super) struct Put<'a> {
    bytes: &'a mut [u8],
    len: usize,
    word: u64,
    count: u32,
}

impl Put<'_> {
    /// As [`Bits::put`].
    #[inline(always)]
    pub(super) fn put(&mut self, value: u64, count: u32) {
        debug_assert!(count <= 56 && value >> count == 0);
        self.word |= value << (self.count & 63);
        self.count += count;
        let room = self.bytes.get_mut(self.len..);
        if let Some(room) = room.and_then(|room| room.first_chunk_mut::<8>()) {
            *room = self.word.to_le_bytes();
        }
        self.len += (self.count / 8) as usize;
        self.word >>= self.count & 56;
        self.count &= 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bits_than_were_reserved_are_noticed() {
        for reserved in [0, 64, 500] {
            let mut bits = Bits::new();
            bits.reserve(reserved);
            let room = bits.bytes.len() as u64 * 8;
            for written in (0..room + 200).step_by(40) {
                assert!(
                    written > reserved || !bits.spilled(),
                    "{written} of {reserved}"
                );
                bits.put(0, 40);
            }
            assert!(bits.spilled());
            bits.clear();
            assert!(!bits.spilled());
        }
    }
}
