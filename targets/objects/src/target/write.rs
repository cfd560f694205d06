//! The commit of a span: its objects one by one into the store, each created or found to be there.

use alluvium_target::TargetError;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::{Compression, Created, Description, ExamineError, Object, Store, examine};

/// How many objects of one span are written at a time.
pub(super) const WRITES_AT_ONCE: usize = 4;

/// What is done about an object that stands under the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It must be the same; it is compressed like this.
    Create(Compression),
    /// As `Create`; but one that is not what it says is replaced.
    Repair(Compression),
    /// As `Create`; but one of the same span is as good, whatever its rows.
    Accept(Compression),
}

/// An object and its name.
pub(super) struct SealedObject {
    pub(super) key: String,
    /// Taken away once it is durable.
    pub(super) object: Option<Object>,
}

/// Writes what is not yet durable, some at a time. After a failure it starts no more, but waits for those
/// under way: what they have done need not be done again.
pub(super) async fn write_all<S: Store>(
    store: &S,
    objects: &mut [SealedObject],
    mode: Mode,
) -> Result<(), TargetError> {
    let write = |sealed: &mut SealedObject| {
        // A key and a list of references: cheap to clone.
        let waiting = sealed
            .object
            .clone()
            .map(|object| (sealed.key.clone(), object));
        waiting.map(|(key, object)| async move { write(store, &key, &object, mode).await })
    };
    let mut failure = None;
    let mut waiting = objects.iter_mut().filter(|sealed| sealed.object.is_some());
    let mut running = FuturesUnordered::new();
    loop {
        while failure.is_none() && running.len() < WRITES_AT_ONCE {
            let Some(sealed) = waiting.next() else { break };
            if let Some(write) = write(sealed) {
                running.push(async move { (write.await, sealed) });
            }
        }
        match running.next().await {
            None => break,
            Some((Ok(()), sealed)) => sealed.object = None,
            Some((Err(error), _)) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn write<S: Store>(
    store: &S,
    key: &str,
    object: &Object,
    mode: Mode,
) -> Result<(), TargetError> {
    let (Mode::Create(compression) | Mode::Repair(compression) | Mode::Accept(compression)) = mode;
    match store.create(key, object).await? {
        Created::New => Ok(()),
        Created::Exists => {
            if mode == Mode::Accept(compression) && is_of_span(store, key, object).await? {
                return Ok(());
            }
            let compared = compare(store, key, &object.description, compression).await;
            match (mode, compared) {
                (Mode::Repair(_), Ok(true)) => repair(store, key, object, compression).await,
                // The right rows, but it does not say so.
                (Mode::Repair(_), Ok(false)) => store.replace(key, object).await,
                (_, compared) => compared.map(|_| ()),
            }
        }
    }
}

/// Whether what stands under `key` is of the same span, as the same plan has it.
async fn is_of_span<S: Store>(store: &S, key: &str, ours: &Object) -> Result<bool, TargetError> {
    let ours = &ours.description;
    let found = store.describe(key).await?;
    let theirs = found.and_then(|found| Description::from_metadata(&found.metadata).ok());
    Ok(theirs.is_some_and(|theirs| theirs.span == ours.span && theirs.opened_ms == ours.opened_ms))
}

/// Replaces an object that says it is the one to be written, and is not. One that says something else is never
/// replaced: perhaps it is right, and the records are not all there any more.
async fn repair<S: Store>(
    store: &S,
    key: &str,
    object: &Object,
    compression: Compression,
) -> Result<(), TargetError> {
    match examine(store.read(key).await?, compression).await {
        Ok(contents) if object.description.holds(&contents) => Ok(()),
        Err(ExamineError::Read(error)) => Err(error),
        Ok(_) | Err(_) => store.replace(key, object).await,
    }
}

/// Success if what stands under `key` holds the same rows: written by an earlier attempt whose answer was
/// lost, before a crash, or by another owner of the partition. Whether that is only what it says of itself.
async fn compare<S: Store>(
    store: &S,
    key: &str,
    ours: &Description,
    compression: Compression,
) -> Result<bool, TargetError> {
    let Some(found) = store.describe(key).await? else {
        return Err(TargetError::Unavailable(format!(
            "`{key}` was there when it was to be created, and is gone now"
        )));
    };
    match Description::from_metadata(&found.metadata) {
        Ok(theirs) if theirs.same_content(ours) => Ok(true),
        Ok(theirs) => Err(conflict(key, &theirs.to_string(), ours)),
        // A place that keeps no metadata, a tool that lost it, or another program's object. The name is
        // that of the span; whether the rows are too is told by reading them.
        Err(lacks) => match examine(store.read(key).await?, compression).await {
            Ok(contents) if ours.holds(&contents) => Ok(false),
            Ok(contents) => Err(conflict(key, &format!("{contents} ({lacks})"), ours)),
            Err(ExamineError::Read(error)) => Err(error),
            Err(error) => {
                let len = found.len;
                let theirs = format!("{len} bytes that are no object of this program: {error}");
                Err(conflict(key, &format!("{theirs} ({lacks})"), ours))
            }
        },
    }
}

fn conflict(key: &str, theirs: &str, ours: &Description) -> TargetError {
    TargetError::Conflict(format!(
        "`{key}` holds something else: there are {theirs}; to be written are {ours}. Nothing was \
         overwritten. Move that object away if it is not wanted; if another program writes there, give one \
         of them another place or key template"
    ))
}
