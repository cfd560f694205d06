//! Files that are there whole or not at all, also after the power went.
//!
//! A file is written and synced under a temporary name, moved to its place, and then every directory up to
//! the store's is synced: a name is as durable as the directory that holds it. Everything here blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use alluvium_objects::Created;
use bytes::Bytes;

use crate::attributes::{self, Attributes};

/// Holds files that are not finished. Keys never begin with a dot, so it is in nobody's way.
const UNFINISHED: &str = ".alluvium";

/// How temporary names end.
const SUFFIX: &str = ".tmp";

/// An unfinished file this old belongs to nobody: writing one takes seconds.
const ABANDONED: Duration = Duration::from_secs(3_600);

/// Writes `body` to `place`, below `root`, unless something stands there.
///
/// What stands there may be another writer's of a moment ago: it is made durable as well.
pub(crate) fn create_at(
    root: &Path,
    place: &Path,
    body: &[Bytes],
    attributes: &Attributes,
) -> io::Result<Created> {
    write(root, place, body, attributes, link)
}

/// Writes `body` to `place`, below `root`, replacing what stood there.
pub(crate) fn replace_at(
    root: &Path,
    place: &Path,
    body: &[Bytes],
    attributes: &Attributes,
) -> io::Result<()> {
    let rename = |unfinished: &Path, place: &Path| {
        fs::rename(unfinished, place)?;
        Ok(Created::New)
    };
    write(root, place, body, attributes, rename).map(drop)
}

fn write(
    root: &Path,
    place: &Path,
    body: &[Bytes],
    attributes: &Attributes,
    moved: impl FnOnce(&Path, &Path) -> io::Result<Created>,
) -> io::Result<Created> {
    let (file, unfinished) = create(root)?;
    attributes::set(&file, attributes);
    let moved = fill(file, body)
        .and_then(|()| place.parent().map_or(Ok(()), fs::create_dir_all))
        .and_then(|()| moved(&unfinished, place));
    if !matches!(moved, Ok(Created::New)) {
        // What is left behind is removed by a later check.
        let _ = fs::remove_file(&unfinished);
    }
    let created = moved?;
    sync_up_to(root, place)?;
    Ok(created)
}

/// Moves without replacing: of several that do it at once, one succeeds.
fn link(unfinished: &Path, place: &Path) -> io::Result<Created> {
    match fs::hard_link(unfinished, place) {
        Ok(()) => {
            // The file has its name; the other one is removed by a later check if it cannot be now.
            let _ = fs::remove_file(unfinished);
            Ok(Created::New)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Created::Exists),
        // A file system without hard links. Two that look at the same moment may both find nothing; the
        // second then replaces what the first wrote, and whole files they are in any case.
        Err(error) if lacks_links(&error) => {
            if place.try_exists()? {
                return Ok(Created::Exists);
            }
            fs::rename(unfinished, place)?;
            Ok(Created::New)
        }
        Err(error) => Err(error),
    }
}

/// Also true if linking is forbidden: renaming then tells whether it is writing that is.
fn lacks_links(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::Unsupported
    )
}

/// Proves that files can be written and moved in `root`, and clears away what was abandoned by `now`.
pub(crate) fn probe(root: &Path, now: SystemTime) -> io::Result<()> {
    fs::create_dir_all(root)?;
    // The path may be relative, and its own entry must be durable as well.
    let root = fs::canonicalize(root)?;
    if let Some(parent) = root.parent() {
        sync(parent).or_else(unless_denied)?;
    }
    let (file, unfinished) = create(&root)?;
    fill(file, &[Bytes::from_static(b"check")])?;
    // Moved as a real file would be, into the directory itself.
    let moved = root.join(format!("{UNFINISHED}-{}", name_of(&unfinished)));
    fs::rename(&unfinished, &moved)?;
    fs::remove_file(&moved)?;
    clear(&root, now)
}

/// A directory above the store may be another user's; its entries are that user's care.
fn unless_denied(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::PermissionDenied {
        Ok(())
    } else {
        Err(error)
    }
}

/// A new file under a name that no other writer has, in this process or another, on this host or not.
fn create(root: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let directory = root.join(UNFINISHED);
    fs::create_dir_all(&directory)?;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{}-{number}{SUFFIX}", process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            // Another container's process of the same id, or one that crashed.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

fn fill(file: File, body: &[Bytes]) -> io::Result<()> {
    let mut writer = BufWriter::new(file);
    body.iter().try_for_each(|piece| writer.write_all(piece))?;
    writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

/// Syncs the directories that hold `place`, `root` included. Also those that were there before: another
/// writer may have made them a moment ago and not synced them yet.
fn sync_up_to(root: &Path, place: &Path) -> io::Result<()> {
    let below = place
        .ancestors()
        .skip(1)
        .take_while(|directory| directory.starts_with(root));
    below.into_iter().try_for_each(sync)
}

fn sync(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    File::open(directory)?.sync_all()
}

fn clear(root: &Path, now: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(root.join(UNFINISHED))? {
        let path = entry?.path();
        // Another program's check may be clearing the same files.
        let Ok(modified) = fs::metadata(&path).and_then(|metadata| metadata.modified()) else {
            continue;
        };
        let age = now.duration_since(modified).unwrap_or_default();
        if name_of(&path).ends_with(SUFFIX) && age > ABANDONED {
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
