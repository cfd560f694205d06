//! What a text is made of: literal bytes and repeats of what came before, and how often each occurs.
//!
//! A token has room for two symbols, so that all are written by the same steps without a branch: a match is
//! its length and its distance, a literal is alone or followed by another.

/// Tokens of a block at most. With few matches they stand for some 60 KB of text, commonly for 200.
const MOST: usize = 1 << 15;

/// Tokens that a step of a finder pushes at most.
pub(super) const ROOM: usize = 64;

/// First symbols: literals from 0, match lengths (less 3) from here.
pub(super) const LENGTHS: usize = 256;

/// Second symbols: distance codes from 0, nothing, literals from [`SECOND_LITERALS`].
pub(super) const NOTHING: u32 = 30;
pub(super) const SECOND_LITERALS: usize = 256;

/// Bits 0 to 8 are the first symbol, 9 to 17 the second, from 18 the extra bits of a distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token(u32);

impl Token {
    #[inline(always)]
    pub(super) fn literal(byte: u8) -> Self {
        Self(u32::from(byte) | NOTHING << 9)
    }

    #[inline(always)]
    pub(super) fn literals(first: u8, second: u8) -> Self {
        Self(u32::from(first) | (u32::from(second) | 256) << 9)
    }

    /// A repeat of 3 to 258 bytes from 1 to 32,768 bytes back.
    #[inline(always)]
    pub(super) fn repeat(len: usize, distance: usize) -> Self {
        debug_assert!((3..=258).contains(&len) && (1..=32_768).contains(&distance));
        let (code, extra) = distance_code(distance);
        Self(((len as u32).wrapping_sub(3) & 255) | 256 | code << 9 | extra << 18)
    }

    #[inline(always)]
    pub(super) fn first(self) -> usize {
        (self.0 & 511) as usize
    }

    #[inline(always)]
    pub(super) fn second(self) -> usize {
        (self.0 >> 9 & 511) as usize
    }

    #[inline(always)]
    pub(super) fn extra(self) -> u64 {
        u64::from(self.0 >> 18)
    }
}

/// The code of a distance, and its extra bits.
#[inline(always)]
pub(super) fn distance_code(distance: usize) -> (u32, u32) {
    let less = (distance as u32).wrapping_sub(1) & 32_767;
    let count = (less | 2).ilog2() - 1;
    (2 * count + (less >> count), less & ((1 << count) - 1))
}

/// How many extra bits a distance code has.
pub(super) fn distance_extra(code: usize) -> u32 {
    (code as u32 / 2).saturating_sub(1)
}

/// The tokens of one block.
pub(super) struct Tokens {
    tokens: Box<[Token; MOST]>,
    len: usize,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tokens")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            tokens: Box::new([Token(0); MOST]),
            len: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Lets `fill` push many.
    #[inline(always)]
    pub(super) fn fill<T>(&mut self, fill: impl FnOnce(&mut Push<'_>) -> T) -> T {
        let mut push = Push {
            tokens: &mut self.tokens,
            len: self.len,
        };
        let result = fill(&mut push);
        self.len = push.len;
        result
    }

    pub(super) fn all(&self) -> &[Token] {
        self.tokens.get(..self.len).unwrap_or_default()
    }

    /// How often each first and each second symbol occurs.
    pub(super) fn count(&self) -> ([u32; 512], [u32; 512]) {
        let (mut first, mut second) = ([0; 512], [0; 512]);
        for token in self.all() {
            first[token.first()] += 1;
            second[token.second()] += 1;
        }
        (first, second)
    }
}

/// The end of the tokens, by itself so that it stays in a register.
pub(super) struct Push<'a> {
    tokens: &'a mut [Token; MOST],
    len: usize,
}

impl Push<'_> {
    /// Whether fewer than `count` more find room.
    #[inline(always)]
    pub(super) fn full(&self, count: usize) -> bool {
        self.len + count > MOST
    }

    /// Adds a token. There must be room for it.
    #[inline(always)]
    pub(super) fn push(&mut self, token: Token) {
        debug_assert!(!self.full(1));
        self.tokens[self.len % MOST] = token;
        self.len += 1;
    }
}
