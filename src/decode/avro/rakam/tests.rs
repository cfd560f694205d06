//! The numbered expectations are those of the original's own tests (section 11 of its description).

use std::io::Read;

use super::*;
use crate::decode::avro::tests::{Plain, fields, plain};
use crate::decode::avro::written::{long, text};

/// Tables by their names, in lower case.
#[derive(Debug, Default)]
struct Known(std::collections::BTreeMap<String, Arc<[Column]>>);

impl Known {
    fn with(mut self, table: &str, columns: &[(&str, ColumnKind)]) -> Self {
        let columns = columns.iter().map(|(name, kind)| Column {
            name: (*name).to_owned(),
            kind: kind.clone(),
        });
        self.0.insert(table.to_owned(), columns.collect());
        self
    }
}

impl Columns for Known {
    fn of(
        &self,
        project: &str,
        collection: &str,
        _: usize,
    ) -> Result<Option<Arc<[Column]>>, NotYet> {
        Ok(self.0.get(&format!("{project}.{collection}")).cloned())
    }
}

fn decoder(known: Known) -> RakamDecoder {
    RakamDecoder::new(RakamSettings {
        carrier: Carrier::Kafka,
        columns: Arc::new(known),
        checkpoint: "_shard_time".into(),
        max_bytes: 1 << 20,
    })
}

fn reason(failure: Failure) -> Reason {
    match failure {
        Failure::Bad(bad) => bad.reason,
        Failure::Needs(needed) => panic!("{needed:?}"),
    }
}

fn of_columns(columns: &[(&str, ColumnKind)]) -> RakamDecoder {
    decoder(Known::default().with("p.c", columns))
}

fn some(value: &[u8]) -> Vec<u8> {
    [&[2], value].concat()
}

fn values(decoder: &mut RakamDecoder, body: &[u8]) -> Vec<Plain> {
    let payload = [&[0], body].concat();
    let row = decoder.kafka("p.c", Some(&payload)).unwrap();
    row.values().map(|(_, value)| plain(&value)).collect()
}

fn array(of: ColumnKind) -> ColumnKind {
    ColumnKind::Array(of.into())
}

fn map(of: ColumnKind) -> ColumnKind {
    ColumnKind::Map(of.into())
}

/// Expectation 8: values of every kind come out as they went in, 1000 rows each.
#[test]
fn expectation_8_values_of_every_kind_round_trip() {
    let columns = [
        ("_shard_time", ColumnKind::Timestamp),
        ("string", ColumnKind::Text),
        ("long", ColumnKind::Long),
        ("double", ColumnKind::Double),
        ("boolean", ColumnKind::Boolean),
        ("date", ColumnKind::Date),
        ("array", array(ColumnKind::Long)),
        ("map", map(ColumnKind::Text)),
        ("int", ColumnKind::Int),
        ("time", ColumnKind::Time),
        ("timestamp", ColumnKind::Timestamp),
        ("binary", ColumnKind::Bytes),
    ];
    let mut all = of_columns(&columns);
    let body = |n: i64| -> Vec<Vec<u8>> {
        let entry = |value: &[u8]| [&long(1)[..], value, &[0]].concat();
        vec![
            some(&text(&n.to_string())),
            some(&long(n)),
            some(&(n as f64).to_le_bytes()),
            some(&[u8::from(n % 2 == 0)]),
            some(&long(n)),
            some(&entry(&some(&long(n)))),
            some(&entry(&[text("k"), some(&text("v"))].concat())),
            some(&long(n)),
            some(&long(n)),
            some(&long(n * 1000)),
            some(&[long(2), vec![n as u8, 0xff]].concat()),
        ]
    };
    let expected = |n: i64| {
        vec![
            Plain::Text(n.to_string()),
            Plain::Long(n),
            Plain::Double((n as f64).to_bits()),
            Plain::Bool(n % 2 == 0),
            Plain::Date(n as i32),
            Plain::List(vec![Plain::Long(n)]),
            Plain::Map([("k".into(), Plain::Text("v".into()))].into()),
            Plain::Long(n),
            Plain::Time(n * 1000),
            Plain::Millis(n * 1000),
            Plain::Bytes(vec![n as u8, 0xff]),
        ]
    };
    for n in 0..1000 {
        assert_eq!(values(&mut all, &body(n).concat()), expected(n));
    }
    // Each alone, and four together.
    for (at, column) in columns[1..].iter().enumerate() {
        let mut alone = of_columns(std::slice::from_ref(column));
        for n in 0..1000 {
            assert_eq!(values(&mut alone, &body(n)[at]), expected(n)[at..=at]);
        }
    }
    let mut four = of_columns(&columns[1..5]);
    for n in 0..1000 {
        assert_eq!(values(&mut four, &body(n)[..4].concat()), expected(n)[..4]);
    }
}

/// Expectation 9: records of an older, shorter schema have null in the columns that came later.
#[test]
fn expectation_9_records_of_a_shorter_schema_are_filled_with_null() {
    let mut decoder = of_columns(&[("a", ColumnKind::Long), ("b", ColumnKind::Long)]);
    for n in 0..1000 {
        assert_eq!(
            values(&mut decoder, &some(&long(n))),
            [Plain::Long(n), Plain::Null]
        );
    }
    for n in 0..1000 {
        let body = [some(&long(n)), some(&long(n))].concat();
        assert_eq!(
            values(&mut decoder, &body),
            [Plain::Long(n), Plain::Long(n)]
        );
    }
}

/// Expectation 10: a string is not read into a BIGINT column, whatever its bytes would be as one.
#[test]
fn expectation_10_a_string_is_no_bigint() {
    let columns = |kind| {
        let name = "a".to_owned();
        schema(&[Column { name, kind }], "").unwrap()
    };
    let writer = columns(ColumnKind::Text);
    let reader = columns(ColumnKind::Long);
    let program = Program::new(&writer, Some(&reader), &mut Names::default());
    let mut buffer = RowBuffer::default();
    let body = some(&text("1"));
    let fault = Run::new(&program, Cursor::new(&body, 0), &mut buffer).row(Extent::All);
    let bad = BadRecord::from(fault.unwrap_err());
    assert_eq!(bad.reason, Reason::WrongLayout);
    assert!(
        bad.detail
            .contains("string is none of what the reader's union has"),
        "{bad}"
    );
}

#[test]
fn a_record_may_end_where_a_field_would_begin_and_nowhere_else() {
    let columns = [
        ("a", ColumnKind::Text),
        ("b", ColumnKind::Long),
        ("c", ColumnKind::Double),
    ];
    let mut decoder = of_columns(&columns);
    let parts = [
        some(&text("xyz")),
        some(&long(300)),
        some(&1.5f64.to_le_bytes()),
    ];
    let whole = parts.concat();
    let ends: Vec<_> = (0..=3).map(|n| parts[..n].concat().len()).collect();
    let all = [
        Plain::Text("xyz".into()),
        Plain::Long(300),
        Plain::Double(1.5f64.to_bits()),
    ];
    for len in 0..=whole.len() {
        let payload = [&[1], &whole[..len]].concat();
        match ends.iter().position(|end| *end == len) {
            Some(fields) => {
                let mut expected = all.clone();
                expected[fields..].fill(Plain::Null);
                assert_eq!(values(&mut decoder, &whole[..len]), expected);
            }
            None => {
                let bad = decoder.kafka("p.c", Some(&payload)).unwrap_err();
                assert_eq!(reason(bad), Reason::NotAvro, "{len}");
            }
        }
    }
    let longer = [&whole[..], &[0xff; 9]].concat();
    assert_eq!(values(&mut decoder, &longer), all);
}

#[test]
fn topics_and_types_of_records_name_the_table() {
    let known = Known::default()
        .with("shop.orders.eu", &[("a", ColumnKind::Long)])
        .with("shop.other", &[("a", ColumnKind::Long)]);
    let mut decoder = decoder(known);
    for kind in [0, 1] {
        let payload = [kind, 2, 4];
        let row = decoder.kafka("Shop.Orders.EU", Some(&payload)).unwrap();
        assert_eq!((row.project(), row.collection()), ("shop", "orders.eu"));
    }
    for kind in [2, 7] {
        let payload = [&[kind], &text("OTHER")[..], &[2, 4]].concat();
        let row = decoder.kafka("Shop.Orders", Some(&payload)).unwrap();
        assert_eq!((row.project(), row.collection()), ("shop", "other"));
        assert_eq!(
            fields(&row),
            Plain::Object([("a".into(), Plain::Long(2))].into())
        );
    }
    let mut bad =
        |topic: &str, payload: &[u8]| reason(decoder.kafka(topic, Some(payload)).unwrap_err());
    assert_eq!(bad("shop", &[0, 0]), Reason::NoTable);
    assert_eq!(bad("shop.", &[0, 0]), Reason::NoTable);
    assert_eq!(bad(".x", &[0, 0]), Reason::NoTable);
    assert_eq!(bad("shop.none", &[0, 0]), Reason::NoTable);
    assert_eq!(bad("shop.other", &[]), Reason::NotAvro);
    assert_eq!(bad("shop.other", &[2, 9, b'x']), Reason::NotAvro);
}

#[test]
fn partition_keys_of_kinesis_name_the_table() {
    let known = Known::default().with("shop.orders", &[("a", ColumnKind::Long)]);
    let mut decoder = decoder(known);
    let row = decoder.kinesis("Shop|Orders", Some(&[0, 2, 4])).unwrap();
    assert_eq!((row.project(), row.collection()), ("shop", "orders"));
    let payload = [&[2], &text("orders")[..], &[2, 4]].concat();
    let row = decoder.kinesis("shop|orders1234", Some(&payload)).unwrap();
    assert_eq!((row.project(), row.collection()), ("shop", "orders"));
    for (key, payload) in [
        ("shop|orders", &[1, 0][..]),
        ("shop|orders", &[3]),
        ("shop|orders", &[4]),
        ("shop", &[0, 0]),
    ] {
        assert!(
            decoder.kinesis(key, Some(payload)).is_err(),
            "{key} {payload:?}"
        );
    }
    let pointer = [&[3], &77i64.to_be_bytes()[..], b"shop/some-uuid"].concat();
    let expected = BulkPointer {
        size: 77,
        key: "shop/some-uuid",
    };
    assert_eq!(bulk_pointer(&pointer), Ok(Some(expected)));
    assert_eq!(bulk_pointer(&payload), Ok(None));
    assert!(bulk_pointer(&pointer[..9]).is_err());
    assert!(bulk_pointer(&[&[3], &(-1i64).to_be_bytes()[..], b"k"].concat()).is_err());
}

#[test]
fn a_column_of_a_type_without_a_form_is_named() {
    let mut decoder = of_columns(&[("price", ColumnKind::Other("decimal(9,2)".into()))]);
    let bad = decoder.kafka("p.c", Some(&[0])).unwrap_err();
    let text = bad.to_string();
    assert_eq!(reason(bad), Reason::UnusableSchema);
    assert!(
        text.contains("column price is of type decimal(9,2)"),
        "{text}"
    );
}

/// Columns that a record's writer knew are never cut off because they came later than the first record of the table.
#[test]
fn a_table_that_got_a_column_is_read_with_it_at_once() {
    #[derive(Debug)]
    struct Growing(std::sync::Mutex<(usize, Vec<usize>)>);
    impl Columns for Growing {
        fn of(&self, _: &str, _: &str, known: usize) -> Result<Option<Arc<[Column]>>, NotYet> {
            let mut this = self.0.lock().unwrap();
            this.1.push(known);
            if this.0 == 0 {
                return Err(NotYet::Asked);
            }
            let column = |number: usize| Column {
                name: number.to_string(),
                kind: ColumnKind::Long,
            };
            Ok(Some((0..this.0).map(column).collect()))
        }
    }
    let known = Arc::new(Growing((0, Vec::new()).into()));
    let mut decoder = RakamDecoder::new(RakamSettings {
        carrier: Carrier::Kafka,
        columns: known.clone(),
        checkpoint: "".into(),
        max_bytes: 99,
    });
    let payload = [0, 2, 2, 2, 4];
    let waits = decoder.kafka("p.c", Some(&payload)).unwrap_err();
    assert_eq!(
        waits.to_string(),
        "the catalog's word on p.c is not at hand yet"
    );
    let mut fields = |columns: usize, payload: &[u8]| {
        let mut guard = known.0.lock().unwrap();
        (guard.0, guard.1) = (columns, Vec::new());
        drop(guard);
        let fields = decoder.kafka("p.c", Some(payload)).unwrap().fields().len();
        (fields, known.0.lock().unwrap().1.clone())
    };
    assert_eq!(fields(1, &payload[..3]), (1, vec![0]));
    // Enough for this record: nobody is asked.
    assert_eq!(fields(2, &payload[..3]), (1, vec![]));
    assert_eq!(fields(2, &payload), (2, vec![1]));
    assert_eq!(fields(2, &payload), (2, vec![]));
    // What is behind them is of nobody's column.
    assert_eq!(fields(2, &[&payload[..], &[2]].concat()), (2, vec![2]));
}

/// Gives a byte at a time, to find every place where a part may be cut.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let len = to.len().min(1);
        self.0.read(&mut to[..len])
    }
}

/// What a bulk object gives: rows as table and values, and how it ends.
fn bulk(
    decoder: &mut RakamDecoder,
    source: impl Read,
) -> (Vec<(String, Vec<Plain>)>, Option<String>) {
    let mut bulk = decoder.bulk(source);
    let mut rows = Vec::new();
    while let Some(next) = bulk.next_row() {
        match next {
            Ok(row) => {
                let values = row.values().map(|(_, value)| plain(&value)).collect();
                rows.push((format!("{}.{}", row.project(), row.collection()), values));
            }
            Err(error) => return (rows, Some(error.to_string())),
        }
    }
    (rows, None)
}

fn group(collection: &str, columns: i64, records: i64) -> Vec<u8> {
    [text(collection), long(columns), long(records)].concat()
}

#[test]
fn bulk_objects_have_groups_of_records_with_as_many_columns_as_their_writer_knew() {
    let two = [
        ("a", ColumnKind::Long),
        ("_shard_time", ColumnKind::Timestamp),
        ("b", ColumnKind::Text),
    ];
    let known = Known::default()
        .with("p.one", &two)
        .with("p.two", &two[..1]);
    let mut decoder = decoder(known);
    let object = [
        text("P"),
        group("One", 1, 2),
        some(&long(1)),
        some(&long(2)),
        group("two", 1, 0),
        group("one", 2, 1),
        some(&long(3)),
        some(&text("x")),
        group("two", 1, 1),
        vec![0],
    ]
    .concat();
    let expected = vec![
        ("p.one".to_owned(), vec![Plain::Long(1), Plain::Null]),
        ("p.one".to_owned(), vec![Plain::Long(2), Plain::Null]),
        (
            "p.one".to_owned(),
            vec![Plain::Long(3), Plain::Text("x".into())],
        ),
        ("p.two".to_owned(), vec![Plain::Null]),
    ];
    assert_eq!(bulk(&mut decoder, &object[..]), (expected.clone(), None));
    assert_eq!(bulk(&mut decoder, Dripping(&object)), (expected, None));
    for len in 0..object.len() {
        let (rows, end) = bulk(&mut decoder, &object[..len]);
        assert!(
            rows.len() <= 4 && (end.is_some() || rows.len() < 4),
            "{len}"
        );
    }
}

/// D11 and a hole of the original: earlier rows stay, and the reason says which table it is.
#[test]
fn a_bulk_object_is_read_up_to_what_nobody_knows_the_length_of() {
    let known = Known::default().with("p.one", &[("a", ColumnKind::Long)]);
    let mut decoder = decoder(known);
    let first = [text("p"), group("one", 1, 1), some(&long(1))].concat();
    for (rest, what) in [
        (group("none", 1, 1), "there is no table p.none"),
        (
            group("one", 2, 1),
            "p.one was written with 2 columns, 1 are known",
        ),
        (group("one", -1, 1), "negative number"),
        (group("one", 1, 1), "the bytes end within a value"),
    ] {
        let (rows, end) = bulk(&mut decoder, &[&first[..], &rest].concat()[..]);
        let end = end.unwrap();
        assert_eq!(rows.len(), 1, "{end}");
        assert!(end.contains(what), "{end}");
    }
}

/// Such records take no bytes: whoever writes three of these could make anybody read for days.
#[test]
fn records_without_a_column_are_limited_in_all_of_an_object() {
    let known = Known::default().with("p.one", &[("a", ColumnKind::Long)]);
    let mut decoder = decoder(known);
    let limit = i64::try_from(bulk::MAX_EMPTY).unwrap();
    let few = [text("p"), group("one", 0, limit - 1), group("one", 0, 1)].concat();
    let (rows, end) = bulk(&mut decoder, &few[..]);
    assert_eq!((rows.len() as i64, end), (limit, None));
    assert_eq!(rows[0], ("p.one".to_owned(), vec![Plain::Null]));
    for (object, rows_before) in [
        ([text("p"), group("one", 0, i32::MAX.into())].concat(), 0),
        ([&few[..], &group("one", 0, 1)].concat(), limit),
    ] {
        let (rows, end) = bulk(&mut decoder, &object[..]);
        let end = end.unwrap();
        assert_eq!(rows.len() as i64, rows_before, "{end}");
        assert!(
            end.contains("records without a column are claimed"),
            "{end}"
        );
    }
}
