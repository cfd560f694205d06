//! The scratch a decoder fills: fields as offsets into the payload and into text made from it.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Field, Row, Value};

/// Rows with more fields than this look their names up in a table instead of one after the other.
const FEW: usize = 32;
/// More slots than this, or bytes of written text, are given back after the record that needed them.
const KEPT_SLOTS: usize = 4096;
const KEPT_TEXT: usize = 256 * 1024;

/// A piece of text: bytes of the payload or, behind its end, of the text written by the decoder.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    start: u32,
    len: u32,
}

impl Piece {
    /// The bytes `start..end` of the payload, which must be on character boundaries.
    ///
    /// Payloads are far below 4 GiB: a decoder refuses larger ones.
    #[inline]
    pub fn of_payload(start: usize, end: usize) -> Self {
        Self { start: start as u32, len: (end - start) as u32 }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// A [`Value`] by its place.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    /// See [`Value::Null`].
    Null,
    /// See [`Value::Bool`].
    Bool(bool),
    /// See [`Value::Integer`].
    Integer {
        /// The number.
        value: i64,
        /// As it was written.
        raw: Piece,
    },
    /// See [`Value::Number`].
    Number {
        /// The nearest double.
        double: f64,
        /// As it was written.
        raw: Piece,
    },
    /// A [`Value::Str`] without escapes.
    Str(Piece),
    /// A [`Value::Str`] with escapes.
    Escaped {
        /// Without escapes.
        text: Piece,
        /// As it was written, with quotes.
        raw: Piece,
    },
    /// See [`Value::BadStr`].
    BadStr(Piece),
    /// See [`Value::Nested`].
    Nested(Piece),
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    name: Piece,
    number: u32,
    cell: Cell,
}

/// The number of a name that has none.
const NO_NUMBER: u32 = u32::MAX;

/// Reusable storage of one [`Row`] at a time.
#[derive(Debug, Default)]
pub struct RowBuffer {
    slots: Vec<Slot>,
    /// Text that is not in the payload as such: without escapes, lower-cased, or compacted.
    written: String,
    payload_len: usize,
    numbering: u64,
    /// So many slots have their names in `seen`.
    marked: usize,
    /// One bit per fingerprint of a name, to tell most new names from known ones at a glance.
    seen: [u64; 4],
    /// Slots by name, once there are many.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl RowBuffer {
    /// Forgets the last row and begins one of a payload of that many bytes. `numbering` is unique in the process
    /// to the decoder and its way to number names.
    pub fn begin(&mut self, payload_len: usize, numbering: u64) {
        self.payload_len = payload_len;
        self.numbering = numbering;
        self.marked = 0;
        self.seen = [0; 4];
        if !self.index.is_empty() {
            self.index.clear();
        }
        self.slots.clear();
        self.written.clear();
        if self.slots.capacity() > KEPT_SLOTS {
            self.slots.shrink_to(KEPT_SLOTS);
            self.index.shrink_to(KEPT_SLOTS, |_| 0);
        }
        if self.written.capacity() > KEPT_TEXT {
            self.written.shrink_to(KEPT_TEXT);
        }
    }

    /// Writes text that the payload does not hold as such.
    pub fn write<T>(&mut self, make: impl FnOnce(&mut String) -> T) -> (Piece, T) {
        let start = self.written.len();
        let made = make(&mut self.written);
        let len = self.written.len() - start;
        (Piece { start: (self.payload_len + start) as u32, len: len as u32 }, made)
    }

    /// The text of a piece.
    #[inline]
    pub fn text<'a>(&'a self, payload: &'a str, piece: Piece) -> &'a str {
        let (start, len) = (piece.start as usize, piece.len as usize);
        if start < self.payload_len {
            &payload[start..start + len]
        } else {
            let start = start - self.payload_len;
            &self.written[start..start + len]
        }
    }

    /// Adds a field, unless the row has one of that name: the first counts.
    pub fn push(&mut self, payload: &str, name: Piece, cell: Cell) {
        while self.marked < self.slots.len() {
            self.mark(payload, self.slots[self.marked].name);
            self.marked += 1;
        }
        if self.is_new(payload, name) {
            self.slots.push(Slot { name, number: NO_NUMBER, cell });
            self.marked += 1;
        }
    }

    /// Adds a field that the decoder knows to be new to the row, under the number of its name.
    #[inline]
    pub fn push_new(&mut self, name: Piece, number: u32, cell: Cell) {
        self.slots.push(Slot { name, number, cell });
    }

    /// The row, of the same payload the pieces were taken from.
    pub fn row<'a>(&'a self, payload: &'a str, project: &'a str, collection: &'a str) -> Row<'a> {
        Row { project, collection, payload, buffer: self }
    }

    pub(super) fn numbering(&self) -> u64 {
        self.numbering
    }

    pub(super) fn written(&self) -> usize {
        self.written.len()
    }

    #[inline]
    pub(super) fn fields<'a>(
        &'a self,
        payload: &'a str,
    ) -> impl ExactSizeIterator<Item = (Option<u32>, Field<'a>)> + use<'a> {
        self.slots.iter().map(move |slot| {
            let field = Field {
                name: self.text(payload, slot.name),
                value: self.value(payload, slot.cell),
            };
            ((slot.number != NO_NUMBER).then_some(slot.number), field)
        })
    }

    #[inline]
    fn value<'a>(&'a self, payload: &'a str, cell: Cell) -> Value<'a> {
        let text = |piece| self.text(payload, piece);
        match cell {
            Cell::Null => Value::Null,
            Cell::Bool(value) => Value::Bool(value),
            Cell::Integer { value, raw } => Value::Integer { value, raw: text(raw) },
            Cell::Number { double, raw } => Value::Number { double, raw: text(raw) },
            Cell::Str(piece) => Value::Str { text: text(piece), raw: None },
            Cell::Escaped { text: piece, raw } => {
                Value::Str { text: text(piece), raw: Some(text(raw)) }
            }
            Cell::BadStr(raw) => Value::BadStr(text(raw)),
            Cell::Nested(raw) => Value::Nested(text(raw)),
        }
    }

    fn is_new(&mut self, payload: &str, name: Piece) -> bool {
        let known = self.mark(payload, name);
        (!known && self.slots.len() < FEW) || self.is_new_for_sure(payload, name)
    }

    /// Notes a name; whether it may have been noted before.
    fn mark(&mut self, payload: &str, name: Piece) -> bool {
        let bit = fingerprint(self.text(payload, name).as_bytes());
        let word = usize::from(bit >> 6);
        let mask = 1 << (bit & 63);
        let known = self.seen[word] & mask != 0;
        self.seen[word] |= mask;
        known
    }

    fn is_new_for_sure(&mut self, payload: &str, name: Piece) -> bool {
        let mut index = std::mem::take(&mut self.index);
        let text = |piece| self.text(payload, piece);
        let same = |slot: &Slot| text(slot.name) == text(name);
        let new = if self.slots.len() < FEW {
            !self.slots.iter().any(same)
        } else {
            let hash_of = |piece| self.hasher.hash_one(text(piece));
            let rehash = |&at: &u32| hash_of(self.slots[at as usize].name);
            if index.is_empty() {
                for (at, slot) in self.slots.iter().enumerate() {
                    index.insert_unique(hash_of(slot.name), at as u32, rehash);
                }
            }
            let hash = hash_of(name);
            let new = index.find(hash, |&at| same(&self.slots[at as usize])).is_none();
            if new {
                // The caller puts the field at this place.
                index.insert_unique(hash, self.slots.len() as u32, rehash);
            }
            new
        };
        self.index = index;
        new
    }
}

/// Eight bits of a name, from its length and three of its bytes.
#[inline]
fn fingerprint(name: &[u8]) -> u8 {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return 0 };
    let middle = name[name.len() / 2];
    let mixed = (u64::from(first) | u64::from(last) << 8 | u64::from(middle) << 16)
        ^ (name.len() as u64) << 20;
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

#[cfg(test)]
mod tests;
