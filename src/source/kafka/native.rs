//! librdkafka's queues and messages, many in one call.
//!
//! Owns what must be said to librdkafka past `rdkafka`, whose `poll` hands over one message, with an event and an allocation for each. It
//! refuses to know what messages mean, and who may have them.
//!
//! # Why the unsafe code is sound
//!
//! * A [`Queue`] is made by librdkafka, destroyed once, by its `Drop`, and holds the consumer, so that the client is there as long as any
//!   queue is. Its functions are safe to call from any thread (librdkafka's introduction says so), thus `Send` and `Sync`.
//! * `rd_kafka_consume_batch_queue` writes at most as many pointers as it is told there is room for, and returns how many. Each is not null, and the
//!   application's until it calls `rd_kafka_message_destroy`, which [`Message`] does once, in its `Drop`. A `Message` has the layout of that pointer.
//! * No `Message` leaves [`Messages`](super::batch::Messages), which lends references only and drops them before the queue it holds; so a message
//!   never outlives the client. What is lent of a message (key, payload, headers, the topic's name) is librdkafka's, unchanged until the message is
//!   destroyed, and borrows the message. Headers are parsed when they are first asked for, into a part of the message that is librdkafka's own and
//!   never lent. A message may be destroyed on another thread than it came on.
//! * librdkafka calls [`ring`] on its threads, with the lock of the queue held that something came into. It gets a [`Bell`] that the [`Ringing`] keeps,
//!   whose `Drop` takes it back under the same lock: no call is under way or to come when the bell goes. It calls nothing of librdkafka's, as its
//!   introduction asks, and does not panic.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_void};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::bell::Bell;
use crate::record::Partition;

/// One of librdkafka's queues.
pub(super) struct Queue<C: ConsumerContext> {
    raw: NonNull<native::rd_kafka_queue_t>,
    _consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: see the module.
unsafe impl<C: ConsumerContext> Send for Queue<C> {}
// SAFETY: see the module.
unsafe impl<C: ConsumerContext> Sync for Queue<C> {}

impl<C: ConsumerContext> Queue<C> {
    fn of(
        consumer: &Arc<BaseConsumer<C>>,
        raw: *mut native::rd_kafka_queue_t,
    ) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            raw: NonNull::new(raw)?,
            _consumer: consumer.clone(),
        }))
    }

    /// A new one, with nothing in it. `None` if librdkafka has none to give.
    pub(super) fn new(consumer: &Arc<BaseConsumer<C>>) -> Option<Arc<Self>> {
        // SAFETY: the client is there.
        let raw = unsafe { native::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Self::of(consumer, raw)
    }

    /// Where `poll` finds messages and events. Only a consumer with a group has one.
    pub(super) fn of_consumer(consumer: &Arc<BaseConsumer<C>>) -> Option<Arc<Self>> {
        // SAFETY: the client is there.
        let raw = unsafe { native::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Self::of(consumer, raw)
    }

    /// Where messages of a partition come from, assigned or not.
    pub(super) fn of_partition(
        consumer: &Arc<BaseConsumer<C>>,
        partition: &Partition,
    ) -> Option<Arc<Self>> {
        let topic = CString::new(partition.topic()).ok()?;
        let (client, number) = (consumer.client().native_ptr(), partition.number());
        // SAFETY: the client is there; the name is copied.
        let raw = unsafe { native::rd_kafka_queue_get_partition(client, topic.as_ptr(), number) };
        Self::of(consumer, raw)
    }

    /// From now on all that comes in goes on to the other, behind what is in this one already.
    pub(super) fn forward(&self, to: &Self) {
        // SAFETY: both queues are there; this one keeps the other as long as it needs it.
        unsafe { native::rd_kafka_queue_forward(self.raw.as_ptr(), to.raw.as_ptr()) }
    }

    /// Has the bell rung when something comes into the queue and nothing was in it, as long as the result is kept. One bell a queue: the
    /// last one.
    pub(super) fn ringing(self: &Arc<Self>, bell: &Arc<Bell>) -> Ringing<C> {
        let raw = Arc::as_ptr(bell).cast_mut().cast();
        // SAFETY: see the module.
        unsafe { native::rd_kafka_queue_cb_event_enable(self.raw.as_ptr(), Some(ring), raw) }
        Ringing {
            queue: self.clone(),
            _bell: bell.clone(),
        }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: the queue is there.
        unsafe { native::rd_kafka_queue_length(self.raw.as_ptr()) == 0 }
    }

    /// Takes `most` messages, or as many as there are.
    pub(super) fn take(&self, most: usize, into: &mut Vec<Message>) -> usize {
        into.reserve(most);
        let room = into.spare_capacity_mut().as_mut_ptr();
        // SAFETY: there is room for `most` pointers, a message is nothing but one, and those that were written are owned by nobody else.
        unsafe {
            let taken =
                native::rd_kafka_consume_batch_queue(self.raw.as_ptr(), 0, room.cast(), most);
            // Negative if it fails, and then nothing was taken.
            let taken = usize::try_from(taken).unwrap_or(0);
            into.set_len(into.len() + taken);
            taken
        }
    }
}

impl<C: ConsumerContext> Drop for Queue<C> {
    fn drop(&mut self) {
        // SAFETY: it was made for this, and nobody uses it from now on.
        unsafe { native::rd_kafka_queue_destroy(self.raw.as_ptr()) }
    }
}

/// A queue whose bell is rung.
pub(super) struct Ringing<C: ConsumerContext> {
    queue: Arc<Queue<C>>,
    _bell: Arc<Bell>,
}

impl<C: ConsumerContext> Ringing<C> {
    /// The queue.
    pub(super) fn queue(&self) -> &Queue<C> {
        &self.queue
    }
}

impl<C: ConsumerContext> Drop for Ringing<C> {
    fn drop(&mut self) {
        let raw = self.queue.raw.as_ptr();
        // SAFETY: the queue is there.
        unsafe { native::rd_kafka_queue_cb_event_enable(raw, None, ptr::null_mut()) }
    }
}

/// # Safety
/// `bell` is a [`Bell`].
unsafe extern "C" fn ring(_: *mut native::rd_kafka_t, bell: *mut c_void) {
    // SAFETY: as promised.
    let bell: &Bell = unsafe { &*bell.cast() };
    bell.ring();
}

/// A message, or what librdkafka says instead of one.
#[repr(transparent)]
pub(super) struct Message(NonNull<native::rd_kafka_message_t>);

// SAFETY: see the module.
unsafe impl Send for Message {}

impl Message {
    fn raw(&self) -> &native::rd_kafka_message_t {
        // SAFETY: it is there until `Drop`, and nobody changes it.
        unsafe { self.0.as_ref() }
    }

    /// Why this is no message, with librdkafka's own words.
    pub(super) fn error(&self) -> Option<(KafkaError, String)> {
        let code = RDKafkaErrorCode::from(self.raw().err);
        if code == RDKafkaErrorCode::NoError {
            return None;
        }
        // SAFETY: a text that ends with a zero, as long as the message is there.
        let reason = unsafe { text(native::rd_kafka_message_errstr(self.0.as_ptr())) };
        let reason = String::from_utf8_lossy(reason).into_owned();
        Some((KafkaError::MessageConsumption(code), reason))
    }

    /// Whose it is, to be compared within one [`go_through`](super::batch::Messages::go_through): all that it shows are there when it begins, so that what librdkafka keeps
    /// of two topics has two addresses.
    pub(super) fn home(&self) -> Home {
        Home(self.raw().rkt, self.raw().partition)
    }

    /// The name of its topic; empty if it has none.
    pub(super) fn topic(&self) -> &str {
        let topic = self.raw().rkt;
        if topic.is_null() {
            return "";
        }
        // SAFETY: the message keeps its topic, whose name ends with a zero.
        let name = unsafe { text(native::rd_kafka_topic_name(topic)) };
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// The number of its partition.
    pub(super) fn number(&self) -> i32 {
        self.raw().partition
    }

    /// Whether it is of this partition.
    pub(super) fn is_of(&self, partition: &Partition) -> bool {
        self.number() == partition.number() && self.topic() == partition.topic()
    }

    /// Its place in the partition.
    pub(super) fn offset(&self) -> i64 {
        self.raw().offset
    }

    /// Bytes of its payload.
    pub(super) fn len(&self) -> usize {
        self.raw().len
    }

    /// Its key.
    pub(super) fn key(&self) -> Option<&[u8]> {
        // SAFETY: the message's own bytes.
        unsafe { bytes(self.raw().key, self.raw().key_len) }
    }

    /// Its payload.
    pub(super) fn payload(&self) -> Option<&[u8]> {
        // SAFETY: the message's own bytes.
        unsafe { bytes(self.raw().payload, self.raw().len) }
    }

    /// When it was made or stored, in milliseconds since the epoch.
    pub(super) fn timestamp(&self) -> Option<i64> {
        let mut kind = native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is there, and `kind` may be written to.
        let millis = unsafe { native::rd_kafka_message_timestamp(self.0.as_ptr(), &raw mut kind) };
        let known = kind != native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        (known && millis != -1).then_some(millis)
    }

    /// Names and values of its headers, in order. Nobody promises that names are text.
    pub(super) fn headers(&self) -> impl DoubleEndedIterator<Item = (&[u8], Option<&[u8]>)> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is there, and `headers` may be written to: with what is the message's own.
        let count = unsafe {
            let found = native::rd_kafka_message_headers(self.0.as_ptr(), &raw mut headers);
            match RDKafkaErrorCode::from(found) {
                RDKafkaErrorCode::NoError => native::rd_kafka_header_cnt(headers),
                _ => 0,
            }
        };
        (0..count).filter_map(move |at| {
            let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
            // SAFETY: as above; what is found is bytes of the message, and the name ends with a zero.
            unsafe {
                let found = native::rd_kafka_header_get_all(
                    headers,
                    at,
                    &raw mut name,
                    &raw mut value,
                    &raw mut len,
                );
                let found = RDKafkaErrorCode::from(found) == RDKafkaErrorCode::NoError;
                found.then(|| (text(name), bytes(value, len)))
            }
        })
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody uses it from now on.
        unsafe { native::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// # Safety
/// Null, or a text that ends with a zero and is there for `'a`.
unsafe fn text<'a>(raw: *const std::ffi::c_char) -> &'a [u8] {
    if raw.is_null() {
        return &[];
    }
    // SAFETY: as promised.
    unsafe { CStr::from_ptr(raw) }.to_bytes()
}

/// # Safety
/// Null, or so many bytes that are there, unchanged, for `'a`.
unsafe fn bytes<'a>(raw: *const std::ffi::c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as promised.
    (!raw.is_null()).then(|| unsafe { slice::from_raw_parts(raw.cast(), len) })
}

/// A partition, without its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Home(*const native::rd_kafka_topic_t, i32);

/// Behind the last message of a partition, as its broker said with the last ones that were fetched.
pub(super) fn end<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partition: &Partition,
) -> Option<i64> {
    let topic = CString::new(partition.topic()).ok()?;
    let (client, number) = (consumer.client().native_ptr(), partition.number());
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client is there, and both numbers may be written to.
    let found = unsafe {
        native::rd_kafka_get_watermark_offsets(
            client,
            topic.as_ptr(),
            number,
            &raw mut low,
            &raw mut high,
        )
    };
    let found = RDKafkaErrorCode::from(found) == RDKafkaErrorCode::NoError;
    (found && high >= 0).then_some(high)
}
