//! gzip in pieces: one member made of blocks that were compressed one by one.
//!
//! A deflate state is some hundred KiB, so the thousands of objects open at a time cannot have one each.
//! Each thread has one instead. It starts afresh for every piece of text and ends the piece on a byte
//! boundary, so that the pieces of an object, joined between [`HEADER`] and [`trailer`], are one deflate
//! stream (RFC 1951) in one gzip member (RFC 1952), which readers that know only one member read whole.

use std::cell::RefCell;

use bytes::Bytes;

use crate::deflate::Deflater;

/// What begins a member: deflate, no name, no time, system unknown. The bytes depend on the rows only.
pub(crate) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// What ends a member of `len` bytes of text: an empty last block, then checksum and length.
pub(crate) fn trailer(crc: u32, len: u64) -> [u8; 10] {
    let [c0, c1, c2, c3] = crc.to_le_bytes();
    // The format wants the length modulo 2^32.
    let [l0, l1, l2, l3] = (len as u32).to_le_bytes();
    [0x03, 0x00, c0, c1, c2, c3, l0, l1, l2, l3]
}

/// Compresses a piece of text to whole blocks, none of them the last.
pub(crate) fn blocks(text: &[u8], level: u32) -> Bytes {
    thread_local! {
        static DEFLATER: RefCell<Option<(u32, Deflater)>> = const { RefCell::new(None) };
    }
    DEFLATER.with_borrow_mut(|slot| {
        let deflater = match slot.take() {
            Some(kept) if kept.0 == level => kept,
            _ => (level, Deflater::new(level)),
        };
        let (_, deflater) = slot.insert(deflater);
        Bytes::copy_from_slice(deflater.compress(text))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn member(pieces: &[Vec<u8>], level: u32) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        for piece in pieces {
            bytes.extend_from_slice(&blocks(piece, level));
        }
        let text = pieces.concat();
        bytes.extend_from_slice(&trailer(crc32fast::hash(&text), text.len() as u64));
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<u8> {
        // Reads one member only and must find the end right behind it.
        let mut rest = bytes;
        let mut decoder = flate2::bufread::GzDecoder::new(&mut rest);
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).unwrap();
        drop(decoder);
        assert!(rest.is_empty());
        text
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn an_empty_member() {
        assert_eq!(read(&member(&[], 6)), b"");
        assert_eq!(read(&member(&[vec![]], 6)), b"");
    }

    #[test]
    fn every_level_and_pieces_beyond_any_buffer() {
        let pieces = [
            vec![b'a'; 3_000_000],
            noise(700_000),
            b"x".to_vec(),
            vec![],
            noise(65_536),
        ];
        for level in 0..=9 {
            assert_eq!(
                read(&member(&pieces, level)),
                pieces.concat(),
                "level {level}"
            );
        }
    }

    #[test]
    fn levels_compress_as_such() {
        let text = "{\"name\":\"value\",\"number\":12345}\n"
            .repeat(3_000)
            .into_bytes();
        let stored = blocks(&text, 0).len();
        let fast = blocks(&text, 1).len();
        assert!(
            stored >= text.len() && fast * 10 < stored,
            "{stored} {fast}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_pieces_read_back(
            pieces in prop::collection::vec(prop::collection::vec(0..4_u8, 0..3_000), 0..12),
            level in 0..=9_u32,
        ) {
            prop_assert_eq!(read(&member(&pieces, level)), pieces.concat());
        }
    }
}
