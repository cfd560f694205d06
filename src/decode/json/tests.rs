use proptest::prelude::*;

use super::*;
use crate::record::Value;

mod grammar;
mod layouts;
mod oracle;

/// A row that owns what it has: project, collection, and name and JSON text of each field.
type Owned = (String, String, Vec<(String, String)>);

fn settings(layout: Layout) -> JsonSettings {
    JsonSettings {
        layout,
        project: "default".into(),
        collection_field: None,
        max_bytes: 1 << 20,
    }
}

fn owned(row: &Row<'_>) -> Owned {
    let fields = row.fields().map(|field| {
        let mut json = Vec::new();
        field.value.write_json(&mut json);
        (
            field.name.to_owned(),
            String::from_utf8(json).expect("JSON is UTF-8"),
        )
    });
    (
        row.project().to_owned(),
        row.collection().to_owned(),
        fields.collect(),
    )
}

fn decode_with(decoder: &mut JsonDecoder, payload: &[u8]) -> Result<Owned, BadRecord> {
    decoder
        .decode("topic", Some(payload))
        .map(|row| owned(&row))
}

fn decode(layout: Layout, payload: &str) -> Result<Owned, BadRecord> {
    decode_with(&mut JsonDecoder::new(settings(layout)), payload.as_bytes())
}

fn plain(payload: &str) -> Result<Vec<(String, String)>, BadRecord> {
    decode(Layout::Plain, payload).map(|(_, _, fields)| fields)
}

fn reason(layout: Layout, payload: &str) -> Option<Reason> {
    decode(layout, payload).err().map(|bad| bad.reason)
}

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, json)| ((*name).to_owned(), (*json).to_owned()))
        .collect()
}
