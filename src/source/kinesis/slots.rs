//! The shards whose leases are held now, and what was fetched of each and not handed over yet.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use tokio::time::Instant;

use super::aggregate::{Unpacked, Unpacker};
use super::lease::{Began, HashRange, Term};
use super::stored::Begun;
use super::stream::shard::{Batch, Start};
use super::stream::{Child, RawRecord};
use super::topology::Initial;
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Partition, PartitionId, Position, Record, Sequence};
use crate::source::{Checkpoint, Slot};

/// Places of a shard of which it is known which record follows.
const MOST_FIRSTS: usize = 64;

/// A batch, and how far it was handed over.
#[derive(Debug)]
struct Fetched {
    batch: Batch,
    at: usize,
}

/// Whether it is stored where reading began, for those who come next. Nothing is told of the shard before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Not yet, and no reader has begun.
    Ahead,
    /// It was asked for.
    Asked,
    /// It is, or need not be.
    Stored,
}

/// A shard while its lease is held.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) key: String,
    pub(super) term: Term,
    pub(super) partition: Partition,
    range: HashRange,
    /// What its present reader was started with.
    generation: u64,
    begun: Begun,
    /// Behind the last record handed over.
    pub(super) next: Position,
    /// The checkpoint that is stored.
    pub(super) stored: Position,
    /// Where reading began, with the first record as soon as one was handed over; of use as long as the checkpoint does not say it.
    pub(super) began: Option<Began>,
    /// Whether that is a record, and is still there as far as is known.
    first_known: bool,
    pub(super) beginning: Beginning,
    /// Whether any record was handed over.
    any_taken: bool,
    waiting: VecDeque<Fetched>,
    /// Nothing that comes behind this place was dropped.
    kept_from: Position,
    pub(super) paused: bool,
    /// What had waited was dropped, and nobody reads: it is read again when the shard is not paused any more.
    pub(super) discarded: bool,
    /// Whether the worker knows of it.
    announced: bool,
    /// How far what waits is behind the shard's end, as far as that was not told to a KCL's metrics yet.
    pub(super) behind: Option<u64>,
    /// How many milliseconds the stream said last that reading is behind, and when.
    pub(super) told_behind: Option<(u64, Instant)>,
    /// Whether the tip was reached behind what waits.
    pub(super) at_tip: bool,
    /// That the shard ends behind what waits, and what goes on.
    pub(super) ended: Option<Vec<Child>>,
    ended_told: bool,
    /// That the record which was to come behind what waits is gone, and where those that are left begin.
    trimmed: Option<Position>,
    trimmed_told: bool,
    /// Which record came first behind places where handing over began. A plan begins at such a place.
    firsts: VecDeque<(Position, Sequence)>,
    /// What was left out because the stream had lost it: nothing between these two is there to be committed.
    left_out: Option<(Position, Position)>,
}

impl Assigned {
    pub(super) fn new(
        key: String,
        term: Term,
        partition: Partition,
        range: HashRange,
        generation: u64,
        begun: Begun,
        since: Began,
    ) -> Self {
        Self {
            key,
            term,
            partition,
            range,
            generation,
            next: begun.position,
            stored: begun.position,
            kept_from: begun.position,
            began: begun.began.or(begun.is_adrift().then_some(since)),
            first_known: matches!(begun.began, Some(Began::Record(_))),
            beginning: match begun.is_adrift() {
                true => Beginning::Ahead,
                false => Beginning::Stored,
            },
            begun,
            any_taken: false,
            waiting: VecDeque::new(),
            paused: false,
            discarded: false,
            announced: false,
            behind: None,
            told_behind: None,
            at_tip: false,
            ended: None,
            ended_told: false,
            trimmed: None,
            trimmed_told: false,
            firsts: VecDeque::new(),
            left_out: None,
        }
    }

    /// Which record a reader that is to go on there must find first.
    pub(super) fn began_at(&self, place: Position) -> Option<Began> {
        let known = self.firsts.iter().find(|(at, _)| *at == place);
        known.map(|(_, first)| Began::Record(*first)).or(self.began)
    }

    /// Everything before is stored.
    pub(super) fn store(&mut self, position: Position) {
        self.stored = position;
        self.firsts.retain(|(at, _)| *at >= position);
    }

    /// Goes on there with what waits, if everything behind that place is among it. Whether it is: then nothing needs to be fetched again.
    pub(super) fn go_back(&mut self, to: Position) -> bool {
        let kept = to >= self.kept_from && self.trimmed.is_none();
        let Some(first) = self.waiting.front_mut().filter(|_| kept) else {
            return false;
        };
        first.at = 0;
        self.next = to;
        true
    }

    /// Reading is to go on there.
    pub(super) fn rewind(&mut self, to: Position) {
        if self.trimmed == Some(to) {
            self.left_out = Some((self.next, to));
        }
        self.next = to;
    }

    /// Whether all that was handed over is committed.
    pub(super) fn is_committed(&self) -> bool {
        self.stored == self.next || self.left_out == Some((self.stored, self.next))
    }

    /// What the worker is told of it.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            position: self.begun.position,
            reach: None,
            note: self.begun.note.clone(),
        }
    }

    /// Reading has begun. Since when, if that must be stored and was not asked for yet.
    pub(super) fn note_beginning(&mut self) -> Option<Began> {
        if self.beginning != Beginning::Ahead {
            return None;
        }
        self.beginning = Beginning::Asked;
        self.began
    }

    /// Keeps a batch until it is handed over.
    pub(super) fn keep(&mut self, batch: Batch) {
        self.at_tip = batch.behind_ms == Some(0);
        if !batch.records.is_empty() {
            self.waiting.push_back(Fetched { batch, at: 0 });
        }
    }

    /// Nothing follows what waits.
    pub(super) fn ends(&mut self, children: Vec<Child>) {
        self.ended = Some(children);
        self.ended_told = false;
    }

    /// Whether nothing waits that could be handed over.
    pub(super) fn is_drained(&self) -> bool {
        self.waiting.is_empty() && self.announced && !self.paused
    }

    /// What goes on in place of the shard, if it has ended and that was not told yet.
    pub(super) fn tell_ended(&mut self) -> Option<Vec<Partition>> {
        let children = self.ended.as_ref().filter(|_| !self.ended_told)?;
        self.ended_told = true;
        let partition = |child: &Child| match child.id.parse() {
            Ok(id @ PartitionId::Shard(_)) => Some(Partition::of(self.partition.topic(), id)),
            _ => None,
        };
        Some(children.iter().filter_map(partition).collect())
    }

    /// The stream has deleted what follows what waits: those that are left begin at `oldest`.
    pub(super) fn trims(&mut self, oldest: Position) {
        self.trimmed = Some(oldest);
        self.trimmed_told = false;
    }

    /// Where the records begin that are left, if some are gone and that was not told yet.
    pub(super) fn tell_trimmed(&mut self) -> Option<Position> {
        let oldest = self.trimmed.filter(|_| !self.trimmed_told)?;
        self.trimmed_told = true;
        Some(oldest)
    }

    /// Drops what waits. Whether there was anything.
    pub(super) fn discard(&mut self) -> bool {
        let any = !self.waiting.is_empty();
        if any {
            self.waiting.clear();
            self.discarded = true;
            (self.ended, self.trimmed, self.at_tip) = (None, None, false);
        }
        any
    }

    /// Reads again from [`Assigned::next`] on; the reader is to be started like this.
    pub(super) fn restart(&mut self, generation: u64, initial: Initial) -> Start {
        self.generation = generation;
        self.waiting.clear();
        self.kept_from = self.next;
        (self.discarded, self.at_tip) = (false, false);
        (self.ended, self.ended_told) = (None, false);
        // Only who was told of it, and goes on behind it, passes over what is gone.
        let told = self.trimmed.take().filter(|_| self.trimmed_told);
        let passes = told.is_some_and(|oldest| self.next >= oldest);
        self.first_known &= !passes || self.any_taken;
        let began = self.began_at(self.next);
        self.begun.go_on(self.next, began, passes, initial)
    }

    /// Hands over what waits, until it is said to break off or `max` records are `taken`.
    pub(super) fn hand_over(
        &mut self,
        unpacker: &mut Unpacker,
        taken: &mut usize,
        max: usize,
        take: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut begins = true;
        while let Some(fetched) = self.waiting.front_mut() {
            while let Some(raw) = fetched.batch.records.get(fetched.at) {
                if !self.first_known {
                    self.began = Some(Began::Record(raw.sequence));
                    self.first_known = true;
                }
                let mut one = |record: Record<'_>| {
                    if record.position < self.next {
                        return ControlFlow::Continue(());
                    }
                    if std::mem::take(&mut begins) {
                        note_first(&mut self.firsts, self.next, raw.sequence);
                    }
                    self.next = record.position.next();
                    self.any_taken = true;
                    *taken += 1;
                    take(record)
                };
                // The rest of an aggregate comes when it is taken apart again, which is not done for the sake of `max`.
                each(raw, unpacker, self.range, &mut one)?;
                fetched.at += 1;
                if *taken >= max {
                    return ControlFlow::Break(());
                }
            }
            self.waiting.pop_front();
            self.kept_from = self.next;
        }
        ControlFlow::Continue(())
    }
}

/// Takes note of the record behind a place. If there are too many, every other is forgotten, the oldest never: what matters is what came after a long
/// silence, and then there are few.
fn note_first(firsts: &mut VecDeque<(Position, Sequence)>, place: Position, first: Sequence) {
    let within = place
        .sequence()
        .is_some_and(|(sequence, _)| sequence == first);
    if within || firsts.back().is_some_and(|(at, _)| *at >= place) {
        return;
    }
    if firsts.len() == MOST_FIRSTS {
        let mut nth = 0;
        firsts.retain(|_| {
            nth += 1;
            nth % 2 == 1
        });
    }
    firsts.push_back((place, first));
}

/// Hands over the user records of a record.
fn each(
    raw: &RawRecord,
    unpacker: &mut Unpacker,
    range: HashRange,
    take: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let record =
        |sub, key: &str, data: &[u8], take: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>| {
            take(Record {
                position: Position::in_shard(raw.sequence, sub),
                timestamp: raw.arrival_ms,
                key: Some(key.as_bytes()),
                payload: Some(data),
                schema: None,
                origin: None,
            })
        };
    #[cfg(test)]
    let range = match mutation::on(Mutation::ForeignAccepted) {
        true => HashRange::ALL,
        false => range,
    };
    match unpacker.unpack(&raw.data, range) {
        Unpacked::Plain => record(0, &raw.partition_key, &raw.data, take),
        Unpacked::Foreign => ControlFlow::Continue(()),
        Unpacked::Aggregate(mut records) => records
            .try_for_each(|user| record(user.sub_sequence, user.partition_key, user.data, take)),
    }
}

/// Shards by slot.
#[derive(Debug, Default)]
pub(super) struct Slots {
    assigned: Vec<Option<Assigned>>,
}

impl Slots {
    pub(super) fn insert(&mut self, assigned: Assigned) -> Slot {
        match self
            .assigned
            .iter_mut()
            .enumerate()
            .find(|(_, place)| place.is_none())
        {
            Some((at, place)) => {
                *place = Some(assigned);
                Slot(at)
            }
            None => {
                self.assigned.push(Some(assigned));
                Slot(self.assigned.len() - 1)
            }
        }
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Assigned> {
        self.assigned.get(slot.0)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Assigned> {
        self.assigned.get_mut(slot.0)?.as_mut()
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Assigned> {
        self.assigned.get_mut(slot.0)?.take()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Assigned)> {
        let places = self.assigned.iter().enumerate();
        places.filter_map(|(at, place)| Some((Slot(at), place.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Slot, &mut Assigned)> {
        let places = self.assigned.iter_mut().enumerate();
        places.filter_map(|(at, place)| Some((Slot(at), place.as_mut()?)))
    }

    /// The shard of a lease, as long as it is held as that time.
    pub(super) fn of(&self, key: &str, term: Term) -> Option<Slot> {
        let found = self
            .iter()
            .find(|(_, held)| held.key == key && held.term == term);
        found.map(|(slot, _)| slot)
    }

    /// The shard that a reader of this number reads.
    pub(super) fn read_as(&self, shard: &str, generation: u64) -> Option<Slot> {
        let is_current = |held: &Assigned| held.generation == generation;
        #[cfg(test)]
        let is_current =
            |held: &Assigned| is_current(held) || mutation::on(Mutation::NewsOfAnotherReader);
        let found = self
            .iter()
            .find(|(_, held)| held.key == shard && is_current(held));
        found.map(|(slot, _)| slot)
    }

    /// Those that have records to hand over.
    pub(super) fn ready(&self) -> Vec<Slot> {
        let ready = |held: &Assigned| held.announced && !held.paused && !held.waiting.is_empty();
        let found = self.iter().filter(|(_, held)| ready(held));
        found.map(|(slot, _)| slot).collect()
    }

    /// The worker is being told of all there are.
    pub(super) fn announce(&mut self) {
        for (_, assigned) in self.iter_mut() {
            assigned.announced = assigned.beginning == Beginning::Stored;
        }
    }
}
