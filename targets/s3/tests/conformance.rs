//! The suite every target passes, against a real S3 server (`server/mod.rs` says which).
#![cfg(feature = "service-tests")]
// Helpers of tests, which clippy does not take for tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod server;

use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use alluvium_objects::ObjectTarget;
use alluvium_objects::conformance as objects;
use alluvium_target::Target;
use alluvium_target::conformance::{self, Harness, Output, Place};
use alluvium_target_s3::{S3Settings, S3Store};
use async_trait::async_trait;
use server::{reader, settings};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

/// Gives each check a bucket of its own, one after the other.
#[derive(Default)]
struct Buckets {
    made: Mutex<Vec<String>>,
}

impl Buckets {
    /// Empties and deletes the buckets of finished checks: some servers keep few at a time.
    async fn clear(&self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap());
        for bucket in made {
            for key in keys(&bucket).await {
                reader()
                    .delete_object()
                    .bucket(&bucket)
                    .key(key)
                    .send()
                    .await
                    .unwrap();
            }
            reader()
                .delete_bucket()
                .bucket(&bucket)
                .send()
                .await
                .unwrap();
        }
    }
}

#[async_trait]
impl Harness for Buckets {
    async fn fresh(&self) -> Box<dyn Place> {
        self.clear().await;
        let now = UNIX_EPOCH.elapsed().unwrap().as_micros();
        let bucket = format!("{}-{now}", settings().bucket);
        reader()
            .create_bucket()
            .bucket(&bucket)
            .send()
            .await
            .unwrap();
        self.made.lock().unwrap().push(bucket.clone());
        Box::new(Bucket(bucket))
    }
}

struct Bucket(String);

#[async_trait]
impl Place for Bucket {
    fn target(&self) -> Arc<dyn Target> {
        let settings = S3Settings {
            bucket: self.0.clone(),
            ..settings()
        };
        let connect = || Handle::current().block_on(S3Store::connect(settings));
        let store = block_in_place(connect).unwrap();
        Arc::new(ObjectTarget::new(store, objects::settings().unwrap()).unwrap())
    }

    async fn visible(&self) -> Vec<Output> {
        let mut outputs = Vec::new();
        for key in keys(&self.0).await {
            let object = reader()
                .get_object()
                .bucket(&self.0)
                .key(&key)
                .send()
                .await
                .unwrap();
            let body = object.body.collect().await.unwrap().into_bytes();
            outputs.extend(objects::read(&key, &body).unwrap());
        }
        outputs
    }
}

async fn keys(bucket: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut pages = reader()
        .list_objects_v2()
        .bucket(bucket)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        keys.extend(
            page.contents()
                .iter()
                .map(|object| object.key().unwrap().to_owned()),
        );
    }
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_passes_the_conformance_suite() {
    let buckets = Buckets::default();
    conformance::run(&buckets).await;
    buckets.clear().await;
}
