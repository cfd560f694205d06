//! Commits on their way: asked for, sent, stored or refused, answered or not.
//!
//! An answer is never given twice: the source has one question under way at a time and takes the first answer, so
//! that a duplicate cannot reach the worker.

use std::collections::BTreeMap;

use super::client::Notice;
use super::world::{Due, World};
use crate::mutation::{Mutation, on};
use crate::source::Checkpoint;

#[derive(Default)]
pub(super) struct Commits(BTreeMap<u64, Commit>);

struct Commit {
    process: usize,
    /// Who asks, and in which generation: proven with the request when it is sent.
    member: u64,
    generation: u64,
    checkpoints: Vec<(usize, Checkpoint)>,
    fate: Fate,
    result: Result<(), &'static str>,
    answered: bool,
    arrived: bool,
}

impl Commits {
    /// Whether some commit of this process may still be stored.
    pub(super) fn on_the_way(&self, process: usize) -> bool {
        let mut commits = self.0.values();
        commits.any(|commit| commit.process == process && !commit.arrived)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// The broker has a reason of its own.
    Refused,
    /// The request is lost.
    Vanishes,
    /// It is stored, but the answer is lost.
    AnswerLost,
    /// The client gives up waiting before it is stored.
    StoredLater,
}

impl World {
    pub(super) fn ask(&mut self, process: usize, checkpoints: Vec<(usize, Checkpoint)>) {
        let fate = if self.fault(self.settings.failing_commits) {
            self.random.pick(&[Fate::Refused, Fate::Vanishes])
        } else if self.fault(self.settings.lost_commit_answers) {
            self.random.pick(&[Fate::AnswerLost, Fate::StoredLater])
        } else {
            Fate::Answered
        };
        let id = self.number();
        let commit = Commit {
            process,
            member: 0,
            generation: 0,
            checkpoints,
            fate,
            result: Ok(()),
            answered: false,
            arrived: false,
        };
        self.note(format_args!(
            "p{process} asks for commit {id} ({fate:?}): {:?}",
            Text(&commit.checkpoints)
        ));
        self.commits.0.insert(id, commit);
        let delay = self.commit_delay();
        self.schedule(self.now + delay, Due::CommitSent(id));
    }

    fn commit_delay(&mut self) -> std::time::Duration {
        if self.fault(self.settings.slow_commits) {
            let most = self.random.pick(&[3000, 9000, 25_000]);
            self.random.ms(500, most)
        } else {
            self.random.ms(0, 40)
        }
    }

    pub(super) fn commit_sent(&mut self, id: u64) {
        let later = self.now + self.random.ms(100, 400);
        let Some(commit) = self.commits.0.get_mut(&id) else {
            return;
        };
        let Some(client) = self.clients.get_mut(&commit.process) else {
            self.commits.0.remove(&id);
            return;
        };
        if client.frozen {
            self.schedule(later, Due::CommitSent(id));
            return;
        }
        // What is not sent yet is sent with the membership of then.
        let Some(member) = client.member.filter(|_| !client.lost) else {
            commit.result = Err("the assignment is lost");
            commit.arrived = true;
            self.schedule(self.now, Due::CommitAnswered(id));
            return;
        };
        (commit.member, commit.generation) = (member, client.generation);
        let fate = commit.fate;
        let delay = self.commit_delay();
        let mut at = self.now + delay;
        if fate == Fate::StoredLater {
            let later = self.now + self.random.ms(100, 2000);
            self.schedule(later, Due::CommitAnswered(id));
            at = later + self.random.ms(0, 1500);
        }
        let process = self.commits.0[&id].process;
        if let Some(client) = self.clients.get_mut(&process) {
            if on(Mutation::StoredOutOfOrder) {
                if fate == Fate::StoredLater {
                    at += self.random.ms(1000, 8000);
                }
            } else {
                at = at.max(client.last_arrival);
                client.last_arrival = at;
            }
        }
        self.schedule(at, Due::CommitArrives(id));
    }

    pub(super) fn commit_arrives(&mut self, id: u64) {
        let Some(mut commit) = self.commits.0.remove(&id) else {
            return;
        };
        let process = commit.process;
        commit.arrived = true;
        let member = self.group.accepts(commit.member, commit.generation);
        commit.result = match commit.fate {
            Fate::Refused => Err("refused"),
            Fate::Vanishes => Err("no answer"),
            _ if !member && !on(Mutation::NoFence) => Err("not of this generation"),
            _ => Ok(()),
        };
        self.note(format_args!(
            "commit {id} of p{process} arrives: {:?}",
            commit.result
        ));
        if commit.result.is_ok() {
            for (partition, checkpoint) in std::mem::take(&mut commit.checkpoints) {
                self.check_stored(partition, &checkpoint);
                self.group.stored[partition] = checkpoint;
            }
            self.ambush(process);
        }
        if commit.fate == Fate::AnswerLost {
            commit.result = Err("no answer");
        }
        if !commit.answered {
            let delay = self.commit_delay();
            self.schedule(self.now + delay, Due::CommitAnswered(id));
            self.commits.0.insert(id, commit);
        }
    }

    pub(super) fn commit_answered(&mut self, id: u64) {
        let Some(commit) = self.commits.0.get_mut(&id) else {
            return;
        };
        if commit.answered {
            return;
        }
        commit.answered = true;
        let (process, arrived) = (commit.process, commit.arrived);
        let result = if arrived {
            commit.result
        } else {
            Err("no answer in time")
        };
        if arrived {
            self.commits.0.remove(&id);
        }
        self.note(format_args!(
            "p{process} is answered to commit {id}: {result:?}"
        ));
        if let Some(client) = self.clients.get_mut(&process) {
            client.notices.push_back(Notice::Committed(result));
        }
    }
}

/// Checkpoints with the first line of their notes.
struct Text<'a>(&'a [(usize, Checkpoint)]);

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (partition, Checkpoint { position, note, .. }) in self.0 {
            let plan = note.lines().next().unwrap_or_default();
            let plan = plan.rsplit(' ').next().unwrap_or_default();
            write!(f, " {partition}:{position} [{plan}]")?;
        }
        Ok(())
    }
}
