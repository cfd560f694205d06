//! The scratch a decoder fills: fields as offsets into the payload and into text made from it.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

mod unproven;

use super::cell::{Cell, Container, Kind, NO_ITEMS, NO_NUMBER, Opened, Piece, Slot};
use super::{Items, Nested, Row, Stretch, Value};

/// Rows with more fields than this look their names up in a table instead of one after the other.
const FEW: usize = 32;
/// More slots than this, or bytes of written text, are given back after the record that needed them.
const KEPT_SLOTS: usize = 4096;
const KEPT_TEXT: usize = 256 * 1024;

/// Reusable storage of one [`Row`] at a time.
#[derive(Debug, Default)]
pub struct RowBuffer {
    slots: Vec<Slot>,
    /// What is in lists and objects, each container before its items.
    items: Vec<Slot>,
    /// Text that is not in the payload as such: without escapes, lower-cased, or compacted.
    written: String,
    /// What becomes `written` once it is known to be text.
    unproven: Vec<u8>,
    /// Byte strings and the digits of decimals.
    bytes: Vec<u8>,
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
        self.items.clear();
        self.written.clear();
        self.bytes.clear();
        if self.slots.capacity() > KEPT_SLOTS {
            self.slots.shrink_to(KEPT_SLOTS);
            self.index.shrink_to(KEPT_SLOTS, |_| 0);
        }
        if self.items.capacity() > KEPT_SLOTS {
            self.items.shrink_to(KEPT_SLOTS);
        }
        if self.written.capacity() > KEPT_TEXT {
            self.written.shrink_to(KEPT_TEXT);
        }
        if self.bytes.capacity() > KEPT_TEXT {
            self.bytes.shrink_to(KEPT_TEXT);
        }
    }

    /// Writes text that the payload does not hold as such.
    pub fn write<T>(&mut self, make: impl FnOnce(&mut String) -> T) -> (Piece, T) {
        let start = self.written.len();
        let made = make(&mut self.written);
        let len = self.written.len() - start;
        (Piece::new(self.payload_len + start, len), made)
    }

    /// Keeps bytes: a [`Value::Bytes`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Cell {
        Cell::word(Kind::Bytes, self.keep(bytes).0)
    }

    /// Keeps a [`Value::Decimal`].
    pub fn decimal(&mut self, unscaled: i128, scale: u8) -> Cell {
        let digits = self.keep(&unscaled.to_le_bytes());
        Cell {
            kind: Kind::Decimal,
            word: digits.0,
            piece: Piece(u64::from(scale)),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Piece {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Piece::new(start, bytes.len())
    }

    /// Begins a list or an object; `name` is its own if it is within an object. What follows by
    /// [`item`](Self::item) and `open` is in it until it is closed.
    pub fn open(&mut self, name: Option<Piece>) -> Opened {
        self.item(name, Cell::NULL);
        Opened(self.items.len() - 1)
    }

    /// Adds an item to the container opened last; `name` if that is an object.
    #[inline]
    pub fn item(&mut self, name: Option<Piece>, cell: Cell) {
        let name = name.unwrap_or(Piece(0));
        self.items.push(Slot::new(name, NO_NUMBER, cell));
    }

    /// Items of all containers so far: what they take is bounded by the decoder.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// Ends the container that was opened last and is not closed. `json` is its text, if it was written as JSON. The
    /// cell is the whole container; within another one it is an item already.
    pub fn close(&mut self, Opened(at): Opened, shape: Container, json: Option<Piece>) -> Cell {
        let start = at + 1;
        let cell = Cell {
            kind: shape.kind(),
            word: Piece::new(start, self.items.len() - start).0,
            piece: json.unwrap_or(Piece(0)),
        };
        let slot = &mut self.items[at];
        *slot = Slot::new(slot.name, NO_NUMBER, cell);
        cell
    }

    /// Writes the JSON text of the first container added since there were `items` of them. Until now its text, and those
    /// of the containers in it, were given as if it began at `start`. Returns the container.
    pub fn rewrite(&mut self, items: usize, start: usize, make: impl FnOnce(&mut String)) -> Cell {
        let (text, ()) = self.write(make);
        let by = ((text.start() - start) as u64) << 32;
        let mut first = None;
        for slot in self.items.iter_mut().skip(items) {
            if matches!(slot.kind, Kind::List | Kind::Object) {
                slot.piece.0 += by;
                first.get_or_insert(*slot);
            }
        }
        first.map_or(Cell::NULL, |slot| Cell {
            kind: slot.kind,
            word: slot.word,
            piece: slot.piece,
        })
    }

    /// Forgets the container with everything in it, as if it had not been opened.
    pub fn abandon(&mut self, Opened(at): Opened) {
        self.items.truncate(at);
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

    /// The bytes of a piece, with those behind it.
    #[inline]
    pub(super) fn stretch<'a>(&'a self, payload: &'a str, piece: Piece) -> Stretch<'a> {
        let (start, len) = (piece.start(), piece.len());
        let (all, start) = match start.checked_sub(self.payload_len) {
            None => (payload, start),
            Some(start) => (&*self.written, start),
        };
        let rest = &all.as_bytes()[start..];
        Stretch { rest, len }
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
            declared: &[],
        }
    }

    pub(super) fn numbering(&self) -> u64 {
        self.numbering
    }

    /// Bytes kept of the row besides its payload.
    pub(super) fn written(&self) -> usize {
        self.written.len() + self.bytes.len() + self.items.len() * size_of::<u64>()
    }

    #[inline]
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
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

    /// The item at a place of the tape, and the place of the one that follows in the same container.
    pub(super) fn item_at<'a>(
        &'a self,
        payload: &'a str,
        at: usize,
    ) -> (&'a str, Value<'a>, usize) {
        let slot = &self.items[at];
        let name = self.text(payload, slot.name);
        let inner = match slot.kind {
            Kind::List | Kind::Object | Kind::Map if slot.word != NO_ITEMS => {
                Piece(slot.word).len()
            }
            _ => 0,
        };
        (name, self.value(payload, slot), at + 1 + inner)
    }

    pub(super) fn name<'a>(&'a self, payload: &'a str, at: usize) -> &'a str {
        self.text(payload, self.slots[at].name)
    }

    #[inline]
    pub(super) fn value<'a>(&'a self, payload: &'a str, slot: &Slot) -> Value<'a> {
        let Slot {
            kind, word, piece, ..
        } = *slot;
        if kind >= Kind::List {
            return self.typed(payload, slot);
        }
        if kind == Kind::Null {
            return Value::Null;
        }
        let text = self.text(payload, piece);
        match kind {
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
            _ => Value::Null,
        }
    }

    fn typed<'a>(&'a self, payload: &'a str, slot: &Slot) -> Value<'a> {
        let Slot {
            kind, word, piece, ..
        } = *slot;
        match kind {
            Kind::List | Kind::Object | Kind::Map => {
                let nested = Nested {
                    json: (!piece.is_empty()).then(|| self.text(payload, piece)),
                    items: (word != NO_ITEMS).then(|| Items {
                        at: Piece(word).start(),
                        end: Piece(word).start() + Piece(word).len(),
                        payload,
                        buffer: self,
                    }),
                };
                match kind {
                    Kind::List => Value::List(nested),
                    Kind::Map => Value::Map(nested),
                    _ => Value::Object(nested),
                }
            }
            Kind::Long => Value::Long(word as i64),
            Kind::Double => Value::Double(f64::from_bits(word)),
            Kind::Date => Value::Date(word as i32),
            Kind::Time => Value::Time(word as i64),
            Kind::Millis => Value::Millis(word as i64),
            Kind::Micros => Value::Micros(word as i64),
            Kind::Bytes => Value::Bytes(self.kept(Piece(word))),
            Kind::Decimal => {
                let mut digits = [0; 16];
                digits.copy_from_slice(self.kept(Piece(word)));
                Value::Decimal {
                    unscaled: i128::from_le_bytes(digits),
                    scale: piece.0 as u8,
                }
            }
            _ => Value::Null,
        }
    }

    fn kept(&self, piece: Piece) -> &[u8] {
        &self.bytes[piece.start()..piece.start() + piece.len()]
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
