//! Numbers for the names of fields, shared by all programs of a decoder: rows of several schemas find their columns by them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// More names than this are forgotten, and numbered anew: tables keep a place for each.
const MAX_NAMES: usize = 4096;
/// JSON decoders count their numberings from 1; these must be others.
const FIRST: u64 = 1 << 63;

/// Tells a numbering from every other one in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbering(pub(super) u64);

#[derive(Debug)]
pub(super) struct Names {
    numbers: HashMap<String, u32>,
    numbering: Numbering,
}

impl Default for Names {
    fn default() -> Self {
        static NUMBERINGS: AtomicU64 = AtomicU64::new(FIRST);
        Self {
            numbers: HashMap::new(),
            numbering: Numbering(NUMBERINGS.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

impl Names {
    /// The numbering in which so many names are numbered next: another one if they would be too many.
    pub(super) fn room_for(&mut self, names: usize) -> Numbering {
        if !self.numbers.is_empty() && self.numbers.len() + names > MAX_NAMES {
            *self = Self::default();
        }
        self.numbering
    }

    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers_until_there_are_too_many() {
        let mut names = Names::default();
        let first = names.room_for(2);
        assert_eq!(
            (names.number("a"), names.number("b"), names.number("a")),
            (0, 1, 0)
        );
        assert_eq!(names.room_for(MAX_NAMES - 2), first);
        assert_ne!(names.room_for(MAX_NAMES - 1), first);
        assert_eq!(names.number("b"), 0);
        assert_ne!(Names::default().numbering, Names::default().numbering);
    }
}
