//! A field of a row where it lies, to be looked at without making a [`Value`] of it.
//!
//! A [`Value`] is an enum of four words, which goes through memory and is waited for. What most columns take can be had
//! in registers: these questions are answered for what is common only, and whoever gets no answer asks for the value.

use super::cell::{Kind, NO_NUMBER, Slot};
use super::{Row, Stretch, Value};

/// A field of a row.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'r, 'a> {
    row: &'r Row<'a>,
    slot: &'r Slot,
}

impl<'r, 'a> Entry<'r, 'a> {
    #[inline]
    pub(super) fn new(row: &'r Row<'a>, slot: &'r Slot) -> Self {
        Self { row, slot }
    }

    /// The number of its name; see [`Row::values`].
    #[inline]
    pub fn number(self) -> Option<u32> {
        (self.slot.number != NO_NUMBER).then_some(self.slot.number)
    }

    /// Whatever the value is.
    #[inline]
    pub fn value(self) -> Value<'a> {
        self.row.buffer.value(self.row.payload, self.slot)
    }

    /// Whether it is [`Value::Null`].
    #[inline]
    pub fn is_null(self) -> bool {
        self.slot.kind == Kind::Null
    }

    /// The text of a [`Value::Str`], or of a number as it was written.
    #[inline]
    pub fn written(self) -> Option<Stretch<'a>> {
        match self.slot.kind {
            Kind::Integer | Kind::Number | Kind::Str | Kind::Escaped => Some(self.stretch()),
            _ => None,
        }
    }

    /// The text of a [`Value::Str`].
    #[inline]
    pub fn string(self) -> Option<&'a [u8]> {
        match self.slot.kind {
            Kind::Str | Kind::Escaped => Some(self.stretch().bytes()),
            _ => None,
        }
    }

    /// What a [`Value::Bool`] is.
    #[inline]
    pub fn bool(self) -> Option<bool> {
        (self.slot.kind == Kind::Bool).then_some(self.slot.word == 1)
    }

    /// What a [`Value::Integer`] or [`Value::Long`] is.
    #[inline]
    pub fn whole(self) -> Option<i64> {
        match self.slot.kind {
            Kind::Integer | Kind::Long => Some(self.slot.word.cast_signed()),
            _ => None,
        }
    }

    /// What a [`Value::Millis`] is.
    #[inline]
    pub fn millis(self) -> Option<i64> {
        (self.slot.kind == Kind::Millis).then_some(self.slot.word.cast_signed())
    }

    /// The double of a [`Value::Number`], and how long the number was as it was written.
    #[inline]
    pub fn number_written(self) -> Option<(f64, usize)> {
        let double = f64::from_bits(self.slot.word);
        (self.slot.kind == Kind::Number).then_some((double, self.slot.piece.len()))
    }

    /// What a [`Value::Double`] is.
    #[inline]
    pub fn double(self) -> Option<f64> {
        (self.slot.kind == Kind::Double).then_some(f64::from_bits(self.slot.word))
    }

    #[inline]
    fn stretch(self) -> Stretch<'a> {
        self.row.buffer.stretch(self.row.payload, self.slot.piece)
    }
}
