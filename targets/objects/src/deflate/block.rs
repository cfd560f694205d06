//! Tokens to a block: stored, with the fixed codes or with its own, whichever is smallest.

use super::bits::Bits;
use super::huffman;
use super::tokens::{LENGTHS, NOTHING, Push, SECOND_LITERALS, Tokens, distance_extra};

/// Literals, the end of a block, and 29 codes of lengths; two more have a code but no use.
const SYMBOLS: usize = 288;
const END: usize = 256;
const DISTANCES: usize = 30;

/// The shortest length of each length code, less 3.
const LENGTH_BASES: [u8; 29] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128,
    160, 192, 224, 255,
];
const LENGTH_EXTRAS: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];

/// The order in which a block gives the lengths of the codes of lengths.
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// The code of each length less 3.
static LENGTH_CODES: [u8; 256] = length_codes();

const fn length_codes() -> [u8; 256] {
    let mut codes = [0; 256];
    let mut code = 0;
    let mut length = 0;
    while length < 256 {
        while code + 1 < LENGTH_BASES.len() && LENGTH_BASES[code + 1] as usize <= length {
            code += 1;
        }
        codes[length] = code as u8;
        length += 1;
    }
    codes
}

/// The codes of a block, as lengths.
struct Codes {
    symbols: [u8; SYMBOLS],
    distances: [u8; 32],
}

impl Codes {
    fn fixed() -> Self {
        let mut symbols = [8; SYMBOLS];
        symbols[144..256].fill(9);
        symbols[256..280].fill(7);
        Self {
            symbols,
            distances: [5; 32],
        }
    }

    fn best(counts: &Counts) -> Self {
        let mut codes = Self {
            symbols: [0; SYMBOLS],
            distances: [0; 32],
        };
        huffman::lengths(&counts.symbols, 15, &mut codes.symbols);
        huffman::lengths(&counts.distances, 15, &mut codes.distances);
        codes
    }

    /// Bits of all symbols, without their extra bits.
    fn cost(&self, counts: &Counts) -> u64 {
        let sum = |counts: &[u32], lengths: &[u8]| -> u64 {
            let pairs = counts.iter().zip(lengths);
            pairs
                .map(|(count, length)| u64::from(*count) * u64::from(*length))
                .sum()
        };
        sum(&counts.symbols, &self.symbols) + sum(&counts.distances, &self.distances)
    }
}

/// How often each symbol of deflate occurs.
struct Counts {
    symbols: [u32; SYMBOLS],
    distances: [u32; DISTANCES],
    /// Extra bits of all lengths and distances.
    extra: u64,
}

impl Counts {
    fn new(tokens: &Tokens) -> Self {
        let (first, second) = tokens.count();
        let mut counts = Self {
            symbols: [0; SYMBOLS],
            distances: [0; DISTANCES],
            extra: 0,
        };
        for byte in 0..256 {
            counts.symbols[byte] = first[byte] + second[SECOND_LITERALS + byte];
        }
        counts.symbols[END] = 1;
        for (code, count) in LENGTH_CODES.iter().zip(&first[LENGTHS..]) {
            counts.symbols[END + 1 + usize::from(*code)] += count;
        }
        counts.distances.copy_from_slice(&second[..DISTANCES]);
        for (code, extra) in LENGTH_EXTRAS.iter().enumerate() {
            counts.extra += u64::from(counts.symbols[END + 1 + code]) * u64::from(*extra);
        }
        for (code, count) in counts.distances.iter().enumerate() {
            counts.extra += u64::from(*count) * u64::from(distance_extra(code));
        }
        counts
    }
}

/// Writes `text` as blocks: `fill` pushes the tokens of one, from a place in it on, and says where it came to.
#[inline(always)]
pub(super) fn write_all(
    text: &[u8],
    tokens: &mut Tokens,
    bits: &mut Bits,
    mut fill: impl FnMut(usize, &mut Push<'_>) -> usize,
) {
    let mut from = 0;
    while from < text.len() {
        let to = tokens.fill(|push| fill(from, push));
        write(&text[from..to], tokens, bits);
        from = to;
    }
}

/// Writes a block of `tokens`, which stand for `text`, and forgets them.
fn write(text: &[u8], tokens: &mut Tokens, bits: &mut Bits) {
    if text.is_empty() {
        return;
    }
    let counts = Counts::new(tokens);
    let (fixed, best) = (Codes::fixed(), Codes::best(&counts));
    let header = Header::new(&best);
    let fixed_cost = fixed.cost(&counts) + counts.extra;
    let best_cost = header.cost() + best.cost(&counts) + counts.extra;
    let stored_cost = stored_cost(text.len(), bits);
    if stored_cost <= fixed_cost.min(best_cost) + 3 {
        stored(text, bits);
    } else if fixed_cost <= best_cost {
        bits.reserve(fixed_cost + 64);
        bits.put(0b010, 3);
        symbols(tokens, &fixed, bits);
    } else {
        bits.reserve(best_cost + 64);
        bits.put(0b100, 3);
        header.write(bits);
        symbols(tokens, &best, bits);
    }
    tokens.clear();
}

fn stored_cost(len: usize, bits: &Bits) -> u64 {
    let blocks = len.div_ceil(0xffff).max(1) as u64;
    let first = (bits.missing() + 5) % 8 + 3 + 32;
    u64::from(first) + (blocks - 1) * 40 + len as u64 * 8
}

/// Writes `text` as it is.
pub(super) fn stored(text: &[u8], bits: &mut Bits) {
    for part in text.chunks(0xffff) {
        bits.reserve(64);
        bits.put(0, 3);
        bits.put(0, bits.missing());
        let len = part.len() as u64;
        bits.put(len | (len ^ 0xffff) << 16, 32);
        bits.append(part);
    }
}

/// Ends on a byte boundary: an empty stored block.
pub(super) fn align(bits: &mut Bits) {
    bits.reserve(64);
    bits.put(0, 3);
    bits.put(0, bits.missing());
    bits.put(0xffff_0000, 32);
}

/// Writes all tokens and the end of the block.
fn symbols(tokens: &Tokens, codes: &Codes, bits: &mut Bits) {
    let (first, second, end) = tables(codes);
    bits.write(|put| {
        for token in tokens.all() {
            let one = first[token.first()];
            let two = second[token.second()];
            let (one_bits, two_code_bits, two_bits) = (one >> 24, two >> 24, two >> 16 & 0xff);
            let two = u64::from(two & 0xffff) | token.extra() << (two_code_bits & 15);
            let value = u64::from(one & 0xff_ffff) | two << (one_bits & 31);
            put.put(value, one_bits + two_bits);
        }
        put.put(u64::from(end & 0xff_ffff), end >> 24);
    });
}

/// What a first symbol becomes: code and extra bits, and from bit 24 how many they are. What a second one
/// becomes: its code, from bit 16 how many bits it is with its extra bits, from 24 how many without. And the
/// end of the block, as a first symbol.
fn tables(codes: &Codes) -> ([u32; 512], [u32; 512], u32) {
    let (mut first, mut second) = ([0; 512], [0; 512]);
    let mut words = [0_u16; SYMBOLS];
    huffman::codes(&codes.symbols, &mut words);
    for byte in 0..256 {
        let (word, bits) = (u32::from(words[byte]), u32::from(codes.symbols[byte]));
        first[byte] = word | bits << 24;
        second[SECOND_LITERALS + byte] = word | bits << 16 | bits << 24;
    }
    for (length, code) in LENGTH_CODES.iter().enumerate() {
        let code = usize::from(*code);
        let (word, bits) = (
            words[END + 1 + code],
            u32::from(codes.symbols[END + 1 + code]),
        );
        let extra = length as u32 - u32::from(LENGTH_BASES[code]);
        first[LENGTHS + length] =
            u32::from(word) | extra << bits | (bits + u32::from(LENGTH_EXTRAS[code])) << 24;
    }
    let end = u32::from(words[END]) | u32::from(codes.symbols[END]) << 24;
    let mut words = [0_u16; 32];
    huffman::codes(&codes.distances, &mut words);
    for code in 0..DISTANCES {
        let bits = u32::from(codes.distances[code]);
        second[code] = u32::from(words[code]) | (bits + distance_extra(code)) << 16 | bits << 24;
    }
    debug_assert_eq!(second[NOTHING as usize], 0);
    (first, second, end)
}

/// The codes of a block, as written before it.
struct Header {
    symbols: usize,
    distances: usize,
    /// Symbols of the code of lengths, each with its extra bits from bit 8.
    runs: [u16; SYMBOLS + 32],
    len: usize,
    lengths: [u8; 19],
    /// How many of `lengths` are given.
    given: usize,
    counts: [u32; 19],
}

impl Header {
    fn new(codes: &Codes) -> Self {
        let used = |lengths: &[u8]| {
            lengths
                .iter()
                .rposition(|length| *length > 0)
                .map_or(0, |at| at + 1)
        };
        let symbols = used(&codes.symbols).max(257);
        let distances = used(&codes.distances).max(1);
        let mut all = [0_u8; SYMBOLS + 32];
        all[..symbols].copy_from_slice(&codes.symbols[..symbols]);
        all[symbols..symbols + distances].copy_from_slice(&codes.distances[..distances]);
        let mut header = Self {
            symbols,
            distances,
            runs: [0; SYMBOLS + 32],
            len: 0,
            lengths: [0; 19],
            given: 0,
            counts: [0; 19],
        };
        for run in all[..symbols + distances].chunk_by(|one, other| one == other) {
            header.run(run[0], run.len());
        }
        huffman::lengths(&header.counts, 7, &mut header.lengths);
        let given = ORDER.iter().rposition(|symbol| header.lengths[*symbol] > 0);
        header.given = given.map_or(4, |at| at + 1).max(4);
        header
    }

    fn push(&mut self, symbol: u16, extra: usize) {
        self.runs[self.len] = symbol | (extra as u16) << 8;
        self.len += 1;
        self.counts[usize::from(symbol)] += 1;
    }

    /// So many codes of the same length.
    fn run(&mut self, length: u8, mut count: usize) {
        if length == 0 {
            while count >= 11 {
                let now = count.min(138);
                self.push(18, now - 11);
                count -= now;
            }
            if count >= 3 {
                self.push(17, count - 3);
                count = 0;
            }
        } else {
            self.push(u16::from(length), 0);
            count -= 1;
            while count >= 3 {
                let now = count.min(6);
                self.push(16, now - 3);
                count -= now;
            }
        }
        for _ in 0..count {
            self.push(u16::from(length), 0);
        }
    }

    fn extra_bits(symbol: usize) -> u32 {
        match symbol {
            16 => 2,
            17 => 3,
            18 => 7,
            _ => 0,
        }
    }

    /// How many bits the header has.
    fn cost(&self) -> u64 {
        let mut cost = 14 + 3 * self.given as u64;
        for (symbol, count) in self.counts.iter().enumerate() {
            let bits = u32::from(self.lengths[symbol]) + Self::extra_bits(symbol);
            cost += u64::from(*count) * u64::from(bits);
        }
        cost
    }

    fn write(&self, bits: &mut Bits) {
        bits.put(self.symbols as u64 - 257, 5);
        bits.put(self.distances as u64 - 1, 5);
        bits.put(self.given as u64 - 4, 4);
        for symbol in &ORDER[..self.given] {
            bits.put(u64::from(self.lengths[*symbol]), 3);
        }
        let mut words = [0; 19];
        huffman::codes(&self.lengths, &mut words);
        for run in &self.runs[..self.len] {
            let symbol = usize::from(run & 0xff);
            bits.put(u64::from(words[symbol]), u32::from(self.lengths[symbol]));
            bits.put(u64::from(run >> 8), Self::extra_bits(symbol));
        }
    }
}
