//! Fleets of KCL 3.x, where a leader assigns the leases.
//!
//! Taking a lease there by one's own decision sets two authorities against each other. So nothing is taken in such a table while
//! anything of that fleet moves: the counter of a lease of an owner that is not one of ours, the leader's heartbeat, the workers'
//! figures. When all of it has stood still for [`QUIET`] the fleet has stopped, and its leases are taken as any others.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Lease, Listing};

/// What the names of our workers begin with.
pub const OWNER_PREFIX: &str = "alluvium:";

/// A worker of 3.x writes its figures every 30 seconds, and a leader its heartbeat more often.
pub(super) const QUIET: Duration = Duration::from_secs(75);
/// How often to look while waiting for that.
pub(super) const PEEK: Duration = Duration::from_secs(10);

/// Watches a table for a fleet of 3.x.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    seen: Option<Seen>,
}

#[derive(Clone, Debug)]
struct Seen {
    /// Since when nothing has moved.
    still_since: Duration,
    print: u64,
    counters: BTreeMap<String, u64>,
    /// Whose counter has moved last.
    alive: Option<String>,
}

/// What a table is to a worker that takes leases by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody assigns leases in it.
    Open,
    /// Somebody did, and may still: look again.
    Waiting,
    /// Somebody does.
    Taken(String),
}

impl Watch {
    /// Takes in a look that has ended just now.
    pub(super) fn look(&mut self, listing: &Listing, now: Duration) -> Standing {
        let coordinator = listing.coordinator.clone().unwrap_or_default();
        let handing_over = listing
            .leases
            .iter()
            .any(|lease| lease.checkpoint_owner.is_some());
        if !coordinator.assigns && !handing_over {
            self.seen = None;
            return Standing::Open;
        }
        let foreign = listing.leases.iter().filter(|lease| is_foreign(lease));
        let counters: BTreeMap<String, u64> = foreign
            .clone()
            .map(|lease| (lease.key.clone(), lease.counter))
            .collect();
        let Some(seen) = &mut self.seen else {
            self.seen = Some(Seen {
                still_since: now,
                print: coordinator.print,
                counters,
                alive: None,
            });
            return Standing::Waiting;
        };
        let mover = foreign
            .filter(|lease| {
                seen.counters
                    .get(&lease.key)
                    .is_some_and(|n| *n != lease.counter)
            })
            .find_map(|lease| lease.owner.clone());
        let led = coordinator.print != seen.print;
        if mover.is_some() || led {
            seen.still_since = now;
            seen.alive =
                Some(mover.unwrap_or_else(|| "a leader or a worker without leases".into()));
        }
        (seen.print, seen.counters) = (coordinator.print, counters);
        if now.saturating_sub(seen.still_since) > QUIET {
            seen.alive = None;
            return Standing::Open;
        }
        match &seen.alive {
            Some(worker) => Standing::Taken(worker.clone()),
            None => Standing::Waiting,
        }
    }
}

fn is_foreign(lease: &Lease) -> bool {
    let owner = lease.owner.as_deref();
    owner.is_some_and(|owner| !owner.starts_with(OWNER_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::super::{Coordinator, LeasePosition};
    use super::*;

    fn listing(print: u64, owner: &str, counter: u64) -> Listing {
        Listing {
            leases: vec![Lease {
                owner: Some(owner.into()),
                counter,
                ..Lease::new("s", LeasePosition::Latest)
            }],
            coordinator: Some(Coordinator {
                assigns: true,
                print,
            }),
            ..Listing::default()
        }
    }

    #[test]
    fn nothing_is_taken_before_a_fleet_of_3_x_stands_still() {
        let at = Duration::from_secs;
        let mut watch = Watch::default();
        let taken = |who: &str| Standing::Taken(who.into());
        assert_eq!(watch.look(&listing(1, "kcl", 5), at(0)), Standing::Waiting);
        assert_eq!(watch.look(&listing(1, "kcl", 6), at(10)), taken("kcl"));
        assert_eq!(watch.look(&listing(1, "kcl", 6), at(80)), taken("kcl"));
        assert_eq!(watch.look(&listing(1, "kcl", 6), at(90)), Standing::Open);
        assert!(matches!(
            watch.look(&listing(2, "kcl", 6), at(100)),
            Standing::Taken(_)
        ));
        assert_eq!(watch.look(&listing(2, "kcl", 6), at(180)), Standing::Open);
        let ours = format!("{OWNER_PREFIX}a");
        assert_eq!(watch.look(&listing(2, &ours, 7), at(190)), Standing::Open);
        assert_eq!(watch.look(&listing(2, &ours, 8), at(200)), Standing::Open);
        let two = Listing {
            coordinator: None,
            ..listing(0, "kcl", 9)
        };
        assert_eq!(watch.look(&two, at(210)), Standing::Open, "2.x");
    }
}
