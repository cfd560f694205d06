//! The task that fetches one object, for as long as somebody asks for it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::object::Object;
use super::{Bucket, BucketError, Inner, Settings, UNIT};
use crate::awaited::NotYet;

/// Between two attempts, at first and at most; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Between the two times that a bucket must say it has no such object.
const DOUBT: Duration = Duration::from_secs(1);

/// Fetches the object until nobody has asked for it for long; ends early when it is done, by being aborted.
pub(super) async fn run(inner: Weak<Inner>, object: Arc<Object>, key: Box<str>, size: u64) {
    let Some((bucket, settings, room)) = inner
        .upgrade()
        .map(|inner| (inner.bucket.clone(), inner.settings, inner.room.clone()))
    else {
        return;
    };
    let fetching = Fetching {
        bucket,
        settings,
        room,
        key: &key,
        object: &object,
    };
    let idle = async {
        loop {
            let unasked = object.state().asked.elapsed();
            match settings.idle.checked_sub(unasked) {
                Some(left) if !left.is_zero() => sleep(left).await,
                _ => break,
            }
        }
    };
    tokio::select! {
        () = fetching.fetch(size) => {}
        () = idle => {}
    }
    if let Some(inner) = inner.upgrade() {
        inner.forget(&key, &object);
    }
}

struct Fetching<'a> {
    bucket: Arc<dyn Bucket>,
    settings: Settings,
    room: Arc<Semaphore>,
    key: &'a str,
    object: &'a Object,
}

impl Fetching<'_> {
    /// Does not end by itself.
    async fn fetch(&self, size: u64) {
        let mut pause = FIRST_PAUSE;
        let mut doubted = false;
        let mut room = self.make_room(self.permits(size)).await;
        loop {
            if self.object.is_stale() {
                self.object.state().begin_again();
            }
            let next = self.object.state().next_part(&self.settings);
            let Some((part, version)) = next else {
                // It is at hand, or as much of it as there is room for.
                self.object.wanted.notified().await;
                continue;
            };
            let part = part.start
                ..part
                    .end
                    .min(part.start.saturating_add(u64::from(room) * UNIT));
            match self.bucket.get(self.key, part, version.as_deref()).await {
                Ok(piece) => {
                    (pause, doubted) = (FIRST_PAUSE, false);
                    let needed = self.permits(piece.total);
                    if needed > room {
                        // Larger than its pointer says. Who waits for room must hold none.
                        drop(piece);
                        room = self.make_room(needed).await;
                        continue;
                    }
                    self.object.take(piece);
                    if needed < room {
                        self.object.shrink_room(needed as usize);
                        room = needed;
                    }
                    continue;
                }
                Err(BucketError::Missing(who)) if doubted => {
                    self.object.missing(&who);
                    self.object.set_room(None);
                    std::future::pending::<()>().await;
                }
                Err(BucketError::Missing(_)) => {
                    doubted = true;
                    sleep(DOUBT).await;
                    continue;
                }
                Err(BucketError::Changed(_)) => self.object.replaced(),
                Err(BucketError::Unavailable(why)) => self.object.fail(NotYet::Failed(why.into())),
                Err(BucketError::Misconfigured(why)) => {
                    self.object.fail(NotYet::Refused(why.into()));
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// How much room an object of this size needs.
    fn permits(&self, size: u64) -> u32 {
        let bytes = size.clamp(UNIT, self.settings.whole_max.max(UNIT));
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
    }

    async fn make_room(&self, permits: u32) -> u32 {
        self.object.state().begin_again();
        self.object.set_room(None);
        // An error would mean a closed semaphore; nothing closes it.
        let room = self.room.clone().acquire_many_owned(permits).await.ok();
        self.object.set_room(room);
        permits
    }
}
