//! What stands under a name, and its bytes.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use alluvium_objects::{Body, Found};
use alluvium_target::TargetError;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};

use crate::{attributes, on_a_blocking_thread};

/// Bytes read at a time.
const PIECE: u64 = 256 * 1024;

/// What is known of the file at `place`. Blocks.
pub(crate) fn describe(place: &Path) -> io::Result<Option<Found>> {
    let (file, len) = match open(place) {
        Ok(opened) => opened,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(Found {
        len,
        metadata: attributes::get(&file),
    }))
}

/// A name below what is a file is not there either.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn open(place: &Path) -> io::Result<(File, u64)> {
    // Looked at first: opening a pipe would wait for who writes to it.
    if !fs::metadata(place)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let file = File::open(place)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

/// The bytes of the file at `place`. `doing` begins what errors say.
pub(crate) async fn body(place: PathBuf, doing: String) -> Result<Body, TargetError> {
    let failed = move |error: &io::Error| TargetError::Unavailable(format!("{doing}: {error}"));
    let opened = on_a_blocking_thread(move || open(&place)).await;
    let opened = opened.map_err(|error| failed(&error))?;
    let pieces = stream::unfold(Some(opened), move |rest| {
        let failed = failed.clone();
        async move {
            let (file, left) = rest.filter(|(_, left)| *left > 0)?;
            Some(
                match on_a_blocking_thread(move || piece(file, left)).await {
                    Ok((piece, rest)) => (Ok(piece), Some(rest)),
                    Err(error) => (Err(failed(&error)), None),
                },
            )
        }
    });
    Ok(pieces.boxed())
}

/// The next bytes of a file that has `left` more, and the file.
fn piece(mut file: File, left: u64) -> io::Result<(Bytes, (File, u64))> {
    let len = left.min(PIECE);
    let mut bytes = vec![0; len as usize];
    file.read_exact(&mut bytes)?;
    Ok((bytes.into(), (file, left - len)))
}
