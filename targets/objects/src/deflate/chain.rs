//! Where text repeats itself, found well: places with the same few bytes, from the nearest on.

use super::bits::Bits;
use super::block;
use super::text::{LONGEST, WINDOW, common, word};
use super::tokens::{Push, ROOM, Token, Tokens};

const HASH_BITS: u32 = 15;

/// Bytes of a key, and of the shortest match. Shorter matches cost about what their literals do and lead away
/// from longer ones: on lines of events, keys of 4 bytes were slower and the result 3% larger.
const KEY: usize = 5;

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Places looked at for a match, and for a better one that begins later.
    pub(super) depth: u32,
    pub(super) lazy_depth: u32,
    /// How many bytes later a better match may begin.
    pub(super) ahead: usize,
    /// A match of so many bytes is taken without a look for a better one.
    pub(super) nice: usize,
}

#[derive(Debug)]
pub(super) struct Chain {
    effort: Effort,
    places: Places,
}

/// Positions modulo 65,536, which is more than a window, so that distances are known.
///
/// Of an unknown key the position is 0. A wrong one costs a look, since all are compared; it is the same in
/// every run, since whatever is within reach was written for the text at hand.
#[derive(Debug)]
struct Places {
    /// Where each key was last.
    last: Box<[u16; 1 << HASH_BITS]>,
    /// How far before each position its key was last.
    steps: Box<[u16; WINDOW]>,
}

#[derive(Clone, Copy, Debug)]
struct Match {
    len: usize,
    distance: usize,
}

#[inline(always)]
fn hash(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b1_85eb_ca87) >> (64 - HASH_BITS)) as usize
}

/// The key at `at`, moved to the top of a word; none near the end of the text.
#[inline(always)]
fn key(text: &[u8], at: usize) -> Option<u64> {
    Some(key_of(text.get(at..)?.first_chunk::<8>()?))
}

#[inline(always)]
fn key_of(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes) << (64 - 8 * KEY)
}

impl Places {
    /// Notes all positions of a range.
    #[inline(always)]
    fn insert(&mut self, text: &[u8], from: usize, to: usize) {
        let to = text.len().min(to + 7);
        let Some(text) = text.get(from..to) else {
            return;
        };
        for (at, bytes) in text.array_windows::<8>().enumerate() {
            let here = from + at;
            let last = &mut self.last[hash(key_of(bytes))];
            self.steps[here % WINDOW] = (here as u16).wrapping_sub(*last);
            *last = here as u16;
        }
    }

    /// The longest match at `at` that is longer than `longer_than`, the nearest of these.
    ///
    /// The places walked over are those of the bytes which end just behind the best match so far: a match
    /// that has them is longer than that, so that the many places with a mere common beginning are no cost.
    #[inline(always)]
    fn find(
        &self,
        text: &[u8],
        at: usize,
        longer_than: usize,
        mut depth: u32,
        nice: usize,
    ) -> Option<Match> {
        let now = word(text, at);
        let reach = WINDOW.min(at);
        let mut best = None;
        let mut len = longer_than;
        'longer: while len < LONGEST {
            let offset = len + 1 - KEY;
            let Some(key) = key(text, at + offset) else {
                break;
            };
            let irrelevant = 64 - 8 * KEY.max(len.min(8)) as u32;
            let place = self.last[hash(key)];
            let mut distance = usize::from((at as u16).wrapping_sub(place)) + offset;
            while distance.wrapping_sub(1) < reach && depth > 0 {
                depth -= 1;
                let before = at - distance;
                let differs = word(text, before) ^ now;
                if differs << irrelevant == 0 && self::key(text, before + offset) == Some(key) {
                    let found = common(text, at, before);
                    if found > len {
                        len = found;
                        best = Some(Match { len, distance });
                        if len >= nice {
                            break 'longer;
                        }
                        continue 'longer;
                    }
                }
                let step = usize::from(self.steps[(before + offset) % WINDOW]);
                if step == 0 {
                    break;
                }
                distance += step;
            }
            break;
        }
        best
    }
}

impl Chain {
    pub(super) fn new(effort: Effort) -> Self {
        Self {
            effort,
            places: Places {
                last: Box::new([0; 1 << HASH_BITS]),
                steps: Box::new([0; WINDOW]),
            },
        }
    }

    pub(super) fn compress(&mut self, text: &[u8], tokens: &mut Tokens, bits: &mut Bits) {
        self.places.last.fill(0);
        block::write_all(text, tokens, bits, |from, push| self.fill(text, from, push));
    }

    /// Looks for matches from `from` on until there is no more room for tokens. Where it came to.
    fn fill(&mut self, text: &[u8], from: usize, push: &mut Push<'_>) -> usize {
        let mut at = from;
        while at < text.len() && !push.full(ROOM) {
            let effort = self.effort;
            let found = self
                .places
                .find(text, at, KEY - 1, effort.depth, effort.nice);
            self.places.insert(text, at, at + 1);
            match found {
                Some(found) => {
                    at = self.take(text, at, found, push);
                }
                None => {
                    push.push(Token::literal(text[at]));
                    at += 1;
                }
            }
        }
        at
    }

    /// Takes a match at `at` or a better one that begins soon behind it. Where it ends.
    #[inline(always)]
    fn take(&mut self, text: &[u8], mut at: usize, mut found: Match, push: &mut Push<'_>) -> usize {
        let effort = self.effort;
        let mut noted = at + 1;
        let start = at;
        'better: while found.len < effort.nice && at - start < ROOM / 2 {
            for ahead in 1..=effort.ahead {
                let depth = effort.lazy_depth >> (ahead - 1);
                let next = self
                    .places
                    .find(text, at + ahead, found.len - 1, depth, effort.nice);
                if noted == at + ahead {
                    self.places.insert(text, noted, noted + 1);
                    noted += 1;
                }
                if let Some(next) = next.filter(|next| gain(found, *next) > 4 * ahead as i32 - 2) {
                    for byte in &text[at..at + ahead] {
                        push.push(Token::literal(*byte));
                    }
                    at += ahead;
                    found = next;
                    continue 'better;
                }
            }
            break;
        }
        push.push(Token::repeat(found.len, found.distance));
        let end = at + found.len;
        self.places.insert(text, noted, end);
        end
    }
}

/// How many bits `next` is better than `found`, about: four for each byte more, one for half the distance.
fn gain(found: Match, next: Match) -> i32 {
    let bits = |found: Match| 4 * found.len as i32 - found.distance.ilog2() as i32;
    bits(next) - bits(found)
}
