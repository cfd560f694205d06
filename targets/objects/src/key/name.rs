//! Names from outside, made fit to stand in a key.
//!
//! Project, collection and topic names may hold anything. Encoded, a name is one to [`MAX_LEN`] bytes
//! of letters and digits of any script, `-`, `_`, `.`, `%` and `~`; it neither begins nor ends with a
//! dot, and no two names are encoded alike.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The longest an encoded name gets, in bytes.
pub(super) const MAX_LEN: usize = 150;

/// Bytes of the hash that ends a name too long to stand whole: at 128 bits, nobody can make two meet.
const HASH_LEN: usize = 16;

/// Appends the encoded `name`.
///
/// Whatever is not kept is written as `%XX` of its UTF-8 bytes. The empty name is `~`. A name that gets
/// too long ends in `~` and a hash of all of it. `reserved` is a beginning that must not appear: the first
/// character of a name that begins so is written as `%XX` too.
pub(super) fn encode(name: &str, reserved: &str, out: &mut String) {
    let start = out.len();
    if name.is_empty() {
        out.push('~');
        return;
    }
    let avoid_first = name.starts_with(reserved);
    let last = name.char_indices().next_back().map_or(0, |(at, _)| at);
    let mut cut = start;
    for (at, c) in name.char_indices() {
        let dot_at_end = c == '.' && (at == 0 || at == last);
        let keep = c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if keep && !dot_at_end && !(at == 0 && avoid_first) {
            out.push(c);
        } else {
            percent(c, out);
        }
        if out.len() - start <= MAX_LEN - (1 + 2 * HASH_LEN) {
            cut = out.len();
        } else if out.len() - start > MAX_LEN {
            out.truncate(cut);
            push_hash(name, out);
            return;
        }
    }
}

/// Whether [`encode`] may have made this text. Says yes to every text it makes, and no to what is unsafe.
pub(super) fn may_be_encoded(text: &str, reserved: &str) -> bool {
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '%' | '~');
    (1..=MAX_LEN).contains(&text.len())
        && text.chars().all(kept)
        && !text.starts_with('.')
        && !text.ends_with('.')
        && !text.starts_with(reserved)
}

fn percent(c: char, out: &mut String) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        push_hex(byte, '%', out);
    }
}

fn push_hash(name: &str, out: &mut String) {
    out.push('~');
    for byte in Sha256::digest(name).iter().take(HASH_LEN) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
}

fn push_hex(byte: u8, before: char, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{before}{byte:02X}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(name: &str) -> String {
        let mut out = String::new();
        encode(name, "_dead_letters", &mut out);
        out
    }

    /// The inverse for names that were not cut: proof that none is lost in another.
    fn decoded(encoded: &str) -> Option<String> {
        if encoded == "~" {
            return Some(String::new());
        }
        let mut bytes = Vec::new();
        let mut rest = encoded.as_bytes();
        while let [first, tail @ ..] = rest {
            if *first == b'%' {
                let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(hex, 16).ok()?);
                rest = &tail[2..];
            } else {
                bytes.push(*first);
                rest = tail;
            }
        }
        String::from_utf8(bytes).ok()
    }

    #[test]
    fn keeps_plain_names_and_encodes_the_rest() {
        for (name, expected) in [
            ("page_view", "page_view"),
            ("v1.2-x", "v1.2-x"),
            ("größe漢字", "größe漢字"),
            ("", "~"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("...", "%2E.%2E"),
            ("../x", "%2E.%2Fx"),
            (".hidden", "%2Ehidden"),
            ("end.", "end%2E"),
            ("a b", "a%20b"),
            ("100%", "100%25"),
            ("~", "%7E"),
            ("a\\b\n", "a%5Cb%0A"),
            ("_dead_letters", "%5Fdead_letters"),
            ("_dead_letters2", "%5Fdead_letters2"),
            ("_dead", "_dead"),
            // A letter and a combining mark: a file system that composes them would merge two names.
            ("u\u{308}", "u%CC%88"),
        ] {
            assert_eq!(encoded(name), expected, "{name:?}");
        }
    }

    #[test]
    fn cuts_long_names_and_tells_them_apart() {
        let whole = "x".repeat(MAX_LEN);
        assert_eq!(encoded(&whole), whole);
        let (a, b) = (encoded(&"x".repeat(10_000)), encoded(&"x".repeat(10_001)));
        assert_eq!(a.len(), MAX_LEN);
        assert_ne!(a, b);
        assert_eq!(a[..117], b[..117]);
        assert_eq!(&a[117..118], "~");
        // A cut falls between characters, never within an escape.
        let wide = encoded(&"漢".repeat(60));
        assert_eq!(wide.len(), 117 + 33);
        let escaped = encoded(&"\u{1F30A}".repeat(60));
        assert_eq!(escaped.find('~'), Some(108));
    }

    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[./\\\\%~_ a\u{0}é-]{0,12}",
            "(%[0-9A-F]{2}|~[0-9a-f]{3}|[.%~a]){0,8}",
            "_dead_letters.{0,3}",
            "[a.漢%]{100,200}",
        ]
    }

    proptest! {
        #[test]
        fn is_safe_in_one_segment(name in hostile()) {
            let encoded = encoded(&name);
            prop_assert!((1..=MAX_LEN).contains(&encoded.len()));
            prop_assert!(!encoded.starts_with('.') && !encoded.ends_with('.'));
            prop_assert!(!encoded.starts_with("_dead_letters"));
            let safe = |c: char| c.is_alphanumeric() || "-_.%~".contains(c);
            prop_assert!(encoded.chars().all(safe));
            prop_assert!(may_be_encoded(&encoded, "_dead_letters"));
        }

        #[test]
        fn no_two_names_are_encoded_alike(a in hostile(), b in hostile()) {
            let encoded_a = encoded(&a);
            if encoded_a == encoded(&b) {
                prop_assert_eq!(&a, &b);
            }
            let hashed = encoded_a.len() > 33 && encoded_a.contains('~');
            if !hashed {
                prop_assert_eq!(decoded(&encoded_a), Some(a));
            }
        }
    }
}
