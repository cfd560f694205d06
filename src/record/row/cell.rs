//! A row's values by their places: plain words that mean nothing without the buffer they belong to.

#[cfg(doc)]
use super::Value;

/// A piece of text: bytes of the payload or, behind its end, of the text written by the decoder.
///
/// One word, so that it stays in a register: start and length, 32 bits each.
#[derive(Clone, Copy, Debug)]
pub struct Piece(pub(super) u64);

impl Piece {
    /// The bytes `start..end` of the payload, which must be on character boundaries.
    ///
    /// Payloads are far below 4 GiB: a decoder refuses larger ones.
    #[inline]
    pub fn of_payload(start: usize, end: usize) -> Self {
        Self::new(start, end - start)
    }

    #[inline]
    pub(super) fn new(start: usize, len: usize) -> Self {
        Self((start as u64) << 32 | len as u64)
    }

    #[inline]
    pub(super) fn start(self) -> usize {
        (self.0 >> 32) as usize
    }

    #[inline]
    pub(super) fn len(self) -> usize {
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
    pub(super) kind: Kind,
    pub(super) word: u64,
    pub(super) piece: Piece,
}

/// Scalars as JSON has them come first: they are what most rows are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Kind {
    Null,
    Bool,
    Integer,
    Number,
    Str,
    Escaped,
    BadStr,
    List,
    Object,
    Map,
    Long,
    Double,
    Date,
    Time,
    Millis,
    Micros,
    Bytes,
    Decimal,
}

/// The word of a container whose items are not kept.
pub(super) const NO_ITEMS: u64 = u64::MAX;

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

    /// A [`Value::List`] whose items are not kept, only its text.
    #[inline]
    pub fn list_text(json: Piece) -> Self {
        Self {
            kind: Kind::List,
            word: NO_ITEMS,
            piece: json,
        }
    }

    /// A [`Value::Object`] whose items are not kept, only its text.
    #[inline]
    pub fn object_text(json: Piece) -> Self {
        Self {
            kind: Kind::Object,
            word: NO_ITEMS,
            piece: json,
        }
    }

    /// See [`Value::Long`].
    #[inline]
    pub fn long(value: i64) -> Self {
        Self::word(Kind::Long, value as u64)
    }

    /// See [`Value::Double`].
    #[inline]
    pub fn double(value: f64) -> Self {
        Self::word(Kind::Double, value.to_bits())
    }

    /// See [`Value::Date`].
    #[inline]
    pub fn date(days: i32) -> Self {
        Self::word(Kind::Date, i64::from(days) as u64)
    }

    /// See [`Value::Time`].
    #[inline]
    pub fn time(micros: i64) -> Self {
        Self::word(Kind::Time, micros as u64)
    }

    /// See [`Value::Millis`].
    #[inline]
    pub fn millis(value: i64) -> Self {
        Self::word(Kind::Millis, value as u64)
    }

    /// See [`Value::Micros`].
    #[inline]
    pub fn micros(value: i64) -> Self {
        Self::word(Kind::Micros, value as u64)
    }

    #[inline]
    pub(super) fn word(kind: Kind, word: u64) -> Self {
        Self {
            kind,
            word,
            piece: Piece(0),
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

/// Which container it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Items in an order, without names.
    List,
    /// Items with names, the first of a name first: see [`Value::Object`].
    Object,
    /// The same, of one type: see [`Value::Map`].
    Map,
}

impl Container {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::List => Kind::List,
            Self::Object => Kind::Object,
            Self::Map => Kind::Map,
        }
    }
}

/// The place of a container that is not closed yet.
#[derive(Debug)]
#[must_use = "a container that is not closed is null"]
pub struct Opened(pub(super) usize);

/// A field. The words of its cell lie apart, so that they are not copied as one: see [`Cell`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Slot {
    pub(super) word: u64,
    pub(super) name: Piece,
    pub(super) piece: Piece,
    pub(super) number: u32,
    pub(super) kind: Kind,
}

impl Slot {
    #[inline]
    pub(super) fn new(name: Piece, number: u32, cell: Cell) -> Self {
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
pub(super) const NO_NUMBER: u32 = u32::MAX;
