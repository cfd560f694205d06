//! Takes over a partition: what its last owner planned is finished first, exactly as planned.

use std::sync::Arc;
use std::time::Duration;

use super::Shape;
use super::Worker;
use super::flow::Flow;
use crate::deliver::{Ledger, Plan, Print};
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Partition, Position};
use crate::source::{Assigned, Slot, Source};

impl<S: Source> Worker<S> {
    pub(super) fn adopt(&mut self, assigned: Assigned) {
        let Assigned {
            slot,
            partition,
            checkpoint,
            oldest,
            end: newest,
        } = assigned;
        let end = self.ends.as_ref().and_then(|ends| ends.end_of(&partition));
        if let Some(ends) = &self.ends {
            ends.committed(&partition, checkpoint.position);
        }
        let start = checkpoint.position;
        let plan = Plan::read(&checkpoint.note, start);
        #[cfg(test)]
        let plan = plan.map(|plan| plan.filter(|_| !mutation::on(Mutation::PlanIgnored)));
        let mut flow = match plan {
            Ok(None) => {
                let start = oldest.map_or(start, |oldest| start.max(oldest));
                if start > checkpoint.position {
                    self.tools
                        .note_expired(&partition, checkpoint.position, start);
                }
                Flow::new(partition, Ledger::new(start), end, &mut self.tools)
            }
            Ok(Some(plan)) => self.follow(partition, start, plan, oldest, end),
            Err(error) => {
                let ledger = Ledger::new(start);
                let mut flow = Flow::new(partition, ledger, end, &mut self.tools);
                flow.stop(error.to_string(), &self.tools);
                flow
            }
        };
        if let Some(newest) = newest.filter(|newest| start > *newest && flow.stopped.is_none()) {
            flow.stop(ends_before(newest, start), &self.tools);
        }
        self.flows.insert(slot, flow);
    }

    /// A partition with an open plan.
    fn follow(
        &mut self,
        partition: Partition,
        start: Position,
        plan: Plan,
        oldest: Option<Position>,
        end: Option<Position>,
    ) -> Flow {
        let spans = plan.spans.len();
        let to = plan.spans[spans - 1].to;
        tracing::info!(%partition, from = %start, %to, spans, "an open plan is finished first");
        self.tools.metrics.plans_recovered.inc();
        let ledger = Ledger::recovered(start, plan.spans);
        let mut flow = Flow::new(partition, ledger, end, &mut self.tools);
        if let Err(why) = self.can_follow(&mut flow, plan.print, plan.settings.as_deref(), oldest) {
            flow.stop(why, &self.tools);
        }
        flow
    }

    /// Whether a plan can be finished as it was made; sets the flow to the shape it was made with.
    fn can_follow(
        &mut self,
        flow: &mut Flow,
        print: Print,
        settings: Option<&str>,
        oldest: Option<Position>,
    ) -> Result<(), String> {
        let start = flow.next();
        if let Some(oldest) = oldest.filter(|oldest| *oldest > start) {
            return Err(format!(
                "the planned span begins at {start}, but the stream retains nothing before {oldest}: outputs of it may be \
                 visible, and the rest cannot be read any more"
            ));
        }
        if print == self.tools.shaping.shape.print {
            return Ok(());
        }
        let settings = settings
            .ok_or("the plan was made with other settings, which are not recorded in it")?;
        let shape = self.shape_of(settings).map_err(|why| {
            format!("the plan was made with other settings, which cannot be used: {why}")
        })?;
        if shape.print != print {
            return Err("the plan was made by another release of this program or of its target, whose outputs may differ".into());
        }
        let partition = &flow.partition;
        tracing::info!(%partition, "the plan was made with other settings; it is finished with those");
        flow.shaped_as_recorded(shape);
        Ok(())
    }

    fn shape_of(&mut self, settings: &str) -> Result<Arc<Shape>, String> {
        match &self.reshaped {
            Some((of, shape)) if of == settings => Ok(shape.clone()),
            _ => {
                let shape = Arc::new((self.reshape)(settings)?);
                self.reshaped = Some((settings.to_owned(), shape.clone()));
                Ok(shape)
            }
        }
    }

    /// The partition ends before the place that is read.
    pub(super) fn truncate(&mut self, slot: Slot, end: Position) {
        let Some(flow) = self.flows.get_mut(&slot) else {
            return;
        };
        if flow.stopped.is_some() || end >= flow.next() {
            return;
        }
        let reason = ends_before(end, flow.next());
        flow.stop(reason, &self.tools);
    }

    /// Records before `oldest` have been deleted from the stream before they were read.
    pub(super) fn expire(&mut self, slot: Slot, oldest: Position, now: Duration) {
        let Some(flow) = self.flows.get_mut(&slot) else {
            return;
        };
        if flow.stopped.is_some() || oldest <= flow.next() {
            return;
        }
        if let Some(bound) = flow.bound() {
            let reason = format!(
                "a planned span, which ends at {bound}, was being read at {}, but the stream retains nothing before {oldest} any more: \
                 outputs of it may be visible, and the rest cannot be read",
                flow.next()
            );
            flow.stop(reason, &self.tools);
            return;
        }
        self.tools
            .note_expired(&flow.partition, flow.next(), oldest);
        flow.last_taken = now;
        self.source.rewind(slot, oldest);
    }
}

fn ends_before(end: Position, next: Position) -> String {
    format!(
        "the partition ends at {end}, before {next}, up to where it was read: was the topic created anew, or has the \
         partition lost records? What was written under these positions cannot be told from what comes under them again"
    )
}
