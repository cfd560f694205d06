use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

fn position() -> impl Strategy<Value = LeasePosition> {
    let at = ("0|[1-9][0-9]{0,128}", any::<u64>()).prop_map(|(sequence, sub)| LeasePosition::At {
        sequence: sequence.parse().unwrap(),
        sub,
    });
    prop_oneof![
        Just(LeasePosition::TrimHorizon),
        Just(LeasePosition::Latest),
        Just(LeasePosition::AtTimestamp),
        Just(LeasePosition::ShardEnd),
        at
    ]
}

fn lease() -> impl Strategy<Value = Lease> {
    let pending = (position(), vec(any::<u8>(), 0..50))
        .prop_map(|(position, state)| Pending { position, state });
    let range = any::<(u128, u128)>().prop_map(|(start, end)| HashRange { start, end });
    let names = || btree_set("[a-z]{1,9}", 0..3);
    (
        (
            "[a-zA-Z0-9-]{1,30}",
            any::<Option<String>>(),
            any::<u64>(),
            position(),
        ),
        (
            proptest::option::of(pending),
            any::<u64>(),
            names(),
            names(),
        ),
        proptest::option::of(range),
    )
        .prop_map(
            |((key, owner, counter, checkpoint), (pending, switches, parents, children), range)| {
                Lease {
                    key,
                    owner,
                    counter,
                    checkpoint,
                    pending,
                    owner_switches: switches,
                    parents,
                    children,
                    hash_range: range,
                    checkpoint_owner: None,
                }
            },
        )
}

fn row(attributes: &[(&str, AttributeValue)]) -> Item {
    let owned = |(name, value): &(&str, AttributeValue)| ((*name).to_owned(), value.clone());
    attributes.iter().map(owned).collect()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

#[test]
fn the_least_that_any_version_has_written_is_a_lease() {
    let least = row(&[
        ("leaseKey", text("shardId-000000000000")),
        ("leaseCounter", whole(7)),
        ("checkpoint", text("495")),
    ]);
    let lease = read(&least).unwrap().unwrap();
    let checkpoint = LeasePosition::At {
        sequence: "495".parse().unwrap(),
        sub: 0,
    };
    let expected = Lease {
        counter: 7,
        ..Lease::new("shardId-000000000000", checkpoint)
    };
    assert_eq!(lease, expected);
}

#[test]
fn rows_of_other_kinds_are_not_looked_at() {
    for kind in ["STREAM", "LEADER", "WORKER_METRIC_STATS", "whatever comes"] {
        let other = row(&[("leaseKey", text("x")), ("entityType", text(kind))]);
        assert_eq!(read(&other), Ok(None), "{kind}");
    }
    let mut lease = write(&Lease::new("x", LeasePosition::Latest));
    lease.insert("entityType".into(), text("LEASE"));
    assert!(read(&lease).unwrap().is_some());
}

#[test]
fn a_lease_that_says_too_little_is_told_of() {
    let whole_row = write(&Lease::new("x", LeasePosition::Latest));
    for attribute in [KEY, COUNTER, CHECKPOINT] {
        let mut row = whole_row.clone();
        row.remove(attribute);
        assert_eq!(read(&row).unwrap_err().attribute, attribute);
    }
    for (attribute, value) in [
        (CHECKPOINT, text("0123")),
        (CHECKPOINT, text("end")),
        (COUNTER, text("5")),
        (COUNTER, AttributeValue::N("-1".into())),
    ] {
        let mut row = whole_row.clone();
        row.insert(attribute.into(), value.clone());
        assert!(read(&row).is_err(), "{attribute} {value:?}");
    }
}

#[test]
fn a_prepared_checkpoint_without_a_state_of_bytes_has_none() {
    let mut row = write(&Lease::new("x", LeasePosition::Latest));
    row.insert(PENDING.into(), text("495"));
    row.insert(PENDING_STATE.into(), whole(0));
    let pending = read(&row).unwrap().unwrap().pending.unwrap();
    assert!(pending.state.is_empty());
}

proptest! {
    #[test]
    fn leases_come_back(lease in lease()) {
        prop_assert_eq!(read(&write(&lease)), Ok(Some(lease)));
    }
}
