//! Lists and objects within a row: what is in them, without recursion.

use super::{RowBuffer, Value};

/// A list or an object.
#[derive(Clone, Copy, Debug)]
pub struct Nested<'a> {
    pub(super) json: Option<&'a str>,
    pub(super) items: Option<Items<'a>>,
}

impl<'a> Nested<'a> {
    /// Its JSON text without white space between its parts, otherwise as written; `None` if it was not written as JSON.
    pub fn json(&self) -> Option<&'a str> {
        self.json
    }

    /// What is in it; `None` if the decoder kept only the text, because there was too much or it was nested too deeply.
    pub fn items(&self) -> Option<Items<'a>> {
        self.items
    }

    /// Whether it is known that there is nothing in it.
    pub fn is_empty(&self) -> bool {
        match (self.items, self.json) {
            (Some(items), _) => items.at == items.end,
            (None, json) => json.is_some_and(|json| json.len() == 2),
        }
    }
}

/// Containers are equal if their items are, or if they have none, their texts.
impl PartialEq for Nested<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.items, other.items) {
            (Some(own), Some(other)) => own.eq(other),
            (None, None) => self.json == other.json,
            _ => false,
        }
    }
}

/// The names and values of a container, in the order they were written. Names in a list are empty; those of an object
/// may repeat, and then the first counts.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    pub(super) at: usize,
    pub(super) end: usize,
    pub(super) payload: &'a str,
    pub(super) buffer: &'a RowBuffer,
}

impl<'a> Iterator for Items<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.end {
            return None;
        }
        let (name, value, next) = self.buffer.item_at(self.payload, self.at);
        self.at = next;
        Some((name, value))
    }
}
