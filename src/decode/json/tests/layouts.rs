//! Where a record keeps its table's name and its fields.

use super::*;

fn table(layout: Layout, payload: &str) -> (String, String) {
    decode(layout, payload)
        .map(|(project, collection, _)| (project, collection))
        .unwrap()
}

fn names(project: &str, collection: &str) -> (String, String) {
    (project.into(), collection.into())
}

#[test]
fn rakam_reads_its_three_keys() {
    let payload = r#"{"project":"P1","collection":"Ünits","properties":{"A":1,"b":"X"}}"#;
    let (project, collection, found) = decode(Layout::Rakam, payload).unwrap();
    assert_eq!((project, collection), names("p1", "ünits"));
    assert_eq!(found, fields(&[("a", "1"), ("b", "\"X\"")]));
}

#[test]
fn d10_rakam_reads_properties_before_project_and_collection() {
    let payload = r#"{"properties":{"a":1},"collection":"c","project":"p"}"#;
    let (project, collection, found) = decode(Layout::Rakam, payload).unwrap();
    assert_eq!((project, collection), names("p", "c"));
    assert_eq!(found, fields(&[("a", "1")]));
}

#[test]
fn rakam_refuses_other_keys_in_the_root() {
    let payload = r#"{"project":"p","collection":"c","properties":{},"x":[1]}"#;
    assert_eq!(
        decode(Layout::Rakam, payload).unwrap_err().to_string(),
        "wrong_layout: only project, collection and properties may be in the root, not the key at byte 49"
    );
    assert_eq!(
        reason(Layout::Rakam, &payload.replace("[1]", "[1")),
        Some(Reason::NotJson)
    );
}

#[test]
fn rakam_keeps_properties_called_like_fabrics_routing() {
    let payload = r#"{"project":"p","collection":"c","properties":{"_project":1,"project":2}}"#;
    let (_, _, found) = decode(Layout::Rakam, payload).unwrap();
    assert_eq!(found, fields(&[("_project", "1"), ("project", "2")]));
}

#[test]
fn rakam_takes_the_first_of_a_key_given_twice() {
    let payload = r#"{"project":"p","project":"q","properties":{"a":1},"properties":{"b":2},"collection":"c","collection":5}"#;
    let (project, collection, found) = decode(Layout::Rakam, payload).unwrap();
    assert_eq!((project, collection), names("p", "c"));
    assert_eq!(found, fields(&[("a", "1")]));
}

#[test]
fn fabric_reads_data_and_ignores_the_rest() {
    let payload = r#"{"id":[1,{"x":null}],"metadata":{"a":1},"data":{"_project":"P","_collection":"C","X":1},"z":0}"#;
    let (project, collection, found) = decode(Layout::Fabric, payload).unwrap();
    assert_eq!((project, collection), names("p", "c"));
    assert_eq!(found, fields(&[("x", "1")]));
    assert_eq!(
        reason(Layout::Fabric, &payload.replace(":0}", ":00}")),
        Some(Reason::NotJson)
    );
}

#[test]
fn expectation_7_fabric_names_the_table_after_other_fields() {
    let payload =
        r#"{"data":{"testcolumn":"1","testcolumn":"2","_project":"p","_collection":"c"}}"#;
    let (project, collection, found) = decode(Layout::Fabric, payload).unwrap();
    assert_eq!((project, collection), names("p", "c"));
    assert_eq!(found, fields(&[("testcolumn", "\"1\"")]));
}

#[test]
fn d9_fabric_takes_data_from_the_root_only() {
    let payload = r#"{"metadata":{"data":{"_project":"no","_collection":"no"}},"data":{"a":1,"_project":"p","_collection":"c"}}"#;
    let (project, collection, found) = decode(Layout::Fabric, payload).unwrap();
    assert_eq!((project, collection), names("p", "c"));
    assert_eq!(found, fields(&[("a", "1")]));
}

#[test]
fn d9_fabric_finds_the_table_behind_nested_values() {
    let payload = r#"{"data":{"a":{"_project":"no","b":[{}]},"_project":"p","_collection":"c"}}"#;
    assert_eq!(table(Layout::Fabric, payload), names("p", "c"));
}

#[test]
fn d8_nested_values_stay_whole_in_their_field() {
    for nested in [
        r#"{"x":null}"#,
        r#"{"x":{"y":[1,{"z":2}]}}"#,
        "[[],{}]",
        "[null]",
    ] {
        let payload =
            format!(r#"{{"data":{{"_project":"p","_collection":"c","a":{nested},"b":1}}}}"#);
        let (_, _, found) = decode(Layout::Fabric, &payload).unwrap();
        assert_eq!(found, fields(&[("a", nested), ("b", "1")]));
    }
}

#[test]
fn names_of_fields_are_lower_case_except_in_plain() {
    let (_, _, found) = decode(
        Layout::Fabric,
        r#"{"data":{"_Project":"p","_COLLECTION":"c","Aa":1,"aA":2,"ÄΣ":3,"\u0041b":4}}"#,
    )
    .unwrap();
    assert_eq!(found, fields(&[("aa", "1"), ("äς", "3"), ("ab", "4")]));
    assert_eq!(
        plain(r#"{"Aa":1,"aA":2}"#).unwrap(),
        fields(&[("Aa", "1"), ("aA", "2")])
    );
}

#[test]
fn plain_takes_the_table_from_settings_and_topic() {
    let mut decoder = JsonDecoder::new(JsonSettings {
        project: "MyProject".into(),
        ..settings(Layout::Plain)
    });
    let row = decoder.decode("Web.Events", Some(b"{\"a\":1}")).unwrap();
    assert_eq!(
        (row.project(), row.collection()),
        ("myproject", "web.events")
    );
    let long = "t".repeat(249);
    assert_eq!(
        decoder.decode(&long, Some(b"{}")).unwrap().collection(),
        long
    );
    let longer = "t".repeat(250);
    assert_eq!(
        decoder.decode(&longer, Some(b"{}")).unwrap_err().reason,
        Reason::NoTable
    );
}

#[test]
fn plain_takes_the_collection_from_a_field_that_stays_a_column() {
    let settings = JsonSettings {
        collection_field: Some("type".into()),
        ..settings(Layout::Plain)
    };
    let mut decoder = JsonDecoder::new(settings);
    let (_, collection, found) = decode_with(
        &mut decoder,
        br#"{"a":{"type":"no"},"type":"Click","type":"x"}"#,
    )
    .unwrap();
    assert_eq!(collection, "click");
    assert_eq!(
        found,
        fields(&[("a", r#"{"type":"no"}"#), ("type", "\"Click\"")])
    );
    for payload in [
        r#"{"a":1}"#,
        r#"{"type":""}"#,
        r#"{"type":7}"#,
        r#"{"Type":"x"}"#,
    ] {
        let bad = decode_with(&mut decoder, payload.as_bytes()).unwrap_err();
        assert_eq!(bad.reason, Reason::NoTable, "{payload}");
    }
}

#[test]
fn a_record_without_the_layouts_object_is_refused() {
    for (layout, payload, expected) in [
        (Layout::Plain, "[1]", "the record is not an object"),
        (Layout::Plain, " \"x\" ", "the record is not an object"),
        (Layout::Fabric, "1", "the record is not an object"),
        (Layout::Fabric, "{}", "data is missing"),
        (Layout::Fabric, r#"{"data":[]}"#, "data is not an object"),
        (
            Layout::Fabric,
            r#"{"data":null,"data":{}}"#,
            "data is not an object",
        ),
        (
            Layout::Rakam,
            r#"{"project":"p","collection":"c"}"#,
            "properties is missing",
        ),
        (
            Layout::Rakam,
            r#"{"properties":null}"#,
            "properties is not an object",
        ),
    ] {
        let bad = decode(layout, payload).unwrap_err();
        assert_eq!(
            bad.to_string(),
            format!("wrong_layout: {expected}"),
            "{payload}"
        );
    }
}

#[test]
fn a_record_without_a_table_is_refused() {
    let long = format!("\"{}\"", "é".repeat(101));
    for (project, collection, expected) in [
        ("\"\"", "\"c\"", "project is empty"),
        ("5", "\"c\"", "project is not a string"),
        ("null", "\"c\"", "project is not a string"),
        ("\"p\"", "\"\"", "collection is empty"),
        ("\"p\"", "{}", "collection is not a string"),
        (
            "\"p\"",
            r#""\ud800""#,
            "collection has half a surrogate pair",
        ),
        ("\"p\"", &long, "collection is longer than 100 characters"),
    ] {
        for (layout, payload) in both(project, collection) {
            let bad = decode(layout, &payload).unwrap_err();
            assert!(bad.to_string().starts_with("no_table: "), "{bad}");
            assert!(bad.to_string().ends_with(expected), "{bad}");
        }
    }
    let payload = r#"{"project":"p","properties":{}}"#;
    assert_eq!(
        decode(Layout::Rakam, payload).unwrap_err().to_string(),
        "no_table: collection is missing"
    );
}

#[test]
fn a_collection_may_have_a_hundred_characters() {
    let name = "é".repeat(100);
    for (layout, payload) in both("\"p\"", &format!("\"{name}\"")) {
        assert_eq!(table(layout, &payload), names("p", &name));
    }
}

fn both(project: &str, collection: &str) -> [(Layout, String); 2] {
    [
        (
            Layout::Rakam,
            format!(r#"{{"project":{project},"collection":{collection},"properties":{{"a":1}}}}"#),
        ),
        (
            Layout::Fabric,
            format!(r#"{{"data":{{"_project":{project},"_collection":{collection}}}}}"#),
        ),
    ]
}

#[test]
fn reasons_have_the_names_they_are_counted_by() {
    let names: Vec<_> = Reason::ALL.into_iter().map(Reason::name).collect();
    let json = ["not_json", "wrong_layout", "no_table", "too_large"];
    let avro = ["not_avro", "unknown_schema", "unusable_schema"];
    let kinesis = ["no_object"];
    assert_eq!(names, [&json[..], &avro, &kinesis].concat());
}
