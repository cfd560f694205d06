//! Strings one after the other.

use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};

use crate::record::Stretch;

/// Texts or byte strings, with where each ends.
#[derive(Debug, Default)]
pub(in crate::table) struct Text {
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

impl Text {
    pub(in crate::table) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether a string of that many bytes can follow: Arrow's offsets have 31 bits.
    #[inline]
    pub(in crate::table) fn has_room(&self, len: usize) -> bool {
        self.bytes.len() + len <= i32::MAX as usize
    }

    /// Appends a string that there is room for; valid UTF-8 if it is text.
    #[inline]
    pub(in crate::table) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as i32);
    }

    /// As [`Text::push`].
    #[inline]
    pub(super) fn push_stretch(&mut self, text: Stretch<'_>) {
        text.append_to(&mut self.bytes);
        self.ends.push(self.bytes.len() as i32);
    }

    /// The bytes of the string at a place below `len`.
    pub(super) fn get(&self, at: usize) -> &[u8] {
        let start = match at.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        };
        &self.bytes[start as usize..self.ends[at] as usize]
    }

    pub(super) fn fill(&mut self, len: usize) {
        self.ends.resize(len, self.bytes.len() as i32);
    }

    pub(super) fn reserve(&mut self, strings: usize, bytes: usize) {
        // One more, for where the first begins.
        self.ends.reserve(strings + 1);
        self.bytes.reserve(bytes);
    }

    pub(in crate::table) fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let bytes = Buffer::from_vec(std::mem::take(&mut self.bytes));
        (offsets(&mut self.ends), bytes)
    }

    pub(in crate::table) fn memory(&self) -> usize {
        self.ends.capacity() * size_of::<i32>() + self.bytes.capacity()
    }

    pub(in crate::table) fn text_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Arrow's offsets, given where each value ends.
pub(super) fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut offsets = std::mem::take(ends);
    offsets.insert(0, 0);
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}
