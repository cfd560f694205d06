//! What a value becomes in a column that has its type already.

use super::*;

#[test]
fn text_takes_everything_but_half_characters() {
    assert_kept("\"x\"", "\"a\\nb\"", "\"a\\nb\"");
    assert_kept("\"x\"", "1.50", "\"1.50\"");
    assert_kept("\"x\"", "-0", "\"-0\"");
    assert_kept("\"x\"", "true", "\"true\"");
    assert_kept("\"x\"", "false", "\"false\"");
    assert_kept("\"x\"", "[1,{}]", "\"[1,{}]\"");
    assert_kept("\"x\"", "null", "null");
    assert_misfit("\"x\"", r#""a\udc00""#);
}

#[test]
fn text_is_not_cut() {
    let long = format!("\"{}\"", "é".repeat(100_000));
    assert_kept("\"x\"", &long, &long);
}

#[test]
fn booleans_take_true_and_false_in_their_spellings() {
    assert_kept("true", "false", "false");
    assert_kept("true", "\"true\"", "true");
    assert_kept("true", "\"false\"", "false");
    assert_kept("true", "1", "true");
    assert_kept("true", "0", "false");
    for other in ["2", "-1", "1.0", "\"True\"", "\"1\"", "\"\"", "[]", "{}"] {
        assert_misfit("true", other);
    }
}

#[test]
fn integers_take_whole_numbers_however_written() {
    assert_kept("1", "-9223372036854775808", "-9223372036854775808");
    assert_kept("1", "3.0", "3");
    assert_kept("1", "1e2", "100");
    assert_kept("1", "1.25e2", "125");
    assert_kept("1", "-12300e-2", "-123");
    assert_kept("1", "0.0e-999999999999999999999", "0");
    assert_kept("1", "9223372036854775807.0", "9223372036854775807");
    assert_kept("1", "\"42\"", "42");
    assert_kept("1", "\"-42\"", "-42");
    for other in [
        "9223372036854775808",
        "1180591620717411303424",
        "\"042\"",
        "\"+1\"",
        "\"-0\"",
        "\"1.0\"",
        "\"1.5\"",
        "\" 1\"",
        "\"\"",
        "true",
        "[]",
        "1e999",
    ] {
        assert_misfit("1", other);
    }
}

#[test]
fn integers_become_doubles_when_a_fraction_arrives_and_all_are_exact() {
    let batch = batch(&[
        r#"{"a":1}"#,
        r#"{"a":-9007199254740992}"#,
        "{}",
        r#"{"a":0.5}"#,
        r#"{"a":7}"#,
    ]);
    assert_eq!(type_of(&batch, "a"), DataType::Float64);
    let values: Vec<_> = (0..5).map(|row| cell(&batch, "a", row)).collect();
    assert_eq!(values, ["1", "-9007199254740992", "null", "0.5", "7"]);
    assert!(!names(&batch).contains(&MISFIT.to_owned()));
    assert_kept("1", "1.5e300", &1.5e300f64.to_string());
    assert_rounded("1", "0.1234567890123456789", "0.12345678901234568");
}

#[test]
fn integers_that_no_double_holds_keep_their_column() {
    let batch = batch(&[r#"{"a":9007199254740993}"#, r#"{"a":0.5}"#, r#"{"a":2}"#]);
    assert_eq!(type_of(&batch, "a"), DataType::Int64);
    assert_eq!(cell(&batch, "a", 0), "9007199254740993");
    assert_eq!(
        (cell(&batch, "a", 1), cell(&batch, MISFIT, 1)),
        ("null".into(), "a=0.5".into())
    );
    assert_eq!(cell(&batch, "a", 2), "2");
}

#[test]
fn values_of_earlier_batches_count_for_promotion() {
    for (value, expected) in [
        ("9223372036854775807", DataType::Int64),
        ("5", DataType::Float64),
    ] {
        let mut builder = builder();
        append(&mut builder, &format!("{{\"a\":{value}}}"));
        assert_eq!(type_of(&builder.finish(), "a"), DataType::Int64);
        append(&mut builder, r#"{"a":0.5}"#);
        assert_eq!(type_of(&builder.finish(), "a"), expected);
    }
}

#[test]
fn doubles_take_what_they_hold_and_say_what_they_round() {
    assert_kept("1.5", "2", "2");
    assert_kept("1.5", "1e2", "100");
    assert_kept("1.5", "-0.1", "-0.1");
    assert_kept("1.5", "12345678901234567e-9", "12345678.901234567");
    assert_kept("1.5", "0.10000000000000000000000", "0.1");
    assert_kept("1.5", "9007199254740992", "9007199254740992");
    assert_kept("1.5", "0.0000000", "0");
    assert_kept("1.5", "\"0.1\"", "0.1");
    assert_kept("1.5", "\"-12\"", "-12");
    assert_rounded("1.5", "0.123456789012345678", "0.12345678901234568");
    assert_rounded("1.5", "1e-999", "0");
    for other in [
        "9007199254740993",
        "9223372036854775807",
        "1e999",
        "-1e999",
        "\"0.10\"",
        "\"1.0\"",
        "\"1e2\"",
        "\"-0\"",
        "\"9007199254740993\"",
        "\"inf\"",
        "\"NaN\"",
        "\".5\"",
        "\"\"",
        "\"x\"",
        "true",
        "{}",
    ] {
        assert_misfit("1.5", other);
    }
}

#[test]
fn dates_take_dates_only() {
    let date = "\"1970-01-02\"";
    assert_kept(date, "\"2000-02-29\"", "day 11016");
    assert_kept(date, "\"0000-01-01\"", "day -719528");
    assert_kept(date, "\"9999-12-31\"", "day 2932896");
    for other in [
        "\"1900-02-29\"",
        "\"2018-13-01\"",
        "\"2018-00-01\"",
        "\"2018-01-00\"",
        "\"2018-04-31\"",
        "\"2018-1-31\"",
        "\"2018-01-31T00:00Z\"",
        "\"20180131\"",
        "\"\"",
        "17562",
        "true",
        "[]",
    ] {
        assert_misfit(date, other);
    }
}

#[test]
fn timestamps_take_the_listed_forms() {
    let time = "\"1970-01-01T00:00Z\"";
    for (text, expected) in [
        ("1970-01-01T00:00:01", 1000),
        ("1970-01-01T00:00:01.5", 1500),
        ("1970-01-01T00:00:01.050Z", 1050),
        ("1970-01-01T00:00:01.050000000Z", 1050),
        ("1970-01-01T02:00+02:00", 0),
        ("1970-01-01T02:00:00+0200", 0),
        ("1970-01-01T02:00:00+02", 0),
        ("1969-12-31T18:30:00-05:30", 0),
        ("1970-1-2 3:04", 97_440_000),
        ("1970-01-01 1:02:03.004", 3_723_004),
        ("1970-01-01 00:00:00 UTC", 0),
        ("1970-01-01 00:00:00GMT", 0),
        ("1970-01-01 00:00:00 +01:00", -3_600_000),
        ("1970-01-02 +01:00", 82_800_000),
        ("1970-01-02+0100", 82_800_000),
        ("1970-01-02 UTC", 86_400_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ] {
        assert_kept(time, &format!("\"{text}\""), &format!("ms {expected}"));
    }
    for text in [
        "1970-01-01",
        "1970-01-01 ",
        "1970-01-01T1:02:03",
        "1970-1-01T01:02:03",
        "1970-01-01T24:00:00",
        "1970-01-01T00:60:00",
        "1970-01-01T00:00:60",
        "1970-01-01T00:00:00.",
        "1970-01-01T00:00:00.1234567890",
        "1970-01-01T00:00:00 Z",
        "1970-01-01 00:00:00 ",
        "1970-01-01 00:00:00x",
        "1970-01-01T00:00:00+19:00",
        "1970-01-01T00:00:00+1",
        "1970-01-01T00:00:00+01:0",
        "1970-02-30T00:00:00Z",
        "70-01-01T00:00:00Z",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "1517378352345",
        "",
    ] {
        assert_misfit(time, &format!("\"{text}\""));
    }
}

#[test]
fn timestamps_keep_milliseconds_and_say_what_they_cut() {
    let time = "\"1970-01-01T00:00Z\"";
    assert_rounded(time, "\"1970-01-01T00:00:00.123456Z\"", "ms 123");
    assert_rounded(time, "\"1969-12-31 23:59:59.9999\"", "ms -1");
    assert_kept(time, "\"1970-01-01T00:00:00.123000Z\"", "ms 123");
}

#[test]
fn a_number_in_a_timestamp_column_is_milliseconds_since_the_epoch() {
    let time = "\"1970-01-01T00:00Z\"";
    assert_kept(time, "1517378352345", "ms 1517378352345");
    assert_kept(time, "-1", "ms -1");
    assert_kept(time, "1.517378352345e12", "ms 1517378352345");
    assert_kept(time, "9223372036854775807", "ms 9223372036854775807");
    assert_rounded(time, "1517378352345.9999999999", "ms 1517378352345");
    assert_rounded(time, "-1.5", "ms -1");
    assert_rounded(time, "15e-1", "ms 1");
    for other in ["9223372036854775808", "1e30", "1e999", "true", "{}"] {
        assert_misfit(time, other);
    }
}

#[test]
fn misfits_are_kept_as_written() {
    assert_misfit("1", r#""\u0041\ud83d\ude00 \/ é""#);
    let batch = batch(&[r#"{"a":1}"#, "{\"a\": [ 1 , {\"b\" : \"x  y\"} ] }"]);
    assert_eq!(cell(&batch, MISFIT, 1), r#"a=[1,{"b":"x  y"}]"#);
}
