//! Delivers to S3, and to servers that speak its protocol.
//!
//! This crate owns everything that is particular to S3: how a client is set up ([`S3Settings`]),
//! how an object gets there whole ([`S3Store`]: one `PutObject`, or a multipart upload above a
//! size) and without replacing another, and which of the many ways S3 can fail may heal. What is in an
//! object and what it is called is decided in `alluvium-objects`; when to try again is decided by the
//! caller. It never deletes objects.
//!
//! Made after the API reference:
//! [PutObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html),
//! [CreateMultipartUpload](https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html),
//! [UploadPart](https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html),
//! [CompleteMultipartUpload](https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html),
//! [AbortMultipartUpload](https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html),
//! [HeadObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html),
//! [GetObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html),
//! [ListObjectsV2](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html),
//! [conditional writes](https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html),
//! [error responses](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html),
//! [limits](https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html) and
//! [checksums](https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).

mod body;
mod client;
mod failure;
mod guard;
mod multipart;
mod read;
mod settings;
mod store;

#[cfg(test)]
mod tests;

pub use settings::{S3Settings, StaticKeys};
pub use store::S3Store;
