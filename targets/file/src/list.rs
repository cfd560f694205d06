//! Files below a directory, in the order of their keys. Blocks.
//!
//! Entries that begin with a dot are left out, as no key has a part that does: unfinished files, and what
//! other programs keep to themselves. Links to directories are not followed.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::path::Path;

use alluvium_objects::Listed;

/// Files in one page.
const PAGE: usize = 1_000;

/// The first files whose keys begin with `prefix` and stand behind `after`.
pub(crate) fn page(root: &Path, prefix: &str, after: Option<&str>) -> io::Result<Vec<Listed>> {
    let mut page = Page {
        prefix,
        after,
        listed: Vec::new(),
    };
    page.walk(root, "")?;
    Ok(page.listed)
}

struct Page<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    listed: Vec<Listed>,
}

impl Page<'_> {
    /// Lists a directory whose files' keys begin with `base`.
    fn walk(&mut self, directory: &Path, base: &str) -> io::Result<()> {
        for (key, entry) in sorted(directory, base)? {
            if self.listed.len() >= PAGE {
                break;
            }
            if key.ends_with('/') {
                if self.may_be_below(&key) {
                    self.walk(&entry.path(), &key)?;
                }
            } else if self.wants(&key) {
                match fs::metadata(entry.path()) {
                    Ok(found) if found.is_file() => {
                        let len = found.len();
                        self.listed.push(Listed { key, len });
                    }
                    Ok(_) => {}
                    // Removed since, or a link that leads nowhere.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn wants(&self, key: &str) -> bool {
        key.starts_with(self.prefix) && self.after.is_none_or(|after| key > after)
    }

    fn may_be_below(&self, folder: &str) -> bool {
        let prefixed = folder.starts_with(self.prefix) || self.prefix.starts_with(folder);
        let behind = |after: &str| folder > after || after.starts_with(folder);
        prefixed && self.after.is_none_or(behind)
    }
}

/// The entries of a directory by key, those of directories ending in a slash: in this order the keys of all
/// files below are in order.
fn sorted(directory: &Path, base: &str) -> io::Result<Vec<(String, DirEntry)>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        // Removed since, or not made yet.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        // A name that is no text is none of ours.
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        found.push((format!("{base}{name}{slash}"), entry));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}
