//! A reader's schema against a writer's, rule by rule.

use super::*;

/// What comes of a field `f` of type `writer` with these bytes, read as `reader`; of bad records what is wrong.
fn read(writer: &str, bytes: &[u8], reader: &str) -> Result<Plain, String> {
    let record = |of: &str| {
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{of}}}]}}"#)
    };
    let mut decoder = decoder(&record(writer), Some(&record(reader)));
    let payload = framed(bytes);
    match decoder.decode("t", Some(&payload), None) {
        Ok(row) => Ok(row.values().map(|(_, value)| plain(&value)).next().unwrap()),
        Err(failure) => Err(failure.to_string()),
    }
}

fn double(value: f64) -> Plain {
    Plain::Double(value.to_bits())
}

#[test]
fn numbers_and_texts_are_promoted() {
    assert_eq!(read("\"int\"", b"\x06", "\"long\""), Ok(Plain::Long(3)));
    assert_eq!(read("\"int\"", b"\x06", "\"float\""), Ok(double(3.0)));
    assert_eq!(read("\"int\"", b"\x06", "\"double\""), Ok(double(3.0)));
    assert_eq!(
        read("\"long\"", b"\x82\x80\x80\x10", "\"float\""),
        Ok(double(16_777_216.0))
    );
    assert_eq!(
        read("\"long\"", b"\x82\x80\x80\x10", "\"double\""),
        Ok(double(16_777_217.0))
    );
    assert_eq!(
        read("\"float\"", &0.1f32.to_le_bytes(), "\"double\""),
        Ok(double(0.1f32.into()))
    );
    assert_eq!(
        read("\"string\"", b"\x02a", "\"bytes\""),
        Ok(Plain::Bytes(b"a".into()))
    );
    assert_eq!(
        read("\"bytes\"", b"\x02a", "\"string\""),
        Ok(Plain::Text("a".into()))
    );
    assert!(read("\"bytes\"", b"\x02\xff", "\"string\"").is_err());
    let why = read("\"long\"", b"\x06", "\"int\"").unwrap_err();
    assert_eq!(why, "wrong_layout: long cannot be read as int at byte 5");
    for (writer, reader) in [
        ("\"double\"", "\"float\""),
        ("\"boolean\"", "\"int\""),
        ("\"string\"", "\"long\""),
    ] {
        assert!(
            read(writer, &[0; 8], reader)
                .unwrap_err()
                .contains("cannot be read")
        );
    }
}

#[test]
fn unions_are_resolved_on_either_side() {
    let nullable = r#"["null","string"]"#;
    assert_eq!(
        read("\"string\"", b"\x02a", nullable),
        Ok(Plain::Text("a".into()))
    );
    assert_eq!(
        read(nullable, b"\x02\x02a", "\"string\""),
        Ok(Plain::Text("a".into()))
    );
    assert!(
        read(nullable, b"\x00", "\"string\"")
            .unwrap_err()
            .contains("null cannot be read as string")
    );
    assert_eq!(
        read(
            r#"["int","string"]"#,
            b"\x00\x02",
            r#"["string","null","long"]"#
        ),
        Ok(Plain::Long(1))
    );
    // The writer's own type is preferred to one it can be promoted to.
    assert_eq!(
        read("\"int\"", b"\x02", r#"["double","int"]"#),
        Ok(Plain::Long(1))
    );
    assert_eq!(
        read("\"int\"", b"\x02", r#"["string","double"]"#),
        Ok(double(1.0))
    );
    assert!(
        read("\"boolean\"", b"\x01", nullable)
            .unwrap_err()
            .contains("none of what")
    );
}

#[test]
fn symbols_that_the_reader_does_not_know_are_its_default() {
    let symbols =
        |all: &str, more: &str| format!(r#"{{"type":"enum","name":"E","symbols":[{all}]{more}}}"#);
    let writer = symbols(r#""A","B""#, "");
    let text = |text: &str| Ok(Plain::Text(text.into()));
    assert_eq!(
        read(&writer, b"\x02", &symbols(r#""B","A""#, "")),
        text("B")
    );
    assert_eq!(
        read(
            &writer,
            b"\x02",
            &symbols(r#""Z","A""#, r#","default":"Z""#)
        ),
        text("Z")
    );
    assert_eq!(
        read(&writer, b"\x00", &symbols(r#""Z","A""#, "")),
        text("A")
    );
    assert!(
        read(&writer, b"\x02", &symbols(r#""Z","A""#, ""))
            .unwrap_err()
            .contains("symbol")
    );
    assert!(
        read(&writer, b"\x04", &writer)
            .unwrap_err()
            .starts_with("not_avro")
    );
    assert!(read(&writer, b"\x00", &writer.replace("\"E\"", "\"Other\"")).is_err());
    let aliased =
        symbols(r#""A","B""#, r#","aliases":["E"]"#).replace("\"E\",\"s", "\"Other\",\"s");
    assert_eq!(read(&writer, b"\x00", &aliased), text("A"));
}

#[test]
fn fields_are_found_by_name_and_alias_and_filled_by_defaults() {
    let writer = r#"{"type":"record","name":"a.R","fields":[
        {"name":"gone","type":{"type":"map","values":{"type":"array","items":"string"}}},
        {"name":"old","type":"int"},{"name":"same","type":"string"}]}"#;
    let reader = r#"{"type":"record","name":"b.R","fields":[
        {"name":"same","type":["null","string"],"default":null},
        {"name":"new","type":"long","aliases":["older","old"]},
        {"name":"i","type":"int","default":7},
        {"name":"day","type":{"type":"int","logicalType":"date"},"default":8},
        {"name":"n","type":["null","int"],"default":null},
        {"name":"b","type":"bytes","default":"\u00ff\u0001"},
        {"name":"l","type":{"type":"array","items":"float"},"default":[0.5,1]},
        {"name":"m","type":{"type":"map","values":"int"},"default":{"k":1}},
        {"name":"r","type":{"type":"record","name":"In","fields":[
            {"name":"x","type":"boolean","default":true},{"name":"y","type":"string"}]},"default":{"y":"z"}},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["S"]},"default":"S"}]}"#;
    let mut decoder = decoder(writer, Some(reader));
    let payload = framed(b"\x02\x02k\x02\x02v\x00\x00\x0c\x04yo");
    let row = decoder.decode("t", Some(&payload), None).unwrap();
    let inner = Plain::Object(
        [
            ("x".into(), Plain::Bool(true)),
            ("y".into(), Plain::Text("z".into())),
        ]
        .into(),
    );
    let expected = [
        ("same", Plain::Text("yo".into())),
        ("new", Plain::Long(6)),
        ("i", Plain::Long(7)),
        ("day", Plain::Date(8)),
        ("n", Plain::Null),
        ("b", Plain::Bytes(vec![0xff, 1])),
        ("l", Plain::List(vec![double(0.5), double(1.0)])),
        ("m", Plain::Map([("k".into(), Plain::Long(1))].into())),
        ("r", inner),
        ("e", Plain::Text("S".into())),
    ];
    let expected = expected
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    assert_eq!(fields(&row), Plain::Object(expected));
}

/// Of these `apache-avro` refuses the whole schema: texts as defaults of fixed within a record, and a union's default that is of its
/// second branch.
#[test]
fn defaults_that_apache_avro_refuses_are_taken() {
    let reader = r#"{"type":"record","name":"R","fields":[
        {"name":"r","type":{"type":"record","name":"In","fields":[
            {"name":"x","type":{"type":"fixed","name":"F","size":2}},
            {"name":"id","type":{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}},
            {"name":"m","type":{"type":"fixed","name":"D","size":12,"logicalType":"duration"}}]},
         "default":{"x":"\u00ff\u0001","id":"0123456789abcdef","m":"\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f"}},
        {"name":"u","type":["null","string"],"default":"x"}]}"#;
    let mut decoder = decoder(r#"{"type":"record","name":"R","fields":[]}"#, Some(reader));
    let payload = framed(&[]);
    let row = decoder.decode("t", Some(&payload), None).unwrap();
    let id = "30313233-3435-3637-3839-616263646566";
    let inner = [
        ("x", Plain::Bytes(vec![0xff, 1])),
        ("id", Plain::Text(id.into())),
        ("m", Plain::Bytes((1..=12).collect())),
    ];
    let inner = inner.map(|(name, value)| (name.to_owned(), value));
    let expected = [
        ("r".to_owned(), Plain::Object(inner.into())),
        ("u".to_owned(), Plain::Text("x".into())),
    ];
    assert_eq!(fields(&row), Plain::Object(expected.into()));
}

/// A default that is not of its type is of no consequence to a writer; a reader's makes records bad that lack the field.
#[test]
fn a_default_that_is_none_spoils_only_what_needs_it() {
    let schema =
        r#"{"type":"record","name":"R","fields":[{"name":"f","type":"int","default":"x"}]}"#;
    let payload = framed(b"\x02");
    let mut written = decoder(schema, None);
    let row = written.decode("t", Some(&payload), None).unwrap();
    assert_eq!(
        fields(&row),
        Plain::Object([("f".into(), Plain::Long(1))].into())
    );
    let empty = r#"{"type":"record","name":"R","fields":[]}"#;
    let why = bad(&mut decoder(empty, Some(schema)), &framed(&[])).to_string();
    assert!(
        why.contains("the default of field f is not of its type"),
        "{why}"
    );
}

#[test]
fn records_of_another_name_and_fields_without_default_are_refused_with_the_reason() {
    let writer = r#"{"type":"record","name":"A","fields":[]}"#;
    let reader = |name: &str, more: &str| {
        format!(
            r#"{{"type":"record","name":"{name}"{more},"fields":[{{"name":"f","type":"int"}}]}}"#
        )
    };
    let why = |reader: &str| bad(&mut decoder(writer, Some(reader)), &framed(&[])).to_string();
    assert!(why(&reader("B", "")).contains("record A cannot be read as record B"));
    let missing = "record A has no field f, for which the reader's schema has no default";
    assert!(why(&reader("A", "")).contains(missing));
    assert!(why(&reader("B", r#","aliases":["A"]"#)).contains(missing));
}

#[test]
fn logical_types_are_resolved_by_what_they_mean() {
    let long = |logical: &str| format!(r#"{{"type":"long","logicalType":"{logical}"}}"#);
    assert_eq!(
        read("\"long\"", b"\x02", &long("timestamp-millis")),
        Ok(Plain::Millis(1))
    );
    assert_eq!(
        read(
            &long("timestamp-micros"),
            b"\x02",
            &long("timestamp-millis")
        ),
        Ok(Plain::Micros(1))
    );
    assert_eq!(
        read(&long("timestamp-micros"), b"\x02", "\"long\""),
        Ok(Plain::Long(1))
    );
    assert!(read(&long("time-micros"), b"\x02", &long("timestamp-micros")).is_err());
    let decimal = |scale: u8| {
        format!(r#"{{"type":"bytes","logicalType":"decimal","precision":9,"scale":{scale}}}"#)
    };
    assert_eq!(
        read(&decimal(2), b"\x02\x05", &decimal(2)),
        Ok(Plain::Decimal(5, 2))
    );
    assert!(read(&decimal(2), b"\x02\x05", &decimal(3)).is_err());
}
