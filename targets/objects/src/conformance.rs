//! For the tests of stores: objects read back as [`alluvium_target::conformance`] wants to see them, and
//! checks of the store itself.

use std::io::Read;

use alluvium_target::Table;
use alluvium_target::conformance::{Output, Row};
use serde_json::{Map, Value};

use crate::{Compression, KeyTemplate, LineLayout, ObjectSettings};

mod stores;

pub use stores::{check_store, object};

/// Settings under which [`read`] can tell the table of every row: the layout `rakam`, gzip at level 1.
///
/// # Errors
/// None: the template is the default one.
pub fn settings() -> Result<ObjectSettings, crate::KeyError> {
    Ok(ObjectSettings {
        key: KeyTemplate::parse(KeyTemplate::default_text(Compression::Gzip))?,
        layout: LineLayout::Rakam,
        compression: Compression::Gzip,
        level: 1,
        time_field: "_time".into(),
        user_field: "_user".into(),
    })
}

/// The rows of an object written with [`settings`], one output a table.
///
/// # Errors
/// Says which object and line is not what it should be.
pub fn read(key: &str, body: &[u8]) -> Result<Vec<Output>, String> {
    let mut text = String::new();
    let read = flate2::bufread::GzDecoder::new(body).read_to_string(&mut text);
    read.map_err(|error| format!("{key}: {error}"))?;
    if !text.ends_with('\n') {
        return Err(format!("{key}: the last line has no end"));
    }
    let mut outputs: Vec<Output> = Vec::new();
    for line in text.lines() {
        let object: Map<String, Value> =
            serde_json::from_str(line).map_err(|error| format!("{key}: {error}: {line}"))?;
        let (table, row) = if key.starts_with("_dead_letters/") {
            (Table::dead_letters(), row(&object))
        } else {
            rakam_row(&object).ok_or_else(|| format!("{key}: not in the layout: {line}"))?
        };
        match outputs.iter_mut().find(|output| output.table == table) {
            Some(output) => output.rows.push(row),
            None => outputs.push(Output {
                table,
                rows: vec![row],
            }),
        }
    }
    Ok(outputs)
}

fn rakam_row(object: &Map<String, Value>) -> Option<(Table, Row)> {
    let name = |key| object.get(key)?.as_str();
    let properties = object.get("properties")?.as_object()?;
    Some((
        Table::new(name("$schema")?, name("$table")?),
        row(properties),
    ))
}

fn row(columns: &Map<String, Value>) -> Row {
    let cell = |(name, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) => Some((name.clone(), text.clone())),
        other => Some((name.clone(), other.to_string())),
    };
    columns.iter().filter_map(cell).collect()
}
