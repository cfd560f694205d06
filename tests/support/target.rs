//! Files as the program's own target makes them, of batches at hand.

use std::path::Path;
use std::time::SystemTime;

use alluvium_objects::{Compression, KeyTemplate, LineLayout, ObjectSettings, ObjectTarget};
use alluvium_target::{Inserter, Partition, Position, Span, SpanStart, Target};
use alluvium_target_file::FileStore;

/// Settings with the default name and fields.
pub fn settings(layout: LineLayout, compression: Compression, level: u32) -> ObjectSettings {
    ObjectSettings {
        key: KeyTemplate::parse(KeyTemplate::default_text(compression)).unwrap(),
        layout,
        compression,
        level,
        time_field: "_time".into(),
        user_field: "_user".into(),
    }
}

/// Writes the batches that `add` adds, as the first `rows` records of a partition.
pub fn write(
    directory: &Path,
    settings: ObjectSettings,
    partition: Partition,
    rows: usize,
    add: impl FnOnce(&mut dyn Inserter),
) {
    let target = ObjectTarget::new(FileStore::new(directory), settings).unwrap();
    let (from, to) = (Position::at(0), Position::at(i64::try_from(rows).unwrap()));
    let start = SpanStart {
        partition: partition.clone(),
        from,
        opened: SystemTime::UNIX_EPOCH,
    };
    let span = Span {
        partition,
        from,
        to,
    };
    let mut inserter = target.begin(&start).unwrap();
    add(&mut *inserter);
    inserter.seal(&span).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(inserter.commit(&span)).unwrap();
}
