//! Which columns a table has, and of which types.

use super::*;

fn first(value: &str) -> (DataType, String, String) {
    let batch = batch(&[&format!("{{\"a\":{value}}}")]);
    (
        type_of(&batch, "a"),
        cell(&batch, "a", 0),
        cell(&batch, MISFIT, 0),
    )
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

#[test]
fn the_first_value_decides_the_type() {
    for (value, data_type, expected) in [
        ("true", DataType::Boolean, "true"),
        ("12", DataType::Int64, "12"),
        (
            "-9223372036854775808",
            DataType::Int64,
            "-9223372036854775808",
        ),
        ("1.0", DataType::Float64, "1"),
        ("1e2", DataType::Float64, "100"),
        ("0.1", DataType::Float64, "0.1"),
        (
            "1180591620717411303424",
            DataType::Float64,
            "1180591620717411300000",
        ),
        ("\"2018-01-31\"", DataType::Date32, "day 17562"),
        (
            "\"2018-01-31T05:59:12.345Z\"",
            timestamp(),
            "ms 1517378352345",
        ),
        ("\"2018-01-31 5:59\"", timestamp(), "ms 1517378340000"),
        (
            "\"2018-01-31T05:59:12.345000\"",
            timestamp(),
            "ms 1517378352345",
        ),
        (
            "\"2018-01-31T05:59:12.345001\"",
            DataType::Utf8,
            "\"2018-01-31T05:59:12.345001\"",
        ),
        ("\"2018-02-30\"", DataType::Utf8, "\"2018-02-30\""),
        ("\"\"", DataType::Utf8, "\"\""),
        ("\"12\"", DataType::Utf8, "\"12\""),
        (
            "{\"b\": [1, null]}",
            ColumnType::Map(ColumnType::String.into()).data_type(),
            "<b=\"[1,null]\">",
        ),
        (
            "[null, 0.5]",
            ColumnType::Array(ColumnType::Double.into()).data_type(),
            "[null, 0.5]",
        ),
    ] {
        assert_eq!(
            first(value),
            (data_type, expected.into(), "null".into()),
            "{value}"
        );
    }
}

#[test]
fn a_first_value_no_column_can_hold_still_decides_the_type() {
    for (value, data_type) in [
        ("9223372036854775809", DataType::Int64),
        ("1e999", DataType::Float64),
        (r#""\ud800""#, DataType::Utf8),
    ] {
        assert_eq!(
            first(value),
            (data_type, "null".into(), format!("a={value}"))
        );
    }
}

#[test]
fn null_makes_no_column_and_decides_nothing() {
    let batch = batch(&[r#"{"a":null,"b":null}"#, r#"{"a":1}"#]);
    assert_eq!(names(&batch), ["_shard_time", "_time", "_user", "a"]);
    assert_eq!(
        (cell(&batch, "a", 0), cell(&batch, "a", 1)),
        ("null".into(), "1".into())
    );
}

#[test]
fn every_table_has_checkpoint_time_and_user() {
    let batch = batch(&["{}", r#"{"_user":7,"_time":"2018-01-31 05:59:12Z"}"#]);
    assert_eq!(names(&batch), ["_shard_time", "_time", "_user"]);
    assert_eq!(type_of(&batch, "_shard_time"), timestamp());
    assert_eq!(type_of(&batch, "_time"), timestamp());
    assert_eq!(type_of(&batch, "_user"), DataType::Utf8);
    for row in 0..2 {
        assert_eq!(cell(&batch, "_shard_time", row), format!("ms {OPENED}"));
    }
    assert_eq!(
        (cell(&batch, "_time", 0), cell(&batch, "_user", 0)),
        ("null".into(), "null".into())
    );
    assert_eq!(cell(&batch, "_time", 1), "ms 1517378352000");
    assert_eq!(cell(&batch, "_user", 1), "\"7\"");
}

#[test]
fn the_user_has_its_configured_type_and_keeps_it() {
    let rows = [
        r#"{"_user":7}"#,
        r#"{"_user":"8"}"#,
        r#"{"_user":1.5}"#,
        r#"{"_user":4294967296}"#,
    ];
    for (user_type, data_type, expected) in [
        (
            UserType::String,
            DataType::Utf8,
            ["\"7\"", "\"8\"", "\"1.5\"", "\"4294967296\""],
        ),
        (
            UserType::Double,
            DataType::Float64,
            ["7", "8", "1.5", "4294967296"],
        ),
        (
            UserType::Long,
            DataType::Int64,
            ["7", "8", "null", "4294967296"],
        ),
        (
            UserType::Integer,
            DataType::Int32,
            ["7", "8", "null", "null"],
        ),
    ] {
        let mut builder = TableBuilder::new(&settings(user_type), OPENED);
        rows.iter().for_each(|row| append(&mut builder, row));
        let batch = builder.finish();
        assert_eq!(type_of(&batch, "_user"), data_type);
        for (row, expected) in expected.into_iter().enumerate() {
            assert_eq!(cell(&batch, "_user", row), expected);
            if expected == "null" {
                assert_ne!(cell(&batch, MISFIT, row), "null");
            }
        }
    }
}

#[test]
fn expectation_2_columns_without_values_are_null_in_all_rows() {
    let mut builder = builder();
    append(
        &mut builder,
        r#"{"s":"x","i":1,"d":1.5,"b":true,"t":"2018-01-31","u":"2018-01-31T00:00Z"}"#,
    );
    builder.finish();
    for n in 0..3 {
        append(&mut builder, &format!("{{\"colstring\":\"{n}\"}}"));
    }
    let batch = builder.finish();
    for row in 0..3 {
        assert_eq!(cell(&batch, "colstring", row), format!("\"{row}\""));
        for name in ["_time", "_user", "s", "i", "d", "b", "t", "u"] {
            assert_eq!(cell(&batch, name, row), "null", "{name}");
            assert_eq!(batch.column_by_name(name).unwrap().null_count(), 3);
        }
    }
}

#[test]
fn expectation_3_and_d6_new_columns_are_appended_and_earlier_rows_keep_their_values() {
    let batch = batch(&[
        r#"{"old":"x"}"#,
        r#"{"old":"y","newcolumn1":"test1","newcolumn2":"test2"}"#,
        r#"{"newcolumn2":"test3","old":"z"}"#,
    ]);
    assert_eq!(
        names(&batch),
        [
            "_shard_time",
            "_time",
            "_user",
            "old",
            "newcolumn1",
            "newcolumn2"
        ]
    );
    let column = |name| {
        (0..3)
            .map(|row| cell(&batch, name, row))
            .collect::<Vec<_>>()
    };
    assert_eq!(column("old"), ["\"x\"", "\"y\"", "\"z\""]);
    assert_eq!(column("newcolumn1"), ["null", "\"test1\"", "null"]);
    assert_eq!(column("newcolumn2"), ["null", "\"test2\"", "\"test3\""]);
}

#[test]
fn expectation_5_of_a_duplicate_key_the_first_counts() {
    let batch = batch(&[r#"{"testcolumn":"1","testcolumn":"2"}"#]);
    assert_eq!(
        names(&batch),
        ["_shard_time", "_time", "_user", "testcolumn"]
    );
    assert_eq!(batch.num_rows(), 1);
    assert_eq!(cell(&batch, "testcolumn", 0), "\"1\"");
}

#[test]
fn expectation_6_a_new_table_with_one_string_column() {
    let batch = batch(&[r#"{"a":"0"}"#, r#"{"a":"1"}"#, r#"{"a":"2"}"#]);
    assert_eq!(batch.num_columns(), 4);
    for row in 0..3 {
        assert_eq!(cell(&batch, "a", row), format!("\"{row}\""));
    }
}

#[test]
fn reserved_names_become_no_columns() {
    let batch = batch(&[
        r#"{"_shard_time":"x","_misfit":{"a": 1},"a":1}"#,
        r#"{"_misfit":null}"#,
    ]);
    assert_eq!(
        names(&batch),
        ["_shard_time", "_time", "_user", "_misfit", "a"]
    );
    assert_eq!(cell(&batch, "_shard_time", 0), format!("ms {OPENED}"));
    assert_eq!(
        cell(&batch, MISFIT, 0),
        r#"_shard_time="x" _misfit={"a":1}"#
    );
    assert_eq!(cell(&batch, MISFIT, 1), "null");
}

#[test]
fn misfits_stand_where_the_first_of_them_appeared() {
    let batch = batch(&[
        r#"{"a":1}"#,
        r#"{"a":"x","b":2}"#,
        r#"{"a":"y","b":"z"}"#,
        "{}",
    ]);
    assert_eq!(
        names(&batch),
        ["_shard_time", "_time", "_user", "a", "_misfit", "b"]
    );
    let misfits: Vec<_> = (0..4).map(|row| cell(&batch, MISFIT, row)).collect();
    assert_eq!(misfits, ["null", r#"a="x""#, r#"a="y" b="z""#, "null"]);
}

#[test]
fn a_table_has_no_more_than_so_many_columns() {
    let mut builder = builder();
    for n in 0..MAX_COLUMNS + 10 {
        append(&mut builder, &format!("{{\"k{n}\":{n}}}"));
    }
    let batch = builder.finish();
    assert_eq!(batch.num_columns(), 1 + MAX_COLUMNS + 1);
    let last = MAX_COLUMNS + 9;
    assert_eq!(cell(&batch, MISFIT, last), format!("k{last}={last}"));
    assert_eq!(cell(&batch, "k0", 0), "0");
}

#[test]
fn a_name_beyond_measure_becomes_no_column() {
    let (longest, longer) = ("k".repeat(MAX_NAME), "k".repeat(MAX_NAME + 1));
    let batch = batch(&[&format!("{{\"{longest}\":1,\"{longer}\":2}}")]);
    assert_eq!(cell(&batch, &longest, 0), "1");
    assert_eq!(cell(&batch, MISFIT, 0), format!("{longer}=2"));
}
