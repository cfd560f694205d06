//! The grammar of RFC 8259, byte by byte: finds where values end and refuses everything else.
//!
//! Strict: no byte order mark, no comments, no control characters in strings, nothing behind the
//! document. Containers are walked without recursion, so depth costs one bit a level. It assumes
//! valid UTF-8 and does not look into escapes beyond their grammar.

mod plain;

use self::plain::plain_end;
use crate::record::{Cell, Piece};

/// Where the payload stops being JSON, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: &'static str,
    pub(super) at: usize,
}

/// A string between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted {
    /// Of the first byte behind the opening quote.
    pub(super) start: usize,
    /// Of the closing quote.
    pub(super) end: usize,
    pub(super) escaped: bool,
}

#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What is not passed yet.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// Passes everything before `at`.
    #[inline]
    pub(super) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    #[cold]
    pub(super) fn fault<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault { what, at: self.at })
    }

    /// The next byte, or 0 at the end: 0 is no part of JSON.
    #[inline]
    pub(super) fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Passes `byte` if it is next.
    #[inline]
    pub(super) fn pass(&mut self, byte: u8) -> bool {
        let next = self.peek() == byte;
        self.at += usize::from(next);
        next
    }

    /// Passes white space; true if there was any.
    #[inline(always)]
    pub(super) fn space(&mut self) -> bool {
        self.peek() <= b' ' && self.more_space()
    }

    /// Passes white space; how many bytes there were.
    #[inline]
    pub(super) fn spaces(&mut self) -> usize {
        let start = self.at;
        self.space();
        self.at - start
    }

    #[inline(never)]
    fn more_space(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
        self.at > start
    }

    /// Passes `byte` and the white space around it, if that is what is next.
    #[inline(always)]
    pub(super) fn pass_spaced(&mut self, byte: u8) -> bool {
        if self.pass(byte) || (self.space() && self.pass(byte)) {
            self.space();
            return true;
        }
        false
    }

    /// Passes white space up to the end of the payload.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at < self.bytes.len() {
            return self.fault("something follows the JSON document");
        }
        Ok(())
    }

    /// Passes the name of a field with its colon and the space around it.
    #[inline]
    pub(super) fn name(&mut self) -> Result<Quoted, Fault> {
        if self.peek() != b'"' {
            return self.fault("expected a field name in quotes");
        }
        let name = self.string()?;
        self.colon()?;
        Ok(name)
    }

    /// Passes the colon that is next and the space around it.
    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), Fault> {
        if self.pass_spaced(b':') {
            return Ok(());
        }
        self.fault("expected a colon")
    }

    /// Passes a string, whose opening quote is next.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<Quoted, Fault> {
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fault("control character in a string"),
                None => return self.fault("the payload ends within a string"),
            }
        }
        let end = self.at;
        self.at += 1;
        Ok(Quoted {
            start,
            end,
            escaped,
        })
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let hex = self.bytes.get(self.at + 2..self.at + 6).unwrap_or(&[]);
                if hex.len() < 4 || !hex.iter().all(u8::is_ascii_hexdigit) {
                    return self.fault("expected four hexadecimal digits after \\u");
                }
                self.at += 6;
            }
            Some(_) => return self.fault("unknown escape in a string"),
            None => return self.fault("the payload ends within a string"),
        }
        Ok(())
    }

    /// Passes `true`, `false` or `null`, whose first letter is next.
    #[inline(always)]
    pub(super) fn literal(&mut self, cell: &mut Cell) -> Result<(), Fault> {
        let rest = self.rest();
        if rest.starts_with(b"true") {
            *cell = Cell::bool(true);
            self.at += 4;
        } else if rest.starts_with(b"false") {
            *cell = Cell::bool(false);
            self.at += 5;
        } else if rest.starts_with(b"null") {
            *cell = Cell::NULL;
            self.at += 4;
        } else {
            return self.fault("expected a value");
        }
        Ok(())
    }

    /// Passes a number, whose sign or first digit is next.
    #[inline(always)]
    pub(super) fn number(&mut self, cell: &mut Cell) -> Result<(), Fault> {
        let start = self.at;
        let negative = self.pass(b'-');
        let first = self.at;
        let mut digits = 0;
        let whole = self.digits(&mut digits)?;
        if whole > 1 && self.bytes[first] == b'0' {
            return Err(Fault {
                what: "a number must not begin with 0",
                at: first,
            });
        }
        if matches!(self.peek(), b'.' | b'e' | b'E') {
            return self.fraction(start, (digits, whole), cell);
        }
        let raw = Piece::of_payload(start, self.at);
        // 18 digits are below 2^63.
        if whole <= 18 {
            let value = digits as i64;
            *cell = Cell::integer(if negative { -value } else { value }, raw);
        } else {
            let text = &self.text[start..self.at];
            *cell = match text.parse() {
                Ok(value) => Cell::integer(value, raw),
                Err(_) => Cell::number(nearest(text), raw),
            };
        }
        Ok(())
    }

    /// Passes what follows the whole part of the number that begins at `start`, given that part and its length.
    #[inline]
    fn fraction(
        &mut self,
        start: usize,
        (mut digits, whole): (u64, usize),
        cell: &mut Cell,
    ) -> Result<(), Fault> {
        let mut scale = 0;
        if self.pass(b'.') {
            scale = self.digits(&mut digits)?;
        }
        let exponent = matches!(self.peek(), b'e' | b'E');
        if exponent {
            self.at += 1;
            if !self.pass(b'-') {
                self.pass(b'+');
            }
            self.digits(&mut 0)?;
        }
        let raw = Piece::of_payload(start, self.at);
        // With both terms exact, one division rounds once: the nearest double.
        let double = if !exponent && whole + scale <= 18 && digits < 1 << 53 {
            let double = digits as f64 / POWERS_OF_TEN[scale];
            if self.bytes.get(start) == Some(&b'-') {
                -double
            } else {
                double
            }
        } else {
            nearest(&self.text[start..self.at])
        };
        *cell = Cell::number(double, raw);
        Ok(())
    }

    /// Passes digits, at least one; returns how many. Their number is right up to 19 of them.
    #[inline]
    fn digits(&mut self, number: &mut u64) -> Result<usize, Fault> {
        let start = self.at;
        loop {
            let digit = self.peek().wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            *number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        if self.at == start {
            return self.fault("expected a digit");
        }
        Ok(self.at - start)
    }

    /// Passes a value of any kind and depth; how many bytes of white space were between its parts.
    pub(super) fn skip(&mut self, open: &mut Depth) -> Result<usize, Fault> {
        open.clear();
        let mut spaces = 0;
        let mut unused = Cell::NULL;
        loop {
            // A value is next.
            match self.peek() {
                b'{' => {
                    self.at += 1;
                    spaces += self.spaces();
                    if !self.pass(b'}') {
                        open.push(true);
                        spaces += self.spaced_name()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    spaces += self.spaces();
                    if !self.pass(b']') {
                        open.push(false);
                        continue;
                    }
                }
                b'"' => drop(self.string()?),
                b'-' | b'0'..=b'9' => self.number(&mut unused)?,
                b't' | b'f' | b'n' => self.literal(&mut unused)?,
                _ => return self.fault("expected a value"),
            }
            // What follows a value: the next one, or ends of containers.
            loop {
                let Some(object) = open.top() else {
                    return Ok(spaces);
                };
                spaces += self.spaces();
                if self.pass(b',') {
                    spaces += self.spaces();
                    if object {
                        spaces += self.spaced_name()?;
                    }
                    break;
                }
                if !self.pass(if object { b'}' } else { b']' }) {
                    return self.fault(if object {
                        "expected a comma or the end of the object"
                    } else {
                        "expected a comma or the end of the array"
                    });
                }
                open.pop();
            }
        }
    }

    fn spaced_name(&mut self) -> Result<usize, Fault> {
        let name = self.name()?;
        Ok(self.spaces_behind(name))
    }

    /// How many bytes of white space lie between the name just passed and here.
    pub(super) fn spaces_behind(&self, name: Quoted) -> usize {
        // All but the closing quote and the colon.
        self.at - (name.end + 2)
    }
}

/// The containers that are open, one bit each: 1 for an object.
#[derive(Debug, Default)]
pub(super) struct Depth {
    bits: Vec<u64>,
    len: usize,
}

impl Depth {
    fn clear(&mut self) {
        self.len = 0;
    }

    fn push(&mut self, object: bool) {
        let (word, bit) = (self.len / 64, self.len % 64);
        if word == self.bits.len() {
            self.bits.push(0);
        }
        self.bits[word] = self.bits[word] & !(1 << bit) | u64::from(object) << bit;
        self.len += 1;
    }

    fn top(&self) -> Option<bool> {
        let last = self.len.checked_sub(1)?;
        Some(self.bits[last / 64] >> (last % 64) & 1 == 1)
    }

    fn pop(&mut self) {
        self.len -= 1;
    }
}

/// 10^0 to 10^18, all of them exact as doubles.
const POWERS_OF_TEN: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

/// The double nearest to a JSON number; infinite if it is beyond them all.
fn nearest(number: &str) -> f64 {
    // Whatever the grammar above accepts, the standard library does.
    number.parse().unwrap_or(f64::INFINITY)
}
