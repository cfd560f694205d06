use std::io::Write as _;

use flate2::{Decompress, FlushDecompress};
use proptest::prelude::*;

use super::*;

#[path = "../../../../benches/data/mod.rs"]
#[allow(unreachable_pub, reason = "shared with benchmarks")]
mod data;

/// What zlib-rs reads from blocks, which must end where they do.
fn inflated(blocks: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(1 << 16);
    let mut inflate = Decompress::new(false);
    loop {
        let read = inflate.total_in() as usize;
        inflate
            .decompress_vec(&blocks[read..], &mut text, FlushDecompress::Sync)
            .unwrap();
        if text.len() < text.capacity() {
            break;
        }
        text.reserve(text.capacity());
    }
    assert_eq!(inflate.total_in() as usize, blocks.len());
    text
}

/// The same by miniz_oxide.
fn inflated_otherwise(blocks: &[u8]) -> Vec<u8> {
    let last = [blocks, &[3, 0]].concat();
    miniz_oxide::inflate::decompress_to_vec(&last).unwrap()
}

fn check(deflater: &mut Deflater, text: &[u8], what: &str) -> usize {
    let blocks = deflater.compress(text);
    assert!(inflated(blocks) == text, "{what}, by zlib-rs");
    assert!(inflated_otherwise(blocks) == text, "{what}, by miniz_oxide");
    assert!(
        blocks.len() <= text.len() + 6 * (text.len() / 32_000 + 1) + 6,
        "{what}: {} bytes became {}",
        text.len(),
        blocks.len()
    );
    blocks.len()
}

fn check_all(text: &[u8], what: &str) {
    for level in 0..=9 {
        check(
            &mut Deflater::new(level),
            text,
            &format!("{what}, level {level}"),
        );
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = data::Random::new(7);
    (0..len).map(|_| random.next() as u8).collect()
}

/// Lines of the flat layout, as many as fill a piece.
fn lines(size: data::Size, len: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut line = String::new();
    for event in data::Events::new(3, size, 5) {
        event.write_json(&mut line);
        writeln!(text, "{line}").unwrap();
        if text.len() >= len {
            break;
        }
    }
    text
}

#[test]
fn every_short_length() {
    let (noise, lines) = (noise(600), lines(data::Size::Bytes400, 600));
    for level in 0..=9 {
        let mut deflater = Deflater::new(level);
        for len in 0..=600 {
            check(&mut deflater, &noise[..len], "noise");
            check(&mut deflater, &lines[..len], "lines");
            check(&mut deflater, &vec![b'a'; len], "one byte");
            let pair: Vec<u8> = (0..len).map(|at| at as u8 % 2).collect();
            check(&mut deflater, &pair, "two bytes");
        }
    }
}

#[test]
fn lengths_at_the_limits_of_stored_blocks() {
    for len in [
        32_767, 32_768, 32_769, 65_534, 65_535, 65_536, 65_537, 131_070, 131_071,
    ] {
        check_all(&noise(len), "noise");
        check_all(&vec![0; len], "zeros");
    }
}

#[test]
fn matches_at_the_limits_of_the_window() {
    let phrase = noise(300);
    for between in [
        32_768 - 301,
        32_768 - 300,
        32_768 - 299,
        65_536 - 300,
        65_536 - 299,
    ] {
        for fill in [vec![b'.'; between], noise(between)] {
            let text = [&phrase[..], &fill, &phrase, &fill, &phrase].concat();
            check_all(&text, &format!("phrases {between} apart"));
        }
    }
}

#[test]
fn frequencies_that_want_codes_of_more_than_15_bits() {
    let mut random = data::Random::new(1);
    let mut text = Vec::new();
    let (mut one, mut other) = (1, 1);
    for byte in 0..21_u8 {
        text.extend(std::iter::repeat_n(byte, one));
        (one, other) = (other, one + other);
    }
    for at in (1..text.len()).rev() {
        text.swap(at, random.below(at as u64 + 1) as usize);
    }
    assert!(text.len() > 28_000, "{}", text.len());
    check_all(&text, "Fibonacci");
}

#[test]
fn a_row_larger_than_any_table_of_positions() {
    let mut text = lines(data::Size::Bytes2000, 400_000);
    text.extend_from_slice(&noise(70_000));
    text.extend_from_slice(&vec![b' '; 3_000_000]);
    text.extend_from_within(..300_000);
    check_all(&text, "a row");
}

#[test]
fn higher_levels_are_never_larger_on_events() {
    for size in [
        data::Size::Bytes150,
        data::Size::Bytes400,
        data::Size::Bytes2000,
    ] {
        let text = lines(size, 240 * 1024);
        let mut before = usize::MAX;
        for level in 0..=9 {
            let len = check(&mut Deflater::new(level), &text, "events");
            assert!(
                len <= before,
                "{size:?}: level {level} is {len} bytes, not {before}"
            );
            before = len;
        }
    }
}

#[test]
fn what_was_compressed_before_does_not_matter() {
    let text = lines(data::Size::Bytes400, 100_000);
    for level in 0..=9 {
        let fresh = Deflater::new(level).compress(&text).to_vec();
        let mut used = Deflater::new(level);
        for before in [
            noise(100_000),
            lines(data::Size::Bytes150, 300_000),
            vec![0; 70_000],
        ] {
            used.compress(&before);
            assert!(used.compress(&text) == fresh, "level {level}");
        }
    }
}

/// Text that repeats itself in all kinds of ways.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(0..3_u8, 0..2_000),
        (any::<u8>(), 0..5_000_usize).prop_map(|(byte, len)| vec![byte; len]),
        "[{}\":,a-e0-9]{0,80}".prop_map(String::into_bytes),
    ];
    let parts = prop::collection::vec(part, 1..8);
    let order = prop::collection::vec(any::<prop::sample::Index>(), 0..40);
    (parts, order).prop_map(|(parts, order)| {
        let chosen = order.iter().map(|index| index.get(&parts).as_slice());
        chosen.collect::<Vec<_>>().concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_text_reads_back(text in texts(), level in 0..=9_u32) {
        check(&mut Deflater::new(level), &text, "any text");
    }
}
