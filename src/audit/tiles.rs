//! Judges the spans of one partition: do they tile, is each complete, do they come to the checkpoint?

use std::collections::BTreeMap;

use super::inventory::SpanObjects;
use super::report::{PartitionReport, Violation};
use crate::deliver::Plan;
use crate::record::{Partition, Position, Span};

/// Where a span begins, and the position behind it.
pub type Ends = (Position, Position);

/// What the stream keeps of the partition.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The checkpoint, if there is one.
    pub checkpoint: Option<Position>,
    /// The ends of the spans of an open plan.
    pub planned: Vec<Ends>,
    /// Where the checkpoint may have come to since.
    pub committed_since: Option<Position>,
    /// Where the first span must have begun at the latest, if that is known.
    pub begin: Option<Position>,
}

impl Kept {
    /// What may stand beyond the checkpoint besides: everything up to a later one, and what is planned behind it.
    pub fn may_be(&mut self, checkpoint: Position, plan: Option<&Plan>) {
        self.committed_since = self.committed_since.max(Some(checkpoint));
        let mut from = checkpoint;
        for span in plan.map(|plan| plan.spans.as_slice()).unwrap_or_default() {
            let ends = (from, span.to);
            if !self.planned.contains(&ends) {
                self.planned.push(ends);
            }
            from = span.to;
        }
    }
}

/// Places between spans that nothing was written for. They are violations only if there are records in them.
pub type Holes = Vec<Ends>;

/// Judges the spans of a partition.
pub fn judge(
    partition: &Partition,
    spans: &BTreeMap<Ends, SpanObjects>,
    kept: &Kept,
) -> (PartitionReport, Holes, Vec<Violation>) {
    let span = |from, to| Span {
        partition: partition.clone(),
        from,
        to,
    };
    let mut report = PartitionReport {
        partition: partition.clone(),
        checkpoint: kept.checkpoint,
        open_plan: kept.planned.len(),
        ..PartitionReport::empty(partition.clone())
    };
    let (mut holes, mut violations) = (Vec::new(), Vec::new());
    // A span that is no longer than nothing, so that what lies before the first one is a hole.
    let mut end: Option<Ends> = kept.begin.map(|begin| (begin, begin));
    for (&(from, to), objects) in spans {
        report.spans += 1;
        report.objects += objects.found;
        report.rows += objects.rows;
        report.bytes += objects.bytes;
        report.begin = Some(report.begin.map_or(from, |begin: Position| begin.min(from)));
        match end {
            Some((_, before)) if from > before => holes.push((before, from)),
            Some(other) if from < other.1 && other.0 < other.1 => {
                violations.push(Violation::Overlap {
                    first: span(other.0, other.1),
                    second: span(from, to),
                });
            }
            _ => {}
        }
        if end.is_none_or(|(_, before)| to > before) {
            end = Some((from, to));
        }
        if Some(to) > kept.checkpoint {
            // Written, but not committed: right only if a plan says so.
            if !planned(kept, from, to) {
                violations.push(Violation::Unplanned {
                    span: span(from, to),
                });
            }
        } else if !objects.complete() {
            violations.push(Violation::Incomplete {
                span: span(from, to),
                objects: objects.clone(),
            });
        }
    }
    report.end = spans.keys().map(|(_, to)| *to).max();
    match (end, kept.checkpoint) {
        // Nobody knows any more which record was the last of a shard that was read to its end.
        (Some((_, to)), Some(checkpoint)) if to < checkpoint && checkpoint != Position::END => {
            holes.push((to, checkpoint));
        }
        _ => {}
    }
    (report, holes, violations)
}

fn planned(kept: &Kept, from: Position, to: Position) -> bool {
    Some(to) <= kept.committed_since || kept.planned.contains(&(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(objects: u64, rows: u64) -> SpanObjects {
        SpanObjects {
            found: objects,
            rows,
            expected: objects,
            expected_rows: rows,
            ..SpanObjects::default()
        }
    }

    fn at(ends: (i64, i64)) -> Ends {
        (Position::at(ends.0), Position::at(ends.1))
    }

    fn offsets(holes: &Holes) -> Vec<(i64, i64)> {
        let ends = holes.iter();
        ends.map(|(from, to)| (from.offset(), to.offset()))
            .collect()
    }

    fn judged(
        spans: &[(i64, i64, SpanObjects)],
        checkpoint: i64,
        planned: &[(i64, i64)],
    ) -> (Vec<(i64, i64)>, Vec<String>) {
        let spans = spans
            .iter()
            .map(|(from, to, objects)| (at((*from, *to)), objects.clone()))
            .collect();
        let kept = Kept {
            checkpoint: Some(Position::at(checkpoint)),
            planned: planned.iter().copied().map(at).collect(),
            ..Kept::default()
        };
        let (_, holes, violations) = judge(&Partition::new("t", 0), &spans, &kept);
        (
            offsets(&holes),
            violations.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn spans_that_tile_to_the_checkpoint_are_clean() {
        let spans = [(5, 9, whole(2, 4)), (9, 12, whole(1, 3))];
        assert_eq!(judged(&spans, 12, &[]), (vec![], vec![]));
        assert_eq!(judged(&[], 7, &[]), (vec![], vec![]));
    }

    #[test]
    fn holes_and_overlaps_are_found_wherever_they_are() {
        let spans = [(0, 4, whole(1, 4)), (6, 9, whole(1, 3))];
        assert_eq!(judged(&spans, 11, &[]).0, [(4, 6), (9, 11)]);
        let spans = [
            (0, 9, whole(1, 9)),
            (2, 4, whole(1, 2)),
            (4, 6, whole(1, 2)),
            (9, 10, whole(1, 1)),
        ];
        let (holes, violations) = judged(&spans, 10, &[]);
        assert_eq!((holes.len(), violations.len()), (0, 2), "{violations:?}");
        assert!(violations[1].contains("[0, 9)") && violations[1].contains("[4, 6)"));
        // Two spans that begin at the same place.
        let spans = [(0, 4, whole(1, 4)), (0, 9, whole(1, 9))];
        assert_eq!(judged(&spans, 9, &[]).1.len(), 1);
    }

    #[test]
    fn what_lies_before_the_first_span_is_a_hole_if_reading_began_earlier() {
        let begun = |spans: &[(i64, i64)]| {
            let spans = spans.iter().map(|ends| (at(*ends), whole(1, 1))).collect();
            let kept = Kept {
                checkpoint: Some(Position::at(9)),
                begin: Some(Position::at(2)),
                ..Kept::default()
            };
            let (_, holes, violations) = judge(&Partition::new("t", 0), &spans, &kept);
            assert_eq!(violations, []);
            offsets(&holes)
        };
        assert_eq!(begun(&[(4, 9)]), [(2, 4)]);
        assert_eq!(begun(&[(1, 9)]), []);
        assert_eq!(begun(&[]), [(2, 9)]);
    }

    #[test]
    fn objects_and_rows_that_are_missing_are_named() {
        let mut part = whole(3, 9);
        part.found = 2;
        part.rows = 5;
        let (_, violations) = judged(&[(0, 9, part)], 9, &[]);
        assert!(violations[0].contains("2 of 3 objects"), "{violations:?}");
        let mut few = whole(3, 9);
        few.rows = 8;
        let (_, violations) = judged(&[(0, 9, few)], 9, &[]);
        assert!(violations[0].contains("8 of 9 rows"), "{violations:?}");
    }

    #[test]
    fn beyond_the_checkpoint_only_what_is_planned_may_stand_and_need_not_be_whole() {
        let mut part = whole(3, 9);
        part.found = 1;
        let spans = [(0, 4, whole(1, 4)), (4, 9, part)];
        assert_eq!(judged(&spans, 4, &[(4, 9), (9, 12)]), (vec![], vec![]));
        let (_, violations) = judged(&spans, 4, &[(4, 8)]);
        assert!(violations[0].contains("[4, 9)"), "{violations:?}");
        assert_eq!(judged(&spans, 4, &[]).1.len(), 1);
    }

    /// A program that runs beside: what was committed since is no violation.
    #[test]
    fn what_is_committed_while_somebody_looks_is_right() {
        let mut kept = Kept {
            checkpoint: Some(Position::at(4)),
            ..Kept::default()
        };
        let plan = Plan::read("alluvium/1 0000000000000000 15@1", Position::at(9)).unwrap();
        kept.may_be(Position::at(9), plan.as_ref());
        let spans = [
            (at((0, 4)), whole(1, 4)),
            (at((4, 9)), whole(1, 5)),
            (at((9, 15)), whole(2, 6)),
        ];
        let partition = Partition::new("t", 0);
        let (_, holes, violations) = judge(&partition, &spans.into(), &kept);
        assert_eq!((holes, violations), (vec![], vec![]));
        let other = [(at((9, 16)), whole(2, 6))];
        assert_eq!(judge(&partition, &other.into(), &kept).2.len(), 1);
    }
}
