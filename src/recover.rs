//! `alluvium recover`: shows open plans and what is in the target for them, and discards them if a person says so.
//!
//! An open plan is finished by whoever reads the partition next. Only one that cannot be finished needs a person: because its
//! records are not retained, its settings are not known, or something else stands under its names.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use crate::audit::inventory::{Inventory, Look, SpanObjects};
use crate::audit::tiles::Ends;
use crate::config::Loaded;
use crate::deliver::{Plan, PlanError, Planned, Print};
use crate::record::{Partition, Position};
use crate::registry::{Place, Targets};
use crate::run::{self, RunError};
use crate::source::Checkpoint;

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// These partitions only; all if empty.
    pub partitions: Vec<Partition>,
    /// Discard their open plans.
    pub discard: bool,
}

/// Shows open plans, and discards them if asked to. Returns what a person wants to read.
///
/// # Errors
/// [`RunError`] if stream or target do not answer, or the group still has members when plans are to be discarded.
pub async fn recover(
    loaded: &Loaded,
    targets: &Targets,
    wanted: Wanted,
) -> Result<String, RunError> {
    let settings = &loaded.settings;
    let survey = run::Opened::open(settings).await?.survey();
    let found = survey.checkpoints(&survey.partitions().await?).await?;
    let open = open_plans(found, &wanted.partitions);
    if open.is_empty() {
        return Ok("no open plans\n".into());
    }
    let lookups = run::Lookups::open(settings).await?;
    let own = run::shape(settings, &loaded.recipe.shaping(), targets, &lookups).await?;
    let mut text = String::new();
    let mut checkpoints = Vec::new();
    let mut unsure = false;
    for (partition, (checkpoint, plan)) in open {
        let after = match plan {
            Ok(plan) => {
                let (place, known) = place_of(loaded, targets, &plan, own.print()).await?;
                if !known {
                    text += UNKNOWN_PLACE;
                    unsure |= !wanted.partitions.contains(&partition);
                }
                let one = [partition.clone()];
                let look = Look {
                    keys: true,
                    behind: [(partition.clone(), checkpoint.position)].into(),
                    ..Look::default()
                };
                let mut inventory = Inventory::take(&place, &one, &look).await?;
                let spans = inventory.spans.remove(&partition).unwrap_or_default();
                show(
                    &mut text,
                    &partition,
                    &checkpoint,
                    &plan,
                    own.print(),
                    &spans,
                )
            }
            Err(error) => {
                text += UNKNOWN_PLACE;
                unsure |= !wanted.partitions.contains(&partition);
                let _ = writeln!(
                    text,
                    "{partition}: checkpoint {}: {error}",
                    checkpoint.position
                );
                checkpoint.position
            }
        };
        let note = String::new();
        let checkpoint = Checkpoint {
            position: after,
            reach: None,
            note,
        };
        checkpoints.push((partition, checkpoint));
    }
    if wanted.discard && unsure {
        return Err(RunError::Failed(format!(
            "{text}\nnothing was changed: of some plans it is not known where their outputs are. Look for outputs behind the checkpoint \
             yourself, then name each such partition with --partition"
        )));
    }
    if wanted.discard {
        survey.store(&checkpoints).await?;
        for (partition, checkpoint) in &checkpoints {
            let _ = writeln!(
                text,
                "{partition}: plan discarded; reading begins at {}",
                checkpoint.position
            );
        }
    } else {
        text += "\nnothing was changed. Plans that can be finished are finished when a copy of the program runs. To give up those \
                 above, stop all copies and add --discard-plan (and --partition TOPIC-NUMBER for single ones)\n";
    }
    Ok(text)
}

const UNKNOWN_PLACE: &str = "where the outputs of the next plan are is not known; what is said of them holds for the place of the \
    present settings only\n";

type Open = BTreeMap<Partition, (Checkpoint, Result<Plan, PlanError>)>;

fn open_plans(found: HashMap<Partition, Checkpoint>, only: &[Partition]) -> Open {
    let chosen = |partition: &Partition| only.is_empty() || only.contains(partition);
    let open = found.into_iter().filter_map(|(partition, checkpoint)| {
        let plan = Plan::read(&checkpoint.note, checkpoint.position).transpose()?;
        Some((partition, (checkpoint, plan)))
    });
    open.filter(|(partition, _)| chosen(partition)).collect()
}

/// Where the plan's outputs are, for the settings it was made with may name another place; and whether that is known.
async fn place_of(
    loaded: &Loaded,
    targets: &Targets,
    plan: &Plan,
    own: Print,
) -> Result<(Place, bool), RunError> {
    let recorded = plan.settings.as_deref().filter(|_| plan.print != own);
    let recorded = recorded.and_then(|settings| loaded.recipe.with(settings).ok());
    let known = plan.print == own || recorded.is_some();
    let settings = recorded.as_ref().unwrap_or(&loaded.settings);
    Ok((targets.place(settings).await?, known))
}

/// Says what there is of each planned span. Returns where reading begins if the plan is discarded: behind the spans that are
/// complete, for those need not be written again.
fn show(
    text: &mut String,
    partition: &Partition,
    checkpoint: &Checkpoint,
    plan: &Plan,
    own: Print,
    found: &BTreeMap<Ends, SpanObjects>,
) -> Position {
    let settings = if plan.print == own {
        "made with the present settings"
    } else {
        "made with other settings"
    };
    let _ = writeln!(text, "{partition}: an open plan, {settings}");
    let mut from = checkpoint.position;
    let mut begin = from;
    let mut all_complete = true;
    for &Planned { to, .. } in &plan.spans {
        let objects = found.get(&(from, to));
        let (state, keys) = match objects {
            None => ("nothing is in the target".into(), &[][..]),
            Some(objects) if objects.complete() => (
                format!("complete in the target, {} objects", objects.found),
                &[][..],
            ),
            Some(objects) => (
                format!(
                    "{} of {} objects are in the target; if the plan is discarded, their records are written again \
                     under other names: delete these",
                    objects.found, objects.expected
                ),
                &objects.keys[..],
            ),
        };
        let _ = writeln!(text, "  [{from}, {to}): {state}");
        for key in keys {
            let _ = writeln!(text, "    {key}");
        }
        all_complete &= objects.is_some_and(SpanObjects::complete);
        if all_complete {
            begin = to;
        } else if let Some(objects) = objects.filter(|objects| objects.complete()) {
            let _ = writeln!(
                text,
                "    delete these too, since a span before it is not complete:"
            );
            for key in &objects.keys {
                let _ = writeln!(text, "    {key}");
            }
        }
        from = to;
    }
    begin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(found: u64, expected: u64) -> SpanObjects {
        SpanObjects {
            found,
            expected,
            keys: vec![format!("key-{found}-{expected}")],
            ..SpanObjects::default()
        }
    }

    #[test]
    fn reading_begins_behind_what_is_complete_and_leftovers_are_named() {
        let spans = [14, 20, 30].map(|to| Planned {
            to: Position::at(to),
            opened_ms: 1,
            unreadable: None,
        });
        let plan = Plan {
            print: Print::of("x"),
            spans: spans.to_vec(),
            settings: None,
        };
        let checkpoint = Checkpoint {
            position: Position::at(10),
            reach: None,
            note: String::new(),
        };
        let shown = |found: &[((i64, i64), SpanObjects)]| {
            let mut text = String::new();
            let at = |(from, to): (i64, i64)| (Position::at(from), Position::at(to));
            let found = found.iter().cloned();
            let found = found.map(|(ends, objects)| (at(ends), objects)).collect();
            let partition = Partition::new("t", 0);
            let begin = show(
                &mut text,
                &partition,
                &checkpoint,
                &plan,
                Print::of("x"),
                &found,
            );
            (begin.offset(), text)
        };
        assert_eq!(shown(&[]).0, 10);
        assert_eq!(shown(&[((10, 14), objects(2, 2))]).0, 14);
        let all = [
            ((10, 14), objects(2, 2)),
            ((14, 20), objects(1, 1)),
            ((20, 30), objects(3, 3)),
        ];
        assert_eq!(shown(&all).0, 30);
        let (begin, text) = shown(&[((10, 14), objects(1, 2)), ((14, 20), objects(4, 4))]);
        assert_eq!(begin, 10);
        assert!(
            text.contains("key-1-2") && text.contains("key-4-4"),
            "{text}"
        );
    }
}
