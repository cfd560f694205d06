//! What every store must do, whatever it writes to.

use std::collections::BTreeMap;

use alluvium_target::{Partition, Position, Span};
use bytes::Bytes;
use futures_util::stream::StreamExt as _;

use crate::{
    Compression, ContentHash, Contents, Created, Description, Found, Listed, Object, Store, examine,
};

/// An object of these pieces of text, described as what they are.
pub fn object(pieces: impl IntoIterator<Item = impl Into<Bytes>>) -> Object {
    let body: Vec<Bytes> = pieces.into_iter().map(Into::into).collect();
    let text = body.concat();
    let lines = || text.split_inclusive(|byte| *byte == b'\n');
    let without_feed = |line| <[u8]>::strip_suffix(line, b"\n").unwrap_or(line);
    let rows = lines().count() as u64;
    let description = Description {
        span: Span {
            partition: Partition::new("clicks", 3),
            from: Position::at(7),
            to: Position::at(9),
        },
        opened_ms: 1_700_000_000_000,
        rows,
        uncompressed_bytes: text.len() as u64,
        content: ContentHash::of(lines().map(without_feed)),
        span_objects: 1,
        span_rows: rows,
    };
    Object {
        body,
        content_type: "application/x-ndjson",
        content_encoding: None,
        description,
    }
}

/// Checks a store in which no key begins with `place`.
///
/// # Panics
/// If it does not do what [`Store`] says.
pub async fn check_store(store: &dyn Store, place: &str) {
    create_and_replace(store, &format!("{place}a/create.ndjson")).await;
    one_of_many_creates(store, &format!("{place}a/many.ndjson")).await;
    large_objects_come_back(store, &format!("{place}a/large.ndjson")).await;
    lists_page_by_page(store, &format!("{place}list/")).await;
}

#[expect(clippy::panic, reason = "a failed check panics")]
fn fine<T, E: std::fmt::Display>(doing: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{doing}: {error}"))
}

async fn found(store: &dyn Store, key: &str) -> Option<Found> {
    fine("describe", store.describe(key).await)
}

/// Nothing else may stand there than this object, as far as the store can tell.
async fn assert_stands(store: &dyn Store, key: &str, object: &Object) {
    let Found { len, metadata } = found(store, key).await.unwrap_or(Found {
        len: u64::MAX,
        metadata: BTreeMap::new(),
    });
    assert_eq!(len, object.len(), "length of {key}");
    if !metadata.is_empty() {
        let there = fine("metadata", Description::from_metadata(&metadata));
        assert_eq!(there, object.description, "metadata of {key}");
    }
    let mut body = fine("read", store.read(key).await);
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&fine("read on", piece));
    }
    assert!(bytes == object.body.concat(), "{key} holds other bytes");
}

async fn create_and_replace(store: &dyn Store, key: &str) {
    let [one, two] = ["{\"n\":1}\n", "{\"n\":2}\n{}\n"].map(|text| object([text]));
    assert_eq!(found(store, key).await, None, "{key} is new");
    assert!(store.read(key).await.is_err(), "{key} cannot be read");
    let created = fine("create", store.create(key, &one).await);
    assert_eq!(created, Created::New, "the first create");
    assert_stands(store, key, &one).await;
    match fine("create again", store.create(key, &two).await) {
        Created::Exists => assert_stands(store, key, &one).await,
        // It cannot tell.
        Created::New => assert_stands(store, key, &two).await,
    }
    for object in [&two, &one] {
        fine("replace", store.replace(key, object).await);
        assert_stands(store, key, object).await;
    }
    fine(
        "replace nothing",
        store.replace(&format!("{key}.2"), &one).await,
    );
    assert_stands(store, &format!("{key}.2"), &one).await;
}

/// Of all that create at once, one is told that it did, or the store cannot tell.
async fn one_of_many_creates(store: &dyn Store, key: &str) {
    let objects = [1, 2, 3, 4, 5, 6].map(|n| object([format!("{{\"n\":{n}}}\n")]));
    let creates = objects.each_ref().map(|object| store.create(key, object));
    let done = futures_util::future::join_all(creates).await;
    let made: Vec<_> = objects
        .iter()
        .zip(done)
        .filter(|(_, done)| matches!(done, Ok(Created::New)))
        .map(|(object, _)| object)
        .collect();
    if let [made] = made.as_slice() {
        assert_stands(store, key, made).await;
    }
    assert!(!made.is_empty(), "nobody created {key}");
}

async fn large_objects_come_back(store: &dyn Store, key: &str) {
    let line = Bytes::from(format!("{{\"filler\":\"{}\"}}\n", "x".repeat(9_984)));
    let large = object(vec![line; 300]);
    fine("create", store.create(key, &large).await);
    let body = fine("read", store.read(key).await);
    let contents = fine("examine", examine(body, Compression::None).await);
    let expected = Contents {
        rows: 300,
        uncompressed_bytes: large.len(),
        content: large.description.content,
    };
    assert_eq!(contents, expected, "contents of {key}");
}

async fn lists_page_by_page(store: &dyn Store, place: &str) {
    // In the order of their bytes, which is not that of a tree's folders.
    let names = [
        "a-b/c", "a.b", "a/b-c", "a/b/c", "a/c", "ab/c", "b c", "b/%2E", "ü", "漢/字",
    ];
    for (at, name) in names.iter().enumerate() {
        let object = object([format!("{at}\n")]);
        fine(
            "create",
            store.create(&format!("{place}{name}"), &object).await,
        );
    }
    let keys: Vec<String> = names.iter().map(|name| format!("{place}{name}")).collect();
    let in_order = listed(store, place, None).await;
    assert_eq!(sorted(&in_order), keys, "all of {place}");
    for (at, key) in in_order.iter().enumerate() {
        let behind = listed(store, place, Some(key)).await;
        assert_eq!(behind, in_order[at + 1..], "behind {key}");
    }
    for prefix in ["a", "a/", "a/b", "a-", "b", "ü", "nothing", "a/b-c"] {
        let prefix = format!("{place}{prefix}");
        let under = |key: &&String| key.starts_with(&prefix);
        let expected: Vec<String> = keys.iter().filter(under).cloned().collect();
        let found = listed(store, &prefix, None).await;
        assert_eq!(sorted(&found), expected, "under {prefix}");
    }
}

fn sorted(keys: &[String]) -> Vec<String> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys
}

/// The keys under `prefix` behind `after`, page by page.
async fn listed(store: &dyn Store, prefix: &str, after: Option<&str>) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let after = keys.last().map(String::as_str).or(after);
        let page = fine("list", store.list(prefix, after).await);
        if page.is_empty() {
            return keys;
        }
        for Listed { key, len } in page {
            assert_eq!(len, 2, "length of {key}");
            keys.push(key);
        }
    }
}
