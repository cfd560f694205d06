//! The store against a real S3 server (`server/mod.rs` says which).
#![cfg(feature = "service-tests")]
// Helpers of tests, which clippy does not take for tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod server;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_objects::{Created, Object, Store as _, conformance};
use alluvium_target::TargetError;
use alluvium_target_s3::{S3Settings, S3Store, StaticKeys};
use bytes::Bytes;
use server::{reader, settings};

/// A key no other test and no other run uses.
fn key(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!("test-{now}-{}/{name}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An object of these bytes, described as small text would be: the server does not look.
fn object(body: Vec<Bytes>) -> Object {
    Object {
        body,
        content_type: "application/gzip",
        ..conformance::object(["{}\n"])
    }
}

async fn assert_stored(key: &str, object: &Object) {
    let answer = reader()
        .get_object()
        .bucket(settings().bucket)
        .key(key)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.content_type.as_deref(), Some(object.content_type));
    assert_eq!(answer.content_encoding, None);
    let metadata: HashMap<_, _> = object
        .description
        .to_metadata()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    assert_eq!(answer.metadata, Some(metadata));
    let body = answer.body.collect().await.unwrap().into_bytes();
    assert!(
        body == object.body.concat(),
        "{key}: {} bytes came back otherwise",
        body.len()
    );
}

/// Bytes that no two parts have in common.
fn noise(len: usize) -> Bytes {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state >> 16).to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

#[tokio::test]
async fn a_check_passes_and_leaves_nothing() {
    let store = S3Store::connect(settings()).await.unwrap();
    store.check().await.unwrap();
    let list = reader()
        .list_objects_v2()
        .bucket(settings().bucket)
        .prefix("_dead_letters/.");
    assert_eq!(list.send().await.unwrap().contents().len(), 0);
}

#[tokio::test]
async fn objects_come_back_as_they_were_put() {
    let store = S3Store::connect(settings()).await.unwrap();
    let pieces: Vec<Bytes> = ["12", "", "345"].map(Bytes::from).to_vec();
    for (name, body) in [
        ("empty", Vec::new()),
        ("pieces", pieces),
        ("16-mb", vec![noise(16 << 20)]),
    ] {
        let (key, object) = (key(name), object(body));
        store.create(&key, &object).await.unwrap();
        assert_stored(&key, &object).await;
    }
}

#[tokio::test]
async fn a_large_object_goes_up_in_parts() {
    let store = S3Store::connect(settings()).await.unwrap();
    let whole = noise((40 << 20) + 7);
    let pieces = (0..whole.len())
        .step_by(300_000)
        .map(|at| whole.slice(at..whole.len().min(at + 300_000)));
    let (key, object) = (key("large"), object(pieces.collect()));
    store.create(&key, &object).await.unwrap();
    assert_stored(&key, &object).await;
    let head = reader()
        .head_object()
        .bucket(settings().bucket)
        .key(&key)
        .send()
        .await
        .unwrap();
    // The tag of a multipart object ends in the number of its parts.
    assert!(
        head.e_tag.as_ref().unwrap().contains("-6"),
        "{:?}",
        head.e_tag
    );
}

#[tokio::test]
async fn hostile_keys_name_what_they_say() {
    let store = S3Store::connect(settings()).await.unwrap();
    let names = [
        "a b",
        "50%",
        "%2e%2e",
        "a+b",
        "café-日本語",
        "quote'\"",
        "q?x=1&y#z",
        "a:b*c|d",
        "tilde~0",
    ];
    let place = key("hostile");
    for (number, name) in names.iter().enumerate() {
        store
            .create(
                &format!("{place}/{name}"),
                &object(vec![number.to_string().into()]),
            )
            .await
            .unwrap();
    }
    for (number, name) in names.iter().enumerate() {
        assert_stored(
            &format!("{place}/{name}"),
            &object(vec![number.to_string().into()]),
        )
        .await;
    }
    let list = reader()
        .list_objects_v2()
        .bucket(settings().bucket)
        .prefix(format!("{place}/"));
    assert_eq!(list.send().await.unwrap().contents().len(), names.len());
}

#[tokio::test]
async fn a_replacement_replaces() {
    let (store, in_parts) = stores().await;
    let key = key("again");
    for (store, body) in [(&store, "first"), (&in_parts, "second"), (&store, "third")] {
        let object = object(vec![body.into()]);
        store.replace(&key, &object).await.unwrap();
        assert_stored(&key, &object).await;
    }
}

/// A store that sends objects in one request, and one that sends all of them in parts.
async fn stores() -> (S3Store, S3Store) {
    let small = S3Settings {
        single_put_max: 0,
        ..settings()
    };
    let store = S3Store::connect(settings()).await.unwrap();
    (store, S3Store::connect(small).await.unwrap())
}

#[tokio::test]
async fn stores_as_every_store() {
    let (store, in_parts) = stores().await;
    conformance::check_store(&store, &key("")).await;
    conformance::check_store(&in_parts, &key("")).await;
}

#[tokio::test]
async fn what_stands_there_is_left_alone() {
    let (store, in_parts) = stores().await;
    for (first, second) in [
        (&store, &store),
        (&store, &in_parts),
        (&in_parts, &store),
        (&in_parts, &in_parts),
    ] {
        let key = key("once");
        let object_one = object(vec!["one".into()]);
        let created = first.create(&key, &object_one).await.unwrap();
        assert_eq!(created, Created::New);
        let object_two = object(vec!["two".into()]);
        let created = second.create(&key, &object_two).await.unwrap();
        assert_eq!(created, Created::Exists);
        assert_stored(&key, &object_one).await;
    }
    let list = reader()
        .list_multipart_uploads()
        .bucket(settings().bucket)
        .prefix("test-");
    let left = list.send().await.unwrap();
    let left: Vec<_> = left
        .uploads()
        .iter()
        .filter(|upload| upload.key().unwrap().ends_with("/once"))
        .collect();
    assert!(left.is_empty(), "uploads left behind: {left:?}");
}

/// Creates one object by many at once; those that were told they did.
async fn race(stores: &[&S3Store], key: &str) -> Vec<Object> {
    let creates = stores.iter().enumerate().map(|(n, store)| async move {
        let object = object(vec![format!("writer {n}").into()]);
        (store.create(key, &object).await.unwrap(), object)
    });
    let done = futures_util::future::join_all(creates).await;
    let made = done.into_iter().filter(|(done, _)| *done == Created::New);
    made.map(|(_, object)| object).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_creates() {
    let (store, in_parts) = stores().await;
    for _ in 0..10 {
        let at_once = key("at-once");
        let made = race(&[&store; 8], &at_once).await;
        assert_eq!(made.len(), 1, "in one request");
        assert_stored(&at_once, &made[0]).await;
        // AWS lets one of them be the first. SeaweedFS 4.48 looks first and joins then, so several may have
        // been told that they did; what stands there is one of theirs, whole.
        let joined = key("joined");
        let made = race(&[&in_parts; 4], &joined).await;
        let answer = reader()
            .get_object()
            .bucket(settings().bucket)
            .key(&joined)
            .send()
            .await
            .unwrap();
        let body = answer.body.collect().await.unwrap().into_bytes();
        assert!(made.iter().any(|object| object.body.concat() == body));
    }
}

#[tokio::test]
async fn what_a_person_must_put_right_is_found_by_the_check() {
    let right = settings();
    let keys = right.keys.clone().unwrap();
    let secret = StaticKeys {
        secret_key: "not-the-secret".into(),
        ..keys.clone()
    };
    let access = StaticKeys {
        access_key: "not-the-key".into(),
        ..keys
    };
    for (wrong, advice) in [
        (
            S3Settings {
                keys: Some(secret),
                ..right.clone()
            },
            "target.secret-access-key",
        ),
        (
            S3Settings {
                keys: Some(access),
                ..right.clone()
            },
            "target.access-key",
        ),
        (
            S3Settings {
                bucket: "no-such-bucket-here".into(),
                ..right
            },
            "target.aws.s3-bucket",
        ),
    ] {
        let store = S3Store::connect(wrong).await.unwrap();
        match store.check().await {
            Err(TargetError::Misconfigured(text)) => assert!(text.contains(advice), "{text}"),
            other => panic!("{other:?}"),
        }
        match store.create(&key("never"), &object(vec!["x".into()])).await {
            Err(TargetError::Unavailable(text)) => assert!(text.contains(advice), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}
