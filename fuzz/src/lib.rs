//! What the fuzz targets share: lines of the input are records of one table of one span.

pub mod avro;

use std::sync::Arc;

use alluvium::decode::json::{JsonDecoder, JsonSettings, Layout};
use alluvium::table::{ColumnSettings, Objects, TableBuilder, UserType, Zone};

/// Decodes each line of `input` and appends it; takes a batch at empty lines and at the end.
///
/// # Panics
/// If a row is lost or doubled, or whatever else the fuzzer is to find.
pub fn records(layout: Layout, input: &[u8]) {
    let mut decoder = JsonDecoder::new(JsonSettings {
        layout,
        project: "default".into(),
        collection_field: None,
        max_bytes: 1 << 20,
    });
    let settings = columns(match layout {
        Layout::Rakam => Objects::Map,
        Layout::Fabric => Objects::Text,
        Layout::Plain => Objects::Struct,
    });
    let mut table = TableBuilder::new(&settings, 0);
    let mut expected = 0;
    for line in input.split(|byte| *byte == b'\n').chain([&[][..]]) {
        if line.is_empty() {
            assert_eq!(table.finish().num_rows(), std::mem::take(&mut expected));
            continue;
        }
        if let Ok(row) = decoder.decode("topic", Some(line)) {
            table.append(&row);
            expected += 1;
        }
    }
}

fn columns(objects: Objects) -> Arc<ColumnSettings> {
    Arc::new(ColumnSettings {
        checkpoint_field: "_shard_time".into(),
        time_field: "_time".into(),
        user_field: "_user".into(),
        user_type: UserType::Long,
        key_field: None,
        arrival_field: None,
        zone: Zone::UTC,
        objects,
    })
}
