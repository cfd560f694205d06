//! Values as text, in the forms that lines and rows share: JSON strings and numbers, base64, and in [`time`] dates and times.
//!
//! Owns each form once, so that a value reads the same wherever it is written. Appends bytes; decides nothing about layouts,
//! names or which form a column has.

pub mod time;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Appends `text` as a JSON string, quotes included.
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends `utf8` with what JSON reserves escaped: quotes, backslashes and control characters.
pub fn escaped(utf8: &[u8], out: &mut Vec<u8>) {
    let mut rest = utf8;
    while let Some((block, after)) = rest.split_at_checked(BLOCK) {
        if !is_plain(block) {
            break;
        }
        out.extend_from_slice(block);
        rest = after;
    }
    escape_each(rest, out);
}

/// Bytes that are looked at together.
const BLOCK: usize = 32;

/// Whether nothing in `utf8` needs an escape.
pub fn is_plain(utf8: &[u8]) -> bool {
    let (blocks, tail) = utf8.as_chunks::<BLOCK>();
    blocks.iter().all(|block| found(block) == 0) && found(tail) == 0
}

/// Not 0 if any of `bytes` needs an escape. Without a way out for each byte, so that the compiler compares
/// many at a time.
#[inline]
fn found(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |found, byte| found | u8::from(needs_escape(*byte)))
}

#[inline]
fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn escape_each(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| needs_escape(*byte)) {
        let (clean, from_escape) = rest.split_at(at);
        out.extend_from_slice(clean);
        let Some((byte, after)) = from_escape.split_first() else {
            return;
        };
        escape(*byte, out);
        rest = after;
    }
    out.extend_from_slice(rest);
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            const HEX: [u8; 16] = *b"0123456789abcdef";
            let digit = |nibble: u8| HEX[usize::from(nibble & 15)];
            return out.extend_from_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                digit(byte >> 4),
                digit(byte),
            ]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends an integer.
pub fn integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a double so that it reads back equal.
///
/// Whole numbers that fit an `i64` have no fraction: the text must not tell whether their column had
/// become a double column by then. What JSON has no number for is a string: `"NaN"`, `"Infinity"`.
pub fn double(value: f64, out: &mut Vec<u8>) {
    const I64_END: f64 = 9_223_372_036_854_775_808.0;
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        });
    } else if value == 0.0 && value.is_sign_negative() {
        out.extend_from_slice(b"-0.0");
    } else if value.trunc() == value && (-I64_END..I64_END).contains(&value) {
        integer(value as i64, out);
    } else {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    }
}

/// Appends the exact number `unscaled` × 10^-`scale`, with as many digits behind the point as its type has.
pub fn decimal(unscaled: i128, scale: i16, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    if unscaled < 0 {
        out.push(b'-');
    }
    let behind = usize::from(scale.max(0).unsigned_abs());
    if behind == 0 {
        out.extend_from_slice(digits);
        let zeros = if unscaled == 0 {
            0
        } else {
            scale.unsigned_abs()
        };
        out.resize(out.len() + usize::from(zeros), b'0');
        return;
    }
    match digits.split_at_checked(digits.len().saturating_sub(behind)) {
        Some((whole, fraction)) if !whole.is_empty() => {
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + behind - digits.len(), b'0');
            out.extend_from_slice(digits);
        }
    }
}

/// Appends bytes as a JSON string of base64, with padding.
pub fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]);
    debug_assert_eq!(written.ok(), Some(out.len() - start));
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0.0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (9_223_372_036_854_774_784.0, "9223372036854774784"),
            (-9_223_372_036_854_775_808.0, "-9223372036854775808"),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            assert_eq!(written(|out| double(value, out)), expected);
        }
        let beyond = written(|out| double(9_223_372_036_854_775_808.0, out));
        assert_eq!(beyond.parse(), Ok(9_223_372_036_854_775_808.0));
    }

    #[test]
    fn decimals() {
        for (unscaled, scale, expected) in [
            (12345, 2, "123.45"),
            (-150, 2, "-1.50"),
            (5, 3, "0.005"),
            (-5, 1, "-0.5"),
            (0, 2, "0.00"),
            (0, 0, "0"),
            (7, 0, "7"),
            (7, -3, "7000"),
            (0, -3, "0"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
            (i128::MAX, 0, "170141183460469231731687303715884105727"),
        ] {
            assert_eq!(written(|out| decimal(unscaled, scale, out)), expected);
        }
    }

    #[test]
    fn every_character_below_0x80_at_every_place_of_a_block() {
        for c in (0..0x80_u8).map(char::from) {
            for at in 0..20 {
                let mut text = "é".repeat(3) + &"x".repeat(20);
                text.insert(6 + at, c);
                let json = written(|out| string(&text, out));
                let read: String = serde_json::from_str(&json).unwrap();
                assert_eq!(read, text, "{json}");
            }
        }
    }

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>()) {
            let json = written(|out| string(&text, out));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn doubles_read_back_to_the_bit(bits in any::<u64>(), whole in any::<i32>()) {
            for value in [f64::from_bits(bits), f64::from(whole), f64::from(whole) * 1e12] {
                let json = written(|out| double(value, out));
                if value.is_finite() {
                    let read: f64 = serde_json::from_str(&json).unwrap();
                    prop_assert_eq!(read.to_bits(), value.to_bits());
                } else {
                    prop_assert!(serde_json::from_str::<String>(&json).is_ok());
                }
            }
        }

        #[test]
        fn bytes_read_back(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let json = written(|out| base64(&bytes, out));
            let read: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(STANDARD.decode(read).unwrap(), bytes);
        }
    }
}
