//! One object on its way from the bucket to who reads it.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::{Piece, Settings};
use crate::awaited::{NotYet, ReadObject, Unopened};

/// Shared by the task that fetches it and whoever reads it.
#[derive(Debug)]
pub(super) struct Object {
    settings: Settings,
    state: Mutex<State>,
    /// A piece has come, or something has happened to the object.
    came: Condvar,
    /// There is room for a piece, or the object is to be fetched from its beginning.
    pub(super) wanted: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    /// What is held: from byte `start` on, without a gap.
    pieces: VecDeque<Bytes>,
    start: u64,
    end: u64,
    total: Option<u64>,
    version: Option<String>,
    /// What may be held of it, in the room that all objects share.
    room: Option<OwnedSemaphorePermit>,
    /// Whether somebody reads it while it comes.
    reading: bool,
    /// Whether somebody has read it to its end: it will be wanted again at once.
    was_read: bool,
    /// Whether what is held is of no use: it must come again from the first byte on.
    stale: bool,
    /// Why nothing comes for now.
    trouble: Option<NotYet>,
    missing: Option<Arc<str>>,
    pub(super) asked: Instant,
}

impl State {
    fn is_large(&self, settings: &Settings) -> bool {
        self.total.is_some_and(|total| total > settings.whole_max)
    }

    fn is_whole(&self) -> bool {
        self.start == 0 && self.total == Some(self.end)
    }

    /// The next part to get; `None` if there is no room for it, or nothing left.
    pub(super) fn next_part(&self, settings: &Settings) -> Option<(Range<u64>, Option<String>)> {
        let held = self.end - self.start;
        let full =
            self.is_large(settings) && held > 0 && held + settings.piece > settings.whole_max;
        let end = self
            .total
            .unwrap_or(u64::MAX)
            .min(self.end.saturating_add(settings.piece));
        let done = self.total.is_some_and(|total| self.end >= total);
        (!full && !done).then(|| (self.end..end, self.version.clone()))
    }

    /// Forgets what is held, to begin again.
    pub(super) fn begin_again(&mut self) {
        self.pieces.clear();
        (self.start, self.end) = (0, 0);
        (self.total, self.version) = (None, None);
        self.stale = false;
    }

    /// Whether a reader who comes again may begin.
    fn has_begun(&self) -> bool {
        !self.stale && self.start == 0 && (!self.pieces.is_empty() || self.is_whole())
    }

    fn not_yet(&self) -> Unopened {
        Unopened::NotYet(self.trouble.clone().unwrap_or(NotYet::Asked))
    }
}

impl Object {
    pub(super) fn new(settings: Settings) -> Self {
        let state = State {
            pieces: VecDeque::new(),
            start: 0,
            end: 0,
            total: None,
            version: None,
            room: None,
            reading: false,
            was_read: false,
            stale: false,
            trouble: None,
            missing: None,
            asked: Instant::now(),
        };
        Self {
            settings,
            state: Mutex::new(state),
            came: Condvar::new(),
            wanted: Notify::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to read it, as [`crate::awaited::Objects::open`] says.
    pub(super) fn open(self: &Arc<Self>) -> Result<Box<dyn ReadObject>, Unopened> {
        let mut state = self.state();
        state.asked = Instant::now();
        if let Some(who) = &state.missing {
            return Err(Unopened::Missing(who.clone()));
        }
        if !state.is_large(&self.settings) {
            return match state.is_whole() {
                true => Ok(Box::new(Whole(state.pieces.clone()))),
                false => Err(state.not_yet()),
            };
        }
        if state.reading {
            return Err(Unopened::NotYet(NotYet::Asked));
        }
        if state.was_read {
            let unready = |state: &mut State| !state.has_begun() && state.missing.is_none();
            let waited = self
                .came
                .wait_timeout_while(state, self.settings.patience, unready);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let full = state.next_part(&self.settings).is_none();
        if !state.has_begun() || !(full || state.was_read) {
            return Err(state.not_yet());
        }
        state.reading = true;
        Ok(Box::new(Streamed(self.clone())))
    }

    /// A part has come.
    pub(super) fn take(&self, piece: Piece) {
        let mut state = self.state();
        state.trouble = None;
        state.end += piece.bytes.len() as u64;
        state.total = Some(piece.total);
        state.version = piece.version;
        if !piece.bytes.is_empty() {
            state.pieces.push_back(piece.bytes);
        }
        self.came.notify_all();
    }

    /// Nothing comes for now.
    pub(super) fn fail(&self, why: NotYet) {
        self.state().trouble = Some(why);
    }

    /// What is held is of an object that was replaced. Whoever reads it hears of it, and then it comes again.
    pub(super) fn replaced(&self) {
        self.state().stale = true;
        self.came.notify_all();
    }

    pub(super) fn missing(&self, who: &str) {
        self.state().missing = Some(who.into());
        self.came.notify_all();
    }

    /// What may be held of it.
    pub(super) fn set_room(&self, room: Option<OwnedSemaphorePermit>) {
        self.state().room = room;
    }

    /// Whether what is held must be thrown away, which nobody reads any more.
    pub(super) fn is_stale(&self) -> bool {
        let state = self.state();
        state.stale && !state.reading
    }

    /// Gives back the room that the object turned out not to need.
    pub(super) fn shrink_room(&self, permits: usize) {
        let mut state = self.state();
        if let Some(room) = &mut state.room {
            let surplus = room.num_permits().saturating_sub(permits);
            drop(room.split(surplus));
        }
    }
}

/// An object that is held as a whole.
#[derive(Debug)]
struct Whole(VecDeque<Bytes>);

impl io::Read for Whole {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        Ok(read_front(&mut self.0, to))
    }
}

impl ReadObject for Whole {}

/// Reads from the first piece, and drops it at its end.
fn read_front(pieces: &mut VecDeque<Bytes>, to: &mut [u8]) -> usize {
    let Some(piece) = pieces.front_mut() else {
        return 0;
    };
    let len = piece.len().min(to.len());
    piece.copy_to_slice(&mut to[..len]);
    if piece.is_empty() {
        pieces.pop_front();
    }
    len
}

/// An object that is read while it comes.
#[derive(Debug)]
struct Streamed(Arc<Object>);

impl io::Read for Streamed {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let Object {
            settings,
            came,
            wanted,
            ..
        } = &*self.0;
        let nothing = |state: &mut State| {
            let ended = state.total == Some(state.start);
            state.pieces.is_empty() && !ended && !state.stale && state.missing.is_none()
        };
        let waited = came.wait_timeout_while(self.0.state(), settings.patience, nothing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.asked = Instant::now();
        if state.stale || state.missing.is_some() {
            return Err(io::Error::other(
                "it was replaced or deleted while it was read",
            ));
        }
        let len = read_front(&mut state.pieces, to);
        state.start += len as u64;
        if len == 0 && !to.is_empty() {
            if state.total != Some(state.start) {
                let why = match &state.trouble {
                    Some(NotYet::Failed(why) | NotYet::Refused(why)) => why.to_string(),
                    Some(NotYet::Asked) | None => "its next part does not come".into(),
                };
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            state.was_read = true;
        }
        wanted.notify_one();
        Ok(len)
    }
}

impl ReadObject for Streamed {}

impl Drop for Streamed {
    /// What was read is gone: who reads it again needs it from its beginning.
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.reading = false;
        state.stale |= state.start > 0;
        self.0.wanted.notify_one();
    }
}
