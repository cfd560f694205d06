//! The file target keeps the contract, and its files are whole, in their place and alone.
#![expect(clippy::unwrap_used, reason = "tests panic on what must not fail")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alluvium_objects::conformance::{self as objects, check_store, object};
use alluvium_objects::{Created, Description, ObjectTarget, Store};
use alluvium_target::conformance::{self, Harness, Output, Place};
use alluvium_target::{Target, TargetError};
use alluvium_target_file::FileStore;
use async_trait::async_trait;
use tempfile::TempDir;

/// Places with extended attributes, or without.
struct Directories {
    metadata: bool,
}

struct Directory {
    root: TempDir,
    metadata: bool,
}

#[async_trait]
impl Harness for Directories {
    async fn fresh(&self) -> Box<dyn Place> {
        Box::new(Directory {
            root: TempDir::new().unwrap(),
            metadata: self.metadata,
        })
    }
}

#[async_trait]
impl Place for Directory {
    fn target(&self) -> Arc<dyn Target> {
        let mut store = FileStore::new(self.root.path().join("events"));
        if !self.metadata {
            store = store.without_metadata();
        }
        Arc::new(ObjectTarget::new(store, objects::settings().unwrap()).unwrap())
    }

    async fn visible(&self) -> Vec<Output> {
        let root = self.root.path().join("events");
        let outside: Vec<_> = fs::read_dir(self.root.path()).unwrap().collect();
        assert!(
            outside.len() <= 1,
            "written beside the directory: {outside:?}"
        );
        let read = |path: &PathBuf| {
            let key = path.strip_prefix(&root).unwrap().to_str().unwrap();
            objects::read(key, &fs::read(path).unwrap()).unwrap()
        };
        files(&root).iter().flat_map(read).collect()
    }
}

/// All files below `directory` that a reader would find, sorted.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn unfinished(directory: &Path) -> usize {
    fs::read_dir(directory.join(".alluvium")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    for metadata in [true, false] {
        conformance::run(&Directories { metadata }).await;
    }
}

#[tokio::test]
async fn stores_as_every_store() {
    let root = TempDir::new().unwrap();
    let store = FileStore::new(root.path());
    check_store(&store, "with/").await;
    let store = store.without_metadata();
    check_store(&store, "without/").await;
    assert_eq!(unfinished(root.path()), 0);
    let found = store.describe("without/a/large.ndjson").await.unwrap();
    assert!(found.unwrap().metadata.is_empty());
    let listed = store.list("", None).await.unwrap();
    assert!(listed.iter().all(|listed| !listed.key.starts_with('.')));
}

#[tokio::test]
async fn metadata_stands_beside_the_file() {
    let root = TempDir::new().unwrap();
    let store = FileStore::new(root.path());
    let object = object(["{}\n"]);
    let path = root.path().join("x");
    // The file system the tests run on has attributes, or this proves nothing.
    fs::write(&path, "").unwrap();
    xattr::set(&path, "user.alluvium.test", b"").unwrap();
    store.replace("x", &object).await.unwrap();
    let value = xattr::get(&path, "user.alluvium.span-rows").unwrap();
    assert_eq!(value.as_deref(), Some(&b"1"[..]));
    assert_eq!(xattr::get(&path, "user.alluvium.test").unwrap(), None);
    let found = store.describe("x").await.unwrap().unwrap();
    let description = Description::from_metadata(&found.metadata).unwrap();
    assert_eq!(description, object.description);
}

#[tokio::test]
async fn replaces_whole_files_and_leaves_nothing_else() {
    let root = TempDir::new().unwrap();
    let store = FileStore::new(root.path());
    let long = object(["long ", "first ", "text\n"]);
    store.replace("a/b/c.txt", &long).await.unwrap();
    let short = object(["short\n"]);
    store.replace("a/b/c.txt", &short).await.unwrap();
    let created = store.create("a/b/c.txt", &long).await.unwrap();
    assert_eq!(created, Created::Exists);
    store.create("ü/漢.txt", &object([""; 0])).await.unwrap();
    assert_eq!(
        fs::read_to_string(root.path().join("a/b/c.txt")).unwrap(),
        "short\n"
    );
    assert_eq!(
        files(root.path()),
        [root.path().join("a/b/c.txt"), root.path().join("ü/漢.txt")]
    );
    assert_eq!(unfinished(root.path()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_sees_one_of_two_writers_whole() {
    let root = TempDir::new().unwrap();
    let writer = |text: &'static str| {
        let store = FileStore::new(root.path());
        tokio::spawn(async move {
            for _ in 0..50 {
                store.replace("x/y", &object([text; 1_000])).await.unwrap();
            }
        })
    };
    let writers = [writer("aaaa"), writer("bbbb")];
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        if let Ok(text) = fs::read_to_string(root.path().join("x/y")) {
            assert!(text == "aaaa".repeat(1_000) || text == "bbbb".repeat(1_000));
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(unfinished(root.path()), 0);
}

#[tokio::test]
async fn refuses_keys_that_lead_elsewhere() {
    let root = TempDir::new().unwrap();
    let store = FileStore::new(root.path().join("in"));
    for key in ["", "..", "../x", "a/../../x", "/etc/x", "./x"] {
        let refused = store.create(key, &object(["x"])).await;
        assert!(
            matches!(refused, Err(TargetError::Misconfigured(_))),
            "{key}: {refused:?}"
        );
    }
    assert_eq!(files(root.path()), [""; 0].map(PathBuf::from));
}

#[tokio::test]
async fn check_makes_the_directory_and_leaves_it_empty() {
    let root = TempDir::new().unwrap();
    let store = FileStore::new(root.path().join("not/yet/there"));
    store.check().await.unwrap();
    assert!(store.directory().is_dir());
    assert_eq!(
        (files(root.path()).len(), unfinished(store.directory())),
        (0, 0)
    );
}

#[tokio::test]
async fn check_says_what_a_person_must_put_right() {
    let root = TempDir::new().unwrap();
    File::create(root.path().join("file")).unwrap();
    for place in ["file", "file/below"] {
        let store = FileStore::new(root.path().join(place));
        let refused = store.check().await;
        assert!(
            matches!(&refused, Err(TargetError::Misconfigured(why)) if why.contains("name a directory")),
            "{refused:?}"
        );
        // While running it may be a disk that comes back.
        let refused = store.create("x", &object(["x"])).await;
        assert!(
            matches!(refused, Err(TargetError::Unavailable(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn check_removes_only_what_was_abandoned() {
    let root = TempDir::new().unwrap();
    let store = FileStore::new(root.path());
    store.check().await.unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 3_600);
    for (name, modified) in [
        ("1-0.tmp", long_ago),
        ("1-1.tmp", SystemTime::now()),
        ("note", long_ago),
    ] {
        let file = File::create(root.path().join(".alluvium").join(name)).unwrap();
        file.set_modified(modified).unwrap();
    }
    store.check().await.unwrap();
    let left = fs::read_dir(root.path().join(".alluvium")).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["1-1.tmp", "note"]);
}
