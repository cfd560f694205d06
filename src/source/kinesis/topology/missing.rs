//! Which leases must be made because there are none.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Initial, by_id, by_key};
use crate::source::kinesis::lease::{Lease, LeasePosition};
use crate::source::kinesis::stream::Shard;

/// The list is from before a reshard, or from before and after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reshard is under way: {} not listed, or as if the parents were open", .0.join(", "))]
pub struct Inconsistent(
    /// The shards that give it away.
    pub Vec<String>,
);

/// The leases of a table that has none, for the shards there were at the initial position. In the order in which to make them: if that is
/// broken off, what is there is a beginning that [`missing`] completes.
pub fn first(shards: &[Shard], initial: Initial) -> Vec<Lease> {
    let leases = shards
        .iter()
        .map(|shard| (shard, lease(shard, initial.position())));
    in_order(leases.collect())
}

/// The leases that a table lacks which has some, for all shards that the stream keeps something of. In the order in which to make them.
///
/// An open shard without a lease has one of three histories. It has an ancestor with a lease: then it is that one's line who makes
/// its lease. Nobody has a lease, and the stream is read from its beginning or from some time: then the oldest of its ancestors get
/// one. Or it is read from its end: then the shard itself does. A shard that was merged from two such lines needs a lease on both sides.
///
/// `then` are the shards there were at that time, if the stream is read from one, and nobody is older than those. (The KCL goes back to the
/// oldest it finds. It reads their children from their first records on, long before that time, and may come to a merge whose other
/// side never gets a lease.)
///
/// # Errors
/// A list that cannot be true; another will be.
pub fn missing(
    shards: &[Shard],
    leases: &[Lease],
    initial: Initial,
    then: Option<&[Shard]>,
) -> Result<Vec<Lease>, Inconsistent> {
    let listed = by_id(shards);
    check(&listed, leases, then.unwrap_or_default())?;
    let leased: HashSet<&str> = by_key(leases).into_keys().collect();
    let mut oldest: HashSet<&str> = by_id(then.unwrap_or_default()).into_keys().collect();
    for shard in descendants(shards, &leased) {
        oldest.remove(shard);
    }
    let family = Family {
        listed,
        leased,
        oldest,
    };
    let mut lines: HashMap<&str, Line> = HashMap::new();
    let mut found: HashMap<&str, (&Shard, Lease)> = HashMap::new();
    let open = || {
        shards
            .iter()
            .filter(|shard| !shard.closed && !family.leased.contains(shard.id.as_str()))
    };
    for shard in family.ancestors_first(open()) {
        let line = family.line(shard, initial, &lines);
        if line == Line::Begun {
            for parent in family.parents(shard) {
                family.add_parent(parent, initial, &lines, &mut found);
            }
        }
        lines.insert(&shard.id, line);
    }
    for shard in open() {
        if lines.get(shard.id.as_str()) != Some(&Line::Begun) {
            found.insert(&shard.id, (shard, lease(shard, initial.position())));
        }
    }
    Ok(in_order(found.into_values().collect()))
}

/// Whether the list can be true: no shard is open whose children are known, and it has all that there were at the initial position.
fn check(
    listed: &HashMap<&str, &Shard>,
    leases: &[Lease],
    then: &[Shard],
) -> Result<(), Inconsistent> {
    let is_open = |id: &String| listed.get(id.as_str()).is_some_and(|shard| !shard.closed);
    let of_shards = listed
        .values()
        .filter(|shard| shard.parents.iter().any(is_open));
    let of_leases = leases
        .iter()
        .filter(|lease| lease.parents.iter().any(is_open));
    let unlisted = then
        .iter()
        .filter(|shard| !listed.contains_key(shard.id.as_str()));
    let ids = of_shards
        .map(|shard| &shard.id)
        .chain(of_leases.map(|lease| &lease.key));
    let ids: BTreeSet<_> = ids.chain(unlisted.map(|shard| &shard.id)).collect();
    match ids.is_empty() {
        true => Ok(()),
        false => Err(Inconsistent(ids.into_iter().cloned().collect())),
    }
}

/// The shards that come from one with a lease.
fn descendants<'a>(shards: &'a [Shard], leased: &HashSet<&'a str>) -> HashSet<&'a str> {
    let mut children: HashMap<&str, Vec<&str>> = HashMap::new();
    for shard in shards {
        for parent in &shard.parents {
            children.entry(parent).or_default().push(&shard.id);
        }
    }
    let mut found = HashSet::new();
    let mut parents: Vec<&str> = leased.iter().copied().collect();
    while let Some(parent) = parents.pop() {
        for child in children.get(parent).into_iter().flatten() {
            if found.insert(*child) {
                parents.push(child);
            }
        }
    }
    found
}

/// How a shard without a lease stands to those that have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// One of its ancestors has a lease, or will have one now.
    Begun,
    /// None has, and it will be the first of its line.
    First,
    /// None has, and it will be passed over.
    Before,
}

/// The shards, and which of them have leases.
struct Family<'a> {
    listed: HashMap<&'a str, &'a Shard>,
    leased: HashSet<&'a str>,
    /// Those before whom nobody is read, and nobody was: their parents do not count.
    oldest: HashSet<&'a str>,
}

impl<'a> Family<'a> {
    /// The parents that are still in the stream, and not too old.
    fn parents(&self, shard: &'a Shard) -> impl Iterator<Item = &'a Shard> {
        let is_oldest = self.oldest.contains(shard.id.as_str());
        let parents = shard.parents.iter().filter(move |_| !is_oldest);
        parents.filter_map(|parent| self.listed.get(parent.as_str()).copied())
    }

    /// These shards and their ancestors without leases, up to those that have one; parents before their children.
    fn ancestors_first(&self, of: impl Iterator<Item = &'a Shard>) -> Vec<&'a Shard> {
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        // Lines may be long: with a reshard an hour, and records kept for a year.
        let mut path: Vec<(&Shard, bool)> = of.map(|shard| (shard, false)).collect();
        while let Some((shard, parents_are_done)) = path.pop() {
            if parents_are_done {
                order.push(shard);
            } else if seen.insert(shard.id.as_str()) {
                path.push((shard, true));
                let parents = self.parents(shard);
                let unleased = parents.filter(|parent| !self.leased.contains(parent.id.as_str()));
                path.extend(unleased.map(|parent| (parent, false)));
            }
        }
        order
    }

    /// Whether reading has begun, or will now, with this shard or before it.
    fn is_begun(&self, shard: &Shard, lines: &HashMap<&str, Line>) -> bool {
        let line = lines.get(shard.id.as_str());
        self.leased.contains(shard.id.as_str()) || matches!(line, Some(Line::Begun | Line::First))
    }

    fn line(&self, shard: &'a Shard, initial: Initial, lines: &HashMap<&str, Line>) -> Line {
        if self
            .parents(shard)
            .any(|parent| self.is_begun(parent, lines))
        {
            Line::Begun
        } else if initial == Initial::Latest {
            Line::Before
        } else {
            Line::First
        }
    }

    /// Adds the lease of a parent of a shard whose line has begun, unless the parent's own line will make it.
    fn add_parent(
        &self,
        parent: &'a Shard,
        initial: Initial,
        lines: &HashMap<&str, Line>,
        found: &mut HashMap<&'a str, (&'a Shard, Lease)>,
    ) {
        let line = lines.get(parent.id.as_str());
        if self.leased.contains(parent.id.as_str()) || line == Some(&Line::Begun) {
            return;
        }
        let from_time = matches!(initial, Initial::AtTimestamp(_));
        let position = match self.is_begun(parent, lines) && !from_time {
            true => LeasePosition::TrimHorizon,
            false => initial.position(),
        };
        found.insert(&parent.id, (parent, lease(parent, position)));
    }
}

fn lease(shard: &Shard, position: LeasePosition) -> Lease {
    Lease {
        parents: shard.parents.iter().cloned().collect(),
        hash_range: Some(shard.hash_range),
        ..Lease::new(shard.id.as_str(), position)
    }
}

fn in_order(mut leases: Vec<(&Shard, Lease)>) -> Vec<Lease> {
    leases.sort_by(|(one, _), (other, _)| (one.first, &one.id).cmp(&(other.first, &other.id)));
    leases.into_iter().map(|(_, lease)| lease).collect()
}
