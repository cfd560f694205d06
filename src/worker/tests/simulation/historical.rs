//! The historical topic: what processes send there, which may not land, land without an answer, or land twice.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::world::{Due, Shared, World};
use crate::deliver::{Late, LateError, LateSink};

/// The records on their way to the topic. What is in it [`Checks`](super::check::Checks) know.
#[derive(Default)]
pub(super) struct Historical(BTreeMap<u64, Sent>);

struct Sent {
    process: usize,
    partition: usize,
    offset: i64,
    lands: bool,
    answers: bool,
    answer: Option<oneshot::Sender<()>>,
}

impl World {
    fn send_late(
        &mut self,
        process: usize,
        partition: usize,
        offset: i64,
        payload: Option<&str>,
    ) -> oneshot::Receiver<()> {
        self.check_late_sent(process, partition, offset, payload);
        let (sender, receiver) = oneshot::channel();
        let id = self.number();
        let arrives = self.now + self.random.ms(2, 400);
        let answered = arrives + self.random.ms(2, 400);
        let lands = !self.fault(self.settings.failing_history);
        let answers = lands && !self.fault(self.settings.lost_history_answers);
        self.note(format_args!(
            "p{process} sends the late record {offset} of {partition} on{}{}",
            if lands { "" } else { ", which is not taken" },
            if lands && !answers {
                ", which is not answered"
            } else {
                ""
            },
        ));
        let sent = Sent {
            process,
            partition,
            offset,
            lands,
            answers,
            answer: Some(sender),
        };
        self.historical.0.insert(id, sent);
        self.schedule(arrives, Due::LateArrives(id));
        self.schedule(answered, Due::LateAnswered(id));
        receiver
    }

    pub(super) fn late_arrives(&mut self, id: u64) {
        let Some(sent) = self.historical.0.get(&id).filter(|sent| sent.lands) else {
            return;
        };
        let (process, partition, offset) = (sent.process, sent.partition, sent.offset);
        self.check_late_landed(partition, offset);
        self.ambush(process);
    }

    pub(super) fn late_answered(&mut self, id: u64) {
        let Some(mut sent) = self.historical.0.remove(&id) else {
            return;
        };
        if let (true, Some(sender)) = (sent.answers, sent.answer.take()) {
            let _ = sender.send(());
        }
    }
}

/// The topic as one process has it.
#[derive(Debug)]
pub(super) struct SimLate {
    pub(super) world: Shared,
    pub(super) process: usize,
}

#[async_trait]
impl LateSink for SimLate {
    async fn send(&self, late: &mut Late) -> Result<(), LateError> {
        let partition = usize::try_from(late.partition().number()).unwrap();
        let mut answers = Vec::new();
        for (at, record) in late.unsent() {
            let payload = record
                .payload
                .map(|bytes| std::str::from_utf8(bytes).unwrap());
            let offset = record.position.offset();
            let mut world = self.world.lock();
            answers.push((
                at,
                world.send_late(self.process, partition, offset, payload),
            ));
        }
        let mut all = true;
        for (at, answer) in answers {
            match answer.await {
                Ok(()) => late.sent(at),
                Err(_) => all = false,
            }
        }
        match all {
            true => Ok(()),
            false => Err(LateError::Unavailable("not all were taken".into())),
        }
    }
}
