//! Values of formats that have types, and columns whose types are given.

use proptest::prelude::*;
use proptest::strategy::Union;

use super::*;
use crate::record::types;
use crate::record::{Cell, Container, Piece, RowBuffer};

/// A value as a decoder with types would have it.
#[derive(Clone, Debug)]
pub(super) enum V {
    Null,
    Bool(bool),
    Long(i64),
    Double(f64),
    Str(String),
    Date(i32),
    Time(i64),
    Millis(i64),
    Micros(i64),
    Bytes(Vec<u8>),
    Decimal(i128, u8),
    List(Vec<V>),
    Object(Vec<(String, V)>),
    Map(Vec<(String, V)>),
}

use V::*;

fn str(text: &str) -> V {
    Str(text.into())
}

fn object<const N: usize>(fields: [(&str, V); N]) -> V {
    Object(fields.map(|(name, value)| (name.into(), value)).into())
}

fn map<const N: usize>(entries: [(&str, V); N]) -> V {
    Map(entries.map(|(key, value)| (key.into(), value)).into())
}

fn piece(buffer: &mut RowBuffer, text: &str) -> Piece {
    buffer.write(|out| out.push_str(text)).0
}

/// Puts a value into the container that is open, or nowhere if none is.
fn put(buffer: &mut RowBuffer, name: Option<Piece>, value: &V, within: bool) -> Cell {
    let cell = match value {
        Null => Cell::NULL,
        Bool(value) => Cell::bool(*value),
        Long(value) => Cell::long(*value),
        Double(value) => Cell::double(*value),
        Str(text) => Cell::str(piece(buffer, text)),
        Date(days) => Cell::date(*days),
        Time(micros) => Cell::time(*micros),
        Millis(value) => Cell::millis(*value),
        Micros(value) => Cell::micros(*value),
        Bytes(bytes) => buffer.bytes(bytes),
        Decimal(unscaled, scale) => buffer.decimal(*unscaled, *scale),
        List(items) => {
            let opened = buffer.open(name);
            for item in items {
                put(buffer, None, item, true);
            }
            return buffer.close(opened, Container::List, None);
        }
        Object(fields) | Map(fields) => {
            let opened = buffer.open(name);
            for (name, value) in fields {
                let name = piece(buffer, name);
                put(buffer, Some(name), value, true);
            }
            let shape = match value {
                Map(_) => Container::Map,
                _ => Container::Object,
            };
            return buffer.close(opened, shape, None);
        }
    };
    if within {
        buffer.item(name, cell);
    }
    cell
}

fn append_values(builder: &mut TableBuilder, fields: &[(&str, V)]) {
    let mut buffer = RowBuffer::default();
    buffer.begin(0, 0);
    for (name, value) in fields {
        let name = piece(&mut buffer, name);
        let cell = put(&mut buffer, None, value, false);
        buffer.push("", name, cell);
    }
    let row = buffer.row("", "p", "c");
    decide(builder, &row);
    builder.append(&row);
}

fn given(columns: &[(&str, &str)]) -> TableBuilder {
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), kind.parse().unwrap()))
        .collect();
    bound(&columns)
}

/// What a column of the type, and `_misfit`, have of the value.
fn in_column(kind: &str, value: V) -> (String, String) {
    let mut builder = given(&[("a", kind)]);
    append_values(&mut builder, &[("a", value)]);
    let batch = builder.finish();
    assert_eq!(
        type_of(&batch, "a"),
        kind.parse::<ColumnType>().unwrap().data_type()
    );
    (cell(&batch, "a", 0), cell(&batch, MISFIT, 0))
}

fn kept(kind: &str, value: V, expected: &str) {
    let shown = format!("{value:?} in {kind}");
    assert_eq!(
        in_column(kind, value),
        (expected.into(), "null".into()),
        "{shown}"
    );
}

fn misfit(kind: &str, value: V, expected: &str, verbatim: &str) {
    let shown = format!("{value:?} in {kind}");
    let wanted = (expected.into(), format!("a={verbatim}"));
    assert_eq!(in_column(kind, value), wanted, "{shown}");
}

#[test]
fn typed_values_fit_where_nothing_is_lost() {
    kept("boolean", Long(1), "true");
    kept("boolean", Bool(false), "false");
    kept("integer", Long(-7), "-7");
    kept("bigint", Long(i64::MIN), "-9223372036854775808");
    kept("bigint", Double(3.0), "3");
    kept("bigint", Decimal(1200, 2), "12");
    kept("double", Long(7), "7");
    kept("double", Double(f64::NEG_INFINITY), "-inf");
    kept("double", Double(f64::NAN), "NaN");
    kept("double", Decimal(-15, 1), "-1.5");
    kept("date", Date(-1), "day -1");
    kept("date", str("1970-01-02"), "day 1");
    kept("time", Time(1), "time 1");
    kept("time", str("23:59:59.999999"), "time 86399999999");
    kept("time", str("00:01"), "time 60000000");
    kept("timestamp", Millis(-5), "ms -5");
    kept("timestamp", Micros(-5000), "ms -5");
    kept("timestamp", Long(5), "ms 5");
    kept("timestamp(6)", Micros(-5), "us -5");
    kept("timestamp(6)", Millis(-5), "us -5000");
    kept("timestamp(6)", Long(5), "us 5000");
    kept("timestamp(6)", str("1970-01-01T00:00:00.000001Z"), "us 1");
    kept("varbinary", Bytes(vec![255, 0]), "bytes [255, 0]");
    kept("varbinary", str("/wA="), "bytes [255, 0]");
    kept("decimal(5,2)", Decimal(150, 2), "150 at 2");
    kept("decimal(5,2)", Decimal(15, 1), "150 at 2");
    kept("decimal(5,2)", Decimal(15000, 4), "150 at 2");
    kept("decimal(5,2)", Long(-999), "-99900 at 2");
    kept("decimal(5,2)", Double(0.1), "10 at 2");
    kept("decimal(5,2)", str("1.5"), "150 at 2");
}

#[test]
fn typed_values_that_lose_something_are_kept_beside() {
    misfit("boolean", Long(2), "null", "2");
    misfit("integer", Long(1 << 31), "null", "2147483648");
    misfit("bigint", Double(0.5), "null", "0.5");
    misfit("bigint", Double(-0.0), "null", "-0.0");
    misfit("bigint", Double(f64::NAN), "null", "\"NaN\"");
    misfit("bigint", Millis(0), "null", "\"1970-01-01T00:00:00Z\"");
    misfit("double", Long((1 << 53) + 1), "null", "9007199254740993");
    let digits = Decimal(1_234_567_890_123_456_789, 18);
    misfit(
        "double",
        digits,
        "1.2345678901234567",
        "1.234567890123456789",
    );
    misfit("date", Millis(0), "null", "\"1970-01-01T00:00:00Z\"");
    misfit("timestamp", Date(0), "null", "\"1970-01-01\"");
    misfit(
        "timestamp",
        Micros(-1),
        "ms -1",
        "\"1969-12-31T23:59:59.999999Z\"",
    );
    misfit(
        "timestamp(6)",
        Millis(i64::MAX),
        "null",
        "\"+292278994-08-17T07:12:55.807Z\"",
    );
    misfit("time", Long(1), "null", "1");
    misfit("time", Time(86_400_000_000), "null", "\"24:00:00\"");
    misfit(
        "time",
        str("01:02:03.1234567"),
        "time 3723123456",
        "\"01:02:03.1234567\"",
    );
    misfit("varbinary", str("no base64"), "null", "\"no base64\"");
    misfit("varbinary", str("/wB="), "null", "\"/wB=\"");
    misfit("decimal(5,2)", Decimal(100_005, 3), "10001 at 2", "100.005");
    misfit("decimal(5,2)", Decimal(100_000, 2), "null", "1000.00");
    misfit("decimal(5,2)", Long(1000), "null", "1000");
    misfit("decimal(5,2)", str("0.005"), "null", "\"0.005\"");
    misfit(
        "decimal(5,2)",
        Double(f64::INFINITY),
        "null",
        "\"Infinity\"",
    );
    misfit(
        "decimal(38,0)",
        Decimal(1, 255),
        "0 at 0",
        &format!("0.{}1", "0".repeat(254)),
    );
    misfit("array(bigint)", Long(1), "null", "1");
    misfit("map(varchar,bigint)", List(vec![]), "null", "[]");
    misfit("row(x bigint)", str("x"), "null", "\"x\"");
}

#[test]
fn text_takes_every_typed_value_without_quotes() {
    for (value, expected) in [
        (Long(-1), "-1"),
        (Double(1.0), "1.0"),
        (Double(f64::NAN), "NaN"),
        (Date(0), "1970-01-01"),
        (Time(1), "00:00:00.000001"),
        (Millis(0), "1970-01-01T00:00:00Z"),
        (Bytes(vec![255, 0]), "/wA="),
        (Decimal(-5, 3), "-0.005"),
        (List(vec![Long(1), str("a\"b"), Null]), r#"[1,"a\"b",null]"#),
        (object([("x", List(vec![]))]), r#"{"x":[]}"#),
    ] {
        kept("varchar", value, &format!("{expected:?}"));
    }
}

#[test]
fn a_typed_value_begins_a_column_of_its_type() {
    let fields = [
        ("l", Long(1)),
        ("d", Double(1.0)),
        ("date", Date(1)),
        ("time", Time(1)),
        ("ms", Millis(1)),
        ("us", Micros(1)),
        ("bytes", Bytes(vec![1])),
        ("dec", Decimal(1, 2)),
        ("list", List(vec![Null, Long(1)])),
        ("object", object([("x", Double(0.5))])),
        ("deep", List(vec![object([("x", Long(1))])])),
        ("map", map([("k", object([("x", Long(1))]))])),
        ("maps", object([("m", map([("k", Long(1))]))])),
        ("day", str("2018-01-31")),
    ];
    let names_of = |objects| {
        let settings = ColumnSettings {
            objects,
            ..(*settings(UserType::Long)).clone()
        };
        let mut builder = TableBuilder::new(&Arc::new(settings), OPENED);
        append_values(&mut builder, &fields);
        let columns = builder.kinds().map(|(_, kind)| kind.to_string());
        columns.skip(2).collect::<Vec<_>>()
    };
    let flat = "bigint double date time timestamp timestamp(6) varbinary decimal(38,2)";
    let mut wanted: Vec<_> = flat.split(' ').collect();
    wanted.extend(["array(bigint)", "map(varchar,double)", "array(varchar)"]);
    wanted.extend(["map(varchar,varchar)", "map(varchar,varchar)", "date"]);
    assert_eq!(names_of(Objects::Map), wanted);
    wanted[9..].copy_from_slice(&[
        "row(\"x\" double)",
        "array(row(\"x\" bigint))",
        "map(varchar,row(\"x\" bigint))",
        "row(\"m\" map(varchar,bigint))",
        "date",
    ]);
    assert_eq!(names_of(Objects::Struct), wanted);
    wanted[13] = "varchar";
    assert_eq!(names_of(Objects::Typed), wanted);
    wanted[9..].copy_from_slice(&[
        "varchar",
        "array(varchar)",
        "map(varchar,varchar)",
        "varchar",
        "date",
    ]);
    assert_eq!(names_of(Objects::Text), wanted);
}

#[test]
fn a_map_is_never_taken_for_a_struct() {
    let value = map([("x", Long(1))]);
    misfit("row(\"x\" bigint)", value.clone(), "null", "{\"x\":1}");
    kept("map(varchar,bigint)", value, "<x=1>");
    let settings = ColumnSettings {
        objects: Objects::Typed,
        ..(*settings(UserType::Long)).clone()
    };
    let mut builder = TableBuilder::new(&Arc::new(settings), OPENED);
    for n in 0..10 {
        let key = format!("k{n}");
        append_values(&mut builder, &[("a", map([(&key, Long(n))]))]);
    }
    let batch = builder.finish();
    assert_eq!(
        type_of(&batch, "a"),
        ColumnType::Map(ColumnType::Bigint.into()).data_type()
    );
    assert_eq!(cell(&batch, "a", 9), "<k9=9>");
}

#[test]
fn expectation_4_columns_stand_as_they_were_given() {
    let mut builder = given(&[
        ("newcolumn2", "varchar"),
        ("_shard_time", "timestamp"),
        ("newcolumn1", "varchar"),
        ("_user", "bigint"),
        ("_misfit", "varchar"),
        ("_time", "timestamp"),
    ]);
    for _ in 0..3 {
        let fields = [("newcolumn1", str("test1")), ("newcolumn2", str("test2"))];
        append_values(&mut builder, &fields);
    }
    append_values(&mut builder, &[("other", Long(1)), ("_user", str("x"))]);
    let batch = builder.finish();
    assert_eq!(
        names(&batch),
        [
            "newcolumn2",
            "_shard_time",
            "newcolumn1",
            "_user",
            "_time",
            "other",
            MISFIT
        ]
    );
    for row in 0..3 {
        assert_eq!(cell(&batch, "newcolumn1", row), "\"test1\"");
        assert_eq!(cell(&batch, "newcolumn2", row), "\"test2\"");
        assert_eq!(cell(&batch, "_shard_time", row), format!("ms {OPENED}"));
    }
    assert_eq!(cell(&batch, MISFIT, 3), "_user=\"x\"");
}

#[test]
fn given_types_stay() {
    let mut builder = given(&[
        ("n", "bigint"),
        ("s", "row(x bigint)"),
        ("l", "array(bigint)"),
    ]);
    let half = || Double(0.5);
    append_values(
        &mut builder,
        &[
            ("n", half()),
            ("s", object([("x", half()), ("y", Long(1))])),
            ("l", List(vec![Long(1), half()])),
        ],
    );
    let batch = builder.finish();
    for (name, expected) in [("n", "null"), ("s", "{}"), ("l", "[1, null]")] {
        assert_eq!(cell(&batch, name, 0), expected);
    }
    assert_eq!(
        cell(&batch, MISFIT, 0),
        r#"n=0.5 s={"x":0.5,"y":1} l=[1,0.5]"#
    );
    assert_eq!(builder.kinds().len(), 5);
}

#[test]
fn columns_of_every_type_without_values_are_columns_of_nulls() {
    let all = "row(a boolean, b integer, c bigint, d double, e decimal(9,3), f varchar, g varbinary, h date, i time, \
               j timestamp, k timestamp(6), l array(array(date)), m map(varchar,row(x time)))";
    for kind in [
        all.to_owned(),
        format!("array({all})"),
        format!("map(varchar,{all})"),
    ] {
        let mut builder = given(&[("a", &kind)]);
        for rows in [0, 1, 500] {
            for _ in 0..rows {
                append_values(&mut builder, &[]);
            }
            let batch = builder.finish();
            let column = batch.column_by_name("a").unwrap();
            assert_eq!((column.len(), column.null_count()), (rows, rows));
            column.to_data().validate_full().unwrap();
        }
    }
}

#[test]
fn the_memory_of_nested_columns_is_counted_and_given_back() {
    let mut builder = given(&[("l", "array(varchar)"), ("m", "map(varchar,row(x bigint))")]);
    let empty = builder.memory();
    for n in 0..1000 {
        let list = List((0..10).map(|_| str(&"x".repeat(100))).collect());
        let map = object([("key", object([("x", Long(n))]))]);
        append_values(&mut builder, &[("l", list), ("m", map)]);
    }
    let full = builder.memory() - empty;
    assert!((1_000_000..4_000_000).contains(&full), "{full}");
    builder.finish();
    let after = builder.memory() - empty;
    assert!(after < 10_000, "{after}");
    append_values(&mut builder, &[]);
    assert!(
        builder.memory() - empty > 1_000_000,
        "room for as much again"
    );
    builder.finish();
    append_values(&mut builder, &[]);
    assert!(
        builder.memory() < empty + 10_000,
        "no room for what did not come"
    );
}

/// A value of a type, and how the column shows it.
fn value_of(kind: &ColumnType) -> BoxedStrategy<(V, String)> {
    let shown = |value: V, text: String| (value, text);
    match kind.clone() {
        ColumnType::Boolean => any::<bool>()
            .prop_map(move |v| shown(Bool(v), v.to_string()))
            .boxed(),
        ColumnType::Integer => any::<i32>()
            .prop_map(move |v| shown(Long(v.into()), v.to_string()))
            .boxed(),
        ColumnType::Bigint => any::<i64>()
            .prop_map(move |v| shown(Long(v), v.to_string()))
            .boxed(),
        ColumnType::Double => any::<i32>()
            .prop_map(move |v| shown(Double(f64::from(v)), v.to_string()))
            .boxed(),
        ColumnType::Decimal { precision, scale } => {
            let most = 10i128.pow(u32::from(precision)) - 1;
            (-most..=most)
                .prop_map(move |v| shown(Decimal(v, scale), format!("{v} at {scale}")))
                .boxed()
        }
        ColumnType::String => any::<String>()
            .prop_map(move |v| shown(str(&v), format!("{v:?}")))
            .boxed(),
        ColumnType::Binary => any::<Vec<u8>>()
            .prop_map(move |v| shown(Bytes(v.clone()), format!("bytes {v:?}")))
            .boxed(),
        ColumnType::Date => any::<i32>()
            .prop_map(move |v| shown(Date(v), format!("day {v}")))
            .boxed(),
        ColumnType::Time => (0..86_400_000_000i64)
            .prop_map(move |v| shown(Time(v), format!("time {v}")))
            .boxed(),
        ColumnType::Timestamp => any::<i64>()
            .prop_map(move |v| shown(Millis(v), format!("ms {v}")))
            .boxed(),
        ColumnType::TimestampMicros => any::<i64>()
            .prop_map(move |v| shown(Micros(v), format!("us {v}")))
            .boxed(),
        ColumnType::Array(element) => prop::collection::vec(or_null(&element), 0..5)
            .prop_map(|items| {
                let (values, texts): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                (List(values), format!("[{}]", texts.join(", ")))
            })
            .boxed(),
        ColumnType::Map(values) => (
            prop::collection::vec(("[a-e]{0,2}", or_null(&values)), 0..40),
            any::<bool>(),
        )
            .prop_map(|(entries, typed)| {
                let mut seen = std::collections::HashSet::new();
                let firsts = entries.iter().filter(|(key, _)| seen.insert(key.clone()));
                let texts: Vec<_> = firsts
                    .map(|(key, (_, text))| format!("{key}={text}"))
                    .collect();
                let entries = entries.into_iter().map(|(key, (value, _))| (key, value));
                let value = if typed { Map } else { Object };
                (value(entries.collect()), format!("<{}>", texts.join(", ")))
            })
            .boxed(),
        ColumnType::Struct(fields) => struct_of(fields),
    }
}

fn struct_of(fields: Vec<(String, ColumnType)>) -> BoxedStrategy<(V, String)> {
    let (names, kinds): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let values: Vec<_> = kinds.iter().map(or_null).collect();
    (values, any::<bool>())
        .prop_map(move |(values, turned)| {
            let fields = names.iter().cloned().zip(&values);
            let shown = fields
                .clone()
                .filter(|(_, (value, _))| !matches!(value, Null));
            let shown: Vec<_> = shown
                .map(|(name, (_, text))| format!("{name}: {text}"))
                .collect();
            let mut fields: Vec<_> = fields
                .map(|(name, (value, _))| (name, value.clone()))
                .collect();
            // A later one of the same name must not count.
            fields.extend(fields.first().map(|(name, _)| (name.clone(), Long(1))));
            if turned {
                fields.truncate(fields.len() - 1);
                fields.reverse();
            }
            (Object(fields), format!("{{{}}}", shown.join(", ")))
        })
        .boxed()
}

fn or_null(kind: &ColumnType) -> BoxedStrategy<(V, String)> {
    let null = Just((Null, "null".to_owned())).boxed();
    Union::new_weighted(vec![(1, null), (4, value_of(kind))]).boxed()
}

fn typed_rows() -> impl Strategy<Value = (ColumnType, Vec<(V, String)>)> {
    types().prop_flat_map(|kind| {
        let rows = prop::collection::vec(or_null(&kind), 1..12);
        (Just(kind), rows)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_column_gives_back_every_value_of_its_type(
        (kind, rows) in typed_rows(),
        cut in any::<prop::sample::Index>(),
    ) {
        let columns = [("a".to_owned(), kind.clone())];
        let mut builder = bound(&columns);
        let mut batches = Vec::new();
        for (at, (value, _)) in rows.iter().enumerate() {
            append_values(&mut builder, &[("a", value.clone())]);
            if at == cut.index(rows.len()) {
                batches.push(builder.finish());
            }
        }
        batches.push(builder.finish());
        let mut found = Vec::new();
        for batch in &batches {
            prop_assert_eq!(type_of(batch, "a"), kind.data_type());
            for column in batch.columns() {
                column.to_data().validate_full().unwrap();
            }
            found.extend((0..batch.num_rows()).map(|row| cell(batch, "a", row)));
            prop_assert!(!names(batch).contains(&MISFIT.to_owned()));
        }
        let wanted: Vec<_> = rows.into_iter().map(|(_, text)| text).collect();
        prop_assert_eq!(found, wanted);
    }
}
