//! All that one worker knows of leases and does about them, without I/O and without a clock.
//!
//! A [`Keeper`] is told the time and what requests came to, and says which requests to make next ([`Keeper::tick`]) and what has
//! happened ([`Keeper::next_event`]). Whoever drives it may be a task or a simulation of years.
//!
//! Three habits keep it honest:
//! * Writes of one lease never overlap: each raises the counter, so each needs the answer of the one before.
//! * A write whose answer was lost, or that was refused, is followed by a read of the row: it may have been stored, or a repetition of it by the
//!   client may have been what was refused. The row says what is true, and nothing else is written before.
//! * A lease is believed in from the moment a write of it was *sent* that was stored, for the failover time less a margin. Others
//!   count from when they have *seen* that write, so none of them takes it as expired while it is believed in here. (It can be stolen at any time;
//!   then the counter has changed, and no write of ours is taken any more.)

mod answers;
mod batch;
mod held;
mod looks;
mod tally;
mod words;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use self::batch::Batch;
use self::held::{Ending, Held, Step};
pub use self::tally::{Seen, Tally};
pub use self::words::{Command, Event, Request, Settings, Term};
use super::board::Board;
use super::native::Watch;
use super::rules::Chance;
use super::{Ask, Lease, Write};

/// What a request under way is for.
#[derive(Debug)]
enum Flight {
    Look,
    Take {
        key: String,
    },
    Parent {
        child: String,
        term: Term,
        parent: String,
    },
    Held {
        key: String,
        term: Term,
        step: Step,
    },
}

/// Whether the first look is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Ahead,
    Taking,
    Told,
}

/// A worker's leases.
#[derive(Debug)]
pub struct Keeper {
    settings: Settings,
    chance: Chance,
    board: Board,
    watch: Watch,
    held: BTreeMap<String, Held>,
    last_term: u64,
    flights: HashMap<u64, (Flight, Duration)>,
    last_flight: u64,
    next_look: Duration,
    looking: bool,
    /// Whether the last look, or something that was taken because of it, has failed; and how many of which that is so there were in a row.
    troubled: bool,
    troubles: u32,
    to_take: VecDeque<Lease>,
    /// What was given back on purpose, and until when it is left to others.
    shunned: BTreeMap<String, Duration>,
    batch: Batch,
    news: VecDeque<Event>,
    first: First,
    blocked: Option<String>,
    round: Option<Vec<Lease>>,
    /// Nothing more is taken.
    leaving: bool,
    closing: bool,
    tally: Tally,
    /// The look under way, or what has come of the last one so far.
    seen: Seen,
}

impl Keeper {
    /// A worker that has no leases yet; `seed` decides what it takes first.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            chance: Chance(seed),
            board: Board::default(),
            watch: Watch::default(),
            held: BTreeMap::new(),
            last_term: 0,
            flights: HashMap::new(),
            last_flight: 0,
            next_look: Duration::ZERO,
            looking: false,
            troubled: false,
            troubles: 0,
            to_take: VecDeque::new(),
            shunned: BTreeMap::new(),
            batch: Batch::default(),
            news: VecDeque::new(),
            first: First::Ahead,
            blocked: None,
            round: None,
            leaving: false,
            closing: false,
            tally: Tally::default(),
            seen: Seen::default(),
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The requests to make now. To be called after every answer and command, and at [`Keeper::wake_at`].
    pub fn tick(&mut self, now: Duration) -> Vec<Request> {
        self.expire(now);
        let mut requests = Vec::new();
        if !self.looking && !self.closing && now >= self.next_look {
            self.looking = true;
            self.send(Flight::Look, Ask::Scan, now, &mut requests);
        }
        self.step(now, &mut requests);
        self.look_for_parents(now, &mut requests);
        self.take(now, &mut requests);
        if self.first == First::Taking && self.to_take.is_empty() && self.taking().next().is_none()
        {
            self.first = First::Told;
            self.news.push_back(Event::Looked);
        }
        requests
    }

    /// When [`Keeper::tick`] has something to do at the latest, if no answer comes before.
    pub fn wake_at(&self, now: Duration) -> Duration {
        let look = (!self.looking && !self.closing).then_some(self.next_look);
        let leases = self
            .held
            .values()
            .map(|held| held.wake_at(&self.settings, now));
        leases.chain(look).min().unwrap_or(Duration::MAX)
    }

    /// Takes in what a worker wants.
    pub fn command(&mut self, command: Command, now: Duration) {
        match command {
            Command::Store(writes) => self.store(writes),
            Command::Note { key, term, note } => {
                if let Some(held) = self.holding(&key, term) {
                    held.note = Some(Write::beside(note));
                }
            }
            Command::Release(leases) => {
                for (key, term) in leases {
                    if let Some(held) = self.holding(&key, term) {
                        held.leaving = true;
                    }
                }
            }
            Command::Finish {
                key,
                term,
                create,
                children,
            } => {
                if let Some(held) = self.holding(&key, term) {
                    held.ending = Some(Ending::new(create, children));
                }
            }
            Command::TakeNoMore => {
                self.leaving = true;
                self.to_take.clear();
            }
            Command::Look => self.next_look = now,
            Command::Close => {
                self.closing = true;
                self.to_take.clear();
                for held in self.held.values_mut() {
                    held.leaving = true;
                }
            }
        }
    }

    /// What has happened next.
    pub fn next_event(&mut self) -> Option<Event> {
        self.news.pop_front()
    }

    /// The leases, each time this worker is the one to see to the shards of the stream.
    pub fn next_round(&mut self) -> Option<Vec<Lease>> {
        self.round.take()
    }

    /// Whether everything was given back after [`Command::Close`].
    pub fn is_over(&self) -> bool {
        self.closing && self.held.is_empty() && self.taking().next().is_none()
    }

    /// What has come of its work so far.
    pub fn tally(&self) -> Tally {
        Tally {
            held: self.held.len() as u64,
            ..self.tally
        }
    }

    /// The leases it believes to hold, and until when.
    pub fn beliefs(&self) -> impl Iterator<Item = (&str, Duration)> {
        let until = |held: &Held| held.since + self.settings.belief();
        self.held
            .iter()
            .map(move |(key, held)| (key.as_str(), until(held)))
    }

    /// The leases that are being taken.
    fn taking(&self) -> impl Iterator<Item = &String> {
        self.flights
            .values()
            .filter_map(|(flight, _)| match flight {
                Flight::Take { key } => Some(key),
                _ => None,
            })
    }

    fn holding(&mut self, key: &str, term: Term) -> Option<&mut Held> {
        self.held.get_mut(key).filter(|held| held.term == term)
    }

    fn send(&mut self, flight: Flight, ask: Ask, now: Duration, requests: &mut Vec<Request>) {
        self.last_flight += 1;
        self.flights.insert(self.last_flight, (flight, now));
        requests.push(Request {
            id: self.last_flight,
            ask,
        });
    }

    fn is_full(&self) -> bool {
        self.flights.len() >= self.settings.parallel.max(2)
    }

    /// Does what is next for each lease, those that expire first first.
    fn step(&mut self, now: Duration, requests: &mut Vec<Request>) {
        let settings = &self.settings;
        let mut ready: Vec<(Duration, String)> = self
            .held
            .iter()
            .filter(|(_, held)| held.next(now, settings).is_some())
            .map(|(key, held)| (held.since, key.clone()))
            .collect();
        ready.sort_unstable();
        for (_, key) in ready {
            if self.is_full() {
                return;
            }
            let Some(held) = self.held.get_mut(&key) else {
                continue;
            };
            let Some((step, ask)) = held
                .next(now, &self.settings)
                .and_then(|step| Some((step, held.ask(step, &self.settings.worker)?)))
            else {
                continue;
            };
            held.busy = true;
            let term = held.term;
            self.send(Flight::Held { key, term, step }, ask, now, requests);
        }
    }

    /// Takes what the last look has chosen.
    fn take(&mut self, now: Duration, requests: &mut Vec<Request>) {
        while !self.is_full() {
            let Some(seen) = self.to_take.pop_front() else {
                return;
            };
            let flight = Flight::Take {
                key: seen.key.clone(),
            };
            let ask = Ask::Take {
                seen: Box::new(seen),
                owner: self.settings.worker.clone(),
            };
            self.send(flight, ask, now, requests);
        }
    }

    /// Asks for parents that the last look did not see: either they are gone, or they came while it looked.
    fn look_for_parents(&mut self, now: Duration, requests: &mut Vec<Request>) {
        let mut wanted = Vec::new();
        for (child, held) in &self.held {
            if held.asking || now < held.rest {
                continue;
            }
            let unknown = |parent: &&String| self.board.get(parent).is_none();
            if let Some(parent) = held.waiting_for.iter().find(unknown) {
                wanted.push((child.clone(), held.term, parent.clone()));
            }
        }
        for (child, term, parent) in wanted {
            if self.is_full() {
                return;
            }
            if let Some(held) = self.held.get_mut(&child) {
                held.asking = true;
            }
            let ask = Ask::Get {
                key: parent.clone(),
            };
            let flight = Flight::Parent {
                child,
                term,
                parent,
            };
            self.send(flight, ask, now, requests);
        }
    }

    /// Stops believing in leases that could not be renewed in time.
    fn expire(&mut self, now: Duration) {
        let belief = self.settings.belief();
        let expired = |held: &Held| now >= held.since + belief;
        let keys: Vec<String> = self
            .held
            .iter()
            .filter(|(_, held)| expired(held))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            tracing::warn!(
                key,
                "kinesis: a lease could not be renewed in time, it is given up"
            );
            self.lose(&key);
            // Whoever finds it free first has it.
            self.next_look = self.next_look.min(now + self.settings.pause());
        }
    }
}

#[cfg(test)]
mod tests;
