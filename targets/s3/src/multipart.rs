//! One object in several requests: visible only when the last one, which joins the parts, succeeds.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use alluvium_objects::Object;

use crate::body::Payload;
use crate::failure::Failure;
use crate::guard::{Guard, Refusal};
use crate::read;
use crate::store::S3Store;

/// Parts of one object on their way at a time.
const PARTS_AT_ONCE: usize = 3;
/// S3 takes no more parts in one object.
const MOST_PARTS: u64 = 10_000;
/// S3 takes no smaller part, but for the last.
const SMALLEST_PART: u64 = 5 << 20;

/// The size of the parts of an object of `len` bytes: `wanted`, or more where S3 asks for it.
fn part_size(len: u64, wanted: u64) -> u64 {
    wanted.max(SMALLEST_PART).max(len.div_ceil(MOST_PARTS))
}

/// Uploads in parts. A failed upload is taken back as far as the server still listens; what remains
/// of one that could not be costs money until a lifecycle rule of the bucket removes it.
pub(crate) async fn put(
    store: &S3Store,
    key: &str,
    object: &Object,
    guard: Guard,
) -> Result<(), Refusal> {
    let doing = format!("begin the upload of {}", store.name(key));
    let upload = begin(store, key, Some(object), &doing).await?;
    let size = part_size(object.len(), store.settings().part_size);
    let result = match send_parts(store, key, &upload, &object.body, size).await {
        Ok(parts) => complete(store, key, &upload, parts, guard).await,
        Err(failure) => Err(failure.into()),
    };
    if result.is_err()
        && let Err(failure) = abort(store, key, &upload).await
    {
        tracing::debug!("{failure}");
    }
    result
}

/// Begins an upload, of an object or only to try, and returns its id. `doing` names that in messages.
pub(crate) async fn begin(
    store: &S3Store,
    key: &str,
    object: Option<&Object>,
    doing: &str,
) -> Result<String, Failure> {
    let _turn = store.turn().await;
    let mut request = store
        .client()
        .create_multipart_upload()
        .bucket(store.bucket())
        .key(key)
        .set_checksum_algorithm(
            store
                .settings()
                .checksums
                .then_some(ChecksumAlgorithm::Crc32),
        );
    if let Some(object) = object {
        request = request
            .content_type(object.content_type)
            .set_content_encoding(object.content_encoding.map(Into::into));
        for (name, value) in object.description.to_metadata() {
            request = request.metadata(name, value);
        }
    }
    let answer = request
        .customize()
        .config_override(store.pace().config(0))
        .send()
        .await;
    let answer = answer.map_err(|error| Failure::of(doing, &error))?;
    answer
        .upload_id
        .ok_or_else(|| Failure::not_s3(doing, "upload id"))
}

async fn send_parts(
    store: &S3Store,
    key: &str,
    upload: &str,
    body: &[Bytes],
    size: u64,
) -> Result<Vec<CompletedPart>, Failure> {
    let sends: Vec<_> = (1..)
        .zip(Payload::split(body, size))
        .map(|(number, payload)| send_part(store, key, upload, number, payload))
        .collect();
    stream::iter(sends)
        .buffered(PARTS_AT_ONCE)
        .try_collect()
        .await
}

async fn send_part(
    store: &S3Store,
    key: &str,
    upload: &str,
    number: i32,
    payload: Payload,
) -> Result<CompletedPart, Failure> {
    let doing = format!("put part {number} of {}", store.name(key));
    let _turn = store.turn().await;
    let len = payload.len();
    let crc = store.settings().checksums.then(|| payload.crc32());
    let request = store
        .client()
        .upload_part()
        .bucket(store.bucket())
        .key(key)
        .upload_id(upload)
        .part_number(number)
        .content_length(len.cast_signed())
        .set_checksum_crc32(crc.clone())
        .body(payload.stream());
    let answer = request
        .customize()
        .config_override(store.pace().config(len))
        .send()
        .await;
    let answer = answer.map_err(|error| Failure::of(&doing, &error))?;
    let tag = answer
        .e_tag
        .ok_or_else(|| Failure::not_s3(&doing, "ETag"))?;
    Ok(CompletedPart::builder()
        .part_number(number)
        .e_tag(tag)
        .set_checksum_crc32(crc)
        .build())
}

/// Joins the parts. Repeated by the SDK after a lost answer it may find the upload gone, since it was
/// joined: what stands there then tells.
async fn complete(
    store: &S3Store,
    key: &str,
    upload: &str,
    parts: Vec<CompletedPart>,
    guard: Guard,
) -> Result<(), Refusal> {
    let turn = store.turn().await;
    let request = store
        .client()
        .complete_multipart_upload()
        .bucket(store.bucket())
        .key(key)
        .upload_id(upload)
        .set_if_none_match(guard.header())
        .multipart_upload(
            CompletedMultipartUpload::builder()
                .set_parts(Some(parts))
                .build(),
        );
    let answer = request
        .customize()
        .config_override(store.pace().patient())
        .send()
        .await;
    drop(turn);
    let Err(error) = answer else { return Ok(()) };
    let doing = format!("finish the upload of {}", store.name(key));
    let gone = error.code() == Some("NoSuchUpload");
    if gone && guard == Guard::IfAbsent && matches!(read::describe(store, key).await, Ok(Some(_))) {
        return Err(Refusal::Exists(Failure::of(&doing, &error)));
    }
    Err(Refusal::of(&doing, guard, &error))
}

/// Takes an upload back, with its parts.
pub(crate) async fn abort(store: &S3Store, key: &str, upload: &str) -> Result<(), Failure> {
    let _turn = store.turn().await;
    let request = store
        .client()
        .abort_multipart_upload()
        .bucket(store.bucket())
        .key(key)
        .upload_id(upload);
    match request
        .customize()
        .config_override(store.pace().brief())
        .send()
        .await
    {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::of(
            &format!("abort the upload of {}", store.name(key)),
            &error,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_so_that_they_are_never_too_many() {
        const MIB: u64 = 1 << 20;
        assert_eq!(part_size(20 * MIB, 8 * MIB), 8 * MIB);
        assert_eq!(part_size(20 * MIB, 1), 5 * MIB);
        assert_eq!(part_size(80_000 * MIB, 8 * MIB), 8 * MIB);
        assert_eq!(part_size(80_000 * MIB + 1, 8 * MIB), 8 * MIB + 1);
        let most: u64 = 5 << 40;
        assert!(most.div_ceil(part_size(most, 8 * MIB)) <= MOST_PARTS);
    }
}
