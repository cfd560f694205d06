use std::io::Write as _;

use flate2::GzBuilder;
use futures_util::stream;
use proptest::prelude::*;

use super::*;
use crate::compression::Codec;
use crate::gzip;

const TEXT: &[u8] = b"{\"a\":1}\n\n{\"b\":\"\xc3\xbc\"}\n";

fn packed(text: &[u8], compression: Compression) -> Vec<u8> {
    let codec = Codec {
        compression,
        level: 1,
    };
    let mut checksum = codec.checksum();
    checksum.update(text);
    let mut bytes = Vec::new();
    for piece in text.chunks(100_000) {
        let made = codec.piece(piece, bytes.is_empty()).unwrap();
        bytes.extend_from_slice(made.as_deref().unwrap_or(piece));
    }
    match checksum.frame(text.len() as u64) {
        Some((before, behind)) => [&before[..], &bytes, &behind].concat(),
        None => bytes,
    }
}

fn examined(bytes: &[u8], size: usize, compression: Compression) -> Result<Contents, ExamineError> {
    let pieces = bytes.chunks(size).map(Bytes::copy_from_slice).map(Ok);
    let pieces: Vec<_> = pieces.collect();
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(examine(stream::iter(pieces), compression))
}

fn contents(text: &[u8]) -> Contents {
    let lines: Vec<_> = text
        .strip_suffix(b"\n")
        .map_or_else(Vec::new, |text| text.split(|byte| *byte == b'\n').collect());
    Contents {
        rows: lines.len() as u64,
        uncompressed_bytes: text.len() as u64,
        content: ContentHash::of(lines),
    }
}

#[test]
fn whole_objects_are_read_however_they_come_in_pieces() {
    for text in [TEXT, b"", b"\n"] {
        for size in [1, 2, 3, 7, 10, 1_000] {
            for compression in Compression::ALL {
                let found = examined(&packed(text, compression), size, compression);
                assert_eq!(found.unwrap(), contents(text), "{compression} {size}");
            }
        }
    }
    assert_eq!(contents(TEXT).rows, 3);
}

#[test]
fn what_other_programs_zipped_is_read_too() {
    let mut writer = GzBuilder::new()
        .filename("name")
        .comment("c")
        .extra(vec![1, 2, 3])
        .write(Vec::new(), flate2::Compression::best());
    writer.write_all(TEXT).unwrap();
    let bytes = writer.finish().unwrap();
    for size in [1, 5, 1_000] {
        let found = examined(&bytes, size, Compression::Gzip).unwrap();
        assert_eq!(found, contents(TEXT));
    }
}

#[test]
fn large_objects_with_long_lines_are_read() {
    let mut text = b"x".repeat(3_000_000);
    text.push(b'\n');
    for n in 0..50_000 {
        writeln!(text, "{n}").unwrap();
    }
    for size in [1_000, 65_536, 10_000_000] {
        for compression in Compression::ALL {
            let found = examined(&packed(&text, compression), size, compression);
            assert_eq!(found.unwrap(), contents(&text), "{compression} {size}");
        }
    }
}

#[test]
fn every_kind_of_damage_is_found() {
    let good = packed(TEXT, Compression::Gzip);
    for size in [1, 6, 1_000] {
        let examined = |bytes: &[u8]| examined(bytes, size, Compression::Gzip).unwrap_err();
        for end in 0..good.len() {
            let error = examined(&good[..end]);
            assert!(
                matches!(error, ExamineError::Truncated(_)),
                "{end}: {error}"
            );
        }
        for more in [&b"x"[..], &good] {
            let error = examined(&[&good, more].concat());
            assert!(matches!(error, ExamineError::Trailing(_)), "{error}");
        }
        for (at, what) in [(8, "checksum"), (4, "length")] {
            let mut bad = good.clone();
            let at = bad.len() - at;
            bad[at] ^= 1;
            let error = examined(&bad);
            assert!(
                matches!(&error, ExamineError::Damaged(why) if why.contains(what)),
                "{error}"
            );
        }
        let mut bad = good.clone();
        bad[10] = 0xff;
        let error = examined(&bad);
        assert!(matches!(error, ExamineError::Damaged(_)), "{error}");
        assert!(matches!(
            examined(b"{}\n"),
            ExamineError::Other(Compression::Gzip)
        ));
        let error = examined(&packed(b"{}\n{", Compression::Gzip));
        assert!(matches!(error, ExamineError::UnendedLine(4)), "{error}");
    }
    let error = examined(b"{}\n{", 3, Compression::None).unwrap_err();
    assert!(matches!(error, ExamineError::UnendedLine(4)), "{error}");
}

#[test]
fn every_kind_of_damage_of_zstd_is_found() {
    let good = packed(TEXT, Compression::Zstd);
    for size in [1, 6, 1_000] {
        let examined = |bytes: &[u8]| examined(bytes, size, Compression::Zstd).unwrap_err();
        for end in 0..good.len() {
            let error = examined(&good[..end]);
            assert!(
                matches!(error, ExamineError::Truncated(_)),
                "{end}: {error}"
            );
        }
        let skippable = b"\x50\x2a\x4d\x18\x01\0\0\0x";
        for more in [&b"x"[..], &good, skippable] {
            let error = examined(&[&good, more].concat());
            assert!(matches!(error, ExamineError::Trailing(_)), "{error}");
        }
        // The length, a byte of the text, the checksum.
        for at in [6, 24, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let error = examined(&bad);
            assert!(matches!(error, ExamineError::Damaged(_)), "{at}: {error}");
        }
        for other in [&b"{}\n"[..], &[skippable, &good[..]].concat()] {
            assert!(matches!(
                examined(other),
                ExamineError::Other(Compression::Zstd)
            ));
        }
        let error = examined(&packed(b"{}\n{", Compression::Zstd));
        assert!(matches!(error, ExamineError::UnendedLine(4)), "{error}");
    }
}

#[test]
fn what_other_programs_wrote_as_zstd_is_read_within_bounds() {
    let text = b"{\"n\":1}\n".repeat(100_000);
    for (window, fine) in [(10, true), (23, true), (24, false), (27, false)] {
        let mut state = zstd_safe::CCtx::create();
        state
            .set_parameter(zstd_safe::CParameter::WindowLog(window))
            .unwrap();
        let mut bytes = vec![0; zstd_safe::compress_bound(text.len())];
        let end = zstd_safe::zstd_sys::ZSTD_EndDirective::ZSTD_e_end;
        let mut output = zstd_safe::OutBuffer::around(bytes.as_mut_slice());
        // In two steps, so that the window is not made as small as the text.
        for (part, end) in [
            (
                &text[..10],
                zstd_safe::zstd_sys::ZSTD_EndDirective::ZSTD_e_flush,
            ),
            (&text[10..], end),
        ] {
            let mut input = zstd_safe::InBuffer::around(part);
            assert_eq!(state.compress_stream2(&mut output, &mut input, end), Ok(0));
        }
        let len = output.pos();
        match examined(&bytes[..len], 1_000, Compression::Zstd) {
            Ok(found) => assert!(fine && found == contents(&text), "{window}"),
            Err(error) => assert!(
                !fine && error.to_string().contains("too much memory"),
                "{window}: {error}"
            ),
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_is_told_apart() {
    let pieces = [
        Ok(Bytes::from_static(b"{}\n")),
        Err(TargetError::Unavailable("gone".into())),
    ];
    let failed = examine(stream::iter(pieces), Compression::None).await;
    assert!(
        matches!(failed, Err(ExamineError::Read(TargetError::Unavailable(_)))),
        "{failed:?}"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1..50_usize) {
        for bytes in [bytes.clone(), [&gzip::HEADER[..], &bytes].concat()] {
            let _ = examined(&bytes, size, Compression::Gzip);
        }
        for begin in [&[][..], &crate::zstd::MAGIC, &crate::zstd::header(100)] {
            let _ = examined(&[begin, &bytes].concat(), size, Compression::Zstd);
        }
    }
}
