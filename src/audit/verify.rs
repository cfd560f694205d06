//! `alluvium verify`: takes stock of the target, asks the stream what it keeps, and judges.

use std::collections::{BTreeMap, HashMap};

use super::inventory::{Inventory, Look};
use super::tiles::{Kept, judge};
use super::{Report, Violation};
use crate::config::Loaded;
use crate::config::settings::Offset;
use crate::deliver::Plan;
use crate::record::{Partition, Position, Span};
use crate::registry::Targets;
use crate::run::{self, RunError};
use crate::source::{Checkpoint, SourceError, Survey};

/// Audits the target of this configuration. With `deep`, reads every object.
///
/// # Errors
/// [`RunError`] if the target or the stream does not answer, or the target keeps no objects.
pub async fn verify(loaded: &Loaded, targets: &Targets, deep: bool) -> Result<Report, RunError> {
    let settings = &loaded.settings;
    let place = targets.place(settings).await?;
    let survey = run::Opened::open(settings).await?.survey();
    let partitions = survey.partitions().await?;
    // Before the objects are listed, for what is committed by then must be among them; and again behind, for what was planned
    // and committed meanwhile may be.
    let before = Stream::ask(&*survey, &partitions).await?;
    let look = Look {
        deep,
        repeats: settings.routing.duplicates.is_some(),
        ..Look::default()
    };
    let inventory = Inventory::take(&place, &partitions, &look).await?;
    let after = Stream::ask(&*survey, &partitions).await?;
    let begins = settings.stream.kafka().map(|kafka| kafka.offset);
    let judge = Judge {
        survey: &*survey,
        earliest: begins == Some(Offset::Earliest),
        leaves_out: settings.routing.leaves_out(),
        deep,
    };
    Ok(judge
        .report(&partitions, (&before, &after), inventory)
        .await)
}

/// What the stream keeps and has.
pub(super) struct Stream {
    checkpoints: HashMap<Partition, Checkpoint>,
    oldest: HashMap<Partition, Position>,
}

impl Stream {
    async fn ask(survey: &dyn Survey, partitions: &[Partition]) -> Result<Self, SourceError> {
        Ok(Self {
            checkpoints: survey.checkpoints(partitions).await?,
            oldest: survey.oldest(partitions).await?,
        })
    }
}

/// What a report is made with.
struct Judge<'a> {
    survey: &'a dyn Survey,
    /// Whether reading began with the oldest record there was.
    earliest: bool,
    /// Whether some records are left out of the target on purpose.
    leaves_out: bool,
    deep: bool,
}

impl Judge<'_> {
    async fn report(
        &self,
        partitions: &[Partition],
        (before, after): (&Stream, &Stream),
        mut inventory: Inventory,
    ) -> Report {
        let Self { earliest, deep, .. } = *self;
        let mut report = Report {
            others: inventory.others,
            deep,
            ..Report::default()
        };
        let nothing = BTreeMap::new();
        for partition in partitions {
            let oldest = after.oldest.get(partition).copied();
            let mut kept = match before.checkpoints.get(partition) {
                Some(checkpoint) => kept(checkpoint, oldest.filter(|_| earliest)),
                None => Kept::default(),
            };
            for stream in [before, after] {
                let Some(checkpoint) = stream.checkpoints.get(partition) else {
                    continue;
                };
                match Plan::read(&checkpoint.note, checkpoint.position) {
                    Ok(plan) => kept.may_be(checkpoint.position, plan.as_ref()),
                    Err(error) => report.violations.push(Violation::Plan {
                        partition: partition.clone(),
                        why: error.to_string(),
                    }),
                }
            }
            let spans = inventory.spans.get(partition).unwrap_or(&nothing);
            let (sums, holes, violations) = judge(partition, spans, &kept);
            report.partitions.push(sums);
            report.violations.extend(violations);
            for (from, to) in holes {
                let span = Span {
                    partition: partition.clone(),
                    from,
                    to,
                };
                report.violations.extend(self.hole(span, oldest).await);
            }
        }
        report.violations.dedup();
        report.violations.append(&mut inventory.violations);
        report
    }

    /// Positions without an object are right if there is no record in them: compaction and transactions leave such. And if records
    /// are left out of the target, a span may have had no others.
    async fn hole(&self, span: Span, oldest: Option<Position>) -> Option<Violation> {
        if self.leaves_out {
            return None;
        }
        if oldest.is_some_and(|oldest| span.from < oldest) {
            let why = "the stream does not retain them any more".into();
            return Some(Violation::Unknown { span, why });
        }
        match self.survey.is_gap(&span).await {
            Ok(true) => None,
            Ok(false) => Some(Violation::Missing { span }),
            Err(error) => Some(Violation::Unknown {
                span,
                why: error.to_string(),
            }),
        }
    }
}

fn kept(checkpoint: &Checkpoint, begin: Option<Position>) -> Kept {
    Kept {
        checkpoint: Some(checkpoint.position),
        begin: begin.filter(|begin| *begin < checkpoint.position),
        ..Kept::default()
    }
}
