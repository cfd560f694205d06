//! What is known of a registry's schemas, and how more becomes known.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{Client, SchemaError};
use crate::awaited::{Asking, RETRY};
use crate::decode::avro::{Found, NotYet, Schema, SchemaId, Schemas};

/// That there is no schema of a number is asked anew after this time: it may have been registered since.
const DOUBT: Duration = Duration::from_secs(60);
/// More entries than this that say nothing are forgotten.
const MAX_EMPTY: usize = 65_536;

/// A registry's schemas as far as they are known, shared by all workers.
#[derive(Debug)]
pub struct Registry {
    known: Known,
    asking: Asking<SchemaId>,
}

type Known = Arc<RwLock<HashMap<SchemaId, Entry>>>;

#[derive(Clone, Debug)]
enum Entry {
    /// Asked for; with what became of it last time.
    Asked(Option<Arc<str>>),
    Failed(Instant, Arc<str>),
    Refused(Instant, Arc<str>),
    Unknown(Instant, Arc<str>),
    /// What will not change.
    Known(Found),
}

impl Registry {
    /// Asks `client` on `runtime`, as long as somebody wants to know.
    pub fn new(client: Client, runtime: &Handle) -> Self {
        let (client, known) = (Arc::new(client), Known::default());
        let learning = known.clone();
        let asking = Asking::new(
            runtime,
            move |id, ()| fetch(client.clone(), id),
            |why| Err(SchemaError::Unavailable(why.into())),
            move |id, answer| {
                let mut known = learning.write().unwrap_or_else(PoisonError::into_inner);
                known.insert(id, entry(id, answer));
            },
        );
        Self { known, asking }
    }

    /// Sees to it that the question is asked. `last`: what became of it before.
    fn ask(&self, id: SchemaId, last: Option<Arc<str>>) -> Found {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Entry::Asked(_)) = known.get(&id) {
            return Found::NotYet(NotYet::Asked);
        }
        if known.len() >= MAX_EMPTY {
            known.retain(|_, entry| matches!(entry, Entry::Known(_) | Entry::Asked(_)));
        }
        if self.asking.ask(id, ()) {
            known.insert(id, Entry::Asked(last.clone()));
        }
        Found::NotYet(last.map_or(NotYet::Asked, NotYet::Failed))
    }
}

impl Schemas for Registry {
    fn find(&self, id: SchemaId) -> Found {
        let entry = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.get(&id).cloned()
        };
        match entry {
            Some(Entry::Known(found)) => found,
            Some(Entry::Asked(None)) => Found::NotYet(NotYet::Asked),
            Some(Entry::Asked(Some(why))) => Found::NotYet(NotYet::Failed(why)),
            Some(Entry::Failed(at, why)) if at.elapsed() < RETRY => {
                Found::NotYet(NotYet::Failed(why))
            }
            Some(Entry::Refused(at, why)) if at.elapsed() < DOUBT => {
                Found::NotYet(NotYet::Refused(why))
            }
            Some(Entry::Unknown(at, why)) if at.elapsed() < DOUBT => Found::Unknown(why),
            Some(Entry::Failed(_, why) | Entry::Refused(_, why)) => self.ask(id, Some(why)),
            Some(Entry::Unknown(..)) | None => self.ask(id, None),
        }
    }
}

async fn fetch(client: Arc<Client>, id: SchemaId) -> Result<Schema, SchemaError> {
    client.fetch(id).await
}

/// What is known of a schema after an answer.
fn entry(id: SchemaId, answer: Result<Schema, SchemaError>) -> Entry {
    match answer {
        Ok(schema) => {
            tracing::info!("{id} is fetched from the registry");
            Entry::Known(Found::Schema(Arc::new(schema)))
        }
        Err(SchemaError::Unusable(why)) => Entry::Known(Found::Unusable(why)),
        Err(SchemaError::NotFound(why)) => Entry::Unknown(Instant::now(), why),
        Err(error @ SchemaError::Unavailable(_)) => {
            Entry::Failed(Instant::now(), error.to_string().into())
        }
        Err(SchemaError::Misconfigured(why)) => Entry::Refused(Instant::now(), why),
    }
}

#[cfg(test)]
mod tests;
