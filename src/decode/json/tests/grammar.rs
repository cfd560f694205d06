//! What is JSON and what its values are.

use super::*;

fn detail(payload: &[u8]) -> String {
    let mut decoder = JsonDecoder::new(settings(Layout::Plain));
    decode_with(&mut decoder, payload)
        .expect_err("not JSON")
        .to_string()
}

#[test]
fn every_kind_of_value_keeps_its_text() {
    let payload = r#" { "n" : null , "t":true,"f":false,"i":-12,"d":1.50e+3,"s":"a\"b","e":"","o":{"a":[1 , 2]}, "":[]} "#;
    assert_eq!(
        plain(payload).unwrap(),
        fields(&[
            ("n", "null"),
            ("t", "true"),
            ("f", "false"),
            ("i", "-12"),
            ("d", "1.50e+3"),
            ("s", r#""a\"b""#),
            ("e", r#""""#),
            ("o", r#"{"a":[1,2]}"#),
            ("", "[]"),
        ])
    );
}

#[test]
fn strings_and_names_lose_their_escapes() {
    let mut decoder = JsonDecoder::new(settings(Layout::Plain));
    let payload = r#"{"\u0061\n":"\" \\ \/ \b \f \n \r \t \u00e9 \uD83D\ude00 é"}"#;
    let row = decoder.decode("t", Some(payload.as_bytes())).unwrap();
    let field = row.fields().next().unwrap();
    assert_eq!(field.name, "a\n");
    let Value::Str {
        text,
        raw: Some(raw),
    } = field.value
    else {
        panic!("{field:?}")
    };
    assert_eq!(text, "\" \\ / \u{8} \u{c} \n \r \t é 😀 é");
    assert!(raw.starts_with(r#""\" \\"#) && raw.ends_with(r#"é""#));
}

#[test]
fn integers_of_64_bits_are_told_from_other_numbers() {
    let mut decoder = JsonDecoder::new(settings(Layout::Plain));
    let mut value = |number: &str| {
        let payload = format!("{{\"n\":{number}}}");
        let row = decoder.decode("t", Some(payload.as_bytes())).unwrap();
        match row.fields().next().unwrap().value {
            Value::Integer { value, .. } => Ok(value),
            Value::Number { double, .. } => Err(double),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(value("0"), Ok(0));
    assert_eq!(value("-0"), Ok(0));
    assert_eq!(value("999999999999999999"), Ok(999_999_999_999_999_999));
    assert_eq!(value("9223372036854775807"), Ok(i64::MAX));
    assert_eq!(value("-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(
        value("9223372036854775808"),
        Err(9_223_372_036_854_775_808.0)
    );
    assert_eq!(value("1.0"), Err(1.0));
    assert_eq!(value("-1e2"), Err(-100.0));
    assert_eq!(value("1e400"), Err(f64::INFINITY));
    assert_eq!(value("9007199254740992.5"), Err(9_007_199_254_740_992.0));
}

#[test]
fn what_is_not_json_is_refused_and_the_detail_says_where() {
    for (payload, expected) in [
        (&b""[..], "not_json: the payload is empty"),
        (b"\xEF\xBB\xBF{}", "not_json: byte order mark at byte 0"),
        (b"{\"a\":\"\xFF\"}", "not_json: invalid UTF-8 at byte 6"),
        (
            b"{\"a\":1}x",
            "not_json: something follows the JSON document at byte 7",
        ),
        (
            b"{\"a\":1} {}",
            "not_json: something follows the JSON document at byte 8",
        ),
        (
            b"{\"a\":1",
            "not_json: expected a comma or the end of the object at byte 6",
        ),
        (
            b"{\"a\":01}",
            "not_json: a number must not begin with 0 at byte 5",
        ),
        (b"{\"a\":-}", "not_json: expected a digit at byte 6"),
        (b"{\"a\":1.}", "not_json: expected a digit at byte 7"),
        (b"{\"a\":1e+}", "not_json: expected a digit at byte 8"),
        (b"{\"a\":+1}", "not_json: expected a value at byte 5"),
        (b"{\"a\":nul}", "not_json: expected a value at byte 5"),
        (b"{\"a\":NaN}", "not_json: expected a value at byte 5"),
        (b"{\"a\" 1}", "not_json: expected a colon at byte 5"),
        (
            b"{a:1}",
            "not_json: expected a field name in quotes at byte 1",
        ),
        (
            b"{\"a\":1,}",
            "not_json: expected a field name in quotes at byte 7",
        ),
        (
            b"{\"a\":\"b\n\"}",
            "not_json: control character in a string at byte 7",
        ),
        (
            b"{\"a\":\"\\x\"}",
            "not_json: unknown escape in a string at byte 6",
        ),
        (
            b"{\"a\":\"\\u12g4\"}",
            "not_json: expected four hexadecimal digits after \\u at byte 6",
        ),
        (
            b"{\"a\":\"b",
            "not_json: the payload ends within a string at byte 7",
        ),
        (
            b"{\"a\":\"b\\",
            "not_json: the payload ends within a string at byte 7",
        ),
        (b"{\"a\":[1,]}", "not_json: expected a value at byte 8"),
        (
            b"{\"a\":[1}",
            "not_json: expected a comma or the end of the array at byte 7",
        ),
        (
            b"{\"a\":{\"b\":1]}",
            "not_json: expected a comma or the end of the object at byte 11",
        ),
        (
            b"{'a':1}",
            "not_json: expected a field name in quotes at byte 1",
        ),
        (
            b"{} // x",
            "not_json: something follows the JSON document at byte 3",
        ),
    ] {
        assert_eq!(
            detail(payload),
            expected,
            "{}",
            String::from_utf8_lossy(payload)
        );
    }
}

#[test]
fn a_tombstone_is_a_bad_record() {
    let mut decoder = JsonDecoder::new(settings(Layout::Plain));
    let bad = decoder.decode("t", None).unwrap_err();
    assert_eq!(
        bad.to_string(),
        "not_json: the record has no payload (a tombstone)"
    );
}

#[test]
fn a_payload_over_the_limit_is_refused_unread() {
    let mut decoder = JsonDecoder::new(JsonSettings {
        max_bytes: 4,
        ..settings(Layout::Plain)
    });
    assert!(decoder.decode("t", Some(b"{  }")).is_ok());
    let bad = decoder.decode("t", Some(b"[[[[[")).unwrap_err();
    assert_eq!(
        bad.to_string(),
        "too_large: the payload has 5 bytes, 4 are allowed"
    );
}

#[test]
fn half_a_surrogate_pair_spoils_its_string_only() {
    for half in [
        r"\ud800",
        r"\udfff",
        r"\ud800x",
        r"\ud800\u0041",
        r"\udc00\ud800",
    ] {
        let payload = format!(r#"{{"a":"{half}","b":"{half}\ud83d\ude00","c":1}}"#);
        let mut decoder = JsonDecoder::new(settings(Layout::Plain));
        let row = decoder.decode("t", Some(payload.as_bytes())).unwrap();
        let values: Vec<_> = row.fields().map(|field| field.value).collect();
        assert_eq!(values[0], Value::BadStr(&format!("\"{half}\"")));
        assert!(matches!(values[1], Value::BadStr(_)));
        assert_eq!(values[2], Value::Integer { value: 1, raw: "1" });
    }
}

#[test]
fn half_a_surrogate_pair_in_a_field_name_is_refused_but_not_within_nested_json() {
    assert_eq!(
        detail(br#"{"x":1,"\ud800":1}"#),
        "not_json: half a surrogate pair in a field name at byte 8"
    );
    assert_eq!(
        plain(r#"{"x":{"\ud800":"\udfff"}}"#).unwrap(),
        fields(&[("x", r#"{"\ud800":"\udfff"}"#)])
    );
}

#[test]
fn of_fields_of_one_name_the_first_counts_and_the_others_must_still_be_json() {
    assert_eq!(
        plain(r#"{"a":null,"\u0061":2,"b":1,"a":{}}"#).unwrap(),
        fields(&[("a", "null"), ("b", "1")])
    );
    assert_eq!(
        reason(Layout::Plain, r#"{"a":1,"a":nope}"#),
        Some(Reason::NotJson)
    );
}

#[test]
fn depth_costs_neither_stack_nor_time() {
    const DEPTH: usize = 300_000;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    assert_eq!(plain(&deep).unwrap()[0].1.len(), 2 * DEPTH);
    let objects = format!("{}1{}", "{\"a\":".repeat(DEPTH / 3), "}".repeat(DEPTH / 3));
    assert_eq!(plain(&objects).unwrap().len(), 1);
    assert_eq!(
        reason(Layout::Plain, &deep[..deep.len() - 2]),
        Some(Reason::NotJson)
    );
    assert_eq!(
        reason(Layout::Plain, &"[".repeat(DEPTH)),
        Some(Reason::NotJson)
    );
}

#[test]
fn many_fields_take_time_in_proportion() {
    let mut payload = String::from("{");
    for n in 0..60_000 {
        payload.push_str(&format!("\"k{n}\":0,"));
    }
    payload.push_str("\"k0\":1}");
    assert_eq!(plain(&payload).unwrap().len(), 60_000);
}

#[test]
fn strings_end_right_wherever_their_end_falls_in_a_word() {
    for len in 0..40 {
        let text = "é".repeat(len / 2) + &"x".repeat(len % 2);
        for tail in ["\"}", "\"          }", "\\n\"}", "\\\\\"  ,\"b\":1}"] {
            let payload = format!("{{\"a\":\"{text}{tail}");
            let json: serde_json::Value = serde_json::from_str(&payload).unwrap();
            assert_eq!(
                plain(&payload).unwrap()[0].1,
                json["a"].to_string(),
                "{payload}"
            );
        }
        for control in 0..0x20u8 {
            let payload = format!("{{\"a\":\"{text}{}        \"}}", char::from(control));
            assert_eq!(reason(Layout::Plain, &payload), Some(Reason::NotJson));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused_as_serde_json_does(
        bytes in prop::collection::vec(any::<u8>(), 0..64)
    ) {
        agree_on_json(&bytes)?;
    }

    #[test]
    fn json_like_bytes_decode_or_are_refused_as_serde_json_does(
        text in r#"[{}\[\]",:.0-9eE+\- \\untrfalsb\x01é]{0,40}"#
    ) {
        agree_on_json(text.as_bytes())?;
        agree_on_json(format!("{{\"a\":{text}}}").as_bytes())?;
        agree_on_json(format!("{{\"a\":\"{text}\"}}").as_bytes())?;
    }

    #[test]
    fn numbers_decode_or_are_refused_as_serde_json_does(
        text in r"-?[0-9]{0,22}(\.[0-9]{0,22})?([eE][+-]?[0-9]{0,3})?"
    ) {
        agree_on_json(format!("{{\"a\":{text}}}").as_bytes())?;
    }
}

/// Whether both find the same bytes to be JSON. The one difference, names that no text can hold, is seen to.
pub(super) fn agree_on_json(bytes: &[u8]) -> Result<(), TestCaseError> {
    let theirs = std::str::from_utf8(bytes)
        .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    for layout in [Layout::Rakam, Layout::Fabric, Layout::Plain] {
        let ours = decode_with(&mut JsonDecoder::new(settings(layout)), bytes);
        match ours {
            Err(bad) if bad.reason == Reason::NotJson => {
                prop_assert!(
                    !theirs || bad.detail.starts_with("half a surrogate"),
                    "{bad}"
                );
            }
            _ => prop_assert!(theirs, "{ours:?}"),
        }
    }
    Ok(())
}
