//! The objects of a run: how many, how large, whether all rows are in them; and uploading them alone.

use std::sync::Arc;
use std::time::Duration;

use alluvium::Targets;
use alluvium::config::Settings;
use alluvium_objects::{Created, Description, Object, Store};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::support::process::own_cpu;

/// Requests on their way at a time.
const AT_ONCE: usize = 8;

/// What stands under a prefix.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stock {
    pub(crate) objects: u64,
    /// Bytes as stored.
    pub(crate) bytes: u64,
    /// Bytes of text in them.
    pub(crate) text: u64,
    pub(crate) rows: u64,
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn store(settings: &Settings) -> Arc<dyn Store> {
    let place = Targets::standard().place(settings).await;
    place.expect("a place for objects").store
}

async fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let after = keys.last().map(String::as_str);
        let page = store.list(prefix, after).await.expect("a list of objects");
        if page.is_empty() {
            return keys;
        }
        keys.extend(page.into_iter().map(|listed| listed.key));
    }
}

async fn describe(store: &dyn Store, key: &str) -> (u64, Description) {
    let found = store.describe(key).await.expect("an answer");
    let found = found.expect("an object that was listed");
    let description = Description::from_metadata(&found.metadata);
    let description = description.expect("an object of ours");
    // Nothing here leaves gaps between positions.
    let positions = description.span.to.offset() - description.span.from.offset();
    assert_eq!(
        i64::try_from(description.span_rows),
        Ok(positions),
        "{}",
        description.span
    );
    (found.len, description)
}

/// Takes stock by what objects say of themselves.
pub(crate) fn stock(settings: &Settings, prefix: &str) -> Stock {
    runtime().block_on(async {
        let store = store(settings).await;
        let keys = keys(&*store, prefix).await;
        let described = stream::iter(&keys).map(|key| describe(&*store, key));
        let described = described.buffer_unordered(AT_ONCE);
        described
            .fold(Stock::default(), async |sum, (len, description)| Stock {
                objects: sum.objects + 1,
                bytes: sum.bytes + len,
                text: sum.text + description.uncompressed_bytes,
                rows: sum.rows + description.rows,
            })
            .await
    })
}

/// Puts the objects under `prefix` again, under `other`; gives the CPU time of the process for that.
pub(crate) fn upload(settings: &Settings, prefix: &str, other: &str) -> Duration {
    runtime().block_on(async {
        let store = store(settings).await;
        let keys = keys(&*store, prefix).await;
        let read = stream::iter(&keys).map(|key| read(&*store, key));
        let objects: Vec<_> = read.buffered(AT_ONCE).collect().await;
        assert!(!objects.is_empty(), "there are no objects under {prefix}");
        let named = keys.iter().zip(&objects).map(|(key, object)| {
            let key = key.strip_prefix(prefix).expect("a key with the prefix");
            (format!("{other}{key}"), object)
        });
        let named: Vec<_> = named.collect();
        let before = own_cpu();
        stream::iter(named)
            .map(|(key, object)| {
                let store = &store;
                async move { store.create(&key, object).await }
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |created| {
                assert_eq!(created, Created::New, "something stood there already");
                Ok(())
            })
            .await
            .expect("uploads that succeed");
        own_cpu() - before
    })
}

async fn read(store: &dyn Store, key: &str) -> Object {
    let (_, description) = describe(store, key).await;
    let body = store.read(key).await.expect("an object that was listed");
    Object {
        body: body.try_collect().await.expect("the bytes of an object"),
        content_type: "application/gzip",
        content_encoding: None,
        description,
    }
}
