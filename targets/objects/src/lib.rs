//! Rows to named objects, for targets that hold objects: a bucket, a directory.
//!
//! An [`ObjectTarget`] turns the rows of a span into NDJSON lines, gathers the lines of each object in
//! compressed pieces, and puts the finished objects into a [`Store`]. The store knows nothing of rows;
//! everything here knows nothing of where objects go.
//!
//! An object is created, never replaced. Where one stands already it is compared ([`Description`],
//! [`examine`]): the same rows are success, others are a conflict. So a span is written once however often
//! and by however many it is written.

mod compression;
mod content;
pub mod deflate;
mod description;
mod examine;
mod gzip;
mod key;
mod line;
mod output;
pub mod steps;
mod store;
mod target;
mod zstd;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use compression::Compression;
pub use content::{ContentHash, NotAContentHash};
pub use description::{Description, DescriptionError};
pub use examine::{Contents, ExamineError, examine};
pub use key::{KeyError, KeyParts, KeyTemplate, Numbers, read_dead_letters_key};
pub use line::{LineLayout, timestamp_text};
pub use store::{Body, Created, Found, Listed, Object, Store};
pub use target::{ObjectSettings, ObjectTarget};
