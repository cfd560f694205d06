//! Field names seen before, recognised without reading them again.
//!
//! Records of one kind name their fields in one order. So the name that followed another one last
//! time is compared with the bytes that are next; only if it differs is the name read and looked
//! up. Each name has a number, by which a row is searched for duplicates and a table for columns.

use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;

/// More spellings than this are forgotten, and learnt anew.
const MAX_SPELLINGS: usize = 4096;
/// Longer spellings, quotes included, are not learnt.
const MAX_WRITTEN: usize = 128;

const NONE: u32 = u32::MAX;

/// A name as it was written and as it is called.
#[derive(Debug)]
pub(super) struct Spelling {
    /// With its quotes.
    pub(super) written: Box<[u8]>,
    /// The first sixteen bytes of `written`, zeros behind its end, and a mask of those that count.
    head: [u64; 2],
    mask: [u64; 2],
    /// What it is called, if not by the bytes between the quotes.
    pub(super) name: Option<Box<str>>,
    pub(super) number: u32,
    /// What followed it lately, the latest change first.
    next: [u32; 2],
}

/// The names a decoder has learnt.
#[derive(Debug)]
pub(super) struct Known {
    spellings: Vec<Spelling>,
    by_written: HashMap<Box<[u8]>, u32>,
    numbers: HashMap<String, u32>,
    /// For each number, the last row that had the name.
    seen: Vec<u64>,
    row: u64,
    /// What rows began with lately.
    first: [u32; 2],
    /// Tells this numbering from every other one in the process.
    numbering: u64,
}

impl Default for Known {
    fn default() -> Self {
        static NUMBERINGS: AtomicU64 = AtomicU64::new(1);
        Self {
            spellings: Vec::new(),
            by_written: HashMap::new(),
            numbers: HashMap::new(),
            seen: Vec::new(),
            row: 0,
            first: [NONE; 2],
            numbering: NUMBERINGS.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Known {
    /// Begins a row; returns the numbering that holds for it.
    pub(super) fn begin(&mut self) -> u64 {
        if self.spellings.len() >= MAX_SPELLINGS {
            *self = Self::default();
        }
        self.row += 1;
        self.numbering
    }

    #[inline]
    pub(super) fn get(&self, spelling: u32) -> &Spelling {
        &self.spellings[spelling as usize]
    }

    /// The spelling that is next in `rest`, if it followed `last` lately.
    #[inline(always)]
    pub(super) fn guess(&self, last: Option<u32>, rest: &[u8]) -> Option<u32> {
        let last = self.spellings.get(last.unwrap_or(NONE) as usize);
        let [likely, other] = last.map_or(self.first, |last| last.next);
        if self.is_next(likely, rest) {
            return Some(likely);
        }
        self.is_next(other, rest).then_some(other)
    }

    #[inline]
    fn is_next(&self, spelling: u32, rest: &[u8]) -> bool {
        self.spellings
            .get(spelling as usize)
            .is_some_and(|spelling| spelling.starts(rest))
    }

    /// The spelling that follows `last` now, which is learnt if it is new. `None` if there is no room for it.
    pub(super) fn learn(&mut self, last: Option<u32>, written: &[u8], name: &str) -> Option<u32> {
        let spelling = match self.by_written.get(written) {
            Some(&spelling) => spelling,
            None => self.add(written, name)?,
        };
        let next = match last {
            Some(last) => &mut self.spellings[last as usize].next,
            None => &mut self.first,
        };
        *next = [spelling, next[0]];
        Some(spelling)
    }

    fn add(&mut self, written: &[u8], name: &str) -> Option<u32> {
        if written.len() > MAX_WRITTEN || self.spellings.len() >= MAX_SPELLINGS {
            return None;
        }
        let number = self.seen.len() as u32;
        let number = *self.numbers.entry_ref(name).or_insert(number);
        if number as usize == self.seen.len() {
            self.seen.push(0);
        }
        let spelling = self.spellings.len() as u32;
        let as_written = &written[1..written.len() - 1] == name.as_bytes();
        let (head, mask) = head_of(written);
        self.spellings.push(Spelling {
            written: written.into(),
            head,
            mask,
            name: (!as_written).then(|| name.into()),
            number,
            next: [NONE; 2],
        });
        self.by_written.insert(written.into(), spelling);
        Some(spelling)
    }

    /// Notes that the row has a field of that name; false if it had one before.
    #[inline]
    pub(super) fn is_new(&mut self, number: u32) -> bool {
        let seen = &mut self.seen[number as usize];
        std::mem::replace(seen, self.row) != self.row
    }
}

impl Spelling {
    /// Whether `rest` starts with it. Most are at most two words long.
    #[inline(always)]
    fn starts(&self, rest: &[u8]) -> bool {
        let Some(head) = rest.first_chunk::<16>() else {
            return rest.starts_with(&self.written);
        };
        let head = words_of(head);
        let differs = |at: usize| (head[at] ^ self.head[at]) & self.mask[at];
        differs(0) | differs(1) == 0
            && (self.written.len() <= 16 || rest.starts_with(&self.written))
    }
}

/// The first sixteen bytes as numbers, and masks of those there are.
fn head_of(written: &[u8]) -> ([u64; 2], [u64; 2]) {
    let (mut head, mut mask) = ([0; 16], [0; 16]);
    for ((head, mask), byte) in head.iter_mut().zip(&mut mask).zip(written) {
        (*head, *mask) = (*byte, 0xFF);
    }
    (words_of(&head), words_of(&mask))
}

#[inline(always)]
fn words_of(bytes: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*bytes);
    [both as u64, (both >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(known: &mut Known, last: Option<u32>, name: &str) -> Option<u32> {
        known.learn(last, format!("\"{name}\"").as_bytes(), name)
    }

    #[test]
    fn what_followed_a_name_lately_is_guessed() {
        let mut known = Known::default();
        let a = learn(&mut known, None, "a");
        let b = learn(&mut known, a, "b");
        let c = learn(&mut known, a, "c");
        assert_eq!(known.guess(None, b"\"a\":1"), a);
        assert_eq!(known.guess(a, b"\"b\":1"), b);
        assert_eq!(known.guess(a, b"\"c\":1"), c);
        assert_eq!(known.guess(a, b"\"a\":1"), None);
        assert_eq!(known.guess(b, b"\"c\":1"), None);
        assert_eq!(known.guess(a, b"\"b"), None);
        assert_eq!(known.guess(a, b""), None);
    }

    #[test]
    fn spellings_of_one_name_share_its_number() {
        let mut known = Known::default();
        known.begin();
        let plain = known.learn(None, b"\"a\"", "a").unwrap();
        let other = known.learn(None, b"\"A\"", "a").unwrap();
        assert_ne!(plain, other);
        assert_eq!(known.get(plain).number, known.get(other).number);
        assert_eq!(known.get(plain).name, None);
        assert_eq!(known.get(other).name.as_deref(), Some("a"));
        assert!(known.is_new(known.get(plain).number));
        assert!(!known.is_new(known.get(other).number));
        known.begin();
        assert!(known.is_new(known.get(other).number));
    }

    #[test]
    fn what_is_learnt_has_a_limit_and_starts_over_under_another_numbering() {
        let mut known = Known::default();
        let numbering = known.begin();
        for n in 0..MAX_SPELLINGS {
            assert_eq!(learn(&mut known, None, &n.to_string()), Some(n as u32));
        }
        assert_eq!(learn(&mut known, None, "one more"), None);
        assert_eq!(learn(&mut known, None, "7"), Some(7));
        assert_ne!(known.begin(), numbering);
        assert_eq!(learn(&mut known, None, "one more"), Some(0));
        assert_eq!(learn(&mut known, None, &"x".repeat(MAX_WRITTEN)), None);
    }

    #[test]
    fn starts_are_compared_to_the_last_byte() {
        for len in 0..40 {
            let name = "abcdefghijklmnopqrstuvwxyz0123456789ABCD"[..len].to_owned();
            let mut known = Known::default();
            let spelling = learn(&mut known, None, &name);
            let written = format!("\"{name}\"");
            for rest in ["", ":", ":123456789012345678"] {
                let mut bytes = format!("{written}{rest}").into_bytes();
                assert_eq!(known.guess(None, &bytes), spelling);
                for at in 0..written.len() {
                    assert_eq!(known.guess(None, &bytes[..at]), None);
                    bytes[at] ^= 1;
                    assert_eq!(known.guess(None, &bytes), None);
                    bytes[at] ^= 1;
                }
            }
        }
    }
}
