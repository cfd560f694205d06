//! Metadata beside a file's bytes: extended attributes `user.alluvium.<name>`.
//!
//! Where the file system has none, or has no room for them, the file goes without: its bytes say the same to
//! who reads them. Everything here blocks.

use std::collections::BTreeMap;
use std::fs::File;

use xattr::FileExt as _;

const PREFIX: &str = "user.alluvium.";

/// Names and values.
pub(crate) type Attributes = Vec<(&'static str, String)>;

/// Notes attributes, as far as it is possible.
pub(crate) fn set(file: &File, attributes: &Attributes) {
    for (name, value) in attributes {
        // A failure that matters, such as a broken disk, shows when the file is synced.
        let _ = file.set_xattr(format!("{PREFIX}{name}"), value.as_bytes());
    }
}

/// The attributes that can be had.
pub(crate) fn get(file: &File) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for attribute in file.list_xattr().into_iter().flatten() {
        let name = attribute
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX));
        let value = file.get_xattr(&attribute).ok().flatten();
        let value = value.and_then(|value| String::from_utf8(value).ok());
        if let (Some(name), Some(value)) = (name, value) {
            found.insert(name.to_owned(), value);
        }
    }
    found
}
