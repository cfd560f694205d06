//! Rows to named objects, for targets that hold objects: a bucket, a directory.
//!
//! An [`ObjectTarget`] turns the rows of a span into NDJSON lines, gathers the lines of each object in
//! compressed pieces, and puts the finished objects into a [`Store`]. The store knows nothing of rows;
//! everything here knows nothing of where objects go.

mod gzip;
mod key;
mod line;
mod output;
mod store;
mod target;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use key::{KeyError, KeyTemplate};
pub use line::LineLayout;
pub use output::Compression;
pub use store::{Object, Store};
pub use target::{ObjectSettings, ObjectTarget};
