//! The columns whose values are the record's own.

use super::*;
use crate::record::{Position, Record};

fn with_own() -> Arc<ColumnSettings> {
    Arc::new(ColumnSettings {
        key_field: Some("_key".into()),
        arrival_field: Some("_arrival".into()),
        ..(*settings(UserType::String)).clone()
    })
}

fn append_of(builder: &mut TableBuilder, json: &str, key: Option<&[u8]>, timestamp: Option<i64>) {
    let record = Record {
        position: Position::at(0),
        timestamp,
        key,
        payload: Some(json.as_bytes()),
        schema: None,
        origin: None,
    };
    let mut decoder = decoder();
    let row = decoder.decode("c", record.payload).expect("valid JSON");
    decide(builder, &row);
    builder.append_of(&row, &record);
}

#[test]
fn a_record_gives_its_key_and_when_it_arrived() {
    let mut builder = TableBuilder::new(&with_own(), OPENED);
    append_of(&mut builder, r#"{"a":1}"#, Some(b"k|1"), Some(7));
    append_of(&mut builder, r#"{"a":2}"#, None, None);
    append_of(&mut builder, r#"{"a":3}"#, Some(b""), Some(-1));
    append_of(&mut builder, r#"{"a":4}"#, Some(b"\xff\xfe"), None);
    let batch = builder.finish();
    let expected = ["_shard_time", "_time", "_user", "_key", "_arrival", "a"];
    assert_eq!(names(&batch), expected);
    let column = |name| {
        (0..4)
            .map(|row| cell(&batch, name, row))
            .collect::<Vec<_>>()
    };
    // What is no text is base64.
    assert_eq!(column("_key"), ["\"k|1\"", "null", "\"\"", "\"//4=\""]);
    assert_eq!(column("_arrival"), ["ms 7", "null", "ms -1", "null"]);
    // And of the next batch as well.
    append_of(&mut builder, r#"{"a":5}"#, Some(b"k"), None);
    assert_eq!(cell(&builder.finish(), "_key", 0), "\"k\"");
}

#[test]
fn a_field_of_the_name_never_gets_there() {
    let mut builder = TableBuilder::new(&with_own(), OPENED);
    append_of(
        &mut builder,
        r#"{"_key":"mine","_arrival":5}"#,
        Some(b"k"),
        None,
    );
    append_of(&mut builder, r#"{"_key":"mine"}"#, None, Some(7));
    let batch = builder.finish();
    assert_eq!(cell(&batch, "_key", 0), "\"k\"");
    assert_eq!(cell(&batch, "_arrival", 0), "null");
    assert_eq!(cell(&batch, "_key", 1), "null");
    assert_eq!(cell(&batch, "_arrival", 1), "ms 7");
    assert_eq!(cell(&batch, MISFIT, 0), r#"_key="mine" _arrival=5"#);
    assert_eq!(cell(&batch, MISFIT, 1), r#"_key="mine""#);
}

#[test]
fn they_stand_behind_the_catalogs_columns_whatever_it_has() {
    let columns = [
        (7, "a", ColumnType::Bigint),
        (9, "_key", ColumnType::Double),
    ];
    let given = columns.iter().map(|(id, name, kind)| (*id, *name, kind));
    let mut builder = TableBuilder::bound(&with_own(), OPENED, given);
    append_of(
        &mut builder,
        r#"{"a":1,"b":2,"_KEY":3,"_arrival":4}"#,
        Some(b"k"),
        Some(7),
    );
    let batch = builder.finish();
    let expected = [
        "_shard_time",
        "a",
        "b",
        "_time",
        "_user",
        "_key",
        "_arrival",
        MISFIT,
    ];
    assert_eq!(names(&batch), expected);
    assert_eq!(cell(&batch, "_key", 0), "\"k\"");
    assert_eq!(cell(&batch, "_arrival", 0), "ms 7");
    assert_eq!(cell(&batch, MISFIT, 0), "_KEY=3 _arrival=4");
}

#[test]
fn a_row_of_no_record_has_neither() {
    let mut builder = TableBuilder::new(&with_own(), OPENED);
    append(&mut builder, r#"{"a":1}"#);
    let batch = builder.finish();
    assert_eq!(cell(&batch, "_key", 0), "null");
    assert_eq!(cell(&batch, "_arrival", 0), "null");
}
