//! Judges the spans of one partition: do they tile, is each complete, do they come to the checkpoint?

use std::collections::BTreeMap;

use super::inventory::SpanObjects;
use super::report::{PartitionReport, Violation};
use crate::deliver::Plan;
use crate::record::{Partition, Position, Span};

/// What the stream keeps of the partition.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The checkpoint, if there is one.
    pub checkpoint: Option<i64>,
    /// The ends of the spans of an open plan.
    pub planned: Vec<(i64, i64)>,
    /// Where the checkpoint may have come to since.
    pub committed_since: Option<i64>,
    /// Where the first span must have begun at the latest, if that is known.
    pub begin: Option<i64>,
}

impl Kept {
    /// What may stand beyond the checkpoint besides: everything up to a later one, and what is planned behind it.
    pub fn may_be(&mut self, checkpoint: Position, plan: Option<&Plan>) {
        self.committed_since = self.committed_since.max(Some(checkpoint.offset()));
        let mut from = checkpoint.offset();
        for span in plan.map(|plan| plan.spans.as_slice()).unwrap_or_default() {
            let to = span.to.offset();
            if !self.planned.contains(&(from, to)) {
                self.planned.push((from, to));
            }
            from = to;
        }
    }
}

/// Places between spans that nothing was written for. They are violations only if there are records in them.
pub type Holes = Vec<(i64, i64)>;

/// Judges the spans of a partition.
pub fn judge(
    partition: &Partition,
    spans: &BTreeMap<(i64, i64), SpanObjects>,
    kept: &Kept,
) -> (PartitionReport, Holes, Vec<Violation>) {
    let span = |from: i64, to: i64| Span {
        partition: partition.clone(),
        from: Position::at(from),
        to: Position::at(to),
    };
    let mut report = PartitionReport {
        partition: partition.clone(),
        checkpoint: kept.checkpoint,
        open_plan: kept.planned.len(),
        ..PartitionReport::empty(partition.clone())
    };
    let (mut holes, mut violations) = (Vec::new(), Vec::new());
    // A span that is no longer than nothing, so that what lies before the first one is a hole.
    let mut end: Option<(i64, i64)> = kept.begin.map(|begin| (begin, begin));
    let checkpoint = kept.checkpoint.unwrap_or(i64::MIN);
    for (&(from, to), objects) in spans {
        report.spans += 1;
        report.objects += objects.found;
        report.rows += objects.rows;
        report.bytes += objects.bytes;
        report.begin = Some(report.begin.map_or(from, |begin: i64| begin.min(from)));
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
        if to > checkpoint {
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
        (Some((_, to)), Some(checkpoint)) if to < checkpoint => holes.push((to, checkpoint)),
        _ => {}
    }
    (report, holes, violations)
}

fn planned(kept: &Kept, from: i64, to: i64) -> bool {
    let since = kept.committed_since.unwrap_or(i64::MIN);
    to <= since || kept.planned.contains(&(from, to))
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

    fn judged(
        spans: &[(i64, i64, SpanObjects)],
        checkpoint: i64,
        planned: &[(i64, i64)],
    ) -> (Holes, Vec<String>) {
        let spans = spans
            .iter()
            .map(|(from, to, objects)| ((*from, *to), objects.clone()))
            .collect();
        let kept = Kept {
            checkpoint: Some(checkpoint),
            planned: planned.to_vec(),
            ..Kept::default()
        };
        let (_, holes, violations) = judge(&Partition::new("t", 0), &spans, &kept);
        (holes, violations.iter().map(ToString::to_string).collect())
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
            let spans = spans.iter().map(|ends| (*ends, whole(1, 1))).collect();
            let kept = Kept {
                checkpoint: Some(9),
                begin: Some(2),
                ..Kept::default()
            };
            let (_, holes, violations) = judge(&Partition::new("t", 0), &spans, &kept);
            assert_eq!(violations, []);
            holes
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
            checkpoint: Some(4),
            ..Kept::default()
        };
        let plan = Plan::read("alluvium/1 0000000000000000 15@1", Position::at(9)).unwrap();
        kept.may_be(Position::at(9), plan.as_ref());
        let spans = [
            ((0, 4), whole(1, 4)),
            ((4, 9), whole(1, 5)),
            ((9, 15), whole(2, 6)),
        ];
        let partition = Partition::new("t", 0);
        let (_, holes, violations) = judge(&partition, &spans.into(), &kept);
        assert_eq!((holes, violations), (vec![], vec![]));
        let other = [((9, 16), whole(2, 6))];
        assert_eq!(judge(&partition, &other.into(), &kept).2.len(), 1);
    }
}
