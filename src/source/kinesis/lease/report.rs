//! The lease table for a person.

use std::collections::HashMap;

use super::{Lease, State};

const NOTHING: &str = "-";

/// The leases, a line for each, in the order of their shards. `earlier` is what the table was a while before, so that leases nobody renews can be
/// told from others; it may be empty.
pub fn table(leases: &[Lease], earlier: &[Lease]) -> String {
    let before: HashMap<&str, u64> = earlier
        .iter()
        .map(|lease| (lease.key.as_str(), lease.counter))
        .collect();
    let mut sorted: Vec<&Lease> = leases.iter().collect();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    let head = [
        "shard",
        "owner",
        "state",
        "plan",
        "counter",
        "parents",
        "checkpoint",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(sorted.iter().map(|lease| {
        [
            lease.key.clone(),
            lease.owner.clone().unwrap_or_else(|| NOTHING.into()),
            state(lease, before.get(lease.key.as_str()).copied()),
            plan(lease).into(),
            lease.counter.to_string(),
            list(lease.parents.iter()),
            checkpoint(lease),
        ]
    }));
    let widths: Vec<usize> = (0..head.len())
        .map(|at| {
            lines
                .iter()
                .map(|line| line[at].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String; 7]| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let text = padded.collect::<Vec<_>>().join("  ");
        format!("{}\n", text.trim_end())
    };
    lines.iter().map(line).collect()
}

fn state(lease: &Lease, before: Option<u64>) -> String {
    if lease.is_finished() {
        return match lease.children.is_empty() {
            true => "ended".into(),
            false => format!("ended, now {}", list(lease.children.iter())),
        };
    }
    match (&lease.checkpoint_owner, &lease.owner) {
        (Some(old), _) => format!("handed over by {old}"),
        (None, None) => "free".into(),
        (None, Some(_)) if before == Some(lease.counter) => "not renewed".into(),
        (None, Some(_)) => "held".into(),
    }
}

fn plan(lease: &Lease) -> &'static str {
    match (&lease.pending, lease.state()) {
        (None, _) => NOTHING,
        (Some(_), Some(State { plan: "", .. })) => NOTHING,
        (Some(_), Some(_)) => "open",
        (Some(_), None) => "of another program",
    }
}

/// How far the shard was read; if nothing is committed, where that began.
fn checkpoint(lease: &Lease) -> String {
    let began = lease.state().and_then(|state| state.began);
    match began.filter(|_| !lease.says_where()) {
        Some(began) => format!("{} from {began}", lease.checkpoint),
        None => lease.checkpoint.to_string(),
    }
}

fn list<'a>(shards: impl Iterator<Item = &'a String>) -> String {
    let text = shards.map(String::as_str).collect::<Vec<_>>().join(",");
    match text.is_empty() {
        true => NOTHING.into(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Began, LeasePosition, Pending};
    use super::*;

    #[test]
    fn a_person_sees_who_reads_what_and_how_far() {
        let sequence = "49590338271490256608559692538361571095921575989136588898";
        let at = |sub| LeasePosition::At {
            sequence: sequence.parse().unwrap(),
            sub,
        };
        let parent = Lease {
            children: ["s2".into(), "s3".into()].into(),
            counter: 12,
            ..Lease::new("s1", LeasePosition::ShardEnd)
        };
        let child = Lease {
            owner: Some("alluvium:a".into()),
            counter: 7,
            parents: ["s1".into()].into(),
            pending: Some(Pending {
                position: at(5),
                state: b"alluvium/1 ...".to_vec(),
            }),
            ..Lease::new("s2", at(3))
        };
        let other = Lease {
            owner: None,
            pending: None,
            ..child.clone()
        };
        let other = Lease {
            key: "s3".into(),
            checkpoint: LeasePosition::TrimHorizon,
            ..other
        };
        let begun = Lease {
            key: "s4".into(),
            checkpoint: LeasePosition::Latest,
            pending: Some(Pending {
                position: LeasePosition::Latest,
                state: State {
                    began: Some(Began::Time(1_700_000_000_000)),
                    plan: "",
                }
                .write(),
            }),
            ..other.clone()
        };
        let planned = Lease {
            key: "s5".into(),
            pending: Some(Pending {
                position: at(5),
                state: State {
                    began: Some(Began::Record("7".parse().unwrap())),
                    plan: "alluvium/1 ...",
                }
                .write(),
            }),
            ..other.clone()
        };
        let leases = [planned, begun, other, child, parent];
        let text = table(&leases, &[]);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .collect()
            })
            .collect();
        let checkpoint = format!("{sequence}/3");
        let expected = [
            vec![
                "shard",
                "owner",
                "state",
                "plan",
                "counter",
                "parents",
                "checkpoint",
            ],
            vec!["s1", "-", "ended, now s2,s3", "-", "12", "-", "SHARD_END"],
            vec!["s2", "alluvium:a", "held", "open", "7", "s1", &checkpoint],
            vec!["s3", "-", "free", "-", "7", "s1", "TRIM_HORIZON"],
            vec![
                "s4",
                "-",
                "free",
                "-",
                "7",
                "s1",
                "LATEST from 2023-11-14T22:13:20.000Z",
            ],
            vec!["s5", "-", "free", "open", "7", "s1", "TRIM_HORIZON from 7"],
        ];
        assert_eq!(lines, expected);
        assert!(table(&leases, &leases).contains("not renewed"));
    }
}
