//! The Apache Avro project's shared vectors: what every implementation must read, and refuse, alike.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::oracle::theirs;
use super::*;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/apache-avro")
        .join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).unwrap()
}

/// The schemas in a directory, by their files' names.
fn schemas(directory: &str) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(path(directory)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| (name.clone(), text(&format!("{directory}/{name}"))))
        .collect()
}

fn reading(encoding: Encoding, schemas: Shelf) -> AvroDecoder {
    let mut settings = settings(schemas, None);
    settings.encoding = encoding;
    AvroDecoder::new(settings)
}

/// The rows of a container.
fn rows(file: &[u8]) -> Vec<Plain> {
    let mut decoder = reading(Encoding::Container, Shelf::default());
    let mut rows = vec![fields(&decoder.decode("t", Some(file), None).unwrap())];
    while let Some(row) = decoder.more("t") {
        rows.push(fields(&row.unwrap()));
    }
    rows
}

fn refused(file: &[u8]) -> String {
    let mut decoder = reading(Encoding::Container, Shelf::default());
    let bad = bad(&mut decoder, file);
    assert!(decoder.more("t").is_none());
    bad.to_string()
}

/// What stands between `<<NAME` and the line's end, or the line `NAME`.
fn parts(case: &str) -> BTreeMap<&str, String> {
    let mut parts = BTreeMap::new();
    let mut lines = case.lines();
    while let Some(line) = lines.next() {
        let Some(head) = line.strip_prefix("<<") else {
            continue;
        };
        let (name, rest) = head.split_once(' ').unwrap_or((head, ""));
        let value = match rest {
            "" => lines
                .by_ref()
                .take_while(|line| *line != name)
                .collect::<Vec<_>>()
                .join("\n"),
            rest => rest.to_owned(),
        };
        parts.insert(name, value);
    }
    parts
}

#[test]
fn fingerprints_are_those_of_the_canonical_forms() {
    let all = text("schema-tests.txt");
    let cases: Vec<_> = all.split("\n// 0").skip(1).map(parts).collect();
    assert_eq!(cases.len(), 34);
    let (mut prints, mut compared) = (BTreeMap::new(), 0);
    for (number, case) in cases.iter().enumerate() {
        let (input, canonical) = (&case["INPUT"], &case["canonical"]);
        // A case that leaves it out has the canonical form of the one before.
        let print: i64 = match case.get("fingerprint") {
            Some(print) => print.parse().unwrap(),
            None => prints[canonical],
        };
        prints.insert(canonical.clone(), print);
        let of_form = canonical::fingerprint(canonical).cast_signed();
        assert_eq!(of_form, print, "{number} {canonical}");
        match (number, Schema::parse(input, &[])) {
            // A record within itself has a form, but no columns.
            (33, ours) => {
                let theirs = Parsed::parse_str(input).unwrap();
                let form = canonical::canonical_form(&theirs, &HashMap::new());
                assert_eq!(form, *canonical);
                assert!(ours.unwrap_err().to_string().contains("recursive"));
            }
            (_, ours) => {
                let ours = ours.unwrap_or_else(|bad| panic!("{number} {input}: {bad}"));
                assert_eq!(ours.fingerprint().cast_signed(), print, "{number} {input}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 33);
}

#[test]
fn a_message_of_the_single_object_encoding_finds_its_schema_by_the_fingerprint() {
    let schema = text("messageV1/test_schema.avsc");
    let print = Schema::parse(&schema, &[]).unwrap().fingerprint();
    let shelf = Shelf::default().with(SchemaId::Fingerprint(print), &schema);
    let mut decoder = reading(Encoding::SingleObject, shelf);
    let message = bytes("messageV1/test_message.bin");
    let text = |text: &str| Plain::Text(text.into());
    let expected = [
        ("id", Plain::Long(42)),
        ("name", text("Bill")),
        (
            "tags",
            Plain::List(vec![text("dog_lover"), text("cat_hater")]),
        ),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    let row = decoder.decode("t", Some(&message), None).unwrap();
    assert_eq!(fields(&row), Plain::Object(expected.into()));
}

/// The same five readings, without compression and with it; sorted, they stand in another order.
#[test]
fn weather_is_the_same_in_every_codec_that_is_served() {
    let lines = text("weather.json");
    let readings = lines.lines().map(|line| {
        let reading: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = [
            (
                "station",
                Plain::Text(reading["station"].as_str().unwrap().into()),
            ),
            ("time", Plain::Long(reading["time"].as_i64().unwrap())),
            ("temp", Plain::Long(reading["temp"].as_i64().unwrap())),
        ];
        Plain::Object(fields.map(|(name, value)| (name.to_owned(), value)).into())
    });
    let readings: Vec<_> = readings.collect();
    assert_eq!(readings.len(), 5);
    assert_eq!(rows(&bytes("weather.avro")), readings);
    assert_eq!(rows(&bytes("weather-deflate.avro")), readings);
    let sorted = rows(&bytes("weather-sorted.avro"));
    assert_eq!(sorted.len(), 5);
    assert!(readings.iter().all(|reading| sorted.contains(reading)));
}

#[test]
fn a_codec_that_is_not_served_is_named_with_those_that_are() {
    for (file, codec) in [
        ("weather-snappy.avro", "snappy"),
        ("weather-zstd.avro", "zstandard"),
    ] {
        assert_eq!(
            refused(&bytes(file)),
            format!("wrong_layout: the container's codec is {codec}: null and deflate are served")
        );
    }
}

/// Files of several writers, one with a codec that is not named and one with more in its head than anyone asks for.
#[test]
fn containers_are_read_as_apache_avro_reads_them() {
    for (name, count) in [
        ("schemas/simple/data.avro", 3),
        ("schemas/withUnion/data.avro", 3),
        ("syncInMeta.avro", 6001),
        ("c/avro-1279-codec.avro", 3),
        ("c/avro-1279-no-codec.avro", 3),
    ] {
        let file = bytes(name);
        let expected = apache_avro::Reader::new(&file[..]).unwrap();
        let expected: Vec<_> = expected.map(|value| theirs(value.unwrap())).collect();
        assert_eq!(expected.len(), count, "{name}");
        assert_eq!(rows(&file), expected, "{name}");
    }
}

#[test]
fn a_file_of_the_format_before_1_3_is_refused() {
    let why = refused(&bytes("test.avro12"));
    assert!(
        why.starts_with("not_avro: the payload does not begin with Obj and 1"),
        "{why}"
    );
}

#[test]
fn schemas_that_are_none_are_refused() {
    let refused = schemas("schemas/c/fail");
    assert_eq!(refused.len(), 12);
    for (name, text) in refused {
        assert!(Schema::parse(&text, &[]).is_err(), "{name}: {text}");
    }
}

/// Those that are refused nevertheless are within themselves, which no table can be.
#[test]
fn schemas_that_are_some_are_read() {
    let within_themselves = [
        "interop.avsc",
        "namespace_fullname",
        "namespace_null_record",
        "namespace_recursive",
        "namespace_simple",
        "recursive_record",
    ];
    let all: Vec<_> = ["schemas/c/pass", "schemas/shared"]
        .into_iter()
        .flat_map(schemas)
        .collect();
    assert_eq!(all.len(), 28 + 6);
    for (name, text) in all {
        match Schema::parse(&text, &[]) {
            Ok(_) => assert!(!within_themselves.contains(&&*name), "{name}"),
            Err(bad) => {
                assert!(within_themselves.contains(&&*name), "{name}: {bad}");
                assert!(bad.to_string().contains("recursive types"), "{name}: {bad}");
            }
        }
    }
}
