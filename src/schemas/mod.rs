//! Where the schemas of records are had from: a registry that speaks Confluent's protocol, or files of this machine.
//!
//! Owns what is known of each schema, shared by all workers of the process, and the asking. Decoders look here without waiting
//! ([`crate::decode::avro::Schemas`]); what is not at hand is asked for by tasks on the runtime, once whoever wants it. It never decides that
//! there is no schema because nobody answered.

mod client;
mod files;
mod http;
mod registry;

use std::sync::Arc;

pub use self::client::{Client, ClientSettings};
pub use self::files::Files;
pub use self::registry::Registry;
use crate::decode::avro::{Found, SchemaId, Schemas};

/// Why a schema is not had, named by what the caller does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Nobody has answered: ask again later.
    #[error("the schema registry is not available: {0}")]
    Unavailable(Arc<str>),
    /// The registry has answered that there is none.
    #[error("{0}")]
    NotFound(Arc<str>),
    /// There is one, but not one that records can be read with.
    #[error("{0}")]
    Unusable(Arc<str>),
    /// A person must change something first.
    #[error("{0}")]
    Misconfigured(Arc<str>),
}

/// No schemas at all, for records that need none or bring their own.
#[derive(Clone, Copy, Debug)]
pub struct NoSchemas;

impl Schemas for NoSchemas {
    fn find(&self, _: SchemaId) -> Found {
        Found::Unknown("no registry and no files of schemas are configured".into())
    }
}
