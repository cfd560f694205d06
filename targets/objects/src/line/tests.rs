use std::sync::Arc;

use arrow_array::builder::{
    Int64Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder,
    TimestampMillisecondBuilder,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int32Array, Int64Array, ListArray, StringArray, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{Field, Schema};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn format(layout: LineLayout) -> LineFormat {
    LineFormat {
        layout,
        time_field: "_time".into(),
        user_field: "_user".into(),
    }
}

fn lines(layout: LineLayout, table: &Table, batch: &RecordBatch) -> Vec<String> {
    let mut writer = LineWriter::new(&format(layout), table, batch).unwrap();
    let mut out = Vec::new();
    (0..batch.num_rows()).for_each(|row| out.extend_from_slice(writer.line(row)));
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches('\n').count(), batch.num_rows());
    text.lines().map(str::to_owned).collect()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

fn table() -> Table {
    Table::new("shop", "page \"view\"")
}

fn timestamps(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC"))
}

fn misfits(rows: &[Option<&[(&str, &str)]>]) -> ArrayRef {
    let names = MapFieldNames {
        entry: "entries".into(),
        key: "keys".into(),
        value: "values".into(),
    };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, value) in row.unwrap_or_default() {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(row.is_some()).unwrap();
    }
    Arc::new(builder.finish())
}

/// One column of each type, three rows: all set, all null, and odd values.
fn every_type() -> RecordBatch {
    let mut list = ListBuilder::new(Int64Builder::new());
    list.append_value([Some(1), None, Some(3)]);
    list.append_null();
    list.append_value([]);
    let mut nested = ListBuilder::new(ListBuilder::new(TimestampMillisecondBuilder::new()));
    nested.values().append_value([Some(0), None]);
    nested.append(true);
    nested.append(false);
    nested.values().append_null();
    nested.append(true);
    batch(vec![
        (
            "_shard_time",
            timestamps(vec![Some(1_700_000_000_123), None, Some(-1)]),
        ),
        (
            "_time",
            timestamps(vec![Some(1_517_378_340_000), None, Some(-1)]),
        ),
        (
            "_user",
            Arc::new(StringArray::from(vec![Some("u\n1"), None, Some("")])),
        ),
        (
            "b",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        (
            "i",
            Arc::new(Int32Array::from(vec![Some(7), None, Some(i32::MIN)])),
        ),
        (
            "l",
            Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(i64::MIN)])),
        ),
        (
            "d",
            Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::NAN)])),
        ),
        (
            "s\"\n",
            Arc::new(StringArray::from(vec![
                Some("a\"b\\\u{1}漢"),
                None,
                Some(""),
            ])),
        ),
        (
            "bin",
            Arc::new(BinaryArray::from(vec![
                Some(&b"\0\xff\x10"[..]),
                None,
                Some(b""),
            ])),
        ),
        (
            "date",
            Arc::new(Date32Array::from(vec![Some(17_562), None, Some(-1)])),
        ),
        ("list", Arc::new(list.finish())),
        ("nested", Arc::new(nested.finish())),
        (
            "_misfit",
            misfits(&[
                Some(&[("a", "\"x\""), ("b", "1.5"), ("a", "2")]),
                None,
                Some(&[]),
            ]),
        ),
    ])
}

#[test]
fn rakam_lines() {
    let lines = lines(LineLayout::Rakam, &table(), &every_type());
    assert_eq!(
        lines[0],
        concat!(
            r#"{"_time":1517378340000,"$schema":"shop","$table":"page \"view\"","_user":"u\n1","#,
            r#""properties":{"_shard_time":"2023-11-14T22:13:20.123Z","b":true,"i":7,"#,
            r#""l":9223372036854775807,"d":0.1,"s\"\n":"a\"b\\\u0001漢","bin":"AP8Q","#,
            r#""date":"20180131","list":[1,null,3],"nested":[["1970-01-01T00:00:00.000Z",null]],"#,
            r#""_misfit":{"a":"\"x\"","b":"1.5"}}}"#
        )
    );
    assert_eq!(
        lines[1],
        r#"{"_time":0,"$schema":"shop","$table":"page \"view\"","_user":"","properties":{}}"#
    );
    assert_eq!(
        lines[2],
        concat!(
            r#"{"_time":-1,"$schema":"shop","$table":"page \"view\"","_user":"","#,
            r#""properties":{"_shard_time":"1969-12-31T23:59:59.999Z","b":false,"i":-2147483648,"#,
            r#""l":-9223372036854775808,"d":"NaN","s\"\n":"","bin":"","#,
            r#""date":"19691231","list":[],"nested":[null],"_misfit":{}}}"#
        )
    );
}

#[test]
fn flat_lines() {
    let lines = lines(LineLayout::Flat, &table(), &every_type());
    assert_eq!(
        lines[0],
        concat!(
            r#"{"_shard_time":"2023-11-14T22:13:20.123Z","_time":"2018-01-31T05:59:00.000Z","#,
            r#""_user":"u\n1","b":true,"i":7,"l":9223372036854775807,"d":0.1,"#,
            r#""s\"\n":"a\"b\\\u0001漢","bin":"AP8Q","date":"2018-01-31","list":[1,null,3],"#,
            r#""nested":[["1970-01-01T00:00:00.000Z",null]],"_misfit":{"a":"\"x\"","b":"1.5"}}"#
        )
    );
    assert_eq!(lines[1], "{}");
}

#[test]
fn dead_letter_lines_have_every_field_in_any_layout() {
    let letters = RecordBatch::try_new(
        alluvium_target::dead_letters::schema(),
        vec![
            Arc::new(StringArray::from(vec!["events", "events"])),
            Arc::new(Int32Array::from(vec![3, 3])),
            Arc::new(Int64Array::from(vec![10, 11])),
            timestamps(vec![Some(1_700_000_000_123), None]),
            Arc::new(BinaryArray::from(vec![Some(&b"k"[..]), None])),
            Arc::new(BinaryArray::from(vec![Some(&b"{\xff"[..]), None])),
            Arc::new(StringArray::from(vec!["not-json: at byte 1", "too-large"])),
        ],
    )
    .unwrap();
    for layout in [LineLayout::Rakam, LineLayout::Flat] {
        assert_eq!(
            lines(layout, &Table::dead_letters(), &letters),
            [
                concat!(
                    r#"{"topic":"events","partition":3,"offset":10,"timestamp":1700000000123,"#,
                    r#""key":"aw==","payload":"e/8=","reason":"not-json: at byte 1"}"#
                ),
                concat!(
                    r#"{"topic":"events","partition":3,"offset":11,"timestamp":null,"#,
                    r#""key":null,"payload":null,"reason":"too-large"}"#
                ),
            ]
        );
    }
}

/// Columns of the types that hold others or need more than 64 bits, whole, null, and half empty.
fn nested_types() -> RecordBatch {
    let time: ArrayRef = Arc::new(Time64MicrosecondArray::from(vec![
        Some(86_399_000_001),
        None,
        Some(0),
    ]));
    let micros: ArrayRef = Arc::new(
        TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1_517_378_340_012_345)])
            .with_timezone("UTC"),
    );
    let decimal = Decimal128Array::from(vec![Some(-150), None, Some(10i128.pow(38) - 1)]);
    let decimal: ArrayRef = Arc::new(decimal.with_precision_and_scale(38, 2).unwrap());
    let date: ArrayRef = Arc::new(Date32Array::from(vec![Some(17_562), Some(1), None]));
    let inner = StructArray::from(vec![
        (Arc::new(Field::new("d\"ate", DataType::Date32, true)), date),
        (
            Arc::new(Field::new("time", time.data_type().clone(), true)),
            time.clone(),
        ),
    ]);
    let nulls = NullBuffer::from(vec![true, false, true]);
    let list_field = Arc::new(Field::new("item", inner.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
    let list = ListArray::new(
        list_field,
        offsets,
        Arc::new(inner.clone()),
        Some(nulls.clone()),
    );
    let fields = [("in", &inner as &dyn Array), ("list", &list)];
    let fields = fields.map(|(name, array)| Field::new(name, array.data_type().clone(), true));
    let outer = StructArray::new(
        fields.to_vec().into(),
        vec![Arc::new(inner), Arc::new(list)],
        Some(nulls),
    );
    batch(vec![
        ("time", time),
        ("micros", micros),
        ("decimal", decimal),
        ("struct", Arc::new(outer)),
    ])
}

#[test]
fn structs_leave_out_what_is_null_and_keep_all_digits() {
    let iso = lines(LineLayout::Flat, &table(), &nested_types());
    assert_eq!(
        iso,
        [
            concat!(
                r#"{"time":"23:59:59.000001","micros":"1969-12-31T23:59:59.999999Z","decimal":-1.50,"#,
                r#""struct":{"in":{"d\"ate":"2018-01-31","time":"23:59:59.000001"},"#,
                r#""list":[{"d\"ate":"2018-01-31","time":"23:59:59.000001"},{"d\"ate":"1970-01-02"}]}}"#
            ),
            "{}",
            concat!(
                r#"{"time":"00:00:00.000000","micros":"2018-01-31T05:59:00.012345Z","#,
                r#""decimal":999999999999999999999999999999999999.99,"#,
                r#""struct":{"in":{"time":"00:00:00.000000"},"list":[{"time":"00:00:00.000000"}]}}"#
            ),
        ]
    );
    let rakam = lines(LineLayout::Rakam, &table(), &nested_types());
    assert!(
        rakam[0].contains(r#""in":{"d\"ate":"20180131""#),
        "{}",
        rakam[0]
    );
    for at in 0..3 {
        let slice = nested_types().slice(at, 1);
        assert_eq!(lines(LineLayout::Flat, &table(), &slice), iso[at..=at]);
    }
}

#[test]
fn a_time_in_microseconds_is_a_time() {
    let micros = TimestampMicrosecondArray::from(vec![-1]).with_timezone("UTC");
    let user = Arc::new(Time64MicrosecondArray::from(vec![1]));
    assert_eq!(
        special(Arc::new(micros), user),
        json!([-1, "00:00:00.000001", {}])
    );
}

/// Time and user of a one-row batch, and what is left in `properties`.
fn special(time: ArrayRef, user: ArrayRef) -> Value {
    let batch = batch(vec![("_user", user), ("_time", time)]);
    let line = &lines(LineLayout::Rakam, &table(), &batch)[0];
    let object: Map<String, Value> = serde_json::from_str(line).unwrap();
    json!([object["_time"], object["_user"], object["properties"]])
}

#[test]
fn time_and_user_of_other_types() {
    let long = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
    let double = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value])) };
    let date = || -> ArrayRef { Arc::new(Date32Array::from(vec![2])) };
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let boolean = || -> ArrayRef { Arc::new(BooleanArray::from(vec![true])) };

    assert_eq!(special(long(5), long(123)), json!([5, "123", {}]));
    assert_eq!(special(double(5.0), double(1.5)), json!([5, "1.5", {}]));
    assert_eq!(
        special(double(f64::NAN), double(f64::NAN)),
        json!([0, "NaN", {}])
    );
    assert_eq!(
        special(date(), date()),
        json!([172_800_000, "19700103", {}])
    );
    assert_eq!(
        special(text("5"), boolean()),
        json!([0, "true", {"_time": "5"}])
    );
    let user = misfits(&[Some(&[("a\"", "1")])]);
    assert_eq!(
        special(timestamps(vec![Some(9)]), user),
        json!([9, r#"{"a\"":"1"}"#, {}])
    );
    let user = timestamps(vec![Some(0)]);
    assert_eq!(
        special(timestamps(vec![Some(9)]), user),
        json!([9, "1970-01-01T00:00:00.000Z", {}])
    );
}

#[test]
fn tables_without_time_and_user() {
    let batch = batch(vec![("a", Arc::new(Int64Array::from(vec![1])))]);
    assert_eq!(
        lines(LineLayout::Rakam, &Table::new("p", "c"), &batch),
        [r#"{"_time":0,"$schema":"p","$table":"c","_user":"","properties":{"a":1}}"#]
    );
}

#[test]
fn a_line_does_not_tell_when_its_column_became_double() {
    let as_long = batch(vec![(
        "n",
        Arc::new(Int64Array::from(vec![1, -7, 1 << 53])),
    )]);
    let as_double = batch(vec![(
        "n",
        Arc::new(Float64Array::from(vec![1.0, -7.0, 9_007_199_254_740_992.0])),
    )]);
    for layout in [LineLayout::Rakam, LineLayout::Flat] {
        assert_eq!(
            lines(layout, &table(), &as_long),
            lines(layout, &table(), &as_double)
        );
    }
}

#[test]
fn refuses_types_it_has_no_text_for() {
    let float: ArrayRef = Arc::new(Float32Array::from(vec![1.0]));
    let refused = |column: ArrayRef| {
        let batch = batch(vec![
            ("fine", Arc::new(Int64Array::from(vec![1]))),
            ("odd", column),
        ]);
        LineWriter::new(&format(LineLayout::Flat), &table(), &batch).err()
    };
    let expected = UnsupportedColumn {
        name: "odd".into(),
        data_type: DataType::Float32,
    };
    assert_eq!(refused(float), Some(expected));
}

#[test]
fn sliced_batches_write_their_own_rows() {
    let whole = lines(LineLayout::Rakam, &table(), &every_type());
    for at in 0..3 {
        let slice = every_type().slice(at, 1);
        assert_eq!(lines(LineLayout::Rakam, &table(), &slice), whole[at..=at]);
    }
}

/// A value of a random column, and the JSON it must read as.
fn column() -> impl Strategy<Value = (ArrayRef, Vec<Value>)> {
    fn some<T: std::fmt::Debug>(
        value: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Vec<Option<T>>> {
        prop::collection::vec(prop::option::of(value), 4)
    }
    fn built<T: Clone, A: From<Vec<Option<T>>> + arrow_array::Array + 'static>(
        values: Vec<Option<T>>,
        shown: impl Fn(T) -> Value,
    ) -> (ArrayRef, Vec<Value>) {
        let expected = values
            .iter()
            .cloned()
            .map(|v| v.map_or(Value::Null, &shown))
            .collect();
        (Arc::new(A::from(values)), expected)
    }
    let finite = any::<f64>().prop_filter("finite", |v| v.is_finite());
    prop_oneof![
        some(any::<bool>()).prop_map(|v| built::<_, BooleanArray>(v, Value::from)),
        some(any::<i32>()).prop_map(|v| built::<_, Int32Array>(v, Value::from)),
        some(any::<i64>()).prop_map(|v| built::<_, Int64Array>(v, Value::from)),
        some(any::<String>()).prop_map(|v| built::<_, StringArray>(v, Value::from)),
        some(finite).prop_map(|v| built::<_, Float64Array>(v, Value::from)),
    ]
}

/// Equal as JSON, where a whole number may have been written without its fraction.
fn same(read: &Value, expected: &Value) -> bool {
    match (read, expected) {
        (Value::Number(read), Value::Number(expected)) if expected.is_f64() => {
            read.as_f64().map(f64::to_bits) == expected.as_f64().map(f64::to_bits)
        }
        _ => read == expected,
    }
}

proptest! {
    #[test]
    fn every_line_reads_back_equal(
        columns in prop::collection::vec(column(), 0..8),
        names in prop::collection::hash_set(any::<String>(), 8),
        project in any::<String>(),
        collection in any::<String>(),
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let fields: Vec<_> = names.iter().zip(&columns)
            .map(|(name, (array, _))| Field::new(name, array.data_type().clone(), true)).collect();
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(4));
        let arrays = columns.iter().map(|(array, _)| array.clone()).collect();
        let batch = RecordBatch::try_new_with_options(Schema::new(fields).into(), arrays, &options).unwrap();
        let table = Table::new(format!("p{project}"), collection.clone());
        let flat = lines(LineLayout::Flat, &table, &batch);
        let rakam = lines(LineLayout::Rakam, &table, &batch);
        for row in 0..4 {
            let read: Map<String, Value> = serde_json::from_str(&flat[row]).unwrap();
            let nested: Map<String, Value> = serde_json::from_str(&rakam[row]).unwrap();
            prop_assert_eq!(&nested["$table"], &Value::from(collection.clone()));
            prop_assert_eq!(&nested["properties"], &Value::from(read.clone()));
            let expected: Vec<_> = names.iter().zip(&columns)
                .filter(|(_, (_, values))| !values[row].is_null()).collect();
            prop_assert_eq!(read.len(), expected.len());
            for (name, (_, values)) in expected {
                prop_assert!(same(&read[name], &values[row]), "{} != {}", read[name], values[row]);
            }
        }
    }
}

/// The flat line of a row, each value by [`Column`] alone: what lines were before there were other ways.
fn plainly(batch: &RecordBatch, row: usize) -> String {
    let mut out = b"{".to_vec();
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let column = Column::resolve(array).unwrap();
        if column.is_null(row) {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        text::string(field.name(), &mut out);
        out.push(b':');
        column.write(row, Times::Iso, &mut out);
    }
    out.push(b'}');
    String::from_utf8(out).unwrap()
}

/// Times of one day, of days beside each other, and of all years there are.
fn time_column() -> impl Strategy<Value = ArrayRef> {
    let time = prop_oneof![
        0..86_400_000_i64,
        1_517_378_340_000..1_517_378_345_000_i64,
        -200_000_000..200_000_000_i64,
        Just(253_402_300_799_999),
        Just(253_402_300_800_000),
        any::<i64>(),
    ];
    prop::collection::vec(prop::option::of(time), 6).prop_map(timestamps)
}

fn text_column() -> impl Strategy<Value = ArrayRef> {
    let text = prop_oneof![
        "[a-z]{0,3}",
        "[a-z]{30,34}",
        "[a-z]{62,66}",
        "[ -~]{0,80}",
        "[a-z]{0,40}[\\x00-\\x7f]?[a-z]{0,40}",
        any::<String>(),
    ];
    prop::collection::vec(prop::option::of(text), 6)
        .prop_map(|texts| Arc::new(StringArray::from(texts)) as ArrayRef)
}

fn number_column() -> impl Strategy<Value = ArrayRef> {
    let long = prop_oneof![
        any::<i64>(),
        -1_000..1_000_i64,
        Just(i64::MIN),
        Just(i64::MAX)
    ];
    prop_oneof![
        prop::collection::vec(prop::option::of(long), 6)
            .prop_map(|longs| Arc::new(Int64Array::from(longs)) as ArrayRef),
        prop::collection::vec(prop::option::of(any::<f64>()), 6)
            .prop_map(|doubles| Arc::new(Float64Array::from(doubles)) as ArrayRef),
        prop::collection::vec(prop::option::of(any::<bool>()), 6)
            .prop_map(|bools| Arc::new(BooleanArray::from(bools)) as ArrayRef),
    ]
}

proptest! {
    /// To the byte: content hashes of lines are compared between versions.
    #[test]
    fn every_way_to_a_value_writes_the_same_bytes(
        columns in prop::collection::vec(
            prop_oneof![time_column(), text_column(), number_column()], 1..7),
        from in 0..3_usize,
        width in 1..70_usize,
    ) {
        let names: Vec<String> = (0..columns.len()).map(|at| format!("{at:0width$}")).collect();
        let columns = names.iter().map(String::as_str).zip(columns).collect();
        let batch = batch(columns).slice(from, 6 - from);
        let flat = lines(LineLayout::Flat, &table(), &batch);
        for (row, line) in flat.iter().enumerate() {
            prop_assert_eq!(line, &plainly(&batch, row));
        }
    }
}
