//! What a worker looks at between records: ages, sizes, memory, ends, and who may be read.

use std::time::Duration;

use super::Worker;
use super::flow::Flow;
use crate::flush::{Intake, Pressure, Reason, largest_first};
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::source::Source;

impl<S: Source> Worker<S> {
    /// Looks at every partition: flushes, memory, pauses, the end.
    pub(super) fn look(&mut self, now: Duration) {
        let due = |flow: &Flow| flow.due_by_age(&self.tools, now);
        let in_company = self.flows.values().any(due);
        for flow in self.flows.values_mut() {
            flow.flush_due(&mut self.tools, now, in_company);
        }
        self.relieve(now);
        self.look_for_ends(now);
        self.set_pauses(now);
        if now.saturating_sub(self.published) >= Duration::from_secs(1) {
            self.published = now;
            for flow in self.flows.values() {
                let number = flow.partition.id().to_string();
                let labels = [flow.partition.topic(), number.as_str()];
                let age = i64::try_from(flow.age(now).as_secs()).unwrap_or(i64::MAX);
                self.tools
                    .metrics
                    .open_span_age
                    .with_label_values(&labels)
                    .set(age);
            }
        }
    }

    fn relieve(&mut self, now: Duration) {
        let relief = self.tools.budget.relief();
        let building: u64 = self.flows.values().map(Flow::building).sum();
        let shrink = building > self.building_limit || relief.pressure == Pressure::Shrink;
        if shrink && now.saturating_sub(self.shrunk) >= Duration::from_secs(1) {
            self.shrunk = now;
            for flow in self.flows.values_mut() {
                flow.shrink();
            }
        }
        if let Pressure::Seal { keep_open } = relief.pressure {
            self.seal_largest(keep_open);
        }
        match relief.intake {
            Intake::Open => self.set_intake(true),
            Intake::Closed => self.set_intake(false),
            Intake::Keep => {}
        }
    }

    /// Brings this worker's open spans down to its part of what all may keep.
    fn seal_largest(&mut self, keep_open: u64) {
        let free = |(_, flow): &(_, &Flow)| !flow.must_read_on();
        let spans: Vec<_> = self
            .flows
            .iter()
            .filter(free)
            .map(|(slot, flow)| (*slot, flow.open_bytes()))
            .collect();
        let own: u64 = spans.iter().map(|(_, bytes)| bytes).sum();
        let open = self.tools.budget.held().open.max(1);
        let part = u128::from(keep_open) * u128::from(own) / u128::from(open);
        for slot in largest_first(spans, own, u64::try_from(part).unwrap_or(u64::MAX)) {
            if let Some(flow) = self.flows.get_mut(&slot) {
                flow.seal(Reason::Memory, &mut self.tools);
            }
        }
    }

    fn set_intake(&mut self, open: bool) {
        if open != self.intake_closed {
            return;
        }
        self.intake_closed = !open;
        let held = self.tools.budget.held();
        let worker = self.number;
        if open {
            self.tools.metrics.workers_paused.dec();
            tracing::info!(worker, "memory is free again: reading goes on");
        } else {
            self.tools.metrics.workers_paused.inc();
            tracing::warn!(
                worker,
                open = held.open,
                sealed = held.sealed,
                limit = self.tools.budget.limit(),
                "memory is short: reading pauses until the target has taken more"
            );
        }
    }

    /// Partitions that stay short of an end they must come to, a plan's or the one that was asked for, may have nothing left
    /// to read.
    fn look_for_ends(&mut self, now: Duration) {
        let mut asked = false;
        for (&slot, flow) in &mut self.flows {
            if let (Some(ends), Some(_)) = (&self.ends, &flow.stopped) {
                ends.given_up(&flow.partition);
                continue;
            }
            // That nothing is left where the stream is read says nothing about records that are to be read again.
            let deaf = flow.is_deaf();
            #[cfg(test)]
            let deaf = deaf && !mutation::on(Mutation::SkippedWhileDeaf);
            if deaf {
                continue;
            }
            let bound = flow.bound();
            let Some(end) = bound.or(flow.end) else {
                continue;
            };
            let quiet = now.saturating_sub(flow.last_taken) >= Duration::from_secs(2);
            if flow.next() < end && quiet && !flow.paused && !asked {
                // The question takes time, in which nobody polls.
                asked = true;
                if self.source.nothing_before(slot, end) {
                    flow.skip_to(end, &mut self.tools);
                } else if bound.is_some() {
                    let (partition, next) = (&flow.partition, flow.next());
                    tracing::warn!(%partition, %next, %end, "a planned span is not read to its end yet");
                }
                flow.last_taken = now;
            }
            // Nothing gathered, but the checkpoint must still come to the end.
            if flow.at_end() && flow.written() {
                flow.seal(Reason::End, &mut self.tools);
            }
        }
    }

    pub(super) fn set_pauses(&mut self, now: Duration) {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        // A span that may end at one place only must be read on to there. When memory is short, one at a time.
        let mut reading_on = false;
        for (&slot, flow) in &mut self.flows {
            let held = flow.hold_until.is_some_and(|until| now >= until);
            if held {
                flow.hold_until = None;
            }
            if held || flow.recorded_is_done() {
                self.source.rewind(slot, flow.next());
            }
            let revoked = self
                .revoking
                .as_ref()
                .is_some_and(|r| r.slots.contains(&slot));
            let done = self.stop_deadline.is_some() || flow.at_end();
            let mut want = (done && !flow.is_bound())
                || revoked
                || flow.stopped.is_some()
                || flow.awaits_recorded()
                || flow.hold_until.is_some()
                || flow.must_wait(&self.tools, now);
            if !want && self.intake_closed {
                want = reading_on || !flow.must_read_on();
                reading_on |= !want;
            }
            if want != flow.paused {
                flow.paused = want;
                if want {
                    pause.push(slot);
                } else {
                    resume.push(slot);
                }
            }
        }
        if !pause.is_empty() {
            self.source.pause(&pause);
        }
        if !resume.is_empty() {
            self.source.resume(&resume);
        }
    }
}
