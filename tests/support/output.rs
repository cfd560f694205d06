//! Reads back what the file target wrote.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// All files below `directory`, as sorted paths relative to it.
pub fn files(directory: &Path) -> Vec<String> {
    fn walk(root: &Path, directory: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    if directory.exists() {
        walk(directory, directory, &mut found);
    }
    found.sort();
    found
}

/// The text of an NDJSON file, unpacked if its name says so.
pub fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    let bytes = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let mut plain = Vec::new();
            MultiGzDecoder::new(&bytes[..])
                .read_to_end(&mut plain)
                .unwrap();
            plain
        }
        Some("zst") => {
            let len = zstd_safe::get_frame_content_size(&bytes).unwrap().unwrap();
            let mut plain = vec![0; usize::try_from(len).unwrap()];
            zstd_safe::decompress(plain.as_mut_slice(), &bytes).unwrap();
            plain
        }
        _ => bytes,
    };
    String::from_utf8(bytes).unwrap()
}

/// Whether the program has not given the file its name yet.
fn is_being_written(name: &str) -> bool {
    name.ends_with(".tmp")
}

/// All rows of the files below `directory` whose relative path starts with `prefix`, in the order of the names.
pub fn rows(directory: &Path, prefix: &str) -> Vec<Value> {
    files(directory)
        .iter()
        .filter(|name| name.starts_with(prefix) && !is_being_written(name))
        .flat_map(|name| {
            let text = text(&directory.join(name));
            assert!(
                text.is_empty() || text.ends_with('\n'),
                "{name} does not end with a line feed"
            );
            text.lines()
                .map(|line| parse(line, name))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The rows of tables only: no dead letters.
pub fn table_rows(directory: &Path) -> Vec<Value> {
    files(directory)
        .iter()
        .filter(|name| !name.starts_with("_dead_letters/") && !is_being_written(name))
        .flat_map(|name| rows(directory, name))
        .collect()
}

pub fn dead_letters(directory: &Path) -> Vec<Value> {
    rows(directory, "_dead_letters/")
}

fn parse(line: &str, name: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"))
}

/// A fresh directory, removed when dropped.
pub fn scratch() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().to_owned();
    (directory, path)
}
