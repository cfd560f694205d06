use proptest::prelude::*;

use super::*;

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    let (entries, malformed) = parse(text);
    assert_eq!(malformed, [], "{:?}", String::from_utf8_lossy(text));
    entries
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect()
}

/// What `java.util.Properties.load` of JDK 17 makes of each text, checked against it.
const JAVA: &[(&str, &[(&str, &str)])] = &[
    ("", &[]),
    ("a=b", &[("a", "b")]),
    ("a = b", &[("a", "b")]),
    ("a:b", &[("a", "b")]),
    ("a b", &[("a", "b")]),
    ("a\tb", &[("a", "b")]),
    ("a\u{c}b", &[("a", "b")]),
    ("  a  :  b c  ", &[("a", "b c  ")]),
    ("a==b", &[("a", "=b")]),
    ("a = = b", &[("a", "= b")]),
    ("a=:b", &[("a", ":b")]),
    ("a", &[("a", "")]),
    ("a=", &[("a", "")]),
    ("=b", &[("", "b")]),
    (
        "# c\n! d\n  # e\na=b # not a comment",
        &[("a", "b # not a comment")],
    ),
    ("# c \\\na=b", &[("a", "b")]),
    ("a=b\nc=d", &[("a", "b"), ("c", "d")]),
    ("a=b\rc=d", &[("a", "b"), ("c", "d")]),
    ("a=b\r\nc=d\r\n", &[("a", "b"), ("c", "d")]),
    ("\n\n \t\u{c}\na=b\n\n", &[("a", "b")]),
    ("a=b\\\n   c", &[("a", "bc")]),
    ("a=b \\\r\n\t c", &[("a", "b c")]),
    ("a=b\\\rc", &[("a", "bc")]),
    ("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]),
    ("a=b\\\\\\\nc=d", &[("a", "b\\c=d")]),
    ("a=b\\\n# c", &[("a", "b# c")]),
    ("a=b\\\n\nc=d", &[("a", "b"), ("c", "d")]),
    ("a=b\\\n  \nc=d", &[("a", "b"), ("c", "d")]),
    ("a=b\\", &[("a", "b")]),
    ("a=b\\\n", &[("a", "b")]),
    ("a\\\n=b", &[("a", "b")]),
    ("a\\\n  b=c", &[("ab", "c")]),
    ("\\\n# c\na=b", &[("a", "b")]),
    ("\\\n\n a=b", &[("a", "b")]),
    ("\\\na=b", &[("a", "b")]),
    ("a\\=b=c", &[("a=b", "c")]),
    ("a\\:b\\ c=d", &[("a:b c", "d")]),
    ("a\\\\=b", &[("a\\", "b")]),
    ("\\#a=b", &[("#a", "b")]),
    ("\\ a=b", &[(" a", "b")]),
    ("a=\\ b", &[("a", " b")]),
    ("a=\\t\\n\\r\\f\\\\", &[("a", "\t\n\r\u{c}\\")]),
    ("a=\\b\\x\\'\\\"\\0\\U", &[("a", "bx'\"0U")]),
    ("a=\\u0041\\u00e9\\u00E9", &[("a", "Aéé")]),
    ("a=\\ud83d\\ude00", &[("a", "😀")]),
    ("\\u0061\\u003d=b", &[("a=", "b")]),
    ("a=\\u00\\\n  41", &[("a", "A")]),
    ("a=\\u0023\\u0020", &[("a", "# ")]),
    ("a=b\na=c", &[("a", "b"), ("a", "c")]),
    ("Truth:Beauty", &[("Truth", "Beauty")]),
    (
        "fruits                           apple, banana, pear, \\\n                                  cantaloupe",
        &[("fruits", "apple, banana, pear, cantaloupe")],
    ),
];

#[test]
fn reads_what_java_reads() {
    for (text, expected) in JAVA {
        let expected: Vec<_> = expected
            .iter()
            .map(|(k, v)| (String::from(*k), String::from(*v)))
            .collect();
        assert_eq!(pairs(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_latin_1() {
    assert_eq!(pairs(b"caf\xe9=\xfc"), [("café".into(), "ü".into())]);
    assert_eq!(pairs("café=ü".as_bytes()), [("café".into(), "ü".into())]);
    assert_eq!(pairs(b"\xef\xbb\xbfa=b"), [("a".into(), "b".into())]);
}

#[test]
fn entries_know_the_line_they_begin_in() {
    let (entries, _) = parse(b"# one\r\n\r\na=1\\\r\n2\\\r\n3\r\nb=2\rc=3\n\n\\\nd=4");
    let lines: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.line)).collect();
    assert_eq!(lines, [("a", 3), ("b", 6), ("c", 7), ("d", 10)]);
}

#[test]
fn a_malformed_escape_costs_only_its_own_entry() {
    for bad in ["a=\\u12", "a=\\u12G4", "\\u=x", "a=\\u+123", "a=\\u12é4"] {
        let (entries, malformed) = parse(format!("x=1\n{bad}\ny=2").as_bytes());
        assert_eq!(entries.len(), 2, "{bad}");
        let what = "\\u must be followed by four hexadecimal digits";
        assert_eq!(malformed, [Malformed { line: 2, what }], "{bad}");
    }
    for half in ["a=\\ud83d", "a=\\ude00", "a=\\ud83d\\u0041", "a=\\ud83dx"] {
        let (_, malformed) = parse(half.as_bytes());
        let what = "\\u escape of half a surrogate pair";
        assert_eq!(malformed, [Malformed { line: 1, what }], "{half}");
    }
}

/// An encoder by the documentation of `java.util.Properties.store`: everything outside printable ASCII as `\uXXXX`.
fn store(pairs: &[(String, String)], end: &str) -> String {
    let convert = |text: &str, escape_space: bool| {
        let mut out = String::new();
        for (index, unit) in text.encode_utf16().enumerate() {
            match char::from_u32(u32::from(unit)).filter(|c| (' '..='~').contains(c)) {
                Some(' ') if escape_space || index == 0 => out.push_str("\\ "),
                Some(c @ ('=' | ':' | '#' | '!' | '\\')) => out.extend(['\\', c]),
                Some(c) => out.push(c),
                None => match unit {
                    9 => out.push_str("\\t"),
                    10 => out.push_str("\\n"),
                    12 => out.push_str("\\f"),
                    13 => out.push_str("\\r"),
                    unit => out.push_str(&format!("\\u{unit:04X}")),
                },
            }
        }
        out
    };
    let lines = pairs
        .iter()
        .map(|(k, v)| format!("{}={}{end}", convert(k, true), convert(v, false)));
    format!("#a comment{end}{}", lines.collect::<String>())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ \t\n\r\u{c}=:#!\\\\a-cu0é😀\u{0}\u{feff}]{0,12}",
        any::<String>()
    ]
}

proptest! {
    #[test]
    fn what_java_stores_is_read_back(
        pairs in prop::collection::vec((text(), text()), 0..8),
        end in prop_oneof![Just("\n"), Just("\r"), Just("\r\n")],
    ) {
        prop_assert_eq!(super::tests::pairs(store(&pairs, end).as_bytes()), pairs);
    }

    #[test]
    fn what_we_print_is_read_back(pairs in prop::collection::vec((text(), text()), 0..8)) {
        let printed: String = pairs.iter().map(|(k, v)| print(k, v) + "\n").collect();
        prop_assert_eq!(super::tests::pairs(printed.as_bytes()), pairs);
    }

    #[test]
    fn every_entry_is_accounted_for_by_a_line(bytes in any::<Vec<u8>>()) {
        let (entries, malformed) = parse(&bytes);
        let last = bytes.iter().filter(|b| **b == b'\n' || **b == b'\r').count() + 1;
        let lines = entries.iter().map(|e| e.line).chain(malformed.iter().map(|m| m.line));
        for line in lines {
            prop_assert!((1..=last).contains(&line));
        }
    }

    #[test]
    fn dense_syntax_never_panics(text in "[ \t\n\r=:#!\\\\u0-9d-eé]{0,40}") {
        let (entries, malformed) = parse(text.as_bytes());
        prop_assert!(entries.len() + malformed.len() <= text.len());
    }
}
