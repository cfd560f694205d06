//! Single records: frames, tables, limits, and what is no record.

use super::*;

const USER: &str = r#"{"type":"record","name":"org.x.User","fields":[
    {"name":"name","type":"string"},{"name":"age","type":["null","int"]}]}"#;
const BODY: &[u8] = b"\x06Ada\x02\x48";

fn user(age: Plain) -> Plain {
    Plain::Object(
        [
            ("name".into(), Plain::Text("Ada".into())),
            ("age".into(), age),
        ]
        .into(),
    )
}

#[test]
fn a_record_is_read_by_number_by_guid_and_by_fingerprint() {
    let print = Schema::parse(USER, &[]).unwrap().fingerprint();
    let guid = SchemaId::Guid([7; 16]);
    let shelf = || {
        Shelf::default()
            .with(SchemaId::Number(1), USER)
            .with(guid, USER)
            .with(SchemaId::Fingerprint(print), USER)
    };
    let mut decoder = AvroDecoder::new(settings(shelf(), None));
    for _ in 0..2 {
        let payload = framed(BODY);
        let row = decoder.decode("Topic", Some(&payload), None).unwrap();
        assert_eq!(fields(&row), user(Plain::Long(36)));
        assert_eq!((row.project(), row.collection()), ("p", "topic"));
        let header = [&[1][..], &[7; 16]].concat();
        let row = decoder.decode("t", Some(BODY), Some(&header)).unwrap();
        assert_eq!(fields(&row), user(Plain::Long(36)));
    }
    let mut settings = settings(shelf(), None);
    settings.encoding = Encoding::SingleObject;
    let mut decoder = AvroDecoder::new(settings);
    let payload = [&[0xC3, 1][..], &print.to_le_bytes(), BODY].concat();
    assert_eq!(
        fields(&decoder.decode("t", Some(&payload), None).unwrap()),
        user(Plain::Long(36))
    );
}

#[test]
fn a_schema_that_is_not_at_hand_is_asked_for() {
    let mut decoder = decoder(USER, None);
    let payload = [0, 0, 0, 1, 1, 9];
    let failure = decoder.decode("t", Some(&payload), None).unwrap_err();
    let needed = Needed::new("schema 257", NotYet::Asked);
    assert_eq!(failure, Failure::Needs(needed));
    assert_eq!(failure.to_string(), "schema 257 is not at hand yet");
}

#[test]
fn what_is_known_to_be_nowhere_or_of_no_use_is_a_dead_letter() {
    let mut shelf = Shelf::default();
    shelf.0.insert(
        SchemaId::Number(1),
        Found::Unknown("the registry has none".into()),
    );
    let mut decoder = AvroDecoder::new(settings(shelf, None));
    let what = bad(&mut decoder, &framed(BODY)).to_string();
    assert_eq!(what, "unknown_schema: schema 1: the registry has none");
    let mut shelf = Shelf::default();
    shelf.0.insert(
        SchemaId::Number(1),
        Found::Unusable("it is recursive".into()),
    );
    let mut decoder = AvroDecoder::new(settings(shelf, None));
    assert_eq!(
        bad(&mut decoder, &framed(BODY)).to_string(),
        "unusable_schema: schema 1: it is recursive"
    );
}

#[test]
fn every_cut_and_every_extra_byte_is_noticed_and_leaves_no_trace() {
    let mut decoder = decoder(USER, None);
    let whole = framed(BODY);
    for len in 0..whole.len() {
        assert_eq!(
            bad(&mut decoder, &whole[..len]).reason,
            Reason::NotAvro,
            "{len}"
        );
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(
        bad(&mut decoder, &longer).to_string(),
        "not_avro: something follows the record at byte 11"
    );
    let row = decoder.decode("t", Some(&whole), None).unwrap();
    assert_eq!(fields(&row), user(Plain::Long(36)));
    assert_eq!(
        bad(&mut decoder, &framed(b"\x06Ada\x04\x48")).reason,
        Reason::NotAvro
    );
    assert_eq!(
        bad(&mut decoder, &framed(b"\x04\xff\xff\x00")).reason,
        Reason::NotAvro
    );
    assert_eq!(
        bad(&mut decoder, &framed(b"\x01\x00")).reason,
        Reason::NotAvro
    );
    let tombstone = decoder.decode("t", None, None).unwrap_err();
    assert!(matches!(
        tombstone,
        Failure::Bad(BadRecord {
            reason: Reason::NotAvro,
            ..
        })
    ));
    assert_eq!(
        bad(&mut decoder, &vec![0; (1 << 20) + 1]).reason,
        Reason::TooLarge
    );
}

/// Neither time nor memory is spent on items that take no bytes.
#[test]
fn arrays_of_nothing_are_bounded() {
    let record = |of: &str| {
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{of}}}]}}"#)
    };
    let empty = r#"{"type":"record","name":"E","fields":[]}"#;
    let nested = format!(r#"{{"type":"array","items":{{"type":"array","items":{empty}}}}}"#);
    let many = |count: i64| {
        let mut word = (count << 1).cast_unsigned();
        let mut bytes = Vec::new();
        while word >= 0x80 {
            bytes.push(word as u8 | 0x80);
            word >>= 7;
        }
        bytes.push(word as u8);
        bytes
    };
    for (items, head) in [
        (r#""null""#, vec![]),
        (empty, vec![]),
        (nested.as_str(), many(1)),
    ] {
        let of = format!(r#"{{"type":"array","items":{items}}}"#);
        for reader in [None, Some(r#"{"type":"record","name":"R","fields":[]}"#)] {
            let mut decoder = decoder(&record(&of), reader);
            for count in [1 << 60, i64::MAX >> 1, 262_145] {
                let body = [head.clone(), head.clone(), many(count)].concat();
                let bad = bad(&mut decoder, &framed(&body));
                let right = bad
                    .detail
                    .starts_with("the record has more than 262144 items");
                assert!(right, "{items} {count}: {bad}");
            }
        }
    }
    let mut decoder = decoder(&record(r#"{"type":"array","items":"null"}"#), None);
    let body = [many(262_144), many(0)].concat();
    decoder.decode("t", Some(&framed(&body)), None).unwrap();
}

#[test]
fn blocks_may_say_their_bytes() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"a","type":{"type":"array","items":"int"}},{"name":"m","type":{"type":"map","values":"string"}}]}"#;
    // Two items in 2 bytes, then one more; a map of one entry in 4 bytes.
    let body = b"\x03\x04\x02\x04\x02\x06\x00\x01\x08\x02k\x02v\x00";
    let expected = Plain::List(vec![Plain::Long(1), Plain::Long(2), Plain::Long(3)]);
    let mut decoder_of = decoder(schema, None);
    let payload = framed(body);
    let row = decoder_of.decode("t", Some(&payload), None).unwrap();
    let map = Plain::Map([("k".into(), Plain::Text("v".into()))].into());
    assert_eq!(
        fields(&row),
        Plain::Object([("a".into(), expected), ("m".into(), map.clone())].into())
    );
    let reader = r#"{"type":"record","name":"R","fields":[{"name":"m","type":{"type":"map","values":"string"}}]}"#;
    let mut skipping = decoder(schema, Some(reader));
    let row = skipping.decode("t", Some(&payload), None).unwrap();
    assert_eq!(fields(&row), Plain::Object([("m".into(), map)].into()));
}

/// Found by mutated seeds: a reader that skips an array must not come to another judgement than one that reads it.
#[test]
fn what_a_block_says_of_its_bytes_decides_nothing() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"a","type":{"type":"array","items":"int"}}]}"#;
    let payload = framed(b"\x01\x7e\x02\x00");
    for reader in [None, Some(r#"{"type":"record","name":"R","fields":[]}"#)] {
        decoder(schema, reader)
            .decode("t", Some(&payload), None)
            .unwrap();
    }
}

#[test]
fn only_records_become_rows_also_those_in_a_union() {
    let root = r#"["null",{"type":"record","name":"A","fields":[{"name":"x","type":"int"}]},
        {"type":"record","name":"n.B","fields":[{"name":"y","type":"int"}]}]"#;
    let mut settings = settings(Shelf::default().with(SchemaId::Number(1), root), None);
    settings.collection = Collection::Record;
    let mut decoder = AvroDecoder::new(settings);
    let payload = framed(b"\x04\x02");
    let row = decoder.decode("t", Some(&payload), None).unwrap();
    assert_eq!(
        (row.collection(), fields(&row)),
        ("b", Plain::Object([("y".into(), Plain::Long(1))].into()))
    );
    assert_eq!(
        bad(&mut decoder, &framed(b"\x00")).reason,
        Reason::WrongLayout
    );
    assert_eq!(
        bad(&mut super::decoder("\"int\"", None), &framed(b"\x00")).reason,
        Reason::WrongLayout
    );
}

#[test]
fn a_field_may_name_the_collection() {
    let mut of_field = settings(Shelf::default().with(SchemaId::Number(1), USER), None);
    of_field.collection = Collection::Field("name".into());
    let mut decoder = AvroDecoder::new(of_field.clone());
    let payload = framed(BODY);
    assert_eq!(
        decoder
            .decode("t", Some(&payload), None)
            .unwrap()
            .collection(),
        "ada"
    );
    assert_eq!(
        bad(&mut decoder, &framed(b"\x00\x00")).reason,
        Reason::NoTable
    );
    for field in ["age", "none"] {
        of_field.collection = Collection::Field(field.into());
        let mut decoder = AvroDecoder::new(of_field.clone());
        assert_eq!(
            bad(&mut decoder, &payload).reason,
            Reason::NoTable,
            "{field}"
        );
    }
}

/// So the table finds columns without a look at the names, whatever schema a record has.
#[test]
fn schemas_share_one_numbering_of_names() {
    let other = r#"{"type":"record","name":"V","fields":[
        {"name":"new","type":"int"},{"name":"age","type":"int"}]}"#;
    let shelf = Shelf::default()
        .with(SchemaId::Number(1), USER)
        .with(SchemaId::Number(2), other);
    let mut decoder = AvroDecoder::new(settings(shelf, None));
    let numbers = |row: &Row<'_>| -> Vec<_> { row.values().map(|(number, _)| number).collect() };
    let payload = framed(BODY);
    let first = decoder.decode("t", Some(&payload), None).unwrap();
    let (numbering, of_first) = (first.numbering(), numbers(&first));
    let row = decoder
        .decode("t", Some(&[0, 0, 0, 0, 2, 2, 2]), None)
        .unwrap();
    assert_eq!(row.numbering(), numbering);
    assert_eq!(numbers(&row)[1], of_first[1]);
    assert!(!of_first.contains(&numbers(&row)[0]));
    let row = decoder.decode("t", Some(&payload), None).unwrap();
    assert_eq!(numbers(&row), of_first);
}

#[test]
fn logical_types_have_their_values() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"tm","type":{"type":"int","logicalType":"time-millis"}},
        {"name":"tu","type":{"type":"long","logicalType":"time-micros"}},
        {"name":"ms","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"us","type":{"type":"long","logicalType":"local-timestamp-micros"}},
        {"name":"ns","type":{"type":"long","logicalType":"timestamp-nanos"}},
        {"name":"dec","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},
        {"name":"fix","type":{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4,"scale":1}},
        {"name":"id","type":{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}},
        {"name":"ids","type":{"type":"string","logicalType":"uuid"}},
        {"name":"odd","type":{"type":"long","logicalType":"no-such-thing"}},
        {"name":"dur","type":{"type":"fixed","name":"D","size":12,"logicalType":"duration"}}]}"#;
    let mut body = vec![1, 2, 4, 6, 8, 1, 2, 0x85, 0xff, 0x85];
    body.extend(0..16);
    body.extend(b"\x06any\x0e");
    body.extend([9; 12]);
    let mut decoder = decoder(schema, None);
    let payload = framed(&body);
    let row = decoder.decode("t", Some(&payload), None).unwrap();
    let values: Vec<_> = row.values().map(|(_, value)| plain(&value)).collect();
    assert_eq!(
        values,
        [
            Plain::Date(-1),
            Plain::Time(1000),
            Plain::Time(2),
            Plain::Millis(3),
            Plain::Micros(4),
            Plain::Micros(-1),
            Plain::Decimal(-123, 2),
            Plain::Decimal(-123, 1),
            Plain::Text("00010203-0405-0607-0809-0a0b0c0d0e0f".into()),
            Plain::Text("any".into()),
            Plain::Long(7),
            Plain::Bytes(vec![9; 12]),
        ]
    );
}

#[test]
fn a_container_gives_a_row_for_each_object_or_none() {
    use apache_avro::{Codec, DeflateSettings, Writer};
    let schema = Parsed::parse_str(USER).unwrap();
    for codec in [Codec::Null, Codec::Deflate(DeflateSettings::default())] {
        let mut writer = Writer::with_codec(&schema, Vec::new(), codec).unwrap();
        for age in 0..1000 {
            let record = Theirs::Record(vec![
                ("name".into(), Theirs::String("Ada".into())),
                ("age".into(), Theirs::Union(1, Theirs::Int(age).into())),
            ]);
            writer.append_value(record).unwrap();
            if age % 300 == 0 {
                writer.flush().unwrap();
            }
        }
        let file = writer.into_inner().unwrap();
        let mut settings = settings(Shelf::default(), None);
        settings.encoding = Encoding::Container;
        settings.max_bytes = 16 << 10;
        let mut decoder = AvroDecoder::new(settings.clone());
        for _ in 0..2 {
            assert_eq!(
                fields(&decoder.decode("t", Some(&file), None).unwrap()),
                user(Plain::Long(0))
            );
            for age in 1..1000 {
                let row = decoder.more("t").unwrap().unwrap();
                assert_eq!(fields(&row), user(Plain::Long(age)));
            }
            assert!(decoder.more("t").is_none());
        }
        for len in (0..file.len()).step_by(7) {
            let failed = decoder
                .decode("t", Some(&file[..len]), None)
                .map(|row| fields(&row));
            // At the end of a block the file is whole.
            if failed.is_err() {
                assert!(decoder.more("t").is_none(), "{len}");
            }
        }
        settings.max_bytes = 5000;
        let mut decoder = AvroDecoder::new(settings);
        assert_eq!(
            bad(&mut decoder, &file).reason,
            Reason::TooLarge,
            "{codec:?}"
        );
        assert!(decoder.more("t").is_none());
    }
}

/// A record is rows or a dead letter, never both: also if what is wrong with an object is that it has no table.
#[test]
fn a_container_with_an_object_without_a_table_has_no_rows() {
    let schema = Parsed::parse_str(USER).unwrap();
    for names in [["a", "b", ""], ["", "a", "b"]] {
        let mut writer = apache_avro::Writer::new(&schema, Vec::new()).unwrap();
        for name in names {
            let age = Theirs::Union(1, Theirs::Int(1).into());
            let fields = [("name", Theirs::String(name.into())), ("age", age)];
            let fields = fields.map(|(name, value)| (name.to_owned(), value));
            writer.append_value(Theirs::Record(fields.into())).unwrap();
        }
        let file = writer.into_inner().unwrap();
        let mut settings = settings(Shelf::default(), None);
        settings.encoding = Encoding::Container;
        settings.collection = Collection::Field("name".into());
        let mut decoder = AvroDecoder::new(settings);
        assert_eq!(bad(&mut decoder, &file).reason, Reason::NoTable);
        assert!(decoder.more("t").is_none());
    }
}

#[test]
fn strings_are_utf8_each_on_its_own() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"a","type":"string"},{"name":"b","type":"string"},{"name":"n","type":"long"}]}"#;
    let mut decoder = decoder(schema, None);
    let body = |a: &[u8], b: &[u8], rest: &[u8]| {
        let len = |text: &[u8]| [(text.len() * 2) as u8];
        framed(&[&len(a), a, &len(b), b, rest].concat())
    };
    let mut refuses = |body: &[u8], at: usize| {
        let bad = bad(&mut decoder, body);
        assert_eq!(bad.reason, Reason::NotAvro);
        let expected = format!("a string that is not UTF-8 at byte {at}");
        assert_eq!(bad.detail, expected);
    };
    // "é" cut in two by the end of the first string, and by the end of the last.
    refuses(&body(b"x\xC3", b"\xA9y", b"\x02"), 5);
    refuses(&body(b"x", b"y\xC3", b"\x02"), 7);
    refuses(&body(b"\xA9", b"", b"\x02"), 5);
    // What comes first is told first: here the record ends too early as well.
    refuses(&body(b"\xFF", b"y", b""), 5);
    let good = body("é".as_bytes(), b"", b"\x02");
    let row = decoder.decode("t", Some(&good), None).unwrap();
    let expected = [
        ("a", Plain::Text("é".into())),
        ("b", Plain::Text(String::new())),
        ("n", Plain::Long(1)),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(fields(&row), Plain::Object(expected.into()));
}
