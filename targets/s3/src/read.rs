//! What stands in the bucket: looked at, listed, read.

use std::collections::BTreeMap;

use alluvium_objects::{Body, Found, Listed};
use aws_sdk_s3::primitives::ByteStream;
use futures_util::stream::{self, StreamExt as _};

use crate::failure::Failure;
use crate::store::S3Store;

/// What is known of an object. 404 is an answer; 403 is a failure, though S3 also says it of what is not
/// there to who may not list.
pub(crate) async fn describe(store: &S3Store, key: &str) -> Result<Option<Found>, Failure> {
    let _turn = store.turn().await;
    let request = store.client().head_object().bucket(store.bucket()).key(key);
    let answer = request
        .customize()
        .config_override(store.pace().config(0))
        .send()
        .await;
    match answer {
        Ok(head) => Ok(Some(Found {
            len: len(head.content_length),
            metadata: lower_case(head.metadata),
        })),
        Err(error)
            if error
                .raw_response()
                .is_some_and(|r| r.status().as_u16() == 404) =>
        {
            Ok(None)
        }
        Err(error) => {
            let doing = format!("look at {}", store.name(key));
            Err(Failure::of(&doing, &error).of_reading())
        }
    }
}

/// Header names have no case; what the server made of it is its own affair.
fn lower_case(
    metadata: Option<std::collections::HashMap<String, String>>,
) -> BTreeMap<String, String> {
    let entries = metadata.unwrap_or_default().into_iter();
    entries
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect()
}

fn len(content_length: Option<i64>) -> u64 {
    content_length
        .and_then(|len| u64::try_from(len).ok())
        .unwrap_or_default()
}

/// One page of keys, in the order of their bytes on AWS. Others have their own, and go on from a key in it.
pub(crate) async fn list(
    store: &S3Store,
    prefix: &str,
    after: Option<&str>,
) -> Result<Vec<Listed>, Failure> {
    let mut token = None;
    loop {
        let _turn = store.turn().await;
        let request = store
            .client()
            .list_objects_v2()
            .bucket(store.bucket())
            .prefix(prefix)
            .set_start_after(after.filter(|_| token.is_none()).map(str::to_owned))
            .set_continuation_token(token);
        let answer = request
            .customize()
            .config_override(store.pace().config(0))
            .send()
            .await;
        let page = answer.map_err(|error| {
            let doing = format!("list {}", store.name(prefix));
            Failure::of(&doing, &error).of_listing()
        })?;
        let objects = page.contents.unwrap_or_default().into_iter();
        let listed: Vec<_> = objects
            .filter_map(|object| {
                let len = len(object.size);
                object.key.map(|key| Listed { key, len })
            })
            .collect();
        token = page.next_continuation_token;
        // A page may be empty without being the last.
        if !listed.is_empty() || page.is_truncated != Some(true) || token.is_none() {
            return Ok(listed);
        }
    }
}

/// The bytes of an object as they come. No turn is held while they do.
pub(crate) async fn body(store: &S3Store, key: &str) -> Result<Body, Failure> {
    let doing = format!("read {}", store.name(key));
    let _turn = store.turn().await;
    let request = store.client().get_object().bucket(store.bucket()).key(key);
    let answer = request
        .customize()
        .config_override(store.pace().config(0))
        .send()
        .await;
    let answer = answer.map_err(|error| Failure::of(&doing, &error).of_reading())?;
    let left = len(answer.content_length);
    let rest = Rest {
        body: answer.body,
        left,
        doing,
    };
    let pieces = stream::unfold(Some(rest), |rest| async move {
        let mut rest = rest?;
        match rest.body.next().await {
            Some(Ok(piece)) => {
                rest.left = rest.left.saturating_sub(piece.len() as u64);
                Some((Ok(piece), Some(rest)))
            }
            Some(Err(error)) => {
                let failure = Failure::of_body(&rest.doing, &error);
                Some((Err(failure.while_running()), None))
            }
            None if rest.left > 0 => {
                let failure = Failure::cut_off(&rest.doing, rest.left);
                Some((Err(failure.while_running()), None))
            }
            None => None,
        }
    });
    Ok(pieces.boxed())
}

/// What is still to come of a body.
struct Rest {
    body: ByteStream,
    left: u64,
    /// Begins what errors say.
    doing: String,
}
