//! Random documents, against a slow reading of them by serde_json.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::grammar::agree_on_json;
use super::*;

/// The entries of an object in their order, duplicates included, values verbatim.
struct Entries(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn entries(json: &str) -> Vec<(String, Box<RawValue>)> {
    serde_json::from_str::<Entries>(json)
        .expect("the generator makes objects")
        .0
}

/// The entries as a row would have them.
fn row_of(json: &str, lower: bool) -> Vec<(String, String)> {
    let mut row: Vec<(String, String)> = Vec::new();
    for (name, value) in entries(json) {
        let name = if lower { name.to_lowercase() } else { name };
        if row.iter().all(|(known, _)| *known != name) {
            row.push((name, value.get().to_owned()));
        }
    }
    row
}

/// Whether these are the items of a container, verbatim and with their texts, down to the last.
fn same_items(items: crate::record::Items<'_>, raw: &str) -> Result<(), TestCaseError> {
    let wanted: Vec<(String, Box<RawValue>)> = if raw.starts_with('{') {
        entries(raw)
    } else {
        let values: Vec<Box<RawValue>> = serde_json::from_str(raw).unwrap();
        values
            .into_iter()
            .map(|value| (String::new(), value))
            .collect()
    };
    prop_assert_eq!(items.count(), wanted.len());
    for ((name, value), (wanted, raw)) in items.zip(wanted) {
        prop_assert_eq!(name, wanted);
        let mut json = Vec::new();
        value.write_json(&mut json);
        prop_assert_eq!(std::str::from_utf8(&json).unwrap(), raw.get());
        if let Value::List(nested) | Value::Object(nested) = value
            && let Some(items) = nested.items()
        {
            prop_assert_eq!(nested.json(), Some(raw.get()));
            same_items(items, raw.get())?;
        }
    }
    Ok(())
}

/// A document as its tokens.
fn tokens() -> impl Strategy<Value = Vec<String>> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number(),
        string(),
    ]
    .prop_map(|token| vec![token]);
    let value = scalar.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| container("[", "]", items)),
            entries_of(inner, 0..5),
        ]
    });
    entries_of(value, 0..45)
}

fn entries_of(
    value: impl Strategy<Value = Vec<String>>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<String>> {
    let name = prop_oneof![
        4 => "[a-zA-C_]{0,2}".prop_map(|name| format!("\"{name}\"")),
        1 => string(),
    ];
    let entry = (name, value).prop_map(|(name, value)| {
        let mut entry = vec![name, ":".to_owned()];
        entry.extend(value);
        entry
    });
    prop::collection::vec(entry, count).prop_map(|items| container("{", "}", items))
}

fn container(open: &str, close: &str, items: Vec<Vec<String>>) -> Vec<String> {
    let mut tokens = vec![open.to_owned()];
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            tokens.push(",".to_owned());
        }
        tokens.extend(item);
    }
    tokens.push(close.to_owned());
    tokens
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        r"-?(0|[1-9][0-9]{0,21})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?",
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| format!("{n:?}")),
    ]
}

fn string() -> impl Strategy<Value = String> {
    let chars = |most| prop::collection::vec((any::<char>(), 0..4u8), 0..most);
    prop_oneof![9 => chars(12), 1 => chars(90)].prop_map(|chars| {
        let mut json = String::from("\"");
        for (char, way) in chars {
            let plain = char >= ' ' && char != '"' && char != '\\';
            match (char, way) {
                ('"' | '\\' | '/', 0..2) => json.extend(['\\', char]),
                ('\n', 0..2) => json.push_str("\\n"),
                ('\t', 0..2) => json.push_str("\\t"),
                (_, 0..3) if plain => json.push(char),
                _ => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        json.push_str(&format!("\\u{unit:04x}"));
                    }
                }
            }
        }
        json.push('"');
        json
    })
}

/// The tokens with white space between them as `spaces` has it, over and over.
fn spaced(tokens: &[String], spaces: &[&str]) -> String {
    let spaces = spaces.iter().copied().chain(["", ""]).collect::<Vec<_>>();
    let mut json = String::new();
    for (token, space) in tokens.iter().zip(spaces.iter().cycle()) {
        json.push_str(space);
        json.push_str(token);
    }
    json.push_str(spaces[0]);
    json
}

fn spaces() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(
        prop::sample::select(vec!["", "", " ", "\n\t", "\r\n  "]),
        0..5,
    )
}

proptest! {
    #[test]
    fn random_objects_decode_as_serde_json_reads_them(tokens in tokens(), spaces in spaces()) {
        let compact = tokens.concat();
        let json = spaced(&tokens, &spaces);
        prop_assert_eq!(plain(&json).unwrap(), row_of(&compact, false));
        agree_on_json(json.as_bytes())?;

        let fabric = format!(r#"{{"x":{json},"data":{{"_project":"p","_collection":"c""#);
        let inner = json.trim().strip_prefix('{').unwrap();
        let comma = if row_of(&compact, false).is_empty() { "" } else { "," };
        let fabric = format!("{fabric}{comma}{inner} }}");
        let (_, _, found) = decode(Layout::Fabric, &fabric).unwrap();
        prop_assert_eq!(found, row_of(&compact, true));

        let rakam = format!(r#"{{"properties":{json},"project":"p","collection":"c"}}"#);
        let (_, _, found) = decode(Layout::Rakam, &rakam).unwrap();
        prop_assert_eq!(found, row_of(&compact, true));
    }

    #[test]
    fn values_are_worth_what_serde_json_says(tokens in tokens()) {
        let json = tokens.concat();
        let mut decoder = JsonDecoder::new(settings(Layout::Plain));
        let row = decoder.decode("t", Some(json.as_bytes())).unwrap();
        for (field, (_, raw)) in row.fields().zip(row_of(&json, false)) {
            match field.value {
                Value::Str { text, .. } => {
                    prop_assert_eq!(text, serde_json::from_str::<String>(&raw).unwrap());
                }
                Value::Integer { value, .. } => {
                    prop_assert!(raw == "-0" || value.to_string() == raw);
                }
                Value::Number { double, .. } => {
                    prop_assert_eq!(double.to_bits(), raw.parse::<f64>().unwrap().to_bits());
                    prop_assert!(raw.parse::<i64>().is_err());
                }
                Value::Bool(value) => prop_assert_eq!(value.to_string(), raw),
                Value::Null => prop_assert_eq!("null", raw),
                Value::List(nested) | Value::Object(nested) => {
                    prop_assert_eq!(nested.json(), Some(&*raw));
                    if let Some(items) = nested.items() {
                        same_items(items, &raw)?;
                    }
                }
                _ => prop_assert!(false, "no half pairs and no typed values were made"),
            }
        }
    }

    #[test]
    fn containers_have_the_items_that_serde_json_says(tokens in tokens(), spaces in spaces()) {
        let json = spaced(&tokens, &spaces);
        let mut decoder = JsonDecoder::new(settings(Layout::Plain));
        let row = decoder.decode("t", Some(json.as_bytes())).unwrap();
        for (field, (_, raw)) in row.fields().zip(row_of(&tokens.concat(), false)) {
            if let Value::List(nested) | Value::Object(nested) = field.value {
                let items = nested.items();
                prop_assert!(items.is_some());
                same_items(items.unwrap(), &raw)?;
            }
        }
    }

    /// Of what is within 32 others only the text is known.
    #[test]
    fn containers_within_each_other_are_known_down_to_the_limit(
        objects in prop::collection::vec(any::<bool>(), 1..40),
        leaf in prop_oneof![number(), string()],
        space in prop::sample::select(vec!["", " ", "\n\t"]),
    ) {
        let wrap = |space: &str| {
            objects.iter().fold(leaf.clone(), |inner, object| match object {
                true => format!("{{\"a\":{space}{inner}{space}}}"),
                false => format!("[{space}{inner}{space}]"),
            })
        };
        let json = format!("{{\"f\":{}}}", wrap(space));
        let mut decoder = JsonDecoder::new(settings(Layout::Plain));
        let row = decoder.decode("t", Some(json.as_bytes())).unwrap();
        let field = row.fields().next().unwrap();
        let mut text = Vec::new();
        field.value.write_json(&mut text);
        let compact = wrap("");
        prop_assert_eq!(std::str::from_utf8(&text).unwrap(), &compact);
        let (mut value, mut levels) = (field.value, 0);
        while let Value::List(nested) | Value::Object(nested) = value
            && let Some(mut items) = nested.items()
        {
            levels += 1;
            value = items.next().unwrap().1;
        }
        prop_assert_eq!(levels, objects.len().min(32), "{}", json);
        if let (Value::List(nested) | Value::Object(nested), true) = (field.value, space.is_empty()) {
            same_items(nested.items().unwrap(), &compact)?;
        }
    }

    #[test]
    fn d7_a_bad_record_leaves_its_neighbours_alone(
        tokens in tokens(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        way in 0..3u8,
    ) {
        let good = tokens.concat().into_bytes();
        let mut bad = good.clone();
        let at = at.index(bad.len());
        match way {
            0 => bad[at] = byte,
            1 => bad.truncate(at),
            _ => bad.insert(at, byte),
        }
        agree_on_json(&bad)?;
        let mut decoder = JsonDecoder::new(settings(Layout::Plain));
        let before = decode_with(&mut decoder, &good);
        let _ = decode_with(&mut decoder, &bad);
        prop_assert_eq!(decode_with(&mut decoder, &good), before);
    }

    #[test]
    fn a_decoder_that_has_learnt_names_decodes_like_a_new_one(
        records in prop::collection::vec(
            prop::collection::vec((spelling(), prop::sample::select(vec!["", " "])), 0..8), 1..12
        )
    ) {
        for layout in [Layout::Plain, Layout::Rakam] {
            let mut learnt = JsonDecoder::new(settings(layout));
            for names in &records {
                let fields: Vec<_> = names
                    .iter()
                    .enumerate()
                    .map(|(n, (name, space))| format!("{space}\"{name}\"{space}:{n}"))
                    .collect();
                let mut json = format!("{{{}}}", fields.join(","));
                if layout == Layout::Rakam {
                    json = format!(r#"{{"project":"p","collection":"c","properties":{json}}}"#);
                }
                let (_, _, found) = decode_with(&mut learnt, json.as_bytes()).unwrap();
                prop_assert_eq!(&found, &decode(layout, &json).unwrap().2);
                let object = format!("{{{}}}", fields.join(","));
                prop_assert_eq!(found, row_of(&object, layout == Layout::Rakam));
            }
        }
    }
}

/// A few names in several spellings each, one of them too long to be learnt.
fn spelling() -> impl Strategy<Value = String> {
    let long = "long".repeat(40);
    let names = [
        "a",
        "A",
        "\\u0061",
        "ab",
        "aB",
        "abcdefgh",
        "abcdefghi",
        "abcdefgx",
        "",
        "Ä",
        "ä",
    ];
    let names = names
        .into_iter()
        .map(str::to_owned)
        .chain([long.to_uppercase(), long]);
    prop::sample::select(names.collect::<Vec<_>>())
}
