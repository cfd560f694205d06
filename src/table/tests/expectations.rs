//! The numbered expectations of the original's own tests that are about columns, for every form a record has. Which test shows
//! which of them is in `docs/formats.md`.
//!
//! The fixture: a table with columns of every type the original had, and three events that fill them.

use super::*;
use crate::awaited::NotYet;
use crate::decode::avro::rakam::{
    Carrier, Column, ColumnKind, Columns, RakamDecoder, RakamSettings,
};
use crate::decode::avro::written::{long, text as text_bytes};
use crate::decode::avro::{
    AvroDecoder, AvroSettings, Collection, Encoding, Found, Schema, SchemaId, Schemas,
};

const PROJECT: &str = "testproject";
const COLLECTION: &str = "testcollection";
const TYPES: [(&str, &str); 8] = [
    ("string", "varchar"),
    ("integer", "integer"),
    ("double", "double"),
    ("long", "bigint"),
    ("boolean", "boolean"),
    ("date", "date"),
    ("time", "time"),
    ("timestamp", "timestamp"),
];

/// What a record comes as.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Rakam,
    Fabric,
    Plain,
    /// The original's record of type 2 in a Kinesis stream, which names its collection.
    Kinesis,
    /// The original's record in a Kafka topic.
    Kafka,
    /// Avro whose schema has the fields that are there.
    Avro,
}

const FORMS: [Form; 6] = [
    Form::Rakam,
    Form::Fabric,
    Form::Plain,
    Form::Kinesis,
    Form::Kafka,
    Form::Avro,
];

/// A field of an event: its name, its type, and the number it stands for; containers hold 0, 1 and 2.
type Field = (&'static str, &'static str, i64);

/// The columns of the fixture behind the checkpoint's, each with the word for its type.
fn fixture() -> Vec<(String, String)> {
    let mut columns = Vec::new();
    for container in ["", "array_", "map_"] {
        columns.extend(TYPES.map(|(name, _)| {
            (
                format!("col{container}{name}"),
                format!("{container}{name}"),
            )
        }));
    }
    columns
}

fn kind(word: &str) -> ColumnType {
    let plain = |word: &str| TYPES.iter().find(|(name, _)| *name == word).unwrap().1;
    let text = match word.split_once('_') {
        Some(("array", of)) => format!("array({})", plain(of)),
        Some((_, of)) => format!("map(varchar,{})", plain(of)),
        None => plain(word).to_owned(),
    };
    text.parse().unwrap()
}

fn given(columns: &[(String, String)]) -> TableBuilder {
    let checkpoint = ("_shard_time".to_owned(), ColumnType::Timestamp);
    let columns = columns
        .iter()
        .map(|(name, word)| (name.clone(), kind(word)));
    let columns: Vec<_> = [checkpoint].into_iter().chain(columns).collect();
    bound(&columns)
}

fn json_item(word: &str, i: i64) -> String {
    match word {
        "string" => format!("\"{i}\""),
        "boolean" => (i % 2 == 0).to_string(),
        "date" => format!("\"1970-01-0{}\"", i + 1),
        "time" => format!("\"00:00:0{i}\""),
        "timestamp" => format!("\"1970-01-01T00:00:0{i}Z\""),
        "double" => format!("{i}.0"),
        _ => i.to_string(),
    }
}

fn json_value(word: &str, i: i64) -> String {
    match word.split_once('_') {
        Some(("array", of)) => format!(
            "[{}]",
            (0..3)
                .map(|i| json_item(of, i))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        Some((_, of)) => {
            let entries = (0..3).map(|i| format!("\"{i}\": {}", json_item(of, i)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        None => json_item(word, i),
    }
}

/// How the column shows it.
fn shown(word: &str, i: i64) -> String {
    let item = |word: &str, i: i64| match word {
        "string" => format!("\"{i}\""),
        "boolean" => (i % 2 == 0).to_string(),
        "date" => format!("day {i}"),
        "time" => format!("time {}", i * 1_000_000),
        "timestamp" => format!("ms {}", i * 1000),
        _ => i.to_string(),
    };
    match word.split_once('_') {
        Some(("array", of)) => format!("[{}, {}, {}]", item(of, 0), item(of, 1), item(of, 2)),
        Some((_, of)) => format!("<0={}, 1={}, 2={}>", item(of, 0), item(of, 1), item(of, 2)),
        None => item(word, i),
    }
}

/// A value in Avro, of a union of null and its type.
fn avro_value(word: &str, i: i64) -> Vec<u8> {
    let item = |word: &str, i: i64| match word {
        "string" => text_bytes(&i.to_string()),
        "boolean" => vec![u8::from(i % 2 == 0)],
        "double" => (i as f64).to_le_bytes().to_vec(),
        "time" | "timestamp" => long(i * 1000),
        _ => long(i),
    };
    let some = |value: Vec<u8>| [vec![2], value].concat();
    some(match word.split_once('_') {
        Some((container, of)) => {
            let items = (0..3).flat_map(|i| {
                let key = match container {
                    "map" => text_bytes(&i.to_string()),
                    _ => Vec::new(),
                };
                [key, some(item(of, i))].concat()
            });
            [long(3), items.collect(), vec![0]].concat()
        }
        None => item(word, i),
    })
}

fn avro_type(word: &str) -> String {
    match word {
        "string" | "double" | "boolean" | "long" => format!("\"{word}\""),
        "integer" => "\"int\"".into(),
        "date" => r#"{"type":"int","logicalType":"date"}"#.into(),
        "time" => r#"{"type":"int","logicalType":"time-millis"}"#.into(),
        "timestamp" => r#"{"type":"long","logicalType":"timestamp-millis"}"#.into(),
        _ => match word.split_once('_') {
            Some(("array", of)) => {
                format!(r#"{{"type":"array","items":["null",{}]}}"#, avro_type(of))
            }
            Some((_, of)) => format!(r#"{{"type":"map","values":["null",{}]}}"#, avro_type(of)),
            None => panic!("{word}"),
        },
    }
}

fn column_kind(word: &str) -> ColumnKind {
    match word {
        "string" => ColumnKind::Text,
        "integer" => ColumnKind::Int,
        "double" => ColumnKind::Double,
        "long" => ColumnKind::Long,
        "boolean" => ColumnKind::Boolean,
        "date" => ColumnKind::Date,
        "time" => ColumnKind::Time,
        "timestamp" => ColumnKind::Timestamp,
        _ => match word.split_once('_') {
            Some(("array", of)) => ColumnKind::Array(column_kind(of).into()),
            Some((_, of)) => ColumnKind::Map(column_kind(of).into()),
            None => panic!("{word}"),
        },
    }
}

#[derive(Debug)]
struct Known(Arc<[Column]>);

impl Columns for Known {
    fn of(
        &self,
        project: &str,
        collection: &str,
        _: usize,
    ) -> Result<Option<Arc<[Column]>>, NotYet> {
        Ok(((project, collection) == (PROJECT, COLLECTION)).then(|| self.0.clone()))
    }
}

#[derive(Debug)]
struct Shelf(Arc<Schema>);

impl Schemas for Shelf {
    fn find(&self, _: SchemaId) -> Found {
        Found::Schema(self.0.clone())
    }
}

fn rakam_decoder(columns: &[(String, String)]) -> RakamDecoder {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
    };
    let own = columns
        .iter()
        .map(|(name, word)| column(name, column_kind(word)));
    let checkpoint = column("_shard_time", ColumnKind::Timestamp);
    let all: Vec<_> = [checkpoint].into_iter().chain(own).collect();
    RakamDecoder::new(RakamSettings {
        carrier: Carrier::Kafka,
        columns: Arc::new(Known(all.into())),
        checkpoint: "_shard_time".into(),
        max_bytes: 1 << 20,
    })
}

fn avro_decoder(fields: &[Field]) -> AvroDecoder {
    let fields = fields.iter().map(|(name, word, _)| {
        format!(r#"{{"name":"{name}","type":["null",{}]}}"#, avro_type(word))
    });
    let fields = fields.collect::<Vec<_>>().join(",");
    let schema = format!(r#"{{"type":"record","name":"Event","fields":[{fields}]}}"#);
    AvroDecoder::new(AvroSettings {
        encoding: Encoding::Confluent,
        project: PROJECT.into(),
        collection: Collection::Topic,
        reader: None,
        schemas: Arc::new(Shelf(Arc::new(Schema::parse(&schema, &[]).unwrap()))),
        max_bytes: 1 << 20,
    })
}

fn json_record(layout: Layout, fields: &[Field]) -> String {
    let fields = fields
        .iter()
        .map(|(name, word, i)| format!("\"{name}\":{}", json_value(word, *i)));
    let fields = fields.collect::<Vec<_>>().join(",");
    match layout {
        Layout::Rakam => format!(
            r#"{{"project":"{PROJECT}","collection":"{COLLECTION}","properties":{{{fields}}}}}"#
        ),
        Layout::Fabric => format!(
            r#"{{"data":{{"_project":"{PROJECT}","_collection":"{COLLECTION}",{fields}}}}}"#
        ),
        Layout::Plain => format!("{{{fields}}}"),
    }
}

/// Appends events in a form, of a table that has `columns`, and looks that each names the fixture's table.
fn append_all(
    form: Form,
    columns: &[(String, String)],
    builder: &mut TableBuilder,
    events: &[Vec<Field>],
) {
    let layout = match form {
        Form::Rakam => Layout::Rakam,
        Form::Fabric => Layout::Fabric,
        _ => Layout::Plain,
    };
    let mut json = JsonDecoder::new(JsonSettings {
        layout,
        project: PROJECT.into(),
        collection_field: None,
        max_bytes: 1 << 20,
    });
    let mut rakam = rakam_decoder(columns);
    for fields in events {
        // The original's records have every column, in the table's order.
        let values = columns.iter().map(|(name, _)| {
            let field = fields.iter().find(|(field, ..)| field == name);
            field.map_or(vec![0], |(_, word, i)| avro_value(word, *i))
        });
        let body = values.collect::<Vec<_>>().concat();
        let named = if form == Form::Avro { &fields[..] } else { &[] };
        let mut avro = avro_decoder(named);
        let own: Vec<_> = fields
            .iter()
            .flat_map(|(_, word, i)| avro_value(word, *i))
            .collect();
        let payload = match form {
            Form::Kinesis => [vec![2], text_bytes(COLLECTION), body].concat(),
            Form::Kafka => [vec![0], body].concat(),
            Form::Avro => [vec![0; 5], own].concat(),
            _ => json_record(layout, fields).into_bytes(),
        };
        let key = format!("{PROJECT}|{COLLECTION}a5f0");
        let topic = format!("{PROJECT}.{COLLECTION}");
        let row = match form {
            Form::Kinesis => rakam.kinesis(&key, Some(&payload)).unwrap(),
            Form::Kafka => rakam.kafka(&topic, Some(&payload)).unwrap(),
            Form::Avro => avro.decode(COLLECTION, Some(&payload), None).unwrap(),
            _ => json.decode(COLLECTION, Some(&payload)).unwrap(),
        };
        assert_eq!(
            (row.project(), row.collection()),
            (PROJECT, COLLECTION),
            "{form:?}"
        );
        decide(builder, &row);
        builder.append(&row);
    }
}

/// The three events, with all fields of the fixture in another order than the table has them.
fn events() -> Vec<Vec<Field>> {
    let all = fixture();
    let event = |i| {
        let fields = all.iter().rev().map(|(name, word)| {
            let (name, word): (&'static str, &'static str) =
                (name.clone().leak(), word.clone().leak());
            (name, word, i)
        });
        fields.collect()
    };
    (0..3).map(event).collect()
}

fn assert_fixture(form: Form, batch: &RecordBatch) {
    assert_eq!(batch.num_rows(), 3);
    let expected = [("_shard_time".to_owned(), "timestamp".to_owned())];
    for (at, (name, word)) in expected.into_iter().chain(fixture()).enumerate() {
        let schema = batch.schema();
        assert_eq!(schema.field(at).name(), &name, "{form:?}");
        assert_eq!(
            schema.field(at).data_type(),
            &kind(&word).data_type(),
            "{form:?} {name}"
        );
        for row in 0..3 {
            let wanted = match at {
                0 => format!("ms {OPENED}"),
                _ => shown(&word, row as i64),
            };
            assert_eq!(cell(batch, &name, row), wanted, "{form:?} {name}");
        }
    }
    assert!(batch.column_by_name(MISFIT).is_none(), "{form:?}");
}

#[test]
fn expectation_1_all_types() {
    for form in FORMS {
        let mut builder = given(&fixture());
        append_all(form, &fixture(), &mut builder, &events());
        let batch = builder.finish();
        // 25 of the fixture, and time and user, which every table has here.
        assert_eq!(batch.num_columns(), 27, "{form:?}");
        assert_fixture(form, &batch);
    }
}

#[test]
fn expectation_2_one_value_and_nulls() {
    for form in FORMS {
        let mut builder = given(&fixture());
        let events = [0, 1, 2].map(|i| vec![("colstring", "string", i)]);
        append_all(form, &fixture(), &mut builder, &events);
        let batch = builder.finish();
        assert_eq!((batch.num_rows(), batch.num_columns()), (3, 27), "{form:?}");
        for (name, _) in fixture() {
            for row in 0..3 {
                let wanted = match name.as_str() {
                    "colstring" => format!("\"{row}\""),
                    _ => "null".into(),
                };
                assert_eq!(cell(&batch, &name, row), wanted, "{form:?} {name}");
            }
        }
    }
}

/// The fixture's events with two fields more.
fn grown() -> Vec<Vec<Field>> {
    let mut events = events();
    for fields in &mut events {
        fields.extend([("newcolumn1", "string", 1), ("newcolumn2", "string", 2)]);
    }
    events
}

/// Of the original's records the fields have no names: there a column is new only when the table has it, as in expectation 4.
#[test]
fn expectation_3_new_columns_follow_the_given() {
    for form in [Form::Rakam, Form::Fabric, Form::Plain, Form::Avro] {
        let mut builder = given(&fixture());
        append_all(form, &fixture(), &mut builder, &grown());
        let new: Vec<_> = builder
            .kinds()
            .skip(24)
            .map(|(name, kind)| (name.to_owned(), kind))
            .collect();
        let wanted = [
            ("_time", ColumnType::Timestamp),
            ("_user", ColumnType::String),
            ("newcolumn1", ColumnType::String),
            ("newcolumn2", ColumnType::String),
        ];
        assert_eq!(
            new,
            wanted.map(|(name, kind)| (name.to_owned(), kind)),
            "{form:?}"
        );
        let batch = builder.finish();
        assert_fixture(form, &batch);
        assert_eq!(
            names(&batch)[25..],
            ["newcolumn1", "newcolumn2", "_time", "_user"]
        );
        for row in 0..3 {
            assert_eq!(cell(&batch, "newcolumn1", row), "\"1\"", "{form:?}");
            assert_eq!(cell(&batch, "newcolumn2", row), "\"2\"", "{form:?}");
        }
    }
}

/// The store has them the other way round: so does the table, whatever order the events have.
#[test]
fn expectation_4_new_columns_stand_as_the_store_has_them() {
    let mut columns = fixture();
    for name in ["newcolumn2", "newcolumn1"] {
        columns.push((name.into(), "string".into()));
    }
    for form in FORMS {
        let mut builder = given(&columns);
        append_all(form, &columns, &mut builder, &grown());
        let batch = builder.finish();
        assert_fixture(form, &batch);
        assert_eq!(
            names(&batch)[25..],
            ["newcolumn2", "newcolumn1", "_time", "_user"],
            "{form:?}"
        );
        for row in 0..3 {
            assert_eq!(text(batch.column(25), row), "\"2\"", "{form:?}");
            assert_eq!(text(batch.column(26), row), "\"1\"", "{form:?}");
        }
    }
}

/// Avro has no duplicate keys.
#[test]
fn expectation_5_of_a_duplicate_key_the_first_counts() {
    for form in [Form::Rakam, Form::Fabric, Form::Plain] {
        let mut builder = builder();
        let twice = vec![("testcolumn", "string", 1), ("testcolumn", "string", 2)];
        append_all(form, &[], &mut builder, &[twice]);
        let batch = builder.finish();
        assert_eq!(
            names(&batch),
            ["_shard_time", "_time", "_user", "testcolumn"],
            "{form:?}"
        );
        assert_eq!(batch.num_rows(), 1);
        assert_eq!(cell(&batch, "testcolumn", 0), "\"1\"", "{form:?}");
    }
}

#[test]
fn expectation_6_a_new_table_with_one_string_column() {
    for form in FORMS {
        let mut builder = builder();
        let columns = [("testcolumn".to_owned(), "string".to_owned())];
        let events = [0, 1, 2].map(|i| vec![("testcolumn", "string", i)]);
        append_all(form, &columns, &mut builder, &events);
        let batch = builder.finish();
        assert_eq!(
            names(&batch),
            ["_shard_time", "_time", "_user", "testcolumn"],
            "{form:?}"
        );
        assert_eq!(batch.num_rows(), 3);
        for row in 0..3 {
            assert_eq!(text(batch.column(3), row), format!("\"{row}\""), "{form:?}");
        }
    }
}

#[test]
fn expectation_7_the_tables_name_behind_the_fields() {
    let fabric = r#"{"data":{"testcolumn":"1","testcolumn":"2","_project":"testproject","_collection":"testcollection"}}"#;
    let rakam = r#"{"properties":{"testcolumn":"1","testcolumn":"2"},"collection":"testcollection","project":"testproject"}"#;
    for (layout, record) in [(Layout::Fabric, fabric), (Layout::Rakam, rakam)] {
        let mut decoder = JsonDecoder::new(JsonSettings {
            layout,
            project: "p".into(),
            collection_field: None,
            max_bytes: 1 << 20,
        });
        let mut builder = builder();
        let row = decoder.decode("t", Some(record.as_bytes())).unwrap();
        assert_eq!((row.project(), row.collection()), (PROJECT, COLLECTION));
        builder.append(&row);
        let batch = builder.finish();
        assert_eq!(
            names(&batch),
            ["_shard_time", "_time", "_user", "testcolumn"]
        );
        assert_eq!(
            (batch.num_rows(), cell(&batch, "testcolumn", 0)),
            (1, "\"1\"".into())
        );
    }
}

/// Records of a table that had one column, then of the same table with two.
#[test]
fn expectation_9_records_of_a_shorter_schema_are_null_in_later_columns() {
    let columns = ["a", "b"].map(|name| (name.to_owned(), "long".to_owned()));
    for form in [Form::Kinesis, Form::Kafka, Form::Avro] {
        let mut builder = builder();
        let short = (0..1000)
            .map(|n| vec![("a", "long", n)])
            .collect::<Vec<_>>();
        let whole = (0..1000)
            .map(|n| vec![("a", "long", n), ("b", "long", n)])
            .collect::<Vec<_>>();
        // With one column known, a body of the original's has one field.
        match form {
            Form::Avro => append_all(form, &columns, &mut builder, &short),
            _ => {
                let mut decoder = rakam_decoder(&columns);
                for n in 0..1000 {
                    let payload = [vec![2], text_bytes(COLLECTION), avro_value("long", n)].concat();
                    let row = match form {
                        Form::Kinesis => decoder.kinesis(PROJECT, Some(&payload)).unwrap(),
                        _ => decoder.kafka("testproject.x", Some(&payload)).unwrap(),
                    };
                    builder.append(&row);
                }
            }
        }
        append_all(form, &columns, &mut builder, &whole);
        let batch = builder.finish();
        assert_eq!(batch.num_rows(), 2000);
        for n in 0..1000 {
            assert_eq!(cell(&batch, "a", n), n.to_string(), "{form:?}");
            assert_eq!(cell(&batch, "b", n), "null", "{form:?}");
            assert_eq!(cell(&batch, "b", n + 1000), n.to_string(), "{form:?}");
        }
    }
}
