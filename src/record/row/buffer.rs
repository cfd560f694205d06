//! The scratch a decoder fills: fields as offsets into the payload and into text made from it.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Row, Value};

/// Rows with more fields than this look their names up in a table instead of one after the other.
const FEW: usize = 32;
/// More slots than this, or bytes of written text, are given back after the record that needed them.
const KEPT_SLOTS: usize = 4096;
const KEPT_TEXT: usize = 256 * 1024;

/// A piece of text: bytes of the payload or, behind its end, of the text written by the decoder.
///
/// One word, so that it stays in a register: start and length, 32 bits each.
#[derive(Clone, Copy, Debug)]
pub struct Piece(u64);

impl Piece {
    /// The bytes `start..end` of the payload, which must be on character boundaries.
    ///
    /// Payloads are far below 4 GiB: a decoder refuses larger ones.
    #[inline]
    pub fn of_payload(start: usize, end: usize) -> Self {
        Self::new(start, end - start)
    }

    #[inline]
    fn new(start: usize, len: usize) -> Self {
        Self((start as u64) << 32 | len as u64)
    }

    #[inline]
    fn start(self) -> usize {
        (self.0 >> 32) as usize
    }

    #[inline]
    fn len(self) -> usize {
        self.0 as u32 as usize
    }

    /// Whether there is nothing in it.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A [`Value`] by its place.
///
/// Not an enum but plain words: enums are passed through memory in parts of several sizes, and
/// waiting for those to be joined took a third of the time of decoding.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    kind: Kind,
    word: u64,
    piece: Piece,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Integer,
    Number,
    Str,
    Escaped,
    BadStr,
    Nested,
}

impl Cell {
    /// See [`Value::Null`].
    pub const NULL: Self = Self {
        kind: Kind::Null,
        word: 0,
        piece: Piece(0),
    };

    /// See [`Value::Bool`].
    #[inline]
    pub fn bool(value: bool) -> Self {
        Self {
            kind: Kind::Bool,
            word: u64::from(value),
            piece: Piece(0),
        }
    }

    /// See [`Value::Integer`].
    #[inline]
    pub fn integer(value: i64, raw: Piece) -> Self {
        Self {
            kind: Kind::Integer,
            word: value as u64,
            piece: raw,
        }
    }

    /// See [`Value::Number`].
    #[inline]
    pub fn number(double: f64, raw: Piece) -> Self {
        Self {
            kind: Kind::Number,
            word: double.to_bits(),
            piece: raw,
        }
    }

    /// A [`Value::Str`] without escapes.
    #[inline]
    pub fn str(text: Piece) -> Self {
        Self {
            kind: Kind::Str,
            word: 0,
            piece: text,
        }
    }

    /// A [`Value::Str`] with escapes; `raw` is as it was written, with quotes.
    #[inline]
    pub fn escaped(text: Piece, raw: Piece) -> Self {
        Self {
            kind: Kind::Escaped,
            word: raw.0,
            piece: text,
        }
    }

    /// See [`Value::BadStr`].
    #[inline]
    pub fn bad_str(raw: Piece) -> Self {
        Self {
            kind: Kind::BadStr,
            word: 0,
            piece: raw,
        }
    }

    /// See [`Value::Nested`].
    #[inline]
    pub fn nested(json: Piece) -> Self {
        Self {
            kind: Kind::Nested,
            word: 0,
            piece: json,
        }
    }

    /// The text, if it is a [`Value::Str`].
    #[inline]
    pub fn text(self) -> Option<Piece> {
        matches!(self.kind, Kind::Str | Kind::Escaped).then_some(self.piece)
    }

    /// Whether it is a [`Value::BadStr`].
    pub fn is_bad_str(self) -> bool {
        self.kind == Kind::BadStr
    }
}

/// A field. The words of its cell lie apart, so that they are not copied as one: see [`Cell`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Slot {
    word: u64,
    name: Piece,
    piece: Piece,
    number: u32,
    kind: Kind,
}

impl Slot {
    #[inline]
    fn new(name: Piece, number: u32, cell: Cell) -> Self {
        let Cell { kind, word, piece } = cell;
        Self {
            word,
            name,
            piece,
            number,
            kind,
        }
    }
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
        (Piece::new(self.payload_len + start, len), made)
    }

    /// The text of a piece.
    #[inline]
    pub fn text<'a>(&'a self, payload: &'a str, piece: Piece) -> &'a str {
        let (start, len) = (piece.start(), piece.len());
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
            self.slots.push(Slot::new(name, NO_NUMBER, cell));
            self.marked += 1;
        }
    }

    /// Adds a field that the decoder knows to be new to the row, under the number of its name.
    #[inline]
    pub fn push_new(&mut self, name: Piece, number: u32, cell: Cell) {
        self.slots.push(Slot::new(name, number, cell));
    }

    /// The row, of the same payload the pieces were taken from.
    pub fn row<'a>(&'a self, payload: &'a str, project: &'a str, collection: &'a str) -> Row<'a> {
        Row {
            project,
            collection,
            payload,
            buffer: self,
        }
    }

    pub(super) fn numbering(&self) -> u64 {
        self.numbering
    }

    pub(super) fn written(&self) -> usize {
        self.written.len()
    }

    #[inline]
    pub(super) fn values<'a>(
        &'a self,
        payload: &'a str,
    ) -> impl ExactSizeIterator<Item = (Option<u32>, Value<'a>)> + use<'a> {
        self.slots.iter().map(move |slot| {
            let number = (slot.number != NO_NUMBER).then_some(slot.number);
            (number, self.value(payload, slot))
        })
    }

    pub(super) fn name<'a>(&'a self, payload: &'a str, at: usize) -> &'a str {
        self.text(payload, self.slots[at].name)
    }

    #[inline]
    fn value<'a>(&'a self, payload: &'a str, slot: &Slot) -> Value<'a> {
        let Slot {
            kind, word, piece, ..
        } = *slot;
        if kind == Kind::Null {
            return Value::Null;
        }
        let text = self.text(payload, piece);
        match kind {
            Kind::Null => Value::Null,
            Kind::Bool => Value::Bool(word == 1),
            Kind::Integer => Value::Integer {
                value: word as i64,
                raw: text,
            },
            Kind::Number => Value::Number {
                double: f64::from_bits(word),
                raw: text,
            },
            Kind::Str => Value::Str { text, raw: None },
            Kind::Escaped => Value::Str {
                text,
                raw: Some(self.text(payload, Piece(word))),
            },
            Kind::BadStr => Value::BadStr(text),
            Kind::Nested => Value::Nested(text),
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
            let new = index
                .find(hash, |&at| same(&self.slots[at as usize]))
                .is_none();
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
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else {
        return 0;
    };
    let middle = name[name.len() / 2];
    let mixed = (u64::from(first) | u64::from(last) << 8 | u64::from(middle) << 16)
        ^ (name.len() as u64) << 20;
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

#[cfg(test)]
mod tests;
