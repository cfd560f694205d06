use std::io::Write as _;

use proptest::prelude::*;
use xxhash_rust::xxh64::xxh64;

use super::*;

fn frame(pieces: &[Vec<u8>], level: u32) -> Vec<u8> {
    let text = pieces.concat();
    let mut bytes = header(text.len() as u64).to_vec();
    let mut first = true;
    for piece in pieces {
        bytes.extend_from_slice(&blocks(piece, level, first).unwrap());
        first = first && piece.is_empty();
    }
    bytes.extend_from_slice(&trailer(xxh64(&text, 0)));
    bytes
}

/// Reads one frame; fails if anything follows it.
fn read(bytes: &[u8]) -> Vec<u8> {
    assert_eq!(
        zstd_safe::find_frame_compressed_size(bytes),
        Ok(bytes.len())
    );
    let len = zstd_safe::get_frame_content_size(bytes).unwrap().unwrap();
    let mut text = vec![0; usize::try_from(len).unwrap()];
    let read = DCtx::create().decompress(text.as_mut_slice(), bytes);
    assert_eq!(
        read,
        Ok(text.len()),
        "{:?}",
        read.map_err(zstd_safe::get_error_name)
    );
    text
}

fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn events(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut text = Vec::new();
    while text.len() < len {
        let (time, user, path) = (
            random(&mut state),
            random(&mut state),
            random(&mut state) % 9,
        );
        writeln!(
            text,
            r#"{{"_time":15173783{:02}000,"_user":"u{user}","properties":{{"path":"/{path}","n":{time}}}}}"#,
            time % 100
        )
        .unwrap();
    }
    text
}

/// Letters of base64 without an order: nothing repeats.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    (0..len)
        .map(|_| b'0' + (random(&mut state) % 64) as u8)
        .collect()
}

#[test]
fn an_empty_frame() {
    assert_eq!(read(&frame(&[], 3)), b"");
    assert_eq!(read(&frame(&[vec![]], 3)), b"");
}

#[test]
fn every_level_and_pieces_of_every_kind() {
    let pieces = [
        events(1, 300_000),
        events(2, 250_000),
        vec![b'a'; 700_000],
        noise(3, 300_000),
        vec![],
        b"x".to_vec(),
        events(4, 10_000),
        noise(5, 3_000),
        events(6, 250_000),
    ];
    for level in 1..=22 {
        let frame = frame(&pieces, level);
        assert_eq!(read(&frame), pieces.concat(), "level {level}");
    }
}

/// Events are not to be stored plainly because their beginnings do not join.
#[test]
fn later_pieces_are_as_small_as_the_first() {
    for level in [1, 3, 9, 19] {
        for seed in 0..8 {
            let text = events(seed, 240_000);
            let first = blocks(&text, level, true).unwrap().len();
            let later = blocks(&text, level, false).unwrap().len();
            assert!(later * 100 < first * 103, "level {level}: {first} {later}");
        }
    }
}

/// Runs of one byte at the beginning are what a compressor takes for a distance it need not tell.
/// Six bits of each byte of it are chance: only its letters' frequencies are worth anything.
#[test]
fn text_in_which_nothing_repeats_is_compressed_in_a_later_piece_too() {
    let text = noise(3, 300_000);
    for level in [1, 6] {
        let later = blocks(&text, level, false).unwrap().len();
        assert!(later * 5 < text.len() * 4, "level {level}: {later}");
    }
}

#[test]
fn a_beginning_that_cannot_be_joined_is_found() {
    let mut text = b"{\"_time\":15173783400000000000000000000000,".to_vec();
    text.extend(events(1, 2_000));
    let mut compressor = Compressor::new(1).unwrap();
    compressor.begin(&text, text.len()).unwrap();
    let found = joint::of(
        &compressor.out[..compressor.len],
        &text,
        &mut compressor.reader,
        &mut compressor.room,
    );
    assert_eq!(found, Joint::Wrong);
    let pieces = [events(2, 5_000), text];
    assert_eq!(read(&frame(&pieces, 1)), pieces.concat());
}

#[test]
fn blocks_that_leave_older_distances_are_tied() {
    let mut compressor = Compressor::new(1).unwrap();
    let text = noise(1, 2_000);
    compressor.stored(&text);
    let found = joint::of(
        &compressor.out[..compressor.len],
        &text,
        &mut compressor.reader,
        &mut compressor.room,
    );
    assert_eq!(found, Joint::Tied);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_pieces_read_back(
        pieces in prop::collection::vec(prop_oneof![
            prop::collection::vec(b'a'..b'e', 0..3_000),
            prop::collection::vec(0..0x80_u8, 0..600),
            (any::<u64>(), 0..20_000_usize).prop_map(|(seed, len)| events(seed, len)),
            (0..0x80_u8, 0..40_usize).prop_map(|(byte, len)| vec![byte; len]),
        ], 0..12),
        level in 1..=22_u32,
    ) {
        prop_assert_eq!(read(&frame(&pieces, level)), pieces.concat());
    }
}
