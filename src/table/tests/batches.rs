//! Where batches are cut, and what a builder holds.

use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        (-3..3i64).prop_map(|value| value.to_string()),
        prop::sample::select(vec![
            "9007199254740993",
            "1e400",
            "0.1234567890123456789",
            "1e2"
        ])
        .prop_map(str::to_owned),
        (-50..50i32).prop_map(|value| (f64::from(value) / 4.0).to_string()),
        prop::sample::select(vec![
            "2018-01-31",
            "2018-01-31T05:59:12.345Z",
            "2018-01-31T05:59:12.345678Z",
            "true",
            "7",
            "7.5",
            "",
            "é\\n",
            "\\ud800",
        ])
        .prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(vec![
            "[1,{\"a\":null}]",
            "[]",
            "[0.5,null,2]",
            "[\"2018-01-31\",\"x\"]",
            "{\"x\":1}",
            "{\"x\":0.5,\"y\":{\"z\":[1]}}",
            "{\"y\":{\"z\":[1.5],\"w\":true}}",
            "{}",
        ])
        .prop_map(str::to_owned),
    ]
}

/// Rows over few names, so that values meet columns of every type.
fn rows() -> impl Strategy<Value = Vec<Vec<(String, String)>>> {
    let name = prop::sample::select(vec!["a", "b", "c", "d", "_time", "_user", "_misfit"]);
    let row = prop::collection::vec((name.prop_map(str::to_owned), value()), 0..6);
    prop::collection::vec(row, 0..40)
}

fn json(row: &[(String, String)]) -> String {
    let fields: Vec<_> = row
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// Every row as text, under the names of all columns there are in the end.
fn texts(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let names = batches.last().map(names).unwrap_or_default();
    let rows = batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    rows.map(|(batch, row)| names.iter().map(|name| cell(batch, name, row)).collect())
        .collect()
}

proptest! {
    #[test]
    fn where_batches_are_cut_changes_no_row(
        rows in rows(),
        cuts in prop::collection::vec(any::<bool>(), 40),
        objects in prop::sample::select(vec![Objects::Map, Objects::Struct, Objects::Text]),
    ) {
        let settings = ColumnSettings { objects, ..(*settings(UserType::String)).clone() };
        let settings = Arc::new(settings);
        let new = || TableBuilder::new(&settings, OPENED);
        let (mut whole, mut cut) = (new(), new());
        let mut batches = Vec::new();
        for (row, now) in rows.iter().zip(cuts) {
            append(&mut whole, &json(row));
            append(&mut cut, &json(row));
            if now {
                batches.push(cut.finish());
                prop_assert_eq!(cut.rows(), 0);
            }
        }
        batches.push(cut.finish());
        let whole = whole.finish();
        prop_assert_eq!(names(batches.last().unwrap()), names(&whole));
        prop_assert_eq!(texts(&batches), texts(&[whole]));
        for pair in batches.windows(2) {
            let (earlier, later) = (pair[0].schema(), pair[1].schema());
            for field in earlier.fields() {
                let then = later.field_with_name(field.name()).unwrap();
                prop_assert!(may_become(field.data_type(), then.data_type()));
            }
        }
    }

    #[test]
    fn rows_of_many_decoders_land_as_rows_of_one(rows in rows(), which in prop::collection::vec(0..3usize, 40)) {
        let (mut one, mut many) = (builder(), builder());
        let mut decoders = [decoder(), decoder(), decoder()];
        for (row, which) in rows.iter().zip(which) {
            append(&mut one, &json(row));
            append_with(&mut decoders[which], &mut many, &json(row));
        }
        prop_assert_eq!(one.finish(), many.finish());
    }

    #[test]
    fn no_value_is_lost(rows in rows()) {
        let mut builder = builder();
        for row in &rows {
            append(&mut builder, &json(row));
        }
        let batch = builder.finish();
        prop_assert_eq!(batch.num_rows(), rows.len());
        for (at, row) in rows.iter().enumerate() {
            let misfits = cell(&batch, MISFIT, at);
            let mut seen = Vec::new();
            for (name, value) in row {
                if seen.contains(name) || value == "null" {
                    seen.push(name.clone());
                    continue;
                }
                seen.push(name.clone());
                let kept = misfits.contains(&format!("{name}={value}"));
                let there = cell(&batch, name, at);
                prop_assert!(kept || stands_for(&there, value), "{name}: {value} became {there}");
            }
        }
    }
}

/// Whether a column may have these types in an earlier and a later batch of a span.
fn may_become(earlier: &DataType, later: &DataType) -> bool {
    match (earlier, later) {
        (DataType::Int64, DataType::Float64) => true,
        (DataType::List(earlier), DataType::List(later))
        | (DataType::Map(earlier, _), DataType::Map(later, _)) => {
            may_become(earlier.data_type(), later.data_type())
        }
        (DataType::Struct(earlier), DataType::Struct(later)) => {
            let pairs = earlier.iter().zip(later);
            earlier.len() <= later.len()
                && pairs.into_iter().all(|(earlier, later)| {
                    earlier.name() == later.name()
                        && may_become(earlier.data_type(), later.data_type())
                })
        }
        _ => earlier == later,
    }
}

/// Whether a column's value, as text, is worth what the JSON is.
fn stands_for(there: &str, json: &str) -> bool {
    if json.starts_with(['[', '{']) {
        return nested_stands_for(there, json);
    }
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    let plain = text(json).unwrap_or_else(|| json.to_owned());
    let there_plain = text(there).unwrap_or_else(|| there.to_owned());
    if plain == there_plain {
        return true;
    }
    match there.split_once(' ') {
        Some(("day", days)) => plain == "2018-01-31" && days == "17562",
        Some(("ms", "1517378352345")) => plain == "2018-01-31T05:59:12.345Z",
        Some(("ms", millis)) => plain.parse::<f64>() == millis.parse::<f64>(),
        _ => {
            let number = plain.parse::<f64>().ok();
            let flag = |text: &str| text == "true";
            number.is_some() && number == there.parse().ok()
                || (matches!(&*plain, "0" | "1") && flag(there) == (plain == "1"))
        }
    }
}

fn nested_stands_for(there: &str, json: &str) -> bool {
    match json {
        "[]" | "[0.5,null,2]" => there.replace(' ', "") == json || there == format!("{json:?}"),
        "{}" => matches!(there, "<>" | "\"{}\""),
        "{\"x\":1}" => matches!(
            there,
            "<x=1>" | "<x=\"1\">" | "<x=true>" | "\"{\\\"x\\\":1}\""
        ),
        _ => there == format!("{json:?}") || there.contains("z"),
    }
}

#[test]
fn a_span_without_rows_gives_an_empty_batch() {
    let batch = builder().finish();
    assert_eq!((batch.num_rows(), batch.num_columns()), (0, 3));
}

#[test]
fn rows_in_another_order_of_fields_land_in_the_same_columns() {
    let orders = [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]];
    let rows: Vec<String> = (0..60)
        .map(|n| {
            let order = orders[n * 7 % 3];
            let fields = order.map(|at| (format!("name-{at}"), format!("{}", n * 10 + at)));
            json(&fields)
        })
        .collect();
    let batch = batch(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    for row in 0..60 {
        for at in 0..4 {
            assert_eq!(
                cell(&batch, &format!("name-{at}"), row),
                (row * 10 + at).to_string()
            );
        }
    }
}

#[test]
fn names_beyond_what_a_decoder_learns_find_their_columns() {
    let mut builder = builder();
    for n in 0..6000 {
        append(
            &mut builder,
            &format!("{{\"only-{n}\":null,\"a\":{n},\"b\":{}}}", -n),
        );
    }
    let batch = builder.finish();
    assert_eq!(batch.num_columns(), 5);
    for n in 0..6000 {
        assert_eq!(cell(&batch, "a", n), n.to_string());
        assert_eq!(cell(&batch, "b", n), (-(n as i64)).to_string());
    }
}

#[test]
fn memory_follows_what_is_held() {
    let mut builder = builder();
    let empty = builder.memory();
    let text = "x".repeat(1000);
    for _ in 0..1000 {
        append(&mut builder, &format!("{{\"a\":\"{text}\",\"b\":1}}"));
    }
    let full = builder.memory();
    assert!(
        (1_000_000..3_000_000).contains(&(full - empty)),
        "{empty} to {full}"
    );
    assert_eq!(builder.finish().num_rows(), 1000);
    assert!(builder.memory() < empty + 10_000, "{}", builder.memory());
}

#[test]
fn room_made_in_vain_is_given_back() {
    let mut builder = builder();
    for _ in 0..1000 {
        append(
            &mut builder,
            r#"{"a":"xxxxxxxxxxxxxxxx","b":1,"c":true,"d":0.5}"#,
        );
    }
    builder.finish();
    append(&mut builder, "{}");
    builder.finish();
    let after = builder.memory();
    append(&mut builder, "{}");
    builder.finish();
    assert_eq!(builder.memory(), after);
    assert!(after < 10_000, "{after}");
}

#[test]
fn columns_without_values_take_no_memory_of_their_own() {
    let mut builder = builder();
    for n in 0..MAX_COLUMNS {
        append(&mut builder, &format!("{{\"k{n}\":0}}"));
    }
    builder.finish();
    for _ in 0..4000 {
        append(&mut builder, "{}");
    }
    let batch = builder.finish();
    assert!(batch.columns().iter().all(|column| column.len() == 4000));
    let first = batch.column(3).to_data().buffers()[0].as_ptr();
    let last = batch.column(MAX_COLUMNS).to_data().buffers()[0].as_ptr();
    assert_eq!(first, last);
}
