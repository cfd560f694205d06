//! Lists, maps and structs from JSON.

use proptest::prelude::*;

use super::*;

fn builder_of(objects: Objects) -> TableBuilder {
    let settings = ColumnSettings {
        objects,
        ..(*settings(UserType::String)).clone()
    };
    TableBuilder::new(&Arc::new(settings), OPENED)
}

/// The type column `a` has, its values, and what `_misfit` has, of rows with these values in it.
fn column_of(objects: Objects, values: &[&str]) -> (String, Vec<String>, Vec<String>) {
    let mut builder = builder_of(objects);
    for value in values {
        append(&mut builder, &format!("{{\"a\":{value}}}"));
    }
    let kind = builder.kinds().find(|(name, _)| *name == "a");
    let kind = kind.map_or("none".into(), |(_, kind)| kind.to_string());
    let batch = builder.finish();
    for column in batch.columns() {
        column.to_data().validate_full().unwrap();
    }
    let column = |name: &str| {
        (0..values.len())
            .map(|row| cell(&batch, name, row))
            .collect()
    };
    (kind, column("a"), column(MISFIT))
}

/// Asserts the type and values of a column, and that the values at `misfits` are kept beside it.
fn assert_column(objects: Objects, kind: &str, values: &[(&str, &str)], misfits: &[usize]) {
    let (given, wanted): (Vec<_>, Vec<_>) = values.iter().copied().unzip();
    let (found_kind, found, beside) = column_of(objects, &given);
    assert_eq!(
        (found_kind.as_str(), &found),
        (kind, &wanted.iter().map(|v| (*v).to_owned()).collect())
    );
    for (row, (value, beside)) in given.iter().zip(beside).enumerate() {
        let wanted = match misfits.contains(&row) {
            true => format!("a={value}"),
            false => "null".into(),
        };
        assert_eq!(beside, wanted, "{value}");
    }
}

#[test]
fn the_first_element_decides_what_an_array_is() {
    let array = |kind: &str, values: &[_], misfits: &[_]| {
        assert_column(Objects::Map, kind, values, misfits);
    };
    array(
        "array(bigint)",
        &[("[null,1]", "[null, 1]"), ("[]", "[]"), ("null", "null")],
        &[],
    );
    array(
        "array(boolean)",
        &[("[true]", "[true]"), ("[0,2]", "[false, null]")],
        &[1],
    );
    array(
        "array(date)",
        &[("[\"2018-01-31\"]", "[day 17562]"), ("[\"x\"]", "[null]")],
        &[1],
    );
    array(
        "array(timestamp)",
        &[("[\"1970-01-01T00:00Z\",5]", "[ms 0, ms 5]")],
        &[],
    );
    array(
        "array(varchar)",
        &[("[\"x\",1,[2]]", r#"["x", "1", "[2]"]"#)],
        &[],
    );
    array(
        "array(varchar)",
        &[("[null,{\"x\":1},2]", r#"[null, "{\"x\":1}", "2"]"#)],
        &[],
    );
    array("array(varchar)", &[("[[1],[2]]", r#"["[1]", "[2]"]"#)], &[]);
}

#[test]
fn the_first_value_decides_what_a_map_is() {
    let map = |kind: &str, values: &[_], misfits: &[_]| {
        assert_column(Objects::Map, kind, values, misfits);
    };
    map(
        "map(varchar,bigint)",
        &[("{\"x\":null,\"y\":1}", "<x=null, y=1>"), ("{}", "<>")],
        &[],
    );
    map(
        "map(varchar,double)",
        &[("{\"x\":1}", "<x=1>"), ("{\"y\":0.5}", "<y=0.5>")],
        &[],
    );
    map(
        "map(varchar,varchar)",
        &[("{\"x\":[1],\"y\":2}", r#"<x="[1]", y="2">"#)],
        &[],
    );
    map(
        "map(varchar,bigint)",
        &[
            ("{\"x\":1}", "<x=1>"),
            ("{\"x\":\"a\",\"y\":2}", "<x=null, y=2>"),
        ],
        &[1],
    );
}

#[test]
fn d8_a_container_of_another_kind_is_kept_beside() {
    assert_column(
        Objects::Map,
        "array(bigint)",
        &[("[1]", "[1]"), ("{\"b\":1}", "null"), ("[2]", "[2]")],
        &[1],
    );
    assert_column(
        Objects::Map,
        "map(varchar,bigint)",
        &[("{\"x\":1}", "<x=1>"), ("[1]", "null"), ("{}", "<>")],
        &[1],
    );
    let batch = batch(&[r#"{"a":{"x":null},"b":1}"#, r#"{"a":[{"c":1}],"b":2}"#]);
    assert_eq!(
        names(&batch),
        ["_shard_time", "_time", "_user", "_misfit", "b", "a"]
    );
    assert_eq!(
        (cell(&batch, "b", 0), cell(&batch, "b", 1)),
        ("1".into(), "2".into())
    );
    assert_eq!(cell(&batch, MISFIT, 0), r#"a={"x":null}"#);
}

#[test]
fn containers_that_say_no_type_wait_for_one() {
    for value in ["[]", "{}", "[null]", "{\"x\":null}"] {
        let (kind, found, beside) = column_of(Objects::Map, &["null", value]);
        assert_eq!(kind, "none", "{value}");
        assert_eq!(
            (found[1].as_str(), beside[1].as_str()),
            ("null", &*format!("a={value}"))
        );
    }
    assert_column(
        Objects::Map,
        "array(bigint)",
        &[("[]", "null"), ("[1]", "[1]"), ("[]", "[]")],
        &[0],
    );
    assert_column(
        Objects::Struct,
        "array(array(bigint))",
        &[("[[],[1]]", "[[], [1]]")],
        &[],
    );
    assert_column(
        Objects::Struct,
        "row(\"y\" bigint)",
        &[("{\"x\":{},\"y\":1}", "{y: 1}")],
        &[0],
    );
}

#[test]
fn objects_may_be_structs_that_grow() {
    assert_column(
        Objects::Struct,
        "row(\"x\" bigint,\"y\" row(\"z\" array(row(\"w\" double,\"v\" varchar))))",
        &[
            ("{\"x\":1}", "{x: 1}"),
            (
                "{\"y\":{\"z\":[{\"w\":1},null]},\"x\":2}",
                "{x: 2, y: {z: [{w: 1}, null]}}",
            ),
            (
                "{\"y\":{\"z\":[{\"v\":\"s\"},{\"w\":0.5}]}}",
                "{y: {z: [{v: \"s\"}, {w: 0.5}]}}",
            ),
            ("{\"x\":\"no\"}", "{}"),
            ("{}", "{}"),
        ],
        &[3],
    );
}

#[test]
fn objects_may_be_text() {
    assert_column(
        Objects::Text,
        "varchar",
        &[("{\"x\":1}", r#""{\"x\":1}""#), ("{}", "\"{}\"")],
        &[],
    );
    assert_column(Objects::Text, "array(bigint)", &[("[1]", "[1]")], &[]);
}

#[test]
fn elements_become_doubles_together() {
    assert_column(
        Objects::Map,
        "array(double)",
        &[("[1,2]", "[1, 2]"), ("[3,0.5]", "[3, 0.5]")],
        &[],
    );
    let large = "[9007199254740993]";
    assert_column(
        Objects::Map,
        "array(bigint)",
        &[(large, large), ("[0.5]", "[null]")],
        &[1],
    );
    let mut builder = builder();
    append(&mut builder, r#"{"a":[1]}"#);
    assert_eq!(cell(&builder.finish(), "a", 0), "[1]");
    append(&mut builder, r#"{"a":[0.5]}"#);
    assert_eq!(cell(&builder.finish(), "a", 0), "[0.5]");
}

#[test]
fn expectation_5_of_duplicate_keys_within_objects_the_first_counts() {
    let many: Vec<_> = (0..100).map(|n| format!("\"k{}\":{n}", n % 50)).collect();
    let many = format!("{{{}}}", many.join(","));
    let firsts: Vec<_> = (0..50).map(|n| format!("k{n}={n}")).collect();
    let wanted = format!("<{}>", firsts.join(", "));
    assert_column(
        Objects::Map,
        "map(varchar,bigint)",
        &[(&many, &wanted)],
        &[],
    );
    let fields = wanted
        .replace('=', ": ")
        .replace(['<'], "{")
        .replace('>', "}");
    let (_, found, _) = column_of(Objects::Struct, &[&many]);
    assert_eq!(found, [fields]);
    assert_column(
        Objects::Struct,
        "row(\"x\" bigint,\"y\" bigint)",
        &[
            ("{\"x\":1,\"x\":2,\"y\":3}", "{x: 1, y: 3}"),
            ("{\"x\":null,\"x\":2}", "{}"),
            ("{\"x\":\"no\",\"x\":2}", "{}"),
            ("{\"z\":null,\"z\":2}", "{}"),
            ("{\"z\":null,\"z\":{},\"y\":5,\"y\":6}", "{y: 5}"),
        ],
        &[2],
    );
}

#[test]
fn what_is_too_deep_or_too_much_is_text() {
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let (kind, ..) = column_of(Objects::Struct, &[&deep(32)]);
    assert_eq!(
        kind,
        format!("{}bigint{}", "array(".repeat(32), ")".repeat(32))
    );
    let (kind, found, _) = column_of(Objects::Struct, &[&deep(40)]);
    assert_eq!(
        kind,
        format!("{}varchar{}", "array(".repeat(32), ")".repeat(32))
    );
    assert!(found[0].contains(&format!("{:?}", deep(8))), "{}", found[0]);
    let many = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    // The array itself is an item too.
    let (kind, found, _) = column_of(Objects::Map, &["[1]", &many(262_143), &many(262_144)]);
    assert_eq!(kind, "array(bigint)");
    assert_eq!((found[1].len(), found[2].as_str()), (262_143 * 3, "null"));
}

#[test]
fn a_zone_says_when_times_without_one_are() {
    let settings = ColumnSettings {
        zone: "Europe/Istanbul".parse().unwrap(),
        ..(*settings(UserType::String)).clone()
    };
    let mut builder = TableBuilder::new(&Arc::new(settings), OPENED);
    let rows = [
        ("2020-01-01 10:00:00", 7),
        ("2020-01-01T10:00:00", 7),
        ("2020-01-01T10:00:00Z", 10),
        ("2020-01-01 10:00:00 +01:00", 9),
        ("2020-01-01 10:00:00 Asia/Tokyo", 1),
        ("2020-01-01 10:00:00Asia/Tokyo", 1),
        ("2020-01-01 Asia/Tokyo", -9),
    ];
    for (text, _) in rows {
        append(
            &mut builder,
            &format!("{{\"a\":[\"{text}\"],\"b\":\"{text}\"}}"),
        );
    }
    let batch = builder.finish();
    for (row, (text, hour)) in rows.into_iter().enumerate() {
        let wanted = format!("ms {}", 1_577_836_800_000 + hour * 3_600_000_i64);
        assert_eq!(cell(&batch, "b", row), wanted, "{text}");
        assert_eq!(cell(&batch, "a", row), format!("[{wanted}]"), "{text}");
    }
}

/// JSON of few shapes, and what a slow reading of the rules makes of it.
mod oracle {
    use super::*;

    #[derive(Clone, Debug)]
    enum J {
        Null,
        Bool(bool),
        Int(i64),
        Quarters(i64),
        Text(&'static str),
        List(Vec<J>),
        Object(Vec<(String, J)>),
    }

    #[derive(Clone, Debug, PartialEq)]
    enum T {
        Bool,
        Int,
        Double,
        Text,
        Date,
        List(Box<T>),
        Map(Box<T>),
        Struct(Vec<(String, T)>),
    }

    const DAY: &str = "2018-01-31";

    impl J {
        fn json(&self, space: &str) -> String {
            match self {
                J::Null => "null".into(),
                J::Bool(value) => value.to_string(),
                J::Int(value) => value.to_string(),
                J::Quarters(value) => format!("{:?}", *value as f64 / 4.0),
                J::Text(text) => format!("\"{text}\""),
                J::List(items) => {
                    let items = items.iter().map(|item| item.json(space));
                    let comma = format!("{space},{space}");
                    format!("[{space}{}{space}]", items.collect::<Vec<_>>().join(&comma))
                }
                J::Object(fields) => {
                    let fields = fields.iter().map(|(name, value)| {
                        format!("\"{name}\"{space}:{space}{}", value.json(space))
                    });
                    let comma = format!("{space},{space}");
                    format!(
                        "{{{space}{}{space}}}",
                        fields.collect::<Vec<_>>().join(&comma)
                    )
                }
            }
        }

        fn is_nested(&self) -> bool {
            matches!(self, J::List(_) | J::Object(_))
        }
    }

    fn firsts(fields: &[(String, J)]) -> Vec<&(String, J)> {
        let mut seen = std::collections::HashSet::new();
        fields
            .iter()
            .filter(|(name, _)| seen.insert(name))
            .collect()
    }

    fn infer(value: &J, objects: Objects) -> Option<T> {
        Some(match value {
            J::Null => return None,
            J::Bool(_) => T::Bool,
            J::Int(_) => T::Int,
            J::Quarters(_) => T::Double,
            J::Text(text) => {
                if *text == DAY && objects != Objects::Typed {
                    T::Date
                } else {
                    T::Text
                }
            }
            J::List(items) => T::List(item_type(items.iter(), objects)?.into()),
            J::Object(fields) => match objects {
                Objects::Text => T::Text,
                Objects::Map => {
                    T::Map(item_type(fields.iter().map(|(_, value)| value), objects)?.into())
                }
                Objects::Struct | Objects::Typed => {
                    let typed = firsts(fields)
                        .into_iter()
                        .filter_map(|(name, value)| Some((name.clone(), infer(value, objects)?)));
                    let typed: Vec<_> = typed.collect();
                    if typed.is_empty() {
                        return None;
                    }
                    T::Struct(typed)
                }
            },
        })
    }

    fn item_type<'a>(mut items: impl Iterator<Item = &'a J>, objects: Objects) -> Option<T> {
        if matches!(objects, Objects::Struct | Objects::Typed) {
            return items.find_map(|item| infer(item, objects));
        }
        let first = items.find(|item| !matches!(item, J::Null))?;
        match first.is_nested() {
            true => Some(T::Text),
            false => infer(first, objects),
        }
    }

    /// How the column shows the value, and whether that is all of it.
    fn fit(kind: &mut T, value: &J, objects: Objects) -> (String, bool) {
        if let (T::Int, J::Quarters(value)) = (&*kind, value)
            && value % 4 != 0
        {
            *kind = T::Double;
        }
        let shown = match (kind, value) {
            (_, J::Null) => "null".into(),
            (T::Text, J::Text(text)) => format!("{text:?}"),
            (T::Text, other) => format!("{:?}", other.json("")),
            (T::Bool, J::Bool(value)) => value.to_string(),
            (T::Bool, J::Int(value @ 0..=1)) => (*value == 1).to_string(),
            (T::Bool, J::Text(text @ ("true" | "false"))) => (*text).into(),
            (T::Int | T::Double, J::Int(value)) => value.to_string(),
            (T::Int | T::Double, J::Quarters(value)) => (*value as f64 / 4.0).to_string(),
            (T::Int | T::Double, J::Text("7")) => "7".into(),
            (T::Date, J::Text(text)) if *text == DAY => "day 17562".into(),
            (T::List(kind), J::List(items)) => {
                let items = items.iter().map(|item| fit(kind, item, objects));
                let (shown, whole): (Vec<_>, Vec<_>) = items.unzip();
                return (format!("[{}]", shown.join(", ")), !whole.contains(&false));
            }
            (T::Map(kind), J::Object(fields)) => {
                let mut whole = true;
                let entries = firsts(fields).into_iter().map(|(name, value)| {
                    let (shown, fits) = fit(kind, value, objects);
                    whole &= fits;
                    format!("{name}={shown}")
                });
                let shown = format!("<{}>", entries.collect::<Vec<_>>().join(", "));
                return (shown, whole);
            }
            (T::Struct(kinds), J::Object(fields)) => return fit_struct(kinds, fields, objects),
            _ => return ("null".into(), false),
        };
        (shown, true)
    }

    fn fit_struct(
        kinds: &mut Vec<(String, T)>,
        fields: &[(String, J)],
        objects: Objects,
    ) -> (String, bool) {
        let mut whole = true;
        let mut shown = std::collections::HashMap::new();
        for (name, value) in firsts(fields) {
            if matches!(value, J::Null) {
                continue;
            }
            if kinds.iter().all(|(known, _)| known != name) {
                match infer(value, objects) {
                    Some(kind) => kinds.push((name.clone(), kind)),
                    None => {
                        whole = false;
                        continue;
                    }
                }
            }
            let (_, kind) = kinds.iter_mut().find(|(known, _)| known == name).unwrap();
            let (text, fits) = fit(kind, value, objects);
            whole &= fits;
            if text != "null" {
                shown.insert(name.clone(), text);
            }
        }
        let shown = kinds
            .iter()
            .filter_map(|(name, _)| Some(format!("{name}: {}", shown.get(name)?)));
        (
            format!("{{{}}}", shown.collect::<Vec<_>>().join(", ")),
            whole,
        )
    }

    fn value() -> impl Strategy<Value = J> {
        let scalar = prop_oneof![
            Just(J::Null),
            any::<bool>().prop_map(J::Bool),
            (-2..3i64).prop_map(J::Int),
            (-6..6i64).prop_map(J::Quarters),
            prop::sample::select(vec![DAY, "x", "7", "true", "false", ""]).prop_map(J::Text),
        ];
        scalar.prop_recursive(4, 24, 5, |inner| {
            let fields = prop::collection::vec(("[a-c]", inner.clone()), 0..5);
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(J::List),
                fields.prop_map(J::Object),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn columns_are_what_a_slow_reading_of_the_rules_makes_of_json(
            values in prop::collection::vec(value(), 1..8),
            objects in prop::sample::select(vec![
                Objects::Map,
                Objects::Struct,
                Objects::Text,
                Objects::Typed,
            ]),
            space in prop::sample::select(vec!["", " ", "\n\t"]),
        ) {
            let mut kind = None;
            let mut wanted = Vec::new();
            for value in &values {
                if kind.is_none() {
                    kind = infer(value, objects);
                }
                wanted.push(match &mut kind {
                    Some(kind) => fit(kind, value, objects),
                    None => ("null".into(), matches!(value, J::Null)),
                });
            }
            let rows: Vec<_> = values.iter().map(|value| value.json(space)).collect();
            let rows: Vec<_> = rows.iter().map(String::as_str).collect();
            let (_, found, beside) = column_of(objects, &rows);
            for (at, (shown, whole)) in wanted.into_iter().enumerate() {
                prop_assert_eq!(&found[at], &shown);
                let kept = match whole {
                    true => "null".into(),
                    false => format!("a={}", values[at].json("")),
                };
                prop_assert_eq!(&beside[at], &kept);
            }
        }
    }
}
