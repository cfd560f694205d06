//! A line in the making: bytes written one behind the other into memory that is there already.
//!
//! The memory behind the end of the line is never read before it is written, so short texts are copied by
//! a fixed number of bytes, which takes a few instructions, and only their length counts. A call of
//! `memcpy` costs more than most values of an event.

use alluvium_target::text;

/// Texts up to this many bytes are copied at one go, whatever their length.
const AT_ONCE: usize = 32;

/// As [`AT_ONCE`], for longer ones.
const MORE_AT_ONCE: usize = 2 * AT_ONCE;

/// What a text should have behind it in its memory to be copied so.
pub(super) const BEHIND: [u8; MORE_AT_ONCE] = [0; MORE_AT_ONCE];

/// `00` to `99`.
pub(super) const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// One line at a time.
pub(crate) struct Line {
    bytes: Vec<u8>,
    len: usize,
    /// For texts whose writers append to a vector.
    aside: Vec<u8>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; 1024],
            len: 0,
            aside: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(super) fn put(&mut self, text: &[u8]) {
        self.put_part(text, 0, text.len());
    }

    /// Appends `text[from..to]`. Costs least where [`BEHIND`] bytes and more follow on it.
    #[inline]
    pub(super) fn put_part(&mut self, text: &[u8], from: usize, to: usize) {
        let len = to - from;
        let done = if len <= AT_ONCE {
            self.copy::<AT_ONCE>(text, from)
        } else if len <= MORE_AT_ONCE {
            self.copy::<MORE_AT_ONCE>(text, from)
        } else {
            None
        };
        match done {
            Some(()) => self.len += len,
            None => self.put_long(text.get(from..to).unwrap_or_default()),
        }
    }

    /// Copies `N` bytes behind the end, if there are so many on either side.
    #[inline]
    fn copy<const N: usize>(&mut self, text: &[u8], from: usize) -> Option<()> {
        let source = text.get(from..from + N)?.as_array::<N>()?;
        let room = self.bytes.get_mut(self.len..self.len + N)?;
        *room.as_mut_array::<N>()? = *source;
        Some(())
    }

    #[inline(never)]
    fn put_long(&mut self, text: &[u8]) {
        let end = self.len + text.len();
        if self.bytes.len() < end + MORE_AT_ONCE {
            self.bytes
                .resize((end + MORE_AT_ONCE).next_power_of_two(), 0);
        }
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(text);
        }
        self.len = end;
    }

    #[inline]
    pub(super) fn put_byte(&mut self, byte: u8) {
        match self.bytes.get_mut(self.len) {
            Some(room) => {
                *room = byte;
                self.len += 1;
            }
            None => self.put_long(&[byte]),
        }
    }

    /// Appends what `write` appends.
    pub(super) fn put_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut aside = std::mem::take(&mut self.aside);
        aside.clear();
        write(&mut aside);
        self.put_long(&aside);
        self.aside = aside;
    }

    /// Appends UTF-8 with what JSON reserves escaped.
    pub(super) fn put_escaped(&mut self, utf8: &[u8]) {
        self.put_with(|out| text::escaped(utf8, out));
    }

    #[inline]
    pub(super) fn put_integer(&mut self, value: i64) {
        // The digits end in the middle, so that there are bytes to copy behind them.
        let mut digits = [0; AT_ONCE + MORE_AT_ONCE];
        let mut at = AT_ONCE;
        let mut rest = value.unsigned_abs();
        while rest >= 100 {
            at -= 2;
            [digits[at], digits[at + 1]] = PAIRS[(rest % 100) as usize];
            rest /= 100;
        }
        let [tens, ones] = PAIRS[rest as usize % 100];
        at -= 1;
        digits[at] = ones;
        if rest >= 10 {
            at -= 1;
            digits[at] = tens;
        }
        if value < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        self.put_part(&digits, at, AT_ONCE);
    }

    #[inline]
    pub(super) fn put_boolean(&mut self, value: bool) {
        const WORDS: &[u8; 9 + AT_ONCE] = b"truefalse                                ";
        let (from, to) = if value { (0, 4) } else { (4, 9) };
        self.put_part(WORDS, from, to);
    }

    pub(super) fn put_double(&mut self, value: f64) {
        self.put_with(|out| text::double(value, out));
    }
}
