//! Where text repeats itself, found quickly: the last place with the same few bytes, taken if it is one.

use super::bits::Bits;
use super::block;
use super::text::{WINDOW, common, word};
use super::tokens::{Push, ROOM, Token, Tokens};

/// Keys have at most 7 bytes, so that those of two positions are in one word.
///
/// `KEY` is the length of keys and of the shortest match: shorter ones cost about what their literals would. The
/// table has `SIZE` places, a power of two.
#[derive(Debug)]
pub(super) struct Fast<const KEY: u32, const SIZE: usize> {
    /// Where each key was last, modulo 65,536: more than a window, so that the distance is known. An unknown
    /// key has 0; a wrong place is noticed, since bytes are compared.
    places: Box<[u16; SIZE]>,
}

impl<const KEY: u32, const SIZE: usize> Fast<KEY, SIZE> {
    pub(super) fn new() -> Self {
        Self {
            places: Box::new([0; SIZE]),
        }
    }

    pub(super) fn compress(&mut self, text: &[u8], tokens: &mut Tokens, bits: &mut Bits) {
        self.places.fill(0);
        block::write_all(text, tokens, bits, |from, push| self.fill(text, from, push));
    }

    /// Looks for matches from `from` on until there is no more room for tokens. Where it came to.
    fn fill(&mut self, text: &[u8], from: usize, push: &mut Push<'_>) -> usize {
        let mut at = from;
        while at + 8 < text.len() {
            if push.full(ROOM) {
                return at;
            }
            let now = word(text, at);
            let distance = self.look(now, at);
            let next_distance = self.look(now >> 8, at + 1);
            if Self::repeats(text, now, at, distance) {
                at = self.take(text, at, distance, push);
            } else if Self::repeats(text, now >> 8, at + 1, next_distance) {
                push.push(Token::literal(now as u8));
                at = self.take(text, at + 1, next_distance, push);
            } else {
                push.push(Token::literals(now as u8, (now >> 8) as u8));
                at += 2;
            }
        }
        while let Some(byte) = text.get(at).filter(|_| !push.full(ROOM)) {
            push.push(Token::literal(*byte));
            at += 1;
        }
        at
    }

    #[inline(always)]
    fn hash(word: u64) -> usize {
        let mixed = (word << (64 - 8 * KEY)).wrapping_mul(0x9e37_79b1_85eb_ca87);
        (mixed >> (64 - SIZE.ilog2())) as usize % SIZE
    }

    /// How far back the key of `now` was last, perhaps; and that it is here now.
    #[inline(always)]
    fn look(&mut self, now: u64, at: usize) -> usize {
        let place = std::mem::replace(&mut self.places[Self::hash(now)], at as u16);
        usize::from((at as u16).wrapping_sub(place))
    }

    #[inline(always)]
    fn repeats(text: &[u8], now: u64, at: usize, distance: usize) -> bool {
        // Before the text there is nothing, and the difference is beyond its end.
        let Some(before) = text.get(at.wrapping_sub(distance)..) else {
            return false;
        };
        let Some(before) = before.first_chunk::<8>() else {
            return false;
        };
        let differs = u64::from_le_bytes(*before) ^ now;
        differs << (64 - 8 * KEY) == 0 && distance.wrapping_sub(1) < WINDOW
    }

    /// Takes the match at `at`. Where it ends.
    #[inline(always)]
    fn take(&mut self, text: &[u8], at: usize, distance: usize, push: &mut Push<'_>) -> usize {
        let len = common(text, at, at - distance);
        push.push(Token::repeat(len, distance));
        let end = at + len;
        // Two of the positions within are enough to find the like again.
        for noted in [at + 2, end - 1] {
            self.places[Self::hash(word(text, noted))] = noted as u16;
        }
        end
    }
}
